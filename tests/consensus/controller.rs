//! The controller in whole clusters: where it leads to from the paper's Raft, and that it starts no
//! election on the way.

use std::cell::Cell;
use std::rc::Rc;

use laconic::raft::tuning::{Control, FanOut};
use laconic::raft::{Deposed, Event, Member, Micros, Tuning};
use laconic::record::Fact;
use laconic::sim::random_stream::{Probability, RandomStream};

use crate::cluster::{Cluster, Fate, Flight, course, ms};

/// What a message costs, in microseconds of waiting.
const PRICE_US: u64 = 500;

fn textbook() -> Tuning {
    laconic::tuning_file::load("textbook").expect("a profile").tuning
}

fn adaptive(base: Tuning) -> Tuning {
    Tuning { control: Control::Adaptive, message_price_us: PRICE_US, ..base }
}

/// The network and the load at a time.
#[derive(Clone, Copy)]
struct Weather {
    loss: f64,
    one_way: Micros,
    /// Time between two puts, on average.
    gap: Micros,
}

type Course = fn(Micros) -> Weather;

const fn weather(loss: f64, one_way_us: u64, gap_us: u64) -> Weather {
    Weather { loss, one_way: Micros(one_way_us), gap: Micros(gap_us) }
}

/// From 14 to 19 s the run differs from the rest.
fn in_between(now: Micros, usual: Weather, changed: Weather) -> Weather {
    if (ms(14_000)..ms(19_000)).contains(&now) { changed } else { usual }
}

const SCENARIOS: [(&str, u8, Course); 6] = [
    ("steady", 5, |_| weather(0.0, 250, 20_000)),
    ("lossy", 5, |_| weather(0.1, 250, 20_000)),
    ("loss 0, 20 %, 0", 5, |now| {
        in_between(now, weather(0.0, 250, 20_000), weather(0.2, 250, 20_000))
    }),
    ("rate times ten and back", 5, |now| {
        in_between(now, weather(0.0, 250, 20_000), weather(0.0, 250, 2_000))
    }),
    ("round trip times twenty and back", 5, |now| {
        in_between(now, weather(0.0, 250, 20_000), weather(0.0, 5_000, 20_000))
    }),
    ("21 replicas", 21, |_| weather(0.0, 250, 20_000)),
];

struct Outcome {
    messages_per_commit: f64,
    p99: Micros,
    /// Messages times their price, and all waits, for each put, in microseconds.
    cost_us: f64,
    elections: usize,
}

/// Twenty-four seconds under load; counted from the tenth on.
fn run(count: u8, seed: u64, tuning: Tuning, course: Course) -> Outcome {
    let mut random = RandomStream::new(seed, "controller", 0);
    let mut cluster = Cluster::new(count, seed, tuning);
    let clock = Rc::new(Cell::new(Micros(0)));
    let (seen, mut dice) = (Rc::clone(&clock), RandomStream::new(seed, "weather", 0));
    cluster.obeys(move |_: &Flight| {
        let now = course(seen.get());
        if dice.chance(Probability::of(now.loss)) { Fate::Lose } else { Fate::After(now.one_way) }
    });
    cluster.elect();
    let (begun, mut mark, mut first) = (cluster.now, 0, 0);
    let mut puts = Vec::new();
    while cluster.now < begun + ms(24_000) {
        let elapsed = cluster.now.since(begun);
        clock.set(elapsed);
        if mark == 0 && elapsed >= ms(10_000) {
            (mark, first) = (cluster.records.len(), puts.len());
        }
        if let Some(leader) = cluster.leader() {
            puts.push(cluster.put(leader, "k", &format!("{}", puts.len())));
        }
        let gap = course(elapsed).gap.0;
        cluster.run_for(Micros(gap / 2 + random.below(gap)));
    }
    let messages = cluster.messages(mark) as f64;
    cluster.run_for(ms(2_000));
    let took = |put: &usize| {
        let asked = cluster.asked(*put);
        asked.answers.first().map_or(ms(2_000), |answer| answer.0.since(asked.at))
    };
    let mut took: Vec<Micros> = puts[first..].iter().map(took).collect();
    let waited: u64 = took.iter().map(|took| took.0).sum();
    took.sort_unstable();
    let commits = took.len() as f64;
    let became = |event: &Event| matches!(event, Event::BecameLeader { .. });
    Outcome {
        messages_per_commit: messages / commits,
        p99: took[took.len() * 99 / 100],
        cost_us: (messages * PRICE_US as f64 + waited as f64) / commits,
        elections: cluster.events(0, became).count(),
    }
}

/// The best of some static tunings for a scenario: what a search offline would choose.
fn tuned(count: u8, course_of: Course) -> Outcome {
    let mut best: Option<Outcome> = None;
    for fan_out in [FanOut::Chain, FanOut::Thrifty] {
        for (linger_us, resend_timeout_us) in
            [(0, 1_200), (0, 3_000), (1_000, 3_000), (3_000, 3_000)]
        {
            let tuning = Tuning { fan_out, linger_us, resend_timeout_us, ..course() };
            let outcome = run(count, 1, tuning, course_of);
            if best.as_ref().is_none_or(|best| outcome.cost_us < best.cost_us) {
                best = Some(outcome);
            }
        }
    }
    best.expect("one of eight")
}

/// Three round trips are a lost message. Those count that answer: what was measured of a follower
/// that was slow and is dead now says nothing of the others.
#[test]
fn the_resend_timeout_follows_the_round_trip_of_those_that_answer() {
    let mut cluster = Cluster::new(5, 1, adaptive(course()));
    let leader = cluster.elect();
    let slow = cluster.others(leader)[0];
    cluster.obeys(move |flight| {
        let is_slow = [flight.from, flight.to].contains(&slow);
        Fate::After(if is_slow { ms(20) } else { ms(4) })
    });
    for number in 0..150 {
        if number == 100 {
            cluster.kill(slow);
        }
        cluster.put(leader, "k", &format!("{number}"));
        cluster.run_for(ms(20));
    }
    let dead = cluster.raft(leader).followers().find(|follower| follower.member == slow);
    let dead = dead.expect("a member");
    assert!(dead.suspect && dead.round_trip > Some(ms(30)), "{dead:?}");
    let chosen = cluster.raft(leader).tuning().resend_timeout_us;
    assert!(chosen.abs_diff(24_000) <= 24_000 / 8, "{chosen}");
}

#[test]
fn from_the_papers_raft_the_controller_comes_near_the_best_static_tuning() {
    for (name, count, course_of) in SCENARIOS {
        let best = tuned(count, course_of);
        let paper = run(count, 1, textbook(), course_of);
        let found = run(count, 1, adaptive(textbook()), course_of);
        println!(
            "{name}: {:.2} messages a commit (textbook {:.2}, best static {:.2}), p99 {} \
             ({}, {}), cost {:.0} us ({:.0}, {:.0}), {} elections",
            found.messages_per_commit,
            paper.messages_per_commit,
            best.messages_per_commit,
            found.p99,
            paper.p99,
            best.p99,
            found.cost_us,
            paper.cost_us,
            best.cost_us,
            found.elections,
        );
        assert!(found.cost_us <= best.cost_us * 1.25, "{name}");
        assert!(found.messages_per_commit <= best.messages_per_commit * 1.1, "{name}");
        // What is lost first is lost before anything is known of the loss.
        assert!(found.p99.0 <= best.p99.0 * 5 / 4, "{name}");
        assert_eq!(found.elections, 1, "{name}");
    }
}

/// A profile's limits on messages a commit are kept within a twentieth, though price and load would
/// have it otherwise.
#[test]
fn limits_on_messages_a_commit_are_kept() {
    let load: Course = |_| weather(0.0, 250, 5_000);
    let free = run(5, 1, adaptive(course()), load);
    let limited = |least, most| {
        let tuning = Tuning {
            least_messages_per_hundred_commits: least,
            most_messages_per_hundred_commits: most,
            ..adaptive(course())
        };
        run(5, 1, tuning, load)
    };
    let (few, many) = (limited(0, 200), limited(350, 0));
    println!(
        "{:.2} messages a commit at p99 {}; at most 2: {:.2} at {}; at least 3.5: {:.2} at {}",
        free.messages_per_commit,
        free.p99,
        few.messages_per_commit,
        few.p99,
        many.messages_per_commit,
        many.p99
    );
    assert!((2.5..3.4).contains(&free.messages_per_commit));
    assert!(few.messages_per_commit <= 2.1 && few.p99 > free.p99);
    assert!(many.messages_per_commit >= 3.4);
}

/// And so are limits on what an idle cluster says: too much allowed is spent on sooner detection.
#[test]
fn limits_on_idle_messages_are_kept() {
    let idle = |least, most| {
        let tuning = Tuning {
            least_idle_messages_per_minute: least,
            most_idle_messages_per_minute: most,
            ..adaptive(course())
        };
        let mut cluster = Cluster::new(5, 1, tuning);
        let leader = cluster.elect();
        cluster.run_for(ms(120_000));
        let mark = cluster.records.len();
        cluster.run_for(ms(60_000));
        let interval = cluster.replica(leader).raft().tuning().heartbeat_interval_us;
        (cluster.messages(mark), interval)
    };
    let (free, few, many) = (idle(0, 0), idle(0, 80), idle(400, 0));
    println!("messages a minute and heartbeat interval: {free:?}, {few:?}, {many:?}");
    assert!((120..220).contains(&free.0));
    assert!(few.0 <= 84 && few.1 > free.1);
    assert!(many.0 >= 380 && many.1 < free.1);
}

/// A thousand clusters, first idle and then loaded, under the controller, from three profiles:
/// after the first election nobody stands, and no leader steps down.
#[test]
fn no_decision_causes_an_election() {
    for seed in 0..1_000u64 {
        let profile = ["textbook", "course", "eager"][seed as usize % 3];
        let base = laconic::tuning_file::load(profile).expect("a profile").tuning;
        let count = [3, 5, 5, 9][seed as usize % 4];
        let mut cluster = Cluster::new(count, seed, adaptive(base));
        let way = 100 + seed * 37 % 3_000;
        cluster.obeys(move |_: &Flight| Fate::After(Micros(way)));
        let leader = cluster.elect();
        let mark = cluster.records.len();
        cluster.run_for(ms(1_000 + seed * 13 % 5_000));
        for put in 0..100 {
            cluster.put(leader, "k", &format!("{put}"));
            cluster.run_for(Micros(500 + seed * 91 % 40_000));
        }
        cluster.run_for(ms(5_000));
        let decided = cluster.records.iter().any(|record| matches!(record.fact, Fact::Decided(_)));
        assert!(decided, "{profile}, seed {seed}");
        let stood = |event: &Event| matches!(event, Event::BecameCandidate { .. });
        assert_eq!(cluster.events(mark, stood).count(), 0, "{profile}, n = {count}, seed {seed}");
        let fell =
            |event: &Event| matches!(event, Event::SteppedDown { reason: Deposed::NoQuorum, .. });
        assert_eq!(cluster.events(0, fell).count(), 0);
        assert_eq!(cluster.leader(), Some(leader), "{profile}, seed {seed}");
    }
}

/// A static replica decides nothing, and an adaptive one says why it decides.
#[test]
fn decisions_are_recorded_with_what_was_measured() {
    let decisions = |tuning: Tuning| {
        let mut cluster = Cluster::new(3, 1, tuning);
        cluster.elect();
        cluster.run_for(ms(3_000));
        let decided = |record: &laconic::record::Record| match record.fact {
            Fact::Decided(decision) => Some((record.source, decision)),
            _ => None,
        };
        cluster.records.iter().filter_map(decided).collect::<Vec<_>>()
    };
    assert_eq!(decisions(textbook()), []);
    let decided = decisions(adaptive(textbook()));
    for member in (0..3).map(Member) {
        assert!(decided.iter().any(|(source, _)| *source == member), "{member:?} decides too");
    }
    assert!(decided.iter().all(|(_, decision)| decision.before != decision.after));
}
