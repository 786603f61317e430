//! The members of a cluster: their IDs on the wire, and their ranks in the core.

use crate::interface::Address;
use crate::raft::Member;

/// The members of a cluster by rank: their sorted IDs, in the same order at every member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    addresses: Vec<Address>,
    me: Member,
}

/// Why a list of IDs does not make a cluster.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadMembership {
    /// The same ID twice.
    #[error("ID {0} is given twice")]
    Twice(Address),
    /// `FFFF` is in the list.
    #[error("ID FFFF is reserved")]
    Reserved,
    /// There are fewer than 2 IDs, or more than 21.
    #[error("a cluster has 2 to 21 replicas, not {0}")]
    Size(usize),
}

impl Membership {
    /// The cluster of `me` and `others`, in any order (interface §1).
    ///
    /// # Errors
    /// If an ID occurs twice or is reserved, or there are too few or too many.
    pub fn new(me: Address, others: &[Address]) -> Result<Membership, BadMembership> {
        let mut addresses: Vec<Address> = others.iter().copied().chain([me]).collect();
        addresses.sort();
        if let Some(pair) = addresses.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(BadMembership::Twice(pair[0]));
        }
        if addresses.contains(&Address::EVERYONE) {
            return Err(BadMembership::Reserved);
        }
        if !(2..=21).contains(&addresses.len()) {
            return Err(BadMembership::Size(addresses.len()));
        }
        let rank = addresses.partition_point(|address| *address < me);
        Ok(Membership { addresses, me: Member(rank as u8) })
    }

    /// This replica's rank.
    pub fn me(&self) -> Member {
        self.me
    }

    /// Number of members.
    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    /// The ID of `member`.
    pub fn address(&self, member: Member) -> Address {
        self.addresses.get(member.rank()).copied().unwrap_or(Address::UNKNOWN)
    }

    /// The ID of the leader; [`Address::UNKNOWN`] if there is none.
    pub fn leader_address(&self, leader: Option<Member>) -> Address {
        leader.map_or(Address::UNKNOWN, |leader| self.address(leader))
    }

    /// The member with this ID.
    pub fn member(&self, address: Address) -> Option<Member> {
        self.addresses.binary_search(&address).ok().map(|rank| Member(rank as u8))
    }
}
