//! A profile with the reason of each value: the comment beside it.

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{BASE, BUDGET_TABLE};

/// A value of a profile, and why it is that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedKnob {
    /// The knob's name, or that of a limit.
    pub name: String,
    /// The value as the file has it: TOML.
    pub value: String,
    /// The comment beside it; empty if there is none.
    pub reason: String,
    /// The profile that says so: this one, or a base.
    pub from: String,
}

/// A profile, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedProfile {
    /// Its name, or its path.
    pub name: String,
    /// What it is for: the comments above its values.
    pub about: String,
    /// Its base.
    pub base: Option<String>,
    /// Every knob, in the order of the lowest base.
    pub knobs: Vec<ExplainedKnob>,
    /// The limits that it states.
    pub limits: Vec<ExplainedKnob>,
}

impl ExplainedProfile {
    /// The knobs that the profile sets itself.
    pub fn own(&self) -> impl Iterator<Item = &ExplainedKnob> {
        self.knobs.iter().filter(|knob| knob.from == self.name)
    }

    /// The profile as one file that needs no base.
    pub fn toml(&self) -> String {
        let about = self.about.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n");
        let mut text = about.collect::<String>() + "\n" + &self.lines(&self.knobs);
        if !self.limits.is_empty() {
            text += &format!("\n[{BUDGET_TABLE}]\n{}", self.lines(&self.limits));
        }
        text
    }

    fn lines(&self, knobs: &[ExplainedKnob]) -> String {
        let set = |knob: &ExplainedKnob| format!("{} = {}", knob.name, knob.value);
        let width = knobs.iter().map(|knob| set(knob).chars().count()).max().unwrap_or_default();
        let line = |knob: &ExplainedKnob| {
            let from = if knob.from == self.name { "" } else { &format!("{}: ", knob.from) };
            format!("{:<width$} # {from}{}", set(knob), knob.reason).trim_end().to_owned() + "\n"
        };
        knobs.iter().map(line).collect()
    }
}

/// The profile whose `texts`, each with its name, are its own and those of its bases, its own
/// first. They have been read as profiles before.
pub(super) fn explained(texts: &[(String, &str)]) -> ExplainedProfile {
    let name = texts.first().map_or_else(String::new, |(name, _)| name.clone());
    let about = texts.first().map_or_else(String::new, |(_, text)| about(text));
    let base = texts.get(1).map(|(name, _)| name.clone());
    let (mut knobs, mut limits) = (Vec::new(), Vec::new());
    for (from, text) in texts.iter().rev() {
        let Ok(table) = DeTable::parse(text) else {
            continue;
        };
        lay_over(&mut knobs, table.get_ref(), text, from);
        if let Some(DeValue::Table(table)) = table.get_ref().get(BUDGET_TABLE).map(Spanned::get_ref)
        {
            lay_over(&mut limits, table, text, from);
        }
    }
    ExplainedProfile { name, about, base, knobs, limits }
}

/// Replaces what `table` sets, in the order of `text`, and adds what is new.
fn lay_over(values: &mut Vec<ExplainedKnob>, table: &DeTable<'_>, text: &str, from: &str) {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let name = key.get_ref().to_string();
        if name == BASE || matches!(value.get_ref(), DeValue::Table(_)) {
            continue;
        }
        let written = text.get(value.span()).unwrap_or_default().to_owned();
        let rest = text.get(value.span().end..).and_then(|rest| rest.lines().next());
        let reason = rest.and_then(|rest| rest.split_once('#')).map_or("", |(_, reason)| reason);
        let knob = ExplainedKnob {
            name,
            value: written,
            reason: reason.trim().to_owned(),
            from: from.to_owned(),
        };
        match values.iter_mut().find(|other| other.name == knob.name) {
            Some(other) => *other = knob,
            None => values.push(knob),
        }
    }
}

/// The comments at the beginning of a file, line by line, up to the first line that is none.
fn about(text: &str) -> String {
    let comments = text.lines().map_while(|line| line.strip_prefix('#'));
    comments.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::{EMBEDDED, explain, load, parse};

    #[test]
    fn a_profile_that_is_explained_says_the_same_without_its_base() {
        for (name, _) in EMBEDDED {
            let explained = explain(name).unwrap();
            let whole = parse("whole.toml", &explained.toml()).unwrap();
            assert_eq!(whole, load(name).unwrap(), "{name}");
            assert!(explained.knobs.iter().all(|knob| !knob.reason.is_empty()), "{name}");
            assert!(explained.base.is_none() == ["course", "fast"].contains(&name), "{name}");
        }
    }

    #[test]
    fn each_value_has_the_reason_and_the_file_that_it_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let text = "# Mine: for a test.\n#\n# More.\n\nbase = \"quiet\" # a base\n\
                    linger_us = 2_000# company\nfan_out = 'star'\n\
                    [budget]\nmessages_per_commit = 4 # enough\n";
        std::fs::write(&path, text).unwrap();
        let name = path.to_str().unwrap();
        let explained = explain(name).unwrap();
        assert_eq!(explained.about, "Mine: for a test.\n\nMore.");
        assert_eq!(explained.base.as_deref(), Some("quiet"));
        let knob = |name: &str| {
            let knob = explained.knobs.iter().find(|knob| knob.name == name).unwrap();
            [knob.value.as_str(), knob.reason.as_str(), knob.from.as_str()]
        };
        assert_eq!(knob("linger_us"), ["2_000", "company", name]);
        assert_eq!(knob("fan_out"), ["'star'", "", name]);
        let quiet = "no heartbeat while nothing is asked (R30)";
        assert_eq!(knob("quiet"), ["true", quiet, "quiet"]);
        assert_eq!(knob("pre_vote")[2], "course");
        assert_eq!(explained.own().count(), 2);
        assert_eq!((explained.limits.len(), explained.limits[0].reason.as_str()), (1, "enough"));
        assert_eq!(parse("whole.toml", &explained.toml()).unwrap(), load(name).unwrap());
    }
}
