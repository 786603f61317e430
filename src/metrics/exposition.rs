//! The text that a replica exposes: it has two formats, and this module also reads it back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use super::family::{Family, FamilyKind};

/// The format in which metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format, version 0.0.4.
    Text,
    /// OpenMetrics 1.0: the same, with units, exemplars and an end mark.
    OpenMetrics,
}

impl Format {
    /// The value of the HTTP header `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Appends the lines that come before the samples of `family`.
    pub(super) fn write_head(self, family: &Family, text: &mut String) {
        // In OpenMetrics the name of a counter's family is that of its samples without `_total`.
        let name = match self {
            Format::OpenMetrics if family.kind == FamilyKind::Counter => {
                family.name.trim_end_matches("_total")
            }
            _ => family.name,
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {}", family.help);
        let _ = writeln!(text, "# TYPE {name} {}", family.kind.name());
        if self == Format::OpenMetrics && !family.unit.is_empty() {
            let _ = writeln!(text, "# UNIT {name} {}", family.unit);
        }
    }

    /// Appends the line that ends the whole text, if the format has one.
    pub(super) fn write_end(self, text: &mut String) {
        if self == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
    }
}

/// A label's value, as it is written between its quotes.
pub(super) fn escaped(value: &str) -> Cow<'_, str> {
    if value.contains(['\\', '"', '\n']) {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        Cow::Owned(value)
    } else {
        Cow::Borrowed(value)
    }
}

/// A sample's name, with a histogram's suffix, and its labels as they are written in the braces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The name, for example `laconic_term`.
    pub name: String,
    /// The labels, for example `kind="append",peer="0001"`; empty if there are none.
    pub labels: String,
}

impl Series {
    /// The value of the label `name`, as it is written in the text.
    pub fn label(&self, name: &str) -> Option<&str> {
        // No value of a replica's labels contains a comma or a quote.
        let pairs = self.labels.split(',').filter_map(|pair| pair.split_once('='));
        let found = pairs.into_iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.trim_matches('"'))
    }
}

/// The samples of `text`, in its order, without exemplars. Lines that are no samples are skipped.
pub fn samples(text: &str) -> impl Iterator<Item = (Series, f64)> + '_ {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let line = line.split(" # ").next().unwrap_or(line);
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        let series = Series { name: name.to_owned(), labels: labels.to_owned() };
        Some((series, value.parse().ok()?))
    })
}

/// The samples of `text`, by series.
pub fn by_series(text: &str) -> BTreeMap<Series, f64> {
    samples(text).collect()
}
