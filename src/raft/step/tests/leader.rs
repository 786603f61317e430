//! Questions that others ask of a leader's state (rules R16, R26, R29, R30).

use super::driven::Driven;
use super::*;

/// Rule R30: check-quorum counts from when something began to wait.
#[test]
fn r30_a_leader_waits_for_a_quorum_while_anything_waits() {
    let waits = |make: &dyn Fn(&mut Driven)| {
        let mut leading = Driven::leading(5, course());
        leading.leader().waits_since = None;
        make(&mut leading);
        let (now, core) = (leading.now, leading.raft.core.clone());
        let leader = leading.leader();
        leader.note_waiting(&core, now);
        leader.waits_since
    };
    let now = Driven::leading(5, course()).now;
    assert_eq!(waits(&|_| ()), None);
    assert_eq!(waits(&|leading| leading.raft.core.commit = 0), Some(now), "an entry");
    assert_eq!(waits(&|leading| leading.leader().touch_wanted = true), Some(now), "a client");
    assert_eq!(waits(&|leading| leading.leader().reads.push_back((1, 9))), Some(now), "a read");
    assert_eq!(waits(&|leading| leading.leader().lease.ask(9, Micros(5))), Some(now), "a round");
}

#[test]
fn nothing_is_taken_for_loss_before_something_was_lost() {
    let core = core(Tuning { silence_is_loss_above_per_mille: 0, ..course() });
    let mut leader = Leader::new(&core, Micros(0));
    assert!(!leader.is_lossy(&core));
    leader.loss.lost();
    assert!(leader.is_lossy(&core));
}

/// One of two followers is enough for a quorum, so the other one does not count if it is slow.
#[test]
fn of_two_followers_one_can_be_slow() {
    let mut core = Raft::new(Member(0), 3, course(), 1, Micros(0)).core;
    let mut leader = Leader::new(&core, Micros(0));
    for rank in [1, 2] {
        leader.progress[rank].accept(&SentRound { number: 1, ..Default::default() }, 0, Micros(0));
    }
    sample(&mut core, Member(1), 3, ms(10));
    assert_eq!(leader.prompt(&core).len(), 2, "of one nothing is known");
    sample(&mut core, Member(2), 3, ms(100));
    assert_eq!(leader.prompt(&core).iter().collect::<Vec<_>>(), [Member(1)]);
}

/// A follower that lacks a single entry may lack more bytes than an append carries with the batch.
#[test]
fn who_lacks_more_than_an_append_carries_is_in_no_quorum() {
    let mut core = core(Tuning { fan_out: FanOut::Star, ..course() });
    for _ in 0..3 {
        core.log.push(Entry { term: 1, command: [7u8; 10].into() });
    }
    core.tuning.batch_most_bytes = core.log.encoded_bytes(1, 1) * 2 - 1;
    let mut leader = super::leader(&mut core);
    leader.batched_through = 2;
    (1..5).for_each(|rank| leader.progress[rank].next = 3);
    leader.progress[2].next = 2;
    let quorum = leader.choose_quorum(&core, leader.prompt(&core), 3);
    assert_eq!(quorum, [1, 3, 4].map(Member), "two entries do not fit into one append");
    core.tuning.batch_most_bytes += 1;
    let quorum = leader.choose_quorum(&core, leader.prompt(&core), 3);
    assert_eq!(quorum.len(), 4);
}

/// Rule R29: what a follower goes by was settled when the append was sent.
#[test]
fn r29_new_knobs_do_not_change_by_when_a_follower_must_hear_again() {
    let tuning = Tuning { heartbeat_to: HeartbeatTo::Everyone, inquiries: 0, ..course() };
    let mut leading = Driven::leading(5, tuning.clone());
    let interval = tuning.heartbeat_interval();
    assert_eq!(leading.wake(interval).len(), 4, "all hear a heartbeat that states nothing");
    let heard_at = leading.now;
    let timeout = tuning.election_timeout_min_us * 2;
    let patient = Tuning { election_timeout_min_us: timeout, ..tuning };
    leading.step(Input::Retune(patient));
    let core = leading.raft.core.clone();
    let half = Micros(interval.0 / 2);
    assert_eq!(leading.leader().heartbeat_at(&core, OTHER), heard_at + half);
}

/// The hundredth part of cases, and ten at most (rule R16).
#[test]
fn r16_loss_explains_silences_as_long_as_it_would_cause_as_many_in_a_hundredth_of_cases() {
    for every in (2..=40).chain([1_000]) {
        let mut leading = Driven::leading(5, course());
        leading.loses(1, every);
        let one_arrives = leading.leader().loss.lasting_all_arrive(1) as f64 / 1e6;
        assert!((one_arrives - 1.0 + 1.0 / every as f64).abs() < 0.01, "{every}: {one_arrives}");
        for messages in [2, 3] {
            let silence = 1.0 - one_arrives.powi(messages);
            let rare = |silences: &u8| silence.powi(i32::from(*silences)) <= 0.01;
            let expected = (1..=10).find(rare).unwrap_or(10);
            let found = leading.leader().silences_by_loss(messages as usize);
            assert_eq!(found, expected, "one of {every}, {messages} messages");
        }
    }
}

#[test]
fn a_round_trip_that_is_taken_for_known_counts_until_it_is_taken_back() {
    let mut driven = Driven::new(5, course(), 1);
    driven.raft.assume_round_trip(OTHER, Some(ms(7)));
    assert_eq!(driven.raft.core.round_trips[1].smoothed(), Some(ms(7)));
    driven.raft.assume_round_trip(OTHER, None);
    assert_eq!(driven.raft.core.round_trips[1].smoothed(), None);
}

/// §8: until then it does not know what is committed, whatever its lease says.
#[test]
fn a_read_waits_until_the_first_entry_of_the_term_is_committed() {
    let mut leading = Driven::leading(5, course());
    let until = leading.now + ms(500);
    leading.leader().lease.extend(until);
    (leading.raft.core.commit, leading.raft.core.heard_commit) = (0, 0);
    assert_eq!(leading.step(Input::Read { ticket: 8 }), []);
    let batch = leading.put();
    let out = leading.answer(&batch[0]);
    let commit = out.iter().position(|output| matches!(output, Output::Commit { .. }));
    let read = out.iter().position(|output| *output == Output::ReadReady(8));
    assert!(commit.is_some() && commit < read, "{out:?}");
    assert_eq!(leading.step(Input::Read { ticket: 9 }), [Output::ReadReady(9)]);
}
