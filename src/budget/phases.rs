//! In which phase of its life the cluster is, and how long it was in each.

use strum::IntoStaticStr;

use crate::raft::{Event, Index, Member, MemberSet, Micros};
use crate::record::{Fact, Record, SIMULATOR};

/// A phase. Where several apply, the first named wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Phase {
    /// Before the first leader has committed the opening of its term.
    Start = 0,
    /// No living replica leads.
    Election = 1,
    /// A partition stands.
    Partitioned = 2,
    /// After a kill, an election or the end of a partition, until every living replica has
    /// committed what was committed, or opened the new term, then.
    Recovering = 3,
    /// All else.
    Steady = 4,
}

impl Phase {
    /// Every phase, in the order of reports.
    pub const ALL: [Phase; 5] =
        [Phase::Start, Phase::Steady, Phase::Election, Phase::Partitioned, Phase::Recovering];

    /// Its name.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Follows the cluster from record to record.
#[derive(Debug)]
pub struct Phases {
    living: MemberSet,
    leaders: MemberSet,
    committed: Vec<Index>,
    partitioned: bool,
    /// The first leader has been elected; it has committed the opening of its term.
    elected: bool,
    opened: bool,
    /// What every living replica must have committed for the recovery to be over.
    target: Option<Index>,
    now: Phase,
    since: Micros,
    durations: [Micros; 5],
    leaderless: Micros,
    leaderless_since: Option<Micros>,
}

impl Phases {
    /// Of a cluster of `replicas` that all live.
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

    /// The phase as of the last record.
    pub const fn now(&self) -> Phase {
        self.now
    }

    /// Whether any other than `member` leads.
    pub fn has_other_leader(&self, member: Member) -> bool {
        self.leaders.iter().any(|leader| leader != member)
    }

    /// Takes in a record; whether it could change the phase.
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

    /// Ends the account at `end`: the durations in the order of [`Phase::ALL`], and the time
    /// without a leader, the start included.
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

    /// Something is to be recovered from: at least to what is committed now.
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
