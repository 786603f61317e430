//! The one `unsafe` line of the crate.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::MmapMut;

/// Maps the whole of `file`, which must be open for reading and writing.
///
/// A map is a promise that nobody else changes the bytes while Rust believes them its own, and that
/// they stay there. Both are kept for a file that its process has just created under a name that
/// did not exist and allocated in full: nobody else opens it for writing, it is never cut short,
/// and no write to it can need room that the disk does not have. Readers of a living replica's box
/// have descriptors of their own and check each frame. Who cuts the file short by hand ends the
/// replica with SIGBUS; they could as well send it a signal.
pub(super) fn map(file: &File) -> io::Result<MmapMut> {
    // SAFETY: the file is this process's own, as said above; plain bytes have no invalid values.
    unsafe { MmapMut::map_mut(file) }
}
