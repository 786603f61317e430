//! The virtual engine: the same replicas in this process, a clock that jumps, and delays drawn from
//! quantiles that were measured in real runs. The same seed gives exactly the same run (design §7).
//!
//! The simulator is one process among others here. It waits, wakes when a datagram arrives or after
//! at most 100 ms, reads one datagram from each socket, routes it, and fires what is due. Each of
//! these takes its time (interface §4). Sockets hold as much as the kernel's, and lose what comes
//! when they are full. A replica wakes some time after a datagram has reached its socket, takes in
//! all that is there, and sends some time after that.

mod disturbance;
mod engine;
mod node;
mod observed;
mod options;
mod socket;

use super::scenario::Scenario;
use crate::archive::RecordFileError;
use engine::Engine;

pub use node::true_time;
pub use observed::{Observer, VirtualRun};
pub use options::{Keep, Retuning, VirtualOptions};

/// Runs `scenario` in virtual time.
///
/// ```
/// use laconic::sim::delays::Delays;
/// use laconic::sim::scenario::Scenario;
/// use laconic::sim::virtual_time::{Keep, VirtualOptions, run};
///
/// let options = VirtualOptions {
///     seed: 1,
///     tuning: laconic::tuning_file::load("course")?.tuning,
///     precise: false,
///     through_codec: false,
///     delays: Delays::embedded(),
///     records: Keep::Nothing,
/// };
/// let run = run(&Scenario::load("simple-1")?, &options)?;
/// assert_eq!(run.broken, None);
/// println!("{} messages", run.fold.table.total());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If records are to be written and cannot be.
pub fn run(scenario: &Scenario, options: &VirtualOptions) -> Result<VirtualRun, RecordFileError> {
    run_observed(scenario, options, &mut ())
}

/// Runs `scenario`; `observer` sees it.
///
/// # Errors
/// As [`run`].
pub fn run_observed(
    scenario: &Scenario,
    options: &VirtualOptions,
    observer: &mut dyn Observer,
) -> Result<VirtualRun, RecordFileError> {
    Engine::new(scenario, options, observer)?.run()
}

/// Runs `scenario`, and retunes all replicas that live at the moment of `retuning`. Up to there it
/// is the run that [`run`] does.
///
/// # Errors
/// As [`run`].
pub fn run_retuned(
    scenario: &Scenario,
    options: &VirtualOptions,
    retuning: &Retuning,
) -> Result<VirtualRun, RecordFileError> {
    let mut nobody = ();
    Engine::new(scenario, options, &mut nobody)?.retuned(retuning).run()
}

/// Runs `scenario` with `bug` planted in all replicas, and retunes them if `retuning` says so.
///
/// # Errors
/// As [`run`].
#[cfg(feature = "planted")]
pub fn run_planted(
    scenario: &Scenario,
    options: &VirtualOptions,
    retuning: Option<&Retuning>,
    bug: crate::raft::Planted,
) -> Result<VirtualRun, RecordFileError> {
    let mut nobody = ();
    let engine = Engine::new(scenario, options, &mut nobody)?.planted(bug);
    match retuning {
        None => engine.run(),
        Some(retuning) => engine.retuned(retuning).run(),
    }
}
