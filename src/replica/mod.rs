//! A replica: the consensus core, the store, and the clients that wait. It is pure: arrivals come
//! in with the time, datagrams are handed back, and facts go to a sink.
//!
//! No request is forgotten (design §4). It is answered, or kept until a leader is known, or sent on
//! after the hold time. Rules R1 to R6 say which answer a request gets. Rule R27 says how fast
//! answers may go out: work that leads to an answer waits while too many datagrams are unread.

mod arrival;
mod effects;
mod held;
mod pacer;
mod requests;

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;

use crate::control::Controller;
use crate::interface::{Address, Outcome, Request, Text};
use crate::kv::Store;
use crate::raft::{
    Disposition, Event, Handled, Index, Input, Member, Message, Micros, Output, Planted, Raft,
    Status, Term, Ticket, To, Tuning, Why,
};
use crate::record::{AnswerKind, Fact, Record, RequestId, Sink, Work, changed_knobs, request_id};
use crate::wire::{
    BadRequest, Datagram, Garbage, MeasuredDatagram, Membership, Payload, encoded_length,
};
use held::{HeldRequests, Pending};
use pacer::Pacer;

/// What comes to a replica.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// Its deadline has come.
    Wake,
    /// The system has looked into its socket at the simulator (rule R27), when all that it had sent
    /// was on its way.
    Unread {
        /// What the socket is charged for what lies unread in it, in bytes; `None`: the system
        /// cannot tell, now and later.
        bytes: Option<u64>,
    },
    /// Its knobs are to be these from now on. They must have been checked.
    Retune(Box<Tuning>),
    /// A datagram from another replica.
    Peer {
        /// The sending replica.
        from: Member,
        /// The sender's running count of messages.
        number: u64,
        /// The message.
        message: Message,
    },
    /// A client's request.
    Request(Request),
    /// A client's request that cannot be served. It is answered `fail`, so that no request goes
    /// unanswered.
    BadRequest {
        /// All that is known of it.
        request: BadRequest,
        /// What is wrong with it.
        reason: Garbage,
        /// Length of the datagram, in bytes.
        bytes: usize,
    },
    /// Bytes that are no datagram this replica can use.
    Garbage {
        /// Why they cannot be used.
        reason: Garbage,
        /// Length of the datagram, in bytes.
        bytes: usize,
    },
}

/// A replica of the store.
///
/// Nobody leads yet, so a request is kept until a leader is known, or sent on after the hold time:
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
    /// Messages sent to replicas so far, counted as the simulator counts them.
    number: u64,
    /// Puts in this replica's log whose outcome is not known, by index and term. One index can
    /// occur with several terms.
    pending: BTreeMap<(Index, Term), Pending>,
    /// Index of the latest accepted write of a key, while it is not applied.
    writes: FxHashMap<Text, Index>,
    /// Reads that wait for such a write, by the write's index.
    blocked_reads: BTreeMap<Index, Vec<Request>>,
    /// How many these are.
    blocked: usize,
    /// Reads for which the core was asked whether this replica still leads.
    reads: FxHashMap<Ticket, Request>,
    /// Reads whose leadership is proved, oldest first, each with the index that must be applied
    /// before.
    ready_reads: VecDeque<(Index, Request)>,
    /// Puts that never take effect and whose clients have not been told yet.
    dead: VecDeque<Pending>,
    /// Clients and MIDs of requests that are refused for load (rule R33) and not told yet.
    turned_away: VecDeque<(Address, Text)>,
    /// How many others were answered since one of them was told.
    served_since_refusal: u32,
    /// When to ask the leader what became of the puts that this replica had taken in and could not
    /// commit; [`Micros::NEVER`]: it has none.
    ask_at: Micros,
    /// A put that the core has been given and has not answered for yet.
    proposed: Option<Request>,
    next_ticket: Ticket,
    held: HeldRequests,
    /// As a leader, this replica answers what commits above this index (rule R3).
    answer_above: Index,
    /// Term of the latest entry that has taken effect.
    applied_term: Term,
    /// The end of what this replica committed as a leader. Of this, only what is applied has been
    /// answered.
    committed_as_leader: Index,
    pacer: Pacer,
    /// Sets the knobs, if the profile says so.
    controller: Option<Controller>,
    scratch: Vec<Output>,
}

impl Replica {
    /// The replica `members.me()`, with nothing in its store. `tuning` must have been checked.
    pub fn new(members: Membership, tuning: Tuning, seed: u64, now: Micros) -> Replica {
        let pacer = Pacer::new(&tuning, now);
        let controller = Controller::new(&tuning, members.count(), now);
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
            blocked: 0,
            reads: FxHashMap::default(),
            ready_reads: VecDeque::new(),
            dead: VecDeque::new(),
            turned_away: VecDeque::new(),
            served_since_refusal: 0,
            ask_at: Micros::NEVER,
            proposed: None,
            next_ticket: 0,
            held: HeldRequests::default(),
            answer_above: 0,
            applied_term: 0,
            committed_as_leader: 0,
            pacer,
            controller,
            scratch: Vec::new(),
        }
    }

    /// Plants a bug.
    #[cfg(feature = "planted")]
    pub const fn plant(&mut self, bug: Planted) {
        self.raft.plant(bug);
    }

    /// The first datagram of a replica's life (interface §2).
    pub fn hello(&self) -> MeasuredDatagram {
        let datagram = Datagram {
            source: self.members.address(self.members.me()),
            destination: Address::EVERYONE,
            leader: Address::UNKNOWN,
            payload: Payload::Hello,
        };
        let bytes = encoded_length(&self.members, &datagram);
        MeasuredDatagram { datagram, bytes }
    }

    /// Handles what arrived at `now`. Datagrams to send are appended to `out` in order.
    pub fn step(
        &mut self,
        now: Micros,
        arrival: Arrival,
        out: &mut Vec<MeasuredDatagram>,
        sink: &mut impl Sink,
    ) {
        let mut context = StepContext { now, me: self.members.me(), has_begun: false, out, sink };
        match arrival {
            Arrival::Wake => {
                if now >= self.raft.deadline() {
                    self.drive(Input::Wake, &mut context);
                }
                self.send_on_expired(&mut context);
                self.ask_for_pending(&mut context);
            }
            Arrival::Unread { bytes } => self.pacer.on_look(now, bytes),
            Arrival::Retune(tuning) => {
                let changed = changed_knobs(self.raft.tuning(), &tuning).len();
                context.begin(Fact::Retuned { knobs: changed.try_into().unwrap_or(u8::MAX) });
                self.pacer.retune(&tuning);
                self.drive(Input::Retune(*tuning), &mut context);
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
        self.control(&mut context);
        self.plan_to_ask(now);
    }

    /// Lets the controller turn knobs.
    fn control(&mut self, context: &mut StepContext<'_, impl Sink>) {
        let Some(controller) = self.controller.as_mut().filter(|one| one.is_due(context.now))
        else {
            return;
        };
        if let Some((tuning, decisions)) = controller.decide(context.now, &self.raft) {
            decisions.into_iter().for_each(|decision| context.record(Fact::Decided(decision)));
            self.pacer.retune(&tuning);
            self.drive(Input::Retune(tuning), context);
        }
    }

    /// When to call `step` with `Wake`.
    pub fn deadline(&self) -> Micros {
        let free_at = self.pacer.free_at();
        let paced = if self.waits_for_pacer() { free_at } else { Micros::NEVER };
        self.raft.deadline().min(self.held.expiry().max(free_at)).min(paced).min(self.ask_at)
    }

    /// Whether an answer may go out at `now`, as far as this replica can tell (rule R27).
    pub fn may_answer(&self, now: Micros) -> bool {
        self.pacer.allows(now)
    }

    /// Whether something here goes on as soon as an answer may go out, which is not so at `now`.
    pub fn waits_for_room(&self, now: Micros) -> bool {
        self.waits_for_pacer() && !self.may_answer(now)
    }

    /// Index of the last entry that has taken effect in the store.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The core, for tests, invariants and status pages.
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The state of the core.
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
        let disposition = match self.raft.step(context.now, input, &mut outputs) {
            Some(Handled::Message(disposition)) => disposition,
            _ => Disposition::Implausible,
        };
        let received = Fact::Received { from, number, kind, why, term, disposition };
        context.begin(received);
        self.observe(received, context);
        self.perform_all(&mut outputs, context);
        self.scratch = outputs;
        if matches!(disposition, Disposition::Accepted | Disposition::Duplicate) {
            self.follow_commit(told, context);
        }
    }

    /// Hands `input`, which is no message, to the core and does what the core's outputs say.
    fn drive(&mut self, input: Input, context: &mut StepContext<'_, impl Sink>) -> Option<Handled> {
        let mut outputs = std::mem::take(&mut self.scratch);
        let handled = self.raft.step(context.now, input, &mut outputs);
        self.perform_all(&mut outputs, context);
        self.scratch = outputs;
        handled
    }

    /// Does all of `outputs`, also those that are appended meanwhile, and leaves the list empty.
    fn perform_all(&mut self, outputs: &mut Vec<Output>, context: &mut StepContext<'_, impl Sink>) {
        let mut next = 0;
        while next < outputs.len() {
            let output = std::mem::replace(&mut outputs[next], Output::Commit { through: 0 });
            next += 1;
            self.perform(output, outputs, context);
        }
        outputs.clear();
    }

    /// Does one output of the core. Further steps of the core append to `outputs`.
    fn perform(
        &mut self,
        output: Output,
        outputs: &mut Vec<Output>,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        match output {
            Output::Send { to, message, why } => self.send(to, message, why, context),
            Output::Commit { through } => self.on_commit(through, outputs, context),
            Output::ReadReady(ticket) => self.on_read_ready(ticket, outputs, context),
            Output::Refused(ticket, _) => self.on_refused(ticket, context),
            Output::Event(event) => self.on_event(event, context),
        }
    }

    fn on_event(&mut self, event: Event, context: &mut StepContext<'_, impl Sink>) {
        context.record(Fact::State(event));
        self.observe(Fact::State(event), context);
        match event {
            // Rule R3. What this replica committed itself is answered only as far as it is applied.
            Event::BecameLeader { heard_commit, .. } => {
                self.answer_above = self.answered_through(heard_commit);
            }
            Event::Truncated { first, .. } if self.raft.has(Planted::RedirectWhenTruncated) => {
                self.give_up_from(first);
            }
            Event::SteppedDown { .. } => {
                if self.raft.has(Planted::RedirectAtStepDown) {
                    self.give_up_from(0);
                }
                self.pacer.on_stepped_down(context.now);
                self.release_reads(context);
            }
            _ => {}
        }
    }

    /// Shows the controller a fact that it learns from.
    fn observe(&mut self, fact: Fact, context: &StepContext<'_, impl Sink>) {
        if let Some(controller) = &mut self.controller {
            controller.observe(&Record { at: context.now, source: context.me, fact });
        }
    }

    /// Up to where puts are known to be answered, by one that has heard of the commit index
    /// `heard`. What this replica committed itself is answered only as far as it is applied (rule
    /// R27).
    fn answered_through(&self, heard: Index) -> Index {
        if heard > self.committed_as_leader { heard } else { self.applied }
    }

    /// Sends a message to replicas, with its number (design §5).
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
        if let Message::VoteReply(reply) = &mut message {
            // Rule R3: the next leader answers what this one had committed and not answered.
            reply.heard_commit = self.answered_through(reply.heard_commit);
            if self.raft.has(Planted::HeardTooMuch) {
                reply.heard_commit = self.raft.log().last_index();
            }
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
        let sent = Fact::Sent { to, number, kind, why, term, first, entries, bytes };
        context.record(sent);
        self.observe(sent, context);
        context.out.push(MeasuredDatagram { datagram, bytes: length });
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
            // A client must not be sent to a silent leader, nor back to this replica.
            let leader = self.raft.live_leader(context.now).filter(|leader| *leader != context.me);
            datagram.leader = self.members.leader_address(leader);
        }
        let bytes = encoded_length(&self.members, &datagram);
        self.pacer.on_answer(context.now, bytes);
        context.out.push(MeasuredDatagram { datagram, bytes });
        context.sink.end();
    }
}

/// What one step works with.
struct StepContext<'a, S: Sink> {
    now: Micros,
    me: Member,
    /// Whether the fact that begins the step has been recorded.
    has_begun: bool,
    out: &'a mut Vec<MeasuredDatagram>,
    sink: &'a mut S,
}

impl<S: Sink> StepContext<'_, S> {
    /// Records `fact`, with which the step begins.
    #[inline(always)]
    fn begin(&mut self, fact: Fact) {
        self.has_begun = true;
        self.sink.record(&Record { at: self.now, source: self.me, fact });
    }

    /// Inlined, and the sinks with it, because the caller knows which fact it is.
    #[inline(always)]
    fn record(&mut self, fact: Fact) {
        if !self.has_begun {
            // Nothing arrived: the replica was woken by its deadline.
            self.begin(Fact::Woken);
        }
        self.sink.record(&Record { at: self.now, source: self.me, fact });
    }

    fn record_held(&mut self, client: Address, request: RequestId) {
        self.record(Fact::Held { client, request });
    }
}
