//! What a leader knows of one follower: tiny state, verbs that say whether anything moved.

use super::types::{Index, MemberSet, Micros, Round};

/// An answer that is being waited for.
#[derive(Clone, Copy, Debug)]
pub struct Awaiting {
    /// Newest round that wants an answer; it settles all before.
    pub round: Round,
    /// When the wait began, or began anew.
    pub since: Micros,
    /// How many timeouts in a row.
    pub attempts: u8,
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
    /// Smoothed round trip (RFC 6298), for observers; 0 before the first.
    pub round_trip: Micros,
    /// Estimated loss on the way there and back, in parts per million, for observers.
    pub loss_ppm: u64,
}

impl Progress {
    /// Of a follower about which a new leader knows nothing; `next` is a guess.
    pub fn new(next: Index, now: Micros) -> Progress {
        Progress {
            matched: 0,
            next,
            answered: false,
            answered_round: 0,
            answered_at: Micros(0),
            addressed_at: now,
            suspect: false,
            probing: false,
            settled_round: 0,
            told_commit: 0,
            awaiting: None,
            round_trip: Micros(0),
            loss_ppm: 0,
        }
    }

    /// An answer to a round came `sample` after it began: one message there, one back.
    pub fn measure(&mut self, sample: Micros) {
        self.round_trip = match self.round_trip.0 {
            0 => sample,
            smoothed => Micros((smoothed * 7 + sample.0) / 8),
        };
        for _ in 0..2 {
            self.loss_ppm -= self.loss_ppm / 64;
        }
    }

    /// An answer did not come in time.
    pub fn miss(&mut self) {
        self.loss_ppm += (1_000_000 - self.loss_ppm.min(1_000_000)) / 64;
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

    /// An answer to `round` came: it is no suspect, and nothing before is waited for.
    fn settle(&mut self, round: Round, now: Micros) {
        self.suspect = false;
        if let Some(awaiting) = &mut self.awaiting {
            awaiting.attempts = 0;
            awaiting.since = now;
            awaiting.first = awaiting.first.max(self.matched + 1);
            if round >= awaiting.round {
                self.awaiting = None;
            }
        }
    }

    /// An append of `round` that it should hear of has been sent.
    /// `first` is its first entry.
    pub fn sent(&mut self, round: Round, first: Index, wants_answer: bool, now: Micros) {
        self.addressed_at = now;
        if !wants_answer {
            return;
        }
        match &mut self.awaiting {
            Some(awaiting) => {
                awaiting.round = round;
                awaiting.first = awaiting.first.min(first);
            }
            None => self.awaiting = Some(Awaiting { round, since: now, attempts: 0, first }),
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

    /// Begins a round.
    pub fn begin(&mut self, at: Micros) -> Round {
        self.newest += 1;
        let place = self.newest as usize % ROUNDS_KEPT;
        self.ring[place] = SentRound { number: self.newest, at, members: Default::default() };
        self.newest
    }

    /// The round of that number, if it is remembered.
    pub fn get(&self, number: Round) -> Option<&SentRound> {
        Some(&self.ring[number as usize % ROUNDS_KEPT])
            .filter(|round| round.number == number && number > 0)
    }

    /// The round of that number, to note whom it goes to.
    pub fn get_mut(&mut self, number: Round) -> Option<&mut SentRound> {
        Some(&mut self.ring[number as usize % ROUNDS_KEPT])
            .filter(|round| round.number == number && number > 0)
    }
}
