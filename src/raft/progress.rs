//! What a leader knows of one follower. The state is small, and its methods say whether it changed.

use super::estimate::Loss;
use super::tuning::NOT_WATCHING;
use super::types::{Index, MemberSet, Micros, Round};

/// An answer that the leader waits for.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Awaiting {
    /// Newest round that wants an answer. Its answer settles all earlier rounds too.
    pub round: Round,
    /// How many members that round visits one after the other. The last of them answers.
    pub hops: usize,
    /// How many members of that round come before this one.
    pub place: usize,
    /// When the wait began, or was started again.
    pub since: Micros,
    /// How many timeouts in a row. Only an answer to the latest resend, or to a later round, ends
    /// the count. An answer to an earlier round says that the member lives, not that it answers in
    /// time (rule R26, and Karn's rule for round trips).
    pub attempts: u8,
    /// How many of these were of chains.
    pub chains: u8,
    /// The round of the latest resend; 0 before the first.
    pub resent: Round,
    /// First entry sent since the last answer. A resend starts there.
    pub first: Index,
}

/// A member's part in a round.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    /// The round.
    pub round: Round,
    /// How many members it visits one after the other; 1 if it goes to each directly.
    pub hops: usize,
    /// How many of them come before this one.
    pub place: usize,
}

/// A follower as its leader sees it.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The follower's log agrees with the leader's up to this index. It only rises (rule R13).
    pub matched: Index,
    /// First entry not sent to the follower yet.
    pub next: Index,
    /// Whether the follower has answered in this term, and so may join quorums (rule R15).
    pub answered: bool,
    /// Newest round that the follower answered, yes or no. An answer to an older one says nothing
    /// new.
    pub heard_round: Round,
    /// Newest round that the follower accepted.
    pub answered_round: Round,
    /// When that round began, by the leader's clock (rule R9).
    pub answered_at: Micros,
    /// Until when it has promised not to elect another, by the leader's clock and less the margin
    /// (rule R31).
    pub lease_until: Micros,
    /// When the newest append that the follower should have got was sent. The rotation (rule R17)
    /// is ordered by it, and the next heartbeat follows from it.
    pub addressed_at: Micros,
    /// Whether the follower did not answer direct messages. It is out of quorums until it answers
    /// (rule R16).
    pub suspect: bool,
    /// Whether it is unknown where the follower's log agrees. It gets no entries then.
    pub probing: bool,
    /// Refusals of earlier rounds than this one are answered by what was sent in it.
    pub settled_round: Round,
    /// The election timeout that this append stated, or the usual one if it stated none (rule R29).
    /// A tuning that changes later does not change what the follower goes by. Zero: none was sent.
    pub told_timeout: Micros,
    /// The round that told it to watch, after others had told it not to; 0: there was none.
    pub watch_round: Round,
    /// Commit index of the newest append that the follower should have got.
    pub told_commit: Index,
    /// The answer that the leader waits for, if any.
    pub awaiting: Option<Awaiting>,
    /// Estimated loss on the way there and back, for status and metrics.
    pub loss: Loss,
}

impl Progress {
    /// Notes that `round` states this election timeout.
    pub fn tell_timeout(&mut self, round: Round, timeout: Micros) {
        if self.told_timeout >= NOT_WATCHING && timeout < NOT_WATCHING {
            self.watch_round = round;
        }
        self.told_timeout = timeout;
    }

    /// Whether the follower is known to have been told to watch, and not told otherwise since.
    pub fn knows_to_watch(&self) -> bool {
        self.told_timeout < NOT_WATCHING && self.answered_round >= self.watch_round
    }

    /// For a follower that a new leader knows nothing about; `next` is a guess.
    pub fn new(next: Index, now: Micros) -> Progress {
        Progress {
            matched: 0,
            next,
            answered: false,
            heard_round: 0,
            answered_round: 0,
            answered_at: Micros(0),
            lease_until: Micros(0),
            addressed_at: now,
            suspect: false,
            probing: false,
            settled_round: 0,
            told_timeout: Micros(0),
            watch_round: 0,
            told_commit: 0,
            awaiting: None,
            loss: Loss::default(),
        }
    }

    /// Whether the follower can be counted on for a quorum.
    pub const fn is_healthy(&self) -> bool {
        self.answered && !self.suspect && !self.probing
    }

    /// Notes that the follower accepted `round` and holds all entries up to `through`. Returns
    /// whether `matched` rose.
    pub fn accept(&mut self, round: &SentRound, through: Index, now: Micros) -> bool {
        self.answered = true;
        if round.number > self.answered_round {
            self.answered_round = round.number;
            self.answered_at = round.at;
        }
        self.lease_until = self.lease_until.max(round.at + round.lease);
        self.probing = false;
        let rose = through > self.matched;
        self.matched = self.matched.max(through);
        let awaited = self.awaiting.is_some();
        self.settle(round.number, now);
        // The newest append that was waited for is answered, and all earlier ones with it. Entries
        // that it left out, because an append has a most number of bytes, are no longer under way.
        let all_settled = awaited && self.awaiting.is_none();
        self.next = if all_settled { 0 } else { self.next }.max(self.matched + 1);
        rose
    }

    /// Notes that the follower refused `round` and agrees up to `agreement`, or at most up to
    /// `guess`. The next append starts there.
    pub fn refuse(&mut self, round: Round, agreement: Option<Index>, guess: Index, now: Micros) {
        self.answered = true;
        self.settle(round, now);
        self.probing = agreement.is_none();
        self.next = agreement.unwrap_or(guess).max(self.matched) + 1;
        if self.next == self.matched + 1 && self.matched > 0 {
            self.probing = false;
        }
    }

    /// Notes an answer to `round`: the follower lives, and nothing earlier is waited for. A copy of
    /// an old answer shows neither.
    fn settle(&mut self, round: Round, now: Micros) {
        if round <= self.heard_round {
            return;
        }
        self.heard_round = round;
        self.suspect = false;
        if let Some(awaiting) = &mut self.awaiting {
            if round >= awaiting.resent {
                (awaiting.attempts, awaiting.chains) = (0, 0);
            }
            awaiting.since = now;
            awaiting.first = awaiting.first.max(self.matched + 1);
            if round >= awaiting.round {
                self.awaiting = None;
            }
        }
    }

    /// The follower owes no answer to `round` or to an earlier one if it holds all up to `through`.
    pub fn settle_held(&mut self, round: Round, through: Index) {
        let is_held = self.matched >= through;
        self.awaiting = self.awaiting.filter(|awaiting| awaiting.round > round || !is_held);
    }

    /// Notes that an append was sent on `leg` of a round. `first` is its first entry.
    pub fn sent(&mut self, leg: Leg, first: Index, wants_answer: bool, now: Micros) {
        let Leg { round, hops, place } = leg;
        self.addressed_at = now;
        if !wants_answer {
            return;
        }
        match &mut self.awaiting {
            Some(awaiting) => {
                awaiting.round = round;
                (awaiting.hops, awaiting.place) = (hops, place);
                awaiting.first = awaiting.first.min(first);
            }
            None => {
                self.awaiting = Some(Awaiting {
                    round,
                    hops,
                    place,
                    since: now,
                    attempts: 0,
                    chains: 0,
                    resent: 0,
                    first,
                });
            }
        }
    }
}

/// What a leader remembers of a round.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct SentRound {
    /// The round's number.
    pub number: Round,
    /// When it began, by the leader's clock (rule R9).
    pub at: Micros,
    /// How long the promise that it asks for serves as a lease (rule R31).
    pub lease: Micros,
    /// The members it was sent to (rule R13).
    pub members: MemberSet,
    /// How many of them it visits one after the other; 1 if it goes to each directly.
    pub hops: usize,
}

/// The latest rounds of a leader.
#[derive(Clone, Debug, Hash)]
pub struct Rounds {
    /// Grows to its length as rounds begin, so that a young leader is small to copy.
    ring: Vec<SentRound>,
    /// Number of the newest round; 0 before the first.
    pub newest: Round,
}

/// How many rounds are remembered. Answers to older ones are stale.
const ROUNDS_KEPT: usize = 1024;

impl Rounds {
    /// No round yet.
    pub fn new() -> Rounds {
        Rounds { ring: Vec::new(), newest: 0 }
    }

    /// Begins a round at `at` that goes to `members`, over `hops` of them in a row. The promise
    /// that it asks for serves as a lease for `lease`.
    pub fn begin(
        &mut self,
        (at, lease): (Micros, Micros),
        members: MemberSet,
        hops: usize,
    ) -> Round {
        let place = self.newest as usize % ROUNDS_KEPT;
        self.newest += 1;
        let round = SentRound { number: self.newest, at, lease, members, hops };
        match self.ring.get_mut(place) {
            Some(old) => *old = round,
            None => self.ring.push(round),
        }
        self.newest
    }

    /// The round of that number, if it is remembered.
    pub fn get(&self, number: Round) -> Option<&SentRound> {
        let place = number.checked_sub(1)? as usize % ROUNDS_KEPT;
        self.ring.get(place).filter(|round| round.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_knows_that_it_is_to_watch_when_it_has_answered_the_round_that_said_so() {
        let short = Micros(1_000_000);
        let mut progress = Progress::new(1, Micros(0));
        let knows = |progress: &mut Progress, round, timeout, answered| {
            progress.tell_timeout(round, timeout);
            progress.answered_round = answered;
            progress.knows_to_watch()
        };
        assert!(knows(&mut progress, 1, short, 0), "nobody has told it otherwise");
        assert!(!knows(&mut progress, 2, NOT_WATCHING, 2));
        assert!(!knows(&mut progress, 3, short, 2));
        assert!(!knows(&mut progress, 4, short, 2));
        assert!(knows(&mut progress, 5, short, 3), "3 was the first that said so");
    }

    /// A follower that holds all up to `matched`, and owes an answer to round 7 from entry 1 on.
    fn awaited(matched: Index) -> Progress {
        let mut progress = Progress::new(1, Micros(0));
        progress.sent(Leg { round: 7, hops: 1, place: 0 }, 1, true, Micros(10));
        progress.matched = matched;
        progress
    }

    #[test]
    fn a_refusal_ends_the_search_only_where_entries_are_known_to_agree() {
        let refused = |matched, agreement, guess| {
            let mut progress = awaited(matched);
            progress.refuse(3, agreement, guess, Micros(20));
            (progress.next, progress.probing)
        };
        assert_eq!(refused(5, None, 3), (6, false), "all up to 5 is known to agree");
        assert_eq!(refused(5, None, 7), (8, true));
        assert_eq!(refused(0, None, 0), (1, true), "nothing is known");
        assert_eq!(refused(0, Some(4), 9), (5, false));
    }

    #[test]
    fn an_answer_to_an_earlier_round_moves_what_is_waited_for_past_what_is_held() {
        let mut progress = awaited(4);
        progress.refuse(6, Some(4), 4, Micros(20));
        let awaiting = progress.awaiting.expect("round 7 is not answered");
        assert_eq!((awaiting.first, awaiting.since), (5, Micros(20)));
        progress.refuse(7, Some(4), 4, Micros(30));
        assert!(progress.awaiting.is_none());
    }

    #[test]
    fn accepting_more_than_was_known_is_told() {
        let mut progress = awaited(4);
        let round = |number| SentRound { number, at: Micros(number), ..SentRound::default() };
        assert!(!progress.accept(&round(5), 4, Micros(20)));
        assert!(progress.accept(&round(6), 5, Micros(20)));
        assert!(!progress.accept(&round(4), 3, Micros(30)), "an old answer");
        assert_eq!((progress.matched, progress.answered_round), (5, 6));
    }

    #[test]
    fn what_is_held_is_owed_no_answer_but_later_rounds_are() {
        let owes = |round, through| {
            let mut progress = awaited(4);
            progress.settle_held(round, through);
            progress.awaiting.is_some()
        };
        assert_eq!([owes(6, 4), owes(7, 4), owes(8, 4)], [true, false, false]);
        assert_eq!([owes(6, 5), owes(7, 5), owes(8, 5)], [true; 3]);
    }
}
