//! How a virtual run is done.

use std::path::PathBuf;

use crate::raft::{Micros, Tuning};
use crate::sim::delays::Delays;

/// How a virtual run is done.
#[derive(Clone, Debug)]
pub struct VirtualOptions {
    /// Seed of all random draws.
    pub seed: u64,
    /// The replicas' knobs.
    pub tuning: Tuning,
    /// Whether events fire when they are due, and not only at the next datagram or 100 ms edge, and
    /// without the course's pace.
    pub precise: bool,
    /// Whether every datagram is encoded and decoded as JSON. This changes only the computing time.
    pub through_codec: bool,
    /// How long things take.
    pub delays: Delays,
    /// Where the records go.
    pub records: Keep,
}

/// Where a run's records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nowhere, after the fold has seen them.
    Nothing,
    /// They are returned with the run.
    Memory,
    /// They are written into this folder.
    Folder(PathBuf),
}

/// Other knobs for all replicas, from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retuning {
    /// The moment.
    pub at: Micros,
    /// The knobs. They must have been checked.
    pub tuning: Tuning,
}
