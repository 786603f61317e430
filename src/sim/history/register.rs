//! The history of one key, prepared: values as small numbers, and only the
//! operations that say something.

use rustc_hash::FxHashMap;

use super::operation::{Action, ClientOperation};
use crate::raft::Micros;
use crate::record::AnswerKind;

/// What is assumed of puts that were answered `redirect` or `fail`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Rule R1 was kept.
    NeverTookEffect,
    /// It may have been broken: they count like unanswered puts.
    MayHaveTakenEffect,
}

/// A value of the key, as an index into [`Register::values`].
pub(super) type ValueNumber = u32;
/// The value of a key never put, `""`.
pub(super) const INITIAL: ValueNumber = 0;

/// An operation that took effect, or may have.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    /// As the client saw it.
    pub operation: &'a ClientOperation,
    /// Whether it writes [`Step::value`]; else it read it.
    pub is_put: bool,
    /// What it wrote or read.
    pub value: ValueNumber,
    /// It took effect no earlier.
    pub invoked_at: Micros,
    /// It took effect no later; [`Micros::NEVER`] if it is optional.
    pub answered_at: Micros,
}

/// Who uses a value; positions in [`Register::required`] and [`Register::optional`] each, rising.
#[derive(Default)]
pub(super) struct Uses {
    /// The gets that read it.
    pub gets: Vec<usize>,
    /// The puts that wrote it for sure.
    pub puts: Vec<usize>,
    /// The puts that wrote it or did not.
    pub optional_puts: Vec<usize>,
}

/// The history of one key.
pub(super) struct Register<'a> {
    /// What took effect, by time of invocation.
    pub required: Vec<Step<'a>>,
    /// Puts that took effect or did not, by time of invocation.
    pub optional: Vec<Step<'a>>,
    /// For each value, who uses it.
    pub values: Vec<Uses>,
}

impl<'a> Register<'a> {
    /// Prepares the `operations` of a key. Unanswered and refused gets say nothing and are left
    /// out, and so is an `ok` without a value, which is an incorrect answer but no reading.
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

    /// Notes who uses which of the `values` values.
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

    /// The history without the values that were read and of which several puts may be the writer.
    /// A value that is left out with all its puts and gets takes nothing from an order that
    /// explains the whole, so if this part has none, the whole has none.
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
