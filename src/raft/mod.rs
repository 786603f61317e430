//! The consensus core: Raft, and nothing else. No I/O, no clock, no randomness of its own, no
//! JSON; the caller owns time and the seed.
//!
//! # How to read it
//!
//! [`Raft::step`] is the one place that branches: what comes in ([`Input`]) is handed to whoever
//! handles it, and what is to be done comes out as one ordered list ([`Output`]). `core` holds what
//! a replica is whatever its role; the role is an enum that owns the rest, so that a follower
//! cannot touch a leader's state. [`message`] is the glossary.
//!
//! To follow one vote, read three files: `election` (who asks, who grants, who wins), `step` (where
//! it comes in) and `core` (what it changes). To follow one put, read six: `step` (where it comes
//! in), `leader` (taken into the log, and whom its batch goes to), `waking` (when the batch goes),
//! `sending` (how), `follower` (stored, passed on, acknowledged), `answers` (counted, committed).
//!
//! "§" is a section of *In Search of an Understandable Consensus Algorithm* (Ongaro, Ousterhout,
//! extended version); "dissertation" is Ongaro's; "rule R…" is this project's list of where chains,
//! thrifty quorums, leases and answers to clients meet Raft: `docs/rules.md`.
//!
//! # The protocol as built
//!
//! **Elections** (§5.2). A follower that hears no leader for a random time asks for *pre-votes*
//! (dissertation §9.6): would you vote for me? Only with a quorum of yeses does it enter a new term
//! and ask for votes, so a replica that comes back from a partition disturbs nobody. A vote goes to
//! whoever's log is at least as up to date, by last term, then last index (§5.4.1). Before all that
//! stands the *promise* (rule R7): whoever accepted an append neither votes, pre-votes nor
//! campaigns for as long as the append asked, and nothing but time ends that; a request that is
//! refused for it raises no term. Who refuses a pre-vote because its own log is longer stands soon
//! (R18), one after the other, and whoever has said yes to another lets it try first (R25). Where
//! batches go to a quorum, campaigns ask f members first, and the others only if these do not
//! answer.
//!
//! **Opening a term** (§8). A new leader appends an empty entry. It travels with the first
//! heartbeat, to everyone directly. Until it is committed nothing is read.
//!
//! **Replication** (§5.3). Proposals wait for the end of the drain that brought them, or for the
//! linger, and go out as a batch by the fan-out in force: to everyone (`broadcast`, `star`), to f
//! followers (`thrifty`), or along f followers, the last of whom acknowledges for all (`chain`,
//! R14). In the latter two the quorum rotates: it is the f that have gone longest without hearing,
//! and the append carries all that they lack (R17), so under load everyone is reached, caught up
//! and kept calm without a message of its own. Every append is a *round* with a number (R9);
//! answers name the round, and who accepted it (R13), so late and doubled answers are harmless. A
//! round that is no newer than one heard before renews nothing (R21). The quorum is chosen among
//! those that answer in time: each follower's round trip is measured, and who takes more than twice
//! that of the f-th fastest is kept up by appends that nobody waits for (R26).
//!
//! **Commit** (§5.3, §5.4.2). What f others hold is committed, if it ends in an entry of the
//! leader's own term. The commit index rides on the next append. A follower commits only what the
//! append that brought the index has checked (R11).
//!
//! **Silence.** An answer that does not come in time is asked for again, directly, and one more
//! follower is brought in so that a batch does not wait twice (R16). Who is silent to that is a
//! *suspect*: out of quorums, and probed with empty appends, whose answer tells at once that it
//! lives and how much it holds (R19). A refusal carries a hint, the conflicting term and its first
//! index, from which the leader mostly knows where the logs agree. While requests wait and too few
//! can be counted on, the oldest batch is sent again at a steady rate: whoever answers is needed.
//! A quorum is out of touch (R6) only if f members that answer in time were asked (R23).
//!
//! **Heartbeats and leases.** A follower that was not addressed for an interval gets an empty
//! append. As many as needed are asked to answer, which renews check-quorum (a leader that hears
//! from no quorum for an election timeout steps down, dissertation §6.2) and the lease: while a
//! quorum's promises, counted from when the *leader* began the round, less a margin, hold, no one
//! else can have become leader, and reads cost no message. Without a lease a read waits for one
//! round that begins after it came, shared with all others that wait (ReadIndex, dissertation
//! §6.4). Leases rest on clocks whose rates differ by less than the margin.
//!
//! # What is left out
//!
//! Persistence and restarts: an ID lives for one process life, and a replica that restarts under
//! its old ID has forgotten its vote and its promises (R20). The leader that knew it never sends
//! it entries or counts it again in its term, but a new election would: do not restart one. A
//! durable log would add an output that must be done before the sends that depend on it. Log
//! compaction and snapshots: the log is kept whole in memory. Membership change: the cluster is
//! what it was started as.

mod answers;
mod core;
mod election;
mod estimate;
mod event;
mod follower;
pub mod invariants;
mod leader;
mod lease;
pub mod log;
pub mod message;
mod plausible;
mod progress;
mod random;
mod role;
mod sending;
mod status;
mod step;
pub mod tuning;
mod types;
mod waking;

pub use event::{Deposed, Disposition, Event, Input, Output, Ticket, To};
pub use message::{Cause, Form, Kind, Message, Why};
pub use status::{FollowerStatus, RoleName, Status};
pub use step::Raft;
pub use tuning::Tuning;
pub use types::{Entry, Index, Member, MemberSet, Micros, Round, Term};
