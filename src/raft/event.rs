//! What goes into the core and what comes out of it.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::message::{Message, Why};
use super::tuning::Tuning;
use super::types::{Index, Member, MemberSet, Term};

/// The caller's name for a proposal or a read.
pub type Ticket = u64;

/// What the caller tells the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// The deadline has come. An early one does nothing.
    Wake,
    /// A message has arrived.
    Message {
        /// Who sent it, by the datagram.
        from: Member,
        /// What it says.
        message: Message,
    },
    /// A command to replicate.
    Propose {
        /// Named again in [`Output::Taken`] or [`Output::Refused`].
        ticket: Ticket,
        /// The command, not empty.
        command: Arc<[u8]>,
    },
    /// A read that wants to know whether this replica still leads.
    Read {
        /// Named again in [`Output::ReadReady`] or [`Output::Refused`].
        ticket: Ticket,
    },
    /// New tuning, from now on.
    Retune(Tuning),
}

/// Whom a message goes to.
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
    /// Whom a message of `sender` reaches, in a cluster of `count`: one message each, as the
    /// simulator counts (interface §4).
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

/// What the core tells the caller, in the order in which it is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a message.
    Send {
        /// To whom.
        to: To,
        /// What.
        message: Message,
        /// What for.
        why: Why,
    },
    /// The log is committed up to here; apply it.
    Commit {
        /// The new commit index.
        through: Index,
    },
    /// The proposal stands in the leader's log; whether it takes effect, commits will tell.
    Taken {
        /// Which.
        ticket: Ticket,
        /// Where.
        index: Index,
    },
    /// This replica leads, as of now: the read may be answered from all that is committed.
    ReadReady(Ticket),
    /// Not taken, and never in any log; the leader, if known.
    Refused(Ticket, Option<Member>),
    /// A change of state, for the records.
    Event(Event),
}

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, VariantArray, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Disposition {
    /// It did what it asks for.
    Accepted = 0,
    /// It was answered no.
    Rejected = 1,
    /// Of an older term, round or campaign: without effect.
    Stale = 2,
    /// It said nothing new.
    Duplicate = 3,
    /// No correct replica sends this here and now: dropped.
    Implausible = 4,
}

impl Disposition {
    /// Its name in records.
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
    /// Its name in records.
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
        /// Who leads.
        leader: Member,
        /// Its term.
        term: Term,
    },
    /// Asks for pre-votes.
    BecamePreCandidate {
        /// The term it would campaign in.
        term: Term,
    },
    /// Asks for votes.
    BecameCandidate {
        /// Its term.
        term: Term,
    },
    /// Won an election.
    BecameLeader {
        /// Its term.
        term: Term,
        /// Highest commit index heard of before: what lies above is this leader's to answer (R3).
        heard_commit: Index,
        /// Index of the empty entry that opens the term (§8).
        opened: Index,
    },
    /// Ceased to lead.
    SteppedDown {
        /// The term it led.
        term: Term,
        /// Why.
        reason: Deposed,
    },
    /// Gave its vote.
    Voted {
        /// To whom.
        candidate: Member,
        /// In which term.
        term: Term,
    },
    /// Entries of one term now stand in the own log.
    Appended {
        /// First index.
        first: Index,
        /// Last index.
        last: Index,
        /// Their term.
        term: Term,
    },
    /// Entries from here on were dropped at a conflict of terms.
    Truncated {
        /// First index dropped.
        first: Index,
        /// The last there was.
        last: Index,
    },
    /// The commit index rose.
    Committed {
        /// To here.
        through: Index,
    },
    /// A batch went out to its quorum.
    BatchSent {
        /// First entry that no batch had carried before.
        first: Index,
        /// Its last entry.
        last: Index,
    },
    /// No answer within the resend timeout.
    ResendTimeout {
        /// Whose.
        member: Member,
        /// How often in a row, from 1.
        attempt: u8,
        /// Whether a batch was waiting for it.
        batch_waits: bool,
    },
    /// Silent to a direct message: left out of quorums until it answers.
    Suspected {
        /// Who.
        member: Member,
    },
    /// A suspect has answered.
    Trusted {
        /// Who.
        member: Member,
    },
}
