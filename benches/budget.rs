//! How fast a run is analysed: simple-2, and ten million records from files in constant memory.
//! Aims are printed beside the results. The only assertion is that the whole run was analysed.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use laconic::archive::{FileHeader, RecordFile, RunRecords, read_history};
use laconic::budget::{Analysis, BudgetReport, RunInfo, read_run};
use laconic::raft::{Event, Micros};
use laconic::record::{Fact, Record, SIMULATOR, Sink};
use laconic::sim::delays::Delays;
use laconic::sim::folder::{Tuned, client_requests, finish, run_json};
use laconic::sim::outcome::{RunMeasurements, Setup, judge};
use laconic::sim::scenario::Scenario;
use laconic::sim::virtual_time::{Keep, VirtualOptions, run};
use laconic::tuning_file;

/// The number of records of the long run.
const MANY: u64 = 10_000_000;

fn main() {
    let folder = tempfile::tempdir().expect("a folder for runs");
    let small = folder.path().join("simple-2");
    keep(&small, "simple-2");
    let mut times: Vec<f64> = (0..20).map(|_| seconds(|| analyse(&small)).0).collect();
    times.sort_by(f64::total_cmp);
    println!("analysis of a simple-2 run: median {:.1} ms (aim under 100)", times[10] * 1e3);

    let base = folder.path().join("large");
    keep(&base, "large");
    let records: Vec<Record> = RunRecords::open(&base).expect("its records").collect();
    let long = folder.path().join("long");
    std::fs::create_dir_all(&long).expect("a folder");
    for name in ["run.json", "history.jsonl"] {
        std::fs::copy(base.join(name), long.join(name)).expect("a copy");
    }
    let written = repeat(&records, &long);
    let before = peak_megabytes();
    let (took, report) = seconds(|| analyse(&base));
    let (all, after_base) = (records.len() as f64, peak_megabytes());
    println!("large: {:.2} million records, {:.2} million a second", all / 1e6, all / took / 1e6);
    black_box(report);
    let (took, report) = seconds(|| analyse(&long));
    println!(
        "again and again: {:.2} million records, {:.2} million a second (aim 1), {} messages",
        written as f64 / 1e6,
        written as f64 / took / 1e6,
        report.run.messages
    );
    println!(
        "peak memory: {before} MB before, {after_base} MB after the first, {} MB after the second \
         (aim under 1,024 in all; the list of records in this benchmark is part of it)",
        peak_megabytes()
    );
    let lines: Vec<String> = records.iter().take(200_000).map(Record::json_line).collect();
    let (took, read) = seconds(|| {
        lines.iter().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count()
    });
    println!("JSON lines, parsed alone: {:.2} million a second", read as f64 / took / 1e6);
}

fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}

/// Runs the scenario `name` and keeps the run in `folder`.
fn keep(folder: &Path, name: &str) {
    let scenario = Scenario::load(name).expect("an embedded scenario");
    let profile = tuning_file::load("course").expect("an embedded profile");
    let options = VirtualOptions {
        seed: 1,
        tuning: profile.tuning.clone(),
        precise: false,
        through_codec: false,
        delays: Delays::embedded(),
        records: Keep::Folder(folder.to_owned()),
    };
    let (evidence, _) = RunMeasurements::of_virtual(run(&scenario, &options).expect("a run"));
    let setup =
        Setup { engine: "virtual", timing: "course", profile: "course".into(), foreign: false };
    let outcome = judge(&scenario, setup, evidence);
    let tuned = Tuned { tuning: Some(&profile.tuning), budget: &profile.budget };
    let json = run_json(&scenario, tuned, &outcome);
    finish(folder, &json, &client_requests(&outcome.conclusion.history)).expect("a folder");
}

fn analyse(folder: &Path) -> BudgetReport {
    let facts = RunInfo::from_json(&read_run(folder).expect("run.json")).expect("facts");
    let requests = read_history(folder).expect("history.jsonl");
    let mut records = RunRecords::open(folder).expect("records");
    let mut analysis = Analysis::new(facts);
    records.by_ref().for_each(|record| analysis.record(&record));
    assert!(records.problems().is_empty(), "{:?}", records.problems());
    analysis.finish(&requests, Vec::new())
}

/// Writes the run again and again, each copy after the last in time, numbers, terms and indexes,
/// until there are [`MANY`] records. Returns the number of records written.
fn repeat(records: &[Record], folder: &Path) -> u64 {
    let last = records.iter().map(|record| record.at.0).max().unwrap_or(0) + 1_000_000;
    let sources: Vec<_> = (0..21).map(laconic::raft::Member).chain([SIMULATOR]).collect();
    let mut files: Vec<RecordFile> = sources
        .iter()
        .map(|source| {
            let path = folder.join(format!("{source}.bin"));
            let header = FileHeader { source: *source, clock_start_us: 0 };
            RecordFile::create(&path, header).expect("a record file")
        })
        .collect();
    let mut numbers = [0u64; 21];
    let (mut terms, mut indexes) = (0, 0);
    for record in records {
        match record.fact {
            Fact::Sent { number, term, .. } => {
                numbers[record.source.rank()] = number;
                terms = terms.max(term);
            }
            Fact::State(Event::Appended { last, .. }) => indexes = indexes.max(last),
            _ => {}
        }
    }
    let copies = MANY.div_ceil(records.len() as u64);
    for copy in 0..copies {
        for record in records {
            let mut record = *record;
            record.at += Micros(copy * last);
            shift(&mut record.fact, copy, &numbers, (terms, indexes));
            if let Fact::Sent { number, .. } = &mut record.fact {
                *number += copy * numbers[record.source.rank()];
            }
            files[record.source.rank().min(21)].record(&record);
        }
    }
    files.iter_mut().for_each(|file| file.flush().expect("written"));
    copies * records.len() as u64
}

fn shift(fact: &mut Fact, copy: u64, numbers: &[u64; 21], (terms, indexes): (u64, u64)) {
    let (terms, indexes) = (copy * terms, copy * indexes);
    match fact {
        Fact::Sent { term, first, .. } => {
            *term += terms;
            *first += indexes;
        }
        Fact::Received { from, number, term, .. } => {
            *number += copy * numbers[from.rank()];
            *term += terms;
        }
        Fact::Routed { from, number, .. } => *number += copy * numbers[from.rank()],
        Fact::Answered { index, term, .. } if *index > 0 => {
            *term += terms;
            *index += indexes;
        }
        Fact::State(event) => match event {
            Event::BecameLeader { term, .. } | Event::SteppedDown { term, .. } => *term += terms,
            Event::Appended { first, last, term } => {
                *first += indexes;
                *last += indexes;
                *term += terms;
            }
            Event::Committed { through } => *through += indexes,
            Event::BatchSent { first, last } => {
                *first += indexes;
                *last += indexes;
            }
            _ => {}
        },
        _ => {}
    }
}

/// The most memory that this process has used so far, in megabytes.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_024
}
