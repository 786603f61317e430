//! The words of the course simulator's interface that replica, wire and simulator share: IDs of
//! four hex digits, what clients ask, and what they are answered (interface §1 and §2).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// An ID as datagrams carry it: four hex digits. Each replica and each client has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub u16);

impl Address {
    /// `FFFF` as a destination: every other replica.
    pub const EVERYONE: Address = Address(0xFFFF);
    /// `FFFF` as a leader: no leader is known.
    pub const UNKNOWN: Address = Address(0xFFFF);
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

/// Why a text is not an ID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an ID is four hex digits, not {0:?}")]
pub struct BadAddress(pub String);

impl FromStr for Address {
    type Err = BadAddress;
    fn from_str(text: &str) -> Result<Address, BadAddress> {
        if text.len() != 4 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadAddress(text.to_owned()));
        }
        u16::from_str_radix(text, 16).map(Address).map_err(|_| BadAddress(text.to_owned()))
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Address, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Address;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ID of four hex digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Address, E> {
                text.parse().map_err(E::custom)
            }
        }
        from.deserialize_str(Visitor)
    }
}

/// A text shared between requests, log, store and answers without copying.
pub type Text = Arc<str>;

/// What a client asks of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Asks for the value of a key; `""` if it was never put.
    Get {
        /// The key to look up.
        key: Text,
    },
    /// Gives a key a value.
    Put {
        /// The key to write.
        key: Text,
        /// The key's new value.
        value: Text,
    },
}

impl Operation {
    /// Whether it is a get or a put.
    pub const fn kind(&self) -> OperationKind {
        match self {
            Operation::Get { .. } => OperationKind::Get,
            Operation::Put { .. } => OperationKind::Put,
        }
    }
}

/// What a client asks for, without key and value.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    VariantArray,
    IntoStaticStr,
    EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum OperationKind {
    /// Asks for a key's value.
    Get = 0,
    /// Gives a key a value.
    Put = 1,
}

impl OperationKind {
    /// Its name in datagrams and records.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's ID.
    pub client: Address,
    /// The leader that the client believes in, or [`Address::UNKNOWN`].
    pub leader: Address,
    /// The client's name for this request. A repeated request gets a new one.
    pub mid: Text,
    /// What is asked.
    pub operation: Operation,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect. The answer to a get brings the value.
    Ok(Option<Text>),
    /// It never takes effect; the client tries again.
    Fail,
    /// It never takes effect here (rule R1). The answer's `leader` says where to go.
    Redirect,
}

/// An answer to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The client's ID.
    pub client: Address,
    /// The request's MID.
    pub mid: Text,
    /// How it ended.
    pub outcome: Outcome,
}
