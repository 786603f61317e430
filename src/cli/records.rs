//! `laconic records`: a run's records as JSON lines.

use std::path::{Path, PathBuf};

use clap::Args;

use super::output::print;
use super::{Failure, Status};
use crate::record::{ReadRecords, json_line, read_records};

/// Print the records of a run as JSON lines, in order of time
#[derive(Args)]
#[command(after_help = "\
Each line is an object: at_us (microseconds since the start of the run), teller
(a replica's rank, or \"simulator\"), fact, and what belongs to the fact:
  sent         to, n, kind, why, term, first, entries, bytes
  received     from, n, kind, term, disposition
  asked        client, request, operation
  held         client, request
  answered     client, request, outcome, index, term
  garbage      reason, bytes
  routed       from, to, n, fate, bytes
  killed       member, by_itself
  partitioned  majority (the ranks of that side; none: the partition ended)
and a fact for each change of state: became_leader, appended, committed,
batch_sent, resend_timeout and so on.

Examples:
  laconic sim simple-2 --seed 1 --out run
  laconic records run | head
  laconic records run/records/0002.bin | grep '\"became_leader\"'")]
pub struct RecordsArguments {
    /// The run's folder, as `laconic sim ... --out` made it, or one record file
    run: PathBuf,
}

/// Prints them.
pub fn run(arguments: &RecordsArguments) -> Result<Status, Failure> {
    let mut status = Status::Good;
    let mut all = Vec::new();
    let mut refuse = |line: String| {
        eprintln!("laconic: {line}");
        status = Status::BadInput;
    };
    for path in files_of(&arguments.run)? {
        let ReadRecords { header, records, unread_bytes } = match read_records(&path) {
            Ok(read) => read,
            Err(error) => {
                refuse(error.to_string());
                continue;
            }
        };
        if unread_bytes > 0 {
            refuse(format!(
                "{}: the last {unread_bytes} bytes are no whole records; {} were read",
                path.display(),
                records.len()
            ));
        }
        all.extend(records.into_iter().map(|record| (header.clock_start_us, record)));
    }
    let start = all.iter().map(|(start, _)| *start).min().unwrap_or(0);
    for (clock, record) in &mut all {
        record.at.0 += *clock - start;
    }
    // Stable: what one teller told at one time stays in its order.
    all.sort_by_key(|(_, record)| record.at);
    for chunk in all.chunks(1_000) {
        let lines: String = chunk.iter().map(|(_, record)| json_line(record) + "\n").collect();
        print(&lines)?;
    }
    Ok(status)
}

/// The record files of a run's folder, replicas first, or the file itself.
fn files_of(run: &Path) -> Result<Vec<PathBuf>, Failure> {
    if run.is_file() {
        return Ok(vec![run.to_owned()]);
    }
    let failed = |error| Failure::input(format!("{}: {error}", run.display()));
    let records = run.join("records");
    let folder = if records.is_dir() { &records } else { run };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "bin"))
        .collect();
    files.sort();
    let simulator = run.join("simulator.bin");
    if simulator.is_file() && !files.contains(&simulator) {
        files.push(simulator);
    }
    match files.is_empty() {
        true => Err(Failure::input(format!("{}: holds no record files", run.display()))),
        false => Ok(files),
    }
}
