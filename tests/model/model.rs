//! A state of the cluster, and what can happen in it next.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use laconic::raft::invariants::check_all;
use laconic::raft::{Cause, Event, Input, Marks, Member, Message, Micros, Output, Raft, RoleName};
use xxhash_rust::xxh3::xxh3_128;

use crate::bounds::{Bounds, Clocks, Start};
use crate::ghost::Ghost;

/// A hash of 128 bits: with ten million states, two of them share one in 10^25 cases.
pub type Print = u128;

/// How often a replica may ask to be woken at one instant.
const MOST_WAKES_AN_INSTANT: usize = 4;

/// Tickets of reads; those of puts are below.
const FIRST_READ: u64 = 100;

/// The bytes of whatever is hashed.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        xxh3_128(&self.0) as u64
    }
}

fn print_of(what: &impl Hash) -> Print {
    let mut bytes = Bytes::default();
    what.hash(&mut bytes);
    xxh3_128(&bytes.0)
}

/// A replica and its clock.
#[derive(Clone, Debug)]
pub struct Node {
    /// The real core.
    pub raft: Raft,
    /// Its clock.
    pub now: Micros,
    print: Print,
}

impl Node {
    fn new(raft: Raft, now: Micros) -> Node {
        let print = print_of(&(&raft, now));
        Node { raft, now, print }
    }

    /// Whether it is to be woken now.
    fn is_due(&self) -> bool {
        self.raft.deadline() <= self.now
    }
}

/// A message under way.
#[derive(Clone, Debug)]
pub struct Flight {
    /// The sender.
    pub from: Member,
    /// The receiver.
    pub to: Member,
    /// The message.
    pub message: Message,
    print: Print,
}

impl Flight {
    fn new(from: Member, to: Member, message: Message) -> Flight {
        let print = print_of(&(from, to, &message));
        Flight { from, to, message, print }
    }
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The message at this place arrives.
    Deliver(u8),
    /// The same, and a copy of it stays under way.
    Repeat(u8),
    /// A replica's next timer runs out: its clock goes there, and it is woken.
    Timeout(u8),
    /// A replica's clock goes to the end of its promise, and nothing else happens there.
    Expire(u8),
    /// A replica is woken that asked to be woken by now.
    Wake(u8),
    /// Time passes to the next moment at which a timer, a promise or a lease ends anywhere.
    Tick,
    /// A replica is asked to put.
    Propose(u8),
    /// A replica is asked to read.
    Read(u8),
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
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Used {
    proposals: u8,
    reads: u8,
    timeouts: u8,
    repeats: u8,
}

/// A state of the cluster. What two states share is not copied.
#[derive(Clone, Debug)]
pub struct State {
    /// The replicas, by rank.
    pub nodes: Vec<Arc<Node>>,
    /// The messages under way, in the order of their prints.
    pub flights: Vec<Arc<Flight>>,
    /// The time, if there is one for all.
    now: Micros,
    used: Used,
    ghost: Ghost,
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

/// What was seen on the way to all states.
#[derive(Debug, Default)]
pub struct Sights {
    /// Changes of state.
    pub seen: BTreeSet<Seen>,
    /// Rare branches.
    pub marks: Marks,
    /// What the latest action put out.
    pub outputs: Vec<(Member, Output)>,
}

impl State {
    /// Where `bounds` says that the exploration begins.
    pub fn first(bounds: &Bounds) -> State {
        let tuning = bounds.tuning();
        let new = |rank, seed| {
            let count = bounds.members.into();
            Raft::new(Member(rank), count, tuning.clone(), seed, Micros(0))
        };
        // Rank 0 is the first to campaign, on any of the clocks.
        let is_first = |seed: &u64| {
            let soon = new(0, *seed).deadline();
            (1..bounds.members).all(|rank| new(rank, *seed).deadline() > soon + soon)
        };
        let seed = (0..).find(is_first).expect("a seed");
        let node = |rank| Arc::new(Node::new(new(rank, seed), Micros(0)));
        let mut state = State {
            nodes: (0..bounds.members).map(node).collect(),
            flights: Vec::new(),
            now: Micros(0),
            used: Used::default(),
            ghost: Ghost::default(),
        };
        if bounds.start == Start::Elected {
            state.elect_the_first(bounds);
        }
        state
    }

    /// The replica of rank 0 is elected, without any fault.
    fn elect_the_first(&mut self, bounds: &Bounds) {
        let mut sights = Sights::default();
        let free = Bounds { clocks: Clocks::Free, drains: false, ..bounds.clone() };
        let free = Bounds { timeouts: 1, ..free };
        if let Clocks::Shared { rates_ppm } = bounds.clocks {
            let at = self.nodes[0].raft.deadline().0 * 1_000_000;
            self.set_clocks(rates_ppm, Micros(at.div_ceil(rates_ppm[0])));
        }
        let mut action = Action::Timeout(0);
        loop {
            if let Next::State(next) = self.after(&free, action, &mut sights) {
                *self = next;
            } else if let Action::Deliver(place) = action {
                self.flights.remove(place.into());
            }
            if self.flights.is_empty() {
                break;
            }
            action = Action::Deliver(0);
        }
        assert!(self.nodes[0].raft.is_leader(), "rank 0 is elected");
        self.used = Used::default();
    }

    /// The state's fingerprint.
    pub fn print(&self) -> Print {
        let mut bytes = Bytes::default();
        for node in &self.nodes {
            bytes.write(&node.print.to_le_bytes());
        }
        for flight in &self.flights {
            bytes.write(&flight.print.to_le_bytes());
        }
        (self.now, self.used, &self.ghost).hash(&mut bytes);
        xxh3_128(&bytes.0)
    }

    /// Everything that can happen now.
    pub fn actions(&self, bounds: &Bounds) -> Vec<Action> {
        let mut actions = Vec::new();
        for place in 0..self.flights.len() {
            // Of two copies the first stands for both.
            if place > 0 && self.flights[place].print == self.flights[place - 1].print {
                continue;
            }
            actions.push(Action::Deliver(place as u8));
            if self.used.repeats < bounds.repeats {
                actions.push(Action::Repeat(place as u8));
            }
        }
        let may_time_out = self.used.timeouts < bounds.timeouts;
        let is_free = bounds.clocks == Clocks::Free;
        for (node, rank) in self.nodes.iter().zip(0..) {
            if node.is_due() {
                actions.push(Action::Wake(rank));
            } else if is_free && may_time_out && node.raft.deadline() != Micros::NEVER {
                actions.push(Action::Timeout(rank));
            }
            let is_promised = node.raft.status().promise_until > node.now;
            if is_free && may_time_out && is_promised {
                actions.push(Action::Expire(rank));
            }
            if node.raft.is_leader() && self.used.proposals < bounds.proposals {
                actions.push(Action::Propose(rank));
            }
            if node.raft.is_leader() && self.used.reads < bounds.reads {
                actions.push(Action::Read(rank));
            }
        }
        if !is_free && may_time_out {
            actions.push(Action::Tick);
        }
        actions
    }

    /// What `action` leads to.
    pub fn after(&self, bounds: &Bounds, action: Action, sights: &mut Sights) -> Next {
        let mut next = self.clone();
        sights.outputs.clear();
        let done = match action {
            Action::Deliver(place) | Action::Repeat(place) => {
                let flight = &self.flights[usize::from(place)];
                let (from, message) = (flight.from, flight.message.clone());
                match action {
                    Action::Deliver(_) => drop(next.flights.remove(place.into())),
                    _ => next.used.repeats += 1,
                }
                next.step(bounds, flight.to.0, Input::Message { from, message }, sights)
            }
            Action::Wake(rank) => next.step(bounds, rank, Input::Wake, sights),
            Action::Timeout(rank) => {
                next.used.timeouts += 1;
                let node = Arc::make_mut(&mut next.nodes[usize::from(rank)]);
                node.now = node.now.max(node.raft.deadline());
                next.step(bounds, rank, Input::Wake, sights)
            }
            Action::Expire(rank) => {
                next.used.timeouts += 1;
                let node = &self.nodes[usize::from(rank)];
                let now = node.raft.status().promise_until;
                next.nodes[usize::from(rank)] = Arc::new(Node::new(node.raft.clone(), now));
                Ok(true)
            }
            Action::Tick => Ok(next.tick(bounds)),
            Action::Propose(rank) => {
                next.used.proposals += 1;
                let ticket = next.used.proposals.into();
                let command = Arc::from([next.used.proposals]);
                next.step(bounds, rank, Input::Propose { ticket, command }, sights)
            }
            Action::Read(rank) => {
                let ticket = FIRST_READ + u64::from(next.used.reads);
                next.used.reads += 1;
                next.ghost.asked(ticket);
                next.step(bounds, rank, Input::Read { ticket }, sights)
            }
        };
        match done {
            Err(broken) => Next::Broken(broken),
            Ok(false) => Next::Nothing,
            Ok(true) if next.nodes.iter().any(|node| node.raft.term() > bounds.terms) => {
                Next::Nothing
            }
            Ok(true) => {
                next.forget_what_is_dead();
                Next::State(next)
            }
        }
    }

    /// Steps one replica, and wakes it as often as it asks, unless a drain may go on. Returns
    /// whether anything changed: a message that changes nothing and is not answered might as well
    /// have been lost.
    fn step(
        &mut self,
        bounds: &Bounds,
        rank: u8,
        input: Input,
        sights: &mut Sights,
    ) -> Result<bool, String> {
        let old = &self.nodes[usize::from(rank)];
        let (print, before) = (old.print, old.raft.commit());
        let (mut raft, now) = (old.raft.clone(), old.now);
        let was_due = raft.deadline() <= now && !matches!(input, Input::Wake);
        let is_wake = matches!(input, Input::Wake);
        let mut outputs = Vec::new();
        raft.step(now, input, &mut outputs);
        let mut wakes = 0;
        while raft.deadline() <= now && (is_wake || !bounds.drains && !was_due) {
            wakes += 1;
            if wakes > MOST_WAKES_AN_INSTANT {
                return Err(format!("{} asks to be woken again and again", raft.member()));
            }
            raft.step(now, Input::Wake, &mut outputs);
        }
        self.ghost.observe(&raft, before, &outputs)?;
        sights.marks.join(raft.marks());
        let node = Node::new(raft, now);
        let changed = node.print != print || !outputs.is_empty();
        let member = node.raft.member();
        self.nodes[usize::from(rank)] = Arc::new(node);
        for output in &outputs {
            self.see(output, sights);
        }
        self.send(member, &outputs);
        sights.outputs.extend(outputs.into_iter().map(|output| (member, output)));
        self.ghost.check(self.nodes.iter().map(|node| &node.raft))?;
        let rafts: Vec<&Raft> = self.nodes.iter().map(|node| &node.raft).collect();
        check_all(&rafts).map_err(|broken| broken.to_string())?;
        Ok(changed)
    }

    fn send(&mut self, from: Member, outputs: &[Output]) {
        for output in outputs {
            let Output::Send { to, message, .. } = output else {
                continue;
            };
            for to in to.receivers(from, self.nodes.len()).iter() {
                let flight = Arc::new(Flight::new(from, to, message.clone()));
                let place = self.flights.partition_point(|other| other.print < flight.print);
                self.flights.insert(place, flight);
            }
        }
    }

    fn see(&self, output: &Output, sights: &mut Sights) {
        let seen = match output {
            Output::Event(Event::BecameLeader { term, .. }) => {
                if self.nodes.iter().filter(|node| node.raft.is_leader()).count() > 1 {
                    sights.seen.insert(Seen::TwoLeaders);
                }
                if *term > 1 { Seen::ElectedInTerm2 } else { Seen::Elected }
            }
            Output::Event(Event::SteppedDown { .. }) => Seen::Deposed,
            Output::Event(Event::Truncated { .. }) => Seen::Truncated,
            Output::ReadReady(_) => Seen::ReadServed,
            Output::Commit { through } => {
                let put = |node: &Arc<Node>| {
                    let entry = node.raft.log().entry(*through);
                    node.raft.commit() >= *through
                        && entry.is_some_and(|entry| !entry.command.is_empty())
                };
                if self.nodes.iter().any(put) {
                    sights.seen.insert(Seen::PutCommitted);
                }
                Seen::Committed
            }
            _ => return,
        };
        sights.seen.insert(seen);
    }

    /// Time passes. False if nothing is left that time could bring.
    fn tick(&mut self, bounds: &Bounds) -> bool {
        let Clocks::Shared { rates_ppm } = bounds.clocks else {
            return false;
        };
        self.used.timeouts += 1;
        let moments = self.nodes.iter().zip(rates_ppm).flat_map(|(node, rate)| {
            let status = node.raft.status();
            let ends =
                [status.deadline, status.promise_until, status.lease_until.unwrap_or_default()];
            let later = ends.into_iter().filter(|end| *end > node.now && *end != Micros::NEVER);
            let shared = later.map(|end| Micros((end.0 * 1_000_000).div_ceil(rate)));
            shared.collect::<Vec<_>>()
        });
        let Some(now) = moments.min() else {
            return false;
        };
        self.set_clocks(rates_ppm, now);
        true
    }

    fn set_clocks(&mut self, rates_ppm: [u64; 4], now: Micros) {
        self.now = now;
        for (node, rate) in self.nodes.iter_mut().zip(rates_ppm) {
            *node = Arc::new(Node::new(node.raft.clone(), Micros(now.0 * rate / 1_000_000)));
        }
    }

    /// Takes away the answers that can never change anything any more, since terms and roles only
    /// go on: they are lost. So states that differ only in them are one.
    fn forget_what_is_dead(&mut self) {
        let nodes = &self.nodes;
        self.flights.retain(|flight| {
            let raft = &nodes[flight.to.rank()].raft;
            let (term, role) = (raft.term(), raft.status().role);
            let of_term = |of, needed| of > term || of == term && role == needed;
            match &flight.message {
                Message::VoteReply(reply) => of_term(reply.term, RoleName::Candidate),
                Message::AppendReply(reply) => of_term(reply.term, RoleName::Leader),
                Message::PreVoteReply(reply) if reply.cause != Cause::Inquiry => {
                    reply.term > term || reply.campaign_term > term
                }
                _ => true,
            }
        });
    }
}
