//! The black box: a replica writes it while it lives, and others read it after its death.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use memmap2::MmapMut;
use rustix::fs::{FallocateFlags, fallocate};

use super::map;
use crate::raft::Member;
use crate::record::frame::{self, FRAME_BYTES};
use crate::record::{Record, Sink, VERSION};

const MAGIC: &[u8; 8] = b"LACOBOX\n";

/// How many records a box holds.
pub const SLOTS: u64 = 1 << 16;

/// The header takes the room of one frame.
const FIRST_SLOT: usize = 1;

/// The header of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoxHeader {
    /// The replica whose records the box holds, by rank.
    pub source: Member,
    /// Number of replicas in its cluster.
    pub replicas: u8,
    /// Where the replica's time 0 is on the machine's monotonic clock, in microseconds.
    pub clock_start_us: u64,
}

/// Why a black box cannot be created or read.
#[derive(Debug, thiserror::Error)]
pub enum BlackBoxError {
    /// The file system reported an error.
    #[error("{path}: {source}")]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// It is not a black box.
    #[error("{0}: no black box (it does not start with LACOBOX)")]
    Foreign(PathBuf),
    /// The box has another version.
    #[error("{path}: black box of version {found}, this program reads {VERSION}")]
    Version {
        /// The file's path.
        path: PathBuf,
        /// The file's version.
        found: u32,
    },
}

/// The box of a living replica.
#[derive(Debug)]
pub struct BlackBox {
    map: MmapMut,
    /// Number of the next record. It also says where the record's frame goes.
    next: u64,
    slot: usize,
}

impl BlackBox {
    /// Creates the box `path`, with the folders above it. A box that an earlier process left there
    /// is removed and not overwritten, so a process that still maps it keeps it.
    ///
    /// # Errors
    /// If the file cannot be created, allocated in full or mapped; no file is left behind.
    pub fn create(path: &Path, header: BoxHeader) -> Result<BlackBox, BlackBoxError> {
        BlackBox::with_slots(path, header, SLOTS)
    }

    fn with_slots(path: &Path, header: BoxHeader, slots: u64) -> Result<BlackBox, BlackBoxError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| BlackBoxError::Io { path, source }
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed(folder))?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(path)(error)),
            _ => {}
        }
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let mapped = file.map_err(failed(path))?;
        match prepare(mapped, header, slots) {
            Ok(map) => Ok(BlackBox { map, next: 1, slot: FIRST_SLOT }),
            Err(source) => {
                // Half a box is of no use. If it cannot be removed either, one error message is
                // enough.
                let _ = fs::remove_file(path);
                Err(failed(path)(source))
            }
        }
    }
}

/// Allocates the whole file, maps it, and writes all of it once. The first write to a page of a
/// mapped file is a page fault that the file system handles, and no record should wait for that.
fn prepare(file: File, header: BoxHeader, slots: u64) -> io::Result<MmapMut> {
    let bytes = (FRAME_BYTES as u64).saturating_mul(slots.saturating_add(1));
    fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
    let mut map = map::map(&file)?;
    map[..FRAME_BYTES].copy_from_slice(&encode_header(header, slots));
    map[FRAME_BYTES..].fill(0);
    Ok(map)
}

fn encode_header(header: BoxHeader, slots: u64) -> [u8; FRAME_BYTES] {
    let mut bytes = [0; FRAME_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12] = header.source.0;
    bytes[13] = header.replicas;
    bytes[16..24].copy_from_slice(&header.clock_start_us.to_le_bytes());
    bytes[24..32].copy_from_slice(&slots.to_le_bytes());
    bytes
}

impl Sink for BlackBox {
    #[inline(always)]
    fn record(&mut self, record: &Record) {
        let (frames, _) = self.map.as_chunks_mut::<FRAME_BYTES>();
        frame::encode_into(&mut frames[self.slot], record, self.next);
        self.next += 1;
        self.slot = if self.slot + 1 < frames.len() { self.slot + 1 } else { FIRST_SLOT };
    }
}

/// The content of a box.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadBox {
    /// Its header.
    pub header: BoxHeader,
    /// Number of the first record that is still there, from 1. Earlier ones have been overwritten.
    pub first_number: u64,
    /// Its records, in the order in which they were recorded.
    pub records: Vec<Record>,
    /// Whether the process ended while it wrote the record after these.
    pub torn: bool,
    /// Other slots that hold no sound record and are not blank, or are beyond the end of the file.
    /// It is 0 unless another program has changed the file.
    pub damaged_slots: u64,
}

/// Reads the box `path`, which may also be that of a living replica.
///
/// # Errors
/// If the file cannot be read, is no black box, or is of another version.
pub fn read_box(path: &Path) -> Result<ReadBox, BlackBoxError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|source| BlackBoxError::Io { path: path.to_owned(), source })?;
    let (frames, _) = bytes.as_chunks::<FRAME_BYTES>();
    let head = frames.first().filter(|head| head.starts_with(MAGIC));
    let head = head.ok_or_else(|| BlackBoxError::Foreign(path.to_owned()))?;
    let number = |at: usize, length: usize| {
        head[at..at + length].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let found = number(8, 4) as u32;
    if found != VERSION {
        return Err(BlackBoxError::Version { path: path.to_owned(), found });
    }
    let header =
        BoxHeader { source: Member(head[12]), replicas: head[13], clock_start_us: number(16, 8) };
    Ok(read_slots(header, &frames[1..], number(24, 8)))
}

fn read_slots(header: BoxHeader, frames: &[[u8; FRAME_BYTES]], slots: u64) -> ReadBox {
    let mut sound = Vec::new();
    let mut unsound = Vec::new();
    for (slot, frame) in (0..slots).zip(frames) {
        let number = frame::number(frame);
        match frame::decode(frame).filter(|_| number > 0 && (number - 1) % slots == slot) {
            Some(record) => sound.push((number, record)),
            None if frame.iter().all(|byte| *byte == 0) => {}
            None => unsound.push(slot),
        }
    }
    sound.sort_unstable_by_key(|(number, _)| *number);
    let newest = sound.last().map_or(0, |(number, _)| *number);
    // A record that is older than the ring is long cannot have stayed in the ring.
    let left = sound.partition_point(|(number, _)| number + slots <= newest);
    let torn = slots > 0 && unsound.contains(&(newest % slots));
    let missing = slots.saturating_sub(frames.len() as u64);
    let damaged_slots = (unsound.len() + left) as u64 - u64::from(torn) + missing;
    ReadBox {
        header,
        first_number: sound.get(left).map_or(1, |(number, _)| *number),
        records: sound.drain(left..).map(|(_, record)| record).collect(),
        torn,
        damaged_slots,
    }
}

#[cfg(test)]
mod tests;
