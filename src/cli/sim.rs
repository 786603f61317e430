//! `laconic sim`: scenarios in virtual time or over real UDP.

mod campaign;
mod engines;

pub(super) use engines::whole_real_run;

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::output::{check_file, check_folder, print, print_styled, write};
use super::trace::{Drawing, draw_run};
use super::{ExitStatus, Failure, parse_seed};
use crate::budget;
use crate::budget::report::LimitRow;
use crate::sim::folder::{self, Scratch};
use crate::sim::outcome::RunOutcome;
use crate::sim::report::RunReport;
use crate::sim::scenario::{COURSE, Scenario};
use campaign::Campaign;
use engines::{Done, Engine};

/// Run a scenario, or all seventeen of the course, and say where the messages went.
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic sim simple-2                  virtual time, the course's timing
  laconic sim simple-2 --json           the outcome as one JSON object
  laconic sim mine.json --seed 7        your own scenario, a run to be repeated
  laconic sim simple-2 --report x.html  its message budget as a page
  laconic sim crash-4 --trace x.json    its messages as arrows, for Perfetto
  laconic sim all --repeat 20 --seed 1  340 runs, in parallel
  laconic sim simple-2 --open-metrics x.om
                                        its metrics, for Prometheus and Grafana
  laconic sim simple-2 --real           child processes over UDP, in real time
  laconic sim simple-2 --real --replica ./4730kvstore
                                        any program that speaks the interface

Ctrl-C ends a real run where it is: it is judged, reported, kept and drawn as
far as it went. Of several runs those that are done are summed up.

Tiers: 0 bonus, 1 full, 2 partial, 3 none.

JSON (--json, and `outcome` of run.json in --out; several runs: one object a
line): schema, engine, timing, profile, foreign, passed, failed_by_chance_alone,
scenario, seed, ended_at_us, over, leaders_seen, counts, mean_latency_s,
median_latency_us, checks (name, passed, detail), benchmarks (name, value,
thresholds, tier), unanswered, duplicates, incidents, ends, faults, remarks,
and messages: table (kind, cause, count), total = counted + unread + lost,
committed_puts, batches, batch_messages, resend_timeouts, elections, garbage;
where a budget is stated, limits (name, stated_by, allowed, spent, exceeded).

Exit status: 0 good, 1 a check failed, 2 bad input or usage, 3 only a budget
exceeded, 4 the environment failed (port, child, disk), 130 interrupted. Of
several runs the first of 2, 4, 1, 3.")]
pub struct SimArguments {
    /// Name of a scenario (simple-1 to advanced-4, large), a JSON file, or
    /// `all`: the course's seventeen
    scenario: String,
    /// Refuse a scenario file with a key that nobody knows or thresholds that do not rise, instead
    /// of a warning
    #[arg(long)]
    strict: bool,
    /// Run child processes over real UDP, by the wall clock
    #[arg(long)]
    real: bool,
    /// The program to launch as replicas, in a real run; ours if not given
    #[arg(long, value_name = "PROGRAM", requires = "real")]
    replica: Option<PathBuf>,
    /// Fire requests and faults when they are due, not at the course's 100 ms edges
    #[arg(long)]
    precise: bool,
    /// Seed of all random draws; not given: the scenario's, else drawn
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_seed)]
    seed: Option<u64>,
    /// Run this many seeds, from --seed on
    #[arg(
        long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    repeat: u64,
    /// Tuning profile: course, textbook, eager, quiet, or a TOML file
    #[arg(long, default_value = "course")]
    profile: String,
    /// Keep the run: run.json, history.jsonl, records/ID.bin, simulator.bin (a folder a run, if
    /// several); a folder that holds a run is refused
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Take away the run that --out holds, and nothing else there
    #[arg(long, requires = "out")]
    force: bool,
    /// Write the message budget of the run there, as one HTML page
    #[arg(long, value_name = "FILE.html", conflicts_with = "repeat")]
    report: Option<PathBuf>,
    /// Draw the run there, as `laconic trace` does, for ui.perfetto.dev
    #[arg(long, value_name = "FILE.json", conflicts_with = "repeat")]
    trace: Option<PathBuf>,
    /// Have each replica of a real run serve its metrics on a port of its own, and write a
    /// Prometheus file-service-discovery file there that names them
    #[arg(
        long, value_name = "DISCOVERY.json", requires = "real",
        conflicts_with_all = ["replica", "repeat"]
    )]
    metrics: Option<PathBuf>,
    /// At the end of a real run let the replicas serve their last figures for so long; those that
    /// follow notice the end within an election timeout
    #[arg(
        long, value_name = "SECONDS", requires = "metrics", default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=86_400)
    )]
    hold: u64,
    /// Write the metrics of a virtual run there as OpenMetrics text, for
    /// `promtool tsdb create-blocks-from openmetrics`
    #[arg(long, value_name = "FILE.om", conflicts_with_all = ["real", "repeat"])]
    open_metrics: Option<PathBuf>,
    /// Print the outcome as JSON on standard output, and nothing else there
    #[arg(long)]
    json: bool,
    /// Give replicas no pipes for their output (as the course's --silence); real runs only
    #[arg(long, requires = "real")]
    silence: bool,
}

/// One run to do.
pub(super) struct Job {
    pub scenario: Scenario,
    pub seed: u64,
    pub out: Option<PathBuf>,
}

/// Runs what was asked for.
pub fn run(arguments: &SimArguments) -> Result<ExitStatus, Failure> {
    let mut jobs = jobs(arguments)?;
    let single = jobs.len() == 1;
    let plain = single && arguments.replica.is_none();
    if arguments.report.is_some() && !plain {
        let words = "--report tells of one run, of our own replicas: laconic budget takes several";
        return Err(Failure::input(words));
    }
    if arguments.trace.is_some() && !plain {
        let words =
            "--trace draws one run, of our own replicas: keep several (--out), and draw one";
        return Err(Failure::input(words));
    }
    if !single && (arguments.metrics.is_some() || arguments.open_metrics.is_some()) {
        return Err(Failure::input("--metrics and --open-metrics tell of one run, not of all"));
    }
    let engine = Engine::new(arguments, single)?;
    let files = [&arguments.report, &arguments.trace, &arguments.metrics, &arguments.open_metrics];
    files.into_iter().flatten().try_for_each(|path| check_file(path))?;
    jobs.iter()
        .filter_map(|job| job.out.as_deref())
        .try_for_each(|out| claim(out, arguments.force))?;
    if let [job] = jobs.as_mut_slice() {
        return run_one(arguments, &engine, job);
    }
    let folders = jobs.len();
    let campaign = Campaign::new(arguments.scenario == "all", arguments.repeat, arguments.json);
    let status = campaign.run(&engine, jobs)?;
    if let Some(out) = arguments.out.as_ref().filter(|_| !arguments.json) {
        print(&format!(
            "Written: {}, {folders} folders (next: laconic budget FOLDER)\n",
            out.display()
        ))?;
    }
    Ok(status)
}

/// Sees to it before anything runs that a run can have the folder `out` for itself.
fn claim(out: &Path, force: bool) -> Result<(), Failure> {
    if !folder::files_of_a_run(out).map_err(Failure::environment)?.is_empty() && !force {
        let words = "holds a run: name another folder, or --force to have it replaced";
        return Err(Failure::input(format!("{}: {words}", out.display())));
    }
    check_folder(out)
}

/// Does the one run, draws it if it is to be drawn, and tells of it.
fn run_one(
    arguments: &SimArguments,
    engine: &Engine,
    job: &mut Job,
) -> Result<ExitStatus, Failure> {
    let Some(output) = &arguments.trace else {
        return tell(arguments, &engine.run(job)?);
    };
    // It is drawn from what it leaves in its folder.
    let scratch = Scratch::unused();
    let folder = job.out.get_or_insert_with(|| scratch.path().to_owned()).clone();
    let done = engine.run(job)?;
    let (_, problems) = draw_run(&folder, output, Drawing::whole(output))?;
    for problem in &problems {
        eprintln!("laconic: {problem}");
    }
    tell(arguments, &done)
}

/// Tells of the one run.
fn tell(arguments: &SimArguments, done: &Done) -> Result<ExitStatus, Failure> {
    if let (Some(path), Some(report)) = (&arguments.report, &done.budget) {
        let page = budget::html(std::slice::from_ref(report)).map_err(Failure::environment)?;
        write(path, &page)?;
    }
    if arguments.json {
        print(&json_line(done))?;
    } else {
        print(&RunReport(&done.outcome).to_string())?;
        if let Some(report) = &done.budget {
            print_styled(&budget::text(&budget::summary(report)))?;
        }
        print(&written(arguments))?;
    }
    if done.is_interrupted() {
        let seconds = done.outcome.conclusion.ended_at.as_seconds();
        return Err(Failure::interrupted(format!("interrupted at {seconds:.1} s")));
    }
    Ok(match done.outcome.passed {
        false => ExitStatus::CheckFailed,
        true if done.exceeds_budget() => ExitStatus::BudgetExceeded,
        true => ExitStatus::Good,
    })
}

/// What the one run has left, in one line; nothing if that is nothing.
fn written(arguments: &SimArguments) -> String {
    let show = |path: &PathBuf| path.display().to_string();
    let kept = |out: &PathBuf| format!("{} (next: laconic budget {0})", out.display());
    let drawn = |path: &PathBuf| format!("{} (for ui.perfetto.dev)", path.display());
    let parts = [
        arguments.out.as_ref().map(kept),
        arguments.report.as_ref().map(show),
        arguments.trace.as_ref().map(drawn),
        arguments.open_metrics.as_ref().map(show),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("Written: {}\n", parts.join(", ")) }
}

/// A run as one line of JSON: its outcome, and the limits that it had to keep, if any are stated.
fn json_line(done: &Done) -> String {
    /// The outcome's own keys, and one more where there is something to say.
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        outcome: &'a RunOutcome,
        #[serde(skip_serializing_if = "<[LimitRow]>::is_empty")]
        limits: &'a [LimitRow],
    }
    let limits = done.budget.as_ref().map_or(&[][..], |report| &report.limits);
    // Numbers, strings and lists of them always serialize.
    serde_json::to_string(&Line { outcome: &done.outcome, limits }).unwrap_or_default() + "\n"
}

fn jobs(arguments: &SimArguments) -> Result<Vec<Job>, Failure> {
    let all = arguments.scenario == "all";
    let names = if all { COURSE.to_vec() } else { vec![arguments.scenario.as_str()] };
    let several = all || arguments.repeat > 1;
    let mut jobs = Vec::new();
    let drawn = RandomState::new().hash_one("seed") >> 32;
    for name in names {
        let (scenario, warnings) = Scenario::load_noting(name).map_err(Failure::input)?;
        if let Some(warning) = warnings.first().filter(|_| arguments.strict) {
            return Err(Failure::input(warning));
        }
        for warning in &warnings {
            eprintln!("laconic: {warning} ({})", warning.remedy());
        }
        let first = arguments.seed.or(scenario.seed).unwrap_or(drawn);
        for seed in (0..arguments.repeat).map(|place| first.wrapping_add(place)) {
            let folder = |out: &PathBuf| {
                if several {
                    out.join(format!("{}-seed-{seed}", scenario.name))
                } else {
                    out.clone()
                }
            };
            let out = arguments.out.as_ref().map(folder);
            jobs.push(Job { scenario: scenario.clone(), seed, out });
        }
    }
    Ok(jobs)
}
