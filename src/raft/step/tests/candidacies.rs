//! What follows on candidacies: refusals that come at once, repetitions, and what a new leader
//! begins with (rules R15, R18, R28, R29).

use super::driven::{Driven, appends};
use super::electing::{answers, append, asked, direct, follower, pre_vote, retries, unasked};
use super::*;
use crate::raft::To;
use crate::raft::message::PreVoteReply;

/// It is likely that a partition keeps the others silent, until one of them says something.
#[test]
fn r28_a_second_candidacy_in_vain_asks_each_of_the_silent_once() {
    let says_yes = |driven: &mut Driven, from: u8| {
        let (term, campaign_term, granted, cause) = (0, 1, true, Cause::Campaign);
        let yes = PreVoteReply { term, campaign_term, granted, cause, leader: None };
        driven.hear(Member(from), Message::PreVoteReply(yes));
    };
    let mut driven = Driven::campaigning(5, direct(), 1);
    says_yes(&mut driven, 3);
    assert_eq!(retries(&mut driven), [3; 4]);
    assert_eq!(retries(&mut driven), [0; 0], "it was asked for nothing");
    let first = driven.next();
    assert_eq!(asked(&first), [Cause::Campaign; 3], "not the one that has answered before");
    says_yes(&mut driven, 2);
    assert_eq!(retries(&mut driven), [3; 4], "somebody else is there");
}

/// The first candidacy is repeated in full as often as those that were met would be a quorum: the
/// silent may be dead.
#[test]
fn r28_who_has_met_a_quorum_asks_as_if_for_the_first_time() {
    let mut driven = Driven::campaigning(5, direct(), 1);
    for from in [2, 3] {
        let request = pre_vote(1, (0, 0), Cause::Campaign);
        driven.hear(Member(from), request);
    }
    while !asked(&driven.next()).contains(&Cause::Campaign) {}
    assert_eq!(retries(&mut driven), [4; 3]);
}

/// Wakes it until it asks for pre-votes.
fn until_it_stands(driven: &mut Driven) {
    while !matches!(driven.raft.role, Role::PreCandidate(_)) {
        driven.next();
    }
}

/// A quorum has voted for it.
fn elected(mut driven: Driven) -> (Driven, Vec<Append>) {
    until_it_stands(&mut driven);
    for _ in 0..2 {
        let yes = [2, 3].map(|rank| (Member(rank), driven.yes()));
        for (from, message) in yes {
            let out = driven.hear(from, message);
            if driven.raft.is_leader() {
                return (driven, appends(&out));
            }
        }
    }
    panic!("two yeses to each question are enough");
}

/// Who was in the last leader's rotation lacks `lag_most_entries` at most.
#[test]
fn r15_a_new_leaders_first_append_reaches_back_so_far_that_few_refuse_it() {
    let each = (10 + crate::raft::log::ENTRY_FRAMING_BYTES) as u64;
    for (lag, bytes, expected) in [(8, 60_000, 93), (200, 60_000, 1), (200, each * 100, 81)] {
        let few = Tuning { lag_most_entries: lag, batch_most_bytes: bytes, ..direct() };
        let (driven, opening) = elected(follower(5, few, append(1, 99)));
        assert_eq!(driven.raft.core.log.last_index(), 100);
        assert!(opening.len() >= 3, "not to the one that was given up: {opening:?}");
        for append in &opening {
            assert_eq!(append.previous.index + 1, expected, "{lag} {bytes}");
            assert_eq!(append.through(), 100);
        }
    }
}

/// What its last leader measured is still true.
#[test]
fn r29_a_new_leader_begins_with_the_loss_that_was_told() {
    for (told, expected) in [(100_000, 100_000), (0, 0)] {
        let heard = Append { loss_ppm: told, ..append(1, 0) };
        let (mut driven, opening) = elected(follower(5, direct(), heard));
        assert_eq!(driven.leader().loss.parts_per_million(), expected);
        assert!(opening.iter().all(|append| append.loss_ppm == expected), "{opening:?}");
    }
    let (mut driven, _) = elected(Driven::new(5, direct(), 1));
    assert_eq!(driven.leader().loss.parts_per_million(), 0, "nobody has told anything");
    driven.loses(9, 10);
    driven.propose();
    let batch = driven.wake(Micros(0));
    assert!(batch.iter().all(|append| append.loss_ppm == 500_000), "half at most: {batch:?}");
}

/// Rule R18: it has asked in vain and waits, and hears that another stands that cannot win. The one
/// that asks is there, too.
#[test]
fn r18_who_waits_after_a_candidacy_in_vain_stands_when_a_shorter_log_asks() {
    let mut driven = follower(5, direct(), append(1, 2));
    until_it_stands(&mut driven);
    retries_until_silent(&mut driven);
    let out = driven.hear(Member(4), pre_vote(2, (1, 1), Cause::Campaign));
    assert_eq!(answers(&out), [(4, 1, false)]);
    let before = driven.now;
    let mut causes = asked(&out);
    while !causes.contains(&Cause::Campaign) {
        causes.extend(asked(&driven.next()));
    }
    assert!(driven.now < before + ms(20), "it does not wait for an election timeout");
    assert!(driven.raft.core.met.contains(Member(4)));
}

/// Asks until nobody is asked again.
fn retries_until_silent(driven: &mut Driven) {
    let is_asking = |driven: &Driven| match &driven.raft.role {
        Role::PreCandidate(campaign) => campaign.retry_at.is_some(),
        _ => false,
    };
    while is_asking(driven) {
        driven.next();
    }
}

/// It has asked all the time. Only those that it has not heard of late can change that.
#[test]
fn r28_a_leader_that_stepped_down_for_want_of_answers_asks_the_others_once() {
    let mut leading = Driven::leading(5, direct());
    (2..5).for_each(|rank| leading.leader().progress[rank].suspect = true);
    leading.propose();
    while leading.raft.is_leader() {
        let sent = appends(&leading.next());
        let to_first = sent.iter().find(|append| append.route.first() == Some(OTHER));
        to_first.into_iter().for_each(|append| drop(leading.answer(append)));
    }
    let mut out = Vec::new();
    while !asked(&out).contains(&Cause::Campaign) {
        out = leading.next();
    }
    assert_eq!(asked(&out), [Cause::Campaign; 3]);
    assert_eq!(retries(&mut leading), [0; 0]);
}

/// Rule R18: a no is certain for a shorter log, whether the leader lives or not. Who says it stands
/// in that one's place when the leader is given up, unless somebody may win who has asked, too.
#[test]
fn r18_who_asks_with_a_shorter_log_is_refused_at_once_and_replaced() {
    // The logs of those that ask; the own one has two entries of term 1.
    let cases: [(&[(u8, u64)], bool); 4] = [
        (&[(2, 1)], true),
        (&[(2, 1), (3, 0)], true),
        (&[(2, 2)], false),
        (&[(2, 1), (3, 2)], false),
    ];
    for (requests, expected) in cases {
        let mut driven = follower(5, direct(), append(1, 2));
        for (from, index) in requests {
            let last = (u64::from(*index > 0), *index);
            let out = driven.hear(Member(*from), pre_vote(2, last, Cause::Campaign));
            let no = (*index < 2).then_some((*from, 1, false));
            assert_eq!(answers(&out), no.into_iter().collect::<Vec<_>>(), "{requests:?}");
        }
        let mut out = Vec::new();
        while !driven.raft.core.given_up {
            out = driven.next();
        }
        let equal = requests.iter().filter(|(_, index)| *index == 2);
        let yes: Vec<_> = equal.map(|(from, _)| (*from, 1, true)).collect();
        assert_eq!(answers(&out), yes, "{requests:?}");
        // Two members come before this one, which is the third in rank after member 2.
        let soon = driven.raft.deadline() == driven.now + Micros(2 * 750);
        assert_eq!(soon, expected, "{requests:?}");
        let stands = asked(&driven.next()).contains(&Cause::Campaign);
        assert!(!expected || stands, "{requests:?}");
    }
}

/// Nobody can win a term that has begun, so nobody is asked for such a request.
#[test]
fn r28_a_pre_vote_for_a_term_that_has_begun_is_refused_at_once_and_names_the_leader() {
    let mut driven = follower(5, direct(), append(1, 2));
    let out = driven.hear(Member(2), pre_vote(1, (0, 0), Cause::Campaign));
    let Some(Output::Send { message: Message::PreVoteReply(reply), .. }) = out.first() else {
        panic!("{out:?}");
    };
    assert_eq!((reply.granted, reply.term, reply.leader), (false, 1, Some(OTHER)));
    assert!(driven.raft.core.inquiry.is_none(), "its leader is not asked");
}

/// It has been away while others elected that one.
#[test]
fn r28_who_is_told_of_a_leader_of_a_later_term_asks_that_one() {
    let cases = [(Some(Member(3)), true), (Some(Member(0)), false), (None, false)];
    for (leader, expected) in cases {
        let mut driven = Driven::campaigning(5, direct(), 1);
        let (term, campaign_term, granted, cause) = (7, 1, false, Cause::Campaign);
        let no = PreVoteReply { term, campaign_term, granted, cause, leader };
        driven.hear(Member(2), Message::PreVoteReply(no));
        assert_eq!(driven.raft.core.term, 7);
        let at = driven.now;
        let is_asked = asked(&driven.next()) == [Cause::Inquiry] && driven.now == at;
        assert_eq!(is_asked, expected, "{leader:?}");
        assert_eq!(driven.raft.leader(), leader.filter(|_| expected));
    }
}

/// A leader that was cut off has learned of the new term from an answer to an append, and no more.
/// The only follower that it asks for a pre-vote refuses its shorter log each time. (A fault
/// campaign found it: the other was never asked, and a client waited for five seconds.)
#[test]
fn r28_who_has_heard_no_leader_in_its_term_asks_the_one_that_a_refusal_names() {
    let is_asked = |known: Option<Member>, term| {
        let mut driven = Driven::campaigning(3, direct(), 1);
        (driven.raft.core.term, driven.raft.core.leader) = (4, known);
        let (campaign_term, granted, cause) = (5, false, Cause::Campaign);
        let no = PreVoteReply { term, campaign_term, granted, cause, leader: Some(Member(2)) };
        driven.hear(OTHER, Message::PreVoteReply(no));
        let at = driven.now;
        asked(&driven.next()) == [Cause::Inquiry] && driven.now == at
    };
    assert!(is_asked(None, 4));
    assert!(!is_asked(None, 3), "it may have led before");
    assert!(!is_asked(Some(OTHER), 4), "it was heard, and given up");
}

/// Those that are asked ask their leader first. One that was paused seems to be so far away that
/// the candidate would wait for them beyond its next candidacy, and refuse others all the time.
#[test]
fn r25_the_silent_are_asked_again_soon_also_if_the_leader_seemed_far_away() {
    let heard = Append { loss_ppm: 300_000, ..append(1, 0) };
    let mut driven = follower(5, direct(), heard);
    for sample in 0..9u64 {
        let began = ms(sample * 1_000);
        driven.raft.core.round_trips[1].sample(began, began + ms(900), 2);
    }
    until_it_stands(&mut driven);
    let stood_at = driven.now;
    assert_eq!(asked(&driven.next()), [Cause::Retry; 3]);
    assert_eq!(driven.now - stood_at, ms(3) + ms(4 * 3));
}

/// Each would say yes to the other, give up its own candidacy, and stand again at the same time.
#[test]
fn r25_of_two_that_have_just_asked_for_the_last_time_the_lower_rank_goes_on() {
    let mut driven = follower(5, direct(), append(1, 0));
    until_it_stands(&mut driven);
    retries_until_silent(&mut driven);
    let other = pre_vote(2, (0, 0), Cause::Retry);
    driven.now += ms(2);
    assert_eq!(answers(&driven.hear(Member(4), other.clone())), [(4, 1, false)]);
    driven.now += ms(2);
    assert_eq!(answers(&driven.hear(Member(4), other)), [(4, 1, true)], "nobody has answered");
}

/// Rule R28: the one that it has not met says yes, so those are asked that it has met, at once.
#[test]
fn r28_when_somebody_else_says_yes_to_a_repeated_candidacy_the_others_are_asked_at_once() {
    let mut driven = Driven::campaigning(5, direct(), 1);
    let says_yes = |driven: &mut Driven, from: u8| {
        let yes = driven.yes();
        driven.hear(Member(from), yes);
    };
    says_yes(&mut driven, 3);
    retries_until_silent(&mut driven);
    while !asked(&driven.next()).contains(&Cause::Campaign) {}
    says_yes(&mut driven, 2);
    let at = driven.now;
    assert_eq!(asked(&driven.next()), [Cause::Retry; 3]);
    assert_eq!(driven.now, at);
    assert_eq!(driven.raft.core.met.len(), 2, "they are a quorum with it");
}

/// The last leader has said that it leads no more. Two are dead, so its yes is needed.
#[test]
fn r28_a_leader_that_says_it_leads_no_more_is_asked_like_the_others() {
    let mut driven = follower(5, direct(), append(1, 0));
    until_it_stands(&mut driven);
    retries_until_silent(&mut driven);
    let (term, campaign_term, granted, cause) = (1, 2, false, Cause::Inquiry);
    let no = PreVoteReply { term, campaign_term, granted, cause, leader: None };
    driven.hear(Member(4), pre_vote(2, (0, 0), Cause::Campaign));
    let mut out = Vec::new();
    while !asked(&out).contains(&Cause::Campaign) {
        out = driven.next();
        if asked(&out) == [Cause::Inquiry] {
            out = driven.hear(OTHER, Message::PreVoteReply(no));
        }
    }
    let to = |output: &Output| match output {
        Output::Send { to: To::Member(to), .. } => Some(to.0),
        _ => None,
    };
    assert_eq!(out.iter().filter_map(to).collect::<Vec<_>>(), [1, 4], "those that it has met");
}

/// Otherwise the leader that was given up would never be asked.
#[test]
fn r25_the_last_retry_comes_before_the_next_candidacy() {
    let timeouts = |least: u64| Tuning {
        election_timeout_min_us: least,
        election_timeout_max_us: least + 1_000,
        heartbeat_interval_us: least - 10_000,
        resend_timeout_us: 50_000,
        ..unasked()
    };
    for (least, expected) in [(2_000_000, vec![3, 3, 4]), (300_000, vec![3, 4])] {
        let heard = Append { loss_ppm: 300_000, ..append(1, 0) };
        let mut driven = follower(5, timeouts(least), heard);
        driven.next();
        assert_eq!(retries(&mut driven), expected, "{least}");
    }
}

/// The members that `out` sends requests for votes or pre-votes to.
fn asked_members(out: &[Output]) -> Vec<u8> {
    let to = |output: &Output| match output {
        Output::Send {
            to: To::Member(to),
            message: Message::PreVote(_) | Message::Vote(_),
            ..
        } => Some(to.0),
        _ => None,
    };
    out.iter().filter_map(to).collect()
}

/// It says yes to two others, one after the other, and both find no quorum. The leader that it gave
/// up has said nothing, so it is asked at last (rule R25).
#[test]
fn r28_whom_it_has_said_yes_to_it_has_met_and_the_silent_leader_is_still_spared() {
    let heard = Append { loss_ppm: 300_000, ..append(1, 0) };
    let mut driven = follower(5, direct(), heard);
    driven.raft.core.met.insert(Member(4));
    while !driven.raft.core.given_up {
        driven.next();
    }
    driven.raft.role = Role::Follower;
    driven.raft.core.has_stood = false;
    for from in [2, 3] {
        let out = driven.hear(Member(from), pre_vote(2, (0, 0), Cause::Campaign));
        assert_eq!(answers(&out), [(from, 1, true)]);
    }
    let met: Vec<Member> = driven.raft.core.met.iter().collect();
    assert_eq!(met, [Member(2), Member(3)], "what it met before it gave its leader up is over");
    let mut out = Vec::new();
    while !asked(&out).contains(&Cause::Campaign) {
        out = driven.next();
    }
    assert_eq!(asked_members(&out), [2, 3]);
    assert_eq!(asked_members(&driven.next()), [2, 3, 4], "not yet the leader");
    for from in [2, 3] {
        driven.is_granted_by(Member(from));
    }
    assert!(matches!(driven.raft.role, Role::Candidate(_)));
    assert_eq!(asked_members(&driven.next()), [2, 3, 4], "for its vote neither");
}

/// Where nobody asks a leader, its name is of no use.
#[test]
fn r28_a_leader_that_is_named_is_not_asked_by_who_asks_none() {
    let mut driven = Driven::campaigning(5, unasked(), 1);
    let (term, campaign_term, granted, cause) = (7, 1, false, Cause::Campaign);
    let no = PreVoteReply { term, campaign_term, granted, cause, leader: Some(Member(3)) };
    driven.hear(Member(2), Message::PreVoteReply(no));
    assert_eq!((driven.raft.core.term, driven.raft.leader()), (7, None));
    assert!(driven.raft.core.inquiry.is_none());
}
