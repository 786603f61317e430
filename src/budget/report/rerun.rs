//! What reruns showed of a report's findings: its part of the schema.

use serde::Serialize;

use super::Change;

/// What reruns in virtual time showed of the findings' expectations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// The seeds of the reruns; each was run as it was, and with each change.
    pub seeds: Vec<u64>,
    /// Messages of the runs as they were.
    pub messages: Spread,
    /// Their median latency.
    pub p50_latency_us: Spread,
    /// How many of them passed all checks.
    pub passed: u64,
    /// Each finding's change by itself, and at last all together.
    pub rows: Vec<VerifiedRow>,
    /// The best that passes as many runs as passed as they were: one change, or several together;
    /// none if nothing that saves messages does.
    pub recommended: Option<Recommendation>,
}

/// What to turn, all at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// The findings whose changes it takes.
    pub findings: Vec<&'static str>,
    /// What it did.
    pub row: VerifiedRow,
}

/// A check that runs failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedCheck {
    /// Its name.
    pub name: &'static str,
    /// How many runs failed it.
    pub runs: u64,
}

/// A change and what it did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerifiedRow {
    /// The finding's name; `together` of several.
    pub name: &'static str,
    /// What was turned.
    pub changes: Vec<Change>,
    /// Messages that the finding expected to save, by the run of each seed as it was.
    pub expected: Spread,
    /// Messages saved.
    pub seen: Spread,
    /// Mean saved over mean expected; none where nothing was expected.
    pub seen_of_expected: Option<f64>,
    /// Median latency with the change.
    pub p50_latency_us: Spread,
    /// How many runs with the change passed all checks.
    pub passed: u64,
    /// What the others failed, in the order of the checks.
    pub failed_checks: Vec<FailedCheck>,
}

/// A number over several seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub least: f64,
    /// The mean.
    pub mean: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Over `values`; of none all is 0.
    pub fn of(values: &[f64]) -> Spread {
        if values.is_empty() {
            return Spread::default();
        }
        Spread {
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}
