//! A replica: the consensus core, the store, and the clients that wait. Still pure: what comes in
//! is handed in with the time, what goes out is handed back, facts go to a sink.
//!
//! No request is forgotten (design §4): it is answered, or kept until a leader is known, or, past
//! the hold time, sent on. Which answer is owed when is the matter of rules R1 to R6; how fast
//! answers may go out is that of rule R27: what makes an answer waits while too many are unread.

mod arrival;
mod effects;
mod held;
mod pacer;
mod requests;

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;

use crate::interface::{Address, Outcome, Request, Text};
use crate::kv::Store;
use crate::raft::{
    Disposition, Event, Index, Input, Member, Message, Micros, Output, Raft, Status, Term, Ticket,
    To, Tuning, Why,
};
use crate::record::{AnswerKind, Fact, Record, RequestId, Sink, Work, request_id};
use crate::wire::{BadRequest, Datagram, Garbage, Membership, Payload, encoded_length};
use held::{HeldRequests, Pending};
use pacer::Pacer;

/// What comes to a replica.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// Its deadline.
    Wake,
    /// A datagram from another replica.
    Peer {
        /// Who sent it.
        from: Member,
        /// The sender's count.
        number: u64,
        /// What it says.
        message: Message,
    },
    /// A client's request.
    Request(Request),
    /// A client's request that cannot be served: `fail` says so, so that none goes unanswered.
    BadRequest {
        /// All that is known of it.
        request: BadRequest,
        /// What is wrong with it.
        reason: Garbage,
        /// How many bytes it has.
        bytes: usize,
    },
    /// Bytes that are no datagram for it.
    Garbage {
        /// Why.
        reason: Garbage,
        /// How many.
        bytes: usize,
    },
}

/// A replica of the store.
///
/// Nobody leads yet, so a request is kept until a leader is known, or sent on in the end:
///
/// ```
/// use laconic::interface::{Address, Operation, Outcome, Request};
/// use laconic::raft::Micros;
/// use laconic::replica::{Arrival, Replica};
/// use laconic::wire::{Membership, Payload};
///
/// let members = Membership::new(Address(0), &[Address(1), Address(2)])?;
/// let tuning = laconic::tuning_file::load("course")?.tuning;
/// let mut replica = Replica::new(members, tuning, 7, Micros(0));
/// let operation = Operation::Get { key: "k".into() };
/// let (client, leader) = (Address(0x10), Address::UNKNOWN);
/// let request = Request { client, leader, mid: "m".into(), operation };
/// let (mut sent, mut records) = (Vec::new(), Vec::new());
/// replica.step(Micros(0), Arrival::Request(request), &mut sent, &mut records);
/// assert!(sent.is_empty());
/// while sent.is_empty() {
///     replica.step(replica.deadline(), Arrival::Wake, &mut sent, &mut records);
/// }
/// assert!(matches!(&sent[0].payload, Payload::Answer { outcome: Outcome::Redirect, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Replica {
    members: Membership,
    raft: Raft,
    store: Store,
    applied: Index,
    /// Messages sent to replicas so far, as the simulator counts them.
    number: u64,
    /// Puts in the own log whose fate is not known, by place; a place can be taken twice, in
    /// different terms.
    pending: BTreeMap<(Index, Term), Pending>,
    /// Where the latest accepted write of a key stands, while it is not applied.
    writes: FxHashMap<Text, Index>,
    /// Reads that wait behind such a write.
    blocked_reads: BTreeMap<Index, Vec<Request>>,
    /// Reads that the core has been asked about.
    reads: FxHashMap<Ticket, Request>,
    /// Reads that are proved, oldest first, each with the index that must be applied before.
    ready_reads: VecDeque<(Index, Request)>,
    /// Puts that never take effect, and whose clients have not been told.
    dead: VecDeque<Pending>,
    /// A put on its way into the log.
    proposed: Option<Request>,
    next_ticket: Ticket,
    held: HeldRequests,
    /// As a leader, answers what commits above this index (rule R3).
    answer_above: Index,
    /// Term of the latest entry that has taken effect.
    applied_term: Term,
    /// What was committed by this replica as a leader ends here: answered only as far as applied.
    committed_as_leader: Index,
    pacer: Pacer,
    scratch: Vec<Output>,
}

impl Replica {
    /// The replica `members.me()`, with nothing in its store. `tuning` must have been checked.
    pub fn new(members: Membership, tuning: Tuning, seed: u64, now: Micros) -> Replica {
        let pacer = Pacer::new(&tuning, now);
        let raft = Raft::new(members.me(), members.count(), tuning, seed, now);
        Replica {
            members,
            raft,
            store: Store::default(),
            applied: 0,
            number: 0,
            pending: BTreeMap::new(),
            writes: FxHashMap::default(),
            blocked_reads: BTreeMap::new(),
            reads: FxHashMap::default(),
            ready_reads: VecDeque::new(),
            dead: VecDeque::new(),
            proposed: None,
            next_ticket: 0,
            held: HeldRequests::default(),
            answer_above: 0,
            applied_term: 0,
            committed_as_leader: 0,
            pacer,
            scratch: Vec::new(),
        }
    }

    /// The first datagram of a replica's life (interface §2).
    pub fn hello(&self) -> Datagram {
        Datagram {
            source: self.members.address(self.members.me()),
            destination: Address::EVERYONE,
            leader: Address::UNKNOWN,
            payload: Payload::Hello,
        }
    }

    /// Handles what arrived at `now`; datagrams to send are appended to `out` in order.
    pub fn step(
        &mut self,
        now: Micros,
        arrival: Arrival,
        out: &mut Vec<Datagram>,
        sink: &mut impl Sink,
    ) {
        let mut context = StepContext { now, me: self.members.me(), has_begun: false, out, sink };
        match arrival {
            Arrival::Wake => {
                if now >= self.raft.deadline() {
                    self.drive(Input::Wake, &mut context);
                }
                self.send_on_expired(&mut context);
            }
            Arrival::Peer { from, number, message } => {
                self.on_peer(from, number, message, &mut context);
            }
            Arrival::Request(request) => {
                let (client, operation) = (request.client, request.operation.kind());
                let id = request_id(&request.mid);
                context.begin(Fact::Asked { client, request: id, operation });
                self.on_request(request, &mut context);
            }
            Arrival::BadRequest {
                request: BadRequest { client, mid, operation },
                reason,
                bytes,
            } => {
                context.begin(Fact::Asked { client, request: request_id(&mid), operation });
                self.refuse(client, mid, (reason, bytes), &mut context);
            }
            Arrival::Garbage { reason, bytes } => {
                context
                    .begin(Fact::Garbage { reason, bytes: bytes.try_into().unwrap_or(u32::MAX) });
            }
        }
        self.catch_up(&mut context);
        self.serve_held(&mut context);
    }

    /// When to call `step` with `Wake`.
    pub fn deadline(&self) -> Micros {
        let free_at = self.pacer.free_at();
        let paced = if self.waits_for_pacer() { free_at } else { Micros::NEVER };
        self.raft.deadline().min(self.held.expiry().max(free_at)).min(paced)
    }

    /// Entries up to here have taken effect in the store.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The core, for tests, invariants and status.
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// A look at the core.
    pub fn status(&self) -> Status {
        self.raft.status()
    }

    /// The cluster.
    pub fn members(&self) -> &Membership {
        &self.members
    }

    fn on_peer(
        &mut self,
        from: Member,
        number: u64,
        message: Message,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        let (kind, why, term) = (message.kind(), message.why(), message.term());
        let mut outputs = std::mem::take(&mut self.scratch);
        let mut told = 0;
        match &message {
            Message::Append(append) => told = append.commit.min(append.through()),
            Message::AppendReply(reply) => {
                self.pacer.on_append_reply(context.now, reply.term, reply.round);
            }
            _ => {}
        }
        let input = Input::Message { from, message };
        let disposition = self.raft.step(context.now, input, &mut outputs);
        let disposition = disposition.unwrap_or(Disposition::Implausible);
        context.begin(Fact::Received { from, number, kind, why, term, disposition });
        self.perform_all(&mut outputs, context);
        self.scratch = outputs;
        if matches!(disposition, Disposition::Accepted | Disposition::Duplicate) {
            self.follow_commit(told, context);
        }
    }

    /// Hands `input`, which is no message, to the core and does what it says.
    fn drive(&mut self, input: Input, context: &mut StepContext<'_, impl Sink>) {
        let mut outputs = std::mem::take(&mut self.scratch);
        self.raft.step(context.now, input, &mut outputs);
        self.perform_all(&mut outputs, context);
        self.scratch = outputs;
    }

    /// Does all of `outputs`, and what is appended to them meanwhile; they are empty then.
    fn perform_all(&mut self, outputs: &mut Vec<Output>, context: &mut StepContext<'_, impl Sink>) {
        let mut next = 0;
        while next < outputs.len() {
            let output = std::mem::replace(&mut outputs[next], Output::Commit { through: 0 });
            next += 1;
            self.perform(output, outputs, context);
        }
        outputs.clear();
    }

    /// Does one thing that the core says; further steps of the core append to `outputs`.
    fn perform(
        &mut self,
        output: Output,
        outputs: &mut Vec<Output>,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        match output {
            Output::Send { to, message, why } => self.send(to, message, why, context),
            Output::Commit { through } => self.on_commit(through, outputs, context),
            Output::Taken { index, .. } => self.on_taken(index, context),
            Output::ReadReady(ticket) => self.on_read_ready(ticket, outputs, context),
            Output::Refused(ticket, _) => self.on_refused(ticket, context),
            Output::Event(event) => self.on_event(event, context),
        }
    }

    fn on_event(&mut self, event: Event, context: &mut StepContext<'_, impl Sink>) {
        context.record(Fact::State(event));
        match event {
            // Rule R3. What this replica committed itself it has answered as far as applied.
            Event::BecameLeader { heard_commit, .. } => {
                let heard = heard_commit > self.committed_as_leader;
                self.answer_above = if heard { heard_commit } else { self.applied };
            }
            Event::SteppedDown { .. } => {
                self.pacer.on_stepped_down();
                self.release_reads(context);
            }
            _ => {}
        }
    }

    /// Sends to replicas, numbered (design §5).
    fn send(
        &mut self,
        to: To,
        mut message: Message,
        why: Why,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        let mut own_round = None;
        if let Message::Append(append) = &mut message
            && append.leader == context.me
        {
            // Rule R2: no commit index goes out before the puts up to it are answered (R27).
            append.commit = append.commit.min(self.applied);
            own_round = Some((append.term, append.round)).filter(|_| append.wants_answer);
        }
        self.number += to.receivers(context.me, self.members.count()).len() as u64;
        let (first, entries) = message.first_and_entries();
        let (kind, term) = (message.kind(), message.term());
        let destination = match to {
            To::Member(member) => self.members.address(member),
            To::Everyone => Address::EVERYONE,
        };
        let number = self.number;
        let datagram = self.datagram(destination, Payload::Peer { number, message });
        let length = encoded_length(&self.members, &datagram);
        let (bytes, entries) = (length as u32, entries as u32);
        context.record(Fact::Sent { to, number, kind, why, term, first, entries, bytes });
        context.out.push(datagram);
        self.pacer.on_sent(context.now, length);
        if let Some((term, round)) = own_round {
            self.pacer.on_append(context.now, term, round);
        }
    }

    fn datagram(&self, destination: Address, payload: Payload) -> Datagram {
        Datagram {
            source: self.members.address(self.members.me()),
            destination,
            leader: self.members.leader_address(self.raft.leader()),
            payload,
        }
    }

    fn answer(
        &mut self,
        client: Address,
        mid: Text,
        outcome: Outcome,
        place: Option<(Index, Term)>,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        let kind = AnswerKind::of(&outcome);
        let (index, term) = place.unwrap_or_default();
        let request = request_id(&mid);
        context.record(Fact::Answered { client, request, outcome: kind, index, term });
        context.sink.begin(Work::Answer { index, term, mid: &mid, outcome: kind });
        let mut datagram = self.datagram(client, Payload::Answer { mid, outcome });
        if kind == AnswerKind::Redirect {
            // A client must not be sent where nobody is, nor back to here.
            let leader = self.raft.live_leader(context.now).filter(|leader| *leader != context.me);
            datagram.leader = self.members.leader_address(leader);
        }
        self.pacer.on_answer(context.now, encoded_length(&self.members, &datagram));
        context.out.push(datagram);
        context.sink.end();
    }
}

/// What a step works with.
struct StepContext<'a, S: Sink> {
    now: Micros,
    me: Member,
    /// Whether the fact that begins the step has been told.
    has_begun: bool,
    out: &'a mut Vec<Datagram>,
    sink: &'a mut S,
}

impl<S: Sink> StepContext<'_, S> {
    /// The step begins with `fact`.
    #[inline(always)]
    fn begin(&mut self, fact: Fact) {
        self.has_begun = true;
        self.sink.record(&Record { at: self.now, source: self.me, fact });
    }

    /// Inlined, and the sinks with it: here it is known what fact it is.
    #[inline(always)]
    fn record(&mut self, fact: Fact) {
        if !self.has_begun {
            // Nothing came in: the replica's time had come.
            self.begin(Fact::Woken);
        }
        self.sink.record(&Record { at: self.now, source: self.me, fact });
    }

    fn record_held(&mut self, client: Address, request: RequestId) {
        self.record(Fact::Held { client, request });
    }
}
