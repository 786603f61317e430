//! Laconic: a Raft key-value replica that knows what every one of its messages was for.
pub mod interface;
pub mod raft;
pub mod sim;
