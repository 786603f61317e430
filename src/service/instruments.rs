//! Where a replica's records go: to a file, to the black box, to the log and into metrics. All are
//! folds over the same stream of records.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::Instant;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use super::complaint::complain;
use super::environment::{BadEnvironment, Environment};
use super::spans::{SpanLayer, Spans, TARGET};
use super::telemetry::Telemetry;
use super::waiting::Bell;
use crate::archive::{FileHeader, RecordFile, RecordFileError};
use crate::clock::MonotonicClock;
use crate::raft::{Disposition, Micros};
use crate::record::{Fact, Record, Sink, Work};
use crate::recorder::{BlackBox, BlackBoxError, BoxHeader};
use crate::replica::Replica;
use crate::tuning_file::Profile;
use crate::wire::{Garbage, Membership};

/// Sends log lines that pass `filter` to stderr, without colours, and spans to `spans`. Log lines
/// and spans are kept apart.
pub(super) fn log_to_stderr(
    filter: Option<&str>,
    spans: Option<SpanLayer>,
) -> Result<(), BadEnvironment> {
    let parsed = log_filter(filter)?;
    let lines = fmt::layer()
        .with_writer(io::stderr)
        // Lines go into files and through the simulator, where colour codes are only in the way.
        .with_ansi(false)
        // If stderr is closed, the replica must go on.
        .log_internal_errors(false);
    tracing_subscriber::registry().with(spans).with(lines.with_filter(parsed)).init();
    Ok(())
}

/// Parses the filter of log lines.
pub(super) fn log_filter(filter: Option<&str>) -> Result<Targets, BadEnvironment> {
    let filter = filter.unwrap_or("warn");
    let bad = |reason: String| BadEnvironment::Log { filter: filter.to_owned(), reason };
    // The library takes any word as a module's name, and then shows nothing of it.
    let is_ours = |word: &str| word.parse::<LevelFilter>().is_ok() || word.starts_with("laconic");
    let mut words = filter.split(',').map(str::trim).filter(|word| !word.contains(['=', '[']));
    if let Some(word) = words.find(|word| !is_ours(word)) {
        return Err(bad(format!("{word:?} is no level and no module of laconic")));
    }
    let targets: Targets = filter.parse().map_err(|reason: ParseError| bad(reason.to_string()))?;
    Ok(targets.with_target(TARGET, LevelFilter::OFF))
}

/// All instruments that get a replica's records.
pub(super) struct Instruments {
    records: Records,
    black_box: Option<BlackBox>,
    garbage: GarbageLog,
    /// The spans. The loop also uses them.
    pub spans: Spans,
    telemetry: Option<Telemetry>,
}

impl Instruments {
    /// Opens the record file, the black box and the metrics, if the environment asks for them. For
    /// each that fails there is one line on stderr, and the replica starts without it: a broken
    /// instrument must not stop a replica. `bell` wakes the loop when figures are wanted.
    pub fn open(
        environment: &Environment,
        members: &Membership,
        clock: &MonotonicClock,
        spans: Spans,
        profile: &Profile,
        bell: Bell,
    ) -> Instruments {
        let out = environment.out.as_deref();
        let records = Records::open(out, members, clock);
        // If the folder is none, one line is enough.
        let out = out.filter(|out| out.is_dir());
        let folder = environment.black_box.as_deref();
        let black_box = folder.and_then(|folder| {
            or_complain("LACONIC_BLACK_BOX", open_black_box(folder, members, clock))
        });
        let telemetry =
            Telemetry::open(environment.metrics_address.as_deref(), out, members, profile, bell);
        Instruments { records, black_box, garbage: GarbageLog::default(), spans, telemetry }
    }

    /// Whether somebody has asked for fresh figures since this was last called.
    pub fn is_publishing_wanted(&self) -> bool {
        self.telemetry.as_ref().is_some_and(Telemetry::is_publishing_wanted)
    }

    /// Publishes the state of `replica` at `now` for the metrics.
    pub fn publish(&mut self, now: Micros, replica: &Replica) {
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.publish(now, replica);
        }
    }

    /// Writes out what is buffered, the last figures, and the spans that can be written in time.
    /// Returns whether all records that were asked for are in their file.
    pub fn close(&mut self) -> bool {
        if let Some(telemetry) = &self.telemetry {
            telemetry.write();
        }
        self.records.flush();
        self.spans.finish();
        !self.records.missing
    }

    fn pass_on(&mut self, record: &Record) {
        self.records.record(record);
        self.black_box.record(record);
        self.telemetry.record(record);
        match record.fact {
            Fact::Garbage { reason, .. } | Fact::Refused { reason, .. } => {
                self.garbage.on_garbage(record.at, reason);
            }
            Fact::Received { disposition: Disposition::Implausible, .. } => {
                self.garbage.on_garbage(record.at, Garbage::Contradiction);
            }
            fact => log(record, fact),
        }
    }
}

impl Sink for Instruments {
    fn record(&mut self, record: &Record) {
        let sampled = self.telemetry.as_mut().is_some_and(Telemetry::samples_next);
        let start = sampled.then(Instant::now);
        self.pass_on(record);
        if let (Some(start), Some(telemetry)) = (start, &mut self.telemetry) {
            telemetry.add_sample(start);
        }
    }

    fn begin(&mut self, work: Work<'_>) {
        self.spans.begin(work);
        self.telemetry.begin(work);
    }

    fn end(&mut self) {
        self.spans.end();
    }
}

fn open_records(
    out: &Path,
    members: &Membership,
    clock: &MonotonicClock,
) -> Result<RecordFile, RecordFileError> {
    let folder = out.join("records");
    std::fs::create_dir_all(&folder)
        .map_err(|source| RecordFileError::Io { path: folder.clone(), source })?;
    let source = members.me();
    let path = folder.join(format!("{}.bin", members.address(source)));
    RecordFile::create(&path, FileHeader { source, clock_start_us: clock.start_us() })
}

fn open_black_box(
    folder: &Path,
    members: &Membership,
    clock: &MonotonicClock,
) -> Result<BlackBox, BlackBoxError> {
    let source = members.me();
    let path = folder.join(format!("{}.box", members.address(source)));
    let replicas = members.count() as u8;
    let header = BoxHeader { source, replicas, clock_start_us: clock.start_us() };
    BlackBox::create(&path, header)
}

/// The result of opening or writing what `variable` asks for, or `None` and a line on stderr.
fn or_complain<T>(variable: &str, done: Result<T, impl Display>) -> Option<T> {
    done.map_err(|error| complain(&format!("{variable}: {error}"))).ok()
}

/// The record file, as long as it can be written.
struct Records {
    file: Option<RecordFile>,
    /// Whether records that were asked for are missing from the file.
    missing: bool,
}

impl Records {
    /// Opens the file below `out`, if it is set.
    fn open(out: Option<&Path>, members: &Membership, clock: &MonotonicClock) -> Records {
        let open = |out| or_complain("LACONIC_OUT", open_records(out, members, clock));
        let file = out.and_then(open);
        Records { missing: out.is_some() && file.is_none(), file }
    }

    /// Writes out what is buffered. If that fails, the file is closed; what was written stays.
    fn flush(&mut self) {
        let flushed = self.file.as_mut().map(RecordFile::flush);
        if flushed.is_some_and(|flushed| or_complain("LACONIC_OUT", flushed).is_none()) {
            (self.file, self.missing) = (None, true);
        }
    }
}

impl Sink for Records {
    fn record(&mut self, record: &Record) {
        self.file.record(record);
        if self.file.as_ref().is_some_and(RecordFile::has_failed) {
            self.flush();
        }
    }
}

/// Logs a record: a change of leader at `info`, everything at `debug`.
fn log(record: &Record, fact: Fact) {
    use crate::raft::Event::{BecameLeader, LeaderHeard, SteppedDown};
    match fact {
        Fact::State(BecameLeader { term, .. }) => tracing::info!(term, "became leader"),
        Fact::State(SteppedDown { term, reason }) => {
            tracing::info!(term, reason = reason.name(), "stepped down");
        }
        Fact::State(LeaderHeard { leader, term }) => {
            tracing::info!(term, leader = leader.rank(), "heard from a new leader");
        }
        _ => tracing::debug!("{}", record.json_line()),
    }
}

/// Warns of dropped datagrams at most once a second, so that many of them do not cause many lines.
#[derive(Default)]
struct GarbageLog {
    dropped: u64,
    quiet_until: Micros,
}

impl GarbageLog {
    fn on_garbage(&mut self, now: Micros, reason: Garbage) {
        self.dropped += 1;
        if now >= self.quiet_until {
            self.quiet_until = now + Micros::from_seconds(1);
            let dropped = self.dropped;
            tracing::warn!(dropped, latest = reason.name(), "datagrams that cannot be used");
        }
    }
}
