//! The consensus core: Raft, and nothing else. No I/O, no clock, no randomness of its own, no
//! JSON; the caller owns time and the seed.
//!
//! # How to read it
//!
//! [`Raft::step`] is the one place that branches. It hands what comes in ([`Input`]) to the code
//! that handles it, and what is to be done comes out as one ordered list ([`Output`]). `core` holds
//! the state that every role has. The role is an enum that owns the rest, so a follower cannot
//! touch a leader's state. [`message`] is the glossary.
//!
//! To follow one vote, read three files: `election` (who asks, who grants, who wins), `step` (where
//! it comes in) and `core` (what it changes). To follow one put, read six: `step` (where it comes
//! in), `leader` (taken into the log, and whom its batch goes to), `waking` (when the batch goes),
//! `sending` (how), `follower` (stored, passed on, acknowledged), `answers` (counted, committed).
//!
//! "§" is a section of *In Search of an Understandable Consensus Algorithm* (Ongaro, Ousterhout,
//! extended version). "Dissertation" is Ongaro's. "Rule R…" is one of this project's rules, which
//! say where chains, thrifty quorums, leases and answers to clients meet Raft: `docs/rules.md`.
//!
//! # The protocol as built
//!
//! **Elections** (§5.2). A follower that hears no leader for a random time asks for *pre-votes*
//! (dissertation §9.6): would you vote for me? Only after a quorum has said yes does it enter a new
//! term and ask for votes, so a replica that comes back from a partition disturbs nobody. A vote
//! goes to a candidate whose log is at least as up to date, by last term, then last index (§5.4.1).
//! Before all that comes the *promise* (rule R7): a member that accepted an append does not vote,
//! pre-vote or campaign for as long as the append asked, and only time ends that. A request that is
//! refused because of a promise raises no term. A member that refuses a pre-vote because its own
//! log is longer campaigns soon (R18), one such member after the other, and a member that has said
//! yes to another lets it try first (R25). Where batches go to a quorum, campaigns ask f members
//! first, and the others only if these do not answer.
//!
//! **Opening a term** (§8). A new leader appends an empty entry. It travels with the first
//! heartbeat, to everyone directly. Until it is committed nothing is read.
//!
//! **Replication** (§5.3). Proposals wait until the drain that brought them is over, or until the
//! linger is over. They go out as a batch by the fan-out in force: to everyone (`broadcast`,
//! `star`), to f followers (`thrifty`), or along f followers, the last of whom acknowledges for all
//! (`chain`, R14). With `thrifty` and `chain` the quorum rotates: it is the f followers that have
//! gone longest without hearing, and the append carries all that they lack (R17). Under load every
//! follower is therefore reached, caught up and kept from campaigning without a message of its own.
//! Every append is a *round* with a number (R9); answers name the round and the members that
//! accepted it (R13), so late and doubled answers are harmless. A round that is no newer than one
//! heard before renews nothing (R21). The quorum is chosen among followers that answer in time:
//! each follower's round trip is measured, and one that takes more than twice as long as the f-th
//! fastest is kept up by appends that nobody waits for (R26).
//!
//! **Commit** (§5.3, §5.4.2). What f others hold is committed, if it ends in an entry of the
//! leader's own term. The next append carries the commit index. A follower commits only what the
//! append that brought the index has checked (R11).
//!
//! **Silence.** An answer that does not come in time is asked for again, directly, and one more
//! follower is brought in so that a batch does not wait twice (R16). A member that does not answer
//! that either is a *suspect*: it is left out of quorums and probed with empty appends. The answer
//! to a probe tells at once that the member lives and how much it holds (R19). A refusal carries a
//! hint, the conflicting term and its first index, from which the leader usually knows where the
//! logs agree. Where silence means loss, a broken chain is sent again from its end, and the last
//! hop repeats the answer that was lost (R16, R32). While requests wait and too few followers can
//! be counted on, the oldest batch is sent again at a steady rate, because every answer is needed.
//! A quorum is out of touch (R6) only if f members that answer in time were asked (R23).
//!
//! **Heartbeats and leases.** A follower that was not addressed for an interval gets an empty
//! append. As many as needed are asked to answer. Their answers renew check-quorum: a leader that
//! hears from no quorum for an election timeout steps down (dissertation §6.2). They also renew the
//! lease. A quorum's promises are counted from when the *leader* began the round, less a margin.
//! While they hold, no one else can have become leader, and reads cost no message. Without a lease
//! a read waits for one round that begins after the read came, shared with all other reads that
//! wait (ReadIndex, dissertation §6.4). Leases depend on clocks whose rates differ by less than the
//! margin.
//!
//! **Few heartbeats.** With `inquiries`, a follower that would campaign asks its leader first, and
//! so does each member that it asks for a pre-vote (R28). One lost heartbeat then deposes nobody,
//! and heartbeats can be few. `watchers` keeps f followers hearing, in a chain: f + 1 messages an
//! interval. It gives up that the others notice a death by themselves, and that they hear of the
//! last commits before the next batch. `quiet` sends nothing: it also gives up that a death is
//! noticed before a client asks, and the lease, so the first read costs a round (R30). Promises and
//! election timeouts can be short under load, when every batch renews them: each append states
//! both, and the lease follows the round's own promise (R29, R31).
//!
//! # What is left out
//!
//! Persistence and restarts: an ID lasts for one process life, and a replica that restarts under
//! its old ID has forgotten its vote and its promises (R20). The leader that knew it never sends it
//! entries or counts it again in its term, but a new election would. So do not restart a replica. A
//! durable log would add an output that must be done before the sends that depend on it. Log
//! compaction and snapshots: the whole log stays in memory. Membership change: the members stay
//! those that the cluster was started with.

mod answers;
mod core;
mod election;
mod estimate;
mod event;
mod fingerprint;
mod follower;
pub mod grounds;
mod inquiry;
pub mod invariants;
mod leader;
mod lease;
mod lingering;
pub mod log;
mod mark;
pub mod message;
mod planted;
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
mod watching;

pub use event::{Deposed, Disposition, Event, Handled, Input, Output, Ticket, To};
pub use lingering::{LingerRule, Lingering};
pub use mark::{Mark, Marks};
pub use message::{Cause, Form, Kind, Message, Why};
pub use planted::Planted;
pub use status::{FollowerStatus, RoleName, Status};
pub use step::Raft;
pub use tuning::Tuning;
pub use types::{Entry, Index, MOST_MEMBERS, Member, MemberSet, Micros, Round, Term};
