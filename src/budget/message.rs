//! A message: what its sender recorded, and the hops that led to it.

use std::rc::Rc;

use crate::raft::{Index, Kind, Member, Micros, Term, Why};
use crate::record::MessageId;

use super::phases::Phase;

/// The last index that a message names, from what its sender recorded: an append's last entry, or
/// the index that an answer names.
pub const fn last_index(kind: Kind, first: Index, entries: u32) -> Index {
    match kind {
        Kind::Append => (first + entries as Index).saturating_sub(1),
        _ => first,
    }
}

/// What a sender recorded of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// When it was sent, in microseconds.
    pub at: Micros,
    /// The sender's running count of messages.
    pub number: u64,
    /// The message's kind.
    pub kind: Kind,
    /// Why it was sent.
    pub why: Why,
    /// The term it names.
    pub term: Term,
    /// First index carried; for an answer, the last index of what it answers.
    pub first: Index,
    /// Number of entries carried.
    pub entries: u32,
    /// Length of the datagram, in bytes.
    pub bytes: u32,
    /// The cluster's phase at that time.
    pub phase: Phase,
}

impl Sending {
    /// The last index that the message names.
    pub const fn through(&self) -> Index {
        last_index(self.kind, self.first, self.entries)
    }
}

/// One hop of the way that led to a message. Its receiver sent the next hop.
#[derive(Clone, Debug)]
pub struct Hop {
    /// The sender.
    pub from: Member,
    /// The receiver.
    pub to: Member,
    /// What the sender recorded.
    pub sending: Sending,
    /// When the receiver got it.
    pub received_at: Micros,
    /// The hop before.
    pub before: Option<Rc<Hop>>,
}

impl Hop {
    /// Which message this hop is.
    pub const fn id(&self) -> MessageId {
        MessageId { from: self.from, number: self.sending.number, to: self.to }
    }

    /// All hops of the way, from this one back to its beginning.
    pub fn back(&self) -> impl Iterator<Item = &Hop> {
        std::iter::successors(Some(self), |hop| hop.before.as_deref())
    }

    /// The first hop of the way.
    pub fn first(&self) -> &Hop {
        self.back().last().unwrap_or(self)
    }

    /// All hops of the way, from its beginning to this one.
    pub fn way(&self) -> Vec<&Hop> {
        let mut way: Vec<&Hop> = self.back().collect();
        way.reverse();
        way
    }
}
