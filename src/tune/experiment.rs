//! A scenario that is run again in virtual time: as a whole with its analysis, or as cheaply as it
//! can be done, for a search over thousands of runs.

use rayon::prelude::*;

use super::figures::RunFigures;
use crate::archive::RecordFileError;
use crate::budget::report::BudgetReport;
use crate::budget::{Analysis, Phases, RunInfo};
use crate::raft::{Micros, Tuning};
use crate::record::{Record, Sink};
use crate::replica::Replica;
use crate::sim::delays::Delays;
use crate::sim::folder::{Tuned, client_requests, run_json};
use crate::sim::outcome::{RunMeasurements, RunOutcome, Setup, judge};
use crate::sim::scenario::Scenario;
use crate::sim::virtual_time::{self, Keep, Observer, VirtualOptions, VirtualRun};

/// What is repeated, and how.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The scenario.
    pub scenario: Scenario,
    /// The run's own knobs.
    pub tuning: Tuning,
    /// Whether events fire exactly when they are due.
    pub precise: bool,
    /// The seeds.
    pub seeds: Vec<u64>,
}

/// Why an experiment failed.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// A run could not be done.
    #[error(transparent)]
    Records(#[from] RecordFileError),
    /// A run could not be analysed.
    #[error("{0}")]
    Facts(String),
}

impl Experiment {
    /// Does one run with `tuning`, judges and analyses it.
    ///
    /// # Errors
    /// If the run cannot be done, or its data cannot be analysed.
    pub fn run(&self, tuning: &Tuning, seed: u64) -> Result<Rerun, ExperimentError> {
        let run = virtual_time::run(&self.scenario, &self.options(tuning, seed, Keep::Memory))?;
        self.analyse(tuning, run)
    }

    /// Judges and analyses a run of this scenario that began with `tuning` and whose records were
    /// kept in memory.
    ///
    /// # Errors
    /// If its data cannot be analysed.
    pub fn analyse(&self, tuning: &Tuning, run: VirtualRun) -> Result<Rerun, ExperimentError> {
        let (evidence, records) = RunMeasurements::of_virtual(run);
        let outcome = self.judge(evidence);
        let tuned = Tuned { tuning: Some(tuning), budget: &Default::default() };
        let facts = RunInfo::from_json(&run_json(&self.scenario, tuned, &outcome))
            .map_err(ExperimentError::Facts)?;
        let mut analysis = Analysis::new(facts);
        analysis.take_in(records);
        let requests = client_requests(&outcome.conclusion.history);
        let report = analysis.finish(&requests, Vec::new());
        Ok(Rerun { report, failed: failed_checks(&outcome) })
    }

    /// Does one run with `tuning`, and keeps of it only a few numbers. The run itself is that of
    /// [`Experiment::run`].
    ///
    /// # Errors
    /// If the run cannot be done.
    pub fn measure(&self, tuning: &Tuning, seed: u64) -> Result<RunFigures, ExperimentError> {
        let mut leaders = Leaders(Phases::new(self.scenario.replicas));
        let options = self.options(tuning, seed, Keep::Nothing);
        let run = virtual_time::run_observed(&self.scenario, &options, &mut leaders)?;
        let (messages, puts) = (run.fold.table.total(), run.fold.committed_puts);
        let (evidence, _) = RunMeasurements::of_virtual(run);
        let outcome = self.judge(evidence);
        let (_, leaderless) = leaders.0.finish(outcome.conclusion.ended_at);
        let run = &outcome.conclusion;
        let mut waits = run.waits.clone();
        waits.sort_unstable();
        // Where nothing was answered, nothing was answered faster than the run is long.
        let at = |share: usize| waits.get(waits.len() * share / 100);
        let latency = |share: usize| at(share).unwrap_or(&run.ended_at).0;
        Ok(RunFigures {
            messages,
            puts,
            p50_latency_us: latency(50),
            p99_latency_us: latency(99),
            leaderless_us: leaderless.0,
            failed_checks: failed_checks(&outcome).len() as u64,
            unanswered: run.unanswered.len() as u64,
            second_answers: run.duplicates.len() as u64,
        })
    }

    /// As [`Experiment::run`], once for each of the experiment's seeds.
    ///
    /// # Errors
    /// As [`Experiment::run`].
    pub fn run_all(&self, tuning: &Tuning) -> Result<Vec<Rerun>, ExperimentError> {
        self.seeds.par_iter().map(|seed| self.run(tuning, *seed)).collect()
    }

    /// How a run of this experiment is done.
    pub fn options(&self, tuning: &Tuning, seed: u64, records: Keep) -> VirtualOptions {
        VirtualOptions {
            seed,
            tuning: tuning.clone(),
            precise: self.precise,
            through_codec: false,
            delays: Delays::embedded(),
            records,
        }
    }

    fn judge(&self, evidence: RunMeasurements) -> RunOutcome {
        let setup = Setup {
            engine: "virtual",
            timing: if self.precise { "precise" } else { "course" },
            profile: String::new(),
            foreign: false,
        };
        judge(&self.scenario, setup, evidence)
    }
}

/// The checks that a run failed, of those that a replica can pass.
fn failed_checks(outcome: &RunOutcome) -> Vec<&'static str> {
    let forgiven = outcome.failed_by_chance_alone;
    let failed = outcome.conclusion.checks.iter().filter(|check| !check.passed && !forgiven);
    failed.map(|check| check.name).collect()
}

/// Follows who leads, to know how long nobody did.
struct Leaders(Phases);

impl Sink for Leaders {
    fn record(&mut self, record: &Record) {
        self.0.record(record);
    }
}

impl Observer for Leaders {
    fn join(&mut self, _: &Replica) {}
    fn sample(&mut self, _: Micros, _: Micros, _: &Replica) {}
}

/// One rerun.
#[derive(Clone, Debug)]
pub struct Rerun {
    /// Its analysis.
    pub report: BudgetReport,
    /// The checks that it failed, of those that a replica can pass.
    pub failed: Vec<&'static str>,
}

impl Rerun {
    /// Whether it passed all checks that a replica can pass.
    pub fn passed(&self) -> bool {
        self.failed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning_file;

    /// What is measured cheaply is what the whole analysis says of the same run. Only latencies are
    /// another thing: to be sent on at once is an answer, but no end of a client's wait.
    #[test]
    fn the_cheap_numbers_are_those_of_the_analysis() {
        for (name, profile) in
            [("simple-2", "course"), ("crash-3", "textbook"), ("advanced-3", "quiet")]
        {
            let tuning = tuning_file::load(profile).unwrap().tuning;
            let scenario = Scenario::load(name).unwrap();
            let (precise, seeds) = (false, vec![3]);
            let experiment = Experiment { scenario, tuning: tuning.clone(), precise, seeds };
            let whole = experiment.run(&tuning, 3).unwrap();
            let cheap = experiment.measure(&tuning, 3).unwrap();
            let (run, latency) = (&whole.report.run, whole.report.latency[0].total);
            let said = [run.messages, run.puts, run.leaderless_us, whole.failed.len() as u64];
            let measured = [cheap.messages, cheap.puts, cheap.leaderless_us, cheap.failed_checks];
            assert_eq!(measured, said, "{name}");
            assert!(latency.p50_us <= cheap.p50_latency_us, "{name}");
            assert!(latency.p99_us <= cheap.p99_latency_us, "{name}");
        }
    }
}
