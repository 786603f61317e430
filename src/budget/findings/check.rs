//! What every check shares: the trait, its result, and the knobs that it turns.

use serde_json::{Value, json};

use crate::budget::report::{Change, Finding, FindingVerdict, Number};
use crate::budget::run_data::RunData;
use crate::budget::words::measured;
use crate::raft::Tuning;

/// Savings below this share of all messages are not reported.
const WORTH_A_WORD: f64 = 0.01;

/// Savings of fewer messages than this are not reported.
const FEWEST: f64 = 5.0;

/// With fewer messages than this a run says too little.
const LEAST_MESSAGES: u64 = 50;

/// A check for one kind of waste.
pub(super) trait Check {
    /// The finding's name in reports.
    const NAME: &'static str;
    /// The finding's name for people.
    const TITLE: &'static str;
    /// Checks a run.
    fn check(run: &RunData) -> Found;
}

/// The result of a check.
pub(super) struct Found {
    pub verdict: FindingVerdict,
    pub summary: String,
    pub numbers: Vec<Number>,
    pub changes: Vec<Change>,
    pub expected_saving: f64,
}

impl Found {
    /// There is nothing to save.
    pub fn nothing(summary: impl Into<String>) -> Found {
        Found {
            verdict: FindingVerdict::Nothing,
            summary: summary.into(),
            numbers: Vec::new(),
            changes: Vec::new(),
            expected_saving: 0.0,
        }
    }

    /// The run is too short or too quiet to tell.
    pub fn too_little(summary: impl Into<String>) -> Found {
        Found { verdict: FindingVerdict::TooLittle, ..Found::nothing(summary) }
    }

    /// Something happened that no knob would have prevented.
    pub fn told(summary: impl Into<String>) -> Found {
        Found { verdict: FindingVerdict::Found, ..Found::nothing(summary) }
    }

    /// `changes` would save `saving` of the run's messages. Small savings are reported as nothing.
    pub fn saving(run: &RunData, saving: f64, changes: Vec<Change>, summary: String) -> Found {
        if changes.is_empty() || !is_worth_a_word(run, saving) {
            return Found::nothing(summary);
        }
        let verdict = FindingVerdict::Found;
        Found { verdict, summary, numbers: Vec::new(), changes, expected_saving: saving }
    }

    pub fn number(mut self, name: &'static str, value: f64, unit: &'static str) -> Found {
        self.numbers.push(Number { name, value, unit, text: measured(value, unit) });
        self
    }
}

pub(super) fn is_worth_a_word(run: &RunData, messages: f64) -> bool {
    messages >= FEWEST.max(all_messages(run) as f64 * WORTH_A_WORD)
}

pub(super) fn all_messages(run: &RunData) -> u64 {
    run.ledger.count(|_| true)
}

pub(super) fn make<C: Check>(run: &RunData) -> Finding {
    let found = if all_messages(run) < LEAST_MESSAGES {
        Found::too_little(format!("The run has fewer than {LEAST_MESSAGES} messages."))
    } else {
        C::check(run)
    };
    let Found { verdict, summary, numbers, changes, expected_saving } = found;
    let (name, title) = (C::NAME, C::TITLE);
    Finding { name, title, verdict, summary, numbers, changes, expected_saving }
}

/// A change of `knob` from its value in `tuning`; `None` if it has the new value already.
pub(super) fn turn(tuning: &Tuning, knob: &'static str, to: impl Into<Value>) -> Option<Change> {
    let from = value_of(tuning, knob);
    let to = to.into();
    (from != to).then_some(Change { knob, from, to })
}

/// A knob's value, as a profile states it.
fn value_of(tuning: &Tuning, knob: &str) -> Value {
    // Numbers, flags and names always serialize.
    json!(tuning).get(knob).cloned().unwrap_or_default()
}
