//! What a replica holds whatever its role, and the roles.

use super::event::{Event, Output, To};
use super::leader::Leader;
use super::log::Log;
use super::message::{Message, Why};
use super::random::Random;
use super::tuning::Tuning;
use super::types::{Index, Member, MemberSet, Micros, Term};

/// State that outlives a change of role.
#[derive(Debug)]
pub(super) struct Core {
    /// This replica.
    pub me: Member,
    /// How many members, this one included.
    pub count: usize,
    /// The knobs.
    pub tuning: Tuning,
    /// Dice for election timeouts.
    pub random: Random,
    /// Latest term seen (§5.1).
    pub term: Term,
    /// Who got this replica's vote in `term`.
    pub voted_for: Option<Member>,
    /// Who leads in `term`, as far as heard. A pre-candidate goes on naming it (rule R18).
    pub leader: Option<Member>,
    /// When `leader` was last heard.
    pub heard_at: Micros,
    /// Counts appends heard from leaders: tells whether one was heard since (rule R5).
    pub times_heard: u64,
    /// The log.
    pub log: Log,
    /// Highest index known to be committed and held here.
    pub commit: Index,
    /// Highest commit index heard of (rule R11), held here or not.
    pub heard_commit: Index,
    /// No vote, pre-vote or candidacy before this time (rule R7). Only rises.
    pub promise_until: Micros,
    /// When to campaign, unless a leader is heard before.
    pub election_at: Micros,
    /// No candidacy before this time.
    pub silent_until: Micros,
}

impl Core {
    /// Others that a commit needs: f.
    pub const fn others_needed(&self) -> usize {
        self.count / 2
    }

    /// Every member but this one.
    pub fn others(&self) -> MemberSet {
        MemberSet(((1u64 << self.count) - 1) as u32 & !MemberSet::only(self.me).0)
    }

    /// Draws when to campaign if nothing is heard from now on.
    pub fn reset_election(&mut self, now: Micros) {
        let (low, high) =
            (self.tuning.election_timeout_min_us, self.tuning.election_timeout_max_us);
        self.election_at = now + Micros(self.random.between(low, high));
    }

    /// Whether a promise to a leader is in force.
    pub fn is_promised(&self, now: Micros) -> bool {
        now < self.promise_until
    }

    /// Extends the promise; a shorter one changes nothing (rule R7).
    pub fn promise(&mut self, now: Micros, length: Micros) {
        self.promise_until = self.promise_until.max(now + length);
    }

    /// Enters a higher term (§5.1).
    pub fn start_term(&mut self, term: Term, out: &mut Vec<Output>) {
        self.term = term;
        self.voted_for = None;
        self.leader = None;
        out.push(Output::Event(Event::TermStarted { term }));
    }

    /// Raises the commit index; the caller applies. Whether it rose.
    pub fn commit_through(&mut self, through: Index, out: &mut Vec<Output>) -> bool {
        if through <= self.commit {
            return false;
        }
        self.commit = through;
        self.heard_commit = self.heard_commit.max(through);
        out.push(Output::Commit { through });
        out.push(Output::Event(Event::Committed { through }));
        true
    }
}

/// An election under way at this replica.
#[derive(Debug)]
pub(super) struct Campaign {
    /// Who said yes, this replica included.
    pub granted: MemberSet,
    /// Who said anything.
    pub heard: MemberSet,
    /// When to ask the silent ones again; `None`: not any more.
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

/// Shorthand for a send.
pub(super) fn send(out: &mut Vec<Output>, to: Member, message: Message, why: Why) {
    out.push(Output::Send { to: To::Member(to), message, why });
}
