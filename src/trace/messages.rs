//! Messages between replicas, from their sending to their end: an arrow for each receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::arrows::Arrows;
use super::chrome::{Arrow, ChromeFile, LostArrow, Slice, Tip};
use crate::raft::{Member, Micros};
use crate::record::{Ends, Fact, Fate, MessageEnd, MessageId, Record};

/// A message on its way.
#[derive(Debug)]
struct Flight {
    arrow: Arrow,
    sent_at: Micros,
    ends: Ends,
}

/// All messages of a run.
#[derive(Debug)]
pub(super) struct Messages {
    replicas: u8,
    flights: BTreeMap<MessageId, Flight>,
    /// By sender, the highest number so far.
    newest: BTreeMap<Member, u64>,
    /// Messages that were received before they were sent, by clocks that disagree.
    early: BTreeSet<MessageId>,
    killed: BTreeMap<Member, Micros>,
    arrows: Arrows,
}

impl Messages {
    /// Of `replicas` replicas.
    pub fn new(replicas: u8) -> Messages {
        Messages {
            replicas,
            flights: BTreeMap::new(),
            newest: BTreeMap::new(),
            early: BTreeSet::new(),
            killed: BTreeMap::new(),
            arrows: Arrows::default(),
        }
    }

    /// How many messages are on their way.
    pub fn in_flight(&self) -> u64 {
        self.flights.len() as u64
    }

    /// Starts an arrow for each receiver in the slice of the sending.
    pub fn on_sent<W: Write>(
        &mut self,
        record: &Record,
        slice: &mut Slice,
        chrome: &mut ChromeFile<W>,
    ) {
        let Fact::Sent { to, number, kind, why, .. } = record.fact else {
            return;
        };
        let from = record.source;
        self.newest.insert(from, number);
        for to in to.receivers(from, self.replicas.into()).iter() {
            let arrow = chrome.new_arrow("message", format!("{} {}", kind.name(), why));
            slice.tips.push(Tip { arrow: arrow.clone(), starts: true });
            let id = MessageId { from, number, to };
            if self.early.remove(&id) {
                self.arrows.against_the_clock += 1;
                chrome.lose(LostArrow::AgainstTheClock, record.at, record.at, arrow);
            } else {
                let flight = Flight { arrow, sent_at: record.at, ends: Ends::default() };
                self.flights.insert(id, flight);
            }
        }
    }

    /// The receiver or the simulator recorded something of a message. The arrow ends in the slice
    /// of the receipt, or where the message was lost. A copy of a message has no arrow, because the
    /// arrow went to the first one.
    pub fn on_end<W: Write>(
        &mut self,
        record: &Record,
        slice: Option<&mut Slice>,
        chrome: &mut ChromeFile<W>,
    ) {
        let Some((id, end)) = MessageEnd::of(record) else {
            return;
        };
        let Some(flight) = self.flights.get_mut(&id) else {
            let newest = self.newest.get(&id.from);
            if slice.is_some() && newest.is_none_or(|newest| *newest < id.number) {
                self.early.insert(id);
            }
            return;
        };
        flight.ends.take_in(record.at, end);
        // A message that was only forwarded so far is still on its way.
        let fate = flight.ends.fate().filter(|fate| *fate != Fate::UnreadByReceiver);
        let Some(fate) = fate else {
            return;
        };
        let Some(flight) = self.flights.remove(&id) else {
            return;
        };
        match slice {
            Some(slice) if flight.sent_at < record.at => {
                *self.arrows.of(fate) += 1;
                slice.tips.push(Tip { arrow: flight.arrow, starts: false });
            }
            Some(_) => {
                self.arrows.against_the_clock += 1;
                chrome.lose(LostArrow::AgainstTheClock, flight.sent_at, record.at, flight.arrow);
            }
            None => self.lose(fate, record.at, flight, chrome),
        }
    }

    fn lose<W: Write>(
        &mut self,
        fate: Fate,
        at: Micros,
        flight: Flight,
        chrome: &mut ChromeFile<W>,
    ) {
        *self.arrows.of(fate) += 1;
        chrome.lose(LostArrow::Message(fate), flight.sent_at, at, flight.arrow);
    }

    /// Notes that the sockets of `member` are closed.
    pub fn on_killed(&mut self, at: Micros, member: Member) {
        self.killed.insert(member, at);
    }

    /// Ends the arrows that are left: what is still on its way at the run's `end` has not arrived.
    pub fn finish<W: Write>(mut self, end: Micros, chrome: &mut ChromeFile<W>) -> Arrows {
        let closed = |member: Member| self.killed.get(&member).copied().unwrap_or(end);
        let mut lost: Vec<(Micros, Fate, Flight)> = std::mem::take(&mut self.flights)
            .into_iter()
            .map(|(id, flight)| match flight.ends.fate() {
                Some(fate) => (closed(id.to), fate, flight),
                None => (closed(id.from), Fate::UnreadBySimulator, flight),
            })
            .collect();
        lost.sort_by_key(|(at, ..)| *at);
        for (at, fate, flight) in lost {
            self.lose(fate, at, flight, chrome);
        }
        self.arrows
    }
}
