//! The record files of a real run: where they are, and their records on the run's clock.

use std::path::{Path, PathBuf};

use crate::archive::{FileHeader, RecordFile, RecordFileError, RunRecords};
use crate::clock::MonotonicClock;
use crate::record::{Record, SIMULATOR};
use crate::sim::folder::Scratch;

/// The folder for the replicas' black boxes, within a run's folder.
pub(super) const BOXES: &str = "boxes";

/// The folder with the records of a run.
pub(super) struct Recordings {
    folder: PathBuf,
    _scratch: Option<Scratch>,
}

impl Recordings {
    /// In `out`, or else in a new empty folder. The caller makes sure that `out` holds no other run
    /// ([`crate::sim::folder`]).
    pub fn prepare(out: Option<&Path>) -> Result<Recordings, RecordFileError> {
        let scratch = out.is_none().then(Scratch::unused);
        let folder = scratch.as_ref().map(|scratch| scratch.path().to_owned());
        let folder = folder.unwrap_or_else(|| out.unwrap_or(Path::new(".")).to_owned());
        let recordings = Recordings { folder, _scratch: scratch };
        let records = recordings.folder.join("records");
        std::fs::create_dir_all(&records)
            .map_err(|source| RecordFileError::Io { path: records, source })?;
        Ok(recordings)
    }

    /// The folder that replicas get as `LACONIC_OUT`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Creates the simulator's own record file.
    pub fn create_simulators(&self, clock: &MonotonicClock) -> Result<RecordFile, RecordFileError> {
        let header = FileHeader { source: SIMULATOR, clock_start_us: clock.start_us() };
        RecordFile::create(&self.simulators(), header)
    }

    /// All records in order of time. Time 0 is when the run began; earlier records are at 0. A
    /// replica that wrote no file, for example because it never started, has no records.
    pub fn read(&self) -> Result<Vec<Record>, RecordFileError> {
        Ok(RunRecords::open(&self.folder)?.collect())
    }

    fn simulators(&self) -> PathBuf {
        self.folder.join("simulator.bin")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_a_folder_leaves_nothing() {
        let out = tempfile::tempdir().unwrap();
        drop(Recordings::prepare(Some(out.path())).unwrap());
        assert!(out.path().join("records").exists());
        let recordings = Recordings::prepare(None).unwrap();
        let folder = recordings.folder().to_owned();
        assert!(folder.join("records").exists());
        drop(recordings);
        assert!(!folder.exists());
    }
}
