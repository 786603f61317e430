//! Tuning by experiment: compares what the budget's findings expect with reruns in virtual time.

mod verify;

pub use verify::{Experiment, Rerun, VerifyError, verify};
