//! The exploration: breadth first, so that what is found broken is found by a shortest way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::BuildHasher;
use std::time::Instant;

use laconic::raft::Marks;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::bounds::Bounds;
use crate::cluster::{Cluster, Next, Seen, State};
use crate::node::Print;
use crate::story;

/// What an exploration found.
#[derive(Debug)]
pub struct Explored {
    /// Different states, without those that others cover.
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
    /// Whether it ended because there were as many states as it may keep.
    pub cut_off: bool,
    /// How many replicas, messages, and replicas with messages there are.
    kept: (usize, usize, usize),
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
        let (replicas, messages, cells) = self.kept;
        write!(f, "{states} states, {transitions} transitions, depth {depth}, ")?;
        write!(f, "{replicas} replicas, {messages} messages, {cells} cells, ")?;
        write!(f, "{marks} marks, {took_s:.1} s")?;
        f.write_str(if self.cut_off { ", cut off" } else { "" })
    }
}

/// An exploration with more states is cut off: it would need more than 15 GB.
const MOST_STATES: usize = 60_000_000;

/// No record.
const NONE: u32 = u32::MAX;

/// A state that was found.
struct Record {
    state: State,
    /// The record of the state before it.
    before: u32,
    /// The record found before this one whose state it could cover or be covered by.
    other: u32,
    /// Whether a state that was found later can do all that this one can.
    covered: bool,
}

/// All states that were found, in the order in which they were found.
struct Found {
    records: Vec<Record>,
    /// The latest record, by hash of what states that can cover each other have in common.
    latest: FxHashMap<u64, u32>,
    covered: usize,
}

impl Found {
    /// Adds a state, unless there is one that covers it.
    fn add(&mut self, cluster: &Cluster, state: State, before: u32) {
        let core = cluster.core_of(&state);
        let number = self.records.len() as u32;
        let first = self.latest.entry(FxBuildHasher.hash_one(core)).or_insert(NONE);
        let (mut place, mut last) = (*first, NONE);
        while place != NONE {
            let Record { state: other, other: next, .. } = self.records[place as usize];
            let is_alike = cluster.core_of(&other) == core;
            if is_alike && cluster.covers(&other, &state) {
                return;
            }
            if is_alike && cluster.covers(&state, &other) {
                self.records[place as usize].covered = true;
                self.covered += 1;
                match last {
                    NONE => *first = next,
                    _ => self.records[last as usize].other = next,
                }
            } else {
                last = place;
            }
            place = next;
        }
        let other = std::mem::replace(first, number);
        self.records.push(Record { state, before, other, covered: false });
    }

    /// The states from the first one to that of the record.
    fn way_to(&self, mut number: u32) -> Vec<State> {
        let mut states = Vec::new();
        while let Some(record) = self.records.get(number as usize) {
            states.push(record.state);
            number = record.before;
        }
        states.reverse();
        states
    }
}

/// Explores all states within `bounds`, until there is no new one or something is broken.
pub fn explore(bounds: &Bounds) -> Explored {
    search(bounds).0
}

/// The replicas, by rank, and the past of all states within `bounds`, each with the fewest timeouts
/// after which the cluster can be so: what the properties speak of. And how many states that took.
pub fn clusters(bounds: &Bounds) -> (BTreeMap<Print, u8>, usize) {
    let (explored, cluster, found) = search(bounds);
    let mut clusters = BTreeMap::new();
    for Record { state, .. } in &found.records {
        let fewest = clusters.entry(cluster.print(state)).or_insert(state.used.timeouts);
        *fewest = state.used.timeouts.min(*fewest);
    }
    (clusters, explored.states)
}

fn search(bounds: &Bounds) -> (Explored, Cluster, Found) {
    let began = Instant::now();
    let (mut cluster, first) = Cluster::new(bounds);
    let mut found = Found { records: Vec::new(), latest: FxHashMap::default(), covered: 0 };
    found.add(&cluster, first, NONE);
    let (mut transitions, mut depth, mut next_depth) = (0, 0, 1);
    let mut broken = None;
    let mut actions = Vec::new();
    let mut number = 0;
    'all: while number < found.records.len() {
        if number == next_depth {
            depth += 1;
            next_depth = found.records.len();
        }
        let Record { state, covered, .. } = found.records[number];
        if !covered {
            cluster.actions(&state, &mut actions);
            for action in &actions {
                transitions += 1;
                match cluster.after(&state, *action) {
                    Next::Nothing => {}
                    Next::State(next) => found.add(&cluster, next, number as u32),
                    Next::Broken(what) => {
                        let way = found.way_to(number as u32);
                        let story = story::tell(&mut cluster, &way, *action);
                        broken = Some(Broken { what, story });
                        break 'all;
                    }
                }
            }
        }
        number += 1;
        if found.records.len() > MOST_STATES {
            break;
        }
    }
    let explored = Explored {
        states: found.records.len() - found.covered,
        transitions,
        depth,
        seen: std::mem::take(&mut cluster.seen),
        marks: cluster.marks,
        cut_off: broken.is_none() && number < found.records.len(),
        broken,
        kept: cluster.kept(),
        took_s: began.elapsed().as_secs_f64(),
    };
    (explored, cluster, found)
}
