//! The simulator.

pub mod history;
pub mod scenario;
