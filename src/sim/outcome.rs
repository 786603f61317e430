//! A run judged as a whole: the course's checks and ours, the message table and the books. `--json`
//! prints it and `run.json` holds it; `laconic sim --help` lists the keys.

use serde::Serialize;

use super::books::Balance;
use super::course::score::{Check, Conclusion, GENERATION_CHECK};
use super::fold::RunFold;
use super::history::{self, Fault, HistoryVerdict};
use super::ideal_store;
use super::scenario::Scenario;
use super::virtual_time::VirtualRun;
use crate::budget::why_words;
use crate::raft::invariants::Broken;
use crate::raft::{Cause, Kind, Member, Micros, Why};
use crate::record::Record;

/// Version of the JSON schema.
pub const SCHEMA: u32 = 3;

/// How a run was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setup {
    /// `virtual` or `real`.
    pub engine: &'static str,
    /// `course` (the 100 ms poll) or `precise`.
    pub timing: &'static str,
    /// The profile's name, or the foreign program's. For a file, its name without the folder.
    pub profile: String,
    /// Whether the replicas are a foreign program, whose messages have no known causes.
    pub foreign: bool,
}

/// A row of the message table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The messages' kind.
    pub kind: String,
    /// Why they were sent, as records have it; empty if that is not known.
    pub why: String,
    /// The cause that they are charged to. An answer is charged to the cause of what it answers.
    /// Empty if that is not known.
    pub cause: String,
    /// Why they were sent, in words.
    #[serde(skip)]
    pub words: String,
    /// Number of messages, one for each receiver.
    pub count: u64,
}

/// The message table, and the numbers that must agree with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Messages {
    /// The rows, by kind and cause.
    pub table: Vec<Row>,
    /// The sum of the rows: messages that the replicas sent, by their own records.
    pub total: u64,
    /// Messages that the simulator counted, from the datagrams that it read.
    pub counted: u64,
    /// Messages that lay unread in the simulator's sockets at their close.
    pub unread: u64,
    /// Messages that the kernel lost.
    pub lost: u64,
    /// Puts that took effect and were answered.
    pub committed_puts: u64,
    /// Batches that leaders sent.
    pub batches: u64,
    /// Messages that took batches to their quorums: `replicate`, its relays and its acks.
    pub batch_messages: u64,
    /// Resend timeouts.
    pub resend_timeouts: u64,
    /// Elections won.
    pub elections: u64,
    /// Datagrams that replicas dropped because they could not use them.
    pub garbage: u64,
}

/// A run with its verdict.
#[derive(Clone, Debug, Serialize)]
pub struct RunOutcome {
    /// Version of the JSON schema.
    pub schema: u32,
    /// How the run was done.
    #[serde(flatten)]
    pub setup: Setup,
    /// Whether every check passed.
    pub passed: bool,
    /// Whether the only failed check is one that nobody can pass with this seed: the clients' draws
    /// generated too few gets, even for a store that answers at once.
    pub failed_by_chance_alone: bool,
    /// The simulator's judgement.
    #[serde(flatten)]
    pub conclusion: Conclusion,
    /// The message table.
    pub messages: Messages,
    /// Why the history is not linearizable, one line for each key; empty if it is.
    pub faults: Vec<String>,
    /// What is worth a remark though it fails no check.
    pub remarks: Vec<String>,
}

/// What an engine hands over at the end of a run.
#[derive(Debug)]
pub struct RunMeasurements {
    /// The simulator's judgement.
    pub conclusion: Conclusion,
    /// What the replicas' records show; empty for foreign replicas.
    pub fold: RunFold,
    /// The books, by replica; empty for foreign replicas.
    pub balances: Vec<Balance>,
    /// The first invariant that broke, and when. The outer `None`: not checked, as in a real run.
    pub invariants: Option<Option<(Micros, Broken)>>,
    /// Messages by their `type`, for foreign replicas.
    pub by_type: Vec<(String, u64)>,
}

impl RunMeasurements {
    /// What a virtual run hands over, and its records if they were kept in memory.
    pub fn of_virtual(run: VirtualRun) -> (RunMeasurements, Vec<Record>) {
        let VirtualRun { conclusion, fold, balances, broken, records, .. } = run;
        let invariants = Some(broken);
        (RunMeasurements { conclusion, fold, balances, invariants, by_type: Vec::new() }, records)
    }
}

/// Judges a run.
pub fn judge(scenario: &Scenario, setup: Setup, evidence: RunMeasurements) -> RunOutcome {
    let RunMeasurements { mut conclusion, fold, balances, invariants, by_type } = evidence;
    let verdict = history::judge(&conclusion.history);
    let (check, remark) = check_history(&verdict, conclusion.history.len(), setup.foreign);
    conclusion.checks.push(check);
    if let Some(broken) = invariants {
        let detail = broken.as_ref().map(|(at, broken)| format!("at {at} s: {broken}"));
        conclusion.checks.push(Check {
            name: "Raft's invariants hold after every step",
            passed: broken.is_none(),
            detail: detail.unwrap_or_else(|| "none broken".into()),
        });
    }
    if !setup.foreign {
        conclusion.checks.push(check_early(&fold));
        conclusion.checks.push(check_books(&balances));
    }
    let failed: Vec<&str> =
        conclusion.checks.iter().filter(|check| !check.passed).map(|check| check.name).collect();
    let messages = messages(&conclusion, &fold, &balances, by_type);
    RunOutcome {
        schema: SCHEMA,
        passed: failed.is_empty(),
        failed_by_chance_alone: failed == [GENERATION_CHECK]
            && ideal_store::fails_generation(scenario, conclusion.seed),
        setup,
        conclusion,
        messages,
        faults: verdict.faults.iter().map(|(key, fault)| format!("key {key}: {fault}")).collect(),
        remarks: remark.into_iter().collect(),
    }
}

/// The check that the history is linearizable. For a foreign replica, a violation of rule R1 alone
/// is only a remark: the course's own rules do not say what a redirected put may do.
fn check_history(
    verdict: &HistoryVerdict,
    operations: usize,
    foreign: bool,
) -> (Check, Option<String>) {
    let keys = verdict.faults.len();
    let refused = |fault: &Fault| matches!(fault, Fault::RefusedTookEffect { .. });
    let forgiven = foreign && keys > 0 && verdict.faults.iter().all(|(_, fault)| refused(fault));
    let check = Check {
        name: "the history is linearizable",
        passed: verdict.is_linearizable() || forgiven,
        detail: match keys {
            0 => format!("{operations} operations"),
            1 => "1 key cannot be explained".to_owned(),
            _ => format!("{keys} keys cannot be explained"),
        },
    };
    let remark =
        "puts that were redirected or failed took effect: no rule of the course's".to_owned();
    (check, forgiven.then_some(remark))
}

fn check_early(fold: &RunFold) -> Check {
    let first = fold.early.first().map(|early| {
        format!(
            "request {:016x} at {} s by rank {}, held by {} others; {} in all",
            early.request,
            early.at,
            early.by.0,
            early.holders,
            fold.early.len()
        )
    });
    Check {
        name: "each put's ok came after f others had recorded it",
        passed: first.is_none(),
        detail: first.unwrap_or_else(|| format!("{} puts", fold.committed_puts)),
    }
}

fn check_books(balances: &[Balance]) -> Check {
    let uneven = balances.iter().enumerate().find(|(_, balance)| !balance.is_even());
    let detail = uneven.map(|(rank, b)| {
        format!(
            "replica {} sent {}, but {} were counted, {} unread, {} lost",
            Member(rank as u8),
            b.sent,
            b.counted,
            b.unread,
            b.lost
        )
    });
    Check {
        name: "the books balance",
        passed: uneven.is_none(),
        detail: detail.unwrap_or_else(|| "sent = counted + unread + lost".into()),
    }
}

fn messages(
    conclusion: &Conclusion,
    fold: &RunFold,
    balances: &[Balance],
    by_type: Vec<(String, u64)>,
) -> Messages {
    let known = fold.table.rows().map(|(kind, why, count)| Row {
        kind: kind.name().to_owned(),
        why: why.to_string(),
        cause: why.cause().name().to_owned(),
        words: why_words(why),
        count,
    });
    let foreign = by_type.into_iter().map(|(kind, count)| {
        let (why, cause, words) = Default::default();
        Row { kind, why, cause, words, count }
    });
    let table: Vec<Row> = known.chain(foreign).collect();
    let batch = [
        (Kind::Append, Why::Own(Cause::Replicate)),
        (Kind::Append, Why::Relay(Cause::Replicate)),
        (Kind::AppendReply, Why::Ack(Cause::Replicate)),
    ];
    Messages {
        total: table.iter().map(|row| row.count).sum(),
        table,
        counted: conclusion.counts.messages,
        unread: balances.iter().map(|balance| balance.unread).sum(),
        lost: balances.iter().map(|balance| balance.lost).sum(),
        committed_puts: fold.committed_puts,
        batches: fold.batches,
        batch_messages: batch.iter().map(|(kind, why)| fold.table.count(*kind, *why)).sum(),
        resend_timeouts: fold.resend_timeouts,
        elections: fold.elections,
        garbage: fold.garbage,
    }
}
