//! `laconic calibrate`: measures, in real runs, how long things take on this machine, and writes
//! the model from which virtual runs draw their delays.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::compare::machine;
use super::failure::{ExitStatus, Failure};
use super::output::{check_file, print, write};
use super::sim::whole_real_run;
use crate::service;
use crate::sim::calibration::Samples;
use crate::sim::delays::Delays;
use crate::sim::real::RealOptions;
use crate::sim::scenario::Scenario;

/// Runs in which every delay occurs: appends under load, and replicas that are killed.
const RUNS: [&str; 3] = ["simple-2", "unreliable-2", "crash-4"];

/// How many timers are measured, and how long the shortest is. The others are up to a millisecond
/// longer, since timers go off at whole milliseconds of a clock.
const TIMERS: u64 = 300;
const SHORTEST: Duration = Duration::from_millis(3);

/// Measure delays in real runs (two minutes) and write the model for virtual ones.
#[derive(Args)]
#[command(after_help = "\
Example, in the source tree (the model becomes part of the program):
  laconic calibrate --out src/sim/delays.json
  cargo build --release && laconic compare engines")]
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

/// How late timers like the replica's go off, in microseconds.
fn timer_late() -> Result<Vec<u64>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| Failure::environment(format!("no event loop: {error}")))?;
    Ok(runtime.block_on(async {
        let mut late = Vec::new();
        for place in 0..TIMERS {
            let sleep = SHORTEST + Duration::from_micros(place * 37 % 1_000);
            let due = Instant::now() + sleep;
            tokio::time::sleep(sleep).await;
            late.push(due.elapsed().as_micros() as u64);
        }
        late
    }))
}
