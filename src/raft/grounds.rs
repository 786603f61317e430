//! Whether what members do and believe has its grounds in what others have really done: votes
//! behind a leadership, no vote under a promise, holders behind a commit, promises behind a lease.
//! A cluster that breaks one of these may go on for long before anybody sees a wrong answer, so it
//! is looked at in each step.

use std::collections::BTreeMap;

use super::event::Event;
use super::invariants::Broken;
use super::step::Raft;
use super::types::{Index, Member, Micros, Term};

/// What must be remembered of the cluster's past.
#[derive(Clone, Debug, Default)]
pub struct Grounds {
    /// Whom each member voted for, by term. A candidate votes for itself.
    votes: BTreeMap<(Term, Member), Member>,
    /// Until when each member has ever promised not to vote, by its own clock.
    promised: Vec<Micros>,
}

impl Grounds {
    /// For a cluster of `count` members that has done nothing yet.
    pub fn new(count: usize) -> Grounds {
        Grounds { votes: BTreeMap::new(), promised: vec![Micros(0); count] }
    }

    /// Checks what `event`, reported by `raft` in a step at `now` by its own clock, rests on.
    ///
    /// # Errors
    /// What has no grounds.
    pub fn observe(&mut self, raft: &Raft, now: Micros, event: &Event) -> Result<(), Broken> {
        let member = raft.member();
        match *event {
            Event::Voted { candidate, term } => {
                self.keeps_promise(member, now)?;
                self.on_vote(member, candidate, term)
            }
            Event::BecameCandidate { term } => {
                self.keeps_promise(member, now)?;
                self.on_vote(member, member, term)
            }
            Event::BecamePreCandidate { .. } => self.keeps_promise(member, now),
            Event::BecameLeader { term, .. } => self.on_leader(member, term),
            Event::Committed { through } if raft.is_leader() => on_leaders_commit(raft, through),
            _ => Ok(()),
        }
    }

    /// Checks what a step of `raft` leaves behind; `other` gives the members of the cluster. `now`
    /// is the time that all their clocks show; `None`: they differ, and then leases are not looked
    /// at.
    ///
    /// # Errors
    /// What has no grounds.
    pub fn after_step<'a>(
        &mut self,
        raft: &Raft,
        now: Option<Micros>,
        other: impl Fn(Member) -> Option<&'a Raft>,
    ) -> Result<(), Broken> {
        let promised = &mut self.promised[raft.member().rank()];
        *promised = raft.promise_until().max(*promised);
        check_counted(raft, &other)?;
        now.map_or(Ok(()), |now| self.check_lease(raft, now, other))
    }

    /// While a leader may answer reads under its lease, a majority is bound by a promise, itself
    /// included (rules R7 to R9, R31).
    fn check_lease<'a>(
        &self,
        leader: &Raft,
        now: Micros,
        other: impl Fn(Member) -> Option<&'a Raft>,
    ) -> Result<(), Broken> {
        let Some(until) = leader.lease_until().filter(|until| now < *until) else {
            return Ok(());
        };
        let count = self.promised.len();
        let others = (0..count as u8).map(Member).filter(|member| *member != leader.member());
        let is_bound = |raft: &Raft| now < raft.promise_until();
        let others_bound = others.filter_map(other).filter(|raft| is_bound(raft)).count();
        let bound = others_bound + usize::from(is_bound(leader));
        if bound * 2 > count {
            return Ok(());
        }
        Err(Broken::LeaseWithoutPromises { leader: leader.member(), until, now, bound })
    }

    /// Rule R7: no vote and no candidacy while a promise is in force, whatever became of it.
    fn keeps_promise(&self, member: Member, now: Micros) -> Result<(), Broken> {
        let until = self.promised[member.rank()];
        if now < until { Err(Broken::Promise { member, now, until }) } else { Ok(()) }
    }

    /// A member has one vote in each term (§5.2).
    fn on_vote(&mut self, member: Member, candidate: Member, term: Term) -> Result<(), Broken> {
        let one = *self.votes.entry((term, member)).or_insert(candidate);
        if one == candidate {
            return Ok(());
        }
        Err(Broken::VotedTwice { member, term, one, other: candidate })
    }

    /// A majority has voted for a leader (§5.2).
    fn on_leader(&self, leader: Member, term: Term) -> Result<(), Broken> {
        let of_term = self.votes.range((term, Member(0))..=(term, Member(u8::MAX)));
        let votes = of_term.filter(|(_, candidate)| **candidate == leader).count();
        if votes * 2 > self.promised.len() {
            return Ok(());
        }
        Err(Broken::TooFewVotes { leader, term, votes })
    }
}

/// What a leader commits ends in an entry of its own term (§5.4.2, figure 8).
fn on_leaders_commit(leader: &Raft, through: Index) -> Result<(), Broken> {
    if leader.log().term_at(through) == Some(leader.term()) {
        return Ok(());
    }
    Err(Broken::OldTermCounted { leader: leader.member(), index: through })
}

/// Each follower holds what its leader counts it for, and has accepted the newest round that its
/// leader dates it by (rules R9, R13, R32). A follower that has gone on to a higher term may have
/// lost entries since.
fn check_counted<'a>(
    leader: &Raft,
    other: impl Fn(Member) -> Option<&'a Raft>,
) -> Result<(), Broken> {
    for (member, matched, round) in leader.counted() {
        let Some(follower) = other(member).filter(|other| other.term() <= leader.term()) else {
            continue;
        };
        let leader_name = leader.member();
        if follower.log().term_at(matched) != leader.log().term_at(matched) {
            return Err(Broken::NotHeld { leader: leader_name, member, matched });
        }
        let accepted = if follower.term() == leader.term() { follower.promised_round() } else { 0 };
        if round > accepted {
            return Err(Broken::RoundNotAccepted { leader: leader_name, member, round });
        }
    }
    Ok(())
}
