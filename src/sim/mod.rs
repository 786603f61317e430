//! The simulator: runs a scenario against a cluster of replicas, and judges the run.
//!
//! # How to read it
//!
//! The rules of the course's simulator are in one place, [`course`], and two engines drive them.
//! The virtual engine runs replicas in this process with a clock that jumps; the real one runs them
//! as child processes over UDP.
//!
//! - [`scenario`]: scenario files, and the built-in scenarios;
//! - [`course`]: clients, faults, counts and checks, as the interface demands them;
//! - [`virtual_time`]: the virtual engine; [`delays`]: how long things take in it; [`calibration`]:
//!   where these delays come from, real runs;
//! - [`real`]: the real engine;
//! - [`pace`]: how long both engines work at least on a request or a datagram;
//! - [`random_stream`]: the random numbers of a run;
//! - [`recorder`]: where a run's records go; [`folder`]: the files of a run;
//! - [`fold`]: the message table, and whether each put's `ok` came too early; [`books`]: the
//!   balance of messages sent and counted;
//! - [`history`]: whether the clients' answers are linearizable; [`ideal_store`]: whether any store
//!   could have passed;
//! - [`outcome`]: the run judged as a whole; [`report`]: the outcome as text.

pub mod books;
pub mod calibration;
pub mod course;
pub mod delays;
pub mod fold;
pub mod folder;
pub mod history;
pub mod ideal_store;
pub mod outcome;
pub mod pace;
pub mod random_stream;
pub mod real;
pub mod recorder;
pub mod report;
pub mod scenario;
pub mod virtual_time;
