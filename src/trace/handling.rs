//! Which records make one handling: those of one step, which begins with a fact that says so.

use serde_json::{Value, json};

use super::chrome::Slice;
use crate::raft::{Kind, Member, Micros, Why};
use crate::record::{Fact, Record};

/// What one datagram, or one wake-up, made a replica do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handling {
    /// The replica.
    pub source: Member,
    /// When the step began.
    pub at: Micros,
    /// The records of the step, at least one.
    pub records: Vec<Record>,
}

impl Handling {
    /// The handling as a slice, without arrows.
    pub fn slice(&self) -> Slice {
        let facts: Vec<Value> = self.records.iter().map(|record| json!(record.fact)).collect();
        let (category, details) = ("handling", json!({"facts": facts}));
        Slice { category, name: self.name(), details, tips: Vec::new() }
    }

    /// Whether the step only acknowledged what the drain before it had brought.
    pub fn is_acknowledgement(&self) -> bool {
        let is_part = |record: &Record| match record.fact {
            Fact::Woken => true,
            Fact::Sent { kind, why, .. } => kind == Kind::AppendReply && matches!(why, Why::Ack(_)),
            _ => false,
        };
        self.records.iter().all(is_part)
    }

    /// Adds its records to the slice of the earlier handling that it completes.
    pub fn complete(&self, slice: &mut Slice) {
        if let Some(facts) = slice.details["facts"].as_array_mut() {
            facts.extend(self.records.iter().map(|record| json!(record.fact)));
        }
    }

    fn name(&self) -> String {
        let names = self.records.iter().find_map(|record| match record.fact {
            Fact::Asked { operation, .. } => Some(operation.name()),
            Fact::Received { kind, .. } => Some(kind.name()),
            Fact::Retuned { .. } => Some("retune"),
            Fact::Garbage { reason, .. } if !reason.is_of_sound_request() => Some("garbage"),
            _ => None,
        });
        names.unwrap_or("wake").to_owned()
    }
}

/// Groups records into handlings, one after the other.
#[derive(Debug, Default)]
pub(super) struct Handlings(Option<Handling>);

impl Handlings {
    /// Takes in the next record of a replica. Returns the handling before it, if that is complete.
    pub fn take_in(&mut self, record: &Record) -> Option<Handling> {
        let (source, at) = (record.source, record.at);
        let goes_on = |handling: &&mut Handling| {
            !record.fact.begins_step() && (handling.source, handling.at) == (source, at)
        };
        if let Some(handling) = self.0.as_mut().filter(goes_on) {
            handling.records.push(*record);
            return None;
        }
        self.0.replace(Handling { source, at, records: vec![*record] })
    }

    /// Completes the present handling.
    pub fn finish(&mut self) -> Option<Handling> {
        self.0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::{Address, OperationKind};
    use crate::raft::{Cause, Disposition, Event};
    use crate::record::AnswerKind;
    use crate::wire::Garbage;

    #[test]
    fn steps_of_one_microsecond_are_told_apart() {
        let client = Address(0x15);
        let asked = |request| Fact::Asked { client, request, operation: OperationKind::Put };
        let appended = |index| Event::Appended { first: index, last: index, term: 1 };
        let received = Fact::Received {
            from: Member(1),
            number: 9,
            kind: Kind::AppendReply,
            why: Why::Ack(Cause::Replicate),
            term: 1,
            disposition: Disposition::Implausible,
        };
        let fail = |request| {
            let outcome = AnswerKind::Fail;
            Fact::Answered { client, request, outcome, index: 0, term: 0 }
        };
        let (reason, bytes) = (Garbage::MissingKey, 3);
        let refused = |request| Fact::Refused { client, request, reason, bytes };
        let steps: [(&str, Vec<Fact>); 8] = [
            ("put", vec![asked(1), Fact::State(appended(5))]),
            ("put", vec![asked(2), Fact::Held { client, request: 2 }]),
            ("append_reply", vec![received, Fact::State(Event::Committed { through: 4 })]),
            ("append_reply", vec![received]),
            ("garbage", vec![Fact::Garbage { reason: Garbage::Stranger, bytes: 3 }]),
            ("put", vec![asked(3), refused(3), fail(3)]),
            ("append_reply", vec![received, refused(4), fail(4)]),
            ("wake", vec![Fact::Woken, Fact::State(Event::BatchSent { first: 5, last: 5 })]),
        ];
        let mut handlings = Handlings::default();
        let mut seen = Vec::new();
        for fact in steps.iter().flat_map(|(_, facts)| facts) {
            let record = Record { at: Micros(7), source: Member(0), fact: *fact };
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
