//! How committed entries take effect, and which clients are answered then (rules R1 to R3, R10,
//! R22, R27).

use super::held::Pending;
use super::{Replica, StepContext};
use crate::interface::Outcome;
use crate::kv::Command;
use crate::raft::{Index, Output, Planted, Term};
use crate::record::{Sink, Work};

/// How many answers to work that was done go out for each refusal, as long as both wait.
const SERVED_PER_REFUSAL: u32 = 2;

impl Replica {
    /// The core says that the log is committed up to `through`.
    pub(super) fn on_commit(
        &mut self,
        through: Index,
        outputs: &mut Vec<Output>,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        if self.raft.is_leader() {
            self.committed_as_leader = through;
            self.advance(through, outputs, context);
        } else {
            self.apply_through(through, outputs, context);
        }
    }

    /// A leader has said that the log is committed up to `told`, and this replica's log agrees with
    /// it that far. All puts up to there have been answered, by that leader or an earlier one. Only
    /// this lets a deposed leader apply puts that it had committed and not answered.
    pub(super) fn follow_commit(&mut self, told: Index, context: &mut StepContext<'_, impl Sink>) {
        let through = told.min(self.raft.commit());
        if !self.raft.is_leader() {
            let mut outputs = std::mem::take(&mut self.scratch);
            self.apply_through(through, &mut outputs, context);
            self.perform_all(&mut outputs, context);
            self.scratch = outputs;
        }
    }

    /// Does what the pacer has held back, as far as it allows that now.
    pub(super) fn catch_up(&mut self, context: &mut StepContext<'_, impl Sink>) {
        if self.has_answers_to_make() {
            let mut outputs = std::mem::take(&mut self.scratch);
            self.advance(self.raft.commit(), &mut outputs, context);
            self.perform_all(&mut outputs, context);
            self.scratch = outputs;
        }
    }

    /// Whether something can go on as soon as the pacer allows it.
    pub(super) fn waits_for_pacer(&self) -> bool {
        self.has_answers_to_make() || self.held.is_paced()
    }

    fn has_answers_to_make(&self) -> bool {
        let unapplied = self.raft.is_leader() && self.applied < self.raft.commit();
        let owed = !self.dead.is_empty() || !self.ready_reads.is_empty();
        unapplied || owed || !self.turned_away.is_empty()
    }

    /// Works as far as the pacer allows: answers the clients of dead puts and the reads whose time
    /// has come and, as the leader, applies what is committed up to `through`. Those who are turned
    /// away for load are told in between (rule R33).
    pub(super) fn advance(
        &mut self,
        through: Index,
        outputs: &mut Vec<Output>,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        while self.pacer.allows(context.now) || self.raft.has(Planted::AnswersUnpaced) {
            let is_their_turn = self.served_since_refusal >= SERVED_PER_REFUSAL;
            if is_their_turn && self.tell_one_turned_away(context) {
                continue;
            }
            if let Some(Pending { client, mid, operation }) = self.dead.pop_front() {
                self.held.redirected.note(self.raft.times_heard(), context.now, client, operation);
                self.answer(client, mid, Outcome::Redirect, None, context);
            } else if self.ready_reads.front().is_some_and(|(needed, _)| {
                *needed <= self.applied || self.raft.has(Planted::ReadBeforeApplied)
            }) {
                self.answer_ready_read(context);
            } else if self.raft.is_leader() && self.applied < through {
                self.apply_next(outputs, context);
            } else if self.tell_one_turned_away(context) {
                continue;
            } else {
                return;
            }
            self.served_since_refusal += u32::from(!self.turned_away.is_empty());
        }
    }

    /// Applies entries without answering their clients, except with the redirects that are due.
    fn apply_through(
        &mut self,
        through: Index,
        outputs: &mut Vec<Output>,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        while self.applied < through {
            self.apply_next(outputs, context);
            self.advance(0, outputs, context);
        }
    }

    /// Applies the next committed entry, and settles the requests that wait for it.
    fn apply_next(&mut self, outputs: &mut Vec<Output>, context: &mut StepContext<'_, impl Sink>) {
        self.applied += 1;
        let index = self.applied;
        let Some(entry) = self.raft.log().entry(index) else {
            return;
        };
        let (term, bytes) = (entry.term, entry.command.clone());
        let command = Command::decode(&bytes);
        let mid = command.as_ref().map_or("", Command::mid);
        context.sink.begin(Work::Apply { index, term, mid });
        if let Some(command) = &command {
            self.store.apply(command, &bytes);
            if self.writes.get(command.key()) == Some(&index) {
                self.writes.remove(command.key());
            }
        }
        self.settle(index, term, command.as_ref(), context);
        for request in self.blocked_reads.remove(&index).unwrap_or_default() {
            self.blocked -= 1;
            self.ask_core(request, outputs, context.now);
        }
        context.sink.end();
    }

    /// An entry of `term` takes effect at `index`: a client that is owed an answer gets it (rule
    /// R2).
    fn settle(
        &mut self,
        index: Index,
        term: Term,
        command: Option<&Command<'_>>,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        if term > self.applied_term {
            self.applied_term = term;
            self.bury(index, term);
        }
        let leads = self.raft.is_leader();
        let own_term = term == self.raft.term();
        let mut accepted_here = None;
        while let Some(found) = self.pending.range((index, 0)..=(index, Term::MAX)).next() {
            let place = *found.0;
            let Some(pending) = self.pending.remove(&place) else {
                return;
            };
            if place.1 == term {
                accepted_here = Some(pending);
            } else {
                // Rule R1: an entry of another term is committed in the put's place.
                self.dead.push_back(pending);
            }
        }
        let place = Some((index, term));
        if !leads {
            if let Some(pending) = accepted_here.filter(|_| self.raft.has(Planted::FollowerSaysOk))
            {
                self.answer(pending.client, pending.mid, Outcome::Ok(None), place, context);
            }
            return;
        }
        match (accepted_here, command) {
            (Some(pending), _) if own_term => {
                if self.raft.has(Planted::AnswersTwice) {
                    let (client, mid) = (pending.client, pending.mid.clone());
                    self.answer(client, mid, Outcome::Ok(None), place, context);
                }
                self.answer(pending.client, pending.mid, Outcome::Ok(None), place, context);
            }
            _ if self.raft.has(Planted::NewLeaderSilent) => {}
            // Rule R3: an earlier leader took this put in, and nobody is known to have answered it.
            (_, Some(command)) if !own_term && index > self.answer_above => {
                if let Some(client) = command.client() {
                    self.answer(client, command.mid().into(), Outcome::Ok(None), place, context);
                }
            }
            _ => {}
        }
    }

    /// Rule R22: terms never decrease along a log. A log that holds an entry of `term` at `index`
    /// holds no lower term from there on, so puts of lower terms there never take effect.
    fn bury(&mut self, index: Index, term: Term) {
        let beyond = self.pending.range((index, 0)..).map(|(place, _)| *place);
        let through = if self.raft.has(Planted::OwnTermBuried) { term } else { term - 1 };
        let dead: Vec<(Index, Term)> = beyond.filter(|place| place.1 <= through).collect();
        self.dead.extend(dead.iter().filter_map(|place| self.pending.remove(place)));
    }

    /// What planted bugs do to the puts from index `first` on: their clients are redirected before
    /// it is known whether they take effect.
    pub(super) fn give_up_from(&mut self, first: Index) {
        self.dead.extend(self.pending.split_off(&(first, 0)).into_values());
    }
}
