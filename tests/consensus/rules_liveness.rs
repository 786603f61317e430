//! Rules R21 and R23 to R26: what keeps a cluster answering on a bad day.

use std::cell::RefCell;
use std::rc::Rc;

use laconic::interface::Outcome;
use laconic::raft::message::Append;
use laconic::raft::tuning::{FanOut, ResendFrom};
use laconic::raft::{Cause, Event, Kind, Member, Message, Micros, RoleName, Tuning, Why};
use laconic::sim::dice::Dice;

use crate::cluster::{Cluster, Fate, Flight, course, ms};
use crate::solo::{
    Solo, accepted, append, appends, pre_vote_reply, pre_vote_request, reply, vote, vote_reply,
    vote_request,
};

/// What a leader's death cost.
struct Outage {
    second_term: bool,
    messages: usize,
    lasted: Micros,
}

/// A leader under load dies; messages take 150 to 350 us.
fn outage(count: u8, seed: u64, tuning: Tuning) -> Outage {
    let mut dice = Dice::new(seed, "outage", 0);
    let mut cluster = Cluster::new(count, seed, tuning);
    cluster.obeys(move |_| Fate::After(Micros(150 + dice.below(201))));
    let leader = cluster.elect();
    for put in 0..20 {
        cluster.put(leader, "k", &format!("{put}"));
        cluster.run_for(Micros(50_000 - 7 * seed % 500));
    }
    cluster.put(leader, "k", "last");
    cluster.run_for(Micros(seed * 37 % 900));
    let (term, died, mark) = (cluster.raft(leader).term(), cluster.now, cluster.records.len());
    cluster.kill(leader);
    let led = |cluster: &Cluster| cluster.leader().is_some();
    assert!(cluster.run_until(ms(20_000), led), "n = {count}, seed {seed}: nobody leads");
    let lasted = cluster.now.since(died);
    let next = cluster.leader().expect("it leads");
    let second_term = cluster.raft(next).term() > term + 1;
    cluster.run_for(ms(200));
    let campaign = |_, why: Why| matches!(why.cause(), Cause::Campaign | Cause::Retry);
    Outage { second_term, messages: cluster.count(mark, campaign), lasted }
}

#[test]
fn measure() {
    for count in [3u8, 5, 7, 21] {
        for fan_out in [FanOut::Thrifty, FanOut::Star] {
            let seeds = if count == 21 { 150 } else { 400 };
            let mut all: Vec<Outage> = (0..seeds)
                .map(|seed| outage(count, seed, Tuning { fan_out, ..course() }))
                .collect();
            let second = all.iter().filter(|o| o.second_term).count();
            all.sort_by_key(|o| o.messages);
            let median = all[all.len() / 2].messages;
            let p90m = all[all.len() * 9 / 10].messages;
            all.sort_by_key(|o| o.lasted);
            println!(
                "n {count} {fan_out:?}: second terms {:.1} %, messages median {median} p90 {p90m} ({:.2} (n-1)), outage p50 {} p90 {} max {}",
                second as f64 * 100.0 / seeds as f64,
                median as f64 / (count as f64 - 1.0),
                all[all.len() / 2].lasted,
                all[all.len() * 9 / 10].lasted,
                all[all.len() - 1].lasted
            );
        }
    }
}
