//! Tuning by experiment in virtual time: what findings expect, held against reruns; and profiles
//! side by side on the same seeds.
//!
//! # How to read it
//!
//! - `experiment`: a scenario that is run again, as a whole or for a few numbers; `figures`: these
//!   numbers, the objectives, and their weights;
//! - `verify`: each finding's change, held against reruns (design §6);
//! - `compare`: profiles side by side.

mod compare;
mod experiment;
mod figures;
mod verify;

pub use compare::{ComparedProfile, ComparedRow, Comparison, compare};
pub use experiment::{Experiment, ExperimentError, Rerun};
pub use figures::{Figures, OBJECTIVES, Objective, Quantiles, RunFigures, Weights};
pub use verify::verify;
