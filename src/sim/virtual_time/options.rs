//! How a virtual run is to be done.

use std::path::PathBuf;

use crate::raft::Tuning;
use crate::sim::delays::Delays;

/// How a virtual run is to be done.
#[derive(Clone, Debug)]
pub struct VirtualOptions {
    /// Seed of all random draws.
    pub seed: u64,
    /// The replicas' knobs.
    pub tuning: Tuning,
    /// Fire events when they are due, instead of at the next datagram or 100 ms edge.
    pub precise: bool,
    /// Send every datagram through the JSON codec; changes nothing but the time it takes.
    pub through_codec: bool,
    /// How long things take.
    pub delays: Delays,
    /// What becomes of the records.
    pub records: Keep,
}

/// What becomes of a run's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// They are folded and forgotten.
    Nothing,
    /// They come back with the run.
    Memory,
    /// They are written into this folder.
    Folder(PathBuf),
}
