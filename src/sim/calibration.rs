//! Makes the delays of virtual runs from the records of real runs.

use rustc_hash::FxHashMap;

use super::delays::{COLD_AFTER, Delays, Quantiles, Warmth};
use super::real::RealRun;
use crate::raft::{Member, Micros, To};
use crate::record::{Fact, Fate, Record, RequestId, SIMULATOR};

/// Samples of a delay, in two lists by how long the process had been idle.
#[derive(Debug, Default)]
struct ByIdleness {
    warm: Vec<u64>,
    cold: Vec<u64>,
}

impl ByIdleness {
    fn push(&mut self, idle: Micros, sample: Micros) {
        let samples = if idle > COLD_AFTER { &mut self.cold } else { &mut self.warm };
        samples.push(sample.0);
    }

    fn into_quantiles(self) -> Warmth {
        Warmth { warm: Quantiles::of(self.warm), cold: Quantiles::of(self.cold) }
    }
}

/// The measured delays, in microseconds.
#[derive(Debug, Default)]
pub struct Samples {
    replica_wake: ByIdleness,
    simulator_wake: ByIdleness,
    simulator_handling: Vec<u64>,
    request_wake: Vec<u64>,
    request_lead: Vec<u64>,
    request_send: ByIdleness,
    exit: Vec<u64>,
}

impl Samples {
    /// Adds the delays of one run.
    pub fn add(&mut self, run: &RealRun) {
        self.exit.extend(run.exits.iter().map(|exit| exit.0));
        let mut last: FxHashMap<Member, Micros> = FxHashMap::default();
        let mut looked = None;
        for send in &run.request_sends {
            if looked.replace(send.looked_at) != Some(send.looked_at) {
                self.request_lead.push(send.at.since(send.looked_at).0);
            }
            let before = last.insert(send.to, send.at).unwrap_or_default();
            self.request_send.push(send.at.since(before), send.took);
        }
        self.add_arrivals_at_simulator(&run.records);
        self.add_arrivals_at_replicas(&run.records);
        self.add_requests(run);
    }

    /// Adds the times from the step in which a replica sent until the simulator read the datagram.
    /// If the simulator was idle, this shows how long it takes to wake. If it was busy, it shows
    /// how long it takes with the datagram before.
    fn add_arrivals_at_simulator(&mut self, records: &[Record]) {
        let mut sent: FxHashMap<(Member, u64), Micros> = FxHashMap::default();
        let mut last_sent: FxHashMap<Member, Micros> = FxHashMap::default();
        let mut last_read = None;
        for record in records {
            match record.fact {
                // Only a step's first datagram counts: the others wait for those before them.
                Fact::Sent { number, .. } => {
                    let first = last_sent.insert(record.source, record.at) != Some(record.at);
                    sent.extend(first.then_some(((record.source, number), record.at)));
                }
                Fact::Routed { from, number, .. }
                    if last_read != Some((from, number, record.at)) =>
                {
                    let before = last_read.map_or(Micros(0), |(_, _, at): (_, _, Micros)| at);
                    last_read = Some((from, number, record.at));
                    let Some(at) = sent.remove(&(from, number)) else {
                        continue;
                    };
                    if at > before {
                        self.simulator_wake.push(at.since(before), record.at.since(at))
                    } else {
                        self.simulator_handling.push(record.at.since(before).0)
                    }
                }
                _ => {}
            }
        }
    }

    /// Adds the times from when the simulator read a datagram until an idle receiver took it in.
    fn add_arrivals_at_replicas(&mut self, records: &[Record]) {
        let mut routed: FxHashMap<(Member, Member, u64), Micros> = FxHashMap::default();
        let mut busy: FxHashMap<Member, Micros> = FxHashMap::default();
        for record in records {
            match record.fact {
                Fact::Routed { from, to, number, fate: Fate::Delivered, .. } => {
                    routed.insert((from, to, number), record.at);
                }
                Fact::Received { from, number, .. } => {
                    let before = busy.insert(record.source, record.at).unwrap_or_default();
                    let key = (from, record.source, number);
                    if let Some(at) = routed.remove(&key).filter(|at| *at > before) {
                        self.replica_wake.push(at.since(before), record.at.since(at));
                    }
                }
                Fact::Sent { to: To::Member(_) | To::Everyone, .. } | Fact::Asked { .. }
                    if record.source != SIMULATOR =>
                {
                    busy.insert(record.source, record.at);
                }
                _ => {}
            }
        }
    }

    /// Adds the times from the sending of a request until an idle replica took it in.
    fn add_requests(&mut self, run: &RealRun) {
        let sent: FxHashMap<RequestId, Micros> =
            run.request_sends.iter().map(|send| (send.request, send.at)).collect();
        let mut busy: FxHashMap<Member, Micros> = FxHashMap::default();
        for record in run.records.iter().filter(|record| record.source != SIMULATOR) {
            let before = busy.insert(record.source, record.at).unwrap_or_default();
            if let Fact::Asked { request, .. } = record.fact
                && let Some(at) = sent.get(&request)
                && at.since(before) > COLD_AFTER
            {
                self.request_wake.push(record.at.since(*at).0);
            }
        }
    }

    /// The delays as a model. `timer_late` was measured separately. The pace is the course's
    /// simulator's and stays.
    pub fn into_delays(self, measured_on: String, timer_late: Vec<u64>) -> Delays {
        Delays {
            measured_on,
            replica_wake_us: self.replica_wake.into_quantiles(),
            simulator_wake_us: self.simulator_wake.into_quantiles(),
            simulator_handling_us: Quantiles::of(self.simulator_handling),
            request_wake_us: Quantiles::of(self.request_wake),
            request_lead_us: Quantiles::of(self.request_lead),
            request_send_us: self.request_send.into_quantiles(),
            timer_late_us: Quantiles::of(timer_late),
            exit_us: Quantiles::of(self.exit),
            pace: Delays::embedded().pace,
        }
    }
}
