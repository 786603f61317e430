//! A state of the cluster, and what can happen in it next.
//!
//! Every replica, message, set of messages and past that is met is kept once and has a number, so a
//! state is a few numbers. What a replica does next depends on nothing but itself. So that is
//! worked out once as well, however many states of the cluster it is part of.

use std::collections::BTreeSet;
use std::rc::Rc;

use laconic::raft::grounds::Grounds;
use laconic::raft::invariants::check_all;
use laconic::raft::{Event, Marks, Member, Micros, Output, Raft};
use rustc_hash::FxHashMap;

use crate::bounds::{Bounds, Clocks, Start};
use crate::ghost::Ghost;
use crate::kept::Kept;
use crate::node::{Act, Letter, Node, Print, print_of, read_ticket};

/// Most replicas.
const MOST: usize = 4;

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something happens to the replica of that rank.
    At(u8, Act),
    /// Time passes to the next moment at which a timer, a promise or a lease ends anywhere.
    Tick,
}

/// What an exploration must have seen, or it has explored nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// A leader was elected.
    Elected,
    /// Another was elected in term 2.
    ElectedInTerm2,
    /// Two replicas led at once, in different terms.
    TwoLeaders,
    /// A leader stepped down.
    Deposed,
    /// An entry was committed.
    Committed,
    /// A put was committed.
    PutCommitted,
    /// The end of a log was truncated at a conflict.
    Truncated,
    /// A read was answered.
    ReadServed,
}

/// What was used of the bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Used {
    /// Puts.
    pub proposals: u8,
    /// Reads.
    pub reads: u8,
    /// Timeouts.
    pub timeouts: u8,
}

impl Used {
    /// Whether nothing more was used than by `other`.
    pub const fn is_within(self, other: Used) -> bool {
        self.proposals <= other.proposals
            && self.reads <= other.reads
            && self.timeouts <= other.timeouts
    }
}

/// A state of the cluster, in numbers of what [`Cluster`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// By rank: the replica, with all messages that were ever sent to it.
    pub cells: [u32; MOST],
    /// The time, if there is one for all.
    pub now: Micros,
    /// What the properties need of the past.
    pub ghost: u32,
    /// What was used of the bounds.
    pub used: Used,
}

/// What an action led to.
pub enum Next {
    /// A state.
    State(State),
    /// Nothing that the present state does not also lead to, or something out of bounds.
    Nothing,
    /// Something that must not be.
    Broken(String),
}

/// A replica that is kept.
#[derive(Debug)]
pub struct KeptNode {
    /// It.
    pub node: Node,
    /// What of it the invariants compare with other nodes.
    pub public: Print,
    /// What can happen to it with no message and no client, and whether it counts as a timeout.
    pub may: Box<[(Act, bool)]>,
}

/// A replica, with all messages that may arrive there.
#[derive(Debug)]
pub struct Cell {
    /// The replica.
    pub node: u32,
    /// The messages.
    pub inbox: u32,
    /// The messages that would change something, and the steps that they lead to.
    pub deliveries: Rc<[(Act, u32)]>,
    /// What is sent by deliveries that change nothing.
    pub answers: Rc<[(u8, u32)]>,
}

/// What happens at one replica.
#[derive(Debug)]
pub enum Step {
    /// Nothing, or something out of bounds.
    Nothing,
    /// The replica and what it tells change, or it sends something.
    To { node: u32, sent: Rc<[(u8, u32)]>, facts: Rc<[Output]> },
    /// Something that must not be.
    Broken(String),
}

/// All that was ever met of a cluster within its bounds.
pub struct Cluster {
    /// The bounds.
    pub bounds: Bounds,
    /// Changes of state that were seen.
    pub seen: BTreeSet<Seen>,
    /// Rare branches of the core that were taken.
    pub marks: Marks,
    /// The replicas.
    pub nodes: Kept<KeptNode>,
    /// The messages.
    pub letters: Kept<Letter>,
    /// Sets of messages, in order.
    pub inboxes: Kept<Rc<[u32]>>,
    /// What is remembered of pasts.
    pub ghosts: Kept<Ghost>,
    /// Replicas with their messages.
    pub cells: Vec<Cell>,
    /// By replica and messages.
    pub cell_of: FxHashMap<(u32, u32), u32>,
    /// By cell and one more message; not all of them.
    pub with: FxHashMap<(u32, u32), u32>,
    /// What happens at replicas.
    pub steps: Vec<Step>,
    /// By replica and what happens to it.
    pub step_of: FxHashMap<(u32, Act), u32>,
    /// By past, replica and step.
    ghost_after: FxHashMap<(u32, u32, u32), u32>,
}

impl Cluster {
    /// A cluster, and the state in which `bounds` say that the exploration begins.
    pub fn new(bounds: &Bounds) -> (Cluster, State) {
        let mut cluster = Cluster {
            bounds: bounds.clone(),
            seen: BTreeSet::new(),
            marks: Marks::default(),
            nodes: Kept::default(),
            letters: Kept::default(),
            inboxes: Kept::default(),
            ghosts: Kept::default(),
            cells: Vec::new(),
            cell_of: FxHashMap::default(),
            with: FxHashMap::default(),
            steps: vec![Step::Nothing],
            step_of: FxHashMap::default(),
            ghost_after: FxHashMap::default(),
        };
        let state = cluster.first();
        (cluster, state)
    }

    /// Where the bounds say that the exploration begins.
    fn first(&mut self) -> State {
        let nobody = self.inbox(&[]);
        let ghost = Ghost::default();
        let ghost = self.ghosts.number(print_of(&ghost), ghost);
        let mut cells = [0; MOST];
        for (node, cell) in self.bounds.fresh().into_iter().zip(&mut cells) {
            let node = self.node(node);
            *cell = self.cell(node, nobody);
        }
        let state = State { cells, now: Micros(0), ghost, used: Used::default() };
        if self.bounds.start == Start::Elected { self.elect_the_first(state) } else { state }
    }

    /// The replica of rank 0 is elected, without any fault.
    fn elect_the_first(&mut self, state: State) -> State {
        let mut state = match self.bounds.clocks {
            Clocks::Free => self.at(&state, Action::At(0, Act::TimeOut)),
            Clocks::Shared { rates_ppm } => {
                let at = self.node_of(&state, 0).node.raft.deadline().0 * 1_000_000;
                let due = self.with_clocks(&state, rates_ppm, Micros(at.div_ceil(rates_ppm[0])));
                self.at(&due, Action::At(0, Act::Wake))
            }
        };
        let mut letter = 0;
        while letter < self.letters.len() as u32 {
            let to = self.letters.get(letter).to.0;
            state = self.at(&state, Action::At(to, Act::Deliver(letter)));
            if self.node_of(&state, to).node.is_due() {
                state = self.at(&state, Action::At(to, Act::Wake));
            }
            letter += 1;
        }
        assert!(self.node_of(&state, 0).node.raft.is_leader(), "rank 0 is elected");
        State { used: Used::default(), ..state }
    }

    /// What `action` leads to where nothing can be broken yet.
    fn at(&mut self, state: &State, action: Action) -> State {
        match self.after(state, action) {
            Next::State(next) => next,
            Next::Nothing => *state,
            Next::Broken(what) => panic!("broken without any fault: {what}"),
        }
    }

    /// Everything that can happen now.
    pub fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let Bounds { members, proposals, reads, timeouts, clocks, .. } = self.bounds;
        let used = state.used;
        let may_time_out = used.timeouts < timeouts;
        let is_free = clocks == Clocks::Free;
        actions.clear();
        for rank in 0..members {
            let cell = &self.cells[state.cells[usize::from(rank)] as usize];
            let KeptNode { node, may, .. } = self.nodes.get(cell.node);
            let mut add = |act| actions.push(Action::At(rank, act));
            cell.deliveries.iter().for_each(|(act, _)| add(*act));
            may.iter()
                .filter(|(_, is_timeout)| !is_timeout || is_free && may_time_out)
                .for_each(|(act, _)| add(*act));
            if node.raft.is_leader() && used.proposals < proposals {
                add(Act::Propose(used.proposals + 1));
            }
            if node.raft.is_leader() && used.reads < reads {
                add(Act::Read(used.reads + 1));
            }
        }
        if !is_free && may_time_out {
            actions.push(Action::Tick);
        }
    }

    /// What `action` leads to.
    pub fn after(&mut self, state: &State, action: Action) -> Next {
        let Action::At(rank, act) = action else {
            return self.tick(state);
        };
        let before = self.cells[state.cells[usize::from(rank)] as usize].node;
        let step = self.step(before, act);
        let (node, sent, facts) = match &self.steps[step as usize] {
            Step::Nothing => return Next::Nothing,
            Step::Broken(what) => return Next::Broken(what.clone()),
            Step::To { node, sent, facts } => (*node, sent.clone(), facts.clone()),
        };
        let mut next = *state;
        match act {
            Act::TimeOut | Act::Expire => next.used.timeouts += 1,
            Act::Propose(number) => next.used.proposals = number,
            Act::Read(number) => next.used.reads = number,
            Act::Deliver(_) | Act::Wake => {}
        }
        self.put(&mut next, rank, node);
        self.send(&mut next, vec![rank], &sent);
        let is_asked = matches!(act, Act::Read(_));
        if is_asked || !facts.is_empty() {
            if let Err(what) = self.remember(&mut next, before, step, act, &facts) {
                return Next::Broken(what);
            }
            facts.iter().for_each(|fact| self.see(&next, fact));
        }
        let is_touched = self.nodes.get(before).public != self.nodes.get(node).public;
        let mut checked = Ok(());
        if is_touched || next.ghost != state.ghost {
            checked = self.check(&next);
        }
        if node != before {
            checked = checked.and_then(|()| self.check_counted(&next));
        }
        checked.map_or_else(Next::Broken, |()| Next::State(next))
    }

    /// Puts a replica in its place.
    fn put(&mut self, state: &mut State, rank: u8, node: u32) {
        let cell = &mut state.cells[usize::from(rank)];
        *cell = self.cell(node, self.cells[*cell as usize].inbox);
    }

    /// Puts what was sent into the inboxes, and what the `changed` replicas, and whoever gets
    /// something new, answer without any change.
    fn send(&mut self, state: &mut State, mut changed: Vec<u8>, sent: &[(u8, u32)]) {
        let mut deliver = |cluster: &mut Cluster, sent: &[(u8, u32)]| {
            for (to, letter) in sent {
                let cell = &mut state.cells[usize::from(*to)];
                let with = cluster.cell_with(*cell, *letter);
                if with != *cell {
                    *cell = with;
                    changed.push(*to);
                }
            }
            changed.pop().map(|rank| state.cells[usize::from(rank)])
        };
        let mut next = deliver(self, sent);
        while let Some(cell) = next {
            let answers = self.cells[cell as usize].answers.clone();
            next = deliver(self, &answers);
        }
    }

    /// Takes what happened into the past that is remembered.
    fn remember(
        &mut self,
        next: &mut State,
        before: u32,
        step: u32,
        act: Act,
        facts: &[Output],
    ) -> Result<(), String> {
        let key = (next.ghost, before, step);
        if let Some(ghost) = self.ghost_after.get(&key) {
            next.ghost = *ghost;
            return Ok(());
        }
        let Step::To { node, .. } = &self.steps[step as usize] else {
            return Ok(());
        };
        let commit = self.nodes.get(before).node.raft.commit();
        let mut ghost = self.ghosts.get(next.ghost).clone();
        if let Act::Read(number) = act {
            ghost.asked(read_ticket(number));
        }
        ghost.observe(&self.nodes.get(*node).node.raft, commit, facts)?;
        next.ghost = self.ghosts.number(print_of(&ghost), ghost);
        self.ghost_after.insert(key, next.ghost);
        Ok(())
    }

    /// Checks what must hold of every state.
    fn check(&self, state: &State) -> Result<(), String> {
        let rafts: Vec<&Raft> = self.nodes_of(state).map(|node| &node.raft).collect();
        self.ghosts.get(state.ghost).check(rafts.iter().copied())?;
        check_all(&rafts).map_err(|broken| broken.to_string())
    }

    /// Checks that followers hold what leaders count them for, and have accepted the rounds that
    /// leaders date them by (R9, R13, R32). Leases are left to the reads: clocks differ here.
    fn check_counted(&self, state: &State) -> Result<(), String> {
        let raft = |member: Member| self.nodes_of(state).nth(member.rank()).map(|node| &node.raft);
        let mut grounds = Grounds::new(self.bounds.members.into());
        let leaders = self.nodes_of(state).map(|node| &node.raft).filter(|raft| raft.is_leader());
        leaders
            .map(|leader| grounds.after_step(leader, None, raft))
            .find_map(Result::err)
            .map_or(Ok(()), |broken| Err(broken.to_string()))
    }

    fn see(&mut self, state: &State, fact: &Output) {
        let rafts = || self.nodes_of(state).map(|node| &node.raft);
        let seen = match fact {
            Output::Event(Event::BecameLeader { term, .. }) => {
                if rafts().filter(|raft| raft.is_leader()).count() > 1 {
                    self.seen.insert(Seen::TwoLeaders);
                }
                if *term > 1 { Seen::ElectedInTerm2 } else { Seen::Elected }
            }
            Output::Event(Event::SteppedDown { .. }) => Seen::Deposed,
            Output::Event(Event::Truncated { .. }) => Seen::Truncated,
            Output::ReadReady(_) => Seen::ReadServed,
            Output::Commit { through } => {
                let is_put = |raft: &Raft| {
                    let entry = raft.log().entry(*through);
                    raft.commit() >= *through
                        && entry.is_some_and(|entry| !entry.command.is_empty())
                };
                if rafts().any(is_put) {
                    self.seen.insert(Seen::PutCommitted);
                }
                Seen::Committed
            }
            _ => return,
        };
        self.seen.insert(seen);
    }

    /// Time passes, if anything is left that it could bring.
    fn tick(&mut self, state: &State) -> Next {
        let Clocks::Shared { rates_ppm } = self.bounds.clocks else {
            return Next::Nothing;
        };
        let ends = self.nodes_of(state).zip(rates_ppm).filter_map(|(node, rate)| {
            Some(Micros((node.next_end()?.0 * 1_000_000).div_ceil(rate)))
        });
        let Some(now) = ends.min() else {
            return Next::Nothing;
        };
        let mut next = self.with_clocks(state, rates_ppm, now);
        next.used.timeouts += 1;
        Next::State(next)
    }

    /// The state in which it is `now`, whatever was due before.
    fn with_clocks(&mut self, state: &State, rates_ppm: [u64; MOST], now: Micros) -> State {
        let mut next = State { now, ..*state };
        for rank in 0..self.bounds.members {
            let raft = self.node_of(state, rank).node.raft.clone();
            let now = Micros(now.0 * rates_ppm[usize::from(rank)] / 1_000_000);
            let node = self.node(Node { raft, now });
            self.put(&mut next, rank, node);
        }
        // What is answered now depends on all clocks.
        self.send(&mut next, (0..self.bounds.members).collect(), &[]);
        next
    }

    /// The replicas, by rank.
    pub fn nodes_of(&self, state: &State) -> impl Iterator<Item = &Node> {
        let cells = state.cells.into_iter().take(self.bounds.members.into());
        cells.map(|cell| &self.nodes.get(self.cells[cell as usize].node).node)
    }

    fn node_of(&self, state: &State, rank: u8) -> &KeptNode {
        self.nodes.get(self.cells[state.cells[usize::from(rank)] as usize].node)
    }

    /// The message of that number.
    pub fn letter(&self, number: u32) -> &Letter {
        self.letters.get(number)
    }
}
