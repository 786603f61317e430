//! One replica's own recorder of metrics: several replicas share a process in virtual runs and
//! tests, so none is installed process-wide.

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::family::{FAMILIES, Family, FamilyKind};
use super::tally::{Observations, ObservationsReader, Tally, TallyReader};
use crate::raft::Micros;

/// Makes the series that values are exported to: once for each series, which is then kept. Gauges
/// go straight to the library's recorder; counts and observations are read when somebody asks for
/// them.
pub(super) struct Exporter {
    recorder: PrometheusRecorder,
    exported: Arc<Exported>,
}

/// What the fold tells, for those who read it.
#[derive(Default)]
struct Exported {
    counters: Mutex<Vec<(TallyReader, Counter)>>,
    /// Counts of microseconds, exposed in seconds.
    seconds: Mutex<Vec<(TallyReader, &'static Family)>>,
    /// Series of a family stand together.
    histograms: Mutex<Vec<ObservationsReader>>,
}

const METADATA: Metadata<'static> = Metadata::new("laconic", Level::INFO, None);

impl Exporter {
    /// With every family described, and nothing exported.
    pub fn new() -> Exporter {
        let recorder = PrometheusBuilder::new().build_recorder();
        for family in FAMILIES {
            let (name, help) = (family.name.into(), family.help.into());
            match family.kind {
                FamilyKind::Counter => recorder.describe_counter(name, None, help),
                FamilyKind::Gauge => recorder.describe_gauge(name, None, help),
                FamilyKind::Histogram => {}
            }
        }
        Exporter { recorder, exported: Arc::default() }
    }

    /// What renders everything exported so far, from any thread.
    pub fn handle(&self) -> MetricsHandle {
        MetricsHandle { recorder: self.recorder.handle(), exported: self.exported.clone() }
    }

    /// The series of `family` with these values of its labels, in the registry's order.
    pub fn counter(&self, family: &Family, values: &[&str]) -> Tally {
        let tally = Tally::default();
        let counter = self.recorder.register_counter(&key(family, values), &METADATA);
        lock(&self.exported.counters).push((tally.reader(), counter));
        tally
    }

    /// The one series of `family`, which has no labels; the tally counts microseconds. The
    /// library's counters are whole numbers, so it is rendered here.
    pub fn seconds_counter(&self, family: &'static Family) -> Tally {
        let tally = Tally::default();
        lock(&self.exported.seconds).push((tally.reader(), family));
        tally
    }

    /// As [`Exporter::counter`].
    pub fn gauge(&self, family: &Family, values: &[&str]) -> Gauge {
        self.recorder.register_gauge(&key(family, values), &METADATA)
    }

    /// As [`Exporter::counter`].
    pub fn histogram(&self, family: &'static Family, values: &[&str]) -> Observations {
        let observations = Observations::new(family);
        let pairs = family.labels.iter().zip(values);
        let labels: Vec<String> =
            pairs.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let reader = observations.reader(labels.join(","));
        let mut histograms = lock(&self.exported.histograms);
        let place = histograms.partition_point(|other| other.family().name <= family.name);
        histograms.insert(place, reader);
        observations
    }
}

/// A panic while it was held has left the list whole: it is read, or one more is put into it.
fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(family: &Family, values: &[&str]) -> Key {
    let labels = family.labels.iter().zip(values);
    let labels = labels.map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(family.name, labels.collect::<Vec<_>>())
}

/// Renders what a replica's fold has exported, from any thread, while it goes on.
#[derive(Clone)]
pub struct MetricsHandle {
    recorder: PrometheusHandle,
    exported: Arc<Exported>,
}

impl MetricsHandle {
    /// Everything in Prometheus's text format. The library renders what it keeps; histograms, which
    /// it would keep as lists of observations, are ours (see `tally`).
    pub fn render(&self) -> String {
        for (tally, counter) in &*lock(&self.exported.counters) {
            counter.absolute(tally.count());
        }
        let mut text = self.recorder.render();
        for (tally, Family { name, help, .. }) in &*lock(&self.exported.seconds) {
            let seconds = Micros(tally.count()).as_seconds();
            let _ =
                writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {seconds}\n");
        }
        let mut family = "";
        for series in &*lock(&self.exported.histograms) {
            let Family { name, help, .. } = series.family();
            if family != *name {
                family = name;
                let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
            }
            series.render(&mut text);
        }
        text
    }
}
