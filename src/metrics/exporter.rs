//! A recorder of metrics for one replica. Several replicas share a process in virtual runs and in
//! tests, so there is no recorder for the whole process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::exposition::{Format, escaped};
use super::family::{FAMILIES, Family, REPLICA_LABEL};
use super::tally::{Observations, ObservationsReader, Tally, TallyReader};

/// Makes the series that values are exported to. Each series is made once and then kept. Gauges go
/// straight to the library's recorder; counts and observations are read only at a scrape.
pub(super) struct Exporter {
    recorder: PrometheusRecorder,
    exported: Arc<Exported>,
}

/// What the fold has counted and observed, shared with the threads that read it.
struct Exported {
    counters: Mutex<Vec<(TallyReader, Counter)>>,
    /// The label that every series has, as it is written between the braces.
    replica: String,
    /// Histograms by the family's name, then by the labels as they are written between the braces.
    histograms: Mutex<BTreeMap<&'static str, BTreeMap<String, ObservationsReader>>>,
}

const METADATA: Metadata<'static> = Metadata::new("laconic", Level::INFO, None);

impl Exporter {
    /// Makes the exporter of the replica with this ID; nothing is exported yet.
    pub fn new(replica: &str) -> Exporter {
        let recorder = PrometheusBuilder::new().add_global_label(REPLICA_LABEL, replica);
        let replica = format!("{REPLICA_LABEL}=\"{}\"", escaped(replica));
        let exported =
            Exported { counters: Mutex::default(), replica, histograms: Mutex::default() };
        Exporter { recorder: recorder.build_recorder(), exported: Arc::new(exported) }
    }

    /// A handle that renders everything exported so far, from any thread.
    pub fn handle(&self) -> MetricsHandle {
        MetricsHandle { recorder: self.recorder.handle(), exported: self.exported.clone() }
    }

    /// Makes the series of `family` with these values of its labels, in the registry's order. Only
    /// one place may add to a series, so ask for each series once.
    pub fn counter(&self, family: &Family, values: &[&str]) -> Tally {
        let tally = Tally::default();
        let counter = self.recorder.register_counter(&key(family, values), &METADATA);
        lock(&self.exported.counters).push((tally.reader(), counter));
        tally
    }

    /// Like [`Exporter::counter`], but the same series may be asked for again. The library's
    /// counters are whole numbers, so a counter with fractions is kept as a gauge. It is still
    /// exposed with the type that the registry gives it.
    pub fn gauge(&self, family: &Family, values: &[&str]) -> Gauge {
        self.recorder.register_gauge(&key(family, values), &METADATA)
    }

    /// Like [`Exporter::counter`], for a histogram.
    pub fn histogram(&self, family: &'static Family, values: &[&str]) -> Observations {
        let observations = Observations::new(family);
        let mut labels = self.exported.replica.clone();
        for (name, value) in family.labels.iter().zip(values) {
            // Writing to a string does not fail.
            let _ = write!(labels, ",{name}=\"{}\"", escaped(value));
        }
        let mut histograms = lock(&self.exported.histograms);
        histograms.entry(family.name).or_default().insert(labels, observations.reader());
        observations
    }
}

/// Locks `guarded` even if a thread panicked while it held the lock: each change under these locks
/// is one whole step.
fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(family: &Family, values: &[&str]) -> Key {
    let labels = family.labels.iter().zip(values);
    let labels = labels.map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(family.name, labels.collect::<Vec<_>>())
}

/// Renders what a replica's fold has exported, from any thread, while the fold goes on.
#[derive(Clone)]
pub struct MetricsHandle {
    recorder: PrometheusHandle,
    exported: Arc<Exported>,
}

impl MetricsHandle {
    /// The text of all families, in the registry's order. The library renders the samples of
    /// counters and gauges. This module renders the histograms, because the library would keep each
    /// observation (see `tally`), and the lines before each family, because they differ by format.
    pub fn render(&self, format: Format) -> String {
        for (tally, counter) in &*lock(&self.exported.counters) {
            counter.absolute(tally.count());
        }
        let rendered = self.recorder.render();
        let samples = samples_by_family(&rendered);
        let histograms = lock(&self.exported.histograms);
        let mut text = String::new();
        for family in FAMILIES {
            let samples = samples.get(family.name);
            let observations = histograms.get(family.name);
            if samples.is_none() && observations.is_none() {
                continue;
            }
            format.write_head(family, &mut text);
            for sample in samples.into_iter().flatten() {
                let _ = writeln!(text, "{sample}");
            }
            for (labels, observations) in observations.into_iter().flatten() {
                observations.render(labels, format, &mut text);
            }
        }
        format.write_end(&mut text);
        text
    }
}

/// The lines of samples that the library rendered, by family and sorted. The library's own order is
/// arbitrary.
fn samples_by_family(rendered: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut families: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in rendered.lines().filter(|line| !line.starts_with('#')) {
        // Every series has a label, so a line without a brace is an empty line between families.
        if let Some((name, _)) = line.split_once('{') {
            families.entry(name).or_default().insert(line);
        }
    }
    families
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::family::{ELECTIONS, LEADERLESS, PEER_LAG, STEPPED_DOWN, TERM};

    fn rendered(exporter: &Exporter) -> [String; 2] {
        [Format::Text, Format::OpenMetrics].map(|format| exporter.handle().render(format))
    }

    #[test]
    fn a_counter_of_seconds_is_a_fraction_and_a_counter_in_both_formats() {
        let exporter = Exporter::new("0001");
        exporter.gauge(&LEADERLESS, &[]).set(0.25);
        exporter.counter(&ELECTIONS, &["won"]).add(3);
        let [text, open_metrics] = rendered(&exporter);
        for (text, suffix) in [(&text, "_total"), (&open_metrics, "")] {
            let seconds = "laconic_leaderless_seconds";
            assert!(text.contains(&format!("# TYPE {seconds}{suffix} counter\n")), "{text}");
            assert!(text.contains(&format!("\n{seconds}_total{{replica=\"0001\"}} 0.25\n")));
            let elections = "laconic_elections";
            assert!(text.contains(&format!("# TYPE {elections}{suffix} counter\n")), "{text}");
            let sample = format!("\n{elections}_total{{replica=\"0001\",outcome=\"won\"}} 3\n");
            assert!(text.contains(&sample), "{text}");
            assert_eq!(text.matches("# TYPE ").count(), 2, "{text}");
            assert_eq!(text.matches("# HELP ").count(), 2, "{text}");
            assert!(!text.contains("\n\n"), "{text}");
        }
    }

    #[test]
    fn the_order_of_an_exposition_is_not_that_of_registration() {
        let peers: Vec<String> = (0..20).map(|peer| format!("{peer:04X}")).collect();
        let exporters = [0, 7].map(|first| {
            let exporter = Exporter::new("0001");
            for place in 0..peers.len() {
                let peer = &peers[(first + place) % peers.len()];
                exporter.gauge(&PEER_LAG, &[peer]).set(1.0);
                exporter.counter(&STEPPED_DOWN, &[peer]).add(1);
            }
            exporter
        });
        let [[text, open_metrics], again] = exporters.each_ref().map(rendered);
        assert_eq!([&text, &open_metrics], again.each_ref());
        let name = |line: &str| line.split('{').next().unwrap().to_owned();
        let mut names: Vec<String> =
            text.lines().filter(|l| !l.starts_with('#')).map(name).collect();
        names.dedup();
        assert_eq!(names, [STEPPED_DOWN.name, PEER_LAG.name]);
    }

    #[test]
    fn replicas_of_one_process_do_not_share_series() {
        let exporters = ["0001", "0002"].map(Exporter::new);
        for (exporter, term) in exporters.iter().zip([4.0, 5.0]) {
            exporter.gauge(&TERM, &[]).set(term);
        }
        for (exporter, sample) in exporters.iter().zip(["\"0001\"} 4", "\"0002\"} 5"]) {
            let [text, _] = rendered(exporter);
            assert!(text.ends_with(&format!("\nlaconic_term{{replica={sample}\n")), "{text}");
            assert_eq!(text.matches("replica=").count(), 1, "{text}");
        }
    }
}
