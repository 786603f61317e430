//! Elections: pre-votes, votes, and the promises that stand before both (§5.2, §5.4.1, rule R7).

use super::core::{Campaign, Role, send};
use super::event::{Disposition, Event, Output, To};
use super::message::{Cause, Message, PreVote, PreVoteReply, Vote, VoteReply, Why};
use super::step::Raft;
use super::types::{Member, MemberSet, Micros};

/// How often pre-votes are asked for again: nobody may be there.
const MOST_PRE_VOTE_RETRIES: u8 = 2;
/// How often votes are: after the pre-votes a quorum surely is, and only loss keeps it silent.
const MOST_VOTE_RETRIES: u8 = 5;

impl Raft {
    /// The election timeout has run out: asks for pre-votes, or for votes. The own candidacy is
    /// tested against the promise like everyone else's (rule R7).
    pub(super) fn campaign(&mut self, now: Micros, out: &mut Vec<Output>) {
        let earliest = self.core.promise_until.max(self.core.silent_until);
        if now < earliest {
            self.core.election_at = earliest;
            return;
        }
        self.core.reset_election(now);
        let campaign = self.new_campaign(now);
        if self.core.tuning.pre_vote {
            let term = self.core.term + 1;
            out.push(Output::Event(Event::BecamePreCandidate { term }));
            self.role = Role::PreCandidate(campaign);
        } else {
            self.start_candidacy(campaign, out);
        }
        self.ask(To::Everyone, Cause::Campaign, out);
    }

    fn new_campaign(&self, now: Micros) -> Campaign {
        Campaign {
            granted: MemberSet::only(self.core.me),
            heard: MemberSet::only(self.core.me),
            retry_at: Some(now + Micros(self.core.tuning.resend_timeout_us)),
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

    fn ask(&self, to: To, cause: Cause, out: &mut Vec<Output>) {
        let last = self.core.log.last();
        let message = match &self.role {
            Role::PreCandidate(_) => {
                Message::PreVote(PreVote { term: self.core.term + 1, last, cause })
            }
            _ => Message::Vote(Vote { term: self.core.term, last, cause }),
        };
        out.push(Output::Send { to, message, why: Why::Own(cause) });
    }

    /// Asks the silent ones again: an election must not fail for one lost datagram.
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
        for member in silent.iter() {
            self.ask(To::Member(member), Cause::Retry, out);
        }
    }

    /// Would this replica vote for the sender? Nothing changes here by answering, but for R18.
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
        let granted = !promised && ahead && up_to_date;
        let why = if granted { Why::Ack(request.cause) } else { Why::Reject(request.cause) };
        let reply = PreVoteReply {
            term: self.core.term,
            campaign_term: request.term,
            granted,
            cause: request.cause,
        };
        send(out, from, Message::PreVoteReply(reply), why);
        // Rule R18: the sender cannot win, and no leader holds a promise: who holds more stands
        // at once.
        if matches!(self.role, Role::Follower) && !promised && !up_to_date {
            self.campaign(now, out);
        }
        if granted { Disposition::Accepted } else { Disposition::Rejected }
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
        }
        self.core.reset_election(now);
        let reply = VoteReply { term: self.core.term, granted: true, cause: request.cause };
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
        if count(campaign, from, reply.granted) > self.core.others_needed() {
            let campaign = self.new_campaign(now);
            self.core.reset_election(now);
            self.start_candidacy(campaign, out);
            self.ask(To::Everyone, Cause::Campaign, out);
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
        if count(campaign, from, reply.granted) > self.core.others_needed() {
            self.lead(now, out);
        }
        Disposition::Accepted
    }
}

/// Notes an answer; how many have said yes.
fn count(campaign: &mut Campaign, from: Member, granted: bool) -> usize {
    campaign.heard.insert(from);
    if granted {
        campaign.granted.insert(from);
    }
    campaign.granted.len()
}
