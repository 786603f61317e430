//! What could be saved, and by which knob. Each finding is a small type. It says what it checks,
//! which numbers it depends on, which knob to turn to which value, and how many messages that is
//! expected to save. `laconic budget --verify` compares the expectation with reruns.

mod batching;
mod check;
mod elections;
mod losses;
mod rounds;

use serde::Deserialize;
use serde_json::{Value, json};

use super::report::{Change, Finding, FindingVerdict, LimitRow, Number};
use super::run_data::RunData;
use super::words::{capital, limit as limit_in_words, limited};
use crate::raft::Tuning;
use check::make;

/// All findings except the budget's: the largest saving first, then what happened, then the rest in
/// the order of the checks.
pub fn findings(run: &RunData) -> Vec<Finding> {
    let mut findings = vec![
        make::<rounds::NeedlessHeartbeats>(run),
        make::<rounds::FrequentHeartbeats>(run),
        make::<rounds::SurplusAnswers>(run),
        make::<rounds::ConfirmRounds>(run),
        make::<rounds::CommitMessages>(run),
        make::<batching::WideFanOut>(run),
        make::<batching::ShorterChains>(run),
        make::<batching::SmallBatches>(run),
        make::<batching::ShortLinger>(run),
        make::<batching::CatchUps>(run),
        make::<losses::EarlyResends>(run),
        make::<losses::NeededResends>(run),
        make::<losses::DeadLetters>(run),
        make::<losses::Rejections>(run),
        make::<elections::SplitVotes>(run),
        make::<elections::DisruptedLeaders>(run),
    ];
    let rank = |finding: &Finding| match finding.verdict {
        FindingVerdict::Found => 0,
        FindingVerdict::Nothing => 1,
        FindingVerdict::TooLittle => 2,
    };
    findings.sort_by(|one, other| {
        let saves = other.expected_saving.total_cmp(&one.expected_saving);
        rank(one).cmp(&rank(other)).then(saves)
    });
    findings
}

/// The finding that limits were exceeded.
pub fn exceeded(limits: &[LimitRow]) -> Finding {
    let over: Vec<&LimitRow> = limits.iter().filter(|limit| limit.exceeded).collect();
    let words = over.iter().map(|limit| {
        let spent = limited(limit.name, limit.spent.unwrap_or_default());
        let allowed = limited(limit.name, limit.allowed);
        format!("{}: {spent} spent, {allowed} allowed.", capital(&limit_in_words(limit.name)))
    });
    let (verdict, summary) = match (over.is_empty(), limits.is_empty()) {
        (false, _) => (FindingVerdict::Found, words.collect::<Vec<String>>().join(" ")),
        (true, false) => (FindingVerdict::Nothing, "All limits are kept.".to_owned()),
        (true, true) => (FindingVerdict::Nothing, "No limits are stated.".to_owned()),
    };
    let number = |limit: &&LimitRow| {
        let value = limit.spent.unwrap_or_default() - limit.allowed;
        let text = format!("{} over", limited(limit.name, value));
        Number { name: limit.name, value, unit: "over", text }
    };
    Finding {
        name: "budget_exceeded",
        title: "Budget exceeded",
        verdict,
        summary,
        numbers: over.iter().map(number).collect(),
        changes: Vec::new(),
        expected_saving: 0.0,
    }
}

/// `tuning` with `changes`.
///
/// # Errors
/// If the result breaks the rule of a knob; the error is that rule.
pub fn apply(tuning: &Tuning, changes: &[Change]) -> Result<Tuning, String> {
    turn(tuning, changes.iter().map(|change| (change.knob, &change.to)))
}

/// `tuning` with these knobs at these values.
///
/// # Errors
/// If there is no such knob, a value is of another type, or the result breaks the rule of a knob;
/// the error names the knob.
pub fn turn<'a>(
    tuning: &Tuning,
    knobs: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> Result<Tuning, String> {
    let mut all = json!(tuning);
    for (knob, value) in knobs {
        if all.get(knob).is_none() {
            return Err(format!("no knob is called {knob}"));
        }
        all[knob] = value.clone();
        let parsed = Tuning::deserialize(&all);
        parsed.map_err(|error| format!("{knob}: {error}"))?;
    }
    let tuning: Tuning = serde_json::from_value(all).map_err(|error| error.to_string())?;
    tuning.check().map_err(|violation| violation.to_string())?;
    Ok(tuning)
}
