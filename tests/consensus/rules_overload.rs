//! Rule R33: who holds enough takes in no more.

use laconic::interface::Outcome;
use laconic::raft::Tuning;
use laconic::record::Fact;
use laconic::wire::Garbage;

use crate::cluster::{fast, ms};
use crate::solo::{Solo, answered};

fn narrow() -> Tuning {
    Tuning { waiting_most_requests: 10, ..fast() }
}

#[test]
fn r33_a_leader_that_holds_enough_refuses_the_next_request_at_once() {
    let mut solo = Solo::new(3, narrow());
    solo.lead_all();
    for put in 0..9 {
        assert_eq!(answered(&solo.put("k", &format!("p{put}")), &Outcome::Fail), [""; 0]);
    }
    assert_eq!(answered(&solo.get("k", "g"), &Outcome::Fail), [""; 0], "a read waits for the puts");
    let last = solo.raft().log().last_index();
    assert_eq!(answered(&solo.put("k", "much"), &Outcome::Fail), ["much"]);
    assert_eq!(answered(&solo.get("k", "more"), &Outcome::Fail), ["more"]);
    assert_eq!(solo.raft().log().last_index(), last, "what is refused is in no log");
    let overload = |record: &&laconic::record::Record| {
        matches!(record.fact, Fact::Refused { reason: Garbage::Overload, .. })
    };
    assert_eq!(solo.records.iter().filter(overload).count(), 2);
    // When the waiting have their answers, others are taken in again.
    let sent = solo.wait(ms(1));
    let answers = solo.acknowledge(&sent);
    assert_eq!(answered(&answers, &Outcome::Ok(None)).len(), 9);
    assert_eq!(answered(&solo.put("k", "later"), &Outcome::Fail), [""; 0]);
    assert_eq!(solo.raft().log().last_index(), last + 1);
}

#[test]
fn r33_what_is_held_for_want_of_a_leader_counts() {
    let mut solo = Solo::new(3, narrow());
    for put in 0..10 {
        assert_eq!(solo.put("k", &format!("p{put}")), []);
    }
    assert_eq!(answered(&solo.put("k", "much"), &Outcome::Fail), ["much"]);
    // Each held one is sent on after the hold time, and leaves its place.
    solo.wait(ms(600));
    assert_eq!(solo.put("k", "later"), []);
}
