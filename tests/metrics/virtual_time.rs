//! Virtual runs: the OpenMetrics text holds the same families and totals that replicas expose, and
//! sampling changes nothing in the run.

use std::collections::{BTreeMap, BTreeSet};

use laconic::budget::Limits;
use laconic::interface::Address;
use laconic::metrics::exposition::{Format, Series, by_series};
use laconic::metrics::family::{FAMILIES, Family, FamilyKind, LEADERLESS, Occurs};
use laconic::metrics::{EPOCH_SECONDS, MetricsSink, OpenMetrics};
use laconic::raft::tuning::FanOut;
use laconic::raft::{Member, Tuning};
use laconic::record::{Fact, Record, Sink};
use laconic::sim::delays::Delays;
use laconic::sim::scenario::Scenario;
use laconic::sim::virtual_time::{Keep, VirtualOptions, VirtualRun, run, run_observed};
use laconic::tuning_file;
use laconic::wire::Membership;

use super::{exposed, family_of, ledger};

fn tuning(profile: &str) -> Tuning {
    tuning_file::load(profile).unwrap().tuning
}

fn options(seed: u64, tuning: Tuning) -> VirtualOptions {
    VirtualOptions {
        seed,
        tuning,
        precise: false,
        through_codec: false,
        delays: Delays::embedded(),
        records: Keep::Memory,
    }
}

fn observed(scenario: &Scenario, options: &VirtualOptions) -> (VirtualRun, String) {
    let mut metrics = OpenMetrics::new(&scenario.name, Limits::default());
    let run = run_observed(scenario, options, &mut metrics).unwrap();
    (run, metrics.render())
}

/// The newest value of each series of an OpenMetrics text.
fn newest(text: &str) -> BTreeMap<Series, f64> {
    let untimed = text.lines().map(|line| {
        if line.starts_with('#') {
            "\n".to_owned()
        } else {
            line.rsplit_once(' ').unwrap().0.to_owned() + "\n"
        }
    });
    by_series(&untimed.collect::<String>())
}

/// The text that the replica `rank` exposes after these records.
fn exposition(records: &[Record], rank: u16, replicas: u16, tuning: &Tuning) -> String {
    let others: Vec<Address> = (0..replicas).filter(|id| *id != rank).map(Address).collect();
    let members = Membership::new(Address(rank), &others).unwrap();
    let mut sink = MetricsSink::new(&members, tuning, &Limits::default());
    sink.publish_start(EPOCH_SECONDS as f64);
    let own = records.iter().filter(|record| record.source == Member(rank as u8));
    own.for_each(|record| sink.record(record));
    sink.handle().render(Format::Text)
}

#[test]
fn looking_changes_no_record() {
    for (name, seed) in [("simple-2", 1), ("crash-4", 2), ("advanced-4", 3)] {
        let (scenario, options) = (Scenario::load(name).unwrap(), options(seed, tuning("course")));
        let plain = run(&scenario, &options).unwrap();
        let (seen, _) = observed(&scenario, &options);
        assert!(plain.records == seen.records && !plain.records.is_empty(), "{name}");
    }
}

#[test]
fn both_writers_tell_the_same_families_and_totals_and_these_are_the_ledgers() {
    for (name, seed) in [("simple-2", 4), ("crash-4", 5), ("advanced-4", 6)] {
        let (scenario, tuning) = (Scenario::load(name).unwrap(), tuning("course"));
        let (run, text) = observed(&scenario, &options(seed, tuning.clone()));
        let (timed, replicas) = (newest(&text), scenario.replicas);
        for rank in 0..replicas as u16 {
            let exposition = exposition(&run.records, rank, replicas as u16, &tuning);
            let plain = by_series(&exposition);
            let id = format!("{rank:04X}");
            let member = Member(rank as u8);
            let ledger = ledger(&run.records, member, replicas);
            assert_eq!(exposed(&plain, None), ledger, "{name} {id}");
            assert_eq!(exposed(&timed, Some(&id)), ledger, "{name} {id}");
            let labelled = plain.iter().map(|(series, value)| {
                let labels = format!("job=\"laconic\",cluster=\"{name}\",{}", series.labels);
                (Series { labels, ..series.clone() }, *value)
            });
            // Gauges have the values of the moment of publication, which records do not tell. The
            // same is true of the time without a leader, which rises while nothing is recorded.
            let told = labelled.filter(|(series, _)| {
                let family = family_of(&series.name);
                family.kind != FamilyKind::Gauge && family.name != LEADERLESS.name
            });
            let of_replica =
                |(series, _): &(&Series, &f64)| series.label("replica") == Some(id.as_str());
            let names = |map: &mut dyn Iterator<Item = &Series>| -> BTreeSet<&str> {
                map.map(|series| family_of(&series.name).name).collect()
            };
            let timed_names = names(&mut timed.iter().filter(of_replica).map(|(series, _)| series));
            let plain_names = names(&mut plain.keys());
            let tuning_only: BTreeSet<&str> =
                timed_names.difference(&plain_names).copied().collect();
            let at_publication = BTreeSet::from(["laconic_tuning", "laconic_tuning_choice"]);
            assert_eq!(tuning_only, at_publication, "{name} {id}");
            assert!(plain_names.is_subset(&timed_names), "{name} {id}");
            for (series, value) in told {
                let other = timed[&series];
                // The last digits of a sum of seconds depend on the order of adding.
                let same = if series.name.ends_with("_seconds_sum") {
                    (other - value).abs() <= 1e-9 * value
                } else {
                    other == value
                };
                assert!(same, "{name} {series:?} {other} {value}");
            }
        }
        assert_totals(&run, &timed);
    }
}

/// Compares the totals with those that another fold counted from the same records.
fn assert_totals(run: &VirtualRun, timed: &BTreeMap<Series, f64>) {
    let sum = |name: &str, labels: &str| {
        let found = timed.iter().filter(|(series, _)| series.name == name);
        let found = found.filter(|(series, _)| series.labels.contains(labels));
        found.map(|(_, value)| value).sum::<f64>() as u64
    };
    assert_eq!(sum("laconic_elections_total", "outcome=\"won\""), run.fold.elections);
    assert_eq!(sum("laconic_batch_entries_count", ""), run.fold.batches);
    assert_eq!(sum("laconic_resend_timeouts_total", ""), run.fold.resend_timeouts);
    assert_eq!(sum("laconic_datagrams_dropped_total", ""), run.fold.garbage);
    let sent: u64 = run.fold.sent_by.iter().sum();
    assert_eq!(sum("laconic_messages_sent_total", ""), sent);
    let bytes = run.records.iter().map(|record| match record.fact {
        Fact::Sent { to: laconic::raft::To::Everyone, bytes, .. } => {
            u64::from(bytes) * (run.balances.len() as u64 - 1)
        }
        Fact::Sent { bytes, .. } => bytes.into(),
        _ => 0,
    });
    assert_eq!(sum("laconic_sent_bytes_total", ""), bytes.sum::<u64>());
    let answered = |record: &&Record| matches!(record.fact, Fact::Answered { .. });
    let answers = run.records.iter().filter(answered).count() as u64;
    assert_eq!(sum("laconic_client_requests_total", ""), answers);
}

#[test]
fn the_text_is_open_metrics_family_by_family_in_the_order_of_time() {
    let scenario = Scenario::load("crash-4").unwrap();
    let (_, text) = observed(&scenario, &options(7, tuning("course")));
    assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
    let types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    assert_eq!(types.iter().collect::<BTreeSet<_>>().len(), types.len());
    let mut series = ("", 0.0);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (rest, at) = line.rsplit_once(' ').unwrap();
        let (name, at) = (rest.rsplit_once(' ').unwrap().0, at.parse::<f64>().unwrap());
        assert!(name != series.0 || at > series.1, "{line}");
        let run = EPOCH_SECONDS as f64..EPOCH_SECONDS as f64 + 120.0;
        assert!(run.contains(&at), "{line}");
        series = (name, at);
    }
    let timed = |family: &&Family| !family.unit.is_empty() && family.occurs != Occurs::InProcess;
    for family in FAMILIES.iter().filter(timed) {
        let name = family.name.trim_end_matches("_total");
        assert!(text.contains(&format!("# UNIT {name} {}\n", family.unit)), "{name}");
    }
}

/// The receiver counts a message under the cause that its sender recorded, for every fan-out.
#[test]
fn a_received_message_has_the_cause_that_its_sender_recorded() {
    let chain = Tuning { fan_out: FanOut::Chain, ..tuning("course") };
    let tunings = [tuning("course"), tuning("textbook"), tuning("eager"), chain];
    let mut relays = 0;
    for (seed, tuning) in (1..).zip(tunings) {
        let scenario = Scenario::load("advanced-4").unwrap();
        let run = run(&scenario, &options(seed, tuning)).unwrap();
        let sent = run.records.iter().filter_map(|record| match record.fact {
            Fact::Sent { number, kind, why, .. } => Some(((record.source, number), (kind, why))),
            _ => None,
        });
        let sent: BTreeMap<_, _> = sent.collect();
        let mut received = 0;
        for record in &run.records {
            if let Fact::Received { from, number, kind, why, .. } = record.fact {
                assert_eq!(sent.get(&(from, number)), Some(&(kind, why)), "{record:?}");
                received += 1;
                relays += u64::from(matches!(why, laconic::raft::Why::Relay(_)));
            }
        }
        assert!(received > 500, "{received}");
    }
    assert!(relays > 0);
}

#[test]
fn a_stated_budget_is_exposed_in_base_units() {
    let scenario = Scenario::load("simple-2").unwrap();
    let limits = Limits {
        messages_per_commit: Some(3.5),
        p99_latency_us: Some(2_000.0),
        ..Limits::default()
    };
    let mut metrics = OpenMetrics::new("a \"b\"", limits);
    run_observed(&scenario, &options(1, tuning("course")), &mut metrics).unwrap();
    let text = metrics.render();
    for (limit, allowed) in [("messages_per_commit", "3.5"), ("p99_latency_seconds", "0.002")] {
        let labels = format!(r#"job="laconic",cluster="a \"b\"",replica="0000",limit="{limit}""#);
        let series = format!("laconic_budget_allowed{{{labels}}}");
        assert!(text.contains(&format!("{series} {allowed} ")), "{series}");
    }
}
