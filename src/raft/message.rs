//! What replicas say to each other: the glossary of the protocol. One variant a kind, each field
//! with what it is there for and what empty means.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::types::{Entry, Index, MOST_MEMBERS, Member, MemberSet, Micros, Round, Term};

/// Why a message that nobody asked for was sent: one for each reason the code has.
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
    EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Cause {
    /// A batch for its quorum: the first time that its newest entries go to this receiver.
    Replicate = 0,
    /// Sent before, unacknowledged past the resend timeout.
    Resend = 1,
    /// Entries for a receiver known to be behind.
    CatchUp = 2,
    /// Looking for where a receiver's log agrees, or whether it lives.
    Probe = 3,
    /// Nothing but "I lead".
    Heartbeat = 4,
    /// Leadership asked for a read (ReadIndex, §6.4 of the dissertation).
    Confirm = 5,
    /// Nothing but a new commit index (only with `eager_commit`).
    Commit = 6,
    /// An election, first try.
    Campaign = 7,
    /// The same election again, to all who have not answered.
    Retry = 8,
}

impl Cause {
    /// Every cause, in the order of reports.
    pub const ALL: [Cause; Cause::VARIANTS.len()] = *Cause::VARIANTS.first_chunk().unwrap();

    /// Its name in records, reports and datagrams.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What a message was for. An answer names what it answers, so that its cost is charged there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Sent on the sender's own account.
    Own(Cause),
    /// Passed on along a chain, for a batch sent for this cause.
    Relay(Cause),
    /// An answer that says yes to a message sent for this cause.
    Ack(Cause),
    /// An answer that says no.
    Reject(Cause),
}

/// In what form a message serves its cause.
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
    EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Form {
    /// As [`Why::Own`].
    Own = 0,
    /// As [`Why::Relay`].
    Relay = 1,
    /// As [`Why::Ack`].
    Ack = 2,
    /// As [`Why::Reject`].
    Reject = 3,
}

impl Form {
    /// How many there are.
    pub const COUNT: usize = Form::VARIANTS.len();

    /// Its name.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Why {
    /// As records have it: `replicate`, `relay`, `ack{of: replicate}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Own(cause) => f.write_str(cause.name()),
            Why::Relay(Cause::Replicate) => f.write_str("relay"),
            Why::Relay(cause) => write!(f, "relay{{of: {}}}", cause.name()),
            Why::Ack(cause) => write!(f, "ack{{of: {}}}", cause.name()),
            Why::Reject(cause) => write!(f, "reject{{of: {}}}", cause.name()),
        }
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Why {
    /// The cause that the message is charged to: an answer's is what it answers.
    pub const fn cause(self) -> Cause {
        match self {
            Why::Own(cause) | Why::Relay(cause) | Why::Ack(cause) | Why::Reject(cause) => cause,
        }
    }

    /// In what form it serves that cause.
    pub const fn form(self) -> Form {
        match self {
            Why::Own(_) => Form::Own,
            Why::Relay(_) => Form::Relay,
            Why::Ack(_) => Form::Ack,
            Why::Reject(_) => Form::Reject,
        }
    }
}

/// What a message is.
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
    EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// AppendEntries (§5.3), the heartbeat included.
    Append = 0,
    /// Its answer.
    AppendReply = 1,
    /// Asks whether a vote would be granted (§9.6 of the dissertation).
    PreVote = 2,
    /// Its answer.
    PreVoteReply = 3,
    /// RequestVote (§5.2).
    Vote = 4,
    /// Its answer.
    VoteReply = 5,
}

impl Kind {
    /// Every kind, in the order of reports.
    pub const ALL: [Kind; Kind::VARIANTS.len()] = *Kind::VARIANTS.first_chunk().unwrap();

    /// Its name in records, reports and datagrams.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The place of an entry in a log, and its term: two logs that hold the same position agree up to
/// there (§5.3, Log Matching).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Term of the entry; 0 for index 0. First, so that positions compare as logs do (§5.4.1).
    pub term: Term,
    /// Its index.
    pub index: Index,
}

/// Most hops of a route: the others of a quorum of 21 replicas.
pub const MOST_HOPS: usize = 10;

/// The members that an append still has to visit, its receiver first (rule R14). Empty only in a
/// datagram to everyone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    hops: [u8; MOST_HOPS],
    length: u8,
}

impl Route {
    /// To everyone at once: no hops.
    pub const EVERYONE: Route = Route { hops: [0; MOST_HOPS], length: 0 };

    /// Straight to `member`.
    pub fn direct(member: Member) -> Route {
        Route::through(&[member]).unwrap_or(Route::EVERYONE)
    }

    /// Through `members` in this order; `None` if they are too many or one occurs twice.
    pub fn through(members: &[Member]) -> Option<Route> {
        if members.len() > MOST_HOPS {
            return None;
        }
        let mut route = Route::EVERYONE;
        for member in members {
            if member.rank() >= MOST_MEMBERS || route.members().contains(*member) {
                return None;
            }
            route.hops[route.length as usize] = member.0;
            route.length += 1;
        }
        Some(route)
    }

    /// The hops in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Member> + '_ {
        self.hops[..self.length as usize].iter().map(|hop| Member(*hop))
    }

    /// Whom it visits first.
    pub fn first(&self) -> Option<Member> {
        self.iter().next()
    }

    /// How many hops are left.
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether there is none: a datagram to everyone.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What is left behind the first hop.
    pub fn rest(&self) -> Route {
        let mut route = Route::EVERYONE;
        for hop in self.iter().skip(1) {
            route.hops[route.length as usize] = hop.0;
            route.length += 1;
        }
        route
    }

    /// The hops as a set.
    pub fn members(&self) -> MemberSet {
        self.iter().collect()
    }
}

/// AppendEntries (§5.3): entries, commit index, heartbeat and lease request in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The leader's term.
    pub term: Term,
    /// Who leads; a hop of a chain is not the sender (rule R14).
    pub leader: Member,
    /// The leader's round, echoed by answers, which it dates by its own clock (rule R9).
    pub round: Round,
    /// Why the leader sent it; answers are charged to it.
    pub cause: Cause,
    /// The entry before `entries`: the log check (§5.3).
    pub previous: Position,
    /// The leader's commit index.
    pub commit: Index,
    /// Entries from `previous.index + 1` on. Empty: a heartbeat, a confirmation or a probe.
    pub entries: Arc<[Entry]>,
    /// For how long whoever accepts this will neither vote nor campaign (rule R8). Zero: not at
    /// all.
    pub promise: Micros,
    /// Whether the last hop shall answer; refusals are answered always (rule R15).
    pub wants_answer: bool,
    /// Receiver and further hops; empty in a datagram to everyone.
    pub route: Route,
    /// Hops that have accepted it before (rule R14). Empty at the first.
    pub accepted: MemberSet,
}

impl Append {
    /// Index of the last entry that it carries or, with none, of `previous`.
    pub fn through(&self) -> Index {
        self.previous.index + self.entries.len() as Index
    }
}

/// Where a refusing log may agree: all its entries from `first` to `last` are of `term` (§5.3, the
/// conflict hint).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// Term of the entry at `last`; 0 in an empty log.
    pub term: Term,
    /// First index of that term.
    pub first: Index,
    /// The index refused, or the log's last if it is shorter.
    pub last: Index,
}

/// A no to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `previous.index` of the append refused.
    pub refused: Index,
    /// Where to look instead.
    pub hint: Hint,
}

/// Answer to an append (rule R13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendReply {
    /// The answerer's term.
    pub term: Term,
    /// Round of the append answered.
    pub round: Round,
    /// Its cause.
    pub cause: Cause,
    /// Its last index: `previous` + entries, never the answerer's own last index.
    pub through: Index,
    /// Members that accepted it.
    pub members: MemberSet,
    /// Set if the answerer refused; `members` are then the hops before it.
    pub refusal: Option<Refusal>,
}

/// PreVote: would you vote for me? Raises no term (rule R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreVote {
    /// The term the sender would campaign in: its own plus one.
    pub term: Term,
    /// The end of its log (§5.4.1).
    pub last: Position,
    /// Campaign or retry.
    pub cause: Cause,
}

/// Answer to a pre-vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreVoteReply {
    /// The answerer's own term.
    pub term: Term,
    /// The term asked for.
    pub campaign_term: Term,
    /// Whether it would vote so.
    pub granted: bool,
    /// Cause of the request.
    pub cause: Cause,
}

/// RequestVote (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The candidate's term.
    pub term: Term,
    /// The end of its log (§5.4.1).
    pub last: Position,
    /// Campaign or retry.
    pub cause: Cause,
}

/// Answer to a vote request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteReply {
    /// The answerer's own term.
    pub term: Term,
    /// Whether the vote was given.
    pub granted: bool,
    /// Highest commit index that the answerer has heard of: what lies at or below it has been
    /// answered, so the new leader does not answer it again (rule R3).
    pub heard_commit: Index,
    /// Cause of the request.
    pub cause: Cause,
}

/// A message between replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// AppendEntries.
    Append(Append),
    /// Its answer.
    AppendReply(AppendReply),
    /// PreVote.
    PreVote(PreVote),
    /// Its answer.
    PreVoteReply(PreVoteReply),
    /// RequestVote.
    Vote(Vote),
    /// Its answer.
    VoteReply(VoteReply),
}

impl Message {
    /// What it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Message::Append(_) => Kind::Append,
            Message::AppendReply(_) => Kind::AppendReply,
            Message::PreVote(_) => Kind::PreVote,
            Message::PreVoteReply(_) => Kind::PreVoteReply,
            Message::Vote(_) => Kind::Vote,
            Message::VoteReply(_) => Kind::VoteReply,
        }
    }

    /// What it was sent for, as its sender recorded it: an append that hops have accepted before is
    /// passed on, and an answer says yes or no to what it answers.
    pub fn why(&self) -> Why {
        let answer = |yes, cause| if yes { Why::Ack(cause) } else { Why::Reject(cause) };
        match self {
            Message::Append(append) if append.accepted.is_empty() => Why::Own(append.cause),
            Message::Append(append) => Why::Relay(append.cause),
            Message::AppendReply(reply) => answer(reply.refusal.is_none(), reply.cause),
            Message::PreVote(request) => Why::Own(request.cause),
            Message::PreVoteReply(reply) => answer(reply.granted, reply.cause),
            Message::Vote(request) => Why::Own(request.cause),
            Message::VoteReply(reply) => answer(reply.granted, reply.cause),
        }
    }

    /// What it says of a log: the first index that it carries or names (of an answer, the last
    /// index of what it answers), and how many entries it carries.
    pub fn first_and_entries(&self) -> (Index, usize) {
        match self {
            Message::Append(append) => (append.previous.index + 1, append.entries.len()),
            Message::AppendReply(reply) => (reply.through, 0),
            Message::PreVote(request) => (request.last.index, 0),
            Message::Vote(request) => (request.last.index, 0),
            Message::PreVoteReply(_) | Message::VoteReply(_) => (0, 0),
        }
    }

    /// The term it names.
    pub const fn term(&self) -> Term {
        match self {
            Message::Append(append) => append.term,
            Message::AppendReply(reply) => reply.term,
            Message::PreVote(request) => request.term,
            Message::PreVoteReply(reply) => reply.term,
            Message::Vote(request) => request.term,
            Message::VoteReply(reply) => reply.term,
        }
    }
}
