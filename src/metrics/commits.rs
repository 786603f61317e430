//! Requests and commits: what clients wait for, and how long each stage of a commit takes.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::exporter::Exporter;
use super::family::{
    BATCH_ENTRIES, CLIENT_REQUESTS, COMMIT_FLOOR, COMMIT_LATENCY, REQUEST_DURATION, REQUESTS_HELD,
};
use super::tally::{Observations, Tally};
use crate::budget::bounds;
use crate::interface::OperationKind;
use crate::raft::tuning::FanOut;
use crate::raft::{Index, Micros, Tuning};
use crate::record::{AnswerKind, RequestId};

/// The most requests whose arrival is remembered in the queue, and in the map beside it. It bounds
/// memory and is far above the number that can wait at once.
const MOST_WAITING: usize = 65_536;
/// A request that takes at least this long is remembered with its MID. On a machine's loopback a
/// request takes a tenth of it.
const SLOW: Micros = Micros::from_millis(10);
/// The longest MID that is remembered, in characters.
const LONGEST_MID: usize = 100;
const OPERATIONS: [&str; 2] = ["get", "put"];
const OUTCOMES: [AnswerKind; 3] = [AnswerKind::Ok, AnswerKind::Fail, AnswerKind::Redirect];

/// Requests of clients, from arrival to answer.
pub(super) struct Requests {
    /// Count and durations of the answers, by operation and outcome.
    answered: [[(Tally, Observations); OUTCOMES.len()]; OPERATIONS.len()],
    held: Tally,
    waiting: Waiting,
    /// The latest answer, if its request was slow.
    slow: Option<Slow>,
    /// The number of gets answered ok.
    pub reads: u64,
    /// The number of puts answered ok.
    pub writes: u64,
}

impl Requests {
    /// Starts with no request.
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
            waiting: Waiting::default(),
            slow: None,
            reads: 0,
            writes: 0,
        }
    }

    /// Notes that a request came in.
    pub fn on_asked(&mut self, now: Micros, request: RequestId, operation: OperationKind) {
        self.waiting.add(Asked { request, at: now, operation });
    }

    /// Counts a request that has to wait until a leader is known.
    pub fn on_held(&mut self) {
        self.held.add(1);
    }

    /// Notes the answer to a request. `index` is the log index of a put that was answered ok, else
    /// 0.
    pub fn on_answered(
        &mut self,
        now: Micros,
        request: RequestId,
        outcome: AnswerKind,
        index: Index,
    ) {
        let asked = self.waiting.take(request);
        // A new leader also answers puts that clients sent to an earlier leader (rule R3).
        let told = if index > 0 { OperationKind::Put } else { OperationKind::Get };
        let operation = asked.map_or(told, |asked| asked.operation);
        let place = [operation as usize, outcome as usize];
        let (count, duration) = &mut self.answered[place[0]][place[1]];
        count.add(1);
        if let Some(asked) = asked {
            let took = now.since(asked.at);
            duration.observe_duration(took);
            if took >= SLOW {
                self.slow = Some(Slow { place, took, at: now });
            }
        }
        if outcome == AnswerKind::Ok {
            match operation {
                OperationKind::Put => self.writes += 1,
                OperationKind::Get => self.reads += 1,
            }
        }
    }
}

impl Requests {
    /// Notes that the answer just told is for the request `mid`. If it was slow, its MID is kept
    /// beside its duration. The replica started at `start_unix_seconds`.
    pub fn on_answering(&mut self, mid: &str, start_unix_seconds: f64) {
        let Some(Slow { place: [operation, outcome], took, at }) = self.slow.take() else {
            return;
        };
        // OpenMetrics allows 128 characters, the label's name included.
        if mid.chars().count() <= LONGEST_MID {
            let unix_seconds = start_unix_seconds + at.as_seconds();
            self.answered[operation][outcome].1.tell_exemplar(took, mid, unix_seconds);
        }
    }
}

/// An answer to a slow request.
#[derive(Clone, Copy)]
struct Slow {
    /// Indexes of its operation and its outcome.
    place: [usize; 2],
    took: Micros,
    /// When the answer was given.
    at: Micros,
}

/// A request that came in.
#[derive(Clone, Copy)]
struct Asked {
    request: RequestId,
    at: Micros,
    operation: OperationKind,
}

/// Requests that are not answered yet. Most answers come in the order of the requests, or at once.
/// Their requests are then at one end of the queue. A request that an answer has passed by is moved
/// to a map.
#[derive(Default)]
struct Waiting {
    queue: VecDeque<Asked>,
    passed_by: FxHashMap<RequestId, Asked>,
}

impl Waiting {
    fn add(&mut self, asked: Asked) {
        if self.passed_by.len() >= MOST_WAITING {
            // A put that another leader has answered (rule R3) is never answered here.
            self.passed_by.clear();
        }
        if self.queue.len() >= MOST_WAITING {
            self.queue.pop_front();
        }
        self.queue.push_back(asked);
    }

    fn take(&mut self, request: RequestId) -> Option<Asked> {
        let is_it = |asked: &&Asked| asked.request == request;
        if self.queue.back().filter(is_it).is_some() {
            return self.queue.pop_back();
        }
        if self.queue.front().filter(is_it).is_some() {
            return self.queue.pop_front();
        }
        self.passed_by.remove(&request).or_else(|| self.pass_by(request))
    }

    /// Looks for `request` from the front on, and moves the requests before it to the map.
    fn pass_by(&mut self, request: RequestId) -> Option<Asked> {
        while let Some(asked) = self.queue.pop_front() {
            if asked.request == request {
                return Some(asked);
            }
            self.passed_by.insert(asked.request, asked);
        }
        None
    }
}

/// A batch that is not committed yet.
struct Batch {
    last: Index,
    sent: Micros,
}

/// The commits of this replica as a leader.
pub(super) struct Commits {
    batched: Observations,
    quorum: Observations,
    entries: Observations,
    floor: Tally,
    /// The fewest messages that a batch can cost.
    floor_of_batch: u64,
    /// The sum of these floors over all batches sent.
    pub floor_sum: u64,
    /// Entries in the log that are in no batch yet: the last index taken in at each moment, and
    /// when.
    taken: VecDeque<(Index, Micros)>,
    under_way: VecDeque<Batch>,
}

impl Commits {
    /// Starts with no commit.
    pub fn new(exporter: &Exporter) -> Commits {
        let stage = |stage| exporter.histogram(&COMMIT_LATENCY, &[stage]);
        Commits {
            batched: stage("batched"),
            quorum: stage("quorum"),
            entries: exporter.histogram(&BATCH_ENTRIES, &[]),
            floor: exporter.counter(&COMMIT_FLOOR, &[]),
            floor_of_batch: 0,
            floor_sum: 0,
            taken: VecDeque::new(),
            under_way: VecDeque::new(),
        }
    }

    /// Sets the knobs that are now in force in a cluster of `replicas`.
    pub fn retune(&mut self, tuning: &Tuning, replicas: usize) {
        self.floor_of_batch = floor_of_batch(tuning, replicas as u64);
    }

    /// Forgets all entries and batches under way: they are another leader's now.
    pub fn clear(&mut self) {
        self.taken.clear();
        self.under_way.clear();
    }

    /// Notes that this leader took in entries up to `last`.
    pub fn on_taken(&mut self, now: Micros, last: Index) {
        match self.taken.back_mut() {
            Some((index, since)) if *since == now => *index = last,
            _ => self.taken.push_back((last, now)),
        }
    }

    /// Notes that a batch of the entries `first` to `last` was sent.
    pub fn on_batch_sent(&mut self, now: Micros, first: Index, last: Index) {
        // The entry that opens the term travels with the first heartbeat, not in a batch.
        self.drop_taken(first.saturating_sub(1));
        let oldest = self.taken.front().map_or(now, |(_, since)| *since);
        self.drop_taken(last);
        self.batched.observe_duration(now.since(oldest));
        self.entries.observe((last + 1).saturating_sub(first));
        self.floor.add(self.floor_of_batch);
        self.floor_sum += self.floor_of_batch;
        self.under_way.push_back(Batch { last, sent: now });
    }

    fn drop_taken(&mut self, through: Index) {
        while self.taken.front().is_some_and(|(last, _)| *last <= through) {
            self.taken.pop_front();
        }
    }

    /// Notes that all entries up to `through` are committed.
    pub fn on_committed(&mut self, now: Micros, through: Index) {
        while let Some(batch) = self.under_way.front().filter(|batch| batch.last <= through) {
            self.quorum.observe_duration(now.since(batch.sent));
            self.under_way.pop_front();
        }
    }
}

/// The fewest messages that a batch can cost, by the number of message delays that the fan-out
/// takes: there and back, or along the longest chain and back.
fn floor_of_batch(tuning: &Tuning, replicas: u64) -> u64 {
    let others = bounds::others_needed(replicas);
    let delays = match (tuning.fan_out, tuning.chain_length) {
        (FanOut::Chain, 0) => others + 1,
        (FanOut::Chain, length) => others.min(length) + 1,
        _ => 2,
    };
    bounds::messages_per_batch(others, delays)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::exposition::Format;

    fn asked(request: RequestId) -> Asked {
        Asked { request, at: Micros(request), operation: OperationKind::Put }
    }

    #[test]
    fn a_request_is_found_once_wherever_it_waits() {
        let mut waiting = Waiting::default();
        (1..=9).for_each(|request| waiting.add(asked(request)));
        for request in [1, 9, 4, 2, 8, 3, 5, 7, 6] {
            assert_eq!(waiting.take(request).map(|asked| asked.at), Some(Micros(request)));
            assert!(waiting.take(request).is_none(), "{request} is gone");
            assert!(waiting.take(77).is_none(), "nobody asked that");
        }
        assert!(waiting.queue.is_empty() && waiting.passed_by.is_empty());
    }

    #[test]
    fn what_is_never_answered_takes_bounded_room_and_later_requests_are_found() {
        let mut waiting = Waiting::default();
        for request in 0..5 * MOST_WAITING as u64 {
            waiting.add(asked(request));
            // Every other request is answered, but late.
            if request % 2 == 0 && request >= 100 {
                assert!(waiting.take(request - 100).is_some(), "{request}");
            }
            assert!(waiting.queue.len() <= MOST_WAITING);
            assert!(waiting.passed_by.len() <= MOST_WAITING + 100);
        }
    }

    #[test]
    fn a_batch_is_as_old_as_its_oldest_entry() {
        let exporter = Exporter::new("0001");
        let mut commits = Commits::new(&exporter);
        // The opening entry, three entries at one moment and two at another: batches of 2 and 3.
        for (at, last) in [(1, 1), (10, 2), (10, 3), (10, 4), (20, 5), (20, 6)] {
            commits.on_taken(Micros(at), last);
        }
        commits.on_batch_sent(Micros(50), 2, 3);
        commits.on_batch_sent(Micros(60), 4, 6);
        commits.on_committed(Micros(70), 6);
        let text = exporter.handle().render(Format::Text);
        for sum in [
            // 40 µs and 50 µs until sent, then 20 µs and 10 µs until committed.
            "laconic_commit_latency_seconds_sum{replica=\"0001\",stage=\"batched\"} 0.00009\n",
            "laconic_commit_latency_seconds_sum{replica=\"0001\",stage=\"quorum\"} 0.00003\n",
            "laconic_batch_entries_sum{replica=\"0001\"} 5\n",
        ] {
            assert!(text.contains(sum), "{sum} in {text}");
        }
    }
}
