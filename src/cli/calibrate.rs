//! `laconic calibrate`: measures, in real runs, how long things take on this machine, and writes
//! the model from which virtual runs draw their delays.

use std::path::PathBuf;

use clap::Args;

use super::compare::machine;
use super::failure::{ExitStatus, Failure};
use super::output::{check_file, print, write};
use super::sim::whole_real_run;
use crate::raft::Micros;
use crate::service;
use crate::sim::calibration::Samples;
use crate::sim::delays::Delays;
use crate::sim::real::RealOptions;
use crate::sim::scenario::Scenario;

/// Runs in which every delay occurs: appends under load, and replicas that are killed.
const RUNS: [&str; 3] = ["simple-2", "unreliable-2", "crash-4"];

/// How many timers are measured, and how long the shortest is. The others are up to a millisecond
/// longer, so that no regular work of the machine meets all of them.
const TIMERS: u64 = 300;
const SHORTEST: Micros = Micros::from_millis(3);

/// Measure delays in real runs (two minutes) and write the model for virtual ones.
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic calibrate --out mine.json
  laconic compare engines --delays mine.json
                        how well virtual runs with these delays fit real ones
In the source tree, where the model becomes part of the program:
  laconic calibrate --out src/sim/delays.json && cargo build --release")]
pub struct CalibrateArguments {
    /// File to write; not given: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Measures and writes.
pub fn run(arguments: &CalibrateArguments) -> Result<ExitStatus, Failure> {
    arguments.out.iter().try_for_each(|path| check_file(path))?;
    service::check_inherited().map_err(Failure::input)?;
    let timer_late = timer_late()?;
    let mut samples = Samples::default();
    for name in RUNS {
        let mut scenario = Scenario::load(name).map_err(Failure::input)?;
        // What the simulator is made to wait for is no delay of this machine.
        scenario.pace = false;
        let options = RealOptions { seed: 1, progress: true, ..RealOptions::default() };
        let run = whole_real_run(&scenario, &options)?;
        samples.add(&run);
    }
    let delays = samples.into_delays(machine(), timer_late);
    let text = lines(&delays);
    match &arguments.out {
        None => print(&text)?,
        Some(path) => write(path, &text)?,
    }
    Ok(ExitStatus::Good)
}

/// The model as JSON, one distribution on each line.
fn lines(delays: &Delays) -> String {
    let value = serde_json::to_value(delays).unwrap_or_default();
    let keys = value.as_object().into_iter().flatten();
    let lines: Vec<String> = keys.map(|(key, value)| format!("  \"{key}\": {value}")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// How late a replica's timers go off, in microseconds.
fn timer_late() -> Result<Vec<u64>, Failure> {
    let waits = (0..TIMERS).map(|place| SHORTEST + Micros(place * 37 % 1_000));
    let late = service::timer_lateness(waits)
        .map_err(|error| Failure::environment(format!("timers: {error}")))?;
    Ok(late.into_iter().map(|late| late.0).collect())
}
