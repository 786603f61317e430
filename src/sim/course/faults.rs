//! What can go wrong (interface §3, "Events"): which replicas live, which are cut off from each
//! other, what is lost, and which replica the simulator takes for the leader.

use super::effect::{Effect, LossReason};
use super::incoming::replica_at;
use crate::interface::Address;
use crate::raft::{Member, MemberSet, Micros};
use crate::sim::random_stream::{Probability, RandomStream};
use crate::sim::scenario::{EventKind, Scenario};

/// The state of a replica's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It lives.
    Running,
    /// It ended without being killed, or counts as if it had, at this time. The run fails.
    Ended(Micros),
    /// The scenario killed it at this time.
    Killed(Micros),
}

/// The replicas as the simulator sees them.
pub(super) struct Cluster {
    lives: Vec<Life>,
    living: MemberSet,
    /// Replicas whose sockets are open. A replica marked dead before its hello keeps its socket.
    open: MemberSet,
    /// Replicas that have said hello.
    ready: MemberSet,
    /// The majority side of the partition, if there is one.
    majority: Option<MemberSet>,
    leader: Option<Member>,
    leaders_seen: Vec<Member>,
    drops: Probability,
    /// Random numbers for losses, one stream for each receiver.
    drop_random: Vec<RandomStream>,
    event_random: RandomStream,
}

impl Cluster {
    pub fn new(scenario: &Scenario, seed: u64) -> Cluster {
        let all = everyone(scenario.replicas);
        Cluster {
            lives: vec![Life::Running; scenario.replicas],
            living: all,
            open: all,
            ready: MemberSet::EMPTY,
            majority: None,
            leader: None,
            leaders_seen: Vec::new(),
            drops: Probability::of(scenario.drops),
            drop_random: all
                .iter()
                .map(|to| RandomStream::new(seed, "drops", u64::from(to.0)))
                .collect(),
            event_random: RandomStream::new(seed, "events", 0),
        }
    }

    /// Replicas that live. Clients ask only these, and events kill only these.
    pub fn living(&self) -> MemberSet {
        self.living
    }

    /// All replicas, dead ones included.
    pub fn all(&self) -> MemberSet {
        everyone(self.lives.len())
    }

    /// The state of each replica's life, by rank.
    pub fn lives(&self) -> &[Life] {
        &self.lives
    }

    /// The replica that the simulator takes for the leader.
    pub fn leader(&self) -> Option<Member> {
        self.leader
    }

    /// The majority side of the partition, if there is one.
    pub fn majority(&self) -> Option<MemberSet> {
        self.majority
    }

    /// All replicas that it ever took for the leader, in the order in which it first did.
    pub fn leaders_seen(&self) -> &[Member] {
        &self.leaders_seen
    }

    /// Notes that `member` has said hello.
    pub fn on_hello(&mut self, member: Member) {
        self.ready.insert(member);
    }

    /// Takes in the `leader` of a message from `source`. During a partition only the majority side
    /// is believed.
    pub fn learn_leader(&mut self, source: Address, leader: Option<Member>) {
        if self.majority.is_some_and(|side| !self.is_in(source, side)) {
            return;
        }
        self.leader = leader;
        if let Some(leader) = leader
            && !self.leaders_seen.contains(&leader)
        {
            self.leaders_seen.push(leader);
        }
    }

    /// Why a delivery from `source`, a replica, to `to` is lost; `None`: it arrives.
    pub fn loss(&mut self, now: Micros, source: Address, to: Member) -> Option<LossReason> {
        if !self.open.contains(to) {
            return Some(LossReason::Dead);
        }
        let parted = |side: MemberSet| self.is_in(source, side) != side.contains(to);
        if self.majority.is_some_and(parted) {
            return Some(LossReason::CutOff);
        }
        if self.drop_random[to.rank()].chance(self.drops) {
            return Some(LossReason::Dropped);
        }
        (!self.accepts(now, to)).then_some(LossReason::Dead)
    }

    /// Whether a datagram delivered to `to` reaches it. A replica that has not said hello yet is
    /// marked dead by the datagram (interface §2).
    pub fn accepts(&mut self, now: Micros, to: Member) -> bool {
        let ready = self.ready.contains(to);
        if !ready {
            self.mark_dead(to, Life::Ended(now));
        }
        ready
    }

    /// Notes that the process of `member` has ended, and closes its socket.
    pub fn close(&mut self, member: Member, end: Life) {
        self.mark_dead(member, end);
        self.open = without(self.open, member);
    }

    /// Carries out `event`. Returns true if all clients must forget the leader.
    pub fn on_event(&mut self, now: Micros, event: EventKind, effects: &mut Vec<Effect>) -> bool {
        match event {
            EventKind::KillLeader => self.kill_leader(now, effects),
            EventKind::KillNonLeader => {
                self.kill_non_leader(now, effects);
                false
            }
            EventKind::PartEasy => match self.leader {
                Some(leader) => {
                    self.majority = Some(self.draw_majority(MemberSet::only(leader)));
                    false
                }
                None => self.part_hard(),
            },
            EventKind::PartHard => self.part_hard(),
            EventKind::PartEnd => {
                self.majority = None;
                false
            }
            EventKind::CutLeader => {
                if let Some(leader) = self.leader {
                    self.majority = Some(without(self.all(), leader));
                }
                false
            }
        }
    }

    fn kill_leader(&mut self, now: Micros, effects: &mut Vec<Effect>) -> bool {
        let Some(leader) = self.leader.take() else {
            return false;
        };
        if self.living.contains(leader) {
            self.kill(now, leader, effects);
        }
        true
    }

    fn kill_non_leader(&mut self, now: Micros, effects: &mut Vec<Effect>) {
        if self.living.len() <= 1 {
            return;
        }
        let others = self.leader.map_or(self.living, |leader| without(self.living, leader));
        if let Some(victim) = self.event_random.pick_member(others) {
            self.kill(now, victim, effects);
        }
    }

    fn kill(&mut self, now: Micros, member: Member, effects: &mut Vec<Effect>) {
        self.close(member, Life::Killed(now));
        effects.push(Effect::Kill { member });
    }

    fn part_hard(&mut self) -> bool {
        self.majority = Some(self.draw_majority(MemberSet::EMPTY));
        self.leader = None;
        true
    }

    /// A bare majority of all replicas, dead ones included, that contains `side`.
    fn draw_majority(&mut self, mut side: MemberSet) -> MemberSet {
        while side.len() <= self.lives.len() / 2 {
            let others = MemberSet(self.all().0 & !side.0);
            match self.event_random.pick_member(others) {
                Some(member) => side.insert(member),
                None => break,
            }
        }
        side
    }

    fn mark_dead(&mut self, member: Member, end: Life) {
        if self.living.contains(member) {
            self.lives[member.rank()] = end;
            self.living = without(self.living, member);
        }
    }

    /// Whether `address` is the ID of a member of `side`.
    fn is_in(&self, address: Address, side: MemberSet) -> bool {
        replica_at(address, self.lives.len()).is_some_and(|member| side.contains(member))
    }
}

fn everyone(replicas: usize) -> MemberSet {
    MemberSet((1 << replicas) - 1)
}

fn without(set: MemberSet, member: Member) -> MemberSet {
    MemberSet(set.0 & !MemberSet::only(member).0)
}
