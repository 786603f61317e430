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
