//! Every message is accounted for, and so is every microsecond of a latency.

use laconic::budget::report::BudgetReport;
use laconic::budget::{Analysis, RunInfo};
use laconic::raft::Member;
use laconic::record::{Fact, Record, Sink};
use laconic::sim::delays::Delays;
use laconic::sim::folder::{Tuned, client_requests, run_json};
use laconic::sim::outcome::{RunMeasurements, RunOutcome, Setup, judge};
use laconic::sim::scenario::{COURSE, Scenario};
use laconic::sim::virtual_time::{Keep, VirtualOptions, run};

use crate::{analysed, scenario, tuning};

/// Checks what must be true of every report.
pub fn assert_accounted_for(report: &BudgetReport, context: &str) {
    assert_eq!(report.run.problems, [] as [String; 0], "{context}");
    assert_eq!(report.books.faults, [] as [String; 0], "{context}");
    let books = &report.books;
    assert_eq!(books.sent, books.counted + books.unread + books.lost, "{context}");
    let by_cause: u64 = report.table.iter().map(|row| row.count).sum();
    let by_second: u64 = report.seconds.iter().flatten().sum();
    let by_phase: u64 = report.phases.iter().map(|row| row.messages).sum();
    let by_fate: u64 = report.fates.iter().map(|row| row.count).sum();
    let by_link: u64 = report.links.iter().map(|link| link.sent).sum();
    assert_eq!([by_cause, by_second, by_phase, by_fate, by_link], [books.sent; 5], "{context}");
    for link in &report.links {
        assert_eq!(link.sent, link.counted + link.unread + link.lost, "{context}: {link:?}");
    }
    let durations: u64 = report.phases.iter().map(|row| row.duration_us).sum();
    assert_eq!(durations, report.run.duration_us, "{context}");
    for row in &report.latency {
        let stages: f64 = row.stages.iter().map(|stage| stage.time.mean_us).sum();
        let total = row.total.mean_us;
        assert!((stages - total).abs() < 1e-6 * total.max(1.0), "{context}: {stages} {total}");
    }
    if let Some(story) = &report.story {
        let stages: i64 = story.stages.iter().map(|(_, took)| took).sum();
        assert_eq!(stages as u64, story.latency_us, "{context}: {story:?}");
    }
}

#[test]
fn the_books_of_the_seventeen_balance_on_ten_seeds_and_latencies_add_up() {
    for name in COURSE {
        let scenario = scenario(name);
        for seed in 1..=10 {
            let report = analysed(&scenario, &tuning("course"), false, seed).report;
            let context = format!("{name} seed {seed}");
            assert_accounted_for(&report, &context);
            let answered = report.latency.first().map_or(0, |row| row.count);
            assert!(answered >= scenario.requests * 9 / 10, "{context}: {answered} answered");
        }
    }
}

fn records(scenario: &Scenario, seed: u64) -> (Vec<Record>, RunOutcome) {
    let options = VirtualOptions {
        seed,
        tuning: tuning("course"),
        precise: false,
        through_codec: false,
        delays: Delays::embedded(),
        records: Keep::Memory,
    };
    let (evidence, mut records) = RunMeasurements::of_virtual(run(scenario, &options).unwrap());
    records.sort_by_key(|record| (record.at, record.source));
    let setup =
        Setup { engine: "virtual", timing: "course", profile: "course".into(), foreign: false };
    (records, judge(scenario, setup, evidence))
}

fn report(scenario: &Scenario, records: &[Record], outcome: &RunOutcome) -> BudgetReport {
    let tuning = tuning("course");
    let tuned = Tuned { tuning: Some(&tuning), budget: &Default::default() };
    let facts = RunInfo::from_json(&run_json(scenario, tuned, outcome)).unwrap();
    let mut analysis = Analysis::new(facts);
    records.iter().for_each(|record| analysis.record(record));
    analysis.finish(&client_requests(&outcome.conclusion.history), Vec::new())
}

/// A replica's records leave one message out, count one too many, or name another receiver than the
/// datagram had. Each error is caught, and the run without an error is not.
#[test]
fn one_count_that_is_wrong_in_a_replica_is_caught() {
    let scenario = scenario("unreliable-2");
    let (records, outcome) = records(&scenario, 3);
    assert_accounted_for(&report(&scenario, &records, &outcome), "untouched");
    let place = records
        .iter()
        .enumerate()
        .filter(|(_, record)| matches!(record.fact, Fact::Sent { .. }))
        .map(|(place, _)| place)
        .nth(700)
        .unwrap();
    let mut untold = records.clone();
    untold.remove(place);
    let mut miscounted = records.clone();
    let sender = records[place].source;
    let of_sender = |record: &&mut Record| record.source == sender;
    for record in miscounted.iter_mut().skip(place).filter(of_sender) {
        if let Fact::Sent { number, .. } = &mut record.fact {
            *number += 1;
        }
    }
    let mut misnamed = records.clone();
    if let Fact::Sent { to: laconic::raft::To::Member(to), .. } = &mut misnamed[place].fact {
        let other = (0..5).map(Member).find(|other| *other != sender && *other != *to);
        *to = other.unwrap();
    }
    for (what, records) in [("untold", untold), ("miscounted", miscounted), ("misnamed", misnamed)]
    {
        let report = report(&scenario, &records, &outcome);
        assert!(!report.books.faults.is_empty(), "{what} was not caught");
    }
}
