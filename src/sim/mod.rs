//! The simulator.

pub mod books;
pub mod calibration;
pub mod course;
pub mod delays;
pub mod fold;
pub mod folder;
pub mod history;
pub mod ideal_store;
pub mod outcome;
pub mod random_stream;
pub mod real;
pub mod recorder;
pub mod report;
pub mod scenario;
pub mod virtual_time;
