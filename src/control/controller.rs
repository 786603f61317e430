//! The controller of a replica: what it has learned, and what it would have the knobs be.

use super::heartbeats::{self, Goal, Link, Plan};
use super::linger::Linger;
use super::spending::Spending;
use crate::raft::tuning::{Control, FanOut, HeartbeatAnswers, HeartbeatTo, ResendFrom};
use crate::raft::{Event, Micros, Raft, Tuning};
use crate::record::{Decision, Fact, Knob, KnobChange, Reason, Record, changed_knobs};

/// A decision is made no sooner than this after the one before.
const INTERVAL: Micros = Micros::from_millis(100);
/// A time that would change by less than one part in so many stays as it is.
const HYSTERESIS: u64 = 8;
/// A resend timeout is no longer than the time in which a death is to be noticed, divided by this.
const RESENDS_IN_DETECTION: u64 = 32;
/// Heartbeats that serve stay while they cost no more than so many times what the best would.
const MOST_EXTRA_COST: f64 = 1.1;
/// A resend timeout is no shorter, in microseconds: a busy process answers no sooner.
const LEAST_RESEND_US: u64 = 3_000;
/// The same where much is lost: a needless resend now and then costs less than the waits.
const LEAST_RESEND_WHEN_LOSSY_US: u64 = 1_200;
/// Above this loss much is lost.
const MOST_PATIENT_LOSS_PPM: u64 = 50_000;
/// Above this loss one follower more than f gets a batch.
const MOST_BARE_LOSS_PPM: u64 = 150_000;

/// Sets a replica's knobs as it runs: a fold over the replica's own records and its core's
/// measurements, stepped with time like the core. It sends nothing.
#[derive(Clone, Debug)]
pub struct Controller {
    count: usize,
    linger: Linger,
    /// What a batch costs at present, in microseconds of waiting.
    price_us: u64,
    /// What the cluster spends against the profile's limits.
    spending: Spending,
    /// The profile's own price of a message and detection target, and what they were set to last.
    own: [u64; 2],
    set: [u64; 2],
    /// When the next decision may be made.
    next_at: Micros,
}

impl Controller {
    /// For a replica in a cluster of `count`; `None` if `tuning` says that knobs are static.
    pub fn new(tuning: &Tuning, count: usize, now: Micros) -> Option<Controller> {
        if tuning.control == Control::Static {
            return None;
        }
        let price_us = batch_price_us(tuning, count);
        let own = [tuning.message_price_us, tuning.detection_target_us];
        Some(Controller {
            count,
            linger: Linger::new(price_us),
            price_us,
            spending: Spending::new(count, now),
            own,
            set: own,
            next_at: now + INTERVAL,
        })
    }

    /// Takes note of what the replica has recorded.
    pub fn observe(&mut self, record: &Record) {
        self.spending.observe(record);
        match record.fact {
            Fact::Taken { .. } => self.linger.on_arrival(record.at),
            Fact::State(Event::BatchSent { .. }) => self.linger.on_flush(record.at),
            // What waited at an earlier leadership of this replica is gone.
            Fact::State(Event::BecameLeader { .. }) => self.linger = Linger::new(self.price_us),
            _ => {}
        }
    }

    /// Whether it is time for a decision.
    pub fn is_due(&self, now: Micros) -> bool {
        now >= self.next_at
    }

    /// What the knobs of `raft` should be, and why, knob by knob. Nothing, if they may stay.
    pub fn decide(&mut self, now: Micros, raft: &Raft) -> Option<(Tuning, Vec<Decision>)> {
        self.next_at = now + INTERVAL;
        let (before, link) = (raft.tuning(), link_of(raft));
        let after = self.wanted(before, link, now, raft.is_leader());
        let is_news = after != *before && after.check().is_ok();
        let kept = if is_news { &after } else { before };
        self.set = [kept.message_price_us, kept.detection_target_us];
        if !is_news {
            return None;
        }
        let decisions = decisions(before, &after, link, now, self.spending.measured());
        Some((after, decisions))
    }

    /// What the knobs should be after `before`.
    fn wanted(&mut self, before: &Tuning, link: Link, now: Micros, leads: bool) -> Tuning {
        let mut after = before.clone();
        self.settle_once(&mut after);
        self.keep_limits(&mut after, now, leads);
        choose_resend(&mut after, link);
        self.choose_fan_out(&mut after, link);
        self.choose_heartbeats(&mut after, before, link, leads);
        self.choose_linger(&mut after, leads);
        after
    }

    /// What is better whatever the load.
    fn settle_once(&self, tuning: &mut Tuning) {
        tuning.heartbeat_always = false;
        tuning.heartbeat_answers = HeartbeatAnswers::Quorum;
        tuning.pre_vote = true;
        tuning.check_quorum = true;
        tuning.batch_most_entries = tuning.batch_most_entries.max(256);
        tuning.shared_acknowledgements = true;
        tuning.eager_commit = false;
        tuning.resend_from = ResendFrom::RoundTrip;
        tuning.silence_is_loss_above_per_mille = 40;
    }

    /// Sets price and detection target so that the profile's limits are kept. A value that somebody
    /// else has set is the profile's own from then on.
    fn keep_limits(&mut self, tuning: &mut Tuning, now: Micros, leads: bool) {
        let found = [tuning.message_price_us, tuning.detection_target_us];
        for (place, value) in found.into_iter().enumerate() {
            if value != self.set[place] {
                self.own[place] = value;
            }
        }
        if leads {
            self.spending.judge(tuning, now);
            let [price_us, target_us] = self.own;
            tuning.message_price_us = self.spending.price_us(price_us);
            tuning.detection_target_us = self.spending.detection_us(target_us);
        }
    }

    /// A chain saves f − 1 messages a batch and takes as many half round trips longer. It does so
    /// under loss too, up to where the core sends directly by itself (rules R16, R32).
    fn choose_fan_out(&mut self, tuning: &mut Tuning, link: Link) {
        let longer = link.round_trip.map_or(0, |trip| trip.0 / 2);
        let is_chain = tuning.fan_out == FanOut::Chain;
        // Each way by a quarter only, so that the choice does not swing.
        let quarters = if is_chain { 5 } else { 3 };
        let pays = longer <= tuning.message_price_us * quarters / 4;
        tuning.fan_out = if pays { FanOut::Chain } else { FanOut::Thrifty };
        tuning.chain_length = 0;
        let spared = if tuning.quorum_spares > 0 { 3 } else { 4 };
        let spares = link.loss_ppm * 4 > MOST_BARE_LOSS_PPM * spared;
        tuning.quorum_spares = u64::from(spares && tuning.fan_out == FanOut::Thrifty);
        let price_us = batch_price_us(tuning, self.count);
        if price_us != self.price_us {
            self.price_us = price_us;
            self.linger.set_price(price_us);
        }
    }

    /// Heartbeats for the detection that is wanted. From where the knobs are, the timeout at most
    /// doubles or halves at once.
    ///
    /// What serves stays while it costs little more than the best would: the measured loss is never
    /// still. Who does not lead knows no loss, and keeps the knobs of the last leader.
    fn choose_heartbeats(&self, tuning: &mut Tuning, before: &Tuning, link: Link, leads: bool) {
        if !leads && before.inquiries > 0 {
            return;
        }
        let now = before.election_timeout_min_us;
        let wanted = tuning.detection_target_us.clamp(now / 2, now * 2);
        let goal = Goal {
            detection: Micros(wanted),
            wrong_elections_per_day: tuning.wrong_elections_per_day,
        };
        let plan = heartbeats::plan(goal, self.count, link, tuning.resend_timeout());
        let kept = plan_of(before);
        let resend_timeout = Micros(before.resend_timeout_us);
        let cost = |plan: &Plan| plan.messages_per_second(self.count, link, resend_timeout);
        let latest = plan.detection(link, resend_timeout).max(goal.detection);
        // A heartbeat may be late by two resends (rule R28), which may have become longer.
        let late = Micros(tuning.resend_timeout_us * 2);
        let stays = tuning.heartbeat_to == HeartbeatTo::Watchers
            && kept.heartbeat_interval + late <= kept.election_timeout_min
            && kept.detection(link, resend_timeout) <= latest
            && kept.is_seldom_wrong(goal, self.count, link)
            && cost(&kept) <= cost(&plan) * MOST_EXTRA_COST;
        if !stays {
            apply(tuning, plan);
        }
    }

    fn choose_linger(&self, tuning: &mut Tuning, leads: bool) {
        if leads {
            let rule = self.linger.rule();
            tuning.linger_us = rule.linger_us;
            tuning.linger_enough_entries = rule.enough;
            tuning.linger_waited_us = rule.waited_us;
        }
    }
}

/// Three round trips are a lost message, and two where much is lost. On long ways the core goes by
/// what it measures of each follower (`resend_from`), and the knob, on which heartbeats are
/// planned, stays small beside the time in which a death is to be noticed.
fn choose_resend(tuning: &mut Tuning, link: Link) {
    let Some(trip) = link.round_trip else {
        return;
    };
    // Each way by a quarter only, so that the choice does not swing.
    let spared = if tuning.resend_timeout_us < LEAST_RESEND_US { 3 } else { 4 };
    let is_lossy = link.loss_ppm * 4 > MOST_PATIENT_LOSS_PPM * spared;
    let (trips, least) =
        if is_lossy { (2, LEAST_RESEND_WHEN_LOSSY_US) } else { (3, LEAST_RESEND_US) };
    let most = (tuning.detection_target_us / RESENDS_IN_DETECTION).max(least);
    let wanted = Micros((trip.0 * trips).clamp(least, most));
    if !is_near(tuning.resend_timeout_us, wanted) {
        tuning.resend_timeout_us = wanted.0;
    }
}

fn is_near(value: u64, wanted: Micros) -> bool {
    value.abs_diff(wanted.0) <= wanted.0 / HYSTERESIS
}

/// The plan that the knobs follow.
fn plan_of(tuning: &Tuning) -> Plan {
    Plan {
        inquiries: tuning.inquiries,
        heartbeat_interval: tuning.heartbeat_interval(),
        election_timeout_min: tuning.election_timeout_min(),
        election_timeout_max: Micros(tuning.election_timeout_max_us),
    }
}

/// Sets the knobs that a plan names, and those that are tied to them (rules R18, R28, R30).
fn apply(tuning: &mut Tuning, plan: Plan) {
    tuning.inquiries = plan.inquiries;
    tuning.heartbeat_to = HeartbeatTo::Watchers;
    tuning.heartbeat_interval_us = plan.heartbeat_interval.0;
    tuning.election_timeout_min_us = plan.election_timeout_min.0;
    tuning.election_timeout_max_us = plan.election_timeout_max.0;
    tuning.promise_us = plan.election_timeout_min.0;
    let least = tuning.lease_margin_us * 2;
    tuning.promise_under_load_us = (tuning.promise_us / 4).max(least).min(tuning.promise_us);
    tuning.probe_interval_us = tuning.heartbeat_interval_us * 4;
    tuning.resend_timeout_us = tuning.resend_timeout_us.min(tuning.heartbeat_interval_us);
}

/// What the leader has measured of its followers: the middle of those that answer.
fn link_of(raft: &Raft) -> Link {
    let mut trips: Vec<Micros> = Vec::new();
    let mut losses: Vec<u64> = Vec::new();
    for follower in raft.followers().filter(|follower| !follower.suspect) {
        trips.extend(follower.round_trip);
        losses.push(follower.loss_ppm);
    }
    Link {
        loss_ppm: middle(losses).unwrap_or(0),
        loss_at_most_ppm: raft.loss_at_most_ppm().unwrap_or(0),
        round_trip: middle(trips),
    }
}

/// The middle one in order of size; of an even number, the larger of two.
fn middle<T: Copy + Ord>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// What a batch costs if nothing is lost, in microseconds of waiting: its messages, each at its
/// price.
fn batch_price_us(tuning: &Tuning, count: usize) -> u64 {
    let (f, others) = (count as u64 / 2, count as u64 - 1);
    let messages = match tuning.fan_out {
        FanOut::Chain => f + 1,
        FanOut::Thrifty => 2 * f,
        FanOut::Star | FanOut::Broadcast => 2 * others,
    };
    messages * tuning.message_price_us
}

/// One decision for each knob that differs.
fn decisions(old: &Tuning, new: &Tuning, link: Link, now: Micros, spent: u64) -> Vec<Decision> {
    let decision = |change: KnobChange| {
        // A controller turns no other knobs.
        let knob: Knob = change.name.parse().ok()?;
        let [before, after] = [&change.before, &change.after].map(|value| knob.to_number(value));
        let reason = knob.reason();
        let measured = match reason {
            Reason::Loss => link.loss_ppm,
            Reason::RoundTrip => link.round_trip.map_or(0, |trip| trip.0),
            Reason::Arrivals => new.message_price_us,
            Reason::Spending => spent,
            Reason::Always => now.0,
        };
        Some(Decision { knob, before, after, reason, measured })
    };
    let mut decisions: Vec<Decision> =
        changed_knobs(old, new).into_iter().filter_map(decision).collect();
    decisions.sort_by_key(|decision| decision.knob as u8);
    decisions
}

#[cfg(test)]
mod tests;
