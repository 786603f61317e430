//! How many heartbeats other knobs would have cost on the same appends: any append is a heartbeat
//! of its receiver, so whoever sends fewer appends sends more heartbeats.

use crate::raft::{Cause, Member, Micros, Term};

/// What is different from the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Different {
    /// Nothing: what this counts, the run should have sent.
    Nothing,
    /// The interval.
    Interval(Micros),
    /// Messages of this cause are not sent.
    Without(Cause),
    /// Batches, and rounds for reads, go to f others in rotation, not to all.
    Rotation,
}

/// A timer is good to a millisecond: what the leader does within one of the deadline comes first.
const TIMER_SLACK: Micros = Micros(1_000);

/// Counts the heartbeats of one alternative.
#[derive(Clone, Debug)]
pub struct Rhythm {
    different: Different,
    interval: Micros,
    others_needed: usize,
    term: Term,
    /// By receiver: when it was last addressed in this term.
    addressed: Vec<Option<Micros>>,
    /// The step under way: several appends sent at once are one.
    step: Option<Micros>,
    turned: bool,
    heartbeats: u64,
}

impl Rhythm {
    /// Of a run with heartbeats each `interval`, that is `different`.
    pub fn new(replicas: usize, interval: Micros, different: Different) -> Rhythm {
        let interval = match different {
            Different::Interval(other) => other,
            _ => interval,
        };
        Rhythm {
            different,
            interval: interval.max(Micros(1)),
            others_needed: replicas / 2,
            term: 0,
            addressed: vec![None; replicas],
            step: None,
            turned: false,
            heartbeats: 0,
        }
    }

    /// The run sent an append of this cause, no heartbeat, from `from` to `to`.
    pub fn append(&mut self, at: Micros, (from, to): (Member, Member), term: Term, cause: Cause) {
        if term < self.term {
            return;
        }
        if term > self.term {
            self.end_step();
            self.term = term;
            self.addressed.fill(None);
        }
        if self.step.is_none_or(|step| step < at) {
            self.end_step();
            self.pass_until(at);
            (self.step, self.turned) = (Some(at), false);
        }
        match self.different {
            Different::Without(left_out) if left_out == cause => {}
            Different::Rotation if matches!(cause, Cause::Replicate | Cause::Confirm) => {
                if !std::mem::replace(&mut self.turned, true) {
                    self.turn(at, from);
                }
            }
            _ => self.addressed[to.rank()] = Some(at),
        }
    }

    /// Batches, or a round, for the f that have gone longest without hearing.
    fn turn(&mut self, at: Micros, leader: Member) {
        let others = (0..self.addressed.len() as u8).map(Member);
        let mut others: Vec<Member> = others.filter(|member| *member != leader).collect();
        others.sort_by_key(|member| self.addressed[member.rank()]);
        for member in others.into_iter().take(self.others_needed) {
            self.addressed[member.rank()] = Some(at);
        }
    }

    /// Whoever was due and was not addressed in the step gets its heartbeat in it.
    fn end_step(&mut self) {
        let Some(step) = self.step.take() else {
            return;
        };
        for last in self.addressed.iter_mut().flatten() {
            if *last + self.interval <= step {
                self.heartbeats += 1;
                *last = step;
            }
        }
    }

    /// Nothing is sent until `at` but heartbeats.
    fn pass_until(&mut self, at: Micros) {
        for last in self.addressed.iter_mut().flatten() {
            let silence = at.since(*last + TIMER_SLACK);
            let due = silence.0 / self.interval.0;
            self.heartbeats += due;
            *last += Micros(due * self.interval.0);
        }
    }

    /// The heartbeats until `end`.
    pub fn finish(&mut self, end: Micros) -> u64 {
        self.end_step();
        self.pass_until(end);
        self.heartbeats
    }
}
