//! Record files: a header of 64 bytes, then frames.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::raft::Member;
use crate::record::frame::{self, FRAME_BYTES};
use crate::record::{Record, Sink, VERSION};

const MAGIC: &[u8; 8] = b"LACONIC\n";

/// The header of a record file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The source of all records: a replica's rank, or [`crate::record::SIMULATOR`].
    pub source: Member,
    /// Where the source's time 0 is on a clock that all sources share, in microseconds. It is 0 in
    /// virtual runs, and on the machine's monotonic clock in real ones.
    pub clock_start_us: u64,
}

/// Why a record file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordFileError {
    /// The file system reported an error.
    #[error("{path}: {source}")]
    Io {
        /// The file's path.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// It is not a record file.
    #[error("{0}: no record file (it does not start with LACONIC)")]
    Foreign(PathBuf),
    /// The file has another version.
    #[error("{path}: record file of version {found}, this program reads {VERSION}")]
    Version {
        /// The file's path.
        path: PathBuf,
        /// The file's version.
        found: u32,
    },
    /// The folder has no record files.
    #[error("{0}: holds no record files")]
    NoRecords(PathBuf),
}

/// A record file being written.
#[derive(Debug)]
pub struct RecordFile {
    out: BufWriter<File>,
    path: PathBuf,
    failed: Option<io::Error>,
}

impl RecordFile {
    /// Creates `path`, or empties it.
    ///
    /// # Errors
    /// If the file cannot be created or its header cannot be written.
    pub fn create(path: &Path, header: FileHeader) -> Result<RecordFile, RecordFileError> {
        let io = |source| RecordFileError::Io { path: path.to_owned(), source };
        let mut file = File::create(path).map_err(io)?;
        let mut bytes = [0u8; FRAME_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12] = header.source.0;
        bytes[16..24].copy_from_slice(&header.clock_start_us.to_le_bytes());
        // The header is written at once, so a source that is killed before its first full buffer
        // leaves a file.
        file.write_all(&bytes).map_err(io)?;
        let out = BufWriter::with_capacity(1 << 16, file);
        Ok(RecordFile { out, path: path.to_owned(), failed: None })
    }

    /// Whether a write has failed. No more records are taken then, and [`RecordFile::flush`] says
    /// why.
    pub const fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// The first failure of this or any earlier write.
    pub fn flush(&mut self) -> Result<(), RecordFileError> {
        let result = self.failed.take().map_or_else(|| self.out.flush(), Err);
        result.map_err(|source| RecordFileError::Io { path: self.path.clone(), source })
    }
}

impl Sink for RecordFile {
    fn record(&mut self, record: &Record) {
        if self.failed.is_none() {
            self.failed = self.out.write_all(&frame::encode(record)).err();
        }
    }
}

/// A record file being read frame by frame, up to its end or the first damaged frame.
#[derive(Debug)]
pub struct RecordReader {
    input: BufReader<File>,
    path: PathBuf,
    header: FileHeader,
    remaining_bytes: u64,
    ended: bool,
    failed: Option<io::Error>,
}

impl RecordReader {
    /// Opens `path` and reads its header.
    ///
    /// # Errors
    /// If the file cannot be read, is no record file, or is of another version.
    pub fn open(path: &Path) -> Result<RecordReader, RecordFileError> {
        let io = |source| RecordFileError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut input = BufReader::with_capacity(1 << 16, file);
        let mut head = [0u8; FRAME_BYTES];
        let whole = length >= FRAME_BYTES as u64;
        if whole {
            input.read_exact(&mut head).map_err(io)?;
        }
        if !whole || !head.starts_with(MAGIC) {
            return Err(RecordFileError::Foreign(path.to_owned()));
        }
        let number = |at: usize, length: usize| {
            head[at..at + length].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let found = number(8, 4) as u32;
        if found != VERSION {
            return Err(RecordFileError::Version { path: path.to_owned(), found });
        }
        Ok(RecordReader {
            input,
            path: path.to_owned(),
            header: FileHeader { source: Member(head[12]), clock_start_us: number(16, 8) },
            remaining_bytes: length - FRAME_BYTES as u64,
            ended: false,
            failed: None,
        })
    }

    /// The file's header.
    pub const fn header(&self) -> FileHeader {
        self.header
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that were not read: those after the last record that are no whole, sound frame.
    pub const fn unread_bytes(&self) -> u64 {
        self.remaining_bytes
    }

    /// The file system's error, if reading failed before the end.
    pub const fn failure(&self) -> Option<&io::Error> {
        self.failed.as_ref()
    }

    fn read_frame(&mut self) -> Option<Record> {
        if self.remaining_bytes < FRAME_BYTES as u64 {
            return None;
        }
        let mut bytes = [0u8; FRAME_BYTES];
        self.failed = self.input.read_exact(&mut bytes).err();
        if self.failed.is_some() {
            return None;
        }
        frame::decode(&bytes)
    }
}

impl Iterator for RecordReader {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.ended {
            return None;
        }
        let record = self.read_frame();
        match record {
            Some(_) => self.remaining_bytes -= FRAME_BYTES as u64,
            // What follows a damaged frame is not trusted.
            None => self.ended = true,
        }
        record
    }
}

/// The content of a record file.
#[derive(Debug)]
pub struct ReadRecords {
    /// The file's header.
    pub header: FileHeader,
    /// The file's records, in order.
    pub records: Vec<Record>,
    /// Bytes at the end that are no whole, sound frame: an interrupted last write, or damage.
    pub unread_bytes: u64,
}

/// Reads a record file up to its end or the first damaged frame.
///
/// # Errors
/// If the file cannot be read, is no record file, or is of another version.
pub fn read_records(path: &Path) -> Result<ReadRecords, RecordFileError> {
    let mut reader = RecordReader::open(path)?;
    let records = reader.by_ref().collect();
    let (header, unread_bytes) = (reader.header(), reader.unread_bytes());
    Ok(ReadRecords { header, records, unread_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::Micros;
    use crate::record::Fact;
    use crate::record::samples::one_of_each;

    #[test]
    fn every_fact_comes_back_from_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.bin");
        let header = FileHeader { source: Member(2), clock_start_us: 1 << 50 };
        let mut file = RecordFile::create(&path, header).unwrap();
        let records: Vec<Record> = (1..)
            .zip(one_of_each())
            .map(|(at, fact)| Record { at: Micros(at), source: Member(2), fact })
            .collect();
        records.iter().for_each(|record| file.record(record));
        file.flush().unwrap();
        let read = read_records(&path).unwrap();
        assert_eq!((read.header, read.records, read.unread_bytes), (header, records, 0));
    }

    #[test]
    fn a_number_beside_a_fact_changes_nothing_about_it() {
        for fact in one_of_each() {
            let record = Record { at: Micros(5), source: Member(2), fact };
            let numbered = frame::encode_numbered(&record, u64::MAX);
            assert_eq!(frame::decode(&numbered), Some(record));
            assert_eq!(frame::number(&numbered), u64::MAX);
            assert_eq!(frame::number(&frame::encode(&record)), 0);
        }
    }

    #[test]
    fn a_bit_that_flips_anywhere_in_a_frame_is_noticed() {
        for fact in one_of_each() {
            let record = Record { at: Micros(5), source: Member(2), fact };
            let frame = frame::encode_numbered(&record, 7);
            for bit in 0..8 * frame.len() {
                let mut flipped = frame;
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(frame::decode(&flipped), None, "bit {bit} of {fact:?}");
            }
        }
    }

    #[test]
    fn a_torn_or_damaged_end_is_told_apart_from_whole_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.bin");
        let header = FileHeader { source: Member(0), clock_start_us: 0 };
        let mut file = RecordFile::create(&path, header).unwrap();
        for at in 0..3 {
            let fact = Fact::Killed { member: Member(1), by_itself: false };
            file.record(&Record { at: Micros(at), source: Member(0), fact });
        }
        file.flush().unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        let read = read_records(&path).unwrap();
        assert_eq!((read.records.len(), read.unread_bytes), (2, 54));
        let mut damaged = whole.clone();
        damaged[64 + 70] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let read = read_records(&path).unwrap();
        assert_eq!((read.records.len(), read.unread_bytes), (1, 128));
        std::fs::write(&path, b"something else").unwrap();
        assert!(matches!(read_records(&path), Err(RecordFileError::Foreign(_))));
    }
}
