//! Interface §3 and §5: checks, tiers and the summary.

use super::*;
use crate::sim::course::score::{Check, GENERATION_CHECK};
use crate::sim::course::summary::{OneLine, Summary};
use serde_json::json;

/// A run in which all requests are served and `messages` messages are sent.
fn good(messages: u64, change: impl FnOnce(&mut Scenario)) -> Run {
    let mut run = Run::with(change);
    for _ in 0..messages {
        run.message(0, "0001", "0000");
    }
    run.serve_all();
    run
}

fn tiers(conclusion: &Conclusion) -> Vec<u8> {
    conclusion.benchmarks.iter().map(|benchmark| benchmark.tier).collect()
}

/// Ten requests that are answered, and `unanswered` that are not.
fn partly_answered(unanswered: u64) -> Conclusion {
    let mut run = Run::with(|scenario| scenario.requests = 10 + unanswered);
    for _ in 0..10 {
        let request = run.request();
        run.ok(&request);
    }
    run.until(12_000);
    run.conclude()
}

#[test]
fn a_run_without_fault_passes() {
    let conclusion = good(30, |_| {}).conclude();
    assert!(conclusion.passed(), "{:?}", conclusion.checks);
}

#[test]
fn a_replica_that_ended_by_itself_fails_the_run() {
    let mut run = good(30, |_| {});
    run.course.on_ended(run.now, Member(2));
    let conclusion = run.conclude();
    assert!(!conclusion.passed() && !passes(&conclusion, "ended by itself"));
}

#[test]
fn at_least_one_put_must_be_acknowledged() {
    let mut run = Run::plain();
    run.until(12_000);
    assert!(!passes(&run.conclude(), "put was acknowledged"));
    let mut run = Run::plain();
    let request = run.request();
    run.ok(&request);
    assert!(passes(&run.conclude(), "put was acknowledged"));
}

#[test]
fn unanswered_puts_are_at_most_generated_puts_times_the_fraction() {
    assert!(passes(&partly_answered(10), "puts were answered"));
    assert!(!passes(&partly_answered(11), "puts were answered"));
}

#[test]
fn unanswered_gets_are_at_most_generated_gets_times_the_fraction() {
    for (fraction, passed) in [(0.25, true), (0.24, false)] {
        let mut run = Run::with(|scenario| {
            scenario.requests = 1_000;
            scenario.mix = 0.5;
            scenario.tests.maximum_get_fail_fraction = fraction;
        });
        let (mut gets, mut silent) = (0, 0);
        while let Some(due) = run.course.next_due() {
            run.now = due;
            let sent = only_sent(&run.fire());
            gets += u64::from(sent.value().is_none());
            if sent.value().is_none() && gets % 4 == 0 {
                silent += 1;
            } else {
                run.ok(&sent);
            }
        }
        let conclusion = run.conclude();
        assert_eq!((conclusion.counts.gets, conclusion.counts.unanswered_gets), (gets, silent));
        assert_eq!(passes(&conclusion, "gets were answered"), passed);
    }
}

#[test]
fn gets_that_could_not_be_generated_are_at_most_generated_gets_times_the_fraction() {
    let run = |fraction| {
        let mut run = Run::with(|scenario| {
            scenario.requests = 100;
            scenario.mix = 1.0;
            scenario.tests.maximum_get_generation_fail_fraction = fraction;
        });
        run.serve_all();
        run.conclude()
    };
    let counts = run(0.1).counts;
    assert_eq!((counts.ungenerated_gets, counts.gets), (8, 92));
    assert!(passes(&run(8.0 / 92.0 + 1e-9), GENERATION_CHECK));
    assert!(!passes(&run(8.0 / 92.0 - 1e-9), GENERATION_CHECK));
}

#[test]
fn the_floor_on_traffic_is_requests_by_replicas_by_put_fraction_by_unbatched_fraction() {
    let passed = |messages| passes(&good(messages, |_| {}).conclude(), "enough messages");
    assert!(!passed(24) && passed(25));
    let quarter = |messages| {
        let run = good(messages, |scenario| {
            scenario.tests.maximum_appends_batched_fraction = 0.75;
        });
        passes(&run.conclude(), "enough messages")
    };
    assert!(!quarter(12) && quarter(13));
}

#[test]
fn the_floor_counts_configured_requests_not_generated_puts() {
    let mut run = Run::with(|scenario| scenario.mix = 0.8);
    for _ in 0..5 {
        run.message(0, "0001", "0000");
    }
    run.serve_all();
    let conclusion = run.conclude();
    assert!(conclusion.counts.puts > 2 && passes(&conclusion, "enough messages"));
}

#[test]
fn tier_0_is_below_the_first_threshold_1_below_the_second_2_below_the_third_else_3() {
    for (messages, tier) in [(99, 0), (100, 1), (199, 1), (200, 2), (299, 2), (300, 3)] {
        let conclusion = good(messages, |_| {}).conclude();
        assert_eq!(tiers(&conclusion), [tier, 0, 0, 0], "{messages}");
    }
}

#[test]
fn a_bonus_threshold_of_0_cannot_be_reached() {
    let run = good(25, |scenario| scenario.tests.failures = Thresholds([0.0, 1.0, 2.0]));
    assert_eq!(tiers(&run.conclude()), [0, 1, 0, 0]);
}

#[test]
fn failures_are_fail_answers_and_unanswered_requests() {
    let mut run = Run::with(|scenario| scenario.requests = 2);
    let first = run.request();
    run.answer(&first, "fail", "0000");
    let second = run.request();
    let again = only_sent(&run.answer(&second, "redirect", "0000"));
    run.ok(&again);
    let conclusion = run.conclude();
    assert_eq!(conclusion.benchmarks[1].value, Some(2.0), "one fail, and its re-send unanswered");
    assert_eq!(tiers(&conclusion)[1], 2);
}

#[test]
fn duplicates_are_rated() {
    let mut run = Run::plain();
    let request = run.request();
    for _ in 0..3 {
        run.ok(&request);
    }
    assert_eq!(tiers(&run.conclude())[2], 2);
}

#[test]
fn the_median_is_element_len_by_2_of_the_sorted_list() {
    let mut run = Run::with(|scenario| scenario.requests = 4);
    for latency in [250_000, 150_000, 20_000, 50_000] {
        let request = run.request();
        run.now += Micros(latency);
        run.ok(&request);
    }
    let conclusion = run.conclude();
    assert_eq!(conclusion.median_latency, Some(Micros(150_000)));
    assert_eq!(conclusion.mean_latency, Some(0.1175));
    assert_eq!(tiers(&conclusion)[3], 1);
}

#[test]
fn latencies_are_left_out_when_nothing_was_answered() {
    let mut run = Run::plain();
    run.until(12_000);
    let conclusion = run.conclude();
    assert_eq!((conclusion.mean_latency, conclusion.median_latency), (None, None));
    assert!(!Summary(&conclusion).to_string().contains("latency"));
}

#[test]
fn the_summary_keeps_the_order_that_users_know() {
    let mut run = good(30, |scenario| scenario.events = vec![event(EventKind::KillNonLeader, 9)]);
    run.course.on_blocked();
    let text = Summary(&run.conclude()).to_string();
    let order = [
        "Leaders seen: ",
        "died/were killed: ",
        "sent: ",
        "dropped: ",
        "blocked by full sockets: ",
        "get/put requests: ",
        "Duplicate answers: ",
        "Unanswered",
        "Redirects",
        "failures: ",
        "incorrect answer: ",
        "latency: ",
        "Correctness:",
        "Tiers:",
        "total_msgs",
        "failures",
        "duplicates",
        "median_latency",
    ];
    let mut rest = text.as_str();
    for words in order {
        let at = rest.find(words).unwrap_or_else(|| panic!("{words} is not next in {rest}"));
        rest = &rest[at + words.len()..];
    }
    assert!(text.is_ascii());
}

#[test]
fn every_kind_of_incorrect_message_shares_the_incorrect_line() {
    let mut run = good(30, |_| {});
    run.read(0, "nonsense");
    run.message(0, "0777", "0000");
    run.read(3, r#"{"src":"0003","dst":"0015","leader":"0000","type":"ok","MID":"\n"}"#);
    let text = Summary(&run.conclude()).to_string();
    let line = text.lines().find(|line| line.starts_with("Gets with an incorrect answer:"));
    assert!(line.is_some_and(|line| line.ends_with(" 3")), "{text}");
    assert!(text.contains("from replica 0003"), "{text}");
}

#[test]
fn tiers_are_shown_only_if_all_checks_passed() {
    let mut conclusion = good(30, |_| {}).conclude();
    assert!(Summary(&conclusion).to_string().contains("Tiers:"));
    assert_eq!(
        OneLine(&conclusion).to_string(),
        "PASS  tiers: messages 0, failures 0, duplicates 0, latency 0"
    );
    conclusion.checks.push(Check {
        name: "the history is linearizable",
        passed: false,
        detail: "key K".to_owned(),
    });
    assert!(!Summary(&conclusion).to_string().contains("Tiers:"));
    assert_eq!(
        OneLine(&conclusion).to_string(),
        "FAIL  not met: the history is linearizable (key K)"
    );
}

#[test]
fn leaders_seen_are_told_in_the_order_in_which_they_were_first_seen() {
    let mut run = Run::plain();
    for leader in ["FFFF", "0003", "0001", "0003"] {
        run.message(0, "0001", leader);
    }
    let leaders: Vec<u16> = run.conclude().leaders_seen.iter().map(|leader| leader.0).collect();
    assert_eq!(leaders, [3, 1]);
}

#[test]
fn a_conclusion_becomes_json_with_units_in_its_names() {
    let conclusion = good(30, |_| {}).conclude();
    let json = serde_json::to_value(&conclusion).expect("JSON");
    assert_eq!(json["ended_at_us"], 10_000_001);
    assert_eq!(json["median_latency_us"], 0);
    assert_eq!(json["leaders_seen"][0], "0000");
    assert_eq!(json["counts"]["messages"], 30);
    assert_eq!(json["benchmarks"][0]["name"], "total_msgs");
    assert_eq!((&json["incidents"], &json["ends"]), (&json!([]), &json!([])));
}

#[test]
fn incidents_and_ends_become_json() {
    let mut run = Run::with(|scenario| scenario.events = vec![event(EventKind::KillNonLeader, 1)]);
    run.message(0, "0777", "0000");
    run.until(2_001);
    let killed = (0..5).find(|rank| !run.living().contains(rank)).map(|rank| format!("{rank:04X}"));
    let json = serde_json::to_value(run.conclude()).expect("JSON");
    let incident = json!({"at_us": 0, "from": "0000", "what": "no one has the ID 0777"});
    assert_eq!(json["incidents"][0], incident);
    let end = &json["ends"][0];
    assert_eq!((&end["replica"], &end["by_itself"]), (&json!(killed), &json!(false)));
}
