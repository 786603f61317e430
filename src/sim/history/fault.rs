//! What can be wrong with the history of a key.

use std::fmt;

use super::operation::ClientOperation;

/// What is wrong with the history of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Rule R1: the history makes sense only if a put that was redirected or failed took effect
    /// all the same.
    RefusedTookEffect {
        /// The put.
        put: ClientOperation,
        /// A get that read its value.
        get: ClientOperation,
    },
    /// A get brought a value that nobody had begun to put when it was answered.
    NeverWritten {
        /// The get.
        get: ClientOperation,
    },
    /// A get brought a value that had been overwritten for sure when it began.
    Overwritten {
        /// The last put of that value to begin before the get ended; `None`: the initial value.
        put: Option<ClientOperation>,
        /// The put that came between.
        overwriter: ClientOperation,
        /// The get.
        get: ClientOperation,
    },
    /// No order of the operations explains what was read.
    Stuck {
        /// How many operations the longest explained beginning has.
        explained: usize,
        /// Its last few.
        last: Vec<ClientOperation>,
        /// The operation that had to come next, by the time of its answer, and cannot.
        next: ClientOperation,
    },
    /// The search was given up: no order was found, and not all have been tried.
    Undecided {
        /// How many states were visited.
        states: usize,
    },
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
