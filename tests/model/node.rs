//! One replica with its clock, what can happen to it, and what comes of that.

use std::hash::{Hash, Hasher};

use laconic::raft::{Cause, Input, Member, Message, Micros, Output, Raft, RoleName, Term};
use xxhash_rust::xxh3::xxh3_128;

use crate::bounds::Bounds;

/// A hash of 128 bits: with ten million things, two of them share one in 10^25 cases.
pub type Print = u128;

/// How often a replica may ask to be woken at one instant.
const MOST_WAKES_AN_INSTANT: usize = 4;

/// Tickets of reads; those of puts are below.
const FIRST_READ: u64 = 100;

/// The bytes of whatever is hashed.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        xxh3_128(&self.0) as u64
    }
}

/// The hash of `what`.
pub fn print_of(what: &impl Hash) -> Print {
    let mut bytes = Bytes::default();
    what.hash(&mut bytes);
    xxh3_128(&bytes.0)
}

/// A message that was sent to one member.
#[derive(Clone, Debug, Hash)]
pub struct Letter {
    /// The sender.
    pub from: Member,
    /// The receiver.
    pub to: Member,
    /// The message.
    pub message: Message,
}

/// What happens to one replica. Messages are named by their numbers in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// The message of this number arrives.
    Deliver(u32),
    /// It is woken because it asked to be woken by now.
    Wake,
    /// Its next timer runs out: its clock goes there, and it is woken.
    TimeOut,
    /// Its clock goes to the end of its promise, and nothing else happens.
    Expire,
    /// It is asked to put; the number says the how manieth put this is.
    Propose(u8),
    /// It is asked to read.
    Read(u8),
}

/// The ticket of a read.
pub const fn read_ticket(number: u8) -> u64 {
    FIRST_READ + number as u64
}

/// A replica and its clock.
#[derive(Clone, Debug)]
pub struct Node {
    /// The real core.
    pub raft: Raft,
    /// Its clock.
    pub now: Micros,
}

/// What an act led to.
pub struct Acted {
    /// The replica after it.
    pub node: Node,
    /// What it put out.
    pub outputs: Vec<Output>,
}

impl Node {
    /// The node's fingerprint.
    pub fn print(&self) -> Print {
        print_of(&(&self.raft, self.now))
    }

    /// What of it the invariants compare with other nodes.
    pub fn public_print(&self) -> Print {
        let Node { raft, .. } = self;
        print_of(&(raft.member(), raft.term(), raft.commit(), raft.is_leader(), raft.log()))
    }

    /// Whether it is to be woken now.
    pub fn is_due(&self) -> bool {
        self.raft.deadline() <= self.now
    }

    /// What can happen to it with no message and no client, each counted as a timeout or not.
    pub fn may(&self) -> impl Iterator<Item = (Act, bool)> {
        let deadline = self.raft.deadline();
        let wakes = self.is_due().then_some((Act::Wake, false));
        let times_out = !self.is_due() && deadline != Micros::NEVER;
        let times_out = times_out.then_some((Act::TimeOut, true));
        let is_promised = self.raft.status().promise_until > self.now;
        let expires = is_promised.then_some((Act::Expire, true));
        wakes.into_iter().chain(times_out).chain(expires)
    }

    /// What `act` leads to, with `letter` if that is a delivery. Wakes the replica as often as it
    /// asks, unless a drain may go on.
    ///
    /// # Errors
    /// The replica asks to be woken again and again.
    pub fn after(
        &self,
        bounds: &Bounds,
        act: Act,
        letter: Option<&Letter>,
    ) -> Result<Acted, String> {
        let mut node = self.clone();
        let mut outputs = Vec::new();
        let input = match act {
            Act::Deliver(_) => letter.map_or(Input::Wake, |letter| Input::Message {
                from: letter.from,
                message: letter.message.clone(),
            }),
            Act::Wake => Input::Wake,
            Act::TimeOut => {
                node.now = node.now.max(node.raft.deadline());
                Input::Wake
            }
            Act::Expire => {
                node.now = node.raft.status().promise_until;
                return Ok(Acted { node, outputs });
            }
            Act::Propose(number) => {
                let command = bounds.command(number).into();
                Input::Propose { ticket: number.into(), command }
            }
            Act::Read(number) => Input::Read { ticket: read_ticket(number) },
        };
        let is_wake = matches!(input, Input::Wake);
        let was_due = node.is_due() && !is_wake;
        node.raft.step(node.now, input, &mut outputs);
        bounds.assume_trips(&mut node.raft);
        let mut wakes = 0;
        while node.is_due() && (is_wake || !bounds.drains && !was_due) {
            wakes += 1;
            if wakes > MOST_WAKES_AN_INSTANT {
                return Err(format!("{} asks to be woken again and again", node.raft.member()));
            }
            node.raft.step(node.now, Input::Wake, &mut outputs);
            bounds.assume_trips(&mut node.raft);
        }
        Ok(Acted { node, outputs })
    }

    /// The earliest moment after its clock at which a timer, a promise or a lease ends.
    pub fn next_end(&self) -> Option<Micros> {
        let status = self.raft.status();
        let ends = [status.deadline, status.promise_until, status.lease_until.unwrap_or_default()];
        ends.into_iter().filter(|end| *end > self.now && *end != Micros::NEVER).min()
    }

    /// Whether `message` is an answer to a term or a role that has ended here, so that it can
    /// change nothing any more, since terms and roles only go on.
    pub fn has_outlived(&self, message: &Message) -> bool {
        let (term, role) = (self.raft.term(), self.raft.status().role);
        let serves = |of: Term, needed| of > term || of == term && role == needed;
        match message {
            Message::VoteReply(reply) => !serves(reply.term, RoleName::Candidate),
            Message::AppendReply(reply) => !serves(reply.term, RoleName::Leader),
            Message::PreVoteReply(reply) if reply.cause != Cause::Inquiry => {
                reply.term <= term && reply.campaign_term <= term
            }
            _ => false,
        }
    }
}
