//! What becomes of a client's request before it is answered (design §4, rules R5 and R6).

use super::held::{Held, Pending};
use super::{Replica, StepContext};
use crate::interface::{Address, Operation, Outcome, Request, Text};
use crate::kv::Command;
use crate::raft::{Handled, Index, Input, Member, Micros, Output, Planted, Ticket};
use crate::record::{Fact, Sink, request_id};
use crate::wire::{Garbage, MOST_DATAGRAM_BYTES, Payload, encoded_length};

/// Longest command that fits into an append with its framing.
const MOST_COMMAND_BYTES: usize = 64_000;
/// Most refusals that wait for room: as many small datagrams as the simulator's socket holds.
const MOST_TURNED_AWAY: usize = 256;

impl Replica {
    pub(super) fn on_request(
        &mut self,
        request: Request,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        if self.waiting_requests() >= self.raft.tuning().waiting_most_requests as usize {
            return self.turn_away(request, context);
        }
        let heard = self.raft.times_heard();
        if let Some(request) = self.try_serve(request, heard, context) {
            self.hold(request, context);
        }
    }

    /// How many requests wait here for their answers, in any state.
    fn waiting_requests(&self) -> usize {
        let puts = self.pending.len() + self.dead.len();
        let reads = self.blocked + self.reads.len() + self.ready_reads.len();
        puts + reads + self.held.queue.len()
    }

    /// Refuses a request that is in no log yet, because too many wait (rule R33). If no answer may
    /// go out now (rule R27), the refusal waits for room. If too many wait, the oldest gives way,
    /// and its request counts as lost on its way: who hears, hears soon.
    fn turn_away(&mut self, request: Request, context: &mut StepContext<'_, impl Sink>) {
        let Request { client, mid, .. } = request;
        if self.turned_away.is_empty() && self.pacer.allows(context.now) {
            self.refuse(client, mid, (Garbage::Overload, 0), context);
            return;
        }
        self.turned_away.push_back((client, mid));
        if self.turned_away.len() > MOST_TURNED_AWAY {
            self.turned_away.pop_front();
            context.record(Fact::Garbage { reason: Garbage::Overload, bytes: 0 });
        }
    }

    /// Refuses the oldest request that is to be turned away; `false`: there is none.
    pub(super) fn tell_one_turned_away(
        &mut self,
        context: &mut StepContext<'_, impl Sink>,
    ) -> bool {
        let Some((client, mid)) = self.turned_away.pop_front() else {
            return false;
        };
        self.served_since_refusal = 0;
        self.refuse(client, mid, (Garbage::Overload, 0), context);
        true
    }

    fn hold(&mut self, request: Request, context: &mut StepContext<'_, impl Sink>) {
        context.record_held(request.client, request_id(&request.mid));
        self.held.hold_time = Micros(self.raft.tuning().hold_time_us);
        let heard = self.raft.times_heard();
        self.held.queue.push_back(Held { since: context.now, heard, request });
        self.drive(Input::LeaderWanted, context);
    }

    /// Serves or redirects the request, or gives it back if it must be kept. `heard_then` is how
    /// many appends had been heard when it came.
    fn try_serve(
        &mut self,
        request: Request,
        heard_then: u64,
        context: &mut StepContext<'_, impl Sink>,
    ) -> Option<Request> {
        if self.raft.is_leader() {
            return match &request.operation {
                Operation::Get { key } => {
                    let key = key.clone();
                    self.read(&key, request, context);
                    None
                }
                // Rule R6: a leader that is out of touch with its quorum takes in no put.
                Operation::Put { .. } if !self.raft.accepts_proposals(context.now) => Some(request),
                Operation::Put { key, value } => {
                    let (key, value) = (key.clone(), value.clone());
                    self.propose(request, &key, &value, context);
                    None
                }
            };
        }
        match self.raft.live_leader(context.now) {
            Some(leader) if !self.has_come_back(&request, heard_then, leader, context.now) => {
                if !self.pacer.allows(context.now) {
                    self.held.known = None;
                    return Some(request);
                }
                self.redirect(request, context);
                None
            }
            _ => Some(request),
        }
    }

    /// Whether `leader` sent the request back, as far as can be told. Then that leader is dead or
    /// cut off, and the request is held until it is heard again (rule R5). The sign is that the
    /// request names that leader, so it was there, or that it repeats a redirected request.
    fn has_come_back(
        &self,
        request: &Request,
        heard_then: u64,
        leader: Member,
        now: Micros,
    ) -> bool {
        let heard = self.raft.times_heard();
        let was_there = request.leader == self.members.address(leader) && heard_then == heard;
        was_there || self.held.redirected.comes_back(heard, now, request)
    }

    fn redirect(&mut self, request: Request, context: &mut StepContext<'_, impl Sink>) {
        let Request { client, mid, operation, .. } = request;
        self.held.redirected.note(self.raft.times_heard(), context.now, client, operation);
        self.answer(client, mid, Outcome::Redirect, None, context);
    }

    /// A read waits for the writes of its key that this leader has accepted, then asks the core.
    fn read(&mut self, key: &str, request: Request, context: &mut StepContext<'_, impl Sink>) {
        if let Some(index) = self.writes.get(key) {
            self.blocked_reads.entry(*index).or_default().push(request);
            self.blocked += 1;
            return;
        }
        let ticket = self.ticket_for(request);
        self.drive(Input::Read { ticket }, context);
    }

    /// Asks the core, while outputs of an earlier step of the core are being done.
    pub(super) fn ask_core(&mut self, request: Request, outputs: &mut Vec<Output>, now: Micros) {
        let ticket = self.ticket_for(request);
        self.raft.step(now, Input::Read { ticket }, outputs);
    }

    fn ticket_for(&mut self, request: Request) -> Ticket {
        self.next_ticket += 1;
        self.reads.insert(self.next_ticket, request);
        self.next_ticket
    }

    fn propose(
        &mut self,
        request: Request,
        key: &Text,
        value: &str,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        let command = Command::put(request.client, &request.mid, key, value).encode();
        if command.len() > MOST_COMMAND_BYTES {
            let why = (Garbage::LongCommand, command.len());
            return self.refuse(request.client, request.mid, why, context);
        }
        self.writes.insert(key.clone(), self.raft.log().last_index() + 1);
        self.proposed = Some(request);
        self.next_ticket += 1;
        let input = Input::Propose { ticket: self.next_ticket, command };
        if let Some(Handled::Put(index)) = self.drive(input, context) {
            self.on_taken(index, context);
        }
    }

    /// The put is in the log, so commits tell now what becomes of it.
    fn on_taken(&mut self, index: Index, context: &mut StepContext<'_, impl Sink>) {
        if let Some(Request { client, mid, operation, .. }) = self.proposed.take() {
            let (request, term) = (request_id(&mid), self.raft.term());
            let taken = Fact::Taken { client, request, index, term };
            context.record(taken);
            self.observe(taken, context);
            if self.raft.has(Planted::OkWhenTaken) {
                let place = Some((index, term));
                return self.answer(client, mid, Outcome::Ok(None), place, context);
            }
            self.pending.insert((index, term), Pending { client, mid, operation });
        }
    }

    /// Queues a proved read. It is answered in turn, once all that is committed now has taken
    /// effect.
    pub(super) fn on_read_ready(
        &mut self,
        ticket: Ticket,
        outputs: &mut Vec<Output>,
        context: &mut StepContext<'_, impl Sink>,
    ) {
        if let Some(request) = self.reads.remove(&ticket) {
            self.ready_reads.push_back((self.raft.commit(), request));
            self.advance(0, outputs, context);
        }
    }

    /// Rule R10: the answer has the value of the moment in which it is given.
    pub(super) fn answer_ready_read(&mut self, context: &mut StepContext<'_, impl Sink>) {
        let Some((_, request)) = self.ready_reads.pop_front() else {
            return;
        };
        if let Operation::Get { key } = &request.operation {
            let value = self.store.get(key);
            match self.length_if_too_long(&request, &value) {
                None => {
                    let outcome = Outcome::Ok(Some(value));
                    self.answer(request.client, request.mid, outcome, None, context);
                }
                Some(bytes) => {
                    let why = (Garbage::LongAnswer, bytes);
                    self.refuse(request.client, request.mid, why, context);
                }
            }
        }
    }

    /// Length of the answer to a get in bytes, if that is more than a datagram carries.
    fn length_if_too_long(&self, request: &Request, value: &Text) -> Option<usize> {
        // An escaped byte takes at most six bytes, and the rest of an answer is short.
        if (request.mid.len() + value.len()) * 6 < MOST_DATAGRAM_BYTES - 1_000 {
            return None;
        }
        let (mid, outcome) = (request.mid.clone(), Outcome::Ok(Some(value.clone())));
        let datagram = self.datagram(request.client, Payload::Answer { mid, outcome });
        let bytes = encoded_length(&self.members, &datagram);
        (bytes > MOST_DATAGRAM_BYTES).then_some(bytes)
    }

    /// Answers `fail` and records the reason and the number of bytes concerned.
    pub(super) fn refuse(
        &mut self,
        client: Address,
        mid: Text,
        (reason, bytes): (Garbage, usize),
        context: &mut StepContext<'_, impl Sink>,
    ) {
        let (request, bytes) = (request_id(&mid), bytes.try_into().unwrap_or(u32::MAX));
        context.record(Fact::Refused { client, request, reason, bytes });
        self.answer(client, mid, Outcome::Fail, None, context);
    }

    /// The core refused the request and has put it into no log: keeps it until a leader is known.
    pub(super) fn on_refused(&mut self, ticket: Ticket, context: &mut StepContext<'_, impl Sink>) {
        let request = self.reads.remove(&ticket).or_else(|| self.proposed.take());
        if let Some(request) = request {
            self.hold(request, context);
        }
    }

    /// Rule R2: reads end with the leadership in which they were asked.
    pub(super) fn release_reads(&mut self, context: &mut StepContext<'_, impl Sink>) {
        self.writes.clear();
        for (_, request) in std::mem::take(&mut self.ready_reads) {
            self.hold(request, context);
        }
        self.blocked = 0;
        for request in std::mem::take(&mut self.blocked_reads).into_values().flatten() {
            self.hold(request, context);
        }
    }

    /// Looks at the held requests again if something has changed for them.
    pub(super) fn serve_held(&mut self, context: &mut StepContext<'_, impl Sink>) {
        if self.held.queue.is_empty() {
            return;
        }
        let accepts = self.raft.accepts_proposals(context.now);
        let known = (accepts, self.raft.live_leader(context.now), self.raft.times_heard());
        let blocked =
            self.held.is_paced() && !self.raft.is_leader() && !self.pacer.allows(context.now);
        if self.held.known == Some(known) || blocked {
            return;
        }
        self.held.known = Some(known);
        for Held { since, heard, request } in std::mem::take(&mut self.held.queue) {
            if let Some(request) = self.try_serve(request, heard, context) {
                self.held.queue.push_back(Held { since, heard, request });
            }
        }
    }

    /// A deposed leader may owe redirects (rule R1). What became of its puts the next leader tells
    /// with its commit index, but an idle one may have nothing to send (rule R30). A heartbeat
    /// interval is how long it may take where heartbeats go to everyone.
    pub(super) fn plan_to_ask(&mut self, now: Micros) {
        if self.raft.is_leader() || self.pending.is_empty() {
            self.ask_at = Micros::NEVER;
        } else if self.ask_at == Micros::NEVER {
            self.ask_at = now + self.raft.tuning().heartbeat_interval();
        }
    }

    /// Asks the leader, which answers with an append, if it has been silent.
    pub(super) fn ask_for_pending(&mut self, context: &mut StepContext<'_, impl Sink>) {
        if self.ask_at <= context.now {
            self.ask_at = Micros::NEVER;
            self.drive(Input::LeaderWanted, context);
        }
    }

    /// Sends on a request that was kept past the hold time, since this replica may be on the
    /// minority side of a partition. The client then finds another replica.
    pub(super) fn send_on_expired(&mut self, context: &mut StepContext<'_, impl Sink>) {
        while self.held.expiry() <= context.now && self.pacer.allows(context.now) {
            let Some(held) = self.held.queue.pop_front() else {
                return;
            };
            self.redirect(held.request, context);
        }
    }
}
