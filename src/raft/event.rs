//! What goes into the core and what comes out of it.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::message::{Message, Why};
use super::tuning::Tuning;
use super::types::{Index, Member, MemberSet, Term};

/// The caller's number for a proposal or a read.
pub type Ticket = u64;

/// What the caller tells the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// The deadline has come. A wake before the deadline does nothing.
    Wake,
    /// A message has arrived.
    Message {
        /// The sender named in the datagram.
        from: Member,
        /// The message.
        message: Message,
    },
    /// A command to replicate.
    Propose {
        /// Comes back in [`Output::Refused`], if the put is not taken.
        ticket: Ticket,
        /// The command, not empty.
        command: Arc<[u8]>,
    },
    /// A read; the core makes sure that this replica still leads.
    Read {
        /// Comes back in [`Output::ReadReady`] or [`Output::Refused`].
        ticket: Ticket,
    },
    /// Replaces the tuning from now on. Promises and leases given before keep their length (rules
    /// R7, R31).
    Retune(Tuning),
    /// A client waits here because no leader can serve it. A follower that may ask (rule R28) asks
    /// its leader whether it lives; a leader out of touch asks a quorum (rule R6).
    LeaderWanted,
}

/// The receiver of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// One member.
    Member(Member),
    /// Every other member, in one datagram.
    Everyone,
}

impl Serialize for To {
    /// As a rank, or `"everyone"`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            To::Member(member) => member.serialize(serializer),
            To::Everyone => serializer.serialize_str("everyone"),
        }
    }
}

impl To {
    /// The members that a message of `sender` reaches in a cluster of `count`. Each counts as one
    /// message, as the simulator counts (interface §4).
    pub fn receivers(self, sender: Member, count: usize) -> MemberSet {
        match self {
            To::Member(member) => MemberSet::only(member),
            To::Everyone => {
                let mut others = MemberSet::all(count);
                others.remove(sender);
                others
            }
        }
    }
}

/// What the core tells the caller to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a message.
    Send {
        /// The receivers.
        to: To,
        /// The message.
        message: Message,
        /// Why it is sent.
        why: Why,
    },
    /// The log is committed up to here; apply it.
    Commit {
        /// The new commit index.
        through: Index,
    },
    /// This replica leads as of now, so the read may be answered from all that is committed.
    ReadReady(Ticket),
    /// Not taken, and never in any log. Names the leader, if it is known.
    Refused(Ticket, Option<Member>),
    /// A change of state, for the records.
    Event(Event),
}

/// What became of an input, where its caller has to know at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// The message led to this.
    Message(Disposition),
    /// The put is in the leader's log now, at this index. Whether it takes effect, later commits
    /// tell.
    Put(Index),
}

/// What a received message led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, VariantArray, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Disposition {
    /// It was accepted and did what it asks for.
    Accepted = 0,
    /// It was answered with a no.
    Rejected = 1,
    /// It is of an older term, round or campaign, and has no effect.
    Stale = 2,
    /// It said nothing new.
    Duplicate = 3,
    /// No correct replica sends this to this one now, so it is dropped.
    Implausible = 4,
}

impl Disposition {
    /// The disposition's name in records.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Why a leader gave up its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, VariantArray, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Deposed {
    /// A higher term was seen (§5.1).
    HigherTerm = 0,
    /// No quorum answered for an election timeout (check-quorum, §6.2 of the dissertation).
    NoQuorum = 1,
}

impl Deposed {
    /// The reason's name in records.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A change of state of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, VariantNames)]
#[serde(tag = "fact", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Event {
    /// A new term began here, as a follower.
    TermStarted {
        /// The term.
        term: Term,
    },
    /// An append of this leader was heard for the first time in its term.
    LeaderHeard {
        /// The leader's rank.
        leader: Member,
        /// The leader's term.
        term: Term,
    },
    /// This replica asks for pre-votes.
    BecamePreCandidate {
        /// The term it would campaign in.
        term: Term,
    },
    /// This replica asks for votes.
    BecameCandidate {
        /// The term of the candidacy.
        term: Term,
    },
    /// This replica won an election.
    BecameLeader {
        /// The term of the leadership.
        term: Term,
        /// Highest commit index heard of before. This leader answers only puts above it (R3).
        heard_commit: Index,
        /// Index of the empty entry that opens the term (§8).
        opened: Index,
    },
    /// This replica stopped leading.
    SteppedDown {
        /// The term it led.
        term: Term,
        /// Why it stopped.
        reason: Deposed,
    },
    /// This replica gave its vote.
    Voted {
        /// The candidate that got the vote.
        candidate: Member,
        /// The term of the vote.
        term: Term,
    },
    /// Entries of one term were added to this replica's log.
    Appended {
        /// First index added.
        first: Index,
        /// Last index added.
        last: Index,
        /// Their term.
        term: Term,
    },
    /// The end of this replica's log was dropped at a conflict of terms.
    Truncated {
        /// First index dropped.
        first: Index,
        /// Last index dropped: the end of the log before.
        last: Index,
    },
    /// The commit index rose.
    Committed {
        /// The new commit index.
        through: Index,
    },
    /// A batch went out to its quorum.
    BatchSent {
        /// First entry that no batch had carried before.
        first: Index,
        /// Last entry of the batch.
        last: Index,
    },
    /// A member gave no answer within the resend timeout.
    ResendTimeout {
        /// The member that did not answer.
        member: Member,
        /// How many timeouts in a row, from 1.
        attempt: u8,
        /// Whether a batch was waiting for this answer.
        batch_waits: bool,
    },
    /// A member did not answer a direct message: it is left out of quorums until it answers.
    Suspected {
        /// The suspected member.
        member: Member,
    },
    /// A suspect has answered.
    Trusted {
        /// The member that answered.
        member: Member,
    },
    /// The leader did not answer inquiries, or said that it leads no more (rule R28).
    LeaderGivenUp {
        /// The leader's rank.
        leader: Member,
        /// The leader's term.
        term: Term,
    },
}
