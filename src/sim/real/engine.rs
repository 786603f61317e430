//! The loop of interface §4, and how each effect of the course is carried out by system calls.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::node::Node;
use super::options::{RealError, RealOptions, RequestSend};
use super::process::{self, Launcher, PATIENCE};
use super::progress::ProgressLine;
use super::recordings::Recordings;
use super::traffic_log::TrafficLog;
use crate::clock::MonotonicClock;
use crate::interface::{Address, Request};
use crate::interrupt;
use crate::raft::{Member, MemberSet, Micros};
use crate::record::request_id;
use crate::sim::books::Account;
use crate::sim::course::incoming::{Content, Incoming, address_of, parse};
use crate::sim::course::score::Conclusion;
use crate::sim::course::{Course, Effect};
use crate::sim::delays::Delays;
use crate::sim::pace::Pacing;
use crate::sim::scenario::Scenario;
use crate::wire::{BadMembership, Datagram, Membership, Payload, encode};

/// The longest wait for a datagram, in microseconds.
const POLL: Micros = Micros::from_millis(100);
/// How long replicas may take to say hello. After that the clock starts without the others.
const HELLO_PATIENCE: Micros = Micros::from_seconds(5);
/// How often the replicas' output is read while they are held.
const HOLD_TURN: Duration = Duration::from_millis(50);
/// Size of the receive buffer: larger than any datagram.
const BUFFER_BYTES: usize = 1 << 16;

/// What a run leaves besides its record files.
pub(super) struct Finished {
    pub conclusion: Conclusion,
    pub accounts: Vec<Account>,
    pub by_type: Vec<(String, u64)>,
    pub request_sends: Vec<RequestSend>,
    pub exits: Vec<Micros>,
}

/// What became ready during a wait.
#[derive(Default)]
struct Ready {
    sockets: MemberSet,
    /// The replicas' pipes: replica, and which of its pipes.
    pipes: Vec<(Member, usize)>,
}

/// A run in progress.
pub(super) struct Engine<'a> {
    options: &'a RealOptions,
    replicas: usize,
    course: Course,
    nodes: Vec<Node>,
    clients: Membership,
    clock: MonotonicClock,
    ledger: TrafficLog,
    progress: ProgressLine,
    request_sends: Vec<RequestSend>,
    exits: Vec<Micros>,
    pacing: Pacing,
    effects: Vec<Effect>,
    bytes: Vec<u8>,
}

impl<'a> Engine<'a> {
    /// Opens a socket for each replica and launches them all.
    pub fn launch(
        scenario: &Scenario,
        options: &'a RealOptions,
        launcher: &Launcher,
    ) -> Result<Engine<'a>, RealError> {
        let replicas = scenario.replicas;
        let members = (0..replicas as u8).map(Member);
        let nodes = members.clone().map(|member| Node::launch(launcher, member, replicas));
        let nodes = nodes.collect::<Result<_, _>>()?;
        Ok(Engine {
            options,
            replicas,
            course: Course::new(scenario, options.seed),
            nodes,
            clients: membership(replicas)?,
            clock: MonotonicClock::start(),
            ledger: TrafficLog::new(replicas, !options.foreign),
            progress: ProgressLine::new(options.progress, scenario.duration()),
            request_sends: Vec::new(),
            exits: Vec::new(),
            pacing: Pacing::new(scenario, options.seed, options.precise, &Delays::embedded()),
            effects: Vec::new(),
            bytes: vec![0; BUFFER_BYTES],
        })
    }

    /// Starts the clock when all replicas have said hello or ended, or have had enough time. What
    /// was read before is taken in at time 0.
    pub fn start(&mut self, recordings: &Recordings) -> Result<(), RealError> {
        let launched = MonotonicClock::start();
        let mut early = Vec::new();
        let mut awaited = MemberSet((1 << self.replicas) - 1);
        while !awaited.is_empty() && launched.now() < HELLO_PATIENCE {
            if interrupt::seen() {
                return Err(RealError::Interrupted);
            }
            let ready = self.wait(POLL)?;
            for member in ready.sockets.iter() {
                let Some(length) = self.nodes[member.rank()].receive(&mut self.bytes) else {
                    continue;
                };
                let bytes = self.bytes[..length].to_vec();
                let incoming = parse(&bytes, self.replicas);
                if matches!(incoming, Ok(Incoming { content: Content::Hello, .. })) {
                    awaited.0 &= !MemberSet::only(member).0;
                }
                early.push((member, bytes));
            }
            for member in awaited.iter().filter(|member| self.has_ended(*member)) {
                awaited.0 &= !MemberSet::only(member).0;
            }
        }
        self.clock = MonotonicClock::start();
        self.ledger.open(recordings.create_simulators(&self.clock)?);
        for (member, bytes) in early {
            self.take_in(Micros(0), member, &bytes);
        }
        Ok(())
    }

    /// Whether the run is over.
    pub fn is_over(&self) -> bool {
        self.course.is_over(self.clock.now()).is_some()
    }

    /// Waits, reads one datagram from each replica that has sent one, fires what is due, and
    /// handles the output and the ends of child processes.
    pub fn turn(&mut self) -> Result<(), RealError> {
        let ready = self.wait(self.patience())?;
        for member in ready.sockets.iter() {
            self.read_from(member);
        }
        let now = self.clock.now();
        self.fire_due(now);
        self.read_pipes(&ready.pipes);
        self.notice_ended();
        self.progress.update(now, &self.course);
        Ok(())
    }

    /// Judges the run, and ends all processes at the same time.
    pub fn finish(mut self) -> Result<Finished, RealError> {
        let ended_at = self.clock.now();
        self.nodes.iter_mut().for_each(|node| node.socket = None);
        self.hold();
        let conclusion = self.course.conclude(ended_at);
        let start = Instant::now();
        for node in &mut self.nodes {
            node.process.iter().for_each(process::Process::terminate);
        }
        let mut shown = Vec::new();
        for process in self.nodes.iter_mut().filter_map(|node| node.process.take()) {
            process.await_exit(start + PATIENCE, &mut shown);
        }
        self.progress.show(&shown);
        self.ledger.flush()?;
        Ok(Finished {
            conclusion,
            accounts: self.ledger.accounts,
            by_type: self.ledger.by_type.into_iter().collect(),
            request_sends: self.request_sends,
            exits: self.exits,
        })
    }

    /// Lets the replicas serve their last figures for a time.
    fn hold(&mut self) {
        let until = Instant::now() + self.options.hold;
        while Instant::now() < until && !interrupt::seen() {
            let mut shown = Vec::new();
            for process in self.nodes.iter_mut().filter_map(|node| node.process.as_mut()) {
                process.read_all(&mut shown);
            }
            self.progress.show(&shown);
            std::thread::sleep(HOLD_TURN);
        }
    }

    /// How long to wait. The course's simulator never takes into account what is due next.
    fn patience(&self) -> Micros {
        match self.course.next_due().filter(|_| self.options.precise) {
            Some(due) => due.since(self.clock.now()).min(POLL),
            None => POLL,
        }
    }

    fn wait(&self, patience: Micros) -> Result<Ready, RealError> {
        let mut fds = Vec::new();
        let mut owners = Vec::new();
        for (member, node) in (0..).map(Member).zip(&self.nodes) {
            if let Some(socket) = &node.socket {
                fds.push(PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN));
                owners.push((member, None));
            }
            let pipes = node.process.iter().flat_map(process::Process::pipes);
            for (place, pipe) in pipes.enumerate() {
                fds.push(PollFd::from_borrowed_fd(pipe, PollFlags::IN));
                owners.push((member, Some(place)));
            }
        }
        let patience = Duration::from_micros(patience.0);
        let timeout = Timespec {
            tv_sec: patience.as_secs() as i64,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(RealError::Wait(error.into())),
        }
        let mut ready = Ready::default();
        for ((member, pipe), _) in
            owners.into_iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty())
        {
            match pipe {
                None => ready.sockets.insert(member),
                Some(place) => ready.pipes.push((member, place)),
            }
        }
        Ok(ready)
    }

    /// Fires what is due at `edge`, one by one, at the run's pace. Without a pace all requests are
    /// created at once.
    fn fire_due(&mut self, edge: Micros) {
        let mut effects = std::mem::take(&mut self.effects);
        let mut now = edge;
        loop {
            let majority = self.course.majority();
            if !self.course.fire_next(edge, now, &mut effects) {
                break;
            }
            if self.course.majority() != majority {
                self.ledger.on_partitioned(now, self.course.majority());
            }
            self.carry_out(now, &effects, None);
            effects.clear();
            if self.pacing.is_on() && self.course.is_due(edge) {
                let next = now + self.pacing.request();
                self.work_until(next);
                now = self.clock.now();
            }
        }
        self.effects = effects;
    }

    /// Works until `until`. It does not sleep: the course's simulator keeps a processor busy too,
    /// and a sleep would end late by the timer's slack and by a wake-up.
    fn work_until(&self, until: Micros) {
        while self.clock.now() < until {
            std::hint::spin_loop();
        }
    }

    fn read_from(&mut self, member: Member) {
        let begun = self.clock.now();
        let mut bytes = std::mem::take(&mut self.bytes);
        if let Some(length) = self.nodes[member.rank()].receive(&mut bytes) {
            let work = self.pacing.datagram();
            // Half of the work is to read it, half to send it on.
            self.work_until(begun + Micros(work.0 / 2));
            self.take_in(self.clock.now(), member, &bytes[..length]);
            self.work_until(begun + work);
        }
        self.bytes = bytes;
    }

    /// Hands a datagram to the course, logs how it was counted, and carries out the effects.
    fn take_in(&mut self, now: Micros, from: Member, bytes: &[u8]) {
        let mut effects = std::mem::take(&mut self.effects);
        let before = self.course.messages();
        let incoming = parse(bytes, self.replicas);
        self.course.on_datagram(now, from, &incoming, &mut effects);
        let messages = self.course.messages() - before;
        let blocked = self.carry_out(now, &effects, Some(bytes));
        if messages > 0 {
            self.ledger.on_routed(now, from, bytes, messages, &effects, blocked);
        }
        effects.clear();
        self.effects = effects;
    }

    /// Carries out the effects; `datagram` is the one that caused them. Returns the replicas whose
    /// full sockets refused it.
    fn carry_out(&mut self, now: Micros, effects: &[Effect], datagram: Option<&[u8]>) -> MemberSet {
        let mut blocked = MemberSet::EMPTY;
        for effect in effects {
            match effect {
                Effect::Deliver { to } => {
                    if !self.send(*to, datagram.unwrap_or_default()) {
                        blocked.insert(*to);
                    }
                }
                Effect::Lost { .. } => {}
                Effect::Send { to, request } => {
                    let at = self.clock.now();
                    self.request(*to, request);
                    let took = self.clock.now().since(at);
                    let (request, to) = (request_id(&request.mid), *to);
                    self.request_sends.push(RequestSend { request, looked_at: now, at, to, took });
                }
                // A datagram kills its own sender. The scenario did not kill it.
                Effect::Kill { member } => self.kill(now, *member, datagram.is_some()),
            }
        }
        blocked
    }

    /// Sends a datagram. Returns false if a full socket refused it.
    fn send(&mut self, to: Member, bytes: &[u8]) -> bool {
        let sent = self.nodes[to.rank()].send(bytes);
        if !sent {
            self.course.on_blocked();
        }
        sent
    }

    fn request(&mut self, to: Member, request: &Request) {
        let Request { client, leader, mid, operation } = request.clone();
        let datagram = Datagram {
            source: client,
            destination: address_of(to),
            leader,
            payload: Payload::Request { mid, operation },
        };
        let mut bytes = Vec::new();
        encode(&self.clients, &datagram, &mut bytes);
        self.send(to, &bytes);
    }

    /// Closes the socket first, then asks the process to exit. Waits for it and does nothing else
    /// meanwhile (interface §1).
    fn kill(&mut self, now: Micros, member: Member, by_itself: bool) {
        let node = &mut self.nodes[member.rank()];
        node.socket = None;
        let Some(process) = node.process.take() else {
            return;
        };
        self.ledger.on_killed(now, member, by_itself);
        let mut shown = Vec::new();
        let exit = process::stop(process, &mut shown);
        if !by_itself {
            self.exits.push(exit);
        }
        self.progress.show(&shown);
    }

    fn has_ended(&self, member: Member) -> bool {
        let process = self.nodes[member.rank()].process.as_ref();
        !self.options.silence && process.is_some_and(process::Process::has_ended)
    }

    fn notice_ended(&mut self) {
        for member in (0..self.replicas as u8).map(Member) {
            if self.has_ended(member) {
                self.on_ended(member);
            }
        }
    }

    fn read_pipes(&mut self, pipes: &[(Member, usize)]) {
        for (member, place) in pipes {
            let mut shown = Vec::new();
            let process = self.nodes[member.rank()].process.as_mut();
            let open = process.is_none_or(|process| process.read_pipe(*place, &mut shown));
            self.progress.show(&shown);
            if !open {
                self.on_ended(*member);
            }
        }
    }

    fn on_ended(&mut self, member: Member) {
        let now = self.clock.now();
        self.course.on_ended(now, member);
        self.kill(now, member, true);
    }
}

/// The codec needs a cluster. Requests name no member, so any will do.
fn membership(replicas: usize) -> Result<Membership, BadMembership> {
    let others: Vec<Address> = (1..replicas as u8).map(|rank| address_of(Member(rank))).collect();
    Membership::new(address_of(Member(0)), &others)
}
