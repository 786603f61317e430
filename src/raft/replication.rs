//! How a leader sends: batches to a quorum by the fan-out in force, and everything that keeps the
//! others up to date (§5.3, rules R14 to R19).

use super::core::Core;
use super::event::{Event, Output, To};
use super::leader::Leader;
use super::message::{Append, Cause, Message, Route, Why};
use super::progress::Progress;
use super::tuning::FanOut;
use super::types::{Index, Member, MemberSet, Micros, Round};

/// What goes to whom.
pub(super) struct Shipment {
    /// The hops; empty: everyone.
    pub route: Route,
    /// First entry; one more than `last` for none.
    pub first: Index,
    /// Last entry wanted; the most bytes may cut it short.
    pub last: Index,
    /// What for.
    pub cause: Cause,
    /// Whether the last hop shall answer.
    pub wants_answer: bool,
}

impl Leader {
    /// The deadline has come, or the socket is drained.
    pub fn on_wake(&mut self, core: &mut Core, now: Micros, out: &mut Vec<Output>) {
        self.resend_overdue(core, now, out);
        let newest = self.rounds.newest;
        self.maybe_send_batches(core, now, out);
        self.maybe_confirm(core, now, newest, out);
        self.maybe_tell_commit(core, now, out);
        self.maybe_heartbeat(core, now, out);
        self.maybe_catch_up(core, now, out);
    }

    /// Sends one append, in a round of its own (rule R9), and notes what each hop will have got.
    pub fn ship(&mut self, core: &mut Core, now: Micros, what: Shipment, out: &mut Vec<Output>) {
        let Shipment { route, first, last, cause, wants_answer } = what;
        let last = match first <= last {
            true => core.log.cut(first, last, core.tuning.batch_most_bytes),
            false => first - 1,
        };
        let members = if route.is_empty() { core.others() } else { route.members() };
        let hops = route.len().max(1);
        let round = self.rounds.begin(now, members, hops);
        for member in members.iter() {
            let progress = &mut self.progress[member.rank()];
            // What a suspect is sent with entries in it, with all others, is not waited for.
            let awaited = wants_answer && (first > last || !progress.suspect);
            progress.sent((round, hops), first, awaited, now);
            progress.told_commit = core.commit;
            if first <= progress.next {
                progress.next = progress.next.max(last + 1);
            }
        }
        // The leader is one of the quorum that its lease counts, so it promises too (rule R7).
        core.promise(now, core.tuning.promise());
        let append = Append {
            term: core.term,
            leader: core.me,
            round,
            cause,
            previous: core.log.position(first - 1),
            commit: core.commit,
            entries: core.log.range(first, last),
            promise: core.tuning.promise(),
            wants_answer,
            route,
            accepted: MemberSet::EMPTY,
        };
        let to = route.first().map_or(To::Everyone, To::Member);
        out.push(Output::Send { to, message: Message::Append(append), why: Why::Own(cause) });
    }

    /// Sends `member` the entries it lacks of those that have been batched; none: a heartbeat.
    pub fn ship_to(
        &mut self,
        core: &mut Core,
        now: Micros,
        member: Member,
        (cause, wants_answer): (Cause, bool),
        out: &mut Vec<Output>,
    ) {
        let first = self.progress[member.rank()].next;
        let (route, last) = (Route::direct(member), self.batched_through);
        self.ship(core, now, Shipment { route, first, last, cause, wants_answer }, out);
    }

    /// The opening of a term: to all directly, since nobody has answered yet (rule R15).
    pub fn send_to_all(
        &mut self,
        core: &mut Core,
        now: Micros,
        cause: Cause,
        out: &mut Vec<Output>,
    ) {
        let next = self.rounds.newest + 1;
        match core.tuning.fan_out {
            FanOut::Broadcast => {
                let (route, first, last) = (Route::EVERYONE, self.opened, self.opened);
                let what = Shipment { route, first, last, cause, wants_answer: true };
                self.ship(core, now, what, out);
            }
            _ => {
                for member in core.others().iter() {
                    self.ship_to(core, now, member, (cause, true), out);
                }
            }
        }
        self.asked_round = next;
        self.unheard_since.get_or_insert(now);
    }

    /// `asked` were asked to answer rounds from `first` on. A quorum owes an answer from then on only
    /// if f of them can be counted on to give it in time (rule R23): what is sent to the dead starts
    /// nothing.
    pub fn expect_answers(&mut self, core: &Core, (first, asked): (Round, MemberSet), now: Micros) {
        let prompt = self.prompt(core);
        if MemberSet(asked.0 & prompt.0).len() >= core.others_needed() {
            self.asked_round = first;
            self.unheard_since.get_or_insert(now);
        }
    }

    /// Sends what waits, once its linger is over or the batch is full, as far as the window allows.
    fn maybe_send_batches(&mut self, core: &mut Core, now: Micros, out: &mut Vec<Output>) {
        while self.batched_through < core.log.last_index() && !self.is_window_full(core) {
            let waiting = core.log.last_index() - self.batched_through;
            let due = self.flush_at.is_some_and(|at| now >= at);
            if !due && waiting < core.tuning.batch_most_entries {
                return;
            }
            if !self.send_batch(core, now, out) {
                break;
            }
        }
        // Blocked or done: an answer, or the next proposal, arms it again.
        self.flush_at = None;
    }

    /// Sends the next batch to a quorum; false if there is none to be had now.
    fn send_batch(&mut self, core: &mut Core, now: Micros, out: &mut Vec<Output>) -> bool {
        let first = self.batched_through + 1;
        let most = self.batched_through + core.tuning.batch_most_entries;
        let end = core.log.last_index().min(most);
        let end = core.log.cut(first, end, core.tuning.batch_most_bytes);
        let quorum = self.choose_quorum(core, end);
        if quorum.len() < core.others_needed() {
            self.make_room(core, now, &quorum, out);
            return false;
        }
        let round = self.rounds.newest + 1;
        self.batched_through = end;
        self.batches.push_back(end);
        out.push(Output::Event(Event::BatchSent { first, last: end }));
        let everyone = core.tuning.fan_out == FanOut::Broadcast;
        let length = match everyone {
            true => quorum.len(),
            false => self.chain_length(core),
        };
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
            };
            self.ship(core, now, what, out);
        }
        self.expect_answers(core, (round, quorum.into_iter().collect()), now);
        true
    }

    /// Followers that can be counted on but whose backlog leaves no room for the batch: the backlog
    /// goes first, by itself.
    fn make_room(
        &mut self,
        core: &mut Core,
        now: Micros,
        fitting: &[Member],
        out: &mut Vec<Output>,
    ) {
        for member in self.healthy(core).iter().filter(|member| !fitting.contains(member)) {
            let progress = &self.progress[member.rank()];
            if progress.awaiting.is_none() && progress.next <= self.batched_through {
                self.ship_to(core, now, member, (Cause::CatchUp, true), out);
            }
        }
    }

    /// Whom the batch up to `end` goes to: by the rotation (rule R17) the f that have gone longest
    /// without hearing, of those that answer in time (rule R26); by `star` and `broadcast` everyone
    /// who can be counted on. Who lacks more than an append carries is left to catch up.
    fn choose_quorum(&self, core: &Core, end: Index) -> Vec<Member> {
        let prompt = self.prompt(core);
        let mut quorum: Vec<Member> = self
            .healthy(core)
            .iter()
            .filter(|member| {
                let next = self.progress[member.rank()].next;
                next > self.batched_through
                    || core.log.encoded_bytes(next, end) <= core.tuning.batch_most_bytes
            })
            .collect();
        quorum.sort_by_key(|member| self.turn(prompt, *member));
        if matches!(core.tuning.fan_out, FanOut::Thrifty | FanOut::Chain) {
            quorum.truncate(core.others_needed());
        }
        quorum
    }

    /// Orders followers by whose turn it is to be sent something: the prompt before the slow, then
    /// who has gone longest without hearing.
    pub fn turn(&self, prompt: MemberSet, member: Member) -> (bool, Micros, Member) {
        (!prompt.contains(member), self.progress[member.rank()].addressed_at, member)
    }

    /// How many followers a chain has: one, if messages are lost so often that a long one would
    /// seldom get through (rule R16).
    fn chain_length(&self, core: &Core) -> usize {
        match core.tuning.fan_out {
            FanOut::Chain if !self.is_lossy(core) => match core.tuning.chain_length as usize {
                0 => core.others_needed(),
                length => length.min(core.others_needed()),
            },
            _ => 1,
        }
    }

    /// Starts a round for the reads that wait for one, unless what was just sent is one: rounds
    /// after `newest` are.
    fn maybe_confirm(
        &mut self,
        core: &mut Core,
        now: Micros,
        newest: Round,
        out: &mut Vec<Output>,
    ) {
        if !self.is_confirm_due(core) {
            return;
        }
        self.confirm_wanted = false;
        if self.asked_round > newest {
            return;
        }
        let round = self.rounds.newest + 1;
        let asked = self.choose_quorum(core, self.batched_through);
        if asked.len() < core.others_needed() {
            for member in core.others().iter() {
                self.probe(core, now, member, Cause::Confirm, out);
            }
            return;
        }
        for member in &asked {
            self.ship_to(core, now, *member, (Cause::Confirm, true), out);
        }
        self.expect_answers(core, (round, asked.into_iter().collect()), now);
    }

    /// With `eager_commit`, what etcd does: a message to each for a commit index alone.
    fn maybe_tell_commit(&mut self, core: &mut Core, now: Micros, out: &mut Vec<Output>) {
        if !std::mem::take(&mut self.commit_untold) {
            return;
        }
        for member in self.healthy(core).iter() {
            if self.progress[member.rank()].told_commit < core.commit {
                self.ship_to(core, now, member, (Cause::Commit, true), out);
            }
        }
    }

    /// Entries for those outside the quorums that lag too far, one append at a time.
    pub fn maybe_catch_up(&mut self, core: &mut Core, now: Micros, out: &mut Vec<Output>) {
        for member in self.healthy(core).iter() {
            let progress = &self.progress[member.rank()];
            if progress.awaiting.is_none() && self.lags(core, member) {
                self.ship_to(core, now, member, (Cause::CatchUp, true), out);
            }
        }
    }

    fn lags(&self, core: &Core, member: Member) -> bool {
        let next = self.progress[member.rank()].next;
        let lag = (self.batched_through + 1).saturating_sub(next);
        lag > core.tuning.lag_most_entries
            || (lag > 0
                && core.log.encoded_bytes(next, self.batched_through)
                    > core.tuning.batch_most_bytes / 2)
    }

    /// A batch whose quorum has shrunk goes to others who can be counted on, so that it does not
    /// wait for the silent ones.
    pub fn maybe_widen(&mut self, core: &mut Core, now: Micros, out: &mut Vec<Output>) {
        let oldest = core.commit + 1;
        if self.batches.is_empty() || oldest > self.batched_through {
            return;
        }
        let healthy = self.healthy(core);
        let holds = |progress: &Progress| {
            progress.matched >= oldest || (progress.is_healthy() && progress.next > oldest)
        };
        let covered =
            core.others().iter().filter(|member| holds(&self.progress[member.rank()])).count();
        let missing = core.others_needed().saturating_sub(covered);
        let mut spare: Vec<Member> =
            healthy.iter().filter(|member| !holds(&self.progress[member.rank()])).collect();
        let prompt = self.prompt(core);
        spare.sort_by_key(|member| self.turn(prompt, *member));
        for member in spare.into_iter().take(missing) {
            self.ship_to(core, now, member, (Cause::Replicate, true), out);
        }
    }
}
