//! The small types that every part of the core uses.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// A point in time, or a span of time, in microseconds. A point counts from the start of the run
/// (virtual engine) or of the process (service). The core only uses differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Micros(pub u64);

impl Micros {
    /// A deadline that never comes.
    pub const NEVER: Micros = Micros(u64::MAX);

    /// `seconds` as microseconds.
    pub const fn from_seconds(seconds: u64) -> Micros {
        Micros(seconds * 1_000_000)
    }

    /// `milliseconds` as microseconds.
    pub const fn from_millis(milliseconds: u64) -> Micros {
        Micros(milliseconds * 1_000)
    }

    /// The time since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Micros) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }

    /// The time in seconds, for people.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Add for Micros {
    type Output = Micros;
    fn add(self, other: Micros) -> Micros {
        Micros(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Micros {
    fn add_assign(&mut self, other: Micros) {
        *self = *self + other;
    }
}

impl Sub for Micros {
    type Output = Micros;
    fn sub(self, other: Micros) -> Micros {
        self.since(other)
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Term number (§5.1). 0 is before the first election.
pub type Term = u64;
/// Index of an entry in the log, from 1; 0 is "before the first entry".
pub type Index = u64;
/// Number of a leader's round of appends within its term (rule R9), from 1.
pub type Round = u64;

/// A replica, by its rank in the sorted list of all member IDs. The rank is the same at every
/// member, and small enough to index arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Member(pub u8);

impl Member {
    /// The rank as an array index.
    pub const fn rank(self) -> usize {
        self.0 as usize
    }
}

/// The replica's ID in a simulator: its rank, as four hexadecimal digits.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

/// Most members that a cluster can have: a [`MemberSet`] has one bit for each.
pub const MOST_MEMBERS: usize = 32;

/// A set of members, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemberSet(pub u32);

impl MemberSet {
    /// The empty set.
    pub const EMPTY: MemberSet = MemberSet(0);

    /// The set of `member` alone.
    pub const fn only(member: Member) -> MemberSet {
        MemberSet(1 << member.0)
    }

    /// All members of a cluster of `count`.
    pub fn all(count: usize) -> MemberSet {
        (0..count as u8).map(Member).collect()
    }

    /// Adds `member`.
    pub fn insert(&mut self, member: Member) {
        self.0 |= 1 << member.0;
    }

    /// Removes `member`.
    pub fn remove(&mut self, member: Member) {
        self.0 &= !(1 << member.0);
    }

    /// Whether the sets have a member in common.
    pub const fn meets(self, other: MemberSet) -> bool {
        self.0 & other.0 != 0
    }

    /// The members that are not in `other`.
    pub const fn without(self, other: MemberSet) -> MemberSet {
        MemberSet(self.0 & !other.0)
    }

    /// Whether `member` is in the set.
    pub const fn contains(self, member: Member) -> bool {
        self.0 & (1 << member.0) != 0
    }

    /// Whether every member of this set is in `other`.
    pub const fn is_subset_of(self, other: MemberSet) -> bool {
        self.0 & !other.0 == 0
    }

    /// Number of members in the set.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in order of rank.
    pub fn iter(self) -> impl Iterator<Item = Member> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let rank = left.trailing_zeros();
            // Clears the lowest bit. With no bit left, nothing changes.
            left &= left.wrapping_sub(1);
            (rank < MOST_MEMBERS as u32).then_some(Member(rank as u8))
        })
    }
}

impl Serialize for MemberSet {
    /// As a list of ranks.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl FromIterator<Member> for MemberSet {
    fn from_iter<T: IntoIterator<Item = Member>>(members: T) -> MemberSet {
        let mut set = MemberSet::EMPTY;
        members.into_iter().for_each(|member| set.insert(member));
        set
    }
}

/// An entry of the replicated log (§5.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Term of the leader that took the command in.
    pub term: Term,
    /// The command; the core does not look into it. Empty: the entry with which a leader opens its
    /// term (§8).
    pub command: Arc<[u8]>,
}

/// Some rounds: the newest of them, and which of the 64 before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecentRounds {
    newest: Round,
    /// Bit 0 stands for the round before the newest.
    before: u64,
}

impl RecentRounds {
    /// Adds `round`. Returns whether it is new here; one that is older than all that can be
    /// remembered is not.
    pub const fn insert(&mut self, round: Round) -> bool {
        if round > self.newest {
            let ahead = round - self.newest;
            self.before = match ahead {
                1..64 => self.before << ahead | 1 << (ahead - 1),
                64 => 1 << 63,
                _ => 0,
            };
            self.newest = round;
            return true;
        }
        let behind = self.newest - round;
        if behind == 0 || behind > 64 {
            return false;
        }
        let bit = 1 << (behind - 1);
        let is_new = self.before & bit == 0;
        self.before |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held against a set that remembers all.
    #[test]
    fn recent_rounds_are_remembered_once_and_older_ones_are_never_new() {
        for seed in 0..200 {
            let mut random = crate::raft::random::Random::new(seed, 0);
            let (mut recent, mut all) =
                (RecentRounds::default(), std::collections::BTreeSet::new());
            let mut newest = 0;
            for _ in 0..300 {
                let round =
                    1 + (newest + random.between(0, 40)).saturating_sub(random.between(0, 90));
                let is_remembered = newest - round.min(newest) <= 64;
                assert_eq!(recent.insert(round), is_remembered && all.insert(round), "{round}");
                newest = newest.max(round);
            }
            assert!(
                recent.insert(newest + 64) && !recent.insert(newest) && recent.insert(newest + 1)
            );
            assert!(recent.insert(newest + 200) && recent.insert(newest + 136));
        }
    }
}
