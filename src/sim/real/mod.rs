//! The real engine: replicas are child processes, datagrams are UDP, and the clock is real time. It
//! launches any program that speaks the interface, and treats it as the course's simulator does, in
//! the same order (interface §4).
//!
//! - `options`: how a run is done, and why it may fail;
//! - `engine`: the loop, and how each effect of the [`super::course`] is carried out by system
//!   calls;
//! - `node`: one replica's socket and process; `process`: launching, output, and the end of a
//!   process;
//! - `traffic_log`: what was read, for the books, and the simulator's own records;
//! - `discovery`: where the replicas serve their metrics;
//! - `recordings`: what the replicas recorded, on the run's clock;
//! - `progress`: the progress bar, and the replicas' output.
//!
//! Replicas write records into the folder that their environment names, so recording costs them
//! nothing but the writing. A foreign program leaves no records.

mod discovery;
mod engine;
mod node;
mod options;
mod process;
mod progress;
mod recordings;
mod traffic_log;

use super::books::Balance;
use super::course::score::Conclusion;
use super::fold::RunFold;
use super::scenario::Scenario;
use crate::raft::Micros;
use crate::record::{Record, Sink};
use engine::Engine;
use process::Launcher;
use recordings::Recordings;

pub use options::{RealError, RealOptions, RequestSend};

/// A run that has ended.
#[derive(Debug)]
pub struct RealRun {
    /// The simulator's judgement.
    pub conclusion: Conclusion,
    /// What the replicas' records show; empty for foreign replicas.
    pub fold: RunFold,
    /// The books, by replica; empty for foreign replicas.
    pub balances: Vec<Balance>,
    /// Messages by `type`, as the simulator counted them.
    pub by_type: Vec<(String, u64)>,
    /// All records, the simulator's included, on the run's clock and in order of time.
    pub records: Vec<Record>,
    /// How each client's request was sent.
    pub request_sends: Vec<RequestSend>,
    /// For each replica that the scenario killed, the time from SIGTERM to its exit.
    pub exits: Vec<Micros>,
}

/// Runs `scenario` over real UDP, in real time. If the user interrupts the run, it ends there and
/// is judged by what it showed, and its conclusion says so.
///
/// # Errors
/// If a socket, a child process or a file cannot be had, or if the user interrupts before the run's
/// clock has begun. No child process is left behind.
pub fn run(scenario: &Scenario, options: &RealOptions) -> Result<RealRun, RealError> {
    crate::interrupt::watch().map_err(RealError::Wait)?;
    let recordings = Recordings::prepare(options.out.as_deref())?;
    let launcher = Launcher::new(options, recordings.folder())?;
    let mut engine = Engine::launch(scenario, options, &launcher)?;
    engine.start(&recordings)?;
    if let Some(path) = &options.discovery {
        discovery::write(path, recordings.folder(), &scenario.name, scenario.replicas)?;
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
