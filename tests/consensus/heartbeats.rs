//! What heartbeats cost, how soon they notice a death, and how often they are wrong: the controller
//! and static `course` in the real core, beside two procedures from the literature.
//!
//! `cargo test --release --test consensus heartbeats -- --ignored --nocapture` prints the table
//! (some minutes). Rivals are worked out, not run: with losses that are independent, their rates
//! are known.

use laconic::raft::tuning::Control;
use laconic::raft::{Event, Micros, Tuning};
use laconic::record::{Fact, Record};
use laconic::sim::random_stream::{Probability, RandomStream};
use rayon::prelude::*;

use crate::cluster::{Cluster, Fate, Flight, course, ms};

/// A death is to be noticed within this time.
const TARGET: Micros = Micros(1_300_000);
/// For so many hours at most the static profile is watched, which is wrong often enough.
const MOST_STATIC_HOURS: u64 = 12;

/// How many hours each idle cluster is watched. `LACONIC_HOURS=2400` watches the hundred days that
/// one wrong election a day asks for; the two hours that are usual show twelve a day.
fn hours() -> u64 {
    std::env::var("LACONIC_HOURS").ok().and_then(|hours| hours.parse().ok()).unwrap_or(2)
}

/// The numbers of replicas: all three, or the one in `LACONIC_REPLICAS`.
fn counts() -> Vec<u8> {
    let one = std::env::var("LACONIC_REPLICAS").ok().and_then(|count| count.parse().ok());
    one.map_or(vec![3, 5, 9], |count| vec![count])
}

/// How many deaths are timed.
const DEATHS: u64 = 100;

/// What a failure detector does in one cell of the table.
#[derive(Clone, Copy, Debug)]
struct Behaviour {
    messages_per_second: f64,
    /// From the death to the first campaign, on average, in seconds; for rivals the worst case.
    detection: f64,
    wrong_elections_per_day: f64,
}

/// An idle cluster with losses and a constant way.
fn idle(count: u8, seed: u64, tuning: &Tuning, loss: f64, one_way: Micros) -> Cluster {
    let mut dice = RandomStream::new(seed, "heartbeats", 0);
    let mut cluster = Cluster::new(count, seed, tuning.clone());
    cluster.obeys(move |_: &Flight| {
        if dice.chance(Probability::of(loss)) { Fate::Lose } else { Fate::After(one_way) }
    });
    // Where much is lost on a long way, the first leader takes a while.
    assert!(cluster.run_until(ms(600_000), |cluster| cluster.leader().is_some()), "a leader");
    // The controller learns the links from heartbeats.
    cluster.run_for(ms(300_000));
    cluster
}

fn observed(count: u8, tuning: &Tuning, loss: f64, one_way: Micros, hours: u64) -> Behaviour {
    let mut cluster = idle(count, 1, tuning, loss, one_way);
    let (mut messages, mut wrong) = (0, 0);
    // In pieces, so that the records of one are enough.
    for _ in 0..hours * 6 {
        cluster.forget();
        cluster.run_for(ms(600_000));
        messages += cluster.messages(0);
        let led = |event: &Event| matches!(event, Event::BecameLeader { .. });
        wrong += cluster.events(0, led).count();
    }
    let mut detection = 0.0;
    for seed in 0..DEATHS {
        let mut cluster = idle(count, 100 + seed, tuning, loss, one_way);
        cluster.run_for(ms(137 * seed));
        cluster.run_until(ms(600_000), |cluster| cluster.leader().is_some());
        let leader = cluster.leader().expect("a leader");
        let (died, mark) = (cluster.now, cluster.records.len());
        cluster.kill(leader);
        // Where wrong elections are many, another may be about to lead.
        let stands = |cluster: &Cluster| {
            let stood = |record: &Record| {
                matches!(record.fact, Fact::State(Event::BecamePreCandidate { .. }))
            };
            cluster.since(mark).iter().any(stood) || cluster.leader().is_some()
        };
        assert!(cluster.run_until(ms(60_000), stands), "the death is noticed");
        detection += cluster.now.since(died).as_seconds() / DEATHS as f64;
    }
    let days = hours as f64 / 24.0;
    Behaviour {
        messages_per_second: messages as f64 / (hours * 3_600) as f64,
        detection,
        wrong_elections_per_day: wrong as f64 / days,
    }
}

/// `beats` heartbeats to each follower in the target. A follower that misses all of them starts an
/// election.
fn pairwise(count: u8, beats: i32, loss: f64) -> Behaviour {
    let interval = TARGET.as_seconds() / f64::from(beats);
    let followers = f64::from(count - 1);
    Behaviour {
        messages_per_second: followers / interval,
        detection: TARGET.as_seconds(),
        wrong_elections_per_day: 86_400.0 / interval * loss.powi(beats) * (1.0 - loss) * followers,
    }
}

/// Chen, Toueg and Aguilera's NFD-E: the fewest heartbeats with at most one mistake a day.
fn chen(count: u8, loss: f64) -> Behaviour {
    let kept = |beats: &i32| pairwise(count, *beats, loss).wrong_elections_per_day <= 1.0;
    pairwise(count, (1..100).find(kept).unwrap_or(100), loss)
}

/// Dynatune: as many heartbeats as make one of them arrive with probability 0.999.
fn dynatune(count: u8, loss: f64) -> Behaviour {
    let beats = if loss > 0.0 { (0.001_f64.ln() / loss.ln()).ceil() as i32 } else { 1 };
    pairwise(count, beats, loss)
}

#[test]
#[ignore = "takes minutes in a release build"]
fn heartbeats_of_the_controller_and_its_rivals() {
    let adaptive = Tuning { control: Control::Adaptive, message_price_us: 500, ..course() };
    println!("messages a second / detection in s / wrong elections a day");
    println!("  n  loss  round trip   controller, course, Chen, Dynatune");
    let mut cells = Vec::new();
    for count in counts() {
        for loss in [0.0, 0.1, 0.2, 0.3, 0.4] {
            cells.extend([Micros(100), ms(10), ms(100)].map(|one_way| (count, loss, one_way)));
        }
    }
    let row = |(count, loss, one_way): (u8, f64, Micros)| {
        let behaviours = [
            observed(count, &adaptive, loss, one_way, hours()),
            observed(count, &course(), loss, one_way, hours().min(MOST_STATIC_HOURS)),
            chen(count, loss),
            dynatune(count, loss),
        ];
        let text = behaviours.map(|cell| {
            format!(
                "{:6.2} / {:4.2} / {:6.1}",
                cell.messages_per_second, cell.detection, cell.wrong_elections_per_day
            )
        });
        let (percent, trip) = (loss * 100.0, one_way.0 as f64 / 500.0);
        println!("  {count}  {percent:3.0} %  {trip:7.1} ms   {}", text.join("  "));
        behaviours[0].messages_per_second / behaviours[2].messages_per_second
    };
    let worst = cells.into_par_iter().map(row).reduce(|| 0.0, f64::max);
    println!("at most {:.0} % of Chen's messages", worst * 100.0);
}
