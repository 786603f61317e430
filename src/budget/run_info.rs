//! What a run's folder says besides its records and its history: how the run was done, and what the
//! simulator counted.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::limits::{Limits, StatedBy};
use super::report::{ChangedKnob, RunVerdict};
use crate::raft::{Micros, Tuning};
use crate::record::{KnobChange, changed_knobs};

/// The profile of a run for which none was named.
const COURSE: &str = include_str!("../../profiles/course.toml");

/// How a run was done, and what the simulator counted.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of its random draws.
    pub seed: u64,
    /// `virtual` or `real`.
    pub engine: String,
    /// `course` or `precise`.
    pub timing: String,
    /// The profile's name.
    pub profile: String,
    /// Number of replicas.
    pub replicas: usize,
    /// When the run ended.
    pub ended_at: Micros,
    /// Number of requests that the scenario asks for.
    pub requests: u64,
    /// Fraction of the requests that are gets.
    pub mix: f64,
    /// Probability that a delivery was lost.
    pub drops: f64,
    /// By how much the messages may stay below one for each replica and put.
    pub maximum_appends_batched_fraction: f64,
    /// The run's knobs.
    pub tuning: Tuning,
    /// Messages that the simulator counted, from the datagrams that it read.
    pub counted: u64,
    /// Limits, and where each is stated.
    pub limits: Vec<(StatedBy, Limits)>,
    /// How the run was judged; `None` if it was not.
    pub verdict: Option<RunVerdict>,
    /// Version of the program that ran it.
    pub ran_by: String,
}

/// Why a run's folder cannot be analysed. Each prints as one line.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file does not say what it should.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file's path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The keys of `run.json` that the analysis needs.
#[derive(Deserialize)]
struct RunFile {
    #[serde(default)]
    laconic_version: String,
    scenario: ScenarioPart,
    tuning: Option<Tuning>,
    #[serde(default)]
    budget: Limits,
    outcome: OutcomePart,
}

#[derive(Deserialize)]
struct ScenarioPart {
    replicas: usize,
    requests: u64,
    mix: f64,
    drops: f64,
    tests: TestsPart,
    #[serde(default)]
    budget: Limits,
}

#[derive(Deserialize)]
struct TestsPart {
    maximum_appends_batched_fraction: f64,
}

#[derive(Deserialize)]
struct OutcomePart {
    scenario: String,
    seed: u64,
    engine: String,
    timing: String,
    profile: String,
    ended_at_us: u64,
    messages: MessagesPart,
    passed: Option<bool>,
    over: Option<Value>,
    #[serde(default)]
    checks: Vec<CheckPart>,
    #[serde(default)]
    benchmarks: Vec<BenchmarkPart>,
    #[serde(default)]
    unanswered: Vec<Value>,
}

#[derive(Deserialize)]
struct CheckPart {
    name: String,
    passed: bool,
}

#[derive(Deserialize)]
struct BenchmarkPart {
    name: String,
    tier: u8,
}

impl OutcomePart {
    fn verdict(&self) -> Option<RunVerdict> {
        let failed = self.checks.iter().filter(|check| !check.passed);
        let tiers = self.benchmarks.iter().map(|found| (found.name.clone(), found.tier));
        Some(RunVerdict {
            passed: self.passed?,
            interrupted: self.over.is_none(),
            failed_checks: failed.map(|check| check.name.clone()).collect(),
            tiers: tiers.collect(),
            unanswered: self.unanswered.len() as u64,
        })
    }
}

#[derive(Deserialize)]
struct MessagesPart {
    counted: u64,
}

impl RunInfo {
    /// Reads the content of `run.json`.
    ///
    /// # Errors
    /// If a key is missing or wrong, or if the replicas are a foreign program, whose messages have
    /// no causes.
    pub fn from_json(run: &Value) -> Result<RunInfo, String> {
        let file = RunFile::deserialize(run).map_err(|error| error.to_string())?;
        let RunFile { laconic_version, scenario, tuning, budget, outcome } = file;
        let tuning = tuning.ok_or("a run of a foreign program: its messages name no causes")?;
        if !(3..=21).contains(&scenario.replicas) {
            return Err(format!("scenario.replicas must be 3 to 21, is {}", scenario.replicas));
        }
        Ok(RunInfo {
            verdict: outcome.verdict(),
            ran_by: laconic_version,
            scenario: outcome.scenario,
            seed: outcome.seed,
            engine: outcome.engine,
            timing: outcome.timing,
            profile: outcome.profile,
            replicas: scenario.replicas,
            ended_at: Micros(outcome.ended_at_us),
            requests: scenario.requests,
            mix: scenario.mix,
            drops: scenario.drops,
            maximum_appends_batched_fraction: scenario.tests.maximum_appends_batched_fraction,
            tuning,
            counted: outcome.messages.counted,
            limits: vec![(StatedBy::Scenario, scenario.budget), (StatedBy::Profile, budget)],
        })
    }

    /// The command line that repeats the run, as far as names can.
    pub fn command(&self) -> String {
        let mut command = format!("laconic sim {} --seed {}", self.scenario, self.seed);
        if self.engine == "real" {
            command += " --real";
        }
        if self.timing == "precise" {
            command += " --precise";
        }
        if self.profile != "course" && !self.profile.is_empty() {
            command = format!("{command} --profile {}", self.profile);
        }
        command
    }

    /// The knobs that differ from those of the profile `course`.
    pub fn changed_knobs(&self) -> Vec<ChangedKnob> {
        let Ok(course) = toml::from_str::<Tuning>(COURSE) else {
            return Vec::new();
        };
        let tell = |KnobChange { name, before, after }| ChangedKnob {
            knob: name,
            course: before,
            run: after,
        };
        changed_knobs(&course, &self.tuning).into_iter().map(tell).collect()
    }

    /// f: how many others make a quorum together with the leader.
    pub const fn others_needed(&self) -> u64 {
        self.replicas as u64 / 2
    }
}

/// The JSON document in `folder/run.json`.
///
/// # Errors
/// If it cannot be read.
pub fn read_run(folder: &Path) -> Result<Value, FactsError> {
    let path = folder.join("run.json");
    let text = read(&path)?;
    serde_json::from_str(&text)
        .map_err(|error| FactsError::Malformed { path, reason: error.to_string() })
}

fn read(path: &Path) -> Result<String, FactsError> {
    std::fs::read_to_string(path).map_err(|source| FactsError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever copies the line must get the same run: what is usual need not be said.
    #[test]
    fn the_command_names_what_is_not_usual() {
        let command = |engine: &str, timing: &str, profile: &str| {
            let (engine, timing, profile) = (engine.into(), timing.into(), profile.into());
            let info = RunInfo {
                scenario: "simple-1".into(),
                seed: 7,
                engine,
                timing,
                profile,
                replicas: 5,
                ended_at: Micros(0),
                requests: 0,
                mix: 0.5,
                drops: 0.0,
                maximum_appends_batched_fraction: 0.0,
                tuning: toml::from_str(COURSE).unwrap(),
                counted: 0,
                limits: Vec::new(),
                verdict: None,
                ran_by: String::new(),
            };
            assert_eq!(info.changed_knobs(), []);
            info.command()
        };
        let usual = "laconic sim simple-1 --seed 7";
        assert_eq!(command("virtual", "course", "course"), usual);
        assert_eq!(command("virtual", "course", ""), usual);
        assert_eq!(command("virtual", "course", "fast"), format!("{usual} --profile fast"));
        let all = format!("{usual} --real --precise --profile wan");
        assert_eq!(command("real", "precise", "wan"), all);
    }
}
