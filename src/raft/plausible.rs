//! What no correct member ever sends. In Raft's fault model nobody lies, but a stray or broken
//! datagram must not stop a replica, or raise its term to a value it never leaves.

use super::core::Core;
use super::estimate::MOST_LOSS_TOLD;
use super::message::{Append, AppendReply, Message};
use super::tuning::MOST_INQUIRIES;
use super::types::{Index, Member, MemberSet, Micros, Term};

/// A term farther than this above the replica's own is not believed.
const MOST_TERMS_AHEAD: Term = 1 << 20;
/// An index farther than this beyond the replica's own log is not believed.
const MOST_ENTRIES_AHEAD: Index = 1 << 24;
/// A longer promise than this is not believed.
const LONGEST_PROMISE: Micros = Micros::from_seconds(120);
/// A longer election timeout than this is not believed.
const LONGEST_TIMEOUT: Micros = Micros::from_seconds(120);

/// Whether a correct member could have sent `message` to this one.
pub(super) fn is_plausible(core: &Core, from: Member, message: &Message) -> bool {
    if from == core.me || from.rank() >= core.count {
        return false;
    }
    if message.term() > core.term.saturating_add(MOST_TERMS_AHEAD) || message.term() == 0 {
        // Term 0 has no leaders and no candidates. Only answers may still carry it.
        let answer = matches!(message, Message::PreVoteReply(_) | Message::VoteReply(_));
        return answer && message.term() == 0;
    }
    let reachable = core.log.last_index() + MOST_ENTRIES_AHEAD;
    match message {
        Message::Append(append) => is_plausible_append(core, from, append, reachable),
        Message::AppendReply(reply) => is_plausible_reply(core, reply, reachable),
        Message::PreVote(request) => {
            request.last.index <= reachable && request.last.term < request.term
        }
        Message::Vote(request) => {
            request.last.index <= reachable && request.last.term < request.term
        }
        Message::VoteReply(reply) => reply.heard_commit <= reachable,
        Message::PreVoteReply(_) => true,
    }
}

fn is_plausible_append(core: &Core, from: Member, append: &Append, reachable: Index) -> bool {
    let all = MemberSet(core.others().0 | MemberSet::only(core.me).0);
    let route = append.route.members();
    let to_me = append.route.first().is_none_or(|first| first == core.me);
    let members = to_me
        && append.leader != core.me
        && append.leader.rank() < core.count
        && route.is_subset_of(all)
        && append.accepted.is_subset_of(all)
        && !route.contains(append.leader)
        && route.0 & append.accepted.0 == 0
        && !append.accepted.contains(core.me)
        // The first hop hears from the leader, a later one from a hop before it.
        && (from == append.leader || append.accepted.contains(from));
    let previous = append.previous;
    let terms = append.entries.iter().map(|entry| entry.term);
    let rising = std::iter::once(previous.term).chain(terms).is_sorted();
    let led = append.entries.first().is_none_or(|entry| entry.term > 0);
    let newest = append.entries.last().map_or(previous.term, |entry| entry.term);
    members
        && append.promise <= LONGEST_PROMISE
        && append.election_timeout <= LONGEST_TIMEOUT
        && append.inquiries <= MOST_INQUIRIES
        && append.loss_ppm <= MOST_LOSS_TOLD
        && append.round > 0
        && (previous.index == 0) == (previous.term == 0)
        && rising
        && led
        && newest <= append.term
        && previous.index <= reachable
        && append.commit <= reachable
}

fn is_plausible_reply(core: &Core, reply: &AppendReply, reachable: Index) -> bool {
    let hint_in_order = reply.refusal.is_none_or(|refusal| {
        let hint = refusal.hint;
        hint.first <= hint.last && hint.last <= refusal.refused && refusal.refused <= reply.through
    });
    let is_repeat = reply.repeated.is_none_or(|repeated| {
        repeated.members.is_subset_of(core.others())
            && repeated.round < reply.round
            && repeated.through <= reachable
            && reply.refusal.is_none()
    });
    is_repeat
        && reply.members.is_subset_of(core.others())
        && reply.through <= reachable
        && hint_in_order
}
