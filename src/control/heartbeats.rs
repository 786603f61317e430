//! How few heartbeats notice a dead leader in time, without deposing one that lives.
//!
//! The base is the procedure of Chen, Toueg and Aguilera (*On the Quality of Service of Failure
//! Detectors*, IEEE Transactions on Computers 51(5), 2002): from the loss of messages and the time
//! in which a death must be noticed follows how many heartbeats must fit into that time, so that
//! wrong suspicions are rare enough. What differs here is who decides. A follower that suspects
//! its leader asks it, and so does each that it asks for a pre-vote (rule R28). An election is
//! wrong only if f + 1 followers at once get no answer. That is so rare that one lost heartbeat may
//! raise a suspicion, and questions, which are asked only then, do what heartbeats did.

use crate::raft::Micros;
use crate::raft::tuning::{LEAST_INQUIRY_TIMEOUT, MOST_INQUIRIES, inquiries_take, inquiry_gap};

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// A dead leader is given up within this time.
    pub detection: Micros,
    /// At most so many elections a day while the leader lives.
    pub wrong_elections_per_day: u64,
}

/// What is known of the links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The share of messages that were lost lately, in parts per million.
    pub loss_ppm: u64,
    /// What that share is at most, as far as can be told.
    pub loss_at_most_ppm: u64,
    /// How long an answer takes; `None`: nothing is known yet.
    pub round_trip: Option<Micros>,
}

impl Link {
    /// How likely a message arrives, at least.
    fn arrives(self) -> f64 {
        1.0 - self.loss_at_most_ppm as f64 / 1e6
    }
}

/// What serves the goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How often a leader is asked before it is given up.
    pub inquiries: u64,
    /// The heartbeat interval.
    pub heartbeat_interval: Micros,
    /// The shortest election timeout.
    pub election_timeout_min: Micros,
    /// The longest election timeout.
    pub election_timeout_max: Micros,
}

const DAY_US: f64 = 86_400e6;

/// A few milliseconds are not worth a message: plans that are late by the same one of so many parts
/// of the goal are chosen by their cost.
const PARTS_OF_LATENESS: u64 = 64;

/// `base` to the power of `exponent`, the same on every machine.
fn power(base: f64, exponent: u64) -> f64 {
    (0..exponent).fold(1.0, |product, _| product * base)
}

/// How long the last inquiry waits for its answer, as the core does it: a round trip and a half at
/// least, no less than half a resend timeout, and what a busy leader needs.
fn patience(link: Link, resend_timeout: Micros) -> Micros {
    let measured = link.round_trip.map(|trip| Micros(trip.0 * 3 / 2));
    measured.unwrap_or(resend_timeout).max(Micros(resend_timeout.0 / 2)).max(LEAST_INQUIRY_TIMEOUT)
}

/// The plan with the fewest messages for a cluster of `count`, of those that serve the goal. Where
/// none does, wrong elections stay rare and a death is noticed later. The core's resend timeout is
/// the wait for an answer while no round trip is known.
pub fn plan(goal: Goal, count: usize, link: Link, resend_timeout: Micros) -> Plan {
    let plans = (1..=MOST_INQUIRIES).map(|inquiries| asking(goal, link, resend_timeout, inquiries));
    let rare = plans.filter(|plan| plan.is_seldom_wrong(goal, count, link));
    let late = |plan: &Plan| {
        let late_us = plan.detection(link, resend_timeout).since(goal.detection).0;
        late_us * PARTS_OF_LATENESS / goal.detection.0.max(1)
    };
    let cost = |plan: &Plan| plan.messages_per_second(count, link, resend_timeout);
    let rated = rare.map(|plan| (late(&plan), cost(&plan), plan));
    let best = rated.min_by(|(late, cost, _), (other_late, other_cost, _)| {
        late.cmp(other_late).then(cost.total_cmp(other_cost))
    });
    let most = || asking(goal, link, resend_timeout, MOST_INQUIRIES);
    best.map_or_else(most, |(_, _, plan)| plan)
}

/// The plan that asks so often: suspicion and the follower's own inquiries follow each other within
/// the goal's time, if they can. A leader that has lost an answer or two must still hear from its
/// quorum within an election timeout, so that is four round trips at least.
fn asking(goal: Goal, link: Link, resend_timeout: Micros, inquiries: u64) -> Plan {
    let asking = asking_time(link, resend_timeout, inquiries);
    let trips = link.round_trip.map_or(0, |trip| trip.0 * 4);
    // The timeout is spread by a sixteenth, and covers a heartbeat that is late by two resends.
    let least = trips.max(goal.detection.0 / 4).max(resend_timeout.0 * 4);
    let timeout = (goal.detection.since(asking).0 * 16 / 17).max(least);
    Plan {
        inquiries,
        heartbeat_interval: Micros(timeout - resend_timeout.0 * 2),
        election_timeout_min: Micros(timeout),
        election_timeout_max: Micros(timeout + (timeout / 16).max(1_000)),
    }
}

/// How long so many inquiries take until the last one counts as unanswered.
fn asking_time(link: Link, resend_timeout: Micros, inquiries: u64) -> Micros {
    inquiries_take(patience(link, resend_timeout), inquiries)
}

impl Plan {
    /// Whether wrong elections are as rare as the goal wants.
    pub fn is_seldom_wrong(&self, goal: Goal, count: usize, link: Link) -> bool {
        let wrong = suspicions(count, link) * unanswered(link, self.inquiries, count / 2 + 1);
        let per_day = DAY_US / self.heartbeat_interval.0.max(1) as f64 * wrong;
        per_day <= goal.wrong_elections_per_day as f64
    }

    /// After which time a dead leader is given up, at the latest.
    pub fn detection(&self, link: Link, resend_timeout: Micros) -> Micros {
        self.election_timeout_max + asking_time(link, resend_timeout, self.inquiries)
    }

    /// What the plan costs: heartbeats with their answers, inquiries with theirs.
    pub fn messages_per_second(&self, count: usize, link: Link, resend_timeout: Micros) -> f64 {
        let asked = asked_messages(*self, count, link, resend_timeout);
        ((count / 2 + 1) as f64 + asked) / self.heartbeat_interval.as_seconds()
    }
}

/// How many watchers suspect the leader after an interval, on average: the heartbeat passes them in
/// a chain.
fn suspicions(count: usize, link: Link) -> f64 {
    let arrives = link.arrives();
    (1..=count as u64 / 2).map(|hop| 1.0 - power(arrives, hop)).sum()
}

/// How likely `members` members get no answer to any of their inquiries.
fn unanswered(link: Link, inquiries: u64, members: usize) -> f64 {
    let arrives = link.arrives();
    power(1.0 - arrives * arrives, inquiries * members as u64)
}

/// How many inquiries and answers there are after a heartbeat, on average.
fn asked_messages(plan: Plan, count: usize, link: Link, resend_timeout: Micros) -> f64 {
    let arrives = link.arrives();
    let answered = arrives * arrives;
    let patience = patience(link, resend_timeout);
    let trip = link.round_trip.unwrap_or(patience);
    let gap = |asked| inquiry_gap(patience, plan.inquiries, asked);
    // The first question whose answer cannot be there yet, when it left, and how likely all before
    // it got none.
    let (mut waiting, mut left_at, mut silent) = (1, Micros(0), 1.0);
    let (mut now, mut tries) = (Micros(0), 1.0);
    for asked in 1..plan.inquiries {
        now += gap(asked);
        while waiting <= asked && left_at + trip <= now {
            silent *= 1.0 - answered;
            left_at += gap(waiting);
            waiting += 1;
        }
        // It leaves only if none of those that could be answered by now was.
        tries += silent;
    }
    suspicions(count, link) * tries * (1.0 + arrives)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Goal = Goal { detection: Micros(1_300_000), wrong_elections_per_day: 1 };

    fn link(loss_ppm: u64, round_trip_us: u64) -> Link {
        let round_trip = Some(Micros(round_trip_us));
        Link { loss_ppm, loss_at_most_ppm: loss_ppm, round_trip }
    }

    fn planned(loss_percent: u64, round_trip_us: u64) -> Plan {
        plan(GOAL, 5, link(loss_percent * 10_000, round_trip_us), Micros(3_000))
    }

    #[test]
    fn a_good_network_needs_one_heartbeat_in_a_timeout_and_a_bad_one_more_questions() {
        let good = planned(0, 500);
        assert_eq!(good.inquiries, 1);
        assert!(good.heartbeat_interval > Micros(1_180_000), "{good:?}");
        let bad = planned(30, 500);
        assert!((3..=8).contains(&bad.inquiries), "{bad:?}");
        assert!(bad.heartbeat_interval > Micros(1_100_000), "{bad:?}");
    }

    /// On a long way with loss the goal cannot be kept with rare wrong elections. A death is then
    /// noticed later, and heartbeats do not come more often than they must.
    #[test]
    fn on_a_long_way_with_loss_a_death_is_noticed_a_little_later() {
        for (loss, latest) in [(0, 1_310), (10, 1_450), (20, 1_900), (30, 2_400)] {
            let plan = planned(loss, 200_000);
            let detection = plan.detection(link(loss * 10_000, 200_000), Micros(3_000));
            assert!(detection <= Micros(latest * 1_000), "{loss} %: {detection} {plan:?}");
            assert!(plan.heartbeat_interval >= Micros(790_000), "{plan:?}");
        }
    }

    /// Of the plans that are late by the same 64th of the goal, the one that costs least.
    #[test]
    fn a_plan_is_cheap_among_those_that_are_as_late() {
        for loss in [10, 20, 30, 40] {
            let (long, resend_timeout) = (link(loss * 10_000, 200_000), Micros(3_000));
            let plans = (1..=MOST_INQUIRIES).map(|times| asking(GOAL, long, resend_timeout, times));
            let rare: Vec<Plan> =
                plans.filter(|plan| plan.is_seldom_wrong(GOAL, 3, long)).collect();
            let late = |plan: &Plan| plan.detection(long, resend_timeout).since(GOAL.detection).0;
            let cost = |plan: &Plan| plan.messages_per_second(3, long, resend_timeout);
            let part = GOAL.detection.0 / PARTS_OF_LATENESS;
            let earliest = rare.iter().map(|plan| late(plan) / part).min().expect("a plan");
            let as_early = rare.iter().filter(|plan| late(plan) / part == earliest);
            let cheapest = as_early.map(cost).fold(f64::INFINITY, f64::min);
            let chosen = plan(GOAL, 3, long, resend_timeout);
            assert_eq!(late(&chosen) / part, earliest, "{loss} %");
            is_near(cost(&chosen), cheapest);
        }
    }

    fn is_near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9 * expected.abs(), "{value} {expected}");
    }

    /// Five members, of which two watch; a tenth of all messages is lost.
    #[test]
    fn suspicions_and_silence_are_as_likely_as_their_products_say() {
        let lossy = link(100_000, 500);
        is_near(suspicions(5, lossy), 0.1 + (1.0 - 0.9 * 0.9));
        is_near(unanswered(lossy, 2, 3), 0.19f64.powi(6));
        // The second question goes only if there was no answer to the first.
        let plan = asking(GOAL, lossy, Micros(3_000), 2);
        is_near(asked_messages(plan, 5, lossy, Micros(3_000)), 0.29 * 1.19 * 1.9);
        let each = 3.0 + 0.29 * 1.19 * 1.9;
        let interval = plan.heartbeat_interval.as_seconds();
        is_near(plan.messages_per_second(5, lossy, Micros(3_000)), each / interval);
    }

    /// An answer takes 60 ms. The last question waits for 90 ms, and the second leaves after 63 ms,
    /// when the first may have been answered; the others follow before it can be answered itself.
    #[test]
    fn on_a_long_way_several_questions_leave_before_an_answer_can_come() {
        let long = link(100_000, 60_000);
        assert_eq!(patience(long, Micros(3_000)), Micros(90_000));
        assert_eq!(asking_time(long, Micros(3_000), 4), Micros(90_000 + 63_000 + 2 * 5_625));
        let plan = asking(GOAL, long, Micros(3_000), 4);
        is_near(asked_messages(plan, 5, long, Micros(3_000)), 0.29 * (1.0 + 3.0 * 0.19) * 1.9);
        let near = link(100_000, 500);
        assert_eq!(patience(near, Micros(3_000)), Micros(1_500), "half a resend timeout");
        let unknown = Link { round_trip: None, ..near };
        assert_eq!(patience(unknown, Micros(3_000)), Micros(3_000));
    }

    #[test]
    fn a_plan_shares_the_goal_between_suspicion_and_questions() {
        let plan = asking(GOAL, link(0, 60_000), Micros(3_000), 2);
        // 90 ms and a gap are for questions; the timeout is spread by a sixteenth.
        let timeout = (1_300_000 - 112_500) * 16 / 17;
        assert_eq!(plan.election_timeout_min, Micros(timeout));
        assert_eq!(plan.election_timeout_max, Micros(timeout + timeout / 16));
        assert_eq!(plan.heartbeat_interval, Micros(timeout - 6_000));
        let detection = plan.detection(link(0, 60_000), Micros(3_000));
        assert_eq!(detection, Micros(timeout + timeout / 16 + 112_500));
        assert!(detection <= GOAL.detection);
        // On a long way it is four round trips, whatever the goal.
        let slow = asking(GOAL, link(0, 700_000), Micros(3_000), 2);
        assert_eq!(slow.election_timeout_min, Micros(2_800_000));
        // It is four resends at least, and a quarter of the goal if questions take all of it.
        let seldom = asking(GOAL, link(0, 500), Micros(400_000), 2);
        assert_eq!(seldom.election_timeout_min, Micros(1_600_000));
        let soon = Goal { detection: Micros(80_000), ..GOAL };
        let often = asking(soon, link(0, 2_000), Micros(3_000), 20);
        assert_eq!(often.election_timeout_min, Micros(20_000));
    }

    #[test]
    fn a_plan_is_seldom_wrong_up_to_the_elections_of_a_day_that_are_allowed() {
        let lossy = link(300_000, 500);
        let plan = asking(GOAL, lossy, Micros(3_000), 1);
        let a_day = 86_400.0 / plan.heartbeat_interval.as_seconds();
        let wrong = a_day * (0.3 + 0.51) * 0.51f64.powi(3);
        let allowed = |wrong_elections_per_day| {
            plan.is_seldom_wrong(Goal { wrong_elections_per_day, ..GOAL }, 5, lossy)
        };
        assert!(allowed(wrong.ceil() as u64) && !allowed(wrong.floor() as u64), "{wrong}");
    }

    #[test]
    fn more_wrong_elections_allow_fewer_messages() {
        let link = link(300_000, 50_000);
        let cost = |wrong_elections_per_day| {
            let plan = plan(Goal { wrong_elections_per_day, ..GOAL }, 5, link, Micros(3_000));
            plan.messages_per_second(5, link, Micros(3_000))
        };
        assert!(cost(1_000) <= cost(1), "{} {}", cost(1_000), cost(1));
    }
}
