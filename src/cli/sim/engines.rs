//! Does one run with the engine that was asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};

use serde::Serialize;

use super::arguments::{Job, SimArguments};
use crate::archive::RunRecords;
use crate::budget::report::LimitRow;
use crate::budget::{Analysis, BudgetReport, RunInfo};
use crate::cli::failure::Failure;
use crate::cli::output::write;
use crate::metrics::OpenMetrics;
use crate::raft::Micros;
use crate::record::{Record, Sink};
use crate::replica::Replica;
use crate::service;
use crate::sim::delays::Delays;
use crate::sim::folder::{self, Tuned};
use crate::sim::outcome::{RunMeasurements, RunOutcome, Setup, judge};
use crate::sim::real::{self, RealError, RealOptions, RealRun};
use crate::sim::scenario::Scenario;
use crate::sim::virtual_time::{self, Keep, Observer, VirtualOptions, VirtualRun};
use crate::tuning_file::{self, Profile};

/// How runs are done.
pub struct Engine {
    profile: Profile,
    setup: Setup,
    delays: Delays,
    /// Options of real runs. Each job sets its own seed and folder.
    real: Option<RealOptions>,
    /// Whether each run's budget is analysed even if no limits are stated.
    analyses: bool,
    /// The file for the metrics of a virtual run.
    open_metrics: Option<PathBuf>,
}

/// A run that has ended.
pub struct Done {
    /// How it was judged.
    pub outcome: RunOutcome,
    /// Its budget, if it was asked for or limits are stated.
    pub budget: Option<BudgetReport>,
}

impl Done {
    /// Whether the user interrupted it.
    pub fn is_interrupted(&self) -> bool {
        self.outcome.conclusion.over.is_none()
    }

    /// Whether a limit was exceeded.
    pub fn exceeds_budget(&self) -> bool {
        self.budget.iter().flat_map(|report| &report.limits).any(|limit| limit.exceeded)
    }

    /// The run as one line of JSON: its outcome, and the stated limits, if there are any.
    pub fn json_line(&self) -> String {
        /// The outcome's own keys, and one more if limits are stated.
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(flatten)]
            outcome: &'a RunOutcome,
            #[serde(skip_serializing_if = "<[LimitRow]>::is_empty")]
            limits: &'a [LimitRow],
        }
        let limits = self.budget.as_ref().map_or(&[][..], |report| &report.limits);
        // Numbers, strings and lists of them always serialize.
        serde_json::to_string(&Line { outcome: &self.outcome, limits }).unwrap_or_default() + "\n"
    }
}

impl Engine {
    /// The engine that `arguments` ask for.
    pub fn new(arguments: &SimArguments, analyses: bool) -> Result<Engine, Failure> {
        let profile = tuning_file::load(&arguments.profile).map_err(Failure::input)?;
        match &arguments.replica {
            // Checked once here. Otherwise each run would fail for the same reason.
            Some(program) => check_program(program)?,
            None if arguments.real => service::check_inherited().map_err(Failure::input)?,
            None => {}
        }
        let foreign = arguments.replica.as_deref().map(name_of);
        let setup = Setup {
            engine: if arguments.real { "real" } else { "virtual" },
            timing: if arguments.precise { "precise" } else { "course" },
            foreign: foreign.is_some(),
            profile: foreign.unwrap_or_else(|| name_of(Path::new(&arguments.profile))),
        };
        let real = arguments.real.then(|| RealOptions {
            program: arguments.replica.clone(),
            foreign: setup.foreign,
            profile: Some(arguments.profile.clone()),
            precise: arguments.precise,
            silence: arguments.silence,
            progress: true,
            discovery: arguments.metrics.clone(),
            hold: Duration::from_secs(arguments.hold),
            ..RealOptions::default()
        });
        let (delays, open_metrics) = (Delays::embedded(), arguments.open_metrics.clone());
        Ok(Engine { profile, setup, delays, real, analyses, open_metrics })
    }

    /// Whether runs can be done in parallel. Virtual ones can.
    pub fn is_parallel(&self) -> bool {
        self.real.is_none()
    }

    /// Does one run, judges it, writes its folder and analyses its budget.
    pub fn run(&self, job: &Job) -> Result<Done, Failure> {
        let limited = !self.profile.budget.is_empty() || !job.scenario.budget.is_empty();
        let analyses = (self.analyses || limited) && !self.setup.foreign;
        let tuned = Tuned {
            tuning: Some(&self.profile.tuning).filter(|_| !self.setup.foreign),
            budget: &self.profile.budget,
        };
        if let Some(out) = &job.out {
            let run = folder::run_json_before(&job.scenario, tuned, &self.setup, job.seed);
            folder::begin(out, &run).map_err(Failure::environment)?;
        }
        let (evidence, records) = match &self.real {
            Some(options) => run_real(job, options)?,
            None => self.run_virtual(job, analyses)?,
        };
        let outcome = judge(&job.scenario, self.setup.clone(), evidence);
        if job.out.is_none() && !analyses {
            return Ok(Done { outcome, budget: None });
        }
        let run = folder::run_json(&job.scenario, tuned, &outcome);
        let requests = folder::client_requests(&outcome.conclusion.history);
        if let Some(out) = &job.out {
            folder::finish(out, &run, &requests).map_err(Failure::environment)?;
        }
        if !analyses {
            return Ok(Done { outcome, budget: None });
        }
        let facts = RunInfo::from_json(&run).map_err(Failure::environment)?;
        let mut analysis = Analysis::new(facts);
        let problems = feed(&mut analysis, records, job.out.as_deref())?;
        let report = analysis.finish(&requests, problems);
        Ok(Done { outcome, budget: Some(report) })
    }

    fn run_virtual(
        &self,
        job: &Job,
        analyses: bool,
    ) -> Result<(RunMeasurements, Vec<Record>), Failure> {
        let options = VirtualOptions {
            seed: job.seed,
            tuning: self.profile.tuning.clone(),
            precise: self.setup.timing == "precise",
            through_codec: false,
            delays: self.delays.clone(),
            records: match &job.out {
                Some(out) => Keep::Folder(out.clone()),
                None if analyses => Keep::Memory,
                None => Keep::Nothing,
            },
        };
        let run = match &self.open_metrics {
            Some(path) => self.run_measured(job, &options, path)?,
            None => virtual_time::run(&job.scenario, &options).map_err(Failure::environment)?,
        };
        Ok(RunMeasurements::of_virtual(run))
    }

    fn run_measured(
        &self,
        job: &Job,
        options: &VirtualOptions,
        path: &Path,
    ) -> Result<VirtualRun, Failure> {
        let mut metrics = OpenMetrics::new(&job.scenario.name, self.profile.budget);
        let run = virtual_time::run_observed(&job.scenario, options, &mut metrics);
        write(path, &metrics.render())?;
        run.map_err(Failure::environment)
    }
}

impl Observer for OpenMetrics {
    fn join(&mut self, replica: &Replica) {
        OpenMetrics::join(self, replica);
    }

    fn sample(&mut self, now: Micros, local: Micros, replica: &Replica) {
        OpenMetrics::sample(self, now, local, replica);
    }
}

/// Hands the records to the analysis in order of time, from memory or, if the run wrote files, from
/// its folder. Returns what could not be read.
fn feed(
    analysis: &mut Analysis,
    records: Vec<Record>,
    out: Option<&Path>,
) -> Result<Vec<String>, Failure> {
    if let Some(out) = out.filter(|_| records.is_empty()) {
        let mut records = RunRecords::open(out).map_err(Failure::environment)?;
        records.by_ref().for_each(|record| analysis.record(&record));
        return Ok(records.problems().to_vec());
    }
    analysis.take_in(records);
    Ok(Vec::new())
}

/// Does a real run that must be complete to be of use.
pub(in crate::cli) fn whole_real_run(
    scenario: &Scenario,
    options: &RealOptions,
) -> Result<RealRun, Failure> {
    let run = real::run(scenario, options).map_err(real_failure)?;
    match run.conclusion.over {
        None => Err(Failure::interrupted("interrupted")),
        Some(_) => Ok(run),
    }
}

fn run_real(job: &Job, options: &RealOptions) -> Result<(RunMeasurements, Vec<Record>), Failure> {
    let options = RealOptions { seed: job.seed, out: job.out.clone(), ..options.clone() };
    let run = real::run(&job.scenario, &options).map_err(real_failure)?;
    let RealRun { conclusion, fold, balances, by_type, records, .. } = run;
    let by_type = if options.foreign { by_type } else { Vec::new() };
    Ok((RunMeasurements { conclusion, fold, balances, invariants: None, by_type }, records))
}

/// The last part of a path. The folder is the user's own matter and not kept with the run.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Checks that `program` exists and can be launched.
fn check_program(program: &Path) -> Result<(), Failure> {
    let found = program.metadata().and_then(|_| Ok(access(program, Access::EXEC_OK)?));
    found.map_err(|error| {
        Failure::environment(format!("{}: cannot be launched: {error}", program.display()))
    })
}

/// Why a real run could not be done, with the exit status.
fn real_failure(error: RealError) -> Failure {
    match error {
        RealError::Interrupted => Failure::interrupted(error),
        error => Failure::environment(error),
    }
}
