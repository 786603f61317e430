//! Numbers that one thread writes and any other thread reads. Only one thread folds records, so to
//! count is a load, an addition and a store. A counter that several threads may write needs a
//! locked addition, and a histogram that they may write keeps each observation until one of them
//! sums them up. Together those cost three times as much for a record (`cargo bench --bench
//! metrics`).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::exposition::{Format, escaped};
use super::family::Family;
use crate::raft::Micros;

/// Adds `count` to a cell that no other thread writes.
fn add(cell: &AtomicU64, count: u64) {
    cell.store(cell.load(Ordering::Relaxed) + count, Ordering::Relaxed);
}

/// A count. Each series has one, and it cannot be cloned, so only its owner adds to it.
#[derive(Debug, Default)]
pub(super) struct Tally(Arc<AtomicU64>);

impl Tally {
    /// Adds `count`.
    pub fn add(&mut self, count: u64) {
        add(&self.0, count);
    }

    /// A reader of this count for other threads.
    pub fn reader(&self) -> TallyReader {
        TallyReader(self.0.clone())
    }
}

/// Reads a [`Tally`].
pub(super) struct TallyReader(Arc<AtomicU64>);

impl TallyReader {
    /// The sum of all that has been added so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The most bounds that a family's buckets may have.
pub(super) const MOST_BOUNDS: usize = 17;

/// The observations of one series of a histogram, by bucket. Values are whole numbers: durations
/// are in microseconds, although their family is in seconds.
///
/// The fields are in this order so that most observations touch only two cache lines.
#[derive(Debug)]
#[repr(C)]
struct Buckets {
    sum: AtomicU64,
    /// The family's bounds as whole numbers. Unused places hold the largest number.
    bounds: [u64; MOST_BOUNDS],
    /// How many observations are in each bucket alone, without the buckets below it. The bucket
    /// after the family's last bound is for all larger values.
    counts: [AtomicU64; MOST_BOUNDS + 1],
    family: &'static Family,
    /// The latest exemplar of each bucket. Few observations have one.
    exemplars: Mutex<[Option<Exemplar>; MOST_BOUNDS + 1]>,
}

/// An observation together with its request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exemplar {
    /// The request's MID.
    pub mid: String,
    /// The observed value, in the family's unit.
    pub value: f64,
    /// When the request was answered, in seconds since the Unix epoch.
    pub unix_seconds: f64,
}

impl Buckets {
    /// How many units of an observed value make one unit of `family`.
    fn scale(family: &Family) -> f64 {
        if family.unit == "seconds" { 1e6 } else { 1.0 }
    }
}

/// The observations of one series. Like a [`Tally`], it has one owner.
#[derive(Debug)]
pub(super) struct Observations(Arc<Buckets>);

impl Observations {
    /// Starts with no observation, in the buckets of `family`.
    pub fn new(family: &'static Family) -> Observations {
        let scale = Buckets::scale(family);
        let mut bounds = [u64::MAX; MOST_BOUNDS];
        for (whole, bound) in bounds.iter_mut().zip(family.buckets) {
            *whole = (bound * scale).round() as u64;
        }
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        let exemplars = Mutex::new([const { None }; MOST_BOUNDS + 1]);
        let sum = AtomicU64::new(0);
        Observations(Arc::new(Buckets { sum, bounds, counts, family, exemplars }))
    }

    /// Adds an observation of `duration`.
    pub fn observe_duration(&mut self, duration: Micros) {
        self.observe(duration.0);
    }

    /// Adds an observation of `value`.
    pub fn observe(&mut self, value: u64) {
        let Buckets { bounds, counts, sum, .. } = &*self.0;
        // Most values are small and alike, so a search from the first bound ends early.
        let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(MOST_BOUNDS);
        add(&counts[bucket], 1);
        add(sum, value);
    }

    /// Keeps the request `mid` as the exemplar of the observation of `duration` that was just
    /// added.
    pub fn tell_exemplar(&self, duration: Micros, mid: &str, unix_seconds: f64) {
        let buckets = &*self.0;
        let value = duration.0 as f64 / Buckets::scale(buckets.family);
        let exemplar = Exemplar { mid: mid.to_owned(), value, unix_seconds };
        let bucket = buckets.family.buckets.partition_point(|bound| *bound < value);
        // Each write is one whole step, so the exemplars are sound even after a panic.
        let mut exemplars = buckets.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
        exemplars[bucket] = Some(exemplar);
    }

    /// A reader of these observations for other threads.
    pub fn reader(&self) -> ObservationsReader {
        ObservationsReader(self.0.clone())
    }
}

/// Reads [`Observations`].
pub(super) struct ObservationsReader(Arc<Buckets>);

impl ObservationsReader {
    /// Appends the series with these labels, written as between the braces: each bucket's count
    /// with all buckets below it, the sum and the count. Exemplars follow where the format has
    /// them.
    pub fn render(&self, labels: &str, format: Format, text: &mut String) {
        let buckets = &*self.0;
        let family = buckets.family;
        let exemplars = match format {
            Format::Text => [const { None }; MOST_BOUNDS + 1],
            Format::OpenMetrics => {
                buckets.exemplars.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }
        };
        let bounds = family.buckets.iter().map(|bound| canonical(*bound));
        let bounds = bounds.chain(["+Inf".to_owned()]);
        let mut count = 0;
        // Writing to a string does not fail.
        for ((bound, of_bucket), exemplar) in bounds.zip(&buckets.counts).zip(exemplars) {
            count += of_bucket.load(Ordering::Relaxed);
            let _ = write!(text, "{}_bucket{{{labels},le=\"{bound}\"}} {count}", family.name);
            if let Some(Exemplar { mid, value, unix_seconds }) = exemplar {
                let mid = escaped(&mid);
                let _ = write!(text, " # {{mid=\"{mid}\"}} {value} {unix_seconds:.3}");
            }
            text.push('\n');
        }
        let sum = buckets.sum.load(Ordering::Relaxed) as f64 / Buckets::scale(family);
        let _ = writeln!(text, "{}_sum{{{labels}}} {sum}", family.name);
        let _ = writeln!(text, "{}_count{{{labels}}} {count}", family.name);
    }
}

/// A bucket's bound as OpenMetrics writes it: with a decimal point, and two digits of exponent.
fn canonical(bound: f64) -> String {
    let text = format!("{bound:?}");
    match text.split_once("e-") {
        Some((digits, exponent)) => format!("{digits}e-{exponent:0>2}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::family::{BATCH_ENTRIES, COMMIT_LATENCY, REQUEST_DURATION};

    fn rendered(observations: &Observations, format: Format) -> String {
        let mut text = String::new();
        observations.reader().render("a=\"b\"", format, &mut text);
        text
    }

    #[test]
    fn an_observation_is_in_the_bucket_whose_bound_it_does_not_exceed_and_in_all_above() {
        let mut entries = Observations::new(&BATCH_ENTRIES);
        [1, 3, 4, 4_096, 4_097].into_iter().for_each(|value| entries.observe(value));
        let text = rendered(&entries, Format::Text);
        let name = "laconic_batch_entries";
        for (bound, count) in
            [("1.0", 1), ("2.0", 1), ("4.0", 3), ("2048.0", 3), ("4096.0", 4), ("+Inf", 5)]
        {
            let line = format!("{name}_bucket{{a=\"b\",le=\"{bound}\"}} {count}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
        let ends = ["_sum", "_count"].map(|end| format!("{name}{end}{{a=\"b\"}}"));
        assert!(text.ends_with(&format!("{} 8201\n{} 5\n", ends[0], ends[1])), "{text}");
    }

    #[test]
    fn durations_are_told_in_seconds() {
        let mut quorum = Observations::new(&COMMIT_LATENCY);
        [50, 51, 10_000_001].into_iter().for_each(|us| quorum.observe_duration(Micros(us)));
        let text = rendered(&quorum, Format::Text);
        let name = "laconic_commit_latency_seconds";
        for (bound, count) in [("5e-05", 1), ("0.0001", 2), ("10.0", 2), ("+Inf", 3)] {
            let line = format!("{name}_bucket{{a=\"b\",le=\"{bound}\"}} {count}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
        let ends = ["_sum", "_count"].map(|end| format!("{name}{end}{{a=\"b\"}}"));
        assert!(text.ends_with(&format!("{} 10.000102\n{} 3\n", ends[0], ends[1])), "{text}");
    }

    #[test]
    fn an_exemplar_stands_beside_the_bucket_of_its_observation_in_open_metrics_alone() {
        let mut durations = Observations::new(&REQUEST_DURATION);
        for (us, mid) in [(20_000, "early"), (20_000, "A\"1"), (20_001, "B"), (11_000_000, "C")] {
            durations.observe_duration(Micros(us));
            durations.tell_exemplar(Micros(us), mid, 1_000.5);
        }
        let name = "laconic_client_request_duration_seconds_bucket";
        let text = rendered(&durations, Format::OpenMetrics);
        for (bound, rest) in [
            ("0.02", r#"2 # {mid="A\"1"} 0.02 1000.500"#),
            ("0.05", r#"3 # {mid="B"} 0.020001 1000.500"#),
            ("0.1", "3"),
            ("+Inf", r#"4 # {mid="C"} 11 1000.500"#),
        ] {
            let line = format!("{name}{{a=\"b\",le=\"{bound}\"}} {rest}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(!rendered(&durations, Format::Text).contains('#'));
    }

    #[test]
    fn a_reader_sees_what_another_thread_has_added() {
        let mut tally = Tally::default();
        let reader = tally.reader();
        std::thread::spawn(move || (0..1_000).for_each(|_| tally.add(2))).join().unwrap();
        assert_eq!(reader.count(), 2_000);
    }
}
