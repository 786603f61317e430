//! What replicas say to each other: the glossary of the protocol. There is one variant for each
//! kind. Each field says what it is for and what an empty value means.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::types::{Entry, Index, MOST_MEMBERS, Member, MemberSet, Micros, Round, Term};

/// Why a message was sent that is no answer and no relay. One variant for each reason in the code.
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
    /// A batch for its quorum: its newest entries go to this receiver for the first time.
    Replicate = 0,
    /// Entries that were sent before and not acknowledged within the resend timeout.
    Resend = 1,
    /// Entries for a receiver known to be behind.
    CatchUp = 2,
    /// A question where a receiver's log agrees, or whether the receiver lives.
    Probe = 3,
    /// An append that says nothing but "I lead".
    Heartbeat = 4,
    /// A proof of leadership for reads (ReadIndex, §6.4 of the dissertation).
    Confirm = 5,
    /// An append that brings nothing but a new commit index (only with `eager_commit`).
    Commit = 6,
    /// An election's first requests.
    Campaign = 7,
    /// The same election's requests again, to all who have not answered.
    Retry = 8,
    /// A follower's question to its silent leader whether it lives, and the leader's append in
    /// answer (rule R28).
    Inquiry = 9,
}

impl Cause {
    /// Every cause, in the order that reports use.
    pub const ALL: [Cause; Cause::VARIANTS.len()] = *Cause::VARIANTS.first_chunk().unwrap();

    /// The cause's name in records, reports and datagrams.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What a message was for. An answer names the cause of what it answers and is charged to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Sent by its sender for this cause; neither an answer nor a relay.
    Own(Cause),
    /// Passed on along a chain; the append was sent for this cause.
    Relay(Cause),
    /// An answer that says yes to a message sent for this cause.
    Ack(Cause),
    /// An answer that says no to a message sent for this cause.
    Reject(Cause),
}

/// How a message serves its cause.
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
    /// How many forms there are.
    pub const COUNT: usize = Form::VARIANTS.len();

    /// The form's name in records.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Why {
    /// The text that records have: `replicate`, `relay`, `ack{of: replicate}`.
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
    /// The cause that the message is charged to. An answer is charged to the cause of what it
    /// answers.
    pub const fn cause(self) -> Cause {
        match self {
            Why::Own(cause) | Why::Relay(cause) | Why::Ack(cause) | Why::Reject(cause) => cause,
        }
    }

    /// The form in which the message serves that cause.
    pub const fn form(self) -> Form {
        match self {
            Why::Own(_) => Form::Own,
            Why::Relay(_) => Form::Relay,
            Why::Ack(_) => Form::Ack,
            Why::Reject(_) => Form::Reject,
        }
    }
}

/// The kind of a message.
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
    /// The answer to an append.
    AppendReply = 1,
    /// Asks whether a vote would be granted (§9.6 of the dissertation).
    PreVote = 2,
    /// The answer to a pre-vote.
    PreVoteReply = 3,
    /// RequestVote (§5.2).
    Vote = 4,
    /// The answer to a vote request.
    VoteReply = 5,
}

impl Kind {
    /// Every kind, in the order that reports use.
    pub const ALL: [Kind; Kind::VARIANTS.len()] = *Kind::VARIANTS.first_chunk().unwrap();

    /// The kind's name in records, reports and datagrams.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The index of a log entry and its term. Two logs that hold the same position agree up to there
/// (§5.3, Log Matching).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Term of the entry; 0 for index 0. It stands first, so that positions compare as logs do
    /// (§5.4.1).
    pub term: Term,
    /// Index of the entry, from 1.
    pub index: Index,
}

/// Most hops of a route: the others of a quorum of 21 replicas.
pub const MOST_HOPS: usize = 10;

/// How many bits a hop takes up in a route.
const HOP_BITS: usize = 6;

/// The members that an append still has to visit, its receiver first (rule R14). It is empty only
/// in a datagram to everyone.
///
/// It is one number, since it is copied with every append: from the lowest bits on, the rank of
/// each hop plus one, so that zero is no hop.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Route(u64);

const _: () = assert!(MOST_HOPS * HOP_BITS <= 64 && MOST_MEMBERS < 1 << HOP_BITS);

impl Route {
    /// To everyone at once: no hops.
    pub const EVERYONE: Route = Route(0);

    /// Straight to `member`.
    pub fn direct(member: Member) -> Route {
        Route::through(&[member]).unwrap_or(Route::EVERYONE)
    }

    /// Through `members` in this order; `None` if there are too many or one occurs twice.
    pub fn through(members: &[Member]) -> Option<Route> {
        if members.len() > MOST_HOPS {
            return None;
        }
        let mut visited = MemberSet::EMPTY;
        let mut route = Route::EVERYONE;
        for (place, member) in members.iter().enumerate() {
            if member.rank() >= MOST_MEMBERS || visited.contains(*member) {
                return None;
            }
            visited.insert(*member);
            route.0 |= (member.rank() as u64 + 1) << (place * HOP_BITS);
        }
        Some(route)
    }

    /// The hops in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Member> {
        (0..self.len()).map(move |place| {
            let hop = (self.0 >> (place * HOP_BITS)) % (1 << HOP_BITS);
            Member(hop as u8 - 1)
        })
    }

    /// The member that it visits first.
    pub fn first(self) -> Option<Member> {
        self.iter().next()
    }

    /// How many hops are left.
    pub const fn len(self) -> usize {
        (u64::BITS - self.0.leading_zeros()).div_ceil(HOP_BITS as u32) as usize
    }

    /// Whether it has no hops, as in a datagram to everyone.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The route without its first hop.
    pub const fn rest(self) -> Route {
        Route(self.0 >> HOP_BITS)
    }

    /// The hops as a set.
    pub fn members(self) -> MemberSet {
        self.iter().collect()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// AppendEntries (§5.3): carries entries, commit index, heartbeat and lease request at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Append {
    /// The leader's term.
    pub term: Term,
    /// The leader. In a chain the sender can be another member (rule R14).
    pub leader: Member,
    /// The leader's round. Answers repeat it, and the leader knows when it began by its own clock
    /// (rule R9).
    pub round: Round,
    /// Why the leader sent it. Answers are charged to this cause.
    pub cause: Cause,
    /// Position of the entry before `entries`, for the log check (§5.3).
    pub previous: Position,
    /// The leader's commit index.
    pub commit: Index,
    /// Entries from `previous.index + 1` on. Empty: a heartbeat, a confirmation or a probe.
    pub entries: Arc<[Entry]>,
    /// For how long a member that accepts this neither votes nor campaigns (rule R8), in
    /// microseconds. Zero: no promise.
    pub promise: Micros,
    /// The shortest silence of the leader after which the receiver may take it for dead (rule R29),
    /// in microseconds. Zero: as the receiver's own tuning says.
    pub election_timeout: Micros,
    /// How often the receiver is to ask the leader before it gives it up, at least (rule R29).
    /// Zero: as often as the receiver's own tuning says.
    pub inquiries: u64,
    /// How many of a million messages are lost, as the leader measures it, if so many are that
    /// silence means loss; else 0 (rule R29).
    pub loss_ppm: u64,
    /// Which of the receiver's questions this answers (rule R28), from 1; 0: none.
    pub question: u64,
    /// Whether the last hop answers. Refusals are always answered (rule R15).
    pub wants_answer: bool,
    /// The receiver and the hops after it; empty in a datagram to everyone.
    pub route: Route,
    /// Hops that have accepted it before this receiver (rule R14). Empty at the first hop.
    pub accepted: MemberSet,
}

impl Append {
    /// Index of its last entry; without entries, that of `previous`.
    pub fn through(&self) -> Index {
        self.previous.index + self.entries.len() as Index
    }
}

/// Where a refusing log may agree: all its entries from `first` to `last` are of `term` (§5.3, the
/// conflict hint).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hint {
    /// Term of the entry at `last`; 0 in an empty log.
    pub term: Term,
    /// First index of that term.
    pub first: Index,
    /// The index refused, or the log's last if it is shorter.
    pub last: Index,
}

/// The refusal of an append. The default says nothing of any log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// `previous.index` of the append refused.
    pub refused: Index,
    /// Where to look instead.
    pub hint: Hint,
}

/// An acknowledgement that a hop gave to an earlier round, or would have, and gives again (rule
/// R32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Repeated {
    /// The earlier round.
    pub round: Round,
    /// Last index of that round's append.
    pub through: Index,
    /// Members that accepted it: the hops before the answerer, and itself.
    pub members: MemberSet,
}

/// The answer to an append (rule R13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppendReply {
    /// The answerer's term.
    pub term: Term,
    /// Round of the append answered.
    pub round: Round,
    /// Cause of the append answered.
    pub cause: Cause,
    /// Last index of the append answered: `previous` + entries, never the answerer's own last
    /// index.
    pub through: Index,
    /// Members that accepted it.
    pub members: MemberSet,
    /// Set if the answerer refused; `members` are then the hops before it.
    pub refusal: Option<Refusal>,
    /// Set if the rest of the route holds it already, as the answerer knows from an earlier round
    /// (rule R32).
    pub repeated: Option<Repeated>,
}

/// PreVote asks: would you vote for me? It raises no term (rule R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PreVote {
    /// The term that the sender would campaign in: its own plus one.
    pub term: Term,
    /// The end of the sender's log (§5.4.1).
    pub last: Position,
    /// [`Cause::Campaign`], [`Cause::Retry`] or, from a follower to its silent leader,
    /// [`Cause::Inquiry`].
    pub cause: Cause,
    /// Which question of an inquiry this is, from 1; 0 if it is none. The answer repeats it, so it
    /// is known how long that took (rule R28).
    pub question: u64,
}

/// Answer to a pre-vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PreVoteReply {
    /// The answerer's own term.
    pub term: Term,
    /// The term asked for.
    pub campaign_term: Term,
    /// Whether the answerer would vote for the sender in that term.
    pub granted: bool,
    /// Cause of the request.
    pub cause: Cause,
    /// The answerer's leader. The datagram names it.
    pub leader: Option<Member>,
}

/// RequestVote (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vote {
    /// The candidate's term.
    pub term: Term,
    /// The end of the candidate's log (§5.4.1).
    pub last: Position,
    /// [`Cause::Campaign`] or [`Cause::Retry`].
    pub cause: Cause,
}

/// Answer to a vote request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoteReply {
    /// The answerer's own term.
    pub term: Term,
    /// Whether the vote was given.
    pub granted: bool,
    /// Highest commit index that the answerer has heard of. Puts up to it have been answered, so
    /// the new leader does not answer them again (rule R3).
    pub heard_commit: Index,
    /// Cause of the request.
    pub cause: Cause,
}

/// A message between replicas.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// AppendEntries.
    Append(Append),
    /// The answer to an append.
    AppendReply(AppendReply),
    /// PreVote.
    PreVote(PreVote),
    /// The answer to a pre-vote.
    PreVoteReply(PreVoteReply),
    /// RequestVote.
    Vote(Vote),
    /// The answer to a vote request.
    VoteReply(VoteReply),
}

impl Message {
    /// The message's kind.
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

    /// What it was sent for, as its sender recorded it. An append that hops have accepted before is
    /// a relay, and an answer says yes or no.
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

    /// The first index that it carries or names (for an answer, the last index of what it answers),
    /// and how many entries it carries.
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
