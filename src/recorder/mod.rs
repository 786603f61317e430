//! The black box: the last records of a replica, in a ring in a mapped file that can be read after
//! SIGKILL; and what the boxes of a cluster show about its last failure.
//!
//! A record is one store of 64 bytes into memory that the kernel writes back later. What the
//! process has stored is in the file, however the process ended (but not after a crash of the
//! machine). The file is allocated in full before it is mapped: otherwise a full disk would mean
//! SIGBUS.
//!
//! The file is a header of 64 bytes, then the slots of the ring. Frames are those of record files
//! and have a number, from 1: number n is in slot (n − 1) modulo the number of slots. The newest
//! record is the one with the highest number and a correct checksum. If the slot after it is
//! neither blank nor sound, it was being written when the process ended.

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
