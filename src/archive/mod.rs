//! Records on disk: what a run leaves in its folder, and how it is read again, even if damaged.
//!
//! - `file`: one source's records, frame after frame; `run`: all records of a run in order of time;
//! - `folder`: which files of a folder belong to the run;
//! - `history`: what the clients saw.
//!
//! What a record says, and how it is encoded, is defined in [`crate::record`].

mod file;
mod folder;
mod history;
mod run;

pub use file::{FileHeader, ReadRecords, RecordFile, RecordFileError, RecordReader, read_records};
pub use folder::RunFiles;
pub use history::{HistoryError, read_history};
pub use run::RunRecords;
