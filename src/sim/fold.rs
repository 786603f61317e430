//! What a run's records show: the message table, and whether any put's `ok` came too early. It is a
//! fold over the one stream of records, and both engines use it.

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
    /// Which replicas lead.
    leads: Vec<bool>,
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
            Event::BecameLeader { .. } => {
                self.elections += 1;
                self.leads[source.rank()] = true;
            }
            Event::SteppedDown { .. } => self.leads[source.rank()] = false,
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
