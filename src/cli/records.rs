//! `laconic records`: a run's records as JSON lines, or as lines for people.

use std::path::PathBuf;

use clap::Args;

use super::failure::{ExitStatus, Failure};
use super::output::print;
use crate::archive::RunRecords;
use crate::record::json_line;

/// Lines are printed in pieces of about so many bytes.
const CHUNK_BYTES: usize = 1 << 16;

/// Print the records of a run as JSON lines, or as a story, in order of time
#[derive(Args)]
#[command(after_help = "\
Each line is an object: at_us (microseconds since the start of the run), source
(a replica's rank, or \"simulator\"), fact, and what belongs to the fact:
  sent         to, n, kind, why, term, first, entries, bytes
  received     from, n, kind, why, term, disposition
  asked        client, request, operation
  taken        client, request, index, term
  refused      client, request, reason, bytes
  held         client, request
  answered     client, request, outcome, index, term
  garbage      reason, bytes
  woken
  routed       from, to, n, fate, bytes
  killed       member, by_itself
  partitioned  majority (the ranks of that side; none: the partition ended)
and a fact for each change of state: became_leader, appended, committed,
batch_sent, resend_timeout and so on.

Examples:
  laconic sim simple-2 --seed 1 --out run
  laconic records run | head
  laconic records run --text | less
  laconic records run/records/0002.bin | grep '\"became_leader\"'")]
pub struct RecordsArguments {
    /// The run's folder, as `laconic sim ... --out` made it, or one record file
    run: PathBuf,
    /// Print a sentence a record instead: who did what, step by step
    #[arg(long)]
    text: bool,
}

/// Prints them.
pub fn run(arguments: &RecordsArguments) -> Result<ExitStatus, Failure> {
    let mut records = RunRecords::open(&arguments.run).map_err(Failure::input)?;
    let mut lines = String::new();
    for record in records.by_ref() {
        lines += &if arguments.text { record.to_string() } else { json_line(&record) };
        lines.push('\n');
        if lines.len() >= CHUNK_BYTES {
            print(&std::mem::take(&mut lines))?;
        }
    }
    print(&lines)?;
    for problem in records.problems() {
        eprintln!("laconic: {problem}");
    }
    Ok(if records.problems().is_empty() { ExitStatus::Good } else { ExitStatus::BadInput })
}
