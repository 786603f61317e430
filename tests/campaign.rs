//! A thousand random clusters with loss, duplicates, delays that reorder messages, copies that come
//! up to half a minute late, partitions, crashes and clocks that differ. Each must stay safe, and
//! must answer requests once its faults are over.
//!
//! A failing seed is printed; `SEED=n cargo test --test campaign` runs it alone, and
//! `SEEDS=100000 cargo test --release --test campaign` is the slow campaign.

use std::env;

use laconic::raft::Micros;
use laconic::sim::course::Incident;
use laconic::sim::course::incoming::Incorrect;
use laconic::sim::course::score::{Check, GENERATION_CHECK, INCORRECT_CHECK};
use laconic::sim::delays::Delays;
use laconic::sim::history::judge;
use laconic::sim::random_stream::{Probability, RandomStream};
use laconic::sim::scenario::{Event, EventKind, Network, Scenario, Tests, Thresholds};
use laconic::sim::virtual_time::{Keep, VirtualOptions, run};
use laconic::tuning_file;
use rayon::prelude::*;

const DEFAULT_SEEDS: u64 = 1_000;

/// When the faults end, counted from the first request. Later requests must be served.
const FAULTS_END: Micros = Micros::from_seconds(8);
const LIFETIME: Micros = Micros::from_seconds(14);

fn scenario(seed: u64) -> Scenario {
    let mut random = RandomStream::new(seed, "campaign", 0);
    let replicas = 3 + random.below(5) as usize;
    let even = |random: &mut RandomStream| random.chance(Probability::of(0.5));
    let none = Thresholds([1.0, 2.0, 3.0]);
    let drift = |random: &mut RandomStream| random.below(20_000) as i32 - 10_000;
    let longest_delay = if random.below(4) == 0 { 30_000_000 } else { 1_500_000 };
    Scenario {
        name: format!("campaign-{seed}"),
        lifetime: LIFETIME,
        replicas,
        requests: 100 + random.below(300),
        mix: 0.3,
        start_wait: Micros::from_seconds(3),
        end_wait: Micros::from_seconds(10),
        drops: random.below(30) as f64 / 100.0,
        seed: None,
        max_packets: 900_000,
        events: events(&mut random, replicas),
        tests: Tests {
            total_messages: none,
            failures: none,
            duplicates: none,
            median_latency: none,
            maximum_get_fail_fraction: 1.0,
            maximum_put_fail_fraction: 1.0,
            maximum_get_generation_fail_fraction: 1.0,
            maximum_appends_batched_fraction: 1.0,
        },
        shared_keys: even(&mut random),
        network: Network {
            duplicates: random.below(20) as f64 / 100.0,
            delayed: random.below(20) as f64 / 100.0,
            delay_max: Micros(1 + random.below(longest_delay)),
        },
        clock_drift_ppm: (0..replicas).map(|_| drift(&mut random)).collect(),
        pace: even(&mut random),
        budget: Default::default(),
    }
}

/// Random faults, with at most as many crashes as leave a quorum. The last event heals all
/// partitions.
fn events(random: &mut RandomStream, replicas: usize) -> Vec<Event> {
    use EventKind::{CutLeader, KillLeader, KillNonLeader, PartEasy, PartEnd, PartHard};
    let mut crashes = random.below(replicas.div_ceil(2) as u64);
    let mut events = Vec::new();
    for _ in 0..random.below(8) {
        let kinds = [CutLeader, KillLeader, KillNonLeader, PartEasy, PartEnd, PartHard];
        let kind = *random.pick(&kinds).expect("there are kinds");
        let crash = matches!(kind, KillLeader | KillNonLeader);
        if crash && crashes == 0 {
            continue;
        }
        crashes -= u64::from(crash);
        events.push(Event { kind, at: Micros(random.below(FAULTS_END.0)) });
    }
    events.sort_by_key(|event| event.at);
    events.push(Event { kind: PartEnd, at: FAULTS_END });
    events
}

/// The course's check compares a get with the value that its client had acknowledged last when the
/// answer comes. Here messages can be seconds late, so a put of that client that was asked after
/// the get can be acknowledged before it. Then the older value is right, and the check of the
/// history, which has passed, accepts it.
fn is_by_order_alone(incidents: &[Incident]) -> bool {
    incidents.iter().all(|incident| matches!(incident.what, Incorrect::WrongValue { .. }))
}

fn check(seed: u64) -> Result<(), String> {
    let scenario = scenario(seed);
    let profiles =
        ["course", "quiet", "eager", "textbook", "fast", "adaptive", "lossy", "wan", "adaptive"];
    let profile = profiles[seed as usize % profiles.len()];
    let options = VirtualOptions {
        seed,
        tuning: tuning_file::load(profile).expect("an embedded profile").tuning,
        precise: seed.is_multiple_of(3),
        through_codec: seed.is_multiple_of(5),
        delays: Delays::embedded(),
        records: Keep::Nothing,
    };
    let run = run(&scenario, &options).expect("no files to write");
    if let Some((at, broken)) = run.broken {
        return Err(format!("at {at}: {broken}"));
    }
    let verdict = judge(&run.conclusion.history);
    if !verdict.is_linearizable() {
        return Err(verdict.to_string());
    }
    let incidents = &run.conclusion.incidents;
    let failed = |check: &&Check| {
        let by_the_clients = check.name == INCORRECT_CHECK && is_by_order_alone(incidents);
        !check.passed && check.name != GENERATION_CHECK && !by_the_clients
    };
    if let Some(check) = run.conclusion.checks.iter().find(failed) {
        return Err(format!("{}: {} {incidents:?}", check.name, check.detail));
    }
    if let Some(early) = run.fold.early.first() {
        return Err(format!("ok before f others had the entry: {early:?}"));
    }
    if let Some(uneven) = run.balances.iter().find(|balance| !balance.is_even()) {
        return Err(format!("the books do not balance: {uneven:?}"));
    }
    // Liveness: a quorum lived all the time, and the faults ended long before the end.
    let unserved = run.conclusion.unanswered.iter().find(|story| story.killed_at.is_none());
    match unserved {
        Some(story) => Err(format!("never answered by a living replica: {story:?}")),
        None => Ok(()),
    }
}

#[test]
fn a_thousand_random_clusters_stay_safe_and_serve_again_when_their_faults_are_over() {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("SEEDS").unwrap_or(DEFAULT_SEEDS)).collect(),
    };
    let failed: Vec<(u64, String)> = seeds
        .into_par_iter()
        .filter_map(|seed| check(seed).err().map(|reason| (seed, reason)))
        .collect();
    assert!(failed.is_empty(), "{} failed; SEED=... runs one alone: {failed:#?}", failed.len());
}
