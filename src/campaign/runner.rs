//! Does the runs of a campaign on all cores, block by block.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::case::Options;
use super::coverage::Tally;
use super::draw::draw;
use super::results::{Block, Failure, Found, Plan};
use super::shrink::{Shrunk, shrink, size};
use super::try_seed;
use crate::journal::{Journal, JournalError};

/// How many runs it may take to make a failing one smaller.
const MOST_SHRINKING_RUNS: u64 = 4_000;

/// How many failing runs are made smaller. After that many, more of them tell little.
const MOST_SHRUNK: usize = 20;

/// Sees a campaign as it goes on, from several threads.
pub trait Watcher: Sync {
    /// A run has ended.
    fn on_run(&self);

    /// A run was wrong. It was made smaller, unless many were before.
    fn on_failure(&self, failure: &Failure, shrunk: Option<&Shrunk>);

    /// Whether no more runs are to be begun.
    fn is_stopped(&self) -> bool;
}

/// Does the runs of `plan` that are not in `done` yet, and keeps each block in `journal`. A block
/// that is stopped in the middle does not count.
///
/// # Errors
/// If the journal cannot be written.
pub fn run_all(
    plan: &Plan,
    options: &Options,
    journal: Option<&Journal<Block>>,
    done: Vec<Block>,
    watcher: &dyn Watcher,
) -> Result<Found, JournalError> {
    let begun: std::collections::BTreeSet<u64> = done.iter().map(|block| block.first).collect();
    let mut found = Found::default();
    done.into_iter().for_each(|block| found.add(block));
    let found = Mutex::new(found);
    let runner = Runner { options, watcher, shrunk: AtomicUsize::new(0) };
    let blocks = plan.blocks().filter(|seeds| !begun.contains(&seeds.start));
    let blocks = blocks.take_while(|_| !watcher.is_stopped());
    blocks.par_bridge().try_for_each(|seeds| {
        let Some(block) = runner.block(seeds) else {
            return Ok(());
        };
        if let Some(journal) = journal {
            journal.keep(&block)?;
        }
        found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(block);
        Ok(())
    })?;
    Ok(found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

struct Runner<'a> {
    options: &'a Options,
    watcher: &'a dyn Watcher,
    /// How many failing runs were made smaller.
    shrunk: AtomicUsize,
}

impl Runner<'_> {
    /// Tries the seeds of a block; `None` if it was stopped before its end.
    fn block(&self, seeds: Range<u64>) -> Option<Block> {
        let first = seeds.start;
        let mut block = Block { first, tally: Tally::default(), failures: Vec::new() };
        for seed in seeds {
            if self.watcher.is_stopped() {
                return None;
            }
            match try_seed(seed, self.options) {
                Ok(coverage) => block.tally.add(&coverage),
                Err(violation) => {
                    let mut failure = Failure {
                        seed,
                        kind: violation.kind.name().to_owned(),
                        at_us: violation.at.map(|at| at.0),
                        detail: violation.detail.clone(),
                        smallest: None,
                    };
                    let few = self.shrunk.fetch_add(1, Ordering::Relaxed) < MOST_SHRUNK;
                    let shrunk = few.then(|| {
                        let case = draw(seed, self.options);
                        shrink(&case, &violation, self.options, MOST_SHRINKING_RUNS)
                    });
                    failure.smallest = shrunk.as_ref().map(|shrunk| size(&shrunk.case));
                    self.watcher.on_failure(&failure, shrunk.as_ref());
                    block.failures.push(failure);
                }
            }
            self.watcher.on_run();
        }
        Some(block)
    }
}
