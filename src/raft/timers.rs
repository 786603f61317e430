//! What a leader does because time has passed: resends and heartbeats (rules R15, R16, R19).

use super::core::Core;
use super::event::{Event, Output};
use super::leader::Leader;
use super::message::{Cause, Route};
use super::replication::Shipment;
use super::tuning::HeartbeatAnswers;
use super::types::{Member, MemberSet, Micros};

impl Leader {
    /// Asks those again whose answers are overdue: directly, since it is not known which hop of a
    /// chain has failed; who stays silent to that is a suspect (rule R16). If a batch waits for
    /// them, one more follower gets it at once, so that a single death costs one timeout; unless
    /// losses explain the silence better.
    pub fn resend_overdue(&mut self, core: &mut Core, now: Micros, out: &mut Vec<Output>) {
        let mut substitute_wanted = false;
        let is_starved = self.is_starved(core);
        for member in core.others().iter() {
            if self.overdue_at(core, member, is_starved).is_some_and(|at| now >= at) {
                substitute_wanted |= self.on_overdue(core, now, member, out);
            }
        }
        if substitute_wanted {
            self.maybe_substitute(core, now, out);
        }
        self.maybe_widen(core, now, out);
    }

    /// One timeout of one member. Whether a substitute is wanted.
    fn on_overdue(
        &mut self,
        core: &mut Core,
        now: Micros,
        member: Member,
        out: &mut Vec<Output>,
    ) -> bool {
        let needed = self.needs_answers(core, now);
        let oldest = core.commit + 1;
        let progress = &mut self.progress[member.rank()];
        let Some(awaiting) = &mut progress.awaiting else {
            return false;
        };
        awaiting.attempts = awaiting.attempts.saturating_add(1);
        awaiting.since = now;
        awaiting.resent = self.rounds.newest + 1;
        let (attempt, first) = (awaiting.attempts, awaiting.first);
        let waits = !self.batches.is_empty() && progress.matched < oldest && progress.next > oldest;
        if !progress.suspect {
            // The silence of a suspect says nothing about the links to the others.
            self.loss.lost();
            progress.loss.lost();
        }
        out.push(Output::Event(Event::ResendTimeout { member, attempt, batch_waits: waits }));
        if attempt == 1 && !progress.suspect {
            let last = progress.next - 1;
            let (route, cause) = (Route::direct(member), Cause::Resend);
            self.ship(core, now, Shipment { route, first, last, cause, wants_answer: true }, out);
            // Where messages are often lost, silence is no sign of death.
            return (waits || needed) && !self.is_lossy(core);
        }
        if !std::mem::replace(&mut progress.suspect, true) {
            out.push(Output::Event(Event::Suspected { member }));
        }
        if !needed {
            // Nothing hangs on it: its next heartbeat asks again.
            progress.awaiting = None;
        } else if !progress.probing && self.is_starved(core) {
            self.resend_oldest(core, now, member, out);
        } else {
            self.probe(core, now, member, Cause::Probe, out);
        }
        false
    }

    /// The batch that waits longest, to a silent member whose answer would commit it. It is one
    /// batch at most, not the backlog (rule R19), and a probe would cost another round trip.
    fn resend_oldest(
        &mut self,
        core: &mut Core,
        now: Micros,
        member: Member,
        out: &mut Vec<Output>,
    ) {
        let progress = &self.progress[member.rank()];
        let oldest = self.batches.front().copied().unwrap_or(progress.matched);
        let first = progress.next.min(core.commit.max(progress.matched) + 1);
        let (route, last) = (Route::direct(member), oldest.min(progress.next - 1));
        let cause = if first <= last { Cause::Resend } else { Cause::Probe };
        self.ship(core, now, Shipment { route, first, last, cause, wants_answer: true }, out);
    }

    /// An empty append at the end of what `member` has been sent: its answer tells both that it
    /// lives and how much arrived, whatever the backlog (rule R19).
    pub fn probe(
        &mut self,
        core: &mut Core,
        now: Micros,
        member: Member,
        cause: Cause,
        out: &mut Vec<Output>,
    ) {
        let first = self.progress[member.rank()].next;
        let (route, last) = (Route::direct(member), first - 1);
        self.ship(core, now, Shipment { route, first, last, cause, wants_answer: true }, out);
    }

    /// One follower more, of those that nothing is awaited from.
    fn maybe_substitute(&mut self, core: &mut Core, now: Micros, out: &mut Vec<Output>) {
        let prompt = self.prompt(core);
        let spare = self
            .healthy(core)
            .iter()
            .filter(|member| self.progress[member.rank()].awaiting.is_none())
            .min_by_key(|member| self.turn(prompt, *member));
        if let Some(member) = spare {
            let lacks = self.progress[member.rank()].next <= self.batched_through;
            let cause = if lacks { Cause::Replicate } else { Cause::Confirm };
            self.ship_to(core, now, member, (cause, true), out);
        }
    }

    /// Every follower that has not been addressed for an interval is, and a quorum is asked to
    /// answer while the lease needs it (rule R15).
    pub fn maybe_heartbeat(&mut self, core: &mut Core, now: Micros, out: &mut Vec<Output>) {
        let mut due = MemberSet::EMPTY;
        for member in core.others().iter().filter(|m| now >= self.heartbeat_at(core, *m)) {
            due.insert(member);
        }
        if due.is_empty() {
            return;
        }
        self.tick_at = now + core.tuning.heartbeat_interval();
        let round = self.rounds.newest + 1;
        let answering = self.choose_answering(core, now, due);
        for member in due.iter() {
            let progress = &self.progress[member.rank()];
            let wants_answer = answering.contains(member);
            if progress.suspect || progress.probing {
                self.probe(core, now, member, Cause::Probe, out);
            } else if progress.next <= self.batched_through {
                self.ship_to(core, now, member, (Cause::CatchUp, true), out);
            } else {
                self.ship_to(core, now, member, (Cause::Heartbeat, wants_answer), out);
            }
        }
        self.expect_answers(core, (round, answering), now);
    }

    /// Who of those due is asked to answer.
    fn choose_answering(&self, core: &Core, now: Micros, due: MemberSet) -> MemberSet {
        let half = Micros(core.tuning.heartbeat_interval_us / 2);
        let fresh = self.quorum_round > 0 && now < self.quorum_at + half;
        let everyone = core.tuning.heartbeat_answers == HeartbeatAnswers::Everyone;
        let mut in_turn: Vec<Member> = due
            .iter()
            .filter(|member| self.progress[member.rank()].is_healthy())
            .filter(|_| everyone || !fresh)
            .collect();
        let prompt = self.prompt(core);
        in_turn.sort_by_key(|member| {
            (!prompt.contains(*member), self.progress[member.rank()].answered_round, *member)
        });
        if !everyone {
            in_turn.truncate(core.others_needed());
        }
        let mut answering = MemberSet::EMPTY;
        in_turn.into_iter().for_each(|member| answering.insert(member));
        // Who has not answered yet, and who was slow, is asked to show how it is now.
        for member in due.iter().filter(|m| {
            let progress = &self.progress[m.rank()];
            !progress.answered || (progress.is_healthy() && !prompt.contains(*m))
        }) {
            answering.insert(member);
        }
        answering
    }
}
