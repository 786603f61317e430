//! What leadership costs: heartbeats, their answers, rounds for reads, and commit indexes sent
//! alone.

use serde_json::json;

use super::super::bounds::longest_heartbeat_us;
use super::super::run_data::RunData;
use super::super::words::{count, counted, time};
use super::check::{Check, Found, turn};
use crate::raft::Cause;
use crate::raft::tuning::{HeartbeatAnswers, Reads};

/// Messages of one heartbeat, its answers included.
pub fn heartbeat_with_answers(run: &RunData) -> f64 {
    let evidence = &run.evidence;
    1.0 + evidence.heartbeat_answers as f64 / (evidence.heartbeats as f64).max(1.0)
}

/// How many messages in heartbeats are added by sending fewer appends, if `needed` heartbeats are
/// then left to be sent.
pub fn added_heartbeats(run: &RunData, needed: u64) -> f64 {
    if run.info.tuning.heartbeat_always {
        return 0.0;
    }
    let added = needed.saturating_sub(run.evidence.needed_heartbeats.as_run);
    added as f64 * heartbeat_with_answers(run)
}

/// Finds heartbeats to receivers that had got entries within the interval. Any append is a
/// heartbeat.
pub struct NeedlessHeartbeats;

impl Check for NeedlessHeartbeats {
    const NAME: &'static str = "needless_heartbeats";
    const TITLE: &'static str = "Heartbeats to those who just got entries";

    fn check(run: &RunData) -> Found {
        let (sent, needed) = (run.evidence.heartbeats, run.evidence.needed_heartbeats.as_run);
        let needless = sent.saturating_sub(needed);
        let saving = needless as f64 * heartbeat_with_answers(run);
        let summary = format!(
            "{} of {} went to receivers that got entries within the interval; entries are \
             heartbeats too.",
            count(needless),
            counted(sent, "heartbeat", "heartbeats")
        );
        let changes = turn(&run.info.tuning, "heartbeat_always", false);
        Found::saving(run, saving, changes.into_iter().collect(), summary)
            .number("heartbeats", sent as f64, "messages")
            .number("needed", needed as f64, "messages")
    }
}

/// An interval is changed only if it can be longer by this factor.
const WORTH_A_CHANGE: f64 = 1.25;

/// Finds heartbeats sent more often than failure detection within the election timeout needs.
pub struct FrequentHeartbeats;

impl Check for FrequentHeartbeats {
    const NAME: &'static str = "frequent_heartbeats";
    const TITLE: &'static str = "Heartbeats more often than the timeouts ask for";

    fn check(run: &RunData) -> Found {
        let (tuning, evidence) = (&run.info.tuning, &run.evidence);
        let longest_us = longest_heartbeat_us(tuning);
        let longer = longest_us as f64 / tuning.heartbeat_interval_us as f64;
        let sent = evidence.heartbeats as f64;
        let needed = evidence.needed_heartbeats;
        let spared = if tuning.heartbeat_always {
            sent * (1.0 - 1.0 / longer)
        } else {
            needed.as_run.saturating_sub(needed.longer_interval) as f64
        };
        let saving = spared * heartbeat_with_answers(run);
        let summary = format!(
            "A heartbeat is due each {}; with the other knobs as they are {} would do: two a \
             promise and three an election timeout.",
            time(tuning.heartbeat_interval_us as f64),
            time(longest_us as f64)
        );
        let changes = turn(tuning, "heartbeat_interval_us", longest_us);
        let changes = changes.filter(|_| longer >= WORTH_A_CHANGE);
        Found::saving(run, saving, changes.into_iter().collect(), summary)
            .number("heartbeats", sent, "messages")
            .number("answers to them", evidence.heartbeat_answers as f64, "messages")
            .number("heartbeats spared", spared, "messages")
    }
}

/// Finds answers to heartbeats after a quorum had answered: neither commit nor lease moved.
pub struct SurplusAnswers;

impl Check for SurplusAnswers {
    const NAME: &'static str = "surplus_answers";
    const TITLE: &'static str = "Acknowledgements that moved nothing";

    fn check(run: &RunData) -> Found {
        let surplus = run.evidence.surplus_answers;
        let summary = format!(
            "{} to heartbeats came when a quorum had answered one as new, or begun less than \
             half an interval before: neither a commit nor the lease needed them.",
            counted(surplus, "answer", "answers")
        );
        let quorum = json!(HeartbeatAnswers::Quorum);
        let changes = turn(&run.info.tuning, "heartbeat_answers", quorum);
        Found::saving(run, surplus as f64, changes.into_iter().collect(), summary)
            .number("answers to heartbeats", run.evidence.heartbeat_answers as f64, "messages")
            .number("beyond the quorum", surplus as f64, "messages")
    }
}

/// Finds rounds that ask a quorum whether this leader still leads, where a lease would be enough.
pub struct ConfirmRounds;

impl Check for ConfirmRounds {
    const NAME: &'static str = "confirm_rounds";
    const TITLE: &'static str = "Rounds for reads that a lease would save";

    fn check(run: &RunData) -> Found {
        let tuning = &run.info.tuning;
        let rounds = run.ledger.charged(Cause::Confirm);
        let summary = format!(
            "{} asked whether the leader leads, for {}; a lease that batches and heartbeats \
             renew would have known, if clocks keep their rates.",
            counted(rounds, "message", "messages"),
            counted(run.reads, "read", "reads")
        );
        if tuning.reads == Reads::Lease {
            // With leases on, rounds come from a leader that has no lease yet, or lost it.
            return Found::nothing(summary);
        }
        let most_us = tuning.election_timeout_min_us - tuning.heartbeat_interval_us;
        let promise_us = match tuning.promise_us {
            0 => most_us,
            promise_us => promise_us,
        };
        let margin_us = tuning.lease_margin_us.max(promise_us / 16);
        let changes = [
            turn(tuning, "reads", json!(Reads::Lease)),
            turn(tuning, "promise_us", promise_us),
            turn(tuning, "lease_margin_us", margin_us),
            // Rule R24: promises need check-quorum.
            turn(tuning, "check_quorum", true),
        ];
        let added = added_heartbeats(run, run.evidence.needed_heartbeats.without_confirm);
        let saving = rounds as f64 - added;
        Found::saving(run, saving, changes.into_iter().flatten().collect(), summary)
            .number("heartbeats instead", added, "messages")
            .number("reads", run.reads as f64, "reads")
            .number("messages for them", rounds as f64, "messages")
    }
}

/// Finds messages that bring nothing but a new commit index.
pub struct CommitMessages;

impl Check for CommitMessages {
    const NAME: &'static str = "commit_messages";
    const TITLE: &'static str = "Messages for a commit index alone";

    fn check(run: &RunData) -> Found {
        let commits = run.ledger.charged(Cause::Commit);
        let summary = format!(
            "{} said nothing but a new commit index, or answered that; it rides on the next \
             append or heartbeat.",
            counted(commits, "message", "messages")
        );
        let changes = turn(&run.info.tuning, "eager_commit", false);
        let added = added_heartbeats(run, run.evidence.needed_heartbeats.without_commit);
        Found::saving(run, commits as f64 - added, changes.into_iter().collect(), summary)
            .number("heartbeats instead", added, "messages")
            .number("messages", commits as f64, "messages")
    }
}
