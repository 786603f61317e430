//! A message: what its sender says of it, the way that led to it, and what became of it.

use std::rc::Rc;

use crate::raft::{Index, Kind, Member, Micros, Term, Why};

use super::phases::Phase;

/// What became of a message, one for each receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Fate {
    /// Taken in, and it said something new; a no is an answer too.
    Delivered = 0,
    /// Taken in too late to say anything.
    Stale = 1,
    /// Taken in, and it said nothing new.
    Duplicate = 2,
    /// Taken in and dropped as impossible.
    Implausible = 3,
    /// Lost at random (`drops`).
    Dropped = 4,
    /// A partition stood between.
    CutOff = 5,
    /// Its receiver was dead.
    Dead = 6,
    /// The machine's full socket refused it.
    Blocked = 7,
    /// Forwarded, but its receiver ended before it read it, or the kernel lost it on this last way.
    UnreadByReceiver = 8,
    /// It lay in the simulator's socket when that was closed.
    UnreadBySimulator = 9,
    /// The kernel lost it on the way to the simulator, which has read later ones.
    LostInSocket = 10,
}

impl Fate {
    /// Every fate, in the order of reports.
    pub const ALL: [Fate; 11] = [
        Fate::Delivered,
        Fate::Stale,
        Fate::Duplicate,
        Fate::Implausible,
        Fate::Dropped,
        Fate::CutOff,
        Fate::Dead,
        Fate::Blocked,
        Fate::UnreadByReceiver,
        Fate::UnreadBySimulator,
        Fate::LostInSocket,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Fate::Delivered => "delivered",
            Fate::Stale => "stale",
            Fate::Duplicate => "duplicate",
            Fate::Implausible => "implausible",
            Fate::Dropped => "dropped",
            Fate::CutOff => "cut_off",
            Fate::Dead => "dead",
            Fate::Blocked => "blocked",
            Fate::UnreadByReceiver => "unread_by_receiver",
            Fate::UnreadBySimulator => "unread_by_simulator",
            Fate::LostInSocket => "lost_in_socket",
        }
    }

    /// Whether the simulator read it, and so counted it.
    pub const fn is_counted(self) -> bool {
        !matches!(self, Fate::UnreadBySimulator | Fate::LostInSocket)
    }

    /// Whether its receiver took it in.
    pub const fn is_received(self) -> bool {
        matches!(self, Fate::Delivered | Fate::Stale | Fate::Duplicate | Fate::Implausible)
    }
}

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
