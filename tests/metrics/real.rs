//! Real runs over UDP: the last figures that replicas serve or leave behind match their records.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use laconic::metrics::exposition::by_series;
use laconic::raft::{Member, Micros};
use laconic::sim::real::{RealOptions, RealRun, run};
use laconic::sim::scenario::{Event, EventKind};
use serde_json::Value;
use tempfile::TempDir;

use super::{assert_as_registered, exposed, get, ledger, short_scenario};

pub(super) fn options(folder: &Path) -> RealOptions {
    let program = folder.join("4730kvstore");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_laconic"), &program).unwrap();
    let out = Some(folder.join("out"));
    RealOptions { seed: 1, program: Some(program), out, ..RealOptions::default() }
}

/// The address of each replica's endpoint, by ID. All are of one cluster.
fn targets(discovery: &Path) -> BTreeMap<String, String> {
    let Ok(text) = std::fs::read_to_string(discovery) else {
        return BTreeMap::new();
    };
    // The file is put in place by a rename, so a reader always sees it whole.
    let groups: Vec<Value> = serde_json::from_str(&text).unwrap();
    let target = |group: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        assert_eq!(group["labels"]["cluster"], "short");
        // A replica's metrics have a label `replica` already, so the target must not add a second
        // one.
        assert_eq!(group["labels"].as_object().unwrap().len(), 2, "{group}");
        (text(&group["labels"]["__meta_laconic_replica"]), text(&group["targets"][0]))
    };
    groups.iter().map(target).collect()
}

/// Scrapes all targets in `discovery` until `over`. Returns the last figures of each.
fn scrape(discovery: &Path, over: impl Fn() -> bool) -> BTreeMap<String, String> {
    let mut last = BTreeMap::new();
    while !over() {
        for (replica, address) in targets(discovery) {
            if let Some(body) = get(&address, "/metrics") {
                last.insert(replica, body);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    last
}

fn last_figures(out: &Path, member: Member) -> String {
    std::fs::read_to_string(out.join(format!("{member}.prom"))).unwrap()
}

/// The figures match the records exactly, by kind, cause, peer and direction. With the balance,
/// they also match the simulator's total.
fn assert_is_ledger(run: &RealRun, member: Member, text: &str) {
    let figures = exposed(&by_series(text), None);
    assert_eq!(figures, ledger(&run.records, member, run.balances.len()), "{member:?}");
    let sent: u64 =
        figures.iter().filter(|(place, _)| place.0 == "sent").map(|(_, count)| count).sum();
    let balance = run.balances[member.rank()];
    assert!(balance.is_even() && balance.sent == sent, "{balance:?} {sent}");
}

#[test]
fn the_last_scrape_before_the_end_is_the_ledger_and_so_is_what_is_left_behind() {
    let folder = TempDir::new().unwrap();
    let discovery = folder.path().join("discovery.json");
    let options = RealOptions {
        discovery: Some(discovery.clone()),
        // A follower notices that its socket is closed within an election timeout.
        hold: Duration::from_secs(4),
        ..options(folder.path())
    };
    let scenario = short_scenario();
    let (run, last) = std::thread::scope(|scope| {
        let runner = scope.spawn(|| run(&scenario, &options).unwrap());
        let last = scrape(&discovery, || runner.is_finished());
        (runner.join().unwrap(), last)
    });
    assert!(run.conclusion.counts.died == 0, "{:?}", run.conclusion.counts);
    assert_eq!(last.len(), 5, "{:?}", last.keys());
    let counted: u64 = run.balances.iter().map(|balance| balance.counted).sum();
    assert_eq!(counted, run.conclusion.counts.messages);
    for (member, (replica, text)) in (0..5).map(Member).zip(&last) {
        assert_eq!(*replica, member.to_string());
        assert_as_registered(text, true);
        let named = by_series(text).keys().all(|series| series.label("replica") == Some(replica));
        assert!(named, "{replica}: {text}");
        assert_is_ledger(&run, member, text);
        assert_is_ledger(&run, member, &last_figures(&folder.path().join("out"), member));
    }
    let leads = |text: &&String| text.contains(",role=\"leader\"} 1\n");
    assert!(last.values().filter(leads).count() <= 1);
    assert!(!folder.path().join("out/0000.address").exists());
}

#[test]
fn killed_replicas_leave_their_ledger_behind_too() {
    let folder = TempDir::new().unwrap();
    let mut scenario = short_scenario();
    let kill = |kind, seconds| Event { kind, at: Micros::from_seconds(seconds) };
    scenario.events = vec![kill(EventKind::KillLeader, 2), kill(EventKind::KillNonLeader, 4)];
    scenario.drops = 0.1;
    let run = run(&scenario, &options(folder.path())).unwrap();
    assert_eq!((run.conclusion.counts.killed, run.exits.len()), (2, 2));
    println!("exits: {:?}", run.exits);
    let out: PathBuf = folder.path().join("out");
    for member in (0..5).map(Member) {
        let text = last_figures(&out, member);
        assert_as_registered(&text, true);
        assert_is_ledger(&run, member, &text);
    }
}
