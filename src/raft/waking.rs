//! What a leader does because time has passed or a drain is over. Each `maybe_` method checks
//! whether there is something to do (rules R15 to R19).

use std::cmp::Reverse;

use super::core::{Context, Core};
use super::estimate::silences_by_loss;
use super::event::Event;
use super::leader::Leader;
use super::mark::Mark;
use super::message::{Cause, Route};
use super::progress::Progress;
use super::sending::Shipment;
use super::tuning::HeartbeatAnswers;
use super::types::{Member, MemberSet, Micros, Round};

/// A member is taken for dead when one that lives would be as silent in so many of a million cases.
const CHANCE_OF_A_WRONG_SUSPICION: u64 = 50_000;

/// A batch is sent as a chain again as long as loss would have broken all chains before in more of
/// a million cases.
const CHANCE_OF_CHAINS_BROKEN_BY_LOSS: u64 = 25_000;

/// For how many resend timeouts after a suspicion that of the next member is easier: what silences
/// one, a partition, mostly silences others as well.
const SUSPICIONS_COME_TOGETHER_WITHIN: u64 = 64;

/// What is left to do after a member's timeout.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Nothing,
    /// One more follower for the batch that waits.
    Substitute,
    /// The chain that it was in, again.
    Chain,
}

impl Leader {
    /// The deadline has come, or the drain of the socket is over.
    /// `lost_at` is when it would step down for want of a quorum.
    pub fn on_wake(&mut self, context: &mut Context<'_>, lost_at: Micros) {
        self.maybe_ask_again(context.core, context.now, lost_at);
        self.resend_overdue(context);
        self.maybe_replace_watchers(context.core);
        let newest = self.rounds.newest;
        self.maybe_send_batches(context);
        self.maybe_confirm(context, newest);
        self.maybe_tell_commit(context);
        self.maybe_heartbeat(context);
        self.maybe_catch_up(context);
        self.note_waiting(context.core, context.now);
    }

    /// Asks again where answers are overdue: directly, since it is not known which hop of a chain
    /// has failed. A member that does not answer that either is a suspect (rule R16). If a batch
    /// waits for the answer, one more follower gets it at once, so that a single death costs one
    /// timeout. That is not done where loss explains the silence better.
    fn resend_overdue(&mut self, context: &mut Context<'_>) {
        let mut substitute_wanted = false;
        let mut broken: Vec<Member> = Vec::new();
        for member in self.overdue(context) {
            match self.on_overdue(context, member) {
                Wanted::Nothing => {}
                Wanted::Substitute => substitute_wanted = true,
                Wanted::Chain => broken.push(member),
            }
        }
        self.resend_chains(context, broken);
        if substitute_wanted {
            self.maybe_substitute(context);
        }
        self.maybe_widen(context);
    }

    /// The members that are asked again now. Of its suspects a starved leader asks only as many at
    /// a time as a quorum lacks: those that have gone longest without hearing. The others wait for
    /// their turn as if they had been asked.
    fn overdue(&mut self, context: &mut Context<'_>) -> Vec<Member> {
        let core = &*context.core;
        let is_starved = self.is_starved(core);
        let is_overdue = |member: &Member| {
            self.overdue_at(core, *member, is_starved).is_some_and(|at| context.now >= at)
        };
        let mut overdue: Vec<Member> = core.others().iter().filter(is_overdue).collect();
        if is_starved {
            let lacking = core.others_needed() - self.healthy(core).len();
            let is_suspect = |member: &Member| self.progress[member.rank()].suspect;
            if overdue.iter().any(is_suspect) {
                overdue.retain(|member| !is_suspect(member));
                let is_asked = |member: &Member| {
                    is_suspect(member) && self.progress[member.rank()].awaiting.is_some()
                };
                let mut suspects: Vec<Member> = core.others().iter().filter(is_asked).collect();
                suspects.sort_by_key(|member| self.progress[member.rank()].addressed_at);
                let waiting = suspects.split_off(lacking.min(suspects.len()));
                context.mark_if(!waiting.is_empty(), Mark::SuspectsAskedInTurn);
                for member in waiting {
                    if let Some(awaiting) = &mut self.progress[member.rank()].awaiting {
                        awaiting.attempts = awaiting.attempts.saturating_add(1);
                        awaiting.since = context.now;
                    }
                }
                overdue.extend(suspects);
            }
        }
        overdue
    }

    /// Sends along the hops of broken chains again, in the opposite order. The last hop is visited
    /// first, since it may know that all others hold the entries, and then answers for them (rule
    /// R32).
    fn resend_chains(&mut self, context: &mut Context<'_>, mut broken: Vec<Member>) {
        let leg = |leader: &Leader, member: &Member| {
            let awaiting = leader.progress[member.rank()].awaiting;
            awaiting.map_or((0, 0), |awaiting| (awaiting.round, awaiting.place))
        };
        broken.sort_by_key(|member| Reverse(leg(self, member)));
        let mut rest = broken.as_slice();
        while let Some(first) = rest.first() {
            let round = leg(self, first).0;
            let length = rest.iter().take_while(|member| leg(self, member).0 == round).count();
            let (hops, others) = rest.split_at(length);
            self.resend_to(context, hops);
            rest = others;
        }
    }

    /// Sends all that `hops` have been sent and have not acknowledged, to one after the other.
    fn resend_to(&mut self, context: &mut Context<'_>, hops: &[Member]) {
        let progress = |hop: &Member| &self.progress[hop.rank()];
        let next = |hop: &Member| progress(hop).next;
        let unanswered = |hop: &Member| progress(hop).awaiting.map(|awaiting| awaiting.first);
        let last = hops.iter().map(next).max().unwrap_or(1) - 1;
        let first = hops.iter().filter_map(unanswered).min().unwrap_or(last + 1);
        let route = Route::through(hops).unwrap_or_default();
        let cause = Cause::Resend;
        for hop in hops {
            if let Some(awaiting) = &mut self.progress[hop.rank()].awaiting {
                awaiting.resent = self.rounds.newest + 1;
            }
        }
        self.ship(context, Shipment { route, first, last, cause, wants_answer: true, question: 0 });
    }

    /// Handles one timeout of one member. Returns what is left to do about it.
    fn on_overdue(&mut self, context: &mut Context<'_>, member: Member) -> Wanted {
        let needed = self.needs_answers(context.core, context.now);
        let oldest = context.core.commit + 1;
        let progress = &mut self.progress[member.rank()];
        let Some(awaiting) = &mut progress.awaiting else {
            return Wanted::Nothing;
        };
        awaiting.attempts = awaiting.attempts.saturating_add(1);
        awaiting.since = context.now;
        awaiting.resent = self.rounds.newest + 1;
        let (attempt, place, in_chain) = (awaiting.attempts, awaiting.place, awaiting.hops > 1);
        awaiting.chains = awaiting.chains.saturating_add(in_chain.into());
        let chains = awaiting.chains;
        context.mark(Mark::AnswerOverdue);
        context.mark_if(in_chain, Mark::RelayOverdue);
        let waits = !self.batches.is_empty() && progress.matched < oldest && progress.next > oldest;
        if !progress.suspect {
            // The silence of a suspect says nothing about the links to the others.
            progress.loss.lost();
            // A broken chain is one loss, whoever waits behind it.
            if place == 0 {
                self.loss.lost();
            }
        }
        context.tell(Event::ResendTimeout { member, attempt, batch_waits: waits });
        let is_suspect = progress.suspect;
        let is_lossy = self.is_lossy(context.core);
        context.mark_if(attempt == 1 && is_lossy, Mark::SilenceTakenForLoss);
        if !is_suspect && is_lossy && in_chain && attempt < self.chain_attempts(context.core) {
            context.mark(Mark::ChainSentAgain);
            return Wanted::Chain;
        }
        if !is_suspect && !self.is_silence_death(context, attempt, chains) {
            self.resend_to(context, &[member]);
            // Where messages are often lost, silence does not show that a member is dead.
            let is_first = attempt == 1 && (waits || needed) && !is_lossy;
            return if is_first { Wanted::Substitute } else { Wanted::Nothing };
        }
        self.suspect(context, member);
        let progress = &mut self.progress[member.rank()];
        if !needed {
            // Nothing waits for this answer. The next heartbeat asks again.
            context.mark(Mark::SilenceAccepted);
            progress.awaiting = None;
        } else if !progress.probing && self.is_starved(context.core) {
            context.mark(Mark::OldestResent);
            self.resend_oldest(context, member);
        } else if is_suspect {
            self.probe(context, member, Cause::Probe);
        }
        Wanted::Nothing
    }

    /// Takes a silent member for dead until it answers.
    pub fn suspect(&mut self, context: &mut Context<'_>, member: Member) {
        if !std::mem::replace(&mut self.progress[member.rank()].suspect, true) {
            context.mark(Mark::FollowerSuspected);
            context.tell(Event::Suspected { member });
            self.suspected_at = context.now;
        }
    }

    /// How often a batch is sent as a chain, where silence means loss: as long as loss may have
    /// broken all of these chains.
    fn chain_attempts(&self, core: &Core) -> u8 {
        let all_arrive = self.loss.lasting_all_arrive(self.chain_length(core) + 1);
        silences_by_loss(all_arrive, CHANCE_OF_CHAINS_BROKEN_BY_LOSS)
    }

    /// Whether so many timeouts in a row show that a member is dead. One direct message at least
    /// was not answered (rule R16). Where messages are often lost, it must also be unlikely that
    /// all of them were. Of the two memories of loss the milder one counts, or a silence would
    /// explain itself: it fills the recent one soon, and the long one while few messages are known.
    /// The first timeouts are taken for those of as many chains as may be sent. Only soon after
    /// another suspicion those count that were of chains, `in_chains`: it is more likely then.
    fn is_silence_death(&self, context: &mut Context<'_>, timeouts: u8, in_chains: u8) -> bool {
        let core = &*context.core;
        let is_lossy = self.is_lossy(core);
        let length = self.chain_length(core);
        let mut chains = if is_lossy && length > 1 { self.chain_attempts(core) } else { 1 };
        let together = core.tuning.resend_timeout_us * SUSPICIONS_COME_TOGETHER_WITHIN;
        let is_soon = self.suspected_at.0 > 0 && context.now < self.suspected_at + Micros(together);
        if is_lossy && is_soon && in_chains < chains {
            context.mark(Mark::SuspicionsCameTogether);
            chains = in_chains;
        }
        let silence = |hops: usize| {
            let (recent, lasting) =
                (self.loss.all_arrive(hops + 1), self.loss.lasting_all_arrive(hops + 1));
            1_000_000 - recent.max(lasting)
        };
        let chance = (0..timeouts).fold(1_000_000, |all, timeout| {
            all * silence(if timeout < chains { length } else { 1 }) / 1_000_000
        });
        timeouts > chains && (!is_lossy || chance <= CHANCE_OF_A_WRONG_SUSPICION)
    }

    /// Sends the batch that waits longest to a silent member whose answer would commit it. It is
    /// one batch at most and not the backlog (rule R19). A probe would cost another round trip.
    fn resend_oldest(&mut self, context: &mut Context<'_>, member: Member) {
        let progress = &self.progress[member.rank()];
        let oldest = self.batches.front().copied().unwrap_or(progress.matched);
        let first = progress.next.min(context.core.commit.max(progress.matched) + 1);
        let (route, last) = (Route::direct(member), oldest.min(progress.next - 1));
        let cause = if first <= last { Cause::Resend } else { Cause::Probe };
        self.ship(context, Shipment { route, first, last, cause, wants_answer: true, question: 0 });
    }

    /// Sends the batch to one more follower, of those that owe no answer.
    fn maybe_substitute(&mut self, context: &mut Context<'_>) {
        let prompt = self.prompt(context.core);
        let spare = self
            .healthy(context.core)
            .iter()
            .filter(|member| self.progress[member.rank()].awaiting.is_none())
            .min_by_key(|member| self.turn(prompt, *member));
        if let Some(member) = spare {
            context.mark(Mark::SubstituteSent);
            let lacks = self.progress[member.rank()].next <= self.batched_through;
            let cause = if lacks { Cause::Replicate } else { Cause::Confirm };
            self.ship_to(context, member, cause, true);
        }
    }

    /// If a batch's quorum has shrunk, sends the batch to other healthy followers, so that it does
    /// not wait for the silent ones.
    pub fn maybe_widen(&mut self, context: &mut Context<'_>) {
        let core = &context.core;
        let oldest = core.commit + 1;
        if self.batches.is_empty() {
            return;
        }
        let holds = |progress: &Progress| {
            progress.matched >= oldest || (progress.is_healthy() && progress.next > oldest)
        };
        let covered =
            core.others().iter().filter(|member| holds(&self.progress[member.rank()])).count();
        let missing = core.others_needed().saturating_sub(covered);
        if missing == 0 {
            return;
        }
        let lacks = |member: &Member| !holds(&self.progress[member.rank()]);
        let mut spare: Vec<Member> = self.healthy(core).iter().filter(lacks).collect();
        let prompt = self.prompt(core);
        spare.sort_by_key(|member| self.turn(prompt, *member));
        context.mark_if(!spare.is_empty(), Mark::QuorumWidened);
        for member in spare.into_iter().take(missing) {
            self.ship_to(context, member, Cause::Replicate, true);
        }
    }

    /// Sends what waits, once the linger is over or the batch is full, as far as the window allows.
    fn maybe_send_batches(&mut self, context: &mut Context<'_>) {
        let last = context.core.log.last_index();
        while self.batched_through < last && !self.is_window_full(context.core) {
            let due = self.flush_at.is_some_and(|at| context.now >= at);
            if !due && last - self.batched_through < context.core.tuning.batch_most_entries {
                return;
            }
            if !self.maybe_send_batch(context) {
                break;
            }
        }
        // Blocked or done. An answer, or the next proposal, sets the time again.
        self.flush_at = None;
        self.lingering.clear();
    }

    /// Sends the next batch to a quorum; false if no quorum can be reached now.
    fn maybe_send_batch(&mut self, context: &mut Context<'_>) -> bool {
        let core = &context.core;
        let most = self.batched_through + core.tuning.batch_most_entries;
        let end = core.log.last_index().min(most);
        let end = core.log.cut(self.batched_through + 1, end, core.tuning.batch_most_bytes);
        let round = self.rounds.newest + 1;
        let prompt = self.prompt(core);
        let quorum = self.choose_quorum(core, prompt, end);
        let is_quorum = quorum.len() >= core.others_needed();
        if is_quorum {
            self.note_the_slow(context, prompt, &quorum);
            self.send_batch(context, end, &quorum);
            self.expect_answers(context, prompt, round, quorum.into_iter().collect());
        } else {
            context.mark(Mark::BatchWithoutQuorum);
            self.make_room(context, &quorum);
        }
        is_quorum
    }

    /// Notes it if a slow follower was left out of a quorum. Once is enough.
    fn note_the_slow(&self, context: &mut Context<'_>, prompt: MemberSet, quorum: &[Member]) {
        if !context.core.marks.contains(Mark::SlowLeftOut) {
            let slow = self.healthy(context.core).without(prompt);
            let left_out = slow.iter().any(|member| !quorum.contains(&member));
            context.mark_if(left_out, Mark::SlowLeftOut);
        }
    }

    /// Sends their backlog to healthy followers that lack so much that the batch does not fit. The
    /// backlog goes first, without the batch.
    fn make_room(&mut self, context: &mut Context<'_>, fitting: &[Member]) {
        let healthy = self.healthy(context.core);
        for member in healthy.iter().filter(|member| !fitting.contains(member)) {
            let progress = &self.progress[member.rank()];
            if progress.awaiting.is_none() && progress.next <= self.batched_through {
                context.mark(Mark::BacklogSentFirst);
                self.ship_to(context, member, Cause::CatchUp, true);
            }
        }
    }

    /// Starts a round for the reads that wait for one, unless a round after `newest` was just sent.
    fn maybe_confirm(&mut self, context: &mut Context<'_>, newest: Round) {
        if !self.is_confirm_due(context.core) {
            return;
        }
        self.confirm_wanted = false;
        if self.lease.has_asked_since(newest) {
            context.mark(Mark::RoundSharedWithBatch);
            return;
        }
        let round = self.rounds.newest + 1;
        let prompt = self.prompt(context.core);
        let asked = self.choose_quorum(context.core, prompt, self.batched_through);
        // A leader that is out of touch asks everyone, also those that it suspects. For a read
        // alone those that are being asked already need no more: a later round serves as well.
        if self.touch_wanted || asked.len() < context.core.others_needed() {
            context.mark(Mark::RoundWithoutQuorum);
            if self.touch_wanted && self.everyone.times < context.core.everyone_questions() {
                self.everyone.times += 1;
                self.everyone.asked_at = context.now;
            }
            self.everyone.wanted = false;
            for member in context.core.others().iter() {
                if self.touch_wanted || self.progress[member.rank()].awaiting.is_none() {
                    self.probe(context, member, Cause::Confirm);
                }
            }
            return;
        }
        for member in &asked {
            self.ship_to(context, *member, Cause::Confirm, true);
        }
        self.expect_answers(context, prompt, round, asked.into_iter().collect());
    }

    /// With `eager_commit`, sends each member a message for the commit index alone, as etcd does.
    fn maybe_tell_commit(&mut self, context: &mut Context<'_>) {
        if !std::mem::take(&mut self.commit_untold) {
            return;
        }
        for member in self.healthy(context.core).iter() {
            if self.progress[member.rank()].told_commit < context.core.commit {
                context.mark(Mark::CommitTold);
                self.ship_to(context, member, Cause::Commit, true);
            }
        }
    }

    /// Sends entries to those outside the quorums that lag too far, one append at a time.
    pub fn maybe_catch_up(&mut self, context: &mut Context<'_>) {
        for member in self.healthy(context.core).iter() {
            let progress = &self.progress[member.rank()];
            if progress.awaiting.is_none() && self.lags(context.core, member) {
                context.mark(Mark::LaggardSentEntries);
                self.ship_to(context, member, Cause::CatchUp, true);
            }
        }
    }

    /// Sends a heartbeat to every follower that was not addressed for an interval. While the lease
    /// needs it, a quorum is asked to answer (rule R15).
    fn maybe_heartbeat(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let is_due = |member: &Member| now >= self.heartbeat_at(context.core, *member);
        let due: MemberSet = context.core.others().iter().filter(is_due).collect();
        if due.is_empty() {
            return;
        }
        self.tick_at = now + context.core.tuning.heartbeat_interval();
        let watchers = self.maybe_beat_watchers(context, due);
        let due = due.without(watchers);
        let round = self.rounds.newest + 1;
        let answering = self.choose_answering(context.core, now, due);
        for member in due.iter() {
            let progress = &self.progress[member.rank()];
            if progress.suspect || progress.probing {
                context.mark(Mark::SuspectProbed);
                self.probe(context, member, Cause::Probe);
            } else if progress.next <= self.batched_through {
                self.ship_to(context, member, Cause::CatchUp, true);
            } else {
                self.ship_to(context, member, Cause::Heartbeat, answering.contains(member));
            }
        }
        let prompt = self.prompt(context.core);
        self.expect_answers(context, prompt, round, answering);
    }

    /// Which of the followers that are due are asked to answer: as many as renew the lease, in
    /// turn, prompt ones first. Also those that have not answered yet or were slow, to learn how
    /// they are now.
    fn choose_answering(&self, core: &Core, now: Micros, due: MemberSet) -> MemberSet {
        let progress = |member: &Member| &self.progress[member.rank()];
        let half = Micros(core.tuning.heartbeat_interval_us / 2);
        let everyone = core.tuning.heartbeat_answers == HeartbeatAnswers::Everyone;
        let prompt = self.prompt(core);
        let mut in_turn: Vec<Member> = Vec::new();
        if everyone || !self.lease.is_fresh(now, half) {
            // Where only watchers hear from this leader, only they renew the lease.
            let is_asked =
                |member: &Member| !core.tuning.is_sparse() || self.watchers.contains(member);
            let healthy = due.iter().filter(|member| progress(member).is_healthy());
            in_turn.extend(healthy.filter(is_asked));
        }
        in_turn.sort_by_key(|member| {
            (!prompt.contains(*member), progress(member).answered_round, *member)
        });
        if !everyone {
            in_turn.truncate(core.others_needed());
        }
        let to_show = due.iter().filter(|member| {
            let is_slow = progress(member).is_healthy() && !prompt.contains(*member);
            !progress(member).answered || is_slow
        });
        in_turn.into_iter().chain(to_show).collect()
    }
}
