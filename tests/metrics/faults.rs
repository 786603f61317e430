//! Panels that show faults, in a run with these faults: each must rise above zero.

use std::collections::BTreeSet;
use std::time::Duration;

use laconic::raft::Micros;
use laconic::sim::real::{RealOptions, run};
use laconic::sim::scenario::{Event, EventKind};
use tempfile::TempDir;

use super::dashboards::{Board, boards};
use super::prometheus::Prometheus;
use super::real::options;
use super::short_scenario;

/// A panel, and the fault in the run below that moves it.
const MOVED: [(&str, &str); 14] = [
    ("Elections", "the leader is cut off, later killed"),
    ("Kills", "the leader is killed"),
    ("Leader changes", "the leader is cut off, later killed"),
    ("Leaderships lost", "the leader is cut off"),
    ("Without a leader", "the leader is cut off, later killed"),
    ("Requests kept for want of a leader", "the leader is cut off, later killed"),
    ("Entries dropped at conflicts of terms", "the leader is cut off, with puts under way"),
    ("Lag by follower", "the leader is cut off"),
    ("Waste", "5 % of messages are lost"),
    ("Resend timeouts", "5 % of messages are lost"),
    ("Loss", "5 % of messages are lost"),
    ("Lag", "the leader is cut off"),
    ("What came of messages", "the leader is cut off: it rejects, and is rejected"),
    ("Requests answered", "clients are sent on"),
];

#[test]
#[ignore = "needs prometheus (Debian package)"]
fn panels_that_tell_of_faults_move_in_a_run_with_these_faults() {
    let bench = TempDir::new().unwrap();
    let discovery = bench.path().join("discovery.json");
    let prometheus = Prometheus::start(bench.path(), &[&discovery], &["laconic.rules.yml"]);
    let options = RealOptions { discovery: Some(discovery), ..options(bench.path()) };
    let mut scenario = short_scenario();
    (scenario.drops, scenario.mix) = (0.05, 0.3);
    scenario.lifetime = Micros::from_seconds(18);
    // With this many requests, some puts are on their way whenever the leader is cut off.
    scenario.requests = 5_400;
    let event = |kind, seconds| Event { kind, at: Micros::from_seconds(seconds) };
    scenario.events = vec![
        event(EventKind::CutLeader, 3),
        event(EventKind::PartEnd, 8),
        event(EventKind::KillLeader, 12),
    ];
    let run = run(&scenario, &options).unwrap();
    assert_eq!(run.conclusion.counts.killed, 1);
    // Prometheus needs a moment to evaluate the last scrapes.
    std::thread::sleep(Duration::from_secs(1));
    let asked: Vec<_> =
        boards().iter().flat_map(|board| [board.queries(), board.annotations()].concat()).collect();
    let titles: BTreeSet<&str> = asked.iter().map(|asked| &*asked.title).collect();
    for (panel, fault) in MOVED {
        assert!(titles.contains(panel), "no panel {panel}");
        for asked in asked.iter().filter(|asked| asked.title == panel) {
            // A panel about one replica is asked for all replicas.
            let query = asked.expression.replace("=\"$replica\"", "=~\"$replica\"");
            let query = Board::substituted(&query, "short", ".+");
            let highest = prometheus.highest(&query, 60);
            println!("{panel}: {highest:?}");
            assert!(highest.is_some_and(|value| value > 0.0), "{panel}: {query}: {fault}");
            if asked.counts_events() {
                let whole = highest.is_some_and(|value| value.fract() == 0.0);
                assert!(whole, "{panel}: {highest:?} is no number of events");
            }
        }
    }
}
