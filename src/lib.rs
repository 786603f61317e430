//! Laconic: a Raft key-value replica that knows what every one of its messages was for.
pub mod cli;
pub mod interface;
pub mod kv;
pub mod raft;
pub mod record;
pub mod replica;
pub mod sim;
pub mod tuning_file;
pub mod wire;
