//! The order of invocation as an explanation. It keeps the order of any two operations of which one
//! ended before the other began. So if in this order each get reads the put before it, a single
//! copy could have given the answers. Puts that may have taken effect or not are taken not to have.

use rustc_hash::{FxHashMap, FxHashSet};

use super::operation::{Action, ClientOperation};
use crate::interface::Text;
use crate::record::AnswerKind;

/// The keys whose operations the order of invocation does not explain.
pub(super) fn not_in_turn(operations: &[ClientOperation]) -> FxHashSet<&Text> {
    if operations.is_sorted_by_key(|operation| operation.invoked_at) {
        return unexplained(operations.iter());
    }
    let mut by_invocation: Vec<&ClientOperation> = operations.iter().collect();
    by_invocation.sort_by_key(|operation| operation.invoked_at);
    unexplained(by_invocation.into_iter())
}

/// The keys of which some get did not read what was put last before it.
fn unexplained<'a>(operations: impl Iterator<Item = &'a ClientOperation>) -> FxHashSet<&'a Text> {
    let mut held: FxHashMap<&Text, &str> = FxHashMap::default();
    let mut unclear = FxHashSet::default();
    for operation in operations {
        if !matches!(operation.answered, Some((_, AnswerKind::Ok))) {
            continue;
        }
        match &operation.action {
            Action::Put { value } => {
                held.insert(&operation.key, value);
            }
            Action::Get { value: Some(value) } => {
                // A key that was never put reads as the empty text.
                if held.get(&operation.key).copied().unwrap_or_default() != &**value {
                    unclear.insert(&operation.key);
                }
            }
            Action::Get { value: None } => {}
        }
    }
    unclear
}
