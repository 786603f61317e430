//! What no correct member sends is dropped, and changes nothing. Each case is a sound message but
//! for one thing; the greatest values that are believed are taken in.

use laconic::raft::message::{Append, AppendReply, Hint, Position, Refusal, Repeated, Route};
use laconic::raft::{Disposition, Member, MemberSet, Message, Tuning};

use crate::cluster::{fast, ms};
use crate::solo::{
    ME, Solo, append, appends, pre_vote_reply, pre_vote_request, refused, vote_reply, vote_request,
};

const FARTHEST_TERM: u64 = 3 + (1 << 20);
const FARTHEST_INDEX: u64 = 3 + (1 << 24);

/// Whether a follower of five believes `message`. Its log has three entries; the term is 3.
fn is_believed(from: u8, message: Message) -> bool {
    let mut solo = Solo::new(5, fast());
    solo.hear(1, Message::Append(append(1, 3, (0, 0), &[1, 2, 3])));
    let before = (solo.raft().term(), solo.raft().log().clone(), solo.raft().commit());
    solo.hear(from, message);
    let is_believed = solo.disposition() != Disposition::Implausible;
    let after = (solo.raft().term(), solo.raft().log().clone(), solo.raft().commit());
    let kept =
        before.0 == after.0 && before.1.entries() == after.1.entries() && before.2 == after.2;
    assert!(is_believed || kept, "what is not believed changes nothing");
    is_believed
}

fn sound() -> Append {
    Append { round: 2, ..append(1, 3, (3, 3), &[3]) }
}

fn through(members: &[u8]) -> Route {
    let members: Vec<Member> = members.iter().copied().map(Member).collect();
    Route::through(&members).expect("distinct")
}

#[test]
fn an_append_is_from_its_leader_or_a_hop_before_and_for_this_member() {
    assert!(is_believed(1, Message::Append(sound())));
    let passed = Append { accepted: MemberSet::only(Member(2)), ..sound() };
    assert!(is_believed(2, Message::Append(passed)));
    assert!(is_believed(1, Message::Append(Append { route: through(&[0, 3, 4]), ..sound() })));
    for from in [0, 2, 5] {
        assert!(!is_believed(from, Message::Append(sound())), "from {from}");
    }
    let of = |members: &[u8]| members.iter().copied().map(Member).collect::<MemberSet>();
    let cases = [
        ("by this member itself", Append { leader: ME, accepted: of(&[1]), ..sound() }),
        ("by no member", Append { leader: Member(5), accepted: of(&[1]), ..sound() }),
        ("to another first", Append { route: through(&[2, 0]), ..sound() }),
        ("to no member", Append { route: through(&[0, 5]), ..sound() }),
        ("to the leader", Append { route: through(&[0, 1]), ..sound() }),
        ("accepted by no member", Append { accepted: of(&[5]), ..sound() }),
        ("accepted here", Append { accepted: of(&[0]), route: Route::EVERYONE, ..sound() }),
        ("back again", Append { route: through(&[0, 2]), accepted: of(&[2]), ..sound() }),
    ];
    for (name, append) in cases {
        assert!(!is_believed(1, Message::Append(append)), "{name}");
    }
}

#[test]
fn an_append_asks_for_no_more_than_two_minutes_and_twenty_questions() {
    let most = Append {
        promise: ms(120_000),
        election_timeout: ms(120_000),
        inquiries: 20,
        loss_ppm: 500_000,
        question: 1,
        round: 1,
        commit: FARTHEST_INDEX,
        ..sound()
    };
    assert!(is_believed(1, Message::Append(most.clone())));
    let cases = [
        ("promise", Append { promise: ms(120_001), ..most.clone() }),
        ("timeout", Append { election_timeout: ms(120_001), ..most.clone() }),
        ("inquiries", Append { inquiries: 21, ..most.clone() }),
        ("loss", Append { loss_ppm: 500_001, ..most.clone() }),
        ("round", Append { round: 0, ..most.clone() }),
        ("commit", Append { commit: FARTHEST_INDEX + 1, ..most }),
    ];
    for (name, append) in cases {
        assert!(!is_believed(1, Message::Append(append)), "{name}");
    }
}

#[test]
fn terms_rise_along_a_log_up_to_that_of_the_append() {
    let with = |term, previous, terms: &[u64]| Message::Append(append(1, term, previous, terms));
    assert!(is_believed(1, with(3, (0, 0), &[1, 2, 3])));
    assert!(is_believed(1, with(3, (3, FARTHEST_INDEX), &[])));
    assert!(is_believed(1, with(FARTHEST_TERM, (3, 3), &[])));
    let cases = [
        ("index without term", with(3, (0, 3), &[3])),
        ("term without index", with(3, (1, 0), &[3])),
        ("falls at once", with(3, (3, 3), &[2])),
        ("falls later", with(3, (2, 2), &[3, 2])),
        ("no term", with(3, (0, 0), &[0])),
        ("entry beyond", with(3, (3, 3), &[4])),
        ("previous beyond", with(3, (4, 4), &[])),
        ("far index", with(3, (3, FARTHEST_INDEX + 1), &[])),
        ("far term", with(FARTHEST_TERM + 1, (3, 3), &[])),
        ("term 0", with(0, (0, 0), &[])),
    ];
    for (name, message) in cases {
        assert!(!is_believed(1, message), "{name}");
    }
}

#[test]
fn a_candidate_stands_above_the_terms_of_its_log() {
    for request in [vote_request, pre_vote_request] {
        assert!(is_believed(2, request(4, (3, FARTHEST_INDEX))));
        assert!(!is_believed(2, request(4, (3, FARTHEST_INDEX + 1))));
        assert!(!is_believed(2, request(4, (4, 3))));
        assert!(!is_believed(2, request(FARTHEST_TERM + 1, (3, 3))));
        assert!(!is_believed(2, request(0, (0, 0))));
    }
}

/// Who has heard of no term yet answers with term 0.
#[test]
fn only_answers_to_candidates_have_term_0() {
    assert!(is_believed(2, pre_vote_reply(0, 4, true)));
    assert!(is_believed(2, vote_reply(0, false)));
    assert!(!is_believed(2, pre_vote_reply(FARTHEST_TERM + 1, 4, true)));
    assert!(!is_believed(2, vote_reply(FARTHEST_TERM + 1, false)));
    let heard = |heard_commit| {
        let Message::VoteReply(reply) = vote_reply(3, true) else { unreachable!() };
        Message::VoteReply(laconic::raft::message::VoteReply { heard_commit, ..reply })
    };
    assert!(is_believed(2, heard(FARTHEST_INDEX)) && !is_believed(2, heard(FARTHEST_INDEX + 1)));
}

fn refusal(reply: &mut AppendReply, refused: u64, first: u64, last: u64) {
    reply.refusal = Some(Refusal { refused, hint: Hint { term: 1, first, last } });
}

#[test]
fn a_refusal_names_a_hint_below_the_refused_index_and_repeats_nothing() {
    let judge = |change: fn(&mut AppendReply)| {
        let mut solo = Solo::new(3, Tuning { linger_us: 0, ..fast() });
        solo.lead_all();
        solo.put("k", "v");
        let sent = appends(&solo.wait(ms(1)));
        assert_eq!((sent[0].previous, sent[0].through()), (Position { term: 1, index: 1 }, 2));
        let hint = Hint { term: 1, first: 1, last: 1 };
        let Message::AppendReply(mut reply) = refused(&sent[0], hint) else { unreachable!() };
        change(&mut reply);
        let from = sent[0].route.first().map_or(1, |first| first.0);
        solo.hear(from, Message::AppendReply(reply));
        solo.disposition() != Disposition::Implausible
    };
    assert!(judge(|_| ()));
    assert!(judge(|reply| refusal(reply, 2, 1, 2)));
    assert!(!judge(|reply| refusal(reply, 1, 2, 1)), "first after last");
    assert!(!judge(|reply| refusal(reply, 1, 1, 2)), "last after the refused");
    assert!(!judge(|reply| refusal(reply, 3, 1, 1)), "refused beyond the append");
    assert!(!judge(|reply| {
        reply.repeated = Some(Repeated { round: 1, through: 1, members: MemberSet::EMPTY });
    }));
}
