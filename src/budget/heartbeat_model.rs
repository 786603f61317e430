//! How many heartbeats other knobs would have cost with the same appends. Any append is a heartbeat
//! for its receiver, so a leader that sends fewer appends sends more heartbeats.

use crate::raft::{Cause, MOST_MEMBERS, Member, Micros, Term};

/// What the model changes in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variation {
    /// Nothing. The model then counts the heartbeats that the run should have sent.
    Nothing,
    /// The heartbeat interval.
    Interval(Micros),
    /// Messages of this cause are not sent.
    Without(Cause),
    /// Batches and rounds for reads go to f others in rotation, not to all.
    Rotation,
}

/// A timer is late by some 100 microseconds at most, so what the leader does within that time of
/// the deadline comes first.
const TIMER_SLACK: Micros = Micros(100);

/// Counts the heartbeats of one variation.
#[derive(Clone, Debug)]
pub struct HeartbeatModel {
    different: Variation,
    interval: Micros,
    others_needed: usize,
    term: Term,
    /// By receiver: when it was last addressed in this term.
    addressed: Vec<Option<Micros>>,
    /// No heartbeat is due before this.
    due_at: Micros,
    /// The time of the current step. Several appends of one step count as one.
    step: Option<Micros>,
    turned: bool,
    heartbeats: u64,
}

impl HeartbeatModel {
    /// For a run with a heartbeat each `interval`, changed as `different` says.
    pub fn new(replicas: usize, interval: Micros, different: Variation) -> HeartbeatModel {
        let interval = match different {
            Variation::Interval(other) => other,
            _ => interval,
        };
        HeartbeatModel {
            different,
            interval: interval.max(Micros(1)),
            others_needed: replicas / 2,
            term: 0,
            addressed: vec![None; replicas],
            due_at: Micros::NEVER,
            step: None,
            turned: false,
            heartbeats: 0,
        }
    }

    /// Notes that the run sent an append of this cause, no heartbeat, from `from` to `to`.
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
            Variation::Without(left_out) if left_out == cause => {}
            Variation::Rotation if matches!(cause, Cause::Replicate | Cause::Confirm) => {
                if !std::mem::replace(&mut self.turned, true) {
                    self.turn(at, from);
                }
            }
            _ => self.address(to, at),
        }
    }

    fn address(&mut self, member: Member, at: Micros) {
        self.addressed[member.rank()] = Some(at);
        self.due_at = self.due_at.min(at + self.interval);
    }

    /// Counts a batch, or a round, as sent to the f that have gone longest without hearing.
    fn turn(&mut self, at: Micros, leader: Member) {
        // Who was never addressed comes first, and among equals the lower rank.
        let mut others = [(None, 0_u8); MOST_MEMBERS];
        let mut count = 0;
        for (rank, addressed) in (0..).zip(&self.addressed) {
            if Member(rank) != leader {
                others[count] = (*addressed, rank);
                count += 1;
            }
        }
        // With two members f is all others.
        if count > self.others_needed {
            others[..count].select_nth_unstable(self.others_needed);
        }
        for (_, rank) in &others[..count.min(self.others_needed)] {
            self.address(Member(*rank), at);
        }
    }

    /// Sends a heartbeat to each member that was due and was not addressed in this step.
    fn end_step(&mut self) {
        let Some(step) = self.step.take().filter(|step| *step >= self.due_at) else {
            return;
        };
        for last in self.addressed.iter_mut().flatten() {
            if *last + self.interval <= step {
                self.heartbeats += 1;
                *last = step;
            }
        }
    }

    /// Counts the heartbeats until `at`; nothing else is sent before.
    fn pass_until(&mut self, at: Micros) {
        if at < self.due_at {
            return;
        }
        self.due_at = Micros::NEVER;
        for last in self.addressed.iter_mut().flatten() {
            let silence = at.since(*last + TIMER_SLACK);
            // Seldom is one due, and a division takes long.
            if silence >= self.interval {
                let due = silence.0 / self.interval.0;
                self.heartbeats += due;
                *last += Micros(due * self.interval.0);
            }
            self.due_at = self.due_at.min(*last + self.interval);
        }
    }

    /// The number of heartbeats until `end`.
    pub fn finish(&mut self, end: Micros) -> u64 {
        self.end_step();
        self.pass_until(end);
        self.heartbeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Micros = Micros::from_millis(100);

    /// The number of heartbeats for appends to the members of five, of which member 0 leads. An
    /// append is (milliseconds, receiver, cause).
    fn heartbeats(different: Variation, appends: &[(u64, u8, Cause)], end_ms: u64) -> u64 {
        let mut model = HeartbeatModel::new(5, INTERVAL, different);
        for (at_ms, to, cause) in appends {
            model.append(Micros::from_millis(*at_ms), (Member(0), Member(*to)), 1, *cause);
        }
        model.finish(Micros::from_millis(end_ms))
    }

    #[test]
    fn silence_costs_a_heartbeat_an_interval_and_an_append_is_one() {
        let appends = [(10, 1, Cause::Replicate), (560, 1, Cause::Replicate)];
        assert_eq!(heartbeats(Variation::Nothing, &appends, 600), 5);
        let longer = Variation::Interval(Micros::from_millis(250));
        assert_eq!(heartbeats(longer, &appends, 600), 2);
        let often: Vec<_> = (0..20).map(|turn| (turn * 90, 1, Cause::Replicate)).collect();
        assert_eq!(heartbeats(Variation::Nothing, &often, 1_750), 0);
        // What the leader does within the timer's slack of the deadline comes in time.
        let late = [(0, 1, Cause::Replicate), (100, 1, Cause::Replicate)];
        assert_eq!(heartbeats(Variation::Nothing, &late, 150), 0);
    }

    #[test]
    fn without_a_cause_the_silence_is_longer() {
        let appends =
            [(0, 1, Cause::Replicate), (90, 1, Cause::Commit), (180, 1, Cause::Replicate)];
        assert_eq!(heartbeats(Variation::Nothing, &appends, 200), 0);
        assert_eq!(heartbeats(Variation::Without(Cause::Commit), &appends, 200), 1);
    }

    /// The only other member is addressed each time.
    #[test]
    fn in_rotation_of_two_members_there_is_only_one_other() {
        let mut model = HeartbeatModel::new(2, INTERVAL, Variation::Rotation);
        for turn in 0..10 {
            let at = Micros::from_millis(turn * 60);
            model.append(at, (Member(0), Member(1)), 1, Cause::Replicate);
        }
        assert_eq!(model.finish(Micros::from_millis(600)), 0);
    }

    #[test]
    fn in_rotation_half_of_the_others_are_addressed_in_turn() {
        let star = |turn: u64| (1..5).map(move |to| (turn * 60, to, Cause::Replicate));
        let appends: Vec<_> = (0..10).flat_map(star).collect();
        assert_eq!(heartbeats(Variation::Nothing, &appends, 600), 0);
        // Each of the four would hear every 120 ms, so two at a time get a heartbeat between, which
        // puts them behind the others in the rotation: two every 120 ms.
        assert_eq!(heartbeats(Variation::Rotation, &appends, 600), 10);
    }

    #[test]
    fn a_new_term_begins_anew() {
        let mut model = HeartbeatModel::new(3, INTERVAL, Variation::Nothing);
        let link = (Member(0), Member(1));
        model.append(Micros(0), link, 1, Cause::Replicate);
        model.append(Micros::from_millis(950), link, 2, Cause::Replicate);
        assert_eq!(model.finish(Micros::from_millis(1_000)), 0);
    }
}
