//! What happens during a run: to its folder, and to its replicas when it is interrupted.

mod desk;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use desk::{Desk, Done, wait_until};
use laconic::raft::Event;
use laconic::record::{Fact, Record};
use laconic::recorder::read_box;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

#[test]
fn a_folder_that_holds_a_run_is_refused_and_force_replaces_what_is_ours() {
    let desk = Desk::new();
    assert_eq!(desk.run("sim partition-1 --seed 1 --out run").status, 0);
    desk.write("run/notes.txt", "mine");
    let refused = desk.run("sim simple-2 --seed 1 --out run");
    refused.assert_refused(2, &["run: holds a run", "--force"]);
    for name in ["run/boxes", "run/spans"] {
        fs::create_dir(desk.path().join(name)).unwrap();
    }
    for name in ["records/0014.bin", "boxes/0000.box", "spans/0000.json", "0001.prom"] {
        desk.write(&format!("run/{name}"), "of an earlier run");
    }
    assert_eq!(desk.run("sim simple-2 --seed 1 --out run --force").status, 0);
    assert_eq!(desk.run("sim simple-2 --seed 1 --out fresh").status, 0);
    assert_eq!(fs::read_to_string(desk.path().join("run/notes.txt")).unwrap(), "mine");
    fs::remove_file(desk.path().join("run/notes.txt")).unwrap();
    let same = std::process::Command::new("diff")
        .args(["-r", "run", "fresh"])
        .current_dir(desk.path())
        .output()
        .unwrap();
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
    // Of several runs, the first folder that exists already is named before anything runs.
    assert_eq!(desk.run("sim simple-1 --seed 2 --out many/simple-1-seed-2").status, 0);
    let refused = desk.run("sim simple-1 --seed 1 --repeat 2 --out many");
    refused.assert_refused(2, &["many/simple-1-seed-2: holds a run"]);
    assert!(!desk.path().join("many/simple-1-seed-1").exists());
    assert_eq!(desk.run("sim simple-2 --force").status, 2, "--force without a folder");
}

#[test]
fn a_profile_and_a_program_are_kept_by_name() {
    let desk = Desk::new();
    fs::create_dir(desk.path().join("mine")).unwrap();
    desk.write("mine/loud.toml", include_str!("../profiles/eager.toml"));
    assert_eq!(desk.run("sim simple-1 --seed 1 --profile mine/loud.toml --out run").status, 0);
    let told = fs::read_to_string(desk.path().join("run/run.json")).unwrap();
    let run: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(run["outcome"]["profile"], "loud.toml");
    assert!(!told.contains("mine/"), "{told}");
}

#[test]
fn a_report_says_how_its_run_was_judged_and_how_to_run_it_again() {
    let desk = Desk::new();
    let read = |words: &str| serde_json::from_str::<Value>(&desk.run(words).out).unwrap();
    for (words, knobs) in
        [("simple-2 --seed 1", false), ("crash-1 --seed 7 --precise --profile quiet", true)]
    {
        desk.run(&format!("sim {words} --out run --force"));
        let report = &read("budget run --format json")[0];
        let run = &report["run"];
        assert_eq!(run["command"], format!("laconic sim {words}"));
        let again = read(&format!(
            "{} --json",
            run["command"].as_str().unwrap().split_once(' ').unwrap().1
        ));
        assert_eq!(again["messages"]["counted"], report["books"]["counted"]);
        assert_eq!(again["passed"], run["verdict"]["passed"]);
        let unanswered = again["unanswered"].as_array().unwrap().len();
        assert_eq!(run["verdict"]["unanswered"], unanswered);
        assert_eq!(run["verdict"]["tiers"][0][1], again["benchmarks"][0]["tier"]);
        let changed = run["knobs"].as_array().unwrap();
        assert_eq!(changed.iter().any(|knob| knob["knob"] == "quiet"), knobs, "{changed:?}");
        // The start of a run is time without a leader too.
        assert!(run["leaderless_us"].as_u64() > Some(100_000), "{run}");
        let told = desk.run("budget run").out;
        let verdict = if run["verdict"]["passed"] == true { "Passed; tiers: " } else { "Failed: " };
        assert!(told.contains(verdict) && told.contains("Run by laconic "), "{told}");
        assert_eq!(told.contains("Knobs: "), knobs);
    }
}

/// Files of other runs are put into a run's folder: every reader takes only the run's own files.
#[test]
fn every_reader_takes_the_files_that_run_json_names() {
    let desk = Desk::new();
    assert_eq!(desk.run("sim simple-2 --seed 1 --out run").status, 0);
    assert_eq!(desk.run("sim large --seed 1 --out large").status, 0);
    let readers = ["records run", "budget run", "budget run --format json", "trace run -o t.json"];
    let told = || readers.map(|words| desk.run(words)).map(|done| (done.status, done.out));
    let trace = || fs::read(desk.path().join("t.json")).unwrap();
    let (before, drawn) = (told(), trace());
    assert!(before.iter().all(|(status, _)| *status == 0));
    for entry in fs::read_dir(desk.path().join("large/records")).unwrap() {
        let path = entry.unwrap().path();
        let copy = desk.path().join("run/records").join(path.file_name().unwrap());
        if !copy.exists() {
            fs::copy(&path, copy).unwrap();
        }
    }
    fs::create_dir(desk.path().join("run/boxes")).unwrap();
    desk.write("run/boxes/0000.box", "of an earlier, real run");
    assert_eq!(fs::read_dir(desk.path().join("run/records")).unwrap().count(), 21);
    assert!(told() == before && trace() == drawn);
    let refused = desk.run("postmortem run");
    refused.assert_refused(2, &["run: a run in virtual time has no black boxes"]);
}

/// Starts a real run, kept in `run`, and waits until some of it is recorded.
fn under_way(desk: &Desk, words: &str) -> Child {
    let words = format!("sim simple-2 --real --seed 1 --out run {words}");
    let mut command = desk.command(&words);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let told = desk.path().join("run/boxes/0000.box");
    wait_until("the run", || read_box(&told).is_ok_and(|found| found.records.len() > 100));
    run
}

#[test]
fn ctrl_c_in_a_real_run_leaves_all_that_happened_until_then() {
    let desk = Desk::new();
    let run = under_way(&desk, "--report run.html --trace run.json");
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let done = Done::of(run.wait_with_output().unwrap());
    assert_eq!((done.status, done.err.lines().count()), (130, 1), "{done:?}");
    assert!(done.err.starts_with("laconic: interrupted at "), "{done:?}");
    assert!(done.out.starts_with("simple-2, seed 1: interrupted at "), "{done:?}");
    assert!(done.out.contains("Messages by kind and why"), "{done:?}");
    let told: Value =
        serde_json::from_str(&fs::read_to_string(desk.path().join("run/run.json")).unwrap())
            .unwrap();
    let outcome = told["outcome"].as_object().unwrap();
    assert!(outcome["over"].is_null() && outcome["ended_at_us"].as_u64().unwrap() > 1_000_000);
    for name in ["run.html", "run.json", "run/history.jsonl"] {
        assert!(fs::metadata(desk.path().join(name)).unwrap().len() > 0, "{name}");
    }
    for words in ["budget run", "records run", "trace run -o again.json", "postmortem run"] {
        let read = desk.run(words);
        assert_eq!((read.status, read.err.as_str()), (0, ""), "{words}: {read:?}");
    }
}

/// The simulator is gone, so it can neither end the replicas nor say how the run ended.
#[test]
fn after_sigkill_of_the_simulator_its_replicas_end_and_the_folder_is_read() {
    let desk = Desk::new();
    let mut run = under_way(&desk, "");
    let replicas = children_of(run.id());
    assert_eq!(replicas.len(), 5);
    let campaigns_before = campaigns(&desk);
    run.kill().unwrap();
    run.wait().unwrap();
    let start = Instant::now();
    for replica in replicas {
        wait_until(&replica, || !is_running(&replica));
    }
    // One second is promised, but a busy machine may take longer.
    println!("the last of them ended after {:?}", start.elapsed());
    // They watch the simulator's process, and need no campaign without answers to find out.
    assert_eq!(campaigns(&desk), campaigns_before);
    for (words, lacks) in [
        ("records run", "no whole records"),
        ("trace run", "history.jsonl"),
        ("postmortem run", ""),
    ] {
        let read = desk.run(words);
        let fine = read.status == 0 || read.status == 2 && read.err.contains(lacks);
        assert!(fine && read.out.len() > 50, "{words}: {read:?}");
    }
    let verified = desk.run("budget run --verify --seeds 1");
    assert!(verified.out.contains("Verified by rerun"), "{verified:?}");
    let read = desk.run("budget run");
    assert_eq!(read.status, 2, "{read:?}");
    assert!(read.err.contains("run.json: the run was killed"), "{read:?}");
    assert!(read.out.contains("Messages by kind and why"), "{read:?}");
}

/// The number of campaigns that the run's replicas have begun, by their black boxes.
fn campaigns(desk: &Desk) -> usize {
    let boxes = fs::read_dir(desk.path().join("run/boxes")).unwrap();
    let records = boxes.flat_map(|path| read_box(&path.unwrap().path()).unwrap().records);
    let begins =
        |record: &Record| matches!(record.fact, Fact::State(Event::BecamePreCandidate { .. }));
    records.filter(begins).count()
}

/// The processes that `parent` has started and that are still running.
fn children_of(parent: u32) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let names = processes.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_child = |name: &String| {
        let status = fs::read_to_string(format!("/proc/{name}/status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
    };
    names.filter(is_child).collect()
}

/// Whether process `pid` runs, and is no zombie that nobody has collected yet.
fn is_running(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

#[test]
fn a_campaign_that_is_interrupted_sums_up_what_was_done() {
    let desk = Desk::new();
    let mut command = desk.command("sim large --repeat 200 --seed 1");
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It catches the signal only from the first run on, so wait until it does.
    wait_until("the campaign", || watches_interrupts(run.id()));
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let done = Done::of(run.wait_with_output().unwrap());
    assert_eq!(done.status, 130, "{done:?}");
    let words = done.err.trim().strip_prefix("laconic: interrupted after ").unwrap();
    let number = words.strip_suffix(" of 200 runs").unwrap().parse::<usize>().unwrap();
    let last = done.out.lines().last().unwrap();
    assert!(number < 200 && last.ends_with(&format!("out of {number} runs")), "{done:?}");
}

/// Whether process `pid` catches SIGINT, which is signal 2.
fn watches_interrupts(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t"));
    caught.is_some_and(|mask| u64::from_str_radix(mask, 16).unwrap() & 2 != 0)
}

#[test]
fn ctrl_c_in_a_real_run_ends_it_and_all_its_replicas() {
    let desk = Desk::new();
    let script = "#!/bin/sh\necho $$ >>replicas\nexec sleep 600\n";
    desk.write("replica", script);
    let program = desk.path().join("replica");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = desk.command("sim simple-2 --real --replica ./replica");
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let launched = || fs::read_to_string(desk.path().join("replicas")).unwrap_or_default();
    wait_until("five replicas", || launched().lines().count() == 5);
    let replicas: Vec<String> = launched().lines().map(str::to_owned).collect();
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let done = Done::of(run.wait_with_output().unwrap());
    done.assert_refused(130, &["interrupted"]);
    for replica in replicas {
        wait_until(&replica, || !Path::new("/proc").join(&replica).exists());
    }
}
