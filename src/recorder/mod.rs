//! The black box: the last records of a replica in a ring in a mapped file, readable after SIGKILL,
//! and what the boxes of a cluster tell of its last failure.
//!
//! A record is one store of 64 bytes into memory that the kernel writes back when it likes: what
//! the process has stored is in the file, however the process ended (a crash of the machine is
//! another matter). The file is allocated in full before it is mapped, since a hole in it on a full
//! disk would be SIGBUS.
//!
//! The file is a header of 64 bytes, then the slots of the ring. Frames are those of record files
//! and bear a number, from 1: number n stands in slot (n − 1) modulo the slots. The newest is the
//! highest number whose checksum is right; a slot behind it that is neither blank nor sound was
//! being written when the process ended.

mod black_box;
mod flights;
mod known_state;
mod map;
mod postmortem;
mod report;

pub use black_box::{BlackBox, BlackBoxError, BoxHeader, ReadBox, SLOTS, read_box};
pub use postmortem::{
    Failure, InFlight, Later, Leader, OpenRequest, Postmortem, Registered, ReplicaState, Where,
    examine,
};
