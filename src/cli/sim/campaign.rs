//! Many runs: a line each, or a line a scenario, and what they amount to.

use rayon::prelude::*;

use super::engines::Engine;
use super::{Job, json_line};
use crate::cli::output::print;
use crate::cli::{Failure, Status};
use crate::raft::Micros;
use crate::sim::outcome::Outcome;
use crate::sim::report::Line;

/// Runs of a campaign that are done side by side before their lines are printed.
const CHUNK: usize = 64;

/// How a campaign is told.
pub struct Campaign {
    all: bool,
    repeat: u64,
    json: bool,
    passed: usize,
    done: usize,
    failed: bool,
    failure: Option<Failure>,
    dice: Vec<String>,
    /// Outcomes of the scenario under way, where a scenario is one line.
    group: Vec<Outcome>,
}

impl Campaign {
    /// Of `all` scenarios or one, each `repeat` times.
    pub fn new(all: bool, repeat: u64, json: bool) -> Campaign {
        Campaign {
            all,
            repeat,
            json,
            passed: 0,
            done: 0,
            failed: false,
            failure: None,
            dice: Vec::new(),
            group: Vec::new(),
        }
    }

    /// Does all the runs; the first failure to run at all decides the status, then failed checks.
    pub fn run(mut self, engine: &Engine, jobs: Vec<Job>) -> Result<Status, Failure> {
        let total = jobs.len();
        for chunk in jobs.chunks(CHUNK) {
            if engine.is_parallel() {
                let results: Vec<_> = chunk.par_iter().map(|job| engine.run(job)).collect();
                results.into_iter().try_for_each(|result| self.take(result))?;
            } else {
                chunk.iter().try_for_each(|job| self.take(engine.run(job)))?;
            }
        }
        self.end_group()?;
        self.conclude(total)
    }

    fn take(&mut self, result: Result<Outcome, Failure>) -> Result<(), Failure> {
        self.done += 1;
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(failure) if failure.status == Status::Interrupted => return Err(failure),
            Err(failure) => {
                eprintln!("laconic: {}", failure.message);
                let worse = |other: &Failure| rank(failure.status) < rank(other.status);
                if self.failure.as_ref().is_none_or(worse) {
                    self.failure = Some(failure);
                }
                return Ok(());
            }
        };
        self.passed += usize::from(outcome.passed);
        self.failed |= !outcome.passed && !outcome.failed_by_dice_alone;
        if outcome.failed_by_dice_alone {
            self.dice
                .push(format!("{} seed {}", outcome.conclusion.scenario, outcome.conclusion.seed));
        }
        if self.json {
            return print(&json_line(&outcome));
        }
        if !self.all {
            return print(&format!("seed {:<8} {}\n", outcome.conclusion.seed, Line(&outcome)));
        }
        if self.repeat == 1 {
            return print(&format!("{}\n", Line(&outcome)));
        }
        let same = |other: &Outcome| other.conclusion.scenario == outcome.conclusion.scenario;
        if !self.group.last().is_none_or(same) {
            self.end_group()?;
        }
        self.group.push(outcome);
        Ok(())
    }

    /// A scenario's seeds in one line, and those that failed one by one.
    fn end_group(&mut self) -> Result<(), Failure> {
        let group = std::mem::take(&mut self.group);
        let Some(first) = group.first() else {
            return Ok(());
        };
        let passed = group.iter().filter(|outcome| outcome.passed).count();
        let messages = spread(group.iter().map(|outcome| outcome.conclusion.counts.messages));
        let median = |outcome: &Outcome| outcome.conclusion.median_latency.unwrap_or(Micros(0)).0;
        let medians = spread(group.iter().map(median));
        let tier = |place: usize, tier: u8| {
            group.iter().filter(|o| o.conclusion.benchmarks[place].tier <= tier).count()
        };
        let count = |of: fn(&Outcome) -> usize| group.iter().map(of).sum::<usize>();
        let mut text = format!(
            "{:<14}{passed} of {} passed; messages {messages}, tier 0 in {}, 1 or better in {}; \
             median us {medians}, tier 1 or better in {}; unanswered {}, second answers {}\n",
            first.conclusion.scenario,
            group.len(),
            tier(0, 0),
            tier(0, 1),
            tier(3, 1),
            count(|o| o.conclusion.unanswered.len()),
            count(|o| o.conclusion.duplicates.len()),
        );
        for outcome in group.iter().filter(|o| !o.passed && !o.failed_by_dice_alone) {
            text += &format!("  seed {}: {}\n", outcome.conclusion.seed, Line(outcome));
        }
        print(&text)
    }

    fn conclude(self, total: usize) -> Result<Status, Failure> {
        if !self.json {
            let what = if self.all && self.repeat == 1 { "tests" } else { "runs" };
            print(&format!("Passed {} out of {total} {what}\n", self.passed))?;
            if !self.dice.is_empty() {
                print(&format!(
                    "Failed by the clients' dice alone (no replica can pass): {}\n",
                    self.dice.join(", ")
                ))?;
            }
        }
        match self.failure {
            Some(failure) => Ok(failure.status),
            None if self.failed => Ok(Status::CheckFailed),
            None => Ok(Status::Good),
        }
    }
}

/// The order of design §8 for several runs: bad input, then the environment.
const fn rank(status: Status) -> u8 {
    match status {
        Status::BadInput => 0,
        Status::Environment => 1,
        _ => 2,
    }
}

/// Least, median and most.
fn spread(values: impl Iterator<Item = u64>) -> String {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let at = |place: usize| values.get(place).copied().unwrap_or(0);
    format!("{}..{}..{}", at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}
