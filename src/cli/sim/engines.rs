//! One run, by the engine that was asked for.

use super::{Job, SimArguments};
use crate::cli::Failure;
use crate::raft::Tuning;
use crate::sim::delays::Delays;
use crate::sim::folder;
use crate::sim::outcome::{Evidence, Outcome, Setup, judge};
use crate::sim::virtual_time::{self, Keep, VirtualOptions, VirtualRun};
use crate::tuning_file;

/// How runs are done.
pub struct Engine {
    tuning: Tuning,
    setup: Setup,
    delays: Delays,
}

impl Engine {
    /// The engine that `arguments` ask for.
    pub fn new(arguments: &SimArguments) -> Result<Engine, Failure> {
        let tuning = tuning_file::load(&arguments.profile).map_err(Failure::input)?;
        let setup = Setup {
            engine: "virtual",
            timing: if arguments.precise { "precise" } else { "course" },
            profile: arguments.profile.clone(),
            foreign: false,
        };
        Ok(Engine { tuning, setup, delays: Delays::embedded() })
    }

    /// Whether runs can be done side by side: virtual ones can.
    pub fn is_parallel(&self) -> bool {
        self.setup.engine == "virtual"
    }

    /// Does one run, judges it and writes its folder.
    pub fn run(&self, job: &Job) -> Result<Outcome, Failure> {
        let evidence = self.run_virtual(job)?;
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
