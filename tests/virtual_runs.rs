//! The seventeen scenarios in virtual time, and what must be true of every virtual run.

use laconic::interface::Address;
use laconic::kv::Command;
use laconic::raft::tuning::ResendFrom;
use laconic::raft::{Event, Micros};
use laconic::record::{Fact, Record};
use laconic::sim::course::score::GENERATION_CHECK;
use laconic::sim::delays::{Delays, Quantiles};
use laconic::sim::ideal_store;
use laconic::sim::outcome::{RunMeasurements, RunOutcome, Setup, judge};
use laconic::sim::scenario::{COURSE, Scenario};
use laconic::sim::virtual_time::{Keep, VirtualOptions, VirtualRun, run};
use laconic::tuning_file;

fn options(seed: u64) -> VirtualOptions {
    VirtualOptions {
        seed,
        tuning: tuning_file::load("course").unwrap().tuning,
        precise: false,
        through_codec: false,
        delays: Delays::embedded(),
        records: Keep::Nothing,
    }
}

fn scenario(name: &str) -> Scenario {
    Scenario::load(name).unwrap()
}

fn judged(scenario: &Scenario, run: VirtualRun) -> RunOutcome {
    let setup =
        Setup { engine: "virtual", timing: "course", profile: "course".into(), foreign: false };
    judge(scenario, setup, RunMeasurements::of_virtual(run).0)
}

fn run_judged(scenario: &Scenario, options: &VirtualOptions) -> RunOutcome {
    judged(scenario, run(scenario, options).unwrap())
}

/// Panics if a check failed, with all failed checks and the command that repeats the run.
fn assert_passed(outcome: &RunOutcome, context: &str) {
    let failed: Vec<_> = outcome.conclusion.checks.iter().filter(|check| !check.passed).collect();
    let run = &outcome.conclusion;
    assert!(
        outcome.passed || outcome.failed_by_chance_alone,
        "{context}: {failed:?}; again: laconic sim {} --seed {}",
        run.scenario,
        run.seed
    );
}

/// Every unanswered request was at a replica that was killed after the request was made: only that
/// replica held it, or its entry was overwritten (rule R4).
fn assert_unanswered_explained(outcome: &RunOutcome) {
    for story in &outcome.conclusion.unanswered {
        let killed = story.killed_at.is_some_and(|at| at >= story.created_at);
        assert!(
            killed,
            "{} seed {}: {story:?}",
            outcome.conclusion.scenario, outcome.conclusion.seed
        );
    }
}

#[test]
fn the_seventeen_pass_on_twenty_seeds_with_few_messages_but_not_too_few() {
    for name in COURSE {
        let scenario = scenario(name);
        let outcomes: Vec<RunOutcome> =
            (1..=20).map(|seed| run_judged(&scenario, &options(seed))).collect();
        for outcome in &outcomes {
            assert_passed(outcome, name);
            assert_unanswered_explained(outcome);
        }
        let count =
            |good: &dyn Fn(&RunOutcome) -> bool| outcomes.iter().filter(|o| good(o)).count();
        let messages = |tier| count(&|o| o.conclusion.benchmarks[0].tier <= tier);
        if name.starts_with("advanced") {
            assert_eq!(messages(1), 20, "{name}: messages at tier 1");
            continue;
        }
        let floor = scenario.traffic_floor() * 1.05;
        assert!(messages(0) >= 19, "{name}: messages at tier 0 on {}", messages(0));
        let quick = count(&|o| o.conclusion.benchmarks[3].tier <= 1);
        assert!(quick >= 19, "{name}: latency at tier 1 on {quick}");
        let loud = count(&|o| o.conclusion.counts.messages as f64 >= floor);
        assert!(loud >= 19, "{name}: 5 % above the floor on {loud}");
    }
}

/// By rule R3, every committed put is answered. A put that stays unanswered was lost with its
/// replica, or overwritten (R4).
#[test]
fn no_put_that_took_effect_stays_unanswered() {
    let mut unanswered = 0;
    for name in ["crash-3", "crash-4", "advanced-2", "advanced-4"] {
        let scenario = scenario(name);
        for seed in 1..=20 {
            let VirtualRun { conclusion, committed, .. } = run(&scenario, &options(seed)).unwrap();
            for story in conclusion.unanswered.iter().filter(|story| story.is_put) {
                unanswered += 1;
                let took_effect = committed.iter().any(|entry| {
                    Command::decode(&entry.command).is_some_and(|put| put.mid() == &*story.mid)
                });
                assert!(!took_effect, "{name} seed {seed}: {story:?}");
            }
        }
    }
    assert!(unanswered > 0, "no run lost a put with its replica");
}

/// A request gets a second `ok` only from another leader, elected after the request was asked.
#[test]
fn second_oks_come_only_after_a_change_of_leader() {
    let mut seen = 0;
    for name in COURSE {
        let scenario = scenario(name);
        for seed in 1..=5 {
            let options = VirtualOptions { records: Keep::Memory, ..options(seed) };
            let run = run(&scenario, &options).unwrap();
            let elected = |by: Address, from: Micros, until: Micros| {
                run.records.iter().any(|record| {
                    matches!(record.fact, Fact::State(Event::BecameLeader { .. }))
                        && Address(record.source.0.into()) == by
                        && (from..=until).contains(&record.at)
                })
            };
            for second in &run.conclusion.duplicates {
                seen += 1;
                let told = format!("{name} seed {seed}: {second:?}");
                assert_ne!(second.first_by, second.second_by, "{told}");
                assert!(elected(second.second_by, second.created_at, second.second_at), "{told}");
            }
        }
    }
    assert!(seen > 0, "no run has a second answer");
}

/// 800 requests a second, and the leader is killed in the middle. The next leader owes more
/// answers, with those that the others have held, than a socket can hold.
fn burst() -> Scenario {
    let mut scenario = scenario("crash-3");
    scenario.lifetime = Micros::from_seconds(10);
    scenario.end_wait = Micros::from_seconds(5);
    (scenario.requests, scenario.max_packets) = (8_000, 900_000);
    (scenario.mix, scenario.drops) = (0.2, 0.02);
    scenario.events[0].at = Micros::from_seconds(5);
    scenario.tests.maximum_appends_batched_fraction = 1.0;
    // The burst is the point, and it is more than the course's simulator could create.
    scenario.pace = false;
    scenario
}

/// Without pacing, bursts of answers overflow sockets. With it no answer is lost, and every
/// unanswered request died with its replica.
#[test]
fn r27_no_answer_is_lost_to_a_full_socket() {
    let sum = |seeds: std::ops::RangeInclusive<u64>, answer_window: u64| {
        let mut lost = (0, 0, 0);
        for seed in seeds {
            let mut options = options(seed);
            options.tuning.answer_window = answer_window;
            // Pacing alone is tried here: nobody refuses for load (rule R33).
            options.tuning.waiting_most_requests = 1_000_000;
            let outcome = run_judged(&burst(), &options);
            let counts = &outcome.conclusion.counts;
            let unanswered = &outcome.conclusion.unanswered;
            let unexplained = unanswered.iter().filter(|story| story.killed_at.is_none()).count();
            println!(
                "window {answer_window}, seed {seed}: {} unanswered, {unexplained} of them of the \
                 living, {} incorrect, {} lost by the kernel",
                unanswered.len(),
                counts.incorrect,
                outcome.messages.lost,
            );
            lost.0 += unexplained;
            lost.1 += counts.incorrect;
            lost.2 += outcome.messages.lost;
            if answer_window < 1_000 {
                assert_passed(&outcome, "burst");
                assert_unanswered_explained(&outcome);
            }
        }
        lost
    };
    let unpaced = sum(1..=12, 1_000_000);
    assert!(unpaced.0 > 0 && unpaced.1 > 0, "the fault is there to be seen: {unpaced:?}");
    assert_eq!(sum(1..=20, 128), (0, 0, 0));
}

/// On a loaded machine the simulator takes 5 ms for each datagram, fifty times as long as usual.
/// Round trips are then longer than the resend timeout; they are measured, and not taken for loss.
#[test]
fn a_slow_simulator_is_not_taken_for_a_lossy_one() {
    // Here the time for a datagram is set, so the course's pace must not add to it.
    let mut scenario = scenario("simple-2");
    scenario.pace = false;
    let messages_per_put = |resend_from: ResendFrom| {
        let (mut messages, mut puts) = (0, 0);
        for seed in 1..=5 {
            let mut options = options(seed);
            options.tuning.resend_from = resend_from;
            options.delays.simulator_handling_us = Quantiles::of(vec![5_000]);
            let outcome = run_judged(&scenario, &options);
            assert_passed(&outcome, "slow simulator");
            messages += outcome.conclusion.counts.messages;
            puts += outcome.conclusion.counts.acknowledged_puts;
        }
        messages as f64 / puts as f64
    };
    let (fixed, measured) =
        (messages_per_put(ResendFrom::Fixed), messages_per_put(ResendFrom::RoundTrip));
    println!("messages per put: {fixed:.2} by a fixed timeout, {measured:.2} by a measured one");
    assert!(measured < 4.4, "{measured:.2} messages per put");
    assert!(fixed > measured * 1.3, "the fault is there to be seen: {fixed:.2}");
}

fn records(scenario: &Scenario, options: VirtualOptions) -> Vec<Record> {
    run(scenario, &VirtualOptions { records: Keep::Memory, ..options }).unwrap().records
}

#[test]
fn one_seed_is_one_run_to_the_bit_and_another_seed_is_another() {
    for name in ["simple-2", "advanced-4"] {
        let scenario = scenario(name);
        let first = records(&scenario, options(7));
        assert!(first.len() > 1_000);
        assert_eq!(first, records(&scenario, options(7)), "{name}");
        assert_ne!(first, records(&scenario, options(8)), "{name}");
    }
}

/// Rule R27 is for bursts: at the pace of the course's scenarios, no answer ever waits for it.
#[test]
fn r27_without_bursts_pacing_changes_nothing() {
    for name in COURSE {
        let scenario = scenario(name);
        let mut unpaced = options(11);
        unpaced.tuning.answer_window = 1_000_000;
        assert_eq!(records(&scenario, options(11)), records(&scenario, unpaced), "{name}");
    }
}

#[test]
fn a_run_through_the_codec_gives_identical_records() {
    for name in ["simple-2", "crash-4", "partition-4", "advanced-3"] {
        let scenario = scenario(name);
        let typed = records(&scenario, options(3));
        let coded = records(&scenario, VirtualOptions { through_codec: true, ..options(3) });
        assert_eq!(typed, coded, "{name}");
    }
}

#[test]
fn keeping_records_changes_nothing() {
    let scenario = scenario("advanced-1");
    let folder = tempfile::tempdir().unwrap();
    let kept = VirtualOptions { records: Keep::Folder(folder.path().to_owned()), ..options(5) };
    let (bare, kept) = (run_judged(&scenario, &options(5)), run_judged(&scenario, &kept));
    assert_eq!(bare.messages, kept.messages);
    assert_eq!(bare.conclusion.counts, kept.conclusion.counts);
    assert!(folder.path().join("records/0000.bin").is_file());
}

/// A scenario with a harsh network: `shared_keys`, delays, duplicates, and clocks that differ.
fn harsh(seed: u64) -> Scenario {
    let mut scenario = scenario("advanced-4");
    scenario.shared_keys = true;
    scenario.mix = 0.5;
    scenario.drops = 0.05;
    scenario.network.duplicates = 0.1;
    scenario.network.delayed = 0.1;
    scenario.network.delay_max = Micros::from_millis(300);
    scenario.clock_drift_ppm = vec![10_000, -10_000, 0, 5_000, -5_000];
    // Test even numbers of replicas too.
    scenario.replicas = 3 + (seed % 5) as usize;
    scenario.clock_drift_ppm.truncate(scenario.replicas);
    scenario
}

#[test]
fn duplicated_delayed_and_reordered_messages_on_shared_keys_stay_linearizable() {
    for seed in 1..=40 {
        let outcome = run_judged(&harsh(seed), &options(seed));
        assert_passed(&outcome, &format!("harsh seed {seed}"));
    }
}

/// A put to f followers directly takes a round trip, which here is 90 to 110 ms, and a chain of two
/// takes half as much more. The second copy of a doubled message is as long under way.
#[test]
fn a_put_takes_as_long_as_the_network_is_wide() {
    for (profile, least, most) in [("wan", 0.09, 0.12), ("course", 0.135, 0.18)] {
        let mut scenario = scenario("wan");
        scenario.mix = 0.0;
        scenario.drops = 0.0;
        scenario.network.duplicates = 0.3;
        let tuning = tuning_file::load(profile).unwrap().tuning;
        let outcome = run_judged(&scenario, &VirtualOptions { tuning, ..options(1) });
        assert_passed(&outcome, profile);
        let seen = outcome.conclusion.benchmarks[3].value.unwrap();
        assert!((least..most).contains(&seen), "{profile}: {seen}");
    }
}

/// What our own scenarios ask for is reached by the profile that is made for it.
#[test]
fn the_profiles_for_lossy_and_wide_networks_pass_their_scenarios() {
    for name in ["lossy", "wan"] {
        let tuning = tuning_file::load(name).unwrap().tuning;
        for seed in 1..=20 {
            let options = VirtualOptions { tuning: tuning.clone(), ..options(seed) };
            let outcome = run_judged(&scenario(name), &options);
            assert_passed(&outcome, name);
            assert_unanswered_explained(&outcome);
        }
    }
}

#[test]
fn three_to_twenty_one_replicas_work_even_numbers_too() {
    for replicas in 3..=21 {
        for (name, profile) in [("crash-3", "course"), ("unreliable-2", "quiet")] {
            let mut scenario = scenario(name);
            scenario.replicas = replicas;
            scenario.tests.maximum_appends_batched_fraction = 1.0;
            let tuning = tuning_file::load(profile).unwrap().tuning;
            let outcome = run_judged(&scenario, &VirtualOptions { tuning, ..options(2) });
            assert_passed(&outcome, &format!("{replicas} replicas, {profile}"));
            assert_unanswered_explained(&outcome);
        }
    }
}

#[test]
fn every_profile_is_safe_everywhere() {
    for profile in ["textbook", "eager", "quiet"] {
        for name in COURSE {
            let mut scenario = scenario(name);
            // `quiet` sends less than the course allows. This test judges safety only.
            scenario.tests.maximum_appends_batched_fraction = 1.0;
            for seed in 1..=3 {
                let tuning = tuning_file::load(profile).unwrap().tuning;
                let outcome = run_judged(&scenario, &VirtualOptions { tuning, ..options(seed) });
                assert_passed(&outcome, profile);
            }
        }
    }
}

#[test]
fn where_the_clients_dice_fail_a_run_an_instant_answer_fails_it_too() {
    let scenario = scenario("advanced-3");
    let failing: Vec<u64> = (1..=400)
        .filter(|seed| run_judged(&scenario, &options(*seed)).failed_by_chance_alone)
        .collect();
    assert!(!failing.is_empty(), "400 seeds, none failed by the random");
    for seed in failing {
        let checks = ideal_store::run(&scenario, seed).checks;
        let failed = checks.iter().any(|check| !check.passed && check.name == GENERATION_CHECK);
        assert!(failed, "seed {seed}: a store that answers at once generates enough gets");
    }
}
