//! What a campaign has found, a block of seeds at a time. A block is one line of the results, with
//! the failures in it: so it stands there as a whole or not at all, and a campaign that goes on
//! does no seed twice. A line a seed would be a hundred times as long and say no more, since a seed
//! that went well can be run again in a millisecond.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::coverage::Tally;
use crate::journal::{self, JournalError, Shard};

/// How many seeds a block has.
pub const BLOCK: u64 = 250;

/// From so many runs on, a mark that none took fails the campaign.
pub const ENOUGH_RUNS: u64 = 10_000;

/// Version of the results' form.
const SCHEMA: u64 = 1;

/// A seed whose run was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The kind of thing that was wrong.
    pub kind: String,
    /// When it was seen, in microseconds, if that was before the end.
    pub at_us: Option<u64>,
    /// What exactly.
    pub detail: String,
    /// How many faults, events and requests are left in the smallest run that shows it.
    pub smallest: Option<usize>,
}

/// What a block of seeds has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its first seed.
    pub first: u64,
    /// What its runs have covered.
    #[serde(flatten)]
    pub tally: Tally,
    /// The runs that were wrong.
    pub failures: Vec<Failure>,
}

/// What a campaign is about: its seeds, and which part of them is done here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seeds, the last one left out.
    pub seeds: Range<u64>,
    /// The part of them: every N-th block.
    pub shard: Shard,
}

impl Plan {
    /// The first line of the results.
    pub fn head(&self) -> Value {
        let Range { start, end } = self.seeds;
        let shard = self.shard;
        json!({ "campaign": SCHEMA, "first": start, "end": end, "block": BLOCK, "shard": shard })
    }

    /// The blocks of this part, in order.
    pub fn blocks(&self) -> impl Iterator<Item = Range<u64>> + Send {
        let Range { start, end } = self.seeds;
        let Shard { number, of } = self.shard;
        let count = (end - start).div_ceil(BLOCK);
        (number - 1..count).step_by(of as usize).map(move |block| {
            let first = start + block * BLOCK;
            first..first.saturating_add(BLOCK).min(end)
        })
    }

    /// How many seeds this part has.
    pub fn count(&self) -> u64 {
        let Range { start, end } = self.seeds;
        let Shard { number, of } = self.shard;
        let count = (end - start).div_ceil(BLOCK);
        if count < number {
            return 0;
        }
        let last = (end - start) - (count - 1) * BLOCK;
        let blocks = (count - number) / of + 1;
        let has_last = (count - number).is_multiple_of(of);
        // A campaign without an end has more than can be counted.
        blocks.saturating_mul(BLOCK) - if has_last { BLOCK - last } else { 0 }
    }
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What the runs covered.
    pub tally: Tally,
    /// The runs that were wrong, by seed.
    pub failures: Vec<Failure>,
}

impl Found {
    /// Adds a block.
    pub fn add(&mut self, block: Block) {
        self.tally.join(&block.tally);
        self.failures.extend(block.failures);
        self.failures.sort_by_key(|failure| failure.seed);
    }

    /// Whether a mark that no run took means that the campaign is too weak.
    pub fn is_too_weak(&self) -> bool {
        self.tally.runs >= ENOUGH_RUNS && !self.tally.missing().is_empty()
    }
}

/// Why results cannot be joined. Each prints as one line.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A file cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file does not belong to the others.
    #[error("{path}: {reason}")]
    NotMergeable {
        /// The file's path.
        path: PathBuf,
        /// Why it does not.
        reason: String,
    },
}

/// Joins the results of shards. Returns all that was found, and how many seeds of the whole
/// campaign are in none of the files.
///
/// # Errors
/// If a file cannot be read, is of another campaign, or repeats what another has.
pub fn merge(paths: &[PathBuf]) -> Result<(Found, u64), MergeError> {
    let mut campaign: Option<Value> = None;
    let mut blocks: BTreeMap<u64, Block> = BTreeMap::new();
    for path in paths {
        let refuse = |reason: String| MergeError::NotMergeable { path: path.clone(), reason };
        let (mut head, found) = journal::read::<Block>(path)?;
        if let Some(head) = head.as_object_mut() {
            head.remove("shard");
        }
        let first = campaign.get_or_insert_with(|| head.clone());
        if let Some(key) = journal::difference(&head, first) {
            return Err(refuse(format!("is of another campaign, with another {key}")));
        }
        for block in found {
            let seed = block.first;
            if blocks.insert(seed, block).is_some() {
                return Err(refuse(format!("repeats the block of seed {seed}")));
            }
        }
    }
    let head = campaign.unwrap_or_default();
    let seeds =
        head["end"].as_u64().unwrap_or(0).saturating_sub(head["first"].as_u64().unwrap_or(0));
    let mut found = Found::default();
    blocks.into_values().for_each(|block| found.add(block));
    let tried = found.tally.runs + found.failures.len() as u64;
    Ok((found, seeds.saturating_sub(tried)))
}
