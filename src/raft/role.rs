//! The roles of a member, each with the state that only it has.

use super::leader::Leader;
use super::types::{MemberSet, Micros};

/// An election under way at this replica.
#[derive(Debug)]
pub(super) struct Campaign {
    /// Who said yes, this replica included.
    pub granted: MemberSet,
    /// Who said anything.
    pub heard: MemberSet,
    /// When it began: an answer that comes before anyone is asked again tells a round trip.
    pub began_at: Micros,
    /// When to ask those who have not answered again; `None`: not any more.
    pub retry_at: Option<Micros>,
    /// How often they were.
    pub retries: u8,
}

/// What a replica is, with what only that role has.
#[derive(Debug)]
pub(super) enum Role {
    /// Listens.
    Follower,
    /// Asks whether it would be voted for (§9.6 of the dissertation).
    PreCandidate(Campaign),
    /// Asks for votes (§5.2).
    Candidate(Campaign),
    /// Leads.
    Leader(Box<Leader>),
}
