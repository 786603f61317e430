//! The costs of fan-outs, computed and measured on the same arrivals: they agree within one percent
//! (design §3).

use laconic::budget::bounds::{self, others_needed};
use laconic::raft::Tuning;
use laconic::raft::tuning::FanOut;

use crate::{analysed, charged, isolated_puts, tuning};

fn assert_within_one_percent(measured: f64, computed: f64, what: &str) {
    assert!((measured - computed).abs() <= computed * 0.01, "{what}: {measured} for {computed}");
}

#[test]
fn a_batch_costs_f_plus_1_along_a_chain_2f_thriftily_and_2_n_minus_1_in_a_star() {
    for replicas in [3, 5, 7, 9] {
        let f = others_needed(replicas);
        let computed = [
            (FanOut::Chain, bounds::messages_per_batch(f, f + 1)),
            (FanOut::Thrifty, bounds::messages_per_batch(f, 2)),
            (FanOut::Star, 2 * (replicas - 1)),
            (FanOut::Broadcast, 2 * (replicas - 1)),
        ];
        for (fan_out, computed) in computed {
            let tuning = Tuning { fan_out, ..tuning("course") };
            let scenario = isolated_puts(replicas as usize, 300);
            let report = analysed(&scenario, &tuning, true, 1).report;
            assert_eq!(report.run.batches, 300);
            let measured = charged(&report, "replicate") as f64 / report.run.batches as f64;
            assert_within_one_percent(
                measured,
                computed as f64,
                &format!("{fan_out:?} {replicas}"),
            );
        }
    }
}

#[test]
fn textbook_raft_costs_2_n_minus_1_a_command_and_as_much_each_150_ms() {
    for replicas in [3, 5, 7] {
        let scenario = isolated_puts(replicas, 400);
        let report = analysed(&scenario, &tuning("textbook"), true, 1).report;
        let computed = report.references.iter().find(|row| row.name == "textbook").unwrap();
        let spent = charged(&report, "replicate") + charged(&report, "heartbeat");
        assert_within_one_percent(spent as f64, computed.messages, &format!("{replicas}"));
        let a_command = charged(&report, "replicate") as f64 / 400.0;
        assert_within_one_percent(a_command, 2.0 * (replicas - 1) as f64, "a command");
    }
}

#[test]
fn what_etcd_does_costs_4_n_minus_1_an_isolated_command() {
    for replicas in [3, 5, 7] {
        let scenario = isolated_puts(replicas, 300);
        let report = analysed(&scenario, &tuning("eager"), true, 1).report;
        let spent = charged(&report, "replicate") + charged(&report, "commit");
        let computed = 4.0 * (replicas - 1) as f64;
        assert_within_one_percent(spent as f64 / 300.0, computed, &format!("{replicas}"));
    }
}

/// A put that is alone takes as many hops as its fan-out says.
#[test]
fn a_batch_takes_two_hops_thriftily_and_one_a_follower_along_a_chain() {
    let f = others_needed(7);
    for (fan_out, hops) in [(FanOut::Thrifty, 2), (FanOut::Star, 2), (FanOut::Chain, f + 1)] {
        let tuning = Tuning { fan_out, ..tuning("course") };
        let report = analysed(&isolated_puts(7, 300), &tuning, true, 1).report;
        let points = &report.trade_off.points;
        assert!(points.iter().all(|point| point.0 == hops), "{fan_out:?}: {points:?}");
        assert_eq!(points.iter().map(|point| point.2).sum::<u64>(), 300, "{fan_out:?}");
    }
}

/// No run costs less than its floor, on any profile and with any faults, and no batch costs less
/// than the floor for its delay.
#[test]
fn no_run_undercuts_its_floor() {
    for name in laconic::sim::scenario::COURSE {
        for (profile, _) in laconic::tuning_file::EMBEDDED {
            let scenario = crate::scenario(name);
            let report = analysed(&scenario, &tuning(profile), false, 2).report;
            let f = report.trade_off.others_needed;
            for (hops, messages, _) in &report.trade_off.points {
                let least = bounds::messages_per_batch(f, *hops);
                let why = format!("{name} {profile}: {messages} within {hops}, least {least}");
                assert!(*hops >= 2 && *messages >= least, "{why}");
            }
            for figure in &report.figures {
                if let (Some(value), Some(floor)) = (figure.value, figure.floor) {
                    let why = format!("{name} {profile} {}: {value} < {floor}", figure.name);
                    assert!(value >= floor - 1e-9, "{why}");
                    let excess: f64 = figure.excess.iter().map(|share| share.value).sum();
                    assert!((value - floor - excess).abs() < 1e-6, "{why}: excess {excess}");
                }
            }
        }
    }
}
