//! A datagram as a type.

use std::ops::Deref;

use crate::interface::{Address, Operation, Outcome, Text};
use crate::raft::Message;

/// The most bytes that IPv4 UDP carries (interface §2).
pub const MOST_DATAGRAM_BYTES: usize = 65_507;

/// What a datagram carries besides its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Tells the simulator a replica's port.
    Hello,
    /// A client's request.
    Request {
        /// The request's MID.
        mid: Text,
        /// What is asked.
        operation: Operation,
    },
    /// A replica's answer to a client.
    Answer {
        /// MID of the request answered.
        mid: Text,
        /// How it ended.
        outcome: Outcome,
    },
    /// A message from a replica to another, or to all.
    Peer {
        /// The sender's running message count, this message included (design §5, numbered
        /// datagrams).
        number: u64,
        /// The message.
        message: Message,
    },
}

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The key `src`.
    pub source: Address,
    /// The key `dst`; [`Address::EVERYONE`] for every other replica.
    pub destination: Address,
    /// The key `leader`: the leader as far as the sender knows.
    pub leader: Address,
    /// The part that depends on the datagram's type.
    pub payload: Payload,
}

/// A datagram whose length is known. It is worked out once, where the datagram is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredDatagram {
    /// The datagram.
    pub datagram: Datagram,
    /// Its length, in bytes.
    pub bytes: usize,
}

impl Deref for MeasuredDatagram {
    type Target = Datagram;
    fn deref(&self) -> &Datagram {
        &self.datagram
    }
}
