//! What must hold in every state of a cluster (Raft paper, figure 3), checked as the cluster runs.
//! Only what a step touched is checked, so that every virtual step can be. [`check_all`] checks
//! everything from scratch, and a test makes sure that the two agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::Event;
use super::log::Log;
use super::step::Raft;
use super::types::{Entry, Index, Member, Micros, Round, Term};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Election Safety (§5.2).
    #[error("Election Safety: {one:?} and {other:?} both lead in term {term}")]
    TwoLeaders {
        /// The term with two leaders.
        term: Term,
        /// The member that led first.
        one: Member,
        /// The other leader.
        other: Member,
    },
    /// Log Matching (§5.3).
    #[error("Log Matching: two entries of term {term} at index {index}")]
    LogMatching {
        /// Index of the two entries.
        index: Index,
        /// Term of the two entries.
        term: Term,
    },
    /// Leader Completeness (§5.4).
    #[error("Leader Completeness: {leader:?} leads term {term} without committed entry {index}")]
    LeaderCompleteness {
        /// The leader that lacks the entry.
        leader: Member,
        /// The leader's term.
        term: Term,
        /// Index of the missing entry.
        index: Index,
    },
    /// State Machine Safety (§5.4.3).
    #[error("State Machine Safety: {member:?} committed another entry at index {index}")]
    StateMachineSafety {
        /// The member that committed another entry.
        member: Member,
        /// Index of the entry.
        index: Index,
    },
    /// Rule R12: nothing committed is ever truncated.
    #[error("{member:?} truncated from index {first}, below its commit index")]
    TruncatedCommitted {
        /// The member that truncated its log.
        member: Member,
        /// First index truncated.
        first: Index,
    },
    /// A member has one vote in each term (§5.2).
    #[error("{member:?} votes for {one:?} and for {other:?} in term {term}")]
    VotedTwice {
        /// The member that voted twice.
        member: Member,
        /// The term of the votes.
        term: Term,
        /// Who got its first vote.
        one: Member,
        /// Who got the other.
        other: Member,
    },
    /// A majority votes for a leader (§5.2).
    #[error("{leader:?} leads term {term} with {votes} votes")]
    TooFewVotes {
        /// The leader.
        leader: Member,
        /// Its term.
        term: Term,
        /// How many members voted for it in this term, itself included.
        votes: usize,
    },
    /// Rule R7: no vote and no candidacy under a promise.
    #[error("{member:?} votes or campaigns at {now} s and has promised not to until {until} s")]
    Promise {
        /// The member that broke its promise.
        member: Member,
        /// When it did, by its own clock.
        now: Micros,
        /// Until when it has promised not to.
        until: Micros,
    },
    /// A leader commits entries of earlier terms only with one of its own (§5.4.2).
    #[error("{leader:?} commits through {index}, which is of an earlier term")]
    OldTermCounted {
        /// The leader.
        leader: Member,
        /// The last index that it committed.
        index: Index,
    },
    /// Rule R13: a leader counts only what a follower holds.
    #[error(
        "{leader:?} counts {member:?} for entries through {matched}, and it does not hold them"
    )]
    NotHeld {
        /// The leader.
        leader: Member,
        /// The follower.
        member: Member,
        /// Up to where the leader takes their logs to agree.
        matched: Index,
    },
    /// Rules R9 and R32: a leader dates a follower only by a round that this one has accepted.
    #[error("{leader:?} dates {member:?} by round {round}, which it has not accepted")]
    RoundNotAccepted {
        /// The leader.
        leader: Member,
        /// The follower.
        member: Member,
        /// The round.
        round: Round,
    },
    /// Rules R7 to R9 and R31: behind a lease stand the promises of a majority.
    #[error("{leader:?} may read until {until} s, and at {now} s only {bound} members are bound")]
    LeaseWithoutPromises {
        /// The leader.
        leader: Member,
        /// Until when its lease lasts.
        until: Micros,
        /// When this was seen.
        now: Micros,
        /// How many members are bound by a promise, the leader included.
        bound: usize,
    },
}

/// An entry when it was first seen: its term, the term before it, and its command.
type Seen = (Term, Term, Arc<[u8]>);

/// What the invariants need to remember of the cluster's past.
#[derive(Debug, Default)]
pub struct Invariants {
    leaders: BTreeMap<Term, Member>,
    /// By index: every entry that was ever there, usually one.
    seen: Vec<Vec<Seen>>,
    /// The committed entries, by index.
    committed: Vec<Entry>,
    /// The term in which each of them was committed: that of the leader, which commits first.
    committed_in: Vec<Term>,
    /// Commit index of each member.
    commits: Vec<Index>,
}

impl Invariants {
    /// For a cluster of `count` members that has done nothing yet.
    pub fn new(count: usize) -> Invariants {
        Invariants { commits: vec![0; count], ..Invariants::default() }
    }

    /// Checks what `event`, just reported by `raft`, touched.
    ///
    /// # Errors
    /// The broken invariant.
    pub fn observe(&mut self, raft: &Raft, event: &Event) -> Result<(), Broken> {
        let member = raft.member();
        match *event {
            Event::BecameLeader { term, .. } => self.on_leader(member, term, raft.log()),
            Event::Appended { first, last, .. } => {
                (first..=last).try_for_each(|index| self.on_entry(raft.log(), index))
            }
            Event::Committed { through } => self.on_commit(raft, through),
            Event::Truncated { first, .. } if first <= self.commits[member.rank()] => {
                Err(Broken::TruncatedCommitted { member, first })
            }
            _ => Ok(()),
        }
    }

    fn on_leader(&mut self, leader: Member, term: Term, log: &Log) -> Result<(), Broken> {
        let one = *self.leaders.entry(term).or_insert(leader);
        if one != leader {
            return Err(Broken::TwoLeaders { term, one, other: leader });
        }
        // Only entries that were committed in an earlier term: a leader can learn late that it was
        // elected.
        let lacks = |entry: &Entry, index| log.term_at(index) != Some(entry.term);
        let earlier = self.committed_in.iter().map(|committed_in| *committed_in < term);
        let committed = self.committed.iter().zip(earlier).zip(1..);
        match committed.into_iter().find(|((e, earlier), index)| *earlier && lacks(e, *index)) {
            Some((_, index)) => Err(Broken::LeaderCompleteness { leader, term, index }),
            None => Ok(()),
        }
    }

    fn on_entry(&mut self, log: &Log, index: Index) -> Result<(), Broken> {
        let (Some(entry), Some(before)) = (log.entry(index), log.term_at(index - 1)) else {
            return Ok(());
        };
        if self.seen.len() < index as usize {
            self.seen.resize_with(index as usize, Vec::new);
        }
        let place = &mut self.seen[index as usize - 1];
        match place.iter().find(|(term, _, _)| *term == entry.term) {
            None => {
                place.push((entry.term, before, entry.command.clone()));
                Ok(())
            }
            Some((_, other, command)) if *other == before && same(command, &entry.command) => {
                Ok(())
            }
            Some(_) => Err(Broken::LogMatching { index, term: entry.term }),
        }
    }

    fn on_commit(&mut self, raft: &Raft, through: Index) -> Result<(), Broken> {
        let (member, log) = (raft.member(), raft.log());
        let from = self.commits[member.rank()] + 1;
        self.commits[member.rank()] = through;
        for index in from..=through {
            let Some(entry) = log.entry(index) else {
                return Err(Broken::StateMachineSafety { member, index });
            };
            match self.committed.get(index as usize - 1) {
                None => {
                    self.committed.push(entry.clone());
                    self.committed_in.push(raft.term());
                }
                Some(other) if other.term == entry.term && same(&other.command, &entry.command) => {
                }
                Some(_) => return Err(Broken::StateMachineSafety { member, index }),
            }
        }
        Ok(())
    }

    /// The committed entries, in order.
    pub fn committed(&self) -> &[Entry] {
        &self.committed
    }
}

fn same(one: &Arc<[u8]>, other: &Arc<[u8]>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Checks one state of a whole cluster: the leaders of each term, the logs in pairs, the committed
/// prefixes, and that the leaders of the newest term hold what is committed.
///
/// # Errors
/// The broken invariant.
pub fn check_all(rafts: &[&Raft]) -> Result<(), Broken> {
    let leading = || rafts.iter().filter(|raft| raft.is_leader());
    for (place, one) in rafts.iter().enumerate() {
        for other in &rafts[place + 1..] {
            let term = one.term();
            if one.is_leader() && other.is_leader() && other.term() == term {
                let (one, other) = (one.member(), other.member());
                return Err(Broken::TwoLeaders { term, one, other });
            }
            check_pair(one, other)?;
        }
    }
    let Some(newest) = leading().max_by_key(|raft| raft.term()) else {
        return Ok(());
    };
    for raft in rafts.iter().filter(|raft| raft.term() <= newest.term()) {
        let lacks = |index: &Index| newest.log().term_at(*index) != raft.log().term_at(*index);
        if let Some(index) = (1..=raft.commit()).find(lacks) {
            let (leader, term) = (newest.member(), newest.term());
            return Err(Broken::LeaderCompleteness { leader, term, index });
        }
    }
    Ok(())
}

/// Log Matching and State Machine Safety between two members.
fn check_pair(one: &Raft, other: &Raft) -> Result<(), Broken> {
    let pairs = || one.log().entries().iter().zip(other.log().entries()).zip(1..);
    let agree = |(left, right): (&Entry, &Entry)| {
        left.term == right.term && same(&left.command, &right.command)
    };
    let deepest = pairs().filter(|((left, right), _)| left.term == right.term).last();
    let deepest = deepest.map_or(0, |(_, index)| index);
    for (pair, index) in pairs() {
        if agree(pair) {
            continue;
        }
        if index <= deepest {
            return Err(Broken::LogMatching { index, term: pair.0.term });
        }
        if index <= one.commit().min(other.commit()) {
            return Err(Broken::StateMachineSafety { member: other.member(), index });
        }
    }
    Ok(())
}
