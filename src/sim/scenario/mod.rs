//! Scenario files (interface §3): what a run asks of a cluster and what it must show.

mod course_files;
mod fields;
mod parse;
#[cfg(test)]
mod tests;
mod write;

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::budget::Limits;
use crate::nearest::did_you_mean;
use crate::raft::Micros;

pub use course_files::{COURSE, names};

/// A fault, or the end of one (interface §3, "Events").
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantNames, IntoStaticStr, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum EventKind {
    /// Kills the replica that the simulator believes leads.
    KillLeader,
    /// Kills a random living other.
    KillNonLeader,
    /// One side holds the leader and a bare majority.
    PartEasy,
    /// One side is a random bare majority.
    PartHard,
    /// Heals the partition.
    PartEnd,
    /// Ours: the believed leader alone on one side, all others on the other, which counts as the
    /// majority; nobody forgets who leads.
    CutLeader,
}

impl EventKind {
    /// Its name in scenario files.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// An event and when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happens.
    pub kind: EventKind,
    /// When, counted from the end of `start_wait`.
    pub at: Micros,
}

/// Three rising thresholds of a benchmark: tier 0 below the first, 1 below the second, 2 below the
/// third, else 3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds(pub [f64; 3]);

/// The checks and benchmarks of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tests {
    /// Replica-to-replica messages.
    pub total_messages: Thresholds,
    /// `fail` answers and unanswered requests.
    pub failures: Thresholds,
    /// Second answers.
    pub duplicates: Thresholds,
    /// Median latency, in seconds.
    pub median_latency: Thresholds,
    /// Largest fraction of generated gets that may stay unanswered.
    pub maximum_get_fail_fraction: f64,
    /// The same for puts.
    pub maximum_put_fail_fraction: f64,
    /// Largest fraction of generated gets that may have become puts.
    pub maximum_get_generation_fail_fraction: f64,
    /// How far below one message a replica and put the traffic may lie.
    pub maximum_appends_batched_fraction: f64,
}

/// What the virtual network does besides losing messages (keys of our own, under `network`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Network {
    /// Probability that a replica-to-replica delivery arrives twice.
    pub duplicates: f64,
    /// Probability that a delivery is held back by a random part of `delay_max`, so that later ones
    /// overtake it.
    pub delayed: f64,
    /// The longest such delay.
    pub delay_max: Micros,
}

/// A scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name: the file's, without folder and ending.
    pub name: String,
    /// How long requests are generated, in whole seconds.
    pub lifetime: Micros,
    /// How many replicas, 3 to 21.
    pub replicas: usize,
    /// How many requests, at least 1.
    pub requests: u64,
    /// Fraction of requests that are gets.
    pub mix: f64,
    /// Quiet time before the first request.
    pub start_wait: Micros,
    /// Time after the last one.
    pub end_wait: Micros,
    /// Probability that a replica-to-replica delivery is lost.
    pub drops: f64,
    /// Random seed, if the file fixes one.
    pub seed: Option<u64>,
    /// The run is stopped past so many replica-to-replica messages.
    pub max_packets: u64,
    /// Faults, in order of time.
    pub events: Vec<Event>,
    /// What the run must show.
    pub tests: Tests,
    /// Ours: clients share keys, several requests of one client are in flight, and
    /// linearizability alone judges.
    pub shared_keys: bool,
    /// Ours: delays, duplicates and reordering of the virtual network.
    pub network: Network,
    /// Ours: how fast each replica's clock runs against true time, in parts per million of
    /// difference, by rank; missing ranks run true. Virtual engine only.
    pub clock_drift_ppm: Vec<i32>,
    /// Ours: what the run may spend; more ends it with exit status 3.
    pub budget: Limits,
}

/// Why there is no scenario; each prints as one line.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The name is not embedded, and no such file exists.
    #[error(
        "no scenario and no file {name:?}; embedded are {}{}",
        course_files::names().join(", "),
        did_you_mean(name, course_files::names())
    )]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The file exists but cannot be read.
    #[error("{file}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The file is not JSON; the reason carries line and column.
    #[error("{file}: not JSON: {reason}")]
    NotJson {
        /// The file.
        file: String,
        /// What is wrong, and where.
        reason: serde_json::Error,
    },
    /// A key breaks a rule.
    #[error("{file}: {key}: {rule}")]
    Rule {
        /// The file.
        file: String,
        /// The key, with the path that leads to it, as in `events[1].time`.
        key: String,
        /// The rule, and what the file has instead.
        rule: String,
    },
}

/// What is odd in a scenario file and runs all the same, as in the course's simulator.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// A key that nobody knows, and which therefore does nothing.
    UnknownKey {
        /// The file.
        file: String,
        /// The key, with the path that leads to it.
        key: String,
        /// The known key at this place that is most like it, if any is.
        nearest: Option<String>,
    },
    /// Thresholds that do not strictly rise, so that some tier is never reached.
    Thresholds {
        /// The file.
        file: String,
        /// Of which benchmark.
        benchmark: &'static str,
        /// What it states.
        thresholds: Thresholds,
    },
    /// An event after the last request.
    LateEvent {
        /// The file.
        file: String,
        /// What was to happen.
        kind: EventKind,
        /// When, from the end of `start_wait` on.
        at: Micros,
        /// Whether the run still lasts then.
        fires: bool,
    },
}

impl Warning {
    /// What is done about it, unless the file is refused.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Warning::UnknownKey { .. } => "ignored",
            Warning::Thresholds { .. } => "the first that holds counts",
            Warning::LateEvent { fires: true, .. } => "it fires when nothing is asked any more",
            Warning::LateEvent { fires: false, .. } => "it never fires",
        }
    }
}

impl Display for Warning {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Warning::UnknownKey { file, key, nearest } => {
                write!(f, "{file}: {key}: no key of a scenario")?;
                nearest.iter().try_for_each(|nearest| write!(f, ", did you mean {nearest}?"))
            }
            Warning::Thresholds {
                file,
                benchmark,
                thresholds: Thresholds([first, second, third]),
            } => {
                write!(f, "{file}: tests.benchmarks.{benchmark}: does not strictly rise: ")?;
                write!(f, "{first}, {second}, {third}")
            }
            Warning::LateEvent { file, kind, at, .. } => {
                let (kind, seconds) = (kind.name(), at.as_seconds());
                write!(f, "{file}: events: {kind} at {seconds} s is after the last request")
            }
        }
    }
}

impl Scenario {
    /// The scenario `name_or_path`: an embedded one if it is the name of one, else the file.
    ///
    /// # Errors
    /// There is no such scenario or file, or the file breaks a rule of interface §3.
    pub fn load(name_or_path: &str) -> Result<Scenario, ScenarioError> {
        Scenario::load_noting(name_or_path).map(|(scenario, _)| scenario)
    }

    /// As [`Scenario::load`], with what is odd in the file.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn load_noting(name_or_path: &str) -> Result<(Scenario, Vec<Warning>), ScenarioError> {
        if let Some(scenario) = Scenario::embedded(name_or_path) {
            return scenario.map(|scenario| (scenario, Vec::new()));
        }
        let text = std::fs::read_to_string(name_or_path).map_err(|reason| {
            if reason.kind() == std::io::ErrorKind::NotFound {
                ScenarioError::Unknown { name: name_or_path.to_owned() }
            } else {
                ScenarioError::Unreadable { file: name_or_path.to_owned(), reason }
            }
        })?;
        let name = Path::new(name_or_path).file_stem().unwrap_or_default().to_string_lossy();
        Scenario::parse_noting(&name, name_or_path, &text)
    }

    /// The scenario that is built in under `name`: one of the seventeen of the course
    /// ([`COURSE`], interface §6) or `large`; `None` if there is none.
    ///
    /// # Errors
    /// Of the parser; the tests hold that the built-in files have none.
    pub fn embedded(name: &str) -> Option<Result<Scenario, ScenarioError>> {
        let text = course_files::text(name)?;
        Some(Scenario::parse(name, &format!("{name}.json"), text))
    }

    /// How long the whole run lasts: `start_wait`, `lifetime` and `end_wait`.
    pub fn duration(&self) -> Micros {
        self.start_wait + self.lifetime + self.end_wait
    }

    /// The least replica-to-replica messages a correct run shows (interface §5): so many for each
    /// put that the mix makes expected, which is of configured requests, not of generated puts.
    pub fn traffic_floor(&self) -> f64 {
        let replicas_asked = self.requests as f64 * self.replicas as f64;
        let unbatched_fraction = 1.0 - self.tests.maximum_appends_batched_fraction;
        replicas_asked * (1.0 - self.mix) * unbatched_fraction
    }
}
