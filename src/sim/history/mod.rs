//! What the clients of a run asked and were told, and whether a single copy of the store could
//! have told them that (linearizability).
//!
//! Keys are independent registers, so each is judged alone. An `ok` operation took effect at one
//! moment between its invocation and its answer; an unanswered put did at any moment after its
//! invocation, or never; a put that was answered `redirect` or `fail` never did (rule R1).
//! Two operations whose answer and invocation share a microsecond count as concurrent.
//!
//! `search` looks for an order that explains everything (Wing and Gong, 1993, with the memoised
//! states of Lowe, 2017), after `writers` has told apart what each get can have read. What has no
//! such order is tried once more with refused puts allowed: if that helps, rule R1 is broken, and
//! that is reported apart from the rest.

mod register;
mod search;
#[cfg(test)]
mod tests;
mod writers;

use std::collections::BTreeMap;
use std::fmt;

use register::{Refused, Register};

use crate::interface::{Address, Text};
use crate::raft::Micros;
use crate::record::AnswerKind;

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

/// One attempt of a client at an operation; a redirected request that is sent again is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOperation {
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
    /// When the first answer came and what it said: after `ok` it took effect in between, after
    /// `redirect` and `fail` it must never (rule R1). `None`: unanswered, may have taken effect or
    /// not.
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

/// What the checker found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryVerdict {
    /// The keys that fail, in their order, with what is wrong.
    pub faults: Vec<(Text, Fault)>,
}

impl HistoryVerdict {
    /// Whether a single copy of the store could have given all the answers.
    pub fn is_linearizable(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for HistoryVerdict {
    /// One line a fault, or `linearizable`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_linearizable() {
            return write!(f, "linearizable");
        }
        for (index, (key, fault)) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}key {key:?}: {fault}")?;
        }
        Ok(())
    }
}

/// Judges a history, key by key; the order of `operations` does not matter.
pub fn judge(operations: &[ClientOperation]) -> HistoryVerdict {
    let mut by_key: BTreeMap<&Text, Vec<&ClientOperation>> = BTreeMap::new();
    for operation in operations {
        by_key.entry(&operation.key).or_default().push(operation);
    }
    let fault_of = |(key, operations): (&Text, Vec<&ClientOperation>)| {
        judge_key(&operations).map(|fault| (key.clone(), fault))
    };
    HistoryVerdict { faults: by_key.into_iter().filter_map(fault_of).collect() }
}

/// What is wrong with the history of one key.
fn judge_key(operations: &[&ClientOperation]) -> Option<Fault> {
    let fault = order(operations, Refused::NeverTookEffect).err()?;
    Some(refused_took_effect(operations).unwrap_or(*fault))
}

/// An order of the operations of one key that explains them.
fn order<'a>(
    operations: &[&'a ClientOperation],
    refused: Refused,
) -> Result<Vec<&'a ClientOperation>, Box<Fault>> {
    let mut register = Register::new(operations, refused);
    writers::tell_apart(&mut register)?;
    // The search never has to turn back in this part, so most faults are found here in no time.
    let part = register.with_single_writers();
    let order = search::search(&part)?;
    if part.required.len() == register.required.len() {
        Ok(order)
    } else {
        search::search(&register)
    }
}

/// The breach of rule R1 that would explain the history of a key, if one does.
fn refused_took_effect(operations: &[&ClientOperation]) -> Option<Fault> {
    if !operations.iter().any(|operation| operation.is_refused_put()) {
        return None;
    }
    let order = order(operations, Refused::MayHaveTakenEffect).ok()?;
    let read_at_once = |pair: &&[&ClientOperation]| {
        pair[0].is_refused_put() && matches!(pair[1].action, Action::Get { .. })
    };
    let pair = order.windows(2).find(read_at_once)?;
    Some(Fault::RefusedTookEffect { put: pair[0].clone(), get: pair[1].clone() })
}

impl ClientOperation {
    fn is_refused_put(&self) -> bool {
        matches!(self.answered, Some((_, AnswerKind::Redirect | AnswerKind::Fail)))
            && matches!(self.action, Action::Put { .. })
    }
}
