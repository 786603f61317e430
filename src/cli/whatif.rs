//! `laconic whatif`: a kept virtual run once more, with other knobs from a moment on.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::budget::{DiffFormat, experiment_of, put_out_difference};
use super::failure::{ExitStatus, Failure};
use super::output::{check_file, open, print, print_styled};
use super::trace::parse_moment;
use crate::archive::RunRecords;
use crate::budget::{Block, diff, text, turn};
use crate::nearest::did_you_mean;
use crate::raft::{Micros, Tuning};
use crate::sim::virtual_time::Retuning;
use crate::tune::{ForkError, Forked, fork};

/// Say what would have come of a kept run with other knobs from a moment on
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic sim simple-2 --seed 1 --out run
  laconic whatif run --at 12.5s --set linger_us=2000
  laconic whatif run --at 12.5 --set fan_out=chain --set lag_most_entries=128 \\
    --format html -o whatif.html

The run is repeated in virtual time, with its scenario, seed and knobs, and
checked to be the same up to that moment, record by record. Then it is repeated
once more, and all replicas that live get the knobs at that moment. What is
shown is the difference, as of laconic budget diff; the page has the space-time
diagrams of both, one below the other, from that moment on.

The figures' floors are those of the knobs that the run began with, for both.

Exit status: 0 good; 1 if the run fails a check with the knobs that it passes
without; 2 bad input or usage, and a run that cannot be repeated.")]
pub struct WhatifArguments {
    /// The run's folder, as `laconic sim ... --out` made it, in virtual time
    run: PathBuf,
    /// The moment, in seconds of the run, as in 12.5 or 12.5s
    #[arg(long, value_name = "T", value_parser = parse_seconds)]
    at: Micros,
    /// A knob and its value from then on; can be given several times
    #[arg(long, required = true, value_name = "KNOB=VALUE", value_parser = parse_knob)]
    set: Vec<(String, Value)>,
    /// Form of the output; html: both runs side by side
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    format: DiffFormat,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show that file in the program that you have for it
    #[arg(long, requires = "output")]
    open: bool,
}

/// A moment, with or without its unit.
fn parse_seconds(text: &str) -> Result<Micros, String> {
    parse_moment(text.strip_suffix('s').unwrap_or(text))
}

/// `KNOB=VALUE`: a number, true, false or a word.
fn parse_knob(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("must be KNOB=VALUE, as in linger_us=2000")?;
    let digits = value.replace('_', "");
    let number: Option<u64> = digits.parse().ok();
    let value = match (number, value) {
        (Some(number), _) => number.into(),
        (None, "true") => true.into(),
        (None, "false") => false.into(),
        (None, word) => word.into(),
    };
    Ok((name.to_owned(), value))
}

/// Forks the run.
pub fn run(arguments: &WhatifArguments) -> Result<ExitStatus, Failure> {
    arguments.output.iter().try_for_each(|path| check_file(path))?;
    let folder = arguments.run.display();
    let (experiment, facts) = experiment_of(&arguments.run, 1)?;
    if facts.engine != "virtual" {
        let words = "a real run, which cannot be repeated: laconic sim without --real makes one";
        return Err(Failure::input(format!("{folder}: {words}")));
    }
    if arguments.at >= facts.ended_at {
        let (at, end) = (arguments.at.as_seconds(), facts.ended_at.as_seconds());
        return Err(Failure::input(format!("--at {at:.3}: {folder} ended at {end:.3} s")));
    }
    let tuning = turned(&experiment.tuning, &arguments.set)?;
    let retuning = Retuning { at: arguments.at, tuning };
    let kept = RunRecords::open(&arguments.run).map_err(Failure::input)?;
    let forked = fork(&experiment, facts.seed, &retuning, kept).map_err(|error| match error {
        ForkError::Differs { .. } => Failure::input(format!("{folder}: {error}")),
        error => Failure::environment(error),
    })?;
    let newly_failed = newly_failed(&forked);
    let Forked { mut without, mut with } = forked;
    without.report.run.profile = facts.profile.clone();
    without.report.run.command = facts.command();
    let from = format!("from {} s on {}", arguments.at.as_seconds(), told(arguments));
    with.report.run.profile = format!("{}, {from}", facts.profile);
    with.report.run.command = format!("{}, {from}", facts.command());
    let reports = [without.report, with.report];
    let mut difference = diff(&reports[0], &reports[1]);
    difference.forked_at_us = Some(arguments.at.0);
    if arguments.format == DiffFormat::Text && arguments.output.is_none() {
        print_styled(&text(&heading(arguments)))?;
    }
    put_out_difference(&reports, &difference, arguments.format, arguments.output.as_deref())?;
    arguments.output.iter().filter(|_| arguments.open).for_each(|path| open(path));
    if newly_failed.is_empty() {
        return Ok(ExitStatus::Good);
    }
    if arguments.format == DiffFormat::Text {
        print(&format!("With these knobs the run fails: {}\n", newly_failed.join("; ")))?;
    }
    Ok(ExitStatus::CheckFailed)
}

/// `tuning` with the knobs that are set.
fn turned(tuning: &Tuning, set: &[(String, Value)]) -> Result<Tuning, Failure> {
    let known = json!(tuning);
    let names = || known.as_object().into_iter().flat_map(|knobs| knobs.keys().map(String::as_str));
    for (name, _) in set {
        if known.get(name).is_none() {
            let hint = did_you_mean(name, names());
            return Err(Failure::input(format!("--set: no knob is called {name}{hint}")));
        }
    }
    let knobs = set.iter().map(|(name, value)| (name.as_str(), value));
    turn(tuning, knobs).map_err(|rule| Failure::input(format!("--set: {rule}")))
}

/// The checks that the run fails with the knobs, and not without.
fn newly_failed(forked: &Forked) -> Vec<&'static str> {
    let Forked { without, with } = forked;
    with.failed.iter().copied().filter(|name| !without.failed.contains(name)).collect()
}

/// The knobs that are set, in words.
fn told(arguments: &WhatifArguments) -> String {
    let each = arguments.set.iter().map(|(name, value)| match value {
        Value::String(word) => format!("{name} = {word}"),
        other => format!("{name} = {other}"),
    });
    each.collect::<Vec<_>>().join(", ")
}

fn heading(arguments: &WhatifArguments) -> Vec<Block> {
    let (run, at) = (arguments.run.display(), arguments.at.as_seconds());
    vec![
        Block::Heading(format!("{run}, and from {at} s on {}", told(arguments))),
        Block::Paragraph("Before: as it was. After: the same run with these knobs.".to_owned()),
    ]
}
