//! What the course simulator decides, and tells of a run.

use super::incoming::Incorrect;
use super::serialize::{as_address, as_text, as_us};
use crate::interface::Request;
use crate::raft::{Member, Micros};
use crate::record::Fate;
use serde::Serialize;

/// What an engine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Forward the datagram just handed in, byte for byte.
    Deliver {
        /// To this replica.
        to: Member,
    },
    /// The datagram just handed in does not reach a replica; it is counted all the same.
    Lost {
        /// This replica.
        to: Member,
        /// Why not.
        reason: LossReason,
    },
    /// Send a client's request.
    Send {
        /// To this replica.
        to: Member,
        /// The request.
        request: Request,
    },
    /// Close the replica's socket, then stop its process.
    Kill {
        /// The replica.
        member: Member,
    },
}

/// Why a datagram between replicas is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The chance of `drops`.
    Dropped,
    /// A partition stands between.
    CutOff,
    /// The receiver is dead, or dies of this datagram because it has not said hello.
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
    /// `start_wait + lifetime + end_wait` have passed.
    TimeIsUp,
    /// `max_packets` messages were counted: a warning, no failure.
    MaxPackets,
    /// No replica lives.
    NobodyLives,
}

/// Something incorrect that a replica said.
#[derive(Clone, Debug, Serialize)]
pub struct Incident {
    /// When it was read.
    #[serde(rename = "at_us", serialize_with = "as_us")]
    pub at: Micros,
    /// Whose socket it came from.
    #[serde(serialize_with = "as_address")]
    pub from: Member,
    /// What is wrong with it.
    #[serde(serialize_with = "as_text")]
    pub what: Incorrect,
}
