//! Asks a replica for its status and its metrics.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::metrics::exposition::{Series, by_series};

/// How long to wait for an answer. A dead replica must not stop the view.
const PATIENCE: Duration = Duration::from_millis(500);
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 4 << 20;

/// A replica to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The replica's ID, or its address while the ID is not known.
    pub name: String,
    /// Host and port.
    pub address: String,
}

/// What a replica reports in `/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ReplicaStatus {
    /// Its ID.
    pub id: String,
    /// `follower`, `pre_candidate`, `candidate` or `leader`.
    pub role: String,
    /// The current term.
    pub term: u64,
    /// The ID of the leader that it follows, if any.
    pub leader: Option<String>,
    /// The commit index.
    pub commit: u64,
    /// Index of the last entry that has taken effect in its store.
    pub applied: u64,
    /// Time since its start, in microseconds.
    pub uptime_us: u64,
    /// Until when it may answer reads under its lease, on the same clock; none without a lease.
    pub lease_until_us: Option<u64>,
    /// The end of its log.
    pub last: Last,
}

/// The end of a log: its last entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Last {
    /// The entry's index, or 0 without entries.
    pub index: u64,
}

/// A replica's answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The answer of `/status`.
    pub status: ReplicaStatus,
    /// The answer of `/metrics`.
    pub metrics: BTreeMap<Series, f64>,
}

impl Reading {
    /// Reads the texts of `/status` and `/metrics`.
    ///
    /// # Errors
    /// If the status is not that of a replica.
    pub fn parse(status: &str, metrics: &str) -> Result<Reading, String> {
        let status = serde_json::from_str(status).map_err(|error| format!("/status: {error}"))?;
        Ok(Reading { status, metrics: by_series(metrics) })
    }

    /// The sum of those samples of a family that `which` picks.
    pub fn sum(&self, name: &str, which: impl Fn(&Series) -> bool) -> f64 {
        let samples = self.metrics.iter().filter(|(series, _)| series.name == name);
        samples.filter(|(series, _)| which(series)).map(|(_, value)| value).sum()
    }
}

/// The result of asking a replica.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// The replica that was asked.
    pub target: Target,
    /// Its answers, or why there are none.
    pub reading: Result<Reading, String>,
}

/// Asks `target`.
pub fn scrape(target: &Target) -> Scrape {
    let answers = get(target, "status")
        .and_then(|status| get(target, "metrics").map(|metrics| (status, metrics)));
    let reading = answers.and_then(|(status, metrics)| Reading::parse(&status, &metrics));
    Scrape { target: target.clone(), reading }
}

fn get(target: &Target, what: &str) -> Result<String, String> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let url = format!("http://{}/{what}", target.address);
    let mut answer = agent.get(&url).call().map_err(|error| reason(&error))?;
    let body = answer.body_mut().with_config().limit(LONGEST_ANSWER);
    body.read_to_string().map_err(|error| reason(&error))
}

/// Why there is no answer, in words short enough to stand beside a replica's name.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused: no process listens there".to_owned()
        }
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::Timeout(_) => format!("no answer within {} ms", PATIENCE.as_millis()),
        ureq::Error::StatusCode(status) => format!("answers with HTTP status {status}"),
        other => other.to_string(),
    }
}

/// The label with the replica's name in the discovery file of a simulator's run.
const META_REPLICA: &str = "__meta_laconic_replica";

/// A group of targets in Prometheus' file service discovery.
#[derive(Deserialize)]
struct Group {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// The targets that the discovery file `path` names.
///
/// # Errors
/// One line, if it cannot be read or is not such a file.
pub fn targets_of(path: &Path) -> Result<Vec<Target>, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let groups: Vec<Group> = serde_json::from_str(&text)
        .map_err(|error| format!("{shown}: no service discovery file: {error}"))?;
    let targets = groups.iter().flat_map(|group| {
        group.targets.iter().map(|address| Target {
            name: group.labels.get(META_REPLICA).unwrap_or(address).clone(),
            address: address.clone(),
        })
    });
    let targets: Vec<Target> = targets.collect();
    if targets.is_empty() {
        return Err(format!("{shown}: names no targets"));
    }
    Ok(targets)
}
