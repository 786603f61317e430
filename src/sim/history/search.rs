//! The search for an order that explains the values read (Wing and Gong, 1993). It visits each
//! state once (Lowe, 2017) and does not recurse.
//!
//! A state is the set of steps placed in the order so far, and the value that the register holds
//! then. A step may come next if it was invoked no later than the first end of any step still
//! missing. The search is fast because for a register most choices need not be tried:
//!
//! - a get of the value held now is placed at once: it changes nothing and could only block others;
//! - of the puts of one value, the one that ends first is taken first: the others can wait longer.
//!   Optional puts end last of all;
//! - an optional put is taken only for a get that can read it at once;
//! - a put whose value no missing get wants is placed as soon as the value held is given up;
//! - if all the missing gets of a value can be placed at once after a put of it, they are: no
//!   missing step has to come before them, and they cannot block anything later. Where each get has
//!   one possible writer, nothing else is ever left to try;
//! - a value is not given up while gets want it and no put is left to bring it back.

use rustc_hash::FxHashSet;

use super::fault::Fault;
use super::operation::ClientOperation;
use super::register::{INITIAL, Register, Step, ValueNumber};
use crate::raft::Micros;

/// What the register holds when no missing get wants it.
const UNWANTED: ValueNumber = ValueNumber::MAX;
/// After this many states the search gives up: the problem is NP-complete where values repeat, and
/// this many states take a few hundred megabytes.
const MOST_STATES: usize = 1 << 20;
/// How many operations of an incomplete order a fault shows.
const SHOWN: usize = 3;

/// The set of required steps that have been placed. Equal sets have equal fields: all positions
/// before `first_word * 64` are in the set, and no unneeded word is kept at either end.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Placed {
    first_word: usize,
    words: Vec<u64>,
}

impl Placed {
    fn contains(&self, position: usize) -> bool {
        position / 64 < self.first_word
            || self
                .words
                .get(position / 64 - self.first_word)
                .is_some_and(|word| word & (1 << (position % 64)) != 0)
    }

    fn insert(&mut self, position: usize) {
        let index = position / 64 - self.first_word;
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        self.words[index] |= 1 << (position % 64);
        let full = self.words.iter().take_while(|word| **word == u64::MAX).count();
        self.words.drain(..full);
        self.first_word += full;
    }

    /// The positions that are not in the set, rising, without end.
    fn missing(&self) -> impl Iterator<Item = usize> {
        let word = |index: usize| self.words.get(index).copied().unwrap_or(0);
        (0..).flat_map(move |index| {
            let absent = !word(index);
            let start = (self.first_word + index) * 64;
            (0..64).filter(move |bit| absent & (1 << bit) != 0).map(move |bit| start + bit)
        })
    }
}

/// A state of the search. Two states with the same choices left are equal.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    placed: Placed,
    /// How many optional puts have been placed, for each value of which some were and which a
    /// missing get wants; in order of value. Puts are taken in order of invocation.
    spent: Vec<(ValueNumber, usize)>,
    /// The value that the register holds, or [`UNWANTED`].
    value: ValueNumber,
}

/// A state that the search has reached, and the way to it.
struct Node<'a> {
    parent: Option<usize>,
    /// What was placed on the way from the parent.
    steps: Vec<&'a ClientOperation>,
    /// How many operations have been placed.
    length: usize,
}

/// An order that explains the history of `register`.
///
/// # Errors
/// [`Fault::Stuck`]: there is none. [`Fault::Undecided`]: the search gave up before it found one.
pub(super) fn search<'a>(register: &Register<'a>) -> Result<Vec<&'a ClientOperation>, Box<Fault>> {
    let search = Search { register };
    let mut start = State { placed: Placed::default(), spent: Vec::new(), value: INITIAL };
    let mut steps = Vec::new();
    search.settle(&mut start, &mut steps);
    let mut nodes = vec![Node { parent: None, length: steps.len(), steps }];
    let mut seen = FxHashSet::from_iter([start.clone()]);
    let mut open = vec![(start, 0)];
    let mut longest = 0;
    let mut next = None;
    while let Some((state, node)) = open.pop() {
        let Some(first_end) = search.first_to_end(&state) else {
            return Ok(order(&nodes, node));
        };
        if next.is_none() || nodes[node].length > nodes[longest].length {
            longest = node;
            next = Some(first_end);
        }
        // The most promising choice is pushed last, so it is taken first.
        for (state, steps) in search.choices(&state).into_iter().rev() {
            if seen.insert(state.clone()) {
                let length = nodes[node].length + steps.len();
                nodes.push(Node { parent: Some(node), steps, length });
                open.push((state, nodes.len() - 1));
            }
        }
        if seen.len() > MOST_STATES {
            return Err(Box::new(Fault::Undecided { states: seen.len() }));
        }
    }
    let explained = order(&nodes, longest);
    let last = explained[explained.len().saturating_sub(SHOWN)..].iter();
    Err(Box::new(Fault::Stuck {
        explained: explained.len(),
        last: last.map(|operation| (*operation).clone()).collect(),
        next: next.expect("a search that fails has looked at its start").clone(),
    }))
}

/// The operations placed on the way to `node`, in order.
fn order<'a>(nodes: &[Node<'a>], node: usize) -> Vec<&'a ClientOperation> {
    let path = std::iter::successors(Some(node), |&node| nodes[node].parent);
    let mut order: Vec<&ClientOperation> =
        path.flat_map(|node| nodes[node].steps.iter().rev().copied()).collect();
    order.reverse();
    order
}

struct Search<'r, 'a> {
    register: &'r Register<'a>,
}

/// A value that may be written to the register next.
struct Choice {
    value: ValueNumber,
    /// The required put of this value that ends first; `None`: only gets, which an optional put may
    /// serve.
    put: Option<usize>,
    /// When the first operation of this value ends.
    first_end: Micros,
}

impl<'a> Search<'_, 'a> {
    fn step(&self, position: usize) -> Step<'a> {
        self.register.required[position]
    }

    /// The required steps that may come next, and the first end of a missing step. What is invoked
    /// after that end must come later.
    fn eligible(&self, state: &State) -> (Vec<usize>, Micros) {
        let mut frontier = Micros::NEVER;
        let mut eligible = Vec::new();
        for position in state.placed.missing() {
            match self.register.required.get(position) {
                Some(step) if step.invoked_at <= frontier => {
                    frontier = frontier.min(step.answered_at);
                    eligible.push(position);
                }
                _ => break,
            }
        }
        // Going through the steps in order of invocation, the first end gets earlier, so the first
        // steps may have to be removed again.
        eligible.retain(|&position| self.step(position).invoked_at <= frontier);
        (eligible, frontier)
    }

    /// The missing operation that ends first; `None` if none is missing.
    fn first_to_end(&self, state: &State) -> Option<&'a ClientOperation> {
        let (eligible, _) = self.eligible(state);
        let steps = eligible.into_iter().map(|position| self.step(position));
        steps.min_by_key(|step| step.answered_at).map(|step| step.operation)
    }

    /// Whether a missing get wants `value`.
    fn is_wanted(&self, state: &State, value: ValueNumber) -> bool {
        self.any_missing(state, &self.register.values[value as usize].gets)
    }

    /// Whether a put is left that brings `value`.
    fn is_writable(&self, state: &State, value: ValueNumber) -> bool {
        let uses = &self.register.values[value as usize];
        self.any_missing(state, &uses.puts) || spent(state, value) < uses.optional_puts.len()
    }

    fn any_missing(&self, state: &State, positions: &[usize]) -> bool {
        let window = positions.iter().rev();
        window
            .take_while(|position| **position / 64 >= state.placed.first_word)
            .any(|position| !state.placed.contains(*position))
    }

    /// Places the gets of the value held, and forgets what no longer matters.
    fn settle(&self, state: &mut State, steps: &mut Vec<&'a ClientOperation>) {
        while state.value != UNWANTED {
            let (eligible, _) = self.eligible(state);
            let before = steps.len();
            for position in eligible {
                let step = self.step(position);
                if !step.is_put && step.value == state.value {
                    state.placed.insert(position);
                    steps.push(step.operation);
                }
            }
            if steps.len() == before {
                break;
            }
        }
        if state.value != UNWANTED && !self.is_wanted(state, state.value) {
            state.value = UNWANTED;
        }
        let mut spent = std::mem::take(&mut state.spent);
        spent.retain(|(value, _)| self.is_wanted(state, *value));
        state.spent = spent;
    }

    /// Gives up the value held and places the puts that nobody will read. Returns false if a
    /// missing get wants the value and nothing can bring it back.
    fn give_up(&self, state: &mut State, steps: &mut Vec<&'a ClientOperation>) -> bool {
        let held = state.value;
        if held != UNWANTED && self.is_wanted(state, held) && !self.is_writable(state, held) {
            return false;
        }
        loop {
            let (eligible, _) = self.eligible(state);
            let before = steps.len();
            for position in eligible {
                let step = self.step(position);
                if step.is_put && !self.is_wanted(state, step.value) {
                    state.placed.insert(position);
                    steps.push(step.operation);
                    state.value = UNWANTED;
                }
            }
            if steps.len() == before {
                return true;
            }
        }
    }

    /// The states that may follow `state`, the most promising first, each with the operations
    /// placed.
    fn choices(&self, state: &State) -> Vec<(State, Vec<&'a ClientOperation>)> {
        let mut state = state.clone();
        let mut steps = Vec::new();
        if !self.give_up(&mut state, &mut steps) {
            return Vec::new();
        }
        let (eligible, frontier) = self.eligible(&state);
        if eligible.is_empty() {
            return vec![(state, steps)];
        }
        let mut choices = self.values_next(&eligible);
        choices.sort_by_key(|choice| (choice.first_end, choice.value));
        let mut followers = Vec::new();
        for choice in choices {
            let Some(follower) = self.follow(&state, &steps, choice, frontier) else { continue };
            if follower.0.value == UNWANTED {
                // All gets of the value could be placed, so nothing else needs to be tried.
                return vec![follower];
            }
            followers.push(follower);
        }
        followers
    }

    /// The values that the eligible steps write or want to read.
    fn values_next(&self, eligible: &[usize]) -> Vec<Choice> {
        let mut choices: Vec<Choice> = Vec::new();
        for &position in eligible {
            let step = self.step(position);
            let known = choices.iter().position(|choice| choice.value == step.value);
            let index = known.unwrap_or_else(|| {
                let first_end = Micros::NEVER;
                choices.push(Choice { value: step.value, put: None, first_end });
                choices.len() - 1
            });
            let choice = &mut choices[index];
            choice.first_end = choice.first_end.min(step.answered_at);
            let ends_first =
                choice.put.is_none_or(|put| step.answered_at < self.step(put).answered_at);
            if step.is_put && ends_first {
                choice.put = Some(position);
            }
        }
        choices
    }

    /// The state after a put of the chosen value; `None` if there is no such put.
    fn follow(
        &self,
        state: &State,
        steps: &[&'a ClientOperation],
        choice: Choice,
        frontier: Micros,
    ) -> Option<(State, Vec<&'a ClientOperation>)> {
        let mut state = state.clone();
        let mut steps = steps.to_vec();
        if let Some(put) = choice.put {
            state.placed.insert(put);
            steps.push(self.step(put).operation);
        } else {
            let spent = spent(&state, choice.value);
            let optional_puts = &self.register.values[choice.value as usize].optional_puts;
            let put = self.register.optional[*optional_puts.get(spent)?];
            if put.invoked_at > frontier {
                return None;
            }
            match state.spent.binary_search_by_key(&choice.value, |(value, _)| *value) {
                Ok(index) => state.spent[index].1 += 1,
                Err(index) => state.spent.insert(index, (choice.value, 1)),
            }
            steps.push(put.operation);
        }
        state.value = choice.value;
        self.settle(&mut state, &mut steps);
        Some((state, steps))
    }
}

/// How many optional puts of `value` have been placed.
fn spent(state: &State, value: ValueNumber) -> usize {
    let found = state.spent.binary_search_by_key(&value, |(value, _)| *value);
    found.map_or(0, |index| state.spent[index].1)
}
