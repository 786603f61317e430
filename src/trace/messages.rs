//! Messages between replicas, from their sending to their end: an arrow for each receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::Arrows;
use super::chrome::{Arrow, ChromeFile, Loss, Slice, Tip};
use crate::raft::{Member, Micros};
use crate::record::{Fact, Fate, Record, why_name};

/// A message to one receiver: sender, the sender's count, receiver.
type Key = (Member, u64, Member);

/// A message on its way.
#[derive(Debug)]
struct Flight {
    arrow: Arrow,
    sent_at: Micros,
    /// Whether the simulator forwarded it.
    forwarded: bool,
}

/// All messages of a run.
#[derive(Debug)]
pub(super) struct Messages {
    replicas: u8,
    flights: BTreeMap<Key, Flight>,
    /// By sender: its highest number so far.
    newest: BTreeMap<Member, u64>,
    /// Taken in, by clocks that disagree, before they were sent.
    early: BTreeSet<Key>,
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

    /// How many are on their way.
    pub fn in_flight(&self) -> u64 {
        self.flights.len() as u64
    }

    /// Arrows start in the slice of the sending.
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
            let arrow = chrome.new_arrow("message", format!("{} {}", kind.name(), why_name(why)));
            slice.tips.push(Tip { arrow: arrow.clone(), starts: true });
            if self.early.remove(&(from, number, to)) {
                self.arrows.against_the_clock += 1;
                chrome.lose(Loss::AgainstTheClock, record.at, record.at, arrow);
            } else {
                let flight = Flight { arrow, sent_at: record.at, forwarded: false };
                self.flights.insert((from, number, to), flight);
            }
        }
    }

    /// An arrow ends in the slice of the receipt. A copy of a message has none: the first to come
    /// has taken it.
    pub fn on_received<W: Write>(
        &mut self,
        record: &Record,
        slice: &mut Slice,
        chrome: &mut ChromeFile<W>,
    ) {
        let Fact::Received { from, number, .. } = record.fact else {
            return;
        };
        let key = (from, number, record.source);
        match self.flights.remove(&key) {
            Some(flight) if flight.sent_at < record.at => {
                self.arrows.taken_in += 1;
                slice.tips.push(Tip { arrow: flight.arrow, starts: false });
            }
            Some(flight) => {
                self.arrows.against_the_clock += 1;
                chrome.lose(Loss::AgainstTheClock, flight.sent_at, record.at, flight.arrow);
            }
            None if self.newest.get(&from).is_none_or(|newest| *newest < number) => {
                self.early.insert(key);
            }
            None => {}
        }
    }

    /// The simulator tells what it did with a message.
    pub fn on_routed<W: Write>(&mut self, record: &Record, chrome: &mut ChromeFile<W>) {
        let Fact::Routed { from, to, number, fate, .. } = record.fact else {
            return;
        };
        let key = (from, number, to);
        let (loss, count) = match fate {
            Fate::Delivered => {
                if let Some(flight) = self.flights.get_mut(&key) {
                    flight.forwarded = true;
                }
                return;
            }
            Fate::Dropped => (Loss::Dropped, &mut self.arrows.dropped),
            Fate::CutOff => (Loss::CutOff, &mut self.arrows.cut_off),
            Fate::Dead => (Loss::Dead, &mut self.arrows.dead),
            Fate::Blocked => (Loss::Blocked, &mut self.arrows.blocked),
        };
        if let Some(flight) = self.flights.remove(&key) {
            *count += 1;
            chrome.lose(loss, flight.sent_at, record.at, flight.arrow);
        }
    }

    /// The sockets of `member` are closed.
    pub fn on_killed(&mut self, at: Micros, member: Member) {
        self.killed.insert(member, at);
    }

    /// What is still on its way at the run's `end` has not arrived.
    pub fn finish<W: Write>(mut self, end: Micros, chrome: &mut ChromeFile<W>) -> Arrows {
        let closed = |member: Member| self.killed.get(&member).copied().unwrap_or(end);
        let mut lost: Vec<(Micros, Flight)> = std::mem::take(&mut self.flights)
            .into_iter()
            .map(|((from, _, to), flight)| {
                (closed(if flight.forwarded { to } else { from }), flight)
            })
            .collect();
        lost.sort_by_key(|(at, _)| *at);
        for (at, flight) in lost {
            let (loss, count) = match flight.forwarded {
                true => (Loss::NotTakenIn, &mut self.arrows.not_taken_in),
                false => (Loss::Unread, &mut self.arrows.unread),
            };
            *count += 1;
            chrome.lose(loss, flight.sent_at, at, flight.arrow);
        }
        self.arrows
    }
}
