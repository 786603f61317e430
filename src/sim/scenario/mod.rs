//! Scenario files (interface §3): what a run asks of a cluster and what it must show.

mod course_files;
mod fault;
mod fault_json;
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
pub use fault::{Fault, FaultKind, Whom};

/// A fault, or the end of one (interface §3, "Events").
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantNames, IntoStaticStr, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum EventKind {
    /// Kills the replica that the simulator takes for the leader.
    KillLeader,
    /// Kills a random other replica that lives.
    KillNonLeader,
    /// A partition: one side is the leader and a bare majority.
    PartEasy,
    /// A partition: one side is a random bare majority.
    PartHard,
    /// Ends the partition.
    PartEnd,
    /// A partition of our own: the believed leader alone on one side, all others on the other,
    /// which counts as the majority. Nobody forgets the leader.
    CutLeader,
}

impl EventKind {
    /// The event's name in scenario files.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// An event, and when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happens.
    pub kind: EventKind,
    /// When it happens, counted from the end of `start_wait`.
    pub at: Micros,
}

/// The three thresholds of a benchmark, which rise: tier 0 below the first, 1 below the second, 2
/// below the third, otherwise 3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds(pub [f64; 3]);

/// The checks and benchmarks of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tests {
    /// Thresholds for messages between replicas.
    pub total_messages: Thresholds,
    /// Thresholds for `fail` answers and unanswered requests.
    pub failures: Thresholds,
    /// Thresholds for answers after an `ok`.
    pub duplicates: Thresholds,
    /// Thresholds for the median latency, in seconds.
    pub median_latency: Thresholds,
    /// Largest fraction of generated gets that may stay unanswered.
    pub maximum_get_fail_fraction: f64,
    /// Largest fraction of generated puts that may stay unanswered.
    pub maximum_put_fail_fraction: f64,
    /// Largest fraction of generated gets that may have become puts.
    pub maximum_get_generation_fail_fraction: f64,
    /// By how much the messages may stay below one for each replica and put.
    pub maximum_appends_batched_fraction: f64,
}

/// What the virtual network does besides losing messages (our own keys, under `network`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Probability that a delivery between replicas arrives twice.
    pub duplicates: f64,
    /// How long each delivery between replicas is under way at least: half a round trip.
    pub one_way: Micros,
    /// Probability that a delivery is held back by a random part of `delay_max`. Later ones may
    /// then overtake it.
    pub delayed: f64,
    /// The longest such delay.
    pub delay_max: Micros,
    /// Faults with a beginning and an end.
    pub faults: Vec<Fault>,
}

/// A scenario: what a run asks of a cluster and what it must show.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name: the file's name without folder and ending.
    pub name: String,
    /// How long requests are generated, in whole seconds.
    pub lifetime: Micros,
    /// Number of replicas, 3 to 21.
    pub replicas: usize,
    /// Number of requests, at least 1.
    pub requests: u64,
    /// Fraction of requests that are gets.
    pub mix: f64,
    /// Time without requests at the beginning.
    pub start_wait: Micros,
    /// Time without new requests at the end.
    pub end_wait: Micros,
    /// Probability that a delivery between replicas is lost.
    pub drops: f64,
    /// Random seed, if the file fixes one.
    pub seed: Option<u64>,
    /// The run stops when it has more messages between replicas than this.
    pub max_packets: u64,
    /// Faults, in order of time.
    pub events: Vec<Event>,
    /// The checks and benchmarks.
    pub tests: Tests,
    /// Our own key: clients share keys, each client has several requests in flight, and only the
    /// linearizability check judges the answers.
    pub shared_keys: bool,
    /// Our own key: how many requests are due together. 0: as the course has it, one by one; 16
    /// where clients share keys.
    pub burst: u64,
    /// Our own key: the length in bytes up to which puts' values are made longer, most of them
    /// less. 0: as the course has them.
    pub value_bytes: u64,
    /// Our own key: whether the simulator works at the pace of the course's own (design §7). If
    /// false, requests of one edge go out together and datagrams are handled at once.
    pub pace: bool,
    /// Our own key: delays, duplicates and reordering in the virtual network.
    pub network: Network,
    /// Our own key: by how much each replica's clock is too fast, in parts per million, by rank.
    /// Clocks of missing ranks run true. Virtual engine only.
    pub clock_drift_ppm: Vec<i32>,
    /// Our own key: what the run may spend. If it spends more, the exit status is 3.
    pub budget: Limits,
}

/// Why a scenario cannot be loaded. Each prints as one line.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The name is not a built-in scenario, and no such file exists.
    #[error(
        "no scenario and no file {name:?}; embedded are {}{}",
        course_files::names().join(", "),
        did_you_mean(name, course_files::names())
    )]
    Unknown {
        /// The name or path that was asked for.
        name: String,
    },
    /// The file exists but cannot be read.
    #[error("{file}: cannot be read: {reason}")]
    Unreadable {
        /// The file's path.
        file: String,
        /// The system's error.
        reason: std::io::Error,
    },
    /// The file is not JSON. The reason has line and column.
    #[error("{file}: not JSON: {reason}")]
    NotJson {
        /// The file's path.
        file: String,
        /// What is wrong, and where.
        reason: serde_json::Error,
    },
    /// A key breaks a rule.
    #[error("{file}: {key}: {rule}")]
    Rule {
        /// The file's path.
        file: String,
        /// The key with its path, for example `events[1].time`.
        key: String,
        /// The rule, and what the file has instead.
        rule: String,
    },
}

/// Something odd in a scenario file that runs all the same, as it does in the course's simulator.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// An unknown key, which does nothing.
    UnknownKey {
        /// The file's path.
        file: String,
        /// The key with its path.
        key: String,
        /// The most similar known key at this place, if any is similar.
        nearest: Option<String>,
    },
    /// Thresholds that do not strictly rise, so some tier is never reached.
    Thresholds {
        /// The file's path.
        file: String,
        /// The benchmark's key.
        benchmark: &'static str,
        /// The thresholds in the file.
        thresholds: Thresholds,
    },
    /// An event after the last request.
    LateEvent {
        /// The file's path.
        file: String,
        /// The event.
        kind: EventKind,
        /// When it is due, counted from the end of `start_wait`.
        at: Micros,
        /// Whether the run still lasts then, so that the event fires.
        fires: bool,
    },
}

impl Warning {
    /// What happens because of it, unless the file is refused.
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
    /// The scenario `name_or_path`: the built-in one of this name, or else the file.
    ///
    /// # Errors
    /// If there is no such scenario or file, or if the file breaks a rule of interface §3.
    pub fn load(name_or_path: &str) -> Result<Scenario, ScenarioError> {
        Scenario::load_noting(name_or_path).map(|(scenario, _)| scenario)
    }

    /// As [`Scenario::load`], and also returns what is odd in the file.
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

    /// The built-in scenario `name`: one of the seventeen of the course ([`COURSE`], interface §6)
    /// or one of ours; `None` if there is none.
    ///
    /// # Errors
    /// Those of the parser. A test makes sure that the built-in files have none.
    pub fn embedded(name: &str) -> Option<Result<Scenario, ScenarioError>> {
        let text = course_files::text(name)?;
        Some(Scenario::parse(name, &format!("{name}.json"), text))
    }

    /// The first key that asks for what only virtual time has: real clocks and networks cannot be
    /// told to be wrong.
    pub fn virtual_key(&self) -> Option<&'static str> {
        let Network { duplicates, one_way, delayed, delay_max: _, faults } = &self.network;
        let asked = [
            ("network.duplicates", *duplicates > 0.0),
            ("network.one_way_ms", *one_way > Micros(0)),
            ("network.delayed", *delayed > 0.0),
            ("network.faults", !faults.is_empty()),
            ("clock_drift_ppm", self.clock_drift_ppm.iter().any(|drift| *drift != 0)),
        ];
        asked.into_iter().find_map(|(key, is_asked)| is_asked.then_some(key))
    }

    /// How long the whole run lasts: `start_wait`, `lifetime` and `end_wait`.
    pub fn duration(&self) -> Micros {
        self.start_wait + self.lifetime + self.end_wait
    }

    /// The least messages between replicas that a correct run has (interface §5): a number for each
    /// put that the mix leads to expect. The puts are counted from the configured requests, not
    /// from what was generated.
    pub fn traffic_floor(&self) -> f64 {
        let replicas_asked = self.requests as f64 * self.replicas as f64;
        let unbatched_fraction = 1.0 - self.tests.maximum_appends_batched_fraction;
        replicas_asked * (1.0 - self.mix) * unbatched_fraction
    }
}
