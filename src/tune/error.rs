//! Why a search ends without a result.

use std::path::PathBuf;

use super::experiment::ExperimentError;
use crate::journal::JournalError;

/// Why a search ends without a result. Each prints as one line.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// A run could not be done.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The user interrupted it. What is done is kept.
    #[error("interrupted after {done} of {planned} runs: the same command goes on from there")]
    Interrupted {
        /// Runs that are kept.
        done: u64,
        /// Runs that were to be done up to the end of the search.
        planned: u64,
    },
    /// There are too few runs to compare anything.
    #[error(
        "--runs {runs} is too few: it takes {least} (scenarios: {scenarios}, shards: {shards})"
    )]
    TooFewRuns {
        /// Runs asked for.
        runs: u64,
        /// The fewest that make sense.
        least: u64,
        /// Number of scenarios.
        scenarios: usize,
        /// Number of shards.
        shards: u64,
    },
    /// The folder holds what another search has left.
    #[error("{path}: holds another search, with another {key}: name another folder, or --force")]
    OtherSearch {
        /// The journal's path.
        path: PathBuf,
        /// What differs.
        key: String,
    },
    /// Folders that are to be merged do not belong together.
    #[error("{path}: {reason}")]
    NotMergeable {
        /// The folder.
        path: PathBuf,
        /// Why it does not fit the others.
        reason: String,
    },
    /// A file of the search cannot be used.
    #[error(transparent)]
    File(JournalError),
}

impl From<JournalError> for TuneError {
    fn from(error: JournalError) -> TuneError {
        match error {
            JournalError::OtherWork { path, key } => TuneError::OtherSearch { path, key },
            other => TuneError::File(other),
        }
    }
}
