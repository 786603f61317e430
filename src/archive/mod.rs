//! Records on disk: what a run leaves in its folder, and how it is read again, however damaged.
//!
//! - `file`: one source's records, frame after frame; `run`: all of a run's as one stream of time;
//! - `folder`: which files of a folder are the run's own;
//! - `history`: what the clients saw.
//!
//! What a record says, and its frame, is the matter of [`crate::record`].

mod file;
mod folder;
mod history;
mod run;

pub use file::{FileHeader, ReadRecords, RecordFile, RecordFileError, RecordReader, read_records};
pub use folder::RunFiles;
pub use history::{HistoryError, read_history};
pub use run::RunRecords;
