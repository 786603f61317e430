//! What a virtual run gives, and who may look on.

use crate::interface::Text;
use crate::raft::invariants::Broken;
use crate::raft::{Entry, Micros};
use crate::record::{Record, Sink};
use crate::replica::Replica;
use crate::sim::books::Balance;
use crate::sim::course::score::Conclusion;
use crate::sim::fold::RunFold;

/// A run that has ended.
#[derive(Debug)]
pub struct VirtualRun {
    /// The simulator's judgement.
    pub conclusion: Conclusion,
    /// What the records show.
    pub fold: RunFold,
    /// The books, by replica.
    pub balances: Vec<Balance>,
    /// The first invariant that broke, and when.
    pub broken: Option<(Micros, Broken)>,
    /// The committed entries, by index.
    pub committed: Vec<Entry>,
    /// The replicas as they are at the end, or were when they were killed, by rank.
    pub replicas: Vec<Replica>,
    /// MIDs of requests that found a replica's socket full.
    pub lost_requests: Vec<Text>,
    /// MIDs of answers that found the simulator's socket full.
    pub lost_answers: Vec<Text>,
    /// The records, if the options say to keep them in memory.
    pub records: Vec<Record>,
}

/// Sees a run as it happens: all records, and each living replica once a second, when it is killed,
/// and at the end. It changes nothing.
pub trait Observer: Sink {
    /// `replica` takes part in the run. Called in order of ranks.
    fn join(&mut self, replica: &Replica);

    /// The state of `replica` at `now`, when its own clock shows `local`.
    fn sample(&mut self, now: Micros, local: Micros, replica: &Replica);
}

/// Ignores everything.
impl Observer for () {
    fn join(&mut self, _: &Replica) {}
    fn sample(&mut self, _: Micros, _: Micros, _: &Replica) {}
}
