//! Many runs: one line for each run or each scenario, and a summary.

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::arguments::Job;
use super::engines::{Done, Engine};
use crate::cli::failure::{ExitStatus, Failure};
use crate::cli::output::print;
use crate::columns::Columns;
use crate::interrupt;
use crate::sim::outcome::RunOutcome;
use crate::sim::report::Line;

/// How many runs of a campaign are done in parallel before their lines are printed.
const CHUNK: usize = 64;

/// How a campaign is reported.
pub struct Campaign {
    all: bool,
    repeat: u64,
    json: bool,
    /// Runs that have ended, including those that could not be done.
    done: usize,
    passed: usize,
    failed: bool,
    /// Runs that exceeded a limit.
    exceeded: u64,
    failure: Option<Failure>,
    by_chance: Vec<String>,
    /// The outcomes of the present scenario, where each scenario gets one line.
    group: Vec<RunOutcome>,
    has_header: bool,
    /// Shows on stderr how many runs have ended, if stderr is a terminal.
    bar: ProgressBar,
}

impl Campaign {
    /// A campaign of all scenarios, or of one, each run `repeat` times.
    pub fn new(all: bool, repeat: u64, json: bool) -> Campaign {
        Campaign {
            all,
            repeat,
            json,
            done: 0,
            passed: 0,
            failed: false,
            exceeded: 0,
            failure: None,
            by_chance: Vec::new(),
            group: Vec::new(),
            has_header: false,
            bar: ProgressBar::hidden(),
        }
    }

    /// Does all the runs, or those before the user interrupts. The exit status is that of the first
    /// run that could not be done, otherwise that of failed checks.
    pub fn run(mut self, engine: &Engine, jobs: Vec<Job>) -> Result<ExitStatus, Failure> {
        interrupt::watch().map_err(Failure::environment)?;
        // The runs in progress end first, and no other begins.
        if engine.is_parallel() {
            self.bar = progress_bar(jobs.len());
        }
        let bar = self.bar.clone();
        let run = |job: &Job| {
            let done = (!interrupt::seen()).then(|| engine.run(job));
            bar.inc(1);
            done
        };
        for chunk in jobs.chunks(CHUNK) {
            if engine.is_parallel() {
                let results: Vec<_> = chunk.par_iter().map(run).collect();
                results.into_iter().flatten().try_for_each(|result| self.take(result))?;
            } else {
                chunk.iter().filter_map(run).try_for_each(|result| self.take(result))?;
            }
        }
        self.end_group()?;
        self.bar.finish_and_clear();
        self.conclude(jobs.len())
    }

    fn take(&mut self, result: Result<Done, Failure>) -> Result<(), Failure> {
        let done = match result {
            // An interrupted run says nothing about how often a scenario passes.
            Ok(done) if done.is_interrupted() => return Ok(()),
            Err(failure) if failure.status == ExitStatus::Interrupted => return Ok(()),
            Ok(done) => done,
            Err(failure) => {
                self.bar.suspend(|| eprintln!("laconic: {}", failure.message));
                self.done += 1;
                let worse = |other: &Failure| rank(failure.status) < rank(other.status);
                if self.failure.as_ref().is_none_or(worse) {
                    self.failure = Some(failure);
                }
                return Ok(());
            }
        };
        self.done += 1;
        self.exceeded += u64::from(done.exceeds_budget());
        let line = self.json.then(|| done.json_line());
        let outcome = done.outcome;
        self.passed += usize::from(outcome.passed);
        self.failed |= !outcome.passed && !outcome.failed_by_chance_alone;
        let run = &outcome.conclusion;
        if outcome.failed_by_chance_alone {
            self.by_chance.push(format!("{} seed {}", run.scenario, run.seed));
        }
        if let Some(line) = line {
            return self.print(&line);
        }
        if self.all && self.repeat == 1 {
            return self.print(&named_line(&run.scenario, &outcome));
        }
        if !self.all {
            self.print(&seed_line(&outcome))?;
        }
        let same = |other: &RunOutcome| other.conclusion.scenario == run.scenario;
        if !self.group.last().is_none_or(same) {
            self.end_group()?;
        }
        self.group.push(outcome);
        Ok(())
    }

    /// Prints the runs of a scenario in one line, and the failed ones one by one.
    fn end_group(&mut self) -> Result<(), Failure> {
        let group = std::mem::take(&mut self.group);
        if group.is_empty() {
            return Ok(());
        }
        let header = if self.has_header { "" } else { &group_header() };
        self.has_header = true;
        let mut text = header.to_owned() + &group_line(&group);
        let failed = group.iter().filter(|o| !o.passed && !o.failed_by_chance_alone);
        text.extend(failed.filter(|_| self.all).map(|outcome| format!("  {}", seed_line(outcome))));
        self.print(&text)
    }

    /// Prints above the progress bar.
    fn print(&self, text: &str) -> Result<(), Failure> {
        self.bar.suspend(|| print(text))
    }

    /// Prints the summary of the runs that were done, out of `wanted`.
    fn conclude(self, wanted: usize) -> Result<ExitStatus, Failure> {
        let total = self.done;
        if !self.json {
            if self.has_header {
                print(LEGEND)?;
            }
            if !self.by_chance.is_empty() {
                print(
                    "Failed by chance alone: the clients' requests leave no replica a way to \
                     pass:\n",
                )?;
                print(&self.by_chance.iter().map(|run| format!("  {run}\n")).collect::<String>())?;
            }
            let what = if self.all && self.repeat == 1 { "tests" } else { "runs" };
            print(&format!("Passed {} out of {total} {what}\n", self.passed))?;
            if self.exceeded > 0 {
                print(&format!("Over budget: {} of {total}\n", self.exceeded))?;
            }
        }
        if total < wanted {
            let words = format!("interrupted after {total} of {wanted} runs");
            return Err(Failure::interrupted(words));
        }
        match self.failure {
            Some(failure) => Ok(failure.status),
            None if self.failed => Ok(ExitStatus::CheckFailed),
            None if self.exceeded > 0 => Ok(ExitStatus::BudgetExceeded),
            None => Ok(ExitStatus::Good),
        }
    }
}

/// A bar for this many runs. Real runs have a bar each, so they get none for all.
fn progress_bar(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(runs as u64).with_style(style.progress_chars("=> "))
}

/// The meaning of the columns of [`group_line`].
const LEGEND: &str = "Spreads: least/median/most. t0, t1: runs at tier 0, at tier 1 or better.\n\
                      lost: requests without an answer; twice: second answers.\n";

fn group_header() -> String {
    columns(["scenario", "passed", "messages", "t0", "t1", "latency in us", "t1", "lost", "twice"])
}

/// The runs of one scenario in one line.
fn group_line(group: &[RunOutcome]) -> String {
    let passed = group.iter().filter(|outcome| outcome.passed).count();
    let messages = spread(group.iter().map(|outcome| outcome.conclusion.counts.messages));
    let medians = group.iter().filter_map(|outcome| outcome.conclusion.median_latency);
    let tier = |place: usize, tier: u8| {
        group.iter().filter(|o| o.conclusion.benchmarks[place].tier <= tier).count().to_string()
    };
    let count = |of: fn(&RunOutcome) -> usize| group.iter().map(of).sum::<usize>().to_string();
    columns([
        &group[0].conclusion.scenario,
        &format!("{passed}/{}", group.len()),
        &messages,
        &tier(0, 0),
        &tier(0, 1),
        &spread(medians.map(|median| median.0)),
        &tier(3, 1),
        &count(|o| o.conclusion.unanswered.len()),
        &count(|o| o.conclusion.duplicates.len()),
    ])
}

/// Fixed widths: a line is printed when its scenario is done, before the next ones are known.
fn columns(cells: [&str; 9]) -> String {
    Columns::of(&[12, 6, 14, 2, 2, 15, 2, 4, 5], 1).row(&cells)
}

/// One run in one line, after its name.
fn named_line(name: &str, outcome: &RunOutcome) -> String {
    Columns::of(&[12, 0], 2).row(&[name, &Line(outcome).to_string()])
}

fn seed_line(outcome: &RunOutcome) -> String {
    named_line(&format!("seed {}", outcome.conclusion.seed), outcome)
}

/// The order of exit statuses for several runs (design §8): bad input first, then the environment.
const fn rank(status: ExitStatus) -> u8 {
    match status {
        ExitStatus::BadInput => 0,
        ExitStatus::Environment => 1,
        _ => 2,
    }
}

/// The smallest value, the median and the largest.
fn spread(values: impl Iterator<Item = u64>) -> String {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let at = |place: usize| values.get(place).map_or("-".to_owned(), u64::to_string);
    format!("{}/{}/{}", at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}
