//! One replica alone, of rank 0. The test plays all other members, message by message.

use std::sync::Arc;

use laconic::interface::{Address, Operation, Outcome, Request};
use laconic::raft::message::{
    Append, AppendReply, Position, PreVote, PreVoteReply, Refusal, Route, Vote, VoteReply,
};
use laconic::raft::{
    Cause, Disposition, Entry, Event, Index, Member, MemberSet, Message, Micros, Raft, RoleName,
    Term, Tuning,
};
use laconic::record::{Fact, Record};
use laconic::replica::{Arrival, Replica};
use laconic::wire::{Datagram, Membership, Payload};

use crate::cluster::{CLIENT, ms};

/// This replica's rank.
pub const ME: Member = Member(0);

/// The replica and its clock.
pub struct Solo {
    /// The replica under test.
    pub replica: Replica,
    /// The time on its clock.
    pub now: Micros,
    /// The records that it has told.
    pub records: Vec<Record>,
}

impl Solo {
    /// The replica of rank 0 in a cluster of `count`.
    pub fn new(count: u8, tuning: Tuning) -> Solo {
        tuning.check().expect("a sound tuning");
        let others: Vec<Address> = (1..count).map(|rank| Address(rank.into())).collect();
        let members = Membership::new(Address(0), &others).expect("a sound membership");
        let replica = Replica::new(members, tuning, 7, Micros(0));
        Solo { replica, now: Micros(0), records: Vec::new() }
    }

    /// The replica's core.
    pub fn raft(&self) -> &Raft {
        self.replica.raft()
    }

    /// The replica's role.
    pub fn role(&self) -> RoleName {
        self.replica.status().role
    }

    fn step(&mut self, arrival: Arrival) -> Vec<Datagram> {
        let mut out = Vec::new();
        self.replica.step(self.now, arrival, &mut out, &mut self.records);
        out.into_iter().map(|sent| sent.datagram).collect()
    }

    /// Takes in a message from `from`. Returns what the replica sends in return.
    pub fn hear(&mut self, from: u8, message: Message) -> Vec<Datagram> {
        self.step(Arrival::Peer { from: Member(from), number: 1, message })
    }

    /// How the replica handled the latest message.
    pub fn disposition(&self) -> Disposition {
        let received = self.records.iter().rev().find_map(|record| match record.fact {
            Fact::Received { disposition, .. } => Some(disposition),
            _ => None,
        });
        received.expect("a message was heard")
    }

    /// Lets time pass and wakes the replica as often as it asks. Returns what it sends.
    pub fn wait(&mut self, span: Micros) -> Vec<Datagram> {
        let end = self.now + span;
        let mut out = Vec::new();
        while self.replica.deadline() <= end {
            self.now = self.now.max(self.replica.deadline());
            out.extend(self.step(Arrival::Wake));
            out.extend(self.step(Arrival::Wake));
            assert!(self.replica.deadline() > self.now, "it spins at {}", self.now);
        }
        self.now = end;
        out
    }

    /// The system tells the replica what lies unread at the simulator.
    pub fn look(&mut self, bytes: Option<u64>) -> Vec<Datagram> {
        self.step(Arrival::Unread { bytes })
    }

    /// Sends a put of `CLIENT`. Its value is also its MID.
    pub fn put(&mut self, key: &str, value: &str) -> Vec<Datagram> {
        let operation = Operation::Put { key: key.into(), value: value.into() };
        self.ask(CLIENT, value, operation)
    }

    /// Sends a get of `CLIENT` with this MID.
    pub fn get(&mut self, key: &str, mid: &str) -> Vec<Datagram> {
        self.ask(CLIENT, mid, Operation::Get { key: key.into() })
    }

    /// Sends a request.
    pub fn ask(&mut self, client: Address, mid: &str, operation: Operation) -> Vec<Datagram> {
        self.ask_believing(Address::UNKNOWN, client, mid, operation)
    }

    /// Sends a request of a client that believes in `leader`.
    pub fn ask_believing(
        &mut self,
        leader: Address,
        client: Address,
        mid: &str,
        operation: Operation,
    ) -> Vec<Datagram> {
        let mid = Arc::from(mid);
        self.step(Arrival::Request(Request { client, leader, mid, operation }))
    }

    /// Lets all others vote for the replica as soon as it stands. Returns its opening appends.
    pub fn lead(&mut self) -> Vec<Datagram> {
        self.lead_when_heard(0)
    }

    /// Like [`Solo::lead`]; the voters have heard that the log is committed up to `heard_commit`.
    pub fn lead_when_heard(&mut self, heard_commit: Index) -> Vec<Datagram> {
        let count = self.replica.members().count() as u8;
        while self.role() == RoleName::Follower {
            let span = self.replica.deadline().since(self.now);
            self.wait(span);
        }
        let mut out = Vec::new();
        for from in 1..count {
            let term = self.raft().term();
            if self.role() == RoleName::PreCandidate {
                out = self.hear(from, pre_vote_reply(term, term + 1, true));
            }
        }
        for from in 1..count {
            let term = self.raft().term();
            if self.role() == RoleName::Candidate {
                let cause = Cause::Campaign;
                let reply = VoteReply { term, granted: true, heard_commit, cause };
                out = self.hear(from, Message::VoteReply(reply));
            }
        }
        assert_eq!(self.role(), RoleName::Leader);
        out
    }

    /// All receivers of `sent` answer that they have taken everything. Returns what the replica
    /// sends in return.
    pub fn acknowledge(&mut self, sent: &[Datagram]) -> Vec<Datagram> {
        let mut out = Vec::new();
        for append in appends(sent) {
            let Some(last) = append.route.iter().last() else {
                continue;
            };
            out.extend(self.hear(last.0, accepted(&append, append.through())));
        }
        out
    }

    /// Makes the replica lead, with an opening that everyone has answered.
    pub fn lead_all(&mut self) {
        let opening = self.lead();
        self.acknowledge(&opening);
        self.wait(ms(1));
    }

    /// The number of changes of state told so far that match.
    pub fn events(&self, matches: impl Fn(&Event) -> bool) -> usize {
        let told = |record: &&Record| matches!(&record.fact, Fact::State(e) if matches(e));
        self.records.iter().filter(told).count()
    }
}

/// The causes of the pre-votes among `sent`, in order.
pub fn pre_vote_causes(sent: &[Datagram]) -> Vec<Cause> {
    let cause = |datagram: &Datagram| match &datagram.payload {
        Payload::Peer { message: Message::PreVote(request), .. } => Some(request.cause),
        _ => None,
    };
    sent.iter().filter_map(cause).collect()
}

/// The appends among `sent`.
pub fn appends(sent: &[Datagram]) -> Vec<Append> {
    let append = |datagram: &Datagram| match &datagram.payload {
        Payload::Peer { message: Message::Append(append), .. } => Some(append.clone()),
        _ => None,
    };
    sent.iter().filter_map(append).collect()
}

/// The only answer to an append among `sent`.
pub fn reply(sent: &[Datagram]) -> AppendReply {
    let reply = |datagram: &Datagram| match &datagram.payload {
        Payload::Peer { message: Message::AppendReply(reply), .. } => Some(*reply),
        _ => None,
    };
    let replies: Vec<AppendReply> = sent.iter().filter_map(reply).collect();
    assert_eq!(replies.len(), 1, "one answer in {sent:?}");
    replies[0]
}

/// Whether `sent` grants a vote or a pre-vote, and the answerer's term.
pub fn vote(sent: &[Datagram]) -> (bool, Term) {
    let votes = sent.iter().filter_map(|datagram| match &datagram.payload {
        Payload::Peer { message: Message::VoteReply(reply), .. } => {
            Some((reply.granted, reply.term))
        }
        Payload::Peer { message: Message::PreVoteReply(reply), .. } => {
            Some((reply.granted, reply.term))
        }
        _ => None,
    });
    let votes: Vec<_> = votes.collect();
    assert_eq!(votes.len(), 1, "one answer in {sent:?}");
    votes[0]
}

/// The answers to clients in `sent`: the MID, the outcome, and the leader that they name.
pub fn answers(sent: &[Datagram]) -> Vec<(String, Outcome, Address)> {
    let answer = |datagram: &Datagram| match &datagram.payload {
        Payload::Answer { mid, outcome } => {
            Some((mid.to_string(), outcome.clone(), datagram.leader))
        }
        _ => None,
    };
    sent.iter().filter_map(answer).collect()
}

/// The MIDs in `sent` that were answered with `outcome`.
pub fn answered(sent: &[Datagram], outcome: &Outcome) -> Vec<String> {
    let all = answers(sent).into_iter();
    all.filter(|answer| answer.1 == *outcome).map(|answer| answer.0).collect()
}

/// Entries of these terms, each with a different command.
pub fn entries(terms: &[Term]) -> Arc<[Entry]> {
    let entry = |(place, term): (usize, &Term)| Entry {
        term: *term,
        command: format!("[\"0100\",\"t{term}p{place}\",\"k\",\"t{term}p{place}\"]")
            .into_bytes()
            .into(),
    };
    terms.iter().enumerate().map(entry).collect()
}

/// An append of `leader` in `term` to this replica. Its entries have the `terms` and follow
/// `previous` (a term and an index). It asks for no promise.
pub fn append(leader: u8, term: Term, previous: (Term, Index), terms: &[Term]) -> Append {
    Append {
        term,
        leader: Member(leader),
        round: 1,
        cause: Cause::Replicate,
        previous: Position { term: previous.0, index: previous.1 },
        commit: 0,
        entries: entries(terms),
        promise: Micros(0),
        election_timeout: Micros(0),
        inquiries: 0,
        loss_ppm: 0,
        question: 0,
        wants_answer: true,
        route: Route::direct(ME),
        accepted: MemberSet::EMPTY,
    }
}

/// The answer by which all hops of `append` accept it and say that they hold entries up to
/// `through`.
pub fn accepted(append: &Append, through: Index) -> Message {
    let (term, round, cause) = (append.term, append.round, append.cause);
    let members = append.route.members();
    let (refusal, repeated) = (None, None);
    Message::AppendReply(AppendReply { term, round, cause, through, members, refusal, repeated })
}

/// The answer by which the receiver of `append` says that it does not fit.
pub fn refused(append: &Append, hint: laconic::raft::message::Hint) -> Message {
    let (term, round, cause) = (append.term, append.round, append.cause);
    Message::AppendReply(AppendReply {
        term,
        round,
        cause,
        through: append.through(),
        members: MemberSet::EMPTY,
        refusal: Some(Refusal { refused: append.previous.index, hint }),
        repeated: None,
    })
}

/// A request for a vote.
pub fn vote_request(term: Term, last: (Term, Index)) -> Message {
    let last = Position { term: last.0, index: last.1 };
    Message::Vote(Vote { term, last, cause: Cause::Campaign })
}

/// A request for a pre-vote.
pub fn pre_vote_request(term: Term, last: (Term, Index)) -> Message {
    let last = Position { term: last.0, index: last.1 };
    Message::PreVote(PreVote { term, last, cause: Cause::Campaign, question: 0 })
}

/// An answer to a pre-vote.
pub fn pre_vote_reply(term: Term, campaign_term: Term, granted: bool) -> Message {
    let (cause, leader) = (Cause::Campaign, None);
    Message::PreVoteReply(PreVoteReply { term, campaign_term, granted, cause, leader })
}

/// A vote given or refused.
pub fn vote_reply(term: Term, granted: bool) -> Message {
    Message::VoteReply(VoteReply { term, granted, heard_commit: 0, cause: Cause::Campaign })
}
