//! The ledger: every message from its sending to its end, matched by (sender, number), and the
//! sums. A message is dropped as soon as its fate is known, so the memory needed is that of the
//! messages on their way, however long the run.

use std::collections::VecDeque;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::message::{Hop, Sending};
use super::phases::Phase;
use crate::raft::{Cause, Disposition, Kind, Member, MemberSet, Micros, To, Why};
use crate::record::{Ends, Fact, Fate, MessageEnd, MessageId, Record};

/// A message whose fate is not known after this time never gets one: no network of ours holds a
/// message back for a minute and a half.
const FORGOTTEN_AFTER: Micros = Micros::from_seconds(90);

/// What a record says of a message that its receiver got.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// It was received. This is the hop, with the hops that led to it.
    TakenIn(Rc<Hop>),
    /// An answer or a relay was sent for it.
    SentFor(Rc<Hop>),
}

/// One receiver's part of a datagram.
#[derive(Clone, Copy, Debug)]
struct Leg {
    to: Member,
    ends: Ends,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    sending: Option<Sending>,
    /// The receivers that the sender names.
    addressed: MemberSet,
    legs: SmallVec<[Leg; 1]>,
    before: Option<Rc<Hop>>,
}

/// A sender's datagrams on their way. The first slot is that of number `base`.
#[derive(Clone, Debug)]
struct Sender {
    base: u64,
    slots: VecDeque<Slot>,
    /// The last number in the sender's records, and the highest that the simulator read.
    told: u64,
    read: u64,
    /// The message with which the current step began.
    handling: Option<Rc<Hop>>,
    /// The newest append received whose acknowledgement has not been sent.
    unacknowledged: Option<Rc<Hop>>,
}

/// What messages are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The message's kind.
    pub kind: Kind,
    /// Why it was sent.
    pub why: Why,
    /// Sender.
    pub from: Member,
    /// Receiver.
    pub to: Member,
    /// The cluster's phase when it was sent.
    pub phase: Phase,
    /// What became of it.
    pub fate: Fate,
}

/// A number of messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCount {
    /// Number of messages, one for each receiver.
    pub count: u64,
    /// Length of their datagrams, in bytes.
    pub bytes: u64,
}

/// A message whose fate is known, where messages are shown one by one.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// What it is counted by.
    pub cell: Cell,
    /// When it was last seen: received, or else routed, or else sent.
    pub last_seen_at: Micros,
    /// What its sender recorded.
    pub sending: Sending,
    /// The message that it answers or passes on.
    pub before: Option<MessageId>,
}

/// The ledger of a run.
#[derive(Debug)]
pub struct Ledger {
    senders: Vec<Sender>,
    cells: FxHashMap<Cell, MessageCount>,
    /// For each second, the messages by the cause that they are charged to.
    seconds: Vec<[u64; Cause::ALL.len()]>,
    /// Contradictions between records, one line each.
    faults: Vec<String>,
    ended: Vec<Ended>,
    most_ended: usize,
    left_out: u64,
}

/// Most contradictions that are listed one by one.
const FAULTS_TOLD: usize = 20;

impl Ledger {
    /// For `replicas` replicas. The first `most_ended` messages are kept one by one.
    pub fn new(replicas: usize, most_ended: usize) -> Ledger {
        let sender = Sender {
            base: 1,
            slots: VecDeque::new(),
            told: 0,
            read: 0,
            handling: None,
            unacknowledged: None,
        };
        Ledger {
            senders: vec![sender; replicas],
            cells: FxHashMap::default(),
            seconds: Vec::new(),
            faults: Vec::new(),
            ended: Vec::new(),
            most_ended,
            left_out: 0,
        }
    }

    /// Takes in a record. Returns what it says of a message that was received.
    pub fn record(&mut self, record: &Record, phase: Phase) -> Option<Delivery> {
        if record.fact.begins_step()
            && let Some(source) = self.senders.get_mut(record.source.rank())
        {
            source.handling = None;
        }
        if let Fact::Sent { to, number, kind, why, term, first, entries, bytes } = record.fact {
            let at = record.at;
            let sending = Sending { at, number, kind, why, term, first, entries, bytes, phase };
            return self.on_sent(record.source, to, sending);
        }
        let (id, end) = MessageEnd::of(record)?;
        let hop = self.on_end(record.at, id, end)?;
        let receiver = &mut self.senders[id.to.rank()];
        receiver.handling = Some(hop.clone());
        if hop.sending.kind == Kind::Append && end != MessageEnd::Received(Disposition::Rejected) {
            receiver.unacknowledged = Some(hop.clone());
        }
        Some(Delivery::TakenIn(hop))
    }

    fn on_sent(&mut self, from: Member, to: To, sending: Sending) -> Option<Delivery> {
        let addressed = to.receivers(from, self.senders.len());
        let receivers = addressed.len() as u64;
        let second = (sending.at.0 / 1_000_000) as usize;
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Default::default());
        }
        self.seconds[second][sending.why.cause() as usize] += receivers;
        let sender = &mut self.senders[from.rank()];
        let told = sender.told + receivers;
        sender.told = sending.number;
        if told != sending.number {
            self.faults.push(format!(
                "replica {from} counts {} messages, but its records tell {told}",
                sending.number
            ));
        }
        let before = match sending.why {
            Why::Own(_) => None,
            Why::Ack(_) => sender.handling.clone().or_else(|| sender.unacknowledged.take()),
            Why::Relay(_) | Why::Reject(_) => sender.handling.clone(),
        };
        if let Some(slot) = sender.slot(sending.number) {
            (slot.sending, slot.addressed) = (Some(sending), addressed);
            slot.before.clone_from(&before);
            for to in addressed.iter() {
                slot.leg(to);
            }
        }
        self.forget(from, sending.at);
        before.map(Delivery::SentFor)
    }

    /// The simulator or the receiver recorded something of a message. If that was the receipt,
    /// returns the hop with the hops that led to it.
    fn on_end(&mut self, at: Micros, id: MessageId, end: MessageEnd) -> Option<Rc<Hop>> {
        let MessageId { from, number, to } = id;
        let sender = &mut self.senders[from.rank()];
        let was_received = matches!(end, MessageEnd::Received(_));
        if !was_received {
            sender.read = sender.read.max(number);
        }
        // If there is no slot, this is a second copy of a message whose fate is known.
        let slot = sender.slot(number)?;
        slot.leg(to).ends.take_in(at, end);
        let sending = slot.sending.filter(|_| was_received);
        let hop = sending.map(|sending| {
            let before = slot.before.clone();
            Rc::new(Hop { from, to, sending, received_at: at, before })
        });
        self.forget(from, at);
        hop
    }

    /// Drops messages of `from` whose fate is known, from the oldest on.
    fn forget(&mut self, from: Member, now: Micros) {
        while let Some(slot) = self.senders[from.rank()].slots.front() {
            let sent_at = slot.sending.map(|sending| sending.at);
            let old = sent_at.is_some_and(|at| now.since(at) > FORGOTTEN_AFTER);
            let is_over = slot.sending.is_some() && slot.legs.iter().all(|leg| leg.ends.is_over());
            // A broadcast uses several numbers. All but the last stay empty.
            let skipped = slot.sending.is_none() && slot.legs.is_empty();
            let passed = self.senders[from.rank()].base < self.senders[from.rank()].told;
            if !(old || is_over || (skipped && passed)) {
                return;
            }
            self.end_first(from);
        }
    }

    fn end_first(&mut self, from: Member) {
        let sender = &mut self.senders[from.rank()];
        let number = sender.base;
        let Some(slot) = sender.slots.pop_front() else {
            return;
        };
        sender.base += 1;
        let read = sender.read;
        let Some(sending) = slot.sending else {
            if !slot.legs.is_empty() {
                self.faults.push(format!(
                    "the simulator read message {number} of replica {from}, whose records do not \
                     tell of it"
                ));
            }
            return;
        };
        for leg in slot.legs {
            if !slot.addressed.contains(leg.to) {
                self.faults.push(format!(
                    "message {number} of replica {from} reached {}, which it does not name",
                    leg.to
                ));
                continue;
            }
            let untold = if number < read { Fate::LostInSocket } else { Fate::UnreadBySimulator };
            let fate = leg.ends.fate().unwrap_or(untold);
            let Sending { kind, why, phase, .. } = sending;
            let cell = Cell { kind, why, from, to: leg.to, phase, fate };
            let tally = self.cells.entry(cell).or_default();
            tally.count += 1;
            tally.bytes += u64::from(sending.bytes);
            if self.ended.len() < self.most_ended {
                let last_seen_at = leg.ends.last_seen_at().unwrap_or(sending.at);
                let before = slot.before.as_deref().map(Hop::id);
                self.ended.push(Ended { cell, last_seen_at, sending, before });
            } else {
                self.left_out += 1;
            }
        }
    }

    /// All messages are over: closes the ledger.
    pub fn finish(mut self) -> Closed {
        for rank in 0..self.senders.len() {
            while !self.senders[rank].slots.is_empty() {
                self.end_first(Member(rank as u8));
            }
        }
        let mut cells: Vec<(Cell, MessageCount)> = self.cells.into_iter().collect();
        cells.sort_unstable_by_key(|(cell, _)| *cell);
        let untold = self.faults.len().saturating_sub(FAULTS_TOLD);
        self.faults.truncate(FAULTS_TOLD);
        if untold > 0 {
            self.faults.push(format!("and {untold} more"));
        }
        self.ended.sort_by_key(|ended| (ended.sending.at, ended.cell, ended.sending.number));
        Closed {
            cells,
            seconds: self.seconds,
            faults: self.faults,
            ended: self.ended,
            left_out: self.left_out,
        }
    }
}

/// A ledger at the end of its run.
#[derive(Debug)]
pub struct Closed {
    /// All counts, in order.
    pub cells: Vec<(Cell, MessageCount)>,
    /// For each second, the messages sent by the cause that they are charged to.
    pub seconds: Vec<[u64; Cause::ALL.len()]>,
    /// Contradictions between records, one line each.
    pub faults: Vec<String>,
    /// The first messages one by one, by time of sending.
    pub ended: Vec<Ended>,
    /// How many messages there are beyond those.
    pub left_out: u64,
}

impl Closed {
    /// The sum over the cells that `which` picks.
    pub fn sum(&self, which: impl Fn(&Cell) -> bool) -> MessageCount {
        let mut sum = MessageCount::default();
        for (_, tally) in self.cells.iter().filter(|(cell, _)| which(cell)) {
            sum.count += tally.count;
            sum.bytes += tally.bytes;
        }
        sum
    }

    /// The number of messages in the cells that `which` picks.
    pub fn count(&self, which: impl Fn(&Cell) -> bool) -> u64 {
        self.sum(which).count
    }

    /// The number of messages that are charged to `cause`.
    pub fn charged(&self, cause: Cause) -> u64 {
        self.count(|cell| cell.why.cause() == cause)
    }

    /// The messages that `which` picks, by cause, in the order of [`Cause::ALL`].
    pub fn by_cause(&self, which: impl Fn(&Cell) -> bool) -> Vec<u64> {
        Cause::ALL
            .into_iter()
            .map(|cause| self.count(|cell| cell.why.cause() == cause && which(cell)))
            .collect()
    }
}

impl Sender {
    /// The slot of `number`; `None` if that message is over.
    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let place = number.checked_sub(self.base)? as usize;
        // Numbers come one after the other. A number far off is wrong, and gets no memory.
        if place > self.slots.len() + MOST_AHEAD {
            return None;
        }
        if place >= self.slots.len() {
            self.slots.resize_with(place + 1, Slot::default);
        }
        self.slots.get_mut(place)
    }
}

impl Slot {
    /// The leg of the receiver `to`, which is a new one if nothing was recorded of it so far.
    fn leg(&mut self, to: Member) -> &mut Leg {
        let place = self.legs.iter().position(|leg| leg.to == to).unwrap_or_else(|| {
            self.legs.push(Leg { to, ends: Ends::default() });
            self.legs.len() - 1
        });
        &mut self.legs[place]
    }
}

/// How far above the known numbers a number may be.
const MOST_AHEAD: usize = 1 << 20;

#[cfg(test)]
mod tests;
