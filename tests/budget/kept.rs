//! Reports of kept runs. A report is a function of a run's files, and small runs are kept here as
//! files, so a report changes only if the analysis does: then `UPDATE=1 cargo test --test budget
//! kept` writes the reports anew, and the change is seen in what git shows of them. How they were
//! done is in `runs`; if the format of records changes,
//! `UPDATE=runs` does the runs again, before the reports.
//!
//! That what is kept is right is held by counting the same records in another way, and by other
//! tests: `books.rs` balances the books, `costs.rs` and `verification.rs` hold the figures against
//! theory and reruns.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use laconic::archive::{RunRecords, read_history};
use laconic::budget::report::{
    FailedCheck, FindingVerdict, Recommendation, Spread, Verification, VerifiedRow,
};
use laconic::budget::{
    Analysis, BudgetReport, Chart, FrontPlot, FrontPoint, RunInfo, SpreadPanel, SpreadRow,
    Standing, chart, chart_names, diff, document, html, markdown, page, read_run, spreads, summary,
    text,
};
use laconic::raft::{Cause, Disposition, Event, Kind, Member, Micros, To, Why};
use laconic::record::{AnswerKind, ClientRequest, Fact, Fate, Record, SIMULATOR};
use serde_json::{Value, json};

/// Profile, number of replicas, requests, share of gets, drops, what happens, seed.
type Done = (&'static str, u64, u64, f64, f64, Value, u64);

/// How a run was done.
fn done(name: &str) -> Done {
    let at = |what: &str, time: u64| json!({"type": what, "time": time});
    let textbook = "base = \"textbook\"\n[budget]\nmessages_per_commit = 3.0\n";
    match name {
        "textbook" => (textbook, 5, 80, 0.5, 0.05, json!([at("kill_leader", 1)]), 7),
        "chain" => ("base = \"quiet\"\n", 5, 80, 0.2, 0.1, json!([at("kill_non_leader", 1)]), 2),
        "split" => {
            let split = json!([at("part_hard", 1), at("part_end", 2)]);
            ("base = \"eager\"\n", 5, 60, 0.5, 0.05, split, 3)
        }
        "adaptive" => {
            ("base = \"adaptive\"\n", 5, 400, 0.5, 0.05, json!([at("kill_leader", 1)]), 1)
        }
        "disrupted" => {
            let cut = json!([at("part_easy", 1), at("part_end", 3)]);
            (textbook, 5, 60, 0.5, 0.0, cut, 3)
        }
        "thrifty" => {
            let profile = "base = \"fast\"\nlag_most_entries = 1\n";
            (profile, 5, 120, 0.3, 0.0, json!([]), 4)
        }
        "narrow" => {
            let profile = "base = \"textbook\"\nelection_timeout_max_us = 451_000\n";
            let killed = json!([at("kill_leader", 1), at("kill_leader", 3)]);
            (profile, 5, 60, 0.5, 0.1, killed, 2)
        }
        "few" => ("base = \"quiet\"\n", 3, 3, 0.5, 0.0, json!([]), 1),
        "many" => ("base = \"course\"\n", 12, 30, 0.5, 0.0, json!([]), 1),
        "reads" => ("base = \"fast\"\n", 5, 3, 1.0, 0.0, json!([]), 1),
        "seven" => {
            let profile = "base = \"textbook\"\nheartbeat_interval_us = 50_000\n";
            (profile, 7, 30, 0.2, 0.0, json!([]), 1)
        }
        "commits" => {
            let profile = "base = \"fast\"\nheartbeat_interval_us = 150_000\neager_commit = true\n";
            (profile, 7, 60, 0.0, 0.0, json!([]), 1)
        }
        "plain" => ("base = \"course\"\n", 3, 60, 0.8, 0.0, json!([]), 1),
        _ => panic!("{name} is no kept run"),
    }
}

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/budget/kept").join(name)
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

/// Does a run and keeps its files: each as the numbers of its bytes.
fn keep(name: &str) {
    let (profile, replicas, requests, mix, drops, events, seed) = done(name);
    let scenario = json!({
        "lifetime": 5, "start_wait": 2, "end_wait": 1, "replicas": replicas, "requests": requests,
        "mix": mix, "drops": drops, "max_packets": 20_000, "events": events,
        "tests": {"maximum_get_generation_fail_fraction": 0.2, "benchmarks": {
            "total_msgs": [200, 300, 5000], "failures": [1, 5, 10], "duplicates": [1, 5, 10],
            "median_latency": [0.0002, 0.02, 0.1],
        }},
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(format!("{name}.json")), scenario.to_string()).unwrap();
    fs::write(folder.path().join(format!("{name}.toml")), profile).unwrap();
    let words = format!("sim {name}.json --seed {seed} --profile {name}.toml --out {name}");
    let mut laconic = Command::new(env!("CARGO_BIN_EXE_laconic"));
    let told = laconic.args(words.split(' ')).current_dir(folder.path()).output().unwrap();
    let run = folder.path().join(name);
    let mut files =
        vec![run.join("run.json"), run.join("history.jsonl"), run.join("simulator.bin")];
    let records = fs::read_dir(run.join("records"))
        .unwrap_or_else(|_| panic!("{name}: {}", String::from_utf8_lossy(&told.stderr)));
    files.extend(records.map(|entry| entry.unwrap().path()));
    let files: serde_json::Map<String, Value> = files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&run).unwrap().display().to_string();
            (name, json!(fs::read(path).unwrap()))
        })
        .collect();
    fs::write(place(&format!("{name}.run.gz")), packed(&Value::from(files).to_string())).unwrap();
}

/// Holds the report's counts against the records, each counted by itself.
fn assert_counted(report: &BudgetReport, records: &[Record]) {
    let others = report.run.replicas as u64 - 1;
    let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut routed, mut elections, mut puts) = (0, 0, BTreeSet::new());
    for record in records {
        match record.fact {
            Fact::Sent { to, kind, .. } => {
                let receivers = if to == To::Everyone { others } else { 1 };
                *sent.entry(kind.name()).or_default() += receivers;
            }
            Fact::Routed { .. } => routed += 1,
            Fact::State(Event::BecameLeader { .. }) => elections += 1,
            Fact::Answered { request, outcome: AnswerKind::Ok, index: 1.., .. } => {
                puts.insert(request);
            }
            _ => {}
        }
    }
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    report.table.iter().for_each(|row| *told.entry(row.kind).or_default() += row.count);
    assert_eq!(told, sent);
    assert_eq!(report.links.iter().map(|link| link.counted).sum::<u64>(), routed);
    assert_eq!((report.run.elections, report.run.puts), (elections, puts.len() as u64));
}

/// A kept run, as its folder tells it.
pub struct Kept {
    /// How it was done.
    pub info: RunInfo,
    /// Its records, by source.
    pub records: Vec<Record>,
    /// What its clients saw.
    pub requests: Vec<ClientRequest>,
}

impl Kept {
    /// Reads a kept run.
    pub fn read(name: &str) -> Kept {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("records")).unwrap();
        let files: BTreeMap<String, Vec<u8>> =
            serde_json::from_str(&unpacked(&place(&format!("{name}.run.gz")))).unwrap();
        for (file, bytes) in files {
            fs::write(folder.path().join(file), bytes).unwrap();
        }
        let info = RunInfo::from_json(&read_run(folder.path()).unwrap()).unwrap();
        let mut kept = RunRecords::open(folder.path()).unwrap();
        let records: Vec<Record> = kept.by_ref().collect();
        assert!(kept.problems().is_empty(), "{:?}", kept.problems());
        Kept { info, records, requests: read_history(folder.path()).unwrap() }
    }

    /// The report of what it holds now.
    pub fn report(&self) -> BudgetReport {
        let mut analysis = Analysis::new(self.info.clone());
        analysis.take_in(self.records.clone());
        analysis.finish(&self.requests, Vec::new())
    }
}

/// The report of a kept run, and of other records with it.
fn report_with(name: &str, others: &[Record]) -> BudgetReport {
    let mut kept = Kept::read(name);
    kept.records.extend(others);
    kept.report()
}

/// The report of a kept run.
fn report(name: &str) -> BudgetReport {
    let kept = Kept::read(name);
    let report = kept.report();
    assert_counted(&report, &kept.records);
    report
}

/// A value as lines: an element of a list is a line.
fn lines_of(report: &BudgetReport) -> String {
    let mut lines = String::new();
    for (key, value) in serde_json::to_value(report).unwrap().as_object().unwrap() {
        let one = [value.clone()];
        let elements = value.as_array().map_or(&one[..], |elements| elements);
        elements.iter().for_each(|element| lines += &format!("{key}: {element}\n"));
    }
    lines
}

/// Compares a text line by line with what is kept, or keeps it.
fn assert_kept(path: &Path, is: &str) {
    let is_packed = path.extension().is_some_and(|ending| ending == "gz");
    if std::env::var_os("UPDATE").is_some() {
        let bytes = if is_packed { packed(is) } else { is.as_bytes().to_owned() };
        return fs::write(path, bytes).unwrap();
    }
    let was = if is_packed { unpacked(path) } else { fs::read_to_string(path).unwrap() };
    for (number, (was, is)) in was.lines().zip(is.lines()).enumerate() {
        assert_eq!(was, is, "{}: line {}", path.display(), number + 1);
    }
    assert_eq!(was.lines().count(), is.lines().count(), "{}: lines", path.display());
}

/// Whether runs are done again, and no reports yet.
fn does_runs() -> bool {
    std::env::var_os("UPDATE").is_some_and(|what| what == "runs")
}

/// What the report says, as text and in numbers, and what its charts show.
fn assert_report_is_kept(name: &str) {
    if does_runs() {
        return keep(name);
    }
    let report = report(name);
    let blocks = document(&report);
    assert_kept(&place(&format!("{name}.txt")), &text(&blocks));
    assert_kept(&place(&format!("{name}.numbers.gz")), &lines_of(&report));
    let charts: Vec<_> = chart_names().filter_map(|(name, _)| chart(&report, name)).collect();
    assert!(charts.len() > 5, "{name}: {} charts", charts.len());
    let pictures = charts.iter().map(Chart::picture).collect::<String>();
    let drawn = (page(name, &charts, &blocks) + &pictures).replace("><", ">\n<");
    let whole = without_program(&html(std::slice::from_ref(&report)).unwrap());
    let whole = whole.replace("><", ">\n<");
    let words = [summary(&report), blocks].map(|blocks| markdown(&blocks)).concat();
    assert_kept(&place(&format!("{name}.page.gz")), &(drawn + &whole + &words));
}

/// The page without what is the same in every page: its program. Other tests run that in a browser.
fn without_program(page: &str) -> String {
    let mut parts = page.split("<script>");
    let before = parts.next().unwrap_or_default().to_owned();
    let after = |part| str::split_once(part, "</script>").map_or("", |(_, after)| after);
    before + &parts.map(after).collect::<String>()
}

#[test]
fn the_report_of_the_papers_raft_with_a_dead_leader() {
    assert_report_is_kept("textbook");
}

#[test]
fn the_report_of_a_chain_with_a_dead_follower() {
    assert_report_is_kept("chain");
}

#[test]
fn the_report_of_a_cluster_that_is_split_and_joined() {
    assert_report_is_kept("split");
}

#[test]
fn the_report_of_replicas_with_controllers() {
    assert_report_is_kept("adaptive");
}

#[test]
fn the_report_of_a_leader_that_a_mere_candidate_deposes() {
    assert_report_is_kept("disrupted");
    if !does_runs() {
        let report = report("disrupted");
        let found = report.findings.iter().find(|finding| finding.name == "disrupted_leaders");
        assert_eq!(found.unwrap().verdict, FindingVerdict::Found);
    }
}

#[test]
fn the_report_of_batches_without_chains_or_losses() {
    assert_report_is_kept("thrifty");
}

#[test]
fn the_report_of_candidates_that_stand_at_the_same_time() {
    assert_report_is_kept("narrow");
}

#[test]
fn the_report_of_a_run_with_too_little_to_judge() {
    assert_report_is_kept("few");
}

#[test]
fn the_report_of_more_replicas_than_a_small_chart_can_label() {
    assert_report_is_kept("many");
}

#[test]
fn the_report_of_an_undisturbed_run() {
    assert_report_is_kept("plain");
}

#[test]
fn the_report_of_a_run_that_only_reads_and_is_mostly_idle() {
    assert_report_is_kept("reads");
}

#[test]
fn the_report_of_seven_replicas_with_many_heartbeats() {
    assert_report_is_kept("seven");
}

#[test]
fn the_report_of_commit_messages_that_are_heartbeats_too() {
    assert_report_is_kept("commits");
    if !does_runs() {
        let report = report("commits");
        let found = report.findings.iter().find(|finding| finding.name == "commit_messages");
        let number = |name| found.unwrap().numbers.iter().find(|one| one.name == name).unwrap();
        let (messages, instead) = (number("messages").value, number("heartbeats instead").value);
        assert!(instead > 0.0 && instead < messages, "{instead} of {messages}");
        assert_eq!(found.unwrap().expected_saving, messages - instead);
    }
}

#[test]
fn the_difference_of_two_kept_runs() {
    if does_runs() {
        return;
    }
    let difference = diff(&report("textbook"), &report("split"));
    let numbers = serde_json::to_string_pretty(&difference).unwrap();
    let told = text(&difference.document());
    assert_kept(&place("difference.txt"), &(told + &numbers + "\n"));
}

/// Three replicas have ranks 0 to 2. A record that names another one is of another run.
#[test]
fn records_of_other_runs_change_nothing() {
    if does_runs() {
        return;
    }
    let plain = report("plain");
    let (at, own, other) = (Micros::from_seconds(4), Member(0), Member(3));
    let number = 1 << 30;
    let routed = |from, to| Fact::Routed { from, to, number, fate: Fate::Dropped, bytes: 9 };
    let received = Fact::Received {
        from: other,
        number,
        kind: Kind::Append,
        why: Why::Own(Cause::Replicate),
        term: 1,
        disposition: Disposition::Accepted,
    };
    let foreign = [
        (SIMULATOR, routed(other, own)),
        (SIMULATOR, routed(own, other)),
        (SIMULATOR, Fact::Killed { member: other, by_itself: false }),
        (own, received),
        (other, Fact::State(Event::Suspected { member: own })),
        (SIMULATOR, Fact::State(Event::Committed { through: 1 << 40 })),
    ];
    for (source, fact) in foreign {
        let with = report_with("plain", &[Record { at, source, fact }]);
        assert_eq!(lines_of(&with), lines_of(&plain), "{fact:?}");
    }
    let ended = Fact::Killed { member: own, by_itself: true };
    let with = report_with("plain", &[Record { at, source: SIMULATOR, fact: ended }]);
    let lines = lines_of(&with);
    assert!(lines.lines().any(|line| line.contains("ended by itself")), "{lines}");
}

/// What reruns have shown, in words.
#[test]
fn a_verification_is_told_with_what_it_recommends_and_what_fails() {
    if does_runs() {
        return;
    }
    let mut report = report("textbook");
    let changes = report.findings.iter().find(|finding| finding.changes.len() == 1);
    let changes = changes.unwrap().changes.clone();
    let row = |name, seen: [f64; 2], failed_checks| VerifiedRow {
        name,
        changes: changes.clone(),
        expected: Spread::of(&[100.0, 120.0]),
        seen: Spread::of(&seen),
        seen_of_expected: Some(0.5),
        p50_latency_us: Spread::of(&[1_500.0, 1_700.0]),
        passed: 2 - 2 * u64::from(!Vec::is_empty(&failed_checks)),
        failed_checks,
    };
    let failed = FailedCheck { name: "a put was acknowledged", runs: 1 };
    let rows =
        vec![row("wide_fan_out", [40.0, 70.0], vec![]), row("other", [1.0, 2.0], vec![failed])];
    let best = Recommendation { findings: vec!["wide_fan_out"], row: rows[0].clone() };
    for (recommended, file) in [(Some(best), "recommended.txt"), (None, "nothing.txt")] {
        report.verification = Some(Verification {
            seeds: vec![7, 8],
            messages: Spread::of(&[800.0, 1_000.0]),
            p50_latency_us: Spread::of(&[900.0, 1_100.0]),
            passed: 2,
            rows: rows.clone(),
            recommended,
        });
        let told = text(&document(&report));
        let start = told.find("Verified by rerun").unwrap();
        let end = told[start..].find("\n\n").map_or(told.len(), |end| start + end);
        assert_kept(&place(file), &told[start..end]);
    }
    assert_eq!(Spread::of(&[]), Spread::default());
    assert_eq!(Spread::of(&[3.0, 1.0, 8.0]), Spread { least: 1.0, mean: 4.0, most: 8.0 });
}

/// Profiles in a plane: the base, one on the front, one that is picked, one that is worse, and two
/// that are too far away to be drawn.
#[test]
fn a_plot_of_profiles_shows_those_that_are_near_and_counts_the_others() {
    let point = |standing, latency_us, messages, floor| FrontPoint {
        standing,
        latency_us,
        messages,
        floor,
        told: format!("{latency_us} us, {messages} messages"),
    };
    let points = vec![
        point(Standing::Base, 1_000.0, 4.0, Some(3.0)),
        point(Standing::Front, 1_500.0, 3.2, Some(2.5)),
        point(Standing::Picked, 900.0, 3.8, None),
        point(Standing::Tried, 3_000.0, 12.0, Some(3.0)),
        point(Standing::Tried, 3_001.0, 5.0, Some(3.0)),
        point(Standing::Tried, 1_000.0, 12.1, None),
    ];
    let floors = vec![(2.0, "the least".to_owned())];
    let plot = FrontPlot { title: "Profiles".to_owned(), points, floors };
    let picture = plot.chart().unwrap().picture();
    assert!(picture.contains("2 "), "two are far away: {picture}");
    assert_kept(&place("front.svg"), &picture.replace("><", ">\n<"));
    let none = FrontPlot { points: Vec::new(), ..plot };
    assert!(none.chart().is_none());
}

#[test]
fn spreads_are_drawn_beside_each_other_on_one_scale() {
    let row = |name: &str, p10, median, p90| SpreadRow {
        name: name.to_owned(),
        p10,
        median,
        p90,
        told: format!("{median} ({p10} to {p90})"),
    };
    let rows = vec![row("course", 2.0, 3.0, 4.0), row("fast", 5.0, 6.0, 8.0)];
    let panel = |rows| SpreadPanel { title: "messages a commit".to_owned(), rows };
    let chart = spreads("Two profiles", &[panel(rows), panel(Vec::new())]).unwrap();
    assert_kept(&place("spreads.svg"), &chart.picture().replace("><", ">\n<"));
    assert!(spreads("None", &[panel(Vec::new())]).is_none());
}
