//! The simulator catches wrong replicas: each test is a real run of `replica.rs`, with the verdict
//! that the interface demands. This program holds the tests. It is also the replica, when the
//! environment says what is wrong with it.

mod replica;

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_laconic");

/// The checks, by the words that the report uses.
const INCORRECT: &str = "no incorrect message";
const DIED: &str = "no replica ended by itself";
const FLOOR: &str = "enough messages for a replicated store";
const HISTORY: &str = "the history is linearizable";

/// The number of `early_ok` runs at the same time.
const SIDE_BY_SIDE: usize = 5;

/// A list of functions, each with its name.
macro_rules! tests {
    ($($test:ident),* $(,)?) => { [$((stringify!($test), $test)),*] };
}

/// Every test, with its name. A panic is a failure.
const TESTS: [(&str, fn()); 9] = tests![
    stale_read_is_an_incorrect_get_and_no_linearizable_history,
    lost_write_is_an_incorrect_get_and_no_linearizable_history,
    answers_twice_is_a_duplicate_after_ok_and_incorrect_after_a_redirect,
    too_quiet_fails_the_floor_on_traffic_and_nothing_else,
    garbage_is_counted_as_incorrect,
    dies_is_a_replica_that_ended_by_itself,
    never_says_hello_is_marked_dead_by_the_first_message_to_it,
    early_ok_of_a_leader_that_is_cut_off_and_killed_shows_as_a_loss_on_ten_seeds_of_ten,
    a_correct_replica_passes_the_same_scenarios,
];

fn main() -> ExitCode {
    if let Ok(wrong) = env::var(replica::VARIABLE) {
        return match replica::run(&wrong) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), TESTS.map(trial).into()).exit_code()
}

/// The path of this program, which is also the wrong replica.
fn wrong_replica() -> PathBuf {
    env::current_exe().unwrap()
}

/// A folder with a scenario in it, and with the program under the course's name.
struct Bench(TempDir);

impl Bench {
    fn new(scenario: &Value) -> Bench {
        let bench = Bench(tempfile::tempdir().unwrap());
        fs::write(bench.0.path().join("short.json"), scenario.to_string()).unwrap();
        symlink(PROGRAM, bench.correct()).unwrap();
        bench
    }

    fn correct(&self) -> PathBuf {
        self.0.path().join("4730kvstore")
    }

    /// Starts a run of `replica`; `wrong` says what is wrong with it.
    fn start(&self, replica: &Path, wrong: &str, seed: u64) -> Child {
        Command::new(PROGRAM)
            .args(["sim", "short.json", "--real", "--json", "--seed", &seed.to_string()])
            .arg("--replica")
            .arg(replica)
            .current_dir(self.0.path())
            .env(replica::VARIABLE, wrong)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Waits for the end of a run and returns its outcome. Its exit status must agree.
fn outcome(run: Child) -> Value {
    let output = run.wait_with_output().unwrap();
    let outcome: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let passed = outcome["passed"].as_bool().expect("a verdict");
    assert_eq!(output.status.code(), Some(if passed { 0 } else { 1 }));
    outcome
}

/// A scenario of eight seconds, two of them quiet, with few requests.
fn scenario() -> Value {
    json!({
        "lifetime": 5, "start_wait": 2, "end_wait": 1, "replicas": 5, "requests": 100, "mix": 0.5,
        "tests": {
            // The clients' random numbers alone decide how many gets can be generated.
            "maximum_get_generation_fail_fraction": 1,
            "benchmarks": {
                "total_msgs": [1000, 2000, 3000], "failures": [1, 2, 3],
                "duplicates": [1, 2, 3], "median_latency": [0.01, 0.1, 1],
            },
        },
    })
}

/// The leader is cut off, gets a put, and is killed before the others elect another leader.
fn early_ok_scenario() -> Value {
    let mut scenario = scenario();
    scenario["lifetime"] = json!(6);
    scenario["requests"] = json!(480);
    // Requests come in bunches, which an honest leader puts into one batch each.
    scenario["tests"]["maximum_appends_batched_fraction"] = json!(1);
    scenario["events"] = json!([
        {"type": "cut_leader", "time": 1.0},
        {"type": "kill_leader", "time": 1.4},
        {"type": "part_end", "time": 1.5},
    ]);
    scenario
}

fn run_wrong(wrong: &str) -> Value {
    outcome(Bench::new(&scenario()).start(&wrong_replica(), wrong, 1))
}

/// The checks that failed.
fn failed(outcome: &Value) -> Vec<&str> {
    let checks = outcome["checks"].as_array().unwrap().iter();
    let failed = checks.filter(|check| check["passed"] == false);
    failed.map(|check| check["name"].as_str().unwrap()).collect()
}

fn detail<'a>(outcome: &'a Value, name: &str) -> &'a str {
    let mut checks = outcome["checks"].as_array().unwrap().iter();
    checks.find(|check| check["name"] == name).unwrap()["detail"].as_str().unwrap()
}

fn count(outcome: &Value, name: &str) -> u64 {
    outcome["counts"][name].as_u64().unwrap()
}

/// The texts of the incorrect messages that the outcome lists.
fn incidents(outcome: &Value) -> Vec<&str> {
    let incidents = outcome["incidents"].as_array().unwrap().iter();
    incidents.map(|incident| incident["what"].as_str().unwrap()).collect()
}

/// Checks that gets returned a key's older value: each is incorrect, and the history shows it.
fn assert_reads_are_caught(outcome: &Value) {
    assert_eq!(failed(outcome), [INCORRECT, HISTORY]);
    assert_eq!(detail(outcome, INCORRECT), count(outcome, "incorrect").to_string());
    assert!(incidents(outcome).iter().all(|what| what.contains("was answered")));
    let faults = outcome["faults"].as_array().unwrap();
    let explained = faults.iter().all(|fault| fault.as_str().unwrap().contains("get "));
    assert!(!faults.is_empty() && explained, "{faults:?}");
}

fn stale_read_is_an_incorrect_get_and_no_linearizable_history() {
    assert_reads_are_caught(&run_wrong("stale_read"));
}

fn lost_write_is_an_incorrect_get_and_no_linearizable_history() {
    assert_reads_are_caught(&run_wrong("lost_write"));
}

fn answers_twice_is_a_duplicate_after_ok_and_incorrect_after_a_redirect() {
    let outcome = run_wrong("answers_twice");
    assert_eq!(failed(&outcome), [INCORRECT]);
    // The run may end between the last answer and its copy.
    let acknowledged = count(&outcome, "acknowledged_gets") + count(&outcome, "acknowledged_puts");
    assert!(acknowledged == 100 && count(&outcome, "duplicates") + 1 >= acknowledged);
    let redirects = count(&outcome, "redirects");
    assert!(redirects > 0 && redirects == count(&outcome, "incorrect"));
    assert!(incidents(&outcome).iter().all(|what| what.contains("does not wait for")));
}

fn too_quiet_fails_the_floor_on_traffic_and_nothing_else() {
    let outcome = run_wrong("too_quiet");
    assert_eq!(failed(&outcome), [FLOOR]);
    assert_eq!(detail(&outcome, FLOOR), "0, at least 125");
    assert_eq!(count(&outcome, "acknowledged_gets") + count(&outcome, "acknowledged_puts"), 100);
}

fn garbage_is_counted_as_incorrect() {
    let outcome = run_wrong("garbage");
    assert_eq!(failed(&outcome), [INCORRECT]);
    assert!(incidents(&outcome).iter().all(|what| *what == "no key \"dst\""));
    assert_eq!(detail(&outcome, INCORRECT), count(&outcome, "incorrect").to_string());
}

/// The only replica that ended by itself, and when, in microseconds.
fn only_end(outcome: &Value) -> (&str, u64) {
    assert_eq!(failed(outcome), [DIED]);
    assert_eq!(detail(outcome, DIED), "1");
    assert_eq!((count(outcome, "died"), count(outcome, "killed")), (1, 0));
    let [end] = outcome["ends"].as_array().unwrap().as_slice() else {
        panic!("{}", outcome["ends"]);
    };
    assert_eq!(end["by_itself"], true);
    (end["replica"].as_str().unwrap(), end["at_us"].as_u64().unwrap())
}

fn dies_is_a_replica_that_ended_by_itself() {
    let outcome = run_wrong("dies");
    let (replica, at_us) = only_end(&outcome);
    assert!(replica == "0000" && at_us > 3_000_000, "{replica} at {at_us}");
}

fn never_says_hello_is_marked_dead_by_the_first_message_to_it() {
    let outcome = run_wrong("never_says_hello");
    // The clock started without this replica, when the others had been campaigning for long.
    let (replica, at_us) = only_end(&outcome);
    assert!(replica == "0000" && at_us < 3_000_000, "{replica} at {at_us}");
}

fn early_ok_of_a_leader_that_is_cut_off_and_killed_shows_as_a_loss_on_ten_seeds_of_ten() {
    let bench = Bench::new(&early_ok_scenario());
    let wrong = wrong_replica();
    let seeds: Vec<u64> = (1..=10).collect();
    for seeds in seeds.chunks(SIDE_BY_SIDE) {
        let start = |seed: &u64| (*seed, bench.start(&wrong, "early_ok", *seed));
        let runs: Vec<(u64, Child)> = seeds.iter().map(start).collect();
        for (seed, run) in runs {
            let outcome = outcome(run);
            assert_eq!(count(&outcome, "killed"), 1, "seed {seed}");
            println!("seed {seed}: {}", detail(&outcome, INCORRECT));
            assert_eq!(failed(&outcome), [INCORRECT, HISTORY], "seed {seed}");
            assert_reads_are_caught(&outcome);
        }
    }
}

fn a_correct_replica_passes_the_same_scenarios() {
    let (plain, early) = (Bench::new(&scenario()), Bench::new(&early_ok_scenario()));
    let runs = [plain.start(&plain.correct(), "", 1), early.start(&early.correct(), "", 1)];
    for outcome in runs.map(outcome) {
        assert_eq!(failed(&outcome), [""; 0], "{outcome}");
        assert_eq!((&outcome["foreign"], &outcome["faults"]), (&json!(true), &json!([])));
    }
}
