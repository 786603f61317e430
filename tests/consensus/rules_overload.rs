//! Rule R33: who holds enough takes in no more.

use laconic::interface::Outcome;
use laconic::raft::message::Append;
use laconic::raft::tuning::Reads;
use laconic::raft::{Message, Tuning};
use laconic::record::{Fact, Record};
use laconic::wire::{Datagram, Garbage, SMALL_CHARGE};

use crate::cluster::{fast, ms};
use crate::solo::{Solo, answered, append};

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

/// While the simulator's socket is full nobody can be told anything. Then those who were served and
/// those who were refused take turns, so neither waits for the last of the others. Of too many that
/// were refused, those who came last are told.
#[test]
fn r33_refusals_wait_for_room_and_the_oldest_give_way() {
    let tuning = Tuning { answer_interval_us: 1_000_000, ..narrow() };
    let window = tuning.answer_window;
    let mut solo = Solo::new(3, tuning);
    solo.lead_all();
    (0..10).for_each(|put| drop(solo.put("k", &format!("p{put}"))));
    let sent = solo.wait(ms(1));
    solo.look(Some(0));
    let refused = |sent: &[Datagram]| answered(sent, &Outcome::Fail);
    let served = |sent: &[Datagram]| answered(sent, &Outcome::Ok(None));
    for put in 0..window {
        assert_eq!(refused(&solo.put("k", &format!("early{put}"))).len(), 1, "{put}");
    }
    for put in 0..300 {
        assert_eq!(refused(&solo.put("k", &format!("much{put}"))), [""; 0]);
    }
    let lost =
        |record: &&Record| matches!(record.fact, Fact::Garbage { reason: Garbage::Overload, .. });
    assert_eq!(solo.records.iter().filter(lost).count(), 300 - 256);
    assert_eq!(served(&solo.acknowledge(&sent)), [""; 0], "they are committed, and wait for room");
    let out = solo.look(Some((window - 9) * SMALL_CHARGE));
    assert_eq!(served(&out), ["p0", "p1", "p2", "p3", "p4", "p5"]);
    assert_eq!(refused(&out), ["much44", "much45", "much46"]);
    let mut told = refused(&out);
    for _ in 0..10 {
        let out = solo.look(Some(0));
        told.extend(refused(&out));
    }
    let wanted: Vec<String> = (44..300).map(|put| format!("much{put}")).collect();
    assert_eq!(told, wanted);
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

/// Reads that wait for a round and puts that wait for a quorum count alike.
#[test]
fn r33_waiting_reads_and_puts_count_together() {
    let mut solo = Solo::new(3, Tuning { reads: Reads::Confirm, ..narrow() });
    solo.lead_all();
    for number in 0..5 {
        let put = solo.put("k", &format!("p{number}"));
        let get = solo.get("other", &format!("g{number}"));
        assert_eq!(answered(&[put, get].concat(), &Outcome::Fail), [""; 0]);
    }
    assert_eq!(answered(&solo.get("other", "late"), &Outcome::Fail), ["late"]);
}

/// A read that has its answer waits no more: the places of reads that waited for a write are free
/// again, time after time.
#[test]
fn r33_reads_that_have_waited_for_a_write_leave_their_places() {
    let mut solo = Solo::new(3, narrow());
    solo.lead_all();
    for round in 0..5 {
        let put = format!("p{round}");
        let mut sent = solo.put("k", &put);
        (0..9).for_each(|read| sent.extend(solo.get("k", &format!("r{round}.{read}"))));
        assert_eq!(answered(&sent, &Outcome::Fail), [""; 0], "round {round}");
        let sent = solo.wait(ms(1));
        let told = solo.acknowledge(&sent);
        assert_eq!(answered(&told, &Outcome::Ok(None)), [put.as_str()]);
        assert_eq!(answered(&told, &Outcome::Ok(Some(put.into()))).len(), 9);
    }
}

/// What only waits for room in the simulator's socket counts too: proved reads of a leader, and the
/// redirects that a deposed leader owes.
#[test]
fn r33_what_waits_for_room_counts() {
    let tuning = Tuning { answer_window: 8, answer_interval_us: 1_000_000, ..narrow() };
    let mut solo = Solo::new(3, tuning.clone());
    solo.lead_all();
    solo.look(Some(8 * SMALL_CHARGE));
    for read in 0..10 {
        assert_eq!(solo.get("k", &format!("r{read}")), []);
    }
    solo.get("k", "much");
    let out = [solo.look(Some(0)), solo.look(Some(0))].concat();
    assert_eq!(answered(&out, &Outcome::Ok(Some("".into()))).len(), 10);
    assert_eq!(answered(&out, &Outcome::Fail), ["much"]);

    let mut solo = Solo::new(3, tuning);
    solo.lead_all();
    let (term, last) = (solo.raft().term(), solo.raft().log().last_index());
    (0..10).for_each(|put| drop(solo.put("k", &format!("p{put}"))));
    solo.wait(ms(1));
    solo.look(Some(8 * SMALL_CHARGE));
    let next = append(1, term + 1, (term, last), &[term + 1]);
    solo.hear(1, Message::Append(Append { commit: last + 1, ..next }));
    solo.put("l", "much");
    let out = [solo.look(Some(0)), solo.look(Some(0))].concat();
    assert_eq!(answered(&out, &Outcome::Redirect).len(), 10, "what the log has lost");
    assert_eq!(answered(&out, &Outcome::Fail), ["much"]);
}
