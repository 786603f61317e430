//! The roles of a member, each with the state that only it has.

use super::leader::Leader;
use super::types::{Member, MemberSet, Micros};

/// An election under way at this replica.
#[derive(Clone, Debug, Hash)]
pub(super) struct Campaign {
    /// Members that said yes, this replica included.
    pub granted: MemberSet,
    /// Members that answered yes or no.
    pub heard: MemberSet,
    /// When the election began. The time to an answer that comes before anyone is
    /// asked again is a round trip.
    pub began_at: Micros,
    /// When to ask again those who have not answered; `None`: not any more.
    pub retry_at: Option<Micros>,
    /// How often those were asked again.
    pub retries: u8,
    /// When anyone was asked last.
    pub asked_at: Micros,
    /// The others that had been met before it began, if an earlier one of this term found no quorum
    /// and no leader was heard since; `None`: it is the first (rule R28).
    pub met_before: Option<MemberSet>,
    /// The leader that was given up, or was just silent: it is asked at last (rule R25).
    pub spared: Option<Member>,
    /// The leader that was given up, unless it has answered since (rules R16, R28).
    pub given_up: Option<Member>,
}

/// A replica's role, with the state that only this role has.
#[derive(Clone, Debug, Hash)]
pub(super) enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether it would get votes (§9.6 of the dissertation).
    PreCandidate(Campaign),
    /// Asks for votes (§5.2).
    Candidate(Campaign),
    /// Leads.
    Leader(Box<Leader>),
}
