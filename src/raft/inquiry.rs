//! How a follower asks its silent leader whether it lives, before it campaigns or lets another
//! member campaign (rule R28).

use super::core::{Context, Core, Inquiry};
use super::election;
use super::event::{Disposition, Event};
use super::mark::Mark;
use super::message::{Cause, Message, PreVote, PreVoteReply, Why};
use super::role::Role;
use super::tuning::{Control, LEAST_INQUIRY_TIMEOUT, NOT_WATCHING, inquiries_take, inquiry_gap};
use super::types::{Member, Micros};

/// A pre-vote request. A leader shows that it lives. A member that follows a leader asks that one
/// first and answers later.
pub(super) fn on_pre_vote(
    role: &mut Role,
    context: &mut Context<'_>,
    from: Member,
    request: PreVote,
) -> Disposition {
    if context.core.inquiries() > 0 || request.cause == Cause::Inquiry {
        if let Role::Leader(leader) = role {
            context.mark(Mark::LifeShown);
            leader.show_life(context, from, request);
            return Disposition::Accepted;
        }
        if must_ask_first(role, context, from, request) {
            return answer_later(context, from, request);
        }
    }
    election::on_pre_vote(role, context, from, request)
}

/// Whether another than the leader asks for a vote against a leader that this member has not given
/// up, or has given up and is still bound to by its promise.
fn must_ask_first(role: &Role, context: &Context<'_>, from: Member, request: PreVote) -> bool {
    let core = &context.core;
    matches!(role, Role::Follower)
        && request.cause != Cause::Inquiry
        && core.leader.is_some_and(|leader| leader != from)
        && (!core.given_up || core.is_promised(context.now))
}

/// Asks the leader, and answers when it is known whether that one lives. A request that is refused
/// in any case is refused at once.
fn answer_later(context: &mut Context<'_>, from: Member, request: PreVote) -> Disposition {
    let is_late = request.term <= context.core.term;
    if is_late || election::is_behind(context.core, request.last) {
        context.mark(Mark::PreVoteRefusedEarly);
        if !is_late {
            begin(context).stands_for.get_or_insert(from);
        }
        election::refuse_pre_vote(context, from, request);
        return Disposition::Rejected;
    }
    context.mark(Mark::PreVoteAnsweredLate);
    let waiting = &mut begin(context).answer_to;
    waiting.retain(|(member, _)| *member != from);
    waiting.push((from, request));
    Disposition::Accepted
}

/// The inquiry under way, or a new one.
fn begin<'a>(context: &'a mut Context<'_>) -> &'a mut Inquiry {
    let Context { core, now, .. } = context;
    // A leader that has been given up need not be asked again. Only the promise is waited for.
    let (asked, next_at) =
        if core.given_up { (core.inquiries(), core.promise_until) } else { (0, *now) };
    core.inquiry.get_or_insert(Inquiry { asked, next_at, answer_to: Vec::new(), stands_for: None })
}

/// A refusal names the leader of a term in which none was heard here: asks that one, which sends
/// what is missing here. Nothing else rests on the name, so a wrong one costs no more than the
/// questions.
pub(super) fn on_named(context: &mut Context<'_>, refusal: PreVoteReply) {
    let core = &mut context.core;
    let others = core.others();
    let is_new = !refusal.granted && refusal.term == core.term && core.leader.is_none();
    if let Some(leader) = refusal.leader.filter(|leader| others.contains(*leader))
        && is_new
        && core.inquiries() > 0
    {
        core.marks.add(Mark::LeaderNamed);
        core.leader = Some(leader);
        begin(context);
    }
}

/// A client waits for a leader. If the leader has been silent for longer than an answer takes, it
/// is asked.
pub(super) fn on_leader_wanted(role: &Role, context: &mut Context<'_>) {
    let core = &context.core;
    let is_silent = context.now >= core.heard_at + core.tuning.resend_timeout();
    if is_silent && has_a_leader_to_ask(role, core) {
        context.mark(Mark::LeaderAskedForClient);
        begin(context);
    }
}

fn has_a_leader_to_ask(role: &Role, core: &Core) -> bool {
    core.inquiries() > 0
        && matches!(role, Role::Follower)
        && core.leader.is_some()
        && !core.given_up
}

/// Nothing was heard for an election timeout: asks the leader, or campaigns if there is none to
/// ask. One that was given up is asked once more before each further candidacy: what cut it off may
/// be over, and one question to it costs less than a candidacy that it has to stop.
pub(super) fn or_campaign(role: &mut Role, context: &mut Context<'_>) {
    let core = &mut context.core;
    if has_a_leader_to_ask(role, core) {
        begin(context);
        go_on(role, context);
    } else if core.has_stood && core.leader.is_some() && core.inquiries() > 0 {
        core.marks.add(Mark::LeaderAskedOnceMore);
        let asked = core.inquiries() - 1;
        let now = context.now;
        let inquiry = begin(context);
        (inquiry.asked, inquiry.next_at) = (asked, now);
        context.core.inquired_at.clear();
        go_on(role, context);
    } else {
        election::campaign(role, context);
    }
}

/// Whether the inquiry under way has something to do.
pub(super) fn is_due(context: &Context<'_>) -> bool {
    context.core.inquiry.as_ref().is_some_and(|inquiry| context.now >= inquiry.next_at)
}

/// Asks again, or gives the leader up.
pub(super) fn go_on(role: &mut Role, context: &mut Context<'_>) {
    let Context { core, now, .. } = context;
    let (Some(leader), Some(mut inquiry)) = (core.leader, core.inquiry.take()) else {
        return;
    };
    if inquiry.asked < core.inquiries() {
        core.marks.add(Mark::LeaderAsked);
        inquiry.asked += 1;
        if inquiry.asked == 1 {
            core.inquired_at.clear();
        }
        core.inquired_at.push(*now);
        let question = core.inquired_at.len() as u64;
        let timeout = core.inquiry_timeout(leader);
        let is_last = inquiry.asked == core.inquiries();
        inquiry.next_at = *now
            + if is_last { timeout } else { inquiry_gap(timeout, core.inquiries(), inquiry.asked) };
        core.inquiry = Some(inquiry);
        let (term, last) = (core.term + 1, core.log.last());
        let message = Message::PreVote(PreVote { term, last, cause: Cause::Inquiry, question });
        return context.send(leader, message, Why::Own(Cause::Inquiry));
    }
    if core.told_timeout > core.tuning.election_timeout_min() {
        // It has no say any more in how long this member waits, for another candidate too.
        core.told_timeout = Micros(0);
    }
    if !std::mem::replace(&mut core.given_up, true) {
        let term = core.term;
        core.marks.add(Mark::LeaderGivenUp);
        context.tell(Event::LeaderGivenUp { leader, term });
    }
    let Context { core, now, .. } = context;
    if inquiry.answer_to.is_empty() && inquiry.stands_for.is_none() {
        core.election_at = *now;
        return election::campaign(role, context);
    }
    if core.is_promised(*now) {
        // Rule R7: only time ends a promise, so the answer waits for that.
        core.marks.add(Mark::PreVoteHeldByPromise);
        inquiry.next_at = core.promise_until;
        core.inquiry = Some(inquiry);
        return;
    }
    core.reset_election(*now);
    if let Some(other) = inquiry.stands_for.filter(|_| inquiry.answer_to.is_empty()) {
        // None of those who have asked can win (rule R18).
        context.mark(Mark::StoodForOthers);
        return election::stand_soon(role, context, other);
    }
    for (from, request) in inquiry.answer_to {
        election::on_pre_vote(role, context, from, request);
    }
}

/// A leader has been heard in a new round, maybe in answer to a `question` (0: to none): the
/// inquiry has its answer, and so has whoever asked for a vote meanwhile.
pub(super) fn on_heard(context: &mut Context<'_>, question: u64) {
    let Context { core, now, .. } = context;
    (core.given_up, core.has_stood) = (false, false);
    // The answer may come after the leader was given up too soon; then it teaches patience.
    let place = (question as usize).checked_sub(1);
    if let Some(began) = place.and_then(|place| core.inquired_at.get(place).copied())
        && let Some(leader) = core.leader
    {
        core.inquired_at.clear();
        core.round_trips[leader.rank()].sample(began, *now, 2);
    }
    let Some(inquiry) = core.inquiry.take() else {
        return;
    };
    core.marks.add_if(inquiry.asked > 0, Mark::LeaderKept);
    core.marks.add_if(!inquiry.answer_to.is_empty(), Mark::PreVoteRefusedForLeader);
    for (from, request) in inquiry.answer_to {
        election::refuse_pre_vote(context, from, request);
    }
}

/// The one that was asked answers that it does not lead.
pub(super) fn on_refusal(
    context: &mut Context<'_>,
    from: Member,
    reply: PreVoteReply,
) -> Disposition {
    let Context { core, now, .. } = context;
    let of_leader = core.leader == Some(from) && reply.term == core.term;
    let most = core.inquiries();
    match &mut core.inquiry {
        Some(inquiry) if of_leader => {
            core.marks.add(Mark::LeaderDenied);
            core.met.insert(from);
            inquiry.asked = most;
            inquiry.next_at = *now;
            Disposition::Accepted
        }
        _ => Disposition::Stale,
    }
}

impl Core {
    /// How often the leader is asked before it is given up: as often as this member's own tuning
    /// says, or as its leader says if that is more often. A member whose own tuning says never asks
    /// only a leader that has told it not to watch: that one is silent because it has nothing to
    /// say.
    pub fn inquiries(&self) -> u64 {
        match self.tuning.inquiries {
            0 => u64::from(self.told_timeout >= NOT_WATCHING),
            own => own.max(self.told_inquiries),
        }
    }

    /// How often this leader's followers are to ask it: said only where knobs follow what is
    /// measured, which only the leader does.
    pub fn stated_inquiries(&self) -> u64 {
        if self.tuning.control == Control::Adaptive { self.tuning.inquiries } else { 0 }
    }

    /// How long the inquiries of the member with the longest way take. Zero: nobody asks.
    pub fn longest_inquiry(&self) -> Micros {
        let inquiries = self.inquiries();
        if inquiries == 0 {
            return Micros(0);
        }
        self.others().iter().map(|member| self.inquiry_takes(member)).max().unwrap_or_default()
    }

    /// How often this leader asks everyone before it steps down: once, or as often as it tells its
    /// followers to ask it.
    pub fn everyone_questions(&self) -> u64 {
        self.stated_inquiries().max(1)
    }

    /// How long this leader waits between two questions to everyone: half the time in which those
    /// with the longest way answer.
    pub fn everyone_gap(&self) -> Micros {
        let timeout = |member| self.inquiry_timeout(member);
        Micros(self.others().iter().map(timeout).max().unwrap_or_default().0 / 2)
    }

    /// How long this leader asks everyone before it steps down for want of answers. It need not
    /// hurry as its followers do, since it lives. Where it tells them nothing it waits as long as
    /// they would ask.
    pub fn asking_everyone_takes(&self) -> Micros {
        match self.stated_inquiries() {
            0 => self.longest_inquiry(),
            asked => Micros(self.everyone_gap().0 * (asked + 1)),
        }
    }

    /// How long the inquiries of a member as far from `leader` as this one take.
    pub fn inquiry_takes(&self, leader: Member) -> Micros {
        inquiries_take(self.inquiry_timeout(leader), self.inquiries())
    }

    /// How long an inquiry waits for the leader: its measured round trip with a margin, or the
    /// resend timeout before there is one.
    fn inquiry_timeout(&self, leader: Member) -> Micros {
        let fixed = self.tuning.resend_timeout();
        let measured = self.round_trips[leader.rank()].timeout();
        let least = Micros(fixed.0 / 2).max(LEAST_INQUIRY_TIMEOUT);
        measured.unwrap_or(fixed).max(least).min(self.tuning.heartbeat_interval())
    }
}
