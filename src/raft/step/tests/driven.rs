//! Cores that a test drives: it says what happens, and is told what they send.

use super::*;
use crate::raft::message::{AppendReply, PreVoteReply, VoteReply};

/// A core of rank 0, and the time.
pub(super) struct Driven {
    pub raft: Raft,
    pub now: Micros,
}

impl Driven {
    /// A member of `count` that has heard of nobody.
    pub fn new(count: u8, tuning: Tuning, seed: u64) -> Driven {
        let raft = Raft::new(Member(0), usize::from(count), tuning, seed, Micros(0));
        Driven { raft, now: Micros(0) }
    }

    /// One that has just begun to campaign.
    pub fn campaigning(count: u8, tuning: Tuning, seed: u64) -> Driven {
        let mut driven = Driven::new(count, tuning, seed);
        driven.next();
        assert!(!matches!(driven.raft.role, Role::Follower), "it campaigns");
        driven
    }

    /// The others say yes in turn to what it asks for, as long as it is in this role.
    pub fn is_granted(&mut self, while_it_is: RoleName) {
        for rank in 1..self.raft.core.count as u8 {
            if self.raft.status().role == while_it_is {
                self.is_granted_by(Member(rank));
            }
        }
    }

    /// `member` says yes to what it asks for.
    pub fn is_granted_by(&mut self, member: Member) {
        let message = yes(&self.raft);
        self.hear(member, message);
    }

    /// A yes to what it asks for.
    pub fn yes(&self) -> Message {
        yes(&self.raft)
    }

    /// A leader of `count`, whose opening everyone has acknowledged.
    pub fn leading(count: u8, tuning: Tuning) -> Driven {
        let mut leading = Driven::campaigning(count, tuning, 1);
        leading.is_granted(RoleName::PreCandidate);
        leading.is_granted(RoleName::Candidate);
        let now = leading.now;
        let leader = leading.leader();
        let round = *leader.rounds.get(leader.rounds.newest).unwrap();
        for progress in &mut leader.progress[1..] {
            progress.accept(&round, 1, now);
            progress.awaiting = None;
        }
        leader.batches.clear();
        leader.lease.renew(round.number, round.at, now);
        leader.waits_since = None;
        (leading.raft.core.commit, leading.raft.core.heard_commit) = (1, 1);
        leading
    }

    /// The leader's own state.
    pub fn leader(&mut self) -> &mut Leader {
        match &mut self.raft.role {
            Role::Leader(leader) => leader,
            _ => unreachable!("it leads"),
        }
    }

    pub fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.raft.step(self.now, input, &mut out);
        out
    }

    pub fn hear(&mut self, from: Member, message: Message) -> Vec<Output> {
        self.step(Input::Message { from, message })
    }

    /// Wakes it after so long, and returns what it sends.
    pub fn wake(&mut self, after: Micros) -> Vec<Append> {
        self.now += after;
        appends(&self.step(Input::Wake))
    }

    /// Wakes it when it wants to be woken.
    pub fn next(&mut self) -> Vec<Output> {
        self.now = self.now.max(self.raft.deadline());
        self.step(Input::Wake)
    }

    /// Wakes it when it wants to be woken, until an answer of `member` is overdue. Returns what it
    /// does then.
    pub fn overdue(&mut self, member: Member) -> Vec<Output> {
        for _ in 0..1_000 {
            let out = self.next();
            let is_it = |event: &Event| match event {
                Event::ResendTimeout { member: silent, .. } => *silent == member,
                _ => false,
            };
            if events(&out).iter().any(is_it) {
                return out;
            }
        }
        panic!("{member:?} is not waited for")
    }

    /// Takes in a put of ten bytes.
    pub fn propose(&mut self) {
        let command = [7u8; 10].into();
        let taken =
            self.raft.step(self.now, Input::Propose { ticket: 1, command }, &mut Vec::new());
        assert!(taken.is_some(), "it takes a put");
    }

    /// Takes in a put, and returns what it sends when the drain is over.
    pub fn put(&mut self) -> Vec<Append> {
        self.propose();
        self.wake(Micros(0))
    }

    /// All whom `append` visits accept it; the last of them answers.
    pub fn answer(&mut self, append: &Append) -> Vec<Output> {
        let last = append.route.iter().last().expect("a hop");
        self.hear(last, Message::AppendReply(acceptance(append)))
    }

    /// From now on it takes `lost` of so many messages to be lost, as was so for a long time.
    pub fn loses(&mut self, lost: usize, of: usize) {
        let leader = self.leader();
        for message in 1..=2_400 {
            if message % of < lost { leader.loss.lost() } else { leader.loss.arrived(1) }
        }
    }
}

/// The answer by which all whom `append` visits accept it.
pub(super) fn acceptance(append: &Append) -> AppendReply {
    AppendReply {
        term: append.term,
        round: append.round,
        cause: append.cause,
        through: append.through(),
        members: append.route.members(),
        refusal: None,
        repeated: None,
    }
}

/// A yes to what `raft` asks for: a pre-vote or a vote.
fn yes(raft: &Raft) -> Message {
    let (term, granted, cause) = (raft.core.term, true, Cause::Campaign);
    match raft.role {
        Role::PreCandidate(_) => {
            let campaign_term = term + 1;
            Message::PreVoteReply(PreVoteReply {
                term,
                campaign_term,
                granted,
                cause,
                leader: None,
            })
        }
        _ => Message::VoteReply(VoteReply { term, granted, heard_commit: 0, cause }),
    }
}

/// The appends among `out`.
pub(super) fn appends(out: &[Output]) -> Vec<Append> {
    let append = |output: &Output| match output {
        Output::Send { message: Message::Append(append), .. } => Some(append.clone()),
        _ => None,
    };
    out.iter().filter_map(append).collect()
}

/// The ranks of the members that `appends` go to first, in order.
pub(super) fn receivers<'a>(appends: impl IntoIterator<Item = &'a Append>) -> Vec<u8> {
    let first = |append: &Append| append.route.first().map(|member| member.0);
    let mut ranks: Vec<u8> = appends.into_iter().filter_map(first).collect();
    ranks.sort_unstable();
    ranks
}

/// The changes of state among `out`.
pub(super) fn events(out: &[Output]) -> Vec<Event> {
    let event = |output: &Output| match output {
        Output::Event(event) => Some(*event),
        _ => None,
    };
    out.iter().filter_map(event).collect()
}
