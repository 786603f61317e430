//! Whether a run was right: invariants, answers, books, and that it recovered from its faults.

use std::collections::BTreeSet;
use std::fmt;

use strum::{EnumString, IntoStaticStr};

use super::case::Case;
use crate::interface::Text;
use crate::raft::invariants::Broken;
use crate::raft::tuning::ResendFrom;
use crate::raft::{Micros, Raft, Tuning};
use crate::sim::course::Life;
use crate::sim::course::incoming::Incorrect;
use crate::sim::course::score::Unanswered;
use crate::sim::history::{self, Action, ClientOperation, Fault};
use crate::sim::virtual_time::{VirtualRun, true_time};

/// What kind of thing was wrong. A run that is made smaller must keep the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ViolationKind {
    /// Two leaders in one term.
    ElectionSafety,
    /// Two logs with different entries of one term at one index.
    LogMatching,
    /// A leader without a committed entry.
    LeaderCompleteness,
    /// Two different entries committed at one index.
    StateMachineSafety,
    /// A committed entry was cut off.
    CommittedTruncated,
    /// A member voted for two candidates of one term.
    VotedTwice,
    /// A leader without the votes of a majority.
    TooFewVotes,
    /// A member voted or campaigned while its promise was in force (rule R7).
    PromiseBroken,
    /// A leader committed what ends in an entry of an earlier term.
    OldTermCounted,
    /// A leader counted a follower for entries that this one does not hold (rule R13).
    NotHeld,
    /// A leader dated a follower by a round that this one has not accepted (rules R9, R32).
    RoundNotAccepted,
    /// A leader could read under a lease behind which no majority's promises stood (rule R31).
    LeaseWithoutPromises,
    /// A get brought an old value, or no order of the operations explains the answers.
    NotLinearizable,
    /// A get brought a value that nobody had put by then.
    NeverWritten,
    /// A put that was refused took effect (rule R1).
    RefusedTookEffect,
    /// The search for an order of the operations was given up.
    Undecided,
    /// A client got an answer that the interface calls incorrect.
    IncorrectMessage,
    /// A put was answered `ok` before f others had it.
    EarlyOk,
    /// A put was refused while it could still take effect (rule R1).
    EarlyRefusal,
    /// A replica that did not lead answered a put with `ok` (rule R2).
    UnledOk,
    /// A replica answered a request twice.
    AnsweredTwice,
    /// What a replica sent is not what was counted, left unread and lost.
    Books,
    /// A replica ended that nothing had killed.
    Ended,
    /// A request that must be answered was not.
    Unanswered,
    /// Logs of living replicas differ at the end.
    LogsDiffer,
    /// A replica panicked.
    Panicked,
}

impl ViolationKind {
    /// The kind's name in results.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What was wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What kind of thing.
    pub kind: ViolationKind,
    /// When it was seen, if that was before the end.
    pub at: Option<Micros>,
    /// What exactly, in one line.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.name())?;
        if let Some(at) = self.at {
            write!(f, " at {at} s")?;
        }
        write!(f, ": {}", self.detail)
    }
}

fn violation(kind: ViolationKind, detail: impl ToString) -> Violation {
    Violation { kind, at: None, detail: detail.to_string() }
}

/// Where values can be longer than this, in bytes, a socket holds few messages.
const LONG_VALUE: u64 = 2_000;

/// A resend that comes sooner than this, in microseconds, comes before an answer where ten clients
/// keep the simulator busy: a turn takes it some 150.
const SOON_US: u64 = 3_000;

/// Judges a run of `case`. Returns whether reads were old, where leases have no ground.
///
/// # Errors
/// The first thing that is wrong: safety first, then what rests on it.
pub fn judge(case: &Case, run: &VirtualRun) -> Result<bool, Violation> {
    if let Some((at, broken)) = &run.broken {
        return Err(Violation { kind: kind_of(broken), at: Some(*at), detail: broken.to_string() });
    }
    let stale = judge_history(case, run)?;
    judge_messages(run)?;
    if case.is_fair() {
        judge_recovery(case, run)?;
    }
    Ok(stale)
}

const fn kind_of(broken: &Broken) -> ViolationKind {
    match broken {
        Broken::TwoLeaders { .. } => ViolationKind::ElectionSafety,
        Broken::LogMatching { .. } => ViolationKind::LogMatching,
        Broken::LeaderCompleteness { .. } => ViolationKind::LeaderCompleteness,
        Broken::StateMachineSafety { .. } => ViolationKind::StateMachineSafety,
        Broken::TruncatedCommitted { .. } => ViolationKind::CommittedTruncated,
        Broken::VotedTwice { .. } => ViolationKind::VotedTwice,
        Broken::TooFewVotes { .. } => ViolationKind::TooFewVotes,
        Broken::Promise { .. } => ViolationKind::PromiseBroken,
        Broken::OldTermCounted { .. } => ViolationKind::OldTermCounted,
        Broken::NotHeld { .. } => ViolationKind::NotHeld,
        Broken::RoundNotAccepted { .. } => ViolationKind::RoundNotAccepted,
        Broken::LeaseWithoutPromises { .. } => ViolationKind::LeaseWithoutPromises,
    }
}

/// Whether the answers can be explained. Where leases have no ground, reads may be old, and nothing
/// else may be wrong. Returns whether one was.
fn judge_history(case: &Case, run: &VirtualRun) -> Result<bool, Violation> {
    let verdict = history::judge(&run.conclusion.history);
    let mut stale = false;
    for (key, fault) in &verdict.faults {
        let kind = match fault {
            Fault::RefusedTookEffect { .. } => ViolationKind::RefusedTookEffect,
            Fault::NeverWritten { .. } => ViolationKind::NeverWritten,
            Fault::Overwritten { .. } | Fault::Stuck { .. } => ViolationKind::NotLinearizable,
            Fault::Undecided { .. } => ViolationKind::Undecided,
        };
        if case.breaks_leases() && may_be_an_old_read(fault, &run.conclusion.history) {
            stale = true;
            continue;
        }
        let detail = format!("key {key}: {fault}");
        return Err(Violation { kind, at: fault.seen_at(), detail });
    }
    if stale && case.scenario.shared_keys {
        judge_refused(&run.conclusion.history)?;
    }
    Ok(stale)
}

/// Whether an old read alone can explain `fault`. A put that was refused is asked again with the
/// same value, so an old read of that value looks as if the refused put had taken effect.
fn may_be_an_old_read(fault: &Fault, history: &[ClientOperation]) -> bool {
    match fault {
        Fault::Overwritten { .. } | Fault::Stuck { .. } => true,
        Fault::RefusedTookEffect { get, .. } => was_asked_again(history, get),
        Fault::NeverWritten { .. } | Fault::Undecided { .. } => false,
    }
}

/// That no get brought the value of a refused put (rule R1), in a history that has no explanation
/// anyway. Each value occurs once.
fn judge_refused(history: &[ClientOperation]) -> Result<(), Violation> {
    let value_of = |operation: &ClientOperation| match &operation.action {
        Action::Put { value } => Some(value.clone()),
        Action::Get { value } => value.clone(),
    };
    let refused: BTreeSet<Text> =
        history.iter().filter(|one| one.is_refused_put()).filter_map(value_of).collect();
    let is_of_refused = |operation: &&ClientOperation| match &operation.action {
        Action::Get { value: Some(value) } => refused.contains(value),
        _ => false,
    };
    match history.iter().find(is_of_refused) {
        // The same value can have been put again after the refusal.
        Some(get) if !was_asked_again(history, get) => {
            Err(violation(ViolationKind::RefusedTookEffect, get))
        }
        _ => Ok(()),
    }
}

/// Whether a put of the value that `get` brought was also sent without being refused.
fn was_asked_again(history: &[ClientOperation], get: &ClientOperation) -> bool {
    let Action::Get { value: Some(wanted) } = &get.action else {
        return false;
    };
    history.iter().any(|one| {
        !one.is_refused_put() && matches!(&one.action, Action::Put { value } if value == wanted)
    })
}

/// Whether what replicas sent is right.
fn judge_messages(run: &VirtualRun) -> Result<(), Violation> {
    // The course's check compares a get with the value that its client had acknowledged last when
    // the answer comes. Here messages can be late, so a put that was asked after the get can be
    // acknowledged before it. The check of the history, which has passed, accepts that.
    let by_order_alone = |what: &Incorrect| matches!(what, Incorrect::WrongValue { .. });
    let mut incidents = run.conclusion.incidents.iter();
    if let Some(incident) = incidents.find(|incident| !by_order_alone(&incident.what)) {
        return Err(Violation {
            kind: ViolationKind::IncorrectMessage,
            at: Some(incident.at),
            detail: format!("from {:04X}: {}", incident.from.0, incident.what),
        });
    }
    if let Some(early) = run.fold.early.first() {
        return Err(Violation {
            kind: ViolationKind::EarlyOk,
            at: Some(early.at),
            detail: format!("{early:?}"),
        });
    }
    if let Some(early) = run.fold.early_refusal {
        return Err(Violation {
            kind: ViolationKind::EarlyRefusal,
            at: Some(early.at),
            detail: format!("{early:?}"),
        });
    }
    if let Some((at, by)) = run.fold.unled {
        let detail = format!("{by:?}");
        return Err(Violation { kind: ViolationKind::UnledOk, at: Some(at), detail });
    }
    // Two leaders may answer the same put (rule R3), but one replica knows what it has answered.
    let mut doubled = run.conclusion.duplicates.iter();
    if let Some(doubled) = doubled.find(|twice| twice.first_by == twice.second_by) {
        return Err(Violation {
            kind: ViolationKind::AnsweredTwice,
            at: Some(doubled.second_at),
            detail: format!("{doubled:?}"),
        });
    }
    let uneven = run.balances.iter().enumerate().find(|(_, balance)| !balance.is_even());
    match uneven {
        Some((rank, balance)) => {
            Err(violation(ViolationKind::Books, format!("{rank:04X}: {balance:?}")))
        }
        None => Ok(()),
    }
}

/// Whether the cluster served again after its faults.
fn judge_recovery(case: &Case, run: &VirtualRun) -> Result<(), Violation> {
    let lives = &run.conclusion.lives;
    if let Some(rank) = lives.iter().position(|life| matches!(life, Life::Ended(_))) {
        return Err(violation(ViolationKind::Ended, format!("replica {rank:04X}")));
    }
    // Who killed the replica that had a request has killed the answer too (rule R4), and what found
    // a socket full was never asked. Messages with values of many kilobytes, those that tell all
    // replicas of each commit, and resends that come sooner than a busy simulator can pass on an
    // answer, can keep its socket full by themselves. Then an answer goes out all the same (rule
    // R27).
    let resends_soon = |tuning: &Tuning| {
        tuning.resend_from == ResendFrom::Fixed && tuning.resend_timeout_us < SOON_US
    };
    let floods = |tuning: &Tuning| tuning.eager_commit || resends_soon(tuning);
    let is_flooded = case.scenario.value_bytes > LONG_VALUE || case.tunings().any(floods);
    let was_lost = |story: &Unanswered| {
        let answer_may_be = is_flooded && run.lost_answers.contains(&story.mid);
        answer_may_be || run.lost_requests.contains(&story.mid)
    };
    let mut unanswered = run.conclusion.unanswered.iter();
    let unserved = unanswered.find(|story| story.killed_at.is_none() && !was_lost(story));
    if let Some(story) = unserved {
        let overflow = "; its answer found the simulator's socket full";
        let overflow = if run.lost_answers.contains(&story.mid) { overflow } else { "" };
        return Err(violation(ViolationKind::Unanswered, format!("{story:?}{overflow}")));
    }
    let alive = run.replicas.iter().zip(lives).filter(|(_, life)| **life == Life::Running);
    let rafts: Vec<&Raft> = alive.map(|(replica, _)| replica.raft()).collect();
    if is_new_term_late(case, run) { Ok(()) } else { judge_logs(case, &rafts) }
}

/// Whether the newest term began so late that its leader may have had no time yet. Without promises
/// a copy of an old message can begin one, long after the faults.
fn is_new_term_late(case: &Case, run: &VirtualRun) -> bool {
    let Some((_, member, at)) = run.fold.newest_term else {
        return false;
    };
    let drift = case.scenario.clock_drift_ppm.get(member.rank()).copied().unwrap_or(0);
    let settled = case.end() - case.longest_recovery();
    let began_at = true_time(at, drift.into());
    case.copies_until() > settled && began_at > case.scenario.start_wait + settled
}

/// Whether the logs of those who live agree.
fn judge_logs(case: &Case, rafts: &[&Raft]) -> Result<(), Violation> {
    let leaders = || rafts.iter().filter(|raft| raft.is_leader());
    let Some(leader) = leaders().max_by_key(|raft| raft.term()) else {
        if case.tunings().any(|tuning| tuning.quiet) {
            // Nobody was asked since the last leader died, so nobody has noticed (rule R30).
            return Ok(());
        }
        return Err(violation(ViolationKind::LogsDiffer, "nobody leads"));
    };
    if leader.commit() < leader.log().last_index() {
        let words = format!("{} of {}", leader.commit(), leader.log().last_index());
        return Err(violation(ViolationKind::LogsDiffer, format!("committed is only {words}")));
    }
    if leader.tuning().is_sparse() {
        // Who does not watch an idle leader hears of its last entries with the next (rule R30).
        return Ok(());
    }
    let state = |raft: &Raft| (raft.log().last(), raft.commit());
    match rafts.iter().find(|raft| state(raft) != state(leader)) {
        None => Ok(()),
        Some(raft) => {
            let ((last, commit), member) = (state(raft), raft.member());
            let detail = format!("{member:?} ends in {last:?} and has committed {commit}");
            Err(violation(ViolationKind::LogsDiffer, detail))
        }
    }
}
