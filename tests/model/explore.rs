//! The exploration: breadth first, so that what is found broken is found by a shortest way.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::Instant;

use laconic::raft::Marks;
use rustc_hash::FxHashSet;

use crate::bounds::Bounds;
use crate::model::{Action, Next, Seen, Sights, State};
use crate::story;

/// What an exploration found.
#[derive(Debug)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Ways from one state to another, or to itself.
    pub transitions: u64,
    /// How many actions the farthest state is away from the first.
    pub depth: u32,
    /// Changes of state that were seen.
    pub seen: BTreeSet<Seen>,
    /// Rare branches of the core that were taken.
    pub marks: Marks,
    /// What is broken. Then the exploration ended there.
    pub broken: Option<Broken>,
    /// How long it took, for the listing.
    took_s: f64,
}

/// A property that does not hold.
#[derive(Debug)]
pub struct Broken {
    /// Which.
    pub what: String,
    /// What happened before, one action a line.
    pub story: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "{line}")?;
        }
        write!(f, "{}", self.what)
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explored { states, transitions, depth, took_s, .. } = self;
        let marks = self.marks.iter().count();
        write!(f, "{states} states, {transitions} transitions, depth {depth}, ")?;
        write!(f, "{marks} marks, {took_s:.1} s")
    }
}

/// A way to a state: the number of the state before, and the action.
type Step = (u32, Action);

/// Explores all states within `bounds`, until the queue is empty or something is broken.
pub fn explore(bounds: &Bounds) -> Explored {
    let began = Instant::now();
    let mut sights = Sights::default();
    let first = State::first(bounds);
    let mut known = FxHashSet::from_iter([first.print()]);
    let mut steps: Vec<Step> = Vec::new();
    // States with their numbers; the first has 0, and the step to state n is at n - 1.
    let mut queue = VecDeque::from([(0u32, 0u32, first)]);
    let (mut transitions, mut depth) = (0, 0);
    let mut broken = None;
    'all: while let Some((number, distance, state)) = queue.pop_front() {
        depth = depth.max(distance);
        for action in state.actions(bounds) {
            transitions += 1;
            match state.after(bounds, action, &mut sights) {
                Next::Nothing => {}
                Next::State(next) => {
                    if known.insert(next.print()) {
                        steps.push((number, action));
                        queue.push_back((steps.len() as u32, distance + 1, next));
                    }
                }
                Next::Broken(what) => {
                    let story = story::tell(bounds, &way_to(&steps, number, action));
                    broken = Some(Broken { what, story });
                    break 'all;
                }
            }
        }
    }
    Explored {
        states: known.len(),
        transitions,
        depth,
        seen: sights.seen,
        marks: sights.marks,
        broken,
        took_s: began.elapsed().as_secs_f64(),
    }
}

/// The actions from the first state to the state of that `number`, and `last`.
fn way_to(steps: &[Step], mut number: u32, last: Action) -> Vec<Action> {
    let mut actions = vec![last];
    while let Some((before, action)) =
        number.checked_sub(1).and_then(|place| steps.get(place as usize))
    {
        actions.push(*action);
        number = *before;
    }
    actions.reverse();
    actions
}
