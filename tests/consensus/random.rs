//! Random faults under random tuning. In a first phase with faults, nothing wrong may happen. In a
//! second phase without faults, everything that is owed must happen. A failing seed is named, and
//! `LACONIC_SEED=n cargo test --test consensus random` runs it alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use laconic::interface::{Address, Operation, Outcome};
use laconic::raft::tuning::{FanOut, HeartbeatAnswers, Reads, ResendFrom};
use laconic::raft::{Member, Micros, Tuning};
use laconic::sim::random_stream::{Probability, RandomStream};

use crate::cluster::{
    CLIENT, Cluster, Fate, Name, ONE_WAY, course, fast, ms, quiet, watched, without_check_quorum,
};

const SCHEDULES: u64 = 300;
const KEYS: u64 = 4;

fn tuning_of(random: &mut RandomStream) -> Tuning {
    let fan_outs = [FanOut::Broadcast, FanOut::Star, FanOut::Thrifty, FanOut::Chain];
    let one_in = |random: &mut RandomStream, n| random.below(n) == 0;
    let among =
        |random: &mut RandomStream, from: &[u64]| from[random.below(from.len() as u64) as usize];
    let pre_vote = !one_in(random, 6);
    // Rule R24: without check-quorum, nothing that rests on promises may be on.
    let base =
        if one_in(random, 6) { without_check_quorum() } else { Tuning { pre_vote, ..fast() } };
    let base = match random.below(4) {
        0 => course(),
        1 | 2 if base.check_quorum && base.pre_vote => asking(random, base),
        _ => base,
    };
    let reads = if base.check_quorum && !one_in(random, 3) { Reads::Lease } else { Reads::Confirm };
    Tuning {
        fan_out: fan_outs[random.below(4) as usize],
        chain_length: random.below(4),
        silence_is_loss_above_per_mille: among(random, &[0, 100, 1_000]),
        reads,
        heartbeat_always: one_in(random, 5),
        heartbeat_answers: if one_in(random, 4) {
            HeartbeatAnswers::Everyone
        } else {
            HeartbeatAnswers::Quorum
        },
        resend_from: if one_in(random, 3) { ResendFrom::RoundTrip } else { ResendFrom::Fixed },
        linger_us: among(random, &[0, 0, 300, 10_000]),
        linger_enough_entries: among(random, &[0, 0, 2, 5]),
        linger_waited_us: among(random, &[0, 0, 500, 20_000]),
        probe_interval_us: among(random, &[0, 0, 4_000_000]),
        quorum_spares: among(random, &[0, 0, 1, 20]),
        batch_most_entries: among(random, &[1, 2, 16, 256]),
        batch_most_bytes: among(random, &[1_000, 1_000, 60_000]),
        pipeline_window: among(random, &[1, 2, 16]),
        shared_acknowledgements: one_in(random, 2),
        lag_most_entries: among(random, &[1, 8, 64]),
        eager_commit: one_in(random, 5),
        answer_window: among(random, &[1, 2, 16, 128, 128]),
        answer_interval_us: among(random, &[100, 2_000, 5_000]),
        ..base
    }
}

/// A tuning with inquiries, and perhaps with what rests on them (rules R28 to R30).
fn asking(random: &mut RandomStream, base: Tuning) -> Tuning {
    let inquiries = 1 + random.below(3);
    let (promise_under_load_us, election_timeout_under_load_us) =
        [(0, 0), (100_000, 0), (150_000, 300_000), (300_000, 600_000)][random.below(4) as usize];
    match random.below(4) {
        0 => base,
        1 => Tuning { inquiries, ..watched() },
        2 => Tuning { inquiries, promise_under_load_us, ..quiet() },
        _ => Tuning { inquiries, promise_under_load_us, election_timeout_under_load_us, ..base },
    }
}

/// A network with loss, duplicates, messages that overtake others, and very late copies.
fn weather(mut random: RandomStream) -> impl FnMut(&crate::cluster::Flight) -> Fate {
    let loss = Probability::of([0.0, 0.02, 0.1, 0.3][random.below(4) as usize]);
    let twice = Probability::of([0.0, 0.05, 0.2][random.below(3) as usize]);
    let late = Probability::of([0.0, 0.01, 0.1][random.below(3) as usize]);
    let stale = Probability::of([0.0, 0.0, 0.05, 0.3][random.below(4) as usize]);
    let spread = [1, 400, 8_000][random.below(3) as usize];
    move |_| {
        if random.chance(loss) {
            Fate::Lose
        } else if random.chance(late) {
            Fate::After(Micros(random.below(4_000_000)))
        } else if random.chance(twice) {
            Fate::Twice(Micros(random.below(1_000_000)))
        } else if random.chance(stale) {
            Fate::Twice(Micros(random.below(30_000_000)))
        } else {
            Fate::After(ONE_WAY + Micros(random.below(spread)))
        }
    }
}

/// The clients: they ask, and follow redirects as the course's clients do.
struct Clients {
    random: RandomStream,
    open: Vec<Name>,
    /// How many requests they made, without repeats.
    asked: usize,
    /// Redirects that came quickly and named no leader: too many of them are a storm (rule R5).
    sent_astray: usize,
}

impl Clients {
    fn ask_something(&mut self, cluster: &mut Cluster) {
        let client = Address(CLIENT.0 + self.random.below(3) as u16);
        let key: Arc<str> = format!("k{}", self.random.below(KEYS)).into();
        let operation = match self.random.below(3) {
            0 => Operation::Get { key },
            _ => {
                let padding = "x".repeat(self.random.below(300) as usize);
                let value = format!("{} {padding}", cluster.request_count());
                Operation::Put { key, value: value.into() }
            }
        };
        let at = self.somebody(cluster);
        self.asked += 1;
        self.open.push(cluster.ask(client, at, operation));
    }

    fn somebody(&mut self, cluster: &Cluster) -> Member {
        let living: Vec<Member> = cluster.living().map(|replica| replica.status().member).collect();
        *self.random.pick(&living).expect("a quorum lives")
    }

    /// Asks again what was redirected.
    fn follow(&mut self, cluster: &mut Cluster) {
        for name in std::mem::take(&mut self.open) {
            let asked = cluster.asked(name).clone();
            let Some((at, _, outcome, leader)) = asked.answers.first() else {
                self.open.push(name);
                continue;
            };
            if let Outcome::Redirect = outcome {
                let named = Member(leader.0 as u8);
                let lives = *leader != Address::UNKNOWN && cluster.lives(named);
                self.sent_astray += usize::from(!lives && at.since(asked.at) < ms(100));
                let to = if lives { named } else { self.somebody(cluster) };
                self.open.push(cluster.ask(asked.client, to, asked.operation));
            }
        }
    }
}

/// Runs 20 s or so with faults, and kills some replicas for good.
fn stormy_phase(cluster: &mut Cluster, clients: &mut Clients, mut random: RandomStream) {
    let count = cluster.members().count() as u64;
    let mut may_die = random.below((count - 1) / 2 + 1);
    cluster.obeys(weather(RandomStream::new(random.below(u64::MAX), "weather", 0)));
    for tenth in 0..200 {
        for _ in 0..random.below(4) {
            clients.ask_something(cluster);
        }
        cluster.run_for(Micros(random.below(200_000)));
        clients.follow(cluster);
        if tenth % 16 == 0 {
            cluster.wake_early();
        }
        match random.below(60) {
            0 if may_die > 0 => {
                may_die -= 1;
                let victim = match cluster.leader().filter(|_| random.below(2) == 0) {
                    Some(leader) => leader,
                    None => clients.somebody(cluster),
                };
                cluster.kill(victim);
            }
            1 | 2 => {
                let mut sides: [Vec<Member>; 2] = Default::default();
                cluster.members().for_each(|m| sides[random.below(2) as usize].push(m));
                cluster.cut(&[&sides[0], &sides[1]]);
            }
            3..=6 => cluster.heal(),
            7 => {
                cluster.obeys(weather(RandomStream::new(random.below(u64::MAX), "weather", tenth)))
            }
            _ => {}
        }
    }
}

/// Without faults, everyone is answered and all logs soon agree.
fn calm_phase(cluster: &mut Cluster, clients: &mut Clients) {
    cluster.heal();
    cluster.calm();
    // What was on its way arrives now, however late.
    for _ in 0..100 {
        cluster.run_for(ms(100));
        clients.follow(cluster);
    }
    for _ in 0..20 {
        clients.ask_something(cluster);
        cluster.run_for(ms(50));
        clients.follow(cluster);
    }
    for _ in 0..10 {
        cluster.run_for(ms(100));
        clients.follow(cluster);
    }
    cluster.run_for(ms(1_000));
    // The only requests that stay open are those lost with the replica that was asked (rule R4).
    let open = clients.open.iter().filter(|name| cluster.lives(cluster.asked(**name).of));
    assert_eq!(open.collect::<Vec<_>>(), [&0; 0], "open, though whom they were asked of lives");
    // An idle leader tells only some of its followers, or none (rule R30).
    if cluster.living().any(|replica| replica.raft().tuning().is_sparse()) {
        return;
    }
    let commits = cluster.commits();
    assert!(commits.iter().all(|commit| *commit == commits[0]), "commits differ: {commits:?}");
}

/// Checks linearizability as far as the order of commits shows it: a get returns nothing older than
/// what was acknowledged or read before the get was asked.
fn check_reads(cluster: &Cluster) {
    let places: BTreeMap<String, usize> = cluster.committed_values().into_iter().zip(1..).collect();
    let mut seen: Vec<(Micros, Arc<str>, usize)> = Vec::new();
    let mut gets = Vec::new();
    for name in 0..cluster.request_count() {
        let asked = cluster.asked(name);
        let Some((at, _, Outcome::Ok(value), _)) = asked.answers.first() else {
            continue;
        };
        let (key, value, is_get) = match (&asked.operation, value) {
            (Operation::Get { key }, Some(value)) => (key, value, true),
            (Operation::Put { key, value }, _) => (key, value, false),
            (Operation::Get { .. }, None) => panic!("a get was answered without a value"),
        };
        let place = if value.is_empty() { 0 } else { places[&**value] };
        seen.push((*at, key.clone(), place));
        if is_get {
            gets.push((asked.at, key.clone(), place, name));
        }
    }
    for (asked_at, key, place, name) in gets {
        let older = |other: &&(Micros, Arc<str>, usize)| other.0 < asked_at && other.1 == key;
        let newest = seen.iter().filter(older).map(|other| other.2).max().unwrap_or(0);
        assert!(newest <= place, "m{name} read commit {place} of {key} after {newest} was known");
    }
}

fn run(seed: u64) {
    let mut random = RandomStream::new(seed, "schedule", 0);
    let count = [2, 3, 4, 5, 5, 7][random.below(6) as usize];
    let tuning = tuning_of(&mut random);
    println!("LACONIC_SEED={seed}: {count} replicas, {tuning:?}");
    let drifts: Vec<i64> = (0..count).map(|_| random.below(20_000) as i64 - 10_000).collect();
    let mut cluster = Cluster::drifting(count, seed, tuning, |member| drifts[member.rank()]);
    let mut clients = Clients {
        random: RandomStream::new(seed, "clients", 0),
        open: Vec::new(),
        asked: 0,
        sent_astray: 0,
    };
    stormy_phase(&mut cluster, &mut clients, random);
    cluster.check();
    calm_phase(&mut cluster, &mut clients);
    cluster.check();
    cluster.check_answers();
    check_reads(&cluster);
    cluster.check_redirects();
    let requests = cluster.request_count();
    let most_astray = clients.asked * (usize::from(count) - 1);
    assert!(clients.sent_astray <= most_astray, "{} redirects to nobody", clients.sent_astray);
    let messages = cluster.messages(0);
    assert!(messages < 15_000, "{messages} messages");
    let acknowledged = (0..requests).filter(|name| !cluster.outcomes(*name).is_empty()).count();
    assert!(acknowledged >= 20, "{acknowledged} answers");
}

#[test]
fn random_faults_break_nothing_and_are_got_over() {
    match std::env::var("LACONIC_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => run(seed),
        None => (0..SCHEDULES).for_each(run),
    }
}
