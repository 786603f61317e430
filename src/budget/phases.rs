//! The phases of a cluster's life, and how long each lasted.

use strum::IntoStaticStr;

use crate::raft::{Event, Index, Member, MemberSet, Micros};
use crate::record::{Fact, Record, SIMULATOR};

/// A phase. Where several apply, the first in this list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Phase {
    /// Before the first leader has committed the entry that opens its term.
    Start = 0,
    /// No living replica leads.
    Election = 1,
    /// There is a partition.
    Partitioned = 2,
    /// After a kill, an election or the end of a partition, until every living replica has
    /// committed what was committed at that moment, or opened the new term.
    Recovering = 3,
    /// At all other times.
    Steady = 4,
}

impl Phase {
    /// Every phase, in the order that reports use.
    pub const ALL: [Phase; 5] =
        [Phase::Start, Phase::Steady, Phase::Election, Phase::Partitioned, Phase::Recovering];

    /// The phase's name in reports.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Follows the cluster through the records.
#[derive(Debug)]
pub struct Phases {
    living: MemberSet,
    leaders: MemberSet,
    committed: Vec<Index>,
    partitioned: bool,
    /// Whether the first leader has committed the entry that opens its term.
    elected: bool,
    opened: bool,
    /// The index that every living replica must have committed for the recovery to end.
    target: Option<Index>,
    now: Phase,
    since: Micros,
    durations: [Micros; 5],
    leaderless: Micros,
    leaderless_since: Option<Micros>,
}

impl Phases {
    /// For a cluster of `replicas` replicas that all live.
    pub fn new(replicas: usize) -> Phases {
        Phases {
            living: MemberSet::all(replicas),
            leaders: MemberSet::EMPTY,
            committed: vec![0; replicas],
            partitioned: false,
            elected: false,
            opened: false,
            target: None,
            now: Phase::Start,
            since: Micros(0),
            durations: [Micros(0); 5],
            leaderless: Micros(0),
            leaderless_since: Some(Micros(0)),
        }
    }

    /// The phase after the last record.
    pub const fn now(&self) -> Phase {
        self.now
    }

    /// Whether a replica other than `member` leads.
    pub fn has_other_leader(&self, member: Member) -> bool {
        self.leaders.iter().any(|leader| leader != member)
    }

    /// Takes in a record, which may change the phase.
    pub fn record(&mut self, record: &Record) {
        match record.fact {
            Fact::State(event) if record.source != SIMULATOR => {
                if !self.on_state(record.source, event) {
                    return;
                }
            }
            Fact::Killed { member, .. } => {
                self.living.remove(member);
                self.leaders.remove(member);
                self.recover();
            }
            Fact::Partitioned { majority } => {
                self.partitioned = !majority.is_empty();
                self.recover();
            }
            _ => return,
        }
        self.turn(record.at);
    }

    /// Ends the run at `end`: how long each phase lasted, in the order of `Phase::ALL`, and the
    /// time without a leader, the start included.
    pub fn finish(mut self, end: Micros) -> ([Micros; 5], Micros) {
        self.durations[self.now as usize] += end.since(self.since);
        if let Some(since) = self.leaderless_since {
            self.leaderless += end.since(since);
        }
        (Phase::ALL.map(|phase| self.durations[phase as usize]), self.leaderless)
    }

    fn on_state(&mut self, source: Member, event: Event) -> bool {
        match event {
            Event::BecameLeader { opened, .. } => {
                self.elected = true;
                self.leaders.insert(source);
                self.target = Some(opened);
            }
            Event::SteppedDown { .. } => self.leaders.remove(source),
            Event::Committed { through } => {
                self.committed[source.rank()] = through;
                self.opened |= self.leaders.contains(source);
            }
            _ => return false,
        }
        true
    }

    /// Starts a recovery: at least to what is committed now.
    fn recover(&mut self) {
        let most = self.committed.iter().copied().max();
        self.target = self.target.max(most);
    }

    fn turn(&mut self, at: Micros) {
        let behind =
            |target: Index| self.living.iter().any(|member| self.committed[member.rank()] < target);
        if !self.target.is_some_and(behind) {
            self.target = None;
        }
        let leaderless = self.leaders.is_empty();
        match (leaderless, self.leaderless_since) {
            (true, None) => self.leaderless_since = Some(at),
            (false, Some(since)) => {
                self.leaderless += at.since(since);
                self.leaderless_since = None;
            }
            _ => {}
        }
        let now = if !self.opened {
            Phase::Start
        } else if leaderless {
            Phase::Election
        } else if self.partitioned {
            Phase::Partitioned
        } else if self.target.is_some() {
            Phase::Recovering
        } else {
            Phase::Steady
        };
        if now != self.now {
            self.durations[self.now as usize] += at.since(self.since);
            (self.now, self.since) = (now, at);
        }
    }
}
