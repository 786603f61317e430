//! Fault campaigns: thousands of random clusters in virtual time, each with random faults, knobs
//! and clients, each judged. A campaign looks for the run in which the replica is wrong.
//!
//! # How to read it
//!
//! - [`case`]: what a seed stands for; [`draw`]: how it is drawn, `draw_knobs`: its knobs;
//! - [`judge`]: whether a run was right;
//! - [`coverage`]: what happened in runs, so that a campaign is seen to be strong or weak.

pub mod case;
pub mod coverage;
pub mod draw;
mod draw_knobs;
pub mod judge;

use crate::raft::Marks;
use crate::sim::virtual_time::{Keep, run};

pub use case::{Case, Options};
pub use coverage::{Coverage, Tally};
pub use draw::draw;
pub use judge::{Violation, ViolationKind};

/// Draws what `seed` stands for, does the run and judges it.
///
/// # Errors
/// What was wrong with the run.
pub fn try_seed(seed: u64, options: &Options) -> Result<Coverage, Violation> {
    try_case(&draw(seed, options), options)
}

/// Does a run and judges it.
///
/// # Errors
/// What was wrong with it.
pub fn try_case(case: &Case, options: &Options) -> Result<Coverage, Violation> {
    let done = run(&case.scenario, &case.options(options, Keep::Nothing));
    let Ok(run) = done else {
        unreachable!("a run that keeps no records writes no file");
    };
    let stale_reads = judge::judge(case, &run)?;
    let mut marks = Marks::default();
    run.replicas.iter().for_each(|replica| marks.join(replica.raft().marks()));
    Ok(Coverage {
        marks,
        stale_reads,
        requests: run.conclusion.history.len() as u64,
        messages: run.conclusion.counts.messages,
    })
}
