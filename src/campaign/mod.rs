//! Fault campaigns: thousands of random clusters in virtual time, each with random faults, knobs
//! and clients, each judged. A campaign looks for the run in which the replica is wrong.
//!
//! # How to read it
//!
//! - [`case`]: what a seed stands for; [`mod@draw`]: how it is drawn, `draw_knobs`: its knobs,
//!   `draw_troubles`: faults that go together;
//! - [`judge`]: whether a run was right;
//! - [`shrink`]: a failing run made smaller; [`story`]: told as a text;
//! - [`coverage`]: what happened in runs, so that a campaign is seen to be strong or weak;
//! - [`runner`]: all cores at work; [`results`]: what was found, as lines of JSON that can be
//!   joined.

pub mod case;
pub mod coverage;
pub mod draw;
mod draw_knobs;
mod draw_troubles;
pub mod judge;
mod panics;
pub mod results;
pub mod runner;
pub mod shrink;
pub mod story;

use crate::raft::Marks;
use crate::sim::virtual_time::Keep;

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
/// What was wrong with it; also that something panicked.
pub fn try_case(case: &Case, options: &Options) -> Result<Coverage, Violation> {
    panics::catch(|| try_unguarded(case, options)).unwrap_or_else(|words| {
        Err(Violation { kind: ViolationKind::Panicked, at: None, detail: words })
    })
}

fn try_unguarded(case: &Case, options: &Options) -> Result<Coverage, Violation> {
    let run = case.run(options, Keep::Nothing);
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
