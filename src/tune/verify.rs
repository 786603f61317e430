//! Verification by rerun (design §6): repeats the scenario in virtual time with several seeds,
//! unchanged and with each finding's change, one by one and all together.

use super::experiment::{Experiment, ExperimentError, Rerun};
use crate::budget::apply;
use crate::budget::report::{
    BudgetReport, Change, FailedCheck, Recommendation, Spread, Verification, VerifiedRow,
};

impl Rerun {
    fn messages(&self) -> f64 {
        self.report.run.messages as f64
    }

    fn p50_latency_us(&self) -> f64 {
        self.report.latency.first().map_or(0.0, |row| row.total.p50_us as f64)
    }

    /// What the finding `name` expects `changes` to save in this run; `None` if it would change
    /// something else here.
    fn expected(&self, name: &str, changes: &[Change]) -> Option<f64> {
        let finding = self.report.findings.iter().find(|finding| finding.name == name)?;
        if finding.changes.is_empty() {
            Some(0.0)
        } else {
            (finding.changes == changes).then_some(finding.expected_saving)
        }
    }
}

/// Runs `experiment` unchanged, and with the change of each finding of `report` that has one.
///
/// # Errors
/// If a run cannot be done.
pub fn verify(
    experiment: &Experiment,
    report: &BudgetReport,
) -> Result<Verification, ExperimentError> {
    let before = experiment.run_all(&experiment.tuning)?;
    let trial = Trial { experiment, before: &before, report };
    let findings = report.findings.iter().filter(|finding| !finding.changes.is_empty());
    let mut rows = Vec::new();
    for finding in findings {
        rows.extend(trial.of(&[finding.name])?);
    }
    let names: Vec<&'static str> = rows.iter().map(|row| row.name).collect();
    if names.len() > 1 {
        rows.extend(trial.of(&names)?);
    }
    let recommended = trial.recommend(&rows, &names)?;
    Ok(Verification {
        seeds: experiment.seeds.clone(),
        messages: over(&before, Rerun::messages),
        p50_latency_us: over(&before, Rerun::p50_latency_us),
        passed: passed(&before),
        rows,
        recommended,
    })
}

/// Compares changes of a report's findings with the unchanged runs.
struct Trial<'a> {
    experiment: &'a Experiment,
    before: &'a [Rerun],
    report: &'a BudgetReport,
}

impl Trial<'_> {
    /// The result of the changes of the findings `names` together; `None` if the knobs' limits do
    /// not allow them. If two findings turn the same knob, the first one counts.
    fn of(&self, names: &[&'static str]) -> Result<Option<VerifiedRow>, ExperimentError> {
        let mut changes: Vec<Change> = Vec::new();
        for finding in self.report.findings.iter().filter(|finding| names.contains(&finding.name)) {
            for change in &finding.changes {
                if changes.iter().all(|other| other.knob != change.knob) {
                    changes.push(change.clone());
                }
            }
        }
        if let [name] = names {
            let expected = |rerun: &Rerun| rerun.expected(name, &changes);
            return row(self.experiment, self.before, name, &changes, expected);
        }
        let all = |rerun: &Rerun| {
            let findings = rerun.report.findings.iter();
            let expected = findings.filter(|finding| names.contains(&finding.name));
            Some(expected.map(|finding| finding.expected_saving).sum())
        };
        row(self.experiment, self.before, "together", &changes, all)
    }

    /// The best changes with which the runs pass: all together or, if that fails, the one that
    /// saves most, and with it, in order of savings, each other with which the runs still pass and
    /// save more.
    fn recommend(
        &self,
        rows: &[VerifiedRow],
        names: &[&'static str],
    ) -> Result<Option<Recommendation>, ExperimentError> {
        let wanted = passed(self.before);
        let is_good = |row: &VerifiedRow| row.passed >= wanted && row.seen.mean > 0.0;
        let mut good: Vec<&VerifiedRow> = rows.iter().filter(|row| is_good(row)).collect();
        good.sort_by(|one, other| other.seen.mean.total_cmp(&one.seen.mean));
        let Some(best) = good.first() else {
            return Ok(None);
        };
        let single = |row: &&&VerifiedRow| names.contains(&row.name);
        let mut best = if single(&best) {
            Recommendation { findings: vec![best.name], row: (*best).clone() }
        } else {
            Recommendation { findings: names.to_vec(), row: (*best).clone() }
        };
        for other in good.iter().filter(single) {
            if best.findings.contains(&other.name) {
                continue;
            }
            let findings = [&*best.findings, &[other.name]].concat();
            let row = self.of(&findings)?.filter(is_good);
            if let Some(row) = row.filter(|row| row.seen.mean > best.row.seen.mean) {
                best = Recommendation { findings, row };
            }
        }
        Ok(Some(best))
    }
}

fn passed(reruns: &[Rerun]) -> u64 {
    reruns.iter().filter(|rerun| rerun.passed()).count() as u64
}

/// The checks that `reruns` failed, in the order in which the checks are made.
fn failed_checks(reruns: &[Rerun]) -> Vec<FailedCheck> {
    let mut failed: Vec<FailedCheck> = Vec::new();
    for name in reruns.iter().flat_map(|rerun| &rerun.failed) {
        match failed.iter_mut().find(|check| check.name == *name) {
            Some(check) => check.runs += 1,
            None => failed.push(FailedCheck { name, runs: 1 }),
        }
    }
    failed
}

fn over(reruns: &[Rerun], value: impl Fn(&Rerun) -> f64) -> Spread {
    Spread::of(&reruns.iter().map(value).collect::<Vec<f64>>())
}

/// The result of one change over all seeds; `None` if the knobs' limits do not allow it.
fn row(
    experiment: &Experiment,
    before: &[Rerun],
    name: &'static str,
    changes: &[Change],
    expected: impl Fn(&Rerun) -> Option<f64>,
) -> Result<Option<VerifiedRow>, ExperimentError> {
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
        passed: passed(&after),
        failed_checks: failed_checks(&after),
    }))
}
