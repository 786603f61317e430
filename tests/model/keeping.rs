//! What a cluster keeps once of its replicas: what they may get, and what comes of it.

use std::rc::Rc;

use laconic::raft::message::PreVoteReply;
use laconic::raft::{Event, Message, Output};

use crate::cluster::{Cell, Cluster, KeptNode, State, Step};
use crate::node::{Act, Letter, Node, Print, print_of};

/// How many additions of a message to a cell are remembered. They can be worked out again.
const MOST_REMEMBERED: usize = 4_000_000;

impl Cluster {
    /// The number of a replica.
    pub fn node(&mut self, node: Node) -> u32 {
        self.marks.join(node.raft.marks());
        let (public, may) = (node.public_print(), node.may().collect());
        self.nodes.number(node.print(), KeptNode { node, public, may })
    }

    /// The number of a set of messages, which are in order.
    pub fn inbox(&mut self, letters: &[u32]) -> u32 {
        self.inboxes.number(print_of(&letters), Rc::from(letters))
    }

    /// The number of a replica with all messages that may arrive there.
    pub fn cell(&mut self, node: u32, inbox: u32) -> u32 {
        if let Some(cell) = self.cell_of.get(&(node, inbox)) {
            return *cell;
        }
        let letters = self.inboxes.get(inbox).clone();
        if self.bounds.forgetful {
            let replica = &self.nodes.get(node).node;
            let lives = |letter: &u32| !replica.has_outlived(&self.letters.get(*letter).message);
            let alive: Vec<u32> = letters.iter().copied().filter(lives).collect();
            if alive.len() < letters.len() {
                let alive = self.inbox(&alive);
                let number = self.cell(node, alive);
                self.cell_of.insert((node, inbox), number);
                return number;
            }
        }
        let (mut deliveries, mut answers) = (Vec::new(), Vec::new());
        for letter in letters.iter() {
            let act = Act::Deliver(*letter);
            let step = self.step(node, act);
            match &self.steps[step as usize] {
                Step::Nothing => {}
                Step::To { node: after, sent, facts }
                    if self.bounds.reduced && *after == node && facts.is_empty() =>
                {
                    answers.extend_from_slice(sent);
                }
                _ => deliveries.push((act, step)),
            }
        }
        answers.sort_unstable();
        answers.dedup();
        let (deliveries, answers) = (Rc::from(deliveries), Rc::from(answers));
        let number = self.cells.len() as u32;
        self.cells.push(Cell { node, inbox, deliveries, answers });
        self.cell_of.insert((node, inbox), number);
        number
    }

    /// The cell with one more message.
    pub fn cell_with(&mut self, cell: u32, letter: u32) -> u32 {
        let Cell { node, inbox, .. } = self.cells[cell as usize];
        let letters = self.inboxes.get(inbox);
        let Err(place) = letters.binary_search(&letter) else {
            return cell;
        };
        if let Some(with) = self.with.get(&(cell, letter)) {
            return *with;
        }
        let mut letters = letters.to_vec();
        letters.insert(place, letter);
        let inbox = self.inbox(&letters);
        let with = self.cell(node, inbox);
        if self.with.len() == MOST_REMEMBERED {
            self.with.clear();
        }
        self.with.insert((cell, letter), with);
        with
    }

    /// The number of what `act` leads to at a replica.
    pub fn step(&mut self, node: u32, act: Act) -> u32 {
        if let Some(step) = self.step_of.get(&(node, act)) {
            return *step;
        }
        let number = match self.new_step(node, act) {
            Step::Nothing => 0,
            step => {
                self.steps.push(step);
                self.steps.len() as u32 - 1
            }
        };
        self.step_of.insert((node, act), number);
        number
    }

    fn new_step(&mut self, before: u32, act: Act) -> Step {
        let letter = match act {
            Act::Deliver(letter) => Some(self.letters.get(letter)),
            _ => None,
        };
        let acted = match self.nodes.get(before).node.after(&self.bounds, act, letter) {
            Ok(acted) => acted,
            Err(broken) => return Step::Broken(broken),
        };
        if acted.node.raft.term() > self.bounds.terms {
            return Step::Nothing;
        }
        let from = acted.node.raft.member();
        let node = self.node(acted.node);
        let mut sent = Vec::new();
        let mut facts = Vec::new();
        for output in acted.outputs {
            match output {
                Output::Send { to, message, .. } => {
                    let message = without_name(message);
                    for to in to.receivers(from, self.bounds.members.into()).iter() {
                        let letter = Letter { from, to, message: message.clone() };
                        sent.push((to.0, self.letters.number(print_of(&letter), letter)));
                    }
                }
                Output::Commit { .. } | Output::ReadReady(_) | Output::Refused(..) => {
                    facts.push(output);
                }
                Output::Event(
                    Event::BecameLeader { .. }
                    | Event::SteppedDown { .. }
                    | Event::Truncated { .. },
                ) => facts.push(output),
                Output::Event(_) => {}
            }
        }
        if node == before && sent.is_empty() && !matches!(act, Act::Read(_)) {
            return Step::Nothing;
        }
        Step::To { node, sent: Rc::from(sent), facts: Rc::from(facts) }
    }

    /// Whether `one` can do all that `other` can: the replicas and the past are the same, nothing
    /// more was used, and no message fewer is under way.
    pub fn covers(&self, one: &State, other: &State) -> bool {
        if !self.bounds.reduced {
            return one == other;
        }
        let inbox = |cell: u32| self.inboxes.get(self.cells[cell as usize].inbox);
        one.used.is_within(other.used)
            && one
                .cells
                .iter()
                .zip(other.cells)
                .all(|(one, other)| *one == other || is_subset(inbox(other), inbox(*one)))
    }

    /// What two states that can cover each other have in common.
    pub fn core_of(&self, state: &State) -> [u64; 4] {
        let node = |place: usize| u64::from(self.cells[state.cells[place] as usize].node);
        let (one, other) = (node(0) << 32 | node(1), node(2) << 32 | node(3));
        [one, other, u64::from(state.ghost), state.now.0]
    }

    /// The replicas, by rank, and the past, as a fingerprint that other explorations share.
    pub fn print(&self, state: &State) -> Print {
        let nodes: Vec<Print> = self.nodes_of(state).map(Node::print).collect();
        print_of(&(nodes, self.ghosts.get(state.ghost), state.now))
    }

    /// How many replicas, messages and cells there are.
    pub fn kept(&self) -> (usize, usize, usize) {
        (self.nodes.len(), self.letters.len(), self.cells.len())
    }
}

/// A refusal names a leader for those that would ask it (rule R28). Here nobody asks his leader, so
/// the name decides nothing, and would only tell states apart.
fn without_name(message: Message) -> Message {
    match message {
        Message::PreVoteReply(reply) => {
            Message::PreVoteReply(PreVoteReply { leader: None, ..reply })
        }
        other => other,
    }
}

/// Whether all of `few` are among `many`. Both are in order.
fn is_subset(few: &[u32], many: &[u32]) -> bool {
    let mut rest = many.iter();
    few.len() <= many.len() && few.iter().all(|one| rest.any(|other| other == one))
}
