//! What a run's records amount to: the message table, and whether each `ok` was due. A fold over
//! the one stream of records, used by both engines.

use crate::interface::Address;
use crate::raft::{Cause, Disposition, Event, Form, Index, Kind, Member, Micros, Term, Why};
use crate::record::{AnswerKind, Fact, Record, RequestId, SIMULATOR, Sink};

const KINDS: usize = Kind::ALL.len();
const CAUSES: usize = Cause::ALL.len();
const FORMS: usize = Form::COUNT;

/// Messages by kind and cause, a datagram to everyone counted once for each receiver.
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

    /// How many of this kind for this reason.
    pub fn count(&self, kind: Kind, why: Why) -> u64 {
        self.counts[kind as usize][why.form() as usize][why.cause() as usize]
    }

    /// All that occurred, in the order of kinds and causes: own sends, relays, acks, rejects.
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

    /// All of one cause, its relays and answers included.
    pub fn charged_to(&self, cause: Cause) -> u64 {
        self.counts.iter().flatten().map(|causes| causes[cause as usize]).sum()
    }

    /// All messages.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().flatten().sum()
    }
}

/// A put's `ok` that was given before f others had recorded its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyOk {
    /// When.
    pub at: Micros,
    /// By whom.
    pub by: Member,
    /// To whom.
    pub client: Address,
    /// Which request.
    pub request: RequestId,
    /// How many others held the entry.
    pub holders: usize,
}

/// The fold.
#[derive(Clone, Debug, Default)]
pub struct RunFold {
    /// Messages that replicas sent.
    pub table: MessageTable,
    /// The same by sender.
    pub sent_by: Vec<u64>,
    /// Batches that left a leader.
    pub batches: u64,
    /// Resend timeouts, and those of them that a batch waited for.
    pub resend_timeouts: u64,
    /// The part of them that a batch waited for.
    pub batch_waits: u64,
    /// Elections won.
    pub elections: u64,
    /// Datagrams that replicas dropped as useless.
    pub garbage: u64,
    /// Puts answered `ok` by some leader, each place in the log once.
    pub committed_puts: u64,
    /// `ok`s that were not due yet.
    pub early: Vec<EarlyOk>,
    /// By replica: the terms of its log, by index.
    logs: Vec<Vec<Term>>,
    answered: Vec<bool>,
}

impl RunFold {
    /// Of a run of `replicas` replicas.
    pub fn new(replicas: usize) -> RunFold {
        RunFold {
            sent_by: vec![0; replicas],
            logs: vec![Vec::new(); replicas],
            ..RunFold::default()
        }
    }

    fn on_state(&mut self, source: Member, event: Event) {
        match event {
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
            Event::BecameLeader { .. } => self.elections += 1,
            _ => {}
        }
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
        match record.fact {
            Fact::Sent { to, kind, why, .. } => {
                let receivers = to.receivers(record.source, self.logs.len()).len() as u64;
                self.table.add(kind, why, receivers);
                self.sent_by[record.source.rank()] += receivers;
            }
            Fact::Answered { outcome: AnswerKind::Ok, index, term, .. } if index > 0 => {
                self.on_put_ok(record, index, term);
            }
            Fact::State(event) => self.on_state(record.source, event),
            Fact::Garbage { .. }
            | Fact::Refused { .. }
            | Fact::Received { disposition: Disposition::Implausible, .. } => self.garbage += 1,
            _ => {}
        }
    }
}
