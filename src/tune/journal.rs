//! What a search has measured, as lines of JSON that outlive it: the search itself first, then a
//! line a run. A line is written as a whole when its run is done, so a process that is killed loses
//! at most the runs under way. A last line without an end is dropped.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::TuneError;
use super::figures::RunFigures;

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

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    key: RunKey,
    #[serde(flatten)]
    figures: RunFigures,
}

/// The runs that are done. Only looked up, never listed: their order on disk is that in which they
/// ended.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    runs: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    file: File,
    done: HashMap<RunKey, RunFigures, FxBuildHasher>,
}

impl Journal {
    /// Opens the journal of the search `head` in `folder`, or begins it. With `force`, what another
    /// search has left there is replaced.
    ///
    /// # Errors
    /// If it is that of another search, cannot be read, or has a line in the middle that is none.
    pub fn open(folder: &Path, head: &Value, force: bool) -> Result<Journal, TuneError> {
        let path = folder.join(JOURNAL);
        let failed = |source| TuneError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut done = HashMap::default();
        let mut kept = 0;
        if whole > 0 {
            match read(&path, &text[..whole], head) {
                Ok(found) => (done, kept) = (found, whole),
                Err(TuneError::OtherSearch { .. }) if force => {}
                Err(error) => return Err(error),
            }
        }
        let mut file = OpenOptions::new().append(true).create(true).open(&path).map_err(failed)?;
        file.set_len(kept as u64).map_err(failed)?;
        if kept == 0 {
            file.write_all(format!("{head}\n").as_bytes()).map_err(failed)?;
        }
        Ok(Journal { path, runs: Mutex::new(Kept { file, done }) })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A thread that panicked while it wrote has left at worst a torn last line.
        self.runs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The run's numbers, if it is done.
    pub fn get(&self, key: &RunKey) -> Option<RunFigures> {
        self.kept().done.get(key).copied()
    }

    /// How many runs are done.
    pub fn runs_done(&self) -> u64 {
        self.kept().done.len() as u64
    }

    /// Keeps a run's numbers.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn keep(&self, key: RunKey, figures: RunFigures) -> Result<(), TuneError> {
        // Numbers always serialize.
        let line = serde_json::to_string(&Line { key, figures }).unwrap_or_default() + "\n";
        let mut kept = self.kept();
        let written = kept.file.write_all(line.as_bytes());
        written.map_err(|source| TuneError::Io { path: self.path.clone(), source })?;
        kept.done.insert(key, figures);
        Ok(())
    }
}

/// The runs in the whole lines of `text`, if it is the journal of the search `head`.
fn read(
    path: &Path,
    text: &str,
    head: &Value,
) -> Result<HashMap<RunKey, RunFigures, FxBuildHasher>, TuneError> {
    let malformed = |line: usize, error: serde_json::Error| TuneError::Malformed {
        path: path.to_owned(),
        line,
        reason: error.to_string(),
    };
    let mut lines = text.lines().zip(1..);
    let (first, _) = lines.next().unwrap_or_default();
    let found: Value = serde_json::from_str(first).map_err(|error| malformed(1, error))?;
    if let Some(key) = difference(&found, head) {
        return Err(TuneError::OtherSearch { path: path.to_owned(), key });
    }
    lines
        .map(|(line, number)| {
            let Line { key, figures } =
                serde_json::from_str(line).map_err(|error| malformed(number, error))?;
            Ok((key, figures))
        })
        .collect()
}

/// The first key whose value differs.
pub fn difference(one: &Value, other: &Value) -> Option<String> {
    if one == other {
        return None;
    }
    let keys = [one, other].into_iter().filter_map(Value::as_object).flat_map(|map| map.keys());
    let mut differing = keys.filter(|key| one.get(key.as_str()) != other.get(key.as_str()));
    Some(differing.next().map_or_else(|| "form".to_owned(), Clone::clone))
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
