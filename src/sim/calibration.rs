//! From the records of real runs to the delays of virtual ones.

use rustc_hash::FxHashMap;

use super::delays::{Delays, Quantiles};
use super::real::RealRun;
use crate::raft::{Member, Micros, To};
use crate::record::{Fact, Fate, Record, SIMULATOR};

/// What was measured, in microseconds.
#[derive(Debug, Default)]
pub struct Samples {
    replica_wake: Vec<u64>,
    simulator_wake: Vec<u64>,
    simulator_handling: Vec<u64>,
    request_send: Vec<u64>,
    exit: Vec<u64>,
}

impl Samples {
    /// Adds what one run shows.
    pub fn add(&mut self, run: &RealRun) {
        self.exit.extend(run.exits.iter().map(|exit| exit.0));
        self.request_send.extend(run.request_sends.iter().map(|send| send.0));
        self.add_arrivals_at_simulator(&run.records);
        self.add_arrivals_at_replicas(&run.records);
    }

    /// From the step in which a replica sent until the simulator read it: a datagram that found the
    /// simulator idle tells how long it takes to wake, one that found it busy how long it takes
    /// with the datagram before.
    fn add_arrivals_at_simulator(&mut self, records: &[Record]) {
        let mut sent: FxHashMap<(Member, u64), Micros> = FxHashMap::default();
        let mut last_sent: FxHashMap<Member, Micros> = FxHashMap::default();
        let mut last_read = None;
        for record in records {
            match record.fact {
                // Of what one step sends, the first is not delayed by the others.
                Fact::Sent { number, .. } => {
                    let first = last_sent.insert(record.teller, record.at) != Some(record.at);
                    sent.extend(first.then_some(((record.teller, number), record.at)));
                }
                Fact::Routed { from, number, .. }
                    if last_read != Some((from, number, record.at)) =>
                {
                    let before = last_read.map_or(Micros(0), |(_, _, at): (_, _, Micros)| at);
                    last_read = Some((from, number, record.at));
                    let Some(at) = sent.remove(&(from, number)) else {
                        continue;
                    };
                    match at > before {
                        true => self.simulator_wake.push(record.at.since(at).0),
                        false => self.simulator_handling.push(record.at.since(before).0),
                    }
                }
                _ => {}
            }
        }
    }

    /// From the simulator's reading a datagram until an idle receiver has taken it in.
    fn add_arrivals_at_replicas(&mut self, records: &[Record]) {
        let mut routed: FxHashMap<(Member, Member, u64), Micros> = FxHashMap::default();
        let mut busy: FxHashMap<Member, Micros> = FxHashMap::default();
        for record in records {
            match record.fact {
                Fact::Routed { from, to, number, fate: Fate::Delivered, .. } => {
                    routed.insert((from, to, number), record.at);
                }
                Fact::Received { from, number, .. } => {
                    let before = busy.insert(record.teller, record.at).unwrap_or_default();
                    let key = (from, record.teller, number);
                    if let Some(at) = routed.remove(&key).filter(|at| *at > before) {
                        self.replica_wake.push(record.at.since(at).0);
                    }
                }
                Fact::Sent { to: To::Member(_) | To::Everyone, .. } | Fact::Asked { .. }
                    if record.teller != SIMULATOR =>
                {
                    busy.insert(record.teller, record.at);
                }
                _ => {}
            }
        }
    }

    /// The model. `timer_late` was measured by itself.
    pub fn into_delays(self, measured_on: String, timer_late: Vec<u64>) -> Delays {
        Delays {
            measured_on,
            replica_wake_us: Quantiles::of(self.replica_wake),
            simulator_wake_us: Quantiles::of(self.simulator_wake),
            simulator_handling_us: Quantiles::of(self.simulator_handling),
            request_send_us: Quantiles::of(self.request_send),
            timer_late_us: Quantiles::of(timer_late),
            exit_us: Quantiles::of(self.exit),
        }
    }
}
