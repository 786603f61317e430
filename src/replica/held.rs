//! Requests that wait: puts for their commit, and requests that nobody could serve when they came.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::interface::{Address, Operation, Request, Text};
use crate::raft::{Member, Micros};

/// A request that comes again so soon after its redirect may have been sent before the client read
/// the redirect: the way through the simulator and back takes some 0.4 ms (interface §6).
const UNDER_WAY: Micros = Micros::from_millis(1);

/// A put in the log, and the client that waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    /// The client's ID.
    pub client: Address,
    /// The request's MID.
    pub mid: Text,
    /// What it asks for.
    pub operation: Operation,
}

/// A request that nobody could serve when it came.
#[derive(Debug)]
pub(super) struct Held {
    pub since: Micros,
    /// How many appends had been heard from leaders when the request came.
    pub heard: u64,
    pub request: Request,
}

/// Requests that nobody can serve now, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct HeldRequests {
    pub queue: VecDeque<Held>,
    pub hold_time: Micros,
    /// What was known of leaders when the queue was last served. It is served again when that
    /// changes. `None`: the pacer stopped the last pass before its end.
    pub known: Option<Knowledge>,
    pub redirected: Redirected,
}

pub(super) type Knowledge = (bool, Option<Member>, u64);

impl HeldRequests {
    /// Whether requests can go on as soon as the pacer allows it.
    pub fn is_paced(&self) -> bool {
        self.known.is_none() && !self.queue.is_empty()
    }

    /// When the oldest request has been kept for the hold time.
    pub fn expiry(&self) -> Micros {
        self.queue.front().map_or(Micros::NEVER, |held| held.since + self.hold_time)
    }
}

/// The requests that were redirected since a leader was last heard, and when first. A request that
/// comes again is not redirected again before the leader is heard (rule R5). A client that was sent
/// to a dead leader repeats the operation under a new MID, and names no leader.
#[derive(Debug, Default)]
pub(super) struct Redirected {
    pub heard: u64,
    first_at: FxHashMap<(Address, Operation), Micros>,
}

impl Redirected {
    /// Notes that `client` was redirected with `operation`.
    pub fn note(&mut self, heard: u64, now: Micros, client: Address, operation: Operation) {
        if self.heard != heard {
            self.heard = heard;
            self.first_at.clear();
        }
        self.first_at.entry((client, operation)).or_insert(now);
    }

    /// Whether `request`, which comes at `now`, repeats a redirected one.
    pub fn comes_back(&self, heard: u64, now: Micros, request: &Request) -> bool {
        // With nothing redirected there is nothing to look up. This saves the copy of the
        // operation.
        if self.heard != heard || self.first_at.is_empty() {
            return false;
        }
        let first_at = self.first_at.get(&(request.client, request.operation.clone()));
        first_at.is_some_and(|at| now >= *at + UNDER_WAY)
    }
}
