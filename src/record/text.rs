//! A record as one line: for people, so that the records of a run read as a story, and as JSON.

use std::fmt;

use super::{AnswerKind, Decision, Fact, Record, SIMULATOR};
use crate::raft::{Event, MemberSet, To};

impl Record {
    /// The record as one line of JSON, without a line end: `at_us`, `source` (a rank or
    /// `"simulator"`), `fact`, and the fact's own keys.
    pub fn json_line(&self) -> String {
        match serde_json::to_string(self) {
            Ok(line) => line,
            Err(error) => unreachable!("names and numbers: {error}"),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source =
            if self.source == SIMULATOR { "simulator".into() } else { self.source.to_string() };
        // The facts of a step are indented below the fact that begins it.
        let indent = if self.fact.begins_step() || self.source == SIMULATOR { "" } else { "  " };
        write!(f, "{} {source} {indent}{}", self.at, self.fact)
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fact::Sent { to, number, kind, why, term, first, entries, .. } => {
                let to = match to {
                    To::Member(member) => member.to_string(),
                    To::Everyone => "everyone".into(),
                };
                let (kind, why) = (kind.name(), why);
                write!(f, "sends {kind} {number} to {to}: {why}, term {term}")?;
                match entries {
                    0 => Ok(()),
                    1 => write!(f, ", entry {first}"),
                    more => write!(f, ", entries {first} to {}", first + u64::from(more) - 1),
                }
            }
            Fact::Received { from, number, kind, why, term, disposition } => {
                let kind = kind.name();
                let came_of_it = disposition.name();
                write!(f, "takes in {kind} {number} of {from}: {why}, term {term}: {came_of_it}")
            }
            Fact::Woken => write!(f, "wakes"),
            Fact::Decided(Decision { knob, before, after, reason, measured }) => {
                let [before, after] = [before, after].map(|number| knob.word(number));
                let (knob, reason) = (knob.name(), reason.name());
                write!(f, "turns {knob} from {before} to {after}: {reason}, {measured}")
            }
            Fact::Retuned { knobs: 1 } => write!(f, "is retuned: 1 knob"),
            Fact::Retuned { knobs } => write!(f, "is retuned: {knobs} knobs"),
            Fact::Garbage { reason, bytes } => {
                write!(f, "drops {bytes} bytes: {reason}")
            }
            Fact::Asked { client, request, operation } => {
                write!(f, "is asked by {client}: {} {request:016x}", operation.name())
            }
            Fact::Held { client, request } => write!(f, "holds {request:016x} of {client}"),
            Fact::Taken { client, request, index, term } => {
                write!(f, "takes {request:016x} of {client} as entry {index} of term {term}")
            }
            Fact::Refused { client, request, reason, .. } => {
                write!(f, "cannot serve {request:016x} of {client}: {reason}")
            }
            Fact::Answered { client, request, outcome, index, .. } => {
                write!(f, "answers {request:016x} of {client}: {}", outcome.name())?;
                let is_put = index > 0 && outcome == AnswerKind::Ok;
                if is_put { write!(f, ", entry {index}") } else { Ok(()) }
            }
            Fact::State(event) => write_event(f, event),
            Fact::Routed { from, to, number, fate, .. } => {
                write!(f, "routes {number} of {from} to {to}: {}", fate.name())
            }
            Fact::Killed { member, by_itself } => {
                let how = if by_itself { "sees the end of" } else { "kills" };
                write!(f, "{how} {member}")
            }
            Fact::Partitioned { majority: MemberSet::EMPTY } => write!(f, "ends the partition"),
            Fact::Partitioned { majority } => {
                let side: Vec<String> = majority.iter().map(|member| member.to_string()).collect();
                write!(f, "cuts {} off from the others", side.join(" "))
            }
        }
    }
}

fn write_event(f: &mut fmt::Formatter<'_>, event: Event) -> fmt::Result {
    match event {
        Event::TermStarted { term } => write!(f, "enters term {term}"),
        Event::LeaderHeard { leader, term } => write!(f, "follows {leader} of term {term}"),
        Event::BecamePreCandidate { term } => write!(f, "would stand in term {term}"),
        Event::BecameCandidate { term } => write!(f, "stands in term {term}"),
        Event::BecameLeader { term, heard_commit, opened } => {
            write!(f, "leads term {term}: opens it at {opened}, has heard of commit {heard_commit}")
        }
        Event::SteppedDown { term, reason } => {
            write!(f, "leads term {term} no more: {}", reason.name())
        }
        Event::Voted { candidate, term } => {
            write!(f, "votes for {candidate} in term {term}")
        }
        Event::Appended { first, last, term } if first == last => {
            write!(f, "appends entry {first} of term {term}")
        }
        Event::Appended { first, last, term } => {
            write!(f, "appends entries {first} to {last} of term {term}")
        }
        Event::Truncated { first, last } => write!(f, "drops entries {first} to {last}"),
        Event::Committed { through } => write!(f, "has committed through {through}"),
        Event::BatchSent { first, last } => write!(f, "sends the batch {first} to {last}"),
        Event::ResendTimeout { member, attempt, batch_waits } => {
            let waits = if batch_waits { ", a batch waits" } else { "" };
            write!(f, "misses an answer of {member}, timeout {attempt}{waits}")
        }
        Event::Suspected { member } => write!(f, "suspects {member}"),
        Event::Trusted { member } => write!(f, "trusts {member} again"),
        Event::LeaderGivenUp { leader, term } => {
            write!(f, "gives up {leader}, the leader of term {term}")
        }
    }
}
