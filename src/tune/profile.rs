//! What a search has picked, as a profile: each value with its unit, what it gives and takes, what
//! it was before; and above them where they come from.

use serde_json::Value;

use super::figures::Objective;
use super::found::{Found, FrontMember, change_percent};
use super::knobs::knob;
use super::search::Search;
use crate::columns::Columns;
use crate::record::{KnobChange, changed_knobs};
use crate::tuning_file::EMBEDDED;

/// The columns of a profile.
const WIDTH: usize = 100;

/// The profile of `picked`. With a base that is built in, it says only what differs from that.
pub fn profile_text(search: &Search, found: &Found, picked: &FrontMember) -> String {
    let mut text = provenance(search, found, picked);
    let tuning = &picked.finalist.tuning;
    let changed = changed_knobs(&search.base, tuning);
    let has_base = EMBEDDED.iter().any(|(name, _)| *name == search.profile);
    let mut lines: Vec<(String, String)> = Vec::new();
    if has_base {
        lines.push((format!("base = \"{}\"", search.profile), "what is not said here".to_owned()));
    } else {
        let all = serde_json::json!(tuning);
        let kept = all
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| changed.iter().all(|change| change.name != **name));
        lines.extend(kept.map(|(name, value)| {
            (format!("{name} = {}", toml_value(value)), format!("as in {}", search.profile))
        }));
    }
    lines.extend(changed.iter().map(|KnobChange { name, before, after }| {
        let trade = knob(name).map_or("", |row| row.trade);
        let reason = format!("was {}; {}", toml_value(before), trade);
        (format!("{name} = {}", toml_value(after)), reason)
    }));
    let widest = lines.iter().map(|(line, _)| line.len()).max().unwrap_or_default();
    for (line, reason) in lines {
        text += &format!("{line:<widest$} # {reason}\n");
    }
    text
}

/// A value as TOML, numbers with groups of three digits.
fn toml_value(value: &Value) -> String {
    let Some(number) = value.as_u64() else {
        return value.to_string();
    };
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    grouped
}

/// Where the values come from, as comments.
fn provenance(search: &Search, found: &Found, picked: &FrontMember) -> String {
    let mut lines = Vec::new();
    wrap(
        &format!("Tuned for {}: found by a search in virtual time.", search.scenario_names()),
        &mut lines,
    );
    lines.push(String::new());
    wrap(
        &format!("Command: {} (laconic {})", search.command(), env!("CARGO_PKG_VERSION")),
        &mut lines,
    );
    wrap(
        &format!(
            "Searched on {} seeds from {}; elsewhere: on {} seeds from {}, which nothing was \
             searched on. Of several scenarios, the geometric mean.",
            found.seeds.len(),
            search.seed,
            found.validation_seeds.len(),
            found.validation_seeds.first().copied().unwrap_or_default()
        ),
        &mut lines,
    );
    lines.push(String::new());
    let (base, other_base) = (&found.base.finalist.searched, &found.base.validated);
    let (own, other) = (&picked.finalist.searched, &picked.validated);
    let profile = &search.profile;
    let head = ["", profile, "this", "change", "elsewhere", "this", "change"].map(str::to_owned);
    let percent = |change: Option<f64>| change.map_or("-".to_owned(), |c| format!("{c:+.1} %"));
    let rows = Objective::ALL.iter().map(|objective| {
        let told = |value: f64| objective.told(value);
        [
            objective.title().to_owned(),
            told(base.value(*objective)),
            told(own.value(*objective)),
            percent(change_percent(base, own, *objective)),
            told(other_base.value(*objective)),
            told(other.value(*objective)),
            percent(change_percent(other_base, other, *objective)),
        ]
    });
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(rows).collect();
    let columns = Columns::fitting(&rows, 1);
    lines.extend(rows.iter().map(|row| format!("  {}", columns.row(row).trim_end())));
    let floors = format!(
        "Floors of messages per commit: {:.2} if everyone is to notice a dead leader, {:.2} if f \
         watchers are, {:.2} for the course's simulator.",
        picked.floors.everyone, picked.floors.watchers, picked.floors.simulator
    );
    lines.push(String::new());
    wrap(&floors, &mut lines);
    let comment = |line: &String| format!("# {line}").trim_end().to_owned() + "\n";
    lines.iter().map(comment).collect::<String>() + "\n"
}

/// Breaks `words` into lines that fit behind a comment's mark.
fn wrap(words: &str, lines: &mut Vec<String>) {
    let mut line = String::new();
    for word in words.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH - 2 {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines.push(line);
}
