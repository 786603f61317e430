//! One replica's own series: several replicas share a process in virtual runs and tests, so nothing
//! here is the process's.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::exposition::{Format, escaped};
use super::family::{FAMILIES, Family, REPLICA_LABEL};
use super::tally::{Gauge, Observations, ObservationsReader, Tally, TallyReader};

/// Makes the series that values are exported to: once for each series, which is then kept. They are
/// read when somebody asks for them.
pub(super) struct Exporter {
    exported: Arc<Exported>,
}

/// What the fold tells, for those who read it.
struct Exported {
    /// The label that every series has, as it stands between the braces.
    replica: String,
    /// By family's name, then by labels as they stand between the braces.
    series: Mutex<BTreeMap<&'static str, BTreeMap<String, Reader>>>,
}

/// Reads one series.
enum Reader {
    Tally(TallyReader),
    Gauge(Gauge),
    Observations(ObservationsReader),
}

impl Exporter {
    /// Of the replica with this ID; nothing is exported yet.
    pub fn new(replica: &str) -> Exporter {
        let replica = format!("{REPLICA_LABEL}=\"{}\"", escaped(replica));
        let exported = Exported { replica, series: Mutex::default() };
        Exporter { exported: Arc::new(exported) }
    }

    /// What renders everything exported so far, from any thread.
    pub fn handle(&self) -> MetricsHandle {
        MetricsHandle { exported: self.exported.clone() }
    }

    /// The series of `family` with these values of its labels, in the registry's order. It has one
    /// source: to be asked for once.
    pub fn counter(&self, family: &'static Family, values: &[&str]) -> Tally {
        let tally = Tally::default();
        self.export(family, values, Reader::Tally(tally.reader()));
        tally
    }

    /// As [`Exporter::counter`], but it may be asked for again.
    pub fn gauge(&self, family: &'static Family, values: &[&str]) -> Gauge {
        let mut series = lock(&self.exported.series);
        let of_family = series.entry(family.name).or_default();
        match of_family.get(&self.labels(family, values)) {
            Some(Reader::Gauge(gauge)) => gauge.clone(),
            _ => {
                let gauge = Gauge::default();
                of_family.insert(self.labels(family, values), Reader::Gauge(gauge.clone()));
                gauge
            }
        }
    }

    /// As [`Exporter::counter`].
    pub fn histogram(&self, family: &'static Family, values: &[&str]) -> Observations {
        let observations = Observations::new(family);
        self.export(family, values, Reader::Observations(observations.reader()));
        observations
    }

    fn export(&self, family: &'static Family, values: &[&str], reader: Reader) {
        let mut series = lock(&self.exported.series);
        series.entry(family.name).or_default().insert(self.labels(family, values), reader);
    }

    fn labels(&self, family: &Family, values: &[&str]) -> String {
        let mut labels = self.exported.replica.clone();
        for (name, value) in family.labels.iter().zip(values) {
            // Writing to a string does not fail.
            let _ = write!(labels, ",{name}=\"{}\"", escaped(value));
        }
        labels
    }
}

/// A panic while it was held has left the map whole: it is read, or one more is put into it.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Renders what a replica's fold has exported, from any thread, while it goes on.
#[derive(Clone)]
pub struct MetricsHandle {
    exported: Arc<Exported>,
}

impl MetricsHandle {
    /// Everything, family by family in the registry's order.
    pub fn render(&self, format: Format) -> String {
        let mut text = String::new();
        let series = lock(&self.exported.series);
        for family in FAMILIES {
            let Some(of_family) = series.get(family.name) else {
                continue;
            };
            format.write_head(family, &mut text);
            for (labels, reader) in of_family {
                let _ = match reader {
                    Reader::Tally(tally) => {
                        writeln!(text, "{}{{{labels}}} {}", family.name, tally.count())
                    }
                    Reader::Gauge(gauge) => {
                        writeln!(text, "{}{{{labels}}} {}", family.name, gauge.get())
                    }
                    Reader::Observations(observations) => {
                        observations.render(labels, format, &mut text);
                        Ok(())
                    }
                };
            }
        }
        format.write_end(&mut text);
        text
    }
}
