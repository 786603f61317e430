//! The program as a user meets it: help, errors, output and exit status.

mod desk;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use desk::{Desk, Done, PATIENCE, PROGRAM, wait_until};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;

/// The columns of the terminal that the output is made for.
const WIDTH: usize = 80;

/// Runs the program, but reads only the first line that it prints.
fn first_line(desk: &Desk, words: &str) -> (String, Done) {
    let mut command = desk.command(words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (line, Done::of(child.wait_with_output().unwrap()))
}

/// Does a run whose records are kept in `run`.
fn keep_run(desk: &Desk) {
    assert_eq!(desk.run("sim simple-2 --seed 1 --out run").status, 0);
}

/// The keys that `sim --help` documents, with the parts of `messages`.
const KEYS: [&str; 25] = [
    "schema",
    "engine",
    "timing",
    "profile",
    "foreign",
    "passed",
    "failed_by_chance_alone",
    "scenario",
    "seed",
    "ended_at_us",
    "over",
    "leaders_seen",
    "counts",
    "mean_latency_s",
    "median_latency_us",
    "checks",
    "benchmarks",
    "unanswered",
    "duplicates",
    "incidents",
    "ends",
    "faults",
    "remarks",
    "messages",
    "messages.table",
];

/// A scenario that every cluster fails: it demands more messages than there are.
fn too_loud() -> &'static str {
    r#"{"lifetime": 5, "replicas": 3, "requests": 19000, "mix": 0, "seed": 5, "tests": {
        "maximum_appends_batched_fraction": 0, "benchmarks": {"total_msgs": [1, 2, 3],
        "failures": [1, 2, 3], "duplicates": [1, 2, 3], "median_latency": [1, 2, 3]}}}"#
}

#[test]
fn every_help_has_examples_and_fits_a_terminal() {
    let desk = Desk::new();
    let commands = [
        "",
        "sim",
        "budget",
        "budget diff",
        "records",
        "trace",
        "postmortem",
        "calibrate",
        "compare",
        "compare profiles",
        "compare engines",
        "tune",
        "tune merge",
        "campaign",
        "campaign merge",
        "whatif",
        "profiles",
        "profiles show",
        "list",
        "completions",
        "man",
        "replica",
    ];
    for command in commands {
        let help = desk.run(&format!("{command} --help"));
        assert_eq!((help.status, help.err.as_str()), (0, ""), "{command}");
        assert!(help.out.contains("Example"), "{command}: {}", help.out);
        assert!(help.out.contains(&format!("laconic {command}")), "{command}: {}", help.out);
        let long = help.out.lines().find(|line| line.chars().count() > WIDTH);
        assert_eq!(long, None, "{command}");
    }
    let narrow = desk.command("--help").env("COLUMNS", "40").output().unwrap();
    let narrow = String::from_utf8(narrow.stdout).unwrap();
    let explained = "  laconic list\n      the scenarios and profiles there\n      are\n";
    assert!(narrow.contains(explained), "{narrow}");
    let sim = desk.run("sim --help").out;
    for key in KEYS {
        let word = key.rsplit('.').next().unwrap();
        assert!(sim.contains(word), "{key} is not documented");
    }
}

#[test]
fn what_is_built_in_is_listed() {
    let desk = Desk::new();
    let text = desk.run("list");
    assert_eq!((text.status, text.err.as_str()), (0, ""));
    assert!(text.out.lines().all(|line| line.chars().count() <= WIDTH), "{}", text.out);
    let json: Value = serde_json::from_str(&desk.run("list --json").out).unwrap();
    let listed = |key: &str| json[key].as_array().unwrap().clone();
    assert_eq!((listed("scenarios").len(), listed("profiles").len()), (20, 8));
    for entry in listed("scenarios").iter().chain(&listed("profiles")) {
        let name = entry["name"].as_str().unwrap();
        assert!(text.out.contains(&format!("  {name} ")), "{name}: {}", text.out);
    }
    let bases = listed("profiles").into_iter().map(|entry| entry["base"].clone());
    let [course, fast] = ["course", "fast"].map(Value::from);
    let wanted = [
        Value::Null,
        fast.clone(),
        fast.clone(),
        course.clone(),
        Value::Null,
        course.clone(),
        course.clone(),
        course,
    ];
    assert_eq!(bases.collect::<Vec<_>>(), wanted);
    assert_eq!(text.out.matches(" (base: course)\n").count(), 4, "{}", text.out);
    let crash = listed("scenarios").into_iter().find(|entry| entry["name"] == "crash-1").unwrap();
    let file = fs::read_to_string("scenarios/crash-1.json").unwrap();
    let scenario: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(crash["events"], scenario["events"].as_array().unwrap().len());
    assert_eq!(crash["requests"], scenario["requests"]);
}

#[test]
fn a_value_that_is_none_is_refused_in_one_line() {
    let desk = Desk::new();
    let most = "must be a whole number from 0 to 18446744073709551615";
    for (words, named) in [
        ("sim simple-1 --seed -1", ["'-1'", most]),
        ("sim simple-1 --seed=-1", ["'-1'", most]),
        ("sim simple-1 --seed x", ["'x'", most]),
        ("compare engines --seed -1", ["'-1'", most]),
        ("compare profiles course quiet --seed -1", ["'-1'", most]),
        ("sim simple-1 --repeat 0", ["--repeat", "0 is not in 1..=1000000"]),
    ] {
        desk.run(words).assert_refused(2, &named);
    }
}

#[test]
fn what_was_written_is_said_in_one_line() {
    let desk = Desk::new();
    let done = desk.run("sim simple-1 --seed 1 --out run --report r.html --trace t.json");
    let wanted = "Written: run (next: laconic budget run), r.html, t.json (for ui.perfetto.dev)";
    assert_eq!(done.out.lines().last(), Some(wanted));
    assert!(!desk.run("sim simple-1 --seed 1").out.contains("Written"));
    assert!(!desk.run("sim simple-1 --seed 1 --out run --force --json").out.contains("Written"));
    let several = desk.run("sim simple-1 --seed 1 --repeat 2 --out many").out;
    let wanted = "Written: many, 2 folders (next: laconic budget FOLDER)";
    assert_eq!(several.lines().last(), Some(wanted));
    assert_eq!(desk.run("budget run -o b.txt").out, "Written: b.txt\n");
}

#[test]
fn an_unknown_scenario_is_refused_with_those_there_are() {
    Desk::new().run("sim simple-9").assert_refused(2, &["\"simple-9\"", "simple-1", "large"]);
}

#[test]
fn a_bad_scenario_is_refused_with_file_key_and_rule() {
    let desk = Desk::new();
    desk.write("mine.json", r#"{"lifetime": 5, "replicas": 2, "requests": 5, "tests": {}}"#);
    let refused = desk.run("sim mine.json");
    refused.assert_refused(2, &["mine.json", "replicas", "must be an integer from 3 to 21"]);
    desk.write("mine.json", "{");
    desk.run("sim mine.json").assert_refused(2, &["mine.json"]);
}

#[test]
fn what_only_virtual_time_has_is_refused_of_a_real_run() {
    let desk = Desk::new();
    let good = fs::read_to_string("scenarios/simple-1.json").unwrap();
    let tests = good.find("\"tests\"").unwrap();
    for (keys, key) in [
        (r#""network": {"duplicates": 0.1}"#, "network.duplicates"),
        (r#""network": {"one_way_ms": 50}"#, "network.one_way_ms"),
        (r#""network": {"delayed": 0.1, "delay_max_ms": 5}"#, "network.delayed"),
        (
            r#""network": {"faults": [{"type": "loss", "time": 1, "lasts": 2, "fraction": 0.5}]}"#,
            "network.faults",
        ),
        (r#""clock_drift_ppm": [0, 100]"#, "clock_drift_ppm"),
    ] {
        desk.write("mine.json", &(good[..tests].to_owned() + keys + ", " + &good[tests..]));
        desk.run("sim mine.json --real").assert_refused(2, &["mine.json", key, "virtual time"]);
        assert_eq!(desk.run("sim mine.json --seed 1 --json").status, 0, "{key}");
    }
    desk.run("sim wan --real").assert_refused(2, &["wan: network.one_way_ms: only in virtual"]);
}

#[test]
fn a_misspelt_key_is_named_with_the_nearest_and_refused_if_strict() {
    let desk = Desk::new();
    let good = fs::read_to_string("scenarios/simple-1.json").unwrap();
    let tests = good.find("\"tests\"").unwrap();
    let with = |keys: &str| good[..tests].to_owned() + keys + ", " + &good[tests..];
    for (keys, key, nearest) in [
        ("\"bugdet\": {}", "bugdet", "budget"),
        ("\"clock_drift\": []", "clock_drift", "clock_drift_ppm"),
        ("\"network\": {\"duplicate\": 1}", "network.duplicate", "duplicates"),
        (
            "\"events\": [{\"type\": \"part_end\", \"time\": 1, \"tims\": 2}]",
            "events[0].tims",
            "time",
        ),
    ] {
        desk.write("mine.json", with(keys));
        let line =
            format!("laconic: mine.json: {key}: no key of a scenario, did you mean {nearest}?");
        let warned = desk.run("sim mine.json --seed 1");
        assert_eq!((warned.status, warned.err), (0, format!("{line} (ignored)\n")));
        let refused = desk.run("sim mine.json --seed 1 --strict");
        refused.assert_refused(2, &[&line]);
    }
    desk.write("mine.json", with("\"comment\": \"mine\""));
    let warned = desk.run("sim mine.json --seed 1");
    assert_eq!(warned.err, "laconic: mine.json: comment: no key of a scenario (ignored)\n");
    // The course's own files have this key outside `tests`.
    desk.write("mine.json", with("\"maximum_get_generation_fail_fraction\": 0.4"));
    assert_eq!(desk.run("sim mine.json --seed 1 --strict").err, "");
    desk.write("mine.json", with("\"budget\": {\"mesages_a_commit\": 3}"));
    let refused = desk.run("sim mine.json");
    refused.assert_refused(
        2,
        &["budget: unknown field `mesages_a_commit`, did you mean messages_per_commit?"],
    );
    desk.run("sim simple2").assert_refused(2, &["\"simple2\"", "did you mean simple-2?"]);
    desk.run("sim simple-2 --profile corse").assert_refused(2, &["did you mean course?"]);
    desk.write(
        "mine.toml",
        include_str!("../profiles/course.toml").replace("pre_vote =", "prevote ="),
    );
    let refused = desk.run("sim simple-2 --profile mine.toml");
    refused.assert_refused(2, &["unknown field `prevote`, did you mean pre_vote?"]);
}

#[test]
fn a_bad_profile_is_refused_with_line_key_and_rule() {
    let desk = Desk::new();
    let course = include_str!("../profiles/course.toml");
    let line = course.lines().position(|line| line.starts_with("pre_vote =")).unwrap() + 1;
    desk.write("mine.toml", course.replace("pre_vote = true", "pre_vote = 7"));
    let place = format!("mine.toml:{line}: pre_vote");
    let refused = desk.run("sim simple-2 --profile mine.toml");
    refused.assert_refused(2, &[&place, "expected a boolean"]);
    desk.write("mine.toml", course.replace("pipeline_window = 16", "pipeline_window = 0"));
    let refused = desk.run("sim simple-2 --profile mine.toml");
    refused.assert_refused(2, &["mine.toml:", "pipeline_window", "must be 1 to 256"]);
    desk.run("sim simple-2 --profile mine").assert_refused(2, &["\"mine\"", "course, textbook"]);
}

#[test]
fn wrong_usage_has_status_2() {
    let desk = Desk::new();
    for words in ["", "fly", "sim", "sim simple-2 --repeat 0", "sim simple-2 --replica x"] {
        let done = desk.run(words);
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{words}: {done:?}");
        assert!(!done.err.is_empty(), "{words}");
    }
}

#[test]
fn a_replica_program_that_is_missing_is_named() {
    let desk = Desk::new();
    let refused = desk.run("sim simple-2 --real --replica ./no-such-program");
    refused.assert_refused(4, &["no-such-program: cannot be launched"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let desk = Desk::new();
    desk.write("file", "");
    desk.run("sim simple-2 --out file").assert_refused(4, &["file: ", "Not a directory"]);
}

/// A wrong name is reported before anything runs or is written.
#[test]
fn all_names_are_tried_before_anything_runs() {
    let desk = Desk::new();
    keep_run(&desk);
    desk.write("file", "");
    let long = "sim simple-2 --real --out kept";
    for (words, variable, status, named) in [
        (&*format!("{long} --report none/x.html"), "", 4, "none/x.html: No such file"),
        (&*format!("{long} --trace file/x.json"), "", 4, "file/x.json: Not a directory"),
        (&*format!("{long} --metrics run"), "", 4, "run: is a directory"),
        (&*format!("{long} --profile none"), "", 2, "\"none\""),
        (&*format!("{long} --replica ./none"), "", 4, "none: cannot be launched"),
        (&*format!("{long} --replica ./file"), "", 4, "file: cannot be launched"),
        (long, "LACONIC_LOG", 2, "LACONIC_LOG: \"a=b=c\" is no log filter"),
        (long, "LACONIC_SPANS", 2, "LACONIC_SPANS: \"a=b=c\" is neither"),
        ("sim large --out kept --open-metrics none/x.om", "", 4, "none/x.om: No such file"),
        ("sim simple-2 --repeat 9 --out file/runs", "", 4, "file/runs/simple-2-seed-"),
        ("calibrate --out none/delays.json", "", 4, "none/delays.json: No such file"),
        ("calibrate", "LACONIC_SPANS", 2, "LACONIC_SPANS"),
        ("compare engines --profile none", "", 2, "\"none\""),
        ("compare profiles course none --repeat 999", "", 2, "\"none\""),
        ("compare profiles course quiet --repeat 999 -o none/x.svg", "", 4, "none/x.svg: No such"),
        ("budget run --verify --seeds 9999 -o none/x", "", 4, "none/x: No such file"),
        ("budget run none --verify --seeds 9999", "", 2, "none/run.json: No such file"),
        ("trace run -o none/trace.json", "", 4, "none/trace.json: No such file"),
    ] {
        let mut command = desk.command(words);
        if !variable.is_empty() {
            command.env(variable, "a=b=c");
        }
        let mut child =
            Guarded(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        let pid = Pid::from_child(&child.0);
        let has_ended = || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(pid), options).unwrap().is_some()
        };
        wait_until(words, has_ended);
        let (mut out, mut err) = (String::new(), String::new());
        child.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        child.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let status_seen = child.0.wait().unwrap().code().unwrap();
        Done { status: status_seen, out, err }.assert_refused(status, &[named]);
        assert!(!desk.path().join("kept").exists(), "{words}");
    }
}

#[test]
fn json_is_one_object_with_the_keys_that_help_documents() {
    let desk = Desk::new();
    let done = desk.run("sim crash-4 --seed 1 --json");
    assert_eq!((done.status, done.err.as_str(), done.out.lines().count()), (0, "", 1));
    let outcome: Value = serde_json::from_str(&done.out).unwrap();
    for key in KEYS {
        let found = key.split('.').fold(&outcome, |value, key| &value[key]);
        assert!(!found.is_null(), "{key}");
    }
    let documented = KEYS.iter().filter(|key| !key.contains('.')).count();
    assert_eq!(outcome.as_object().unwrap().len(), documented, "all keys are documented");
    let messages = &outcome["messages"];
    let number = |key: &str| messages[key].as_u64().unwrap_or_else(|| panic!("{key}"));
    assert_eq!(number("total"), number("counted") + number("unread") + number("lost"));
    for key in ["committed_puts", "batches", "batch_messages", "resend_timeouts", "elections"] {
        assert!(number(key) > 0, "{key}");
    }
    let both = desk.run("sim crash-4 --seed 1 --json --repeat 2");
    let second = both.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let seeds: Vec<_> = second.map(|outcome| outcome["seed"].clone()).collect();
    assert_eq!(seeds, [1, 2]);
    assert_eq!(both.out.lines().next(), done.out.lines().next());
}

#[test]
fn a_report_fits_a_terminal_and_says_what_happened() {
    let desk = Desk::new();
    let done = desk.run("sim crash-4 --seed 1");
    assert_eq!((done.status, done.err.as_str()), (0, ""));
    let parts =
        ["crash-4, seed 1:", "Correctness:", "Tiers:", "Unanswered:", "kind ", "total ", "= "];
    for part in parts {
        assert!(done.out.lines().any(|line| line.trim_start().starts_with(part)), "{part}");
    }
    // The budget's bars and µs have the only letters that are not ASCII.
    let is_plain = |line: &str| line.trim_end_matches('\u{2588}').replace("µs", "us").is_ascii();
    let long = done.out.lines().find(|line| line.chars().count() > WIDTH || !is_plain(line));
    assert_eq!(long, None);
    let other = desk.run("sim all --repeat 2 --seed 1");
    let long = other.out.lines().find(|line| line.chars().count() > WIDTH);
    assert_eq!(long, None);
}

#[test]
fn a_reader_who_has_seen_enough_ends_the_program_quietly() {
    let desk = Desk::new();
    keep_run(&desk);
    for words in ["sim all --seed 1", "sim simple-2 --repeat 50 --seed 1", "records run"] {
        let (line, done) = first_line(&desk, words);
        assert!(!line.is_empty(), "{words}");
        assert_eq!((done.status, done.err.as_str()), (0, ""), "{words}");
    }
}

#[test]
fn repeat_prints_in_the_order_of_seeds_and_twice_the_same() {
    let desk = Desk::new();
    let first = desk.run("sim crash-3 --repeat 12 --seed 90");
    let seeds: Vec<&str> =
        first.out.lines().filter(|line| line.starts_with("seed ")).map(|l| &l[..8]).collect();
    let wanted: Vec<String> = (90..102).map(|seed| format!("seed {seed:<3}")).collect();
    assert_eq!(seeds, wanted);
    assert_eq!(first.out, desk.run("sim crash-3 --repeat 12 --seed 90").out);
    assert_eq!(first.out.lines().last(), Some("Passed 12 out of 12 runs"));
}

#[test]
fn records_are_json_lines_in_the_order_of_time() {
    let desk = Desk::new();
    keep_run(&desk);
    let all = desk.run("records run");
    assert_eq!((all.status, all.err.as_str()), (0, ""));
    let lines = all.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let times: Vec<u64> = lines.map(|line| line["at_us"].as_u64().unwrap()).collect();
    assert!(times.len() > 1_000 && times.is_sorted());
    let one = desk.run("records run/records/0002.bin");
    assert!(one.status == 0 && one.out.lines().count() < times.len());
}

#[test]
fn of_damaged_records_what_can_be_read_is_printed() {
    let desk = Desk::new();
    keep_run(&desk);
    let whole = fs::read(desk.path().join("run/simulator.bin")).unwrap();
    desk.write("torn.bin", &whole[..64 * 5 + 40]);
    let torn = desk.run("records torn.bin");
    assert_eq!((torn.status, torn.out.lines().count()), (2, 4), "{torn:?}");
    let line = "laconic: torn.bin: the last 40 bytes are no whole records\n";
    assert_eq!(torn.err, line);
    desk.write("empty.bin", "");
    desk.run("records empty.bin").assert_refused(2, &["empty.bin", "no record file"]);
    desk.write("foreign.bin", "something else".repeat(20));
    desk.run("records foreign.bin").assert_refused(2, &["foreign.bin", "no record file"]);
    desk.run("records nowhere").assert_refused(2, &["nowhere: No such file"]);
    fs::create_dir(desk.path().join("hollow")).unwrap();
    desk.run("records hollow").assert_refused(2, &["hollow: holds no record files"]);
    desk.write("run/records/0001.bin", "something else");
    let rest = desk.run("records run");
    assert!(rest.status == 2 && rest.out.lines().count() > 1_000 && rest.err.lines().count() == 1);
    assert!(rest.err.contains("0001.bin"), "{}", rest.err);
}

#[test]
fn all_prints_a_line_for_each_of_the_seventeen_and_how_many_passed() {
    let done = Desk::new().run("sim all --seed 1");
    assert_eq!((done.status, done.err.as_str()), (0, ""));
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!(lines.len(), 18, "{}", done.out);
    assert!(lines[..17].iter().all(|line| line.contains(" PASS  tiers: ")), "{}", done.out);
    assert_eq!(lines[17], "Passed 17 out of 17 tests");
}

#[test]
fn a_check_that_fails_has_status_1_and_is_named() {
    let desk = Desk::new();
    desk.write("loud.json", too_loud());
    let done = desk.run("sim loud.json");
    assert_eq!((done.status, done.err.as_str()), (1, ""), "{done:?}");
    assert!(done.out.contains("FAIL  enough messages for a replicated store"), "{}", done.out);
    assert!(done.out.starts_with("loud, seed 5:") && !done.out.contains("Tiers:"));
    let both = desk.run("sim loud.json --repeat 2");
    assert_eq!(both.status, 1);
    assert_eq!(both.out.lines().last(), Some("Passed 0 out of 2 runs"));
}

#[test]
fn of_several_runs_one_that_could_not_be_done_decides_the_status() {
    let desk = Desk::new();
    desk.write("loud.json", too_loud());
    // The second run cannot write its folder, and the first fails its check.
    fs::create_dir(desk.path().join("out")).unwrap();
    fs::create_dir(desk.path().join("out/loud-seed-6")).unwrap();
    desk.write("out/loud-seed-6/records", "no folder");
    let done = desk.run("sim loud.json --repeat 2 --out out");
    assert_eq!(done.status, 4, "{done:?}");
    assert!(done.err.contains("loud-seed-6") && done.err.lines().count() == 1, "{done:?}");
    assert!(done.out.contains("FAIL") && done.out.contains("Passed 0 out of 2 runs"));
    // Bad input is reported before anything else.
    assert_eq!(desk.run("sim loud.json --repeat 2 --out out --profile none").status, 2);
}

struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn under_the_courses_names_the_program_is_a_replica() {
    for name in ["4730kvstore", "3700kvstore"] {
        let desk = Desk::new();
        let program = desk.path().join(name);
        symlink(PROGRAM, &program).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let port = socket.local_addr().unwrap().port().to_string();
        let mut command = Command::new(&program);
        let mut child = Guarded(command.args([&port, "0001", "0000", "0002"]).spawn().unwrap());
        let mut bytes = [0; 1_000];
        let length = socket.recv(&mut bytes).expect("a hello");
        let hello: Value = serde_json::from_slice(&bytes[..length]).unwrap();
        assert_eq!((&hello["type"], &hello["src"]), (&"hello".into(), &"0001".into()));
        kill_process(Pid::from_child(&child.0), Signal::TERM).unwrap();
        assert!(child.0.wait().unwrap().success());
        let bad = Done::of(Command::new(&program).arg("--help").output().unwrap());
        assert!(bad.status == 2 && bad.err.contains("usage: PORT ID"), "{bad:?}");
    }
}

#[test]
fn the_documents_show_what_the_program_prints() {
    let run = Command::new(PROGRAM).args(["sim", "simple-2", "--seed", "1"]).output().unwrap();
    let printed = String::from_utf8(run.stdout).unwrap();
    for (name, samples) in [("README.md", 1), ("docs/reports.md", 2)] {
        let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        let shown: Vec<&str> = page.split("```").skip(1).step_by(2).collect();
        assert_eq!(shown.len(), samples, "{name}");
        for line in shown.iter().flat_map(|sample| sample.lines()) {
            let there = line.trim() == "..." || printed.contains(line);
            assert!(there, "{name}: not printed any more: {line}");
        }
    }
}

/// The course's simulator takes thresholds in any order.
#[test]
fn thresholds_that_do_not_rise_are_a_warning_and_an_error_if_strict() {
    let desk = Desk::new();
    let good = fs::read_to_string("scenarios/simple-1.json").unwrap();
    let mut scenario: Value = serde_json::from_str(&good).unwrap();
    let failures = "/tests/benchmarks/failures";
    for (thresholds, tier) in
        [([0, 2, 2], "1 (full)"), ([1, 0, 2], "0 (bonus)"), ([0, 0, 0], "3 (none)")]
    {
        *scenario.pointer_mut(failures).unwrap() = thresholds.into();
        desk.write("mine.json", scenario.to_string());
        let [first, second, third] = thresholds;
        let line = format!(
            "laconic: mine.json: tests.benchmarks.failures: does not strictly rise: \
             {first}, {second}, {third}"
        );
        let warned = desk.run("sim mine.json --seed 1");
        let remedy = "the first that holds counts";
        assert_eq!((warned.status, warned.err), (0, format!("{line} ({remedy})\n")));
        assert!(warned.out.contains(&format!("  {tier:<12}failures: 0,")), "{}", warned.out);
        desk.run("sim mine.json --seed 1 --strict").assert_refused(2, &[&line]);
    }
}

/// Instruments only look on: with all of them on, a seed leaves exactly the same records.
#[test]
fn every_lens_on_or_off_leaves_the_same_records() {
    let desk = Desk::new();
    let instruments = "--trace t.json --open-metrics m.om --report r.html";
    for scenario in ["simple-2", "crash-4", "advanced-4"] {
        let plain = desk.run(&format!("sim {scenario} --seed 5 --force --out plain"));
        let watched =
            desk.run(&format!("sim {scenario} --seed 5 --force --out watched {instruments}"));
        assert_eq!(plain.status, watched.status, "{}", watched.err);
        for instrument in ["t.json", "m.om", "r.html"] {
            assert!(
                fs::metadata(desk.path().join(instrument)).unwrap().len() > 10_000,
                "{instrument}"
            );
            fs::remove_file(desk.path().join(instrument)).unwrap();
        }
        let replicas = (0..5).map(|rank| format!("records/{rank:04X}.bin"));
        for name in replicas.chain(["simulator.bin".into(), "history.jsonl".into()]) {
            let [one, other] = ["plain", "watched"]
                .map(|run| fs::read(desk.path().join(run).join(&name)).unwrap());
            assert!(one == other && one.len() > 64, "{scenario}: {name}");
        }
    }
}

#[test]
fn records_are_lines_of_json_or_sentences() {
    let desk = Desk::new();
    desk.run("sim simple-1 --seed 1 --out run");
    let lines = desk.run("records run").out;
    let text = desk.run("records run --text").out;
    assert_eq!(lines.lines().count(), text.lines().count());
    let became_leader = lines.lines().position(|line| line.contains("\"became_leader\""));
    let leads = text.lines().position(|line| line.contains(" leads term 1: opens it at 1"));
    assert!(leads.is_some() && leads == became_leader, "{leads:?} and {became_leader:?}");
}
