//! `laconic records`: a run's records as JSON lines, or as lines for people.

use std::path::PathBuf;

use clap::Args;

use super::failure::{ExitStatus, Failure};
use super::output::print;
use crate::archive::RunRecords;

/// Lines are printed in pieces of about this many bytes.
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
  retuned      knobs (how many changed)
  decided      knob, before, after, reason, measured
  routed       from, to, n, fate, bytes
  killed       member, by_itself
  partitioned  majority (the ranks of that side; none: the partition ended)
and, for each change of a replica's state:
  term_started          term
  leader_heard          leader, term
  became_pre_candidate  term
  became_candidate      term
  became_leader         term, heard_commit, opened
  stepped_down          term, reason
  voted                 candidate, term
  appended              first, last, term
  truncated             first, last
  committed             through
  batch_sent            first, last
  resend_timeout        member, attempt, batch_waits
  suspected             member
  trusted               member
  leader_given_up       leader, term

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

/// Prints the records.
pub fn run(arguments: &RecordsArguments) -> Result<ExitStatus, Failure> {
    let mut records = RunRecords::open(&arguments.run).map_err(Failure::input)?;
    let mut lines = String::new();
    for record in records.by_ref() {
        lines += &if arguments.text { record.to_string() } else { record.json_line() };
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use clap::Args;

    use super::RecordsArguments;
    use crate::raft::{Member, Micros};
    use crate::record::Record;
    use crate::record::samples::one_of_each;

    /// For each fact, its keys.
    type Keys = BTreeMap<String, BTreeSet<String>>;

    /// The keys that the help names. Each line of it is one fact.
    fn told() -> Keys {
        let help = RecordsArguments::augment_args(clap::Command::new("records"));
        let help = help.get_after_help().unwrap().to_string();
        let list = help.split("\n\nExamples").next().unwrap();
        let rows = list.lines().filter_map(|line| line.strip_prefix("  "));
        let row = |row: &str| {
            let (fact, keys) = row.split_once(' ').unwrap_or((row, ""));
            let keys = keys.split('(').next().unwrap_or_default().split(',').map(str::trim);
            let keys = keys.filter(|key| !key.is_empty()).map(str::to_owned).collect();
            (fact.to_owned(), keys)
        };
        rows.map(row).collect()
    }

    #[test]
    fn the_help_names_every_fact_and_its_keys() {
        let mut written = Keys::new();
        for fact in one_of_each() {
            let record = Record { at: Micros(7), source: Member(2), fact };
            let line: serde_json::Value = serde_json::from_str(&record.json_line()).unwrap();
            let mut keys: BTreeSet<String> = line.as_object().unwrap().keys().cloned().collect();
            assert!(keys.remove("at_us") && keys.remove("source") && keys.remove("fact"));
            written.insert(line["fact"].as_str().unwrap().to_owned(), keys);
        }
        assert_eq!(written, told());
    }
}
