//! Makes a [`Scenario`] from the text of a scenario file, with the keys, ranges and defaults of
//! interface §3 and with our own keys.

use serde::Deserialize;
use serde_json::Value;
use strum::VariantNames;

use super::fault_json::{LONGEST_DELAY_MS, faults};
use super::fields::{Asked, Fields, not};
use super::{Event, EventKind, Network, Scenario, ScenarioError, Tests, Thresholds, Warning};
use crate::budget::Limits;
use crate::nearest::shorten_unknown_field;
use crate::raft::Micros;

/// The largest `max_packets`.
const MOST_PACKETS: u64 = 900_000;
/// Our own limit, eleven days: request times are computed from microseconds times requests, and
/// must fit in 64 bits.
const LONGEST_LIFETIME_SECONDS: u64 = 1_000_000;
/// Our own limit: a put that is longer fits into no append.
const LONGEST_VALUE: u64 = 60_000;
/// Our own limit: a clock must not stand still or run backwards.
const MOST_DRIFT_PPM: i64 = 500_000;

impl Scenario {
    /// Reads a scenario from `text`. `name` is its name, and `file` is the name in errors.
    ///
    /// # Errors
    /// If the text is not JSON or breaks a rule of interface §3.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Scenario, ScenarioError> {
        Scenario::parse_noting(name, file, text).map(|(scenario, _)| scenario)
    }

    /// As [`Scenario::parse`], and also returns what is odd in the file.
    ///
    /// # Errors
    /// As [`Scenario::parse`].
    pub fn parse_noting(
        name: &str,
        file: &str,
        text: &str,
    ) -> Result<(Scenario, Vec<Warning>), ScenarioError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|reason| ScenarioError::NotJson { file: file.to_owned(), reason })?;
        let asked = Asked::default();
        let top = Fields::of_file(file, &value, &asked)?;
        let lifetime_seconds = top.integer("lifetime", 5..=LONGEST_LIFETIME_SECONDS)?;
        let replicas = top.integer("replicas", 3..=21)? as usize;
        let requests = top.integer("requests", 1..=MOST_PACKETS)?;
        let waits = 0.0..=lifetime_seconds as f64;
        let scenario = Scenario {
            name: name.to_owned(),
            lifetime: Micros::from_seconds(lifetime_seconds),
            replicas,
            requests,
            mix: top.number_or("mix", 0.0..=1.0, 0.8)?,
            start_wait: seconds(top.number_or("start_wait", waits.clone(), 5.0)?),
            end_wait: seconds(top.number_or("end_wait", waits, 2.0)?),
            drops: top.number_or("drops", 0.0..=1.0, 0.0)?,
            seed: top.value("seed").map(|_| top.integer("seed", 0..=u64::MAX)).transpose()?,
            max_packets: max_packets(&top, requests)?,
            events: events(&top)?,
            tests: tests(&top.object("tests")?)?,
            shared_keys: top.flag_or("shared_keys", false)?,
            burst: integer_or_0(&top, "burst", MOST_PACKETS)?,
            value_bytes: integer_or_0(&top, "value_bytes", LONGEST_VALUE)?,
            pace: top.flag_or("pace", true)?,
            network: network(&top.optional_object("network")?, replicas)?,
            clock_drift_ppm: clock_drift(&top, replicas)?,
            budget: budget(&top)?,
        };
        let mut warnings = asked.unknown_keys(file, &value);
        warnings.extend(flat_thresholds(file, &scenario.tests));
        warnings.extend(late_events(file, &scenario));
        Ok((scenario, warnings))
    }
}

/// `seconds` in whole microseconds. The caller has checked that they are not negative and not too
/// large.
fn seconds(seconds: f64) -> Micros {
    Micros((seconds * 1e6).round() as u64)
}

fn max_packets(top: &Fields, requests: u64) -> Result<u64, ScenarioError> {
    const DEFAULT: u64 = 20_000;
    if top.value("max_packets").is_some() {
        return top.integer("max_packets", requests..=MOST_PACKETS);
    }
    if requests > DEFAULT {
        let rule = format!("its default {DEFAULT} is too low for {requests} requests");
        return Err(top.refuse("max_packets", rule));
    }
    Ok(DEFAULT)
}

fn events(top: &Fields) -> Result<Vec<Event>, ScenarioError> {
    let mut events = Vec::new();
    for fields in top.objects("events")? {
        let name = fields.text("type")?;
        let kind = name.parse().map_err(|_| {
            let known = EventKind::VARIANTS.join(", ");
            fields.refuse("type", not(&format!("one of {known}"), &Value::from(name)))
        })?;
        let at = seconds(fields.number("time", 0.0..=LONGEST_LIFETIME_SECONDS as f64)?);
        events.push(Event { kind, at });
    }
    // The sort is stable: events of equal time stay in the file's order.
    events.sort_by_key(|event| event.at);
    Ok(events)
}

fn tests(fields: &Fields) -> Result<Tests, ScenarioError> {
    let benchmarks = fields.object("benchmarks")?;
    let fraction = |key, default| fields.number_or(key, 0.0..=1.0, default);
    Ok(Tests {
        total_messages: thresholds(&benchmarks, "total_msgs")?,
        failures: thresholds(&benchmarks, "failures")?,
        duplicates: thresholds(&benchmarks, "duplicates")?,
        median_latency: thresholds(&benchmarks, "median_latency")?,
        maximum_get_fail_fraction: fraction("maximum_get_fail_fraction", 0.5)?,
        maximum_put_fail_fraction: fraction("maximum_put_fail_fraction", 0.5)?,
        maximum_get_generation_fail_fraction: fraction(
            "maximum_get_generation_fail_fraction",
            0.1,
        )?,
        maximum_appends_batched_fraction: fraction("maximum_appends_batched_fraction", 0.5)?,
    })
}

fn thresholds(benchmarks: &Fields, key: &str) -> Result<Thresholds, ScenarioError> {
    if benchmarks.value(key).is_none() {
        return Err(benchmarks.refuse(key, "is missing"));
    }
    let numbers: Option<Vec<f64>> = benchmarks.list(key)?.iter().map(Value::as_f64).collect();
    match numbers.as_deref() {
        Some(&[first, second, third]) => Ok(Thresholds([first, second, third])),
        _ => Err(benchmarks.refuse(key, "must be a list of three numbers")),
    }
}

/// The benchmarks whose thresholds do not strictly rise. The course's simulator compares with one
/// after the other and does not check their order, so such a file runs here too.
fn flat_thresholds(file: &str, tests: &Tests) -> Vec<Warning> {
    let benchmarks = [
        ("total_msgs", tests.total_messages),
        ("failures", tests.failures),
        ("duplicates", tests.duplicates),
        ("median_latency", tests.median_latency),
    ];
    let flat =
        |(_, thresholds): &(_, Thresholds)| !thresholds.0.is_sorted_by(|one, next| one < next);
    let warning = |(benchmark, thresholds)| Warning::Thresholds {
        file: file.to_owned(),
        benchmark,
        thresholds,
    };
    benchmarks.into_iter().filter(flat).map(warning).collect()
}

/// Events after the last request. The course's simulator fires those within its run and accepts the
/// others, so such a file runs here too.
fn late_events(file: &str, scenario: &Scenario) -> Vec<Warning> {
    let lifetime = scenario.lifetime;
    let late = scenario.events.iter().filter(|event| event.at > lifetime);
    let warning = |event: &Event| Warning::LateEvent {
        file: file.to_owned(),
        kind: event.kind,
        at: event.at,
        fires: event.at < lifetime + scenario.end_wait,
    };
    late.map(warning).collect()
}

fn integer_or_0(top: &Fields, key: &str, most: u64) -> Result<u64, ScenarioError> {
    if top.value(key).is_some() { top.integer(key, 0..=most) } else { Ok(0) }
}

fn network(fields: &Fields, replicas: usize) -> Result<Network, ScenarioError> {
    let milliseconds = |key| {
        let read = fields.number_or(key, 0.0..=LONGEST_DELAY_MS, 0.0);
        read.map(|milliseconds| seconds(milliseconds / 1e3))
    };
    Ok(Network {
        duplicates: fields.number_or("duplicates", 0.0..=1.0, 0.0)?,
        one_way: milliseconds("one_way_ms")?,
        delayed: fields.number_or("delayed", 0.0..=1.0, 0.0)?,
        delay_max: milliseconds("delay_max_ms")?,
        faults: faults(fields, replicas)?,
    })
}

/// Our own keys. An unknown key is refused, since a misspelt limit would limit nothing.
fn budget(top: &Fields) -> Result<Limits, ScenarioError> {
    let Some(value) = top.value("budget") else {
        return Ok(Limits::default());
    };
    let refuse = |rule: String| top.refuse("budget", rule);
    let limits = Limits::deserialize(value)
        .map_err(|error| refuse(shorten_unknown_field(&error.to_string())))?;
    limits.check().map_err(|(key, rule)| refuse(format!("{key} {rule}")))?;
    Ok(limits)
}

fn clock_drift(top: &Fields, replicas: usize) -> Result<Vec<i32>, ScenarioError> {
    let key = "clock_drift_ppm";
    let rates = top.list(key)?;
    if rates.len() > replicas {
        let rule = format!("must have at most one entry a replica, not {}", rates.len());
        return Err(top.refuse(key, rule));
    }
    let within = |rate: &i64| (-MOST_DRIFT_PPM..=MOST_DRIFT_PPM).contains(rate);
    let read = |(rank, value): (usize, &Value)| {
        value.as_i64().filter(within).map(|rate| rate as i32).ok_or_else(|| {
            let rule = format!("an integer from -{MOST_DRIFT_PPM} to {MOST_DRIFT_PPM}");
            top.refuse(&format!("{key}[{rank}]"), not(&rule, value))
        })
    };
    rates.iter().enumerate().map(read).collect()
}
