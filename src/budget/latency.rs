//! Where the time of each answered request went. Each stage begins where the one before it ends, so
//! the stages add up to the latency exactly.
//!
//! - `request`: from the client's sending until a replica receives it;
//! - `queued`: until it is in a leader's log (for a read, until the round that proves it begins);
//! - `batched`: until its batch is sent;
//! - `hop 1` and so on: the way of the first acknowledgement that covers it, there and back;
//! - `quorum wait`: until enough others have acknowledged, resends included;
//! - `applied`: until it is answered. That happens in the step of the commit, so it takes 0 by that
//!   step's clock, unless answers are paced (rule R27);
//! - `answered`: until the client reads the answer.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::leaderships::Leaderships;
use super::message::Hop;
use super::report::{Distribution, LatencyRow, RequestStory, StageRow};
use super::words::{time, why_words};
use crate::raft::{Index, Kind, Member, Micros, Term};
use crate::record::{AnswerKind, ClientRequest, Fact, Record, RequestId};

/// What replicas recorded of one request and its answer.
#[derive(Clone, Debug)]
struct Trace {
    asked_at: Micros,
    asked_of: Member,
    answered_at: Micros,
    answered_by: Member,
    outcome: AnswerKind,
    /// Term and index of the put's entry; (0, 0) if it is no put that was answered `ok`.
    place: (Term, Index),
    /// When the put came into the log.
    taken_at: Option<Micros>,
    batched_at: Option<Micros>,
    /// The first acknowledgement of its batch. For a read that waited, the answer that released it.
    answer: Option<Rc<Hop>>,
    committed_at: Option<Micros>,
}

/// What is known of a request until it is told.
#[derive(Clone, Copy, Debug)]
struct Request {
    /// When and by whom it was received last. Of a request that only an answer names, the answer's.
    asked: (Micros, Member),
    /// The place of the latest answer to it.
    latest: Option<usize>,
}

/// Follows requests through the records.
#[derive(Debug)]
pub struct Requests {
    /// One map, since a look into it is what costs most in a long run: the memory is far away.
    requests: FxHashMap<RequestId, Request>,
    /// All answers, each with the place of the one before it to the same request.
    traces: Vec<(Trace, Option<usize>)>,
    /// By replica: the message with which its current step began.
    handling: Vec<Option<Rc<Hop>>>,
}

impl Requests {
    /// For a run of `replicas` replicas.
    pub fn new(replicas: usize) -> Requests {
        Requests {
            requests: FxHashMap::default(),
            traces: Vec::new(),
            handling: vec![None; replicas],
        }
    }

    /// Notes that a step of `by` begins.
    pub fn begin_step(&mut self, by: Member) {
        self.handling[by.rank()] = None;
    }

    /// Notes that the step began with this message.
    pub fn on_delivery(&mut self, hop: &Rc<Hop>) {
        self.handling[hop.to.rank()] = Some(hop.clone());
    }

    /// Takes in a record of a replica.
    pub fn record(&mut self, record: &Record, leaderships: &Leaderships) {
        match record.fact {
            Fact::Asked { request, .. } => {
                let asked = (record.at, record.source);
                let request = self.requests.entry(request);
                request
                    .and_modify(|request| request.asked = asked)
                    .or_insert(Request { asked, latest: None });
            }
            Fact::Answered { request, outcome, index, term, .. } => {
                let untold = Request { asked: (record.at, record.source), latest: None };
                let request = self.requests.entry(request).or_insert(untold);
                let before = request.latest.replace(self.traces.len());
                let (asked_at, asked_of) = request.asked;
                let mut trace = Trace {
                    asked_at,
                    asked_of,
                    answered_at: record.at,
                    answered_by: record.source,
                    outcome,
                    place: (term, index),
                    taken_at: None,
                    batched_at: None,
                    answer: None,
                    committed_at: None,
                };
                if let Some(entry) = leaderships.entry(term, index) {
                    trace.taken_at = Some(entry.appended_at);
                    trace.batched_at = entry.batched_at;
                    trace.answer.clone_from(&entry.first_answer);
                    trace.committed_at = entry.committed_at;
                } else if index == 0 && outcome == AnswerKind::Ok {
                    // A read that waited was released by the answer that this step handles.
                    let handling = self.handling[record.source.rank()].clone();
                    trace.answer = handling.filter(|hop| {
                        hop.sending.kind == Kind::AppendReply && hop.received_at > asked_at
                    });
                }
                self.traces.push((trace, before));
            }
            _ => {}
        }
    }

    /// The stages of every answered request, the story of the one at the 99th percentile, and how
    /// many answered requests have no records.
    pub fn tell(&self, requests: &[ClientRequest]) -> (Vec<LatencyRow>, Option<RequestStory>, u64) {
        let mut told = Vec::new();
        let mut untraced = 0;
        for request in requests {
            let Some((answered_at, answer)) = request.answered() else {
                continue;
            };
            match self.trace(request, answered_at, answer) {
                Some(trace) => told.push(TracedRequest {
                    request,
                    trace,
                    stages: Stages::of(request.invoked_at(), trace, answered_at),
                    latency: answered_at.since(request.invoked_at()),
                }),
                None => untraced += 1,
            }
        }
        let kinds = ["all", "put", "get", "sent on"];
        let rows = kinds.into_iter().filter_map(|kind| row(kind, &told));
        let rows = rows.collect();
        told.sort_by_key(|told| told.latency);
        let story = told.get(place_of(told.len(), 0.99)).map(TracedRequest::story);
        (rows, story, untraced)
    }

    /// The records of the answer that the client read: the latest answer given before that.
    fn trace(&self, request: &ClientRequest, by: Micros, answer: AnswerKind) -> Option<&Trace> {
        let latest = self.traces.get(self.requests.get(&request.request)?.latest?)?;
        let before = |(_, before): &&(Trace, Option<usize>)| self.traces.get((*before)?);
        let mut latest_first = std::iter::successors(Some(latest), before).map(|(trace, _)| trace);
        let fits = |trace: &&Trace| trace.outcome == answer && trace.answered_at <= by;
        latest_first.find(fits).or(Some(&latest.0))
    }
}

/// One stage of a latency, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Request,
    Queued,
    Batched,
    /// A hop of the acknowledgement's way, counted from 1.
    Hop(u64),
    QuorumWait,
    Applied,
    Answered,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Request => f.write_str("request"),
            Stage::Queued => f.write_str("queued"),
            Stage::Batched => f.write_str("batched"),
            Stage::Hop(hop) => write!(f, "hop {hop}"),
            Stage::QuorumWait => f.write_str("quorum wait"),
            Stage::Applied => f.write_str("applied"),
            Stage::Answered => f.write_str("answered"),
        }
    }
}

/// The time of each stage, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stages {
    request: i64,
    queued: i64,
    batched: i64,
    hops: Vec<i64>,
    quorum_wait: i64,
    applied: i64,
    answered: i64,
}

impl Stages {
    /// Each stage begins where the one before it ends. A milestone that is not known, or is before
    /// the one that it follows, takes no time.
    fn of(invoked_at: Micros, trace: &Trace, answered_at: Micros) -> Stages {
        let mut reached = invoked_at;
        let mut until = |milestone: Option<Micros>| {
            let milestone = milestone.unwrap_or(reached).clamp(reached, answered_at);
            let took = milestone.since(reached).0 as i64;
            reached = milestone;
            took
        };
        let way = trace.answer.as_deref().map(Hop::way).unwrap_or_default();
        let began_at = way.first().map(|hop| hop.sending.at);
        let mut stages = Stages { request: until(Some(trace.asked_at)), ..Stages::default() };
        if trace.place.1 > 0 {
            stages.queued = until(trace.taken_at);
            stages.batched = until(trace.batched_at);
            stages.quorum_wait = until(began_at);
        } else {
            stages.queued = until(began_at.or(Some(trace.answered_at)));
        }
        stages.hops = way.iter().map(|hop| until(Some(hop.received_at))).collect();
        stages.quorum_wait += until(Some(trace.committed_at.unwrap_or(trace.answered_at)));
        stages.applied = until(Some(trace.answered_at));
        stages.answered = until(Some(answered_at));
        stages
    }

    /// Each stage with its time in microseconds, in order.
    fn each(&self) -> impl Iterator<Item = (Stage, i64)> {
        let first = [
            (Stage::Request, self.request),
            (Stage::Queued, self.queued),
            (Stage::Batched, self.batched),
        ];
        let hops = self.hops.iter().zip(1..).map(|(took, hop)| (Stage::Hop(hop), *took));
        let last = [
            (Stage::QuorumWait, self.quorum_wait),
            (Stage::Applied, self.applied),
            (Stage::Answered, self.answered),
        ];
        first.into_iter().chain(hops).chain(last)
    }
}

/// A request with all that is known about it.
struct TracedRequest<'a> {
    request: &'a ClientRequest,
    trace: &'a Trace,
    stages: Stages,
    latency: Micros,
}

impl TracedRequest<'_> {
    fn kind(&self) -> &'static str {
        match self.trace.outcome {
            AnswerKind::Ok => self.request.operation.name(),
            _ => "sent on",
        }
    }

    fn story(&self) -> RequestStory {
        let TracedRequest { request, trace, stages, latency } = self;
        let what = request.operation.name();
        let told = |us: i64| time(us as f64);
        let mut lines = vec![
            format!(
                "Client {} sent the {what} {:016x} at {} s and had its {} after {}.",
                request.client,
                request.request,
                request.invoked_at(),
                trace.outcome.name(),
                time(latency.0 as f64)
            ),
            format!("Replica {} took it in after {}.", trace.asked_of, told(stages.request)),
        ];
        if stages.queued > 0 {
            lines.push(format!("It waited there {} to be served.", told(stages.queued)));
        }
        if trace.place.1 > 0 {
            let (term, index) = trace.place;
            lines.push(format!(
                "It stands at index {index}, term {term}, and waited {} for its batch.",
                told(stages.batched)
            ));
        }
        let way = trace.answer.as_deref().map(Hop::way).unwrap_or_default();
        for (hop, took) in way.iter().zip(&stages.hops) {
            lines.push(format!(
                "{} to {} ({}): {}.",
                hop.from,
                hop.to,
                why_words(hop.sending.why),
                told(*took)
            ));
        }
        if stages.quorum_wait > 0 {
            lines.push(format!("The rest of the quorum took {}.", told(stages.quorum_wait)));
        }
        let by = trace.answered_by;
        let answered = told(stages.answered);
        lines.push(format!("The answer of {by} took {answered} to the client."));
        RequestStory {
            request: format!("{:016x}", request.request),
            latency_us: latency.0,
            stages: stages.each().map(|(stage, took)| (stage.to_string(), took)).collect(),
            lines,
        }
    }
}

/// Where the time of the requests of `kind` went; `None` if there are none.
fn row(kind: &'static str, told: &[TracedRequest<'_>]) -> Option<LatencyRow> {
    let of_kind: Vec<&TracedRequest<'_>> =
        told.iter().filter(|told| kind == "all" || told.kind() == kind).collect();
    let total = distribution(of_kind.iter().map(|told| told.latency.0).collect())?;
    let mut by_stage: BTreeMap<Stage, Vec<u64>> = BTreeMap::new();
    for (stage, took) in of_kind.iter().flat_map(|told| told.stages.each()) {
        let times = by_stage.entry(stage).or_insert_with(|| Vec::with_capacity(of_kind.len()));
        times.push(took as u64);
    }
    let stages = by_stage.into_iter().filter_map(|(stage, mut times)| {
        // Requests without this hop spent no time in it.
        times.resize(of_kind.len(), 0);
        Some(StageRow { stage: stage.to_string(), time: distribution(times)? })
    });
    Some(LatencyRow { kind, count: of_kind.len() as u64, total, stages: stages.collect() })
}

/// The place of the quantile `q` among `count` sorted values.
fn place_of(count: usize, q: f64) -> usize {
    ((count as f64 * q) as usize).min(count.saturating_sub(1))
}

/// The distribution of `times`; `None` if there are none. As in the course, the median is the
/// element `len / 2`.
fn distribution(mut times: Vec<u64>) -> Option<Distribution> {
    let count = times.len();
    let max_us = times.iter().copied().max()?;
    let mean_us = times.iter().sum::<u64>() as f64 / count as f64;
    // Each quantile is looked for among the values below the one above it: no sorting is needed.
    let mut below = &mut times[..];
    let mut quantile = |q| {
        let place = place_of(count, q);
        let (_, value, _) = below.select_nth_unstable(place);
        let value = *value;
        below = &mut std::mem::take(&mut below)[..=place];
        value
    };
    let (p99_us, p90_us, p50_us) = (quantile(0.99), quantile(0.9), quantile(0.5));
    Some(Distribution { mean_us, p50_us, p90_us, p99_us, max_us })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::budget::message::Sending;
    use crate::budget::phases::Phase;
    use crate::interface::{Address, OperationKind};
    use crate::raft::{Cause, Why};

    fn hop(at: u64, received_at: u64, before: Option<Rc<Hop>>) -> Option<Rc<Hop>> {
        let sending = Sending {
            at: Micros(at),
            number: 1,
            kind: Kind::Append,
            why: Why::Own(Cause::Replicate),
            term: 1,
            first: 1,
            entries: 1,
            bytes: 1,
            phase: Phase::Steady,
        };
        let (from, to, received_at) = (Member(0), Member(1), Micros(received_at));
        Some(Rc::new(Hop { from, to, sending, received_at, before }))
    }

    fn trace(times: [u64; 8], place: (Term, Index)) -> Trace {
        let [asked, taken, batched, sent, there, back, committed, answered] = times;
        Trace {
            asked_at: Micros(asked),
            asked_of: Member(0),
            answered_at: Micros(answered),
            answered_by: Member(0),
            outcome: AnswerKind::Ok,
            place,
            taken_at: Some(Micros(taken)),
            batched_at: Some(Micros(batched)),
            answer: hop(there, back, hop(sent, there, None)),
            committed_at: Some(Micros(committed)),
        }
    }

    #[test]
    fn each_stage_takes_what_lies_between_its_milestones() {
        let trace = trace([110, 125, 130, 131, 160, 200, 250, 250], (1, 1));
        let stages = Stages::of(Micros(100), &trace, Micros(270));
        let wanted = Stages {
            request: 10,
            queued: 15,
            batched: 5,
            hops: vec![29, 40],
            quorum_wait: 51,
            applied: 0,
            answered: 20,
        };
        assert_eq!(stages, wanted);
    }

    /// The way by which a read was proved, if member 1 takes in a message of this kind at 50, then
    /// begins the steps that are told, and answers at 60 what it was asked at `asked_at`.
    fn proved(kind: Kind, asked_at: u64, steps: usize, outcome: AnswerKind) -> bool {
        let by = Member(1);
        let mut requests = Requests::new(3);
        let record = |at, fact| Record { at: Micros(at), source: by, fact };
        let (client, request) = (Address(0x100), 7);
        let operation = OperationKind::Get;
        let led = Leaderships::new(3);
        requests.record(&record(asked_at, Fact::Asked { client, request, operation }), &led);
        let taken_in = hop(40, 50, None).unwrap();
        let sending = Sending { kind, ..taken_in.sending };
        requests.on_delivery(&Rc::new(Hop { sending, ..(*taken_in).clone() }));
        (0..steps).for_each(|_| requests.begin_step(by));
        let (index, term) = (0, 0);
        let answered = Fact::Answered { client, request, outcome, index, term };
        requests.record(&record(60, answered), &led);
        requests.traces[0].0.answer.is_some()
    }

    /// Only the answer to an append that begins the step can have released a read, and only one
    /// that has waited.
    #[test]
    fn a_read_was_proved_by_the_acknowledgement_in_whose_step_it_is_answered() {
        let ok = AnswerKind::Ok;
        assert!(proved(Kind::AppendReply, 45, 0, ok));
        assert!(!proved(Kind::AppendReply, 45, 1, ok), "it waited for something else");
        assert!(!proved(Kind::VoteReply, 45, 0, ok));
        assert!(!proved(Kind::AppendReply, 55, 0, ok), "it was asked later");
        assert!(!proved(Kind::AppendReply, 45, 0, AnswerKind::Redirect), "it was sent on");
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_times(
            times in prop::collection::vec(0..50u64, 0..300),
        ) {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let at = |q| sorted[place_of(sorted.len(), q)];
            let wanted = sorted.last().map(|max_us| (at(0.5), at(0.9), at(0.99), *max_us));
            let seen = distribution(times).map(|d| (d.p50_us, d.p90_us, d.p99_us, d.max_us));
            prop_assert_eq!(seen, wanted);
        }

        /// This holds for any order of the milestones, also with clocks that disagree.
        #[test]
        fn stages_add_up_to_the_latency(
            times in prop::array::uniform8(0..1_000u64),
            index in 0..2u64,
            invoked in 0..1_000u64,
            latency in 0..1_000u64,
        ) {
            let answered = Micros(invoked + latency);
            let stages = Stages::of(Micros(invoked), &trace(times, (1, index)), answered);
            prop_assert!(stages.each().all(|(_, took)| took >= 0));
            prop_assert_eq!(stages.each().map(|(_, took)| took).sum::<i64>(), latency as i64);
        }
    }
}
