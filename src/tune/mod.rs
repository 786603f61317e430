//! Tuning by experiment in virtual time: what findings expect, held against reruns; profiles side
//! by side on the same seeds; and a search for better ones.
//!
//! # How to read it
//!
//! - `experiment`: a scenario that is run again, as a whole or for a few numbers; `figures`: these
//!   numbers, the objectives, and their weights;
//! - `verify`: each finding's change, held against reruns (design §6);
//! - `compare`: profiles side by side;
//! - `fork`: a kept run once more, with other knobs from a moment on;
//! - `knobs`: what a search turns, and how far; `design`: where it looks; `select`: what is better;
//!   `search`: the race, and why it is one; `journal`: what of it outlives the process;
//! - `found`: what a search has found: the front, its floors, what was picked, and what that loses
//!   on other seeds; `files`: that as files; `profile`: what was picked, as a profile.

mod compare;
mod design;
mod error;
mod experiment;
mod figures;
mod files;
mod fork;
mod found;
mod journal;
mod knobs;
mod profile;
mod search;
mod select;
mod verify;

pub use compare::{ComparedProfile, ComparedRow, Comparison, compare};
pub use error::TuneError;
pub use experiment::{Experiment, ExperimentError, Rerun};
pub use figures::{Figures, OBJECTIVES, Objective, Quantiles, RunFigures, Weights};
pub use files::{document, gather, leave_finalists, write_front};
pub use fork::{ForkError, Forked, fork};
pub use found::{Finalist, Floors, Found, FrontMember, Verdict, conclude, finalists};
pub use journal::{JOURNAL, Journal};
pub use profile::profile_text;
pub use search::{Progress, Runner, SEEDS, Search, Trial, Watcher};
pub use verify::verify;
