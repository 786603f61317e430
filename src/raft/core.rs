//! The state that every replica has whatever its role, and the context of a step.

use super::estimate::RoundTrip;
use super::event::{Event, Output, To};
use super::log::Log;
use super::mark::{Mark, Marks};
use super::message::{AppendReply, Message, PreVote, Repeated, Why};
use super::planted::Planted;
use super::random::Random;
use super::tuning::{NOT_WATCHING, ResendFrom, Tuning};
use super::types::{Index, Member, MemberSet, Micros, RecentRounds, Round, Term};

/// State that outlives a change of role.
#[derive(Clone, Debug)]
pub(super) struct Core {
    /// This replica's rank.
    pub me: Member,
    /// Number of members, this one included.
    pub count: usize,
    /// The tuning in force.
    pub tuning: Tuning,
    /// Random numbers for election timeouts.
    pub random: Random,
    /// Latest term seen (§5.1).
    pub term: Term,
    /// The member that got this replica's vote in `term`.
    pub voted_for: Option<Member>,
    /// The leader of `term`, as far as heard. A pre-candidate goes on naming it (rule R18).
    pub leader: Option<Member>,
    /// When `leader` was last heard, in microseconds.
    pub heard_at: Micros,
    /// Counts the appends of leaders that brought news; it tells whether a leader was heard since
    /// (rule R5).
    pub times_heard: u64,
    /// Newest round heard in `term`: only a newer one is news (rule R21).
    pub heard_round: Round,
    /// Newest round accepted in `term`: the promises of this round and of all earlier ones are
    /// given.
    pub promised_round: Round,
    /// The rounds of this term that this member has passed on along a chain (rule R14).
    pub passed_on: RecentRounds,
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
    /// An earlier time to campaign, because a member whose log is shorter has tried (rule R18). It
    /// is dropped if another member is heard to campaign first.
    pub early_candidacy_at: Option<Micros>,
    /// No candidacy before this time: the silence after the start.
    pub silent_until: Micros,
    /// The acknowledgement of what has been accepted in the current drain, not sent yet.
    pub owed: Option<AppendReply>,
    /// What this member knows to be held by the hops before it, from the newest chain of `term`
    /// that it has accepted (rule R32).
    pub relayed: Option<Repeated>,
    /// The election timeout that the newest append stated, within this member's own bounds; zero:
    /// none (rule R29).
    pub told_timeout: Micros,
    /// How often the newest append says that its leader is to be asked (rule R29); zero: nothing
    /// was said.
    pub told_inquiries: u64,
    /// The loss that the newest append tells, of whichever term, in parts per million (rule R29);
    /// `None`: no leader was heard yet.
    pub told_loss_ppm: Option<u64>,
    /// When each question of the latest inquiry was asked, until one of them is answered: for the
    /// round trip to the leader.
    pub inquired_at: Vec<Micros>,
    /// The question to a silent leader that is under way (rule R28).
    pub inquiry: Option<Inquiry>,
    /// Whether the leader of this term has left the inquiries unanswered since it was last heard.
    pub given_up: bool,
    /// Whether this member has asked for pre-votes in this term since a leader was last heard, has
    /// said yes to another that did, or has led and given up for want of answers.
    pub has_stood: bool,
    /// The others that it has met in doing so (rule R28).
    pub met: MemberSet,
    /// Round trip to each other member, by rank, measured in every role.
    pub round_trips: Vec<RoundTrip>,
    /// Whether this replica has ever led.
    pub has_led: bool,
    /// Whether it was ever deposed.
    pub was_deposed: bool,
    /// The rare branches that were taken here.
    pub marks: Marks,
    /// The bug that was planted here.
    #[cfg(feature = "planted")]
    pub planted: Option<Planted>,
}

impl Core {
    /// Number of others that a commit needs: f.
    pub const fn others_needed(&self) -> usize {
        if self.has(Planted::EvenQuorum) { (self.count - 1) / 2 } else { self.count / 2 }
    }

    /// Whether `bug` was planted here.
    #[cfg(feature = "planted")]
    pub const fn has(&self, bug: Planted) -> bool {
        matches!(self.planted, Some(planted) if planted as u8 == bug as u8)
    }

    /// Whether `bug` was planted here: never, without the feature `planted`.
    #[cfg(not(feature = "planted"))]
    #[inline(always)]
    pub const fn has(&self, _bug: Planted) -> bool {
        false
    }

    /// Every member but this one.
    pub fn others(&self) -> MemberSet {
        MemberSet(((1u64 << self.count) - 1) as u32 & !MemberSet::only(self.me).0)
    }

    /// How long to wait for an answer of `member` to a message that visits `hops` members in a row.
    /// It follows the member's own measured round trip, so that a long way or a slow network is not
    /// taken for silence.
    pub fn resend_timeout(&self, member: Member, hops: usize) -> Micros {
        let fixed = self.tuning.resend_timeout();
        let trip = &self.round_trips[member.rank()];
        let measured = match self.tuning.resend_from {
            ResendFrom::Fixed => None,
            ResendFrom::RoundTrip => trip.timeout(),
        };
        let Some(measured) = measured else {
            return fixed;
        };
        let interval = self.tuning.heartbeat_interval();
        let most = if trip.is_sure() { interval } else { interval.min(Micros(fixed.0 * 8)) };
        // A round trip is two messages; each further hop adds one.
        Micros((measured.0 * (hops as u64 + 1)).div_ceil(2)).clamp(fixed, most)
    }

    /// Draws when to campaign if nothing is heard from now on. A timeout that the leader has stated
    /// is spread as widely as this member's own.
    pub fn reset_election(&mut self, now: Micros) {
        self.early_candidacy_at = None;
        let (low, high) =
            (self.tuning.election_timeout_min_us, self.tuning.election_timeout_max_us);
        let (low, high) = match self.told_timeout.0 {
            0 => (low, high),
            told => (told, told * high / low),
        };
        self.election_at = now + Micros(self.random.between(low, high));
    }

    /// A new term begins. Whoever was told not to watch waits for minutes, but nobody has told it
    /// so in this term: from now on it waits no longer than its own tuning says (rule R30).
    pub fn end_stated_wait(&mut self, now: Micros) {
        let own = self.tuning.election_timeout_max_us;
        if self.election_at > now + Micros(own) {
            self.marks.add(Mark::StatedWaitEnded);
            let least = self.tuning.election_timeout_min_us;
            self.election_at = now + Micros(self.random.between(least, own));
        }
    }

    /// Takes on the election timeout that an append states, within this member's own bounds (rule
    /// R29).
    pub fn take_timeout(&mut self, stated: Micros) {
        let least = Micros(self.tuning.resend_timeout_us * 2);
        self.told_timeout = match stated.0 {
            0 => stated,
            _ => stated.clamp(least, NOT_WATCHING),
        };
    }

    /// For how long after it was heard the leader is believed to be there, so that clients are sent
    /// to it.
    pub fn believed_for(&self) -> Micros {
        let own = self.tuning.election_timeout_min();
        if self.told_timeout.0 > 0 { own.min(self.told_timeout) } else { own }
    }

    /// Gives others the time for an election before this replica campaigns (rule R25).
    pub fn defer_election(&mut self, now: Micros) {
        self.early_candidacy_at = None;
        self.election_at = self.election_at.max(now + Micros(self.tuning.resend_timeout_us * 2));
    }

    /// When a member that does not lead has to be woken: at once, if it owes an acknowledgement.
    pub fn deadline(&self) -> Micros {
        let inquiry = self.inquiry.as_ref().map_or(Micros::NEVER, |inquiry| inquiry.next_at);
        if self.owed.is_some() { Micros(0) } else { self.candidacy_at().min(inquiry) }
    }

    /// When to campaign; not while the leader is being asked.
    pub fn candidacy_at(&self) -> Micros {
        if self.inquiry.is_some() {
            return Micros::NEVER;
        }
        self.election_at.min(self.early_candidacy_at.unwrap_or(Micros::NEVER))
    }

    /// Whether a promise to a leader is in force.
    pub fn is_promised(&self, now: Micros) -> bool {
        now < self.promise_until && !self.has(Planted::PromiseIgnored)
    }

    /// Extends the promise. A promise that would end earlier changes nothing (rule R7).
    pub fn promise(&mut self, now: Micros, length: Micros) {
        self.promise_until = self.promise_until.max(now + length);
    }
}

/// A follower's question to its silent leader whether it lives (rule R28).
#[derive(Clone, Debug, Hash)]
pub(super) struct Inquiry {
    /// How often the leader has been asked.
    pub asked: u64,
    /// When to ask again, or to give the leader up.
    pub next_at: Micros,
    /// Who have asked for this member's pre-vote meanwhile, at most once each. They are answered
    /// when the inquiry has ended.
    pub answer_to: Vec<(Member, PreVote)>,
    /// The first that has asked with a shorter log. It was refused at once, and this member stands
    /// in its place when the inquiry has ended (rule R18).
    pub stands_for: Option<Member>,
}

/// What a step works with: the state, the time, and the list of outputs.
pub(super) struct Context<'a> {
    /// The state that outlives a change of role.
    pub core: &'a mut Core,
    /// The time of the step, in microseconds.
    pub now: Micros,
    /// What is to be done, in order.
    pub out: &'a mut Vec<Output>,
}

impl Context<'_> {
    /// Sends `message` to one member.
    pub fn send(&mut self, to: Member, message: Message, why: Why) {
        self.add(|| Output::Send { to: To::Member(to), message, why });
    }

    /// Adds an output. It is made in its place in the list, after there is room for it: a small
    /// event is as large as the longest message, and to copy it costs more than to make it.
    fn add(&mut self, make: impl FnOnce() -> Output) {
        self.out.extend(std::iter::once_with(make));
    }

    /// Notes that a rare branch was taken.
    pub const fn mark(&mut self, mark: Mark) {
        self.core.marks.add(mark);
    }

    /// Notes a rare branch, if it was taken.
    pub const fn mark_if(&mut self, taken: bool, mark: Mark) {
        self.core.marks.add_if(taken, mark);
    }

    /// Reports a change of state.
    pub fn tell(&mut self, event: Event) {
        self.add(|| Output::Event(event));
    }

    /// Enters a higher term (§5.1).
    pub fn start_term(&mut self, term: Term) {
        self.mark_if(self.core.owed.is_some(), Mark::AcknowledgementDropped);
        self.core.term = term;
        if !self.core.has(Planted::VoteKeptOverTerms) {
            self.core.voted_for = None;
        }
        self.core.leader = None;
        self.core.owed = None;
        let kept = self.core.relayed.filter(|_| self.core.has(Planted::RelayOfOldTermRepeated));
        self.core.relayed = kept.map(|known| Repeated { through: Index::MAX, ..known });
        self.core.told_timeout = Micros(0);
        self.core.told_inquiries = 0;
        self.core.inquired_at.clear();
        self.core.inquiry = None;
        (self.core.given_up, self.core.has_stood) = (false, false);
        (self.core.heard_round, self.core.promised_round) = (0, 0);
        self.core.passed_on = RecentRounds::default();
        self.tell(Event::TermStarted { term });
    }

    /// Raises the commit index; the caller applies the entries. Returns whether it rose.
    pub fn commit_through(&mut self, through: Index) -> bool {
        if through <= self.core.commit {
            return false;
        }
        self.core.commit = through;
        self.core.heard_commit = self.core.heard_commit.max(through);
        self.add(|| Output::Commit { through });
        self.tell(Event::Committed { through });
        true
    }
}
