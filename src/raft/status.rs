//! The core's state as seen from outside.

use strum::IntoStaticStr;

use super::message::Position;
use super::types::{Index, Member, Micros, Term};

/// The name of a role, without the role's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RoleName {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether it would get votes.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

impl RoleName {
    /// The role's name in records and listings.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The state of a member at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The member's rank.
    pub member: Member,
    /// Its role.
    pub role: RoleName,
    /// Its term.
    pub term: Term,
    /// The leader that it names.
    pub leader: Option<Member>,
    /// Highest committed index that it holds.
    pub commit: Index,
    /// Highest commit index that it has heard of.
    pub heard_commit: Index,
    /// The end of its log.
    pub last: Position,
    /// No vote, pre-vote or candidacy before this time.
    pub promise_until: Micros,
    /// Until when a leader answers reads under its lease; `None` without one.
    pub lease_until: Option<Micros>,
    /// When it wants to be woken.
    pub deadline: Micros,
}

/// A follower as its leader sees it at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerStatus {
    /// The follower's rank.
    pub member: Member,
    /// The follower's log agrees with the leader's up to this index.
    pub matched: Index,
    /// Smoothed time from the beginning of a round to the follower's answer; in a chain, to the
    /// chain's answer. `None` before the first answer.
    pub round_trip: Option<Micros>,
    /// Estimated loss on the way there and back, in parts per million: late or missing answers
    /// against answers in time.
    pub loss_ppm: u64,
    /// Whether the follower did not answer a direct message. It is out of quorums until it answers
    /// (rule R16).
    pub suspect: bool,
}
