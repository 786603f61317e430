//! The text that a replica exposes, read back: series and their values.

use std::collections::BTreeMap;

/// A sample's name, with a histogram's suffix, and its labels as they stand between the braces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// As in `laconic_term`.
    pub name: String,
    /// As in `kind="append",peer="0001"`; empty without labels.
    pub labels: String,
}

impl Series {
    /// The value of the label `name`, as it is written.
    pub fn label(&self, name: &str) -> Option<&str> {
        // None of our labels' values holds a comma or a quote.
        let pairs = self.labels.split(',').filter_map(|pair| pair.split_once('='));
        let found = pairs.into_iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.trim_matches('"'))
    }
}

/// The samples of `text`, in its order; what is no sample is passed over.
pub fn samples(text: &str) -> impl Iterator<Item = (Series, f64)> + '_ {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
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
