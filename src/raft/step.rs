//! The one place that branches: it hands each input to the code that handles it.

use super::core::{Context, Core};
use super::estimate::RoundTrip;
use super::event::{Deposed, Disposition, Event, Handled, Input, Output, Ticket};
use super::leader::Leader;
use super::log::Log;
use super::mark::{Mark, Marks};
use super::message::{Append, Cause, Message};
use super::planted::Planted;
use super::plausible::is_plausible;
use super::random::Random;
use super::role::Role;
use super::status::{FollowerStatus, RoleName, Status};
use super::tuning::Tuning;
use super::types::{Index, Member, MemberSet, Micros, RecentRounds, Round, Term};
use super::{election, follower, inquiry};

/// A member of a Raft cluster: the protocol's state, and nothing else.
///
/// The caller owns time and the network. Here three members elect a leader in memory:
///
/// ```
/// use laconic::raft::{Input, Member, Output, Raft, To};
///
/// let tuning = laconic::tuning_file::load("course")?.tuning;
/// let start = Default::default();
/// let new = |rank| Raft::new(Member(rank), 3, tuning.clone(), 7, start);
/// let mut cluster: Vec<Raft> = (0..3).map(new).collect();
/// while !cluster.iter().any(Raft::is_leader) {
///     // Whoever's deadline comes first is woken; what it sends arrives at once.
///     let now = cluster.iter().map(Raft::deadline).min().unwrap_or_default();
///     let first = cluster.iter().position(|raft| raft.deadline() == now).unwrap_or(0);
///     let mut outputs = Vec::new();
///     cluster[first].step(now, Input::Wake, &mut outputs);
///     let mut under_way: Vec<(Member, Output)> =
///         outputs.drain(..).map(|output| (Member(first as u8), output)).collect();
///     while let Some((from, output)) = under_way.pop() {
///         if let Output::Send { to: To::Member(to), message, .. } = output {
///             cluster[to.rank()].step(now, Input::Message { from, message }, &mut outputs);
///             under_way.extend(outputs.drain(..).map(|output| (to, output)));
///         }
///     }
/// }
/// # Ok::<(), laconic::tuning_file::TuningFileError>(())
/// ```
///
/// A copy goes on as the original would. [`Hash`] says what a state of the protocol is: see
/// `fingerprint`.
#[derive(Clone, Debug, Hash)]
pub struct Raft {
    core: Core,
    role: Role,
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
            passed_on: RecentRounds::default(),
            log: Log::default(),
            commit: 0,
            heard_commit: 0,
            promise_until: now,
            election_at: silent_until + Micros(first),
            silent_until,
            early_candidacy_at: None,
            owed: None,
            relayed: None,
            told_timeout: Micros(0),
            told_inquiries: 0,
            told_loss_ppm: None,
            inquired_at: Vec::new(),
            inquiry: None,
            given_up: false,
            has_stood: false,
            met: MemberSet::EMPTY,
            round_trips: vec![RoundTrip::default(); count],
            has_led: false,
            was_deposed: false,
            marks: Marks::default(),
            #[cfg(feature = "planted")]
            planted: None,
            tuning,
        };
        Raft { core, role: Role::Follower }
    }

    /// Plants a bug.
    #[cfg(feature = "planted")]
    pub const fn plant(&mut self, bug: Planted) {
        self.core.planted = Some(bug);
    }

    /// Takes the round trip to `member` to be `took`, whatever was measured; `None`: not known. For
    /// whoever explores all states: a measured time differs from state to state, and all that it
    /// decides with fixed resend timeouts is who is slow (rule R26).
    pub fn assume_round_trip(&mut self, member: Member, took: Option<Micros>) {
        let mut trip = RoundTrip::default();
        if let Some(took) = took {
            trip.sample(Micros(0), took, 2);
        }
        self.core.round_trips[member.rank()] = trip;
    }

    /// Whether `bug` was planted here.
    pub(crate) const fn has(&self, bug: Planted) -> bool {
        self.core.has(bug)
    }

    /// Handles one input at `now`, which never runs backwards. Outputs are appended to `out` in the
    /// order in which they are to be done. Returns what became of a message, and of a put that was
    /// taken; `None` for other inputs.
    pub fn step(&mut self, now: Micros, input: Input, out: &mut Vec<Output>) -> Option<Handled> {
        let Raft { core, role } = self;
        let mut context = Context { core, now, out };
        match input {
            Input::Wake => on_wake(role, &mut context),
            Input::Message { from, message } => {
                let disposition = on_message(role, &mut context, from, message);
                return Some(Handled::Message(disposition));
            }
            Input::Propose { ticket, command } => match role {
                Role::Leader(leader) if leader.is_in_touch(context.core, now) => {
                    return Some(Handled::Put(leader.propose(&mut context, command)));
                }
                _ => context.out.push(Output::Refused(ticket, context.core.leader)),
            },
            Input::Read { ticket } => match role {
                Role::Leader(leader) => leader.read(&mut context, ticket),
                _ => context.out.push(Output::Refused(ticket, context.core.leader)),
            },
            Input::Retune(tuning) => {
                context.mark(Mark::Retuned);
                context.mark_if(matches!(role, Role::Leader(_)), Mark::RetunedWhileLeading);
                context.mark_if(
                    context.core.is_promised(now + tuning.promise()),
                    Mark::RetunedUnderPromise,
                );
                if context.core.has(Planted::PromiseShortenedByRetune) {
                    let until = now + tuning.promise();
                    context.core.promise_until = context.core.promise_until.min(until);
                }
                context.core.tuning = tuning;
            }
            Input::LeaderWanted => match role {
                Role::Leader(leader) => leader.on_leader_wanted(context.core, now),
                _ => inquiry::on_leader_wanted(role, &mut context),
            },
        }
        None
    }

    /// When to call `step` with `Wake`.
    pub fn deadline(&self) -> Micros {
        match &self.role {
            Role::Follower => self.core.deadline(),
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
                self.core.deadline().min(campaign.retry_at.unwrap_or(Micros::NEVER))
            }
            Role::Leader(leader) => leader.deadline(&self.core),
        }
    }

    /// Whether a put would be taken now (rule R6): this replica leads and is in touch with a
    /// quorum.
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

    /// The leader as far as this replica knows; it goes into the `leader` key of datagrams.
    pub fn leader(&self) -> Option<Member> {
        self.core.leader
    }

    /// The leader, if it has been heard recently enough to send clients there.
    pub fn live_leader(&self, now: Micros) -> Option<Member> {
        let fresh = now < self.core.heard_at + self.core.believed_for();
        self.core.leader.filter(|leader| *leader == self.core.me || fresh)
    }

    /// Counts appends heard from leaders, so a change means that one was heard (rule R5).
    pub fn times_heard(&self) -> u64 {
        self.core.times_heard
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.core.log
    }

    /// This replica's rank.
    pub fn member(&self) -> Member {
        self.core.me
    }

    /// Current term.
    pub fn term(&self) -> Term {
        self.core.term
    }

    /// Highest committed index held here.
    pub fn commit(&self) -> Index {
        self.core.commit
    }

    /// The rare branches that this replica has ever taken.
    pub fn marks(&self) -> Marks {
        self.core.marks
    }

    /// The tuning in force.
    pub fn tuning(&self) -> &Tuning {
        &self.core.tuning
    }

    /// The state that tests, status pages and dashboards read.
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

    /// What only a leader has; `None` if this member does not lead.
    const fn leadership(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    /// No vote and no candidacy before this time (rule R7).
    pub(super) fn promise_until(&self) -> Micros {
        self.core.promise_until
    }

    /// Until when it answers reads under its lease (rules R7 to R9). `None` without one.
    pub(super) fn lease_until(&self) -> Option<Micros> {
        self.leadership().and_then(|leader| leader.lease_until(&self.core))
    }

    /// The newest round of this term that this member has accepted; 0: none.
    pub(super) fn promised_round(&self) -> Round {
        self.core.promised_round
    }

    /// What this leader counts each other member for: up to where their logs agree, and the newest
    /// round that it has accepted. Nothing if it does not lead.
    pub(super) fn counted(&self) -> impl Iterator<Item = (Member, Index, Round)> + '_ {
        self.leadership().into_iter().flat_map(|leader| {
            self.core.others().iter().map(|member| {
                let progress = &leader.progress[member.rank()];
                (member, progress.matched, progress.answered_round)
            })
        })
    }

    /// What the loss of messages between this leader and the members that live is at most, as far
    /// as can be told, in parts per million. `None` if it does not lead.
    pub fn loss_at_most_ppm(&self) -> Option<u64> {
        self.leadership().map(|leader| leader.loss.at_most_ppm())
    }

    /// The others as this leader sees them, by rank; nobody if it does not lead.
    pub fn followers(&self) -> impl Iterator<Item = FollowerStatus> + '_ {
        self.leadership().into_iter().flat_map(|leader| {
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
}

fn on_wake(role: &mut Role, context: &mut Context<'_>) {
    follower::acknowledge(context);
    match role {
        Role::Leader(leader) => {
            let lost_at = leader.quorum_lost_at(context.core);
            if context.now >= lost_at {
                step_down(role, context, Deposed::NoQuorum);
            } else {
                leader.on_wake(context, lost_at);
            }
        }
        _ if inquiry::is_due(context) => inquiry::go_on(role, context),
        _ if context.now >= context.core.candidacy_at() => inquiry::or_campaign(role, context),
        Role::PreCandidate(campaign) | Role::Candidate(campaign)
            if campaign.retry_at.is_some_and(|at| context.now >= at) =>
        {
            election::ask_again(role, context)
        }
        _ => {}
    }
}

/// Terms are compared here and nowhere else (§5.1), and only after the promise (rule R7). A vote
/// request that is refused for a promise raises no term, and a pre-vote request never does.
fn on_message(
    role: &mut Role,
    context: &mut Context<'_>,
    from: Member,
    message: Message,
) -> Disposition {
    if !is_plausible(context.core, from, &message) {
        return Disposition::Implausible;
    }
    match &message {
        Message::PreVote(request) => {
            if request.term > context.core.term
                && request.cause != Cause::Inquiry
                && context.core.has(Planted::PreVoteRaisesTerm)
            {
                become_follower(role, context, request.term);
            }
            return inquiry::on_pre_vote(role, context, from, *request);
        }
        Message::Vote(request) if context.core.is_promised(context.now) => {
            context.mark(Mark::VoteRefusedByPromise);
            return election::refuse_vote(context, from, request.cause);
        }
        // Whoever answers a pre-vote stays in its own term, so a yes may come from any lower term.
        Message::PreVoteReply(reply) if reply.term <= context.core.term => {
            if reply.cause == Cause::Inquiry {
                return inquiry::on_refusal(context, from, *reply);
            }
            let disposition = election::on_pre_vote_reply(role, context, from, *reply);
            if matches!(role, Role::PreCandidate(_)) {
                inquiry::on_named(context, *reply);
            }
            return disposition;
        }
        _ => {}
    }
    if message.term() > context.core.term {
        become_follower(role, context, message.term());
        if let Message::PreVoteReply(reply) = &message {
            inquiry::on_named(context, *reply);
        }
    } else if message.term() < context.core.term && !is_taken_late(context.core, &message) {
        return on_lower_term(context, from, &message);
    }
    match message {
        Message::Append(append) => on_append(role, context, append),
        Message::AppendReply(reply) => match role {
            Role::Leader(leader) => leader.on_append_reply(context, from, &reply),
            _ => {
                context.mark(Mark::AnswerToOldLeadership);
                Disposition::Stale
            }
        },
        Message::Vote(request) => election::on_vote(context, from, request),
        Message::VoteReply(reply) => election::on_vote_reply(role, context, from, reply),
        // Pre-votes are handled above. An answer of a higher term has ended the campaign.
        Message::PreVote(_) | Message::PreVoteReply(_) => Disposition::Stale,
    }
}

/// Whether a planted bug takes a message of an earlier term for one of this term.
const fn is_taken_late(core: &Core, message: &Message) -> bool {
    match message {
        Message::Append(_) => core.has(Planted::OldLeaderObeyed),
        Message::AppendReply(_) => core.has(Planted::AnswerOfOldTermCounted),
        Message::VoteReply(_) => core.has(Planted::VoteOfOldTermCounted),
        _ => false,
    }
}

/// Answers a sender that is behind with the current term, or it would stay stuck (rule R7).
fn on_lower_term(context: &mut Context<'_>, from: Member, message: &Message) -> Disposition {
    match message {
        _ if context.core.has(Planted::LowerTermUnanswered) => Disposition::Stale,
        Message::Append(append) => {
            context.mark(Mark::AppendOfLowerTerm);
            follower::refuse_lower_term(context, append);
            Disposition::Rejected
        }
        Message::Vote(request) => {
            context.mark(Mark::VoteOfLowerTerm);
            election::refuse_vote(context, from, request.cause)
        }
        _ => Disposition::Stale,
    }
}

/// An append of the current term. One that is news ends a campaign (rule R21).
fn on_append(role: &mut Role, context: &mut Context<'_>, append: Append) -> Disposition {
    if matches!(role, Role::Leader(_)) {
        return Disposition::Implausible;
    }
    if append.round > context.core.heard_round || context.core.has(Planted::StaleRoundRenews) {
        context.mark_if(!matches!(role, Role::Follower), Mark::CampaignEndedByLeader);
        *role = Role::Follower;
    } else {
        context.mark_if(!matches!(role, Role::Follower), Mark::CampaignOutlivedOldCopy);
    }
    follower::on_append(context, append)
}

/// Enters `term` as a follower (§5.1). A leader steps down.
fn become_follower(role: &mut Role, context: &mut Context<'_>, term: Term) {
    step_down(role, context, Deposed::HigherTerm);
    *role = Role::Follower;
    context.start_term(term);
    context.core.end_stated_wait(context.now);
}

/// Ends a leadership, if there is one. Reads that waited are released at once (rule R2).
fn step_down(role: &mut Role, context: &mut Context<'_>, reason: Deposed) {
    let Role::Leader(leader) = role else {
        return;
    };
    let mut reads: Vec<Ticket> = leader.waiting_reads().collect();
    if context.core.has(Planted::ReadsForgotten) {
        reads.clear();
    }
    let mark = match reason {
        Deposed::HigherTerm => Mark::DeposedByTerm,
        Deposed::NoQuorum => Mark::DeposedByQuorum,
    };
    context.mark(mark);
    context.mark_if(context.core.was_deposed, Mark::DeposedTwice);
    context.core.was_deposed = true;
    context.mark_if(!reads.is_empty(), Mark::ReadsReleasedAtStepDown);
    if reason == Deposed::NoQuorum {
        // It has asked all the time, so only who has answered will say yes (rule R28).
        context.core.has_stood = true;
        context.core.met = leader.healthy(context.core);
    }
    *role = Role::Follower;
    context.core.leader = None;
    context.core.reset_election(context.now);
    context.tell(Event::SteppedDown { term: context.core.term, reason });
    context.out.extend(reads.into_iter().map(|ticket| Output::Refused(ticket, None)));
}

#[cfg(test)]
mod tests;
