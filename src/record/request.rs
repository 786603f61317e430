//! A client's request in records: its name, what it asks for, and the kind of its answer.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::interface::Outcome;

/// A request's name in records: a hash of its MID (FNV-1a, 64 bits).
pub type RequestId = u64;

/// The name of the request `mid` in records.
pub fn request_id(mid: &str) -> RequestId {
    mid.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// The kind of an answer to a client.
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
    Deserialize,
    VariantArray,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum AnswerKind {
    /// The request took effect.
    Ok = 0,
    /// The request never takes effect; the client tries again.
    Fail = 1,
    /// The request never takes effect; the client tries again at the leader named.
    Redirect = 2,
}

impl AnswerKind {
    /// The kind of an answer that says `outcome`.
    pub const fn of(outcome: &Outcome) -> AnswerKind {
        match outcome {
            Outcome::Ok(_) => AnswerKind::Ok,
            Outcome::Fail => AnswerKind::Fail,
            Outcome::Redirect => AnswerKind::Redirect,
        }
    }

    /// The kind's name in datagrams and records.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Writes a request's name as JSON: 16 hexadecimal digits.
pub(super) mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{number:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        let bad = |_| de::Error::custom(format!("{text:?} is no hexadecimal number"));
        u64::from_str_radix(&text, 16).map_err(bad)
    }
}
