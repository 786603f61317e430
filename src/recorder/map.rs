//! The one `unsafe` line of the crate.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::MmapMut;

/// Maps the whole of `file`, which must be open for reading and writing.
///
/// Mapping a file is a promise: nobody else changes the bytes while Rust treats them as its own,
/// and the bytes stay there. Both hold for a file that this process has just created under a new
/// name and allocated in full. Nobody else opens it for writing, it never gets shorter, and no
/// write to it can need room that the disk does not have. Readers of a living replica's box have
/// their own descriptors and check each frame. If a user shortens the file by hand, the replica
/// ends with SIGBUS; that user could also have sent it a signal.
pub(super) fn map(file: &File) -> io::Result<MmapMut> {
    // SAFETY: the file is this process's own, as said above; plain bytes have no invalid values.
    unsafe { MmapMut::map_mut(file) }
}
