//! What the boxes of a cluster show about its last failure: a fold over their records, merged on
//! the clock that the machine's processes share. (Boxes of several machines would first need their
//! clocks compared.)

use std::collections::BTreeMap;

use serde::Serialize;

use super::black_box::ReadBox;
use super::flights::Flights;
use super::known_state::{KnownState, LaterAnswer, Open, RequestKey};
use crate::interface::OperationKind;
use crate::raft::{Event, Index, Member, RoleName, Term};
use crate::record::{Fact, Record, SIMULATOR};

/// The failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The replica that failed.
    pub replica: String,
    /// When it failed, in microseconds since the run began.
    pub at_us: u64,
    /// How the failure is known. `killed` and `ended` come from the simulator. `silent` means that
    /// nobody recorded it and this box ends first.
    pub kind: &'static str,
    /// The time between its last record and the failure, in microseconds.
    pub silent_for_us: u64,
}

/// A replica that led.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leader {
    /// The replica's ID.
    pub replica: String,
    /// The term that it led.
    pub term: Term,
    /// Since when, in microseconds relative to the failure; `None`: since before its box begins.
    pub since_us: Option<i64>,
}

/// Index and term of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Registered {
    /// The entry's index.
    pub index: Index,
    /// The entry's term.
    pub term: Term,
}

/// A replica at the moment of the failure. `None` is what its box no longer shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplicaState {
    /// The replica's ID.
    pub replica: String,
    /// Its role.
    pub role: Option<&'static str>,
    /// Its term.
    pub term: Option<Term>,
    /// Its log's last entry.
    pub last: Option<Registered>,
    /// Its commit index.
    pub commit: Option<Index>,
    /// Number of its last message before the failure.
    pub last_sent: Option<u64>,
    /// When the last record in its box was made, in microseconds relative to the failure.
    pub box_ends_us: i64,
    /// How many records its box holds.
    pub records: usize,
    /// Whether the process ended while it wrote another record.
    pub torn: bool,
}

/// A message that had been sent and not received when the failure happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// The sender's ID.
    pub from: String,
    /// The receiver's ID.
    pub to: String,
    /// The sender's running count of messages.
    pub n: u64,
    /// The message's kind.
    pub kind: &'static str,
    /// Why it was sent.
    pub why: String,
    /// When it was sent, in microseconds relative to the failure.
    pub sent_us: i64,
    /// What became of it.
    pub fate: &'static str,
}

/// How far a request had come at the failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Where {
    /// It was kept until a leader is known.
    Held,
    /// A get that waited for an earlier write, or for proof that its replica still leads.
    Reading,
    /// It had been received, and the box shows no more.
    Asked,
    /// It was in the log, and in no batch yet.
    Appended {
        /// Its entry in the log.
        entry: Registered,
    },
    /// It was on its way to a quorum.
    Replicating {
        /// Its entry in the log.
        entry: Registered,
        /// The other replicas that held it.
        holders: Vec<String>,
    },
    /// It was committed, and its answer was not recorded.
    Committed {
        /// Its entry in the log.
        entry: Registered,
    },
}

/// What became of a request after the failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fate")]
pub enum Later {
    /// It was answered.
    Answered {
        /// The replica that answered.
        by: String,
        /// The kind of answer.
        outcome: &'static str,
        /// When it was answered, in microseconds relative to the failure.
        after_us: i64,
    },
    /// It took effect, and no answer is known.
    Committed {
        /// A replica that knows it to be committed.
        by: String,
    },
    /// Another entry was committed in its place.
    Overwritten {
        /// The term of the other entry.
        by_term: Term,
    },
    /// It was lost with the replica that had it.
    Lost,
    /// Other replicas held it, and the boxes end before it was committed or overwritten.
    Undecided,
    /// The replica that had it lived on, and its box ends before an answer.
    Waiting,
}

/// A request that was received and not answered when the failure happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenRequest {
    /// The request's name in the records.
    pub request: String,
    /// The client's ID.
    pub client: String,
    /// `put` or `get`.
    pub operation: &'static str,
    /// The replica that had it.
    pub replica: String,
    /// When it was received, in microseconds relative to the failure.
    pub asked_us: i64,
    /// How far it had come at the failure.
    #[serde(flatten)]
    pub at_failure: Where,
    /// What became of it after the failure.
    pub later: Later,
}

/// A cluster at its last failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Postmortem {
    /// The failure.
    pub failure: Failure,
    /// The replicas that believed they led, the highest term first.
    pub leaders: Vec<Leader>,
    /// The replicas whose boxes could be read.
    pub replicas: Vec<ReplicaState>,
    /// Messages on their way.
    pub in_flight: Vec<InFlight>,
    /// Requests without an answer.
    pub requests: Vec<OpenRequest>,
    /// The first replica that led in a new term after the failure.
    pub next_leader: Option<Leader>,
}

/// Examines `boxes`, each with its replica's ID, and the simulator's records with its clock's
/// start, if there are any. `None`: the boxes hold no records.
pub fn examine(
    boxes: &[(String, ReadBox)],
    simulator: Option<(u64, &[Record])>,
) -> Option<Postmortem> {
    let cluster = Cluster { boxes, simulator };
    let (member, at_us, kind) = cluster.last_failure()?;
    let mut context = FailureContext::new(cluster, member, at_us);
    let mut merged = cluster.merged();
    // A replica's own records all belong to its life, however late it ended.
    merged.sort_by_key(|(at_us, _)| *at_us);
    let is_before = |record: &(u64, Record)| record.0 <= at_us;
    let split = merged.partition_point(is_before);
    let (before, after) = merged.split_at(split);
    before.iter().for_each(|(at_us, record)| context.take_in(*at_us, record));
    let mut postmortem = context.describe(kind);
    let then = context.states.clone();
    context.flights.close();
    for (at_us, record) in after {
        context.take_in(*at_us, record);
        context.note_later(*at_us, record, &mut postmortem);
    }
    postmortem.in_flight = context.in_flight();
    postmortem.requests = context.requests(&then);
    Some(postmortem)
}

/// All boxes and records that are examined.
#[derive(Clone, Copy)]
struct Cluster<'a> {
    boxes: &'a [(String, ReadBox)],
    simulator: Option<(u64, &'a [Record])>,
}

impl Cluster<'_> {
    /// The ID of `member`, from its box's name.
    fn name(&self, member: Member) -> String {
        let own = self.boxes.iter().find(|(_, read)| read.header.source == member);
        own.map_or_else(|| format!("rank {}", member.0), |(id, _)| id.clone())
    }

    /// When the last record of `member` was made, on the shared clock.
    fn end_us(&self, member: Member) -> Option<u64> {
        let (_, read) = self.boxes.iter().find(|(_, read)| read.header.source == member)?;
        Some(read.header.clock_start_us + read.records.last()?.at.0)
    }

    /// The replica that failed last, when on the shared clock, and how that is known.
    fn last_failure(&self) -> Option<(Member, u64, &'static str)> {
        let (start_us, records) = self.simulator.unwrap_or((0, &[]));
        let killed = records.iter().rev().find_map(|record| match record.fact {
            Fact::Killed { member, by_itself } => Some((member, start_us + record.at.0, by_itself)),
            _ => None,
        });
        if let Some((member, told_us, by_itself)) = killed {
            let at_us = told_us.max(self.end_us(member).unwrap_or(0));
            return Some((member, at_us, if by_itself { "ended" } else { "killed" }));
        }
        let ends = self.boxes.iter().filter_map(|(_, read)| {
            let member = read.header.source;
            Some((self.end_us(member)?, member))
        });
        ends.min().map(|(at_us, member)| (member, at_us, "silent"))
    }

    /// When the run began, on the shared clock: with the simulator's clock, or else with the first
    /// replica's.
    fn start_us(&self) -> u64 {
        let first = self.boxes.iter().map(|(_, read)| read.header.clock_start_us).min();
        self.simulator.map(|(start_us, _)| start_us).or(first).unwrap_or(0)
    }

    fn merged(&self) -> Vec<(u64, Record)> {
        let boxes = self.boxes.iter().map(|(_, read)| (read.header.clock_start_us, &*read.records));
        let sources = boxes.chain(self.simulator);
        let on_clock = |(start_us, records): (u64, &[Record])| {
            let at = |record: &Record| (start_us + record.at.0, *record);
            records.iter().map(at).collect::<Vec<_>>()
        };
        sources.flat_map(on_clock).collect()
    }
}

/// The cluster as the records show it, one after the other.
struct FailureContext<'a> {
    cluster: Cluster<'a>,
    failed: Member,
    failed_at_us: u64,
    /// The state of each replica whose box was read.
    states: BTreeMap<Member, KnownState>,
    /// For each leader: the time of its election, and its term.
    elected: BTreeMap<Member, (u64, Term)>,
    /// Number of the last message of each replica.
    last_sent: BTreeMap<Member, u64>,
    flights: Flights,
    answers: BTreeMap<RequestKey, LaterAnswer>,
}

impl<'a> FailureContext<'a> {
    fn new(cluster: Cluster<'a>, failed: Member, failed_at_us: u64) -> FailureContext<'a> {
        let state = |(_, read): &(String, ReadBox)| {
            (read.header.source, KnownState::new(read.first_number == 1))
        };
        let replicas = cluster.boxes.iter().map(|(_, read)| read.header.replicas).max();
        FailureContext {
            cluster,
            failed,
            failed_at_us,
            states: cluster.boxes.iter().map(state).collect(),
            elected: BTreeMap::new(),
            last_sent: BTreeMap::new(),
            flights: Flights::new(replicas.unwrap_or(0), cluster.simulator.is_some()),
            answers: BTreeMap::new(),
        }
    }

    fn take_in(&mut self, at_us: u64, record: &Record) {
        self.flights.take_in(at_us, record);
        if record.source == SIMULATOR {
            return;
        }
        match record.fact {
            Fact::State(Event::BecameLeader { term, .. }) => {
                self.elected.insert(record.source, (at_us, term));
            }
            Fact::Sent { number, .. } => {
                self.last_sent.insert(record.source, number);
            }
            _ => {}
        }
        if let Some(state) = self.states.get_mut(&record.source) {
            state.take_in(record);
        }
    }

    /// A time relative to the failure, in microseconds.
    fn relative(&self, at_us: u64) -> i64 {
        at_us as i64 - self.failed_at_us as i64
    }

    /// Describes the cluster as it is now, at the failure.
    fn describe(&self, kind: &'static str) -> Postmortem {
        let end_us = self.cluster.end_us(self.failed).unwrap_or(self.failed_at_us);
        let failure = Failure {
            replica: self.cluster.name(self.failed),
            at_us: self.failed_at_us.saturating_sub(self.cluster.start_us()),
            kind,
            silent_for_us: self.failed_at_us - end_us,
        };
        let mut leaders: Vec<Leader> = self
            .states
            .iter()
            .filter(|(_, state)| state.role == Some(RoleName::Leader))
            .filter(|(member, _)| **member == self.failed || self.is_heard_from(**member))
            .map(|(member, state)| self.leader(*member, state.term.unwrap_or(0)))
            .collect();
        leaders.sort_by_key(|leader| std::cmp::Reverse(leader.term));
        let replicas = self.cluster.boxes.iter().map(|(id, read)| self.state(id, read)).collect();
        let (in_flight, requests, next_leader) = (Vec::new(), Vec::new(), None);
        Postmortem { failure, leaders, replicas, in_flight, requests, next_leader }
    }

    /// Whether its box goes on after the failure. If not, it had failed before.
    fn is_heard_from(&self, member: Member) -> bool {
        self.cluster.end_us(member).is_some_and(|end_us| end_us > self.failed_at_us)
    }

    fn leader(&self, member: Member, term: Term) -> Leader {
        let elected = self.elected.get(&member).filter(|(_, of)| *of == term);
        let since_us = elected.map(|(at_us, _)| self.relative(*at_us));
        Leader { replica: self.cluster.name(member), term, since_us }
    }

    fn state(&self, id: &str, read: &ReadBox) -> ReplicaState {
        let member = read.header.source;
        let state = &self.states[&member];
        let end_us = self.cluster.end_us(member).unwrap_or(read.header.clock_start_us);
        ReplicaState {
            replica: id.to_owned(),
            role: state.role.map(RoleName::name),
            term: state.term,
            last: state.last().map(|(index, term)| Registered { index, term }),
            commit: state.commit,
            last_sent: self.last_sent.get(&member).copied(),
            box_ends_us: self.relative(end_us),
            records: read.records.len(),
            torn: read.torn,
        }
    }

    /// Notes what a record made after the failure says about what was open at the failure.
    fn note_later(&mut self, at_us: u64, record: &Record, postmortem: &mut Postmortem) {
        match record.fact {
            Fact::Answered { client, request, outcome, .. } => {
                let answer = LaterAnswer { by: record.source, outcome, at_us };
                self.answers.entry((client, request)).or_insert(answer);
            }
            Fact::State(Event::BecameLeader { term, .. }) if postmortem.next_leader.is_none() => {
                postmortem.next_leader = Some(self.leader(record.source, term));
            }
            _ => {}
        }
    }

    fn in_flight(&self) -> Vec<InFlight> {
        let flights = self.flights.at_failure(self.failed_at_us);
        let in_flight = flights.map(|(key, flight)| InFlight {
            from: self.cluster.name(key.from),
            to: self.cluster.name(key.to),
            n: key.number,
            kind: flight.kind.name(),
            why: flight.why.to_string(),
            sent_us: self.relative(flight.sent_us),
            fate: self.flights.fate_name(flight),
        });
        in_flight.collect()
    }

    /// The requests that were open `then`, in the order in which they were received.
    fn requests(&self, then: &BTreeMap<Member, KnownState>) -> Vec<OpenRequest> {
        let mut requests = Vec::new();
        for (member, state) in then {
            // Requests of a replica that had failed earlier belong to that earlier failure.
            if *member != self.failed && !self.is_heard_from(*member) {
                continue;
            }
            for (key, open) in &state.open {
                requests.push(self.request(*member, key, open, then));
            }
        }
        requests.sort_by_key(|request| request.asked_us);
        requests
    }

    fn request(
        &self,
        member: Member,
        key: &RequestKey,
        open: &Open,
        then: &BTreeMap<Member, KnownState>,
    ) -> OpenRequest {
        let start_us = |(_, read): &&(String, ReadBox)| read.header.source == member;
        let own = self.cluster.boxes.iter().find(start_us);
        let asked_at_us = own.map_or(0, |(_, read)| read.header.clock_start_us) + open.at.0;
        let at_failure = self.progress(member, open, then);
        OpenRequest {
            request: format!("{:016x}", key.1),
            client: key.0.to_string(),
            operation: open.operation.name(),
            replica: self.cluster.name(member),
            asked_us: self.relative(asked_at_us),
            later: self.later(member, key, open, &at_failure),
            at_failure,
        }
    }

    fn progress(&self, member: Member, open: &Open, then: &BTreeMap<Member, KnownState>) -> Where {
        let state = &then[&member];
        let Some((index, term)) = open.place else {
            return match (open.held, open.operation == OperationKind::Put) {
                (true, _) => Where::Held,
                (false, false) => Where::Reading,
                (false, true) => Where::Asked,
            };
        };
        let entry = Registered { index, term };
        if state.has_committed(index) {
            return Where::Committed { entry };
        }
        if state.batched < index {
            return Where::Appended { entry };
        }
        let others = then.iter().filter(|(other, _)| **other != member);
        let holding = others.filter(|(_, state)| state.term_at(index) == Some(term));
        let holders = holding.map(|(other, _)| self.cluster.name(*other)).collect();
        Where::Replicating { entry, holders }
    }

    /// What became of a request, up to the end of the boxes.
    fn later(&self, member: Member, key: &RequestKey, open: &Open, at_failure: &Where) -> Later {
        if let Some(LaterAnswer { by, outcome, at_us }) = self.answers.get(key) {
            let (by, after_us) = (self.cluster.name(*by), self.relative(*at_us));
            return Later::Answered { by, outcome: outcome.name(), after_us };
        }
        if let Some((index, term)) = open.place {
            let committed = |(_, state): &(&Member, &KnownState)| state.has_committed(index);
            for (by, state) in self.states.iter().filter(committed) {
                match state.term_at(index) {
                    Some(found) if found == term => {
                        return Later::Committed { by: self.cluster.name(*by) };
                    }
                    Some(by_term) => return Later::Overwritten { by_term },
                    None => {}
                }
            }
        }
        let alone = !matches!(at_failure, Where::Replicating { .. });
        match member == self.failed {
            true if alone => Later::Lost,
            true => Later::Undecided,
            false => Later::Waiting,
        }
    }
}
