//! One replica's own recorder of metrics: several replicas share a process in virtual runs and
//! tests, so none is installed process-wide.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::family::{FAMILIES, Family, FamilyKind};

/// Makes the handles through which values are told. A handle is made once and kept: looking one up
/// costs a hundred times as much as using it.
pub(super) struct Exporter(PrometheusRecorder);

const METADATA: Metadata<'static> = Metadata::new("laconic", Level::INFO, None);

impl Exporter {
    /// With every family described, and nothing told.
    pub fn new() -> Exporter {
        let mut builder = PrometheusBuilder::new();
        for family in FAMILIES.iter().filter(|family| !family.buckets.is_empty()) {
            let matcher = Matcher::Full(family.name.to_owned());
            builder = match builder.set_buckets_for_metric(matcher, family.buckets) {
                Ok(builder) => builder,
                Err(_) => unreachable!("only a list without buckets is refused"),
            };
        }
        let recorder = builder.build_recorder();
        for family in FAMILIES {
            let (name, help) = (family.name.into(), family.help.into());
            match family.kind {
                FamilyKind::Counter => recorder.describe_counter(name, None, help),
                FamilyKind::Gauge => recorder.describe_gauge(name, None, help),
                FamilyKind::Histogram => recorder.describe_histogram(name, None, help),
            }
        }
        Exporter(recorder)
    }

    /// What renders everything told so far, from any thread.
    pub fn handle(&self) -> PrometheusHandle {
        self.0.handle()
    }

    /// The series of `family` with these values of its labels, in the registry's order.
    pub fn counter(&self, family: &Family, values: &[&str]) -> Counter {
        self.0.register_counter(&key(family, values), &METADATA)
    }

    /// As [`Exporter::counter`].
    pub fn gauge(&self, family: &Family, values: &[&str]) -> Gauge {
        self.0.register_gauge(&key(family, values), &METADATA)
    }

    /// As [`Exporter::counter`].
    pub fn histogram(&self, family: &Family, values: &[&str]) -> Histogram {
        self.0.register_histogram(&key(family, values), &METADATA)
    }
}

fn key(family: &Family, values: &[&str]) -> Key {
    let labels = family.labels.iter().zip(values);
    let labels = labels.map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(family.name, labels.collect::<Vec<_>>())
}
