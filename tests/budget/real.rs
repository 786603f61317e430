//! The books of real UDP runs with faults balance too, for each message and each link.

use std::process::Command;

use laconic::sim::scenario::{Event, EventKind, Scenario};

use crate::{scenario, seconds};

/// A run of eight seconds on five replicas.
fn short(drops: f64, events: &[(EventKind, u64)]) -> Scenario {
    let mut scenario = scenario("simple-2");
    (scenario.requests, scenario.drops) = (60, drops);
    (scenario.lifetime, scenario.start_wait, scenario.end_wait) =
        (seconds(5), seconds(2), seconds(1));
    let event = |(kind, at): &(EventKind, u64)| Event { kind: *kind, at: seconds(*at) };
    scenario.events = events.iter().map(event).collect();
    scenario
}

fn assert_balanced(name: &str, scenario: &Scenario) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{name}.json"));
    std::fs::write(&file, scenario.to_json().to_string()).unwrap();
    let run = folder.path().join("run");
    let laconic =
        |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_laconic")).args(words).output().unwrap();
    let (file, run) = (file.display().to_string(), run.display().to_string());
    let done = laconic(&["sim", &file, "--real", "--seed", "3", "--out", &run]);
    let told = laconic(&["budget", &run, "--format", "json"]);
    let context = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!(told.status.code(), Some(0), "{errors}{context}");
    let reports: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let report = &reports[0];
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    let books = &report["books"];
    let parts = ["counted", "unread", "lost"].map(|key| number(&books[key]));
    assert_eq!(number(&books["sent"]), parts.iter().sum::<u64>(), "{books}");
    let table = report["table"].as_array().unwrap();
    let by_cause: u64 = table.iter().map(|row| number(&row["count"])).sum();
    assert_eq!(by_cause, number(&books["sent"]), "the causes add up to what was sent");
    let outcome = std::fs::read_to_string(format!("{run}/run.json")).unwrap();
    let outcome: serde_json::Value = serde_json::from_str(&outcome).unwrap();
    let counted = number(&outcome["outcome"]["counts"]["messages"]);
    let links = report["links"].as_array().unwrap();
    let by_link: u64 = links.iter().map(|link| number(&link["counted"])).sum();
    assert_eq!(by_link, counted, "the links add up to the simulator's own count");
    for link in links {
        let parts = ["counted", "unread", "lost"].map(|key| number(&link[key]));
        assert_eq!(number(&link["sent"]), parts.iter().sum::<u64>(), "{link}");
    }
    for row in report["latency"].as_array().unwrap() {
        let mean = |time: &serde_json::Value| time["mean_us"].as_f64().unwrap();
        let stages: f64 =
            row["stages"].as_array().unwrap().iter().map(|stage| mean(&stage["time"])).sum();
        assert!((stages - mean(&row["total"])).abs() < 1e-3, "{row}");
    }
}

#[test]
fn with_losses_and_a_killed_follower() {
    assert_balanced("lossy", &short(0.1, &[(EventKind::KillNonLeader, 2)]));
}

#[test]
fn with_a_killed_leader() {
    assert_balanced("killed", &short(0.0, &[(EventKind::KillLeader, 2)]));
}

#[test]
fn with_a_partition_that_cuts_the_leader_off() {
    let events = [(EventKind::CutLeader, 1), (EventKind::PartEnd, 4)];
    assert_balanced("cut", &short(0.05, &events));
}
