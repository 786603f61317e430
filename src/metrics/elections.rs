//! Candidacies, and which leader is known since when.

use super::exporter::Exporter;
use super::family::{ELECTIONS, LEADER_CHANGES, STEPPED_DOWN};
use super::tally::Tally;
use crate::raft::{Deposed, Event, Member, Micros};

/// The stage that a candidacy has reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Candidacy {
    PreVote,
    Vote,
}

/// The fold over changes of role and of leader.
pub(super) struct Elections {
    won: Tally,
    lost: Tally,
    given_up: Tally,
    changes: Tally,
    ended: [Tally; 2],
    candidacy: Option<Candidacy>,
    /// The latest leader known, which may be dead by now.
    latest: Option<Member>,
    leaderless_since: Option<Micros>,
    leaderless: Micros,
}

impl Elections {
    /// Starts before the first election, with no leader known.
    pub fn new(exporter: &Exporter) -> Elections {
        let outcome = |outcome| exporter.counter(&ELECTIONS, &[outcome]);
        let ended = |reason: Deposed| exporter.counter(&STEPPED_DOWN, &[reason.name()]);
        Elections {
            won: outcome("won"),
            lost: outcome("lost"),
            given_up: outcome("given_up"),
            changes: exporter.counter(&LEADER_CHANGES, &[]),
            ended: [Deposed::HigherTerm, Deposed::NoQuorum].map(ended),
            candidacy: None,
            latest: None,
            leaderless_since: Some(Micros(0)),
            leaderless: Micros(0),
        }
    }

    /// Notes that the state of `me` changed at `now`.
    pub fn on_event(&mut self, now: Micros, me: Member, event: Event) {
        match event {
            Event::BecamePreCandidate { .. } => {
                self.end_candidacy();
                self.candidacy = Some(Candidacy::PreVote);
                self.lose_leader(now);
            }
            Event::BecameCandidate { .. } => {
                self.candidacy = Some(Candidacy::Vote);
                self.lose_leader(now);
            }
            Event::BecameLeader { .. } => {
                self.candidacy = None;
                self.won.add(1);
                self.know_leader(now, me);
            }
            Event::LeaderHeard { leader, .. } => {
                self.end_candidacy();
                self.know_leader(now, leader);
            }
            Event::TermStarted { .. } => {
                // A pre-candidate may have begun this term itself. Its candidacy then goes on.
                if self.candidacy == Some(Candidacy::Vote) {
                    self.end_candidacy();
                }
                self.lose_leader(now);
            }
            Event::SteppedDown { reason, .. } => {
                self.ended[reason as usize].add(1);
                self.lose_leader(now);
            }
            _ => {}
        }
    }

    /// Notes that an append was accepted. A pre-candidate had taken its leader for dead: that
    /// leader is back in its term (rule R18).
    pub fn on_append_accepted(&mut self, now: Micros) {
        if self.candidacy == Some(Candidacy::PreVote) {
            self.end_candidacy();
            if let Some(since) = self.leaderless_since.take() {
                self.leaderless += now.since(since);
            }
        }
    }

    /// The total time in which no live leader was known, until `now`.
    pub fn leaderless(&self, now: Micros) -> Micros {
        let open = self.leaderless_since.map_or(Micros(0), |since| now.since(since));
        self.leaderless + open
    }

    fn end_candidacy(&mut self) {
        match self.candidacy.take() {
            Some(Candidacy::PreVote) => self.given_up.add(1),
            Some(Candidacy::Vote) => self.lost.add(1),
            None => {}
        }
    }

    fn know_leader(&mut self, now: Micros, leader: Member) {
        if self.latest.replace(leader) != Some(leader) {
            self.changes.add(1);
        }
        if let Some(since) = self.leaderless_since.take() {
            self.leaderless += now.since(since);
        }
    }

    fn lose_leader(&mut self, now: Micros) {
        self.leaderless_since.get_or_insert(now);
    }
}
