//! Messages on their way: sent, and not taken in yet.

use std::collections::BTreeMap;

use crate::raft::{Kind, Member, Why};
use crate::record::{Ends, Fact, Fate, MessageEnd, MessageId, Record};

/// What was sent longer before is not on its way any more: no datagram takes a second.
const LONGEST_FLIGHT_US: u64 = 1_000_000;

/// Its flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    /// What it is.
    pub kind: Kind,
    /// What for.
    pub why: Why,
    /// When it was sent, on the shared clock.
    pub sent_us: u64,
    ends: Ends,
}

/// All flights; closed at the failure, after which it only notes what became of them.
pub(super) struct Flights {
    replicas: u8,
    open: BTreeMap<MessageId, Flight>,
    /// The highest number that a receiver has taken in of a sender, while not closed.
    newest: BTreeMap<(Member, Member), u64>,
    closed: bool,
    /// The fate of a message of which nothing is told: a simulator tells of all that it read.
    untold: Option<Fate>,
}

impl Flights {
    /// Of a cluster of `replicas`, with or without the word of a simulator.
    pub fn new(replicas: u8, simulated: bool) -> Flights {
        let untold = simulated.then_some(Fate::UnreadBySimulator);
        let (open, newest) = (BTreeMap::new(), BTreeMap::new());
        Flights { replicas, open, newest, closed: false, untold }
    }

    /// From now on nothing is sent that matters here.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Takes in the next record of all.
    pub fn take_in(&mut self, at_us: u64, record: &Record) {
        if let Fact::Sent { to, number, kind, why, .. } = record.fact
            && !self.closed
        {
            let flight = Flight { kind, why, sent_us: at_us, ends: Ends::default() };
            for to in to.receivers(record.source, self.replicas.into()).iter() {
                self.open.insert(MessageId { from: record.source, number, to }, flight);
            }
        }
        let Some((id, end)) = MessageEnd::of(record) else {
            return;
        };
        if self.closed || end == MessageEnd::Routed(Fate::Delivered) {
            if let Some(flight) = self.open.get_mut(&id) {
                flight.ends.take_in(record.at, end);
            }
            return;
        }
        self.open.remove(&id);
        if matches!(end, MessageEnd::Received(_)) {
            let newest = self.newest.entry((id.from, id.to)).or_default();
            *newest = (*newest).max(id.number);
        }
    }

    /// What became of `flight`; for people and for JSON.
    pub fn fate_name(&self, flight: &Flight) -> &'static str {
        match flight.ends.fate().or(self.untold) {
            None => "never taken in",
            Some(Fate::UnreadBySimulator | Fate::LostInSocket) => "never read by the simulator",
            Some(Fate::UnreadByReceiver) => "forwarded, not taken in",
            Some(Fate::Delivered | Fate::Stale | Fate::Duplicate | Fate::Implausible) => {
                "taken in later"
            }
            Some(Fate::Dropped) => "dropped",
            Some(Fate::CutOff) => "cut off by a partition",
            Some(Fate::Blocked) => "refused by a full socket",
            Some(Fate::Dead) => "its receiver was dead",
        }
    }

    /// Those that were open at the failure, by sender and number. One that its receiver has
    /// overtaken with later ones of the same sender was lost before.
    pub fn at_failure(&self, at_us: u64) -> impl Iterator<Item = (&MessageId, &Flight)> {
        self.open.iter().filter(move |(key, flight)| {
            let newest = self.newest.get(&(key.from, key.to)).copied().unwrap_or(0);
            let taken_in = flight.ends.fate().is_some_and(Fate::is_received);
            let recent = flight.sent_us + LONGEST_FLIGHT_US >= at_us;
            recent && (taken_in || key.number > newest)
        })
    }
}
