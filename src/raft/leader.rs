//! A leader's state: what it knows of its followers and of its sends, and the questions that others
//! ask of it. Nothing here sends; `sending` does, when `waking` or `answers` says so.

use std::collections::VecDeque;
use std::sync::Arc;

use super::core::{Context, Core};
use super::estimate::{CHANCE_OF_SILENCE_BY_LOSS, Loss, MOST_LOSS_TOLD, silences_by_loss};
use super::event::{Event, Output, Ticket};
use super::lease::Lease;
use super::lingering::Lingering;
use super::mark::Mark;
use super::message::Cause;
use super::planted::Planted;
use super::progress::{Progress, Rounds};
use super::tuning::{FanOut, NOT_WATCHING, Reads};
use super::types::{Entry, Index, MOST_MEMBERS, Member, MemberSet, Micros, Round};

/// How often the wait for a member that is needed doubles at most. A heartbeat interval, which also
/// limits it, can be much longer than what a lost message should cost.
const MOST_DOUBLINGS: u8 = 6;

/// How often the resend timeout doubles until a member that was given up for the time being is
/// asked again because it is needed.
const NEEDED_DOUBLINGS: u8 = 5;

/// How many probe intervals a silent follower is asked for after the last work of a quiet leader.
const QUIET_PROBES: u64 = 5;

/// How often a chain must come through, of a million times. Below it direct sends say no more and
/// are answered sooner.
const LEAST_CHANCE_OF_A_CHAIN: u64 = 100_000;

/// How a leader that no quorum answers asks everyone, so that lost answers alone do not depose it
/// (rule R28). All is forgotten when a quorum has answered.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct AskingEveryone {
    /// Whether everyone is to be asked once more.
    pub wanted: bool,
    /// How often everyone has been asked.
    pub times: u64,
    /// When everyone was asked last; zero: never.
    pub asked_at: Micros,
}

/// State of a leader for one term.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    /// One for each member, by rank. The leader's own is never used.
    pub progress: Vec<Progress>,
    /// Rounds begun (rule R9).
    pub rounds: Rounds,
    /// The quorum's latest answer, and when it owes one.
    pub lease: Lease,
    /// Index of the empty entry that opens the term (§8). Nothing is read before it is committed.
    pub opened: Index,
    /// Entries up to here have gone out in a batch.
    pub batched_through: Index,
    /// Last index of each batch that is not committed.
    pub batches: VecDeque<Index>,
    /// When the next batch goes out, even if it is not full. `None`: nothing waits, or it is
    /// blocked until an answer comes.
    pub flush_at: Option<Micros>,
    /// The entries that wait for that batch.
    pub lingering: Lingering,
    /// Reads, each with the first round that proves leadership for it.
    pub reads: VecDeque<(Ticket, Round)>,
    /// Whether a read waits for a round that has not begun.
    pub confirm_wanted: bool,
    /// Loss of messages between this leader and the members that live (rule R16).
    pub loss: Loss,
    /// When it suspected a member last; zero: never (rule R16).
    pub suspected_at: Micros,
    /// Time of the next tick of `heartbeat_always`.
    pub tick_at: Micros,
    /// Whether a client waits because this leader is out of touch with its quorum (rule R6). Then
    /// it asks until a quorum has answered.
    pub touch_wanted: bool,
    /// How everyone is asked before this leader steps down (rule R28).
    pub everyone: AskingEveryone,
    /// When an entry came last.
    pub worked_at: Micros,
    /// Since when something waits for a quorum's answer, or since its latest answer if that is
    /// later; `None`: nothing waits (rule R30).
    pub waits_since: Option<Micros>,
    /// The followers that are kept hearing with `heartbeat_to = "watchers"`, longest on duty first.
    pub watchers: VecDeque<Member>,
    /// How many heartbeats the watchers have had since one of them was relieved.
    pub watched: u32,
    /// Whether no message has carried the newest commit index yet (only with `eager_commit`).
    pub commit_untold: bool,
}

impl Leader {
    /// The leader of a term whose empty first entry is in the log already and has been sent to
    /// nobody.
    pub fn new(core: &Core, now: Micros) -> Leader {
        let opened = core.log.last_index();
        // Who was in the last leader's rotation lacks no more than this, so it need not refuse. All
        // are sent it at the same time, so together it is no more than one append may carry.
        let most_bytes = core.tuning.batch_most_bytes / core.count as u64;
        let next = core.log.back_from(opened, core.tuning.lag_most_entries, most_bytes);
        Leader {
            progress: vec![Progress::new(next, now); core.count],
            rounds: Rounds::new(),
            lease: Lease::new(now),
            opened,
            batched_through: opened,
            batches: VecDeque::from([opened]),
            flush_at: None,
            lingering: Lingering::default(),
            reads: VecDeque::new(),
            confirm_wanted: false,
            loss: core.told_loss_ppm.filter(|ppm| *ppm > 0).map(Loss::told).unwrap_or_default(),
            suspected_at: Micros(0),
            tick_at: now + core.tuning.heartbeat_interval(),
            touch_wanted: false,
            everyone: AskingEveryone::default(),
            worked_at: now,
            waits_since: Some(now),
            watchers: core.others().iter().take(core.others_needed()).collect(),
            watched: 0,
            commit_untold: false,
        }
    }

    /// Takes a command into the log. It goes out with the next batch.
    pub fn propose(&mut self, context: &mut Context<'_>, command: Arc<[u8]>) -> Index {
        let index = append(context, command);
        let due = self.lingering.add(context.core.tuning.linger_rule(), context.now);
        if self.is_window_full(context.core) {
            context.mark(Mark::WindowFull);
        } else {
            self.flush_at = Some(due.min(self.flush_at.unwrap_or(Micros::NEVER)));
        }
        self.waits_since.get_or_insert(context.now);
        self.worked_at = context.now;
        index
    }

    /// Answers a read under the lease, or keeps it for a round that begins after the read came
    /// (rule R9).
    pub fn read(&mut self, context: &mut Context<'_>, ticket: Ticket) {
        let core = &context.core;
        let early = core.commit < self.opened && core.has(Planted::ReadBeforeOpening);
        if early || core.has(Planted::ReadWithoutProof) {
            return context.out.push(Output::ReadReady(ticket));
        }
        if core.commit >= self.opened && self.has_lease(core, context.now) {
            context.mark(Mark::ReadUnderLease);
            return context.out.push(Output::ReadReady(ticket));
        }
        context.mark_if(context.core.commit < self.opened, Mark::ReadBeforeOpening);
        context.mark_if(
            context.core.commit >= self.opened
                && self.lease_until(context.core).is_some_and(|until| until.0 > 0),
            Mark::LeaseLapsed,
        );
        let earlier = u64::from(context.core.has(Planted::ReadOfOlderRound));
        self.reads.push_back((ticket, self.rounds.newest + 1 - earlier));
        self.confirm_wanted = true;
        self.waits_since.get_or_insert(context.now);
    }

    /// Releases the reads for which a lease or a round proves leadership now (rule R10).
    pub fn release_reads(&mut self, context: &mut Context<'_>) {
        if context.core.commit < self.opened {
            return;
        }
        let has_lease = self.has_lease(context.core, context.now);
        while let Some((ticket, round)) = self.reads.front().copied() {
            if !has_lease && !self.lease.covers(round) {
                return;
            }
            let by =
                if has_lease { Mark::ReadsReleasedByLease } else { Mark::ReadsReleasedByRound };
            context.mark(by);
            self.reads.pop_front();
            context.out.push(Output::ReadReady(ticket));
        }
        self.confirm_wanted = false;
    }

    /// Whether reads, or a client that waits, need a round now. Until the term's first entry is
    /// committed they wait for that, and its answers usually bring a lease, so that no round is
    /// needed. While too few followers can be counted on, the suspects are asked all the time.
    pub fn is_confirm_due(&self, core: &Core) -> bool {
        self.confirm_wanted
            && core.commit >= self.opened
            && (self.everyone.wanted || self.healthy(core).len() >= core.others_needed())
    }

    /// Reads for which leadership was never proved.
    pub fn waiting_reads(&self) -> impl Iterator<Item = Ticket> + '_ {
        self.reads.iter().map(|(ticket, _)| *ticket)
    }

    /// Until when reads need no round, with the margin taken off (rules R7 to R9).
    pub fn lease_until(&self, core: &Core) -> Option<Micros> {
        self.lease.until().filter(|_| core.tuning.reads == Reads::Lease)
    }

    fn has_lease(&self, core: &Core, now: Micros) -> bool {
        self.lease_until(core).is_some_and(|until| now < until)
    }

    /// Whether a quorum answered within two resend timeouts, or was not asked to (rule R6). This is
    /// asked for every put, so the followers' own timeouts, which are never shorter than the fixed
    /// one, are looked at only if the answer depends on them.
    pub fn is_in_touch(&self, core: &Core, now: Micros) -> bool {
        let fixed = core.tuning.resend_timeout_us;
        self.lease.is_in_touch(now, Micros(fixed * 2)) || {
            let timeouts = self.prompt(core).iter().map(|member| core.resend_timeout(member, 1).0);
            self.lease.is_in_touch(now, Micros(timeouts.max().unwrap_or(fixed) * 2))
        }
    }

    /// When no quorum will have answered for an election timeout (check-quorum, §6.2 of the
    /// dissertation), and for as long as a follower would ask this leader before it gave it up
    /// (rule R28). A leader that leaves followers without heartbeats is not answered while nothing
    /// waits, so it counts only from then on (rule R30).
    pub fn quorum_lost_at(&self, core: &Core) -> Micros {
        let since = match self.waits_since {
            _ if !core.tuning.check_quorum => return Micros::NEVER,
            _ if !core.tuning.is_sparse() => self.lease.renewed_at(),
            None => return Micros::NEVER,
            Some(since) => since,
        };
        since + core.tuning.election_timeout_min() + core.asking_everyone_takes()
    }

    /// When this leader asks everyone once more, so that lost answers alone do not depose it: half
    /// an election timeout before it would step down, or as long before as its questions take (rule
    /// R28). It asks as often as it tells its followers to ask. One that keeps everyone hearing
    /// asks with its heartbeats, and so only when none of them has brought a quorum's answers.
    /// `lost_at` is when it would step down.
    fn asks_again_at(&self, core: &Core, lost_at: Micros) -> Micros {
        let AskingEveryone { wanted, times, asked_at } = self.everyone;
        let is_enough = wanted || times >= core.everyone_questions();
        if !core.tuning.check_quorum || core.tuning.inquiries == 0 || is_enough {
            return Micros::NEVER;
        }
        if times > 0 {
            return asked_at + core.everyone_gap();
        }
        if core.tuning.is_sparse() {
            let half = Micros(core.tuning.election_timeout_min_us / 2);
            lost_at - half.max(core.asking_everyone_takes())
        } else {
            // Here the time counts from the last lease, as in `quorum_lost_at`, without inquiries.
            let timeout = core.tuning.election_timeout_min();
            self.lease.renewed_at() + timeout - core.tuning.resend_timeout()
        }
    }

    /// Starts to ask a quorum until it answers, if it is time for that. `lost_at` is when this
    /// leader would step down.
    pub fn maybe_ask_again(&mut self, core: &Core, now: Micros, lost_at: Micros) {
        if now >= self.asks_again_at(core, lost_at) {
            self.touch_wanted = true;
            self.confirm_wanted = true;
            self.everyone.wanted = true;
        }
    }

    /// Notes whether something waits for a quorum's answer, from `now` on if nothing did before.
    pub fn note_waiting(&mut self, core: &Core, now: Micros) {
        let waits = self.has_work(core) || self.touch_wanted || self.lease.is_owed();
        self.waits_since = waits.then(|| self.waits_since.unwrap_or(now));
    }

    /// Whether an entry or a read waits.
    fn has_work(&self, core: &Core) -> bool {
        core.commit < core.log.last_index() || !self.reads.is_empty()
    }

    /// A client is held here. If that is because no quorum has answered in time, and the next
    /// heartbeat is far away, one is asked again at once (rule R6).
    pub fn on_leader_wanted(&mut self, core: &mut Core, now: Micros) {
        let soon = core.tuning.resend_timeout_us << MOST_DOUBLINGS;
        let is_far = core.tuning.heartbeat_interval_us > soon;
        if is_far && !self.touch_wanted && !self.is_in_touch(core, now) {
            core.marks.add(Mark::QuorumAskedForClient);
            self.touch_wanted = true;
            self.confirm_wanted = true;
        }
    }

    /// Whether no more batches may go out before one is committed.
    pub fn is_window_full(&self, core: &Core) -> bool {
        self.batches.len() as u64 >= core.tuning.pipeline_window
    }

    /// Whether something here cannot go on without an answer. Then silent members are asked again.
    pub fn needs_answers(&self, core: &Core, now: Micros) -> bool {
        let stale = self.lease.renewed_at() + core.tuning.heartbeat_interval();
        self.has_work(core) || self.touch_wanted || now > stale
    }

    /// Whether messages are lost so often that silence more likely means loss than death.
    pub fn is_lossy(&self, core: &Core) -> bool {
        self.loss.parts_per_million() > core.tuning.silence_is_loss_above_per_mille * 1_000
    }

    /// When the answer that `member` owes is overdue: later after each timeout in a row, at most by
    /// a heartbeat interval. While the leader `is_starved`, the first resends all go out one
    /// timeout apart: a few timeouts in a row mean loss, and only many mean a partition.
    pub fn overdue_at(&self, core: &Core, member: Member, is_starved: bool) -> Option<Micros> {
        let awaiting = self.progress[member.rank()].awaiting?;
        let timeout = core.resend_timeout(member, awaiting.hops).0;
        let is_patient = self.is_lossy(core) && !self.progress[member.rank()].suspect;
        let steady = if is_starved || is_patient { self.silences_by_loss(2) } else { 0 };
        let doublings = awaiting.attempts.saturating_sub(steady);
        let most_doublings = if self.is_spare(core, member) { 16 } else { MOST_DOUBLINGS };
        let most = self.probe_interval(core, member);
        let backoff = (timeout << doublings.min(most_doublings)).min(most.0);
        Some(awaiting.since + Micros(backoff))
    }

    /// How many times in a row `messages`, of which the last is the answer, may have failed by loss
    /// alone. After that only a partition or a death explains it, and to ask more often tells
    /// nothing. The loss is that of the long memory, or a silence would explain itself.
    pub fn silences_by_loss(&self, messages: usize) -> u8 {
        silences_by_loss(self.loss.lasting_all_arrive(messages), CHANCE_OF_SILENCE_BY_LOSS)
    }

    /// What this leader tells of the loss, in parts per million: nothing as long as silence means
    /// death (rule R29).
    pub fn stated_loss(&self, core: &Core) -> u64 {
        if self.is_lossy(core) { self.loss.lasting_ppm().min(MOST_LOSS_TOLD) } else { 0 }
    }

    /// How long `member` may stay unasked: for longer than a heartbeat interval only if it is a
    /// suspect, and others are enough for a quorum.
    fn probe_interval(&self, core: &Core, member: Member) -> Micros {
        if self.is_spare(core, member) {
            core.tuning.probe_interval()
        } else {
            core.tuning.heartbeat_interval()
        }
    }

    /// Whether `member` is a suspect, and others are enough for a quorum.
    fn is_spare(&self, core: &Core, member: Member) -> bool {
        let is_suspect = self.progress[member.rank()].suspect;
        is_suspect && self.healthy(core).len() >= core.others_needed()
    }

    /// Whether something waits for an answer and fewer followers can be counted on than a quorum
    /// needs. Then any answer helps.
    pub fn is_starved(&self, core: &Core) -> bool {
        let waits = self.has_work(core) || self.touch_wanted;
        waits && self.healthy(core).len() < core.others_needed()
    }

    /// When `member` must hear from this leader again.
    pub fn heartbeat_at(&self, core: &Core, member: Member) -> Micros {
        if core.tuning.heartbeat_always {
            return self.tick_at;
        }
        let progress = &self.progress[member.rank()];
        let told = progress.told_timeout;
        if told < NOT_WATCHING && progress.is_healthy() {
            let told = if told == Micros(0) { core.tuning.election_timeout_min() } else { told };
            return progress.addressed_at + core.tuning.heartbeat_within(told);
        }
        let is_needed =
            if progress.is_healthy() { self.watches(core, member) } else { self.is_starved(core) };
        if is_needed && progress.awaiting.is_some() {
            // It is asked already, and `overdue_at` says when to ask again.
            return Micros::NEVER;
        }
        if is_needed {
            // A whole heartbeat interval can be too long: it does not know yet that it is to watch,
            // or its answer is needed for what waits.
            let soon = core.resend_timeout(member, 1).0 << NEEDED_DOUBLINGS;
            let soon = soon.min(core.tuning.heartbeat_interval_us);
            return progress.addressed_at + Micros(soon);
        }
        // Who does not watch needs no heartbeat. Who is silent is asked whether it lives again; in
        // the quiet for a while after the last work, since it may owe clients an answer (rule R1).
        let again_at = progress.addressed_at + self.probe_interval(core, member);
        let while_after = Micros(core.tuning.probe_interval().0 * QUIET_PROBES);
        let is_asked = !progress.is_healthy()
            && (!core.tuning.quiet
                || self.has_work(core)
                || again_at < self.worked_at + while_after);
        if is_asked { again_at } else { Micros::NEVER }
    }

    /// The election timeout that an append for `cause` states to `member`: a long one, if it is not
    /// to watch this leader. Zero: none (rules R29, R30).
    pub fn stated_timeout(&self, core: &Core, member: Member, cause: Cause) -> Micros {
        if core.tuning.inquiries == 0 {
            Micros(0)
        } else if core.tuning.quiet || (!self.watches(core, member) && self.is_watched()) {
            NOT_WATCHING
        } else if cause == Cause::Replicate {
            core.tuning.election_timeout_under_load()
        } else {
            core.tuning.election_timeout_min()
        }
    }

    /// When to wake this leader.
    pub fn deadline(&self, core: &Core) -> Micros {
        if self.is_confirm_due(core) || self.commit_untold {
            return Micros(0);
        }
        let awaits = self.progress.iter().any(|progress| progress.awaiting.is_some());
        let is_starved = awaits && self.is_starved(core);
        let lost_at = self.quorum_lost_at(core);
        let mut deadline = self.flush_at.unwrap_or(Micros::NEVER).min(lost_at);
        deadline = deadline.min(self.asks_again_at(core, lost_at));
        for member in core.others().iter() {
            let overdue = self.overdue_at(core, member, is_starved);
            deadline = deadline.min(self.heartbeat_at(core, member));
            deadline = deadline.min(overdue.unwrap_or(Micros::NEVER));
        }
        deadline
    }

    /// The followers that can be counted on.
    pub fn healthy(&self, core: &Core) -> MemberSet {
        core.others().iter().filter(|member| self.progress[member.rank()].is_healthy()).collect()
    }

    /// The healthy followers that answer in time (rule R26): within twice the round trip of the
    /// f-th fastest plus half a usual round trip. If f followers can be counted on, there are
    /// always at least f of these.
    pub fn prompt(&self, core: &Core) -> MemberSet {
        let healthy = self.healthy(core);
        let trip = |member: Member| core.round_trips[member.rank()].smoothed();
        let slack_us = core.tuning.resend_timeout_us / 20;
        let mut trips = [Micros::NEVER; MOST_MEMBERS];
        let mut known = 0;
        let (mut fastest, mut slowest) = (Micros::NEVER, Micros(0));
        for trip in healthy.iter().filter_map(trip) {
            (fastest, slowest) = (fastest.min(trip), slowest.max(trip));
            trips[known] = trip;
            known += 1;
        }
        let needed = core.others_needed();
        // Nearly always all are alike. This is asked for every batch, so that is seen first.
        if known < needed.max(2) || slowest.0 <= fastest.0 * 2 + slack_us {
            return healthy;
        }
        let (_, typical, _) = trips[..known].select_nth_unstable(needed - 1);
        let most = Micros(typical.0 * 2 + slack_us);
        healthy.iter().filter(|member| trip(*member).is_none_or(|trip| trip <= most)).collect()
    }

    /// Orders followers by who is sent to next: prompt ones before slow ones, then the one that has
    /// gone longest without hearing.
    pub fn turn(&self, prompt: MemberSet, member: Member) -> (bool, Micros, Member) {
        (!prompt.contains(member), self.progress[member.rank()].addressed_at, member)
    }

    /// The members that the batch up to `end` goes to. By rotation (rule R17) these are the f that
    /// have gone longest without hearing, of those that answer in time (rule R26). With `star` and
    /// `broadcast` it is everyone who can be counted on. A follower that lacks more than an append
    /// carries is left out and catches up. `prompt` are those that answer in time.
    pub fn choose_quorum(&self, core: &Core, prompt: MemberSet, end: Index) -> Vec<Member> {
        let fits = |member: &Member| {
            let next = self.progress[member.rank()].next;
            next > self.batched_through
                || core.log.encoded_bytes(next, end) <= core.tuning.batch_most_bytes
        };
        let mut quorum: Vec<Member> = self.healthy(core).iter().filter(fits).collect();
        quorum.sort_by_key(|member| self.turn(prompt, *member));
        if core.tuning.fan_out.is_to_a_quorum() {
            let is_direct = self.chain_length(core) == 1;
            let spares = if is_direct { core.tuning.quorum_spares as usize } else { 0 };
            quorum.truncate(core.others_needed() + spares);
        }
        quorum
    }

    /// How many followers a chain has. Only one, if messages are lost so often that a long chain
    /// would seldom get through (rule R16).
    pub fn chain_length(&self, core: &Core) -> usize {
        if core.tuning.fan_out != FanOut::Chain {
            return 1;
        }
        let length = match core.tuning.chain_length as usize {
            0 => core.others_needed(),
            length => length.min(core.others_needed()),
        };
        if self.loss.all_arrive(length + 1) < LEAST_CHANCE_OF_A_CHAIN { 1 } else { length }
    }

    /// Whether `member`, outside the quorums, lags so far behind that it is sent what it lacks.
    pub fn lags(&self, core: &Core, member: Member) -> bool {
        let next = self.progress[member.rank()].next;
        let lag = (self.batched_through + 1).saturating_sub(next);
        lag > core.tuning.lag_most_entries
            || (lag > 0
                && core.log.encoded_bytes(next, self.batched_through)
                    > core.tuning.batch_most_bytes / 2)
    }
}

/// Puts a command of the current term at the end of the log.
pub(super) fn append(context: &mut Context<'_>, command: Arc<[u8]>) -> Index {
    let term = context.core.term;
    context.core.log.push(Entry { term, command });
    let index = context.core.log.last_index();
    context.tell(Event::Appended { first: index, last: index, term });
    index
}
