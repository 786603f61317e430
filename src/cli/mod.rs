//! The command line: one `run` function for each subcommand. The doc comments of the flags are the
//! help.

mod budget;
mod calibrate;
mod campaign;
mod compare;
mod failure;
mod help;
mod list;
mod manual;
mod output;
mod postmortem;
mod profiles;
mod records;
mod shard;
mod sim;
mod top;
mod trace;
mod tune;
mod whatif;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::service;

pub use failure::{ExitStatus, Failure};

#[derive(Parser)]
#[command(
    name = "laconic",
    version,
    about = "A Raft key-value replica that knows what every one of its messages was for",
    after_help = "\
Examples:
  laconic list                    the scenarios and profiles there are
  laconic sim simple-2            one scenario in virtual time, and its messages
  laconic sim all --repeat 20     the course's seventeen, 20 seeds each
  laconic sim crash-3 --real      over real UDP, with child processes
  laconic sim simple-2 --out run  keep the run, then: laconic budget run
  laconic trace run -o x.json     the same as arrows and slices, for Perfetto
  laconic postmortem run          what a real run's black boxes tell
  laconic tune simple-2 -o my.toml
                                  a search for a better profile

Exit status: 0 good, 1 a check failed, 2 bad input or usage, 3 only a budget
exceeded, 4 the environment failed (port, child, disk), 130 interrupted."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a scenario, or all seventeen of the course, and say where the messages went
    Sim(sim::SimArguments),
    /// Say where a run's messages went, what they should have cost, and what to do
    Budget(budget::BudgetArguments),
    /// Print the records of a run as JSON lines
    Records(records::RecordsArguments),
    /// Draw a kept run as a Chrome trace file, for Perfetto
    Trace(trace::TraceArguments),
    /// Say what black boxes tell of a cluster's last failure
    Postmortem(postmortem::PostmortemArguments),
    /// Watch a running cluster in the terminal
    Top(top::TopArguments),
    /// Measure this machine's delays in real runs, for virtual ones
    Calibrate(calibrate::CalibrateArguments),
    /// Explain the profiles that are built in, or one in full
    Profiles(profiles::ProfilesArguments),
    /// List the scenarios and profiles that are built in
    List(list::ListArguments),
    /// Put profiles side by side on the same seeds, or hold virtual runs against real ones
    Compare(compare::CompareArguments),
    /// Search for better knobs, by thousands of runs in virtual time
    Tune(tune::TuneArguments),
    /// Look for a fault in thousands of random clusters with random faults
    Campaign(campaign::CampaignArguments),
    /// Say what would have come of a kept run with other knobs from a moment on
    Whatif(whatif::WhatifArguments),
    /// Print what completes laconic's commands and flags in a shell
    Completions(manual::CompletionsArguments),
    /// Write the manual, one page for each command
    Man(manual::ManArguments),
    /// Be a replica, as the course's simulator launches one
    Replica(ReplicaArguments),
}

/// Be a replica, as the course's simulator launches one; also under the name 4730kvstore.
#[derive(Args)]
#[command(after_help = "\
Environment (nothing set: no files, only warnings printed, profile course):
  LACONIC_PROFILE    one that `laconic profiles` lists, or a TOML file
  LACONIC_LOG        what is told on stderr: info, laconic=debug; else warn
  LACONIC_OUT        folder for records/ID.bin, the facts of this replica, and
                     for ID.prom, its last metrics
  LACONIC_BLACK_BOX  folder for ID.box: the last 65,536 facts, even if killed
  LACONIC_SPANS      1/100: times what carries one request in 100, and one other
                     step in 100, in LACONIC_OUT's spans/ID.json; 1: everything
  LACONIC_METRICS_ADDRESS
                     PORT on 127.0.0.1, IP:PORT or HOST:PORT, that serves
                     /metrics, /status and /healthz; port 0 is any free one,
                     then named in ID.address

What cannot be had (a port in use, a disk that is full, a host that is not
known) is said in one line, and the replica serves on without it. A value that
makes no sense (a profile, filter, address or number that is none) ends it with
status 2.

Example:
  LACONIC_LOG=info laconic replica 4000 0000 0001 0002")]
struct ReplicaArguments {
    /// PORT ID OTHER_ID [OTHER_ID ...]: the simulator's UDP port for this replica, IDs of four hex
    /// digits
    #[arg(value_name = "PORT ID OTHERS", allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Prints what is wrong with the arguments. For an invalid value it prints only the one line that
/// matters.
fn refuse(error: &clap::Error) -> ExitCode {
    let told = error.to_string();
    match (error.kind(), told.lines().next()) {
        (ErrorKind::ValueValidation, Some(line)) => {
            eprintln!("laconic: {}", line.strip_prefix("error: ").unwrap_or(line));
        }
        // Help and version are no errors. If the reader has closed the pipe, nothing is printed.
        _ => drop(error.print()),
    }
    ExitCode::from(error.exit_code() as u8)
}

/// If the program is started under one of these names, it is a replica (interface §1).
const REPLICA_NAMES: [&str; 2] = ["4730kvstore", "3700kvstore"];

/// Runs the program with `arguments`, the first of which is its name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let name = arguments.first().and_then(|name| Path::new(name).file_name());
    if REPLICA_NAMES.iter().any(|replica| name == Some(replica.as_ref())) {
        return service::run(&arguments[1..]);
    }
    let matched = help::fitted(Arguments::command()).try_get_matches_from(arguments);
    let parsed = match matched.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(parsed) => parsed,
        Err(error) => {
            return refuse(&error);
        }
    };
    let result = match parsed.command {
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Budget(arguments) => budget::run(&arguments),
        Command::Records(arguments) => records::run(&arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Postmortem(arguments) => postmortem::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Calibrate(arguments) => calibrate::run(&arguments),
        Command::Profiles(arguments) => profiles::run(&arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Tune(arguments) => tune::run(&arguments),
        Command::Campaign(arguments) => campaign::run(&arguments),
        Command::Whatif(arguments) => whatif::run(&arguments),
        Command::Completions(arguments) => manual::complete(Arguments::command(), &arguments),
        Command::Man(arguments) => manual::write_pages(Arguments::command(), &arguments),
        Command::Replica(arguments) => {
            return service::run(&arguments.arguments);
        }
    };
    match result {
        Ok(status) => ExitCode::from(status as u8),
        Err(failure) => {
            eprintln!("laconic: {}", failure.message);
            ExitCode::from(failure.status as u8)
        }
    }
}
