//! Campaigns, votes and inquiries, as one member sees them (rules R7, R18, R21, R25, R28, R29).

use super::driven::{Driven, appends, events};
use super::*;
use crate::raft::To;
use crate::raft::message::{Position, PreVote, PreVoteReply, Route, Vote, VoteReply};
use crate::raft::types::MemberSet;

/// Knobs with a fixed resend timeout of 3 ms and without promises.
pub(super) fn direct() -> Tuning {
    Tuning {
        resend_from: ResendFrom::Fixed,
        promise_us: 0,
        promise_under_load_us: 0,
        startup_silence_us: 0,
        ..course()
    }
}

/// The same, where nobody asks its leader first.
pub(super) fn unasked() -> Tuning {
    Tuning { inquiries: 0, heartbeat_to: HeartbeatTo::Everyone, ..direct() }
}

/// An append of member 1 in term 1 that brings all entries from the first on, and asks for nothing.
pub(super) fn append(round: Round, entries: usize) -> Append {
    Append {
        term: 1,
        leader: OTHER,
        round,
        cause: Cause::Heartbeat,
        previous: Position::default(),
        commit: 0,
        entries: vec![Entry { term: 1, command: [7u8; 10].into() }; entries].into(),
        promise: Micros(0),
        election_timeout: Micros(0),
        inquiries: 0,
        loss_ppm: 0,
        question: 0,
        wants_answer: false,
        route: Route::direct(Member(0)),
        accepted: MemberSet::EMPTY,
    }
}

/// A follower of member 1, of which it has just heard.
pub(super) fn follower(count: u8, tuning: Tuning, heard: Append) -> Driven {
    let mut driven = Driven::new(count, tuning, 1);
    driven.now = ms(500);
    driven.hear(OTHER, Message::Append(heard));
    assert_eq!(driven.raft.leader(), Some(OTHER));
    driven
}

pub(super) fn pre_vote(term: Term, last: (Term, Index), cause: Cause) -> Message {
    let last = Position { term: last.0, index: last.1 };
    Message::PreVote(PreVote { term, last, cause, question: 0 })
}

/// The pre-votes that are asked for in `out`, with their causes.
pub(super) fn asked(out: &[Output]) -> Vec<Cause> {
    let cause = |output: &Output| match output {
        Output::Send { message: Message::PreVote(request), .. } => Some(request.cause),
        _ => None,
    };
    out.iter().filter_map(cause).collect()
}

/// The answers to votes and pre-votes in `out`: to whom, in which term, and whether they say yes.
pub(super) fn answers(out: &[Output]) -> Vec<(u8, Term, bool)> {
    let answer = |output: &Output| {
        let Output::Send { to: To::Member(to), message, .. } = output else { return None };
        match message {
            Message::PreVoteReply(reply) => Some((to.0, reply.term, reply.granted)),
            Message::VoteReply(reply) => Some((to.0, reply.term, reply.granted)),
            _ => None,
        }
    };
    out.iter().filter_map(answer).collect()
}

#[test]
fn a_campaign_asks_again_when_it_is_time_and_not_before() {
    let mut driven = Driven::campaigning(5, direct(), 1);
    let again_at = driven.raft.deadline();
    assert_eq!(again_at, driven.now + ms(3));
    driven.now = again_at - Micros(1);
    assert_eq!(driven.step(Input::Wake), []);
    driven.now = again_at;
    assert_eq!(asked(&driven.step(Input::Wake)), [Cause::Retry; 4]);
}

/// How often it asks again until it campaigns anew, if nobody says anything.
pub(super) fn retries(driven: &mut Driven) -> Vec<usize> {
    let mut sizes = Vec::new();
    loop {
        let asked = asked(&driven.next());
        if asked.first() != Some(&Cause::Retry) {
            return sizes;
        }
        sizes.push(asked.len());
    }
}

/// Rule R25: it was asked a moment ago. With two members there is no other.
#[test]
fn r25_the_leader_given_up_is_asked_for_its_vote_at_last() {
    for (count, expected) in [(2, [1, 1, 1]), (3, [1, 1, 2]), (5, [3, 3, 4])] {
        let heard = Append { loss_ppm: 300_000, ..append(1, 0) };
        let mut driven = follower(count, unasked(), heard);
        driven.next();
        assert_eq!(retries(&mut driven), expected, "{count} members");
    }
}

/// Its promise, which made it say nothing, may have run out for the others, too.
#[test]
fn r25_after_a_late_yes_the_others_are_asked_once_more_a_resend_timeout_later() {
    let mut driven = Driven::campaigning(5, direct(), 1);
    for _ in 0..3 {
        assert_eq!(asked(&driven.next()), [Cause::Retry; 4]);
    }
    driven.now += ms(1);
    let (term, campaign_term, granted, cause) = (0, 1, true, Cause::Retry);
    let yes = PreVoteReply { term, campaign_term, granted, cause, leader: None };
    driven.hear(Member(3), Message::PreVoteReply(yes));
    assert_eq!(driven.raft.deadline(), driven.now + ms(3));
    assert_eq!(retries(&mut driven), [3]);
}

/// Karn's rule: who answers the second question would seem to be far away.
#[test]
fn only_an_answer_to_the_first_request_of_a_campaign_is_a_round_trip() {
    let mut driven = Driven::campaigning(5, direct(), 1);
    for (from, cause) in [(1, Cause::Campaign), (2, Cause::Retry), (1, Cause::Campaign)] {
        driven.now += ms(2);
        let (term, campaign_term, granted) = (0, 1, false);
        let reply = PreVoteReply { term, campaign_term, granted, cause, leader: None };
        driven.hear(Member(from), Message::PreVoteReply(reply));
    }
    let trips = [1, 2].map(|rank| driven.raft.core.round_trips[rank].smoothed());
    assert_eq!(trips, [Some(ms(2)), None]);
}

/// Candidates that tried again at the same time would split the vote once more.
#[test]
fn r25_after_a_split_vote_candidates_try_again_at_times_that_are_far_apart() {
    let waits: Vec<Micros> = (0..40)
        .map(|seed| {
            let mut driven = Driven::campaigning(5, direct(), seed);
            driven.is_granted(RoleName::PreCandidate);
            for rank in [1, 2, 3] {
                let (granted, heard_commit, cause) = (false, 0, Cause::Campaign);
                let reply = VoteReply { term: 1, granted, heard_commit, cause };
                driven.hear(Member(rank), Message::VoteReply(reply));
            }
            assert_eq!(driven.raft.status().role, RoleName::Follower);
            driven.raft.deadline() - driven.now
        })
        .collect();
    let (least, most) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
    assert!(least >= ms(3) && most <= ms(18), "{least} {most}");
    assert!(most - least > ms(12), "{least} {most}");
}

#[test]
fn r07_a_no_to_a_pre_vote_from_a_higher_term_raises_the_own() {
    let mut driven = Driven::campaigning(5, direct(), 1);
    let reply = |term| {
        let (campaign_term, granted, cause) = (1, false, Cause::Campaign);
        Message::PreVoteReply(PreVoteReply { term, campaign_term, granted, cause, leader: None })
    };
    driven.hear(Member(2), reply(0));
    assert_eq!((driven.raft.term(), driven.raft.status().role), (0, RoleName::PreCandidate));
    driven.hear(Member(3), reply(7));
    assert_eq!((driven.raft.term(), driven.raft.status().role), (7, RoleName::Follower));
}

/// The network may repeat a yes (§5.2).
#[test]
fn a_member_that_says_yes_twice_is_counted_once() {
    let mut driven = Driven::campaigning(5, direct(), 1);
    for (asks, wins) in
        [(RoleName::PreCandidate, RoleName::Candidate), (RoleName::Candidate, RoleName::Leader)]
    {
        for (from, expected) in [(3, asks), (3, asks), (2, wins)] {
            driven.is_granted_by(Member(from));
            assert_eq!(driven.raft.status().role, expected, "after the yes of {from}");
        }
    }
}

/// A second vote of the same term could elect two leaders (§5.2).
#[test]
fn a_candidate_has_voted_for_itself() {
    let mut driven = Driven::campaigning(5, direct(), 1);
    driven.is_granted(RoleName::PreCandidate);
    assert_eq!((driven.raft.status().role, driven.raft.term()), (RoleName::Candidate, 1));
    let request = Vote { term: 1, last: Position::default(), cause: Cause::Campaign };
    let out = driven.hear(Member(3), Message::Vote(request));
    assert_eq!(answers(&out), [(3, 1, false)]);
}

#[test]
fn r07_a_candidate_of_a_lower_term_is_told_the_own_term() {
    let mut driven = Driven::new(5, direct(), 1);
    let vote = |term| Message::Vote(Vote { term, last: Position::default(), cause: Cause::Retry });
    assert_eq!(answers(&driven.hear(Member(3), vote(5))), [(3, 5, true)]);
    assert_eq!(answers(&driven.hear(Member(2), vote(3))), [(2, 5, false)]);
}

#[test]
fn what_comes_from_no_other_member_is_dropped() {
    for (rank, expected) in [
        (0, Disposition::Implausible),
        (4, Disposition::Accepted),
        (5, Disposition::Implausible),
        (200, Disposition::Implausible),
    ] {
        let mut driven = Driven::new(5, direct(), 1);
        let message = pre_vote(1, (0, 0), Cause::Campaign);
        let input = Input::Message { from: Member(rank), message };
        let handled = driven.raft.step(Micros(0), input, &mut Vec::new());
        assert_eq!(handled, Some(Handled::Message(expected)), "rank {rank}");
    }
}

#[test]
fn r29_a_longer_timeout_that_a_leader_stated_ends_with_the_first_candidacy() {
    let stated = Append { election_timeout: Micros::from_seconds(20), ..append(1, 0) };
    let mut driven = follower(5, unasked(), stated);
    assert!(driven.raft.deadline() >= driven.now + Micros::from_seconds(20));
    assert_eq!(asked(&driven.next()).len(), 2);
    let own = Micros(driven.raft.core.tuning.election_timeout_max_us);
    assert!(driven.raft.core.election_at <= driven.now + own);
}

/// Where f are asked first, without the leader that was given up, nobody would be left to ask.
#[test]
fn one_of_two_asks_the_other_although_that_was_its_leader() {
    let mut driven = follower(2, unasked(), append(1, 0));
    assert_eq!(asked(&driven.next()), [Cause::Campaign]);
}

#[test]
fn a_leader_grants_no_pre_vote_also_without_a_promise() {
    let mut leading = Driven::leading(5, Tuning { check_quorum: false, ..unasked() });
    leading.now += ms(2_000);
    let out = leading.hear(Member(3), pre_vote(2, (1, 9), Cause::Campaign));
    assert_eq!(answers(&out), [(3, 1, false)]);
    assert!(leading.raft.is_leader());
}

/// A yes would say that it knows of no leader either.
#[test]
fn r28_who_is_asked_whether_it_leads_and_does_not_says_no() {
    let mut driven = Driven::new(5, direct(), 1);
    let out = driven.hear(Member(3), pre_vote(1, (0, 0), Cause::Inquiry));
    assert_eq!(answers(&out), [(3, 0, false)]);
    let mut driven = follower(5, direct(), append(1, 0));
    let out = driven.hear(Member(3), pre_vote(2, (0, 0), Cause::Inquiry));
    assert_eq!(answers(&out), [(3, 1, false)], "at once, although it knows a leader");
}

#[test]
fn r21_a_copy_of_the_newest_round_ends_no_campaign() {
    let mut driven = follower(5, unasked(), append(4, 0));
    driven.next();
    assert_eq!(driven.raft.status().role, RoleName::PreCandidate);
    driven.hear(OTHER, Message::Append(append(4, 0)));
    assert_eq!(driven.raft.status().role, RoleName::PreCandidate);
    driven.hear(OTHER, Message::Append(append(5, 0)));
    assert_eq!(driven.raft.status().role, RoleName::Follower);
}

/// Before that an answer may be under way.
#[test]
fn r28_a_leader_is_asked_for_a_client_after_a_resend_timeout_of_silence() {
    let mut driven = follower(5, direct(), append(1, 0));
    driven.now += ms(3) - Micros(1);
    driven.step(Input::LeaderWanted);
    assert!(driven.raft.deadline() > driven.now + ms(1_000));
    driven.now += Micros(1);
    driven.step(Input::LeaderWanted);
    assert_eq!(asked(&driven.next()), [Cause::Inquiry]);
    assert_eq!(driven.now, ms(503));
}

/// Knobs with a resend timeout of 20 ms and three inquiries, a quarter of it apart.
fn thrice() -> Tuning {
    Tuning { resend_timeout_us: 20_000, inquiries: 3, ..direct() }
}

#[test]
fn r28_the_first_of_three_inquiries_has_most_of_a_timeout_and_the_last_has_the_whole() {
    let mut driven = follower(5, thrice(), append(1, 0));
    let mut times = Vec::new();
    let since = loop {
        let out = driven.next();
        if !asked(&out).contains(&Cause::Inquiry) {
            assert!(events(&out).contains(&Event::LeaderGivenUp { leader: OTHER, term: 1 }));
            break driven.now - times[0];
        }
        times.push(driven.now);
    };
    let spans: Vec<Micros> = times.iter().map(|at| *at - times[0]).collect();
    assert_eq!(spans, [ms(0), ms(14), ms(17)]);
    assert_eq!(since, ms(37));
}

/// A leader of three on a way of 200 ms, whose followers are to ask six times: it asks everyone as
/// often, half the time of an answer apart, and steps down when the last answer is overdue.
#[test]
fn r28_a_leader_asks_everyone_as_often_as_it_is_to_be_asked_before_it_steps_down() {
    let tuning = Tuning { control: Control::Adaptive, inquiries: 6, ..course() };
    let timeout = tuning.election_timeout_min();
    let mut leading = Driven::leading(3, tuning);
    for member in leading.raft.core.others().iter() {
        for place in 0..40 {
            let began = ms(201 * place);
            leading.raft.core.round_trips[member.rank()].sample(began, began + ms(200), 2);
        }
    }
    let (mut waits, mut asked) = (None, Vec::new());
    for _ in 0..1_000 {
        let sent = appends(&leading.next());
        if leading.raft.status().role != RoleName::Leader {
            break;
        }
        waits = waits.or_else(|| leading.raft.leadership().and_then(|leader| leader.waits_since));
        if sent.iter().filter(|append| append.cause == Cause::Confirm).count() == 2 {
            asked.push(leading.now - waits.expect("it waits for answers"));
        }
    }
    let expected: Vec<Micros> = (0..6).map(|place| timeout + ms(150 * place)).collect();
    assert_eq!(asked, expected);
    assert_eq!(leading.now - waits.expect("it waited"), timeout + ms(150 * 7));
}

/// Two questions were asked, 14 ms apart, and an answer comes 16 ms after the first. It says which
/// of them it answers, and one that answers none teaches nothing.
#[test]
fn r28_the_way_to_the_leader_is_measured_from_the_question_that_was_answered() {
    let measured = |question| {
        let mut driven = follower(5, thrice(), append(1, 0));
        driven.next();
        let began = driven.now;
        assert_eq!(asked(&driven.next()), [Cause::Inquiry]);
        driven.now = began + ms(16);
        let answer = Append { cause: Cause::Inquiry, question, ..append(2, 0) };
        driven.hear(OTHER, Message::Append(answer));
        driven.raft.core.round_trips[1].smoothed()
    };
    assert_eq!([1, 2].map(measured), [Some(ms(16)), Some(ms(2))]);
    assert_eq!([0, 3, u64::MAX].map(measured), [None; 3]);
}

#[test]
fn r28_who_asked_for_a_vote_meanwhile_is_refused_once_when_the_leader_is_heard() {
    let mut driven = follower(5, direct(), append(1, 0));
    for (from, index) in [(2, 0), (3, 0), (2, 1)] {
        let request = pre_vote(2, (u64::from(index > 0), index), Cause::Campaign);
        assert_eq!(answers(&driven.hear(Member(from), request)), [], "it asks its leader first");
    }
    assert_eq!(asked(&driven.next()), [Cause::Inquiry]);
    let out = driven.hear(OTHER, Message::Append(append(2, 0)));
    let mut refused = answers(&out);
    refused.sort_unstable();
    assert_eq!(refused, [(2, 1, false), (3, 1, false)]);
    assert_eq!(answers(&driven.hear(OTHER, Message::Append(append(3, 0)))), []);
}

/// An older chain that comes late tells less (rule R32).
#[test]
fn r32_a_hop_remembers_the_newest_chain_whichever_comes_first() {
    let chain = |round, entries, before: u8| {
        let accepted = MemberSet::only(Member(before));
        Append {
            round,
            accepted,
            cause: Cause::Replicate,
            wants_answer: true,
            ..append(1, entries)
        }
    };
    for rounds in [[4, 5], [5, 4]] {
        let mut driven = follower(5, direct(), append(1, 0));
        for round in rounds {
            let (entries, before) = if round == 5 { (3, 2) } else { (2, 3) };
            driven.hear(Member(before), Message::Append(chain(round, entries, before)));
        }
        let route = Route::through(&[Member(0), Member(2)]).unwrap();
        let again =
            Append { route, cause: Cause::Resend, accepted: MemberSet::EMPTY, ..chain(6, 3, 2) };
        let out = driven.hear(OTHER, Message::Append(again));
        assert_eq!(appends(&out), [], "{rounds:?}: member 2 is known to hold them");
    }
}

#[test]
fn clients_are_sent_to_a_leader_for_an_election_timeout_after_it_was_heard() {
    let driven = follower(5, direct(), append(1, 0));
    let until = driven.now + driven.raft.core.tuning.election_timeout_min();
    let live = |at| driven.raft.live_leader(at);
    assert_eq!([live(until - Micros(1)), live(until)], [Some(OTHER), None]);
}
