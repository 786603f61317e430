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
    /// When it happened, in microseconds on its source's clock.
    #[serde(rename = "at_us")]
    pub at: Micros,
    /// The source: a replica, or [`SIMULATOR`].
    #[serde(serialize_with = "source_json")]
    pub source: Member,
    /// The fact.
    #[serde(flatten)]
    pub fact: Fact,
}

/// The simulator as the source of a record.
pub const SIMULATOR: Member = Member(255);

/// What became of a message, for each receiver. The simulator records the first five, about what it
/// read ([`Fate::ROUTED`]). The others are known when both ends were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Fate {
    /// Received, and it said something new; a no is an answer too. From the simulator: it forwarded
    /// it.
    Delivered,
    /// Lost at random (`drops`).
    Dropped,
    /// A partition cut its way.
    CutOff,
    /// Its receiver was dead.
    Dead,
    /// The machine's full socket refused it.
    Blocked,
    /// Received too late to have an effect.
    Stale,
    /// Received, and it said nothing new.
    Duplicate,
    /// Received and dropped as impossible.
    Implausible,
    /// Forwarded, but its receiver ended before it read it, or the kernel lost it on that way.
    UnreadByReceiver,
    /// It was in the simulator's socket, unread, when that was closed.
    UnreadBySimulator,
    /// The kernel lost it on the way to the simulator, which has read later messages of this
    /// sender.
    LostInSocket,
}

impl Fate {
    /// Every fate, in the order that reports use.
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

    /// What a simulator records of each delivery. A fate's code in a frame is its place here.
    pub const ROUTED: [Fate; 5] =
        [Fate::Delivered, Fate::Dropped, Fate::CutOff, Fate::Dead, Fate::Blocked];

    /// The fate of a message that its receiver took in.
    pub const fn of(disposition: Disposition) -> Fate {
        match disposition {
            Disposition::Accepted | Disposition::Rejected => Fate::Delivered,
            Disposition::Stale => Fate::Stale,
            Disposition::Duplicate => Fate::Duplicate,
            Disposition::Implausible => Fate::Implausible,
        }
    }

    /// The fate's name in records and reports.
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

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, VariantNames)]
#[serde(tag = "fact", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Fact {
    /// A replica decided to send a message to others.
    Sent {
        /// The receivers.
        to: To,
        /// The sender's running count of messages, this one included.
        #[serde(rename = "n")]
        number: u64,
        /// The message's kind.
        kind: Kind,
        /// Why it was sent.
        why: Why,
        /// The term it names.
        term: Term,
        /// First entry carried, or the index after `previous`; of an answer, the last index of the
        /// append answered.
        first: Index,
        /// How many entries it carries.
        entries: u32,
        /// Length of the datagram, in bytes.
        bytes: u32,
    },
    /// A replica took in a message: a step begins.
    Received {
        /// The sender.
        from: Member,
        /// The sender's running count of messages.
        #[serde(rename = "n")]
        number: u64,
        /// The message's kind.
        kind: Kind,
        /// Why its sender sent it.
        why: Why,
        /// The term it names.
        term: Term,
        /// What came of it.
        disposition: Disposition,
    },
    /// A replica's deadline had come: a step begins. Recorded only if the step records something
    /// else.
    Woken,
    /// A replica's knobs were replaced: a step begins.
    Retuned {
        /// How many of them changed.
        knobs: u8,
    },
    /// A replica dropped a datagram that it cannot use. This is the whole step.
    Garbage {
        /// Why it cannot be used.
        reason: Garbage,
        /// Length of the datagram, in bytes.
        bytes: u32,
    },
    /// A client's request came in: a step begins.
    Asked {
        /// The client's ID.
        client: Address,
        /// The request's name in records.
        #[serde(serialize_with = "hexadecimal::serialize")]
        request: RequestId,
        /// What the request asks for.
        operation: OperationKind,
    },
    /// The request is kept until a leader is known, or until it may be answered (rule R27).
    Held {
        /// The client's ID.
        client: Address,
        /// The request's name in records.
        #[serde(serialize_with = "hexadecimal::serialize")]
        request: RequestId,
    },
    /// The put is in the leader's log now. Whether it takes effect, later commits tell.
    Taken {
        /// The client's ID.
        client: Address,
        /// The request's name in records.
        #[serde(serialize_with = "hexadecimal::serialize")]
        request: RequestId,
        /// The put's index in the log.
        index: Index,
        /// The term of the put's entry.
        term: Term,
    },
    /// The request cannot be served as it is, and is answered `fail`.
    Refused {
        /// The client's ID.
        client: Address,
        /// The request's name in records.
        #[serde(serialize_with = "hexadecimal::serialize")]
        request: RequestId,
        /// Why it cannot be served.
        reason: Garbage,
        /// Length of the part that is too long, or else of the datagram, in bytes.
        bytes: u32,
    },
    /// The request was answered.
    Answered {
        /// The client's ID.
        client: Address,
        /// The request's name in records.
        #[serde(serialize_with = "hexadecimal::serialize")]
        request: RequestId,
        /// The kind of answer.
        outcome: AnswerKind,
        /// Index of the put's entry, for a put answered `ok`; otherwise 0.
        index: Index,
        /// Term of the put's entry, for a put answered `ok`; otherwise 0.
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
        /// What became of it there: one of [`Fate::ROUTED`].
        fate: Fate,
        /// Length of the datagram, in bytes.
        bytes: u32,
    },
    /// The simulator killed a replica, or saw it end.
    Killed {
        /// The replica that ended.
        member: Member,
        /// Whether the replica ended without being killed.
        by_itself: bool,
    },
    /// A partition begins. With an empty side, the partition ends.
    Partitioned {
        /// The replicas on its majority side.
        majority: MemberSet,
    },
    /// The state of the core changed.
    #[serde(untagged)]
    State(Event),
}

impl Fact {
    /// Whether a step of the source begins with this fact. All that a replica records until the
    /// next such fact belongs to that step. An answer or a relay is sent for the message with which
    /// its step began; an acknowledgement in another step is sent for the appends received since
    /// the last one (rule R13).
    pub const fn begins_step(&self) -> bool {
        matches!(
            self,
            Fact::Received { .. }
                | Fact::Woken
                | Fact::Retuned { .. }
                | Fact::Garbage { .. }
                | Fact::Asked { .. }
        )
    }
}

/// A piece of work within a replica's step that may be worth timing. It is not a fact and is not
/// recorded. Only a sink that times a process uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work<'a> {
    /// A committed entry takes effect.
    Apply {
        /// The entry's index in the log.
        index: Index,
        /// The entry's term.
        term: Term,
        /// The MID of the put; empty if the entry holds none.
        mid: &'a str,
    },
    /// A client is sent its answer, which has just been recorded.
    Answer {
        /// Index of the put's entry, for a put answered `ok`; otherwise 0.
        index: Index,
        /// Term of the put's entry, for a put answered `ok`; otherwise 0.
        term: Term,
        /// The request's MID.
        mid: &'a str,
        /// The kind of answer.
        outcome: AnswerKind,
    },
}

/// Takes records as they are made.
pub trait Sink {
    /// Takes one record.
    fn record(&mut self, record: &Record);

    /// Some work of a step begins. It may contain other work.
    fn begin(&mut self, _: Work<'_>) {}

    /// The work that began last and has not ended ends.
    fn end(&mut self) {}
}

impl Sink for Vec<Record> {
    fn record(&mut self, record: &Record) {
        self.push(*record);
    }
}

/// Drops all records.
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
