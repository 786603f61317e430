//! One attempt of a client at an operation.

use std::fmt;

use crate::interface::{Address, Text};
use crate::raft::Micros;
use crate::record::AnswerKind;

/// What an operation did, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Wrote a value.
    Put {
        /// The value written.
        value: Text,
    },
    /// Read a value.
    Get {
        /// The value read; `None` without an `ok`.
        value: Option<Text>,
    },
}

/// One attempt of a client at an operation. A redirected request that is sent again is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOperation {
    /// The client's ID.
    pub client: Address,
    /// The attempt's MID.
    pub mid: Text,
    /// The key read or written.
    pub key: Text,
    /// What was asked and, for a get, which value came back.
    pub action: Action,
    /// When the request was created.
    pub invoked_at: Micros,
    /// When the first answer came, and its kind. After `ok` the operation took effect between
    /// invocation and answer. After `redirect` and `fail` it must never take effect (rule R1).
    /// `None`: unanswered, so it may have taken effect or not.
    pub answered: Option<(Micros, AnswerKind)>,
}

impl fmt::Display for ClientOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Put { value } => write!(f, "put {} of {value:?}", self.mid)?,
            Action::Get { value: Some(value) } => write!(f, "get {} of {value:?}", self.mid)?,
            Action::Get { value: None } => write!(f, "get {}", self.mid)?,
        }
        write!(f, " (client {}, {} to ", self.client, self.invoked_at)?;
        match &self.answered {
            Some((at, AnswerKind::Ok)) => write!(f, "{at})"),
            Some((at, AnswerKind::Redirect)) => write!(f, "{at}, redirected)"),
            Some((at, AnswerKind::Fail)) => write!(f, "{at}, failed)"),
            None => write!(f, "no answer)"),
        }
    }
}

impl ClientOperation {
    /// Whether it is a put whose answer was not `ok`.
    pub fn is_refused_put(&self) -> bool {
        matches!(self.answered, Some((_, AnswerKind::Redirect | AnswerKind::Fail)))
            && matches!(self.action, Action::Put { .. })
    }
}
