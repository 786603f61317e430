//! The record files of a real run: where they lie, and what they hold on the run's clock.

use std::path::{Path, PathBuf};

use crate::archive::{FileHeader, RecordFile, RecordFileError, RunRecords};
use crate::clock::MonotonicClock;
use crate::record::{Record, SIMULATOR};
use crate::sim::folder::Scratch;

/// Where in a run's folder its replicas' black boxes are.
pub(super) const BOXES: &str = "boxes";

/// Where the records of a run are.
pub(super) struct Recordings {
    folder: PathBuf,
    _scratch: Option<Scratch>,
}

impl Recordings {
    /// In `out` or a folder of their own, which is empty. Whoever names `out` has seen to it that
    /// no other run lies there ([`crate::sim::folder`]).
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

    /// What `LACONIC_OUT` is to the replicas.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins the simulator's own file.
    pub fn create_simulators(&self, clock: &MonotonicClock) -> Result<RecordFile, RecordFileError> {
        let header = FileHeader { source: SIMULATOR, clock_start_us: clock.start_us() };
        RecordFile::create(&self.simulators(), header)
    }

    /// All records in the order of time, which is 0 when the run began; what came before is at 0.
    /// A replica that wrote no file, as one that never came up, has no records.
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
