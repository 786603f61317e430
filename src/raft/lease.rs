//! What a leader knows of its quorum as a whole: whether it is in touch with it, and how long it
//! may answer reads without asking (rules R6, R7 to R9, R23).

use super::types::{Micros, Round};

/// The quorum's latest answer, and since when it owes one.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Lease {
    /// Newest round that a quorum accepted; 0 before the first.
    round: Round,
    /// When that round began; before the first, when the election was won.
    began_at: Micros,
    /// Until when a quorum has promised not to elect another, less the margin; zero before the
    /// first answers.
    until: Micros,
    /// First of the rounds that the latest request for a quorum's answers covers.
    asked_round: Round,
    /// Since when a quorum owes an answer; `None`: it owes none.
    owed_since: Option<Micros>,
}

impl Lease {
    /// For a leader elected at `now` that has asked nobody yet.
    pub const fn new(now: Micros) -> Lease {
        Lease { round: 0, began_at: now, until: Micros(0), asked_round: 0, owed_since: None }
    }

    /// Notes that a quorum that can be counted on was asked to answer rounds from `first` on (rule
    /// R23).
    pub fn ask(&mut self, first: Round, now: Micros) {
        self.asked_round = first;
        self.owed_since.get_or_insert(now);
    }

    /// Notes that a quorum accepted `round`, which began at `began_at` by the leader's clock (rule
    /// R9). Returns whether that was news.
    pub fn renew(&mut self, round: Round, began_at: Micros, now: Micros) -> bool {
        let is_news = round > self.round;
        if is_news {
            (self.round, self.began_at) = (round, began_at);
            self.owed_since = (round < self.asked_round).then_some(now);
        }
        is_news
    }

    /// Notes that a quorum has promised not to elect another before `until` (rules R7 to R9, R31).
    pub fn extend(&mut self, until: Micros) {
        self.until = self.until.max(until);
    }

    /// Until when reads need no round; `None` before a quorum has answered.
    pub fn until(&self) -> Option<Micros> {
        (self.round > 0).then_some(self.until)
    }

    /// Whether a quorum owes an answer.
    pub const fn is_owed(&self) -> bool {
        self.owed_since.is_some()
    }

    /// Whether a quorum has accepted `round`.
    pub const fn covers(&self, round: Round) -> bool {
        round <= self.round
    }

    /// Whether a quorum was asked in a round after `newest`.
    pub const fn has_asked_since(&self, newest: Round) -> bool {
        self.asked_round > newest
    }

    /// Whether a quorum answered within `patience`, or owes no answer (rule R6).
    pub fn is_in_touch(&self, now: Micros, patience: Micros) -> bool {
        self.owed_since.is_none_or(|since| now < since + patience)
    }

    /// When the newest round that a quorum has answered began; before the first, when the election
    /// was won.
    pub const fn renewed_at(&self) -> Micros {
        self.began_at
    }

    /// Whether a quorum has answered a round that began no longer ago than `span`.
    pub fn is_fresh(&self, now: Micros, span: Micros) -> bool {
        self.round > 0 && now < self.began_at + span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_in_touch_until_it_owes_an_answer_for_too_long() {
        let mut lease = Lease::new(Micros(10));
        assert!(lease.is_in_touch(Micros(1_000), Micros(50)), "nothing was asked");
        lease.ask(5, Micros(100));
        assert!([4, 5].map(|newest| lease.has_asked_since(newest)) == [true, false]);
        let in_touch = |lease: &Lease, now| lease.is_in_touch(Micros(now), Micros(50));
        assert_eq!([in_touch(&lease, 149), in_touch(&lease, 150)], [true, false]);
        lease.ask(6, Micros(140));
        assert!(!in_touch(&lease, 150), "it owes an answer since the first question");
        assert!(lease.renew(5, Micros(100), Micros(150)) && lease.is_owed());
        assert!(!lease.renew(5, Micros(100), Micros(160)));
        assert!(lease.renew(6, Micros(140), Micros(170)) && !lease.is_owed());
    }

    #[test]
    fn a_lease_is_fresh_from_the_first_answer_on_for_a_span() {
        let mut lease = Lease::new(Micros(10));
        let fresh = |lease: &Lease, now| lease.is_fresh(Micros(now), Micros(50));
        assert!(!fresh(&lease, 20));
        lease.renew(1, Micros(100), Micros(120));
        assert_eq!([fresh(&lease, 149), fresh(&lease, 150)], [true, false]);
    }
}
