//! What a search has measured, a line a run, in a journal that outlives it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::TuneError;
use super::figures::RunFigures;
use crate::journal::{self, JournalError};

/// The journal's name in a search's folder.
pub const JOURNAL: &str = "journal.jsonl";

/// Which run a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunKey {
    /// The fingerprint of the knobs.
    pub tuning: u64,
    /// The number of the scenario, in the order of the search.
    pub scenario: usize,
    /// The seed.
    pub seed: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    key: RunKey,
    #[serde(flatten)]
    figures: RunFigures,
}

type Done = HashMap<RunKey, RunFigures, FxBuildHasher>;

/// The runs that are done. Only looked up, never listed: their order on disk is that in which they
/// ended.
#[derive(Debug)]
pub struct Journal {
    lines: journal::Journal<Line>,
    done: Mutex<Done>,
}

impl Journal {
    /// Opens the journal of the search `head` in `folder`, or begins it. With `force`, what another
    /// search has left there is replaced.
    ///
    /// # Errors
    /// If it is that of another search, cannot be read, or has a line in the middle that is none.
    pub fn open(folder: &Path, head: &Value, force: bool) -> Result<Journal, TuneError> {
        let path = folder.join(JOURNAL);
        let failed = |source| JournalError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let (lines, found) = journal::Journal::<Line>::open(&path, head, force)?;
        let done = found.into_iter().map(|Line { key, figures }| (key, figures)).collect();
        Ok(Journal { lines, done: Mutex::new(done) })
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run's numbers, if it is done.
    pub fn get(&self, key: &RunKey) -> Option<RunFigures> {
        self.done().get(key).copied()
    }

    /// How many runs are done.
    pub fn runs_done(&self) -> u64 {
        self.done().len() as u64
    }

    /// Keeps a run's numbers.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn keep(&self, key: RunKey, figures: RunFigures) -> Result<(), TuneError> {
        self.lines.keep(&Line { key, figures })?;
        self.done().insert(key, figures);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures(messages: u64) -> RunFigures {
        RunFigures {
            messages,
            puts: 2,
            p50_latency_us: 3,
            p99_latency_us: 4,
            leaderless_us: 5,
            failed_checks: 6,
            unanswered: 7,
            second_answers: u64::MAX,
        }
    }

    fn key(seed: u64) -> RunKey {
        RunKey { tuning: u64::MAX, scenario: 1, seed }
    }

    #[test]
    fn what_was_kept_is_there_again_and_a_torn_last_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let head = json!({"seed": 1, "runs": 9});
        let journal = Journal::open(folder.path(), &head, false).unwrap();
        (1..=3).for_each(|seed| journal.keep(key(seed), figures(seed)).unwrap());
        drop(journal);
        let path = folder.path().join(JOURNAL);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 9]).unwrap();
        let journal = Journal::open(folder.path(), &head, false).unwrap();
        assert_eq!(journal.runs_done(), 2);
        assert_eq!(journal.get(&key(2)), Some(figures(2)));
        assert_eq!(journal.get(&key(3)), None);
        journal.keep(key(3), figures(3)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn another_search_is_refused_with_what_differs_and_replaced_if_forced() {
        let folder = tempfile::tempdir().unwrap();
        let head = json!({"seed": 1, "runs": 9});
        Journal::open(folder.path(), &head, false).unwrap().keep(key(1), figures(1)).unwrap();
        let other = json!({"seed": 2, "runs": 9});
        let refused = Journal::open(folder.path(), &other, false).unwrap_err().to_string();
        assert!(refused.contains(JOURNAL) && refused.contains("another seed"), "{refused}");
        assert_eq!(Journal::open(folder.path(), &head, false).unwrap().runs_done(), 1);
        assert_eq!(Journal::open(folder.path(), &other, true).unwrap().runs_done(), 0);
        assert!(Journal::open(folder.path(), &head, false).is_err());
    }

    #[test]
    fn a_line_in_the_middle_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let head = json!({"seed": 1});
        Journal::open(folder.path(), &head, false).unwrap().keep(key(1), figures(1)).unwrap();
        let path = folder.path().join(JOURNAL);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text + "{\"tuning\": 3}\n").unwrap();
        let refused = Journal::open(folder.path(), &head, false).unwrap_err().to_string();
        assert!(refused.contains("journal.jsonl:3: missing field"), "{refused}");
    }
}
