//! What a follower does with an append (§5.3), and what a hop of a chain does (rule R14).

use super::core::{Context, Core};
use super::event::{Disposition, Event};
use super::inquiry;
use super::mark::Mark;
use super::message::{Append, AppendReply, Cause, Message, Refusal, Repeated, Route, Why};
use super::planted::Planted;
use super::types::{Index, MemberSet};

/// Handles an append of the current term. The caller has made this replica a follower.
pub(super) fn on_append(context: &mut Context<'_>, mut append: Append) -> Disposition {
    hear(context, &append);
    let core = &mut context.core;
    let before = (core.log.last(), core.commit);
    // Logs agree up to the commit index (§5.4.3), so nothing there needs to be checked.
    let unchecked = append.entries.is_empty() && core.has(Planted::HeartbeatUnchecked);
    let fits = unchecked || append.previous.index <= core.commit || core.log.holds(append.previous);
    core.marks.add_if(append.previous.index < core.commit, Mark::AppendBelowCommit);
    if !fits && core.has(Planted::RelayBeforeCheck) && !append.route.rest().is_empty() {
        append.accepted.insert(core.me);
        pass_on(context, append);
        return Disposition::Rejected;
    }
    if !fits {
        context.mark(Mark::AppendRefused);
        context.mark_if(!append.accepted.is_empty(), Mark::ChainBroken);
        refuse(context, &append);
        return Disposition::Rejected;
    }
    if !store(context, &append) {
        return Disposition::Implausible;
    }
    let core = &mut context.core;
    if append.round > core.promised_round || core.has(Planted::StaleRoundRenews) {
        core.promised_round = append.round.max(core.promised_round);
        core.promise(context.now, append.promise);
    } else {
        // Rule R31: its leader counts on the promise that it asked for, which may be longer than
        // that of the newer round. It began before that one was heard, so its promise begins then.
        core.marks.add(Mark::OldRoundAccepted);
        if !core.has(Planted::OvertakenPromiseForgotten) {
            core.promise(core.heard_at, append.promise);
        }
    }
    append.accepted.insert(core.me);
    note_hops(core, &append);
    // Rule R11: only what this append has checked is known to agree with the leader.
    context.mark_if(append.commit > append.through(), Mark::CommitHeldBack);
    let unchecked = context.core.has(Planted::CommitPastChecked);
    let checked = if unchecked { context.core.log.last_index() } else { append.through() };
    context.commit_through(append.commit.min(checked));
    let is_news = before != (context.core.log.last(), context.core.commit);
    let is_duplicate = !append.entries.is_empty() && !is_news;
    pass_on(context, append);
    if is_duplicate { Disposition::Duplicate } else { Disposition::Accepted }
}

/// A leader lives: notes who leads, until when to wait for it, and how far it has committed. A
/// round that is no newer than one heard before proves nothing, because the network may repeat
/// messages of a dead leader (rule R21).
fn hear(context: &mut Context<'_>, append: &Append) {
    if context.core.leader != Some(append.leader) {
        context.core.leader = Some(append.leader);
        context.tell(Event::LeaderHeard { leader: append.leader, term: append.term });
    }
    context.core.heard_commit = context.core.heard_commit.max(append.commit);
    if append.round > context.core.heard_round || context.core.has(Planted::StaleRoundRenews) {
        inquiry::on_heard(context, append.question);
        let Context { core, now, .. } = context;
        core.heard_round = append.round.max(core.heard_round);
        core.heard_at = *now;
        core.times_heard += 1;
        core.take_timeout(append.election_timeout);
        core.told_inquiries = append.inquiries;
        core.told_loss_ppm = Some(append.loss_ppm);
        core.reset_election(*now);
    }
}

/// Puts the new entries into the log. An entry that is there already stays. Only a real conflict of
/// terms truncates, and never below the commit index (rule R12). False if the append contradicts
/// what is committed, which no correct leader does.
fn store(context: &mut Context<'_>, append: &Append) -> bool {
    let core = &mut context.core;
    if append.previous.index <= core.commit && !core.log.holds(append.previous) {
        return false;
    }
    let first = append.previous.index + 1;
    let known = append
        .entries
        .iter()
        .zip(first..)
        .take_while(|(entry, index)| core.log.term_at(*index) == Some(entry.term))
        .take_while(|_| !core.has(Planted::TruncatesMatching))
        .count();
    let mut index = first + known as Index;
    if known == append.entries.len() {
        let last = core.log.last_index();
        if index <= last && core.has(Planted::TruncatesToAppend) {
            core.log.truncate_from(index);
            context.tell(Event::Truncated { first: index, last });
            return true;
        }
        core.marks.add_if(known > 0, Mark::AppendRepeated);
        return true;
    }
    core.marks.add_if(known > 0, Mark::AppendPartlyKnown);
    let last = core.log.last_index();
    if index <= last {
        if index <= core.commit {
            return false;
        }
        core.marks.add(Mark::LogTruncated);
        core.log.truncate_from(index);
        context.tell(Event::Truncated { first: index, last });
    }
    for run in append.entries[known..].chunk_by(|one, next| one.term == next.term) {
        let through = index + run.len() as Index - 1;
        context.tell(Event::Appended { first: index, last: through, term: run[0].term });
        run.iter().for_each(|entry| context.core.log.push(entry.clone()));
        index = through + 1;
    }
    true
}

/// Notes who has accepted a chain before this member, in case the answer is lost (rule R32).
fn note_hops(core: &mut Core, append: &Append) {
    let is_newest = core.relayed.is_none_or(|known| known.round < append.round);
    if append.accepted.len() > 1 && is_newest {
        let Append { round, accepted: members, .. } = *append;
        core.relayed = Some(Repeated { round, through: append.through(), members });
    }
}

/// The acknowledgement that serves for the rest of a resend's route: all of it has accepted the
/// same entries before, in a chain whose answer was lost (rule R32).
fn repeated(core: &Core, append: &Append, rest: Route) -> Option<Repeated> {
    let serves = |known: &Repeated| {
        known.through >= append.through() && rest.members().is_subset_of(known.members)
    };
    let is_asked = append.cause == Cause::Resend && append.wants_answer && !rest.is_empty();
    let mut repeated = core.relayed.filter(|known| is_asked && serves(known))?;
    if core.has(Planted::RelayOfOldTermRepeated) {
        repeated.through = repeated.through.min(append.through());
    }
    Some(repeated)
}

/// Relays the append to the next hop (rule R14), or answers if this was the last, or if the others
/// need not hear it again.
fn pass_on(context: &mut Context<'_>, append: Append) {
    let rest = append.route.rest();
    let repeated = repeated(context.core, &append, rest);
    context.mark_if(repeated.is_some(), Mark::AcknowledgementRepeated);
    if repeated.is_none()
        && let Some(next) = rest.first()
    {
        if !context.core.passed_on.insert(append.round) {
            return context.mark(Mark::CopyNotPassedOn);
        }
        context.mark(Mark::AppendRelayed);
        let why = Why::Relay(append.cause);
        let relayed = Append { route: rest, ..append };
        return context.send(next, Message::Append(relayed), why);
    }
    if !append.wants_answer {
        return;
    }
    let reply = AppendReply { repeated, ..answer_to(context, &append, None) };
    let direct = repeated.is_none() && append.accepted == MemberSet::only(context.core.me);
    context.mark_if(!direct, Mark::ChainAcknowledged);
    if direct && context.core.tuning.shared_acknowledgements {
        owe(context, reply);
    } else {
        context.send(append.leader, Message::AppendReply(reply), Why::Ack(append.cause));
    }
}

/// Keeps the acknowledgement until the end of the drain and merges it with those of the drain's
/// other appends: it names the newest round, and all that any of the appends has checked. Appends
/// of one term agree with one log, the leader's, so what they have checked adds up (rule R13).
fn owe(context: &mut Context<'_>, reply: AppendReply) {
    context.mark_if(context.core.owed.is_some(), Mark::AcknowledgementsShared);
    let owed = context.core.owed.get_or_insert(reply);
    let through = owed.through.max(reply.through);
    if reply.round > owed.round {
        *owed = reply;
    }
    owed.through = through;
}

/// The drain is over: acknowledges what was accepted in it.
pub(super) fn acknowledge(context: &mut Context<'_>) {
    if let Some(reply) = context.core.owed.take()
        && let Some(leader) = context.core.leader
    {
        context.send(leader, Message::AppendReply(reply), Why::Ack(reply.cause));
    }
}

/// Refuses an append. The refusal goes to the leader and says where to look, and which hops have
/// accepted before (rules R13, R14).
pub(super) fn refuse(context: &mut Context<'_>, append: &Append) {
    if context.core.has(Planted::SharedAckOfRefused)
        && let Some(owed) = &mut context.core.owed
    {
        owed.through = owed.through.max(append.through());
    }
    let refused = append.previous.index;
    let hint = context.core.log.hint_below(refused);
    let reply = answer_to(context, append, Some(Refusal { refused, hint }));
    context.send(append.leader, Message::AppendReply(reply), Why::Reject(append.cause));
}

/// Tells the leader of an earlier term the present one (rule R7), and nothing else. Each leadership
/// counts its rounds anew, so if that member leads again, it would take the append's round for one
/// of its own, and count the hops that accepted the old one for entries that they may have lost
/// since (rule R13).
pub(super) fn refuse_lower_term(context: &mut Context<'_>, append: &Append) {
    let reply = AppendReply {
        term: context.core.term,
        round: 0,
        cause: append.cause,
        through: 0,
        members: MemberSet::EMPTY,
        refusal: Some(Refusal::default()),
        repeated: None,
    };
    context.send(append.leader, Message::AppendReply(reply), Why::Reject(append.cause));
}

fn answer_to(context: &Context<'_>, append: &Append, refusal: Option<Refusal>) -> AppendReply {
    let own_last = refusal.is_none() && context.core.has(Planted::AckOfOwnLast);
    AppendReply {
        term: context.core.term,
        round: append.round,
        cause: append.cause,
        through: if own_last { context.core.log.last_index() } else { append.through() },
        members: append.accepted,
        refusal,
        repeated: None,
    }
}
