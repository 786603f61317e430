//! The consensus core and the replica, on a network and clocks that the tests drive: the rules R1
//! to R27, well-known stories about Raft, what fan-outs cost, and random faults.

mod campaigns;
mod checks;
mod cluster;
mod controller;
mod costs;
mod elections;
mod heartbeats;
mod inspect;
mod knobs;
mod plausible;
mod random;
mod refusals;
mod rules_answers;
mod rules_chains;
mod rules_inquiries;
mod rules_liveness;
mod rules_logs;
mod rules_overload;
mod rules_pacing;
mod rules_partitions;
mod rules_promises;
mod rules_quorums;
mod solo;
mod stories;
mod transcripts;
