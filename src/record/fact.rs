//! The schema of facts: what a record says.

use crate::interface::{Address, Outcome};
use crate::raft::{Cause, Deposed, Disposition, Event, Index, Kind, Member, Micros, Term, To, Why};
use crate::wire::Garbage;

/// Something that happened, when and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, by the clock of the one who tells.
    pub at: Micros,
    /// Who tells: a replica, or [`SIMULATOR`].
    pub source: Member,
    /// What.
    pub fact: Fact,
}

/// The simulator, as a source.
pub const SIMULATOR: Member = Member(255);

/// A request's name in records: a hash of its MID (FNV-1a, 64 bits).
pub type RequestId = u64;

/// The name of the request `mid` in records.
pub fn request_id(mid: &str) -> RequestId {
    mid.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// How a client was answered.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum AnswerKind {
    /// It took effect.
    Ok = 0,
    /// It will not; try again.
    Fail = 1,
    /// It will not; try there.
    Redirect = 2,
}

impl AnswerKind {
    /// That of an answer that says `outcome`.
    pub const fn of(outcome: &Outcome) -> AnswerKind {
        match outcome {
            Outcome::Ok(_) => AnswerKind::Ok,
            Outcome::Fail => AnswerKind::Fail,
            Outcome::Redirect => AnswerKind::Redirect,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            AnswerKind::Ok => "ok",
            AnswerKind::Fail => "fail",
            AnswerKind::Redirect => "redirect",
        }
    }
}

/// What became of a message, one for each receiver. A simulator tells the first five of them, of
/// what it read ([`Fate::ROUTED`]); the others are known when both ends have spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub const fn name(self) -> &'static str {
        match self {
            Fate::Delivered => "delivered",
            Fate::Stale => "stale",
            Fate::Duplicate => "duplicate",
            Fate::Implausible => "implausible",
            Fate::Dropped => "dropped",
            Fate::CutOff => "cut_off",
            Fate::Dead => "dead",
            Fate::Blocked => "blocked",
            Fate::UnreadByReceiver => "unread_by_receiver",
            Fate::UnreadBySimulator => "unread_by_simulator",
            Fate::LostInSocket => "lost_in_socket",
        }
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A replica decided to send a message to others.
    Sent {
        /// To whom.
        to: To,
        /// The sender's running count of messages, this one included.
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
        request: RequestId,
        /// Whether it is a put.
        put: bool,
    },
    /// The request is kept until a leader is known, or until it may be answered (rule R27).
    Held {
        /// Whose.
        client: Address,
        /// Which.
        request: RequestId,
    },
    /// The put stands in the leader's log now; whether it takes effect, commits will tell.
    Taken {
        /// Whose.
        client: Address,
        /// Which.
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
        request: RequestId,
        /// How.
        outcome: AnswerKind,
        /// For a put's `ok`, where it stands in the log; else 0.
        index: Index,
        /// For a put's `ok`, the term of its entry; else 0.
        term: Term,
    },
    /// The state of the core changed.
    State(Event),
    /// The simulator routed one delivery of a datagram between replicas.
    Routed {
        /// Sender.
        from: Member,
        /// Receiver of this delivery.
        to: Member,
        /// The sender's count in the datagram; 0 if it carries none.
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
        /// Its majority side, one bit a rank.
        majority: u32,
    },
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
    /// A client is answered.
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
}

/// Name of a cause in records: `replicate`, `relay`, `ack{of: replicate}`.
pub fn why_name(why: Why) -> String {
    match why {
        Why::Own(cause) => cause.name().to_owned(),
        Why::Relay(cause) => match cause {
            Cause::Replicate => "relay".to_owned(),
            _ => format!("relay{{of: {}}}", cause.name()),
        },
        Why::Ack(cause) => format!("ack{{of: {}}}", cause.name()),
        Why::Reject(cause) => format!("reject{{of: {}}}", cause.name()),
    }
}

/// The same in words, as reports tell it: `yes to replicate`.
pub fn why_words(why: Why) -> String {
    let cause = why.cause().name().replace('_', " ");
    match why {
        Why::Own(_) => cause,
        Why::Relay(_) => format!("relay of {cause}"),
        Why::Ack(_) => format!("yes to {cause}"),
        Why::Reject(_) => format!("no to {cause}"),
    }
}

/// Name of the reason for which a leader ceased to lead.
pub const fn deposed_name(reason: Deposed) -> &'static str {
    match reason {
        Deposed::HigherTerm => "higher_term",
        Deposed::NoQuorum => "no_quorum",
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
