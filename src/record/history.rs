//! What clients asked and were answered: `history.jsonl` in a run's folder, one line for each
//! attempt.

use serde::{Deserialize, Serialize};

use super::request::{AnswerKind, RequestId, hexadecimal};
use crate::interface::{Address, OperationKind, Text};
use crate::raft::Micros;

/// One attempt of a client, as the client saw it. Times are on the run's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRequest {
    /// The client's ID.
    pub client: Address,
    /// The attempt's MID.
    pub mid: Text,
    /// The request's name in records, in hexadecimal.
    #[serde(with = "hexadecimal")]
    pub request: RequestId,
    /// What the request asks for.
    pub operation: OperationKind,
    /// The key that it reads or writes.
    pub key: Text,
    /// The value written or, for a get answered `ok`, the value read.
    pub value: Option<Text>,
    /// When the request was created, in microseconds.
    pub invoked_at_us: u64,
    /// When its first answer was read, in microseconds; `None`: it was not answered.
    pub answered_at_us: Option<u64>,
    /// The kind of the first answer.
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

    /// When its first answer was read, and the kind of that answer.
    pub fn answered(&self) -> Option<(Micros, AnswerKind)> {
        self.answered_at().zip(self.answer)
    }

    /// The attempt as a line of `history.jsonl`, without the line end.
    pub fn json_line(&self) -> String {
        match serde_json::to_string(self) {
            Ok(line) => line,
            Err(error) => unreachable!("texts and numbers: {error}"),
        }
    }
}
