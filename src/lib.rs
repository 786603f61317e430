//! Laconic: a Raft key-value replica that knows what every one of its messages was for, and the
//! simulator that runs it.
//!
//! The map, in reading order. A module uses only the modules of ours that its row names.
//! `tests/house.rs` reads this table and fails where the code breaks it.
//!
//! | module | what | uses |
//! | --- | --- | --- |
//! | [`interface`] | the words of the course's interface: IDs, requests, answers | |
//! | [`raft`] | the consensus core, pure; starts with an essay | |
//! | [`kv`] | the store, and how a put is written into the log | interface |
//! | [`wire`] | datagrams as types and as JSON, and their length | interface, raft |
//! | [`record`] | the one schema of facts; as frames, text and JSON | interface, raft, wire |
//! | [`archive`] | records on disk: what a run leaves, read again | interface, raft, record |
//! | [`control`] | what sets the core's knobs while a replica runs, pure | raft, record |
//! | [`replica`] | core, store and the clients that wait, still pure | control, interface, kv, raft, record, wire |
//! | [`budget`] | where the messages of a run went, and what they should have cost | columns, raft, record |
//! | [`metrics`] | records and status as Prometheus and OpenMetrics text | budget, interface, raft, record, replica, wire |
//! | [`tuning_file`] | profiles: the core's knobs from TOML, and what a run may spend | budget, nearest, raft |
//! | [`clock`] | the machine's monotonic clock | raft |
//! | [`columns`] | tables in the terminal | |
//! | [`nearest`] | "did you mean" | |
//! | [`interrupt`] | Ctrl-C and the other signals that ask the program to stop | |
//! | [`journal`] | what long work has found, as lines that outlive it; its shards | |
//! | [`recorder`] | the black box, and what the boxes of a cluster tell | columns, interface, raft, record |
//! | [`trace`] | a run as one Chrome trace file | interface, raft, record |
//! | [`service`] | a replica as a process: socket, timers, signals | archive, clock, interface, metrics, raft, record, recorder, replica, tuning_file, wire |
//! | [`sim`] | scenarios, clients, faults, judgement; the virtual and the real engine | archive, budget, clock, columns, interface, interrupt, nearest, raft, record, replica, wire |
//! | [`tune`] | experiments in virtual time: findings held against reruns, profiles side by side, the search for better ones | archive, budget, columns, journal, nearest, raft, record, replica, sim, tuning_file |
//! | [`campaign`] | fault campaigns: random clusters, faults and clients, each run judged | interface, journal, raft, record, sim, tuning_file |
//! | `top` | a running cluster in the terminal; only with the feature of that name | metrics |
//! | [`cli`] | the command line | archive, budget, campaign, columns, interrupt, journal, metrics, nearest, raft, record, recorder, replica, service, sim, top, trace, tune, tuning_file |
//!
//! Two principles: the core is pure, and every fact is recorded once. Counts, checks and drawings
//! are all computed from the records.
//!
//! "Design §5" is a section of `docs/design.md`, "interface §4" one of `docs/interface.md`, "rule
//! R7" a rule of `docs/rules.md`.

pub mod archive;
pub mod budget;
pub mod campaign;
pub mod cli;
pub mod clock;
pub mod columns;
pub mod control;
pub mod interface;
pub mod interrupt;
pub mod journal;
pub mod kv;
pub mod metrics;
pub mod nearest;
pub mod raft;
pub mod record;
pub mod recorder;
pub mod replica;
pub mod service;
pub mod sim;
#[cfg(feature = "top")]
pub mod top;
pub mod trace;
pub mod tune;
pub mod tuning_file;
pub mod wire;
