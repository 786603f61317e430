//! The course's simulator without its sockets: a state machine that both engines drive.
//!
//! The virtual engine and the real one differ only in where datagrams come from and in what moves
//! the clock. All else that interface §2 to §5 demand of a simulator is here, once. It does no I/O,
//! reads no clock and draws its random numbers from the run's seed:
//!
//! - [`incoming`]: what a datagram says, and what makes it incorrect or fatal;
//! - `clients`: requests, answers, re-sends, and the history of them (§2, §4);
//! - `schedule`: when requests and events are due (§4);
//! - `effect`: what is decided, for an engine to carry out; `serialize`: how conclusions are
//!   written;
//! - `faults`: kills, partitions, drops, and which replica the simulator takes for the leader (§3);
//! - [`score`]: counts, checks and tiers (§5); [`summary`]: their text.
//!
//! An engine loops as the course's simulator does. It reads one datagram from each replica's socket
//! and hands each to [`Course::on_datagram`], then calls [`Course::fire_due`], and carries out the
//! effects in order, until [`Course::is_over`]. The engine keeps the datagram: effects refer to the
//! one just handed in. When a replica is killed, the engine drops what the replica had sent and
//! nobody had read, together with the socket.
//!
//! Where the course's simulator would crash (a leader that is no replica), the message counts as
//! incorrect here. All else follows the interface to the letter.

mod clients;
mod effect;
mod faults;
pub mod incoming;
mod schedule;
pub mod score;
mod serialize;
pub mod summary;

#[cfg(test)]
mod tests;

use crate::interface::Address;
use crate::raft::{Member, MemberSet, Micros};
use crate::sim::scenario::Scenario;
use clients::{Clients, Outgoing};
use faults::Cluster;
use incoming::{Content, Incoming, Incorrect, Unreadable, address_of, client_at, replica_at};
use schedule::{Due, Schedule};
use score::{Conclusion, Ended, Traffic};

pub use effect::{Effect, Incident, LossReason, Over};
pub use faults::Life;

/// How many incorrect messages are kept for the report. All are counted.
const INCIDENTS_KEPT: usize = 20;

/// A run of a scenario: its clients, faults and counts.
pub struct Course {
    scenario: Scenario,
    seed: u64,
    schedule: Schedule,
    clients: Clients,
    cluster: Cluster,
    traffic: Traffic,
    incidents: Vec<Incident>,
}

impl Course {
    /// A run that has not begun. Its random numbers are drawn from `seed`. Replicas have the IDs
    /// from `0000` upwards, so a member's rank is its ID.
    pub fn new(scenario: &Scenario, seed: u64) -> Course {
        Course {
            scenario: scenario.clone(),
            seed,
            schedule: Schedule::new(scenario),
            clients: Clients::new(scenario, seed),
            cluster: Cluster::new(scenario, seed),
            traffic: Traffic::default(),
            incidents: Vec::new(),
        }
    }

    /// Takes in one datagram that was read from the socket of `from` at `now`, and appends what is
    /// to be done, in order. `incoming` is the result of [`incoming::parse`].
    pub fn on_datagram(
        &mut self,
        now: Micros,
        from: Member,
        incoming: &Result<Incoming, Unreadable>,
        effects: &mut Vec<Effect>,
    ) {
        let result = match incoming {
            Ok(message) => self.on_message(now, from, message, effects),
            Err(Unreadable::Incorrect(what)) => Err(what.clone()),
            Err(Unreadable::Fatal) => {
                self.cluster.close(from, Life::Ended(now));
                effects.push(Effect::Kill { member: from });
                Ok(())
            }
        };
        if let Err(what) = result {
            self.traffic.incorrect += 1;
            if self.incidents.len() < INCIDENTS_KEPT {
                self.incidents.push(Incident { at: now, from, what });
            }
        }
    }

    /// Fires all that was due before `now`, in the order of due times. Of a request and an event
    /// due at the same time, the request comes first (interface §4).
    pub fn fire_due(&mut self, now: Micros, effects: &mut Vec<Effect>) {
        while self.fire_next(now, now, effects) {}
    }

    /// Fires the first thing that was due before `edge`; a request is created at `now`. Returns
    /// false if nothing is left. It is for an engine that needs time for each of them.
    pub fn fire_next(&mut self, edge: Micros, now: Micros, effects: &mut Vec<Effect>) -> bool {
        if self.living().is_empty() {
            return false;
        }
        match self.schedule.take_due(edge) {
            Some(Due::Request) => {
                let outgoing = self.clients.create(now, self.living());
                self.send(now, outgoing, effects);
            }
            Some(Due::Event(event)) => {
                if self.cluster.on_event(now, event, effects) {
                    self.clients.forget_leader();
                }
            }
            None => return false,
        }
        true
    }

    /// Notes that the virtual network has lost a delivery which the rules here let pass.
    pub fn on_lost(&mut self, reason: LossReason) {
        match reason {
            LossReason::Dropped => self.traffic.lost_by_random += 1,
            LossReason::CutOff => self.traffic.cut_off += 1,
            LossReason::Dead => self.traffic.to_the_dead += 1,
        }
    }

    /// Whether something was due before `edge` and has not been fired.
    pub fn is_due(&self, edge: Micros) -> bool {
        self.schedule.next().is_some_and(|(at, _)| at < edge)
    }

    /// The earliest time at which [`Course::fire_due`] fires something: a microsecond after the due
    /// time, since only what was due before is fired. `None`: nothing is left.
    pub fn next_due(&self) -> Option<Micros> {
        self.schedule.next().map(|(at, _)| at + Micros(1))
    }

    /// Notes that the process of `member` ended without being killed. If it had been killed,
    /// nothing changes.
    pub fn on_ended(&mut self, now: Micros, member: Member) {
        self.cluster.close(member, Life::Ended(now));
    }

    /// Notes that the machine's full socket refused a datagram to a replica. Such datagrams are
    /// counted (interface §5).
    pub fn on_blocked(&mut self) {
        self.traffic.blocked += 1;
    }

    /// Why the run is over at `now`, if it is.
    pub fn is_over(&self, now: Micros) -> Option<Over> {
        if self.living().is_empty() {
            Some(Over::NobodyLives)
        } else if self.traffic.messages >= self.scenario.max_packets {
            Some(Over::MaxPackets)
        } else {
            (now >= self.ends_at()).then_some(Over::TimeIsUp)
        }
    }

    /// When the run's time is up: `start_wait + lifetime + end_wait`.
    pub fn ends_at(&self) -> Micros {
        self.scenario.start_wait + self.scenario.lifetime + self.scenario.end_wait
    }

    /// Replicas that live, as the simulator believes.
    pub fn living(&self) -> MemberSet {
        self.cluster.living()
    }

    /// The replica that the simulator takes for the leader.
    pub fn believed_leader(&self) -> Option<Member> {
        self.cluster.leader()
    }

    /// The majority side of the partition, if there is one (interface §3, "Events").
    pub fn majority(&self) -> Option<MemberSet> {
        self.cluster.majority()
    }

    /// Messages between replicas, by the simulator's count.
    pub fn messages(&self) -> u64 {
        self.traffic.messages
    }

    /// Ends the run at `now` and judges it.
    pub fn conclude(self, now: Micros) -> Conclusion {
        let over = self.is_over(now);
        let Course { scenario, seed, clients, cluster, traffic, incidents, .. } = self;
        let ended = Ended { scenario, seed, at: now, over, clients, cluster, traffic, incidents };
        score::conclude(ended)
    }

    fn on_message(
        &mut self,
        now: Micros,
        from: Member,
        message: &Incoming,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Incorrect> {
        let replicas = self.scenario.replicas;
        let leader = replica_at(message.leader, replicas);
        if leader.is_none() && message.leader != Address::UNKNOWN {
            return Err(Incorrect::NoSuchLeader(message.leader));
        }
        let destination = message.destination;
        match &message.content {
            Content::Hello => {
                self.cluster.on_hello(from);
                self.cluster.learn_leader(message.source, leader);
                Ok(())
            }
            Content::Answer(answer) if client_at(destination, replicas).is_some() => {
                self.cluster.learn_leader(message.source, leader);
                let living = self.living();
                let outgoing = self.clients.on_answer(now, from, leader, answer, living)?;
                self.send(now, outgoing, effects);
                Ok(())
            }
            Content::Answer(_) | Content::Replica => {
                let receivers = self.receivers(message)?;
                self.cluster.learn_leader(message.source, leader);
                self.route(now, message, receivers, effects);
                Ok(())
            }
        }
    }

    /// The replicas that a message goes to. A broadcast does not go back to its `src`.
    fn receivers(&self, message: &Incoming) -> Result<MemberSet, Incorrect> {
        if message.destination == Address::EVERYONE {
            let others = self.cluster.all().iter().filter(|&to| address_of(to) != message.source);
            return Ok(others.fold(MemberSet::EMPTY, |mut set, to| {
                set.insert(to);
                set
            }));
        }
        replica_at(message.destination, self.scenario.replicas)
            .map(MemberSet::only)
            .ok_or(Incorrect::NoSuchDestination(message.destination))
    }

    fn route(
        &mut self,
        now: Micros,
        message: &Incoming,
        receivers: MemberSet,
        effects: &mut Vec<Effect>,
    ) {
        self.traffic.messages += match message.destination {
            Address::EVERYONE => self.scenario.replicas as u64 - 1,
            _ => 1,
        };
        for to in receivers.iter() {
            let Some(reason) = self.cluster.loss(now, message.source, to) else {
                effects.push(Effect::Deliver { to });
                continue;
            };
            self.on_lost(reason);
            effects.push(Effect::Lost { to, reason });
        }
    }

    /// Sends a client's request. Client traffic is neither dropped nor cut off (interface §3, §4).
    fn send(&mut self, now: Micros, outgoing: Option<Outgoing>, effects: &mut Vec<Effect>) {
        if let Some(Outgoing { to, request }) = outgoing
            && self.cluster.accepts(now, to)
        {
            effects.push(Effect::Send { to, request });
        }
    }
}
