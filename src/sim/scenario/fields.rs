//! Reads an object of a scenario file key by key. Each method returns a value that keeps the given
//! rule, or an error of one line that names file, key and rule. Keys that nobody has asked for at
//! the end are unknown keys.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::{ScenarioError, Warning};
use crate::nearest::nearest;

/// The keys that the parser has asked for: for each object, by the prefix of its keys, the keys.
#[derive(Default)]
pub(super) struct Asked(RefCell<BTreeMap<String, BTreeSet<String>>>);

impl Asked {
    fn note(&self, prefix: &str, key: &str) {
        let mut objects = self.0.borrow_mut();
        objects.entry(prefix.to_owned()).or_default().insert(key.to_owned());
    }

    /// The keys of `value`, the whole file, that nobody has asked for, in alphabetical order.
    /// Objects that were read in another way are not checked.
    pub fn unknown_keys(&self, file: &str, value: &Value) -> Vec<Warning> {
        let mut unknown = Vec::new();
        self.look_into(file, "", value, &mut unknown);
        unknown
    }

    fn look_into(&self, file: &str, prefix: &str, value: &Value, unknown: &mut Vec<Warning>) {
        let objects = self.0.borrow();
        let (Some(known), Some(values)) = (objects.get(prefix), value.as_object()) else {
            return;
        };
        for (key, value) in values {
            if !known.contains(key) && !COURSE_CARRIES.contains(&key.as_str()) {
                let nearest = nearest(key, known.iter().map(String::as_str)).map(str::to_owned);
                let key = format!("{prefix}{key}");
                unknown.push(Warning::UnknownKey { file: file.to_owned(), key, nearest });
            }
            self.look_into(file, &format!("{prefix}{key}."), value, unknown);
            for (place, element) in value.as_array().into_iter().flatten().enumerate() {
                self.look_into(file, &format!("{prefix}{key}[{place}]."), element, unknown);
            }
        }
    }
}

/// Keys that the course's own files have where they do nothing (interface §3).
const COURSE_CARRIES: [&str; 1] = ["maximum_get_generation_fail_fraction"];

/// An object of a file.
pub(super) struct Fields<'a> {
    file: &'a str,
    asked: &'a Asked,
    /// The prefix of this object's keys: empty at the top, otherwise `tests.` and the like.
    prefix: String,
    /// `None`: an optional object that the file leaves out, so all its keys have their defaults.
    values: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    /// The top object of the file.
    pub fn of_file(
        file: &'a str,
        value: &'a Value,
        asked: &'a Asked,
    ) -> Result<Fields<'a>, ScenarioError> {
        let top = Fields { file, asked, prefix: String::new(), values: None };
        match value {
            Value::Object(values) => Ok(Fields { values: Some(values), ..top }),
            other => Err(top.refuse_at("the file", not("an object", other))),
        }
    }

    /// The error that `key` of this object breaks `rule`.
    pub fn refuse(&self, key: &str, rule: impl Into<String>) -> ScenarioError {
        self.refuse_at(&format!("{}{key}", self.prefix), rule)
    }

    fn refuse_at(&self, path: &str, rule: impl Into<String>) -> ScenarioError {
        ScenarioError::Rule { file: self.file.to_owned(), key: path.to_owned(), rule: rule.into() }
    }

    /// The value of `key`, if the file has one.
    pub fn value(&self, key: &str) -> Option<&'a Value> {
        self.asked.note(&self.prefix, key);
        self.values.and_then(|values| values.get(key))
    }

    fn required(&self, key: &str) -> Result<&'a Value, ScenarioError> {
        self.value(key).ok_or_else(|| self.refuse(key, "is missing"))
    }

    fn inner(&self, key: &str, value: &'a Value) -> Result<Fields<'a>, ScenarioError> {
        let values = value.as_object().ok_or_else(|| self.refuse(key, not("an object", value)))?;
        Ok(self.below(key, Some(values)))
    }

    fn below(&self, key: &str, values: Option<&'a Map<String, Value>>) -> Fields<'a> {
        let prefix = format!("{}{key}.", self.prefix);
        Fields { file: self.file, asked: self.asked, prefix, values }
    }

    /// The object `key`, which the file must have.
    pub fn object(&self, key: &str) -> Result<Fields<'a>, ScenarioError> {
        self.inner(key, self.required(key)?)
    }

    /// The object `key`; an object without keys if the file leaves it out.
    pub fn optional_object(&self, key: &str) -> Result<Fields<'a>, ScenarioError> {
        match self.value(key) {
            Some(value) => self.inner(key, value),
            None => Ok(self.below(key, None)),
        }
    }

    /// The elements of the list `key`; empty if the file leaves it out.
    pub fn list(&self, key: &str) -> Result<&'a [Value], ScenarioError> {
        match self.value(key) {
            None => Ok(&[]),
            Some(Value::Array(elements)) => Ok(elements),
            Some(other) => Err(self.refuse(key, not("a list", other))),
        }
    }

    /// The elements of the list `key`, each an object.
    pub fn objects(&self, key: &str) -> Result<Vec<Fields<'a>>, ScenarioError> {
        let elements = self.list(key)?.iter().enumerate();
        elements.map(|(index, value)| self.inner(&format!("{key}[{index}]"), value)).collect()
    }

    /// The text `key`, which the file must have.
    pub fn text(&self, key: &str) -> Result<&'a str, ScenarioError> {
        let value = self.required(key)?;
        value.as_str().ok_or_else(|| self.refuse(key, not("a text", value)))
    }

    /// The flag `key`; `default` if the file leaves it out.
    pub fn flag_or(&self, key: &str, default: bool) -> Result<bool, ScenarioError> {
        match self.value(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.refuse(key, not("true or false", other))),
        }
    }

    /// The integer `key` within `range`, which the file must have.
    pub fn integer(&self, key: &str, range: RangeInclusive<u64>) -> Result<u64, ScenarioError> {
        let value = self.required(key)?;
        value.as_u64().filter(|integer| range.contains(integer)).ok_or_else(|| {
            let rule = format!("an integer from {} to {}", range.start(), range.end());
            self.refuse(key, not(&rule, value))
        })
    }

    /// The number `key` within `range`, which the file must have.
    pub fn number(&self, key: &str, range: RangeInclusive<f64>) -> Result<f64, ScenarioError> {
        let value = self.required(key)?;
        value.as_f64().filter(|number| range.contains(number)).ok_or_else(|| {
            let rule = format!("a number from {} to {}", range.start(), range.end());
            self.refuse(key, not(&rule, value))
        })
    }

    /// The number `key` within `range`; `default` if the file leaves it out.
    pub fn number_or(
        &self,
        key: &str,
        range: RangeInclusive<f64>,
        default: f64,
    ) -> Result<f64, ScenarioError> {
        if self.value(key).is_some() { self.number(key, range) } else { Ok(default) }
    }
}

/// The rule that a value must be `expected`, and what the file has instead, cut to one short line.
pub(super) fn not(expected: &str, found: &Value) -> String {
    const LONGEST: usize = 40;
    let found = match found {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("{:?}", text.chars().take(LONGEST).collect::<String>()),
        other => other.to_string(),
    };
    format!("must be {expected}, not {found}")
}
