//! Elections: pre-votes, votes, and the promises that stand before both (§5.2, §5.4.1, rule R7).

use super::core::{Campaign, Core, Role, send};
use super::event::{Disposition, Event, Output, To};
use super::message::{Cause, Message, Position, PreVote, PreVoteReply, Vote, VoteReply, Why};
use super::step::Raft;
use super::tuning::FanOut;
use super::types::{Member, MemberSet, Micros};

/// How often pre-votes are asked for again: nobody may be there.
const MOST_PRE_VOTE_RETRIES: u8 = 3;
/// How often votes are: after the pre-votes a quorum surely is, and only loss keeps it silent.
const MOST_VOTE_RETRIES: u8 = 5;
/// Those who stand because a shorter log has tried begin this part of a resend timeout apart: two
/// or three round trips, so that the first is heard before the second begins.
const STAND_APART: u64 = 4;

impl Raft {
    /// The election timeout has run out: asks for pre-votes, or for votes. The own candidacy is
    /// tested against the promise like everyone else's (rule R7).
    pub(super) fn campaign(&mut self, now: Micros, out: &mut Vec<Output>) {
        self.core.early_candidacy_at = None;
        let earliest = self.core.promise_until.max(self.core.silent_until);
        if now < earliest {
            self.core.election_at = earliest;
            return;
        }
        self.core.reset_election(now);
        let asked = self.first_asked();
        let campaign = self.new_campaign(now, asked);
        if self.core.tuning.pre_vote {
            let term = self.core.term + 1;
            out.push(Output::Event(Event::BecamePreCandidate { term }));
            self.role = Role::PreCandidate(campaign);
        } else {
            self.start_candidacy(campaign, out);
        }
        self.ask(asked, Cause::Campaign, out);
    }

    /// Who is asked first. Where batches go to everyone, so do campaigns, as in the paper; where
    /// they go to a quorum, f are asked, and the others only if these do not answer: 2f messages
    /// instead of 2(n-1). They are the next in rank, without the leader just given up.
    fn first_asked(&self) -> MemberSet {
        let others = self.core.others();
        if matches!(self.core.tuning.fan_out, FanOut::Broadcast | FanOut::Star) {
            return others;
        }
        let count = self.core.count as u8;
        let after = (1..count).map(|distance| Member((self.core.me.0 + distance) % count));
        let given_up = self.core.leader;
        let alive = after.filter(|member| Some(*member) != given_up);
        let asked: MemberSet = alive.take(self.core.others_needed()).collect();
        // Of two members the only other one is asked, whatever is thought of it.
        if asked.len() < self.core.others_needed() { others } else { asked }
    }

    fn new_campaign(&self, now: Micros, asked: MemberSet) -> Campaign {
        let timeout = asked.iter().map(|member| self.core.resend_timeout(member, 1)).max();
        Campaign {
            granted: MemberSet::only(self.core.me),
            heard: MemberSet::only(self.core.me),
            began_at: now,
            retry_at: Some(now + timeout.unwrap_or(self.core.tuning.resend_timeout())),
            retries: 0,
        }
    }

    /// A new term, with the own vote (§5.2).
    fn start_candidacy(&mut self, campaign: Campaign, out: &mut Vec<Output>) {
        let term = self.core.term + 1;
        self.core.start_term(term, out);
        self.core.voted_for = Some(self.core.me);
        out.push(Output::Event(Event::BecameCandidate { term }));
        self.role = Role::Candidate(campaign);
    }

    fn ask(&self, asked: MemberSet, cause: Cause, out: &mut Vec<Output>) {
        let last = self.core.log.last();
        let message = match &self.role {
            Role::PreCandidate(_) => {
                Message::PreVote(PreVote { term: self.core.term + 1, last, cause })
            }
            _ => Message::Vote(Vote { term: self.core.term, last, cause }),
        };
        if asked == self.core.others() && cause == Cause::Campaign {
            out.push(Output::Send { to: To::Everyone, message, why: Why::Own(cause) });
            return;
        }
        for member in asked.iter() {
            send(out, member, message.clone(), Why::Own(cause));
        }
    }

    /// Asks all who have not answered: an election must not fail for one lost datagram.
    pub(super) fn ask_again(&mut self, now: Micros, out: &mut Vec<Output>) {
        let others = self.core.others();
        let timeout = self.core.tuning.resend_timeout_us;
        let most = match &self.role {
            Role::Candidate(_) if self.core.tuning.pre_vote => MOST_VOTE_RETRIES,
            _ => MOST_PRE_VOTE_RETRIES,
        };
        let (Role::PreCandidate(campaign) | Role::Candidate(campaign)) = &mut self.role else {
            return;
        };
        campaign.retries += 1;
        let next = now + Micros(timeout << campaign.retries);
        campaign.retry_at = (campaign.retries < most).then_some(next);
        let silent = MemberSet(others.0 & !campaign.heard.0);
        self.ask(silent, Cause::Retry, out);
    }

    /// Would this replica vote for the sender? Nothing changes here by answering, but for who
    /// stands when (rules R18 and R25).
    pub(super) fn on_pre_vote(
        &mut self,
        now: Micros,
        from: Member,
        request: PreVote,
        out: &mut Vec<Output>,
    ) -> Disposition {
        let promised = self.core.is_promised(now);
        let ahead = request.term > self.core.term;
        let up_to_date = request.last >= self.core.log.last();
        let granted = !promised && ahead && up_to_date && !self.stands_before(from, request.last);
        let why = if granted { Why::Ack(request.cause) } else { Why::Reject(request.cause) };
        let reply = PreVoteReply {
            term: self.core.term,
            campaign_term: request.term,
            granted,
            cause: request.cause,
        };
        send(out, from, Message::PreVoteReply(reply), why);
        if granted {
            self.yield_to_another(now);
        } else if !promised && !up_to_date {
            self.stand_soon(now, from, out);
        }
        if granted { Disposition::Accepted } else { Disposition::Rejected }
    }

    /// Of two that ask at the same time one must go on (rule R25): the one with the longer log, then
    /// the one of the lower rank. It refuses the other while it is asking itself.
    fn stands_before(&self, other: Member, last: Position) -> bool {
        match &self.role {
            Role::PreCandidate(campaign) => {
                let mine = self.core.log.last();
                campaign.retry_at.is_some() && (mine, other) > (last, self.core.me)
            }
            _ => false,
        }
    }

    /// Has said yes to another's pre-vote, and lets it try first (rule R25).
    fn yield_to_another(&mut self, now: Micros) {
        if matches!(self.role, Role::PreCandidate(_)) {
            self.role = Role::Follower;
        }
        self.core.defer_election(now);
    }

    /// Rule R18: `from` cannot win, and no leader holds a promise: who holds more stands, the next
    /// in rank first, so that one of them is heard before the others have begun (rule R25).
    fn stand_soon(&mut self, now: Micros, from: Member, out: &mut Vec<Output>) {
        if !matches!(self.role, Role::Follower) {
            return;
        }
        let count = self.core.count as u64;
        let before = (u64::from(self.core.me.0) + count - u64::from(from.0) - 1) % count;
        if before == 0 {
            return self.campaign(now, out);
        }
        let at = now + Micros(before * self.core.tuning.resend_timeout_us / STAND_APART);
        let earlier = self.core.early_candidacy_at.map_or(at, |other| other.min(at));
        self.core.early_candidacy_at = Some(earlier);
    }

    /// RequestVote (§5.2, §5.4.1). The promise and the term have been checked.
    pub(super) fn on_vote(
        &mut self,
        now: Micros,
        from: Member,
        request: Vote,
        out: &mut Vec<Output>,
    ) -> Disposition {
        let free = self.core.voted_for.is_none_or(|candidate| candidate == from);
        if !free || self.core.leader.is_some() || request.last < self.core.log.last() {
            return self.refuse_vote(from, request.cause, out);
        }
        if self.core.voted_for.is_none() {
            self.core.voted_for = Some(from);
            out.push(Output::Event(Event::Voted { candidate: from, term: self.core.term }));
            // The same request again is no news of the candidate (rule R21).
            self.core.reset_election(now);
        }
        let (term, heard_commit) = (self.core.term, self.core.heard_commit);
        let reply = VoteReply { term, granted: true, heard_commit, cause: request.cause };
        send(out, from, Message::VoteReply(reply), Why::Ack(request.cause));
        Disposition::Accepted
    }

    pub(super) fn on_pre_vote_reply(
        &mut self,
        now: Micros,
        from: Member,
        reply: PreVoteReply,
        out: &mut Vec<Output>,
    ) -> Disposition {
        let Role::PreCandidate(campaign) = &mut self.role else {
            return Disposition::Stale;
        };
        if reply.campaign_term != self.core.term + 1 {
            return Disposition::Stale;
        }
        note_answer(&mut self.core, now, from, campaign, reply.granted);
        if !reply.granted && campaign.retries == 0 {
            // A leader lives, or a longer log stands next: the others are asked only if neither shows.
            campaign.retry_at = Some(now + Micros(self.core.tuning.resend_timeout_us * 4));
        }
        if campaign.granted.len() > self.core.others_needed() {
            // Who would vote is asked to, and the others only if they do not answer.
            let mut granted = campaign.granted;
            granted.remove(self.core.me);
            let everyone = matches!(self.core.tuning.fan_out, FanOut::Broadcast | FanOut::Star);
            let asked = if everyone { self.core.others() } else { granted };
            let campaign = self.new_campaign(now, asked);
            self.core.reset_election(now);
            self.start_candidacy(campaign, out);
            self.ask(asked, Cause::Campaign, out);
        }
        Disposition::Accepted
    }

    pub(super) fn on_vote_reply(
        &mut self,
        now: Micros,
        from: Member,
        reply: VoteReply,
        out: &mut Vec<Output>,
    ) -> Disposition {
        let Role::Candidate(campaign) = &mut self.role else {
            return Disposition::Stale;
        };
        note_answer(&mut self.core, now, from, campaign, reply.granted);
        self.core.heard_commit = self.core.heard_commit.max(reply.heard_commit);
        let refused = campaign.heard.len() - campaign.granted.len();
        let others = self.core.count - 1;
        if campaign.granted.len() > self.core.others_needed() {
            self.lead(now, out);
        } else if others - refused < self.core.others_needed() && self.core.tuning.pre_vote {
            self.give_up(now);
        } else if !reply.granted && campaign.retries == 0 {
            // The others have not been asked yet.
            campaign.retry_at = Some(now);
        }
        Disposition::Accepted
    }

    /// The votes are split: this candidate cannot win any more, and need not wait for an election
    /// timeout to try again, since a quorum had no leader a moment ago (rule R25).
    fn give_up(&mut self, now: Micros) {
        let timeout = self.core.tuning.resend_timeout_us;
        self.role = Role::Follower;
        self.core.election_at = now + Micros(self.core.random.between(timeout, 6 * timeout));
    }
}

/// Notes an answer, and how long it took if it is surely to the first request.
fn note_answer(core: &mut Core, now: Micros, from: Member, campaign: &mut Campaign, granted: bool) {
    if campaign.retries == 0 && !campaign.heard.contains(from) {
        core.round_trips[from.rank()].sample(campaign.began_at, now, 2);
    }
    campaign.heard.insert(from);
    if granted {
        campaign.granted.insert(from);
    }
}
