//! A datagram as a type.

use crate::interface::{Address, Operation, Outcome, Text};
use crate::raft::Message;

/// The most bytes that IPv4 UDP carries (interface §2).
pub const MOST_DATAGRAM_BYTES: usize = 65_507;

/// What a datagram carries besides its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Tells the simulator a replica's port.
    Hello,
    /// A client asks.
    Request {
        /// The request's name.
        mid: Text,
        /// What is asked.
        operation: Operation,
    },
    /// A replica answers a client.
    Answer {
        /// Name of the request answered.
        mid: Text,
        /// How it ended.
        outcome: Outcome,
    },
    /// A replica to another, or to all.
    Peer {
        /// The sender's running message count, this message included: design §5, numbered
        /// datagrams.
        number: u64,
        /// What it says.
        message: Message,
    },
}

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// `src`.
    pub source: Address,
    /// `dst`; [`Address::EVERYONE`] for every other replica.
    pub destination: Address,
    /// `leader`: who leads, as the sender believes.
    pub leader: Address,
    /// The rest.
    pub payload: Payload,
}
