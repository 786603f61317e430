//! Heartbeats for watchers: the f followers that are kept hearing from an idle leader (rule R30).

use super::core::{Context, Core};
use super::leader::Leader;
use super::mark::Mark;
use super::message::{Cause, Route};
use super::sending::Shipment;
use super::tuning::HeartbeatTo;
use super::types::{Member, MemberSet};

/// How many heartbeats a watcher is on duty for, at most, before another is due to be relieved. The
/// change costs a message.
const HEARTBEATS_A_WATCH: u32 = 40;

impl Leader {
    /// If a watcher is among the members that are `due`, sends all watchers one heartbeat in a
    /// chain, which the last of them answers: f + 1 messages. Returns who got it. Nobody does if
    /// the chain would not come through, or if entries have to go with it; each then gets its own.
    pub fn maybe_beat_watchers(&mut self, context: &mut Context<'_>, due: MemberSet) -> MemberSet {
        let core = &mut *context.core;
        if core.tuning.heartbeat_to != HeartbeatTo::Watchers || !self.watch_set().meets(due) {
            return MemberSet::EMPTY;
        }
        self.maybe_relieve_a_watcher(core);
        let is_ready = |member: &Member| {
            let progress = &self.progress[member.rank()];
            progress.is_healthy() && progress.next > self.batched_through
        };
        let ready = self.watchers.iter().all(is_ready);
        let route = Route::through(self.watchers.make_contiguous());
        let (Some(route), true, false) = (route, ready, self.is_lossy(core)) else {
            return MemberSet::EMPTY;
        };
        let (watchers, round) = (self.watch_set(), self.rounds.newest + 1);
        let (first, last) = (self.batched_through + 1, self.batched_through);
        let cause = Cause::Heartbeat;
        context.mark(Mark::WatchersBeat);
        self.ship(context, Shipment { route, first, last, cause, wants_answer: true, question: 0 });
        let prompt = self.prompt(context.core);
        self.expect_answers(context, prompt, round, watchers);
        watchers
    }

    /// Whether `member` is kept hearing from this leader when it is idle.
    pub fn watches(&self, core: &Core, member: Member) -> bool {
        let everyone = core.tuning.heartbeat_to == HeartbeatTo::Everyone;
        !core.tuning.quiet && (everyone || self.watchers.contains(&member))
    }

    /// Puts healthy followers in the place of watchers that are not: else nobody may notice that
    /// this leader has died.
    pub fn maybe_replace_watchers(&mut self, core: &mut Core) {
        let is_silent = |member: &Member| !self.progress[member.rank()].is_healthy();
        if core.tuning.heartbeat_to != HeartbeatTo::Watchers || !self.watchers.iter().any(is_silent)
        {
            return;
        }
        let mut spare = self.spare_watchers(core).into_iter();
        for place in 0..self.watchers.len() {
            let is_healthy = self.progress[self.watchers[place].rank()].is_healthy();
            if !is_healthy && let Some(other) = spare.next() {
                core.marks.add(Mark::WatcherReplaced);
                self.watchers[place] = other;
            }
        }
    }

    /// Whether all watchers are known to be on duty: told so, and with no answer overdue. Only then
    /// is anybody else told that it need not watch. Otherwise nobody may be left to notice a death.
    pub fn is_watched(&self) -> bool {
        self.watchers.iter().all(|watcher| {
            let progress = &self.progress[watcher.rank()];
            let is_late = progress.awaiting.is_some_and(|awaiting| awaiting.attempts > 0);
            progress.is_healthy() && progress.knows_to_watch() && !is_late
        })
    }

    /// The healthy followers that do not watch, those first that have gone longest without hearing.
    fn spare_watchers(&self, core: &Core) -> Vec<Member> {
        let prompt = self.prompt(core);
        let mut spare: Vec<Member> = self.healthy(core).without(self.watch_set()).iter().collect();
        spare.sort_by_key(|member| self.turn(prompt, *member));
        spare
    }

    /// The watchers as a set.
    pub fn watch_set(&self) -> MemberSet {
        self.watchers.iter().copied().collect()
    }

    /// Now and then relieves the watcher that has been on duty longest. So every follower is heard
    /// from some time.
    fn maybe_relieve_a_watcher(&mut self, core: &mut Core) {
        self.watched += 1;
        if self.watched >= HEARTBEATS_A_WATCH
            && let Some(other) = self.spare_watchers(core).into_iter().next()
        {
            core.marks.add(Mark::WatcherRelieved);
            self.watched = 0;
            self.watchers.pop_front();
            self.watchers.push_back(other);
        }
    }
}
