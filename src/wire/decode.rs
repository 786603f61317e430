//! JSON to typed datagrams. What cannot be a datagram of the interface is dropped, with its reason.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use strum::{IntoStaticStr, VariantArray};

use super::datagram::{Datagram, MOST_DATAGRAM_BYTES, Payload};
use super::membership::Membership;
use crate::interface::{Address, Operation, OperationKind, Outcome, Text};
use crate::raft::message::{
    Append, AppendReply, Hint, Position, PreVote, PreVoteReply, Refusal, Repeated, Route, Vote,
    VoteReply,
};
use crate::raft::{Cause, Entry, Member, MemberSet, Message, Micros};

/// Why a datagram was dropped, or a request in it refused.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    VariantArray,
    IntoStaticStr,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Garbage {
    /// Longer than UDP allows.
    #[error("longer than a datagram can be")]
    Oversized = 0,
    /// Not a JSON object, or a value has the wrong type.
    #[error("no JSON object of the interface")]
    Malformed = 1,
    /// A key that the datagram's type needs is missing.
    #[error("a key is missing")]
    MissingKey = 2,
    /// The sender, or a replica that it names, is no member.
    #[error("names a replica that is no member")]
    Stranger = 3,
    /// The type is none that a replica takes.
    #[error("unknown type")]
    UnknownType = 4,
    /// A value that no correct replica sends.
    #[error("contradicts itself")]
    Contradiction = 5,
    /// A put that no append can carry.
    #[error("a put too long for an append")]
    LongCommand = 6,
    /// A get whose value, under its MID, no datagram can carry.
    #[error("a get whose answer is longer than a datagram can be")]
    LongAnswer = 7,
    /// A request that came while as many as may wait did (rule R33).
    #[error("too many requests wait")]
    Overload = 8,
}

impl Garbage {
    /// The reason's name in records.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether this is the reason to refuse a sound request, not to drop a datagram.
    pub const fn is_of_sound_request(self) -> bool {
        matches!(self, Garbage::LongCommand | Garbage::LongAnswer | Garbage::Overload)
    }

    /// Every reason.
    pub const ALL: [Garbage; Garbage::VARIANTS.len()] = *Garbage::VARIANTS.first_chunk().unwrap();
}

/// Every key that any type of datagram has.
#[derive(Deserialize)]
struct Raw<'a> {
    src: Option<Address>,
    dst: Option<Address>,
    leader: Option<Address>,
    #[serde(rename = "type", borrow)]
    kind: Option<std::borrow::Cow<'a, str>>,
    #[serde(rename = "MID")]
    mid: Option<Text>,
    key: Option<Text>,
    value: Option<Text>,
    n: Option<u64>,
    term: Option<u64>,
    round: Option<u64>,
    #[serde(borrow)]
    cause: Option<std::borrow::Cow<'a, str>>,
    previous: Option<(u64, u64)>,
    commit: Option<u64>,
    promise_us: Option<u64>,
    election_timeout_us: Option<u64>,
    inquiries: Option<u64>,
    loss_ppm: Option<u64>,
    question: Option<u64>,
    answer: Option<bool>,
    route: Option<Vec<Address>>,
    accepted: Option<Vec<Address>>,
    #[serde(borrow)]
    entries: Option<Vec<(u64, &'a RawValue)>>,
    through: Option<u64>,
    members: Option<Vec<Address>>,
    refused: Option<u64>,
    hint: Option<(u64, u64, u64)>,
    repeated: Option<(u64, u64, Vec<Address>)>,
    last: Option<(u64, u64)>,
    granted: Option<bool>,
    campaign_term: Option<u64>,
}

/// The datagram in `bytes`.
///
/// # Errors
/// Why they hold no datagram that a replica of this cluster can use.
pub fn decode(members: &Membership, bytes: &[u8]) -> Result<Datagram, Garbage> {
    if bytes.len() > MOST_DATAGRAM_BYTES {
        return Err(Garbage::Oversized);
    }
    let raw: Raw<'_> = serde_json::from_slice(bytes).map_err(|_| Garbage::Malformed)?;
    let source = need(raw.src)?;
    let destination = need(raw.dst)?;
    let leader = need(raw.leader)?;
    let kind = need(raw.kind.as_deref())?;
    let payload = match kind {
        "hello" => Payload::Hello,
        "get" => Payload::Request {
            mid: need(raw.mid)?,
            operation: Operation::Get { key: need(raw.key)? },
        },
        "put" => Payload::Request {
            mid: need(raw.mid)?,
            operation: Operation::Put { key: need(raw.key)?, value: need(raw.value)? },
        },
        "ok" => Payload::Answer { mid: need(raw.mid)?, outcome: Outcome::Ok(raw.value) },
        "fail" => Payload::Answer { mid: need(raw.mid)?, outcome: Outcome::Fail },
        "redirect" => Payload::Answer { mid: need(raw.mid)?, outcome: Outcome::Redirect },
        _ => Payload::Peer {
            number: need(raw.n)?,
            message: decode_message(members, kind, leader, &raw)?,
        },
    };
    if matches!(payload, Payload::Peer { .. }) && members.member(source).is_none() {
        return Err(Garbage::Stranger);
    }
    Ok(Datagram { source, destination, leader, payload })
}

/// A request that cannot be served, but can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// The client's ID.
    pub client: Address,
    /// The request's MID.
    pub mid: Text,
    /// What it asks for.
    pub operation: OperationKind,
}

/// The request in `bytes` that [`decode`] refused, if they name the client and the MID. That is
/// enough for an answer. Key and value may be missing, or any JSON value.
pub fn decode_bad_request(bytes: &[u8]) -> Option<BadRequest> {
    #[derive(Deserialize)]
    struct Named<'a> {
        src: Address,
        #[serde(rename = "type", borrow)]
        kind: std::borrow::Cow<'a, str>,
        #[serde(rename = "MID")]
        mid: Text,
    }
    let Named { src, kind, mid } = serde_json::from_slice(bytes).ok()?;
    Some(BadRequest { client: src, mid, operation: kind.parse().ok()? })
}

fn need<T>(value: Option<T>) -> Result<T, Garbage> {
    value.ok_or(Garbage::MissingKey)
}

fn decode_message(
    members: &Membership,
    kind: &str,
    leader: Address,
    raw: &Raw<'_>,
) -> Result<Message, Garbage> {
    let term = || need(raw.term);
    let cause =
        || need(raw.cause.as_deref()).and_then(|name| name.parse().map_err(|_| Garbage::Malformed));
    let last = || need(raw.last).map(position);
    let granted = || need(raw.granted);
    Ok(match kind {
        "append" => {
            let leader = members.member(leader).ok_or(Garbage::Stranger)?;
            Message::Append(decode_append(members, leader, cause()?, raw)?)
        }
        "append_reply" => Message::AppendReply(AppendReply {
            term: term()?,
            round: need(raw.round)?,
            cause: cause()?,
            through: need(raw.through)?,
            members: set(members, need(raw.members.as_deref())?)?,
            refusal: match raw.refused {
                None => None,
                Some(refused) => {
                    let (term, first, last) = need(raw.hint)?;
                    Some(Refusal { refused, hint: Hint { term, first, last } })
                }
            },
            repeated: match &raw.repeated {
                None => None,
                Some((round, through, accepted)) => {
                    let accepted = set(members, accepted)?;
                    Some(Repeated { round: *round, through: *through, members: accepted })
                }
            },
        }),
        "pre_vote" => {
            let question = raw.question.unwrap_or(0);
            Message::PreVote(PreVote { term: term()?, last: last()?, cause: cause()?, question })
        }
        "vote" => Message::Vote(Vote { term: term()?, last: last()?, cause: cause()? }),
        "pre_vote_reply" => Message::PreVoteReply(PreVoteReply {
            term: term()?,
            campaign_term: need(raw.campaign_term)?,
            granted: granted()?,
            cause: cause()?,
            leader: members.member(leader),
        }),
        "vote_reply" => Message::VoteReply(VoteReply {
            term: term()?,
            granted: granted()?,
            heard_commit: need(raw.commit)?,
            cause: cause()?,
        }),
        _ => return Err(Garbage::UnknownType),
    })
}

fn decode_append(
    members: &Membership,
    leader: Member,
    cause: Cause,
    raw: &Raw<'_>,
) -> Result<Append, Garbage> {
    let hops = need(raw.route.as_deref())?
        .iter()
        .map(|address| members.member(*address).ok_or(Garbage::Stranger))
        .collect::<Result<Vec<Member>, Garbage>>()?;
    let entries: Arc<[Entry]> = need(raw.entries.as_deref())?
        .iter()
        .map(|(term, command)| {
            let text = command.get();
            let command = if text == "null" { "" } else { text };
            Entry { term: *term, command: Arc::from(command.as_bytes()) }
        })
        .collect();
    Ok(Append {
        term: need(raw.term)?,
        leader,
        round: need(raw.round)?,
        cause,
        previous: position(need(raw.previous)?),
        commit: need(raw.commit)?,
        entries,
        promise: Micros(need(raw.promise_us)?),
        election_timeout: Micros(raw.election_timeout_us.unwrap_or(0)),
        inquiries: raw.inquiries.unwrap_or(0),
        loss_ppm: raw.loss_ppm.unwrap_or(0),
        question: raw.question.unwrap_or(0),
        wants_answer: need(raw.answer)?,
        route: Route::through(&hops).ok_or(Garbage::Contradiction)?,
        accepted: set(members, need(raw.accepted.as_deref())?)?,
    })
}

fn position((term, index): (u64, u64)) -> Position {
    Position { term, index }
}

fn set(members: &Membership, addresses: &[Address]) -> Result<MemberSet, Garbage> {
    let mut set = MemberSet::EMPTY;
    for address in addresses {
        set.insert(members.member(*address).ok_or(Garbage::Stranger)?);
    }
    Ok(set)
}
