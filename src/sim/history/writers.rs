//! Which puts a get may have read, and how equal values are told apart by that.
//!
//! A get cannot have read a put that began after the get ended. Nor can it have read a put that was
//! overwritten: another put began after that put's end and ended before the get began. A get that
//! has no possible writer left is a fault, and the easiest one to explain. Otherwise, puts of the
//! same text that no get can confuse get different values from then on. That changes nothing about
//! which orders explain the history, but the search has far less to try.

use std::iter::successors;

use super::fault::Fault;
use super::register::{INITIAL, Register, Step, ValueNumber};
use crate::raft::Micros;

/// A possible writer of a value. In its times, `None` is before the history.
struct Writer {
    began: Option<Micros>,
    ended: Option<Micros>,
    /// The latest end among this writer and all that began before it.
    latest_end: Option<Micros>,
    /// The writer's position among the required steps; `None` for the initial value.
    position: Option<usize>,
}

/// The puts that ended, in order of their ends. Each has the put that began last so far, which
/// limits most what a later get may have read.
struct Overwriting<'a> {
    last_begun: Vec<(Micros, Step<'a>)>,
}

impl<'a> Overwriting<'a> {
    fn of(register: &Register<'a>) -> Overwriting<'a> {
        let mut puts: Vec<Step> =
            register.required.iter().filter(|step| step.is_put).copied().collect();
        puts.sort_by_key(|put| put.answered_at);
        let mut last_begun: Vec<(Micros, Step)> = Vec::with_capacity(puts.len());
        for put in puts {
            let last = match last_begun.last() {
                Some((_, last)) if last.invoked_at >= put.invoked_at => *last,
                _ => put,
            };
            last_begun.push((put.answered_at, last));
        }
        Overwriting { last_begun }
    }

    /// Of the puts that ended before `get` began, the one that began last. Puts that ended before
    /// it began were overwritten.
    fn before(&self, get: &Step) -> Option<Step<'a>> {
        let ended = self.last_begun.partition_point(|(ended, _)| *ended < get.invoked_at);
        Some(self.last_begun[ended.checked_sub(1)?].1)
    }
}

/// Sets of writers that some get may confuse. Each writer's index leads to another writer of its
/// set, and finally to the root, which stands for the set.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&self, writer: usize) -> usize {
        let next = |&writer: &usize| (self.0[writer] != writer).then_some(self.0[writer]);
        successors(Some(writer), next).last().unwrap_or(writer)
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        // Both ways lead to the new root directly, so paths stay short.
        self.0[one.max(other)] = one.min(other);
    }

    /// Makes every writer lead directly to its root. A root comes before all others of its set.
    fn flatten(&mut self) {
        for writer in 0..self.0.len() {
            self.0[writer] = self.0[self.0[writer]];
        }
    }
}

/// Gives puts of one value that no get can confuse different values.
///
/// # Errors
/// The first get, by value and time, that has no possible writer.
pub(super) fn tell_apart(register: &mut Register) -> Result<(), Box<Fault>> {
    let overwriting = Overwriting::of(register);
    let values = register.values.len() as ValueNumber;
    let mut fresh = values;
    for value in 0..values {
        if !register.values[value as usize].gets.is_empty() {
            tell_value_apart(register, &overwriting, value, &mut fresh)?;
        }
    }
    register.index(fresh);
    Ok(())
}

/// Does this for one value. New values are numbered from `fresh`.
fn tell_value_apart(
    register: &mut Register,
    overwriting: &Overwriting,
    value: ValueNumber,
    fresh: &mut ValueNumber,
) -> Result<(), Box<Fault>> {
    let writers = writers_of(register, value);
    let uses = &register.values[value as usize];
    // Optional puts come after the writers. A get that may have read one of them may have read all
    // that began earlier.
    let mut sets = Sets((0..writers.len() + uses.optional_puts.len()).collect());
    let mut read_from = Vec::with_capacity(uses.gets.len());
    for &position in &uses.gets {
        let get = &register.required[position];
        let overwriter = overwriting.before(get);
        let bound = overwriter.map(|put| put.invoked_at);
        let begun = writers.partition_point(|writer| writer.began <= Some(get.answered_at));
        let optional_begun = uses
            .optional_puts
            .partition_point(|&put| register.optional[put].invoked_at <= get.answered_at);
        let standing = (0..begun).rev().take_while(|&writer| writers[writer].latest_end >= bound);
        let mut possible = standing
            .filter(|&writer| writers[writer].ended >= bound)
            .chain((0..optional_begun).map(|put| writers.len() + put));
        let Some(first) = possible.next() else {
            let last = begun.checked_sub(1).map(|last| &writers[last]);
            return Err(Box::new(unexplained(register, get, last, overwriter)));
        };
        possible.for_each(|other| sets.join(first, other));
        read_from.push((position, first));
    }
    sets.flatten();
    renumber(register, value, &writers, &sets, &read_from, fresh);
    Ok(())
}

/// Gives each set in `sets` of writers of `value` its own number, and the gets in `read_from` the
/// number of the set that they read.
fn renumber(
    register: &mut Register,
    value: ValueNumber,
    writers: &[Writer],
    sets: &Sets,
    read_from: &[(usize, usize)],
    fresh: &mut ValueNumber,
) {
    let mut numbers: Vec<Option<ValueNumber>> = vec![None; sets.0.len()];
    // The set of the first writer keeps the number, since the initial value must keep its own.
    numbers[0] = Some(value);
    let mut number_of = |writer: usize| {
        *numbers[sets.0[writer]].get_or_insert_with(|| {
            *fresh += 1;
            *fresh - 1
        })
    };
    for (index, writer) in writers.iter().enumerate() {
        if let Some(position) = writer.position {
            register.required[position].value = number_of(index);
        }
    }
    for (index, &put) in register.values[value as usize].optional_puts.iter().enumerate() {
        register.optional[put].value = number_of(writers.len() + index);
    }
    for &(get, writer) in read_from {
        register.required[get].value = number_of(writer);
    }
}

/// The steps that certainly wrote `value`, in order of their beginnings.
fn writers_of(register: &Register, value: ValueNumber) -> Vec<Writer> {
    let initial = Writer { began: None, ended: None, latest_end: None, position: None };
    let mut writers: Vec<Writer> = (value == INITIAL).then_some(initial).into_iter().collect();
    let mut latest_end = None;
    for &position in &register.values[value as usize].puts {
        let put = &register.required[position];
        let ended = Some(put.answered_at);
        latest_end = latest_end.max(ended);
        let began = Some(put.invoked_at);
        writers.push(Writer { began, ended, latest_end, position: Some(position) });
    }
    writers
}

/// The fault that `get` has no possible writer. `last` is the last writer that began in time, and
/// `overwriter` is the put that came between.
fn unexplained(
    register: &Register,
    get: &Step,
    last: Option<&Writer>,
    overwriter: Option<Step>,
) -> Fault {
    let get = get.operation.clone();
    match (last, overwriter) {
        (Some(writer), Some(overwriter)) => Fault::Overwritten {
            put: writer.position.map(|put| register.required[put].operation.clone()),
            overwriter: overwriter.operation.clone(),
            get,
        },
        _ => Fault::NeverWritten { get },
    }
}
