//! From a datagram's bytes to what they are for a replica.

use super::Arrival;
use crate::interface::Request;
use crate::wire::{Datagram, Garbage, Membership, Payload, decode};

impl Arrival {
    /// What `bytes` are for the replica `members.me()`: a message of another member, a client's
    /// request, or garbage (what only the simulator takes is garbage here).
    pub fn of(members: &Membership, bytes: &[u8]) -> Arrival {
        let garbage = |reason| Arrival::Garbage { reason, bytes: bytes.len() };
        match decode(members, bytes) {
            Ok(Datagram { source, payload: Payload::Peer { number, message }, .. }) => {
                match members.member(source).filter(|from| *from != members.me()) {
                    Some(from) => Arrival::Peer { from, number, message },
                    None => garbage(Garbage::Stranger),
                }
            }
            Ok(Datagram {
                source, leader, payload: Payload::Request { mid, operation }, ..
            }) => Arrival::Request(Request { client: source, leader, mid, operation }),
            Ok(_) => garbage(Garbage::UnknownType),
            Err(reason) => garbage(reason),
        }
    }
}
