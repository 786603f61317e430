//! The simulator.

pub mod course;
pub mod dice;
pub mod history;
pub mod scenario;
