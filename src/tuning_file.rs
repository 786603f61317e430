//! Profiles: tuning files in TOML (`profiles/*.toml`), each value with its reason beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer, ValueDeserializer};

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
    let source = Source { file, text };
    let whole = DeTable::parse(text).map_err(|error| source.malformed(&error))?;
    let span = whole.span();
    let mut knobs = whole.into_inner();
    let limits = knobs.remove(BUDGET_TABLE);
    let lines = source.lines_of_keys(&knobs);
    let knobs = Deserializer::from(Spanned::new(span, knobs));
    let tuning = Tuning::deserialize(knobs).map_err(|error| source.malformed(&error))?;
    tuning.check().map_err(|violation| source.limit(&lines, violation.key, violation.rule))?;
    let budget = limits.map(|limits| parse_budget(&source, limits)).transpose()?;
    Ok(Profile { tuning, budget: budget.unwrap_or_default() })
}

/// The key of the table of limits.
const BUDGET_TABLE: &str = "budget";

/// The limits that the value of [`BUDGET_TABLE`] states.
fn parse_budget(source: &Source, value: Spanned<DeValue>) -> Result<Limits, TuningFileError> {
    let lines = value.get_ref().as_table().map(|table| source.lines_of_keys(table));
    let value = ValueDeserializer::from(value);
    let limits = Limits::deserialize(value).map_err(|error| source.malformed(&error))?;
    let lines = lines.unwrap_or_default();
    limits.check().map_err(|(key, rule)| source.limit(&lines, key, rule))?;
    Ok(limits)
}

/// The line of each key of a table.
type Lines = BTreeMap<String, usize>;

/// A file that is parsed.
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    /// The line, counted from 1, of the byte at `place`.
    fn line(&self, place: usize) -> usize {
        1 + self.text.bytes().take(place).filter(|byte| *byte == b'\n').count()
    }

    fn lines_of_keys(&self, table: &DeTable) -> Lines {
        let line =
            |key: &Spanned<DeString>| (key.get_ref().to_string(), self.line(key.span().start));
        table.keys().map(line).collect()
    }

    /// A value outside its limits. A knob that no line sets is told of the first.
    fn limit(&self, lines: &Lines, key: &'static str, rule: String) -> TuningFileError {
        let line = lines.get(key).copied().unwrap_or(1);
        TuningFileError::Limit { file: self.file.to_owned(), line, key, rule }
    }

    /// What is wrong where, with the key if the line has one that the message does not name.
    fn malformed(&self, error: &toml::de::Error) -> TuningFileError {
        let line = self.line(error.span().map_or(0, |span| span.start));
        let rule = shorten_unknown_field(error.message().lines().next().unwrap_or("malformed"));
        let sets = self.text.lines().nth(line - 1).and_then(|line| line.split_once('='));
        let key = sets.map(|(key, _)| key.trim()).filter(|key| !rule.contains(key));
        let rule = key.map_or(rule.clone(), |key| format!("{key}: {rule}"));
        TuningFileError::Malformed { file: self.file.to_owned(), line, rule }
    }
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
        let line = 1 + course.lines().position(|line| line.starts_with("pre_vote ")).unwrap();
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

    #[test]
    fn lines_may_end_as_on_windows_and_the_table_be_written_in_any_form_of_toml() {
        let course = EMBEDDED[0].1;
        let limit = "messages_per_commit";
        let tuning = parse("", course).unwrap().tuning;
        for table in [
            format!("[budget]\n{limit} = 3.5\n"),
            format!("[ budget ] # limits\n{limit} = 3.5\n"),
            format!("[\"budget\"]\n{limit} = 3.5\n"),
            format!("budget.{limit} = 3.5\n"),
            format!("budget = {{ {limit} = 3.5 }}\n"),
        ] {
            let text = format!("{course}{table}");
            for text in [text.replace('\n', "\r\n"), text] {
                let profile = parse("mine.toml", &text).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(profile.tuning, tuning, "{table}");
                assert_eq!(profile.budget.messages_per_commit, Some(3.5), "{table}");
            }
        }
        let text = format!("{course}[budget]\n{limit} = -1\n").replace('\n', "\r\n");
        let line = text.lines().count();
        let error = parse("mine.toml", &text).unwrap_err().to_string();
        let rule = "must be a number from 0 on, is -1";
        assert_eq!(error, format!("mine.toml:{line}: {limit} {rule}"));
        let error = parse("mine.toml", &format!("{course}budget = 7\n")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("mine.toml:{}: budget: ", line - 1)), "{error}");
    }
}
