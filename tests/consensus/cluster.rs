//! A cluster of pure replicas in one thread, on a network and clocks that the test drives. After
//! every step the invariants are checked, and also that no replica wakes again and again in vain.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use laconic::interface::{Address, Operation, Outcome, Request};
use laconic::raft::invariants::{Invariants, check_all};
use laconic::raft::tuning::{HeartbeatTo, Reads};
use laconic::raft::{Index, Member, MemberSet, Message, Micros, Raft, RoleName, Tuning};
use laconic::record::{Fact, Record};
use laconic::replica::{Arrival, Replica};
use laconic::wire::{Datagram, Membership, Payload};

use crate::inspect::check_order;

/// The client that asks, unless a test names another one.
pub const CLIENT: Address = Address(0x0100);

/// How long a message takes one way, unless a rule delays it.
pub const ONE_WAY: Micros = Micros(250);

/// How often a replica may ask to be woken at one instant.
const MOST_WAKES_AN_INSTANT: u32 = 4;

/// The knobs of the profile `course`: the default, made for the course's scenarios.
pub fn course() -> Tuning {
    static TUNING: LazyLock<Tuning> = LazyLock::new(|| profile("course"));
    TUNING.clone()
}

/// The knobs of the profile `fast`: batches go to f followers directly, and everyone hears
/// heartbeats. Most rules are told with it.
pub fn fast() -> Tuning {
    static TUNING: LazyLock<Tuning> = LazyLock::new(|| profile("fast"));
    TUNING.clone()
}

fn profile(name: &str) -> Tuning {
    laconic::tuning_file::load(name).expect("a profile").tuning
}

/// Like [`fast`], but each append is answered alone, in the step that takes it in.
pub fn each_answered() -> Tuning {
    Tuning { shared_acknowledgements: false, ..fast() }
}

/// Like [`fast`], but without check-quorum, and so without all that rests on promises (rule R24).
pub fn without_check_quorum() -> Tuning {
    Tuning { check_quorum: false, pre_vote: false, promise_us: 0, reads: Reads::Confirm, ..fast() }
}

/// Like [`fast`], but an idle leader sends heartbeats to f watchers only, in a chain, just within
/// the election timeout of 1.3 s.
pub fn watched() -> Tuning {
    Tuning {
        heartbeat_to: HeartbeatTo::Watchers,
        inquiries: 2,
        heartbeat_interval_us: 1_280_000,
        promise_us: 20_000,
        lease_margin_us: 2_000,
        ..fast()
    }
}

/// Like [`fast`], but an idle leader sends nothing.
pub fn quiet() -> Tuning {
    Tuning { quiet: true, inquiries: 1, resend_timeout_us: 3_000, ..fast() }
}

/// So many milliseconds.
pub const fn ms(milliseconds: u64) -> Micros {
    Micros::from_millis(milliseconds)
}

/// What the network does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Delivers the message one way later.
    Pass,
    /// Loses the message.
    Lose,
    /// Delivers the message after this time.
    After(Micros),
    /// Delivers the message twice, the copy after this time.
    Twice(Micros),
    /// Keeps the message until [`Cluster::release`].
    Hold,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Flight {
    /// The sender.
    pub from: Member,
    /// The receiver.
    pub to: Member,
    /// The message's number, counted by its sender.
    pub number: u64,
    /// The message itself.
    pub message: Message,
}

struct Node {
    replica: Option<Replica>,
    /// How much faster than true time the node's clock runs, in millionths.
    drift_ppm: i64,
    wakes: (Micros, u32),
    /// The highest commit index that the node has told as a leader.
    told: Index,
}

impl Node {
    fn rate(&self) -> u128 {
        (1_000_000 + self.drift_ppm) as u128
    }

    fn local(&self, now: Micros) -> Micros {
        Micros((u128::from(now.0) * self.rate() / 1_000_000) as u64)
    }

    /// The first true time at which the local clock shows `local`.
    fn true_time(&self, local: Micros) -> Micros {
        let time = (u128::from(local.0) * 1_000_000).div_ceil(self.rate());
        Micros(time.try_into().unwrap_or(u64::MAX))
    }
}

/// A request and all answers to it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What was asked.
    pub operation: Operation,
    /// The client that asked.
    pub client: Address,
    /// The member that was asked.
    pub of: Member,
    /// When the client asked, in true time.
    pub at: Micros,
    /// The answers: when, by which member, the outcome, and the leader that it named.
    pub answers: Vec<(Micros, Member, Outcome, Address)>,
}

/// A request's place in the cluster's list. Its MID is made from it.
pub type Name = usize;

type Rule = Box<dyn FnMut(&Flight) -> Fate>;

/// The replicas, the network between them, and all that has happened so far.
pub struct Cluster {
    /// True time.
    pub now: Micros,
    nodes: Vec<Node>,
    /// Messages on their way, by due time and then by order of sending.
    flights: BTreeMap<(Micros, u64), Flight>,
    /// Messages that a rule holds back.
    pub held: Vec<Flight>,
    rule: Rule,
    sides: Vec<MemberSet>,
    sequence: u64,
    /// Every request so far.
    pub requests: Vec<Asked>,
    /// Every fact told so far, in order.
    pub records: Vec<Record>,
    /// The past, as the invariants need it.
    pub invariants: Invariants,
    observed: usize,
}

impl Cluster {
    /// A cluster of `count` replicas with `tuning`, switched on at time 0.
    pub fn new(count: u8, seed: u64, tuning: Tuning) -> Cluster {
        Cluster::drifting(count, seed, tuning, |_| 0)
    }

    /// Like [`Cluster::new`]; `drift_ppm` tells by how many millionths each member's clock is too
    /// fast.
    pub fn drifting(
        count: u8,
        seed: u64,
        tuning: Tuning,
        drift_ppm: impl Fn(Member) -> i64,
    ) -> Cluster {
        tuning.check().expect("a sound tuning");
        let start = |rank: u8| {
            let replica = Replica::new(membership(rank, count), tuning.clone(), seed, Micros(0));
            let drift_ppm = drift_ppm(Member(rank));
            Node { replica: Some(replica), drift_ppm, wakes: (Micros(0), 0), told: 0 }
        };
        Cluster {
            now: Micros(0),
            nodes: (0..count).map(start).collect(),
            flights: BTreeMap::new(),
            held: Vec::new(),
            rule: Box::new(|_| Fate::Pass),
            sides: Vec::new(),
            sequence: 0,
            requests: Vec::new(),
            records: Vec::new(),
            invariants: Invariants::new(count as usize),
            observed: 0,
        }
    }

    /// From now on, `rule` decides about every message when it is sent.
    pub fn obeys(&mut self, rule: impl FnMut(&Flight) -> Fate + 'static) {
        self.rule = Box::new(rule);
    }

    /// From now on every message passes.
    pub fn calm(&mut self) {
        self.obeys(|_| Fate::Pass);
    }

    /// Cuts the cluster into `sides`; a member that is on no side is alone.
    pub fn cut(&mut self, sides: &[&[Member]]) {
        self.sides = sides.iter().map(|side| set(side)).collect();
    }

    /// Ends a partition.
    pub fn heal(&mut self) {
        self.sides.clear();
    }

    /// Kills a replica. What it has sent stays on its way.
    pub fn kill(&mut self, member: Member) {
        self.nodes[member.rank()].replica = None;
    }

    /// Starts a fresh replica under the ID of `member`, which an operator must never do (rule R20).
    pub fn restart_without_memory(&mut self, member: Member, tuning: Tuning) {
        let count = self.nodes.len() as u8;
        let now = self.nodes[member.rank()].local(self.now);
        let fresh = Replica::new(membership(member.0, count), tuning, 99, now);
        self.nodes[member.rank()].replica = Some(fresh);
    }

    /// All members.
    pub fn members(&self) -> impl Iterator<Item = Member> + use<> {
        (0..self.nodes.len() as u8).map(Member)
    }

    /// All members but `excepted`.
    pub fn others(&self, excepted: Member) -> Vec<Member> {
        self.members().filter(|member| *member != excepted).collect()
    }

    /// The replicas that live.
    pub fn living(&self) -> impl Iterator<Item = &Replica> {
        self.nodes.iter().filter_map(|node| node.replica.as_ref())
    }

    /// A replica that lives.
    pub fn replica(&self, member: Member) -> &Replica {
        self.nodes[member.rank()].replica.as_ref().expect("it lives")
    }

    /// The core of a replica that lives.
    pub fn raft(&self, member: Member) -> &Raft {
        self.replica(member).raft()
    }

    /// Whether a replica lives.
    pub fn lives(&self, member: Member) -> bool {
        self.nodes[member.rank()].replica.is_some()
    }

    /// The leader of the newest term that has one.
    pub fn leader(&self) -> Option<Member> {
        let leading = |replica: &&Replica| replica.status().role == RoleName::Leader;
        let newest = self.living().filter(leading).max_by_key(|replica| replica.status().term);
        newest.map(|replica| replica.status().member)
    }

    /// Runs until there is a leader and all living members know its term. Returns the leader.
    pub fn elect(&mut self) -> Member {
        let settled = |cluster: &Cluster| {
            let leader = cluster.leader();
            leader.is_some()
                && cluster.living().all(|replica| {
                    replica.raft().leader() == leader && replica.raft().log().last_index() > 0
                })
        };
        assert!(self.run_until(ms(20_000), settled), "no leader within 20 s");
        self.run_for(ms(2));
        self.leader().expect("it leads")
    }

    /// Runs the cluster for `span`.
    pub fn run_for(&mut self, span: Micros) {
        let end = self.now + span;
        while self.run_next(end) {}
        self.now = end;
    }

    /// Runs until `done`, at most for `span`. Returns whether `done` came true.
    pub fn run_until(&mut self, span: Micros, done: impl Fn(&Cluster) -> bool) -> bool {
        let end = self.now + span;
        while !done(self) {
            if !self.run_next(end) {
                self.now = end;
                return done(self);
            }
        }
        true
    }

    /// Does what is due next, if it is due by `end`. Returns whether there was something.
    fn run_next(&mut self, end: Micros) -> bool {
        let wake = self.members().filter_map(|member| {
            let node = &self.nodes[member.rank()];
            Some((node.true_time(node.replica.as_ref()?.deadline()), member))
        });
        let wake = wake.min().map(|(at, member)| (at.max(self.now), member));
        let flight = self.flights.first_key_value().map(|(key, _)| key.0);
        // Messages first: what has arrived is taken in before any replica is woken.
        if let Some(at) = flight.filter(|at| *at <= end && wake.is_none_or(|(time, _)| *at <= time))
        {
            self.now = self.now.max(at);
            if let Some((_, flight)) = self.flights.pop_first() {
                self.deliver(flight);
            }
            return true;
        }
        let Some((at, member)) = wake.filter(|(at, _)| *at <= end) else {
            return false;
        };
        self.now = at;
        self.wake(member);
        true
    }

    fn wake(&mut self, member: Member) {
        let now = self.now;
        let wakes = &mut self.nodes[member.rank()].wakes;
        *wakes = if wakes.0 == now { (now, wakes.1 + 1) } else { (now, 1) };
        assert!(wakes.1 <= MOST_WAKES_AN_INSTANT, "{member:?} spins at {now}");
        self.step(member, Arrival::Wake);
    }

    /// Wakes every replica before the time it asked for: nothing may come of that.
    pub fn wake_early(&mut self) {
        for member in self.members() {
            let node = &self.nodes[member.rank()];
            let local = node.local(self.now);
            if node.replica.as_ref().is_some_and(|replica| replica.deadline() > local) {
                let before = self.records.len();
                self.step(member, Arrival::Wake);
                assert_eq!(self.records[before..], [], "{member:?} acted on an early wake");
            }
        }
    }

    /// Delivers `flight` now, even through a partition.
    pub fn deliver(&mut self, flight: Flight) {
        let Flight { from, to, number, message } = flight;
        self.step(to, Arrival::Peer { from, number, message });
    }

    /// Delivers all messages that rules have held back, in the order of sending.
    pub fn release(&mut self) {
        for flight in std::mem::take(&mut self.held) {
            self.deliver(flight);
        }
    }

    fn step(&mut self, member: Member, arrival: Arrival) {
        let node = &mut self.nodes[member.rank()];
        let local = node.local(self.now);
        let Some(replica) = &mut node.replica else {
            return;
        };
        let mut out = Vec::new();
        let (before, applied) = (self.records.len(), replica.applied());
        // With a small window, reads can be waiting too.
        let small = replica.raft().tuning().answer_window < fast().answer_window;
        let paced = small || applied < replica.raft().commit();
        replica.step(local, arrival, &mut out, &mut self.records);
        let out: Vec<Datagram> = out.into_iter().map(|sent| sent.datagram).collect();
        let paced = paced || replica.applied() < replica.raft().commit();
        check_order((member, paced), &mut node.told, &self.records[before..], &out);
        self.observe(member);
        out.into_iter().for_each(|datagram| self.route(member, datagram));
    }

    /// Drops all records. The invariants keep the past that they need.
    pub fn forget(&mut self) {
        self.records.clear();
        self.observed = 0;
    }

    fn observe(&mut self, member: Member) {
        let raft = self.nodes[member.rank()].replica.as_ref().expect("it has just acted").raft();
        for record in &self.records[self.observed..] {
            if let Fact::State(event) = &record.fact
                && let Err(broken) = self.invariants.observe(raft, event)
            {
                panic!("at {}: {broken}", self.now);
            }
        }
        self.observed = self.records.len();
    }

    /// Checks all states from scratch. The check after each step must have found the same.
    pub fn check(&self) {
        let rafts: Vec<&Raft> = self.living().map(Replica::raft).collect();
        check_all(&rafts).unwrap_or_else(|broken| panic!("at {}: {broken}", self.now));
    }

    fn route(&mut self, from: Member, datagram: Datagram) {
        match datagram.payload {
            Payload::Peer { number, message } => {
                let to: Vec<Member> = match datagram.destination {
                    Address::EVERYONE => self.others(from),
                    to => vec![Member(to.0 as u8)],
                };
                for to in to {
                    self.send(Flight { from, to, number, message: message.clone() });
                }
            }
            Payload::Answer { mid, outcome } => {
                let name: Name = mid[1..].parse().expect("a MID of ours");
                self.note_answer(name, from, outcome, datagram.leader);
            }
            Payload::Hello | Payload::Request { .. } => panic!("a replica sent {datagram:?}"),
        }
    }

    fn send(&mut self, flight: Flight) {
        let side = |member| self.sides.iter().position(|side| side.contains(member));
        if !self.sides.is_empty() && side(flight.from) != side(flight.to) {
            return;
        }
        let now = self.now;
        match (self.rule)(&flight) {
            Fate::Pass => self.launch(now + ONE_WAY, flight),
            Fate::Lose => {}
            Fate::After(delay) => self.launch(now + delay, flight),
            Fate::Twice(delay) => {
                self.launch(now + ONE_WAY, flight.clone());
                self.launch(now + delay, flight);
            }
            Fate::Hold => self.held.push(flight),
        }
    }

    fn launch(&mut self, due: Micros, flight: Flight) {
        self.sequence += 1;
        self.flights.insert((due, self.sequence), flight);
    }

    /// Sends a put to a replica.
    pub fn put(&mut self, at: Member, key: &str, value: &str) -> Name {
        let operation = Operation::Put { key: Arc::from(key), value: Arc::from(value) };
        self.ask(CLIENT, at, operation)
    }

    /// Sends a get to a replica.
    pub fn get(&mut self, at: Member, key: &str) -> Name {
        self.ask(CLIENT, at, Operation::Get { key: Arc::from(key) })
    }

    /// Sends a request of `client` to a replica.
    pub fn ask(&mut self, client: Address, at: Member, operation: Operation) -> Name {
        let name = self.requests.len();
        let mid = Arc::from(format!("m{name}"));
        let answers = Vec::new();
        let asked = Asked { operation: operation.clone(), client, of: at, at: self.now, answers };
        self.requests.push(asked);
        let request = Request { client, leader: Address::UNKNOWN, mid, operation };
        self.step(at, Arrival::Request(request));
        name
    }

    /// A request, with the answers to it.
    pub fn asked(&self, name: Name) -> &Asked {
        &self.requests[name]
    }

    /// How many requests have been sent so far.
    pub fn request_count(&self) -> usize {
        self.requests.len()
    }

    /// The outcomes that a request was answered with, in order.
    pub fn outcomes(&self, name: Name) -> Vec<Outcome> {
        self.requests[name].answers.iter().map(|answer| answer.2.clone()).collect()
    }

    /// Whether a put was acknowledged exactly once and not answered otherwise.
    pub fn is_ok(&self, name: Name) -> bool {
        self.outcomes(name) == [Outcome::Ok(None)]
    }

    /// The value that a get was answered with, if it was answered.
    pub fn value(&self, name: Name) -> Option<String> {
        match self.outcomes(name).as_slice() {
            [Outcome::Ok(Some(value))] => Some(value.to_string()),
            _ => None,
        }
    }
}

fn membership(rank: u8, count: u8) -> Membership {
    let others: Vec<Address> =
        (0..count).filter(|other| *other != rank).map(|other| Address(other.into())).collect();
    Membership::new(Address(rank.into()), &others).expect("a sound membership")
}

/// Members as a set.
pub fn set(members: &[Member]) -> MemberSet {
    let mut set = MemberSet::EMPTY;
    members.iter().for_each(|member| set.insert(*member));
    set
}
