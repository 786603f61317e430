//! What the course simulator decides, and what it reports about a run.

use super::incoming::Incorrect;
use super::serialize::{as_address, as_text, as_us};
use crate::interface::Request;
use crate::raft::{Member, Micros};
use crate::record::Fate;
use serde::Serialize;

/// What an engine has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Forward the datagram just handed in, byte for byte.
    Deliver {
        /// The replica that gets it.
        to: Member,
    },
    /// The datagram just handed in does not reach a replica. It is counted all the same.
    Lost {
        /// The replica that does not get it.
        to: Member,
        /// Why it is lost.
        reason: LossReason,
    },
    /// Send a client's request.
    Send {
        /// The replica that gets it.
        to: Member,
        /// The request.
        request: Request,
    },
    /// Close the replica's socket, then stop its process.
    Kill {
        /// The replica to kill.
        member: Member,
    },
}

/// Why a datagram between replicas is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// Lost at random, by `drops`.
    Dropped,
    /// A partition cuts its way.
    CutOff,
    /// The receiver is dead, or dies now because it has not said hello.
    Dead,
}

impl From<LossReason> for Fate {
    fn from(reason: LossReason) -> Fate {
        match reason {
            LossReason::Dropped => Fate::Dropped,
            LossReason::CutOff => Fate::CutOff,
            LossReason::Dead => Fate::Dead,
        }
    }
}

/// Why a run ended (interface §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// The time `start_wait + lifetime + end_wait` has passed.
    TimeIsUp,
    /// The count of messages has reached `max_packets`: a warning, no failure.
    MaxPackets,
    /// No replica lives any more.
    NobodyLives,
}

/// Something incorrect that a replica sent.
#[derive(Clone, Debug, Serialize)]
pub struct Incident {
    /// When the simulator read it.
    #[serde(rename = "at_us", serialize_with = "as_us")]
    pub at: Micros,
    /// The replica whose socket it came from.
    #[serde(serialize_with = "as_address")]
    pub from: Member,
    /// What is wrong with it.
    #[serde(serialize_with = "as_text")]
    pub what: Incorrect,
}
