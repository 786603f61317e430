//! Metrics: what is exposed matches the registry and the records, in real runs and virtual ones,
//! and the endpoint keeps its bounds.

mod dashboards;
mod endpoint;
mod faults;
mod prometheus;
mod promtool;
mod real;
mod rules;
mod virtual_time;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use laconic::metrics::exposition::{Series, by_series};
use laconic::metrics::family::{FAMILIES, Family, FamilyKind, Occurs, REPLICA_LABEL};
use laconic::raft::{Member, To, Why};
use laconic::record::{Fact, Record};
use laconic::sim::scenario::Scenario;

/// Direction, kind, form, cause and peer of messages, as the labels name them.
type Place = (&'static str, String, String, String, String);

fn place(direction: &'static str, kind: &str, why: Why, peer: Member) -> Place {
    let peer = peer.to_string();
    (direction, kind.into(), why.form().name().into(), why.cause().name().into(), peer)
}

/// The messages of `source`, counted from its records, in a cluster of `replicas`.
fn ledger(records: &[Record], source: Member, replicas: usize) -> BTreeMap<Place, u64> {
    let mut ledger = BTreeMap::new();
    for record in records.iter().filter(|record| record.source == source) {
        match record.fact {
            Fact::Sent { to, kind, why, .. } => {
                let everyone = (0..replicas as u8).map(Member).filter(|peer| *peer != source);
                for peer in everyone.filter(|peer| to == To::Everyone || to == To::Member(*peer)) {
                    *ledger.entry(place("sent", kind.name(), why, peer)).or_default() += 1;
                }
            }
            Fact::Received { from, kind, why, .. } => {
                *ledger.entry(place("received", kind.name(), why, from)).or_default() += 1;
            }
            _ => {}
        }
    }
    ledger
}

/// The same counts from the samples of an exposition; of one replica if it holds several.
fn exposed(samples: &BTreeMap<Series, f64>, replica: Option<&str>) -> BTreeMap<Place, u64> {
    let of_replica = samples
        .iter()
        .filter(|(series, _)| replica.is_none() || series.label("replica") == replica);
    let row = |(series, value): (&Series, &f64)| {
        let direction = match series.name.as_str() {
            "laconic_messages_sent_total" => "sent",
            "laconic_messages_received_total" => "received",
            _ => return None,
        };
        let label = |name| series.label(name).unwrap().to_owned();
        let place = (direction, label("kind"), label("form"), label("cause"), label("peer"));
        Some((place, *value as u64))
    };
    of_replica.filter_map(row).collect()
}

/// The family of a sample, by its name.
fn family_of(sample: &str) -> &'static Family {
    let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| sample.strip_suffix(end));
    let named = |name| FAMILIES.iter().find(move |family| family.name == name);
    let histogram = stem.and_then(named).filter(|family| family.kind == FamilyKind::Histogram);
    histogram.or_else(|| named(sample)).unwrap_or_else(|| panic!("{sample}: not in the registry"))
}

/// Checks the text that a replica exposes against the registry: help, type, labels and buckets are
/// right, and no family is missing. Families of messages must be there if `talked`.
fn assert_as_registered(text: &str, talked: bool) {
    let samples = by_series(text);
    let mut seen = BTreeSet::new();
    for series in samples.keys() {
        let family = family_of(&series.name);
        seen.insert(family.name);
        let labels = series.labels.split(',').filter_map(|pair| pair.split_once('='));
        let labels: Vec<&str> = labels.map(|(name, _)| name).filter(|name| *name != "le").collect();
        let wanted = [&[REPLICA_LABEL], family.labels].concat();
        assert_eq!(labels, wanted, "{series:?}");
    }
    for family in FAMILIES {
        let name = family.name;
        let due = match family.occurs {
            Occurs::Always | Occurs::InProcess => true,
            Occurs::WithMessages => talked,
            Occurs::WithBudget => false,
        };
        assert!(!due || seen.contains(name), "{name} is missing");
        if !seen.contains(name) {
            continue;
        }
        let once = |line: String| {
            let count = text.lines().filter(|other| **other == *line).count();
            assert_eq!(count, 1, "{line}");
        };
        once(format!("# HELP {name} {}", family.help));
        once(format!("# TYPE {name} {}", family.kind.name()));
        let bounds = samples.keys().filter(|series| series.name == format!("{name}_bucket"));
        let parsed = |series: &Series| series.label("le").unwrap().parse::<f64>().unwrap();
        let bounds: BTreeSet<String> = bounds.map(|series| parsed(series).to_string()).collect();
        let above = (family.kind == FamilyKind::Histogram).then_some(f64::INFINITY);
        let wanted = family.buckets.iter().copied().chain(above).map(|bound| bound.to_string());
        assert_eq!(bounds, wanted.collect(), "{name}");
    }
    for (series, value) in &samples {
        assert!(value.is_finite(), "{series:?} {value}");
    }
}

/// The answer of an HTTP server to the bytes of a request; `None` if there is no server or it
/// answers nothing.
fn ask(address: &str, request: &[u8]) -> Option<String> {
    ask_bytes(address, request).map(|answer| String::from_utf8(answer).unwrap())
}

fn ask_bytes(address: &str, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may refuse the request before it has read all of it.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    (!answer.is_empty()).then_some(answer)
}

/// Head and body of what is at `path`. Each of the `headers` ends with its end of line.
fn get_with(address: &str, path: &str, headers: &str) -> Option<(String, Vec<u8>)> {
    // In HTTP/1.0 no answer comes in chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: test\r\n{headers}\r\n");
    let answer = ask_bytes(address, request.as_bytes())?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    Some((head, answer[end + 4..].to_vec()))
}

/// The body of what is at `path`; `None` if it cannot be read whole.
fn get(address: &str, path: &str) -> Option<String> {
    let (head, body) = get_with(address, path, "")?;
    let body = String::from_utf8(body).unwrap();
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let length = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let whole = length.into_iter().all(|(_, length)| length.parse() == Ok(body.len()));
    (head.split(' ').nth(1) == Some("200") && whole).then_some(body)
}

/// Five replicas and 60 requests in eight seconds; the first two seconds are quiet.
fn short_scenario() -> Scenario {
    let mut scenario = Scenario::load("simple-2").unwrap();
    scenario.name = "short".into();
    scenario.lifetime = laconic::raft::Micros::from_seconds(5);
    scenario.start_wait = laconic::raft::Micros::from_seconds(2);
    scenario.end_wait = laconic::raft::Micros::from_seconds(1);
    scenario.requests = 60;
    scenario.tests.maximum_get_generation_fail_fraction = 1.0;
    scenario
}
