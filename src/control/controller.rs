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
const MOST_EXTRA_COST: f64 = 1.25;
/// A resend timeout is no shorter, in microseconds: a busy process answers no sooner.
const LEAST_RESEND_US: u64 = 3_000;
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
        let mut after = before.clone();
        self.settle_once(&mut after);
        self.keep_limits(&mut after, now, raft.is_leader());
        choose_resend(&mut after, link);
        self.choose_fan_out(&mut after, link);
        self.choose_heartbeats(&mut after, before, link, raft.is_leader());
        self.choose_linger(&mut after, raft.is_leader());
        let is_news = after != *before && after.check().is_ok();
        let kept = if is_news { &after } else { before };
        self.set = [kept.message_price_us, kept.detection_target_us];
        if !is_news {
            return None;
        }
        let decisions = decisions(before, &after, link, now, self.spending.measured());
        Some((after, decisions))
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
        let stays = tuning.heartbeat_to == HeartbeatTo::Watchers
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

/// Three round trips are a lost message. On long ways the core goes by what it measures of each
/// follower (`resend_from`), and the knob, on which heartbeats are planned, stays small beside the
/// time in which a death is to be noticed.
fn choose_resend(tuning: &mut Tuning, link: Link) {
    let Some(trip) = link.round_trip else {
        return;
    };
    let most = (tuning.detection_target_us / RESENDS_IN_DETECTION).max(LEAST_RESEND_US);
    let wanted = Micros((trip.0 * 3).clamp(LEAST_RESEND_US, most));
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
mod tests {
    use super::*;
    use crate::interface::Address;
    use crate::raft::{Cause, Disposition, Kind, Member, Why};

    /// The knobs of the profile `adaptive`, with a message that costs 1,000 µs.
    fn adaptive() -> Tuning {
        let tuning = crate::tuning_file::load("adaptive").unwrap().tuning;
        Tuning { message_price_us: 1_000, detection_target_us: 1_300_000, ..tuning }
    }

    fn link(round_trip_us: u64, loss_ppm: u64) -> Link {
        let round_trip = Some(Micros(round_trip_us));
        Link { loss_ppm, loss_at_most_ppm: loss_ppm, round_trip }
    }

    #[test]
    fn a_batch_costs_its_messages() {
        let price = |fan_out| batch_price_us(&Tuning { fan_out, ..adaptive() }, 5);
        assert_eq!(price(FanOut::Chain), 3_000, "two hops and the answer");
        assert_eq!(price(FanOut::Thrifty), 4_000, "there and back for two");
        assert_eq!([FanOut::Star, FanOut::Broadcast].map(price), [8_000; 2]);
    }

    #[test]
    fn a_chain_is_chosen_where_it_delays_less_than_a_message_costs_with_a_quarter_of_play() {
        let choose = |fan_out, round_trip_us| {
            let mut tuning = Tuning { fan_out, ..adaptive() };
            let mut controller = Controller::new(&tuning, 5, Micros(0)).unwrap();
            controller.choose_fan_out(&mut tuning, link(round_trip_us, 0));
            assert_eq!(controller.price_us, batch_price_us(&tuning, 5));
            (tuning.fan_out, tuning.quorum_spares)
        };
        assert_eq!(choose(FanOut::Thrifty, 1_501), (FanOut::Chain, 0));
        assert_eq!(choose(FanOut::Thrifty, 1_502), (FanOut::Thrifty, 0));
        assert_eq!(choose(FanOut::Chain, 2_501), (FanOut::Chain, 0));
        assert_eq!(choose(FanOut::Chain, 2_502), (FanOut::Thrifty, 0));
    }

    #[test]
    fn one_more_than_a_quorum_gets_a_batch_where_much_is_lost_but_never_in_a_chain() {
        let spares = |quorum_spares, round_trip_us, loss_ppm| {
            let mut tuning = Tuning { fan_out: FanOut::Thrifty, quorum_spares, ..adaptive() };
            let mut controller = Controller::new(&tuning, 5, Micros(0)).unwrap();
            controller.choose_fan_out(&mut tuning, link(round_trip_us, loss_ppm));
            tuning.quorum_spares
        };
        assert_eq!(spares(0, 10_000, MOST_BARE_LOSS_PPM), 0);
        assert_eq!(spares(0, 10_000, MOST_BARE_LOSS_PPM + 1), 1);
        assert_eq!(spares(1, 10_000, MOST_BARE_LOSS_PPM * 3 / 4 + 1), 1);
        assert_eq!(spares(1, 10_000, MOST_BARE_LOSS_PPM * 3 / 4), 0);
        assert_eq!(spares(1, 1_000, 500_000), 0, "a chain");
    }

    #[test]
    fn a_resend_timeout_is_three_round_trips_and_stays_while_it_is_near() {
        let chosen = |resend_timeout_us, round_trip_us| {
            let mut tuning = Tuning { resend_timeout_us, ..adaptive() };
            choose_resend(&mut tuning, link(round_trip_us, 0));
            tuning.resend_timeout_us
        };
        assert_eq!(chosen(20_000, 2_000), 6_000);
        assert_eq!([chosen(5_250, 2_000), chosen(5_249, 2_000)], [5_250, 6_000]);
        assert_eq!([chosen(6_750, 2_000), chosen(6_751, 2_000)], [6_750, 6_000]);
        assert_eq!(chosen(20_000, 100), LEAST_RESEND_US);
        assert_eq!(chosen(3_000, 900_000), 1_300_000 / RESENDS_IN_DETECTION);
    }

    #[test]
    fn what_is_tied_to_a_plan_follows_it() {
        let plan = Plan {
            inquiries: 3,
            heartbeat_interval: Micros(900_000),
            election_timeout_min: Micros(1_000_000),
            election_timeout_max: Micros(1_100_000),
        };
        let tied = |lease_margin_us, resend_timeout_us| {
            let mut tuning = Tuning { lease_margin_us, resend_timeout_us, ..adaptive() };
            apply(&mut tuning, plan);
            assert_eq!(plan_of(&tuning), plan);
            assert_eq!((tuning.promise_us, tuning.probe_interval_us), (1_000_000, 3_600_000));
            (tuning.promise_under_load_us, tuning.resend_timeout_us)
        };
        assert_eq!(tied(50_000, 3_000), (250_000, 3_000), "a quarter of the promise");
        assert_eq!(tied(200_000, 950_000), (400_000, 900_000), "no less than two margins");
        assert_eq!(tied(600_000, 3_000).0, 1_000_000, "no more than the promise");
    }

    #[test]
    fn the_middle_of_measurements_is_not_moved_by_one_that_is_far_off() {
        assert_eq!(middle(vec![9, 1, 5, 1_000]), Some(9));
        assert_eq!(middle(vec![9, 1, 5, 7, 1_000]), Some(7));
        assert_eq!(middle::<u64>(Vec::new()), None);
    }

    #[test]
    fn a_batch_of_seven_replicas_costs_its_messages_too() {
        let price = |fan_out| batch_price_us(&Tuning { fan_out, ..adaptive() }, 7);
        assert_eq!(
            [FanOut::Chain, FanOut::Thrifty, FanOut::Star].map(price),
            [4_000, 6_000, 12_000]
        );
    }

    fn controller(tuning: &Tuning) -> Controller {
        Controller::new(tuning, 5, Micros(0)).unwrap()
    }

    /// A core whose knobs are its controller's own: a decision leaves them as they are.
    fn settled() -> (Raft, Controller) {
        let raft = |tuning| Raft::new(Member(0), 5, tuning, 1, Micros(0));
        let mut tuning = adaptive();
        for _ in 0..20 {
            match controller(&tuning).decide(INTERVAL, &raft(tuning.clone())) {
                Some((better, _)) => tuning = better,
                None => break,
            }
        }
        (raft(tuning.clone()), controller(&tuning))
    }

    #[test]
    fn decisions_are_an_interval_apart_and_none_is_told_where_nothing_changes() {
        let (raft, mut controller) = settled();
        assert!(!controller.is_due(INTERVAL - Micros(1)) && controller.is_due(INTERVAL));
        assert_eq!(controller.decide(INTERVAL, &raft), None);
        let later = INTERVAL + INTERVAL;
        assert!(!controller.is_due(later - Micros(1)) && controller.is_due(later));
    }

    #[test]
    fn knobs_that_no_core_would_take_are_not_decided() {
        let (raft, mut controller) = settled();
        let mut tuning = raft.tuning().clone();
        (tuning.heartbeat_always, tuning.lease_margin_us) = (true, tuning.promise_us);
        let raft = Raft::new(Member(0), 5, tuning, 1, Micros(0));
        assert!(raft.tuning().check().is_err());
        assert_eq!(controller.decide(INTERVAL, &raft), None);
    }

    #[test]
    fn a_price_that_somebody_else_has_set_is_the_profiles_own_from_then_on() {
        let strict = Tuning { most_idle_messages_per_minute: 1, ..adaptive() };
        let mut controller = controller(&strict);
        let mut keep = |target_us, seconds, leads| {
            let mut tuning = Tuning { detection_target_us: target_us, ..strict.clone() };
            let fact = Fact::Received {
                from: Member(1),
                number: 1,
                kind: Kind::AppendReply,
                why: Why::Ack(Cause::Heartbeat),
                term: 1,
                disposition: Disposition::Accepted,
            };
            controller.observe(&Record { at: Micros(0), source: Member(0), fact });
            controller.keep_limits(&mut tuning, Micros::from_seconds(seconds), leads);
            controller.set = [tuning.message_price_us, tuning.detection_target_us];
            tuning.detection_target_us
        };
        assert_eq!(keep(1_300_000, 5, true), 1_625_000, "a quarter more");
        assert_eq!(keep(1_625_000, 6, true), 1_625_000, "what it has set itself");
        assert_eq!(keep(1_625_000, 7, false), 1_625_000, "who does not lead leaves it");
        assert_eq!(keep(2_000_000, 8, true), 2_500_000, "a quarter more than the new one");
    }

    #[test]
    fn a_leader_takes_the_rule_that_its_arrivals_ask_for_and_a_new_one_begins_anew() {
        let mut controller = controller(&adaptive());
        let record = |at, fact| Record { at: Micros(at), source: Member(0), fact };
        let taken =
            |number| Fact::Taken { client: Address(9), request: number, index: number, term: 1 };
        // Four puts within 30 µs, again and again.
        for burst in 1..200 {
            for put in 0..4 {
                let at = burst * 100_000 + put * 10;
                controller.observe(&record(at, taken(burst * 4 + put)));
            }
            let sent = Event::BatchSent { first: burst * 4, last: burst * 4 + 3 };
            controller.observe(&record(burst * 100_000 + 30, Fact::State(sent)));
        }
        let chosen = |controller: &Controller, leads| {
            let mut tuning = Tuning { linger_us: 7, linger_enough_entries: 7, ..adaptive() };
            controller.choose_linger(&mut tuning, leads);
            (tuning.linger_us, tuning.linger_enough_entries)
        };
        let (linger_us, enough) = chosen(&controller, true);
        assert!(linger_us >= 30 && enough == 4, "{linger_us} {enough}");
        assert_eq!(chosen(&controller, false), (7, 7));
        let elected = Event::BecameLeader { term: 2, heard_commit: 0, opened: 1 };
        controller.observe(&record(30_000_000, Fact::State(elected)));
        assert_eq!(chosen(&controller, true), (0, 0));
    }

    /// What heartbeats become, from the plan that serves best with `change`.
    fn heartbeats_after(change: impl Fn(&mut Tuning), target_us: u64, leads: bool) -> Tuning {
        let mut before = adaptive();
        let goal = Goal { detection: Micros(1_300_000), wrong_elections_per_day: 1 };
        before.wrong_elections_per_day = 1;
        let plan = heartbeats::plan(goal, 5, link(500, 0), before.resend_timeout());
        apply(&mut before, plan);
        change(&mut before);
        let mut after = Tuning { detection_target_us: target_us, ..before.clone() };
        controller(&before).choose_heartbeats(&mut after, &before, link(500, 0), leads);
        after
    }

    #[test]
    fn heartbeats_that_serve_stay_while_the_best_would_cost_little_less() {
        let best = heartbeats_after(|_| {}, 1_300_000, true).heartbeat_interval_us;
        let after = |percent: u64| {
            let change = |tuning: &mut Tuning| tuning.heartbeat_interval_us = best * percent / 100;
            heartbeats_after(change, 1_300_000, true).heartbeat_interval_us
        };
        assert_eq!(after(85), best * 85 / 100);
        assert_eq!(after(75), best);
        let to_everyone = |tuning: &mut Tuning| {
            tuning.heartbeat_to = HeartbeatTo::Everyone;
            tuning.heartbeat_interval_us = best * 85 / 100;
        };
        let after = heartbeats_after(to_everyone, 1_300_000, true);
        assert_eq!(
            (after.heartbeat_to, after.heartbeat_interval_us),
            (HeartbeatTo::Watchers, best)
        );
    }

    #[test]
    fn a_timeout_at_most_doubles_or_halves_at_once() {
        let before = heartbeats_after(|_| {}, 1_300_000, true).election_timeout_min_us;
        let timeout_us = |target_us| {
            let after = heartbeats_after(|_| {}, target_us, true);
            after.election_timeout_max_us
        };
        let [halved, doubled] = [timeout_us(100_000), timeout_us(60_000_000)];
        assert!((before * 45 / 100..=before / 2).contains(&halved), "{halved} of {before}");
        assert!((before * 19 / 10..=before * 2).contains(&doubled), "{doubled} of {before}");
    }

    #[test]
    fn who_does_not_lead_keeps_the_heartbeats_of_the_last_leader_unless_there_were_none() {
        let after = |inquiries| {
            let change = |tuning: &mut Tuning| {
                (tuning.inquiries, tuning.heartbeat_to) = (inquiries, HeartbeatTo::Everyone);
            };
            heartbeats_after(change, 1_300_000, false).heartbeat_to
        };
        assert_eq!(after(1), HeartbeatTo::Everyone);
        assert_eq!(after(0), HeartbeatTo::Watchers);
    }
}
