//! What the controllers of a run's replicas decided.

use super::report::DecisionRow;
use super::words::{percent, time};
use crate::raft::{Event, Member, MemberSet};
use crate::record::{Decision, Fact, Reason, Record};

/// Most decisions that are kept for the report.
const MOST_DECISIONS: usize = 1_000;

/// The fold over the decisions of a run.
#[derive(Debug)]
pub struct Decisions {
    rows: Vec<DecisionRow>,
    left_out: u64,
    /// Who has led so far.
    led: MemberSet,
}

impl Decisions {
    /// No decisions yet.
    pub fn new() -> Decisions {
        Decisions { rows: Vec::new(), left_out: 0, led: MemberSet::EMPTY }
    }

    /// Takes in a record of a replica.
    pub fn record(&mut self, record: &Record) {
        match record.fact {
            Fact::State(Event::BecameLeader { .. }) => self.led.insert(record.source),
            Fact::Decided(_) if self.rows.len() == MOST_DECISIONS => self.left_out += 1,
            Fact::Decided(Decision { knob, before, after, reason, measured }) => {
                self.rows.push(DecisionRow {
                    at_us: record.at.0,
                    member: record.source.0,
                    led: false,
                    knob: knob.name(),
                    before: knob.of_number(before),
                    after: knob.of_number(after),
                    reason: reason.name(),
                    measured,
                    because: because(reason, measured),
                });
            }
            _ => {}
        }
    }

    /// The decisions by time, and how many there are beyond them.
    pub fn finish(self) -> (Vec<DecisionRow>, u64) {
        let led = |member| self.led.contains(Member(member));
        let rows = self.rows.into_iter().map(|row| DecisionRow { led: led(row.member), ..row });
        (rows.collect(), self.left_out)
    }
}

/// A reason and its number in words.
fn because(reason: Reason, measured: u64) -> String {
    match reason {
        Reason::Always => "better whatever the load".to_owned(),
        Reason::Arrivals => format!("arrivals, at {} a message", time(measured as f64)),
        Reason::Loss => format!("{} lost", percent(measured as f64 / 1e6)),
        Reason::Spending => format!("{measured} messages per 100 commits, or idle a minute"),
        Reason::RoundTrip => format!("a round trip of {}", time(measured as f64)),
    }
}
