//! Messages on their way: sent, and not received yet.

use std::collections::BTreeMap;

use crate::raft::{Kind, Member, Why};
use crate::record::{Ends, Fact, Fate, MessageEnd, MessageId, Record};

/// A message sent longer ago than this is no longer on its way: no datagram takes a second.
const LONGEST_FLIGHT_US: u64 = 1_000_000;

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    /// The message's kind.
    pub kind: Kind,
    /// Why it was sent.
    pub why: Why,
    /// When it was sent, on the shared clock, in microseconds.
    pub sent_us: u64,
    ends: Ends,
}

/// All messages on their way. After the failure this is closed, and only notes their fates.
pub(super) struct Flights {
    replicas: u8,
    open: BTreeMap<MessageId, Flight>,
    /// For each sender and receiver, the highest number received, until closed.
    newest: BTreeMap<(Member, Member), u64>,
    closed: bool,
    /// The fate of a message about which nothing was recorded. A simulator records all that it
    /// read.
    untold: Option<Fate>,
}

impl Flights {
    /// For a cluster of `replicas`; `simulated` says whether there are a simulator's records.
    pub fn new(replicas: u8, simulated: bool) -> Flights {
        let untold = simulated.then_some(Fate::UnreadBySimulator);
        let (open, newest) = (BTreeMap::new(), BTreeMap::new());
        Flights { replicas, open, newest, closed: false, untold }
    }

    /// From now on, new messages are ignored.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Takes in the next record, of any source.
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

    /// The name of the fate of `flight`, for people and for JSON.
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

    /// The messages that were on their way at the failure, by sender and number. A message is left
    /// out as lost if its receiver had got later ones of the same sender.
    pub fn at_failure(&self, at_us: u64) -> impl Iterator<Item = (&MessageId, &Flight)> {
        self.open.iter().filter(move |(key, flight)| {
            let newest = self.newest.get(&(key.from, key.to)).copied().unwrap_or(0);
            let taken_in = flight.ends.fate().is_some_and(Fate::is_received);
            let recent = flight.sent_us + LONGEST_FLIGHT_US >= at_us;
            recent && (taken_in || key.number > newest)
        })
    }
}
