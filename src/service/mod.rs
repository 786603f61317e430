//! A replica as a process: one thread, one UDP socket, and the pure [`crate::replica`] between
//! them.
//!
//! # How to read it
//!
//! - [`Arguments`]: `PORT ID OTHERS...` (interface §1), nothing else;
//! - [`Environment`]: what the launcher's environment asks for (design §8);
//! - `serve`: the loop, which takes in all that is ready, lets the replica decide, and sends;
//!   `inbox`: what it has read and not handled yet;
//!   `waiting`: what the loop waits for, and how; `unread`: what the simulator has not read yet;
//! - `instruments`: where records go: a file, the black box, the log, metrics; `complaint`: the
//!   line that says that one of these has failed;
//! - `telemetry`: the metrics; `endpoint`: the thread that serves them over HTTP; `negotiation`: in
//!   which format;
//! - `spans`: where the time goes, if asked for; `scan`: which datagrams are timed.
//!
//! The seed of the replica's election timeouts comes from the operating system's random numbers. No
//! two replicas may draw the same timeouts, and nothing else that a replica knows differs from run
//! to run. A real run cannot be repeated exactly anyway, since the machine's scheduling influences
//! it. The virtual engine is for runs that must be repeatable.

mod arguments;
mod complaint;
mod endpoint;
mod environment;
mod inbox;
mod instruments;
mod negotiation;
mod scan;
mod serve;
mod spans;
mod telemetry;
#[cfg_attr(not(target_os = "linux"), path = "unread_elsewhere.rs")]
mod unread;
mod waiting;

use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::process::ExitCode;

use crate::clock::MonotonicClock;
use crate::replica::Replica;
use crate::tuning_file::{self, TuningFileError};

pub use arguments::{Arguments, BadArguments};
pub use environment::{BadEnvironment, Environment};
use instruments::{Instruments, log_filter, log_to_stderr};
use spans::Spans;
use waiting::Waiting;
pub use waiting::timer_lateness;

/// Why a replica did not start, or did not end well. Each prints as one line.
#[derive(Debug, thiserror::Error)]
enum ServiceError {
    #[error(transparent)]
    Arguments(#[from] BadArguments),
    #[error(transparent)]
    Environment(#[from] BadEnvironment),
    #[error("LACONIC_PROFILE: {0}")]
    Profile(#[from] TuningFileError),
    #[error("the simulator's port {port}: {source}")]
    Port { port: u16, source: io::Error },
    #[error("no event loop: {0}")]
    Waiting(io::Error),
}

impl ServiceError {
    /// The exit status according to design §8.
    fn exit_status(&self) -> u8 {
        match self {
            ServiceError::Arguments(_)
            | ServiceError::Environment(_)
            | ServiceError::Profile(_) => 2,
            ServiceError::Port { .. } | ServiceError::Waiting(_) => 4,
        }
    }
}

/// Runs a replica until it is told to stop. `arguments` are those of interface §1, without the
/// program's name; the rest comes from the process's [`Environment`]. The exit status is 0 after
/// SIGTERM or SIGINT. It is 2 for bad arguments or a bad environment. It is 4 if the port fails or,
/// after SIGTERM or SIGINT, if not all records are in `LACONIC_OUT`. For 2 and 4 there is one line
/// on stderr.
pub fn run(arguments: &[OsString]) -> ExitCode {
    match try_run(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(4),
        Err(error) => {
            // If stderr is closed, the line is lost.
            let _ = writeln!(io::stderr(), "laconic replica: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}

/// Checks the variables that replicas launched from this process inherit and that a launcher does
/// not set itself: the log's filter, and the sampling of spans.
///
/// # Errors
/// The first variable that cannot be used, in one line that names it.
pub fn check_inherited() -> Result<(), BadEnvironment> {
    let environment = Environment::of_process()?;
    log_filter(environment.log.as_deref())?;
    Spans::sampling(&environment).map(drop)
}

/// Runs a replica. Returns whether all records that were asked for are in their file.
fn try_run(arguments: &[OsString]) -> Result<bool, ServiceError> {
    let Arguments { port, members } = Arguments::parse(arguments)?;
    let environment = Environment::of_process()?;
    let (span_layer, spans) = Spans::open(&environment, &members)?;
    log_to_stderr(environment.log.as_deref(), span_layer)?;
    let profile = tuning_file::load(environment.profile.as_deref().unwrap_or("course"))?;
    let clock = MonotonicClock::start();
    spans.anchor(&clock);
    let waiting = Waiting::new().map_err(ServiceError::Waiting)?;
    let bell = waiting.bell().map_err(ServiceError::Waiting)?;
    let mut instruments = Instruments::open(&environment, &members, &clock, spans, &profile, bell);
    let seed = RandomState::new().hash_one(0);
    let mut replica = Replica::new(members, profile.tuning, seed, clock.now());
    serve::serve(port, &mut replica, clock, waiting, &mut instruments)
        .map_err(|source| ServiceError::Port { port, source })?;
    instruments.publish(clock.now(), &replica);
    Ok(instruments.close())
}
