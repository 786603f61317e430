//! What clients asked and were told: `history.jsonl` in a run's folder, a line for each attempt.

use serde::{Deserialize, Serialize};

use super::request::{AnswerKind, RequestId, hexadecimal};
use crate::interface::{Address, OperationKind, Text};
use crate::raft::Micros;

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
