//! What can be wrong with the history of a key.

use std::fmt;

use super::operation::ClientOperation;
use crate::raft::Micros;

/// What is wrong with the history of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Rule R1: the history has an explanation only if a put that was redirected or failed took
    /// effect all the same.
    RefusedTookEffect {
        /// The put.
        put: ClientOperation,
        /// A get that read its value.
        get: ClientOperation,
    },
    /// A get brought a value that nobody had begun to put when the get was answered.
    NeverWritten {
        /// The get.
        get: ClientOperation,
    },
    /// A get brought a value that had certainly been overwritten when the get began.
    Overwritten {
        /// The last put of that value to begin before the get ended; `None`: the initial value.
        put: Option<ClientOperation>,
        /// The put that came between that put and the get.
        overwriter: ClientOperation,
        /// The get.
        get: ClientOperation,
    },
    /// No order of the operations explains the values read.
    Stuck {
        /// Number of operations in the longest beginning that has an explanation.
        explained: usize,
        /// The last few operations of that beginning.
        last: Vec<ClientOperation>,
        /// The operation that had to come next, by the time of its answer, and cannot.
        next: ClientOperation,
    },
    /// The search was given up: it found no order, and did not try all.
    Undecided {
        /// Number of states visited.
        states: usize,
    },
}

impl Fault {
    /// When it was first to be seen: when the operation that cannot be explained was answered.
    pub fn seen_at(&self) -> Option<Micros> {
        let operation = match self {
            Fault::RefusedTookEffect { get, .. }
            | Fault::NeverWritten { get }
            | Fault::Overwritten { get, .. } => get,
            Fault::Stuck { next, .. } => next,
            Fault::Undecided { .. } => return None,
        };
        operation.answered.map(|(at, _)| at)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::RefusedTookEffect { put, get } => {
                write!(f, "a refused put took effect (R1): {put} was read by {get}")
            }
            Fault::NeverWritten { get } => {
                write!(f, "{get} read what nobody had begun to put by then")
            }
            Fault::Overwritten { put, overwriter, get } => match put {
                Some(put) => write!(f, "{get} read {put}, overwritten by {overwriter}"),
                None => write!(f, "{get} read the initial value, overwritten by {overwriter}"),
            },
            Fault::Stuck { explained, last, next } => {
                write!(f, "{next} fits nowhere after {explained} operations")?;
                for (index, operation) in last.iter().enumerate() {
                    write!(
                        f,
                        "{} {operation}",
                        if index == 0 { ", the last of them" } else { "," }
                    )?;
                }
                Ok(())
            }
            Fault::Undecided { states } => write!(f, "undecided after {states} states"),
        }
    }
}
