//! What a controller decides about a knob, and how the knobs of two tunings differ.

use serde::Serialize;
use serde_json::{Value, json};
use strum::{EnumString, IntoStaticStr, VariantArray, VariantNames};

use crate::raft::Tuning;
use crate::raft::tuning::{FanOut, HeartbeatAnswers, HeartbeatTo, ResendFrom};

/// A knob with a value in two tunings.
#[derive(Clone, Debug, PartialEq)]
pub struct KnobChange {
    /// The knob's name, as in a profile.
    pub name: String,
    /// Its value in the one, as in a profile.
    pub before: Value,
    /// Its value in the other.
    pub after: Value,
}

/// The knobs of `after` that differ from `before`, by name.
pub fn changed_knobs(before: &Tuning, after: &Tuning) -> Vec<KnobChange> {
    let (Value::Object(before), Value::Object(after)) = (json!(before), json!(after)) else {
        return Vec::new();
    };
    // Both have the same names in the same order.
    let pairs = before.into_iter().zip(after).filter(|((_, before), (_, after))| before != after);
    pairs.map(|((name, before), (_, after))| KnobChange { name, before, after }).collect()
}

/// A knob that a controller turns.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, VariantArray, IntoStaticStr, EnumString,
)]
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
    MessagePriceUs = 24,
    DetectionTargetUs = 25,
}

impl Knob {
    /// Every knob that a controller turns.
    pub const ALL: [Knob; Knob::VARIANTS.len()] = *Knob::VARIANTS.first_chunk().unwrap();

    /// The knob's name, as in a profile.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether the knob's value is a time, in microseconds.
    pub fn is_time(self) -> bool {
        self.name().ends_with("_us")
    }

    /// The names of the choices that the knob has; none if its value is a number, or on or off.
    const fn choices(self) -> &'static [&'static str] {
        match self {
            Knob::HeartbeatAnswers => HeartbeatAnswers::VARIANTS,
            Knob::HeartbeatTo => HeartbeatTo::VARIANTS,
            Knob::ResendFrom => ResendFrom::VARIANTS,
            Knob::FanOut => FanOut::VARIANTS,
            _ => &[],
        }
    }

    /// A value of the knob in a profile as the number that records have. A choice is the number of
    /// its place, and what is on is 1.
    pub fn to_number(self, value: &Value) -> u64 {
        let place = |name: &str| self.choices().iter().position(|choice| *choice == name);
        match value {
            Value::Bool(is_on) => u64::from(*is_on),
            Value::String(name) => place(name).unwrap_or_default() as u64,
            value => value.as_u64().unwrap_or_default(),
        }
    }

    /// The value that profiles have for a number of the records.
    pub fn of_number(self, number: u64) -> Value {
        let is_switch = matches!(
            self,
            Knob::HeartbeatAlways
                | Knob::PreVote
                | Knob::CheckQuorum
                | Knob::SharedAcknowledgements
                | Knob::EagerCommit
        );
        match self.choices().get(number as usize) {
            Some(name) => json!(name),
            None if is_switch => json!(number == 1),
            None => json!(number),
        }
    }

    /// The same value in words.
    pub fn word(self, number: u64) -> String {
        match self.of_number(number) {
            Value::String(choice) => choice,
            value => value.to_string(),
        }
    }

    /// What the knob follows.
    pub const fn reason(self) -> Reason {
        match self {
            Knob::LingerUs | Knob::LingerEnoughEntries | Knob::LingerWaitedUs => Reason::Arrivals,
            Knob::MessagePriceUs | Knob::DetectionTargetUs => Reason::Spending,
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
    /// What is spent, against the profile's limits; the number is messages per hundred commits, or
    /// a minute when idle.
    Spending = 4,
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
    /// Its value before, as [`Knob::to_number`] has it.
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

    fn profile(name: &str) -> Tuning {
        crate::tuning_file::load(name).unwrap().tuning
    }

    #[test]
    fn the_value_of_every_knob_is_a_number_in_records_and_itself_again_in_profiles() {
        for (name, _) in crate::tuning_file::EMBEDDED {
            let values = json!(profile(name));
            for knob in Knob::ALL {
                let value = values.get(knob.name()).unwrap_or_else(|| panic!("{}", knob.name()));
                assert_eq!(knob.of_number(knob.to_number(value)), *value, "{name} {}", knob.name());
                assert_eq!(knob.name().parse(), Ok(knob));
            }
        }
        assert_eq!(Knob::HeartbeatIntervalUs.to_number(&json!(1_100_000)), 1_100_000);
        assert_eq!(Knob::PreVote.to_number(&json!(true)), 1);
        assert_eq!(Knob::FanOut.to_number(&json!("chain")), 3);
        assert_eq!(Knob::ChainLength.of_number(1), 1);
    }

    #[test]
    fn only_knobs_that_differ_are_changed_and_each_has_both_values() {
        let before = profile("course");
        assert_eq!(changed_knobs(&before, &before), []);
        let after = Tuning { linger_us: 187, fan_out: FanOut::Star, ..before.clone() };
        let change = |name: &str, before, after| {
            let name = name.to_owned();
            KnobChange { name, before, after }
        };
        let wanted = [
            change("fan_out", json!(before.fan_out), json!("star")),
            change("linger_us", json!(before.linger_us), json!(187)),
        ];
        assert_eq!(changed_knobs(&before, &after), wanted);
    }
}
