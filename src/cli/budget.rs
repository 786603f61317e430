//! `laconic budget`: where a run's messages went, what they should have cost, what to do.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use super::failure::{ExitStatus, Failure};
use super::output::{check_file, open, print, print_styled, write};
use crate::archive::{RunRecords, read_history};
use crate::budget::report::Verification;
use crate::budget::{
    self, Analysis, BudgetReport, Difference, RunInfo, chart, chart_names, document, html,
    markdown, read_run, text,
};
use crate::raft::Micros;
use crate::record::{Fact, Sink};
use crate::sim::scenario::Scenario;
use crate::tune::{Experiment, verify};

/// Say where a run's messages went, what they should have cost, and what to do
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
Examples:
  laconic sim simple-2 --seed 1 --out run
  laconic budget run                        the report, in the terminal
  laconic budget run --format html -o run.html
  laconic budget run --format svg --chart seconds -o seconds.svg
  laconic budget run --verify               turn each knob and run again
  laconic budget diff run other             what changed, by cause

Charts: figures references limits seconds knobs causes fates phases matrix
trade_off latency story linger_saved linger_wait.

A run folder that is damaged is analysed as far as it can be read; the report
says so, and the exit status is 2.

Exit status: 0 good, 1 the books do not balance, 2 bad input or usage, 3 only a
budget exceeded, 4 the environment failed.")]
pub struct BudgetArguments {
    #[command(subcommand)]
    command: Option<BudgetCommand>,
    /// Run folders, as `laconic sim ... --out` makes them
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Run again in virtual time with each finding's change: expected against seen
    #[arg(long)]
    verify: bool,
    /// How many seeds to verify on, from the run's own on
    #[arg(
        long, value_name = "N", default_value_t = 10, requires = "verify",
        value_parser = clap::value_parser!(u64).range(1..=10_000)
    )]
    seeds: u64,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// With --format svg: which chart of the one run; the names are listed below
    #[arg(long, value_name = "NAME")]
    chart: Option<String>,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show that file in the program that you have for it
    #[arg(long, requires = "output")]
    open: bool,
}

#[derive(Subcommand)]
enum BudgetCommand {
    /// Say what changed from one run to another, by cause, in words first
    Diff(DiffArguments),
}

/// Say what changed from one run to another, by cause, in words first
#[derive(Args)]
#[command(after_help = "\
Example:
  laconic sim simple-2 --seed 1 --out one
  laconic sim simple-2 --seed 1 --profile quiet --out other
  laconic budget diff one other
  laconic budget diff one other --format html -o diff.html")]
struct DiffArguments {
    /// The first run's folder
    before: PathBuf,
    /// The second run's folder
    after: PathBuf,
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

/// The form in which a difference is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DiffFormat {
    /// For the terminal, 80 columns
    Text,
    /// An object: words, causes, figures
    Json,
    /// For pages and pull requests
    Markdown,
    /// One page that loads nothing, with both runs
    Html,
}

/// The form in which a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For the terminal, 80 columns
    Text,
    /// The documented schema (src/budget/report.rs), an object a run in a list
    Json,
    /// For pages and pull requests
    Markdown,
    /// One page that loads nothing, with charts
    Html,
    /// One chart of one run as a picture: --chart NAME
    Svg,
}

/// Analyses the runs.
pub fn run(arguments: &BudgetArguments) -> Result<ExitStatus, Failure> {
    if let Some(BudgetCommand::Diff(arguments)) = &arguments.command {
        return run_diff(arguments);
    }
    arguments.output.iter().try_for_each(|path| check_file(path))?;
    let chart = chart_of(arguments)?;
    // Checks all folders first: verifying the first run takes long, and a missing later one should
    // not be noticed only then.
    arguments
        .runs
        .iter()
        .try_for_each(|folder| read_run(folder).map(drop))
        .map_err(Failure::input)?;
    let mut reports = Vec::new();
    for folder in &arguments.runs {
        let mut report = analyse(folder)?;
        if arguments.verify {
            report.verification = Some(verify_by_rerun(folder, &report, arguments.seeds)?);
        }
        reports.push(report);
    }
    let told = tell(arguments.format, chart, &reports)?;
    put_out(&told, arguments.format == Format::Text, arguments.output.as_deref())?;
    arguments.output.iter().filter(|_| arguments.open).for_each(|path| open(path));
    Ok(status(&reports))
}

/// The chart to draw; `None` unless the format is svg.
fn chart_of(arguments: &BudgetArguments) -> Result<Option<&str>, Failure> {
    let is_picture = arguments.format == Format::Svg;
    let known = || chart_names().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    match (&arguments.chart, is_picture) {
        (None, false) => Ok(None),
        (Some(_), false) => Err(Failure::input("--chart is for --format svg")),
        (None, true) => {
            Err(Failure::input(format!("--format svg needs --chart NAME, one of {}", known())))
        }
        (Some(_), true) if arguments.runs.len() > 1 => {
            Err(Failure::input("--format svg draws one run at a time"))
        }
        (Some(name), true) if chart_names().any(|(known, _)| known == name) => Ok(Some(name)),
        (Some(name), true) => {
            Err(Failure::input(format!("no chart is called {name}; the charts are {}", known())))
        }
    }
}

/// The chart `name` of the one report, as a picture.
fn draw(reports: &[BudgetReport], name: Option<&str>) -> Result<String, Failure> {
    let drawn = reports.first().zip(name).and_then(|(report, name)| chart(report, name));
    let nothing = || {
        let name = name.unwrap_or_default();
        Failure::input(format!("the run has nothing to draw in the chart {name}"))
    };
    Ok(drawn.ok_or_else(nothing)?.picture())
}

fn run_diff(arguments: &DiffArguments) -> Result<ExitStatus, Failure> {
    arguments.output.iter().try_for_each(|path| check_file(path))?;
    let reports = [analyse(&arguments.before)?, analyse(&arguments.after)?];
    let difference = budget::diff(&reports[0], &reports[1]);
    let (format, output) = (arguments.format, arguments.output.as_deref());
    put_out_difference(&reports, &difference, format, output)?;
    arguments.output.iter().filter(|_| arguments.open).for_each(|path| open(path));
    Ok(status(&reports))
}

/// Writes the difference of `reports` into the file `output`, or prints it.
pub(super) fn put_out_difference(
    reports: &[BudgetReport; 2],
    difference: &Difference,
    format: DiffFormat,
    output: Option<&Path>,
) -> Result<(), Failure> {
    let told = match format {
        DiffFormat::Text => text(&difference.document()),
        DiffFormat::Markdown => markdown(&difference.document()),
        DiffFormat::Json => json(difference)?,
        DiffFormat::Html => {
            budget::html_of_difference(reports, difference).map_err(Failure::environment)?
        }
    };
    put_out(&told, format == DiffFormat::Text, output)
}

/// Writes `told` into the file `output`, or prints it, with its styles if it `is_styled`.
fn put_out(told: &str, is_styled: bool, output: Option<&Path>) -> Result<(), Failure> {
    match output {
        Some(path) => {
            write(path, &anstream::adapter::strip_str(told).to_string())?;
            print(&format!("Written: {}\n", path.display()))
        }
        None if is_styled => print_styled(told),
        None => print(told),
    }
}

/// Repeats the run in `folder` in virtual time, with the changes that `report` found.
fn verify_by_rerun(
    folder: &Path,
    report: &BudgetReport,
    seeds: u64,
) -> Result<Verification, Failure> {
    // The analysis has already reported if the run was killed.
    let (experiment, _) = experiment_of(folder, seeds)?;
    verify(&experiment, report).map_err(Failure::environment)
}

/// The run in `folder` as an experiment on `seeds` seeds, from its own on, and its facts.
pub(super) fn experiment_of(folder: &Path, seeds: u64) -> Result<(Experiment, RunInfo), Failure> {
    let path = folder.join("run.json").display().to_string();
    let (run, facts) = read_facts(folder, &mut Vec::new())?;
    let text = run["scenario"].to_string();
    let experiment = Experiment {
        scenario: Scenario::parse(&facts.scenario, &path, &text).map_err(Failure::input)?,
        tuning: facts.tuning.clone(),
        precise: facts.timing == "precise",
        seeds: (0..seeds).map(|place| facts.seed.wrapping_add(place)).collect(),
    };
    Ok((experiment, facts))
}

/// The analysis of the run in `folder`.
pub(super) fn analyse(folder: &Path) -> Result<BudgetReport, Failure> {
    let mut problems = Vec::new();
    let (_, facts) = read_facts(folder, &mut problems)?;
    let mut records = RunRecords::open(folder).map_err(Failure::input)?;
    let missing = (facts.replicas + 1).saturating_sub(records.files());
    let requests = read_history(folder).unwrap_or_else(|error| {
        problems.push(error.to_string());
        Vec::new()
    });
    let mut analysis = Analysis::new(facts);
    records.by_ref().for_each(|record| analysis.record(&record));
    problems.extend_from_slice(records.problems());
    if missing > 0 && problems.is_empty() {
        problems.push(format!("{}: {missing} record files are missing", folder.display()));
    }
    for problem in &problems {
        eprintln!("laconic: {problem}");
    }
    Ok(analysis.finish(&requests, problems))
}

/// The content of `run.json` in `folder`. If the run was killed, it is completed from the records,
/// and that is reported as a problem.
fn read_facts(folder: &Path, problems: &mut Vec<String>) -> Result<(Value, RunInfo), Failure> {
    let mut run = read_run(folder).map_err(Failure::input)?;
    let path = folder.join("run.json");
    if run["outcome"].is_object() && run["outcome"]["ended_at_us"].is_null() {
        complete(&mut run["outcome"], folder)?;
        let words = "the run was killed: its end is that of its records";
        problems.push(format!("{}: {words}", path.display()));
    }
    let facts = RunInfo::from_json(&run)
        .map_err(|reason| Failure::input(format!("{}: {reason}", path.display())))?;
    Ok((run, facts))
}

/// Completes the `outcome` of a killed run in `folder` from its records: the last time, and how
/// many messages the simulator has counted.
fn complete(outcome: &mut Value, folder: &Path) -> Result<(), Failure> {
    let (mut ended_at, mut counted) = (Micros(0), 0);
    for record in RunRecords::open(folder).map_err(Failure::input)? {
        ended_at = ended_at.max(record.at);
        counted += u64::from(matches!(record.fact, Fact::Routed { .. }));
    }
    outcome["ended_at_us"] = ended_at.0.into();
    outcome["messages"] = json!({ "counted": counted });
    Ok(())
}

fn tell(format: Format, chart: Option<&str>, reports: &[BudgetReport]) -> Result<String, Failure> {
    let all = |render: fn(&[budget::Block]) -> String| {
        reports.iter().map(|report| render(&document(report))).collect::<Vec<_>>().join("\n")
    };
    Ok(match format {
        Format::Text => all(text),
        Format::Markdown => all(markdown),
        Format::Json => json(&reports)?,
        Format::Html => html(reports).map_err(Failure::environment)?,
        Format::Svg => draw(reports, chart)?,
    })
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(value).map_err(Failure::environment)? + "\n")
}

/// The exit status for the reports: the first of 2, 1 and 3 that applies.
fn status(reports: &[BudgetReport]) -> ExitStatus {
    let any = |is: fn(&BudgetReport) -> bool| reports.iter().any(is);
    if any(|report| !report.run.problems.is_empty()) {
        ExitStatus::BadInput
    } else if any(|report| !report.books.faults.is_empty()) {
        ExitStatus::CheckFailed
    } else if any(|report| report.limits.iter().any(|limit| limit.exceeded)) {
        ExitStatus::BudgetExceeded
    } else {
        ExitStatus::Good
    }
}
