//! Tuning by experiment: what the budget's findings expect, held against reruns in virtual time.

mod verify;

pub use verify::{Experiment, Rerun, VerifyError, verify};
