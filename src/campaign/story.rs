//! A failing run as a text that can be read from its first line to its last: what it is made of,
//! and then every fact until it went wrong.

use std::fmt::Write;

use super::case::{Case, Options};
use super::judge::Violation;
use super::panics::catch;
use super::shrink::differing;
use crate::raft::Micros;
use crate::record::{Record, SIMULATOR};
use crate::sim::virtual_time::Keep;

/// How many facts are told at most. A run that never recovers has very many.
const MOST_FACTS: usize = 50_000;

/// Tells the run of `case`, which shows `violation`.
pub fn tell(case: &Case, violation: &Violation, options: &Options) -> String {
    let mut text = head(case, violation, options);
    let Ok(run) = catch(|| case.run(options, Keep::Memory)) else {
        // The records are gone with the run.
        let _ = writeln!(text, "# {violation}");
        return text;
    };
    let until = violation.at.unwrap_or(Micros::NEVER);
    // Replicas' clocks may run fast or slow, the simulator's does not.
    let is_after = |record: &Record| record.source == SIMULATOR && record.at > until;
    let end = run.records.iter().position(is_after).unwrap_or(run.records.len());
    let facts = &run.records[..end];
    for record in facts.iter().take(MOST_FACTS) {
        let _ = writeln!(text, "{record}");
    }
    if facts.len() > MOST_FACTS {
        let _ = writeln!(text, "# {} more", facts.len() - MOST_FACTS);
    }
    let _ = writeln!(text, "# {violation}");
    text
}

/// What the run is made of, as comments.
fn head(case: &Case, violation: &Violation, options: &Options) -> String {
    let scenario = &case.scenario;
    let mut text = String::new();
    let mut line = |words: String| {
        let _ = writeln!(text, "# {words}");
    };
    line(violation.to_string());
    line(format!("found by: laconic campaign --seed {}", case.seed));
    line(format!(
        "{} replicas; {} requests within {} s from {} s on, {} together; {} s more; seed {}",
        scenario.replicas,
        scenario.requests,
        scenario.lifetime,
        scenario.start_wait,
        scenario.burst,
        scenario.end_wait,
        case.run_seed
    ));
    line(format!(
        "keys: {}; values up to {} bytes; gets: {}; pace: {}; precise: {}; clocks: {:?} ppm",
        if scenario.shared_keys { "shared" } else { "a client's own" },
        scenario.value_bytes,
        scenario.mix,
        scenario.pace,
        case.precise,
        scenario.clock_drift_ppm
    ));
    let base = options.profiles.iter().find(|(name, _)| *name == case.profile);
    let knobs = base.map(|(_, base)| differing(base, &case.tuning)).unwrap_or_default();
    line(format!("profile {}", case.profile));
    knobs.iter().for_each(|(knob, value)| line(format!("  {knob} = {value}")));
    if let Some(retuning) = &case.retuning {
        line(format!("from {} s on other knobs:", retuning.at));
        let knobs = differing(&case.tuning, &retuning.tuning);
        knobs.iter().for_each(|(knob, value)| line(format!("  {knob} = {value}")));
    }
    let written = scenario.to_json();
    let lists = [&written["network"]["faults"], &written["events"]];
    let faults = lists.into_iter().filter_map(|list| list.as_array()).flatten();
    line(format!("faults, in seconds from {} s on:", scenario.start_wait));
    faults.for_each(|fault| line(format!("  {fault}")));
    text
}
