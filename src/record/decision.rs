//! What a controller decides about a knob.

use serde::Serialize;
use serde_json::json;
use strum::{IntoStaticStr, VariantArray};

use crate::raft::Tuning;

/// A knob that a controller turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, VariantArray, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
#[allow(missing_docs, reason = "each is documented where the tuning has it")]
pub enum Knob {
    HeartbeatIntervalUs = 0,
    HeartbeatAlways = 1,
    HeartbeatAnswers = 2,
    HeartbeatTo = 3,
    Inquiries = 4,
    ElectionTimeoutMinUs = 5,
    ElectionTimeoutMaxUs = 6,
    PreVote = 7,
    CheckQuorum = 8,
    PromiseUs = 9,
    PromiseUnderLoadUs = 10,
    LingerUs = 11,
    LingerEnoughEntries = 12,
    LingerWaitedUs = 13,
    BatchMostEntries = 14,
    ResendTimeoutUs = 15,
    ProbeIntervalUs = 16,
    ResendFrom = 17,
    FanOut = 18,
    ChainLength = 19,
    QuorumSpares = 20,
    SilenceIsLossAbovePerMille = 21,
    SharedAcknowledgements = 22,
    EagerCommit = 23,
}

impl Knob {
    /// Every knob that a controller turns.
    pub const ALL: [Knob; Knob::VARIANTS.len()] = *Knob::VARIANTS.first_chunk().unwrap();

    /// The knob's name, as in a profile.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The knob's value as a number. A choice is the number of its place, and what is on is 1.
    pub fn value(self, tuning: &Tuning) -> u64 {
        match self {
            Knob::HeartbeatAnswers => tuning.heartbeat_answers as u64,
            Knob::HeartbeatTo => tuning.heartbeat_to as u64,
            Knob::ResendFrom => tuning.resend_from as u64,
            Knob::FanOut => tuning.fan_out as u64,
            _ => {
                let value = &json!(tuning)[self.name()];
                value.as_u64().unwrap_or_else(|| u64::from(value.as_bool() == Some(true)))
            }
        }
    }

    /// What the knob follows.
    pub const fn reason(self) -> Reason {
        match self {
            Knob::LingerUs | Knob::LingerEnoughEntries | Knob::LingerWaitedUs => Reason::Arrivals,
            Knob::FanOut | Knob::ChainLength => Reason::RoundTrip,
            Knob::QuorumSpares
            | Knob::Inquiries
            | Knob::HeartbeatTo
            | Knob::HeartbeatIntervalUs
            | Knob::ElectionTimeoutMinUs
            | Knob::ElectionTimeoutMaxUs
            | Knob::PromiseUs
            | Knob::PromiseUnderLoadUs
            | Knob::ProbeIntervalUs
            | Knob::ResendTimeoutUs => Reason::Loss,
            _ => Reason::Always,
        }
    }
}

/// What a decision follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, VariantArray, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Reason {
    /// It is better whatever the load.
    Always = 0,
    /// When the puts come; the number is the price of a message, in microseconds.
    Arrivals = 1,
    /// The share of messages that are lost; the number is in parts per million.
    Loss = 2,
    /// The round trip; the number is in microseconds.
    RoundTrip = 3,
}

impl Reason {
    /// The reason's name in records.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A knob was turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Which one.
    pub knob: Knob,
    /// Its value before, as [`Knob::value`] has it.
    pub before: u64,
    /// Its value from now on.
    pub after: u64,
    /// What the decision follows.
    pub reason: Reason,
    /// What was measured of that.
    pub measured: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_knob_has_the_name_and_the_value_that_profiles_have() {
        let tuning = crate::tuning_file::load("course").unwrap().tuning;
        let values = json!(tuning);
        for knob in Knob::ALL {
            assert!(values.get(knob.name()).is_some(), "{}", knob.name());
        }
        assert_eq!(Knob::HeartbeatIntervalUs.value(&tuning), tuning.heartbeat_interval_us);
        assert_eq!(Knob::PreVote.value(&tuning), 1);
        assert_eq!(Knob::FanOut.value(&tuning), 3);
    }
}
