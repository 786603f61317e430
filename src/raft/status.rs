//! A look at the core from outside.

use strum::IntoStaticStr;

use super::message::Position;
use super::types::{Index, Member, Micros, Term};

/// A role, without its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RoleName {
    /// Listens to a leader.
    Follower,
    /// Asks whether it would be voted for.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

impl RoleName {
    /// Its name in records and listings.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The state of a member at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who.
    pub member: Member,
    /// Its role.
    pub role: RoleName,
    /// Its term.
    pub term: Term,
    /// The leader it names.
    pub leader: Option<Member>,
    /// Highest committed index that it holds.
    pub commit: Index,
    /// Highest commit index that it has heard of.
    pub heard_commit: Index,
    /// The end of its log.
    pub last: Position,
    /// It neither votes nor campaigns before.
    pub promise_until: Micros,
    /// A leader with a lease reads without asking until then.
    pub lease_until: Option<Micros>,
    /// When it wants to be woken.
    pub deadline: Micros,
}

/// A follower as its leader sees it at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerStatus {
    /// Who.
    pub member: Member,
    /// Its log agrees with the leader's up to here.
    pub matched: Index,
    /// Smoothed time from the beginning of a round to its answer; that of a whole chain, if it was
    /// asked in one. None before the first.
    pub round_trip: Option<Micros>,
    /// Estimated loss on the way there and back, in parts per million: answers that did not come
    /// in time against those that came.
    pub loss_ppm: u64,
    /// Silent to a direct message: out of quorums until it answers (rule R16).
    pub suspect: bool,
}
