//! One run, by the engine that was asked for.

use super::{Job, SimArguments};
use crate::cli::{Failure, Status};
use crate::raft::Tuning;
use crate::sim::delays::Delays;
use crate::sim::folder;
use crate::sim::outcome::{Evidence, Outcome, Setup, judge};
use crate::sim::real::{self, RealError, RealOptions, RealRun};
use crate::sim::virtual_time::{self, Keep, VirtualOptions, VirtualRun};
use crate::tuning_file;

/// How runs are done.
pub struct Engine {
    tuning: Tuning,
    setup: Setup,
    delays: Delays,
    /// For real runs; seed and folder are each job's.
    real: Option<RealOptions>,
}

impl Engine {
    /// The engine that `arguments` ask for.
    pub fn new(arguments: &SimArguments) -> Result<Engine, Failure> {
        let tuning = tuning_file::load(&arguments.profile).map_err(Failure::input)?;
        let foreign = arguments.replica.as_deref().map(|program| program.display().to_string());
        let setup = Setup {
            engine: if arguments.real { "real" } else { "virtual" },
            timing: if arguments.precise { "precise" } else { "course" },
            foreign: foreign.is_some(),
            profile: foreign.unwrap_or_else(|| arguments.profile.clone()),
        };
        let real = arguments.real.then(|| RealOptions {
            program: arguments.replica.clone(),
            foreign: setup.foreign,
            profile: Some(arguments.profile.clone()),
            precise: arguments.precise,
            silence: arguments.silence,
            progress: true,
            ..RealOptions::default()
        });
        Ok(Engine { tuning, setup, delays: Delays::embedded(), real })
    }

    /// Whether runs can be done side by side: virtual ones can.
    pub fn is_parallel(&self) -> bool {
        self.real.is_none()
    }

    /// Does one run, judges it and writes its folder.
    pub fn run(&self, job: &Job) -> Result<Outcome, Failure> {
        let evidence = match &self.real {
            Some(options) => run_real(job, options)?,
            None => self.run_virtual(job)?,
        };
        let outcome = judge(&job.scenario, self.setup.clone(), evidence);
        if let Some(out) = &job.out {
            folder::write(out, &outcome).map_err(Failure::environment)?;
        }
        Ok(outcome)
    }

    fn run_virtual(&self, job: &Job) -> Result<Evidence, Failure> {
        let options = VirtualOptions {
            seed: job.seed,
            tuning: self.tuning.clone(),
            precise: self.setup.timing == "precise",
            through_codec: false,
            delays: self.delays.clone(),
            records: job.out.clone().map_or(Keep::Nothing, Keep::Folder),
        };
        let run = virtual_time::run(&job.scenario, &options).map_err(Failure::environment)?;
        let VirtualRun { conclusion, fold, balances, broken, .. } = run;
        let invariants = Some(broken);
        Ok(Evidence { conclusion, fold, balances, invariants, by_type: Vec::new() })
    }
}

fn run_real(job: &Job, options: &RealOptions) -> Result<Evidence, Failure> {
    let options = RealOptions { seed: job.seed, out: job.out.clone(), ..options.clone() };
    let run = real::run(&job.scenario, &options).map_err(real_failure)?;
    let RealRun { conclusion, fold, balances, by_type, .. } = run;
    let by_type = if options.foreign { by_type } else { Vec::new() };
    Ok(Evidence { conclusion, fold, balances, invariants: None, by_type })
}

/// Why a real run could not be done, and how to exit.
pub(in crate::cli) fn real_failure(error: RealError) -> Failure {
    match error {
        RealError::Interrupted => {
            Failure { status: Status::Interrupted, message: error.to_string() }
        }
        error => Failure::environment(error),
    }
}
