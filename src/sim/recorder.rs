//! Where a run's records go besides the fold: nowhere, into memory, or into the run's folder.

use std::path::Path;

use crate::archive::{FileHeader, RecordFile, RecordFileError};
use crate::raft::Member;
use crate::record::{Record, SIMULATOR, Sink};

/// A sink for all sources of a run.
#[derive(Debug)]
pub enum Recorder {
    /// Keeps no records.
    Nothing,
    /// Keeps the records in memory, in the order in which they were recorded.
    Memory(Vec<Record>),
    /// Writes one file for each replica, the simulator's last.
    Files(Vec<RecordFile>),
}

impl Recorder {
    /// Files in the run's folder `out`, which is created: `records/ID.bin` for each replica and
    /// `simulator.bin`.
    ///
    /// # Errors
    /// If a folder or file cannot be created.
    pub fn files(out: &Path, replicas: usize) -> Result<Recorder, RecordFileError> {
        let folder = out.join("records");
        std::fs::create_dir_all(&folder)
            .map_err(|source| RecordFileError::Io { path: folder.clone(), source })?;
        let mut files = Vec::new();
        for source in (0..replicas).map(|rank| Member(rank as u8)) {
            let path = folder.join(format!("{source}.bin"));
            let header = FileHeader { source, clock_start_us: 0 };
            files.push(RecordFile::create(&path, header)?);
        }
        let header = FileHeader { source: SIMULATOR, clock_start_us: 0 };
        files.push(RecordFile::create(&out.join("simulator.bin"), header)?);
        Ok(Recorder::Files(files))
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// The first write that failed.
    pub fn flush(&mut self) -> Result<(), RecordFileError> {
        match self {
            Recorder::Files(files) => files.iter_mut().try_for_each(RecordFile::flush),
            _ => Ok(()),
        }
    }
}

impl Sink for Recorder {
    fn record(&mut self, record: &Record) {
        match self {
            Recorder::Nothing => {}
            Recorder::Memory(records) => records.push(*record),
            Recorder::Files(files) => {
                let place = record.source.rank().min(files.len() - 1);
                files[place].record(record);
            }
        }
    }
}
