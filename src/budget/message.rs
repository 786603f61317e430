//! A message: what its sender says of it and the way that led to it.

use std::rc::Rc;

use crate::raft::{Index, Kind, Member, Micros, Term, Why};
use crate::record::MessageId;

use super::phases::Phase;

/// The last index that a message speaks of, of what its sender records: an append's last entry, and
/// of an answer the index that it names.
pub const fn last_index(kind: Kind, first: Index, entries: u32) -> Index {
    match kind {
        Kind::Append => (first + entries as Index).saturating_sub(1),
        _ => first,
    }
}

/// What a sender says of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// When it was decided.
    pub at: Micros,
    /// The sender's running count.
    pub number: u64,
    /// What it is.
    pub kind: Kind,
    /// What for.
    pub why: Why,
    /// The term it names.
    pub term: Term,
    /// First index carried; of an answer, the last index of what it answers.
    pub first: Index,
    /// Entries carried.
    pub entries: u32,
    /// Bytes of the datagram.
    pub bytes: u32,
    /// The phase of the cluster.
    pub phase: Phase,
}

impl Sending {
    /// The last index that it speaks of.
    pub const fn through(&self) -> Index {
        last_index(self.kind, self.first, self.entries)
    }
}

/// One leg of the way that led to a message: whoever handled this one sent the next.
#[derive(Clone, Debug)]
pub struct Hop {
    /// Sender.
    pub from: Member,
    /// Receiver.
    pub to: Member,
    /// What the sender says.
    pub sending: Sending,
    /// When the receiver took it in.
    pub received_at: Micros,
    /// The hop before.
    pub before: Option<Rc<Hop>>,
}

impl Hop {
    /// Which message it is.
    pub const fn id(&self) -> MessageId {
        MessageId { from: self.from, number: self.sending.number, to: self.to }
    }

    /// The way from its beginning to here.
    pub fn way(&self) -> Vec<&Hop> {
        let mut way = vec![self];
        while let Some(before) = way.last().and_then(|hop| hop.before.as_deref()) {
            way.push(before);
        }
        way.reverse();
        way
    }
}
