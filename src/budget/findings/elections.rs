//! What elections cost beyond the one that every run needs.

use super::super::run_data::RunData;
use super::super::words::{counted, time};
use super::check::{Check, Found, turn};
use crate::raft::Cause;

/// Messages of one election: everyone is asked and answers, twice with pre-votes.
fn messages_an_election(run: &RunData) -> u64 {
    let asked_and_answered = 2 * (run.info.replicas as u64 - 1);
    if run.info.tuning.pre_vote { 2 * asked_and_answered } else { asked_and_answered }
}

fn campaign_messages(run: &RunData) -> u64 {
    run.ledger.charged(Cause::Campaign) + run.ledger.charged(Cause::Retry)
}

/// Finds campaigns that nobody won because several ran at once.
pub struct SplitVotes;

impl Check for SplitVotes {
    const NAME: &'static str = "split_votes";
    const TITLE: &'static str = "Campaigns that nobody won";

    fn check(run: &RunData) -> Found {
        let (tuning, evidence) = (&run.info.tuning, &run.evidence);
        let stood = if tuning.pre_vote { evidence.pre_candidacies } else { evidence.candidacies };
        let in_vain = stood.saturating_sub(evidence.elections);
        let spent = campaign_messages(run);
        let saving = spent.saturating_sub(evidence.elections * messages_an_election(run)) as f64;
        let spread_us = tuning.election_timeout_max_us - tuning.election_timeout_min_us;
        let summary = format!(
            "{} for {} won; timeouts are drawn from a span of {}.",
            counted(stood, "campaign", "campaigns"),
            counted(evidence.elections, "election", "elections"),
            time(spread_us as f64)
        );
        // A spread of a third of the shortest timeout is enough for usual clusters.
        let enough_us = tuning.election_timeout_min_us / 3;
        let to = tuning.election_timeout_min_us * 3 / 2;
        let narrow = in_vain > 0 && spread_us < enough_us;
        let changes = turn(tuning, "election_timeout_max_us", to).filter(|_| narrow);
        Found::saving(run, saving, changes.into_iter().collect(), summary)
            .number("campaigns in vain", in_vain as f64, "campaigns")
            .number("messages for elections", spent as f64, "messages")
    }
}

/// Finds leaders that were deposed though nobody else led.
pub struct DisruptedLeaders;

impl Check for DisruptedLeaders {
    const NAME: &'static str = "disrupted_leaders";
    const TITLE: &'static str = "Leaders deposed by a mere candidate";

    fn check(run: &RunData) -> Found {
        let (tuning, disrupted) = (&run.info.tuning, run.evidence.disrupted);
        let leaders = counted(disrupted, "leader was", "leaders were");
        let summary = format!("{leaders} deposed by a higher term that led nobody.");
        if disrupted == 0 {
            return Found::nothing(summary);
        }
        let saving = campaign_messages(run).saturating_sub(messages_an_election(run)) as f64;
        let promise_us = tuning.promise_us.max(tuning.heartbeat_interval_us);
        let changes = if tuning.pre_vote {
            Vec::new()
        } else {
            let promise = turn(tuning, "promise_us", promise_us);
            turn(tuning, "pre_vote", true).into_iter().chain(promise).collect()
        };
        let found = Found::saving(run, saving, changes, summary);
        let found = if found.changes.is_empty() { Found::told(found.summary) } else { found };
        found.number("disrupted", disrupted as f64, "leaders")
    }
}
