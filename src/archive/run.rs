//! All record files of a run as one stream in order of time. Records are not kept, so a run of any
//! length needs only the memory of the buffers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::{Path, PathBuf};

use super::file::{RecordFileError, RecordReader};
use super::folder::RunFiles;
use crate::raft::{Member, Micros};
use crate::record::{Record, SIMULATOR};

/// The records of a run. Their times are the run's: 0 is when the simulator's clock began or,
/// without the simulator's file, when the earliest source's clock began. Earlier records are at 0.
#[derive(Debug)]
pub struct RunRecords {
    readers: Vec<RecordReader>,
    /// The next record of each reader, by the machine's time and the reader's place. Records of the
    /// same time come in order of rank, the simulator's last.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    next: Vec<Option<Record>>,
    start_us: u64,
    problems: Vec<String>,
}

impl RunRecords {
    /// Opens the record files of the run's folder `run`, or the one file that `run` names. In a
    /// folder with a `run.json`, only the files of the run's own replicas count. A file that cannot
    /// be read, is no record file or is of another version is left out and reported as a problem.
    ///
    /// # Errors
    /// If there is no such folder, or it holds no record files.
    pub fn open(run: &Path) -> Result<RunRecords, RecordFileError> {
        let mut readers = Vec::new();
        let mut problems = Vec::new();
        for path in files_of(run, &mut problems)? {
            match RecordReader::open(&path) {
                Ok(reader) => readers.push(reader),
                Err(error) => problems.push(error.to_string()),
            }
        }
        let of_simulator = readers.iter().find(|reader| reader.header().source == SIMULATOR);
        let starts = || readers.iter().map(|reader| reader.header().clock_start_us);
        let start_us = match of_simulator {
            Some(reader) => reader.header().clock_start_us,
            None => starts().min().unwrap_or(0),
        };
        let next = vec![None; readers.len()];
        let heads = BinaryHeap::with_capacity(readers.len());
        let mut records = RunRecords { readers, heads, next, start_us, problems };
        for place in 0..records.readers.len() {
            let head = records.advance(place);
            records.heads.extend(head);
        }
        Ok(records)
    }

    /// Where the run's time 0 is on the machine's monotonic clock, in microseconds; 0 for a run in
    /// virtual time.
    pub fn start_us(&self) -> u64 {
        self.start_us
    }

    /// How many files are being read.
    pub fn files(&self) -> usize {
        self.readers.len()
    }

    /// The sources of the records.
    pub fn sources(&self) -> impl Iterator<Item = Member> {
        self.readers.iter().map(|reader| reader.header().source)
    }

    /// What could not be read so far, one line each. It is complete once the stream has ended.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Reads the next record of a reader. Returns its place among the heads.
    fn advance(&mut self, place: usize) -> Option<Reverse<(u64, usize)>> {
        let reader = &mut self.readers[place];
        self.next[place] = reader.next();
        let Some(record) = self.next[place] else {
            self.note_end(place);
            return None;
        };
        Some(Reverse((reader.header().clock_start_us.saturating_add(record.at.0), place)))
    }

    fn note_end(&mut self, place: usize) {
        let reader = &self.readers[place];
        let path = reader.path().display();
        if let Some(error) = reader.failure() {
            self.problems.push(format!("{path}: {error}"));
        } else if reader.unread_bytes() > 0 {
            let bytes = reader.unread_bytes();
            self.problems.push(format!("{path}: the last {bytes} bytes are no whole records"));
        }
    }
}

impl Iterator for RunRecords {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let Reverse((machine_us, place)) = *self.heads.peek()?;
        let record = self.next[place].take()?;
        let next = self.advance(place);
        // The reader's next record takes the place of this one, which is quicker than to take one
        // out and to put another in.
        if let Some(mut head) = self.heads.peek_mut() {
            match next {
                Some(next) => *head = next,
                None => drop(PeekMut::pop(head)),
            }
        }
        Some(Record { at: Micros(machine_us.saturating_sub(self.start_us)), ..record })
    }
}

/// The record files of a run's folder, replicas first, or the file itself. A `run.json` that cannot
/// be read does not say which files count; that is a problem.
fn files_of(run: &Path, problems: &mut Vec<String>) -> Result<Vec<PathBuf>, RecordFileError> {
    if run.is_file() {
        return Ok(vec![run.to_owned()]);
    }
    let io = |source| RecordFileError::Io { path: run.to_owned(), source };
    let records = run.join("records");
    let folder = if records.is_dir() { &records } else { run };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|ending| ending == "bin") {
            files.push(path);
        }
    }
    let of_run = RunFiles::of(run).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    RunFiles::retain(of_run, &mut files);
    files.sort();
    let simulator = run.join("simulator.bin");
    if simulator.is_file() && !files.contains(&simulator) {
        files.push(simulator);
    }
    if files.is_empty() { Err(RecordFileError::NoRecords(run.to_owned())) } else { Ok(files) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{FileHeader, RecordFile};
    use crate::record::{Fact, Sink};

    fn write(path: &Path, source: Member, clock_start_us: u64, times: &[u64]) {
        let header = FileHeader { source, clock_start_us };
        let mut file = RecordFile::create(path, header).unwrap();
        let fact = Fact::Killed { member: Member(0), by_itself: false };
        times.iter().for_each(|at| file.record(&Record { at: Micros(*at), source, fact }));
        file.flush().unwrap();
    }

    fn seen(records: &mut RunRecords) -> Vec<(u8, u64)> {
        records.map(|record| (record.source.0, record.at.0)).collect()
    }

    #[test]
    fn several_clocks_make_one_stream_on_the_simulators() {
        let run = tempfile::tempdir().unwrap();
        let records = run.path().join("records");
        std::fs::create_dir(&records).unwrap();
        write(&records.join("0000.bin"), Member(0), 1_000, &[5, 25]);
        write(&records.join("0001.bin"), Member(1), 990, &[12, 35, 35]);
        write(&run.path().join("simulator.bin"), SIMULATOR, 1_004, &[16, 21]);
        let mut all = RunRecords::open(run.path()).unwrap();
        let sim = SIMULATOR.0;
        let wanted = [(1, 0), (0, 1), (sim, 16), (0, 21), (1, 21), (1, 21), (sim, 21)];
        assert_eq!(seen(&mut all), wanted);
        assert!(all.problems().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_is_read() {
        let run = tempfile::tempdir().unwrap();
        write(&run.path().join("0000.bin"), Member(0), 0, &[1, 2]);
        let whole = std::fs::read(run.path().join("0000.bin")).unwrap();
        std::fs::write(run.path().join("0001.bin"), &whole[..150]).unwrap();
        std::fs::write(run.path().join("0002.bin"), "").unwrap();
        let mut other = whole.clone();
        other[8] = 9;
        std::fs::write(run.path().join("0003.bin"), other).unwrap();
        let mut all = RunRecords::open(run.path()).unwrap();
        assert_eq!(seen(&mut all), [(0, 1), (0, 1), (0, 2)]);
        let problems = all.problems().join("\n");
        assert!(
            problems.contains("0001.bin: the last 22 bytes are no whole records"),
            "{problems}"
        );
        assert!(problems.contains("0002.bin: no record file"), "{problems}");
        assert!(problems.contains("0003.bin: record file of version 9"), "{problems}");
        let empty = tempfile::tempdir().unwrap();
        let error = RunRecords::open(empty.path()).unwrap_err().to_string();
        assert!(error.ends_with("holds no record files"), "{error}");
    }
}
