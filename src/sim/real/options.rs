//! How a real run is done, and why it may fail.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::archive::RecordFileError;
use crate::raft::{Member, Micros};
use crate::record::RequestId;
use crate::wire::BadMembership;

/// How a real run is done.
#[derive(Clone, Debug, Default)]
pub struct RealOptions {
    /// Seed of all random draws. Even so, the machine's scheduling influences the run.
    pub seed: u64,
    /// The program to launch with the arguments of interface §1; `None`: this program, as `laconic
    /// replica`.
    pub program: Option<PathBuf>,
    /// Whether the program is a foreign one: it gets no environment of ours and leaves no records.
    pub foreign: bool,
    /// Tuning profile of our replicas; `None`: the one that the environment names.
    pub profile: Option<String>,
    /// Whether events fire when they are due, and not only at the next datagram or 100 ms edge, and
    /// without the course's pace.
    pub precise: bool,
    /// Whether to make no pipes for the replicas' output. A replica that ends is then not noticed.
    pub silence: bool,
    /// Folder for `records/ID.bin`, `simulator.bin` and the black boxes, `boxes/ID.box`. It must
    /// not hold another run's files ([`crate::sim::folder`]). `None`: the records are read and
    /// deleted, and there are no black boxes.
    pub out: Option<PathBuf>,
    /// Whether to show a progress bar, if stderr is a terminal.
    pub progress: bool,
    /// Path of a Prometheus file-service-discovery file. Each replica then serves its metrics, and
    /// the file names them all, with the scenario's name as the label `cluster`.
    pub discovery: Option<PathBuf>,
    /// For how long the replicas serve their last figures at the end, after their sockets were
    /// closed and before they are ended. The user can cut it short.
    pub hold: Duration,
}

/// How a client's request was sent, for calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSend {
    /// The request's name in the records.
    pub request: RequestId,
    /// When the simulator checked what was due.
    pub looked_at: Micros,
    /// When the simulator began to send it.
    pub at: Micros,
    /// The replica that it was sent to.
    pub to: Member,
    /// How long the sending took.
    pub took: Micros,
}

/// Why a run could not be done. Each prints as one line.
#[derive(Debug, thiserror::Error)]
pub enum RealError {
    /// A socket of the simulator failed.
    #[error("UDP socket on 127.0.0.1: {0}")]
    Socket(io::Error),
    /// The program could not be started.
    #[error("{program}: cannot be launched: {source}")]
    Launch {
        /// The program's path.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Waiting for sockets, signals or children failed.
    #[error("waiting for replicas: {0}")]
    Wait(io::Error),
    /// The scenario has too few or too many replicas.
    #[error(transparent)]
    Cluster(#[from] BadMembership),
    /// A record file, the simulator's or a replica's, failed.
    #[error(transparent)]
    Records(#[from] RecordFileError),
    /// The service-discovery file, or a file in which a replica says where it listens, failed.
    #[error("{path}: {source}")]
    Discovery {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Ctrl-C was pressed before the clock of the run began.
    #[error("interrupted")]
    Interrupted,
}
