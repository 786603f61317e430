//! The metrics of a virtual run as OpenMetrics text with timestamps, for `promtool tsdb
//! create-blocks-from openmetrics`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::exposition::{Format, Series, escaped, samples};
use super::family::{FAMILIES, Family, FamilyKind};
use super::sink::MetricsSink;
use crate::budget::Limits;
use crate::raft::Micros;
use crate::record::{Record, Sink};
use crate::replica::Replica;

/// The Unix time of virtual second 0, in seconds: 2026-01-01, 00:00 UTC.
pub const EPOCH_SECONDS: u64 = 1_767_225_600;

/// The samples of one series, in order of time.
type Points = Vec<(Micros, f64)>;

/// The metrics of all replicas of a run, sampled during the run.
pub struct OpenMetrics {
    /// The labels that a Prometheus would add, as they are written between the braces.
    target: String,
    limits: Limits,
    /// The sink of each replica, by rank.
    replicas: Vec<MetricsSink>,
    series: BTreeMap<Series, Points>,
}

impl OpenMetrics {
    /// Metrics of the cluster named `cluster`, whose profile states `limits`. Each replica must
    /// [`OpenMetrics::join`]. The series have the labels `job` and `cluster`, as if a Prometheus
    /// had scraped them.
    pub fn new(cluster: &str, limits: Limits) -> OpenMetrics {
        let target = format!("job=\"laconic\",cluster=\"{}\"", escaped(cluster));
        OpenMetrics { target, limits, replicas: Vec::new(), series: BTreeMap::new() }
    }

    /// Adds `replica`. Call this in the order of ranks.
    pub fn join(&mut self, replica: &Replica) {
        let (members, tuning) = (replica.members(), replica.raft().tuning());
        let mut sink = MetricsSink::new(members, tuning, &self.limits);
        sink.publish_start(EPOCH_SECONDS as f64);
        self.replicas.push(sink);
    }

    /// Takes a sample of `replica` when its own clock shows `local` and the run's clock shows
    /// `now`.
    pub fn sample(&mut self, now: Micros, local: Micros, replica: &Replica) {
        let rank = replica.members().me().rank();
        let Some(sink) = self.replicas.get_mut(rank) else {
            return;
        };
        sink.publish(local, replica);
        for (mut series, value) in samples(&sink.handle().render(Format::Text)) {
            series.labels = format!("{},{}", self.target, series.labels);
            let points = self.series.entry(series).or_default();
            // A second sample at the same moment replaces the first, because timestamps must rise.
            points.pop_if(|(at, _)| *at >= now);
            points.push((now, value));
        }
    }

    /// All samples as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for family in FAMILIES {
            self.render_family(family, &mut text);
        }
        Format::OpenMetrics.write_end(&mut text);
        text
    }

    fn render_family(&self, family: &Family, text: &mut String) {
        let suffixes: &[&str] = match family.kind {
            FamilyKind::Histogram => &["_bucket", "_sum", "_count"],
            FamilyKind::Counter | FamilyKind::Gauge => &[""],
        };
        let names: Vec<String> =
            suffixes.iter().map(|end| format!("{}{end}", family.name)).collect();
        let of_family = self.series.iter().filter(|(series, _)| names.contains(&series.name));
        let mut of_family = of_family.peekable();
        if of_family.peek().is_none() {
            return;
        }
        Format::OpenMetrics.write_head(family, text);
        for (series, points) in of_family {
            for (at, value) in points {
                let at = Micros::from_seconds(EPOCH_SECONDS) + *at;
                let _ = writeln!(text, "{}{{{}}} {value} {at}", series.name, series.labels);
            }
        }
    }
}

impl Sink for OpenMetrics {
    fn record(&mut self, record: &Record) {
        if let Some(sink) = self.replicas.get_mut(record.source.rank()) {
            sink.record(record);
        }
    }
}
