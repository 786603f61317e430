//! The result of a run's analysis: the one set of numbers that terminal, Markdown, HTML and JSON
//! show. `laconic budget --format json` prints it with these fields, so this page documents that
//! schema. Times are microseconds on the run's clock, replicas are ranks.

mod change;
mod rerun;

use serde::Serialize;
use serde_json::Value;

pub use change::Change;
pub use rerun::{FailedCheck, Recommendation, Spread, Verification, VerifiedRow};

/// Version of the schema. It rises when a field changes its meaning or is removed.
pub const SCHEMA: u32 = 4;

/// The analysis of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BudgetReport {
    /// Version of the schema.
    pub schema: u32,
    /// Version of the program that analysed.
    pub laconic_version: &'static str,
    /// The run that was analysed.
    pub run: RunSummary,
    /// The three figures, each beside its floor.
    pub figures: Vec<Figure>,
    /// What the same arrivals would have cost, from the provable least to textbook Raft.
    pub references: Vec<Reference>,
    /// Messages by kind and cause.
    pub table: Vec<TableRow>,
    /// Whether every message is accounted for (design §5, numbered datagrams).
    pub books: Books,
    /// Messages and time by phase.
    pub phases: Vec<PhaseRow>,
    /// Messages by their fate.
    pub fates: Vec<FateRow>,
    /// Names of the causes, in the order in which `seconds` counts them.
    pub causes: Vec<&'static str>,
    /// Messages sent in each second of the run, by the cause they are charged to.
    pub seconds: Vec<Vec<u64>>,
    /// Messages by sender and receiver.
    pub links: Vec<LinkRow>,
    /// Elections and faults.
    pub events: Vec<EventRow>,
    /// What the replicas' controllers decided, by time.
    pub decisions: Vec<DecisionRow>,
    /// How many decisions the run has beyond these.
    pub decisions_left_out: u64,
    /// Where the time of answered requests went, for each kind of request.
    pub latency: Vec<LatencyRow>,
    /// The request at the 99th percentile, told as a story; none if nothing was answered.
    pub story: Option<RequestStory>,
    /// Messages of a batch against its delay.
    pub trade_off: TradeOff,
    /// What a longer linger would have merged.
    pub linger: Vec<LingerPoint>,
    /// What could be saved, and by which knob.
    pub findings: Vec<Finding>,
    /// Limits that the scenario or the profile states, and what the run spent.
    pub limits: Vec<LimitRow>,
    /// Messages one by one, for the space-time diagram.
    pub space_time: SpaceTime,
    /// What reruns showed about the findings' expectations, if reruns were asked for.
    pub verification: Option<Verification>,
}

/// The run that was analysed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of its random draws.
    pub seed: u64,
    /// `virtual` or `real`.
    pub engine: String,
    /// `course` or `precise`.
    pub timing: String,
    /// The tuning profile's name.
    pub profile: String,
    /// Number of replicas.
    pub replicas: usize,
    /// How long the run lasted.
    pub duration_us: u64,
    /// Probability that a delivery between replicas was lost.
    pub drops: f64,
    /// All messages between replicas, one for each receiver.
    pub messages: u64,
    /// Length of their datagrams, in bytes.
    pub bytes: u64,
    /// Puts that took effect and were answered.
    pub puts: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Batches that leaders sent.
    pub batches: u64,
    /// Elections won.
    pub elections: u64,
    /// Time in which no living replica led, the start included.
    pub leaderless_us: u64,
    /// How the run was judged; none if it was killed before that.
    pub verdict: Option<RunVerdict>,
    /// The command line that repeats the run. Scenario and profile files of the user's own are
    /// named without their folder.
    pub command: String,
    /// Version of the program that ran it.
    pub ran_by: String,
    /// The run's knobs that differ from those of the profile `course`.
    pub knobs: Vec<ChangedKnob>,
    /// What could not be read, one line each; empty if the analysis covers the whole run.
    pub problems: Vec<String>,
}

/// A knob whose value differs from that in the profile `course`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangedKnob {
    /// The knob's name in a profile.
    pub knob: String,
    /// Its value in the profile `course`.
    pub course: Value,
    /// Its value in the run.
    pub run: Value,
}

/// How a run was judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunVerdict {
    /// Whether every check passed.
    pub passed: bool,
    /// Whether the run was interrupted and judged by what it had shown until then.
    pub interrupted: bool,
    /// The checks that it failed.
    pub failed_checks: Vec<String>,
    /// The tier of each benchmark: 0 bonus, 1 full, 2 partial, 3 none. Tiers count only if the run
    /// passed.
    pub tiers: Vec<(String, u8)>,
    /// Requests without an answer.
    pub unanswered: u64,
}

/// A published figure: messages per commit, messages per read, idle messages per second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// `messages_per_commit`, `messages_per_read` or `idle_messages_per_second`.
    pub name: &'static str,
    /// The figure's name for people.
    pub title: &'static str,
    /// The measured value; none where there is too little to say.
    pub value: Option<f64>,
    /// The provable least, if those notice a dead leader in time whom the run's knobs keep hearing;
    /// none where `value` is none.
    pub floor: Option<f64>,
    /// The provable least, if f watchers do, which is enough; none where `value` is none.
    pub watched_floor: Option<f64>,
    /// `value` over `floor`; none where the floor is 0.
    pub ratio: Option<f64>,
    /// What the floor assumes, in words.
    pub floor_means: String,
    /// By how much the value exceeds the floor, split by the causes that the messages are charged
    /// to, largest first, in the figure's own unit.
    pub excess: Vec<CauseShare>,
}

/// A share of a figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CauseShare {
    /// The cause's name.
    pub cause: &'static str,
    /// The cause's share, in the figure's unit.
    pub value: f64,
}

/// What the same arrivals would have cost with another plan or protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reference {
    /// `floor_watchers`, `floor_wait`, `floor_delay`, `floor_loss`, `floor_simulator`,
    /// `thrifty_star` or `textbook`.
    pub name: &'static str,
    /// The reference's name for people.
    pub title: String,
    /// Messages in the whole run.
    pub messages: f64,
    /// Messages for each committed put; none without puts.
    pub per_put: Option<f64>,
    /// The run's messages divided by these; none if these are 0.
    pub ratio: Option<f64>,
    /// What the number assumes, as a sentence.
    pub premise: String,
}

/// Messages of one kind and cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableRow {
    /// The messages' kind.
    pub kind: &'static str,
    /// Why they were sent, as records have it: `replicate`, `relay`, `ack{of: replicate}`.
    pub why: String,
    /// The same in people's words: `yes to replicate`.
    pub words: String,
    /// How they serve the cause: `own`, `relay`, `ack` or `reject`.
    pub form: &'static str,
    /// The cause that they are charged to. An answer is charged to the cause of what it answers.
    pub cause: &'static str,
    /// Number of messages.
    pub count: u64,
    /// Length of their datagrams, in bytes.
    pub bytes: u64,
    /// Their share of all messages, 0 to 1.
    pub share: f64,
    /// Messages for each committed put; none without puts.
    pub per_put: Option<f64>,
}

/// The balance: sent = counted + unread + lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Messages that the replicas sent, by their own records.
    pub sent: u64,
    /// Messages that the simulator counted itself, from the datagrams that it read.
    pub counted: u64,
    /// Messages that lay unread in the simulator's sockets when they were closed.
    pub unread: u64,
    /// Messages that the kernel lost on the way to the simulator.
    pub lost: u64,
    /// Where the numbers do not balance, one line each.
    pub faults: Vec<String>,
}

/// Messages and time of one phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PhaseRow {
    /// `start`, `steady`, `election`, `partitioned` or `recovering`.
    pub phase: &'static str,
    /// How long the phase lasted in all.
    pub duration_us: u64,
    /// Messages sent in the phase.
    pub messages: u64,
    /// These messages by cause, in the order of `causes`.
    pub by_cause: Vec<u64>,
}

/// Messages with the same fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FateRow {
    /// `delivered`, `stale`, `duplicate`, `implausible`, `dropped`, `cut_off`, `dead`, `blocked`,
    /// `unread_by_receiver`, `unread_by_simulator` or `lost_in_socket`.
    pub fate: &'static str,
    /// Number of messages.
    pub count: u64,
    /// Length of their datagrams, in bytes.
    pub bytes: u64,
    /// These messages by cause, in the order of `causes`.
    pub by_cause: Vec<u64>,
}

/// Messages from one replica to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkRow {
    /// The sender's rank.
    pub from: u8,
    /// The receiver's rank.
    pub to: u8,
    /// Messages that the sender recorded.
    pub sent: u64,
    /// Length of their datagrams, in bytes.
    pub bytes: u64,
    /// Messages that the simulator routed.
    pub counted: u64,
    /// Messages that lay unread in the simulator's socket at its close.
    pub unread: u64,
    /// Messages that the kernel lost on the way to the simulator.
    pub lost: u64,
    /// Messages that the receiver recorded.
    pub received: u64,
}

/// Something that happened to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// When it happened.
    pub at_us: u64,
    /// `leader`, `stepped_down`, `killed`, `ended`, `partitioned`, `healed` or `retuned`.
    pub kind: &'static str,
    /// The replica, if it is about one.
    pub member: Option<u8>,
    /// What happened, in words.
    pub text: String,
}

/// A knob that a replica's controller turned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionRow {
    /// When it was turned.
    pub at_us: u64,
    /// The replica.
    pub member: u8,
    /// Whether the replica led at some time of the run.
    pub led: bool,
    /// The knob's name, as in a profile.
    pub knob: &'static str,
    /// The knob's value before, as in a profile.
    pub before: Value,
    /// The knob's value from then on.
    pub after: Value,
    /// What the decision follows: `always`, `arrivals`, `loss` or `round_trip`.
    pub reason: &'static str,
    /// What was measured of that, as records have it.
    pub measured: u64,
    /// Both in words.
    pub because: String,
}

/// Where the time of requests of one kind went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyRow {
    /// `all`, `put`, `get`, or `sent on`: a request answered `redirect` or `fail`.
    pub kind: &'static str,
    /// Requests answered.
    pub count: u64,
    /// The whole latency, from the client's sending until it reads the answer.
    pub total: Distribution,
    /// The stages of the latency, in order. Their means add up to that of `total`.
    pub stages: Vec<StageRow>,
}

/// One stage of a latency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageRow {
    /// `request`, `queued`, `batched`, `hop 1` and so on, `quorum wait`, `applied`, `answered`.
    pub stage: String,
    /// The stage's time over all requests of the kind; 0 for requests that skip the stage.
    pub time: Distribution,
}

/// A distribution of times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distribution {
    /// Mean.
    pub mean_us: f64,
    /// Median.
    pub p50_us: u64,
    /// 90th percentile.
    pub p90_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// Largest.
    pub max_us: u64,
}

/// A request's way through the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestStory {
    /// The request's name in the records.
    pub request: String,
    /// Time from the client's sending until it reads the answer.
    pub latency_us: u64,
    /// Name and duration of each stage. They add up to the latency.
    pub stages: Vec<(String, i64)>,
    /// The story in sentences.
    pub lines: Vec<String>,
}

/// Messages of a batch against one-way delays until its commit, counted as hops.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TradeOff {
    /// f: how many others make a quorum together with the leader.
    pub others_needed: u64,
    /// The floor: `[d, f + ceil(f / (d - 1))]` for d from 2 to f + 1.
    pub floor: Vec<(u64, u64)>,
    /// The median one-way delay of the run; 0 if unknown.
    pub one_way_us: u64,
    /// Batches: `[hops, messages, batches]`. The hops are those of the longest way on which the f
    /// others acknowledged the batch before its commit. The messages are those sent for the batch
    /// and those on these ways. A message that served several batches counts for each, so no point
    /// is below the floor.
    pub points: Vec<(u64, u64, u64)>,
}

/// What a linger would have done to the batches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LingerPoint {
    /// The linger, in microseconds.
    pub linger_us: u64,
    /// Batches that the same arrivals would have made.
    pub batches: u64,
    /// Messages saved.
    pub messages_saved: f64,
    /// Mean wait added to a put.
    pub added_wait_us: f64,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingVerdict {
    /// There is something to save, or to repair.
    Found,
    /// There is nothing to save.
    Nothing,
    /// The run is too short or too quiet to tell.
    TooLittle,
}

/// The result of one check in words and numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Its name, as in `needless_heartbeats`.
    pub name: &'static str,
    /// The finding's name for people.
    pub title: &'static str,
    /// The result.
    pub verdict: FindingVerdict,
    /// The result in whole sentences.
    pub summary: String,
    /// The numbers that it depends on.
    pub numbers: Vec<Number>,
    /// What to turn, if a knob helps: one knob, and others that must change with it because of
    /// limits.
    pub changes: Vec<Change>,
    /// Messages that the change is expected to save in this run; 0 if nothing can be saved.
    pub expected_saving: f64,
}

/// A number behind a finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Number {
    /// The number's name.
    pub name: &'static str,
    /// The number's value.
    pub value: f64,
    /// The number's unit.
    pub unit: &'static str,
    /// The value with its unit, in words.
    pub text: String,
}

/// A limit, and what the run spent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitRow {
    /// The limit's key under `budget`.
    pub name: &'static str,
    /// Where it is stated: `scenario` or `profile`.
    pub stated_by: &'static str,
    /// The limit's value.
    pub allowed: f64,
    /// What the run spent; none where there is too little to say, and then it exceeds nothing.
    pub spent: Option<f64>,
    /// Whether more was spent than is allowed.
    pub exceeded: bool,
}

/// Messages one by one, for the space-time diagram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpaceTime {
    /// The sorts of messages: `[kind, purpose in words, form]`, where the form is `own`, `relay`,
    /// `ack` or `reject`.
    pub sorts: Vec<(&'static str, String, &'static str)>,
    /// The messages, by time of sending.
    pub messages: Vec<Traveller>,
    /// Answers that clients got: `[at_us, replica, ok]`.
    pub answers: Vec<(u64, u8, bool)>,
    /// How many messages the run has beyond these.
    pub left_out: u64,
}

/// A message from its sending to its end. In JSON it is `[sent_at_us, from, to, ended_at_us, lost,
/// cause, sort, fate, term, first, entries, before]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traveller {
    /// When it was sent.
    pub sent_at_us: u64,
    /// The sender's rank.
    pub from: u8,
    /// The receiver's rank.
    pub to: u8,
    /// When the receiver got it or, if `lost`, when it was last seen.
    pub ended_at_us: u64,
    /// Whether the receiver did not get it; in JSON 1 or 0.
    pub lost: bool,
    /// Its place in `causes`.
    pub cause: u8,
    /// Its place in `sorts`.
    pub sort: u16,
    /// Its place in `fates`.
    pub fate: u8,
    /// The term it names.
    pub term: u64,
    /// First index carried; for an answer, the last index of what it answers.
    pub first: u64,
    /// Number of entries carried.
    pub entries: u32,
    /// The place in `messages` of the message that it answers or passes on; in JSON -1 if there is
    /// none, or if it is left out.
    pub before: Option<u32>,
}

impl Serialize for Traveller {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let before = self.before.map_or(-1, i64::from);
        let Traveller { sent_at_us, from, to, ended_at_us, cause, sort, fate, .. } = *self;
        let Traveller { term, first, entries, .. } = *self;
        let lost = u8::from(self.lost);
        (sent_at_us, from, to, ended_at_us, lost, cause, sort, fate, term, first, entries, before)
            .serialize(serializer)
    }
}
