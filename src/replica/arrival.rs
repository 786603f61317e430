//! From a datagram's bytes to a typed arrival.

use super::Arrival;
use crate::interface::{Address, Request};
use crate::wire::{Datagram, Garbage, Membership, Payload, decode, decode_bad_request};

impl Arrival {
    /// What `bytes` are for the replica `members.me()`: a message of another member, a client's
    /// request, a request that can only be refused, or garbage. Datagrams that only the simulator
    /// takes are garbage here.
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
            }) => {
                if may_be_client(members, source) {
                    Arrival::Request(Request { client: source, leader, mid, operation })
                } else {
                    garbage(Garbage::Contradiction)
                }
            }
            Ok(_) => garbage(Garbage::UnknownType),
            Err(reason) => {
                let refused = decode_bad_request(bytes);
                match refused.filter(|request| may_be_client(members, request.client)) {
                    Some(request) => Arrival::BadRequest { request, reason, bytes: bytes.len() },
                    None => garbage(reason),
                }
            }
        }
    }
}

/// Whether a client can have this ID. An answer to a member's ID, or to everyone, would reach no
/// client.
fn may_be_client(members: &Membership, address: Address) -> bool {
    address != Address::EVERYONE && members.member(address).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer goes to whoever asked. So who cannot be a client is not answered, neither with
    /// what was asked for nor with `fail`.
    #[test]
    fn only_who_can_be_a_client_is_answered() {
        let members = Membership::new(Address(0), &[Address(1), Address(2)]).unwrap();
        let asks = |source: &str, rest: &str| {
            let text = format!(
                r#"{{"src": "{source}", "dst": "0000", "leader": "FFFF", "type": "put",
                    "MID": "m", "key": "k"{rest}}}"#
            );
            match Arrival::of(&members, text.as_bytes()) {
                Arrival::Request(request) => format!("serve {}", request.client),
                Arrival::BadRequest { request, .. } => format!("refuse {}", request.client),
                Arrival::Garbage { .. } => "nothing".to_owned(),
                other => panic!("{other:?}"),
            }
        };
        let (sound, bad) = (r#", "value": "v""#, "");
        assert_eq!([asks("0100", sound), asks("0100", bad)], ["serve 0100", "refuse 0100"]);
        for nobody in ["FFFF", "0000", "0001"] {
            assert_eq!([asks(nobody, sound), asks(nobody, bad)], ["nothing"; 2], "{nobody}");
        }
    }
}
