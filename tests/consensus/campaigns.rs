//! How often a member that campaigns asks again those who are silent.

use laconic::raft::message::Append;
use laconic::raft::{Cause, Member, Message, RoleName, Tuning};
use laconic::wire::{Datagram, Payload};

use crate::cluster::{fast, ms, without_check_quorum};
use crate::solo::{Solo, append, pre_vote_reply};

/// So much loss that a question seldom comes through, in parts per million.
const MUCH: u64 = 300_000;

/// Five members, of which this one has just begun to ask the others. It draws no other timeout for
/// a minute. Its last leader has told it that so much is lost.
fn asking(tuning: Tuning, loss_ppm: u64) -> Solo {
    let patient = Tuning {
        election_timeout_min_us: 60_000_000,
        election_timeout_max_us: 61_000_000,
        ..tuning
    };
    let mut solo = Solo::new(5, patient);
    solo.hear(1, Message::Append(Append { loss_ppm, ..append(1, 1, (0, 0), &[1]) }));
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
    assert_eq!(asked_again(&mut asking(fast(), MUCH), 4), 3);
    let mut solo = asking(fast(), MUCH);
    solo.hear(1, pre_vote_reply(1, 2, true));
    assert_eq!(asked_again(&mut solo, 4), 4, "one is there, so others may be");
}

/// One that lives would be silent to one question in 19 % of cases at a tenth, and to three in
/// 0.7 %; at 3 % to one in 5.9 % and to two in 0.3 %.
#[test]
fn r29_a_candidate_asks_as_often_as_the_loss_that_was_told_explains() {
    let again = [0, 30_000, 100_000, 150_000, 200_000].map(|loss_ppm| {
        let mut solo = asking(fast(), loss_ppm);
        solo.hear(1, pre_vote_reply(1, 2, true));
        asked_again(&mut solo, 4)
    });
    assert_eq!(again, [1, 1, 2, 3, 4]);
    // A leader of the next term has told nothing of it yet.
    let mut solo = asking(fast(), MUCH);
    solo.hear(2, Message::Append(append(2, 2, (1, 1), &[])));
    while solo.role() == RoleName::Follower {
        solo.wait(ms(1));
    }
    assert_eq!(asked_again(&mut solo, 4), 1, "the newest leader's word counts");
}

#[test]
fn after_pre_votes_a_quorum_is_there_though_nobody_has_voted_yet() {
    let mut solo = asking(fast(), MUCH);
    for from in 1..3 {
        solo.hear(from, pre_vote_reply(1, 2, true));
    }
    assert_eq!(solo.role(), RoleName::Candidate);
    assert_eq!(asked_again(&mut solo, 4), 4);
    let mut solo = asking(without_check_quorum(), MUCH);
    assert_eq!(solo.role(), RoleName::Candidate);
    assert_eq!(asked_again(&mut solo, 4), 3, "without pre-votes nobody was heard");
}
