//! What turns knobs, as a user meets it: profiles side by side, searched for and explained, and a
//! run forked.

mod desk;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use desk::{Desk, Done, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The row of a comparison for an objective and a profile.
fn row<'a>(comparison: &'a Value, objective: &str, profile: &str) -> &'a Value {
    let mut rows = comparison["rows"].as_array().unwrap().iter();
    let found = rows.find(|row| row["objective"] == objective && row["profile"] == profile);
    found.unwrap_or_else(|| panic!("{objective} of {profile}"))
}

/// The numbers are those of single runs with the same seeds.
#[test]
fn profiles_are_compared_on_the_same_seeds() {
    let desk = Desk::new();
    let done = desk.run("compare profiles fast quiet --repeat 3 --seed 5 --json");
    assert_eq!((done.status, done.err.as_str(), done.out.lines().count()), (0, "", 1));
    let comparison: Value = serde_json::from_str(&done.out).unwrap();
    for profile in ["fast", "quiet"] {
        let runs =
            desk.run(&format!("sim simple-2 --repeat 3 --seed 5 --profile {profile} --json"));
        let mut ratios: Vec<f64> = runs
            .out
            .lines()
            .map(|line| {
                let messages = &serde_json::from_str::<Value>(line).unwrap()["messages"];
                let number = |key: &str| messages[key].as_f64().unwrap();
                number("total") / number("committed_puts")
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let compared = row(&comparison, "messages_per_commit", profile);
        for (key, ratio) in ["p10", "median", "p90"].into_iter().zip(&ratios) {
            // The same quotient, by another way of rounding.
            let off = (compared[key].as_f64().unwrap() - ratio).abs();
            assert!(off < 1e-9, "{profile}, {key}: {compared} {ratio}");
        }
    }
    let quiet = row(&comparison, "messages_per_commit", "quiet");
    assert_eq!((&quiet["less_on"], &quiet["more_on"]), (&3.into(), &0.into()));
    assert!(quiet["change_percent"].as_f64().unwrap() < -15.0, "{quiet}");
    assert!(row(&comparison, "p50_latency_us", "fast")["change_percent"].is_null());
}

#[test]
fn a_comparison_is_a_table_a_picture_and_a_page() {
    let desk = Desk::new();
    let words = "compare profiles course quiet --repeat 2 --scenario simple-1 --scenario crash-1";
    let text = desk.run(words);
    assert_eq!((text.status, text.err.as_str()), (0, ""));
    assert!(text.out.lines().all(|line| line.chars().count() <= 80), "{}", text.out);
    for head in ["simple-1, 2 seeds from 1", "crash-1, 2 seeds from 1", "messages per commit"] {
        assert!(text.out.contains(head), "{head}: {}", text.out);
    }
    let said = desk.run(&format!("{words} -o spread.svg")).out;
    assert_eq!(said.lines().last(), Some("Written: spread.svg"));
    assert_eq!(desk.run(&format!("{words} -o spread.html --json")).out.lines().count(), 1);
    let read = |name: &str| fs::read_to_string(desk.path().join(name)).unwrap();
    let (picture, page) = (read("spread.svg"), read("spread.html"));
    let marks = picture.matches("class=\"median ").count();
    assert!(picture.starts_with("<svg") && marks >= 2 * 2 * 4, "{marks} marks");
    assert_eq!(page.matches("class=\"median ").count(), marks);
    assert!(page.contains("<th class=\"text\">profile</th>") && !page.contains("<script"));
}

#[test]
fn one_profile_cannot_be_compared() {
    let done = Desk::new().run("compare profiles course");
    assert_eq!((done.status, done.out.as_str()), (2, ""));
    assert!(done.err.contains("2 values required"), "{}", done.err);
}

/// A search that takes a second: `laconic tune` with these words after it.
const SHORT: &str = "tune short.json --runs 170 --validate 4";

fn desk_with_short() -> Desk {
    let desk = Desk::new();
    desk.write("short.json", include_str!("../scenarios/short.json"));
    desk
}

/// The files of a front in a folder, as one text.
fn front_of(desk: &Desk, folder: &str) -> String {
    let read = |name: &str| fs::read_to_string(desk.path().join(folder).join(name)).unwrap();
    ["front.csv", "front.json", "front.svg", "front.html"].map(read).concat()
}

fn search(desk: &Desk, words: &str) -> Done {
    let done = desk.run(words);
    assert!([0, 1].contains(&done.status) && done.err.is_empty(), "{words}: {done:?}");
    done
}

#[test]
fn a_search_gives_the_same_whatever_the_threads_and_wherever_it_was_torn() {
    let desk = desk_with_short();
    let whole = search(&desk, &format!("{SHORT} --out one --jobs 1"));
    let threads = search(&desk, &format!("{SHORT} --out three --jobs 3"));
    assert_eq!(whole.out.replace("one/", "three/"), threads.out);
    let wanted = front_of(&desk, "one");
    assert_eq!(wanted, front_of(&desk, "three"));
    let journal = desk.path().join("one/journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let lines = text.lines().count();
    for share in [2, 3, 7] {
        // As a process leaves it that is killed while it writes a line.
        let torn = &text[..text.len() / share];
        fs::write(&journal, torn).unwrap();
        search(&desk, &format!("{SHORT} --out one"));
        assert_eq!(wanted, front_of(&desk, "one"), "{share}");
        let resumed = fs::read_to_string(&journal).unwrap();
        assert!(resumed.starts_with(&torn[..torn.rfind('\n').unwrap() + 1]));
        assert_eq!(resumed.lines().count(), lines, "no run twice");
    }
    // Nothing is left to do, so nothing is run.
    search(&desk, &format!("{SHORT} --out one"));
    assert_eq!(fs::read_to_string(&journal).unwrap().lines().count(), lines);
    let other = desk.run(&format!("{SHORT} --out one --seed 2"));
    other.assert_refused(2, &["one/journal.jsonl", "another search, with another seed", "--force"]);
    search(&desk, &format!("{SHORT} --out one --seed 2 --force"));
    assert_ne!(wanted, front_of(&desk, "one"));
}

#[test]
fn an_interrupt_ends_a_search_and_the_same_command_goes_on() {
    let desk = desk_with_short();
    let words = "tune short.json --runs 100000 --out long";
    let journal = desk.path().join("long/journal.jsonl");
    let lines = || fs::read_to_string(&journal).unwrap_or_default().lines().count();
    let mut before = 1;
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut command = desk.command(words);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("some runs", || lines() > before + 20);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        if signal != Signal::KILL {
            let done = Done::of(output);
            done.assert_refused(130, &["interrupted after ", " runs: the same command goes on"]);
        }
        let now = lines();
        assert!(now > before + 20, "{before} and {now} lines");
        before = now;
    }
}

#[test]
fn shards_are_merged_into_one_front_if_all_are_there() {
    let desk = desk_with_short();
    let words = "tune short.json --runs 340 --out all";
    let first = search(&desk, &format!("{words} --shard 1/2"));
    let left = "Written: all/shard-1-of-2/finalists.json (when all shards are done: laconic tune \
                merge all/shard-*)\n";
    assert_eq!(first.out, left);
    let merge = "tune merge --validate 3 --out all all/shard-1-of-2";
    desk.run(merge).assert_refused(2, &["all/shard-1-of-2: shard 2 of 2 is missing"]);
    // As an array job of Slurm, numbered from 10 in steps of 5, says it.
    let mut command = desk.command(words);
    for (name, value) in [("ID", "15"), ("MIN", "10"), ("STEP", "5"), ("COUNT", "2")] {
        command.env(format!("SLURM_ARRAY_TASK_{name}"), value);
    }
    let second = Done::of(command.output().unwrap());
    assert!(second.out.starts_with("Written: all/shard-2-of-2/"), "{second:?}");
    search(&desk, &format!("{merge} all/shard-2-of-2"));
    let merged = front_of(&desk, "all");
    assert!(merged.contains("trial 1.") && merged.contains("trial 2."), "{merged}");
    search(&desk, &format!("{merge} all/shard-2-of-2").replace("--out all", "--out again"));
    assert_eq!(merged, front_of(&desk, "again"));
    let twice = desk.run(&format!("{merge} all/shard-1-of-2"));
    twice.assert_refused(2, &["shard 1 is there twice"]);
    search(&desk, "tune short.json --runs 340 --seed 9 --out other --shard 2/2");
    let mixed = desk.run(&format!("{merge} other/shard-2-of-2"));
    mixed.assert_refused(2, &["other/shard-2-of-2: a shard of another search: another seed"]);
    let path = "all/shard-1-of-2/finalists.json";
    let left = fs::read_to_string(desk.path().join(path)).unwrap();
    let spoilt = left.replacen("\"finalists\":[", "\"finalists\":[],\"rest\":[", 1);
    assert_ne!(left, spoilt);
    desk.write(path, spoilt);
    let spoilt = desk.run(&format!("{merge} all/shard-2-of-2"));
    spoilt.assert_refused(2, &[path, "the first finalist is not the base profile"]);
    desk.run("tune merge nowhere").assert_refused(2, &["nowhere/finalists.json: No such file"]);
}

/// From the paper's Raft there is a long way to go, so a small search must find some of it. What it
/// writes is a profile that does what the search says of it.
#[test]
fn a_search_from_the_papers_raft_finds_a_profile_that_keeps_its_word() {
    let desk = Desk::new();
    let words = "tune simple-1 --profile textbook --runs 500 --validate 5 -o mine.toml --objective \
                 messages_per_commit=1,p50_latency_us=0.2";
    let done = desk.run(words);
    assert_eq!((done.status, done.err.as_str()), (0, ""));
    assert!(done.out.lines().last().unwrap().ends_with("tuned/front.html, mine.toml"));
    let long = done.out.lines().find(|line| line.chars().count() > 80 && !line.contains("Written"));
    assert_eq!(long, None);
    let front = fs::read_to_string(desk.path().join("tuned/front.json")).unwrap();
    let front: Value = serde_json::from_str(&front).unwrap();
    let (picked, base) = (&front["front"][0], &front["base"]);
    let searched = |of: &Value| of["searched"]["messages_per_commit"].as_f64().unwrap();
    assert!(searched(picked) < 0.6 * searched(base), "{} of {}", searched(picked), searched(base));
    assert!(picked["validated_score"].as_f64().unwrap() < 1.0);
    let profile = fs::read_to_string(desk.path().join("mine.toml")).unwrap();
    assert!(profile.starts_with("# Tuned for simple-1: "), "{profile}");
    assert!(profile.contains("# Command: laconic tune simple-1 --profile textbook --runs 500"));
    for line in profile.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        let is_value = line.contains('=') && !line.starts_with('#');
        assert!(!is_value || line.contains("# "), "no reason beside {line}");
    }
    let compared = "compare profiles textbook mine.toml --scenario simple-1 --repeat 16 --json";
    let compared: Value = serde_json::from_str(&desk.run(compared).out).unwrap();
    let row = row(&compared, "messages_per_commit", "mine.toml");
    let median = row["median"].as_f64().unwrap();
    assert!((median / searched(picked) - 1.0).abs() < 0.1, "{median}, {}", searched(picked));
    assert_eq!(row["less_on"], 16);
}

#[test]
fn what_cannot_be_searched_is_refused_in_one_line() {
    let desk = desk_with_short();
    for (words, status, named) in [
        (
            "tune short.json --runs 9",
            2,
            "--runs 9 is too few: it takes 84 (scenarios: 1, shards: 1)",
        ),
        ("tune short.json --objective p50=1", 2, "did you mean p50_latency_us?"),
        ("tune short.json --objective p50_latency_us=x", 2, "must be a number from 0"),
        ("tune short.json --shard 3/2", 2, "must be I/N with I from 1 to N"),
        ("tune short.json --shard /2", 2, "neither JOB_COMPLETION_INDEX nor"),
        ("tune short.json --profile none", 2, "\"none\""),
        ("tune none", 2, "\"none\""),
        ("tune short.json --out short.json", 4, "short.json: Not a directory"),
        ("tune short.json -o none/mine.toml", 4, "none/mine.toml: No such file"),
    ] {
        desk.run(words).assert_refused(status, &[named]);
        assert!(!Path::new(&desk.path().join("tuned")).exists(), "{words}");
    }
}

/// Keeps a run in `run`.
fn keep(desk: &Desk, words: &str) {
    let done = desk.run(&format!("sim {words} --out run"));
    assert!(done.status < 2, "{done:?}");
}

fn json_of(done: &Done) -> Value {
    assert_eq!(done.err, "");
    serde_json::from_str(&done.out).unwrap()
}

/// The messages of a difference, before and after.
fn messages(difference: &Value) -> (f64, f64) {
    let all = difference["causes"].as_array().unwrap().last().unwrap();
    (all["before"].as_f64().unwrap(), all["after"].as_f64().unwrap())
}

#[test]
fn a_longer_linger_from_a_moment_on_saves_messages_from_there() {
    let desk = Desk::new();
    keep(&desk, "simple-2 --seed 1 --profile fast");
    let what_if = |at: &str| {
        let words = format!("whatif run --at {at} --set linger_us=4_000 --format json");
        json_of(&desk.run(&words))
    };
    let difference = what_if("12.5s");
    assert_eq!(difference["forked_at_us"], 12_500_000);
    let (before, after) = messages(&difference);
    let run = desk.run("sim simple-2 --seed 1 --profile fast --json");
    assert_eq!(before, json_of(&run)["messages"]["total"].as_f64().unwrap());
    let later = messages(&what_if("30"));
    assert!(after < later.1 && later.1 < before, "{before}, {after} and {later:?}");
    // With the knobs that it had, it is the same run: the timers are drawn anew, no more.
    let same = desk.run("whatif run --at 12.5 --set linger_us=0 --format json");
    let (before, same) = messages(&json_of(&same));
    assert!((before - same).abs() <= 0.02 * before, "{before} and {same}");
    let text = desk.run("whatif run --at 12.5s --set linger_us=4000 --set fan_out=chain");
    assert_eq!((text.status, text.err.as_str()), (0, ""));
    assert!(text.out.lines().all(|line| line.chars().count() <= 80), "{}", text.out);
    let head = "run, and from 12.5 s on linger_us = 4000, fan_out = chain";
    assert!(text.out.contains(head), "{}", text.out);
    assert!(text.out.contains("What changed"), "{}", text.out);
}

#[test]
fn every_kind_of_virtual_run_is_repeated() {
    for words in [
        "crash-4 --seed 7 --profile quiet",
        "advanced-3 --seed 2 --precise",
        "partition-4 --seed 3 --profile textbook",
    ] {
        let desk = Desk::new();
        keep(&desk, words);
        let done = desk.run("whatif run --at 10 --set pipeline_window=8 --format json");
        assert!(messages(&json_of(&done)).0 > 400.0, "{words}: {done:?}");
    }
}

#[test]
fn a_page_has_both_runs_and_the_moment() {
    let desk = Desk::new();
    keep(&desk, "crash-4 --seed 1");
    let words = "whatif run --at 12 --set heartbeat_interval_us=200000 --format html -o w.html";
    let done = desk.run(words);
    assert_eq!((done.status, done.out.as_str()), (0, "Written: w.html\n"));
    let page = fs::read_to_string(desk.path().join("w.html")).unwrap();
    for part in ["\"forked_at_us\":12000000", "from 12 s on heartbeat_interval_us = 200000"] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("\"kind\":\"retuned\"").count(), 1, "told once, of one run");
}

/// Knobs that make the run fail are told, and so is it by the status.
#[test]
fn a_check_that_fails_only_with_the_knobs_has_status_1() {
    let desk = Desk::new();
    keep(&desk, "simple-2 --seed 1");
    let words = "whatif run --at 2 --set linger_us=200000 --set fan_out=chain";
    let done = desk.run(words);
    assert_eq!((done.status, done.err.as_str()), (1, ""), "{done:?}");
    let last = done.out.lines().last().unwrap();
    assert!(last.starts_with("With these knobs the run fails: enough messages"), "{last}");
}

#[test]
fn what_cannot_be_forked_is_refused_in_one_line() {
    let desk = Desk::new();
    keep(&desk, "simple-1 --seed 1");
    for (words, named) in [
        ("--at 12 --set linger=2000", "no knob is called linger, did you mean linger_us?"),
        ("--at 12 --set linger_us=x", "linger_us: invalid type: string"),
        ("--at 12 --set pre_vote=7", "pre_vote: invalid type: integer"),
        ("--at 12 --set promise_us=9000000", "promise_us: must be at most"),
        ("--at 12 --set linger_us", "must be KNOB=VALUE"),
        ("--at 99 --set linger_us=0", "--at 99.000: run ended at "),
        ("--at x --set linger_us=0", "must be seconds from 0"),
    ] {
        desk.run(&format!("whatif run {words}")).assert_refused(2, &[named]);
    }
    let missing = desk.run("whatif none --at 12 --set linger_us=0");
    missing.assert_refused(2, &["none/run.json: No such file"]);
    let unwritable = desk.run("whatif run --at 12 --set linger_us=0 -o none/x.html");
    unwritable.assert_refused(4, &["none/x.html: No such file"]);
    let path = desk.path().join("run/run.json");
    let kept = fs::read_to_string(&path).unwrap();
    desk.write("run/run.json", kept.replace("\"engine\": \"virtual\"", "\"engine\": \"real\""));
    let real = desk.run("whatif run --at 12 --set linger_us=0");
    real.assert_refused(2, &["run: a real run, which cannot be repeated"]);
    // Another seed is another run.
    desk.write("run/run.json", kept.replace("\"seed\": 1", "\"seed\": 2"));
    let other = desk.run("whatif run --at 12 --set linger_us=0");
    other.assert_refused(2, &["run: this version of the program does not repeat the run: at "]);
}

#[test]
fn profiles_are_explained_and_one_is_shown_in_full() {
    let desk = Desk::new();
    let all = desk.run("profiles");
    assert_eq!((all.status, all.err.as_str()), (0, ""));
    assert!(all.out.lines().all(|line| line.chars().count() <= 80), "{}", all.out);
    for part in ["course\n", "\nquiet\n", "  As course, but:\n", "  - fan_out = \"thrifty\": one"] {
        assert!(all.out.contains(part), "{part}: {}", all.out);
    }
    let listed: Value = serde_json::from_str(&desk.run("profiles --json").out).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 8);
    let shown = desk.run("profiles show quiet");
    assert!(shown.out.starts_with("# The fewest messages: "), "{}", shown.out);
    let line =
        "pre_vote = true                        # course: a replica back from a partition must";
    assert!(shown.out.contains(line), "{}", shown.out);
    desk.write("mine.toml", &shown.out);
    let run =
        |profile: &str| desk.run(&format!("sim simple-1 --seed 3 --json --profile {profile}"));
    let messages = |done: Done| json_of(&done)["messages"].clone();
    assert_eq!(messages(run("quiet")), messages(run("mine.toml")));
    let one: Value = serde_json::from_str(&desk.run("profiles show mine.toml --json").out).unwrap();
    assert_eq!((&one["base"], &one["name"]), (&Value::Null, &"mine.toml".into()));
}

#[test]
fn a_bad_profile_is_not_shown_but_refused_with_line_key_and_rule() {
    let desk = Desk::new();
    desk.write("mine.toml", "base = \"course\"\n\npipeline_window = 0\n");
    let refused = desk.run("profiles show mine.toml");
    refused.assert_refused(2, &["mine.toml:3: pipeline_window must be 1 to 256, is 0"]);
    desk.run("profiles show corse").assert_refused(2, &["did you mean course?"]);
    let done = desk.run("profiles show");
    assert_eq!((done.status, done.out.as_str()), (2, ""));
}
