//! What batches cost, and how many there are.

use serde_json::json;

use super::super::bounds;
use super::super::bounds::ample_lag;
use super::super::figures;
use super::super::run_data::RunData;
use super::super::words::{count, counted, number, time};
use super::check::{Check, Found, turn};
use super::rounds::added_heartbeats;
use crate::raft::tuning::FanOut;
use crate::raft::{Cause, Micros, Why};

/// With fewer batches than this a check says too little.
const LEAST_BATCHES: usize = 10;
/// A limit of entries for each batch that is enough for everyone.
const AMPLE_ENTRIES: u64 = 256;
/// The longest linger that is recommended, in microseconds.
const LONGEST_LINGER_US: u64 = 10_000;
/// A longer linger must save at least this share of all messages.
const WORTH_A_WAIT: f64 = 0.1;

fn too_few(run: &RunData) -> Option<Found> {
    let few = run.led.batches.len() < LEAST_BATCHES;
    few.then(|| Found::too_little(format!("The run has fewer than {LEAST_BATCHES} batches.")))
}

/// Finds batches sent to more than a quorum.
pub struct WideFanOut;

impl Check for WideFanOut {
    const NAME: &'static str = "wide_fan_out";
    const TITLE: &'static str = "Batches sent to more than a quorum";

    fn check(run: &RunData) -> Found {
        let tuning = &run.info.tuning;
        if let Some(found) = too_few(run) {
            return found;
        }
        let batches = run.led.batches.len() as u64;
        let spent = run.ledger.charged(Cause::Replicate);
        let quorum = 2 * run.info.others_needed() * batches;
        // Rounds for reads go to the same members.
        let rounds = run.ledger.charged(Cause::Confirm) as f64;
        let spared = 1.0 - quorum as f64 / spent.max(1) as f64;
        let added = added_heartbeats(run, run.evidence.needed_heartbeats.rotation);
        let saving = (spent.saturating_sub(quorum)) as f64 + rounds * spared - added;
        let summary = format!(
            "A batch cost {} messages; at the same delay, sent to a quorum in rotation, it costs \
             {}.",
            number(spent as f64 / batches as f64, 2),
            2 * run.info.others_needed()
        );
        let changes = match tuning.fan_out {
            FanOut::Star | FanOut::Broadcast => turn(tuning, "fan_out", json!(FanOut::Thrifty)),
            FanOut::Thrifty | FanOut::Chain => None,
        };
        Found::saving(run, saving, changes.into_iter().collect(), summary)
            .number("batches", batches as f64, "batches")
            .number("messages for them", spent as f64, "messages")
            .number("heartbeats instead", added, "messages")
    }
}

/// Finds whether a chain in place of a thrifty quorum would save messages, at the cost of delay.
pub struct ShorterChains;

impl Check for ShorterChains {
    const NAME: &'static str = "chain_instead";
    const TITLE: &'static str = "A chain would say less, later";

    fn check(run: &RunData) -> Found {
        let tuning = &run.info.tuning;
        if let Some(found) = too_few(run) {
            return found;
        }
        let others_needed = run.info.others_needed();
        let batches = run.led.batches.len() as u64;
        let added_us = run.evidence.one_way_us * (others_needed - 1);
        let all = run.ledger.count(|_| true) as f64;
        let saving = ((others_needed - 1) * batches) as f64;
        let simulators = bounds::simulator_floor(
            run.info.requests,
            run.info.replicas as u64,
            run.info.mix,
            run.info.maximum_appends_batched_fraction,
        );
        let mut summary = format!(
            "Along a chain a batch costs {} messages instead of {}, and some {} more.",
            others_needed + 1,
            2 * others_needed,
            time(added_us as f64)
        );
        if all >= simulators && all - saving < simulators {
            summary += " But then the run says less than the simulator's floor, and fails.";
        }
        // A chain saves nothing where one message in a hundred is lost.
        let fits = tuning.fan_out == FanOut::Thrifty && run.loss < 0.01;
        let changes = turn(tuning, "fan_out", json!(FanOut::Chain)).filter(|_| fits);
        Found::saving(run, saving, changes.into_iter().collect(), summary)
            .number("batches", batches as f64, "batches")
            .number("added delay", added_us as f64, "µs")
    }
}

/// Finds batches that were sent at once because of a low limit of entries.
pub struct SmallBatches;

impl Check for SmallBatches {
    const NAME: &'static str = "small_batches";
    const TITLE: &'static str = "Batches cut short by their limit";

    fn check(run: &RunData) -> Found {
        let tuning = &run.info.tuning;
        if let Some(found) = too_few(run) {
            return found;
        }
        let arrivals: Vec<Micros> = run.led.arrivals.iter().map(|arrival| arrival.at).collect();
        let linger = Micros(tuning.linger_us);
        let merged = bounds::fewest_batches(&arrivals, linger, Some(AMPLE_ENTRIES));
        let limited = bounds::fewest_batches(&arrivals, linger, Some(tuning.batch_most_entries));
        let spared = limited.saturating_sub(merged);
        let saving = spared as f64 * figures::messages_per_batch(&run.ledger, &run.led);
        let summary = format!(
            "{} held entries that came together with those of the batch before; at most {} may \
             share one.",
            counted(spared, "batch", "batches"),
            counted(tuning.batch_most_entries, "entry", "entries")
        );
        let few = tuning.batch_most_entries < AMPLE_ENTRIES;
        let changes = turn(tuning, "batch_most_entries", AMPLE_ENTRIES).filter(|_| few);
        Found::saving(run, saving, changes.into_iter().collect(), summary)
            .number("batches", run.led.batches.len() as f64, "batches")
            .number("that could be spared", spared as f64, "batches")
    }
}

/// Finds batches that a little more linger would have merged.
pub struct ShortLinger;

impl Check for ShortLinger {
    const NAME: &'static str = "short_linger";
    const TITLE: &'static str = "Batches that a linger would have merged";

    fn check(run: &RunData) -> Found {
        let tuning = &run.info.tuning;
        if let Some(found) = too_few(run) {
            return found;
        }
        let allowed = run.linger.iter().filter(|point| {
            point.linger_us > tuning.linger_us && point.linger_us <= LONGEST_LINGER_US
        });
        let most = allowed.clone().map(|point| point.messages_saved).fold(0.0, f64::max);
        // Takes the shortest linger that saves nearly as much as the longest.
        let Some(point) = allowed.clone().find(|point| point.messages_saved >= 0.8 * most) else {
            return Found::nothing("The linger is as long as is worth the wait.");
        };
        let all = run.ledger.count(|_| true) as f64;
        let summary = format!(
            "A linger of {} would have made {} of {}, and each put {} later.",
            time(point.linger_us as f64),
            counted(point.batches, "batch", "batches"),
            count(run.led.batches.len() as u64),
            time(point.added_wait_us)
        );
        let worth = point.messages_saved >= all * WORTH_A_WAIT;
        let changes = turn(tuning, "linger_us", point.linger_us).filter(|_| worth);
        Found::saving(run, point.messages_saved, changes.into_iter().collect(), summary)
            .number("batches", run.led.batches.len() as f64, "batches")
            .number("added wait", point.added_wait_us, "µs")
    }
}

/// Finds entries sent by catch-up messages to followers that the rotation would have reached, and
/// entries sent twice.
pub struct CatchUps;

impl Check for CatchUps {
    const NAME: &'static str = "catch_up";
    const TITLE: &'static str = "Catch-up that the rotation would have carried";

    fn check(run: &RunData) -> Found {
        let tuning = &run.info.tuning;
        let needless = run.evidence.needless_catch_ups;
        let summary = format!(
            "{} brought followers up to date that lagged more than {}, in a healthy cluster: the \
             next batches would have carried that.",
            counted(needless, "message", "messages"),
            counted(tuning.lag_most_entries, "entry", "entries")
        );
        let again = run.evidence.entries_sent_again;
        let ample = ample_lag(run.info.replicas);
        let short = tuning.lag_most_entries < ample;
        let changes = turn(tuning, "lag_most_entries", ample).filter(|_| short);
        let all = run.ledger.count(|cell| cell.why == Why::Own(Cause::CatchUp));
        Found::saving(run, needless as f64, changes.into_iter().collect(), summary)
            .number("catch-ups", all as f64, "messages")
            .number("entries sent to a receiver twice", again as f64, "entries")
    }
}
