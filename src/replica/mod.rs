//! A replica: the consensus core, the store, and the clients that wait. Still pure: what comes in
//! is handed in with the time, what goes out is handed back, facts go to a sink.
//!
//! No request is forgotten (design §4): it is answered, or kept until a leader is known, or, past
//! the hold time, sent on. Which answer is owed when is the matter of rules R1 to R6.

mod arrival;
mod requests;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::interface::{Address, Outcome, Request, Text};
use crate::kv::{Command, Store};
use crate::raft::{
    Disposition, Event, Index, Input, Member, Message, Micros, Output, Raft, Status, Term, Ticket,
    To, Tuning, Why,
};
use crate::record::{AnswerKind, Fact, Record, RequestId, Sink, Work, request_id};
use crate::wire::{BadRequest, Datagram, Garbage, Membership, Payload, encoded_length};
use requests::{HeldRequests, Pending};

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
    /// A put on its way into the log.
    proposed: Option<Request>,
    next_ticket: Ticket,
    held: HeldRequests,
    /// As a leader, answers what commits above this index (rule R3).
    answer_above: Index,
    /// Term of the latest entry that has taken effect.
    applied_term: Term,
    scratch: Vec<Output>,
}

impl Replica {
    /// The replica `members.me()`, with nothing in its store. `tuning` must have been checked.
    pub fn new(members: Membership, tuning: Tuning, seed: u64, now: Micros) -> Replica {
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
            proposed: None,
            next_ticket: 0,
            held: HeldRequests::default(),
            answer_above: 0,
            applied_term: 0,
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
        let mut desk = Desk { now, me: self.members.me(), out, sink };
        match arrival {
            Arrival::Wake => {
                if now >= self.raft.deadline() {
                    self.drive(Input::Wake, &mut desk);
                }
                self.send_on_expired(&mut desk);
            }
            Arrival::Peer { from, number, message } => {
                self.on_peer(from, number, message, &mut desk);
            }
            Arrival::Request(request) => {
                let put = matches!(request.operation, crate::interface::Operation::Put { .. });
                let id = request_id(&request.mid);
                desk.record(Fact::Asked { client: request.client, request: id, put });
                self.on_request(request, &mut desk);
            }
            Arrival::BadRequest { request: BadRequest { client, mid, put }, reason, bytes } => {
                desk.record(Fact::Asked { client, request: request_id(&mid), put });
                self.refuse(client, mid, (reason, bytes), &mut desk);
            }
            Arrival::Garbage { reason, bytes } => desk.record_garbage(reason, bytes),
        }
        self.serve_held(&mut desk);
    }

    /// When to call `step` with `Wake`.
    pub fn deadline(&self) -> Micros {
        self.raft.deadline().min(self.held.expiry())
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
        desk: &mut Desk<'_, impl Sink>,
    ) {
        let (kind, why, term) = (message.kind(), message.why(), message.term());
        let first = self.drive(Input::Message { from, message }, desk);
        let disposition = first.unwrap_or(Disposition::Implausible);
        desk.record(Fact::Received { from, number, kind, why, term, disposition });
        if disposition == Disposition::Implausible {
            desk.record_garbage(Garbage::Contradiction, 0);
        }
    }

    /// Hands `input` to the core and does what it says. What came of a message is returned.
    fn drive(&mut self, input: Input, desk: &mut Desk<'_, impl Sink>) -> Option<Disposition> {
        let mut outputs = std::mem::take(&mut self.scratch);
        self.raft.step(desk.now, input, &mut outputs);
        let mut handled = None;
        let mut next = 0;
        while next < outputs.len() {
            let output = std::mem::replace(&mut outputs[next], Output::Commit { through: 0 });
            next += 1;
            if let Output::Event(Event::Handled(disposition)) = output {
                handled = Some(disposition);
            } else {
                self.obey(output, &mut outputs, desk);
            }
        }
        outputs.clear();
        self.scratch = outputs;
        handled
    }

    /// Does one thing that the core says; further steps of the core append to `outputs`.
    fn obey(&mut self, output: Output, outputs: &mut Vec<Output>, desk: &mut Desk<'_, impl Sink>) {
        match output {
            Output::Send { to, message, why } => self.send(to, message, why, desk),
            Output::Commit { through } => self.apply(through, outputs, desk),
            Output::Taken { index, .. } => self.on_taken(index),
            Output::ReadReady(ticket) => self.on_read_ready(ticket, desk),
            Output::Refused(ticket, _) => self.on_refused(ticket, desk),
            Output::Event(event) => self.on_event(event, desk),
        }
    }

    fn on_event(&mut self, event: Event, desk: &mut Desk<'_, impl Sink>) {
        desk.record(Fact::State(event));
        match event {
            Event::BecameLeader { heard_commit, .. } => self.answer_above = heard_commit,
            Event::SteppedDown { .. } => self.release_blocked_reads(desk),
            _ => {}
        }
    }

    /// Sends to replicas, numbered (design §5).
    fn send(&mut self, to: To, message: Message, why: Why, desk: &mut Desk<'_, impl Sink>) {
        self.number += to.receivers(desk.me, self.members.count()).len() as u64;
        let (first, entries) = match &message {
            Message::Append(append) => (append.previous.index + 1, append.entries.len()),
            Message::AppendReply(reply) => (reply.through, 0),
            Message::PreVote(request) => (request.last.index, 0),
            Message::Vote(request) => (request.last.index, 0),
            Message::PreVoteReply(_) | Message::VoteReply(_) => (0, 0),
        };
        let (kind, term) = (message.kind(), message.term());
        let destination = match to {
            To::Member(member) => self.members.address(member),
            To::Everyone => Address::EVERYONE,
        };
        let number = self.number;
        let datagram = self.datagram(destination, Payload::Peer { number, message });
        let bytes = encoded_length(&self.members, &datagram) as u32;
        let entries = entries as u32;
        desk.record(Fact::Sent { to, number, kind, why, term, first, entries, bytes });
        desk.out.push(datagram);
    }

    fn datagram(&self, destination: Address, payload: Payload) -> Datagram {
        Datagram {
            source: self.members.address(self.members.me()),
            destination,
            leader: self.members.leader_address(self.raft.leader()),
            payload,
        }
    }

    /// Applies what is committed, in order, and settles who waits for it.
    fn apply(&mut self, through: Index, outputs: &mut Vec<Output>, desk: &mut Desk<'_, impl Sink>) {
        while self.applied < through {
            self.applied += 1;
            let index = self.applied;
            let Some(entry) = self.raft.log().entry(index) else {
                return;
            };
            let (term, bytes) = (entry.term, entry.command.clone());
            let command = Command::decode(&bytes);
            let mid = command.as_ref().map_or("", Command::mid);
            desk.sink.begin(Work::Apply { index, term, mid });
            if let Some(command) = &command {
                self.store.apply(command);
                if self.writes.get(command.key()) == Some(&index) {
                    self.writes.remove(command.key());
                }
            }
            self.settle(index, term, command.as_ref(), desk);
            for request in self.blocked_reads.remove(&index).unwrap_or_default() {
                self.ask_core(request, outputs, desk.now);
            }
            desk.sink.end();
        }
    }

    /// An entry of `term` is committed at `index`: whoever is owed an answer gets it, in the step
    /// of the commit (rule R2).
    fn settle(
        &mut self,
        index: Index,
        term: Term,
        command: Option<&Command<'_>>,
        desk: &mut Desk<'_, impl Sink>,
    ) {
        if term > self.applied_term {
            self.applied_term = term;
            self.redirect_dead(index, term, desk);
        }
        let leads = self.raft.is_leader();
        let own_term = term == self.raft.term();
        let mut accepted_here = None;
        while let Some(found) = self.pending.range((index, 0)..=(index, Term::MAX)).next() {
            let place = *found.0;
            let Some(pending) = self.pending.remove(&place) else {
                return;
            };
            match place.1 == term {
                true => accepted_here = Some(pending),
                // Rule R1: an entry of another term is committed in its place.
                false => self.answer(pending.client, pending.mid, Outcome::Redirect, None, desk),
            }
        }
        if !leads {
            return;
        }
        let place = Some((index, term));
        match (accepted_here, command) {
            (Some(pending), _) if own_term => {
                self.answer(pending.client, pending.mid, Outcome::Ok(None), place, desk);
            }
            // Rule R3: what an earlier leader took in and nobody is known to have answered.
            (_, Some(command)) if !own_term && index > self.answer_above => {
                if let Some(client) = command.client() {
                    self.answer(client, command.mid().into(), Outcome::Ok(None), place, desk);
                }
            }
            _ => {}
        }
    }

    /// Rule R22: terms do not fall along a log, so no log that holds an entry of `term` at `index`
    /// holds one of a lower term from there on. Puts that stood there never take effect.
    fn redirect_dead(&mut self, index: Index, term: Term, desk: &mut Desk<'_, impl Sink>) {
        let beyond = self.pending.range((index, 0)..).map(|(place, _)| *place);
        let dead: Vec<(Index, Term)> = beyond.filter(|place| place.1 < term).collect();
        for place in dead {
            if let Some(Pending { client, mid }) = self.pending.remove(&place) {
                self.answer(client, mid, Outcome::Redirect, None, desk);
            }
        }
    }

    fn answer(
        &self,
        client: Address,
        mid: Text,
        outcome: Outcome,
        place: Option<(Index, Term)>,
        desk: &mut Desk<'_, impl Sink>,
    ) {
        let kind = AnswerKind::of(&outcome);
        let (index, term) = place.unwrap_or_default();
        desk.sink.begin(Work::Answer { index, term, mid: &mid, outcome: kind });
        let request = request_id(&mid);
        desk.record(Fact::Answered { client, request, outcome: kind, index, term });
        let mut datagram = self.datagram(client, Payload::Answer { mid, outcome });
        if kind == AnswerKind::Redirect {
            // A client must not be sent where nobody is, nor back to here.
            let leader = self.raft.live_leader(desk.now).filter(|leader| *leader != desk.me);
            datagram.leader = self.members.leader_address(leader);
        }
        desk.out.push(datagram);
        desk.sink.end();
    }
}

/// What a step works with.
struct Desk<'a, S: Sink> {
    now: Micros,
    me: Member,
    out: &'a mut Vec<Datagram>,
    sink: &'a mut S,
}

impl<S: Sink> Desk<'_, S> {
    /// Inlined, and the sinks with it: here it is known what fact it is.
    #[inline(always)]
    fn record(&mut self, fact: Fact) {
        self.sink.record(&Record { at: self.now, teller: self.me, fact });
    }

    fn record_garbage(&mut self, reason: Garbage, bytes: usize) {
        self.record(Fact::Garbage { reason, bytes: bytes.try_into().unwrap_or(u32::MAX) });
    }

    fn record_held(&mut self, client: Address, request: RequestId) {
        self.record(Fact::Held { client, request });
    }
}
