//! What one thread tells and any other reads. The fold over records is one thread's, so counting is
//! a load, an addition and a store; a counter that several threads may tell takes a locked
//! addition, and a histogram that they may tell keeps each observation until somebody folds it in:
//! together three times as much for a record of a replica (`cargo bench --bench metrics`).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::exposition::{Format, escaped};
use super::family::Family;
use crate::raft::Micros;

/// Adds to what only the caller writes.
fn add(cell: &AtomicU64, count: u64) {
    cell.store(cell.load(Ordering::Relaxed) + count, Ordering::Relaxed);
}

/// A count. There is one for each series, and it cannot be cloned: nobody else adds to it.
#[derive(Debug, Default)]
pub(super) struct Tally(Arc<AtomicU64>);

impl Tally {
    /// Adds `count`.
    pub fn add(&mut self, count: u64) {
        add(&self.0, count);
    }

    /// What shows it to other threads.
    pub fn reader(&self) -> TallyReader {
        TallyReader(self.0.clone())
    }
}

/// Reads a [`Tally`].
pub(super) struct TallyReader(Arc<AtomicU64>);

impl TallyReader {
    /// All that has been added so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Most bounds of a family's buckets.
pub(super) const MOST_BOUNDS: usize = 17;

/// The observations of a histogram's series, by bucket. Values are whole numbers: microseconds of
/// durations, whose family counts in seconds.
///
/// In this order, the two cache lines that an observation mostly needs are all that it needs.
#[derive(Debug)]
#[repr(C)]
struct Buckets {
    sum: AtomicU64,
    /// The family's bounds, as whole numbers; what is behind them is never exceeded.
    bounds: [u64; MOST_BOUNDS],
    /// How many lay in each bucket, not in those below; the last of the family's is for what lies
    /// above all its bounds.
    counts: [AtomicU64; MOST_BOUNDS + 1],
    family: &'static Family,
    /// The latest of each bucket; few observations come with one.
    exemplars: Mutex<[Option<Exemplar>; MOST_BOUNDS + 1]>,
}

/// An observation with the request that it was of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exemplar {
    /// The request's MID.
    pub mid: String,
    /// In the family's unit.
    pub value: f64,
    /// When, in seconds since the Unix epoch.
    pub unix_seconds: f64,
}

impl Buckets {
    /// How many of what is observed are one in the unit of `family`.
    fn scale(family: &Family) -> f64 {
        if family.unit == "seconds" { 1e6 } else { 1.0 }
    }
}

/// A histogram's series. As a [`Tally`], it has one source.
#[derive(Debug)]
pub(super) struct Observations(Arc<Buckets>);

impl Observations {
    /// None yet, in the buckets of `family`.
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

    /// Adds one that lasted so long.
    pub fn observe_duration(&mut self, duration: Micros) {
        self.observe(duration.0);
    }

    /// Adds one of `value`.
    pub fn observe(&mut self, value: u64) {
        let Buckets { bounds, counts, sum, .. } = &*self.0;
        // Most are short, and alike: the first bounds decide.
        let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(MOST_BOUNDS);
        add(&counts[bucket], 1);
        add(sum, value);
    }

    /// The observation of `duration` just added was of the request `mid`.
    pub fn tell_exemplar(&self, duration: Micros, mid: &str, unix_seconds: f64) {
        let buckets = &*self.0;
        let value = duration.0 as f64 / Buckets::scale(buckets.family);
        let exemplar = Exemplar { mid: mid.to_owned(), value, unix_seconds };
        let bucket = buckets.family.buckets.partition_point(|bound| *bound < value);
        // Whole, whoever panicked while it held them.
        let mut exemplars = buckets.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
        exemplars[bucket] = Some(exemplar);
    }

    /// What shows them to other threads.
    pub fn reader(&self) -> ObservationsReader {
        ObservationsReader(self.0.clone())
    }
}

/// Reads [`Observations`].
pub(super) struct ObservationsReader(Arc<Buckets>);

impl ObservationsReader {
    /// Appends the series with these labels, as they stand between the braces: each bucket with all
    /// below it, sum and count; with exemplars where the format has them.
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

/// A bucket's bound as OpenMetrics writes it: with a point, and an exponent of two digits.
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
