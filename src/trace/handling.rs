//! Which records are one handling.
//!
//! A step of a replica makes its records at one time. A request's begin with `asked`, be it served or
//! refused; a message's end with `received`; what is neither is a wake-up's, or that of requests that
//! were looked at again. Where several steps share a microsecond, these words tell them apart; only what follows a
//! message's `received` in its own step counts with the step behind it.

use serde_json::{Value, json};

use super::sheet::Slice;
use crate::interface::Address;
use crate::raft::{Event, Member, Micros};
use crate::record::{Fact, Record, RequestId, fact_json};
use crate::wire::Garbage;

/// What one datagram or wake-up made a replica do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handling {
    /// Who.
    pub teller: Member,
    /// When.
    pub at: Micros,
    /// All that is told of it, at least one.
    pub records: Vec<Record>,
}

impl Handling {
    /// Its slice, without arrows.
    pub fn slice(&self) -> Slice {
        let facts: Vec<Value> = self.records.iter().map(|record| fact_json(record.fact)).collect();
        Slice { name: self.name(), details: json!({"facts": facts}), tips: Vec::new() }
    }

    fn name(&self) -> String {
        let names = self.records.iter().find_map(|record| match record.fact {
            Fact::Asked { put, .. } => Some(if put { "put" } else { "get" }),
            Fact::Received { kind, .. } => Some(kind.name()),
            Fact::Garbage { reason, .. } if !reason.is_of_sound_request() => Some("garbage"),
            _ => None,
        });
        names.unwrap_or("wake").to_owned()
    }

    /// Whether `record` is of this handling too.
    fn goes_on_with(&self, record: &Record) -> bool {
        if record.teller != self.teller || record.at != self.at {
            return false;
        }
        let asked = match self.records[0].fact {
            Fact::Asked { client, request, .. } => Some((client, request)),
            _ => None,
        };
        let told = |of: &Record| matches!(of.fact, Fact::Received { .. });
        let received = self.records.iter().any(told);
        let dropped =
            |fact| matches!(fact, Fact::Garbage { reason, .. } if !reason.is_of_sound_request());
        let over = received || dropped(self.records[0].fact);
        match record.fact {
            Fact::Asked { .. } => false,
            Fact::Garbage { reason, .. } => {
                // A request that cannot be read has been asked, and nothing else came of it.
                let refused = asked.is_some() && self.records.len() == 1;
                let contradicts = received && reason == Garbage::Contradiction;
                (reason.is_of_sound_request() && !over) || refused || contradicts
            }
            fact => match asked {
                Some(asked) => self.is_of_request(asked, fact),
                None => !over,
            },
        }
    }

    fn is_of_request(&self, asked: (Address, RequestId), fact: Fact) -> bool {
        match fact {
            Fact::Held { client, request } | Fact::Answered { client, request, .. } => {
                (client, request) == asked
            }
            Fact::State(Event::Appended { first, last, .. }) => {
                first == last && self.records.len() == 1
            }
            _ => false,
        }
    }
}

/// Handlings, one after the other.
#[derive(Debug, Default)]
pub(super) struct Handlings(Option<Handling>);

impl Handlings {
    /// Takes in the next record of a replica; the handling before it, if that is over.
    pub fn take_in(&mut self, record: &Record) -> Option<Handling> {
        if let Some(handling) = self.0.as_mut().filter(|handling| handling.goes_on_with(record)) {
            handling.records.push(*record);
            return None;
        }
        let (teller, at) = (record.teller, record.at);
        self.0.replace(Handling { teller, at, records: vec![*record] })
    }

    /// The handling under way is over.
    pub fn finish(&mut self) -> Option<Handling> {
        self.0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{Cause, Disposition, Kind, Why};
    use crate::record::AnswerKind;

    #[test]
    fn steps_of_one_microsecond_are_told_apart() {
        let client = Address(0x15);
        let asked = |request| Fact::Asked { client, request, put: true };
        let appended = |index| Event::Appended { first: index, last: index, term: 1 };
        let received = Fact::Received {
            from: Member(1),
            number: 9,
            kind: Kind::AppendReply,
            why: Why::Ack(Cause::Replicate),
            term: 1,
            disposition: Disposition::Implausible,
        };
        let contradiction = Fact::Garbage { reason: Garbage::Contradiction, bytes: 0 };
        let fail = |request| {
            let outcome = AnswerKind::Fail;
            Fact::Answered { client, request, outcome, index: 0, term: 0 }
        };
        let garbage = |reason| Fact::Garbage { reason, bytes: 3 };
        let steps: [(&str, Vec<Fact>); 9] = [
            ("put", vec![asked(1), Fact::State(appended(5))]),
            ("put", vec![asked(2), Fact::Held { client, request: 2 }]),
            (
                "append_reply",
                vec![Fact::State(Event::Committed { through: 4 }), received, contradiction],
            ),
            ("append_reply", vec![received]),
            ("garbage", vec![garbage(Garbage::Stranger)]),
            ("put", vec![asked(3), garbage(Garbage::MissingKey), fail(3)]),
            ("garbage", vec![garbage(Garbage::Malformed)]),
            ("append_reply", vec![garbage(Garbage::LongAnswer), fail(4), received]),
            ("wake", vec![Fact::State(Event::BatchSent { first: 5, last: 5 })]),
        ];
        let mut handlings = Handlings::default();
        let mut seen = Vec::new();
        for fact in steps.iter().flat_map(|(_, facts)| facts) {
            let record = Record { at: Micros(7), teller: Member(0), fact: *fact };
            seen.extend(handlings.take_in(&record));
        }
        seen.extend(handlings.finish());
        for (handling, (name, facts)) in seen.iter().zip(&steps) {
            let of: Vec<Fact> = handling.records.iter().map(|record| record.fact).collect();
            assert_eq!((handling.name().as_str(), &of), (*name, facts));
        }
        assert_eq!(seen.len(), steps.len());
    }
}
