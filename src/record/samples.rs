//! Facts for tests.

use super::{AnswerKind, Fact, Fate};
use crate::interface::{Address, OperationKind};
use crate::raft::{Cause, Deposed, Disposition, Event, Kind, Member, MemberSet, To, Why};
use crate::wire::Garbage;

/// One of each fact. Every field has a value that is not its default.
pub fn one_of_each() -> Vec<Fact> {
    let (member, term, last) = (Member(3), 7, 9);
    let sent = |to, why| Fact::Sent {
        to,
        number: 1 << 40,
        kind: Kind::Append,
        why,
        term: 5,
        first: 6,
        entries: 2,
        bytes: 65_507,
    };
    let events = [
        Event::TermStarted { term },
        Event::LeaderHeard { leader: member, term },
        Event::BecamePreCandidate { term },
        Event::BecameCandidate { term },
        Event::BecameLeader { term, heard_commit: 8, opened: 9 },
        Event::SteppedDown { term, reason: Deposed::NoQuorum },
        Event::Voted { candidate: member, term },
        Event::Appended { first: 8, last, term },
        Event::Truncated { first: 8, last },
        Event::Committed { through: 8 },
        Event::BatchSent { first: 8, last },
        Event::ResendTimeout { member, attempt: 2, batch_waits: true },
        Event::Suspected { member },
        Event::Trusted { member },
        Event::LeaderGivenUp { leader: member, term },
    ];
    let client = Address(0x15);
    let routed = |fate| Fact::Routed { from: member, to: Member(1), number: 6, fate, bytes: 99 };
    let mut facts = vec![
        sent(To::Everyone, Why::Own(Cause::Retry)),
        sent(To::Member(member), Why::Relay(Cause::Replicate)),
        sent(To::Member(member), Why::Ack(Cause::Confirm)),
        sent(To::Member(member), Why::Reject(Cause::CatchUp)),
        Fact::Received {
            from: member,
            number: 77,
            kind: Kind::VoteReply,
            why: Why::Reject(Cause::Retry),
            term,
            disposition: Disposition::Implausible,
        },
        Fact::Garbage { reason: Garbage::Stranger, bytes: 12 },
        Fact::Asked { client, request: 1 << 63, operation: OperationKind::Put },
        Fact::Woken,
        Fact::Retuned { knobs: 3 },
        Fact::Taken { client, request: 3, index: 4, term },
        Fact::Refused { client, request: 3, reason: Garbage::Oversized, bytes: 70_000 },
        Fact::Held { client, request: 3 },
        Fact::Answered { client, request: 3, outcome: AnswerKind::Redirect, index: 4, term },
        routed(Fate::Delivered),
        routed(Fate::Dropped),
        routed(Fate::CutOff),
        routed(Fate::Dead),
        routed(Fate::Blocked),
        Fact::Killed { member, by_itself: true },
        Fact::Partitioned { majority: MemberSet(0b10101) },
    ];
    facts.extend(events.map(Fact::State));
    facts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use strum::VariantNames;

    use super::*;

    #[test]
    fn there_is_one_of_each() {
        let name = |fact| serde_json::to_value(fact).unwrap()["fact"].as_str().unwrap().to_owned();
        let named: BTreeSet<String> = one_of_each().into_iter().map(name).collect();
        let facts = Fact::VARIANTS.iter().filter(|name| **name != "state");
        let declared: BTreeSet<String> =
            facts.chain(Event::VARIANTS).map(|name| (*name).to_owned()).collect();
        assert_eq!(named, declared);
        assert!(matches!(serde_json::to_value(one_of_each()[0]).unwrap(), Value::Object(_)));
    }
}
