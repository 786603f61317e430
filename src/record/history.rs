//! What clients asked and were told: `history.jsonl` in a run's folder, a line for each attempt.

use serde::{Deserialize, Serialize};

use super::fact::{AnswerKind, RequestId};
use crate::interface::{Address, Text};
use crate::raft::Micros;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// A key's value.
    Get,
    /// That a key has a value.
    Put,
}

impl OperationKind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            OperationKind::Get => "get",
            OperationKind::Put => "put",
        }
    }
}

/// One attempt of a client, as the client saw it; times are the run's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRequest {
    /// Who asked.
    pub client: Address,
    /// The attempt's MID.
    pub mid: Text,
    /// Its name in the records, in hexadecimal.
    #[serde(with = "hexadecimal")]
    pub request: RequestId,
    /// What was asked.
    pub operation: OperationKind,
    /// Of which key.
    pub key: Text,
    /// The value written or, if an `ok` brought one, read.
    pub value: Option<Text>,
    /// When the request was created, in microseconds.
    pub invoked_at_us: u64,
    /// When its first answer was read, in microseconds; `None`: it is unanswered.
    pub answered_at_us: Option<u64>,
    /// What that said.
    pub answer: Option<AnswerKind>,
}

impl ClientRequest {
    /// When the request was created.
    pub const fn invoked_at(&self) -> Micros {
        Micros(self.invoked_at_us)
    }

    /// When its first answer was read.
    pub fn answered_at(&self) -> Option<Micros> {
        self.answered_at_us.map(Micros)
    }

    /// When its first answer was read, and what that said.
    pub fn answered(&self) -> Option<(Micros, AnswerKind)> {
        self.answered_at().zip(self.answer)
    }

    /// As a line of `history.jsonl`, without its end.
    pub fn json_line(&self) -> String {
        match serde_json::to_string(self) {
            Ok(line) => line,
            Err(error) => unreachable!("texts and numbers: {error}"),
        }
    }
}

mod hexadecimal {
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
