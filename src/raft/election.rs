//! Elections: pre-votes, votes, and the promises that stand before both (§5.2, §5.4.1, rule R7).

use super::core::{Context, Core};
use super::estimate::{CHANCE_OF_SILENCE_BY_LOSS, all_arrive, silences_by_loss};
use super::event::{Disposition, Event, Output, To};
use super::leader::Leader;
use super::mark::Mark;
use super::message::{Cause, Message, Position, PreVote, PreVoteReply, Vote, VoteReply, Why};
use super::planted::Planted;
use super::role::{Campaign, Role};
use super::types::{Member, MemberSet, Micros};

/// How often those who have not answered are asked again at most while nobody has answered at all.
/// Perhaps nobody is there.
const MOST_RETRIES_IN_SILENCE: u8 = 3;
/// How often at most once somebody has answered: loss may be what keeps the others silent.
const MOST_RETRIES: u8 = 4;
/// For how many resend timeouts those that are asked are given time to ask their leader, at most.
const MOST_RESENDS_FOR_AN_INQUIRY: u64 = 4;
/// Those who campaign because a shorter log has tried begin a resend timeout divided by this apart.
/// That is two or three round trips, so that the first is heard before the second begins.
const STAND_APART: u64 = 4;

/// Whether this member must not stand yet, because of its own promise (rule R7) or the silence at
/// the start. Then it waits until it may.
fn is_put_off(core: &mut Core, now: Micros) -> bool {
    let earliest = core.promise_until.max(core.silent_until);
    if now < earliest {
        core.marks.add_if(now < core.promise_until, Mark::CandidacyPutOffByPromise);
        core.election_at = earliest;
    }
    now < earliest
}

/// The election timeout has run out: asks for pre-votes, or for votes. This replica's own promise
/// can forbid its candidacy too (rule R7).
pub(super) fn campaign(role: &mut Role, context: &mut Context<'_>) {
    let Context { core, now, .. } = context;
    let in_turn = core.early_candidacy_at.take().is_some_and(|at| *now >= at);
    if is_put_off(core, *now) {
        return;
    }
    // A leader that is given up has no say in how soon the next attempt begins.
    core.marks.add_if(in_turn, Mark::StoodInTurn);
    if core.told_timeout > core.tuning.election_timeout_min() {
        core.marks.add(Mark::StatedTimeoutDropped);
        core.told_timeout = Micros(0);
    }
    core.reset_election(*now);
    // Those who answered before are no quorum. Only somebody else can change that.
    let is_repeated = core.has_stood && core.met.len() < core.others_needed();
    let met_before = is_repeated.then_some(core.met);
    let spared = spared(core);
    let asked = if is_repeated { not_met(core, spared) } else { first_asked(core, spared) };
    if core.tuning.pre_vote {
        core.has_stood = true;
        if !is_repeated {
            core.met = MemberSet::EMPTY;
        }
        let given_up = core.leader.filter(|_| core.given_up);
        let campaign = new_campaign(core, *now, asked, given_up);
        // Who is asked asks that leader first, too (rule R28). How long that takes is a guess.
        let most = Micros(core.tuning.resend_timeout_us * MOST_RESENDS_FOR_AN_INQUIRY);
        let inquiry = given_up.map_or(Micros(0), |leader| core.inquiry_takes(leader).min(most));
        let retry_at = campaign.retry_at.map(|at| at + inquiry);
        *role = Role::PreCandidate(Campaign { met_before, retry_at, spared, ..campaign });
        let term = core.term + 1;
        context.tell(Event::BecamePreCandidate { term });
        ask(role, context, asked, Cause::Campaign);
    } else {
        context.mark(Mark::CampaignWithoutPreVote);
        stand(role, context, asked);
    }
}

/// The members that are asked first. Where batches go to everyone, so do campaigns, as in the
/// paper. Where batches go to a quorum, f members are asked, and the others only if these do not
/// answer: 2f messages instead of 2(n-1). They are the next in rank, without the leader just given
/// up, but before them those that were met in an earlier candidacy, perhaps that leader among them.
fn first_asked(core: &Core, spared: Option<Member>) -> MemberSet {
    if !core.tuning.fan_out.is_to_a_quorum() {
        return core.others();
    }
    let count = core.count as u8;
    let after = (1..count).map(|distance| Member((core.me.0 + distance) % count));
    let mut alive: Vec<Member> = after.filter(|member| Some(*member) != spared).collect();
    alive.sort_by_key(|member| !(core.has_stood && core.met.contains(*member)));
    let asked: MemberSet = alive.into_iter().take(core.others_needed()).collect();
    // With two members there is only one other to ask, so it is asked in any case.
    if asked.len() < core.others_needed() { core.others() } else { asked }
}

/// The leader that was just given up, unless it has said itself that it leads no more.
fn spared(core: &Core) -> Option<Member> {
    core.leader.filter(|leader| !(core.has_stood && core.met.contains(*leader)))
}

/// The members that are asked first after a candidacy in vain: all that did not answer it. The
/// leader just given up has been asked before (rule R28).
fn not_met(core: &Core, spared: Option<Member>) -> MemberSet {
    let unmet = core.others().without(core.met);
    let alive = unmet.without(spared.map_or(MemberSet::EMPTY, MemberSet::only));
    if alive.is_empty() { unmet } else { alive }
}

fn new_campaign(core: &Core, now: Micros, asked: MemberSet, given_up: Option<Member>) -> Campaign {
    let timeout = asked.iter().map(|member| core.resend_timeout(member, 1)).max();
    Campaign {
        granted: MemberSet::only(core.me),
        heard: MemberSet::only(core.me),
        began_at: now,
        retry_at: Some(now + timeout.unwrap_or(core.tuning.resend_timeout())),
        retries: 0,
        asked_at: now,
        met_before: None,
        spared: None,
        given_up,
    }
}

/// Enters a new term, votes for itself (§5.2) and asks `asked` for their votes.
fn stand(role: &mut Role, context: &mut Context<'_>, asked: MemberSet) {
    let term = context.core.term + 1;
    let (given_up, spared) = match role {
        Role::PreCandidate(campaign) => (campaign.given_up, campaign.spared),
        _ => (None, None),
    };
    let campaign = new_campaign(context.core, context.now, asked, given_up);
    *role = Role::Candidate(Campaign { spared, ..campaign });
    context.core.reset_election(context.now);
    context.start_term(term);
    if !context.core.has(Planted::OwnVoteForgotten) {
        context.core.voted_for = Some(context.core.me);
    }
    context.tell(Event::BecameCandidate { term });
    ask(role, context, asked, Cause::Campaign);
}

fn ask(role: &Role, context: &mut Context<'_>, asked: MemberSet, cause: Cause) {
    let (term, last) = (context.core.term, context.core.log.last());
    let message = match role {
        Role::PreCandidate(_) => {
            Message::PreVote(PreVote { term: term + 1, last, cause, question: 0 })
        }
        _ => Message::Vote(Vote { term, last, cause }),
    };
    let why = Why::Own(cause);
    if asked == context.core.others() && cause == Cause::Campaign {
        context.out.push(Output::Send { to: To::Everyone, message, why });
        return;
    }
    for member in asked.iter() {
        context.send(member, message.clone(), why);
    }
}

/// How often those who have not answered are asked again: as long as what the last leader has told
/// of the loss explains their silence, once at least.
fn most_retries(core: &Core, is_silent: bool) -> u8 {
    let most = if is_silent { MOST_RETRIES_IN_SILENCE } else { MOST_RETRIES };
    let by_loss = |loss_ppm| {
        let questions = silences_by_loss(all_arrive(loss_ppm, 2), CHANCE_OF_SILENCE_BY_LOSS);
        (questions - 1).clamp(1, most)
    };
    core.told_loss_ppm.map_or(most, by_loss)
}

/// Asks all who have not answered: an election must not fail for one lost datagram.
pub(super) fn ask_again(role: &mut Role, context: &mut Context<'_>) {
    let Context { core, now, .. } = &context;
    // If pre-votes are on, a quorum has just answered one and is there.
    let was_answered = matches!(role, Role::Candidate(_)) && core.tuning.pre_vote;
    let (Role::PreCandidate(campaign) | Role::Candidate(campaign)) = role else {
        return;
    };
    let is_news = |met| campaign.heard.without(met).len() > 1;
    if campaign.met_before.is_some_and(|met| !is_news(met)) {
        // Nobody has answered who did not answer an earlier candidacy.
        campaign.retry_at = None;
        return context.mark(Mark::RepeatedCandidacyEnded);
    }
    let is_silent = !was_answered && campaign.heard.len() == 1;
    let most = most_retries(core, is_silent);
    campaign.retries += 1;
    campaign.asked_at = *now;
    let next = *now + Micros(core.tuning.resend_timeout_us << campaign.retries);
    // The last time comes before the next candidacy, which would begin anew.
    let is_last = campaign.retries >= most || next >= core.election_at;
    campaign.retry_at = (!is_last).then_some(next);
    let gave_up = campaign.retry_at.is_none();
    let mut silent = core.others().without(campaign.heard);
    // The leader given up was asked a moment ago. It is asked for its vote at last, in case it has
    // stepped down, or if nobody else can complete a quorum.
    if let Some(leader) = campaign.spared.filter(|_| !gave_up) {
        let spared = silent.without(MemberSet::only(leader));
        if spared.len() + campaign.granted.len() > core.others_needed() {
            silent = spared;
        }
    }
    context.mark(Mark::CampaignAskedAgain);
    context.mark_if(gave_up, Mark::CampaignGaveUpAsking);
    ask(role, context, silent, Cause::Retry);
}

/// Answers whether this replica would vote for the sender. Answering changes nothing here except
/// when this replica itself campaigns (rules R18 and R25).
pub(super) fn on_pre_vote(
    role: &mut Role,
    context: &mut Context<'_>,
    from: Member,
    request: PreVote,
) -> Disposition {
    let core = &mut context.core;
    if core.has_stood {
        core.met.insert(from);
    }
    let promised = core.is_promised(context.now);
    let ahead = request.term > core.term;
    let up_to_date = !is_behind(core, request.last);
    let stands = !matches!(role, Role::Leader(_)) && request.cause != Cause::Inquiry;
    let may = stands && !promised;
    let first = stands_before(role, core, context.now, (from, request.last));
    let granted = may && ahead && up_to_date && !first;
    context.mark_if(stands && promised, Mark::PreVoteRefusedByPromise);
    context.mark_if(may && !ahead, Mark::PreVoteRefusedByTerm);
    context.mark_if(may && !up_to_date, Mark::PreVoteRefusedByLog);
    context.mark_if(may && ahead && up_to_date && first, Mark::PreVoteRefusedByTurn);
    answer_pre_vote(context, from, request, granted);
    if granted {
        yield_to_another(role, context, from);
        return Disposition::Accepted;
    }
    if may && !up_to_date {
        stand_soon(role, context, from);
    }
    Disposition::Rejected
}

/// Whether a log that ends in `last` is less up to date than the own (§5.4.1).
pub(super) fn is_behind(core: &Core, last: Position) -> bool {
    if core.has(Planted::LogComparedByLength) {
        return last.index < core.log.last_index();
    }
    last < core.log.last() && !core.has(Planted::LogNotCompared)
}

/// Refuses a pre-vote.
pub(super) fn refuse_pre_vote(context: &mut Context<'_>, from: Member, request: PreVote) {
    answer_pre_vote(context, from, request, false);
}

fn answer_pre_vote(context: &mut Context<'_>, from: Member, request: PreVote, granted: bool) {
    let (term, campaign_term, cause) = (context.core.term, request.term, request.cause);
    let why = if granted { Why::Ack(cause) } else { Why::Reject(cause) };
    let reply = PreVoteReply { term, campaign_term, granted, cause, leader: context.core.leader };
    context.send(from, Message::PreVoteReply(reply), why);
}

/// Of two members that ask at the same time only one must go on (rule R25): the one with the longer
/// log, then the one of the lower rank. While it is asking, it refuses the other.
fn stands_before(role: &Role, core: &Core, now: Micros, other: (Member, Position)) -> bool {
    let (other, last) = other;
    match role {
        Role::PreCandidate(campaign) => {
            let may_be_answered = now < campaign.asked_at + core.tuning.resend_timeout();
            let is_asking = campaign.retry_at.is_some() || may_be_answered;
            is_asking && (core.log.last(), other) > (last, core.me)
        }
        _ => false,
    }
}

/// This replica has said yes to the pre-vote of `other`, and lets it try first (rule R25). If it
/// has to stand after that, the other has found no quorum (rule R28).
fn yield_to_another(role: &mut Role, context: &mut Context<'_>, other: Member) {
    let core = &mut context.core;
    if !std::mem::replace(&mut core.has_stood, true) {
        core.met = MemberSet::EMPTY;
    }
    core.met.insert(other);
    if matches!(role, Role::PreCandidate(_)) {
        context.mark(Mark::PreCandidateYielded);
        *role = Role::Follower;
    }
    // One that asks for its own sake would campaign at the end of the inquiry.
    context.core.inquiry.take_if(|inquiry| inquiry.answer_to.is_empty());
    context.core.defer_election(context.now);
}

/// Rule R18: `from` cannot win, and no leader holds a promise, so members with longer logs
/// campaign. The next in rank goes first and is heard before the others have begun (rule R25).
pub(super) fn stand_soon(role: &mut Role, context: &mut Context<'_>, from: Member) {
    let is_free = match role {
        Role::Follower => true,
        Role::PreCandidate(campaign) => campaign.retry_at.is_none(),
        _ => false,
    };
    if !is_free {
        return;
    }
    let core = &mut context.core;
    let count = core.count as u64;
    let before = (u64::from(core.me.0) + count - u64::from(from.0) - 1) % count;
    if before == 0 {
        context.mark(Mark::StoodAtOnce);
        return campaign(role, context);
    }
    let at = context.now + Micros(before * core.tuning.resend_timeout_us / STAND_APART);
    let earlier = core.early_candidacy_at.map_or(at, |other| other.min(at));
    core.early_candidacy_at = Some(earlier);
}

/// RequestVote (§5.2, §5.4.1). The promise and the term have been checked.
pub(super) fn on_vote(context: &mut Context<'_>, from: Member, request: Vote) -> Disposition {
    let core = &mut context.core;
    let forgotten = core.has(Planted::VoteForgotten);
    let free = forgotten || core.voted_for.is_none_or(|candidate| candidate == from);
    let (led, behind) = (core.leader.is_some(), is_behind(core, request.last));
    if !free || led || behind {
        context.mark_if(!free, Mark::VoteRefusedAsGiven);
        context.mark_if(free && led, Mark::VoteRefusedForLeader);
        context.mark_if(free && !led && behind, Mark::VoteRefusedByLog);
        return refuse_vote(context, from, request.cause);
    }
    let (term, heard_commit) = (core.term, core.heard_commit);
    if core.voted_for.is_none() {
        core.voted_for = Some(from);
        // A repeated request shows nothing new about the candidate (rule R21).
        core.reset_election(context.now);
        context.tell(Event::Voted { candidate: from, term });
    } else {
        context.mark(Mark::VoteRepeated);
    }
    let reply = VoteReply { term, granted: true, heard_commit, cause: request.cause };
    context.send(from, Message::VoteReply(reply), Why::Ack(request.cause));
    Disposition::Accepted
}

/// Refuses a vote.
pub(super) fn refuse_vote(context: &mut Context<'_>, from: Member, cause: Cause) -> Disposition {
    let (term, heard_commit) = (context.core.term, context.core.heard_commit);
    let reply = VoteReply { term, granted: false, heard_commit, cause };
    context.send(from, Message::VoteReply(reply), Why::Reject(cause));
    Disposition::Rejected
}

/// An answer to a pre-vote. With a quorum of yeses a campaign begins. It asks those who said yes,
/// and the others only if these do not answer.
pub(super) fn on_pre_vote_reply(
    role: &mut Role,
    context: &mut Context<'_>,
    from: Member,
    reply: PreVoteReply,
) -> Disposition {
    let Role::PreCandidate(campaign) = role else {
        context.mark(Mark::AnswerToOldCampaign);
        return Disposition::Stale;
    };
    if reply.campaign_term != context.core.term + 1 {
        context.mark(Mark::AnswerToOldCampaign);
        return Disposition::Stale;
    }
    let is_news = !campaign.granted.contains(from);
    note_answer(context, campaign, from, reply.granted, reply.cause);
    if !reply.granted {
        // A leader lives, or a member with a longer log campaigns when it may.
        context.mark(Mark::PreCandidateWaited);
        campaign.retry_at = None;
    }
    if reply.granted && campaign.met_before.is_some() && campaign.retries == 0 {
        // Somebody else is there, so now those are asked who answered before.
        campaign.retry_at = Some(context.now);
    } else if reply.granted && is_news && campaign.retry_at.is_none() {
        // A promise that has run out is what made the others wait, so they may say yes now, too.
        context.mark(Mark::AskedAgainAfterLateYes);
        campaign.retries = MOST_RETRIES - 1;
        campaign.retry_at = Some(context.now + context.core.tuning.resend_timeout());
    }
    if campaign.granted.len() > context.core.others_needed() {
        // An older round than one heard before may have come late, and its leader was given a
        // promise (rules R7, R21). Such a round ends no campaign by itself.
        if is_put_off(context.core, context.now) {
            *role = Role::Follower;
            return Disposition::Accepted;
        }
        let mut asked = campaign.granted;
        asked.remove(context.core.me);
        if !context.core.tuning.fan_out.is_to_a_quorum() {
            asked = context.core.others();
        }
        stand(role, context, asked);
    }
    Disposition::Accepted
}

/// An answer to a request for a vote.
pub(super) fn on_vote_reply(
    role: &mut Role,
    context: &mut Context<'_>,
    from: Member,
    reply: VoteReply,
) -> Disposition {
    let Role::Candidate(campaign) = role else {
        context.mark(Mark::AnswerToOldCampaign);
        return Disposition::Stale;
    };
    let granted = reply.granted || context.core.has(Planted::NoTakenForYes);
    note_answer(context, campaign, from, granted, reply.cause);
    let core = &mut context.core;
    core.marks.add_if(reply.heard_commit > core.heard_commit, Mark::VoteHintUsed);
    core.heard_commit = core.heard_commit.max(reply.heard_commit);
    let refused = campaign.heard.without(campaign.granted).len();
    if campaign.granted.len() > core.others_needed() {
        let given_up = campaign.given_up;
        lead(role, context, given_up);
    } else if core.count - 1 - refused < core.others_needed() && core.tuning.pre_vote {
        give_up(role, context);
    } else if !reply.granted && campaign.retries == 0 {
        // The others have not been asked yet, so they are asked now.
        core.marks.add(Mark::OthersAskedForVotes);
        campaign.retry_at = Some(context.now);
    }
    Disposition::Accepted
}

/// Notes an answer, and its round trip if it certainly answers the first request.
fn note_answer(
    context: &mut Context<'_>,
    campaign: &mut Campaign,
    from: Member,
    granted: bool,
    cause: Cause,
) {
    if cause == Cause::Campaign && !campaign.heard.contains(from) {
        context.core.round_trips[from.rank()].sample(campaign.began_at, context.now, 2);
    }
    campaign.heard.insert(from);
    context.core.met.insert(from);
    campaign.given_up = campaign.given_up.filter(|leader| *leader != from);
    if granted {
        let again = campaign.granted.contains(from);
        let absent = context.core.others().without(campaign.granted).iter().next();
        let counted = absent.filter(|_| again && context.core.has(Planted::VoteCountedTwice));
        campaign.granted.insert(counted.unwrap_or(from));
    }
}

/// The votes are split: this candidate cannot win any more. It need not wait for an election
/// timeout to try again, since a quorum had no leader a moment ago (rule R25).
fn give_up(role: &mut Role, context: &mut Context<'_>) {
    let core = &mut context.core;
    core.marks.add(Mark::SplitVoteGivenUp);
    let timeout = core.tuning.resend_timeout_us;
    core.election_at = context.now + Micros(core.random.between(timeout, 6 * timeout));
    *role = Role::Follower;
}

/// A quorum has voted for this candidate. The leader that it gave up is `given_up`.
fn lead(role: &mut Role, context: &mut Context<'_>, given_up: Option<Member>) {
    let (term, heard_commit) = (context.core.term, context.core.heard_commit);
    let opened = context.core.log.last_index() + 1;
    context.mark_if(context.core.has_led, Mark::ElectedTwice);
    context.mark_if(context.core.commit + 1 < opened, Mark::ElectedWithBacklog);
    context.core.has_led = true;
    context.tell(Event::BecameLeader { term, heard_commit, opened });
    context.core.leader = Some(context.core.me);
    *role = Role::Leader(Box::new(Leader::open(context, given_up)));
}
