//! An object of a scenario file, read key by key: each method either brings a value that keeps
//! the rule it is given or the one line that says which file, key and rule.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::ScenarioError;

/// An object of a file. Keys that nobody reads are ignored (interface §3).
pub(super) struct Fields<'a> {
    file: &'a str,
    /// What stands before a key of this object: empty at the top, else `tests.` and the like.
    prefix: String,
    /// `None`: an optional object that the file leaves out; all its keys are at their defaults.
    values: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    /// The whole file.
    pub fn of_file(file: &'a str, value: &'a Value) -> Result<Fields<'a>, ScenarioError> {
        let top = Fields { file, prefix: String::new(), values: None };
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
        self.values.and_then(|values| values.get(key))
    }

    fn required(&self, key: &str) -> Result<&'a Value, ScenarioError> {
        self.value(key).ok_or_else(|| self.refuse(key, "is missing"))
    }

    fn inner(&self, key: &str, value: &'a Value) -> Result<Fields<'a>, ScenarioError> {
        let values = value.as_object().ok_or_else(|| self.refuse(key, not("an object", value)))?;
        Ok(Fields {
            file: self.file,
            prefix: format!("{}{key}.", self.prefix),
            values: Some(values),
        })
    }

    /// The object `key`, which the file must have.
    pub fn object(&self, key: &str) -> Result<Fields<'a>, ScenarioError> {
        self.inner(key, self.required(key)?)
    }

    /// The object `key`; if the file leaves it out, one without keys.
    pub fn optional_object(&self, key: &str) -> Result<Fields<'a>, ScenarioError> {
        match self.value(key) {
            Some(value) => self.inner(key, value),
            None => Ok(Fields {
                file: self.file,
                prefix: format!("{}{key}.", self.prefix),
                values: None,
            }),
        }
    }

    /// The elements of the list `key`; none if the file leaves it out.
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

    /// The flag `key`; false if the file leaves it out.
    pub fn flag(&self, key: &str) -> Result<bool, ScenarioError> {
        match self.value(key) {
            None => Ok(false),
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

/// The rule that a value must be `expected`, with what the file has instead, cut to one short line.
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
