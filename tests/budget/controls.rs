//! Each finding must fire on runs that have the flaw by construction, at three magnitudes on ten
//! seeds, and must not fire on runs without the flaw.

use laconic::budget::Limits;
use laconic::raft::tuning::{FanOut, HeartbeatAnswers, Reads};
use laconic::raft::{Micros, Tuning};
use laconic::sim::scenario::{Event, EventKind, Scenario};

use crate::{analysed, finding, is_found, scenario, seconds, tuning};

/// A run that a test does.
struct Case {
    scenario: Scenario,
    tuning: Tuning,
    precise: bool,
}

/// The profile `fast` on the scenario simple-2: direct sends, and everyone hears heartbeats.
fn plain() -> Case {
    Case { scenario: scenario("simple-2"), tuning: tuning("fast"), precise: false }
}

fn tuned(change: impl FnOnce(&mut Tuning)) -> Case {
    let mut case = plain();
    change(&mut case.tuning);
    case.tuning.check().unwrap();
    case
}

fn asked(change: impl FnOnce(&mut Scenario)) -> Case {
    let mut case = plain();
    change(&mut case.scenario);
    case.scenario.max_packets = 900_000;
    case
}

fn assert_controls<const N: usize>(name: &str, flawed: [Case; N], sound: Vec<Case>) {
    for (magnitude, case) in flawed.iter().enumerate() {
        for seed in 1..=10 {
            let report = analysed(&case.scenario, &case.tuning, case.precise, seed).report;
            let found = is_found(&report, name);
            let what = finding(&report, name);
            assert!(found, "{name} is silent on magnitude {magnitude}, seed {seed}: {what:?}");
        }
    }
    for (place, case) in sound.iter().enumerate() {
        for seed in 1..=10 {
            let report = analysed(&case.scenario, &case.tuning, case.precise, seed).report;
            let what = finding(&report, name);
            assert!(!is_found(&report, name), "{name} fires on {place}, seed {seed}: {what:?}");
        }
    }
}

#[test]
fn needless_heartbeats() {
    let always = |interval_us| {
        tuned(|tuning| {
            tuning.heartbeat_always = true;
            tuning.heartbeat_interval_us = interval_us;
        })
    };
    let flawed = [150_000, 250_000, 400_000].map(always);
    assert_controls("needless_heartbeats", flawed, vec![plain()]);
}

#[test]
fn frequent_heartbeats() {
    let flawed = [20_000, 50_000, 100_000]
        .map(|interval_us| tuned(|tuning| tuning.heartbeat_interval_us = interval_us));
    assert_controls("frequent_heartbeats", flawed, vec![plain()]);
}

#[test]
fn surplus_answers() {
    let everyone = |interval_us| {
        tuned(|tuning| {
            tuning.heartbeat_answers = HeartbeatAnswers::Everyone;
            tuning.heartbeat_interval_us = interval_us;
        })
    };
    assert_controls("surplus_answers", [20_000, 50_000, 100_000].map(everyone), vec![plain()]);
    // Where the members of a quorum take turns to answer, all answers are needed.
    let report = analysed(&scenario("simple-2"), &tuning("fast"), false, 1).report;
    let numbers: Vec<f64> =
        finding(&report, "surplus_answers").numbers.iter().map(|number| number.value).collect();
    assert!(numbers[0] >= 20.0 && numbers[1] <= numbers[0] / 10.0, "{numbers:?}");
}

#[test]
fn confirm_rounds() {
    let flawed = [0.2, 0.5, 0.8].map(|mix| {
        let mut case = tuned(|tuning| tuning.reads = Reads::Confirm);
        case.scenario.mix = mix;
        case
    });
    assert_controls("confirm_rounds", flawed, vec![plain()]);
}

#[test]
fn commit_messages() {
    let flawed = [200, 500, 1_000].map(|requests| {
        let mut case = tuned(|tuning| tuning.eager_commit = true);
        case.scenario.requests = requests;
        case
    });
    assert_controls("commit_messages", flawed, vec![plain()]);
}

#[test]
fn wide_fan_out() {
    let flawed = [3, 5, 9].map(|replicas| {
        let mut case = tuned(|tuning| tuning.fan_out = FanOut::Star);
        case.scenario.replicas = replicas;
        case
    });
    let chain = tuned(|tuning| tuning.fan_out = FanOut::Chain);
    assert_controls("wide_fan_out", flawed, vec![plain(), chain]);
}

#[test]
fn chain_instead() {
    let flawed = [5, 7, 9].map(|replicas| asked(|scenario| scenario.replicas = replicas));
    let chain = tuned(|tuning| tuning.fan_out = FanOut::Chain);
    let three = asked(|scenario| scenario.replicas = 3);
    let lossy = asked(|scenario| scenario.drops = 0.1);
    assert_controls("chain_instead", flawed, vec![chain, three, lossy]);
}

#[test]
fn small_batches() {
    let flawed = [1, 2, 4].map(|most| {
        let mut case = tuned(|tuning| tuning.batch_most_entries = most);
        // Many requests at each moment: the simulator sends all that is due together.
        case.scenario.pace = false;
        case.scenario.requests = 6_000;
        case.scenario.max_packets = 900_000;
        case
    });
    assert_controls("small_batches", flawed, vec![plain()]);
}

/// A number of `requests`, evenly spread over thirty seconds.
fn evenly(requests: u64, linger_us: u64) -> Case {
    let mut case = asked(|scenario| scenario.requests = requests);
    case.tuning.linger_us = linger_us;
    case.precise = true;
    case
}

#[test]
fn short_linger() {
    let flawed = [5_000, 10_000, 20_000].map(|requests| evenly(requests, 0));
    let sound = vec![evenly(400, 0), evenly(10_000, 10_000)];
    assert_controls("short_linger", flawed, sound);
}

#[test]
fn catch_up() {
    let flawed = [1, 2, 3].map(|lag| {
        let mut case = evenly(6_000, 20_000);
        case.tuning.lag_most_entries = lag;
        case
    });
    assert_controls("catch_up", flawed, vec![plain(), evenly(6_000, 20_000)]);
}

#[test]
fn early_resends() {
    let late = |delay_ms, resend_timeout_us| {
        let mut case = asked(|scenario| {
            scenario.network.delayed = 1.0;
            scenario.network.delay_max = Micros::from_millis(delay_ms);
        });
        case.tuning.resend_timeout_us = resend_timeout_us;
        case
    };
    let flawed = [late(8, 1_000), late(15, 2_000), late(40, 5_000)];
    assert_controls("early_resends", flawed, vec![plain(), late(8, 50_000)]);
}

#[test]
fn needed_resends() {
    let flawed = [0.05, 0.10, 0.15].map(|drops| asked(|scenario| scenario.drops = drops));
    assert_controls("needed_resends", flawed, vec![plain()]);
}

fn event(kind: EventKind, at: u64) -> Event {
    Event { kind, at: seconds(at) }
}

#[test]
fn dead_letters() {
    let killed = |times: &[u64]| {
        let events = times.iter().map(|at| event(EventKind::KillNonLeader, *at)).collect();
        asked(|scenario| scenario.events = events)
    };
    assert_controls("dead_letters", [killed(&[15]), killed(&[5]), killed(&[2, 4])], vec![plain()]);
}

#[test]
fn rejections() {
    let cut = |times: &[u64]| {
        let cut = |at: &u64| [event(EventKind::CutLeader, *at), event(EventKind::PartEnd, at + 4)];
        let events = times.iter().flat_map(cut).collect();
        asked(|scenario| scenario.events = events)
    };
    let flawed = [cut(&[5]), cut(&[5, 15]), cut(&[3, 11, 19])];
    assert_controls("rejections", flawed, vec![plain()]);
}

#[test]
fn split_votes() {
    // After each death of a leader, the timeouts are closer together than a message takes.
    let crowded = |delay_ms, spread_us| {
        let mut case = asked(|scenario| {
            scenario.replicas = 9;
            scenario.requests = 100;
            scenario.events = [12, 18, 24].map(|at| event(EventKind::KillLeader, at)).into();
            scenario.network.delayed = 1.0;
            scenario.network.delay_max = Micros::from_millis(delay_ms);
        });
        case.tuning.election_timeout_max_us = case.tuning.election_timeout_min_us + spread_us;
        case.tuning.pre_vote = false;
        case.tuning.fan_out = FanOut::Star;
        case.tuning.resend_timeout_us = case.tuning.heartbeat_interval_us;
        case
    };
    let flawed = [40, 80, 160].map(|delay_ms| crowded(delay_ms, 1_000));
    assert_controls("split_votes", flawed, vec![plain(), crowded(10, 700_000)]);
}

#[test]
fn disrupted_leaders() {
    let healed = |pre_vote: bool, lasts: u64| {
        let mut case = tuned(|tuning| tuning.pre_vote = pre_vote);
        let begin = event(EventKind::PartEasy, 5);
        case.scenario.events = vec![begin, event(EventKind::PartEnd, 5 + lasts)];
        case
    };
    let flawed = [5, 8, 12].map(|lasts| healed(false, lasts));
    assert_controls("disrupted_leaders", flawed, vec![plain(), healed(true, 8)]);
}

#[test]
fn budget_exceeded() {
    let limited = |limits: Limits| asked(|scenario| scenario.budget = limits);
    let commit = |most| Limits { messages_per_commit: Some(most), ..Limits::default() };
    let idle = Limits { idle_messages_per_second: Some(2.0), ..Limits::default() };
    let late = Limits { p99_latency_us: Some(100.0), ..Limits::default() };
    let flawed = [limited(commit(1.0)), limited(idle), limited(late)];
    assert_controls("budget_exceeded", flawed, vec![plain(), limited(commit(10.0))]);
}
