//! The real engine: replicas are child processes, datagrams are UDP, and the clock is the wall's.
//! It launches any program that speaks the interface, and does to it what the course's simulator
//! does, in the same order (interface §4).
//!
//! - `engine`: the loop, and what each effect of the [`super::course`] is in system calls;
//! - `node`: one replica's socket and process; `process`: launching, output, and the end of it;
//! - `ledger`: what was read, for the books, and the simulator's own records;
//! - `discovery`: where the replicas serve their metrics;
//! - `recordings`: what the replicas recorded, on the run's clock;
//! - `progress`: the terminal's part.
//!
//! A replica's records come from the folder that its environment names, so they cost it nothing but
//! the writing, and a foreign program is simply not read.

mod discovery;
mod engine;
mod node;
mod process;
mod progress;
mod recordings;
mod traffic_log;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::books::Balance;
use super::course::score::Conclusion;
use super::fold::RunFold;
use super::scenario::Scenario;
use crate::raft::{Member, Micros};
use crate::record::{Record, RecordFileError, RequestId, Sink};
use crate::wire::BadMembership;
use engine::Engine;
use process::Launcher;
use recordings::Recordings;

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
    /// those of another run ([`super::folder`]); `None`: the records are read and thrown away, and
    /// there are no boxes.
    pub out: Option<PathBuf>,
    /// Show a progress bar, if stderr is a terminal.
    pub progress: bool,
    /// Have each replica serve its metrics, and write a Prometheus file-service-discovery file
    /// there that names them all.
    pub discovery: Option<PathBuf>,
    /// At the end the replicas' sockets are closed, and they serve their last figures for so long,
    /// or until the user breaks it off, before they are ended.
    pub hold: Duration,
}

/// A run that is over.
#[derive(Debug)]
pub struct RealRun {
    /// The simulator's judgement.
    pub conclusion: Conclusion,
    /// What the replicas' records amount to; empty of foreign ones.
    pub fold: RunFold,
    /// The books, by replica; none of foreign ones.
    pub balances: Vec<Balance>,
    /// Messages by `type`, as the simulator counted them.
    pub by_type: Vec<(String, u64)>,
    /// All records, the simulator's included, on the run's clock and in its order.
    pub records: Vec<Record>,
    /// The sending of each client's request.
    pub request_sends: Vec<RequestSend>,
    /// How long each replica that the scenario killed took to exit, from SIGTERM on.
    pub exits: Vec<Micros>,
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

/// Runs `scenario` over real UDP, in real time. A run that the user interrupts ends there, is
/// judged by what it showed, and says so in its conclusion.
///
/// # Errors
/// If a socket, a child or a file cannot be had, or the user interrupts it before its clock has
/// begun. No child is left behind.
pub fn run(scenario: &Scenario, options: &RealOptions) -> Result<RealRun, RealError> {
    crate::interrupt::watch().map_err(RealError::Wait)?;
    let recordings = Recordings::prepare(options.out.as_deref())?;
    let launcher = Launcher::new(options, recordings.folder())?;
    let mut engine = Engine::launch(scenario, options, &launcher)?;
    engine.start(&recordings)?;
    if let Some(path) = &options.discovery {
        discovery::write(path, recordings.folder(), scenario.replicas)?;
    }
    while !engine.is_over() && !crate::interrupt::seen() {
        engine.turn()?;
    }
    let finished = engine.finish()?;
    discovery::forget(recordings.folder(), scenario.replicas);
    let records = recordings.read()?;
    let mut fold = RunFold::new(scenario.replicas);
    records.iter().for_each(|record| fold.record(record));
    let accounts = finished.accounts.into_iter();
    let balances = if options.foreign {
        Vec::new()
    } else {
        accounts.zip(&fold.sent_by).map(|(account, sent)| Balance::close(account, *sent)).collect()
    };
    Ok(RealRun {
        conclusion: finished.conclusion,
        fold,
        balances,
        by_type: finished.by_type,
        records,
        request_sends: finished.request_sends,
        exits: finished.exits,
    })
}
