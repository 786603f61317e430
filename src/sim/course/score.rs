//! What a run showed (interface §5): counts, correctness checks, tiers, and the stories of the
//! requests that went wrong.

use super::clients::{Attempt, Clients, SecondAnswer};
use super::effect::{Incident, Over};
use super::faults::{Cluster, Life};
use super::incoming::address_of;
use super::serialize::{as_text, as_texts, as_us, as_us_if_any};
use crate::interface::{Address, Text};
use crate::raft::{Member, Micros};
use crate::sim::history::{Action, ClientOperation};
use crate::sim::scenario::{Scenario, Thresholds};
use serde::{Serialize, Serializer};
use serde_json::json;

/// Messages between replicas, by their fate. A broadcast counts one for each other replica.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic {
    pub messages: u64,
    pub lost_by_random: u64,
    pub cut_off: u64,
    pub to_the_dead: u64,
    pub blocked: u64,
    pub incorrect: u64,
}

/// All that a run counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages between replicas, whatever their fate.
    pub messages: u64,
    /// Deliveries lost at random or to a partition.
    pub dropped: u64,
    /// Those of `dropped` that a partition cut off.
    pub cut_off: u64,
    /// Deliveries to dead replicas.
    pub to_the_dead: u64,
    /// Datagrams that a full socket refused.
    pub blocked: u64,
    /// Gets generated. Re-sends do not count.
    pub gets: u64,
    /// Puts generated, including those that should have been gets.
    pub puts: u64,
    /// Gets that became puts because the client had no key.
    pub ungenerated_gets: u64,
    /// Gets answered `ok`.
    pub acknowledged_gets: u64,
    /// Puts answered `ok`.
    pub acknowledged_puts: u64,
    /// Answers to requests that had been answered `ok` before.
    pub duplicates: u64,
    /// Gets without an answer at the end.
    pub unanswered_gets: u64,
    /// Puts without an answer at the end.
    pub unanswered_puts: u64,
    /// Answers `redirect` and `fail`.
    pub redirects: u64,
    /// Answers `fail` to gets.
    pub get_failures: u64,
    /// Answers `fail` to puts.
    pub put_failures: u64,
    /// Incorrect messages of all kinds.
    pub incorrect: u64,
    /// Replicas that ended without being killed, or count as if they had.
    pub died: u64,
    /// Replicas that the scenario killed.
    pub killed: u64,
}

/// A condition that a correct run meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What the check demands.
    pub name: &'static str,
    /// Whether the run met it.
    pub passed: bool,
    /// What was found, and what is allowed.
    pub detail: String,
}

/// The name of the check that depends on the clients' random draws. No replica can influence it.
pub const GENERATION_CHECK: &str = "enough gets could be generated";
/// The name of the check that replicas sent nothing that the course's simulator calls incorrect.
pub const INCORRECT_CHECK: &str = "no incorrect message";

/// A benchmark's result (interface §3).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Benchmark {
    /// The benchmark's key in the scenario file.
    pub name: &'static str,
    /// The measured value, latencies in seconds; `None`: there was nothing to measure.
    pub value: Option<f64>,
    /// The thresholds of the tiers bonus, full and partial.
    pub thresholds: [f64; 3],
    /// The tier: 0 bonus, 1 full, 2 partial, 3 none.
    pub tier: u8,
}

/// A request that nobody answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unanswered {
    /// The client's ID.
    #[serde(serialize_with = "as_text")]
    pub client: Address,
    /// The request's MID.
    pub mid: Text,
    /// The request's key.
    pub key: Text,
    /// Whether it was a put.
    pub is_put: bool,
    /// When it was sent.
    #[serde(rename = "created_at_us", serialize_with = "as_us")]
    pub created_at: Micros,
    /// The replica that it was sent to.
    #[serde(serialize_with = "as_text")]
    pub sent_to: Address,
    /// When that replica was killed, if it was.
    #[serde(rename = "killed_at_us", serialize_with = "as_us_if_any")]
    pub killed_at: Option<Micros>,
    /// When that replica ended without being killed, if it did.
    #[serde(rename = "ended_at_us", serialize_with = "as_us_if_any")]
    pub ended_at: Option<Micros>,
}

/// An answer to a request that had been answered `ok`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// The client's ID.
    #[serde(serialize_with = "as_text")]
    pub client: Address,
    /// The request's MID.
    pub mid: Text,
    /// The request's key.
    pub key: Text,
    /// Whether it was a put.
    pub is_put: bool,
    /// When it was sent.
    #[serde(rename = "created_at_us", serialize_with = "as_us")]
    pub created_at: Micros,
    /// When the first answer came.
    #[serde(rename = "first_at_us", serialize_with = "as_us")]
    pub first_at: Micros,
    /// The replica that gave the first answer.
    #[serde(serialize_with = "as_text")]
    pub first_by: Address,
    /// When the second answer came.
    #[serde(rename = "second_at_us", serialize_with = "as_us")]
    pub second_at: Micros,
    /// The replica that gave the second answer.
    #[serde(serialize_with = "as_text")]
    pub second_by: Address,
}

/// A run that is over, with its verdict. The caller appends its own results, such as the verdict on
/// the history, to `checks`.
#[derive(Clone, Debug, Serialize)]
pub struct Conclusion {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of the run.
    pub seed: u64,
    /// When the run ended.
    #[serde(rename = "ended_at_us", serialize_with = "as_us")]
    pub ended_at: Micros,
    /// Why it ended; `None`: it was interrupted.
    pub over: Option<Over>,
    /// The replicas that the simulator took for the leader, in the order in which it first did.
    #[serde(serialize_with = "as_texts")]
    pub leaders_seen: Vec<Address>,
    /// The counts.
    pub counts: Counts,
    /// Mean latency of answered requests, in seconds; `None` if nothing was answered.
    #[serde(rename = "mean_latency_s")]
    pub mean_latency: Option<f64>,
    /// Median latency: element `len / 2` of the sorted latencies.
    #[serde(rename = "median_latency_us", serialize_with = "as_us_if_any")]
    pub median_latency: Option<Micros>,
    /// How long clients waited for each `ok`, from when they first asked: what is sent on is asked
    /// again, and counts once. In order of answers.
    #[serde(skip)]
    pub waits: Vec<Micros>,
    /// The checks of correctness.
    pub checks: Vec<Check>,
    /// The benchmarks. Their tiers count only if all checks have passed.
    pub benchmarks: [Benchmark; 4],
    /// The requests without an answer, in order of creation.
    pub unanswered: Vec<Unanswered>,
    /// The answers after an `ok`, in order of arrival.
    pub duplicates: Vec<Duplicate>,
    /// The first incorrect messages.
    pub incidents: Vec<Incident>,
    /// The end of each replica's life, by rank.
    #[serde(rename = "ends", serialize_with = "as_ends")]
    pub lives: Vec<Life>,
    /// All that clients asked and were answered, in order of creation.
    #[serde(skip)]
    pub history: Vec<ClientOperation>,
}

impl Conclusion {
    /// Whether the run passed every check.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

/// What is left of a run at its end.
pub(super) struct Ended {
    pub scenario: Scenario,
    pub seed: u64,
    pub at: Micros,
    /// Why it ended; `None`: it was interrupted.
    pub over: Option<Over>,
    pub clients: Clients,
    pub cluster: Cluster,
    pub traffic: Traffic,
    pub incidents: Vec<Incident>,
}

/// Judges a run that has ended.
pub(super) fn conclude(ended: Ended) -> Conclusion {
    let Ended { scenario, seed, at, over, clients, cluster, traffic, incidents } = ended;
    let counts = count(&clients, &traffic, cluster.lives());
    let unanswered = clients.attempts.iter().filter(|attempt| is_unanswered(attempt));
    let unanswered = unanswered.map(|attempt| tell_unanswered(attempt, cluster.lives())).collect();
    let duplicates = clients.second_answers.iter();
    let duplicates = duplicates.filter_map(|second| tell_duplicate(&clients, second)).collect();
    let (mean_latency, median_latency) = mean_and_median(clients.latencies);
    Conclusion {
        seed,
        ended_at: at,
        over,
        leaders_seen: cluster.leaders_seen().iter().copied().map(address_of).collect(),
        mean_latency,
        median_latency,
        waits: clients.waits,
        checks: check(&scenario, &counts),
        benchmarks: rate(&scenario, &counts, median_latency),
        counts,
        unanswered,
        duplicates,
        incidents,
        lives: cluster.lives().to_vec(),
        history: clients.attempts.into_iter().map(|attempt| attempt.operation).collect(),
        scenario: scenario.name,
    }
}

fn count(clients: &Clients, traffic: &Traffic, lives: &[Life]) -> Counts {
    let unanswered = || clients.attempts.iter().filter(|attempt| is_unanswered(attempt));
    let unanswered_puts = unanswered().filter(|attempt| is_put(attempt)).count() as u64;
    let ends = |wanted: fn(&&Life) -> bool| lives.iter().filter(wanted).count() as u64;
    let tally = &clients.tally;
    Counts {
        messages: traffic.messages,
        dropped: traffic.lost_by_random + traffic.cut_off,
        cut_off: traffic.cut_off,
        to_the_dead: traffic.to_the_dead,
        blocked: traffic.blocked,
        gets: tally.gets,
        puts: tally.puts,
        ungenerated_gets: tally.ungenerated_gets,
        acknowledged_gets: tally.acknowledged_gets,
        acknowledged_puts: tally.acknowledged_puts,
        duplicates: clients.second_answers.len() as u64,
        unanswered_gets: unanswered().count() as u64 - unanswered_puts,
        unanswered_puts,
        redirects: tally.redirects,
        get_failures: tally.get_failures,
        put_failures: tally.put_failures,
        incorrect: traffic.incorrect,
        died: ends(|life| matches!(life, Life::Ended(_))),
        killed: ends(|life| matches!(life, Life::Killed(_))),
    }
}

/// The correctness checks of interface §5, in its order.
fn check(scenario: &Scenario, counts: &Counts) -> Vec<Check> {
    let tests = &scenario.tests;
    let at_most = |name, found: u64, of: u64, fraction: f64| Check {
        name,
        passed: found as f64 <= of as f64 * fraction,
        detail: format!("{found}, at most {fraction} of {of}"),
    };
    let none = |name, found: u64| Check { name, passed: found == 0, detail: found.to_string() };
    let get_fraction = tests.maximum_get_fail_fraction;
    let put_fraction = tests.maximum_put_fail_fraction;
    let generation_fraction = tests.maximum_get_generation_fail_fraction;
    let puts = scenario.requests as f64 * (1.0 - scenario.mix);
    let floor = puts * scenario.replicas as f64 * (1.0 - tests.maximum_appends_batched_fraction);
    vec![
        none(INCORRECT_CHECK, counts.incorrect),
        none("no replica ended by itself", counts.died),
        Check {
            name: "a put was acknowledged",
            passed: counts.acknowledged_puts > 0,
            detail: counts.acknowledged_puts.to_string(),
        },
        at_most("enough gets were answered", counts.unanswered_gets, counts.gets, get_fraction),
        at_most("enough puts were answered", counts.unanswered_puts, counts.puts, put_fraction),
        at_most(GENERATION_CHECK, counts.ungenerated_gets, counts.gets, generation_fraction),
        Check {
            name: "enough messages for a replicated store",
            passed: counts.messages as f64 >= floor,
            detail: format!("{}, at least {floor:.0}", counts.messages),
        },
    ]
}

/// The four tiers (interface §3 and §5).
fn rate(scenario: &Scenario, counts: &Counts, median: Option<Micros>) -> [Benchmark; 4] {
    let failures =
        counts.get_failures + counts.put_failures + counts.unanswered_gets + counts.unanswered_puts;
    let tests = &scenario.tests;
    let rate = |name, value: Option<f64>, thresholds: Thresholds| Benchmark {
        name,
        value,
        thresholds: thresholds.0,
        tier: value.map_or(3, |value| tier(value, thresholds)),
    };
    [
        rate("total_msgs", Some(counts.messages as f64), tests.total_messages),
        rate("failures", Some(failures as f64), tests.failures),
        rate("duplicates", Some(counts.duplicates as f64), tests.duplicates),
        rate("median_latency", median.map(Micros::as_seconds), tests.median_latency),
    ]
}

/// The tier of `value`: the first threshold that it is below, in the file's order, rising or not.
fn tier(value: f64, thresholds: Thresholds) -> u8 {
    thresholds.0.iter().take_while(|&&threshold| value >= threshold).count() as u8
}

fn mean_and_median(mut latencies: Vec<Micros>) -> (Option<f64>, Option<Micros>) {
    latencies.sort_unstable();
    let sum: u64 = latencies.iter().map(|latency| latency.0).sum();
    let mean = (!latencies.is_empty()).then(|| sum as f64 / latencies.len() as f64 / 1e6);
    (mean, latencies.get(latencies.len() / 2).copied())
}

fn is_unanswered(attempt: &Attempt) -> bool {
    attempt.operation.answered.is_none()
}

fn is_put(attempt: &Attempt) -> bool {
    matches!(attempt.operation.action, Action::Put { .. })
}

fn tell_unanswered(attempt: &Attempt, lives: &[Life]) -> Unanswered {
    let life = lives[attempt.sent_to.rank()];
    Unanswered {
        client: attempt.operation.client,
        mid: attempt.operation.mid.clone(),
        key: attempt.operation.key.clone(),
        is_put: is_put(attempt),
        created_at: attempt.operation.invoked_at,
        sent_to: address_of(attempt.sent_to),
        killed_at: if let Life::Killed(at) = life { Some(at) } else { None },
        ended_at: if let Life::Ended(at) = life { Some(at) } else { None },
    }
}

fn tell_duplicate(clients: &Clients, second: &SecondAnswer) -> Option<Duplicate> {
    let attempt = &clients.attempts[second.attempt];
    let (first_at, _) = attempt.operation.answered?;
    Some(Duplicate {
        client: attempt.operation.client,
        mid: attempt.operation.mid.clone(),
        key: attempt.operation.key.clone(),
        is_put: is_put(attempt),
        created_at: attempt.operation.invoked_at,
        first_at,
        first_by: attempt.answered_by.map(address_of)?,
        second_at: second.at,
        second_by: address_of(second.by),
    })
}

/// The replicas that no longer live, each with how and when it ended.
fn as_ends<S: Serializer>(lives: &[Life], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq((0..).map(Member).zip(lives).filter_map(|(member, life)| {
        let (by_itself, at) = match life {
            Life::Running => return None,
            Life::Ended(at) => (true, at),
            Life::Killed(at) => (false, at),
        };
        let replica = address_of(member).to_string();
        Some(json!({ "replica": replica, "by_itself": by_itself, "at_us": at.0 }))
    }))
}
