//! Rule R32: what a chain has brought is not brought again.

use laconic::interface::Outcome;
use laconic::raft::message::{Append, AppendReply, Repeated, Route};
use laconic::raft::tuning::{FanOut, Reads};
use laconic::raft::{Cause, Disposition, Event, Member, MemberSet, Message, Tuning};
use laconic::record::Fact;

use crate::cluster::{Cluster, Fate, fast, ms};
use crate::solo::{ME, Solo, accepted, answered, append, appends, reply};

/// Chains that are sent again as chains from the first loss on.
fn chain() -> Tuning {
    Tuning { fan_out: FanOut::Chain, silence_is_loss_above_per_mille: 0, ..fast() }
}

fn members(ranks: &[u8]) -> MemberSet {
    ranks.iter().map(|rank| Member(*rank)).collect()
}

/// A follower that was the last hop of a chain of round 7, after member 2.
fn last_hop() -> (Solo, AppendReply) {
    let mut solo = Solo::new(5, chain());
    let accepted = members(&[2]);
    let first = Append { round: 7, accepted, ..append(1, 1, (0, 0), &[1, 1]) };
    let answer = reply(&solo.hear(2, Message::Append(first)));
    assert_eq!((answer.members, answer.repeated), (members(&[2, 0]), None));
    (solo, answer)
}

fn resend(round: u64, hops: &[Member], previous: (u64, u64), terms: &[u64]) -> Append {
    let route = Route::through(hops).expect("a route");
    Append { round, route, cause: Cause::Resend, ..append(1, 1, previous, terms) }
}

#[test]
fn r32_the_last_hop_of_a_chain_repeats_the_answer_that_was_lost() {
    let (mut solo, lost) = last_hop();
    let again = resend(9, &[ME, Member(2)], (0, 0), &[1, 1]);
    let answer = reply(&solo.hear(1, Message::Append(again)));
    assert_eq!((answer.round, answer.members), (9, members(&[0])), "of this round only itself");
    let repeated = Repeated { round: lost.round, through: 2, members: lost.members };
    assert_eq!(answer.repeated, Some(repeated));
}

#[test]
fn r32_what_the_others_are_not_known_to_hold_is_relayed() {
    let longer = resend(9, &[ME, Member(2)], (0, 0), &[1, 1, 1]);
    let to_another = resend(9, &[ME, Member(3)], (0, 0), &[1, 1]);
    let heartbeat = Append { cause: Cause::Heartbeat, ..resend(9, &[ME, Member(2)], (1, 2), &[]) };
    let next_term =
        Append { term: 2, leader: Member(3), ..resend(9, &[ME, Member(2)], (1, 2), &[]) };
    for (from, again) in [(1, longer), (1, to_another), (1, heartbeat), (3, next_term)] {
        let (mut solo, _) = last_hop();
        let sent = solo.hear(from, Message::Append(again.clone()));
        let relayed = appends(&sent);
        assert_eq!(relayed.len(), 1, "{again:?}");
        assert_eq!(relayed[0].accepted, members(&[0]));
    }
}

/// A leader whose chain was lost, and the chain's second sending.
fn broken_chain() -> (Solo, Append, Append) {
    let mut solo = Solo::new(5, Tuning { reads: Reads::Confirm, ..chain() });
    solo.lead_all();
    solo.put("k", "P");
    let batch = appends(&solo.wait(ms(1))).remove(0);
    solo.get("other", "read");
    let sent = appends(&solo.wait(ms(10)));
    let again = sent.into_iter().find(|append| append.cause == Cause::Resend).expect("a resend");
    (solo, batch, again)
}

#[test]
fn r32_a_broken_chain_is_sent_again_from_its_end() {
    let (_, batch, again) = broken_chain();
    let mut hops: Vec<Member> = batch.route.iter().collect();
    hops.reverse();
    assert_eq!(again.route.iter().collect::<Vec<_>>(), hops);
    assert_eq!(again.entries.len(), 1);
}

/// The last hop of `batch`, which is the first of `again`, and its answer to `again`: it repeats
/// that all have accepted `batch`.
fn repeated_answer(batch: &Append, again: &Append) -> (Member, AppendReply) {
    let last = again.route.first().expect("a hop");
    let Message::AppendReply(of_all) = accepted(again, again.through()) else { unreachable!() };
    let repeated =
        Repeated { round: batch.round, through: batch.through(), members: batch.route.members() };
    let members = MemberSet::only(last);
    (last, AppendReply { members, repeated: Some(repeated), ..of_all })
}

#[test]
fn r32_a_repeated_answer_counts_for_its_own_round_alone() {
    let (mut solo, batch, again) = broken_chain();
    let (last, answer) = repeated_answer(&batch, &again);
    let out = solo.hear(last.0, Message::AppendReply(answer));
    assert_eq!(answered(&out, &Outcome::Ok(None)), ["P"], "both hold it");
    // The read came after the first round. Of the second only one member has heard.
    assert_eq!(answered(&out, &Outcome::Ok(Some("".into()))), [""; 0]);
    // Nobody in the chain is asked for it once more.
    let later = appends(&solo.wait(ms(10)));
    let chained = |append: &Append| append.route.members().meets(batch.route.members());
    assert!(!later.iter().any(chained), "{later:?}");
}

/// The first answer was only late. What the second one repeats is known, and its round is news.
#[test]
fn r32_an_answer_that_repeats_what_is_known_is_news_for_its_own_round() {
    let (mut solo, batch, again) = broken_chain();
    let first = batch.route.iter().last().expect("a hop");
    solo.hear(first.0, accepted(&batch, batch.through()));
    let (last, answer) = repeated_answer(&batch, &again);
    for expected in [Disposition::Accepted, Disposition::Duplicate] {
        solo.hear(last.0, Message::AppendReply(answer));
        assert_eq!(solo.disposition(), expected);
    }
}

/// Silence along a chain may be the silence of another hop.
#[test]
fn r16_nobody_in_a_lossy_chain_is_suspected_before_it_was_asked_directly() {
    let (mut solo, ..) = broken_chain();
    let mut asked = MemberSet::EMPTY;
    let suspects = loop {
        let sent = appends(&solo.wait(ms(1)));
        let suspects = solo.records.iter().filter_map(|record| match record.fact {
            Fact::State(Event::Suspected { member }) => Some(member),
            _ => None,
        });
        let suspects: MemberSet = suspects.collect();
        if !suspects.is_empty() {
            break suspects;
        }
        assert!(solo.now < ms(60_000), "nobody answers, so somebody is suspected");
        let direct = sent.iter().filter(|append| append.route.len() == 1);
        direct.filter_map(|append| append.route.first()).for_each(|to| asked.insert(to));
    };
    assert!(suspects.is_subset_of(asked), "{suspects:?} {asked:?}");
}

#[test]
fn r32_the_leader_checks_what_is_repeated() {
    let (mut solo, batch, again) = broken_chain();
    let last = again.route.first().expect("a hop");
    let outsider = (1..5).map(Member).find(|member| !batch.route.members().contains(*member));
    let Message::AppendReply(of_all) = accepted(&again, again.through()) else { unreachable!() };
    let good =
        Repeated { round: batch.round, through: batch.through(), members: batch.route.members() };
    let mut wrong = good.members;
    wrong.insert(outsider.expect("f are left out"));
    let lies = [
        Repeated { members: wrong, ..good },
        Repeated { through: batch.through() + 1, ..good },
        Repeated { round: again.round, ..good },
    ];
    for lie in lies {
        let answer = AppendReply { members: MemberSet::only(last), repeated: Some(lie), ..of_all };
        solo.hear(last.0, Message::AppendReply(answer));
        assert_eq!(solo.disposition(), Disposition::Implausible, "{lie:?}");
    }
}

/// Only the last message of the chain is lost.
#[test]
fn r32_a_lost_answer_costs_two_messages() {
    let mut cluster = Cluster::new(5, 8, chain());
    let leader = cluster.elect();
    cluster.put(leader, "k", "first");
    cluster.run_for(ms(30));
    let mark = cluster.records.len();
    let mut is_lost = false;
    cluster.obeys(move |flight| {
        let is_answer =
            matches!(&flight.message, Message::AppendReply(reply) if reply.members.len() == 2);
        if is_answer && !std::mem::replace(&mut is_lost, true) { Fate::Lose } else { Fate::Pass }
    });
    cluster.put(leader, "k", "second");
    cluster.run_for(ms(30));
    let resent = cluster.count(mark, |_, why| why.cause() == Cause::Resend);
    assert_eq!(resent, 2, "the last hop is asked, and answers for both");
}
