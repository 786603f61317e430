//! How a leader sends. Every append is sent from here, in a round of its own (§5.3, rules R9, R14,
//! R15).

use std::sync::Arc;

use super::core::Context;
use super::event::{Event, Output, To};
use super::leader::{Leader, append};
use super::mark::Mark;
use super::message::{Append, Cause, Hint, Message, PreVote, Route, Why};
use super::planted::Planted;
use super::progress::Leg;
use super::tuning::FanOut;
use super::types::{Index, Member, MemberSet, Micros, Round};

/// What one append carries, and where it goes.
pub(super) struct Shipment {
    /// The members it visits; empty: everyone.
    pub route: Route,
    /// First entry; `last` + 1 if it carries none.
    pub first: Index,
    /// Last entry wanted. The limit of bytes may cut it short.
    pub last: Index,
    /// Why it is sent.
    pub cause: Cause,
    /// Whether the last hop answers.
    pub wants_answer: bool,
    /// Which of the receiver's questions it answers (rule R28); 0: none.
    pub question: u64,
}

impl Leader {
    /// Opens the term with an empty entry, which the first heartbeat carries to everyone directly,
    /// since nobody has answered yet (rule R15). The leader that was given up for its silence is a
    /// suspect from the beginning (rule R16).
    pub fn open(context: &mut Context<'_>, given_up: Option<Member>) -> Leader {
        append(context, Arc::default());
        let mut leader = Leader::new(context.core, context.now);
        if let Some(member) = given_up {
            context.mark(Mark::SuspectedFromTheBeginning);
            leader.suspect(context, member);
            leader.suspected_at = Micros(0);
        }
        let next = leader.rounds.newest + 1;
        if context.core.tuning.fan_out == FanOut::Broadcast {
            let (first, last) = (leader.opened, leader.opened);
            let (route, cause) = (Route::EVERYONE, Cause::Heartbeat);
            leader.ship(
                context,
                Shipment { route, first, last, cause, wants_answer: true, question: 0 },
            );
        } else {
            let trusted = |member: &Member| Some(*member) != given_up;
            for member in context.core.others().iter().filter(trusted) {
                leader.ship_to(context, member, Cause::Heartbeat, true);
            }
        }
        leader.lease.ask(next, context.now);
        leader
    }

    /// Sends one append, in a round of its own (rule R9), and notes what each hop was sent.
    pub fn ship(&mut self, context: &mut Context<'_>, what: Shipment) {
        let Shipment { route, first, last, cause, wants_answer, question } = what;
        let Context { core, now, out } = context;
        let last = if first <= last {
            let cut = core.log.cut(first, last, core.tuning.batch_most_bytes);
            core.marks.add_if(cut < last, Mark::AppendCutByBytes);
            cut
        } else {
            first - 1
        };
        let members = if route.is_empty() { core.others() } else { route.members() };
        let hops = route.len().max(1);
        // A batch that is sent again is load as well.
        let is_load = cause == Cause::Replicate || (cause == Cause::Resend && first <= last);
        let promise =
            if is_load { core.tuning.promise_under_load() } else { core.tuning.promise() };
        let round = self.rounds.begin((*now, core.tuning.lease(promise)), members, hops);
        let timeout = |member| self.stated_timeout(core, member, cause);
        let election_timeout = members.iter().map(timeout).min().unwrap_or_default();
        // Who is told none goes by its own, which is as long as the leader's.
        let timeout_by = match election_timeout {
            Micros(0) => core.tuning.election_timeout_min(),
            told => told,
        };
        for member in members.iter() {
            let progress = &mut self.progress[member.rank()];
            // Nobody waits for a suspect's answer to entries that went to it along with all others.
            let is_along = route.is_empty() && first <= last && progress.suspect;
            let awaited = wants_answer && !is_along;
            let place = route.iter().position(|hop| hop == member).unwrap_or(0);
            progress.sent(Leg { round, hops, place }, first, awaited, *now);
            progress.told_commit = core.commit;
            if core.has(Planted::CountedWhenSent) {
                progress.matched = progress.matched.max(last);
            }
            progress.tell_timeout(round, timeout_by);
            if first <= progress.next {
                progress.next = progress.next.max(last + 1);
            }
        }
        // The leader is one of the quorum that its lease counts, so it promises too (rule R7).
        core.promise(*now, promise);
        let loss_ppm = self.stated_loss(core);
        core.told_loss_ppm = Some(loss_ppm);
        let append = Append {
            term: core.term,
            leader: core.me,
            round,
            cause,
            previous: core.log.position(first - 1),
            commit: core.commit,
            entries: core.log.range(first, last),
            promise,
            election_timeout,
            inquiries: core.stated_inquiries(),
            loss_ppm,
            question,
            wants_answer,
            route,
            accepted: MemberSet::EMPTY,
        };
        let to = route.first().map_or(To::Everyone, To::Member);
        out.push(Output::Send { to, message: Message::Append(append), why: Why::Own(cause) });
    }

    /// Sends `member` those of the batched entries that it lacks. If it lacks none, this is a
    /// heartbeat.
    pub fn ship_to(
        &mut self,
        context: &mut Context<'_>,
        member: Member,
        cause: Cause,
        wants_answer: bool,
    ) {
        let first = self.progress[member.rank()].next;
        let (route, last) = (Route::direct(member), self.batched_through);
        self.ship(context, Shipment { route, first, last, cause, wants_answer, question: 0 });
    }

    /// Sends an empty append at the end of what `member` has been sent. Its answer tells both that
    /// the member lives and how much has arrived, however much was sent (rule R19).
    pub fn probe(&mut self, context: &mut Context<'_>, member: Member, cause: Cause) {
        let first = self.progress[member.rank()].next;
        let (route, last) = (Route::direct(member), first - 1);
        self.ship(context, Shipment { route, first, last, cause, wants_answer: true, question: 0 });
    }

    /// Answers a member that asks whether this leader lives: with an append, which is heard as what
    /// it is by whoever has fallen behind, too. If the end of the member's log, as `request` tells
    /// it, shows where the logs agree (§5.3), one that was not heard for long is sent what it lacks
    /// at once.
    pub fn show_life(&mut self, context: &mut Context<'_>, member: Member, request: PreVote) {
        let PreVote { last, question, .. } = request;
        let progress = &mut self.progress[member.rank()];
        let is_healthy = progress.is_healthy();
        // The entries of one term are a row that begins at the same index in each log. So if this
        // log has one of that term no later, the member has it too.
        let row = Hint { term: last.term, first: 1, last: last.index };
        let is_news = |index: &Index| !is_healthy && progress.matched <= *index;
        let agreement = context.core.log.agreement(row).filter(is_news);
        if let Some(index) = agreement {
            context.core.marks.add(Mark::BacklogSentWithLife);
            progress.next = index + 1;
        }
        let first = progress.next;
        let carries = is_healthy || agreement.is_some();
        let last = if carries { self.batched_through } else { first - 1 };
        let (route, cause, wants_answer) = (Route::direct(member), Cause::Inquiry, !is_healthy);
        self.ship(context, Shipment { route, first, last, cause, wants_answer, question });
    }

    /// Sends the batch up to `end` to `quorum`: to everyone in one datagram, to each, or in chains.
    pub fn send_batch(&mut self, context: &mut Context<'_>, end: Index, quorum: &[Member]) {
        let first = self.batched_through + 1;
        self.batched_through = end;
        self.batches.push_back(end);
        context.tell(Event::BatchSent { first, last: end });
        let everyone = context.core.tuning.fan_out == FanOut::Broadcast;
        let length = if everyone { quorum.len() } else { self.chain_length(context.core) };
        context.mark_if(
            context.core.tuning.fan_out == FanOut::Chain && self.is_lossy(context.core),
            Mark::ChainFellApart,
        );
        let chains = quorum.len().div_ceil(length);
        for chain in 0..chains {
            let from = quorum.len() * chain / chains;
            let to = quorum.len() * (chain + 1) / chains;
            let hops = &quorum[from..to];
            let start = hops.iter().map(|hop| self.progress[hop.rank()].next).min();
            let route = if everyone { None } else { Route::through(hops) };
            let what = Shipment {
                route: route.unwrap_or(Route::EVERYONE),
                first: start.unwrap_or(first).min(first),
                last: end,
                cause: Cause::Replicate,
                wants_answer: true,
                question: 0,
            };
            self.ship(context, what);
        }
    }

    /// Notes that `asked` were asked to answer rounds from `first` on. A quorum owes an answer from
    /// then on only if f of them can be counted on to give it in time (rule R23): asking dead
    /// members proves nothing. `prompt` are those that can be counted on now.
    pub fn expect_answers(
        &mut self,
        context: &Context<'_>,
        prompt: MemberSet,
        first: Round,
        asked: MemberSet,
    ) {
        if MemberSet(asked.0 & prompt.0).len() >= context.core.others_needed() {
            self.lease.ask(first, context.now);
        }
    }
}
