//! `laconic sim`: scenarios in virtual time or over real UDP.

mod arguments;
mod campaign;
mod engines;
mod size;

pub use arguments::SimArguments;
pub(super) use arguments::parse_seed;
pub(super) use engines::whole_real_run;

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use super::failure::{ExitStatus, Failure};
use super::output::{check_file, check_folder, open, print, print_styled, write};
use super::trace::{DrawingOptions, draw_run};
use crate::budget;
use crate::sim::folder::{self, Scratch};
use crate::sim::report::RunReport;
use crate::sim::scenario::{COURSE, Scenario};
use arguments::Job;
use campaign::Campaign;
use engines::{Done, Engine};

/// Runs what the arguments ask for.
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
    if let Some(warning) = size::warning(&jobs, arguments.real) {
        eprintln!("laconic: {warning}");
    }
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

/// Checks, before anything runs, that a run can have the folder `out` to itself.
fn claim(out: &Path, force: bool) -> Result<(), Failure> {
    if !folder::files_of_a_run(out).map_err(Failure::environment)?.is_empty() && !force {
        let words = "holds a run: name another folder, or --force to have it replaced";
        return Err(Failure::input(format!("{}: {words}", out.display())));
    }
    check_folder(out)
}

/// Does a single run, draws its trace if asked to, and reports it.
fn run_one(
    arguments: &SimArguments,
    engine: &Engine,
    job: &mut Job,
) -> Result<ExitStatus, Failure> {
    let Some(output) = &arguments.trace else {
        return tell(arguments, &engine.run(job)?);
    };
    // The trace is drawn from the files in the run's folder.
    let scratch = Scratch::unused();
    let folder = job.out.get_or_insert_with(|| scratch.path().to_owned()).clone();
    let done = engine.run(job)?;
    let (_, problems) = draw_run(&folder, output, DrawingOptions::whole(output))?;
    for problem in &problems {
        eprintln!("laconic: {problem}");
    }
    tell(arguments, &done)
}

/// Reports a single run.
fn tell(arguments: &SimArguments, done: &Done) -> Result<ExitStatus, Failure> {
    if let (Some(path), Some(report)) = (&arguments.report, &done.budget) {
        let page = budget::html(std::slice::from_ref(report)).map_err(Failure::environment)?;
        write(path, &page)?;
        if arguments.open {
            open(path);
        }
    }
    if arguments.json {
        print(&done.json_line())?;
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

/// The files that the single run has written, in one line; empty if there are none.
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
        if let Some(key) = scenario.virtual_key().filter(|_| arguments.real) {
            let words = "only in virtual time: leave out --real, or the key";
            return Err(Failure::input(format!("{name}: {key}: {words}")));
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
