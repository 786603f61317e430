//! What the boxes of a cluster tell of its last failure: a fold over their records, merged on the
//! clock that the machine's processes share. (Boxes of several machines would first need their
//! clocks compared.)

use std::collections::BTreeMap;

use serde::Serialize;

use super::black_box::ReadBox;
use super::flights::Flights;
use super::known_state::{KnownState, LaterAnswer, Open, RequestKey};
use crate::interface::OperationKind;
use crate::raft::{Event, Index, Member, RoleName, Term};
use crate::record::{Fact, Record, SIMULATOR};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The replica that failed.
    pub replica: String,
    /// When, in microseconds since the run began.
    pub at_us: u64,
    /// Whose word it is that it failed: `killed` and `ended` are the simulator's, `silent` means
    /// that nobody tells and this box ends first.
    pub kind: &'static str,
    /// How long before that its last record was made.
    pub silent_for_us: u64,
}

/// Who led.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leader {
    /// Who.
    pub replica: String,
    /// In which term.
    pub term: Term,
    /// Since when, relative to the failure; `None`: since before its box begins.
    pub since_us: Option<i64>,
}

/// An entry's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Registered {
    /// Its index.
    pub index: Index,
    /// Its term.
    pub term: Term,
}

/// A replica at the moment of the failure. `None` is what its box no longer knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplicaState {
    /// Which.
    pub replica: String,
    /// Its role.
    pub role: Option<&'static str>,
    /// Its term.
    pub term: Option<Term>,
    /// The end of its log.
    pub last: Option<Registered>,
    /// Its commit index.
    pub commit: Option<Index>,
    /// Number of its last message by then.
    pub last_sent: Option<u64>,
    /// When the last record of all in its box was made, relative to the failure.
    pub box_ends_us: i64,
    /// How many records its box holds.
    pub records: usize,
    /// Whether the process ended while it wrote one more.
    pub torn: bool,
}

/// A message that had been sent and not taken in when the failure happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// Sender.
    pub from: String,
    /// Receiver.
    pub to: String,
    /// The sender's count.
    pub n: u64,
    /// What it was.
    pub kind: &'static str,
    /// What for.
    pub why: String,
    /// When it was sent, relative to the failure.
    pub sent_us: i64,
    /// What became of it.
    pub fate: &'static str,
}

/// How far a request had come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Where {
    /// Kept until a leader is known.
    Held,
    /// A get that waited for the write before it, or for word that its replica still leads.
    Reading,
    /// Taken in, and then nothing that the box tells.
    Asked,
    /// In the log, and in no batch yet.
    Appended {
        /// Where in the log.
        entry: Registered,
    },
    /// On its way to a quorum.
    Replicating {
        /// Where in the log.
        entry: Registered,
        /// The others that held it.
        holders: Vec<String>,
    },
    /// Committed, and the answer not written.
    Committed {
        /// Where in the log.
        entry: Registered,
    },
}

/// What became of a request after the failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fate")]
pub enum Later {
    /// It was answered.
    Answered {
        /// By whom.
        by: String,
        /// How.
        outcome: &'static str,
        /// When, relative to the failure.
        after_us: i64,
    },
    /// It took effect, and no answer is known of.
    Committed {
        /// Who knows it to be committed.
        by: String,
    },
    /// Another entry was committed in its place.
    Overwritten {
        /// The term of that entry.
        by_term: Term,
    },
    /// It was lost with the replica that had it.
    Lost,
    /// Others held it, and the boxes end before its fate.
    Undecided,
    /// The replica that had it lived on, and the boxes end before its answer.
    Waiting,
}

/// A request that had been asked and not answered when the failure happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenRequest {
    /// Its name in the records.
    pub request: String,
    /// Whose.
    pub client: String,
    /// `put` or `get`.
    pub operation: &'static str,
    /// Which replica had it.
    pub replica: String,
    /// When it came in, relative to the failure.
    pub asked_us: i64,
    /// How far it had come.
    #[serde(flatten)]
    pub at_failure: Where,
    /// What became of it.
    pub later: Later,
}

/// A cluster at its last failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Postmortem {
    /// What happened.
    pub failure: Failure,
    /// Who believed to lead, the highest term first.
    pub leaders: Vec<Leader>,
    /// The replicas whose boxes could be read.
    pub replicas: Vec<ReplicaState>,
    /// Messages in flight.
    pub in_flight: Vec<InFlight>,
    /// Requests in flight.
    pub requests: Vec<OpenRequest>,
    /// Who led first after that in a new term.
    pub next_leader: Option<Leader>,
}

/// Looks at `boxes`, each with its replica's ID, and at the simulator's records, with its clock's
/// start, if there are any. `None`: the boxes hold no records.
pub fn examine(
    boxes: &[(String, ReadBox)],
    simulator: Option<(u64, &[Record])>,
) -> Option<Postmortem> {
    let cluster = Cluster { boxes, simulator };
    let (member, at_us, kind) = cluster.last_failure()?;
    let mut context = FailureContext::new(cluster, member, at_us);
    let mut merged = cluster.merged();
    // A replica's own records are all of its life, however late it ended.
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

/// All that is to be looked at.
#[derive(Clone, Copy)]
struct Cluster<'a> {
    boxes: &'a [(String, ReadBox)],
    simulator: Option<(u64, &'a [Record])>,
}

impl Cluster<'_> {
    /// The ID of `member`, by its box's name.
    fn name(&self, member: Member) -> String {
        let own = self.boxes.iter().find(|(_, read)| read.header.source == member);
        own.map_or_else(|| format!("rank {}", member.0), |(id, _)| id.clone())
    }

    /// When `member`'s last record was made.
    fn end_us(&self, member: Member) -> Option<u64> {
        let (_, read) = self.boxes.iter().find(|(_, read)| read.header.source == member)?;
        Some(read.header.clock_start_us + read.records.last()?.at.0)
    }

    /// Who failed, when on the shared clock, and whose word that is.
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

    /// When the run began: with the simulator's clock, else with the first replica's.
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

/// The cluster as the records unfold it.
struct FailureContext<'a> {
    cluster: Cluster<'a>,
    failed: Member,
    failed_at_us: u64,
    /// By rank; of those whose boxes were read.
    states: BTreeMap<Member, KnownState>,
    /// When a replica became leader of which term, and its last message's number.
    elected: BTreeMap<Member, (u64, Term)>,
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

    /// Relative to the failure.
    fn relative(&self, at_us: u64) -> i64 {
        at_us as i64 - self.failed_at_us as i64
    }

    /// The cluster as it is now, which is at the failure.
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

    /// Whether its box goes on past the failure: else it had failed before.
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

    /// Notes what a record made after the failure says of what happened before.
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

    /// The requests that were open `then`, in the order of their coming.
    fn requests(&self, then: &BTreeMap<Member, KnownState>) -> Vec<OpenRequest> {
        let mut requests = Vec::new();
        for (member, state) in then {
            // What another replica took with it when it failed belongs to that failure.
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

    /// What became of it, by the end of the boxes.
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
