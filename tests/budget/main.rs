//! The message budget: its books, its floors, its findings with their controls, and its formats.

mod altered;
mod books;
mod controls;
mod costs;
mod damage;
mod formats;
mod kept;
mod real;
mod verification;

use laconic::budget::BudgetReport;
use laconic::budget::report::{Finding, FindingVerdict};
use laconic::raft::{Micros, Tuning};
use laconic::sim::scenario::Scenario;
use laconic::tune::{Experiment, Rerun};
use laconic::tuning_file;

/// The knobs of an embedded profile.
fn tuning(profile: &str) -> Tuning {
    tuning_file::load(profile).unwrap().tuning
}

fn scenario(name: &str) -> Scenario {
    Scenario::load(name).unwrap()
}

/// Puts at even times, each of them alone on the network.
fn isolated_puts(replicas: usize, requests: u64) -> Scenario {
    let mut scenario = scenario("simple-2");
    (scenario.replicas, scenario.requests, scenario.mix) = (replicas, requests, 0.0);
    scenario.max_packets = 900_000;
    scenario
}

fn analysed(scenario: &Scenario, tuning: &Tuning, precise: bool, seed: u64) -> Rerun {
    let (scenario, tuning) = (scenario.clone(), tuning.clone());
    let experiment = Experiment { scenario, tuning, precise, seeds: vec![seed] };
    experiment.run(&experiment.tuning, seed).unwrap()
}

fn charged(report: &BudgetReport, cause: &str) -> u64 {
    report.table.iter().filter(|row| row.cause == cause).map(|row| row.count).sum()
}

fn finding<'a>(report: &'a BudgetReport, name: &str) -> &'a Finding {
    report.findings.iter().find(|finding| finding.name == name).unwrap()
}

fn is_found(report: &BudgetReport, name: &str) -> bool {
    finding(report, name).verdict == FindingVerdict::Found
}

fn seconds(seconds: u64) -> Micros {
    Micros::from_seconds(seconds)
}
