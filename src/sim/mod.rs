//! The simulator.

pub mod course;
pub mod delays;
pub mod dice;
pub mod fold;
pub mod history;
pub mod scenario;
