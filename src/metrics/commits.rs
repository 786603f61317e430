//! Requests and commits: what clients wait for, and how long each stage of a commit takes.

use std::collections::VecDeque;

use metrics::{Counter, Histogram};
use rustc_hash::FxHashMap;

use super::exporter::Exporter;
use super::family::{
    BATCH_ENTRIES, CLIENT_REQUESTS, COMMIT_FLOOR, COMMIT_LATENCY, REQUEST_DURATION, REQUESTS_HELD,
};
use crate::budget::bounds;
use crate::raft::tuning::FanOut;
use crate::raft::{Index, Micros, Tuning};
use crate::record::{AnswerKind, RequestId};

/// Most requests whose arrival is remembered: a bound on memory, far above what can be waiting.
const MOST_WAITING: usize = 65_536;
const OPERATIONS: [&str; 2] = ["get", "put"];
const OUTCOMES: [AnswerKind; 3] = [AnswerKind::Ok, AnswerKind::Fail, AnswerKind::Redirect];

/// Requests of clients, from arrival to answer.
pub(super) struct Requests {
    /// By operation and outcome.
    answered: [[(Counter, Histogram); OUTCOMES.len()]; OPERATIONS.len()],
    held: Counter,
    waiting: FxHashMap<RequestId, (Micros, bool)>,
    /// Gets answered ok.
    pub reads: u64,
    /// Puts answered ok.
    pub writes: u64,
}

impl Requests {
    /// None yet.
    pub fn new(exporter: &Exporter) -> Requests {
        let handles = |operation| {
            OUTCOMES.map(|outcome| {
                let labels = [operation, outcome.name()];
                let duration = exporter.histogram(&REQUEST_DURATION, &labels);
                (exporter.counter(&CLIENT_REQUESTS, &labels), duration)
            })
        };
        Requests {
            answered: OPERATIONS.map(handles),
            held: exporter.counter(&REQUESTS_HELD, &[]),
            waiting: FxHashMap::default(),
            reads: 0,
            writes: 0,
        }
    }

    /// A request came in.
    pub fn on_asked(&mut self, now: Micros, request: RequestId, put: bool) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.insert(request, (now, put));
        }
    }

    /// It has to wait until a leader is known.
    pub fn on_held(&self) {
        self.held.increment(1);
    }

    /// It was answered; `index` is where a put stands that was answered ok.
    pub fn on_answered(
        &mut self,
        now: Micros,
        request: RequestId,
        outcome: AnswerKind,
        index: Index,
    ) {
        let asked = self.waiting.remove(&request);
        // A new leader answers puts that were asked of an earlier one (rule R3).
        let put = asked.map_or(index > 0, |(_, put)| put);
        let (count, duration) = &self.answered[usize::from(put)][outcome as usize];
        count.increment(1);
        if let Some((since, _)) = asked {
            duration.record(now.since(since).as_seconds());
        }
        if outcome == AnswerKind::Ok {
            *if put { &mut self.writes } else { &mut self.reads } += 1;
        }
    }
}

/// A batch that is not committed.
struct Batch {
    last: Index,
    /// When its oldest entry was taken into the log.
    oldest: Micros,
    sent: Micros,
}

/// The commits of this replica as a leader.
pub(super) struct Commits {
    batched: Histogram,
    quorum: Histogram,
    total: Histogram,
    entries: Histogram,
    floor: Counter,
    /// What a batch must cost at the least.
    floor_of_batch: u64,
    /// The sum of that.
    pub floor_sum: u64,
    /// In the log, in no batch: index and when.
    taken: VecDeque<(Index, Micros)>,
    under_way: VecDeque<Batch>,
}

impl Commits {
    /// None yet.
    pub fn new(exporter: &Exporter) -> Commits {
        let stage = |stage| exporter.histogram(&COMMIT_LATENCY, &[stage]);
        Commits {
            batched: stage("batched"),
            quorum: stage("quorum"),
            total: stage("total"),
            entries: exporter.histogram(&BATCH_ENTRIES, &[]),
            floor: exporter.counter(&COMMIT_FLOOR, &[]),
            floor_of_batch: 0,
            floor_sum: 0,
            taken: VecDeque::new(),
            under_way: VecDeque::new(),
        }
    }

    /// These knobs are in force in a cluster of `replicas`.
    pub fn retune(&mut self, tuning: &Tuning, replicas: usize) {
        self.floor_of_batch = floor_of_batch(tuning, replicas as u64);
    }

    /// What was under way is another leader's now.
    pub fn clear(&mut self) {
        self.taken.clear();
        self.under_way.clear();
    }

    /// This leader took in entries through `last`.
    pub fn on_taken(&mut self, now: Micros, last: Index) {
        self.taken.push_back((last, now));
    }

    /// A batch of the entries `first` to `last` went out.
    pub fn on_batch_sent(&mut self, now: Micros, first: Index, last: Index) {
        let mut oldest = None;
        while let Some((index, since)) = self.taken.front().copied().filter(|(i, _)| *i <= last) {
            self.taken.pop_front();
            // The entry that opens the term travels with the first heartbeat, not in a batch.
            if index >= first {
                oldest = oldest.or(Some(since));
            }
        }
        let oldest = oldest.unwrap_or(now);
        self.batched.record(now.since(oldest).as_seconds());
        self.entries.record((last + 1).saturating_sub(first) as f64);
        self.floor.increment(self.floor_of_batch);
        self.floor_sum += self.floor_of_batch;
        self.under_way.push_back(Batch { last, oldest, sent: now });
    }

    /// The commit index rose.
    pub fn on_committed(&mut self, now: Micros, through: Index) {
        while let Some(batch) = self.under_way.front().filter(|batch| batch.last <= through) {
            self.quorum.record(now.since(batch.sent).as_seconds());
            self.total.record(now.since(batch.oldest).as_seconds());
            self.under_way.pop_front();
        }
    }
}

/// By the delays that the fan-out takes: there and back, or along the longest chain and back.
fn floor_of_batch(tuning: &Tuning, replicas: u64) -> u64 {
    let others = bounds::others_needed(replicas);
    let delays = match (tuning.fan_out, tuning.chain_length) {
        (FanOut::Chain, 0) => others + 1,
        (FanOut::Chain, length) => others.min(length) + 1,
        _ => 2,
    };
    bounds::messages_per_batch(others, delays)
}
