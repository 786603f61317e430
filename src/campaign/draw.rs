//! How a seed becomes a run. This is swarm testing (Groce and others, 2012): each seed leaves most
//! kinds of faults out and overdoes the others, because faults of one kind can hide what those of
//! another would show.

use super::case::{Case, FAULTS_END, Options};
use super::draw_knobs::{MOST_PACED, among, draw_other_tuning, draw_tuning, one_in};
use super::draw_troubles::Trouble;
use crate::raft::{Member, MemberSet, Micros, Tuning};
use crate::sim::random_stream::{Probability, RandomStream};
use crate::sim::scenario::{
    Event, EventKind, Fault, FaultKind, Network, Scenario, Tests, Thresholds, Whom,
};
use crate::sim::virtual_time::Retuning;

/// How long requests come.
const LIFETIME: Micros = Micros::from_seconds(6);
/// Most faults of a run, besides crashes and the course's partitions.
const MOST_FAULTS: u64 = 12;

/// What `seed` stands for.
pub fn draw(seed: u64, options: &Options) -> Case {
    let mut random = RandomStream::new(seed, "campaign", 0);
    let trouble = Trouble::draw(&mut random);
    let replicas = match trouble {
        Some(Trouble::BrokenChains) => among(&mut random, &[5, 5, 7, 7, 8, 9, 9]),
        Some(Trouble::OldLeadersAsked) => among(&mut random, &[3, 3, 3, 5]),
        _ if one_in(&mut random, 64) => 21,
        _ => among(&mut random, &[3, 3, 3, 3, 3, 4, 5, 5, 5, 5, 6, 7, 7, 8, 9]),
    };
    let (profile, mut tuning) = draw_tuning(&mut random, replicas, options);
    if let Some(trouble) = trouble {
        trouble.turn(&mut random, &mut tuning);
    }
    let precise = one_in(&mut random, 2);
    let through_codec = one_in(&mut random, 10);
    let mut scenario = scenario(&mut random, seed, replicas, &tuning);
    if let Some(trouble) = trouble {
        trouble.make(&mut random, &tuning, &mut scenario);
    }
    let seldom = if trouble == Some(Trouble::LeadersCutOff) { 2 } else { 8 };
    let retuning = one_in(&mut random, seldom).then(|| {
        let tuning = draw_other_tuning(&mut random, replicas, &tuning, options);
        Retuning { at: scenario.start_wait + Micros(random.below(FAULTS_END.0)), tuning }
    });
    let recovery = retuning.as_ref().map(|retuning| Case::recovery(&retuning.tuning));
    scenario.end_wait = scenario.end_wait.max(recovery.unwrap_or_default());
    Case { seed, run_seed: seed, scenario, profile, tuning, retuning, precise, through_codec }
}

fn scenario(random: &mut RandomStream, seed: u64, replicas: usize, tuning: &Tuning) -> Scenario {
    let none = Thresholds([1.0, 2.0, 3.0]);
    let value_bytes = match random.below(32) {
        0 => 60_000,
        1 | 2 => 8_000,
        3..=6 => 1_000,
        _ => 0,
    };
    let most_requests = if value_bytes > 8_000 || replicas > 9 { 60 } else { 200 };
    let requests = 40 + random.below(most_requests - 39);
    Scenario {
        name: format!("campaign-{seed}"),
        lifetime: LIFETIME,
        replicas,
        requests,
        mix: among(random, &[0.1, 0.3, 0.3, 0.5, 0.8]),
        start_wait: Micros(tuning.startup_silence_us / 2),
        end_wait: Case::recovery(tuning),
        drops: 0.0,
        seed: None,
        max_packets: 900_000,
        events: events(random, replicas),
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
        shared_keys: !one_in(random, 4),
        burst: among(random, &[0, 0, 1, 1, 4, 16, 60]),
        value_bytes,
        network: Network { faults: faults(random, replicas), ..Network::default() },
        clock_drift_ppm: clocks(random, replicas),
        pace: replicas <= MOST_PACED && one_in(random, 2),
        budget: Default::default(),
    }
}

/// How fast the clocks run. One seed in three lets them differ by more than leases allow.
fn clocks(random: &mut RandomStream, replicas: usize) -> Vec<i32> {
    let most = among(random, &[0u64, 500, 10_000, 10_000, 150_000, 350_000]);
    (0..replicas).map(|_| random.below(2 * most + 1) as i32 - most as i32).collect()
}

/// Crashes, at most as many as leave a quorum, and the course's partitions, which follow who leads.
/// The last event ends the partition.
fn events(random: &mut RandomStream, replicas: usize) -> Vec<Event> {
    use EventKind::{CutLeader, KillLeader, KillNonLeader, PartEasy, PartEnd, PartHard};
    let most = among(random, &[0, 0, 1, 2, 4, 8]);
    let mut crashes = random.below(replicas.div_ceil(2) as u64);
    let mut events = Vec::new();
    for _ in 0..most {
        let kinds = [CutLeader, CutLeader, KillLeader, KillNonLeader, PartEasy, PartEnd, PartHard];
        let kind = among(random, &kinds);
        let crash = matches!(kind, KillLeader | KillNonLeader);
        if crash && crashes == 0 {
            continue;
        }
        crashes -= u64::from(crash);
        events.push(Event { kind, at: Micros(random.below(FAULTS_END.0)) });
    }
    if !events.is_empty() {
        events.push(Event { kind: PartEnd, at: FAULTS_END });
    }
    events.sort_by_key(|event| event.at);
    events
}

/// How many kinds of faults there are to draw from.
const KINDS: u64 = 10;

/// Faults of a few kinds. All end when the faults end, but copies and late messages come later.
fn faults(random: &mut RandomStream, replicas: usize) -> Vec<Fault> {
    let kinds: Vec<u64> = (0..KINDS).filter(|_| one_in(random, 3)).collect();
    let count = random.below(MOST_FAULTS + 1);
    let mut faults = Vec::new();
    for _ in 0..count {
        let Some(kind) = random.pick(&kinds).copied() else {
            break;
        };
        if kind == KINDS - 1 {
            faults.extend(flapping(random, replicas));
            continue;
        }
        let kind = fault_kind(random, kind, replicas);
        let at = Micros(random.below(FAULTS_END.0));
        faults.push(Fault { kind, at, lasts: length(random, at) });
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// How long a fault lasts that begins at `at`.
fn length(random: &mut RandomStream, at: Micros) -> Micros {
    let most = among(random, &[20_000, 200_000, 1_000_000, 4_000_000]);
    Micros(1 + random.below(most)).min(FAULTS_END.since(at))
}

fn fault_kind(random: &mut RandomStream, kind: u64, replicas: usize) -> FaultKind {
    let fraction = |random: &mut RandomStream| among(random, &[0.01, 0.05, 0.1, 0.2, 0.3, 0.5]);
    let most = |random: &mut RandomStream| {
        Micros(among(random, &[300, 2_000, 20_000, 200_000, 2_000_000, 30_000_000]))
    };
    match kind {
        0 => FaultKind::Loss { fraction: fraction(random) },
        1 => FaultKind::Delay { fraction: fraction(random), most: most(random) },
        2 => FaultKind::Duplicates { fraction: fraction(random), most: most(random) },
        3 => FaultKind::Cut { from: some(random, replicas), to: some(random, replicas) },
        4 => FaultKind::Mute { whom: whom(random, replicas) },
        5 => FaultKind::Deaf { whom: whom(random, replicas) },
        6 => FaultKind::Pause { whom: whom(random, replicas) },
        7 => {
            let turn = Micros(among(random, &[200, 2_000, 10_000, 40_000, 100_000]));
            FaultKind::Slow { whom: whom(random, replicas), turn }
        }
        _ => {
            let bytes = among(random, &[1_000, 5_000, 20_000, 100_000]);
            FaultKind::SmallSocket { whom: whom(random, replicas), bytes }
        }
    }
}

/// A partition that comes and goes.
fn flapping(random: &mut RandomStream, replicas: usize) -> Vec<Fault> {
    let side = some(random, replicas);
    let period = 20_000 + random.below(600_000);
    let mut at = Micros(random.below(FAULTS_END.0));
    let mut faults = Vec::new();
    for _ in 0..2 + random.below(6) {
        let lasts = Micros(1 + random.below(period)).min(FAULTS_END.since(at));
        if lasts > Micros(0) {
            faults.push(Fault { kind: FaultKind::Split { side }, at, lasts });
        }
        at += Micros(period);
    }
    faults
}

/// Some replicas, at least one and not all.
fn some(random: &mut RandomStream, replicas: usize) -> MemberSet {
    let even = Probability::of(0.5);
    let mut set: MemberSet =
        (0..replicas as u8).map(Member).filter(|_| random.chance(even)).collect();
    let one = Member(random.below(replicas as u64) as u8);
    if set.is_empty() {
        set.insert(one);
    } else if set.len() == replicas {
        set.remove(one);
    }
    set
}

/// The leader half of the time.
fn whom(random: &mut RandomStream, replicas: usize) -> Whom {
    if one_in(random, 2) {
        return Whom::Leader;
    }
    Whom::Replica(Member(random.below(replicas as u64) as u8))
}
