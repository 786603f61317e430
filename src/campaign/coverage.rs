//! What happened in runs: the marks of the core's rare branches, and how much was asked and sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::{EnumCount, VariantArray};

use crate::raft::{Mark, Marks};

/// What happened in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The rare branches that some replica took.
    pub marks: Marks,
    /// Whether reads were old in a run that leaves leases no ground (clocks differ too much, or
    /// turns take too long).
    pub stale_reads: bool,
    /// Requests of clients, those sent again included.
    pub requests: u64,
    /// Messages between replicas.
    pub messages: u64,
}

/// What happened in several runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Runs that were done.
    pub runs: u64,
    /// Requests in all of them.
    pub requests: u64,
    /// Messages in all of them.
    pub messages: u64,
    /// Runs with old reads, where leases have no ground.
    pub stale_reads: u64,
    /// In how many runs each mark was taken.
    #[serde(rename = "marks", serialize_with = "by_name", deserialize_with = "from_names")]
    counts: [u64; Mark::COUNT],
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { runs: 0, requests: 0, messages: 0, stale_reads: 0, counts: [0; Mark::COUNT] }
    }
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, coverage: &Coverage) {
        self.runs += 1;
        self.requests += coverage.requests;
        self.messages += coverage.messages;
        self.stale_reads += u64::from(coverage.stale_reads);
        for mark in coverage.marks.iter() {
            self.counts[mark as usize] += 1;
        }
    }

    /// Adds the runs of `other`.
    pub fn join(&mut self, other: &Tally) {
        self.runs += other.runs;
        self.requests += other.requests;
        self.messages += other.messages;
        self.stale_reads += other.stale_reads;
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
    }

    /// In how many runs `mark` was taken.
    pub fn count(&self, mark: Mark) -> u64 {
        self.counts[mark as usize]
    }

    /// The marks and in how many runs each was taken, the rarest first.
    pub fn rarest_first(&self) -> Vec<(Mark, u64)> {
        let mut rows: Vec<(Mark, u64)> =
            Mark::VARIANTS.iter().map(|mark| (*mark, self.count(*mark))).collect();
        rows.sort_by_key(|(mark, count)| (*count, *mark));
        rows
    }

    /// The marks that no run took.
    pub fn missing(&self) -> Vec<Mark> {
        Mark::VARIANTS.iter().copied().filter(|mark| self.count(*mark) == 0).collect()
    }
}

/// The marks that were taken, by name.
fn by_name<S: Serializer>(counts: &[u64; Mark::COUNT], serializer: S) -> Result<S::Ok, S::Error> {
    let taken = Mark::VARIANTS.iter().zip(counts).filter(|(_, count)| **count > 0);
    serializer.collect_map(taken.map(|(mark, count)| (mark.name(), count)))
}

fn from_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u64; Mark::COUNT], D::Error> {
    let mut counts = [0; Mark::COUNT];
    for (name, count) in BTreeMap::<String, u64>::deserialize(deserializer)? {
        let mark: Mark = name
            .parse()
            .map_err(|_| serde::de::Error::custom(format!("there is no mark {name:?}")))?;
        counts[mark as usize] = count;
    }
    Ok(counts)
}
