//! What leaders did with their entries, term by term: when each came into the log, with which batch
//! it left, whose acknowledgement came first, when it was committed. A term has one leader (§5.2),
//! so a term names a reign.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::bounds::Reign as Span;
use super::message::{Hop, last_index};
use crate::raft::{Cause, Event, Index, Member, MemberSet, Micros, Term, Why};
use crate::record::{Fact, Record};

/// Entries and batches of a reign that are remembered behind its commit index: late answers still
/// name them.
const REMEMBERED: usize = 1 << 16;

/// What is known of an entry.
#[derive(Clone, Debug)]
pub struct EntryTrack {
    /// Its place among all arrivals.
    arrival: usize,
    /// When it came into the leader's log.
    pub appended_at: Micros,
    /// When its batch left.
    pub batched_at: Option<Micros>,
    /// The first acknowledgement that covers it, with the way that led there.
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
    /// One-way delays that its first acknowledgement took: the hops of its way.
    delays: Option<u64>,
    committed_at: Option<Micros>,
}

/// A batch that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When it left.
    pub sent_at: Micros,
    /// Messages sent for it.
    pub messages: u64,
    /// Hops of its first acknowledgement's way, there and back; none if there was none.
    pub delays: Option<u64>,
    /// From its leaving to its commit; none if that did not come.
    pub took: Option<Micros>,
}

/// One leader's term.
#[derive(Debug)]
struct Reign {
    leader: Member,
    since: Micros,
    until: Option<Micros>,
    /// The first entry of `entries`.
    base: Index,
    entries: VecDeque<EntryTrack>,
    batches: VecDeque<BatchTrack>,
    answered_through: Index,
    committed_through: Index,
    batched_through: Index,
}

/// All reigns of a run.
#[derive(Debug, Default)]
pub struct Reigns {
    reigns: BTreeMap<Term, Reign>,
    /// Of whom which term's leadership stands.
    leading: BTreeMap<Member, Term>,
    arrivals: Vec<PutArrival>,
    batches: Vec<Batch>,
    /// Who lives, and the majority side of the partition that stands (0: none), from when on.
    reach: Vec<(Micros, MemberSet, u32)>,
}

/// A put that came into a leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutArrival {
    /// When.
    pub at: Micros,
    /// How long it waited for its batch; none if that never left.
    pub wait: Option<Micros>,
    /// Whether that leader committed it.
    pub committed: bool,
}

impl Reigns {
    /// Of `replicas` replicas that all live.
    pub fn new(replicas: usize) -> Reigns {
        Reigns { reach: vec![(Micros(0), MemberSet::all(replicas), 0)], ..Reigns::default() }
    }

    /// Takes in a record of a replica.
    pub fn record(&mut self, record: &Record, replicas: usize) {
        match record.fact {
            Fact::State(event) => self.on_state(record.at, record.teller, event),
            Fact::Taken { index, term, .. } if self.led_by(record.teller) == Some(term) => {
                self.on_taken(record.at, term, index);
            }
            Fact::Sent { to, kind, why, term, first, entries, .. } => {
                let receivers = to.receivers(record.teller, replicas).len() as u64;
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

    /// The term that `member` leads, if it does.
    pub fn led_by(&self, member: Member) -> Option<Term> {
        self.leading.get(&member).copied()
    }

    /// How far `term`'s leader has committed.
    pub fn committed_through(&self, term: Term) -> Index {
        self.reigns.get(&term).map_or(0, |reign| reign.committed_through)
    }

    /// What is known of an entry.
    pub fn entry(&self, term: Term, index: Index) -> Option<&EntryTrack> {
        let reign = self.reigns.get(&term)?;
        reign.entries.get(index.checked_sub(reign.base)? as usize)
    }

    /// A message was taken in: an acknowledgement may be the first for some entries.
    pub fn on_delivery(&mut self, hop: &Rc<Hop>) {
        let Why::Ack(_) = hop.sending.why else {
            return;
        };
        let Some(term) = self.led_by(hop.to).filter(|term| *term == hop.sending.term) else {
            return;
        };
        let Some(reign) = self.reigns.get_mut(&term) else {
            return;
        };
        let through = hop.sending.through().min(reign.batched_through);
        let first = (reign.answered_through + 1).max(reign.base);
        for index in first..=through {
            if let Some(entry) = reign.entry_mut(index) {
                entry.first_answer = Some(hop.clone());
            }
        }
        reign.answered_through = reign.answered_through.max(through);
        let delays = hop.way().len() as u64;
        for batch in reign.batches.iter_mut().rev() {
            if batch.last <= through {
                if batch.delays.is_some() {
                    break;
                }
                batch.delays = Some(delays);
            }
        }
    }

    fn on_state(&mut self, at: Micros, teller: Member, event: Event) {
        match event {
            Event::BecameLeader { term, opened, .. } => {
                self.reigns.insert(term, Reign::new(teller, at, opened));
                self.leading.insert(teller, term);
            }
            Event::SteppedDown { .. } => self.end(teller, at),
            Event::BatchSent { first, last } => self.on_batch(at, teller, first, last),
            Event::Committed { through } => self.on_committed(at, teller, through),
            _ => {}
        }
    }

    fn end(&mut self, leader: Member, at: Micros) {
        let reign = self.leading.remove(&leader).and_then(|term| self.reigns.get_mut(&term));
        if let Some(reign) = reign {
            reign.until = Some(at);
            self.batches.extend(reign.batches.drain(..).map(BatchTrack::close));
        }
    }

    fn turn(&mut self, at: Micros, change: impl Fn(&mut MemberSet, &mut u32)) {
        if let Some((_, mut living, mut side)) = self.reach.last().copied() {
            change(&mut living, &mut side);
            self.reach.push((at, living, side));
        }
    }

    fn on_taken(&mut self, at: Micros, term: Term, index: Index) {
        let Some(reign) = self.reigns.get_mut(&term) else {
            return;
        };
        if index != reign.base + reign.entries.len() as Index {
            // Records are missing: what was known of entries before is of no use.
            reign.entries.clear();
            reign.base = index;
        }
        self.arrivals.push(PutArrival { at, wait: None, committed: false });
        reign.entries.push_back(EntryTrack {
            arrival: self.arrivals.len() - 1,
            appended_at: at,
            batched_at: None,
            first_answer: None,
            committed_at: None,
        });
        if reign.entries.len() > REMEMBERED {
            reign.entries.pop_front();
            reign.base += 1;
        }
    }

    fn on_batch(&mut self, at: Micros, leader: Member, first: Index, last: Index) {
        let Some(reign) = self.leading.get(&leader).and_then(|term| self.reigns.get_mut(term))
        else {
            return;
        };
        for index in first..=last {
            let Some(entry) = reign.entry_mut(index) else {
                continue;
            };
            entry.batched_at = Some(at);
            let wait = at.since(entry.appended_at);
            if let Some(arrival) = self.arrivals.get_mut(entry.arrival) {
                arrival.wait = Some(wait);
            }
        }
        reign.batched_through = last;
        let batch = BatchTrack { last, sent_at: at, messages: 0, delays: None, committed_at: None };
        reign.batches.push_back(batch);
        if reign.batches.len() > REMEMBERED {
            self.batches.extend(reign.batches.pop_front().map(BatchTrack::close));
        }
    }

    fn on_committed(&mut self, at: Micros, leader: Member, through: Index) {
        let Some(reign) = self.leading.get(&leader).and_then(|term| self.reigns.get_mut(term))
        else {
            return;
        };
        for index in (reign.committed_through + 1).max(reign.base)..=through {
            let Some(entry) = reign.entry_mut(index) else {
                continue;
            };
            entry.committed_at = Some(at);
            if let Some(arrival) = self.arrivals.get_mut(entry.arrival) {
                arrival.committed = true;
            }
        }
        reign.committed_through = through;
        for batch in reign.batches.iter_mut().rev().skip_while(|batch| batch.last > through) {
            if batch.committed_at.is_some() {
                break;
            }
            batch.committed_at = Some(at);
        }
    }

    /// A message sent for a batch is one whose range, or whose answered range, ends where the
    /// batch does.
    fn on_sent(&mut self, why: Why, term: Term, through: Index, receivers: u64) {
        let (Why::Own(cause) | Why::Relay(cause) | Why::Ack(cause)) = why else {
            return;
        };
        if !matches!(cause, Cause::Replicate | Cause::Resend) {
            return;
        }
        if let Some(reign) = self.reigns.get_mut(&term) {
            let place = reign.batches.partition_point(|batch| batch.last < through);
            if let Some(batch) = reign.batches.get_mut(place)
                && batch.last == through
            {
                batch.messages += receivers;
            }
        }
    }

    /// All is over, at `end`.
    pub fn finish(mut self, end: Micros) -> Reigned {
        for reign in self.reigns.values_mut() {
            self.batches.extend(reign.batches.drain(..).map(BatchTrack::close));
        }
        self.batches.sort_by_key(|batch| batch.sent_at);
        Reigned { spans: self.spans(end), arrivals: self.arrivals, batches: self.batches }
    }

    /// The times in which one leader led and nobody died or was cut off: the reigns, cut where somebody died or was cut off, and where the next one begins: a leader
    /// that does not know yet that it is deposed leads no more.
    fn spans(&self, end: Micros) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut reigns = self.reigns.values().peekable();
        while let Some(reign) = reigns.next() {
            let next = reigns.peek().map_or(end, |next| next.since);
            let until = reign.until.unwrap_or(end).min(next).min(end);
            for (place, (begin, living, side)) in self.reach.iter().enumerate() {
                let over = self.reach.get(place + 1).map_or(end, |(at, _, _)| *at);
                let (from, to) = (reign.since.max(*begin), until.min(over));
                if from < to {
                    let listeners = listeners(reign.leader, *living, *side);
                    spans.push(Span { from, to, listeners });
                }
            }
        }
        spans
    }
}

/// How many of `living` could hear `leader` while the partition `majority` stood.
fn listeners(leader: Member, living: MemberSet, majority: u32) -> u64 {
    let side = MemberSet(majority);
    let hears = |member: &Member| {
        *member != leader && (majority == 0 || side.contains(*member) == side.contains(leader))
    };
    living.iter().filter(hears).count() as u64
}

/// What the leaders did, in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reigned {
    /// When somebody led, in order.
    pub spans: Vec<Span>,
    /// All puts that came into a leader's log, in order.
    pub arrivals: Vec<PutArrival>,
    /// All batches, by time.
    pub batches: Vec<Batch>,
}

impl Reign {
    fn new(leader: Member, since: Micros, opened: Index) -> Reign {
        Reign {
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
    fn close(self) -> Batch {
        Batch {
            sent_at: self.sent_at,
            messages: self.messages,
            delays: self.delays,
            took: self.committed_at.map(|at| at.since(self.sent_at)),
        }
    }
}
