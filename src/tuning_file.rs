//! Profiles: tuning files in TOML (`profiles/*.toml`), each value with its reason beside it. A
//! profile may begin with the values of another one, its base.

mod explain;
mod keys;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, ValueDeserializer};

use crate::budget::Limits;
use crate::nearest::{did_you_mean, shorten_unknown_field};
use crate::raft::Tuning;
use keys::{BASE, BUDGET_TABLE};

pub use explain::{ExplainedKnob, ExplainedProfile};

/// The embedded profiles, the default first.
pub const EMBEDDED: [(&str, &str); 7] = [
    ("course", include_str!("../profiles/course.toml")),
    ("textbook", include_str!("../profiles/textbook.toml")),
    ("eager", include_str!("../profiles/eager.toml")),
    ("quiet", include_str!("../profiles/quiet.toml")),
    ("fast", include_str!("../profiles/fast.toml")),
    ("lossy", include_str!("../profiles/lossy.toml")),
    ("wan", include_str!("../profiles/wan.toml")),
];

/// Why a profile cannot be used, in one line that names file, line, key and rule.
#[derive(Debug, thiserror::Error)]
pub enum TuningFileError {
    /// It is neither an embedded profile nor a file.
    #[error(
        "profile {0:?} is neither a file nor one of {names}{hint}",
        names = EMBEDDED.map(|(name, _)| name).join(", "),
        hint = did_you_mean(.0, EMBEDDED.iter().map(|(name, _)| *name))
    )]
    Unknown(String),
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A line is not TOML, or a key is missing, unknown or of the wrong type.
    #[error("{file}:{line}: {rule}")]
    Malformed {
        /// The file's name.
        file: String,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong.
        rule: String,
    },
    /// A value is outside its limits.
    #[error("{file}:{line}: {key} {rule}")]
    Limit {
        /// The file's name.
        file: String,
        /// The line's number, from 1.
        line: usize,
        /// The knob's name.
        key: &'static str,
        /// The rule that the value breaks.
        rule: String,
    },
}

/// A profile: the knobs of a run, and what the run may spend.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The knobs.
    pub tuning: Tuning,
    /// What a run may spend, from the table `[budget]` at the file's end, if it has one.
    pub budget: Limits,
}

/// Loads an embedded profile or a file.
///
/// # Errors
/// If there is no such profile, or if it or one of its bases breaks a rule.
pub fn load(name_or_path: &str) -> Result<Profile, TuningFileError> {
    Layers::of(Text::find(name_or_path, Path::new(""))?)?.profile()
}

/// What an embedded profile or a file says, and why.
///
/// # Errors
/// As [`load`].
pub fn explain(name_or_path: &str) -> Result<ExplainedProfile, TuningFileError> {
    let layers = Layers::of(Text::find(name_or_path, Path::new(""))?)?;
    layers.profile()?;
    let texts = layers.0.iter().map(|(_, text)| (named(&text.file), text.text.as_str()));
    Ok(explain::explained(&texts.collect::<Vec<_>>()))
}

/// The name of the embedded profile `file`; of another file, its path.
fn named(file: &str) -> String {
    let is = |name: &&str| file == format!("profiles/{name}.toml");
    let embedded = EMBEDDED.iter().map(|(name, _)| *name).find(is);
    embedded.unwrap_or(file).to_owned()
}

/// The profile in `text`, the content of the file called `file`.
///
/// # Errors
/// The first rule it breaks, with its line.
pub fn parse(file: &str, text: &str) -> Result<Profile, TuningFileError> {
    Layers::of(Text::of(file, text))?.profile()
}

/// The name or path of the base of the profile `text`; `None` if it has none, or is not TOML.
pub fn base_of(text: &str) -> Option<String> {
    let table = DeTable::parse(text).ok()?;
    table.get_ref().get(BASE).and_then(|base| base.get_ref().as_str()).map(str::to_owned)
}

/// A file's name and its content.
struct Text {
    file: String,
    text: String,
    /// The folder that paths in it are relative to.
    folder: PathBuf,
}

impl Text {
    fn of(file: &str, text: &str) -> Text {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        Text { file: file.to_owned(), text: text.to_owned(), folder: folder.to_owned() }
    }

    /// An embedded profile, or a file whose path is relative to `folder`.
    fn find(name_or_path: &str, folder: &Path) -> Result<Text, TuningFileError> {
        if let Some((name, text)) = EMBEDDED.iter().find(|(name, _)| *name == name_or_path) {
            return Ok(Text::of(&format!("profiles/{name}.toml"), text));
        }
        let path = folder.join(name_or_path);
        if !path.exists() {
            return Err(TuningFileError::Unknown(name_or_path.to_owned()));
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|source| TuningFileError::Unreadable { path: path.clone(), source })?;
        Ok(Text::of(&path.to_string_lossy(), &text))
    }

    /// Whether both are the same file. Embedded profiles are compared by name.
    fn is(&self, other: &Text) -> bool {
        let place = |text: &Text| {
            Path::new(&text.file).canonicalize().unwrap_or_else(|_| PathBuf::from(&text.file))
        };
        place(self) == place(other)
    }
}

/// A place in the texts of all layers, as if these were one text. Spans are moved there, so that
/// the span of an error says which text it is in.
type Place = usize;

/// A profile, its base, the base of that, and so on, and the place where each begins. The first one
/// that sets a knob or limit counts.
struct Layers(Vec<(Place, Text)>);

impl Layers {
    /// `text` with all its bases.
    fn of(text: Text) -> Result<Layers, TuningFileError> {
        let mut layers = Layers(Vec::new());
        let mut next = Some(text);
        while let Some(text) = next {
            let start = layers.0.last().map_or(0, |(start, above)| start + above.text.len() + 1);
            layers.0.push((start, text));
            next = layers.base()?;
        }
        Ok(layers)
    }

    /// The base of the last text.
    fn base(&self) -> Result<Option<Text>, TuningFileError> {
        let (start, text) = &self.0[self.0.len() - 1];
        let table = self.parse(*start, text)?;
        let Some(base) = table.get(BASE) else {
            return Ok(None);
        };
        let refused = |rule: &str| self.malformed(base.span().start, rule);
        let Some(name) = base.get_ref().as_str() else {
            return Err(refused("must be the name of a profile or a path, in quotes"));
        };
        let found = Text::find(name, &text.folder).map_err(|error| refused(&error.to_string()))?;
        if self.0.iter().any(|(_, above)| above.is(&found)) {
            return Err(refused(&format!("{name:?} leads back to this profile, in a circle")));
        }
        Ok(Some(found))
    }

    fn parse<'t>(&self, start: Place, text: &'t Text) -> Result<DeTable<'t>, TuningFileError> {
        let parsed = DeTable::parse(&text.text).map_err(|error| {
            self.malformed(start + error.span().map_or(0, |span| span.start), error.message())
        })?;
        Ok(moved_table(parsed.into_inner(), start))
    }

    fn profile(&self) -> Result<Profile, TuningFileError> {
        let mut knobs = DeTable::new();
        let mut limits = None;
        for (start, text) in &self.0 {
            let mut table = self.parse(*start, text)?;
            table.remove(BASE);
            match (&mut limits, table.remove(BUDGET_TABLE)) {
                (above @ None, below) => *above = below,
                (Some(above), Some(below)) => lay_limits_under(above, below),
                (Some(_), None) => {}
            }
            lay_under(&mut knobs, table);
        }
        let places = places_of_keys(&knobs);
        // What is missing in all layers is reported as missing in the profile itself.
        let knobs = Deserializer::from(Spanned::new(0..self.0[0].1.text.len(), knobs));
        let tuning = Tuning::deserialize(knobs).map_err(|error| self.malformed_by(&error))?;
        tuning.check().map_err(|violation| self.limit(&places, violation.key, violation.rule))?;
        let budget = limits.map(|limits| self.budget(limits)).transpose()?;
        Ok(Profile { tuning, budget: budget.unwrap_or_default() })
    }

    /// The limits that the value of [`BUDGET_TABLE`] states.
    fn budget(&self, value: Spanned<DeValue>) -> Result<Limits, TuningFileError> {
        let places = value.get_ref().as_table().map(places_of_keys).unwrap_or_default();
        let limits = Limits::deserialize(ValueDeserializer::from(value))
            .map_err(|error| self.malformed_by(&error))?;
        limits.check().map_err(|(key, rule)| self.limit(&places, key, rule))?;
        Ok(limits)
    }

    /// The file at `place`, the number of its line there, from 1, and the text of that line.
    fn line(&self, place: Place) -> (String, usize, &str) {
        let layer = self.0.partition_point(|(start, _)| *start <= place) - 1;
        let (start, Text { file, text, .. }) = &self.0[layer];
        let line = text.bytes().take(place - start).filter(|byte| *byte == b'\n').count();
        (file.clone(), line + 1, text.lines().nth(line).unwrap_or_default())
    }

    /// The error for a value outside its limits. If no line sets the knob, it names the first line.
    fn limit(&self, places: &Places, key: &'static str, rule: String) -> TuningFileError {
        let (file, line, _) = self.line(places.get(key).copied().unwrap_or(0));
        TuningFileError::Limit { file, line, key, rule }
    }

    fn malformed_by(&self, error: &toml::de::Error) -> TuningFileError {
        self.malformed(error.span().map_or(0, |span| span.start), error.message())
    }

    /// The error at `place`, with the key of its line if the message does not name it.
    fn malformed(&self, place: Place, message: &str) -> TuningFileError {
        let rule = shorten_unknown_field(message.lines().next().unwrap_or("malformed"));
        let (file, line, said) = self.line(place);
        let key = said.split_once('=').map(|(key, _)| key.trim());
        let key = key.filter(|key| !rule.contains(key));
        let rule = key.map_or(rule.clone(), |key| format!("{key}: {rule}"));
        TuningFileError::Malformed { file, line, rule }
    }
}

/// The place of each key of a table.
type Places = BTreeMap<String, Place>;

fn places_of_keys(table: &DeTable) -> Places {
    table.keys().map(|key| (key.get_ref().to_string(), key.span().start)).collect()
}

/// Copies from `below` what `above` does not set.
fn lay_under<'t>(above: &mut DeTable<'t>, below: DeTable<'t>) {
    for (key, value) in below {
        if !above.contains_key(key.get_ref().as_ref()) {
            above.insert(key, value);
        }
    }
}

/// The same for limits. A value that is not a table of limits stays, and is refused later.
fn lay_limits_under<'t>(above: &mut Spanned<DeValue<'t>>, below: Spanned<DeValue<'t>>) {
    if let (DeValue::Table(above), DeValue::Table(below)) = (above.get_mut(), below.into_inner()) {
        lay_under(above, below);
    }
}

/// `table` with its spans, and those of tables in it, moved by `by`. A profile has no deeper
/// tables.
fn moved_table(table: DeTable<'_>, by: Place) -> DeTable<'_> {
    let moved = |span: Range<usize>| span.start + by..span.end + by;
    let entries = table.into_iter().map(|(key, value)| {
        let (key_span, span) = (moved(key.span()), moved(value.span()));
        let value = match value.into_inner() {
            DeValue::Table(inner) => DeValue::Table(moved_table(inner, by)),
            other => other,
        };
        (Spanned::new(key_span, key.into_inner()), Spanned::new(span, value))
    });
    entries.collect()
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
        let error = refused("linger_us = 0", "linger_us = 5_000_000");
        assert!(error.contains("linger_us must be 0 to 1000000"), "{error}");
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
    fn a_profile_has_its_bases_values_where_it_says_nothing() {
        let course = load("course").unwrap();
        let mine = "base = \"course\"\nlinger_us = 2_000\n[budget]\nleaderless_us = 9\n";
        let profile = parse("mine.toml", mine).unwrap();
        let tuning = Tuning { linger_us: 2_000, ..course.tuning.clone() };
        assert_eq!((profile.tuning, profile.budget.leaderless_us), (tuning, Some(9.0)));

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine.toml"), mine).unwrap();
        let upper = "base = \"mine.toml\"\n[budget]\nmessages_per_commit = 4\n";
        let path = folder.path().join("upper.toml");
        std::fs::write(&path, upper).unwrap();
        let profile = load(path.to_str().unwrap()).unwrap();
        assert_eq!(profile.tuning.linger_us, 2_000);
        let budget = profile.budget;
        assert_eq!((budget.leaderless_us, budget.messages_per_commit), (Some(9.0), Some(4.0)));
        assert_eq!(base_of(upper).as_deref(), Some("mine.toml"));
        assert_eq!(base_of("linger_us = 0"), None);
    }

    #[test]
    fn a_base_that_is_none_is_refused_and_a_fault_is_told_of_the_file_that_has_it() {
        let refused = |text: &str| parse("mine.toml", text).unwrap_err().to_string();
        let error = refused("# mine\nbase = \"cuorse\"\n");
        let rule = "base: profile \"cuorse\" is neither a file nor one of course, textbook, eager, \
                    quiet, fast, lossy, wan, did you mean course?";
        assert_eq!(error, format!("mine.toml:2: {rule}"));
        let rule = "must be the name of a profile or a path, in quotes";
        assert_eq!(refused("base = 7"), format!("mine.toml:1: base: {rule}"));
        // The error names its own line, though the base's lines are joined before and after.
        let error = refused("base = \"quiet\"\n\npipeline_window = 9999\n");
        assert_eq!(error, "mine.toml:3: pipeline_window must be 1 to 256, is 9999");

        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        write("a.toml", "base = \"b.toml\"\n").unwrap();
        write("b.toml", "linger_us = 0\nbase = \"./a.toml\"\n").unwrap();
        let path = folder.path().join("a.toml");
        let load = || load(path.to_str().unwrap()).unwrap_err().to_string();
        let error = load();
        let rule = "b.toml:2: base: \"./a.toml\" leads back to this profile, in a circle";
        assert!(error.ends_with(rule), "{error}");
        write("b.toml", "base = \"course\"\n\npre_vote = 7\n").unwrap();
        let error = load();
        assert!(error.contains("b.toml:3: pre_vote: invalid type"), "{error}");
        write("b.toml", "linger_us = 0\n").unwrap();
        let error = load();
        assert!(error.contains("a.toml:1: ") && error.contains("missing field"), "{error}");
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
