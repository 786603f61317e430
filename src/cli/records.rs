//! `laconic records`: a run's records as JSON lines.

use std::path::{Path, PathBuf};

use clap::Args;

use super::output::print;
use super::{Failure, Status};
use crate::record::{ReadRecords, RecordFileError, json_line, read_records};

/// Print the records of a run as JSON lines, in order of time.
///
/// Each line is an object with at_us (microseconds since the start of the run), teller (a
/// replica's rank, or "simulator"), fact, and the fact's own keys: sent (to, n, kind, why, term,
/// first, entries, bytes), received (from, n, kind, term, disposition), asked, held, answered
/// (client, request, ...), routed (from, to, n, fate, bytes), killed, garbage, and a fact for
/// each change of state: became_leader, appended, committed, batch_sent, resend_timeout and so on.
#[derive(Args)]
pub struct RecordsArguments {
    /// The run's folder, as `laconic sim ... --out` made it, or one record file
    run: PathBuf,
}

/// Prints them.
pub fn run(arguments: &RecordsArguments) -> Result<Status, Failure> {
    let mut status = Status::Good;
    let mut all = Vec::new();
    for path in files_of(&arguments.run)? {
        let ReadRecords { header, records, unread_bytes } = read_records(&path).map_err(refuse)?;
        if unread_bytes > 0 {
            eprintln!(
                "laconic: {}: the last {unread_bytes} bytes are no whole records; {} were read",
                path.display(),
                records.len()
            );
            status = Status::BadInput;
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

fn refuse(error: RecordFileError) -> Failure {
    Failure::input(error)
}

/// The record files of a run's folder, replicas first, or the file itself.
fn files_of(run: &Path) -> Result<Vec<PathBuf>, Failure> {
    if run.is_file() {
        return Ok(vec![run.to_owned()]);
    }
    let folder = run.join("records");
    let entries = std::fs::read_dir(&folder)
        .map_err(|error| Failure::input(format!("{}: {error}", folder.display())))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "bin"))
        .collect();
    files.sort();
    let simulator = run.join("simulator.bin");
    if simulator.is_file() {
        files.push(simulator);
    }
    match files.is_empty() {
        true => Err(Failure::input(format!("{}: no record files", folder.display()))),
        false => Ok(files),
    }
}
