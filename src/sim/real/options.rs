//! How a real run is to be done, and why it could not be.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::archive::RecordFileError;
use crate::raft::{Member, Micros};
use crate::record::RequestId;
use crate::wire::BadMembership;

/// How a real run is to be done.
#[derive(Clone, Debug, Default)]
pub struct RealOptions {
    /// Seed of all random draws; the machine's scheduling has its part in the run all the same.
    pub seed: u64,
    /// The program to launch with the arguments of interface §1; `None`: this very program, as
    /// `laconic replica`.
    pub program: Option<PathBuf>,
    /// The program is someone else's: it gets no environment of ours and leaves no records.
    pub foreign: bool,
    /// Tuning profile of our replicas; `None`: as the environment says.
    pub profile: Option<String>,
    /// Fire events when they are due, instead of at the next datagram or 100 ms edge.
    pub precise: bool,
    /// No pipes for the replicas' output; one that ends by itself is not noticed.
    pub silence: bool,
    /// Folder for `records/ID.bin`, `simulator.bin` and the black boxes, `boxes/ID.box`, without
    /// those of another run ([`crate::sim::folder`]); `None`: the records are read and thrown
    /// away, and there are no boxes.
    pub out: Option<PathBuf>,
    /// Show a progress bar, if stderr is a terminal.
    pub progress: bool,
    /// Have each replica serve its metrics, and write a Prometheus file-service-discovery file
    /// there that names them all, with the scenario's name as the label `cluster`.
    pub discovery: Option<PathBuf>,
    /// At the end the replicas' sockets are closed, and they serve their last figures for so long,
    /// or until the user breaks it off, before they are ended.
    pub hold: Duration,
}

/// How a client's request was sent, for calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSend {
    /// Its name in the records.
    pub request: RequestId,
    /// When the simulator looked at what was due.
    pub looked_at: Micros,
    /// When the sending began.
    pub at: Micros,
    /// To whom.
    pub to: Member,
    /// How long it took.
    pub took: Micros,
}

/// Why a run could not be done; each prints as one line.
#[derive(Debug, thiserror::Error)]
pub enum RealError {
    /// A socket of the simulator's.
    #[error("UDP socket on 127.0.0.1: {0}")]
    Socket(io::Error),
    /// The program does not start.
    #[error("{program}: cannot be launched: {source}")]
    Launch {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Waiting for sockets, signals or children failed.
    #[error("waiting for replicas: {0}")]
    Wait(io::Error),
    /// A scenario with too few or too many replicas.
    #[error(transparent)]
    Cluster(#[from] BadMembership),
    /// A record file, ours or a replica's.
    #[error(transparent)]
    Records(#[from] RecordFileError),
    /// The file for Prometheus's service discovery, or what a replica says it listens on.
    #[error("{path}: {source}")]
    Discovery {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Ctrl-C, before the clock of the run began.
    #[error("interrupted")]
    Interrupted,
}
