//! What the clients of a run asked and were answered, and whether a single copy of the store could
//! have given these answers (linearizability).
//!
//! Keys are independent registers, so each is judged alone. An operation answered `ok` took effect
//! at one moment between its invocation and its answer. An unanswered put took effect at any moment
//! after its invocation, or never. A put answered `redirect` or `fail` never took effect (rule R1).
//! If the answer of one operation and the invocation of another are in the same microsecond, the
//! two count as concurrent.
//!
//! First `in_turn` tries the order in which the operations were invoked, which explains nearly
//! every key. For the others `writers` finds out what each get can have read. Then `search` looks
//! for an order that explains everything (Wing and Gong, 1993, with the memoised states of Lowe,
//! 2017). If there is none, the search is repeated with refused puts allowed. If that finds an
//! order, rule R1 is broken, which is reported separately.

mod fault;
mod in_turn;
mod operation;
mod register;
mod search;
#[cfg(test)]
mod tests;
mod writers;

use std::collections::BTreeMap;
use std::fmt;

use in_turn::not_in_turn;

use register::{Refused, Register};

use crate::interface::Text;

pub use fault::Fault;
pub use operation::{Action, ClientOperation};

/// The verdict of the checker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryVerdict {
    /// The keys with a fault, in order, and the fault.
    pub faults: Vec<(Text, Fault)>,
}

impl HistoryVerdict {
    /// Whether a single copy of the store could have given all the answers.
    pub fn is_linearizable(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for HistoryVerdict {
    /// One line for each fault, or `linearizable`.
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

/// Judges a history, key by key. The order of `operations` does not matter.
pub fn judge(operations: &[ClientOperation]) -> HistoryVerdict {
    let unclear = not_in_turn(operations);
    let mut by_key: BTreeMap<&Text, Vec<&ClientOperation>> = BTreeMap::new();
    if !unclear.is_empty() {
        for operation in operations.iter().filter(|operation| unclear.contains(&operation.key)) {
            by_key.entry(&operation.key).or_default().push(operation);
        }
    }
    let fault_of = |(key, operations): (&Text, Vec<&ClientOperation>)| {
        judge_key(&operations).map(|fault| (key.clone(), fault))
    };
    HistoryVerdict { faults: by_key.into_iter().filter_map(fault_of).collect() }
}

/// The fault in the history of one key, if there is one.
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
    // In this part the search never has to go back, so it finds most faults very quickly.
    let part = register.with_single_writers();
    let order = search::search(&part)?;
    if part.required.len() == register.required.len() {
        Ok(order)
    } else {
        search::search(&register)
    }
}

/// The violation of rule R1 that would explain the history of a key, if one does.
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
