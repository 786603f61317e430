//! How a seed becomes a run: the swarm. Each seed leaves most faults out and overdoes some.

use super::case::{Case, Options};
use crate::raft::Micros;
use crate::sim::random_stream::{Probability, RandomStream};
use crate::sim::scenario::{Event, EventKind, Network, Scenario, Tests, Thresholds};

/// When the faults end, counted from the first request. Later requests must be served.
const FAULTS_END: Micros = Micros::from_seconds(4);
const LIFETIME: Micros = Micros::from_seconds(6);

/// What `seed` stands for.
pub fn draw(seed: u64, options: &Options) -> Case {
    let mut random = RandomStream::new(seed, "campaign", 0);
    let replicas = 3 + random.below(5) as usize;
    let (profile, tuning) =
        options.profiles[random.below(options.profiles.len() as u64) as usize].clone();
    let even = |random: &mut RandomStream| random.chance(Probability::of(0.5));
    let none = Thresholds([1.0, 2.0, 3.0]);
    let drift = |random: &mut RandomStream| random.below(20_000) as i32 - 10_000;
    let scenario = Scenario {
        name: format!("campaign-{seed}"),
        lifetime: LIFETIME,
        replicas,
        requests: 60 + random.below(140),
        mix: 0.3,
        start_wait: Micros::from_seconds(1),
        end_wait: Micros::from_seconds(8),
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
            delay_max: Micros(1 + random.below(1_500_000)),
        },
        clock_drift_ppm: (0..replicas).map(|_| drift(&mut random)).collect(),
        pace: even(&mut random),
        budget: Default::default(),
    };
    Case {
        seed,
        run_seed: seed,
        scenario,
        profile,
        tuning,
        precise: seed.is_multiple_of(3),
        through_codec: seed.is_multiple_of(5),
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
        let kind = kinds[random.below(kinds.len() as u64) as usize];
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
