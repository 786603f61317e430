//! What a run's records show: the message table, and whether any put's `ok` came too early. It is a
//! fold over the one stream of records, and both engines use it.

use rustc_hash::FxHashMap;

use crate::interface::Address;
use crate::raft::{Cause, Disposition, Event, Form, Index, Kind, Member, Micros, Term, Why};
use crate::record::{AnswerKind, Fact, Record, RequestId, SIMULATOR, Sink};

const KINDS: usize = Kind::ALL.len();
const CAUSES: usize = Cause::ALL.len();
const FORMS: usize = Form::COUNT;

/// Messages by kind and cause. A datagram to everyone counts once for each receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTable {
    counts: [[[u64; CAUSES]; FORMS]; KINDS],
}

impl Default for MessageTable {
    fn default() -> MessageTable {
        MessageTable { counts: [[[0; CAUSES]; FORMS]; KINDS] }
    }
}

impl MessageTable {
    fn add(&mut self, kind: Kind, why: Why, messages: u64) {
        self.counts[kind as usize][why.form() as usize][why.cause() as usize] += messages;
    }

    /// Number of messages of this kind that were sent for this reason.
    pub fn count(&self, kind: Kind, why: Why) -> u64 {
        self.counts[kind as usize][why.form() as usize][why.cause() as usize]
    }

    /// All rows that have messages, in the order of kinds, and within a kind: own sends, relays,
    /// acks, rejects.
    pub fn rows(&self) -> impl Iterator<Item = (Kind, Why, u64)> + '_ {
        Kind::ALL.into_iter().flat_map(move |kind| {
            Cause::ALL.into_iter().flat_map(move |cause| {
                [Why::Own(cause), Why::Relay(cause), Why::Ack(cause), Why::Reject(cause)]
                    .into_iter()
                    .map(move |why| (kind, why, self.count(kind, why)))
                    .filter(|row| row.2 > 0)
            })
        })
    }

    /// Number of messages that are charged to `cause`, relays and answers included.
    pub fn charged_to(&self, cause: Cause) -> u64 {
        self.counts.iter().flatten().map(|causes| causes[cause as usize]).sum()
    }

    /// Number of all messages.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().flatten().sum()
    }
}

/// A put's `ok` that was given before f other replicas had recorded its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyOk {
    /// When it was given.
    pub at: Micros,
    /// The replica that gave it.
    pub by: Member,
    /// The client that got it.
    pub client: Address,
    /// The request's name in records.
    pub request: RequestId,
    /// How many other replicas held the entry then.
    pub holders: usize,
}

/// A put that was refused although it stood in a log where it could still be committed (rule R1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyRefusal {
    /// When it was refused.
    pub at: Micros,
    /// The replica that refused it, and had taken it in.
    pub by: Member,
    /// The request's name in records.
    pub request: RequestId,
    /// The index of its entry.
    pub index: Index,
    /// The term of its entry.
    pub term: Term,
}

/// The fold over a run's records.
#[derive(Clone, Debug, Default)]
pub struct RunFold {
    /// Messages that replicas sent.
    pub table: MessageTable,
    /// Messages by sender.
    pub sent_by: Vec<u64>,
    /// Batches that leaders sent.
    pub batches: u64,
    /// All resend timeouts.
    pub resend_timeouts: u64,
    /// Resend timeouts of answers that a batch waited for.
    pub batch_waits: u64,
    /// Elections won.
    pub elections: u64,
    /// Datagrams that replicas dropped because they could not use them.
    pub garbage: u64,
    /// Puts answered `ok` by a leader. Each index of the log counts once.
    pub committed_puts: u64,
    /// Answers `ok` to puts that came too early.
    pub early: Vec<EarlyOk>,
    /// The first answer `ok` to a put by a replica that did not lead (rule R2): when, and by whom.
    pub unled: Option<(Micros, Member)>,
    /// The first refusal of a put that came too early.
    pub early_refusal: Option<EarlyRefusal>,
    /// The newest term that any replica has entered, and when the first did, by its own clock.
    pub newest_term: Option<(Term, Member, Micros)>,
    /// Which replicas lead.
    leads: Vec<bool>,
    /// Where the puts that wait for an answer are, for each replica that took one in.
    taken: FxHashMap<(Member, RequestId), (Index, Term)>,
    /// The terms of committed entries, by index.
    committed: Vec<Term>,
    /// Refusals whose grounds the same step must still record: a commit is recorded after what it
    /// leads to.
    doubted: Vec<EarlyRefusal>,
    /// For each replica, the terms of its log's entries, by index.
    logs: Vec<Vec<Term>>,
    answered: Vec<bool>,
}

impl RunFold {
    /// For a run of `replicas` replicas.
    pub fn new(replicas: usize) -> RunFold {
        RunFold {
            sent_by: vec![0; replicas],
            leads: vec![false; replicas],
            logs: vec![Vec::new(); replicas],
            ..RunFold::default()
        }
    }

    fn on_state(&mut self, at: Micros, source: Member, event: Event) {
        match event {
            Event::TermStarted { term } => {
                let is_newer = self.newest_term.is_none_or(|(newest, ..)| term > newest);
                if is_newer {
                    self.newest_term = Some((term, source, at));
                }
            }
            Event::Appended { first, last, term } => {
                let log = &mut self.logs[source.rank()];
                log.truncate(first as usize - 1);
                log.resize(last as usize, term);
            }
            Event::Truncated { first, .. } => {
                self.logs[source.rank()].truncate(first as usize - 1);
            }
            Event::BatchSent { .. } => self.batches += 1,
            Event::ResendTimeout { batch_waits, .. } => {
                self.resend_timeouts += 1;
                self.batch_waits += u64::from(batch_waits);
            }
            Event::BecameLeader { .. } => {
                self.elections += 1;
                self.leads[source.rank()] = true;
            }
            Event::SteppedDown { .. } => self.leads[source.rank()] = false,
            Event::Committed { through } => {
                let known = self.committed.len().min(through as usize);
                let new = self.logs[source.rank()].get(known..through as usize);
                self.committed.extend(new.unwrap_or_default());
                self.settle_doubts();
            }
            _ => {}
        }
    }

    /// A put that was taken in is refused. That is right if an entry of another term is committed
    /// in its place, or one of a higher term before it (rules R1, R22).
    fn on_refusal(&mut self, record: &Record, request: RequestId) {
        let (at, by) = (record.at, record.source);
        if let Some((index, term)) = self.taken.remove(&(by, request)) {
            self.doubted.push(EarlyRefusal { at, by, request, index, term });
        }
    }

    /// Drops the doubts that what is committed has settled.
    fn settle_doubts(&mut self) {
        let RunFold { doubted, committed, .. } = self;
        doubted.retain(|refusal| {
            let upto = committed.len().min(refusal.index as usize);
            let beyond = committed[..upto].last().is_some_and(|term| *term > refusal.term);
            let other = committed.get(refusal.index as usize - 1);
            !beyond && other.is_none_or(|term| *term == refusal.term)
        });
    }

    /// A step of `source` begins: what it refused in an earlier one has its grounds by now.
    fn end_doubts(&mut self, source: Member) {
        if self.doubted.is_empty() {
            return;
        }
        self.settle_doubts();
        if self.early_refusal.is_none() {
            self.early_refusal = self.doubted.iter().find(|refusal| refusal.by == source).copied();
        }
        self.doubted.retain(|refusal| refusal.by != source);
    }

    /// How many replicas other than `leader` hold the entry.
    fn holders(&self, leader: Member, index: Index, term: Term) -> usize {
        let holds = |log: &Vec<Term>| log.get(index as usize - 1) == Some(&term);
        let others = self.logs.iter().enumerate().filter(|(rank, _)| *rank != leader.rank());
        others.filter(|(_, log)| holds(log)).count()
    }

    fn on_put_ok(&mut self, record: &Record, index: Index, term: Term) {
        if self.answered.len() < index as usize {
            self.answered.resize(index as usize, false);
        }
        if !self.leads[record.source.rank()] {
            self.unled.get_or_insert((record.at, record.source));
        }
        let first = !std::mem::replace(&mut self.answered[index as usize - 1], true);
        self.committed_puts += u64::from(first);
        let holders = self.holders(record.source, index, term);
        if let Fact::Answered { client, request, .. } = record.fact
            && holders < self.logs.len() / 2
        {
            let (at, by) = (record.at, record.source);
            self.early.push(EarlyOk { at, by, client, request, holders });
        }
    }
}

impl Sink for RunFold {
    fn record(&mut self, record: &Record) {
        if record.source == SIMULATOR || record.source.rank() >= self.logs.len() {
            return;
        }
        if record.fact.begins_step() {
            self.end_doubts(record.source);
        }
        match record.fact {
            Fact::Sent { to, kind, why, .. } => {
                let receivers = to.receivers(record.source, self.logs.len()).len() as u64;
                self.table.add(kind, why, receivers);
                self.sent_by[record.source.rank()] += receivers;
            }
            Fact::Answered { outcome: AnswerKind::Ok, index, term, request, .. } if index > 0 => {
                self.taken.remove(&(record.source, request));
                self.on_put_ok(record, index, term);
            }
            Fact::Taken { request, index, term, .. } => {
                self.taken.insert((record.source, request), (index, term));
            }
            Fact::Answered { outcome: AnswerKind::Redirect, request, .. } => {
                self.on_refusal(record, request);
            }
            Fact::State(event) => self.on_state(record.at, record.source, event),
            Fact::Garbage { .. }
            | Fact::Refused { .. }
            | Fact::Received { disposition: Disposition::Implausible, .. } => self.garbage += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: RequestId = 7;

    /// What a fold of three replicas says when replica 0 has taken in a put as entry 2 of term 1,
    /// cut it off for one entry of term 2 from index `first` on, and then `facts` followed.
    fn early(first: Index, facts: &[Fact]) -> Option<EarlyRefusal> {
        let client = Address(20);
        let state = |event| Fact::State(event);
        let appended = |first, last, term| state(Event::Appended { first, last, term });
        let begun = [
            Fact::Woken,
            appended(1, 2, 1),
            Fact::Taken { client, request: PUT, index: 2, term: 1 },
            state(Event::Truncated { first, last: 2 }),
            appended(first, first, 2),
        ];
        let mut fold = RunFold::new(3);
        for fact in begun.iter().chain(facts).chain(&[Fact::Woken]) {
            fold.record(&Record { at: Micros(1), source: Member(0), fact: *fact });
        }
        fold.early_refusal
    }

    fn refused() -> Fact {
        let (client, outcome) = (Address(20), AnswerKind::Redirect);
        Fact::Answered { client, request: PUT, outcome, index: 0, term: 0 }
    }

    fn committed(through: Index) -> Fact {
        Fact::State(Event::Committed { through })
    }

    #[test]
    fn r01_a_refusal_is_early_until_another_entry_is_committed_in_the_puts_place() {
        let broken = EarlyRefusal { at: Micros(1), by: Member(0), request: PUT, index: 2, term: 1 };
        assert_eq!(early(2, &[refused()]), Some(broken), "cut off is not enough");
        assert_eq!(early(2, &[committed(1), refused()]), Some(broken));
        assert_eq!(early(2, &[committed(2), refused()]), None);
        assert_eq!(early(2, &[refused(), committed(2)]), None, "a step records its commit last");
        assert_eq!(early(1, &[refused(), committed(1)]), None, "a higher term before it (R22)");
        assert_eq!(early(2, &[]), None);
    }
}
