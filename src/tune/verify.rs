//! Verification by rerun (design §6): the scenario once more in virtual time, on several seeds, as
//! it was and with each finding's change, one by one and all together.

use rayon::prelude::*;

use crate::budget::report::{Change, Report, Spread, Verification, VerifiedRow};
use crate::budget::{Analysis, RunFacts, apply};
use crate::raft::Tuning;
use crate::record::RecordFileError;
use crate::sim::delays::Delays;
use crate::sim::folder::{Tuned, client_requests, run_json};
use crate::sim::outcome::{Evidence, Setup, judge};
use crate::sim::scenario::Scenario;
use crate::sim::virtual_time::{self, Keep, VirtualOptions};

/// What is run again, and how.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The scenario.
    pub scenario: Scenario,
    /// The knobs as they were.
    pub tuning: Tuning,
    /// Fire events when they are due.
    pub precise: bool,
    /// The seeds.
    pub seeds: Vec<u64>,
}

/// Why there is no verification.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A run could not be done.
    #[error(transparent)]
    Records(#[from] RecordFileError),
    /// A run could not be analysed.
    #[error("{0}")]
    Facts(String),
}

impl Experiment {
    /// One run with `tuning`, judged and analysed.
    ///
    /// # Errors
    /// If its facts are refused.
    pub fn run(&self, tuning: &Tuning, seed: u64) -> Result<Rerun, VerifyError> {
        let options = VirtualOptions {
            seed,
            tuning: tuning.clone(),
            precise: self.precise,
            through_codec: false,
            delays: Delays::embedded(),
            records: Keep::Memory,
        };
        let run = virtual_time::run(&self.scenario, &options)?;
        let (evidence, records) = Evidence::of_virtual(run);
        let setup = Setup {
            engine: "virtual",
            timing: if self.precise { "precise" } else { "course" },
            profile: String::new(),
            foreign: false,
        };
        let outcome = judge(&self.scenario, setup, evidence);
        let tuned = Tuned { tuning: Some(tuning), budget: &Default::default() };
        let facts = RunFacts::from_json(&run_json(&self.scenario, tuned, &outcome))
            .map_err(VerifyError::Facts)?;
        let mut analysis = Analysis::new(facts);
        analysis.take_in(records);
        let requests = client_requests(&outcome.conclusion.history);
        let report = analysis.finish(&requests, Vec::new());
        Ok(Rerun { report, passed: outcome.passed || outcome.failed_by_dice_alone })
    }

    fn run_all(&self, tuning: &Tuning) -> Result<Vec<Rerun>, VerifyError> {
        self.seeds.par_iter().map(|seed| self.run(tuning, *seed)).collect()
    }
}

/// A run that was done again.
#[derive(Clone, Debug)]
pub struct Rerun {
    /// Its analysis.
    pub report: Report,
    /// Whether it passed all checks that a replica can pass.
    pub passed: bool,
}

impl Rerun {
    fn messages(&self) -> f64 {
        self.report.run.messages as f64
    }

    fn p50_latency_us(&self) -> f64 {
        self.report.latency.first().map_or(0.0, |row| row.total.p50_us as f64)
    }

    /// What the finding `name` expects `changes` to save here; none if it would turn otherwise.
    fn expected(&self, name: &str, changes: &[Change]) -> Option<f64> {
        let finding = self.report.findings.iter().find(|finding| finding.name == name)?;
        match finding.changes.is_empty() {
            true => Some(0.0),
            false => (finding.changes == changes).then_some(finding.expected_saving),
        }
    }
}

/// Runs `experiment` as it is, and with the change of each finding of `report` that has one.
///
/// # Errors
/// If a run cannot be done.
pub fn verify(experiment: &Experiment, report: &Report) -> Result<Verification, VerifyError> {
    let before = experiment.run_all(&experiment.tuning)?;
    let mut rows = Vec::new();
    let mut together = Vec::new();
    for finding in report.findings.iter().filter(|finding| !finding.changes.is_empty()) {
        let changes = &finding.changes;
        rows.extend(row(experiment, &before, finding.name, changes, |rerun| {
            rerun.expected(finding.name, changes)
        })?);
        let is_new =
            |change: &&Change| together.iter().all(|other: &Change| other.knob != change.knob);
        let new: Vec<Change> = changes.iter().filter(is_new).cloned().collect();
        together.extend(new);
    }
    if rows.len() > 1 {
        let names: Vec<&str> = rows.iter().map(|row: &VerifiedRow| row.name).collect();
        let all = |rerun: &Rerun| {
            let findings = rerun.report.findings.iter();
            let expected = findings.filter(|finding| names.contains(&finding.name));
            Some(expected.map(|finding| finding.expected_saving).sum())
        };
        rows.extend(row(experiment, &before, "together", &together, all)?);
    }
    Ok(Verification {
        seeds: experiment.seeds.clone(),
        messages: over(&before, Rerun::messages),
        p50_latency_us: over(&before, Rerun::p50_latency_us),
        passed: before.iter().filter(|rerun| rerun.passed).count() as u64,
        rows,
    })
}

fn over(reruns: &[Rerun], value: impl Fn(&Rerun) -> f64) -> Spread {
    Spread::of(&reruns.iter().map(value).collect::<Vec<f64>>())
}

/// One change over all seeds; none if the knobs' limits do not allow it.
fn row(
    experiment: &Experiment,
    before: &[Rerun],
    name: &'static str,
    changes: &[Change],
    expected: impl Fn(&Rerun) -> Option<f64>,
) -> Result<Option<VerifiedRow>, VerifyError> {
    let Ok(tuning) = apply(&experiment.tuning, changes) else {
        return Ok(None);
    };
    let after = experiment.run_all(&tuning)?;
    let pairs = before.iter().zip(&after);
    let compared = pairs.filter_map(|(before, after)| {
        Some((expected(before)?, before.messages() - after.messages()))
    });
    let (expected, seen): (Vec<f64>, Vec<f64>) = compared.unzip();
    let (expected, seen) = (Spread::of(&expected), Spread::of(&seen));
    Ok(Some(VerifiedRow {
        name,
        changes: changes.to_vec(),
        expected,
        seen,
        seen_of_expected: (expected.mean > 0.0).then(|| seen.mean / expected.mean),
        p50_latency_us: over(&after, Rerun::p50_latency_us),
        passed: after.iter().filter(|rerun| rerun.passed).count() as u64,
    }))
}
