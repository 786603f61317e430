//! Datagrams: what replicas, clients and simulator put on the wire (interface §2), as types and as
//! the course's JSON. One description of the encoding serves both the bytes and their count, so
//! that a virtual run knows the length of datagrams that it never writes.

mod datagram;
mod decode;
mod encode;
mod membership;
mod socket;

pub use datagram::{Datagram, MOST_DATAGRAM_BYTES, MeasuredDatagram, Payload};
pub use decode::{BadRequest, Garbage, decode, decode_bad_request};
pub use encode::{encode, encoded_length};
pub use membership::{BadMembership, Membership};
pub use socket::{SMALL_CHARGE, SOCKET_BYTES, socket_charge};
