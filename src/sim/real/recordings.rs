//! The record files of a real run: where they lie, and what they hold on the run's clock.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::discovery::address_file;
use crate::clock::MonotonicClock;
use crate::raft::Member;
use crate::record::{FileHeader, Record, RecordFile, RecordFileError, RunRecords, SIMULATOR};
use crate::sim::course::arrived::address_of;

/// Where in a run's folder its replicas' black boxes are.
pub(super) const BOXES: &str = "boxes";

/// A folder for this run alone, removed when the run is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let name = format!("laconic-{}-{run}", std::process::id());
        Scratch(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind lies in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where the records of a run are.
pub(super) struct Recordings {
    folder: PathBuf,
    replicas: usize,
    _scratch: Option<Scratch>,
}

impl Recordings {
    /// In `out` or a folder of their own, without what an earlier run left there.
    pub fn prepare(out: Option<&Path>, replicas: usize) -> Result<Recordings, RecordFileError> {
        let scratch = out.is_none().then(Scratch::new);
        let folder = scratch.as_ref().map(|scratch| scratch.0.clone());
        let folder = folder.unwrap_or_else(|| out.unwrap_or(Path::new(".")).to_owned());
        let recordings = Recordings { folder, replicas, _scratch: scratch };
        let records = recordings.folder.join("records");
        std::fs::create_dir_all(&records)
            .map_err(|source| RecordFileError::Io { path: records, source })?;
        for path in recordings.paths().chain(recordings.boxes()) {
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(RecordFileError::Io { path, source });
                }
                _ => {}
            }
        }
        Ok(recordings)
    }

    /// What `LACONIC_OUT` is to the replicas.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins the simulator's own file.
    pub fn create_simulators(&self, clock: &MonotonicClock) -> Result<RecordFile, RecordFileError> {
        let header = FileHeader { teller: SIMULATOR, clock_start_us: clock.start_us() };
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

    fn boxes(&self) -> impl Iterator<Item = PathBuf> {
        let name = |rank| format!("{BOXES}/{}.box", address_of(Member(rank)));
        (0..self.replicas as u8).map(name).map(|name| self.folder.join(name))
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let replica = |rank| format!("records/{}.bin", address_of(Member(rank)));
        let replicas = (0..self.replicas as u8).map(replica);
        let metrics = |rank| {
            let member = Member(rank);
            let last_figures = self.folder.join(format!("{}.prom", address_of(member)));
            [address_file(&self.folder, member), last_figures]
        };
        let metrics = (0..self.replicas as u8).flat_map(metrics);
        replicas.map(|name| self.folder.join(name)).chain(metrics).chain([self.simulators()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_an_earlier_run_is_cleared_and_a_run_without_one_leaves_nothing() {
        let out = tempfile::tempdir().unwrap();
        let stale = out.path().join("records/0001.bin");
        std::fs::create_dir_all(stale.parent().unwrap()).unwrap();
        std::fs::write(&stale, "stale").unwrap();
        drop(Recordings::prepare(Some(out.path()), 3).unwrap());
        assert!(!stale.exists() && out.path().join("records").exists());
        let recordings = Recordings::prepare(None, 3).unwrap();
        let folder = recordings.folder().to_owned();
        assert!(folder.join("records").exists());
        drop(recordings);
        assert!(!folder.exists());
    }
}
