//! The loop of the virtual engine: who acts next, the simulator's turn, and what it decides.

use super::disturbance::{Disturbance, Passage};
use super::node::Node;
use super::observed::{Observer, VirtualRun};
use super::options::{Keep, Retuning, VirtualOptions};
use crate::archive::RecordFileError;
use crate::interface::{Address, Answer, Text};
use crate::raft::grounds::Grounds;
use crate::raft::invariants::{Broken, Invariants, check_all};
use crate::raft::{Event, Member, MemberSet, Micros, Raft};
use crate::record::{Fact, Fate, Record, SIMULATOR, Sink};
use crate::replica::Arrival;
use crate::sim::books::{Account, Balance};
use crate::sim::course::incoming::{Content, Incoming, address_of};
use crate::sim::course::{Course, Effect, LossReason};
use crate::sim::fold::RunFold;
use crate::sim::pace::Pacing;
use crate::sim::random_stream::{Probability, RandomStream};
use crate::sim::recorder::Recorder;
use crate::sim::scenario::Scenario;
use crate::wire::{Datagram, MeasuredDatagram, Payload};

/// The longest that the course's simulator waits for a datagram (interface §4).
const POLL: Micros = Micros::from_millis(100);

/// How often an observer sees the replicas.
const SAMPLE_INTERVAL: Micros = Micros::from_seconds(1);

/// Passes each record on to the fold, the recorder and the observer. It also keeps the events of
/// the current step for the invariants.
struct RecordSplitter<'a> {
    fold: RunFold,
    recorder: Recorder,
    events: Vec<Event>,
    observer: &'a mut dyn Observer,
}

impl Sink for RecordSplitter<'_> {
    fn record(&mut self, record: &Record) {
        if let Fact::State(event) = record.fact {
            self.events.push(event);
        }
        self.fold.record(record);
        self.recorder.record(record);
        self.observer.record(record);
    }
}

/// A datagram that the simulator has just read.
struct Handed {
    /// The replica whose socket it came from.
    from: Member,
    datagram: Datagram,
    /// Length of the datagram, in bytes.
    bytes: usize,
}

/// A virtual run under way.
pub(super) struct Engine<'a> {
    scenario: &'a Scenario,
    options: &'a VirtualOptions,
    course: Course,
    nodes: Vec<Node>,
    accounts: Vec<Account>,
    splitter: RecordSplitter<'a>,
    /// When the observer sees the replicas next.
    sample_at: Micros,
    /// The knobs that the replicas have not got yet.
    retuning: Option<&'a Retuning>,
    invariants: Invariants,
    grounds: Grounds,
    /// Whether the replicas' clocks all show the same time.
    clocks_agree: bool,
    broken: Option<(Micros, Broken)>,
    now: Micros,
    /// When the simulator next wakes.
    pass_at: Micros,
    /// When its last turn ended. It cannot wake before.
    busy_until: Micros,
    /// When it last read a datagram.
    read_at: Micros,
    random: RandomStream,
    pacing: Pacing,
    duplicated: Probability,
    delayed: Probability,
    disturbance: Disturbance,
    effects: Vec<Effect>,
    over: bool,
}

impl<'a> Engine<'a> {
    pub fn new(
        scenario: &'a Scenario,
        options: &'a VirtualOptions,
        observer: &'a mut dyn Observer,
    ) -> Result<Engine<'a>, RecordFileError> {
        let replicas = scenario.replicas;
        let recorder = match &options.records {
            Keep::Nothing => Recorder::Nothing,
            Keep::Memory => Recorder::Memory(Vec::new()),
            Keep::Folder(out) => Recorder::files(out, replicas)?,
        };
        let pacing = Pacing::new(scenario, options.seed, options.precise, &options.delays);
        let nodes: Vec<Node> = (0..replicas)
            .map(|rank| {
                let drift = scenario.clock_drift_ppm.get(rank).copied().unwrap_or(0);
                Node::new(rank, replicas, options, drift, pacing.is_on())
            })
            .collect();
        nodes.iter().for_each(|node| observer.join(&node.replica));
        let fold = RunFold::new(replicas);
        Ok(Engine {
            scenario,
            options,
            course: Course::new(scenario, options.seed),
            nodes,
            accounts: vec![Account::default(); replicas],
            splitter: RecordSplitter { fold, recorder, events: Vec::new(), observer },
            sample_at: SAMPLE_INTERVAL,
            retuning: None,
            invariants: Invariants::new(replicas),
            grounds: Grounds::new(replicas),
            clocks_agree: scenario.clock_drift_ppm.iter().all(|drift| *drift == 0),
            broken: None,
            now: Micros(0),
            pass_at: Micros(0),
            busy_until: Micros(0),
            read_at: Micros(0),
            random: RandomStream::new(options.seed, "virtual network", 0),
            pacing,
            duplicated: Probability::of(scenario.network.duplicates),
            delayed: Probability::of(scenario.network.delayed),
            disturbance: Disturbance::new(scenario, options.seed),
            effects: Vec::new(),
            over: false,
        })
    }

    /// Retunes all replicas at the moment of `retuning`.
    pub fn retuned(self, retuning: &'a Retuning) -> Engine<'a> {
        Engine { retuning: Some(retuning), ..self }
    }

    /// Plants a bug in all replicas.
    #[cfg(feature = "planted")]
    pub fn planted(mut self, bug: crate::raft::Planted) -> Engine<'a> {
        self.nodes.iter_mut().for_each(|node| node.replica.plant(bug));
        self
    }

    /// Does the run.
    pub fn run(mut self) -> Result<VirtualRun, RecordFileError> {
        self.launch();
        while !self.is_over() {
            self.advance();
        }
        self.finish()
    }

    /// Launches all replicas, which say hello before the clock starts.
    fn launch(&mut self) {
        for rank in 0..self.nodes.len() {
            let from = Member(rank as u8);
            let hello = Incoming {
                source: address_of(from),
                destination: Address::EVERYONE,
                leader: Address::UNKNOWN,
                content: Content::Hello,
            };
            self.course.on_datagram(Micros(0), from, &Ok(hello), &mut self.effects);
        }
        self.pass_at = self.next_pass(Micros(0));
    }

    fn is_over(&self) -> bool {
        self.over
    }

    /// Lets the next process act. At equal times the simulator comes first, then replicas by rank.
    fn advance(&mut self) {
        if self.now >= self.sample_at {
            (0..self.nodes.len()).for_each(|rank| self.sample(self.now, rank));
            self.sample_at = self.now + SAMPLE_INTERVAL;
        }
        if let Some(retuning) = self.retuning
            && retuning.at <= self.next_turn()
        {
            self.retuning = None;
            return self.retune(retuning);
        }
        let disturbed_at = self.disturbance.next_at();
        if disturbed_at < Micros::NEVER && disturbed_at <= self.next_turn() {
            return self.disturb();
        }
        if !self.run_next_node(self.pass_at) {
            self.now = self.pass_at;
            self.pass();
        }
    }

    /// When a replica or the simulator next acts.
    fn next_turn(&self) -> Micros {
        let wakes = self.nodes.iter().map(|node| node.wake_at).min();
        wakes.unwrap_or(Micros::NEVER).min(self.pass_at)
    }

    /// Begins and ends the faults that are due.
    fn disturb(&mut self) {
        self.now = self.now.max(self.disturbance.next_at());
        for (member, change) in self.disturbance.go_on(self.now, self.course.believed_leader()) {
            self.nodes[member.rank()].change(change);
        }
    }

    /// Lets the replica act that wakes first, if that is before `until`. Returns false if none
    /// does.
    fn run_next_node(&mut self, until: Micros) -> bool {
        // This is asked before every turn: one pass that compares nothing but times.
        let (mut first, mut at) = (None, until);
        for (rank, node) in self.nodes.iter().enumerate() {
            if node.wake_at < at {
                (first, at) = (Some(rank), node.wake_at);
            }
        }
        let Some(rank) = first else {
            return false;
        };
        self.now = at;
        self.run_node(rank);
        true
    }

    /// Shows the observer a replica that lives.
    fn sample(&mut self, at: Micros, rank: usize) {
        let node = &self.nodes[rank];
        if node.is_alive() {
            self.splitter.observer.sample(at, node.local(at), &node.replica);
        }
    }

    /// Gives all replicas that live other knobs.
    fn retune(&mut self, retuning: &Retuning) {
        self.now = self.now.max(retuning.at);
        for rank in 0..self.nodes.len() {
            if self.nodes[rank].is_alive() {
                self.nodes[rank].retune(self.now, &retuning.tuning, &mut self.splitter);
                self.check_step(rank);
                self.send(rank);
            }
        }
    }

    /// Lets a replica take in what has arrived.
    fn run_node(&mut self, rank: usize) {
        self.nodes[rank].begin();
        while self.nodes[rank].take_in(&mut self.splitter) {
            self.check_step(rank);
        }
        self.send(rank);
    }

    /// Holds the invariants against a replica's step.
    fn check_step(&mut self, rank: usize) {
        if self.broken.is_none() {
            self.broken = self.find_broken(rank).err().map(|broken| (self.now, broken));
        }
        self.splitter.events.clear();
    }

    fn find_broken(&mut self, rank: usize) -> Result<(), Broken> {
        let Engine { nodes, splitter, invariants, grounds, clocks_agree, now, .. } = self;
        let raft = nodes[rank].replica.raft();
        for event in &splitter.events {
            invariants.observe(raft, event)?;
            grounds.observe(raft, nodes[rank].local(*now), event)?;
        }
        let raft_of = |member: Member| nodes.get(member.rank()).map(|node| node.replica.raft());
        grounds.after_step(raft, clocks_agree.then_some(*now), raft_of)
    }

    /// Lets a replica send what its turn has made.
    fn send(&mut self, rank: usize) {
        let Engine { nodes, options, .. } = self;
        if let Some(arrival) = nodes[rank].send(options) {
            let idle = arrival.since(self.read_at);
            let wake = options.delays.simulator_wake_us.after(idle).draw(&mut self.random);
            self.pass_at = self.pass_at.min((arrival + wake).max(self.busy_until + Micros(1)));
        }
    }

    /// One turn of the simulator's loop (interface §4).
    fn pass(&mut self) {
        let ready: MemberSet = (0..self.nodes.len())
            .filter(|rank| self.nodes[*rank].is_readable(self.now))
            .map(|rank| Member(rank as u8))
            .collect();
        let mut now = self.now;
        for from in ready.iter() {
            // A kill earlier in this turn has closed sockets that were ready.
            if let Some(read) = self.nodes[from.rank()].read(self.now) {
                self.read_at = now;
                let MeasuredDatagram { datagram, bytes } = read;
                now = self.handle(now, Handed { from, datagram, bytes });
            }
        }
        let now = self.fire_due(now);
        self.over = self.course.is_over(now).is_some();
        (self.now, self.busy_until) = (now, now);
        self.pass_at = self.next_pass(now);
    }

    /// Handles a datagram that was read at `now`. Returns when that is done. At the course's pace
    /// the datagram is forwarded halfway: half of the work is to read it, half to send it on.
    fn handle(&mut self, now: Micros, handed: Handed) -> Micros {
        let work = self.pacing.datagram();
        let reading = Micros(work.0 / 2);
        let forwarded = self.route(now + reading, handed);
        let handling = self.options.delays.simulator_handling_us.draw(&mut self.random);
        forwarded + handling.max(work).since(reading)
    }

    /// Fires all that is due at `edge`, one by one. Returns when the last is done. Without a pace
    /// all requests are created at once.
    fn fire_due(&mut self, edge: Micros) -> Micros {
        let mut now = edge;
        let mut looking = true;
        loop {
            let majority = self.course.majority();
            let created = if self.pacing.is_on() { now } else { edge };
            let next = now + self.pacing.request();
            if !self.course.fire_next(edge, created, &mut self.effects) {
                return now;
            }
            if self.course.majority() != majority {
                let majority = self.course.majority().unwrap_or_default();
                self.tell(now, Fact::Partitioned { majority });
            }
            let sends = matches!(self.effects.first(), Some(Effect::Send { .. }));
            if sends && std::mem::take(&mut looking) {
                now += self.options.delays.request_lead_us.draw(&mut self.random);
            }
            now = self.perform(now, None);
            if self.course.is_due(edge) {
                now = now.max(next);
            }
        }
    }

    /// When the simulator's next wait ends. It reads at once if something is there.
    fn next_pass(&mut self, now: Micros) -> Micros {
        let arrival = self.nodes.iter().filter_map(Node::next_arrival).min();
        let due = self.course.next_due().filter(|_| self.options.precise);
        let patience = (now + POLL).min(due.unwrap_or(Micros::NEVER)).max(now + Micros(1));
        let wake = match arrival {
            Some(at) if at <= now => now + Micros(1),
            Some(at) => {
                let idle = at.since(self.read_at);
                at + self.options.delays.simulator_wake_us.after(idle).draw(&mut self.random)
            }
            None => Micros::NEVER,
        };
        patience.min(wake)
    }

    fn route(&mut self, now: Micros, handed: Handed) -> Micros {
        let Handed { from, datagram, .. } = &handed;
        let content = match &datagram.payload {
            Payload::Hello => Content::Hello,
            Payload::Answer { mid, outcome } => Content::Answer(Answer {
                client: datagram.destination,
                mid: mid.clone(),
                outcome: outcome.clone(),
            }),
            Payload::Request { .. } | Payload::Peer { .. } => Content::Replica,
        };
        let incoming = Incoming {
            source: datagram.source,
            destination: datagram.destination,
            leader: datagram.leader,
            content,
        };
        let from = *from;
        if let Payload::Peer { number, .. } = &datagram.payload {
            let everyone = datagram.destination == Address::EVERYONE;
            let messages = if everyone { self.nodes.len() as u64 - 1 } else { 1 };
            self.accounts[from.rank()].read(*number, messages);
        }
        self.course.on_datagram(now, from, &Ok(incoming), &mut self.effects);
        self.perform(now, Some(handed))
    }

    /// Carries out what the simulator decided. Returns when it is done.
    fn perform(&mut self, mut now: Micros, handed: Option<Handed>) -> Micros {
        // A datagram kills its own sender. The scenario did not kill it.
        let by_itself = handed.is_some();
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Deliver { to } => self.forward(now, to, handed.as_ref()),
                Effect::Lost { to, reason } => {
                    self.tell_fate(now, to, handed.as_ref(), reason.into());
                }
                Effect::Send { to, request } => {
                    now = self.nodes[to.rank()].request(now, request, self.options);
                }
                Effect::Kill { member } => {
                    // The replica may have acted since this turn began.
                    while self.run_next_node(now) {}
                    self.sample(now, member.rank());
                    self.nodes[member.rank()].kill();
                    self.tell(now, Fact::Killed { member, by_itself });
                    now += self.options.delays.exit_us.draw(&mut self.random);
                }
            }
        }
        self.effects = effects;
        now
    }

    /// Forwards a datagram between replicas. Our own scenario keys may delay or double it.
    fn forward(&mut self, now: Micros, to: Member, handed: Option<&Handed>) {
        let Some(Handed { from, datagram, bytes }) = handed else {
            return;
        };
        let passage = self.pass_faults(*from, to);
        self.tell_fate(now, to, handed, passage.fate);
        if passage.fate != Fate::Delivered {
            return;
        }
        let Payload::Peer { number, message } = &datagram.payload else {
            return;
        };
        let arrives = now + self.scenario.network.one_way + passage.delay;
        let copies = if self.random.chance(self.duplicated) { 2 } else { 1 };
        for _ in 0..copies {
            let mut at = arrives;
            if self.random.chance(self.delayed) {
                at += Micros(self.random.below(self.scenario.network.delay_max.0));
            }
            let arrival = Arrival::Peer { from: *from, number: *number, message: message.clone() };
            self.nodes[to.rank()].deliver(at, arrival, *bytes, self.options);
        }
        if let Some(later) = passage.copy {
            let arrival = Arrival::Peer { from: *from, number: *number, message: message.clone() };
            self.nodes[to.rank()].deliver(arrives + later, arrival, *bytes, self.options);
        }
    }

    /// What the faults that last do to a delivery.
    fn pass_faults(&mut self, from: Member, to: Member) -> Passage {
        let passage = self.disturbance.deliver(from, to);
        match passage.fate {
            Fate::Dropped => self.course.on_lost(LossReason::Dropped),
            Fate::CutOff => self.course.on_lost(LossReason::CutOff),
            _ => {}
        }
        passage
    }

    fn tell_fate(&mut self, now: Micros, to: Member, handed: Option<&Handed>, fate: Fate) {
        if matches!(self.splitter.recorder, Recorder::Nothing) {
            return;
        }
        if let Some(Handed { from, datagram, bytes }) = handed
            && let Payload::Peer { number, .. } = &datagram.payload
        {
            let bytes = *bytes as u32;
            self.tell(now, Fact::Routed { from: *from, to, number: *number, fate, bytes });
        }
    }

    fn tell(&mut self, at: Micros, fact: Fact) {
        self.splitter.record(&Record { at, source: SIMULATOR, fact });
    }

    fn finish(mut self) -> Result<VirtualRun, RecordFileError> {
        (0..self.nodes.len()).for_each(|rank| self.sample(self.now, rank));
        let rafts: Vec<&Raft> = self.nodes.iter().map(|node| node.replica.raft()).collect();
        let now = self.now;
        let broken = self.broken.or_else(|| check_all(&rafts).err().map(|broken| (now, broken)));
        self.splitter.recorder.flush()?;
        let sent = &self.splitter.fold.sent_by;
        let balances =
            self.accounts.iter().zip(sent).map(|(a, sent)| Balance::close(*a, *sent)).collect();
        Ok(VirtualRun {
            conclusion: self.course.conclude(now),
            balances,
            broken,
            committed: self.invariants.committed().to_vec(),
            lost_requests: gather(&self.nodes, Node::lost_requests),
            lost_answers: gather(&self.nodes, Node::lost_answers),
            replicas: self.nodes.into_iter().map(|node| node.replica).collect(),
            records: match self.splitter.recorder {
                Recorder::Memory(records) => records,
                _ => Vec::new(),
            },
            fold: self.splitter.fold,
        })
    }
}

/// Of all nodes, what `of` gives for one.
fn gather(nodes: &[Node], of: impl Fn(&Node) -> &[Text]) -> Vec<Text> {
    nodes.iter().flat_map(|node| of(node).iter().cloned()).collect()
}
