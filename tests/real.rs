//! Short runs over real UDP, with the program's own replicas as child processes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use laconic::archive::read_records;
use laconic::raft::Micros;
use laconic::record::{Fact, Fate, SIMULATOR};
use laconic::sim::course::Over;
use laconic::sim::real::{RealError, RealOptions, RealRun, run};
use laconic::sim::scenario::{Event, EventKind, Scenario};
use tempfile::TempDir;

/// A folder with the program in it, under the course's name.
struct Bench(TempDir);

impl Bench {
    fn new() -> Bench {
        let bench = Bench(tempfile::tempdir().unwrap());
        symlink(env!("CARGO_BIN_EXE_laconic"), bench.program()).unwrap();
        bench
    }

    fn program(&self) -> PathBuf {
        self.0.path().join("4730kvstore")
    }

    fn options(&self, seed: u64) -> RealOptions {
        let out = Some(self.0.path().join("out"));
        RealOptions { seed, program: Some(self.program()), out, ..RealOptions::default() }
    }

    /// Options with a program that runs these `lines` of shell script.
    fn script(&self, lines: &str) -> RealOptions {
        let path = self.0.path().join("script");
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        RealOptions { program: Some(path), foreign: true, ..RealOptions::default() }
    }
}

/// Five replicas and 60 requests in eight seconds; the first two seconds are quiet.
fn scenario() -> Scenario {
    let mut scenario = Scenario::load("simple-2").unwrap();
    scenario.name = "short".into();
    scenario.lifetime = Micros::from_seconds(5);
    scenario.start_wait = Micros::from_seconds(2);
    scenario.end_wait = Micros::from_seconds(1);
    scenario.requests = 60;
    // The clients' random numbers alone decide how many gets can be generated.
    scenario.tests.maximum_get_generation_fail_fraction = 1.0;
    scenario
}

fn event(kind: EventKind, seconds: u64) -> Event {
    Event { kind, at: Micros::from_seconds(seconds) }
}

fn assert_passed(run: &RealRun) {
    let failed: Vec<_> = run.conclusion.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{failed:?}\n{:?}", run.conclusion.incidents);
    assert_eq!(run.fold.early, [], "no put was answered before its time");
}

/// What the replicas say they sent agrees with what the simulator read.
fn assert_books_balance(run: &RealRun) {
    assert!(run.balances.iter().all(|balance| balance.is_even()), "{:?}", run.balances);
    let counted: u64 = run.balances.iter().map(|balance| balance.counted).sum();
    let by_type: u64 = run.by_type.iter().map(|(_, messages)| messages).sum();
    let sent: u64 = run.balances.iter().map(|balance| balance.sent).sum();
    assert_eq!(counted, run.conclusion.counts.messages);
    assert_eq!(by_type, counted);
    assert_eq!(run.fold.table.total(), sent);
    let routed = run.records.iter().filter(|record| matches!(record.fact, Fact::Routed { .. }));
    assert_eq!(routed.count() as u64, counted, "a record for each delivery");
}

#[test]
fn a_run_without_faults_passes_and_its_books_balance() {
    let bench = Bench::new();
    let run = run(&scenario(), &bench.options(1)).unwrap();
    assert_passed(&run);
    assert_books_balance(&run);
    assert_eq!(run.conclusion.over, Some(Over::TimeIsUp));
    let counts = &run.conclusion.counts;
    assert_eq!((counts.dropped, counts.to_the_dead, counts.blocked), (0, 0, 0));
    let unread: u64 = run.balances.iter().map(|balance| balance.unread + balance.lost).sum();
    assert!(unread <= 10, "{:?}", run.balances);
    assert!(run.records.is_sorted_by_key(|record| record.at));
    let simulators = read_records(&bench.0.path().join("out/simulator.bin")).unwrap();
    assert_eq!((simulators.header.source, simulators.unread_bytes), (SIMULATOR, 0));
}

#[test]
fn kills_and_drops_are_survived_and_accounted_for() {
    let mut scenario = scenario();
    scenario.drops = 0.1;
    scenario.events = vec![event(EventKind::KillNonLeader, 1), event(EventKind::KillLeader, 3)];
    let bench = Bench::new();
    // A request that is due when its leader is killed is lost with it (interface §4).
    let run = run(&scenario, &RealOptions { precise: true, ..bench.options(2) }).unwrap();
    assert_passed(&run);
    assert_books_balance(&run);
    let counts = &run.conclusion.counts;
    assert_eq!((counts.killed, counts.died, run.exits.len()), (2, 0, 2));
    assert!(counts.dropped > 0 && counts.to_the_dead > 0, "{counts:?}");
    println!("exits: {:?}", run.exits);
    let killed = run.records.iter().filter_map(|record| match record.fact {
        Fact::Killed { by_itself: false, .. } => Some(record.source),
        _ => None,
    });
    assert_eq!(killed.collect::<Vec<_>>(), [SIMULATOR, SIMULATOR]);
    let fate = |wanted| {
        let wanted = |fact| matches!(fact, Fact::Routed { fate, .. } if fate == wanted);
        run.records.iter().filter(|record| wanted(record.fact)).count() as u64
    };
    assert_eq!((fate(Fate::Dropped), fate(Fate::Dead)), (counts.dropped, counts.to_the_dead));
}

#[test]
fn a_run_without_a_folder_has_its_table_all_the_same() {
    let bench = Bench::new();
    let mut scenario = scenario();
    scenario.requests = 20;
    let options = RealOptions { out: None, silence: true, ..bench.options(3) };
    let run = run(&scenario, &options).unwrap();
    assert_passed(&run);
    assert_books_balance(&run);
    assert!(!bench.0.path().join("out").exists());
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let bench = Bench::new();
    let program = bench.0.path().join("no-such-program");
    let options = RealOptions { program: Some(program), foreign: true, ..RealOptions::default() };
    let error = run(&scenario(), &options).unwrap_err();
    assert!(matches!(error, RealError::Launch { .. }));
    let line = error.to_string();
    assert!(line.contains("no-such-program") && !line.contains('\n'), "{line}");
}

#[test]
fn replicas_that_end_by_themselves_fail_the_run_at_once() {
    let bench = Bench::new();
    let run = run(&scenario(), &bench.script("echo no such thing >&2; exit 3")).unwrap();
    assert_eq!(run.conclusion.over, Some(Over::NobodyLives));
    assert_eq!(run.conclusion.counts.died, 5);
    assert!(!run.conclusion.passed() && run.conclusion.ended_at < Micros::from_seconds(2));
    assert_eq!((run.balances.len(), run.fold.table.total()), (0, 0));
}

#[test]
fn what_a_killed_replica_has_launched_is_killed_with_it() {
    let bench = Bench::new();
    let note = bench.0.path().join("grandchildren");
    let stubborn = "(trap '' TERM; exec sleep 600) &";
    let script = format!("{stubborn} echo $! >>{}; exec sleep 600", note.display());
    let mut scenario = scenario();
    scenario.lifetime = Micros::from_seconds(1);
    scenario.start_wait = Micros(0);
    let run = run(&scenario, &bench.script(&script)).unwrap();
    // No replica said hello, so the first message to each marked it dead (interface §2).
    assert_eq!((run.conclusion.over, run.conclusion.counts.died), (Some(Over::NobodyLives), 5));
    let pids: Vec<_> = fs::read_to_string(&note).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(pids.len(), 5);
    for pid in pids {
        assert!(is_soon_gone(&pid), "{pid}");
    }
}

/// Whether process `pid` soon has ended, or is a zombie that nobody has collected yet. A signal
/// needs a moment to end a process.
fn is_soon_gone(pid: &str) -> bool {
    let is_gone = || {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    };
    let start = Instant::now();
    while !is_gone() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    is_gone()
}
