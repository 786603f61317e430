//! A replica's state as far as its records show it: a fold.

use std::collections::BTreeMap;

use crate::interface::Address;
use crate::interface::OperationKind;
use crate::raft::{Disposition, Event, Index, Kind, Member, Micros, RoleName, Term, Why};
use crate::record::{AnswerKind, Fact, Record, RequestId};

/// A term that is not known, because its record was overwritten in the ring.
const UNKNOWN: Term = 0;

/// A request as a replica knows it: client and name.
pub(super) type RequestKey = (Address, RequestId);

/// A request that the replica has not answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    /// When the replica received it, by the replica's clock.
    pub at: Micros,
    /// What it asks for.
    pub operation: OperationKind,
    /// Whether it is kept until a leader is known.
    pub held: bool,
    /// For a put in the log, index and term of its entry.
    pub place: Option<(Index, Term)>,
}

/// What the records show of a replica.
#[derive(Clone, Debug)]
pub(super) struct KnownState {
    /// The current term, if known.
    pub term: Option<Term>,
    /// The role, if known.
    pub role: Option<RoleName>,
    /// The commit index, if known.
    pub commit: Option<Index>,
    /// The leader that it follows, or the replica itself.
    pub leader: Option<Member>,
    /// Last entry that a batch of this leader has carried in this term.
    pub batched: Index,
    /// Requests without an answer yet.
    pub open: BTreeMap<RequestKey, Open>,
    /// The terms of its log's entries, by index.
    log: Vec<Term>,
}

impl KnownState {
    /// At the start of the replica's life or, if older records were overwritten, at a time of which
    /// nothing is known.
    pub fn new(from_the_start: bool) -> KnownState {
        let known = |value| from_the_start.then_some(value);
        KnownState {
            term: known(0),
            role: from_the_start.then_some(RoleName::Follower),
            commit: known(0),
            leader: None,
            batched: 0,
            open: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// Index and term of the last entry, if the log has one.
    pub fn last(&self) -> Option<(Index, Term)> {
        let index = self.log.len() as Index;
        self.log.last().map(|term| (index, *term)).filter(|(_, term)| *term != UNKNOWN)
    }

    /// The term of its entry at `index`.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        let place = usize::try_from(index.checked_sub(1)?).ok()?;
        self.log.get(place).copied().filter(|term| *term != UNKNOWN)
    }

    /// Whether the replica knows that the entry at `index` is committed.
    pub fn has_committed(&self, index: Index) -> bool {
        self.commit.is_some_and(|commit| commit >= index)
    }

    /// Takes in the replica's next record.
    pub fn take_in(&mut self, record: &Record) {
        match record.fact {
            Fact::State(event) => self.on_event(event, record.source),
            Fact::Asked { client, request, operation } => {
                let open = Open { at: record.at, operation, held: false, place: None };
                self.open.insert((client, request), open);
            }
            Fact::Held { client, request } => {
                if let Some(open) = self.open.get_mut(&(client, request)) {
                    open.held = true;
                }
            }
            Fact::Taken { client, request, index, term } => {
                if let Some(open) = self.open.get_mut(&(client, request)) {
                    (open.place, open.held) = (Some((index, term)), false);
                }
            }
            Fact::Answered { client, request, .. } => {
                self.open.remove(&(client, request));
            }
            Fact::Sent { kind: Kind::Append, why: Why::Own(_), term, .. } => {
                self.role = Some(RoleName::Leader);
                self.leader = Some(record.source);
                self.term = Some(term);
            }
            Fact::Received {
                kind: Kind::Append,
                term,
                disposition: Disposition::Accepted | Disposition::Rejected,
                ..
            } => {
                self.role = Some(RoleName::Follower);
                self.term = Some(term);
            }
            _ => {}
        }
    }

    fn on_event(&mut self, event: Event, me: Member) {
        match event {
            Event::TermStarted { term } => {
                (self.term, self.role) = (Some(term), Some(RoleName::Follower));
                self.leader = None;
            }
            Event::LeaderHeard { leader, term } => {
                (self.term, self.role) = (Some(term), Some(RoleName::Follower));
                self.leader = Some(leader);
            }
            Event::BecamePreCandidate { .. } => self.role = Some(RoleName::PreCandidate),
            Event::BecameCandidate { .. } => self.role = Some(RoleName::Candidate),
            Event::BecameLeader { term, .. } => {
                (self.term, self.role) = (Some(term), Some(RoleName::Leader));
                (self.leader, self.batched) = (Some(me), 0);
            }
            Event::SteppedDown { .. } => {
                (self.role, self.leader) = (Some(RoleName::Follower), None);
            }
            Event::Appended { first, last, term } => self.append(first, last, term),
            Event::Truncated { first, .. } => self.log.truncate(before(first)),
            Event::Committed { through } => self.commit = Some(through),
            Event::BatchSent { last, .. } => self.batched = last,
            _ => {}
        }
    }

    fn append(&mut self, first: Index, last: Index, term: Term) {
        self.log.truncate(before(first));
        self.log.resize(before(first), UNKNOWN);
        self.log.resize(last as usize, term);
    }
}

/// Number of entries before `first`.
fn before(first: Index) -> usize {
    first.saturating_sub(1) as usize
}

/// The answer that a request got after the failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaterAnswer {
    /// The replica that gave it.
    pub by: Member,
    /// The kind of answer.
    pub outcome: AnswerKind,
    /// When it was given, on the shared clock, in microseconds.
    pub at_us: u64,
}
