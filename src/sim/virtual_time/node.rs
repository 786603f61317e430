//! A replica in virtual time: its sockets, its clock, and how long its work takes.

use super::disturbance::Change;
use super::options::VirtualOptions;
use super::socket::Socket;
use crate::interface::{Address, Request, Text};
use crate::raft::{Micros, Tuning};
use crate::record::Sink;
use crate::replica::{Arrival, Replica};
use crate::sim::delays::COLD_AFTER;
use crate::sim::random_stream::{RandomStream, scramble};
use crate::sim::scenario::FaultKind;
use crate::wire::{self, Datagram, MeasuredDatagram, Membership, Payload, SOCKET_BYTES};

/// Time between two sends of one turn, in microseconds.
const SEND_COST: Micros = Micros(5);

/// A replica, with its sockets and its clock.
pub(super) struct Node {
    /// The replica.
    pub replica: Replica,
    /// When it acts next; [`Micros::NEVER`] once it is dead.
    pub wake_at: Micros,
    alive: bool,
    /// The replica's socket: what it has not read.
    inbox: Socket<Arrival>,
    /// The simulator's socket for this replica: what the simulator has not read.
    outbox: Socket<MeasuredDatagram>,
    /// The datagrams made in the current turn.
    made: Vec<MeasuredDatagram>,
    busy_until: Micros,
    /// When the replica last took in anything.
    active_at: Micros,
    /// When the simulator last sent it a request.
    requested_at: Micros,
    /// Whether the current turn has handled the deadline.
    woken: bool,
    /// The replica's deadline, if it is known and nothing has been taken in since.
    deadline: Option<Micros>,
    /// The deadline for which `timer_at` was drawn, by the replica's own clock.
    timer_for: Micros,
    /// When the timer goes off, in true time.
    timer_at: Micros,
    drift_ppm: i64,
    /// Whether the simulator works at the course's pace.
    paced: bool,
    /// How much longer a turn takes at most, because of a fault.
    turn: Micros,
    /// MIDs of requests that found the replica's socket full.
    lost_requests: Vec<Text>,
    /// MIDs of answers that found the simulator's socket full.
    lost_answers: Vec<Text>,
    random: RandomStream,
}

/// The first true time at which a clock shows `local` that runs `drift_ppm` faster than it should.
pub fn true_time(local: Micros, drift_ppm: i64) -> Micros {
    if local == Micros::NEVER || drift_ppm == 0 {
        return local;
    }
    let rate = 1_000_000 + i128::from(drift_ppm);
    let wanted = i128::from(local.0) * 1_000_000;
    Micros(((wanted + rate - 1) / rate) as u64)
}

impl Node {
    pub fn new(
        rank: usize,
        replicas: usize,
        options: &VirtualOptions,
        drift_ppm: i32,
        paced: bool,
    ) -> Node {
        let id = |rank: usize| Address(rank as u16);
        let others: Vec<Address> = (0..replicas).filter(|other| *other != rank).map(id).collect();
        let replica = Membership::new(id(rank), &others).map(|members| {
            let seed = scramble(options.seed ^ scramble(rank as u64));
            Replica::new(members, options.tuning.clone(), seed, Micros(0))
        });
        let Ok(replica) = replica else {
            unreachable!("a scenario has 3 to 21 replicas, numbered from 0");
        };
        let mut node = Node {
            replica,
            wake_at: Micros::NEVER,
            alive: true,
            inbox: Socket::new(),
            outbox: Socket::new(),
            made: Vec::new(),
            busy_until: Micros(0),
            active_at: Micros(0),
            requested_at: Micros(0),
            woken: false,
            deadline: None,
            timer_for: Micros::NEVER,
            timer_at: Micros::NEVER,
            drift_ppm: drift_ppm.into(),
            paced,
            turn: Micros(0),
            lost_requests: Vec::new(),
            lost_answers: Vec::new(),
            random: RandomStream::new(options.seed, "replica", rank as u64),
        };
        node.plan(options);
        node
    }

    /// Whether the replica has not been killed.
    pub fn is_alive(&self) -> bool {
        self.alive
    }

    /// What the replica's own clock shows at true time `now`.
    pub fn local(&self, now: Micros) -> Micros {
        if self.drift_ppm == 0 {
            return now;
        }
        let now = now.0 as i128;
        Micros((now + now * i128::from(self.drift_ppm) / 1_000_000) as u64)
    }

    /// The first true time at which the replica's own clock shows `local`.
    fn global(&self, local: Micros) -> Micros {
        true_time(local, self.drift_ppm)
    }

    /// Puts a datagram of `bytes` into the replica's socket at `at`, if there is room then.
    pub fn deliver(
        &mut self,
        at: Micros,
        arrival: Arrival,
        bytes: usize,
        options: &VirtualOptions,
    ) {
        if !self.alive {
            return;
        }
        let arrival = if options.through_codec { self.recode(arrival) } else { arrival };
        let first = self.inbox.front().is_none_or(|(oldest, _)| at < oldest);
        self.inbox.send(at, bytes, arrival);
        if first {
            let wake = self.draw_wake(at, options);
            self.wake_at = self.wake_at.min((at + wake).max(self.busy_until));
        }
    }

    /// How long the replica takes to notice the first arrival, at `at`.
    fn draw_wake(&mut self, at: Micros, options: &VirtualOptions) -> Micros {
        let idle = at.since(self.active_at);
        let request = matches!(self.inbox.front(), Some((_, Arrival::Request(_))));
        let cold = idle > COLD_AFTER;
        let wake = if request && cold {
            &options.delays.request_wake_us
        } else {
            options.delays.replica_wake_us.after(idle)
        };
        let wake = wake.draw(&mut self.random);
        if !(cold && self.paced) {
            return wake;
        }
        wake.max(options.delays.pace.cold_wake_us.draw(&mut self.random))
    }

    /// The simulator sends this replica a request, from `now` on. Returns when it is done. A cold
    /// replica's wake counts from the beginning of the send, so it may take the request in before
    /// the send is done.
    pub fn request(&mut self, now: Micros, request: Request, options: &VirtualOptions) -> Micros {
        let since = now.since(std::mem::replace(&mut self.requested_at, now));
        let done = now + options.delays.request_send_us.after(since).draw(&mut self.random);
        let at = if since > COLD_AFTER { now } else { done };
        let datagram = self.datagram_of(request.clone());
        let bytes = wire::encoded_length(self.replica.members(), &datagram);
        self.deliver(at, Arrival::Request(request), bytes, options);
        done
    }

    /// Begins the turn that is due.
    pub fn begin(&mut self) {
        self.woken = false;
    }

    /// Takes in one datagram or, after all datagrams, the deadline. Returns false at the end of the
    /// turn.
    pub fn take_in(&mut self, sink: &mut impl Sink) -> bool {
        let now = self.wake_at;
        let local = self.local(now);
        self.deadline = None;
        let arrival = self.inbox.read(now);
        for lost in self.inbox.take_lost() {
            if let Arrival::Request(request) = lost {
                self.lost_requests.push(request.mid);
            }
        }
        if let Some(arrival) = arrival {
            self.replica.step(local, arrival, &mut self.made, sink);
            return true;
        }
        if !self.woken {
            let deadline = self.replica.deadline();
            if deadline <= local {
                self.woken = true;
                self.replica.step(local, Arrival::Wake, &mut self.made, sink);
                return true;
            }
            self.deadline = Some(deadline);
        }
        self.busy_until = now;
        if self.turn > Micros(0) {
            self.busy_until += Micros(self.random.below(self.turn.0 + 1));
        }
        self.active_at = now;
        false
    }

    /// Replaces the replica's knobs at `at`, or when it has done what it is about.
    pub fn retune(&mut self, at: Micros, tuning: &Tuning, sink: &mut impl Sink) {
        self.busy_until = self.busy_until.max(at);
        self.deadline = None;
        let arrival = Arrival::Retune(Box::new(tuning.clone()));
        self.replica.step(self.local(self.busy_until), arrival, &mut self.made, sink);
    }

    /// Sends the turn's datagrams, and plans the next turn. Returns when the first of them reaches
    /// the simulator's socket. What finds the socket full is lost, and leaves a gap in the numbers.
    pub fn send(&mut self, options: &VirtualOptions) -> Option<Micros> {
        let first = (!self.made.is_empty()).then_some(self.busy_until);
        for datagram in self.made.drain(..) {
            self.outbox.send(self.busy_until, datagram.bytes, datagram);
            self.busy_until += SEND_COST;
        }
        self.plan(options);
        first
    }

    /// When to act next: at the next arrival, or at the deadline.
    fn plan(&mut self, options: &VirtualOptions) {
        let deadline = self.deadline.take().unwrap_or_else(|| self.replica.deadline());
        debug_assert_eq!(deadline, self.replica.deadline());
        if deadline != self.timer_for {
            self.timer_for = deadline;
            let late = options.delays.timer_late_us.draw(&mut self.random);
            self.timer_at = match self.global(deadline) {
                Micros::NEVER => Micros::NEVER,
                due if due <= self.busy_until => due,
                due => due + late,
            };
        }
        let arrival = match self.inbox.front() {
            Some((at, _)) => at + self.draw_wake(at, options),
            None => Micros::NEVER,
        };
        self.wake_at = self.timer_at.min(arrival).max(self.busy_until + Micros(1));
    }

    /// Whether the simulator's poll finds a datagram of this replica.
    pub fn is_readable(&self, now: Micros) -> bool {
        self.next_arrival().is_some_and(|at| at <= now)
    }

    /// When the oldest unread datagram of this replica reached the simulator.
    pub fn next_arrival(&self) -> Option<Micros> {
        self.outbox.front().map(|(at, _)| at)
    }

    /// Reads one datagram for the simulator.
    pub fn read(&mut self, now: Micros) -> Option<MeasuredDatagram> {
        let read = self.outbox.read(now);
        for lost in self.outbox.take_lost() {
            if let Payload::Answer { mid, .. } = lost.datagram.payload {
                self.lost_answers.push(mid);
            }
        }
        read
    }

    /// A fault begins or ends here.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::Pause(until) if self.alive => {
                self.busy_until = self.busy_until.max(until);
                self.wake_at = self.wake_at.max(self.busy_until);
            }
            Change::Turn(turn) => self.turn = turn,
            Change::Socket(bytes) => self.inbox.limit(bytes),
            Change::End(FaultKind::Slow { .. }) => self.turn = Micros(0),
            Change::End(FaultKind::SmallSocket { .. }) => self.inbox.limit(SOCKET_BYTES),
            Change::Pause(_) | Change::End(_) => {}
        }
    }

    /// MIDs of requests that found the replica's socket full.
    pub fn lost_requests(&self) -> &[Text] {
        &self.lost_requests
    }

    /// MIDs of answers that found the simulator's socket full.
    pub fn lost_answers(&self) -> &[Text] {
        &self.lost_answers
    }

    /// Kills the replica: its socket is closed, and what was not read is lost.
    pub fn kill(&mut self) {
        self.alive = false;
        self.wake_at = Micros::NEVER;
        self.inbox.close();
        self.outbox.close();
    }

    /// A client's request as a datagram to this replica.
    fn datagram_of(&self, request: Request) -> Datagram {
        let members = self.replica.members();
        Datagram {
            source: request.client,
            destination: members.address(members.me()),
            leader: request.leader,
            payload: Payload::Request { mid: request.mid, operation: request.operation },
        }
    }

    /// The same arrival after it was encoded and decoded.
    fn recode(&self, arrival: Arrival) -> Arrival {
        let members = self.replica.members();
        let me = members.address(members.me());
        let datagram = match arrival {
            Arrival::Peer { from, number, message } => Datagram {
                source: members.address(from),
                destination: me,
                leader: match &message {
                    crate::raft::Message::Append(append) => members.address(append.leader),
                    crate::raft::Message::PreVoteReply(reply) => {
                        members.leader_address(reply.leader)
                    }
                    _ => Address::UNKNOWN,
                },
                payload: Payload::Peer { number, message },
            },
            Arrival::Request(request) => self.datagram_of(request),
            other => return other,
        };
        let mut bytes = Vec::new();
        wire::encode(members, &datagram, &mut bytes);
        Arrival::of(members, &bytes)
    }
}
