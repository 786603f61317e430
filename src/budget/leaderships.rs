//! What leaders did with their entries, term by term: when each came into the log, with which batch
//! it was sent, whose acknowledgement came first, and when it was committed. A term has one leader
//! (§5.2), so a term names a leadership.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::bounds::LedSpan;
use super::message::{Hop, Sending, last_index};
use crate::raft::{Cause, Event, Index, Member, MemberSet, Micros, Term, Why};
use crate::record::{Fact, Record};

/// How many entries and batches of a leadership are remembered below its commit index. Late answers
/// still name them.
const REMEMBERED: usize = 1 << 16;

/// What is known of an entry.
#[derive(Clone, Debug)]
pub struct EntryTrack {
    /// Its place in the list of all arrivals.
    arrival: usize,
    /// When it came into the leader's log.
    pub appended_at: Micros,
    /// When its batch was sent.
    pub batched_at: Option<Micros>,
    /// The first acknowledgement that covers it, with the hops that led to it.
    pub first_answer: Option<Rc<Hop>>,
    /// When the leader committed it.
    pub committed_at: Option<Micros>,
}

/// What is known of a batch.
#[derive(Clone, Debug)]
struct BatchTrack {
    last: Index,
    sent_at: Micros,
    /// Messages sent for it: its appends, relays, resends, and their answers.
    messages: u64,
    /// Number of hops to its first acknowledgement.
    delays: Option<u64>,
    /// The ways on which others acknowledged it, until f had, and the members on them.
    ways: Vec<Rc<Hop>>,
    acknowledged_by: MemberSet,
    committed_at: Option<Micros>,
    proof: Option<Proof>,
}

/// What committed a batch: the ways on which f others acknowledged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Number of hops of the longest way, there and back.
    pub hops: u64,
    /// Messages on these ways that are not counted as sent for the batch: those of other batches,
    /// heartbeats, and rounds for reads.
    pub others: u64,
}

/// A batch that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When it was sent.
    pub sent_at: Micros,
    /// Messages sent for it.
    pub messages: u64,
    /// Number of hops of its first acknowledgement's way, there and back; `None` without one.
    pub delays: Option<u64>,
    /// What committed it; `None` if it was not committed, or part of that was not recorded.
    pub proof: Option<Proof>,
}

/// One leader's term.
#[derive(Debug)]
struct Leadership {
    leader: Member,
    since: Micros,
    until: Option<Micros>,
    /// Index of the first entry in `entries`.
    base: Index,
    entries: VecDeque<EntryTrack>,
    batches: VecDeque<BatchTrack>,
    answered_through: Index,
    committed_through: Index,
    batched_through: Index,
}

/// All leaderships of a run.
#[derive(Debug, Default)]
pub struct Leaderships {
    /// f: how many others make a quorum together with the leader.
    others_needed: usize,
    leaderships: BTreeMap<Term, Leadership>,
    /// The term that each present leader leads.
    leading: BTreeMap<Member, Term>,
    arrivals: Vec<PutArrival>,
    batches: Vec<Batch>,
    /// From each time on: the replicas that live, and the majority side of the partition (empty: no
    /// partition).
    reach: Vec<(Micros, MemberSet, MemberSet)>,
}

/// A put that came into a leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutArrival {
    /// When it came into the log.
    pub at: Micros,
    /// How long it waited for its batch; `None` if that was never sent.
    pub wait: Option<Micros>,
    /// Whether this leader committed it.
    pub committed: bool,
}

impl Leaderships {
    /// For `replicas` replicas that all live.
    pub fn new(replicas: usize) -> Leaderships {
        Leaderships {
            others_needed: replicas / 2,
            reach: vec![(Micros(0), MemberSet::all(replicas), MemberSet::EMPTY)],
            ..Leaderships::default()
        }
    }

    /// Takes in a record of a replica.
    pub fn record(&mut self, record: &Record, replicas: usize) {
        match record.fact {
            Fact::State(event) => self.on_state(record.at, record.source, event),
            Fact::Taken { index, term, .. } if self.led_by(record.source) == Some(term) => {
                self.on_taken(record.at, term, index);
            }
            Fact::Sent { to, kind, why, term, first, entries, .. } => {
                let receivers = to.receivers(record.source, replicas).len() as u64;
                let through = last_index(kind, first, entries);
                self.on_sent(why, term, through, receivers);
            }
            Fact::Killed { member, .. } => {
                self.end(member, record.at);
                self.turn(record.at, |living, _| living.remove(member));
            }
            Fact::Partitioned { majority } => {
                self.turn(record.at, |_, side| *side = majority);
            }
            _ => {}
        }
    }

    /// The term that `member` leads; `None` if it does not lead.
    pub fn led_by(&self, member: Member) -> Option<Term> {
        self.leading.get(&member).copied()
    }

    /// The index up to which `term`'s leader has committed.
    pub fn committed_through(&self, term: Term) -> Index {
        self.leaderships.get(&term).map_or(0, |leadership| leadership.committed_through)
    }

    /// What is known of an entry.
    pub fn entry(&self, term: Term, index: Index) -> Option<&EntryTrack> {
        let leadership = self.leaderships.get(&term)?;
        leadership.entries.get(index.checked_sub(leadership.base)? as usize)
    }

    /// Notes that a message was received. An acknowledgement may be the first for some entries.
    pub fn on_delivery(&mut self, hop: &Rc<Hop>) {
        let Why::Ack(_) = hop.sending.why else {
            return;
        };
        let Some(term) = self.led_by(hop.to).filter(|term| *term == hop.sending.term) else {
            return;
        };
        let Some(leadership) = self.leaderships.get_mut(&term) else {
            return;
        };
        let through = hop.sending.through().min(leadership.batched_through);
        let first = (leadership.answered_through + 1).max(leadership.base);
        for index in first..=through {
            if let Some(entry) = leadership.entry_mut(index) {
                entry.first_answer = Some(hop.clone());
            }
        }
        leadership.answered_through = leadership.answered_through.max(through);
        let delays = hop.back().count() as u64;
        for batch in leadership.batches.iter_mut().rev() {
            if batch.committed_at.is_some() {
                break;
            }
            if batch.last <= through {
                batch.acknowledge(hop, self.others_needed);
            }
        }
        for batch in leadership.batches.iter_mut().rev() {
            if batch.last <= through {
                if batch.delays.is_some() {
                    break;
                }
                batch.delays = Some(delays);
            }
        }
    }

    fn on_state(&mut self, at: Micros, source: Member, event: Event) {
        match event {
            Event::BecameLeader { term, opened, .. } => {
                self.leaderships.insert(term, Leadership::new(source, at, opened));
                self.leading.insert(source, term);
            }
            Event::SteppedDown { .. } => self.end(source, at),
            Event::BatchSent { first, last } => self.on_batch(at, source, first, last),
            Event::Committed { through } => self.on_committed(at, source, through),
            _ => {}
        }
    }

    fn end(&mut self, leader: Member, at: Micros) {
        let leadership =
            self.leading.remove(&leader).and_then(|term| self.leaderships.get_mut(&term));
        if let Some(leadership) = leadership {
            leadership.until = Some(at);
            self.batches.extend(leadership.batches.drain(..).map(BatchTrack::close));
        }
    }

    fn turn(&mut self, at: Micros, change: impl Fn(&mut MemberSet, &mut MemberSet)) {
        if let Some((_, mut living, mut side)) = self.reach.last().copied() {
            change(&mut living, &mut side);
            self.reach.push((at, living, side));
        }
    }

    fn on_taken(&mut self, at: Micros, term: Term, index: Index) {
        let Some(leadership) = self.leaderships.get_mut(&term) else {
            return;
        };
        if index != leadership.base + leadership.entries.len() as Index {
            // Records are missing, so what was known about earlier entries is of no use.
            leadership.entries.clear();
            leadership.base = index;
        }
        self.arrivals.push(PutArrival { at, wait: None, committed: false });
        leadership.entries.push_back(EntryTrack {
            arrival: self.arrivals.len() - 1,
            appended_at: at,
            batched_at: None,
            first_answer: None,
            committed_at: None,
        });
        if leadership.entries.len() > REMEMBERED {
            leadership.entries.pop_front();
            leadership.base += 1;
        }
    }

    fn on_batch(&mut self, at: Micros, leader: Member, first: Index, last: Index) {
        let Some(leadership) =
            self.leading.get(&leader).and_then(|term| self.leaderships.get_mut(term))
        else {
            return;
        };
        for index in first..=last {
            let Some(entry) = leadership.entry_mut(index) else {
                continue;
            };
            entry.batched_at = Some(at);
            let wait = at.since(entry.appended_at);
            if let Some(arrival) = self.arrivals.get_mut(entry.arrival) {
                arrival.wait = Some(wait);
            }
        }
        leadership.batched_through = last;
        leadership.batches.push_back(BatchTrack::new(last, at));
        if leadership.batches.len() > REMEMBERED {
            self.batches.extend(leadership.batches.pop_front().map(BatchTrack::close));
        }
    }

    fn on_committed(&mut self, at: Micros, leader: Member, through: Index) {
        let Some(leadership) =
            self.leading.get(&leader).and_then(|term| self.leaderships.get_mut(term))
        else {
            return;
        };
        for index in (leadership.committed_through + 1).max(leadership.base)..=through {
            let Some(entry) = leadership.entry_mut(index) else {
                continue;
            };
            entry.committed_at = Some(at);
            if let Some(arrival) = self.arrivals.get_mut(entry.arrival) {
                arrival.committed = true;
            }
        }
        leadership.committed_through = through;
        for batch in leadership.batches.iter_mut().rev().skip_while(|batch| batch.last > through) {
            if batch.committed_at.is_some() {
                break;
            }
            batch.committed_at = Some(at);
            batch.proof = batch.prove(self.others_needed);
        }
    }

    /// A message was sent for a batch if its range, or the range that it answers, ends where the
    /// batch does.
    fn on_sent(&mut self, why: Why, term: Term, through: Index, receivers: u64) {
        if !is_for_batches(why) {
            return;
        }
        if let Some(leadership) = self.leaderships.get_mut(&term) {
            let place = leadership.batches.partition_point(|batch| batch.last < through);
            if let Some(batch) = leadership.batches.get_mut(place)
                && batch.last == through
            {
                batch.messages += receivers;
            }
        }
    }

    /// The run is over at `end`.
    pub fn finish(mut self, end: Micros) -> PastLeaderships {
        for leadership in self.leaderships.values_mut() {
            self.batches.extend(leadership.batches.drain(..).map(BatchTrack::close));
        }
        self.batches.sort_by_key(|batch| batch.sent_at);
        PastLeaderships { spans: self.spans(end), arrivals: self.arrivals, batches: self.batches }
    }

    /// The times in which one leader led and nobody died or was cut off. A leadership is cut where
    /// somebody died or was cut off, and ends where the next one begins, even if its leader does
    /// not know yet that it is deposed.
    fn spans(&self, end: Micros) -> Vec<LedSpan> {
        let mut spans = Vec::new();
        let mut leaderships = self.leaderships.values().peekable();
        while let Some(leadership) = leaderships.next() {
            let next = leaderships.peek().map_or(end, |next| next.since);
            let until = leadership.until.unwrap_or(end).min(next).min(end);
            for (place, (begin, living, side)) in self.reach.iter().enumerate() {
                let over = self.reach.get(place + 1).map_or(end, |(at, _, _)| *at);
                let (from, to) = (leadership.since.max(*begin), until.min(over));
                if from < to {
                    let listeners = listeners(leadership.leader, *living, *side);
                    spans.push(LedSpan { from, to, listeners });
                }
            }
        }
        spans
    }
}

/// Whether messages sent for this reason serve batches.
fn is_for_batches(why: Why) -> bool {
    !matches!(why, Why::Reject(_)) && matches!(why.cause(), Cause::Replicate | Cause::Resend)
}

/// How many of `living` could hear `leader` during the partition with the majority `side`.
fn listeners(leader: Member, living: MemberSet, side: MemberSet) -> u64 {
    let hears = |member: &Member| {
        *member != leader && (side.is_empty() || side.contains(*member) == side.contains(leader))
    };
    living.iter().filter(hears).count() as u64
}

/// What all leaders did in the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastLeaderships {
    /// The times in which one replica led, in order.
    pub spans: Vec<LedSpan>,
    /// All puts that came into a leader's log, in order.
    pub arrivals: Vec<PutArrival>,
    /// All batches, by time.
    pub batches: Vec<Batch>,
}

impl Leadership {
    fn new(leader: Member, since: Micros, opened: Index) -> Leadership {
        Leadership {
            leader,
            since,
            until: None,
            base: opened + 1,
            entries: VecDeque::new(),
            batches: VecDeque::new(),
            answered_through: opened,
            committed_through: 0,
            batched_through: opened,
        }
    }

    fn entry_mut(&mut self, index: Index) -> Option<&mut EntryTrack> {
        self.entries.get_mut(index.checked_sub(self.base)? as usize)
    }
}

impl BatchTrack {
    fn new(last: Index, sent_at: Micros) -> BatchTrack {
        BatchTrack {
            last,
            sent_at,
            messages: 0,
            delays: None,
            ways: Vec::new(),
            acknowledged_by: MemberSet::EMPTY,
            committed_at: None,
            proof: None,
        }
    }

    /// Notes an acknowledgement that covers the batch. All members on its way hold the batch.
    fn acknowledge(&mut self, last: &Rc<Hop>, others_needed: usize) {
        let way = last.way();
        let began_here = way.first().is_some_and(|first| first.from == last.to);
        if !began_here || self.acknowledged_by.len() >= others_needed {
            return;
        }
        let before = self.acknowledged_by.len();
        let others = way.iter().map(|hop| hop.to).filter(|member| *member != last.to);
        others.for_each(|member| self.acknowledged_by.insert(member));
        if self.acknowledged_by.len() > before {
            self.ways.push(last.clone());
        }
    }

    /// What committed the batch. Each of the f others was reached by a message of the ways, and
    /// each way ends with one more message. Together with those sent for the batch they are never
    /// fewer than the floor of design §3 for the longest way.
    fn prove(&mut self, others_needed: usize) -> Option<Proof> {
        let ways = std::mem::take(&mut self.ways);
        if self.acknowledged_by.len() < others_needed {
            return None;
        }
        let ways: Vec<Vec<&Hop>> = ways.iter().map(|last| last.way()).collect();
        let hops = ways.iter().map(Vec::len).max()? as u64;
        let others = ways.iter().flatten().filter(|hop| !self.is_sent_for(&hop.sending));
        let others: BTreeSet<_> = others.map(|hop| hop.id()).collect();
        Some(Proof { hops, others: others.len() as u64 })
    }

    /// Whether a message of its leadership is counted as sent for the batch.
    fn is_sent_for(&self, sending: &Sending) -> bool {
        is_for_batches(sending.why) && sending.through() == self.last
    }

    fn close(self) -> Batch {
        Batch {
            sent_at: self.sent_at,
            messages: self.messages,
            delays: self.delays,
            proof: self.proof,
        }
    }
}

#[cfg(test)]
mod tests;
