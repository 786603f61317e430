//! What could be saved, and by which knob. Each finding is a small type: what it checks, what it
//! rests on, which knob to turn to what, and what it expects to save; `laconic budget --verify`
//! holds the expectation against a rerun.

mod batching;
mod elections;
mod losses;
mod rounds;

use serde_json::{Value, json};

use super::report::{Change, Finding, FindingVerdict, LimitRow, Number};
use super::run_data::RunData;
use super::words::{capital, limit as limit_in_words, limited, measured};
use crate::raft::Tuning;

/// Savings below this share of all messages are not worth a word.
const WORTH_A_WORD: f64 = 0.01;
/// Nor are fewer messages than this.
const FEWEST: f64 = 5.0;
/// Below so many messages a run says too little.
const LEAST_MESSAGES: u64 = 50;

/// A check of one kind of waste.
trait Check {
    /// Its name in reports.
    const NAME: &'static str;
    /// The same for people.
    const TITLE: &'static str;
    /// What it finds in a run.
    fn check(run: &RunData) -> Found;
}

/// What a check says.
struct Found {
    verdict: FindingVerdict,
    summary: String,
    numbers: Vec<Number>,
    changes: Vec<Change>,
    expected_saving: f64,
}

impl Found {
    /// There is nothing to save.
    fn nothing(summary: impl Into<String>) -> Found {
        Found {
            verdict: FindingVerdict::Nothing,
            summary: summary.into(),
            numbers: Vec::new(),
            changes: Vec::new(),
            expected_saving: 0.0,
        }
    }

    /// The run is too short or too quiet to tell.
    fn too_little(summary: impl Into<String>) -> Found {
        Found { verdict: FindingVerdict::TooLittle, ..Found::nothing(summary) }
    }

    /// Something happened that no knob would have spared.
    fn told(summary: impl Into<String>) -> Found {
        Found { verdict: FindingVerdict::Found, ..Found::nothing(summary) }
    }

    /// `saving` messages of the run's can be spared by `changes`, if they are worth a word.
    fn saving(run: &RunData, saving: f64, changes: Vec<Change>, summary: String) -> Found {
        if changes.is_empty() || !is_worth_a_word(run, saving) {
            return Found::nothing(summary);
        }
        let verdict = FindingVerdict::Found;
        Found { verdict, summary, numbers: Vec::new(), changes, expected_saving: saving }
    }

    fn number(mut self, name: &'static str, value: f64, unit: &'static str) -> Found {
        self.numbers.push(Number { name, value, unit, text: measured(value, unit) });
        self
    }
}

fn is_worth_a_word(run: &RunData, messages: f64) -> bool {
    messages >= FEWEST.max(all_messages(run) as f64 * WORTH_A_WORD)
}

fn all_messages(run: &RunData) -> u64 {
    run.ledger.count(|_| true)
}

fn make<C: Check>(run: &RunData) -> Finding {
    let found = if all_messages(run) < LEAST_MESSAGES {
        Found::too_little(format!("The run has fewer than {LEAST_MESSAGES} messages."))
    } else {
        C::check(run)
    };
    let Found { verdict, summary, numbers, changes, expected_saving } = found;
    let (name, title) = (C::NAME, C::TITLE);
    Finding { name, title, verdict, summary, numbers, changes, expected_saving }
}

/// All findings but the budget's: what saves most comes first, then what happened, then the rest in
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

/// Whether limits were exceeded.
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

/// A change of the knob `knob` from its value in `tuning`; none if that is its value.
fn turn(tuning: &Tuning, knob: &'static str, to: impl Into<Value>) -> Option<Change> {
    let from = value_of(tuning, knob);
    let to = to.into();
    (from != to).then_some(Change { knob, from, to })
}

/// The value of a knob, as a profile states it.
fn value_of(tuning: &Tuning, knob: &str) -> Value {
    // Numbers, flags and names always serialize.
    json!(tuning).get(knob).cloned().unwrap_or_default()
}

/// `tuning` with `changes`.
///
/// # Errors
/// If they break a limit; the rule.
pub fn apply(tuning: &Tuning, changes: &[Change]) -> Result<Tuning, String> {
    let mut knobs = json!(tuning);
    for change in changes {
        knobs[change.knob] = change.to.clone();
    }
    let tuning: Tuning = serde_json::from_value(knobs).map_err(|error| error.to_string())?;
    tuning.check().map_err(|violation| violation.to_string())?;
    Ok(tuning)
}
