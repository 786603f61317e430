//! What one thread tells and any other reads. The fold over records is one thread's, so counting is
//! a load, an addition and a store; a counter that several threads may tell takes a locked
//! addition, and a histogram that they may tell keeps each observation until somebody folds it in:
//! together three times as much for a record of a replica (`cargo bench --bench metrics`).

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
        Observations(Arc::new(Buckets { family, bounds, counts, sum: AtomicU64::new(0) }))
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

    /// What shows them to other threads, as the series with these labels, as they stand between the
    /// braces.
    pub fn reader(&self, labels: String) -> ObservationsReader {
        ObservationsReader { labels, buckets: self.0.clone() }
    }
}

/// Reads [`Observations`].
pub(super) struct ObservationsReader {
    labels: String,
    buckets: Arc<Buckets>,
}

impl ObservationsReader {
    /// Whose series it is.
    pub fn family(&self) -> &'static Family {
        self.buckets.family
    }

    /// Appends the series in Prometheus's text format: each bucket with all below it, sum and
    /// count.
    pub fn render(&self, text: &mut String) {
        let ObservationsReader { labels, buckets } = self;
        let family = buckets.family;
        let bounds = family.buckets.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (bound, of_bucket) in bounds.zip(&buckets.counts) {
            count += of_bucket.load(Ordering::Relaxed);
            let _ =
                writeln!(text, "{}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}", family.name);
        }
        let sum = buckets.sum.load(Ordering::Relaxed) as f64 / Buckets::scale(family);
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(text, "{}_sum{braced} {sum}", family.name);
        let _ = writeln!(text, "{}_count{braced} {count}", family.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::family::{BATCH_ENTRIES, COMMIT_LATENCY};

    fn rendered(observations: &Observations, labels: &str) -> String {
        let mut text = String::new();
        observations.reader(labels.into()).render(&mut text);
        text
    }

    #[test]
    fn an_observation_is_in_the_bucket_whose_bound_it_does_not_exceed_and_in_all_above() {
        let mut entries = Observations::new(&BATCH_ENTRIES);
        [1, 3, 4, 4_096, 4_097].into_iter().for_each(|value| entries.observe(value));
        let text = rendered(&entries, "");
        let name = "laconic_batch_entries";
        for (bound, count) in [("1", 1), ("2", 1), ("4", 3), ("2048", 3), ("4096", 4), ("+Inf", 5)]
        {
            assert!(text.contains(&format!("{name}_bucket{{le=\"{bound}\"}} {count}\n")), "{text}");
        }
        assert!(text.ends_with(&format!("{name}_sum 8201\n{name}_count 5\n")), "{text}");
    }

    #[test]
    fn durations_are_told_in_seconds() {
        let mut quorum = Observations::new(&COMMIT_LATENCY);
        [50, 51, 10_000_001].into_iter().for_each(|us| quorum.observe_duration(Micros(us)));
        let text = rendered(&quorum, "stage=\"quorum\"");
        let name = "laconic_commit_latency_seconds";
        for (bound, count) in [("0.00005", 1), ("0.0001", 2), ("10", 2), ("+Inf", 3)] {
            let line = format!("{name}_bucket{{stage=\"quorum\",le=\"{bound}\"}} {count}\n");
            assert!(text.contains(&line), "{text}");
        }
        let ends = ["_sum", "_count"].map(|end| format!("{name}{end}{{stage=\"quorum\"}}"));
        assert!(text.ends_with(&format!("{} 10.000102\n{} 3\n", ends[0], ends[1])), "{text}");
    }

    #[test]
    fn a_reader_sees_what_another_thread_has_added() {
        let mut tally = Tally::default();
        let reader = tally.reader();
        std::thread::spawn(move || (0..1_000).for_each(|_| tally.add(2))).join().unwrap();
        assert_eq!(reader.count(), 2_000);
    }
}
