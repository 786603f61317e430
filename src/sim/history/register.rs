//! The history of one key in a form for the search: values as small numbers, and only the
//! operations that matter.

use rustc_hash::FxHashMap;

use super::operation::{Action, ClientOperation};
use crate::raft::Micros;
use crate::record::AnswerKind;

/// What is assumed about puts that were answered `redirect` or `fail`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// They never took effect: rule R1 was kept.
    NeverTookEffect,
    /// They may have taken effect, like unanswered puts: rule R1 may be broken.
    MayHaveTakenEffect,
}

/// A value of the key, as an index into [`Register::values`].
pub(super) type ValueNumber = u32;
/// The value of a key that was never put: `""`.
pub(super) const INITIAL: ValueNumber = 0;

/// An operation that took effect, or may have taken effect.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    /// The operation as its client saw it.
    pub operation: &'a ClientOperation,
    /// Whether it wrote [`Step::value`]; otherwise it read it.
    pub is_put: bool,
    /// The value that it wrote or read.
    pub value: ValueNumber,
    /// The earliest time at which it can have taken effect.
    pub invoked_at: Micros,
    /// The latest time at which it can have taken effect; [`Micros::NEVER`] if it is optional.
    pub answered_at: Micros,
}

/// The steps that use a value, as rising positions in [`Register::required`] or
/// [`Register::optional`].
#[derive(Default)]
pub(super) struct Uses {
    /// The gets that read it.
    pub gets: Vec<usize>,
    /// The puts that certainly wrote it.
    pub puts: Vec<usize>,
    /// The puts that may have written it.
    pub optional_puts: Vec<usize>,
}

/// The history of one key.
pub(super) struct Register<'a> {
    /// The steps that took effect, by time of invocation.
    pub required: Vec<Step<'a>>,
    /// The puts that may have taken effect, by time of invocation.
    pub optional: Vec<Step<'a>>,
    /// For each value, the steps that use it.
    pub values: Vec<Uses>,
}

impl<'a> Register<'a> {
    /// Prepares the `operations` of a key. Unanswered and refused gets say nothing and are left
    /// out. So is an `ok` to a get without a value, which is an incorrect answer but no read.
    pub fn new(operations: &[&'a ClientOperation], refused: Refused) -> Register<'a> {
        let mut register =
            Register { required: Vec::new(), optional: Vec::new(), values: vec![Uses::default()] };
        let mut numbers = FxHashMap::from_iter([("", INITIAL)]);
        for &operation in operations {
            let (is_put, text) = match &operation.action {
                Action::Put { value } => (true, value),
                Action::Get { value: Some(value) } => (false, value),
                Action::Get { value: None } => continue,
            };
            let next_number = numbers.len() as ValueNumber;
            let value = *numbers.entry(text).or_insert(next_number);
            let step = Step {
                operation,
                is_put,
                value,
                invoked_at: operation.invoked_at,
                answered_at: Micros::NEVER,
            };
            match operation.answered {
                Some((answered_at, AnswerKind::Ok)) => {
                    register.required.push(Step { answered_at, ..step });
                }
                None if is_put => register.optional.push(step),
                Some(_) if is_put && refused == Refused::MayHaveTakenEffect => {
                    register.optional.push(step);
                }
                _ => {}
            }
        }
        register.required.sort_by_key(|step| (step.invoked_at, step.answered_at));
        register.optional.sort_by_key(|step| step.invoked_at);
        register.index(numbers.len() as ValueNumber);
        register
    }

    /// Fills in which steps use each of the `values` values.
    pub fn index(&mut self, values: ValueNumber) {
        self.values.clear();
        self.values.resize_with(values as usize, Uses::default);
        for (position, step) in self.required.iter().enumerate() {
            let uses = &mut self.values[step.value as usize];
            if step.is_put { &mut uses.puts } else { &mut uses.gets }.push(position);
        }
        for (position, step) in self.optional.iter().enumerate() {
            self.values[step.value as usize].optional_puts.push(position);
        }
    }

    /// The history without the values that were read and that several puts may have written.
    /// Removing a value with all its puts and gets from an order that explains the whole leaves an
    /// order. So if this part has none, the whole has none.
    pub fn with_single_writers(&self) -> Register<'a> {
        let kept = |step: &&Step| {
            let uses = &self.values[step.value as usize];
            let writers =
                uses.puts.len() + uses.optional_puts.len() + usize::from(step.value == INITIAL);
            uses.gets.is_empty() || writers <= 1
        };
        let mut part = Register {
            required: self.required.iter().filter(kept).copied().collect(),
            optional: self.optional.iter().filter(kept).copied().collect(),
            values: Vec::new(),
        };
        part.index(self.values.len() as ValueNumber);
        part
    }
}
