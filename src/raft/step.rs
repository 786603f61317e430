//! The one place that branches: what comes in, and who handles it.

use super::core::{Core, Role, send};
use super::estimate::RoundTrip;
use super::event::{Deposed, Disposition, Event, Input, Output};
use super::follower;
use super::leader::Leader;
use super::log::Log;
use super::message::{Append, AppendReply, Cause, Message, VoteReply, Why};
use super::plausible::is_plausible;
use super::random::Random;
use super::status::{FollowerStatus, RoleName, Status};
use super::tuning::Tuning;
use super::types::{Index, Member, Micros, Term};

/// A member of a Raft cluster: the protocol's state, and nothing else.
#[derive(Debug)]
pub struct Raft {
    pub(super) core: Core,
    pub(super) role: Role,
}

impl Raft {
    /// A member of rank `me` of `count`, with an empty log, in term 0. `tuning` must have been
    /// checked; equal seeds give equal runs.
    pub fn new(me: Member, count: usize, tuning: Tuning, seed: u64, now: Micros) -> Raft {
        let mut random = Random::new(seed, me.0);
        let silent_until = now + Micros(tuning.startup_silence_us);
        // Nobody leads yet, so nobody needs to be waited for: the first draw spreads the
        // candidacies over one election timeout from the end of the silence.
        let first = random.between(1_000, tuning.election_timeout_min_us);
        let core = Core {
            me,
            count,
            random,
            term: 0,
            voted_for: None,
            leader: None,
            heard_at: now,
            times_heard: 0,
            heard_round: 0,
            promised_round: 0,
            log: Log::default(),
            commit: 0,
            heard_commit: 0,
            promise_until: now,
            election_at: silent_until + Micros(first),
            silent_until,
            early_candidacy_at: None,
            round_trips: vec![RoundTrip::default(); count],
            tuning,
        };
        Raft { core, role: Role::Follower }
    }

    /// Handles one input at `now`, which never runs backwards. Outputs are appended to `out` in the
    /// order in which they are to be done.
    pub fn step(&mut self, now: Micros, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Wake => self.on_wake(now, out),
            Input::Message { from, message } => {
                let disposition = self.on_message(now, from, message, out);
                out.push(Output::Event(Event::Handled(disposition)));
            }
            Input::Propose { ticket, command } => match &mut self.role {
                Role::Leader(leader) if leader.is_in_touch(&self.core, now) => {
                    let index = leader.propose(&mut self.core, now, command, out);
                    out.push(Output::Taken { ticket, index });
                }
                _ => out.push(Output::Refused(ticket, self.core.leader)),
            },
            Input::Read { ticket } => match &mut self.role {
                Role::Leader(leader) => leader.read(&self.core, now, ticket, out),
                _ => out.push(Output::Refused(ticket, self.core.leader)),
            },
            Input::Retune(tuning) => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.suspend_lease();
                }
                self.core.tuning = tuning;
            }
        }
    }

    /// When to call `step` with `Wake`.
    pub fn deadline(&self) -> Micros {
        match &self.role {
            Role::Follower => self.core.candidacy_at(),
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
                self.core.election_at.min(campaign.retry_at.unwrap_or(Micros::NEVER))
            }
            Role::Leader(leader) => leader.deadline(&self.core),
        }
    }

    fn on_wake(&mut self, now: Micros, out: &mut Vec<Output>) {
        match &mut self.role {
            Role::Leader(leader) => {
                if leader.has_lost_its_quorum(&self.core, now) {
                    self.step_down(now, Deposed::NoQuorum, out);
                } else {
                    leader.on_wake(&mut self.core, now, out);
                }
            }
            _ if now >= self.core.candidacy_at() => self.campaign(now, out),
            Role::PreCandidate(campaign) | Role::Candidate(campaign)
                if campaign.retry_at.is_some_and(|at| now >= at) =>
            {
                self.ask_again(now, out)
            }
            _ => {}
        }
    }

    /// The term check stands here, once (§5.1), behind the promise (rule R7): a vote request that
    /// is refused for a promise raises no term, and a pre-vote request never does.
    fn on_message(
        &mut self,
        now: Micros,
        from: Member,
        message: Message,
        out: &mut Vec<Output>,
    ) -> Disposition {
        if !is_plausible(&self.core, from, &message) {
            return Disposition::Implausible;
        }
        match &message {
            Message::PreVote(request) => return self.on_pre_vote(now, from, *request, out),
            Message::Vote(request) if self.core.is_promised(now) => {
                return self.refuse_vote(from, request.cause, out);
            }
            // The answerer has taken on no term, so a yes comes from any below.
            Message::PreVoteReply(reply) if reply.term <= self.core.term => {
                return self.on_pre_vote_reply(now, from, *reply, out);
            }
            _ => {}
        }
        if message.term() > self.core.term {
            self.become_follower(now, message.term(), out);
        } else if message.term() < self.core.term {
            return self.on_lower_term(from, &message, out);
        }
        match message {
            Message::Append(append) => self.on_append(now, append, out),
            Message::AppendReply(reply) => self.on_append_reply(now, from, reply, out),
            Message::Vote(request) => self.on_vote(now, from, request, out),
            Message::VoteReply(reply) => self.on_vote_reply(now, from, reply, out),
            // A pre-vote was handled above, and an answer that raises the term ends the campaign.
            Message::PreVote(_) | Message::PreVoteReply(_) => Disposition::Stale,
        }
    }

    /// A sender that is behind learns of the term, or it would stay stuck (rule R7).
    fn on_lower_term(
        &mut self,
        from: Member,
        message: &Message,
        out: &mut Vec<Output>,
    ) -> Disposition {
        match message {
            Message::Append(append) => {
                follower::refuse(&self.core, append, out);
                Disposition::Rejected
            }
            Message::Vote(request) => self.refuse_vote(from, request.cause, out),
            _ => Disposition::Stale,
        }
    }

    fn on_append(&mut self, now: Micros, append: Append, out: &mut Vec<Output>) -> Disposition {
        if matches!(self.role, Role::Leader(_)) {
            return Disposition::Implausible;
        }
        if append.round > self.core.heard_round {
            self.role = Role::Follower;
        }
        follower::on_append(&mut self.core, now, append, out)
    }

    fn on_append_reply(
        &mut self,
        now: Micros,
        from: Member,
        reply: AppendReply,
        out: &mut Vec<Output>,
    ) -> Disposition {
        match &mut self.role {
            Role::Leader(leader) => leader.on_append_reply(&mut self.core, now, from, &reply, out),
            _ => Disposition::Stale,
        }
    }

    /// Enters `term` as a follower (§5.1). A leader steps down.
    pub(super) fn become_follower(&mut self, now: Micros, term: Term, out: &mut Vec<Output>) {
        if matches!(self.role, Role::Leader(_)) {
            self.step_down(now, Deposed::HigherTerm, out);
        }
        self.role = Role::Follower;
        self.core.start_term(term, out);
    }

    /// Ceases to lead; reads that waited are released at once (rule R2).
    fn step_down(&mut self, now: Micros, reason: Deposed, out: &mut Vec<Output>) {
        let Role::Leader(leader) = std::mem::replace(&mut self.role, Role::Follower) else {
            return;
        };
        self.core.leader = None;
        self.core.reset_election(now);
        out.push(Output::Event(Event::SteppedDown { term: self.core.term, reason }));
        out.extend(leader.waiting_reads().map(|ticket| Output::Refused(ticket, None)));
    }

    pub(super) fn lead(&mut self, now: Micros, out: &mut Vec<Output>) {
        let heard_commit = self.core.heard_commit;
        out.push(Output::Event(Event::BecameLeader { term: self.core.term, heard_commit }));
        self.core.leader = Some(self.core.me);
        self.role = Role::Leader(Box::new(Leader::open(&mut self.core, now, out)));
    }

    /// Whether a put would be taken now (rule R6): this replica leads and is in touch.
    pub fn accepts_proposals(&self, now: Micros) -> bool {
        match &self.role {
            Role::Leader(leader) => leader.is_in_touch(&self.core, now),
            _ => false,
        }
    }

    /// Whether this replica leads, in its own view.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Who leads, as far as this replica knows; what it writes into `leader`.
    pub fn leader(&self) -> Option<Member> {
        self.core.leader
    }

    /// The leader, if it has been heard recently enough to send clients there.
    pub fn live_leader(&self, now: Micros) -> Option<Member> {
        let fresh = now < self.core.heard_at + self.core.tuning.election_timeout_min();
        self.core.leader.filter(|leader| *leader == self.core.me || fresh)
    }

    /// Counts appends heard from leaders: it moves when one is heard (rule R5).
    pub fn times_heard(&self) -> u64 {
        self.core.times_heard
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.core.log
    }

    /// Current term.
    pub fn term(&self) -> Term {
        self.core.term
    }

    /// Highest committed index held here.
    pub fn commit(&self) -> Index {
        self.core.commit
    }

    /// The knobs in force.
    pub fn tuning(&self) -> &Tuning {
        &self.core.tuning
    }

    /// What tests, status pages and dashboards read.
    pub fn status(&self) -> Status {
        let (role, lease_until) = match &self.role {
            Role::Follower => (RoleName::Follower, None),
            Role::PreCandidate(_) => (RoleName::PreCandidate, None),
            Role::Candidate(_) => (RoleName::Candidate, None),
            Role::Leader(leader) => (RoleName::Leader, leader.lease_until(&self.core)),
        };
        Status {
            member: self.core.me,
            role,
            term: self.core.term,
            leader: self.core.leader,
            commit: self.core.commit,
            heard_commit: self.core.heard_commit,
            last: self.core.log.last(),
            promise_until: self.core.promise_until,
            lease_until,
            deadline: self.deadline(),
        }
    }

    /// The others as this leader sees them, by rank; nobody if it does not lead.
    pub fn followers(&self) -> impl Iterator<Item = FollowerStatus> + '_ {
        let leader = match &self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        };
        leader.into_iter().flat_map(|leader| {
            self.core.others().iter().map(|member| {
                let progress = &leader.progress[member.rank()];
                FollowerStatus {
                    member,
                    matched: progress.matched,
                    round_trip: self.core.round_trips[member.rank()].smoothed(),
                    loss_ppm: progress.loss.parts_per_million(),
                    suspect: progress.suspect,
                }
            })
        })
    }

    pub(super) fn refuse_vote(
        &self,
        from: Member,
        cause: Cause,
        out: &mut Vec<Output>,
    ) -> Disposition {
        let (term, heard_commit) = (self.core.term, self.core.heard_commit);
        let reply = VoteReply { term, granted: false, heard_commit, cause };
        send(out, from, Message::VoteReply(reply), Why::Reject(cause));
        Disposition::Rejected
    }
}
