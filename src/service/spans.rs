//! Spans: where the time of a replica's process goes, if `LACONIC_SPANS` asks for it. They are
//! written as a Chrome trace file of their own, `spans/ID.json` below `LACONIC_OUT`.
//!
//! `receive` is a datagram's way from the socket through `decode` and `step`. Within a step of the
//! replica, `apply` is the work for one entry and `answer` the work for one request. `encode` and
//! `send` belong to a datagram that is sent.
//!
//! A span costs microseconds, so only a sample is timed. `1/100` takes one request in 100, by a
//! hash of its MID, so that every replica takes the same ones, and times every datagram that
//! carries it. Of datagrams without a MID it takes the first of each kind and then one in 100. If a
//! step is in the sample, all its work is timed, and so are the datagrams that it sends, except
//! those that carry only MIDs outside the sample. This is decided before any span is created: a
//! datagram outside the sample costs a scan of its bytes, and with spans off not even that.
//!
//! The replica itself stays pure: it tells its sink when the work for an entry or an answer begins
//! and ends ([`Work`]), and measures no time.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc;
use std::time::Duration;

use tracing::info_span;
use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;
use tracing_chrome::{ChromeLayer, ChromeLayerBuilder, FlushGuard};
use tracing_subscriber::filter::{Filtered, Targets};
use tracing_subscriber::{Layer, Registry};

use super::complaint::complain;
use super::environment::{BadEnvironment, Environment};
use super::scan::{Scan, mid_of};
use crate::clock::MonotonicClock;
use crate::raft::{Index, Kind, Member, Message, Term};
use crate::record::{Work, request_id};
use crate::replica::Arrival;
use crate::wire::{Datagram, Membership, Payload};

/// Distinguishes our spans from log lines, which use the same library.
pub(super) const TARGET: &str = "laconic::spans";
/// How long the end of a replica may wait until its spans are written. The 200 ms that a replica
/// has to end must not all go to spans. An incomplete file can be read all the same.
const PATIENCE: Duration = Duration::from_millis(120);
/// How many anchors are written. If one is disturbed by an interruption, others are not.
const ANCHORS: usize = 5;
/// The largest N of a sampling `1/N`.
const MOST_EVERY: u64 = 1_000_000;

/// A sampling `1/N`: one step in N gets spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sampling(u64);

impl FromStr for Sampling {
    type Err = ();

    /// Parses `1` or `1/N`.
    fn from_str(text: &str) -> Result<Sampling, ()> {
        let every = match text.strip_prefix("1/") {
            Some(every) => every.parse().map_err(|_| ())?,
            None if text == "1" => 1,
            None => return Err(()),
        };
        Some(Sampling(every)).filter(|_| (1..=MOST_EVERY).contains(&every)).ok_or(())
    }
}

impl Sampling {
    fn takes(self, mid: &str) -> bool {
        request_id(mid).is_multiple_of(self.0)
    }
}

/// The layer that writes spans, as part of the process's subscriber.
pub(super) type SpanLayer = Filtered<ChromeLayer<Registry>, Targets, Registry>;
/// A span that lasts as long as this is held; `None` outside the sample.
pub(super) type Guard = Option<EnteredSpan>;

/// The spans of this process, on or off.
#[derive(Default)]
pub(super) struct Spans(Option<Box<Sample>>);

/// The state of the sampling.
struct Sample {
    sampling: Sampling,
    flush: FlushGuard,
    members: Membership,
    /// Number of steps without a MID so far, for each kind.
    seen: [u64; KINDS],
    /// The MIDs of the current step that are in the sample.
    mids: String,
    /// Whether the current step is in the sample.
    spanned: bool,
    /// The replica's work in progress, with a span for each part that is in the sample.
    work: Vec<Guard>,
    /// For each datagram that waits to be sent, whether its step was in the sample.
    marks: Vec<bool>,
    /// The datagram that is being sent, if it is in the sample.
    leaving: Option<Leaving>,
}

/// Number of kinds of steps: those of messages, a wake-up, and all others.
const KINDS: usize = Kind::ALL.len() + 2;
const WAKE: usize = Kind::ALL.len();
const OTHER: usize = WAKE + 1;

/// What is known of a datagram that is being sent.
struct Leaving {
    seen: Seen,
    mids: String,
    to: crate::interface::Address,
}

/// What spans record of a step or a datagram; 0 where it has no such number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    kind: &'static str,
    term: Term,
    index: Index,
}

impl Seen {
    const fn kind(kind: &'static str) -> Seen {
        Seen { kind, term: 0, index: 0 }
    }

    fn message(message: &Message) -> Seen {
        let index = match message {
            Message::Append(append) => append.through(),
            other => other.first_and_entries().0,
        };
        Seen { kind: message.kind().name(), term: message.term(), index }
    }

    fn arrival(arrival: &Arrival) -> Seen {
        use crate::interface::Operation;
        match arrival {
            Arrival::Wake | Arrival::Unread { .. } => Seen::kind("wake"),
            Arrival::Retune(_) => Seen::kind("retune"),
            Arrival::Peer { message, .. } => Seen::message(message),
            Arrival::Request(request) => Seen::kind(match request.operation {
                Operation::Get { .. } => "get",
                Operation::Put { .. } => "put",
            }),
            Arrival::BadRequest { .. } | Arrival::Garbage { .. } => Seen::kind("garbage"),
        }
    }

    fn datagram(datagram: &Datagram) -> Seen {
        match &datagram.payload {
            Payload::Peer { message, .. } => Seen::message(message),
            Payload::Answer { .. } => Seen::kind("answer"),
            Payload::Hello | Payload::Request { .. } => Seen::kind("hello"),
        }
    }
}

impl Spans {
    /// Spans as the environment asks for them. The layer belongs into the process's subscriber. If
    /// the file cannot be opened, there is one line on stderr and no spans.
    ///
    /// # Errors
    /// If `LACONIC_SPANS` is not a sampling, or there is no folder to write to.
    pub fn open(
        environment: &Environment,
        members: &Membership,
    ) -> Result<(Option<SpanLayer>, Spans), BadEnvironment> {
        let Some(sampling) = Spans::sampling(environment)? else {
            return Ok((None, Spans::default()));
        };
        let out = environment.out.as_deref().ok_or(BadEnvironment::SpansWithoutOut)?;
        let Some(file) = SpanFile::create(out, members) else {
            return Ok((None, Spans::default()));
        };
        let builder = ChromeLayerBuilder::new().writer(file);
        let (layer, flush) = builder.include_args(true).include_locations(false).build();
        let layer = layer.with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO));
        let sample = Sample {
            sampling,
            flush,
            members: members.clone(),
            seen: [0; KINDS],
            mids: String::new(),
            spanned: false,
            work: Vec::new(),
            marks: Vec::new(),
            leaving: None,
        };
        Ok((Some(layer), Spans(Some(Box::new(sample)))))
    }

    /// The sampling that the environment asks for, if any.
    ///
    /// # Errors
    /// If `LACONIC_SPANS` is not a sampling.
    pub fn sampling(environment: &Environment) -> Result<Option<Sampling>, BadEnvironment> {
        let parse = |text: &String| text.parse().map_err(|()| BadEnvironment::Spans(text.clone()));
        environment.spans.as_ref().map(parse).transpose()
    }

    /// Writes an anchor into the file: what the machine's clock shows, and which replica's file it
    /// is. Times in the file count from its own beginning. The clock is read before the anchor is
    /// written, so of several anchors the one with the smallest difference counts.
    pub fn anchor(&self, clock: &MonotonicClock) {
        let Some(Sample { members, .. }) = self.0.as_deref() else {
            return;
        };
        let rank = members.me().rank();
        for _ in 0..ANCHORS {
            let clock_us = clock.start_us() + clock.now().0;
            tracing::event!(name: "anchor", target: TARGET, tracing::Level::INFO, clock_us, rank);
        }
    }

    /// A datagram has arrived. The span lasts until it is handled.
    pub fn receive(&mut self, bytes: &[u8]) -> Guard {
        let sample = self.0.as_mut()?;
        sample.look_at(bytes);
        let (bytes, mid) = (bytes.len(), &sample.mids);
        sample.spanned.then(|| info_span!(target: TARGET, "receive", bytes, %mid).entered())
    }

    /// The datagram is decoded.
    pub fn decode(&self) -> Guard {
        let sample = self.0.as_ref().filter(|sample| sample.spanned)?;
        let mid = &sample.mids;
        Some(info_span!(target: TARGET, "decode", %mid).entered())
    }

    /// A step begins.
    pub fn step(&mut self, arrival: &Arrival) -> Guard {
        let sample = self.0.as_mut()?;
        if matches!(arrival, Arrival::Wake | Arrival::Unread { .. }) {
            sample.mids.clear();
            sample.spanned = sample.takes_next(WAKE);
        }
        if !sample.spanned {
            return None;
        }
        let (Seen { kind, term, index }, mid) = (Seen::arrival(arrival), &sample.mids);
        Some(info_span!(target: TARGET, "step", %kind, term, index, %mid).entered())
    }

    /// The step is over. It has made the datagrams from place `before` to `after`.
    pub fn mark(&mut self, before: usize, after: usize) {
        if let Some(sample) = &mut self.0 {
            sample.marks.truncate(before);
            sample.marks.resize(after, sample.spanned);
        }
    }

    /// The replica begins some work of a step.
    pub fn begin(&mut self, work: Work<'_>) {
        let Some(sample) = &mut self.0 else {
            return;
        };
        let (Work::Apply { mid, .. } | Work::Answer { mid, .. }) = work;
        let wanted = sample.spanned || sample.sampling.takes(mid) && !mid.is_empty();
        let span = || match work {
            Work::Apply { index, term, mid } => {
                info_span!(target: TARGET, "apply", term, index, %mid)
            }
            Work::Answer { index, term, mid, outcome } => {
                let outcome = outcome.name();
                info_span!(target: TARGET, "answer", term, index, %mid, %outcome)
            }
        };
        sample.work.push(wanted.then(|| span().entered()));
    }

    /// The work that began last ends.
    pub fn end(&mut self) {
        if let Some(sample) = &mut self.0 {
            sample.work.pop();
        }
    }

    /// The datagram at `place`, of those that wait to be sent, is encoded.
    pub fn encode(&mut self, place: usize, datagram: &Datagram) -> Guard {
        let sample = self.0.as_mut()?;
        sample.leaving = sample.leaving(place, datagram);
        let Leaving { seen: Seen { kind, term, index }, mids: mid, .. } =
            sample.leaving.as_ref()?;
        Some(info_span!(target: TARGET, "encode", %kind, term, index, %mid).entered())
    }

    /// The datagram encoded last, of this many bytes, is handed to the socket.
    pub fn send(&self, bytes: usize) -> Guard {
        let Leaving { seen: Seen { kind, term, index }, mids: mid, to } =
            self.0.as_ref()?.leaving.as_ref()?;
        Some(info_span!(target: TARGET, "send", %kind, term, index, %mid, %to, bytes).entered())
    }

    /// Makes the writing thread write out what is buffered, so that a process that is killed loses
    /// only its latest spans.
    pub fn flush(&self) {
        if let Some(sample) = &self.0 {
            sample.flush.flush();
        }
    }

    /// Writes out what is left, if that is possible in time.
    pub fn finish(&mut self) {
        let Some(sample) = self.0.take() else {
            return;
        };
        let (done, is_done) = mpsc::channel();
        let flush = sample.flush;
        std::thread::spawn(move || {
            drop(flush);
            // The receiver may have stopped waiting.
            let _ = done.send(());
        });
        let _ = is_done.recv_timeout(PATIENCE);
    }
}

impl Sample {
    /// Notes whether the datagram `bytes` is in the sample, and for which MIDs.
    fn look_at(&mut self, bytes: &[u8]) {
        let scan = Scan::at(bytes);
        let any = self.gather(scan.mids());
        self.spanned = !self.mids.is_empty();
        if !any {
            let kind = scan.kind.parse().map_or(OTHER, |kind: Kind| kind as usize);
            self.spanned = self.takes_next(kind);
        }
    }

    /// Keeps the MIDs that are in the sample. Returns whether there was any MID.
    fn gather<'a>(&mut self, mids: impl Iterator<Item = &'a str>) -> bool {
        self.mids.clear();
        let mut any = false;
        for mid in mids {
            any = true;
            if self.sampling.takes(mid) {
                if !self.mids.is_empty() {
                    self.mids.push(' ');
                }
                self.mids.push_str(mid);
            }
        }
        any
    }

    /// Whether the next step of this kind, without a MID, is in the sample.
    fn takes_next(&mut self, kind: usize) -> bool {
        self.seen[kind] += 1;
        (self.seen[kind] - 1).is_multiple_of(self.sampling.0)
    }

    /// The datagram at `place`, if it is in the sample: it carries a sampled MID, or it carries no
    /// MID and its step was in the sample.
    fn leaving(&mut self, place: usize, datagram: &Datagram) -> Option<Leaving> {
        let any = match &datagram.payload {
            Payload::Answer { mid, .. } => self.gather([&**mid].into_iter()),
            Payload::Peer { message: Message::Append(append), .. } => {
                let commands = append.entries.iter().map(|entry| &*entry.command);
                self.gather(commands.filter_map(mid_of))
            }
            _ => self.gather([].into_iter()),
        };
        let marked = self.marks.get(place).copied().unwrap_or_default();
        let (mids, to) = (self.mids.clone(), datagram.destination);
        let spanned = !mids.is_empty() || !any && marked;
        spanned.then(|| Leaving { seen: Seen::datagram(datagram), mids, to })
    }
}

/// The file, as long as it can be written.
struct SpanFile {
    path: PathBuf,
    file: Option<File>,
}

impl SpanFile {
    fn create(out: &Path, members: &Membership) -> Option<SpanFile> {
        let me: Member = members.me();
        let folder = out.join("spans");
        let path = folder.join(format!("{}.json", members.address(me)));
        let created = std::fs::create_dir_all(&folder).and_then(|()| File::create(&path));
        match created {
            Ok(file) => Some(SpanFile { path, file: Some(file) }),
            Err(error) => {
                say(&path, &error);
                None
            }
        }
    }
}

impl Write for SpanFile {
    /// Never fails, because the writing thread would panic. After a failure nothing more is
    /// written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.file.as_mut().and_then(|file| file.write_all(bytes).err()) {
            say(&self.path, &error);
            self.file = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn say(path: &Path, error: &io::Error) {
    complain(&format!("LACONIC_SPANS: {}: {error}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampling_is_one_or_one_in_n() {
        for (text, every) in [("1", 1), ("1/1", 1), ("1/100", 100), ("1/1000000", 1_000_000)] {
            assert_eq!(text.parse(), Ok(Sampling(every)));
        }
        for text in ["", "0", "2", "1/0", "1/1000001", "1/", "1/x", "0.01", "1/-1", "on"] {
            assert_eq!(text.parse::<Sampling>(), Err(()), "{text}");
        }
    }

    #[test]
    fn one_mid_in_n_is_taken() {
        let taken = |every| {
            let mids = (0..100_000).map(|mid| format!("{mid:032X}"));
            mids.filter(|mid| Sampling(every).takes(mid)).count()
        };
        assert_eq!(taken(1), 100_000);
        assert!((800..1_200).contains(&taken(100)), "{}", taken(100));
    }
}
