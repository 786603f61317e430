//! Rules R11 to R14: logs, acknowledgements, and the hops of a chain.

use laconic::interface::Address;
use laconic::raft::message::{Append, AppendReply, Hint, Refusal, Route};
use laconic::raft::{
    Cause, Disposition, Event, Index, Kind, Member, MemberSet, Message, Micros, RoleName, Term,
    Tuning,
};

use crate::cluster::{Cluster, each_answered, fast, ms, set};
use crate::solo::{ME, Solo, accepted, append, appends, refused, reply, vote_reply};

/// A follower whose log holds entries of these terms, sent by leader 1 of the last term.
fn follower(terms: &[Term]) -> Solo {
    let mut solo = Solo::new(5, each_answered());
    let term = *terms.last().expect("a log");
    solo.hear(1, Message::Append(append(1, term, (0, 0), terms)));
    assert_eq!(terms_of(&solo), terms);
    solo
}

fn terms_of(solo: &Solo) -> Vec<Term> {
    solo.raft().log().entries().iter().map(|entry| entry.term).collect()
}

#[test]
fn r11_commit_rises_to_what_the_append_has_checked_never_to_the_own_last_index() {
    let mut solo = follower(&[1, 1, 2, 2]);
    // Entries 3 and 4 conflict with the log of leader 3, which has committed up to 4.
    let heartbeat = Append { commit: 4, ..append(3, 3, (1, 2), &[]) };
    solo.hear(3, Message::Append(heartbeat));
    assert_eq!(solo.raft().commit(), 2);
    assert_eq!(solo.replica.status().heard_commit, 4, "kept apart (R3)");
    solo.hear(3, Message::Append(Append { commit: 4, ..append(3, 3, (1, 2), &[3]) }));
    assert_eq!((terms_of(&solo), solo.raft().commit()), (vec![1, 1, 3], 3));
}

#[test]
fn r11_a_refused_append_commits_nothing() {
    let mut solo = follower(&[1, 1]);
    solo.hear(3, Message::Append(Append { commit: 2, ..append(3, 3, (2, 2), &[3]) }));
    assert_eq!(solo.disposition(), Disposition::Rejected);
    assert_eq!(solo.raft().commit(), 0);
    assert_eq!(solo.replica.status().heard_commit, 2);
}

#[test]
fn r12_a_late_shorter_append_truncates_nothing() {
    let mut solo = follower(&[1, 1, 1]);
    for short in [append(1, 1, (0, 0), &[1]), append(1, 1, (0, 0), &[]), append(1, 1, (1, 1), &[1])]
    {
        solo.hear(1, Message::Append(short));
        assert_eq!(terms_of(&solo), [1, 1, 1]);
    }
    assert_eq!(solo.events(|event| matches!(event, Event::Truncated { .. })), 0);
}

/// Found by fuzzing: an append of a later term whose previous entry is committed here with another
/// term. It was taken, and terms fell along the log.
#[test]
fn r12_an_append_whose_previous_entry_contradicts_what_is_committed_is_implausible() {
    let mut solo = follower(&[1, 3, 3]);
    solo.hear(1, Message::Append(Append { commit: 2, ..append(1, 3, (3, 3), &[]) }));
    for (place, previous) in [(2, 2), (2, 1)].into_iter().enumerate() {
        let lie = Append { round: 10 + place as u64, ..append(1, 3, previous, &[2]) };
        solo.hear(1, Message::Append(lie));
        assert_eq!(solo.disposition(), Disposition::Implausible, "{previous:?}");
        assert_eq!(terms_of(&solo), [1, 3, 3]);
    }
}

#[test]
fn r12_a_conflict_of_terms_truncates_but_never_below_the_commit_index() {
    let mut solo = follower(&[1, 1, 1]);
    solo.hear(1, Message::Append(Append { commit: 2, ..append(1, 1, (0, 0), &[1, 1]) }));
    solo.hear(2, Message::Append(append(2, 2, (1, 2), &[2])));
    assert_eq!(terms_of(&solo), [1, 1, 2]);
    // No true leader contradicts committed entries, so this message is implausible.
    solo.hear(2, Message::Append(append(2, 2, (1, 1), &[2, 2])));
    assert_eq!(solo.disposition(), Disposition::Implausible);
    assert_eq!(terms_of(&solo), [1, 1, 2]);
}

#[test]
fn r13_an_acknowledgement_speaks_of_that_append_alone() {
    let mut solo = follower(&[1, 1, 1]);
    let late = Append { round: 17, cause: Cause::Resend, ..append(1, 1, (0, 0), &[1]) };
    let expected = AppendReply {
        term: 1,
        round: 17,
        cause: Cause::Resend,
        through: 1,
        members: MemberSet::only(ME),
        refusal: None,
        repeated: None,
    };
    assert_eq!(reply(&solo.hear(1, Message::Append(late))), expected);
    let heartbeat = append(1, 1, (1, 2), &[]);
    assert_eq!(reply(&solo.hear(1, Message::Append(heartbeat))).through, 2);
}

/// A leader of five members with three unacknowledged entries, and the appends that it sent.
fn leader() -> (Solo, Vec<Append>) {
    let mut solo = Solo::new(5, fast());
    solo.lead_all();
    for put in ["a", "b", "c"] {
        solo.put(put, put);
    }
    let sent = appends(&solo.wait(ms(1)));
    assert_eq!(sent.len(), 2, "thrifty");
    (solo, sent)
}

fn receiver(append: &Append) -> u8 {
    append.route.first().expect("a receiver").0
}

#[test]
fn r13_the_leader_checks_what_is_acknowledged() {
    let (mut solo, sent) = leader();
    let commit = solo.raft().commit();
    let last = solo.raft().log().last_index();
    let (first, second) = (receiver(&sent[0]), receiver(&sent[1]));
    let Message::AppendReply(good) = accepted(&sent[0], last) else { unreachable!() };
    let members = MemberSet(good.members.0 | MemberSet::only(Member(second)).0);
    let lies = [
        (AppendReply { members, ..good }, Disposition::Implausible),
        (AppendReply { through: last + 1, ..good }, Disposition::Implausible),
        (AppendReply { round: good.round + 9, ..good }, Disposition::Stale),
        (AppendReply { round: 0, ..good }, Disposition::Stale),
        (AppendReply { term: good.term - 1, ..good }, Disposition::Implausible),
    ];
    for (lie, expected) in lies {
        solo.hear(first, Message::AppendReply(lie));
        assert_eq!(solo.disposition(), expected, "{lie:?}");
        assert_eq!(solo.raft().commit(), commit, "{lie:?}");
    }
    // An answer from a member to which the round was not sent.
    solo.hear(second, Message::AppendReply(good));
    assert_eq!(solo.disposition(), Disposition::Implausible);
    solo.hear(first, Message::AppendReply(good));
    solo.hear(first, Message::AppendReply(good));
    assert_eq!(solo.disposition(), Disposition::Duplicate);
    assert_eq!(solo.raft().commit(), commit, "one of two others, however often it says so");
    solo.hear(second, accepted(&sent[1], last));
    assert_eq!(solo.raft().commit(), last);
}

#[test]
fn r13_a_match_only_rises_and_late_refusals_are_ignored() {
    let (mut solo, sent) = leader();
    let last = solo.raft().log().last_index();
    let (first, second) = (receiver(&sent[0]), receiver(&sent[1]));
    solo.hear(first, accepted(&sent[0], last));
    solo.hear(first, accepted(&sent[0], last - 2));
    let hint = Hint { term: 0, first: 0, last: 0 };
    let out = solo.hear(first, refused(&sent[0], hint));
    assert_eq!(appends(&out), [], "refused at or below the match");
    solo.hear(second, accepted(&sent[1], last));
    assert_eq!(solo.raft().commit(), last, "what was matched stays matched");
}

/// A leader that was deposed and leads again has rounds of the same numbers. A copy of what it sent
/// before, which comes late, must not credit anybody with what it sends now.
#[test]
fn r13_an_answer_to_an_earlier_leadership_of_the_same_member_counts_for_nothing() {
    let mut solo = follower(&[3]);
    let accepted = MemberSet::only(Member(3));
    let late = Append { round: 1, accepted, ..append(2, 2, (0, 0), &[2]) };
    let told = reply(&solo.hear(3, Message::Append(late)));
    assert_eq!((told.term, told.round, told.members), (3, 0, MemberSet::EMPTY));
    let (mut leader, _) = leader();
    let told = AppendReply { term: leader.raft().term(), ..told };
    leader.hear(1, Message::AppendReply(told));
    assert_eq!(leader.disposition(), Disposition::Stale);
}

/// A batch from leader 1 along the members 0, 2 and 3.
fn chained() -> Append {
    let route = Route::through(&[ME, Member(2), Member(3)]).expect("distinct");
    Append { route, commit: 1, round: 4, ..append(1, 1, (1, 1), &[1]) }
}

#[test]
fn r14_a_hop_relays_verbatim_and_only_after_accepting() {
    let mut solo = follower(&[1]);
    let out = solo.hear(1, Message::Append(chained()));
    assert_eq!(out.len(), 1, "no answer of its own");
    assert_eq!(out[0].destination, Address(2));
    assert_eq!((out[0].source, out[0].leader), (Address(0), Address(1)));
    let route = Route::through(&[Member(2), Member(3)]).expect("distinct");
    let accepted = MemberSet::only(ME);
    assert_eq!(appends(&out), [Append { route, accepted, ..chained() }]);
    assert_eq!(solo.raft().log().last_index(), 2);
}

/// Otherwise a network that makes a copy of each message makes a thousand along ten hops.
#[test]
fn r14_a_round_is_passed_on_once() {
    let mut solo = follower(&[1]);
    let first = chained();
    let mut relays = |round| {
        let out = solo.hear(1, Message::Append(Append { round, ..chained() }));
        appends(&out).len()
    };
    assert_eq!([first.round, first.round].map(&mut relays), [1, 0], "a copy");
    let later = first.round + 5;
    assert_eq!([later, later].map(&mut relays), [1, 0]);
    // These have been overtaken, and were not seen before.
    assert_eq!([later - 1, later - 1, first.round].map(&mut relays), [1, 0, 0]);
}

#[test]
fn r14_the_last_hop_acknowledges_for_all() {
    let mut solo = follower(&[1]);
    let last =
        Append { route: Route::direct(ME), accepted: set(&[Member(2), Member(3)]), ..chained() };
    let out = solo.hear(3, Message::Append(last));
    assert_eq!(out[0].destination, Address(1), "to the leader");
    assert_eq!(reply(&out).members, set(&[ME, Member(2), Member(3)]));
}

#[test]
fn r14_a_hop_that_refuses_tells_the_leader_and_relays_nothing() {
    let mut solo = follower(&[1]);
    let gap = Append {
        previous: laconic::raft::message::Position { term: 1, index: 7 },
        route: Route::through(&[ME, Member(3)]).expect("distinct"),
        accepted: MemberSet::only(Member(2)),
        ..chained()
    };
    let out = solo.hear(2, Message::Append(gap));
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].destination, Address(1), "the leader, not the hop before");
    let refusal = Refusal { refused: 7, hint: Hint { term: 1, first: 1, last: 1 } };
    let told = reply(&out);
    assert_eq!((told.term, told.members), (1, MemberSet::only(Member(2))));
    assert_eq!(told.refusal, Some(refusal));
}

#[test]
fn r14_what_is_not_for_this_hop_is_dropped() {
    let routes = [&[Member(2), ME][..], &[ME, Member(1)], &[ME, Member(9)]];
    for route in routes {
        let mut solo = follower(&[1]);
        let route = Route::through(route).expect("distinct");
        assert_eq!(solo.hear(1, Message::Append(Append { route, ..chained() })), []);
        assert_eq!(solo.disposition(), Disposition::Implausible);
    }
    assert_eq!(Route::through(&[ME, Member(2), ME]), None, "a route of distinct followers");
    // First from a hop that is not marked as accepted, then back at a hop that is.
    let mut solo = follower(&[1]);
    assert_eq!(solo.hear(4, Message::Append(chained())), []);
    let again = Append { accepted: MemberSet::only(ME), ..chained() };
    assert_eq!(solo.hear(1, Message::Append(again)), []);
}

/// Section 5.4.1: the later last term wins; if the terms are equal, the longer log.
#[test]
fn who_is_up_to_date_is_decided_by_last_term_then_index() {
    use crate::solo::{pre_vote_request, vote, vote_request};
    let later: [((Term, Index), bool); 6] = [
        ((1, 99), false),
        ((2, 2), false),
        ((2, 3), true),
        ((2, 4), true),
        ((3, 1), true),
        ((0, 0), false),
    ];
    for (last, expected) in later {
        let mut solo = follower(&[1, 1, 2]);
        assert_eq!(vote(&solo.hear(3, vote_request(9, last))).0, expected, "{last:?}");
        let mut solo = follower(&[1, 1, 2]);
        assert_eq!(vote(&solo.hear(3, pre_vote_request(9, last))).0, expected, "{last:?}");
    }
}

/// Section 5.4.2, figure 8 (c): S1 leads again and has copied its old entry to a majority. The
/// entry may not be committed by counting, because S5 could still overwrite it (d). An entry of
/// S1's own term behind it commits both (e).
#[test]
fn an_old_term_entry_on_a_majority_is_not_committed_by_counting() {
    let mut solo = follower(&[1, 2]);
    solo.hear(2, vote_reply(3, false));
    let opening = appends(&solo.lead());
    assert_eq!((solo.role(), solo.raft().term()), (RoleName::Leader, 4));
    assert_eq!(terms_of(&solo), [1, 2, 4]);
    for append in &opening {
        solo.hear(receiver(append), accepted(append, 2));
    }
    assert_eq!(solo.raft().commit(), 0, "all hold the entry of term 2");
    solo.hear(receiver(&opening[0]), accepted(&opening[0], 3));
    assert_eq!(solo.raft().commit(), 0);
    solo.hear(receiver(&opening[1]), accepted(&opening[1], 3));
    assert_eq!(solo.raft().commit(), 3);
}

/// A member gives one vote a term, whoever asks and however often (section 5.2).
#[test]
fn a_vote_is_given_once_a_term() {
    use crate::solo::{vote, vote_request};
    let mut solo = follower(&[1]);
    assert_eq!(vote(&solo.hear(3, vote_request(2, (1, 1)))), (true, 2));
    assert_eq!(vote(&solo.hear(4, vote_request(2, (1, 5)))), (false, 2));
    assert_eq!(vote(&solo.hear(3, vote_request(2, (1, 1)))), (true, 2), "the same, once more");
    assert_eq!(vote(&solo.hear(4, vote_request(3, (1, 5)))), (true, 3));
}

/// All appends that one drain of the socket brings in are acknowledged once, at its end. The answer
/// names the newest round, and covers all that any of these appends has checked.
#[test]
fn r13_appends_of_one_drain_share_one_acknowledgement() {
    let mut solo = Solo::new(3, Tuning { shared_acknowledgements: true, ..fast() });
    let first = append(1, 1, (0, 0), &[1, 1]);
    let second = Append { round: 2, ..append(1, 1, (1, 2), &[1]) };
    let heartbeat = Append { round: 3, ..append(1, 1, (1, 1), &[]) };
    for drained in [first, second, heartbeat] {
        assert_eq!(solo.hear(1, Message::Append(drained)), [], "the drain is not over");
    }
    let answer = reply(&solo.wait(ms(0)));
    assert_eq!((answer.round, answer.through, answer.refusal), (3, 3, None));
    assert_eq!(solo.wait(ms(0)), [], "once");
    // A refusal is sent at once, and nothing is owed to a leader whose term is over.
    let too_far = Append { round: 4, ..append(1, 1, (1, 9), &[1]) };
    assert!(reply(&solo.hear(1, Message::Append(too_far))).refusal.is_some());
    let last = Append { round: 5, ..append(1, 1, (1, 3), &[1]) };
    assert_eq!(solo.hear(1, Message::Append(last)), []);
    solo.hear(2, vote_reply(7, false));
    assert_eq!(solo.wait(ms(0)), []);
}

/// The same load with and without the knob: with it, half of the acknowledgements are saved and no
/// put waits longer.
#[test]
fn r13_shared_acknowledgements_cost_no_time() {
    let cost = |shared_acknowledgements| {
        let tuning = Tuning { shared_acknowledgements, batch_most_entries: 1, ..fast() };
        let mut cluster = Cluster::new(5, 4, tuning);
        let leader = cluster.elect();
        let mark = cluster.records.len();
        let mut took = Micros(0);
        for burst in 0..50 {
            let asked = cluster.now;
            let puts: Vec<_> = (0..4)
                .map(|put| cluster.put(leader, &format!("k{burst}"), &format!("{put}")))
                .collect();
            assert!(
                cluster.run_until(ms(20), |cluster| puts.iter().all(|put| cluster.is_ok(*put)))
            );
            took += cluster.now.since(asked);
            cluster.run_for(ms(20));
        }
        (cluster.count(mark, |kind, _| kind == Kind::AppendReply), took)
    };
    let (alone, shared) = (cost(false), cost(true));
    println!(
        "{} acknowledgements instead of {}, {} s for {} s",
        shared.0, alone.0, shared.1, alone.1
    );
    assert!(shared.0 * 10 <= alone.0 * 6, "{} acknowledgements of {}", shared.0, alone.0);
    assert!(shared.1 <= alone.1);
}
