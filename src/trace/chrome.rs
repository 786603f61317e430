//! Writes the trace file: events of the Chrome trace format, one on each line, slices on tracks,
//! and the tracks where lost messages end.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::arrows::Arrows;
use crate::raft::Micros;
use crate::record::Fate;

/// Largest width of a slice whose end is not recorded, in nanoseconds.
const WIDEST_NS: u64 = 10_000;
/// Most slices in the same microsecond. Further ones move into the next.
const MOST_IN_ONE: usize = 250;

/// Number of the clients' process.
pub(super) const CLIENTS: u32 = 1;
/// Number of the process for the network between the replicas.
const NETWORK: u32 = 2;
/// Number of the process for all replicas. Viewers sort processes by their content but keep the
/// tracks of one process in the order in which they were made, so the replicas are in order.
pub(super) const REPLICAS: u32 = 3;
/// Most tracks of a process. Track IDs are unique in the file.
const TRACKS: u32 = 100_000;

/// Where slices are drawn: a thread of a process, in the format's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pid: u32,
    tid: u32,
}

/// One end of an arrow, in a slice.
#[derive(Clone, Debug)]
pub(super) struct Tip {
    /// The arrow.
    pub arrow: Arrow,
    /// Whether the arrow starts in this slice.
    pub starts: bool,
}

/// An arrow. Category, name and ID are the same at both ends.
#[derive(Clone, Debug)]
pub(super) struct Arrow {
    id: u64,
    /// The kind of arrow.
    pub category: &'static str,
    /// What the arrow stands for.
    pub name: String,
}

/// A slice to be drawn, with the arrows that start and end in it.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    /// The kind of slice: `handling`, `request`, `role`, `partition`, `lost`, `span`.
    pub category: &'static str,
    /// The slice's name.
    pub name: String,
    /// The details that viewers show when it is selected.
    pub details: Value,
    /// The ends of arrows in it.
    pub tips: Vec<Tip>,
}

/// The ways in which an arrow does not reach a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LostArrow {
    /// A message between replicas, by its fate.
    Message(Fate),
    /// A message that was received no later than it was sent, by clocks that disagree.
    AgainstTheClock,
    Request,
    Answer,
    Waiting,
}

impl LostArrow {
    const fn name(self) -> &'static str {
        match self {
            LostArrow::Message(fate) => match fate {
                Fate::Dropped => "lost: dropped",
                Fate::CutOff => "lost: cut off by a partition",
                Fate::Dead => "lost: sent to the dead",
                Fate::Blocked => "lost: refused by a full socket",
                Fate::UnreadByReceiver => "lost: forwarded, not taken in",
                Fate::UnreadBySimulator | Fate::LostInSocket => "lost: never read by the simulator",
                Fate::Delivered | Fate::Stale | Fate::Duplicate | Fate::Implausible => "taken in",
            },
            LostArrow::AgainstTheClock => "arrived against the clock",
            LostArrow::Request => "lost: requests never taken in",
            LostArrow::Answer => "lost: answers never taken in",
            LostArrow::Waiting => "lost: waited in vain",
        }
    }
}

/// Slices of one place whose widths are known only when the next comes.
#[derive(Debug)]
pub(super) struct Track {
    place: Place,
    at: Micros,
    pending: Vec<Slice>,
}

impl Track {
    pub fn new(place: Place) -> Track {
        Track { place, at: Micros(0), pending: Vec::new() }
    }

    /// Adds a slice that begins at `at`. Times never decrease.
    pub fn add<W: Write>(&mut self, at: Micros, slice: Slice, chrome: &mut ChromeFile<W>) {
        let full = self.pending.len() == MOST_IN_ONE;
        let at = at.max(self.at + Micros(u64::from(full)));
        if at > self.at {
            self.lay_out(Some(at), chrome);
        }
        self.at = at;
        self.pending.push(slice);
    }

    /// The slice added last, if it is not drawn yet.
    pub fn last(&mut self) -> Option<&mut Slice> {
        self.pending.last_mut()
    }

    /// Draws the pending slices, up to `next`.
    pub fn lay_out<W: Write>(&mut self, next: Option<Micros>, chrome: &mut ChromeFile<W>) {
        let pending = std::mem::take(&mut self.pending);
        let Some(last) = pending.len().checked_sub(1) else {
            return;
        };
        let share = 1_000 / pending.len() as u64;
        let start = self.at.0 * 1_000;
        let room = next.map_or(WIDEST_NS, |next| next.since(self.at).0.saturating_mul(1_000));
        for (order, slice) in (0u64..).zip(pending) {
            let begin = start + order * share;
            let end =
                if order as usize == last { start + room.min(WIDEST_NS) } else { begin + share };
            // Slightly narrower, so that no rounding makes slices overlap.
            let width = (end - begin) * 3 / 4;
            chrome.slice(self.place, SliceTime { begin, width }, &slice);
        }
    }
}

/// A span of time, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct SliceTime {
    pub begin: u64,
    pub width: u64,
}

/// A part of the run, both ends included. What is outside is not drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from_ns: u64,
    to_ns: u64,
}

impl Window {
    /// The whole run.
    pub const ALL: Window = Window { from_ns: 0, to_ns: u64::MAX };

    /// The part between two moments.
    pub const fn new(from: Micros, to: Micros) -> Window {
        Window { from_ns: from.0.saturating_mul(1_000), to_ns: to.0.saturating_mul(1_000) }
    }

    fn is_all(self) -> bool {
        self == Window::ALL
    }

    fn has(self, at_ns: u64) -> bool {
        (self.from_ns..=self.to_ns).contains(&at_ns)
    }

    /// The part of `span` within the window; `None` if there is none. A span that begins in the
    /// window may end a little later, so that arrows have room.
    fn cut(self, span: SliceTime) -> Option<SliceTime> {
        let begin = span.begin.max(self.from_ns);
        let end = (span.begin + span.width).min(self.to_ns.saturating_add(WIDEST_NS));
        let within = begin < end && begin <= self.to_ns;
        within.then(|| SliceTime { begin, width: end - begin })
    }
}

/// An event of the format. Fields that are `None` are left out.
#[derive(Default, Serialize)]
struct ChromeEvent<'a> {
    ph: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_micros")]
    ts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_micros")]
    dur: Option<u64>,
    pid: u32,
    tid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bp: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<&'a Value>,
}

/// Nanoseconds, written as the format's microseconds.
fn as_micros<S: Serializer>(time: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    match time.unwrap_or_default() {
        whole if whole % 1_000 == 0 => to.serialize_u64(whole / 1_000),
        // Below 2^53, so it is exact to the nanosecond for a hundred days.
        part => to.serialize_f64(part as f64 / 1_000.0),
    }
}

/// The trace file, and the state that everything drawn shares.
#[derive(Debug)]
pub(super) struct ChromeFile<W: Write> {
    out: W,
    failed: Option<io::Error>,
    begun: bool,
    arrows: u64,
    tracks: BTreeMap<u32, u32>,
    moments: Option<Place>,
    lost: BTreeMap<LostArrow, Track>,
    counters: BTreeMap<&'static str, u64>,
    window: Window,
    /// In a window: ends of arrows whose other end is not known yet.
    half_arrows: BTreeMap<u64, (Place, u64, Tip)>,
    /// Arrows that end after the window.
    beyond: Vec<Arrow>,
    /// The values of counters before the window.
    counted_before: BTreeMap<(u32, String), (String, u64)>,
}

impl<W: Write> ChromeFile<W> {
    /// Begins the file.
    pub fn begin(out: W, window: Window) -> ChromeFile<W> {
        let mut chrome = ChromeFile {
            out,
            failed: None,
            begun: false,
            arrows: 0,
            tracks: BTreeMap::new(),
            moments: None,
            lost: BTreeMap::new(),
            counters: BTreeMap::new(),
            window,
            half_arrows: BTreeMap::new(),
            beyond: Vec::new(),
            counted_before: BTreeMap::new(),
        };
        chrome.write(|out| out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"));
        chrome.name_process(CLIENTS, "clients");
        chrome.name_process(NETWORK, "network");
        chrome.name_process(REPLICAS, "replicas");
        chrome
    }

    /// Writes unless an earlier write failed. The first failure is reported at the end.
    fn write(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = write(&mut self.out).err();
        }
    }

    fn event(&mut self, event: &ChromeEvent<'_>) {
        let separator: &[u8] = if std::mem::replace(&mut self.begun, true) { b",\n" } else { b"" };
        self.write(|out| {
            out.write_all(separator)?;
            serde_json::to_writer(out, event).map_err(io::Error::from)
        });
    }

    /// Names a process. Processes are shown in the order of their numbers.
    pub fn name_process(&mut self, pid: u32, name: &str) {
        let place = Place { pid, tid: 0 };
        self.describe(place, "process_name", &json!({"name": name}));
        self.describe(place, "process_sort_index", &json!({"sort_index": pid}));
    }

    fn describe(&mut self, Place { pid, tid }: Place, name: &str, args: &Value) {
        self.event(&ChromeEvent {
            ph: "M",
            name,
            pid,
            tid,
            args: Some(args),
            ..ChromeEvent::default()
        });
    }

    /// A new place in process `pid`, below its other places.
    pub fn new_place(&mut self, pid: u32, name: &str) -> Place {
        let order = self.tracks.get(&pid).copied().unwrap_or_default();
        self.new_place_at(order, pid, name)
    }

    /// A new place in process `pid`. A process shows its places by `order`.
    pub fn new_place_at(&mut self, order: u32, pid: u32, name: &str) -> Place {
        let track = self.tracks.entry(pid).or_default();
        *track += 1;
        let place = Place { pid, tid: pid * TRACKS + *track };
        self.describe(place, "thread_name", &json!({"name": name}));
        self.describe(place, "thread_sort_index", &json!({"sort_index": order}));
        place
    }

    /// A new place in the network's process.
    pub fn new_network_place(&mut self, name: &str) -> Place {
        self.new_place(NETWORK, name)
    }

    /// A new arrow.
    pub fn new_arrow(&mut self, category: &'static str, name: impl Into<String>) -> Arrow {
        self.arrows += 1;
        Arrow { id: self.arrows, category, name: name.into() }
    }

    /// Draws a slice of known width, and its ends of arrows at its beginning.
    pub fn slice(&mut self, place: Place, span: SliceTime, slice: &Slice) {
        let Some(shown) = self.window.cut(span) else {
            return slice.tips.iter().for_each(|tip| self.tip(place, span.begin, tip));
        };
        self.event(&ChromeEvent {
            ph: "X",
            name: &slice.name,
            cat: Some(slice.category),
            ts: Some(shown.begin),
            dur: Some(shown.width),
            pid: place.pid,
            tid: place.tid,
            args: Some(&slice.details),
            ..ChromeEvent::default()
        });
        slice.tips.iter().for_each(|tip| self.tip(place, span.begin, tip));
    }

    /// Draws one end of an arrow, at the beginning of its slice. In a window only arrows that start
    /// in it are drawn, so the first end waits until the second is known.
    fn tip(&mut self, place: Place, at_ns: u64, tip: &Tip) {
        if self.window.is_all() {
            return self.draw_tip(place, at_ns, tip);
        }
        let one = (place, at_ns, tip.clone());
        let Some(other) = self.half_arrows.remove(&tip.arrow.id) else {
            self.half_arrows.insert(tip.arrow.id, one);
            return;
        };
        let (start, end) = if tip.starts { (one, other) } else { (other, one) };
        if !self.window.has(start.1) {
            return;
        }
        self.draw_tip(start.0, start.1, &start.2);
        if self.window.has(end.1) {
            self.draw_tip(end.0, end.1, &end.2);
        } else {
            self.beyond.push(end.2.arrow);
        }
    }

    /// Ends arrows that end after the window, on a track that says so.
    fn end_beyond(&mut self) {
        let arrows = std::mem::take(&mut self.beyond);
        if arrows.is_empty() {
            return;
        }
        let place = self.new_network_place("ends after the window");
        let begin = self.window.to_ns.saturating_add(WIDEST_NS);
        let span = SliceTime { begin, width: WIDEST_NS };
        let shown = ChromeEvent {
            ph: "X",
            name: "ends after the window",
            cat: Some("window"),
            ts: Some(span.begin),
            dur: Some(span.width),
            pid: place.pid,
            tid: place.tid,
            ..ChromeEvent::default()
        };
        self.event(&shown);
        for arrow in arrows {
            self.draw_tip(place, span.begin, &Tip { arrow, starts: false });
        }
    }

    fn draw_tip(&mut self, place: Place, at_ns: u64, tip: &Tip) {
        self.event(&ChromeEvent {
            ph: if tip.starts { "s" } else { "f" },
            name: &tip.arrow.name,
            cat: Some(tip.arrow.category),
            ts: Some(at_ns),
            pid: place.pid,
            tid: place.tid,
            id: Some(format!("0x{:x}", tip.arrow.id)),
            bp: (!tip.starts).then_some("e"),
            ..ChromeEvent::default()
        });
    }

    /// Marks a moment of the run, on a track of the network's process.
    pub fn moment(&mut self, at: Micros, name: &str) {
        if !self.window.has(at.0 * 1_000) {
            return;
        }
        let moments = self.moments;
        let place = moments.unwrap_or_else(|| self.new_network_place("moments"));
        self.moments = Some(place);
        self.instant(at, place, ("moment", name), None);
    }

    /// Marks a moment at a place: a category and a name, and the details that viewers show.
    pub fn instant(
        &mut self,
        at: Micros,
        place: Place,
        (category, name): (&'static str, &str),
        details: Option<&Value>,
    ) {
        if !self.window.has(at.0 * 1_000) {
            return;
        }
        self.event(&ChromeEvent {
            ph: "i",
            name,
            cat: Some(category),
            ts: Some(at.0 * 1_000),
            pid: place.pid,
            tid: place.tid,
            s: Some("t"),
            args: details,
            ..ChromeEvent::default()
        });
    }

    /// Draws a counter's new value. In a window the counter begins with the value that it had
    /// before. Viewers show the unit after the name.
    pub fn counter(&mut self, at: Micros, pid: u32, (name, unit): (&str, &str), value: u64) {
        let at_ns = at.0 * 1_000;
        if at_ns < self.window.from_ns {
            self.counted_before.insert((pid, name.to_owned()), (unit.to_owned(), value));
            return;
        }
        if !self.counted_before.is_empty()
            && let Some((_, before)) = self.counted_before.remove(&(pid, name.to_owned()))
        {
            self.draw_counter(self.window.from_ns, pid, (name, unit), before);
        }
        if self.window.has(at_ns) {
            self.draw_counter(at_ns, pid, (name, unit), value);
        }
    }

    fn draw_counter(&mut self, at_ns: u64, pid: u32, (name, unit): (&str, &str), value: u64) {
        self.event(&ChromeEvent {
            ph: "C",
            name,
            cat: Some("counter"),
            ts: Some(at_ns),
            pid,
            args: Some(&json!({unit: value})),
            ..ChromeEvent::default()
        });
    }

    /// Sets a counter of the network's process to this value.
    pub fn count(&mut self, at: Micros, (name, unit): (&'static str, &str), value: u64) {
        if self.counters.insert(name, value) != Some(value) {
            self.counter(at, NETWORK, (name, unit), value);
        }
    }

    /// Ends an arrow that began at `since` where it was lost, at time `at`.
    pub fn lose(&mut self, loss: LostArrow, since: Micros, at: Micros, arrow: Arrow) {
        let track = self.lost.remove(&loss);
        let mut track = track.unwrap_or_else(|| Track::new(self.new_network_place(loss.name())));
        let name = arrow.name.clone();
        let tips = vec![Tip { arrow, starts: false }];
        let slice = Slice { category: "lost", name, details: json!({}), tips };
        track.add(at.max(since + Micros(1)), slice, self);
        self.lost.insert(loss, track);
    }

    /// Completes the file.
    ///
    /// # Errors
    /// The first write that failed.
    pub fn finish(mut self, arrows: &Arrows) -> io::Result<()> {
        for (_, mut track) in std::mem::take(&mut self.lost) {
            track.lay_out(None, &mut self);
        }
        for ((pid, name), (unit, value)) in std::mem::take(&mut self.counted_before) {
            self.draw_counter(self.window.from_ns, pid, (&name, &unit), value);
        }
        self.end_beyond();
        let summary = json!({"laconic_version": env!("CARGO_PKG_VERSION"), "messages": arrows});
        self.write(|out| writeln!(out, "\n],\"otherData\":{summary}}}"));
        self.write(Write::flush);
        self.failed.map_or(Ok(()), Err)
    }
}
