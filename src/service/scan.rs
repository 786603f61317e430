//! A scan of a datagram's bytes for its type and its MIDs, without decoding it. So it is known in
//! time whether the decoding should be timed. It only finds strings and does not decode their
//! escapes. A MID with escapes therefore looks like another one, and bytes that are not JSON give
//! nonsense. Either costs only a span too many or too few.

use memchr::{memchr, memchr2, memmem};

use crate::raft::Kind;

/// What the strings of a datagram say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan<'a> {
    /// The datagram's `type`; empty if it has none.
    pub kind: &'a str,
    mids: Mids<'a>,
}

/// Where the MIDs are in the datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mids<'a> {
    #[default]
    None,
    One(&'a str),
    /// In the commands of the entries, which begin here.
    Entries(&'a [u8]),
}

impl<'a> Scan<'a> {
    /// Scans the datagram `bytes`.
    pub fn at(bytes: &'a [u8]) -> Scan<'a> {
        let behind = |name: &str, from: &'a [u8]| {
            memmem::find(from, name.as_bytes()).map(|at| &from[at + name.len()..])
        };
        let Some(mut rest) = behind("\"type\"", bytes).map(Strings) else {
            return Scan::default();
        };
        let kind = rest.next().unwrap_or_default();
        let mids = match kind.parse() {
            Ok(Kind::Append) => behind("\"entries\"", rest.0).map(Mids::Entries),
            Ok(_) => None,
            // A client may write its keys in any order.
            Err(_) => behind("\"MID\"", bytes).and_then(|rest| Strings(rest).next()).map(Mids::One),
        };
        Scan { kind, mids: mids.unwrap_or_default() }
    }

    /// The MIDs in the datagram.
    pub fn mids(self) -> impl Iterator<Item = &'a str> {
        let (one, entries) = match self.mids {
            Mids::None => (None, &[][..]),
            Mids::One(mid) => (Some(mid), &[][..]),
            Mids::Entries(entries) => (None, entries),
        };
        // A command is four strings, and the second one is its MID (see `kv`).
        one.into_iter().chain(Strings(entries).skip(1).step_by(4))
    }
}

/// The MID in an entry's command, if the entry is a put.
pub(super) fn mid_of(command: &[u8]) -> Option<&str> {
    Strings(command).nth(1)
}

/// The strings of a JSON text, in order, with their escapes not decoded.
struct Strings<'a>(&'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let begin = memchr(b'"', self.0)? + 1;
        let rest = &self.0[begin..];
        let mut end = 0;
        loop {
            end += memchr2(b'"', b'\\', rest.get(end..)?)?;
            if rest[end] == b'"' {
                break;
            }
            end += 2;
        }
        self.0 = &rest[end + 1..];
        Some(std::str::from_utf8(&rest[..end]).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::{Address, Operation};
    use crate::kv::Command;
    use crate::raft::message::{Append, Position, Route};
    use crate::raft::{Cause, Entry, Member, MemberSet, Message, Micros};
    use crate::wire::{Datagram, Membership, Payload, encode};

    fn seen(bytes: &[u8]) -> (&str, Vec<&str>) {
        let scan = Scan::at(bytes);
        (scan.kind, scan.mids().collect())
    }

    fn encoded(payload: Payload) -> Vec<u8> {
        let members = Membership::new(Address(1), &[Address(0), Address(2)]).unwrap();
        let (source, destination, leader) = (Address(0), Address(1), Address(0));
        let mut bytes = Vec::new();
        encode(&members, &Datagram { source, destination, leader, payload }, &mut bytes);
        bytes
    }

    #[test]
    fn a_request_shows_its_mid_however_it_is_spaced() {
        let operation = Operation::Put { key: "a \"b\\".into(), value: "MID".into() };
        let request = encoded(Payload::Request { mid: "m1".into(), operation });
        assert_eq!(seen(&request), ("put", vec!["m1"]));
        for spaced in [
            &br#"{"src": "0015", "type" : "get", "key": "k\"", "MID": "m2"}"#[..],
            br#"{"MID" : "m2", "key": "\"MID\"", "type": "get"}"#,
        ] {
            assert_eq!(seen(spaced), ("get", vec!["m2"]));
        }
    }

    #[test]
    fn an_append_shows_the_mids_of_its_puts_and_no_other_texts() {
        let put = |mid| Command::put(Address(0x15), mid, "MID", "\"entries\\").encode();
        let command = [put("m1"), [].into(), put("m2")];
        assert_eq!(command.each_ref().map(|bytes| mid_of(bytes)), [Some("m1"), None, Some("m2")]);
        let append = Append {
            term: 1,
            leader: Member(0),
            round: 1,
            cause: Cause::Replicate,
            previous: Position::default(),
            commit: 0,
            entries: command.map(|command| Entry { term: 1, command }).into(),
            promise: Micros(0),
            election_timeout: Micros(0),
            inquiries: 0,
            loss_ppm: 0,
            question: 0,
            wants_answer: true,
            route: Route::direct(Member(1)),
            accepted: MemberSet::EMPTY,
        };
        let append = encoded(Payload::Peer { number: 1, message: Message::Append(append) });
        assert_eq!(seen(&append), ("append", vec!["m1", "m2"]));
    }

    #[test]
    fn garbage_shows_something_or_nothing() {
        for bytes in [&b""[..], b"\"", b"\"\\", b"\"abc\\\"", b"[1, 2]", &[0xFF; 9]] {
            assert_eq!(seen(bytes), ("", vec![]));
        }
        assert_eq!(seen(b"\"type\""), ("", vec![]));
        assert_eq!(seen(b"\"type\"\"\xFF\"\"MID\""), ("", vec![]));
        assert_eq!(seen(b"\"type\"\"append\"\"entries\"\"a\"\""), ("append", vec![]));
    }
}
