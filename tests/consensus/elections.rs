//! Campaigns, message by message: who is asked when, and what each answer leads to.

use laconic::raft::{Event, Micros, RoleName};

use crate::cluster::{course, ms};
use crate::solo::{Solo, pre_vote_reply, pre_vote_request, vote, vote_reply, vote_request};

/// The resend timeout of `course`.
const RESEND: Micros = Micros::from_millis(3);

/// A replica of so many that has just asked for pre-votes.
fn pre_candidate(count: u8) -> Solo {
    let mut solo = Solo::new(count, course());
    while solo.role() == RoleName::Follower {
        let span = solo.replica.deadline().since(solo.now);
        solo.wait(span);
    }
    assert_eq!(solo.role(), RoleName::PreCandidate);
    solo
}

/// A replica of so many that has just asked for votes.
fn candidate(count: u8) -> Solo {
    let mut solo = pre_candidate(count);
    for from in 1..=count / 2 {
        let term = solo.raft().term();
        solo.hear(from, pre_vote_reply(term, term + 1, true));
    }
    assert_eq!(solo.role(), RoleName::Candidate);
    solo
}

/// When the replica wants to be woken, from now on.
fn due(solo: &Solo) -> Micros {
    solo.replica.deadline().since(solo.now)
}

#[test]
fn a_candidate_that_cannot_win_any_more_tries_again_soon() {
    for count in [5, 6, 7] {
        let mut solo = candidate(count);
        let term = solo.raft().term();
        // With so many noes, those who are left are no quorum with it.
        let enough = count - 1 - (count / 2 - 1);
        for from in 1..enough {
            solo.hear(from, vote_reply(term, false));
            assert_eq!(solo.role(), RoleName::Candidate, "{from} of {count} said no");
        }
        solo.hear(enough, vote_reply(term, false));
        assert_eq!(solo.role(), RoleName::Follower, "{enough} of {count} said no");
        let within = RESEND..=Micros(RESEND.0 * 6);
        assert!(within.contains(&due(&solo)), "{}", due(&solo));
    }
}

#[test]
fn a_first_no_makes_a_candidate_ask_the_others_at_once_and_a_later_one_does_not() {
    let mut solo = candidate(7);
    let term = solo.raft().term();
    assert!(due(&solo) > Micros(0));
    solo.hear(1, vote_reply(term, true));
    assert!(due(&solo) > Micros(0), "a yes is no reason");
    solo.hear(2, vote_reply(term, false));
    assert_eq!(due(&solo), Micros(0));
    assert_eq!(solo.wait(Micros(0)).len(), 4, "all who have not answered");
    assert!(due(&solo) > Micros(0));
    solo.hear(3, vote_reply(term, false));
    assert!(due(&solo) > Micros(0), "all were asked");
}

#[test]
fn who_does_not_answer_is_asked_again_after_twice_as_long_each_time() {
    let mut solo = candidate(5);
    let mut waits = Vec::new();
    while solo.role() == RoleName::Candidate && waits.len() < 4 {
        let wait = due(&solo);
        let asked = solo.wait(wait);
        waits.push((wait, asked.len()));
    }
    let again = |doublings: u32| (Micros(RESEND.0 << doublings), 4);
    assert_eq!(waits[..4], [again(0), again(1), again(2), again(3)]);
}

#[test]
fn after_a_no_to_a_pre_vote_nobody_is_asked_again() {
    let mut solo = pre_candidate(7);
    let term = solo.raft().term();
    solo.hear(1, pre_vote_reply(term, term + 1, true));
    let patience = due(&solo);
    assert!(patience <= RESEND, "a yes changes nothing: {patience}");
    solo.hear(2, pre_vote_reply(term, term + 1, false));
    let next = due(&solo);
    assert!(next > Micros(RESEND.0 * 100), "it waits for an election timeout: {next}");
    solo.hear(3, pre_vote_reply(term, term + 1, false));
    assert_eq!(due(&solo), next);
}

/// A follower without promises whose log is empty.
fn follower() -> Solo {
    let mut solo = Solo::new(5, course());
    solo.wait(ms(1));
    solo
}

#[test]
fn a_pre_vote_is_for_a_later_term_and_one_that_is_not_makes_nobody_stand() {
    let mut solo = follower();
    assert_eq!(vote(&solo.hear(2, vote_request(4, (0, 0)))), (true, 4));
    let before = solo.replica.deadline();
    assert_eq!(vote(&solo.hear(1, pre_vote_request(4, (0, 0)))), (false, 4));
    assert_eq!(solo.replica.deadline(), before, "its log is as good as this one's");
    assert_eq!(vote(&solo.hear(1, pre_vote_request(5, (0, 0)))), (true, 4));
}

/// Rank 4 asks first: its vote is free, and nobody else gets one in this term.
#[test]
fn a_vote_is_given_once_a_term_and_repeated_to_the_same_candidate() {
    let mut solo = follower();
    assert_eq!(vote(&solo.hear(4, vote_request(3, (0, 0)))), (true, 3));
    assert_eq!(vote(&solo.hear(1, vote_request(3, (0, 0)))), (false, 3));
    let before = solo.replica.deadline();
    solo.wait(ms(1));
    assert_eq!(vote(&solo.hear(4, vote_request(3, (0, 0)))), (true, 3));
    assert_eq!(solo.replica.deadline(), before, "a repeated request shows nothing new");
    assert_eq!(solo.events(|event| matches!(event, Event::Voted { .. })), 1);
}
