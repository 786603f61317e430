//! Messages on their way: sent, and not taken in yet.

use std::collections::BTreeMap;

use crate::raft::{Kind, Member, Why};
use crate::record::{Fact, Fate, Record};

/// What was sent longer before is not on its way any more: no datagram takes a second.
const LONGEST_FLIGHT_US: u64 = 1_000_000;

/// A message to one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FlightKey {
    /// Sender.
    pub from: Member,
    /// The sender's count.
    pub number: u64,
    /// Receiver.
    pub to: Member,
}

/// What became of a message that was on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlightEnd {
    /// Nothing more is told of it.
    Untold,
    /// The simulator tells of all that it read, and not of this one.
    Unread,
    /// The simulator forwarded it, and its receiver does not tell of it.
    Forwarded,
    /// Its receiver took it in.
    TakenIn,
    /// The simulator lost it, in one of its ways.
    Lost(Fate),
}

impl FlightEnd {
    /// For people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            FlightEnd::Untold => "never taken in",
            FlightEnd::Unread => "never read by the simulator",
            FlightEnd::Forwarded => "forwarded, not taken in",
            FlightEnd::TakenIn => "taken in later",
            FlightEnd::Lost(Fate::Dropped) => "dropped",
            FlightEnd::Lost(Fate::CutOff) => "cut off by a partition",
            FlightEnd::Lost(Fate::Blocked) => "refused by a full socket",
            FlightEnd::Lost(Fate::Dead | Fate::Delivered) => "its receiver was dead",
        }
    }
}

/// Its flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    /// What it is.
    pub kind: Kind,
    /// What for.
    pub why: Why,
    /// When it was sent, on the shared clock.
    pub sent_us: u64,
    /// What became of it.
    pub flight_end: FlightEnd,
}

/// All flights; closed at the failure, after which it only notes what became of them.
pub(super) struct Flights {
    replicas: u8,
    open: BTreeMap<FlightKey, Flight>,
    /// The highest number that a receiver has taken in of a sender, while not closed.
    newest: BTreeMap<(Member, Member), u64>,
    closed: bool,
    /// How a message landed of which nothing is told.
    untold: FlightEnd,
}

impl Flights {
    /// Of a cluster of `replicas`, with or without the word of a simulator.
    pub fn new(replicas: u8, simulated: bool) -> Flights {
        let untold = if simulated { FlightEnd::Unread } else { FlightEnd::Untold };
        let (open, newest) = (BTreeMap::new(), BTreeMap::new());
        Flights { replicas, open, newest, closed: false, untold }
    }

    /// From now on nothing is sent that matters here.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Takes in the next record of all.
    pub fn take_in(&mut self, at_us: u64, record: &Record) {
        match record.fact {
            Fact::Sent { to, number, kind, why, .. } if !self.closed => {
                let flight = Flight { kind, why, sent_us: at_us, flight_end: self.untold };
                for to in to.receivers(record.source, self.replicas.into()).iter() {
                    self.open.insert(FlightKey { from: record.source, number, to }, flight);
                }
            }
            Fact::Received { from, number, .. } => {
                let key = FlightKey { from, number, to: record.source };
                if self.closed {
                    return self.note(key, FlightEnd::TakenIn);
                }
                self.open.remove(&key);
                let newest = self.newest.entry((from, record.source)).or_default();
                *newest = (*newest).max(number);
            }
            Fact::Routed { from, to, number, fate, .. } => {
                let key = FlightKey { from, number, to };
                match fate {
                    Fate::Delivered => self.note(key, FlightEnd::Forwarded),
                    lost if self.closed => self.note(key, FlightEnd::Lost(lost)),
                    _ => drop(self.open.remove(&key)),
                }
            }
            _ => {}
        }
    }

    /// Those that were open at the failure, by sender and number. One that its receiver has
    /// overtaken with later ones of the same sender was lost before.
    pub fn at_failure(&self, at_us: u64) -> impl Iterator<Item = (&FlightKey, &Flight)> {
        self.open.iter().filter(move |(key, flight)| {
            let newest = self.newest.get(&(key.from, key.to)).copied().unwrap_or(0);
            let taken_in = flight.flight_end == FlightEnd::TakenIn;
            let recent = flight.sent_us + LONGEST_FLIGHT_US >= at_us;
            recent && (taken_in || key.number > newest)
        })
    }

    fn note(&mut self, key: FlightKey, flight_end: FlightEnd) {
        // Times are equal at times: what was taken in stays so, whoever else tells of it later.
        if let Some(flight) = self.open.get_mut(&key).filter(|f| f.flight_end != FlightEnd::TakenIn)
        {
            flight.flight_end = flight_end;
        }
    }
}
