//! The schema of facts: what a record says.

use serde::{Serialize, Serializer};
use strum::{IntoStaticStr, VariantNames};

use super::request::{AnswerKind, RequestId, hexadecimal};
use crate::interface::{Address, OperationKind};
use crate::raft::{Disposition, Event, Index, Kind, Member, MemberSet, Micros, Term, To, Why};
use crate::wire::Garbage;

/// Something that happened, when and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When, by the clock of the one who tells.
    #[serde(rename = "at_us")]
    pub at: Micros,
    /// Who tells: a replica, or [`SIMULATOR`].
    #[serde(serialize_with = "source_json")]
    pub source: Member,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}

/// The simulator, as a source.
pub const SIMULATOR: Member = Member(255);

/// What became of a message, one for each receiver. A simulator tells the first five of them, of
/// what it read ([`Fate::ROUTED`]); the others are known when both ends have spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Fate {
    /// Taken in, and it said something new; a no is an answer too. Of the simulator: it forwarded
    /// it.
    Delivered,
    /// Lost at random (`drops`).
    Dropped,
    /// A partition stood between.
    CutOff,
    /// Its receiver was dead.
    Dead,
    /// The machine's full socket refused it.
    Blocked,
    /// Taken in too late to say anything.
    Stale,
    /// Taken in, and it said nothing new.
    Duplicate,
    /// Taken in and dropped as impossible.
    Implausible,
    /// Forwarded, but its receiver ended before it read it, or the kernel lost it on this last way.
    UnreadByReceiver,
    /// It lay in the simulator's socket when that was closed.
    UnreadBySimulator,
    /// The kernel lost it on the way to the simulator, which has read later ones.
    LostInSocket,
}

impl Fate {
    /// Every fate, in the order of reports.
    pub const ALL: [Fate; 11] = [
        Fate::Delivered,
        Fate::Stale,
        Fate::Duplicate,
        Fate::Implausible,
        Fate::Dropped,
        Fate::CutOff,
        Fate::Dead,
        Fate::Blocked,
        Fate::UnreadByReceiver,
        Fate::UnreadBySimulator,
        Fate::LostInSocket,
    ];

    /// What a simulator tells of a delivery of what it read, each at the place of its code in a
    /// frame.
    pub const ROUTED: [Fate; 5] =
        [Fate::Delivered, Fate::Dropped, Fate::CutOff, Fate::Dead, Fate::Blocked];

    /// That of a message that its receiver took in.
    pub const fn of(disposition: Disposition) -> Fate {
        match disposition {
            Disposition::Accepted | Disposition::Rejected => Fate::Delivered,
            Disposition::Stale => Fate::Stale,
            Disposition::Duplicate => Fate::Duplicate,
            Disposition::Implausible => Fate::Implausible,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether the simulator read it, and so counted it.
    pub const fn is_counted(self) -> bool {
        !matches!(self, Fate::UnreadBySimulator | Fate::LostInSocket)
    }

    /// Whether its receiver took it in.
    pub const fn is_received(self) -> bool {
        matches!(self, Fate::Delivered | Fate::Stale | Fate::Duplicate | Fate::Implausible)
    }
}

/// A fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, VariantNames)]
#[serde(tag = "fact", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Fact {
    /// A replica decided to send a message to others.
    Sent {
        /// To whom.
        to: To,
        /// The sender's running count of messages, this one included.
        #[serde(rename = "n")]
        number: u64,
        /// What it is.
        kind: Kind,
        /// What for.
        why: Why,
        /// The term it names.
        term: Term,
        /// First entry carried, or the index after `previous`; of an answer, the last index of the
        /// append answered.
        first: Index,
        /// How many entries.
        entries: u32,
        /// Bytes of the datagram.
        bytes: u32,
    },
    /// A replica took in a message: a step begins.
    Received {
        /// From whom.
        from: Member,
        /// The sender's count.
        #[serde(rename = "n")]
        number: u64,
        /// What it is.
        kind: Kind,
        /// What its sender sent it for.
        why: Why,
        /// The term it names.
        term: Term,
        /// What came of it.
        disposition: Disposition,
    },
    /// A replica's time had come: a step begins, if anything is to be told of it.
    Woken,
    /// A replica dropped a datagram that it cannot use: a step, and all there is to it.
    Garbage {
        /// Why.
        reason: Garbage,
        /// Its length.
        bytes: u32,
    },
    /// A client's request came in: a step begins.
    Asked {
        /// Whose.
        client: Address,
        /// Which.
        #[serde(serialize_with = "hexadecimal::serialize")]
        request: RequestId,
        /// What.
        operation: OperationKind,
    },
    /// The request is kept until a leader is known, or until it may be answered (rule R27).
    Held {
        /// Whose.
        client: Address,
        /// Which.
        #[serde(serialize_with = "hexadecimal::serialize")]
        request: RequestId,
    },
    /// The put stands in the leader's log now; whether it takes effect, commits will tell.
    Taken {
        /// Whose.
        client: Address,
        /// Which.
        #[serde(serialize_with = "hexadecimal::serialize")]
        request: RequestId,
        /// Where it stands.
        index: Index,
        /// In which term it was taken.
        term: Term,
    },
    /// The request cannot be served as it is, and is answered `fail`.
    Refused {
        /// Whose.
        client: Address,
        /// Which.
        #[serde(serialize_with = "hexadecimal::serialize")]
        request: RequestId,
        /// Why.
        reason: Garbage,
        /// Bytes of what is too long, or of the datagram.
        bytes: u32,
    },
    /// The request was answered.
    Answered {
        /// Whose.
        client: Address,
        /// Which.
        #[serde(serialize_with = "hexadecimal::serialize")]
        request: RequestId,
        /// How.
        outcome: AnswerKind,
        /// For a put's `ok`, where it stands in the log; else 0.
        index: Index,
        /// For a put's `ok`, the term of its entry; else 0.
        term: Term,
    },
    /// The simulator routed one delivery of a datagram between replicas.
    Routed {
        /// Sender.
        from: Member,
        /// Receiver of this delivery.
        to: Member,
        /// The sender's count in the datagram; 0 if it carries none.
        #[serde(rename = "n")]
        number: u64,
        /// What became of it: one of [`Fate::ROUTED`].
        fate: Fate,
        /// Bytes of the datagram.
        bytes: u32,
    },
    /// The simulator killed a replica, or saw it end.
    Killed {
        /// Which.
        member: Member,
        /// Whether it ended by itself.
        by_itself: bool,
    },
    /// A partition stands from now on; no one in it: it ended.
    Partitioned {
        /// Its majority side.
        majority: MemberSet,
    },
    /// The state of the core changed.
    #[serde(untagged)]
    State(Event),
}

impl Fact {
    /// Whether a step of its source begins with it. All that a replica tells until the next such
    /// fact belongs to that step: an answer or a relay is sent for the message that its step began
    /// with, and an acknowledgement in another step for the appends taken in since the last one
    /// (rule R13).
    pub const fn begins_step(&self) -> bool {
        matches!(
            self,
            Fact::Received { .. } | Fact::Woken | Fact::Garbage { .. } | Fact::Asked { .. }
        )
    }
}

/// Work within a step of a replica that may be worth timing. It is not a fact and is recorded
/// nowhere: whoever times a process may listen, and nobody else needs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work<'a> {
    /// A committed entry takes effect.
    Apply {
        /// Where it stands in the log.
        index: Index,
        /// Its term.
        term: Term,
        /// The MID of its put; empty if it is none.
        mid: &'a str,
    },
    /// A client is answered, which has just been recorded.
    Answer {
        /// For a put's `ok`, where it stands in the log; else 0.
        index: Index,
        /// For a put's `ok`, the term of its entry; else 0.
        term: Term,
        /// The request's MID.
        mid: &'a str,
        /// How.
        outcome: AnswerKind,
    },
}

/// Where records go.
pub trait Sink {
    /// Takes one.
    fn record(&mut self, record: &Record);

    /// Some work of a step begins; one may contain another.
    fn begin(&mut self, _: Work<'_>) {}

    /// The work begun last, of what is not done, is done.
    fn end(&mut self) {}
}

impl Sink for Vec<Record> {
    fn record(&mut self, record: &Record) {
        self.push(*record);
    }
}

/// Nobody listens.
impl Sink for () {
    fn record(&mut self, _: &Record) {}
}

impl<S: Sink> Sink for Option<S> {
    #[inline(always)]
    fn record(&mut self, record: &Record) {
        if let Some(sink) = self {
            sink.record(record);
        }
    }

    fn begin(&mut self, work: Work<'_>) {
        if let Some(sink) = self {
            sink.begin(work);
        }
    }

    fn end(&mut self) {
        if let Some(sink) = self {
            sink.end();
        }
    }
}

fn source_json<S: Serializer>(source: &Member, serializer: S) -> Result<S::Ok, S::Error> {
    match *source {
        SIMULATOR => serializer.serialize_str("simulator"),
        replica => replica.serialize(serializer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_routed_stands_at_the_place_of_its_code() {
        for (code, fate) in Fate::ROUTED.into_iter().enumerate() {
            assert_eq!(fate as usize, code, "{fate:?}");
        }
    }

    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Record>() <= 72, "{}", size_of::<Record>());
    }
}
