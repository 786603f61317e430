//! The limits of the knobs, each from both sides.

use laconic::raft::Tuning;
use laconic::raft::tuning::{Control, Violation};

use crate::cluster::course;

fn textbook() -> Tuning {
    laconic::tuning_file::load("textbook").expect("a profile").tuning
}

/// The knob that breaks its rule, if any.
fn broken(tuning: &Tuning) -> Option<&'static str> {
    tuning.check().err().map(|Violation { key, .. }| key)
}

#[test]
fn knobs_that_are_not_stated_have_their_usual_values() {
    let mut knobs = serde_json::to_value(course()).unwrap();
    for key in ["detection_target_us", "waiting_most_requests", "wrong_elections_per_day"] {
        knobs.as_object_mut().unwrap().remove(key).expect(key);
    }
    let tuning: Tuning = serde_json::from_value(knobs).unwrap();
    assert_eq!(tuning.detection_target_us, 1_300_000);
    assert_eq!(tuning.waiting_most_requests, 1_024);
    assert_eq!(tuning.wrong_elections_per_day, 1);
}

/// Who is asked first may lose a heartbeat without an election, so a heartbeat and two resends must
/// fit into the timeout; otherwise two heartbeats.
#[test]
fn an_election_timeout_leaves_room_for_heartbeats() {
    let asking = Tuning { heartbeat_interval_us: 1_100_000, resend_timeout_us: 3_000, ..course() };
    let with = |election_timeout_min_us| Tuning { election_timeout_min_us, ..asking.clone() };
    assert_eq!(broken(&with(1_106_000)), None);
    assert_eq!(broken(&with(1_105_999)), Some("election_timeout_min_us"));
    let plain = textbook();
    assert_eq!(plain.inquiries, 0);
    let with = |election_timeout_min_us| Tuning { election_timeout_min_us, ..plain.clone() };
    assert_eq!(broken(&with(plain.heartbeat_interval_us * 2)), None);
    let less = plain.heartbeat_interval_us * 2 - 1;
    assert_eq!(broken(&with(less)), Some("election_timeout_min_us"));
}

#[test]
fn an_election_timeout_is_spread_by_a_millisecond_at_least() {
    let with = |spread| {
        let most = course().election_timeout_min_us + spread;
        broken(&Tuning { election_timeout_max_us: most, ..course() })
    };
    assert_eq!([with(999), with(1_000)], [Some("election_timeout_max_us"), None]);
}

#[test]
fn a_most_is_no_less_than_its_least_unless_it_is_none() {
    let commits = |least, most| {
        broken(&Tuning {
            control: Control::Adaptive,
            least_messages_per_hundred_commits: least,
            most_messages_per_hundred_commits: most,
            ..course()
        })
    };
    let key = Some("most_messages_per_hundred_commits");
    assert_eq!([commits(300, 299), commits(300, 300), commits(300, 0)], [key, None, None]);
    let idle = |least, most| {
        broken(&Tuning {
            control: Control::Adaptive,
            least_idle_messages_per_minute: least,
            most_idle_messages_per_minute: most,
            ..course()
        })
    };
    let key = Some("most_idle_messages_per_minute");
    assert_eq!([idle(300, 299), idle(300, 300), idle(300, 0)], [key, None, None]);
}

#[test]
fn a_timeout_under_load_is_between_the_promise_and_the_usual_one() {
    let with = |timeout| {
        broken(&Tuning {
            promise_under_load_us: 200_000,
            election_timeout_under_load_us: timeout,
            ..course()
        })
    };
    let key = Some("election_timeout_under_load_us");
    let most = course().election_timeout_min_us;
    assert_eq!([with(199_999), with(200_000), with(most), with(most + 1)], [key, None, None, key]);
}

/// The words name the heartbeat interval only where it counts.
#[test]
fn a_promise_that_is_too_long_is_told_with_its_bound() {
    let words = |tuning: &Tuning| {
        let longer = tuning.election_timeout_min_us + 1;
        let tuning = Tuning { promise_us: longer, check_quorum: true, ..tuning.clone() };
        tuning.check().expect_err("too long").to_string()
    };
    let asking = words(&course());
    assert!(
        asking.starts_with("promise_us: must be at most election_timeout_min_us = "),
        "{asking}"
    );
    let plain = words(&textbook());
    let start = "promise_us: must be at most election_timeout_min_us - heartbeat_interval_us = ";
    assert!(plain.starts_with(start), "{plain}");
}

#[test]
fn the_margin_of_a_lease_is_a_hundredth_of_the_promise_at_least() {
    let with =
        |lease_margin_us| broken(&Tuning { lease_margin_us, promise_us: 800_000, ..course() });
    assert_eq!([with(7_999), with(8_000)], [Some("lease_margin_us"), None]);
}
