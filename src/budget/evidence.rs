//! What the findings need beyond the ledger: which heartbeats were needless, which resends came too
//! early, which answers said nothing new. A fold over the same records, by link.

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::bounds::ample_lag;
use super::heartbeat_model::{HeartbeatModel, Variation};
use super::leaderships::Leaderships;
use super::message::{Hop, last_index};
use super::phases::{Phase, Phases};
use crate::raft::{Cause, Deposed, Event, Index, Kind, Member, Micros, Term, Tuning, Why};
use crate::record::{Fact, Record};

/// A resend counts as needed or early after this time: whatever was on its way has come by then.
const SETTLED_AFTER: Micros = Micros::from_seconds(5);
/// Most samples of delays that are kept.
const MOST_SAMPLES: usize = 1 << 17;

/// A resend of which it is not known yet whether it was needed.
#[derive(Clone, Debug)]
struct Resend {
    term: Term,
    number: u64,
    to: Member,
    through: Index,
    sent_at: Micros,
    /// Messages that the resend caused: itself and its answer.
    messages: u64,
    /// Whether the answer to an earlier sending came after the resend.
    early: bool,
}

/// How many heartbeats a run's appends leave to be sent: for the run, and with one knob changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeededHeartbeats {
    /// With the run's knobs.
    pub as_run: u64,
    /// With the longest interval that the other knobs allow.
    pub longer_interval: u64,
    /// Without rounds for reads.
    pub without_confirm: u64,
    /// Without messages for a commit index alone.
    pub without_commit: u64,
    /// With batches that go to f others in rotation.
    pub rotation: u64,
}

/// The models of the run and of its alternatives.
#[derive(Debug)]
struct HeartbeatModels([HeartbeatModel; 5]);

impl HeartbeatModels {
    fn new(replicas: usize, interval: Micros, longer_us: u64) -> HeartbeatModels {
        let different = [
            Variation::Nothing,
            Variation::Interval(Micros(longer_us)),
            Variation::Without(Cause::Confirm),
            Variation::Without(Cause::Commit),
            Variation::Rotation,
        ];
        HeartbeatModels(
            different.map(|different| HeartbeatModel::new(replicas, interval, different)),
        )
    }

    fn each(&mut self, act: impl Fn(&mut HeartbeatModel)) {
        self.0.iter_mut().for_each(act);
    }

    fn finish(&mut self, end: Micros) -> NeededHeartbeats {
        let [as_run, longer_interval, without_confirm, without_commit, rotation] =
            self.0.each_mut().map(|model| model.finish(end));
        NeededHeartbeats { as_run, longer_interval, without_confirm, without_commit, rotation }
    }
}

/// What was seen in the run's records.
#[derive(Debug)]
pub struct Evidence {
    heartbeat_interval: Micros,
    ample_lag: u64,
    others_needed: usize,
    replicas: usize,
    models: HeartbeatModels,
    /// Catch-up messages for a small lag that have not been received yet.
    needless: FxHashSet<(Member, u64, Member)>,
    resends: Vec<Resend>,
    /// By leader and follower: when the newest message that the follower answered was sent.
    answered: Vec<Vec<Micros>>,
    /// Catch-up messages for a lag that the rotation would have made up for, and their answers.
    pub needless_catch_ups: u64,
    /// Heartbeats that the appends of the run, and of its alternatives, leave to be sent.
    pub needed_heartbeats: NeededHeartbeats,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Answers to heartbeats.
    pub heartbeat_answers: u64,
    /// Answers to heartbeats that told the leader nothing it needed.
    pub surplus_answers: u64,
    /// Resends that were not needed: the first copy had arrived, and its answer came later.
    pub early_resends: u64,
    /// Messages that early resends caused, themselves included.
    pub early_resend_messages: u64,
    /// Resends that were needed: the message or its answer was lost.
    pub needed_resends: u64,
    /// Of 1,000 round trips, from a message's sending to its acknowledgement's arrival, 999 take no
    /// longer, in microseconds.
    pub long_round_trip_us: u64,
    /// The median time from a message's sending to its arrival, in microseconds.
    pub one_way_us: u64,
    round_trips_us: Vec<u64>,
    one_ways_us: Vec<u64>,
    /// Candidacies that asked for pre-votes.
    pub pre_candidacies: u64,
    /// Candidacies that asked for votes.
    pub candidacies: u64,
    /// Elections won.
    pub elections: u64,
    /// Leaders deposed by a higher term while nobody else led.
    pub disrupted: u64,
    /// Entries sent again to a receiver that had been sent them before, in the same term.
    pub entries_sent_again: u64,
    sent_through: FxHashMap<(Term, Member), Index>,
}

impl Evidence {
    /// For a run with these knobs.
    pub fn new(replicas: usize, tuning: &Tuning, longer_interval_us: u64) -> Evidence {
        Evidence {
            heartbeat_interval: tuning.heartbeat_interval(),
            ample_lag: ample_lag(replicas),
            others_needed: replicas / 2,
            replicas,
            models: HeartbeatModels::new(replicas, tuning.heartbeat_interval(), longer_interval_us),
            needless: FxHashSet::default(),
            resends: Vec::new(),
            answered: vec![vec![Micros(0); replicas]; replicas],
            needless_catch_ups: 0,
            needed_heartbeats: NeededHeartbeats::default(),
            heartbeats: 0,
            heartbeat_answers: 0,
            surplus_answers: 0,
            early_resends: 0,
            early_resend_messages: 0,
            needed_resends: 0,
            long_round_trip_us: 0,
            one_way_us: 0,
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
                let through = last_index(Kind::Append, first, entries);
                let append = Append { number, why, term, through, entries };
                for to in to.receivers(record.source, self.replicas).iter() {
                    self.on_append(record.at, (record.source, to), &append, phases.now());
                }
            }
            Fact::State(event) => self.on_state(record.source, event, phases),
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
        match why {
            Why::Own(Cause::Heartbeat) => self.heartbeats += 1,
            Why::Own(Cause::CatchUp)
                if phase == Phase::Steady
                    && entries > 0
                    && u64::from(entries) <= self.ample_lag =>
            {
                self.needless_catch_ups += 1;
                self.needless.insert((from, number, to));
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
            let before = self.sent_through.entry((term, to)).or_default();
            let first = through + 1 - Index::from(entries);
            self.entries_sent_again +=
                (*before + 1).saturating_sub(first).min(Index::from(entries));
            *before = through.max(*before);
        }
        if why != Why::Own(Cause::Heartbeat) {
            let cause = why.cause();
            self.models.each(|model| model.append(at, (from, to), term, cause));
        }
    }

    fn on_state(&mut self, source: Member, event: Event, phases: &Phases) {
        match event {
            Event::BecamePreCandidate { .. } => self.pre_candidacies += 1,
            Event::BecameCandidate { .. } => self.candidacies += 1,
            Event::BecameLeader { .. } => {
                self.elections += 1;
                self.answered[source.rank()].fill(Micros(0));
            }
            Event::SteppedDown { reason: Deposed::HigherTerm, .. }
                if !phases.has_other_leader(source) =>
            {
                self.disrupted += 1;
            }
            _ => {}
        }
    }

    /// Notes that an answer or a relay was sent for a message.
    pub fn on_sent_for(&mut self, hop: &Hop) {
        let number = hop.sending.number;
        match hop.sending.why {
            Why::Own(Cause::CatchUp) => {
                let needless = self.needless.remove(&(hop.from, number, hop.to));
                self.needless_catch_ups += u64::from(needless);
            }
            Why::Own(Cause::Heartbeat) => self.heartbeat_answers += 1,
            Why::Own(Cause::Resend) => {
                let sent = (hop.sending.term, number, hop.to);
                let same = |resend: &&mut Resend| (resend.term, resend.number, resend.to) == sent;
                if let Some(resend) = self.resends.iter_mut().find(same) {
                    resend.messages += 1;
                }
            }
            _ => {}
        }
    }

    /// Notes that a message was received.
    pub fn on_delivery(&mut self, hop: &Rc<Hop>, leaderships: &Leaderships) {
        if self.one_ways_us.len() < MOST_SAMPLES {
            self.one_ways_us.push(hop.received_at.since(hop.sending.at).0);
        }
        if let Why::Ack(of) = hop.sending.why
            && hop.sending.kind == Kind::AppendReply
        {
            self.on_acknowledgement(of, hop, leaderships);
        }
    }

    fn on_acknowledgement(&mut self, of: Cause, hop: &Rc<Hop>, leaderships: &Leaderships) {
        let leader = hop.to;
        if leaderships.led_by(leader) != Some(hop.sending.term) {
            return;
        }
        let began = hop.first().sending;
        if self.round_trips_us.len() < MOST_SAMPLES {
            self.round_trips_us.push(hop.received_at.since(began.at).0);
        }
        let is_on_the_way = |member: Member| hop.back().any(|hop| hop.to == member);
        let through = hop.sending.through();
        for resend in &mut self.resends {
            resend.early |= resend.term == began.term
                && began.number < resend.number
                && through >= resend.through
                && is_on_the_way(resend.to);
        }
        let committed = leaderships.committed_through(hop.sending.term);
        if of == Cause::Heartbeat && through <= committed && self.is_fresh(leader, began.at) {
            self.surplus_answers += 1;
        }
        let answered = &mut self.answered[leader.rank()];
        for hop in hop.back().filter(|hop| hop.to != leader) {
            let at = &mut answered[hop.to.rank()];
            *at = began.at.max(*at);
        }
    }

    /// Whether a quorum had answered `leader` so lately that with answers asked for in turn nobody
    /// would have been asked at `at`.
    fn is_fresh(&self, leader: Member, at: Micros) -> bool {
        let mut newest = self.answered[leader.rank()].clone();
        newest.sort_unstable_by(|one, other| other.cmp(one));
        let quorum_at = newest.get(self.others_needed - 1).copied().unwrap_or_default();
        quorum_at > Micros(0) && at <= quorum_at + Micros(self.heartbeat_interval.0 / 2)
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

    /// The run is over at `end`.
    pub fn finish(&mut self, end: Micros) {
        for resend in std::mem::take(&mut self.resends) {
            self.settle(&resend);
        }
        self.needed_heartbeats = self.models.finish(end);
        let (trips, ways) = (self.round_trips_us.len(), self.one_ways_us.len());
        self.long_round_trip_us = nth(&mut self.round_trips_us, trips * 999 / 1_000);
        self.one_way_us = nth(&mut self.one_ways_us, ways / 2);
    }
}

/// The value at `place` of the sorted `times`; 0 if there is none.
fn nth(times: &mut [u64], place: usize) -> u64 {
    if place < times.len() { *times.select_nth_unstable(place).1 } else { 0 }
}

/// An append, as its sender recorded it.
struct Append {
    number: u64,
    why: Why,
    term: Term,
    through: Index,
    entries: u32,
}

#[cfg(test)]
mod tests;
