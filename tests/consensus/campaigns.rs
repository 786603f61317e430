//! How often a member that campaigns asks again those who are silent.

use laconic::raft::{Cause, Member, Message, RoleName, Tuning};
use laconic::wire::{Datagram, Payload};

use crate::cluster::{fast, ms, without_check_quorum};
use crate::solo::{Solo, append, pre_vote_reply};

/// Five members, of which this one has just begun to ask the others. It draws no other timeout for
/// a minute.
fn asking(tuning: Tuning) -> Solo {
    let patient = Tuning {
        election_timeout_min_us: 60_000_000,
        election_timeout_max_us: 61_000_000,
        ..tuning
    };
    let mut solo = Solo::new(5, patient);
    solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
    while solo.role() == RoleName::Follower {
        solo.wait(ms(1));
    }
    solo
}

/// How often `member` is asked again in the next ten seconds.
fn asked_again(solo: &mut Solo, member: u8) -> usize {
    let sent = solo.wait(ms(10_000));
    let asks = |datagram: &&Datagram| {
        let cause = match &datagram.payload {
            Payload::Peer { message: Message::PreVote(request), .. } => request.cause,
            Payload::Peer { message: Message::Vote(request), .. } => request.cause,
            _ => return false,
        };
        cause == Cause::Retry
            && solo.replica.members().member(datagram.destination) == Some(Member(member))
    };
    sent.iter().filter(asks).count()
}

#[test]
fn while_nobody_answers_nobody_may_be_there_and_three_questions_are_enough() {
    assert_eq!(asked_again(&mut asking(fast()), 4), 3);
    let mut solo = asking(fast());
    solo.hear(1, pre_vote_reply(1, 2, false));
    assert_eq!(asked_again(&mut solo, 4), 4, "one is there, so others may be");
}

#[test]
fn after_pre_votes_a_quorum_is_there_though_nobody_has_voted_yet() {
    let mut solo = asking(fast());
    for from in 1..3 {
        solo.hear(from, pre_vote_reply(1, 2, true));
    }
    assert_eq!(solo.role(), RoleName::Candidate);
    assert_eq!(asked_again(&mut solo, 4), 4);
    let mut solo = asking(without_check_quorum());
    assert_eq!(solo.role(), RoleName::Candidate);
    assert_eq!(asked_again(&mut solo, 4), 3, "without pre-votes nobody was heard");
}
