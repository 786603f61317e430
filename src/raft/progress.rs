//! What a leader knows of one follower: tiny state, verbs that say whether anything moved.

use super::estimate::Loss;
use super::types::{Index, MemberSet, Micros, Round};

/// An answer that is being waited for.
#[derive(Clone, Copy, Debug)]
pub struct Awaiting {
    /// Newest round that wants an answer; it settles all before.
    pub round: Round,
    /// How many members that round visits, one after the other; the last of them answers.
    pub hops: usize,
    /// When the wait began, or began anew.
    pub since: Micros,
    /// How many timeouts in a row. Only an answer to the latest resend, or to what came after it,
    /// ends the row: an answer to an earlier round says that the member lives, not that it answers
    /// in time (rule R26, and Karn's for round trips).
    pub attempts: u8,
    /// The round of the latest resend; 0 before the first.
    pub resent: Round,
    /// First entry sent since the last answer: a resend starts there.
    pub first: Index,
}

/// A follower as its leader sees it.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Its log agrees with the leader's up to here. Only rises (rule R13).
    pub matched: Index,
    /// First entry not sent to it yet.
    pub next: Index,
    /// It has answered in this term, and may join quorums (rule R15).
    pub answered: bool,
    /// Newest round that it answered, yes or no. An answer to an older one says nothing new.
    pub heard_round: Round,
    /// Newest round that it accepted.
    pub answered_round: Round,
    /// When that round began, by the leader's clock (rule R9).
    pub answered_at: Micros,
    /// When the newest append that it should hear of was sent: orders the rotation (rule R17) and
    /// dates its next heartbeat.
    pub addressed_at: Micros,
    /// Silent to a direct message: out of quorums until it answers (rule R16).
    pub suspect: bool,
    /// Where its log agrees is not known: it gets no entries.
    pub probing: bool,
    /// Refusals of rounds before this one are settled by what was sent in it.
    pub settled_round: Round,
    /// Commit index of the newest append that it should hear of.
    pub told_commit: Index,
    /// The answer waited for, if any.
    pub awaiting: Option<Awaiting>,
    /// Loss on the way there and back, for observers.
    pub loss: Loss,
}

impl Progress {
    /// Of a follower about which a new leader knows nothing; `next` is a guess.
    pub fn new(next: Index, now: Micros) -> Progress {
        Progress {
            matched: 0,
            next,
            answered: false,
            heard_round: 0,
            answered_round: 0,
            answered_at: Micros(0),
            addressed_at: now,
            suspect: false,
            probing: false,
            settled_round: 0,
            told_commit: 0,
            awaiting: None,
            loss: Loss::default(),
        }
    }

    /// Whether it can be counted on for a quorum.
    pub const fn is_healthy(&self) -> bool {
        self.answered && !self.suspect && !self.probing
    }

    /// It accepted `round` and holds all up to `through`. Whether `matched` rose.
    pub fn accept(&mut self, round: &SentRound, through: Index, now: Micros) -> bool {
        self.answered = true;
        if round.number > self.answered_round {
            self.answered_round = round.number;
            self.answered_at = round.at;
        }
        self.probing = false;
        let rose = through > self.matched;
        self.matched = self.matched.max(through);
        let awaited = self.awaiting.is_some();
        self.settle(round.number, now);
        // The newest append that was waited for has come, and all before with it. What it did not
        // carry, cut to the most bytes, is under way no longer.
        let all_settled = awaited && self.awaiting.is_none();
        self.next = if all_settled { 0 } else { self.next }.max(self.matched + 1);
        rose
    }

    /// It refused `round` and agrees up to `agreement`, or at most up to `guess`. The next append
    /// goes from there.
    pub fn refuse(&mut self, round: Round, agreement: Option<Index>, guess: Index, now: Micros) {
        self.answered = true;
        self.settle(round, now);
        self.probing = agreement.is_none();
        self.next = agreement.unwrap_or(guess).max(self.matched) + 1;
        if self.next == self.matched + 1 && self.matched > 0 {
            self.probing = false;
        }
    }

    /// An answer to `round` came: it lives, and nothing before is waited for. A copy of an old
    /// answer shows neither.
    fn settle(&mut self, round: Round, now: Micros) {
        if round <= self.heard_round {
            return;
        }
        self.heard_round = round;
        self.suspect = false;
        if let Some(awaiting) = &mut self.awaiting {
            if round >= awaiting.resent {
                awaiting.attempts = 0;
            }
            awaiting.since = now;
            awaiting.first = awaiting.first.max(self.matched + 1);
            if round >= awaiting.round {
                self.awaiting = None;
            }
        }
    }

    /// An append of `round` that it should hear of has been sent over `hops` members, it among
    /// them. `first` is its first entry.
    pub fn sent(
        &mut self,
        (round, hops): (Round, usize),
        first: Index,
        wants_answer: bool,
        now: Micros,
    ) {
        self.addressed_at = now;
        if !wants_answer {
            return;
        }
        match &mut self.awaiting {
            Some(awaiting) => {
                awaiting.round = round;
                awaiting.hops = hops;
                awaiting.first = awaiting.first.min(first);
            }
            None => {
                let (since, attempts, resent) = (now, 0, 0);
                self.awaiting = Some(Awaiting { round, hops, since, attempts, resent, first });
            }
        }
    }
}

/// What a leader remembers of a round.
#[derive(Clone, Copy, Debug, Default)]
pub struct SentRound {
    /// Its number; 0 in an unused place.
    pub number: Round,
    /// When it began, by the leader's clock (rule R9).
    pub at: Micros,
    /// Whom it was sent to (rule R13).
    pub members: MemberSet,
    /// How many of them it visits one after the other: 1 if it goes to each directly.
    pub hops: usize,
}

/// The latest rounds of a leader.
#[derive(Clone, Debug)]
pub struct Rounds {
    ring: Vec<SentRound>,
    /// Number of the newest round; 0 before the first.
    pub newest: Round,
}

/// How many rounds are remembered: answers to older ones are stale.
const ROUNDS_KEPT: usize = 1024;

impl Rounds {
    /// No round yet.
    pub fn new() -> Rounds {
        Rounds { ring: vec![SentRound::default(); ROUNDS_KEPT], newest: 0 }
    }

    /// Begins a round that goes to `members`, over `hops` of them in a row.
    pub fn begin(&mut self, at: Micros, members: MemberSet, hops: usize) -> Round {
        self.newest += 1;
        let place = self.newest as usize % ROUNDS_KEPT;
        self.ring[place] = SentRound { number: self.newest, at, members, hops };
        self.newest
    }

    /// The round of that number, if it is remembered.
    pub fn get(&self, number: Round) -> Option<&SentRound> {
        Some(&self.ring[number as usize % ROUNDS_KEPT])
            .filter(|round| round.number == number && number > 0)
    }
}
