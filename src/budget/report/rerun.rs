//! What reruns showed about a report's findings: part of the report's schema.

use serde::Serialize;

use super::change::Change;

/// What reruns in virtual time showed about the findings' expectations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// The seeds of the reruns. With each seed the run was repeated unchanged, and with each
    /// change.
    pub seeds: Vec<u64>,
    /// Messages of the unchanged runs.
    pub messages: Spread,
    /// Median latency of the unchanged runs.
    pub p50_latency_us: Spread,
    /// How many unchanged runs passed all checks.
    pub passed: u64,
    /// The result of each finding's change alone, and at last of all together.
    pub rows: Vec<VerifiedRow>,
    /// The best change, or set of changes, with which at least as many runs pass as unchanged; none
    /// if no such change saves messages.
    pub recommended: Option<Recommendation>,
}

/// What to turn, all at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// The names of the findings whose changes it takes.
    pub findings: Vec<&'static str>,
    /// The result of these changes.
    pub row: VerifiedRow,
}

/// A check that some runs failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedCheck {
    /// The check's name.
    pub name: &'static str,
    /// How many runs failed it.
    pub runs: u64,
}

/// A change and its result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerifiedRow {
    /// The finding's name; `together` for several.
    pub name: &'static str,
    /// The knobs that were turned.
    pub changes: Vec<Change>,
    /// Messages that the finding expected to save, from the unchanged run of each seed.
    pub expected: Spread,
    /// Messages saved.
    pub seen: Spread,
    /// Mean saved, divided by mean expected; none where nothing was expected.
    pub seen_of_expected: Option<f64>,
    /// Median latency with the change.
    pub p50_latency_us: Spread,
    /// How many runs with the change passed all checks.
    pub passed: u64,
    /// The checks that the other runs failed, in the order of the checks.
    pub failed_checks: Vec<FailedCheck>,
}

/// A number over several seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest value.
    pub least: f64,
    /// The mean.
    pub mean: f64,
    /// The largest value.
    pub most: f64,
}

impl Spread {
    /// The spread of `values`; all zero if there are none.
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
