//! The simulator.

pub mod books;
pub mod course;
pub mod delays;
pub mod dice;
pub mod fold;
pub mod history;
pub mod recorder;
pub mod scenario;
pub mod virtual_time;
