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

mod fault;
mod operation;
mod register;
mod search;
#[cfg(test)]
mod tests;
mod writers;

use std::collections::BTreeMap;
use std::fmt;

use register::{Refused, Register};

use crate::interface::Text;

pub use fault::Fault;
pub use operation::{Action, ClientOperation};

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
