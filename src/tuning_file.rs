//! Profiles: tuning files in TOML (`profiles/*.toml`), each value with its reason beside it.

use std::path::{Path, PathBuf};

use crate::budget::Limits;
use crate::nearest::{did_you_mean, shorten_unknown_field};
use crate::raft::Tuning;

/// The embedded profiles, the default first.
pub const EMBEDDED: [(&str, &str); 4] = [
    ("course", include_str!("../profiles/course.toml")),
    ("textbook", include_str!("../profiles/textbook.toml")),
    ("eager", include_str!("../profiles/eager.toml")),
    ("quiet", include_str!("../profiles/quiet.toml")),
];

/// Why a profile cannot be used. One line, that names file, line, key and rule.
#[derive(Debug, thiserror::Error)]
pub enum TuningFileError {
    /// Neither an embedded profile nor a file.
    #[error(
        "profile {0:?} is neither a file nor one of course, textbook, eager, quiet{hint}",
        hint = did_you_mean(.0, EMBEDDED.iter().map(|(name, _)| *name))
    )]
    Unknown(String),
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is no TOML, or a key that is missing, unknown or of the wrong type.
    #[error("{file}:{line}: {rule}")]
    Malformed {
        /// Which file.
        file: String,
        /// Which line.
        line: usize,
        /// What is wrong.
        rule: String,
    },
    /// A value outside its limits.
    #[error("{file}:{line}: {key} {rule}")]
    Limit {
        /// Which file.
        file: String,
        /// Which line.
        line: usize,
        /// Which knob.
        key: &'static str,
        /// What must hold.
        rule: String,
    },
}

/// A profile: how to run, and what that may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The knobs.
    pub tuning: Tuning,
    /// What a run may spend, from the table `[budget]` at the file's end, if it has one.
    pub budget: Limits,
}

/// An embedded profile or a file.
///
/// # Errors
/// If there is no such profile, or it breaks a rule.
pub fn load(name_or_path: &str) -> Result<Profile, TuningFileError> {
    if let Some((name, text)) = EMBEDDED.iter().find(|(name, _)| *name == name_or_path) {
        return parse(&format!("profiles/{name}.toml"), text);
    }
    let path = Path::new(name_or_path);
    if !path.exists() {
        return Err(TuningFileError::Unknown(name_or_path.to_owned()));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|source| TuningFileError::Unreadable { path: path.to_owned(), source })?;
    parse(name_or_path, &text)
}

/// The profile that `text`, of the file called `file`, holds.
///
/// # Errors
/// The first rule it breaks, with its line.
pub fn parse(file: &str, text: &str) -> Result<Profile, TuningFileError> {
    // In TOML a table ends where the next begins, so the knobs come first.
    let start = text.lines().position(|line| line.trim() == BUDGET_TABLE);
    let (knobs, limits) = match start {
        Some(line) => {
            let at = text.lines().take(line).map(|line| line.len() + 1).sum();
            text.split_at(at)
        }
        None => (text, ""),
    };
    let tuning: Tuning = toml::from_str(knobs).map_err(|error| malformed(file, knobs, &error))?;
    tuning.check().map_err(|violation| TuningFileError::Limit {
        file: file.to_owned(),
        line: line_of(text, violation.key),
        key: violation.key,
        rule: violation.rule,
    })?;
    Ok(Profile { tuning, budget: parse_budget(file, limits, start.unwrap_or(0))? })
}

/// The head of the table of limits.
const BUDGET_TABLE: &str = "[budget]";

/// The limits in `text`, which begins after `lines_before` lines of the file.
fn parse_budget(file: &str, text: &str, lines_before: usize) -> Result<Limits, TuningFileError> {
    let body = text.replacen(BUDGET_TABLE, "", 1);
    let limits: Limits = toml::from_str(&body).map_err(|error| {
        let mut error = malformed(file, &body, &error);
        if let TuningFileError::Malformed { line, .. } = &mut error {
            *line += lines_before;
        }
        error
    })?;
    limits.check().map_err(|(key, rule)| TuningFileError::Limit {
        file: file.to_owned(),
        line: lines_before + line_of(&body, key),
        key,
        rule,
    })?;
    Ok(limits)
}

/// What is wrong where, with the key if the line has one that the message does not name.
fn malformed(file: &str, text: &str, error: &toml::de::Error) -> TuningFileError {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    let rule = shorten_unknown_field(error.message().lines().next().unwrap_or("malformed"));
    let sets = text.lines().nth(before).and_then(|line| line.split_once('='));
    let key = sets.map(|(key, _)| key.trim()).filter(|key| !rule.contains(key));
    let rule = key.map_or(rule.clone(), |key| format!("{key}: {rule}"));
    TuningFileError::Malformed { file: file.to_owned(), line: before + 1, rule }
}

/// The line that sets `key`.
fn line_of(text: &str, key: &str) -> usize {
    let sets = |line: &str| line.split('=').next().is_some_and(|name| name.trim() == key);
    text.lines().position(sets).map_or(1, |place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_profile_keeps_every_limit_and_gives_every_reason() {
        for (name, text) in EMBEDDED {
            load(name).unwrap_or_else(|error| panic!("{error}"));
            for line in text.lines().filter(|line| line.contains('=') && !line.starts_with('#')) {
                assert!(line.contains('#'), "{name}: no reason beside {line}");
            }
        }
    }

    #[test]
    fn a_bad_file_is_refused_with_line_key_and_rule() {
        let course = EMBEDDED[0].1;
        let refused = |from: &str, to: &str| {
            let text = course.replace(from, to);
            assert_ne!(text, course, "{from} is not in the profile");
            parse("mine.toml", &text).unwrap_err().to_string()
        };
        let error = refused("pipeline_window = ", "pipeline_window = 9999 #");
        assert!(error.starts_with("mine.toml:"), "{error}");
        assert!(error.ends_with("pipeline_window must be 1 to 256, is 9999"), "{error}");
        assert!(refused("linger_us = 0", "linger_us = 5").contains("linger_us must be 1000"));
        assert!(refused("pipeline_window = ", "pipeline_windows = ").contains("pipeline_windows"));
        let error = refused("fan_out = \"", "fan_out = \"x");
        assert!(error.contains(": fan_out: unknown variant"), "{error}");
        let line = line_of(course, "pre_vote");
        let error = refused("pre_vote = true", "pre_vote = 7");
        assert!(error.starts_with(&format!("mine.toml:{line}: pre_vote: invalid type")), "{error}");
        let error = refused("pre_vote = ", "x = ");
        assert_eq!(error, format!("mine.toml:{line}: unknown field `x`"));
        assert!(matches!(load("no-such"), Err(TuningFileError::Unknown(_))));
    }

    #[test]
    fn a_profile_may_state_a_budget_and_a_bad_one_is_refused_with_its_line() {
        let course = EMBEDDED[0].1;
        let with = |budget: &str| parse("mine.toml", &format!("{course}\n[budget]\n{budget}"));
        let profile = with("messages_per_commit = 3.5\np99_latency_us = 2_000\n").unwrap();
        assert_eq!(profile.budget.messages_per_commit, Some(3.5));
        assert_eq!(profile.budget.p99_latency_us, Some(2_000.0));
        assert_eq!(profile.tuning, parse("", course).unwrap().tuning);
        let line = course.lines().count() + 4;
        let error = with("messages_per_commit = 1\nmesages_a_read = 1\n").unwrap_err().to_string();
        let rule = "unknown field `mesages_a_read`, did you mean messages_per_read?";
        assert_eq!(error, format!("mine.toml:{line}: {rule}"));
        let error = with("messages_per_commit = 1\nleaderless_us = -4\n").unwrap_err().to_string();
        let rule = "leaderless_us must be a number from 0 on, is -4";
        assert_eq!(error, format!("mine.toml:{line}: {rule}"));
    }
}
