//! What a datagram from a replica says to the simulator (interface §2), and the strict parser for
//! it. The parser does not read what the simulator never uses.

use crate::interface::{Address, Answer, Outcome, Text};
use crate::raft::Member;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Number of clients in a run (interface §4).
pub const CLIENTS: usize = 8;

/// How far the clients' IDs are above the replicas' (interface §4).
const CLIENT_ID_OFFSET: usize = 16;

/// The replica that has `address`, in a run of `replicas` replicas (interface §4).
pub fn replica_at(address: Address, replicas: usize) -> Option<Member> {
    (usize::from(address.0) < replicas).then_some(Member(address.0 as u8))
}

/// The ID of `member` (interface §4).
pub fn address_of(member: Member) -> Address {
    Address(u16::from(member.0))
}

/// The number of the client that has `address`, in a run of `replicas` replicas (interface §4).
pub fn client_at(address: Address, replicas: usize) -> Option<usize> {
    let number = usize::from(address.0).checked_sub(replicas + CLIENT_ID_OFFSET)?;
    (number < CLIENTS).then_some(number)
}

/// The ID of client `number`, in a run of `replicas` replicas (interface §4).
pub fn client_address(number: usize, replicas: usize) -> Address {
    Address((replicas + CLIENT_ID_OFFSET + number) as u16)
}

/// A readable datagram: the keys that every message has (interface §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The key `src`. It is believed.
    pub source: Address,
    /// The key `dst`.
    pub destination: Address,
    /// The key `leader`: the leader as the sender believes, or [`Address::UNKNOWN`].
    pub leader: Address,
    /// The kind of message.
    pub content: Content,
}

/// The kind of a message, as the simulator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// `hello`: the simulator may deliver to the sender from now on.
    Hello,
    /// An answer to the client that [`Incoming::destination`] names.
    Answer(Answer),
    /// Any other message. Its content concerns only replicas; the engine keeps the datagram.
    Replica,
}

/// A datagram that cannot be read as a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It counts as an incorrect answer and fails the run.
    Incorrect(Incorrect),
    /// It is empty or not UTF-8 and kills the replica that sent it.
    Fatal,
}

/// Why a message counts as incorrect (interface §2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incorrect {
    /// The text is not a JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// One of the four keys that every message has is missing.
    #[error("no key {0:?}")]
    NoKey(&'static str),
    /// An ID is not four hex digits.
    #[error("{key:?} is not four hex digits but {found}")]
    BadId {
        /// The key with the ID.
        key: &'static str,
        /// The key's value, as JSON.
        found: String,
    },
    /// The destination is neither a replica nor a client.
    #[error("no one has the ID {0}")]
    NoSuchDestination(Address),
    /// The leader is no replica. This crashes the course's simulator.
    #[error("the leader {0} is no replica")]
    NoSuchLeader(Address),
    /// The type of an answer is not `ok`, `fail` or `redirect`.
    #[error("an answer to a client of type {0}")]
    AnswerType(String),
    /// An answer has no `MID`.
    #[error("an answer without MID")]
    NoMid,
    /// An answer to a request for which its client does not wait.
    #[error("an answer to {0:?}, which client {1} does not wait for")]
    NotWaitedFor(String, Address),
    /// An answer `ok` to a get has no `value`.
    #[error("the answer to get {0} has no value")]
    NoValue(Text),
    /// An answer `ok` to a get has another value than the one last acknowledged.
    #[error("get {mid} of key {key} was answered {found:?}, not {expected:?}")]
    WrongValue {
        /// The request's MID.
        mid: Text,
        /// The request's key.
        key: Text,
        /// The value last acknowledged to this client.
        expected: Text,
        /// The first characters of the value in the answer.
        found: String,
    },
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// Reads a datagram as a simulator of `replicas` replicas does (interface §2). Keys that it does
/// not need may have any value. If a key occurs twice, the last one counts.
pub fn parse(bytes: &[u8], replicas: usize) -> Result<Incoming, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::Fatal);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::Fatal)?;
    read(text, replicas).map_err(Unreadable::Incorrect)
}

fn read(text: &str, replicas: usize) -> Result<Incoming, Incorrect> {
    let fields: Fields = serde_json::from_str(text).map_err(|_| Incorrect::NotAnObject)?;
    let source = id(&fields, "src")?;
    let destination = id(&fields, "dst")?;
    let leader = id(&fields, "leader")?;
    let kind = fields.get("type").ok_or(Incorrect::NoKey("type"))?;
    let content = match string(kind).as_deref() {
        Some("hello") => Content::Hello,
        _ if client_at(destination, replicas).is_some() => answer(&fields, destination)?,
        _ => Content::Replica,
    };
    Ok(Incoming { source, destination, leader, content })
}

fn answer(fields: &Fields, client: Address) -> Result<Content, Incorrect> {
    let mid = fields.get("MID").and_then(|mid| string(mid)).ok_or(Incorrect::NoMid)?;
    let kind = fields["type"];
    let outcome = match string(kind).as_deref() {
        Some("ok") => {
            Outcome::Ok(fields.get("value").and_then(|value| string(value)).map(Text::from))
        }
        Some("fail") => Outcome::Fail,
        Some("redirect") => Outcome::Redirect,
        _ => return Err(Incorrect::AnswerType(excerpt(kind.get()))),
    };
    Ok(Content::Answer(Answer { client, mid: mid.into(), outcome }))
}

fn id(fields: &Fields, key: &'static str) -> Result<Address, Incorrect> {
    let found = fields.get(key).ok_or(Incorrect::NoKey(key))?;
    string(found)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Incorrect::BadId { key, found: excerpt(found.get()) })
}

fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// The beginning of a text from a replica, fit for printing: the text may be as long as a datagram
/// and contain anything.
pub(super) fn excerpt(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(40).map(printable).collect()
}
