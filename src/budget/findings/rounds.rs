//! What leadership costs: heartbeats, their answers, rounds for reads, commit indexes on their own.

use serde_json::json;

use super::super::analysis::Gathered;
use super::{Check, Found, longest_heartbeat_us, turn};
use crate::raft::Cause;
use crate::raft::tuning::{HeartbeatAnswers, Reads};

/// Heartbeats to receivers that had got entries within the interval: any append is a heartbeat.
pub struct NeedlessHeartbeats;

impl Check for NeedlessHeartbeats {
    const NAME: &'static str = "needless_heartbeats";
    const TITLE: &'static str = "Heartbeats to those who just got entries";

    fn check(run: &Gathered) -> Found {
        let (needless, all) = (run.evidence.needless_heartbeats, run.evidence.heartbeats);
        let summary = format!(
            "{needless} messages were heartbeats, or answers to them, of receivers that had got \
             entries within the interval; entries are heartbeats too"
        );
        let changes = turn(&run.facts.tuning, "heartbeat_always", false);
        Found::saving(run, needless as f64, changes.into_iter().collect(), summary)
            .number("heartbeats", all as f64, "messages")
            .number("needless, with answers", needless as f64, "messages")
    }
}

/// Heartbeats more often than failure detection within the election timeout asks for.
pub struct FrequentHeartbeats;

impl Check for FrequentHeartbeats {
    const NAME: &'static str = "frequent_heartbeats";
    const TITLE: &'static str = "Heartbeats more often than the timeouts ask for";

    fn check(run: &Gathered) -> Found {
        let (tuning, evidence) = (&run.facts.tuning, &run.evidence);
        let longest_us = longest_heartbeat_us(tuning);
        let sent = evidence.heartbeats as f64;
        let needed = if tuning.heartbeat_always {
            sent * tuning.heartbeat_interval_us as f64 / longest_us as f64
        } else {
            (evidence.longer_heartbeats as f64).min(sent)
        };
        let each = 1.0 + evidence.heartbeat_answers as f64 / sent.max(1.0);
        let saving = (sent - needed) * each;
        let summary = format!(
            "one heartbeat each {} ms; with the other knobs as they are {} ms would do, two a \
             promise and three an election timeout",
            tuning.heartbeat_interval_us / 1_000,
            longest_us / 1_000
        );
        let changes = turn(tuning, "heartbeat_interval_us", longest_us);
        Found::saving(run, saving, changes.into_iter().collect(), summary)
            .number("heartbeats", sent, "messages")
            .number("answers to them", evidence.heartbeat_answers as f64, "messages")
            .number("heartbeats needed", needed, "messages")
    }
}

/// Answers to heartbeats after a quorum had answered: neither commit nor lease moved.
pub struct SurplusAnswers;

impl Check for SurplusAnswers {
    const NAME: &'static str = "surplus_answers";
    const TITLE: &'static str = "Acknowledgements that moved nothing";

    fn check(run: &Gathered) -> Found {
        let surplus = run.evidence.surplus_answers;
        let summary = format!(
            "{surplus} answers to heartbeats came when a quorum had answered as new a one: \
             neither a commit nor the lease moved"
        );
        let quorum = json!(HeartbeatAnswers::Quorum);
        let changes = turn(&run.facts.tuning, "heartbeat_answers", quorum);
        Found::saving(run, surplus as f64, changes.into_iter().collect(), summary)
            .number("answers to heartbeats", run.evidence.heartbeat_answers as f64, "messages")
            .number("beyond the quorum", surplus as f64, "messages")
    }
}

/// Rounds that ask a quorum whether this leader still leads, where a lease would know.
pub struct ConfirmRounds;

impl Check for ConfirmRounds {
    const NAME: &'static str = "confirm_rounds";
    const TITLE: &'static str = "Rounds for reads that a lease would save";

    fn check(run: &Gathered) -> Found {
        let tuning = &run.facts.tuning;
        let rounds = run.ledger.charged(Cause::Confirm);
        let summary = format!(
            "{rounds} messages asked whether the leader leads, for {} reads; a lease that batches \
             and heartbeats renew would have known, if clocks keep their rates",
            run.reads
        );
        if tuning.reads == Reads::Lease {
            // Rounds under leases are those of a leader that has none yet, or lost it.
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
        ];
        Found::saving(run, rounds as f64, changes.into_iter().flatten().collect(), summary)
            .number("reads", run.reads as f64, "reads")
            .number("messages for them", rounds as f64, "messages")
    }
}

/// Messages that say nothing but a new commit index.
pub struct CommitMessages;

impl Check for CommitMessages {
    const NAME: &'static str = "commit_messages";
    const TITLE: &'static str = "Messages for a commit index alone";

    fn check(run: &Gathered) -> Found {
        let commits = run.ledger.charged(Cause::Commit);
        let summary = format!(
            "{commits} messages said nothing but a new commit index, or answered that; it rides \
             on the next append or heartbeat"
        );
        let changes = turn(&run.facts.tuning, "eager_commit", false);
        Found::saving(run, commits as f64, changes.into_iter().collect(), summary).number(
            "messages",
            commits as f64,
            "messages",
        )
    }
}
