//! What becomes of a client's request before it is answered (design §4, rules R5 and R6).

use std::collections::BTreeMap;

use super::{Desk, Queue, Replica};
use crate::interface::{Address, Operation, Outcome, Request, Text};
use crate::kv::Command;
use crate::raft::{Index, Input, Micros, Output, Ticket};
use crate::record::{Sink, request_id};

/// Longest command that fits into an append with its framing.
const MOST_COMMAND_BYTES: usize = 64_000;

/// A put in the log, and who waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    /// Who asked.
    pub client: Address,
    /// Under which name.
    pub mid: Text,
}

/// Requests that nobody can serve now.
#[derive(Debug, Default)]
pub(super) struct HeldRequests {
    queue: Queue,
    hold_time: Micros,
    /// What was known of leaders when the queue was last looked at: it is looked at again when
    /// that changes.
    known: Option<Knowledge>,
    /// Who was redirected, and the count of appends heard then: not again before the next one
    /// (rule R5).
    redirected: BTreeMap<Address, u64>,
}

type Knowledge = (bool, Option<crate::raft::Member>, u64);

impl HeldRequests {
    /// When the oldest has been kept long enough.
    pub fn expiry(&self) -> Micros {
        self.queue.front().map_or(Micros::NEVER, |(since, _)| *since + self.hold_time)
    }
}

impl Replica {
    pub(super) fn on_request(&mut self, request: Request, desk: &mut Desk<'_, impl Sink>) {
        if let Some(request) = self.try_serve(request, desk) {
            self.hold(request, desk);
        }
    }

    fn hold(&mut self, request: Request, desk: &mut Desk<'_, impl Sink>) {
        desk.record_held(request.client, request_id(&request.mid));
        self.held.hold_time = Micros(self.raft.tuning().hold_time_us);
        self.held.queue.push_back((desk.now, request));
    }

    /// Serves or redirects the request, or gives it back if it must be kept.
    fn try_serve(&mut self, request: Request, desk: &mut Desk<'_, impl Sink>) -> Option<Request> {
        if self.raft.is_leader() {
            return match &request.operation {
                Operation::Get { key } => {
                    let key = key.clone();
                    self.read(&key, request, desk);
                    None
                }
                // Rule R6: out of touch with its quorum, a leader takes in nothing.
                Operation::Put { .. } if !self.raft.accepts_proposals(desk.now) => Some(request),
                Operation::Put { key, value } => {
                    let (key, value) = (key.clone(), value.clone());
                    self.propose(request, &key, &value, desk);
                    None
                }
            };
        }
        let heard = self.raft.times_heard();
        let may_redirect = self.held.redirected.get(&request.client) != Some(&heard);
        if self.raft.live_leader(desk.now).is_none() || !may_redirect {
            return Some(request);
        }
        self.held.redirected.insert(request.client, heard);
        self.answer(request.client, request.mid, Outcome::Redirect, None, desk);
        None
    }

    /// A read waits behind writes of its key that this leader has accepted, then asks the core.
    fn read(&mut self, key: &str, request: Request, desk: &mut Desk<'_, impl Sink>) {
        if let Some(index) = self.writes.get(key) {
            self.blocked_reads.entry(*index).or_default().push(request);
            return;
        }
        let ticket = self.ticket_for(request);
        self.drive(Input::Read { ticket }, desk);
    }

    /// The same while outputs of the core are being done.
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
        desk: &mut Desk<'_, impl Sink>,
    ) {
        let command = Command::put(request.client, &request.mid, key, value).encode();
        if command.len() > MOST_COMMAND_BYTES {
            return self.answer(request.client, request.mid, Outcome::Fail, None, desk);
        }
        self.writes.insert(key.clone(), self.raft.log().last_index() + 1);
        self.proposed = Some(request);
        self.next_ticket += 1;
        self.drive(Input::Propose { ticket: self.next_ticket, command }, desk);
    }

    pub(super) fn on_taken(&mut self, index: Index) {
        if let Some(Request { client, mid, .. }) = self.proposed.take() {
            self.pending.insert((index, self.raft.term()), Pending { client, mid });
        }
    }

    /// Rule R10: the value is that of the moment of the answer.
    pub(super) fn on_read_ready(&mut self, ticket: Ticket, desk: &mut Desk<'_, impl Sink>) {
        let Some(request) = self.reads.remove(&ticket) else {
            return;
        };
        if let Operation::Get { key } = &request.operation {
            let value = self.store.get(key);
            self.answer(request.client, request.mid, Outcome::Ok(Some(value)), None, desk);
        }
    }

    /// The core took it into no log: keep it until a leader is known.
    pub(super) fn on_refused(&mut self, ticket: Ticket, desk: &mut Desk<'_, impl Sink>) {
        let request = self.reads.remove(&ticket).or_else(|| self.proposed.take());
        if let Some(request) = request {
            self.hold(request, desk);
        }
    }

    /// Rule R2: reads do not outlive the leadership they were asked in.
    pub(super) fn release_blocked_reads(&mut self, desk: &mut Desk<'_, impl Sink>) {
        self.writes.clear();
        for request in std::mem::take(&mut self.blocked_reads).into_values().flatten() {
            self.hold(request, desk);
        }
    }

    /// Looks at the held requests again if something has changed for them.
    pub(super) fn serve_held(&mut self, desk: &mut Desk<'_, impl Sink>) {
        if self.held.queue.is_empty() {
            return;
        }
        let accepts = self.raft.accepts_proposals(desk.now);
        let known = (accepts, self.raft.live_leader(desk.now), self.raft.times_heard());
        if self.held.known == Some(known) {
            return;
        }
        self.held.known = Some(known);
        for (since, request) in std::mem::take(&mut self.held.queue) {
            if let Some(request) = self.try_serve(request, desk) {
                self.held.queue.push_back((since, request));
            }
        }
    }

    /// Past the hold time a request is sent on, to whoever the client finds: it may sit on the
    /// minority side of a partition here.
    pub(super) fn send_on_expired(&mut self, desk: &mut Desk<'_, impl Sink>) {
        while self.held.expiry() <= desk.now {
            let Some((_, request)) = self.held.queue.pop_front() else {
                return;
            };
            self.held.redirected.insert(request.client, self.raft.times_heard());
            self.answer(request.client, request.mid, Outcome::Redirect, None, desk);
        }
    }
}
