//! What the findings rest on beyond the ledger: which heartbeats were needless, which resends came
//! too early, which answers told nothing. A fold over the same stream, by link.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::ledger::{Delivery, Hop};
use super::phases::{Phase, Phases};
use super::reigns::Reigns;
use crate::raft::{Cause, Deposed, Event, Index, Kind, Member, Micros, Term, To, Tuning, Why};
use crate::record::{Fact, Record};

/// A resend is settled after so long: whatever was under way has come.
const SETTLED_AFTER: Micros = Micros::from_seconds(5);
/// Samples of delays that are kept.
const MOST_SAMPLES: usize = 1 << 17;
/// A receiver was addressed within the interval if it was within nine tenths of it: a hop's relay
/// goes out later than its leader counts it.
const WITHIN_INTERVAL: (u64, u64) = (9, 10);

/// Messages that a finding calls needless, known when they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needless {
    Heartbeat,
    CatchUp,
}

/// A resend that is not settled.
#[derive(Clone, Debug)]
struct Resend {
    term: Term,
    number: u64,
    to: Member,
    through: Index,
    sent_at: Micros,
    /// Messages it caused: itself and its answer.
    messages: u64,
    /// The answer to what was sent before came after it had been sent.
    early: bool,
}

/// What was seen.
#[derive(Debug)]
pub struct Evidence {
    heartbeat_interval: Micros,
    /// The interval that the other knobs would allow.
    longer_interval: Micros,
    lag_most_entries: u64,
    others_needed: usize,
    replicas: usize,
    /// By receiver, in the term under way: when it was last sent entries, by the leader or by a hop
    /// of a chain, and when any append but a heartbeat.
    entries_at: Vec<Option<(Term, Micros)>>,
    appended_at: Vec<Option<(Term, Micros)>>,
    needless: FxHashMap<(Member, u64, Member), Needless>,
    resends: Vec<Resend>,
    /// By leader and follower: when the newest message that it answered had begun its way.
    answered: Vec<Vec<Micros>>,
    /// Heartbeats to those who had got entries within the interval, and their answers.
    pub needless_heartbeats: u64,
    /// Catch-ups for a lag that the rotation would have carried, and their answers.
    pub needless_catch_ups: u64,
    /// Heartbeats that the longer interval would have needed.
    pub longer_heartbeats: u64,
    /// Heartbeats sent, and answers to them.
    pub heartbeats: u64,
    /// Answers to those.
    pub heartbeat_answers: u64,
    /// Answers to heartbeats that told the leader nothing it needed.
    pub surplus_answers: u64,
    /// Resends whose first copy had arrived, and its answer came: how many.
    pub early_resends: u64,
    /// Messages that they caused, themselves included.
    pub early_resend_messages: u64,
    /// Resends that were needed: the message or its answer was lost.
    pub needed_resends: u64,
    /// From a message's sending to its acknowledgement's arrival.
    pub round_trips_us: Vec<u64>,
    /// From a message's sending to its arrival.
    pub one_ways_us: Vec<u64>,
    /// Candidacies with pre-votes, and with votes.
    pub pre_candidacies: u64,
    /// The latter.
    pub candidacies: u64,
    /// Elections won.
    pub elections: u64,
    /// Leaders deposed by a higher term while nobody else led.
    pub disrupted: u64,
    /// Entries sent to a receiver that had been sent them before, in the same term.
    pub entries_sent_again: u64,
    sent_through: FxHashMap<(Term, Member), Index>,
}

impl Evidence {
    /// Of a run with these knobs.
    pub fn new(replicas: usize, tuning: &Tuning, longer_interval_us: u64) -> Evidence {
        Evidence {
            heartbeat_interval: tuning.heartbeat_interval(),
            longer_interval: Micros(longer_interval_us),
            lag_most_entries: tuning.lag_most_entries,
            others_needed: replicas / 2,
            replicas,
            entries_at: vec![None; replicas],
            appended_at: vec![None; replicas],
            needless: FxHashMap::default(),
            resends: Vec::new(),
            answered: vec![vec![Micros(0); replicas]; replicas],
            needless_heartbeats: 0,
            needless_catch_ups: 0,
            longer_heartbeats: 0,
            heartbeats: 0,
            heartbeat_answers: 0,
            surplus_answers: 0,
            early_resends: 0,
            early_resend_messages: 0,
            needed_resends: 0,
            round_trips_us: Vec::new(),
            one_ways_us: Vec::new(),
            pre_candidacies: 0,
            candidacies: 0,
            elections: 0,
            disrupted: 0,
            entries_sent_again: 0,
            sent_through: FxHashMap::default(),
        }
    }

    /// Takes in a record of a replica.
    pub fn record(&mut self, record: &Record, phases: &Phases) {
        match record.fact {
            Fact::Sent { to, number, kind: Kind::Append, why, term, first, entries, .. } => {
                let receivers = match to {
                    To::Member(member) => member.0..member.0 + 1,
                    To::Everyone => 0..self.replicas as u8,
                };
                let through = (first + Index::from(entries)).saturating_sub(1);
                let append = Append { number, why, term, through, entries };
                for to in receivers.map(Member).filter(|to| *to != record.teller) {
                    self.on_append(record.at, (record.teller, to), &append, phases.now());
                }
            }
            Fact::State(event) => self.on_state(record.teller, event, phases),
            _ => {}
        }
    }

    fn on_append(
        &mut self,
        at: Micros,
        (from, to): (Member, Member),
        append: &Append,
        phase: Phase,
    ) {
        let Append { number, why, term, through, entries } = *append;
        let interval = self.heartbeat_interval.0 * WITHIN_INTERVAL.0 / WITHIN_INTERVAL.1;
        let within = |last: Option<(Term, Micros)>| {
            last.is_some_and(|(its_term, then)| its_term == term && at.since(then).0 < interval)
        };
        match why {
            Why::Own(Cause::Heartbeat) => {
                self.heartbeats += 1;
                if within(self.entries_at[to.rank()]) {
                    self.needless_heartbeats += 1;
                    self.needless.insert((from, number, to), Needless::Heartbeat);
                }
            }
            Why::Own(Cause::CatchUp)
                if phase == Phase::Steady
                    && entries > 0
                    && u64::from(entries) <= self.lag_most_entries + 1 =>
            {
                self.needless_catch_ups += 1;
                self.needless.insert((from, number, to), Needless::CatchUp);
            }
            Why::Own(Cause::Resend) => {
                let sent_at = at;
                self.settle_before(at);
                let early = false;
                self.resends.push(Resend {
                    term,
                    number,
                    to,
                    through,
                    sent_at,
                    messages: 1,
                    early,
                });
            }
            _ => {}
        }
        if entries > 0 {
            self.entries_at[to.rank()] = Some((term, at));
            let before = self.sent_through.entry((term, to)).or_default();
            let first = through + 1 - Index::from(entries);
            self.entries_sent_again +=
                (*before + 1).saturating_sub(first).min(Index::from(entries));
            *before = through.max(*before);
        }
        if why != Why::Own(Cause::Heartbeat)
            && let Some((its_term, last)) = self.appended_at[to.rank()].replace((term, at))
            && its_term == term
        {
            self.longer_heartbeats += at.since(last).0 / self.longer_interval.0.max(1);
        }
    }

    fn on_state(&mut self, teller: Member, event: Event, phases: &Phases) {
        match event {
            Event::BecamePreCandidate { .. } => self.pre_candidacies += 1,
            Event::BecameCandidate { .. } => self.candidacies += 1,
            Event::BecameLeader { .. } => {
                self.elections += 1;
                self.answered[teller.rank()].fill(Micros(0));
            }
            Event::SteppedDown { reason: Deposed::HigherTerm, .. }
                if !phases.has_other_leader(teller) =>
            {
                self.disrupted += 1;
            }
            _ => {}
        }
    }

    /// A message was taken in.
    pub fn on_delivery(&mut self, delivery: &Delivery, reigns: &Reigns) {
        let hop = &delivery.hop;
        let key = (hop.from, hop.sending.number, hop.to);
        match self.needless.remove(&key) {
            Some(Needless::Heartbeat) => self.needless_heartbeats += delivery.sent_on,
            Some(Needless::CatchUp) => self.needless_catch_ups += delivery.sent_on,
            None => {}
        }
        if hop.sending.why == Why::Own(Cause::Heartbeat) {
            self.heartbeat_answers += delivery.sent_on;
        }
        if hop.sending.why == Why::Own(Cause::Resend) {
            let same = |resend: &&mut Resend| {
                (resend.term, resend.number, resend.to)
                    == (hop.sending.term, hop.sending.number, hop.to)
            };
            if let Some(resend) = self.resends.iter_mut().find(same) {
                resend.messages += delivery.sent_on;
            }
        }
        if self.one_ways_us.len() < MOST_SAMPLES {
            self.one_ways_us.push(hop.received_at.since(hop.sending.at).0);
        }
        if let Why::Ack(of) = hop.sending.why
            && hop.sending.kind == Kind::AppendReply
        {
            self.on_acknowledgement(of, hop, reigns);
        }
    }

    fn on_acknowledgement(&mut self, of: Cause, hop: &Rc<Hop>, reigns: &Reigns) {
        let leader = hop.to;
        if reigns.led_by(leader) != Some(hop.sending.term) {
            return;
        }
        let way = hop.way();
        let Some(began) = way.first().map(|hop| hop.sending) else {
            return;
        };
        if self.round_trips_us.len() < MOST_SAMPLES {
            self.round_trips_us.push(hop.received_at.since(began.at).0);
        }
        let is_on_the_way = |member: Member| way.iter().any(|hop| hop.to == member);
        let through = hop.sending.through();
        for resend in &mut self.resends {
            resend.early |= resend.term == began.term
                && began.at < resend.sent_at
                && began.number < resend.number
                && through >= resend.through
                && is_on_the_way(resend.to);
        }
        let answered = &mut self.answered[leader.rank()];
        let mut newest = answered.clone();
        newest.sort_unstable_by(|one, other| other.cmp(one));
        let quorum_at = newest.get(self.others_needed - 1).copied().unwrap_or_default();
        let committed = reigns.committed_through(hop.sending.term);
        if of == Cause::Heartbeat && began.at <= quorum_at && through <= committed {
            self.surplus_answers += 1;
        }
        for hop in way.iter().filter(|hop| hop.to != leader) {
            let at = &mut answered[hop.to.rank()];
            *at = began.at.max(*at);
        }
    }

    fn settle_before(&mut self, now: Micros) {
        let is_settled = |resend: &Resend| now.since(resend.sent_at) > SETTLED_AFTER;
        while self.resends.first().is_some_and(is_settled) {
            let resend = self.resends.remove(0);
            self.settle(&resend);
        }
    }

    fn settle(&mut self, resend: &Resend) {
        if resend.early {
            self.early_resends += 1;
            self.early_resend_messages += resend.messages;
        } else {
            self.needed_resends += 1;
        }
    }

    /// All is over at `end`.
    pub fn finish(&mut self, end: Micros) {
        for resend in std::mem::take(&mut self.resends) {
            self.settle(&resend);
        }
        let newest = self.appended_at.iter().flatten().map(|(term, _)| *term).max();
        for (term, last) in self.appended_at.iter().flatten() {
            if Some(*term) == newest {
                self.longer_heartbeats += end.since(*last).0 / self.longer_interval.0.max(1);
            }
        }
        self.round_trips_us.sort_unstable();
        self.one_ways_us.sort_unstable();
    }
}

/// An append, as its sender tells of it.
struct Append {
    number: u64,
    why: Why,
    term: Term,
    through: Index,
    entries: u32,
}
