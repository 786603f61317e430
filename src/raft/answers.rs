//! How a leader handles answers: matches, commits, leases (§5.3, §5.4.2, rules R9, R13).

use super::core::{Context, Core};
use super::event::{Disposition, Event};
use super::leader::{AskingEveryone, Leader};
use super::mark::Mark;
use super::message::{AppendReply, Cause, Refusal, Repeated};
use super::planted::Planted;
use super::progress::SentRound;
use super::types::{Index, Member, MemberSet, Micros};

impl Leader {
    /// Handles an answer of the current term. Rule R13: its round must be known, its members must
    /// be ones that the round went to, and it cannot speak of entries that this log does not hold.
    pub fn on_append_reply(
        &mut self,
        context: &mut Context<'_>,
        from: Member,
        reply: &AppendReply,
    ) -> Disposition {
        let Some(round) = self.rounds.get(reply.round).copied() else {
            return Disposition::Stale;
        };
        let known = round.members.contains(from) && reply.members.is_subset_of(round.members);
        let repeated =
            reply.repeated.map(|repeated| (repeated, self.rounds.get(repeated.round).copied()));
        let is_sound = |(repeated, round): &(Repeated, Option<SentRound>)| {
            repeated.through <= context.core.log.last_index()
                && round.is_none_or(|round| repeated.members.is_subset_of(round.members))
        };
        let unsound = reply.through > context.core.log.last_index();
        if !known || unsound || !repeated.as_ref().is_none_or(is_sound) {
            return Disposition::Implausible;
        }
        if round.number > self.progress[from.rank()].heard_round {
            for member in reply.members.iter().chain([from]) {
                let trip = &mut context.core.round_trips[member.rank()];
                trip.sample(round.at, context.now, round.hops + 1);
            }
        }
        let was_suspect = self.progress[from.rank()].suspect;
        let mut moved = self.accept(context, &round, reply.members, reply.through);
        if let Some((repeated, Some(earlier))) = repeated {
            let Repeated { members, through, .. } = repeated;
            let for_new = context.core.has(Planted::RepeatedForNewRound);
            let credited = if for_new { round } else { earlier };
            moved |= self.accept(context, &credited, members, through);
            self.settle_repeated(&round, reply.through);
        }
        if reply.refusal.is_some() && context.core.has(Planted::RefusalTakenForMatch) {
            moved |= self.accept(context, &round, MemberSet::only(from), reply.through);
        }
        let refused =
            reply.refusal.is_some_and(|refusal| self.on_refusal(context, from, &round, refusal));
        self.advance_quorum(context);
        if was_suspect && !self.progress[from.rank()].suspect {
            self.ask_other_suspects(context);
        }
        self.maybe_widen(context);
        self.maybe_catch_up(context);
        if self.flush_at.is_none() && self.batched_through < context.core.log.last_index() {
            self.flush_at = Some(context.now);
        }
        match (reply.refusal.is_some(), moved || refused) {
            (true, true) => Disposition::Rejected,
            (false, true) => Disposition::Accepted,
            (_, false) => Disposition::Duplicate,
        }
    }

    /// A suspect has answered. What kept it silent, perhaps a partition, may have kept the others
    /// silent, too. One message to each costs less than the candidacies of members that nobody
    /// asks.
    fn ask_other_suspects(&mut self, context: &mut Context<'_>) {
        for member in context.core.others().iter() {
            let progress = &self.progress[member.rank()];
            if progress.suspect && progress.awaiting.is_none() {
                context.mark(Mark::OtherSuspectsAsked);
                self.probe(context, member, Cause::Probe);
            }
        }
    }

    /// A resend along a chain has come back although it did not visit all its hops: those that are
    /// known to hold it owe no answer to it (rule R32).
    fn settle_repeated(&mut self, round: &SentRound, through: Index) {
        for member in round.members.iter() {
            self.progress[member.rank()].settle_held(round.number, through);
        }
    }

    /// Notes that `members` hold what `round` sent them up to `through`. Returns whether that was
    /// news.
    fn accept(
        &mut self,
        context: &mut Context<'_>,
        round: &SentRound,
        members: MemberSet,
        through: Index,
    ) -> bool {
        let mut round = *round;
        if context.core.has(Planted::LeaseFromReceipt) {
            round.at = context.now;
        }
        if context.core.has(Planted::LeaseOfPresentTuning) {
            round.lease = context.core.tuning.lease(context.core.tuning.promise());
        }
        let mut moved = false;
        let mut expected = 0;
        for member in members.iter() {
            let progress = &mut self.progress[member.rank()];
            let was_suspect = progress.suspect;
            if round.number > progress.answered_round {
                moved = true;
                // The silence of a suspect is not counted as loss, so neither is its answer.
                if !was_suspect {
                    progress.loss.arrived(2);
                    expected += 1;
                }
            }
            moved |= progress.accept(&round, through, context.now);
            progress.suspect |= was_suspect && context.core.has(Planted::SuspectForEver);
            if was_suspect && !progress.suspect {
                context.mark(Mark::SuspectTrusted);
                context.tell(Event::Trusted { member });
            }
        }
        if expected > 0 {
            // One message to each member, and the answer.
            self.loss.arrived(expected + 1);
        }
        moved
    }

    /// The log check failed at `from`. Goes on where the hint says that the logs agree, or looks
    /// further down. Returns whether it was news.
    fn on_refusal(
        &mut self,
        context: &mut Context<'_>,
        from: Member,
        round: &SentRound,
        refusal: Refusal,
    ) -> bool {
        let progress = &mut self.progress[from.rank()];
        if round.number < progress.settled_round || refusal.refused <= progress.matched {
            context.mark(Mark::OldRefusalIgnored);
            return false;
        }
        let was_suspect = progress.suspect;
        let hint = refusal.hint;
        let mut guess = hint.first.saturating_sub(1);
        let mut agreement = context.core.log.agreement(hint);
        if context.core.has(Planted::HintLoops) {
            (agreement, guess) = (None, refusal.refused);
        }
        progress.refuse(round.number, agreement, guess, context.now);
        progress.settled_round = self.rounds.newest + 1;
        if was_suspect && !progress.suspect {
            context.mark(Mark::SuspectTrusted);
            context.tell(Event::Trusted { member: from });
        }
        if progress.probing {
            // It is not known yet where the logs agree, so no entries are sent.
            context.mark(Mark::HintShowedNone);
            self.probe(context, from, Cause::Probe);
        } else {
            context.mark(Mark::HintShowedAgreement);
            self.ship_to(context, from, Cause::CatchUp, true);
        }
        true
    }

    /// Updates commit index, lease and reads after an answer. Reads are released last (rule R2).
    fn advance_quorum(&mut self, context: &mut Context<'_>) {
        let core = &context.core;
        let needed = core.others_needed();
        let round = kth_largest(core, needed, |m| self.progress[m.rank()].answered_round);
        let began_at = kth_largest(core, needed, |m| self.progress[m.rank()].answered_at.0);
        let watched = core.tuning.is_sparse() && core.has(Planted::WatcherTakenForHolder);
        let matched = kth_largest(core, needed, |m| {
            let holds_all = watched && self.watchers.contains(&m);
            if holds_all { self.batched_through } else { self.progress[m.rank()].matched }
        });
        let lease = kth_largest(core, needed, |m| self.progress[m.rank()].lease_until.0);
        if self.lease.renew(round, Micros(began_at), context.now) {
            self.waits_since = None;
            self.touch_wanted = false;
            self.everyone = AskingEveryone::default();
        }
        self.lease.extend(Micros(lease));
        self.maybe_commit(context, matched);
        self.release_reads(context);
        self.note_waiting(context.core, context.now);
    }

    /// Commits what a quorum holds, if it ends in an entry of the leader's own term. Older entries
    /// are never committed by counting alone (§5.4.2, figure 8).
    fn maybe_commit(&mut self, context: &mut Context<'_>, matched: Index) {
        let (before, term) = (context.core.commit, context.core.term);
        let own_term = context.core.log.term_at(matched) == Some(term)
            || context.core.has(Planted::OldTermCounted);
        context.mark_if(!own_term && matched > before, Mark::OldTermNotCounted);
        if !own_term || !context.commit_through(matched) {
            return;
        }
        context.mark_if(context.core.log.term_at(before + 1) != Some(term), Mark::OldTermCommitted);
        while self.batches.front().is_some_and(|last| *last <= matched) {
            self.batches.pop_front();
            if context.core.has(Planted::WindowLeaks) {
                break;
            }
        }
        self.commit_untold = context.core.tuning.eager_commit;
    }
}

/// The largest value that `k` of the others have reached: their k-th largest. They are so few that
/// counting costs less than sorting.
fn kth_largest(core: &Core, k: usize, value: impl Fn(Member) -> u64) -> u64 {
    let others = core.others();
    let reached = |least: u64| others.iter().filter(|member| value(*member) >= least).count();
    others.iter().map(&value).filter(|least| reached(*least) >= k).max().unwrap_or(0)
}
