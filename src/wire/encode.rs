//! Typed datagrams to JSON, and to the length of that JSON.

use super::datagram::{Datagram, Payload};
use super::membership::Membership;
use crate::interface::{Operation, Outcome};
use crate::raft::message::{Append, AppendReply, Position};
use crate::raft::{Member, Message};

/// The target of the JSON: bytes, or a count of them.
trait Writer {
    fn raw(&mut self, bytes: &[u8]);
    fn number(&mut self, number: u64);
    fn id(&mut self, address: u16);
    fn string(&mut self, text: &str);
}

impl Writer for Vec<u8> {
    fn raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn number(&mut self, mut number: u64) {
        let mut digits = [0u8; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.extend_from_slice(&digits[start..]);
    }

    fn id(&mut self, address: u16) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let digit = |shift: u16| DIGITS[usize::from(address >> shift & 15)];
        self.extend_from_slice(&[b'"', digit(12), digit(8), digit(4), digit(0), b'"']);
    }

    fn string(&mut self, text: &str) {
        // Writing a string into memory cannot fail.
        let _ = serde_json::to_writer(self, text);
    }
}

/// Counts the bytes instead of writing them.
#[derive(Default)]
struct Counter(usize);

impl Writer for Counter {
    fn raw(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn number(&mut self, number: u64) {
        self.0 += number.checked_ilog10().unwrap_or(0) as usize + 1;
    }

    fn id(&mut self, _: u16) {
        self.0 += 6;
    }

    fn string(&mut self, text: &str) {
        let escaped = |byte: u8| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 2,
            0x00..=0x1F => 6,
            _ => 1,
        };
        // Hardly any text has such a byte, and to look for one takes less than to add lengths up.
        let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        let is_plain = !text.bytes().fold(false, |found, byte| found | is_escaped(byte));
        let length = if is_plain { text.len() } else { text.bytes().map(escaped).sum() };
        self.0 += 2 + length;
    }
}

/// Writes the datagram as JSON into `bytes`, which is cleared first.
pub fn encode(members: &Membership, datagram: &Datagram, bytes: &mut Vec<u8>) {
    bytes.clear();
    write_datagram(members, datagram, bytes);
}

/// How many bytes [`encode`] would write.
pub fn encoded_length(members: &Membership, datagram: &Datagram) -> usize {
    let mut counter = Counter::default();
    write_datagram(members, datagram, &mut counter);
    counter.0
}

fn write_datagram(members: &Membership, datagram: &Datagram, out: &mut impl Writer) {
    out.raw(b"{\"src\":");
    out.id(datagram.source.0);
    out.raw(b",\"dst\":");
    out.id(datagram.destination.0);
    out.raw(b",\"leader\":");
    out.id(datagram.leader.0);
    out.raw(b",\"type\":\"");
    match &datagram.payload {
        Payload::Hello => out.raw(b"hello\""),
        Payload::Request { mid, operation } => write_request(mid, operation, out),
        Payload::Answer { mid, outcome } => write_answer(mid, outcome, out),
        Payload::Peer { number, message } => write_peer(members, *number, message, out),
    }
    out.raw(b"}");
}

fn write_request(mid: &str, operation: &Operation, out: &mut impl Writer) {
    let (name, key, value) = match operation {
        Operation::Get { key } => ("get", key, None),
        Operation::Put { key, value } => ("put", key, Some(value)),
    };
    out.raw(name.as_bytes());
    out.raw(b"\",\"MID\":");
    out.string(mid);
    out.raw(b",\"key\":");
    out.string(key);
    if let Some(value) = value {
        out.raw(b",\"value\":");
        out.string(value);
    }
}

fn write_answer(mid: &str, outcome: &Outcome, out: &mut impl Writer) {
    let (name, value) = match outcome {
        Outcome::Ok(value) => ("ok", value.as_deref()),
        Outcome::Fail => ("fail", None),
        Outcome::Redirect => ("redirect", None),
    };
    out.raw(name.as_bytes());
    out.raw(b"\",\"MID\":");
    out.string(mid);
    if let Some(value) = value {
        out.raw(b",\"value\":");
        out.string(value);
    }
}

fn write_peer(members: &Membership, number: u64, message: &Message, out: &mut impl Writer) {
    out.raw(message.kind().name().as_bytes());
    out.raw(b"\",\"n\":");
    out.number(number);
    out.raw(b",\"term\":");
    out.number(message.term());
    match message {
        Message::Append(append) => write_append(members, append, out),
        Message::AppendReply(reply) => write_append_reply(members, reply, out),
        Message::PreVote(request) => {
            write_last(request.last, request.cause.name(), out);
            write_question(request.question, out);
        }
        Message::Vote(request) => write_last(request.last, request.cause.name(), out),
        Message::PreVoteReply(reply) => {
            out.raw(b",\"campaign_term\":");
            out.number(reply.campaign_term);
            write_granted(reply.granted, reply.cause.name(), out);
        }
        Message::VoteReply(reply) => {
            write_granted(reply.granted, reply.cause.name(), out);
            out.raw(b",\"commit\":");
            out.number(reply.heard_commit);
        }
    }
}

fn write_cause(cause: &str, out: &mut impl Writer) {
    out.raw(b",\"cause\":\"");
    out.raw(cause.as_bytes());
    out.raw(b"\"");
}

fn write_last(last: Position, cause: &str, out: &mut impl Writer) {
    write_cause(cause, out);
    out.raw(b",\"last\":");
    write_numbers(&[last.term, last.index], out);
}

fn write_question(question: u64, out: &mut impl Writer) {
    if question > 0 {
        out.raw(b",\"question\":");
        out.number(question);
    }
}

fn write_granted(granted: bool, cause: &str, out: &mut impl Writer) {
    write_cause(cause, out);
    out.raw(if granted { b",\"granted\":true" } else { b",\"granted\":false" });
}

fn write_append(members: &Membership, append: &Append, out: &mut impl Writer) {
    out.raw(b",\"round\":");
    out.number(append.round);
    write_cause(append.cause.name(), out);
    out.raw(b",\"previous\":");
    write_numbers(&[append.previous.term, append.previous.index], out);
    out.raw(b",\"commit\":");
    out.number(append.commit);
    out.raw(b",\"promise_us\":");
    out.number(append.promise.0);
    if append.election_timeout.0 > 0 {
        out.raw(b",\"election_timeout_us\":");
        out.number(append.election_timeout.0);
    }
    if append.inquiries > 0 {
        out.raw(b",\"inquiries\":");
        out.number(append.inquiries);
    }
    if append.loss_ppm > 0 {
        out.raw(b",\"loss_ppm\":");
        out.number(append.loss_ppm);
    }
    write_question(append.question, out);
    out.raw(if append.wants_answer { b",\"answer\":true" } else { b",\"answer\":false" });
    out.raw(b",\"route\":");
    write_members(members, append.route.iter(), out);
    out.raw(b",\"accepted\":");
    write_members(members, append.accepted.iter(), out);
    out.raw(b",\"entries\":[");
    for (place, entry) in append.entries.iter().enumerate() {
        out.raw(if place == 0 { b"[" } else { b",[" });
        out.number(entry.term);
        out.raw(b",");
        out.raw(if entry.command.is_empty() { b"null" } else { &entry.command });
        out.raw(b"]");
    }
    out.raw(b"]");
}

fn write_append_reply(members: &Membership, reply: &AppendReply, out: &mut impl Writer) {
    out.raw(b",\"round\":");
    out.number(reply.round);
    write_cause(reply.cause.name(), out);
    out.raw(b",\"through\":");
    out.number(reply.through);
    out.raw(b",\"members\":");
    write_members(members, reply.members.iter(), out);
    if let Some(refusal) = reply.refusal {
        out.raw(b",\"refused\":");
        out.number(refusal.refused);
        out.raw(b",\"hint\":");
        write_numbers(&[refusal.hint.term, refusal.hint.first, refusal.hint.last], out);
    }
    if let Some(repeated) = reply.repeated {
        out.raw(b",\"repeated\":[");
        out.number(repeated.round);
        out.raw(b",");
        out.number(repeated.through);
        out.raw(b",");
        write_members(members, repeated.members.iter(), out);
        out.raw(b"]");
    }
}

fn write_numbers(numbers: &[u64], out: &mut impl Writer) {
    for (place, number) in numbers.iter().enumerate() {
        out.raw(if place == 0 { b"[" } else { b"," });
        out.number(*number);
    }
    out.raw(b"]");
}

fn write_members(members: &Membership, list: impl Iterator<Item = Member>, out: &mut impl Writer) {
    out.raw(b"[");
    for (place, member) in list.enumerate() {
        if place > 0 {
            out.raw(b",");
        }
        out.id(members.address(member).0);
    }
    out.raw(b"]");
}
