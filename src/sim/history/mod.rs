//! What the clients of a run asked and were told, and whether a single copy of the store could
//! have told them that.

use crate::interface::{Address, Text};
use crate::raft::Micros;

/// What an operation did, as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Wrote `value`.
    Put {
        /// The value written.
        value: Text,
    },
    /// Read; `value` is what came back, if an `ok` did.
    Get {
        /// The value read.
        value: Option<Text>,
    },
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `ok`: it took effect between invocation and answer.
    Ok,
    /// `redirect`: it must never take effect (rule R1).
    Redirect,
    /// `fail`: the same.
    Fail,
}

/// One attempt of a client at an operation; a redirected request that is sent again is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked.
    pub client: Address,
    /// The attempt's MID.
    pub mid: Text,
    /// Key asked for.
    pub key: Text,
    /// What was asked and, for a get, what came back.
    pub action: Action,
    /// When the request was created.
    pub invoked_at: Micros,
    /// When the first answer came and what it said; `None`: unanswered, may have taken effect or not.
    pub answered: Option<(Micros, Ending)>,
}
