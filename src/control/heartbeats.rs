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
    /// The share of messages that are lost, in parts per million.
    pub loss_ppm: u64,
    /// How long an answer takes; `None`: nothing is known yet.
    pub round_trip: Option<Micros>,
}

/// What serves the goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How often a leader is asked before it is given up. 0: heartbeats to everyone and promises
    /// do it alone.
    pub inquiries: u64,
    /// The heartbeat interval.
    pub heartbeat_interval: Micros,
    /// The shortest election timeout.
    pub election_timeout_min: Micros,
    /// The longest election timeout.
    pub election_timeout_max: Micros,
}

/// Most inquiries that the core takes.
pub const MOST_INQUIRIES: u64 = 20;
/// The heartbeat interval is no shorter than the goal divided by this.
const MOST_HEARTBEATS: u64 = 32;
const DAY_US: f64 = 86_400e6;

/// `base` to the power of `exponent`, the same on every machine.
fn power(base: f64, exponent: u64) -> f64 {
    (0..exponent).fold(1.0, |product, _| product * base)
}

/// How long an inquiry waits for its answer, as the core does it: a round trip and a half at least,
/// and no less than half a resend timeout.
fn patience(link: Link, resend_timeout: Micros) -> Micros {
    let measured = link.round_trip.map(|trip| Micros(trip.0 * 2));
    measured.unwrap_or(resend_timeout).max(Micros(resend_timeout.0 / 2))
}

/// The plan with the fewest messages for a cluster of `count`. The core's resend timeout is the
/// wait for an answer while no round trip is known.
pub fn plan(goal: Goal, count: usize, link: Link, resend_timeout: Micros) -> Plan {
    let asking = (1..=MOST_INQUIRIES)
        .filter_map(|inquiries| with_inquiries(goal, count, link, resend_timeout, inquiries));
    let asking = asking.map(|plan| (asked_messages_per_second(plan, count, link), plan));
    let silent =
        (2..=MOST_HEARTBEATS).find_map(|beats| without_inquiries(goal, count, link, beats));
    let silent = silent.map(|plan| {
        let seconds = plan.heartbeat_interval.as_seconds();
        ((count - 1 + count / 2) as f64 / seconds, plan)
    });
    let best = asking.chain(silent).min_by(|one, other| one.0.total_cmp(&other.0));
    best.map_or_else(|| most_careful(goal), |(_, plan)| plan)
}

/// The plan that asks so often, if it keeps the goal. Suspicion, the follower's own inquiries and
/// those of the members that it asks for pre-votes follow each other within the goal's time.
fn with_inquiries(
    goal: Goal,
    count: usize,
    link: Link,
    resend_timeout: Micros,
    inquiries: u64,
) -> Option<Plan> {
    let asking = Micros(patience(link, resend_timeout).0 * inquiries * 2);
    let least = goal.detection.0 / MOST_HEARTBEATS;
    // The timeout is spread by a sixteenth, and covers a heartbeat that is late by two resends.
    let timeout = goal.detection.since(asking).0 * 16 / 17;
    let interval = timeout.checked_sub(resend_timeout.0 * 2)?;
    let plan = Plan {
        inquiries,
        heartbeat_interval: Micros(interval),
        election_timeout_min: Micros(timeout),
        election_timeout_max: Micros(timeout + (timeout / 16).max(1_000)),
    };
    let wrong = suspicions(count, link) * unanswered(link, inquiries, count / 2 + 1);
    let per_day = DAY_US / plan.heartbeat_interval.0.max(1) as f64 * wrong;
    (interval >= least.max(1_000) && per_day <= goal.wrong_elections_per_day as f64).then_some(plan)
}

/// How many watchers suspect the leader after an interval, on average: the heartbeat passes them in
/// a chain.
fn suspicions(count: usize, link: Link) -> f64 {
    let arrives = 1.0 - link.loss_ppm as f64 / 1e6;
    (1..=count as u64 / 2).map(|hop| 1.0 - power(arrives, hop)).sum()
}

/// How likely `members` members get no answer to any of their inquiries.
fn unanswered(link: Link, inquiries: u64, members: usize) -> f64 {
    let arrives = 1.0 - link.loss_ppm as f64 / 1e6;
    power(1.0 - arrives * arrives, inquiries * members as u64)
}

/// What a plan with inquiries costs, heartbeats and inquiries with their answers.
fn asked_messages_per_second(plan: Plan, count: usize, link: Link) -> f64 {
    let arrives = 1.0 - link.loss_ppm as f64 / 1e6;
    let answered = arrives * arrives;
    let tries: f64 = (0..plan.inquiries).map(|tried| power(1.0 - answered, tried)).sum();
    let asked = suspicions(count, link) * tries * (1.0 + arrives);
    ((count / 2 + 1) as f64 + asked) / plan.heartbeat_interval.as_seconds()
}

/// The plan with so many heartbeats to everyone in a timeout and no questions, if it keeps the
/// goal. A wrong election needs one follower that misses all of them and f others that miss one
/// less, so that their promises have run out.
fn without_inquiries(goal: Goal, count: usize, link: Link, beats: u64) -> Option<Plan> {
    let loss = link.loss_ppm as f64 / 1e6;
    let transit = link.round_trip.map_or(0, |trip| trip.0 / 2);
    let timeout = goal.detection.0.checked_sub(transit)? * 16 / 17;
    let interval = timeout / beats;
    let first = power(loss, beats) * (count - 1) as f64;
    let others = power(power(loss, beats - 1) * (count - 2) as f64, count as u64 / 2);
    let per_day = DAY_US / interval.max(1) as f64 * first * others;
    let plan = Plan {
        inquiries: 0,
        heartbeat_interval: Micros(interval),
        election_timeout_min: Micros(timeout),
        election_timeout_max: Micros(timeout + (timeout / 16).max(1_000)),
    };
    (interval >= 1_000 && per_day <= goal.wrong_elections_per_day as f64).then_some(plan)
}

/// Where nothing keeps the goal: many heartbeats, and questions too.
fn most_careful(goal: Goal) -> Plan {
    let timeout = goal.detection.0 * 16 / 17;
    Plan {
        inquiries: MOST_INQUIRIES,
        heartbeat_interval: Micros(timeout / MOST_HEARTBEATS),
        election_timeout_min: Micros(timeout),
        election_timeout_max: Micros(timeout + (timeout / 16).max(1_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Goal = Goal { detection: Micros(1_300_000), wrong_elections_per_day: 1 };

    fn planned(loss_percent: u64, round_trip_us: u64) -> Plan {
        let link =
            Link { loss_ppm: loss_percent * 10_000, round_trip: Some(Micros(round_trip_us)) };
        plan(GOAL, 5, link, Micros(3_000))
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

    /// On long ways questions take too long, and heartbeats do it alone: as many as the issue of
    /// quorum suspicion needs (two at 10 % loss, four at 30).
    #[test]
    fn on_a_long_way_with_loss_heartbeats_come_more_often() {
        for (loss, beats) in [(10, 4), (30, 6), (40, 8)] {
            let plan = planned(loss, 200_000);
            let most = plan.election_timeout_min.0 / plan.heartbeat_interval.0;
            assert!(most <= beats, "{loss} %: {plan:?}");
        }
    }

    #[test]
    fn more_wrong_elections_allow_fewer_messages() {
        let link = Link { loss_ppm: 300_000, round_trip: Some(Micros(50_000)) };
        let cost = |wrong_elections_per_day| {
            let plan = plan(Goal { wrong_elections_per_day, ..GOAL }, 5, link, Micros(3_000));
            asked_messages_per_second(plan, 5, link)
        };
        assert!(cost(1_000) <= cost(1), "{} {}", cost(1_000), cost(1));
    }
}
