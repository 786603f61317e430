//! What was sent again, sent without use, or refused.

use serde_json::json;

use super::super::bounds::longest_heartbeat_us;
use super::super::run_data::RunData;
use super::super::words::{counted, number, time};
use super::check::{Check, Found, is_worth_a_word, turn};
use crate::raft::{Cause, Why};
use crate::record::Fate;

/// Finds resends whose first copy had arrived: the timeout is below the round trip.
pub struct EarlyResends;

impl Check for EarlyResends {
    const NAME: &'static str = "early_resends";
    const TITLE: &'static str = "Resends of what had arrived";

    fn check(run: &RunData) -> Found {
        let (tuning, evidence) = (&run.info.tuning, &run.evidence);
        let long = evidence.long_round_trip_us;
        // One and a half times a round trip that nearly all stay below, in whole milliseconds.
        let wanted_us = (long * 3 / 2).div_ceil(1_000) * 1_000;
        let to = wanted_us.clamp(tuning.resend_timeout_us, tuning.heartbeat_interval_us);
        let summary = format!(
            "{} crossed the answer to what was repeated; 999 of 1,000 round trips take up to {}, \
             the timeout is {}.",
            counted(evidence.early_resends, "resend", "resends"),
            time(long as f64),
            time(tuning.resend_timeout_us as f64)
        );
        // A measured timeout is never shorter than the knob, so the knob is turned there too.
        let changes = turn(tuning, "resend_timeout_us", json!(to));
        let saving = evidence.early_resend_messages as f64;
        Found::saving(run, saving, changes.into_iter().collect(), summary)
            .number("too early", evidence.early_resends as f64, "resends")
            .number("with their answers", saving, "messages")
            .number("needed", evidence.needed_resends as f64, "resends")
    }
}

/// Finds resends of lost messages, which cannot be avoided.
pub struct NeededResends;

impl Check for NeededResends {
    const NAME: &'static str = "needed_resends";
    const TITLE: &'static str = "Resends of what was lost";

    fn check(run: &RunData) -> Found {
        let needed = run.evidence.needed_resends;
        if !is_worth_a_word(run, needed as f64) {
            let resends = counted(needed, "resend", "resends");
            return Found::nothing(format!("{resends} repeated what was lost."));
        }
        Found::told(format!(
            "{} repeated what was lost, or whose answer was: {} % of all messages were; no knob \
             spares them.",
            counted(needed, "resend", "resends"),
            number(run.loss * 100.0, 1)
        ))
        .number("needed", needed as f64, "resends")
        .number("lost", run.loss * 100.0, "% of messages")
    }
}

/// Finds messages to dead replicas and to those behind a partition.
pub struct DeadLetters;

impl Check for DeadLetters {
    const NAME: &'static str = "dead_letters";
    const TITLE: &'static str = "Messages to the dead and the cut off";

    fn check(run: &RunData) -> Found {
        let tuning = &run.info.tuning;
        let dead = run.ledger.count(|cell| cell.fate == Fate::Dead);
        let cut_off = run.ledger.count(|cell| cell.fate == Fate::CutOff);
        let in_vain = dead + cut_off;
        let summary = format!(
            "{} went to dead replicas and {} into a partition: as many as it takes to notice, \
             and then one a heartbeat interval.",
            counted(dead, "message", "messages"),
            counted(cut_off, "message", "messages")
        );
        if !is_worth_a_word(run, in_vain as f64) {
            return Found::nothing(summary);
        }
        let is_in_vain = |fate| matches!(fate, Fate::Dead | Fate::CutOff);
        let by_interval = run.ledger.count(|cell| {
            let cause = cell.why.cause();
            is_in_vain(cell.fate) && matches!(cause, Cause::Probe | Cause::Heartbeat)
        });
        let longest_us = longest_heartbeat_us(tuning);
        let share = 1.0 - tuning.heartbeat_interval_us as f64 / longest_us as f64;
        let saving = by_interval as f64 * share;
        let changes = turn(tuning, "heartbeat_interval_us", longest_us);
        let found = Found::saving(run, saving, changes.into_iter().collect(), summary);
        // These are reported even if no knob would prevent them.
        let found = if found.changes.is_empty() { Found::told(found.summary) } else { found };
        found
            .number("to the dead", dead as f64, "messages")
            .number("cut off", cut_off as f64, "messages")
            .number("at the heartbeat interval", by_interval as f64, "messages")
    }
}

/// Finds refused appends, and what was sent to find where logs agree.
pub struct Rejections;

impl Check for Rejections {
    const NAME: &'static str = "rejections";
    const TITLE: &'static str = "Rejected appends and probes";

    fn check(run: &RunData) -> Found {
        let refused = run.ledger.count(|cell| {
            let of_election = matches!(cell.why.cause(), Cause::Campaign | Cause::Retry);
            matches!(cell.why, Why::Reject(_)) && !of_election
        });
        let probed = run.ledger.charged(Cause::Probe);
        let probes = counted(probed, "message was a probe", "messages were probes");
        if refused == 0 {
            return Found::nothing(format!("No append was refused; {probes}."));
        }
        let appends = counted(refused, "append was", "appends were");
        Found::told(format!(
            "{appends} refused, which conflict hints keep to one or two a follower and change of \
             leader; {probes}."
        ))
        .number("refused", refused as f64, "messages")
        .number("probes, with answers", probed as f64, "messages")
    }
}
