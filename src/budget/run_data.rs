//! What the fold over a run gathered, for those who make figures and findings of it.

use super::bounds::{self, Demand, LedSpan};
use super::evidence::Evidence;
use super::leaderships::PastLeaderships;
use super::ledger::Closed;
use super::report::LingerPoint;
use super::run_info::RunInfo;
use crate::raft::Micros;

/// What was gathered.
pub struct RunData {
    /// How the run was done.
    pub info: RunInfo,
    /// All messages.
    pub ledger: Closed,
    /// What the leaders did.
    pub led: PastLeaderships,
    /// The least that its puts could have cost.
    pub floor: OwnFloor,
    /// What waiting longer for company would have merged.
    pub linger: Vec<LingerPoint>,
    /// What else was seen.
    pub evidence: Evidence,
    /// Puts answered, reads answered.
    pub puts: u64,
    /// The latter.
    pub reads: u64,
    /// Whole seconds in which nothing was asked and all was well, by number.
    pub idle_seconds: Vec<usize>,
    /// The share of the messages that the simulator counted which were lost at random.
    pub loss: f64,
}

impl RunData {
    /// What a batch costs at least: f and one answer.
    pub fn least_a_batch(&self) -> u64 {
        let others_needed = self.info.others_needed();
        bounds::messages_per_batch(others_needed, others_needed + 1)
    }
}

/// floor(D) at the run's own waiting time (design §6).
#[derive(Clone, Copy, Debug)]
pub struct OwnFloor {
    /// D: how long 99 % of the puts that were committed waited for their batch at most. The others
    /// are left out, so that the floor stays one.
    pub wait: Micros,
    /// The fewest batches.
    pub batches: u64,
    /// The fewest messages, if everyone is to notice a dead leader within T.
    pub messages: u64,
    /// The fewest messages, if f watchers are to.
    pub watched_messages: u64,
}

impl OwnFloor {
    /// Of a run that was done like `info` says.
    pub fn of(info: &RunInfo, led: &PastLeaderships) -> OwnFloor {
        let committed = || led.arrivals.iter().filter(|arrival| arrival.committed);
        let mut waits: Vec<Micros> = committed().filter_map(|arrival| arrival.wait).collect();
        waits.sort_unstable();
        let place = (waits.len() * 99 / 100).min(waits.len().saturating_sub(1));
        let wait = waits.get(place).copied().unwrap_or_default();
        let patient = committed().filter(|arrival| arrival.wait.is_some_and(|own| own <= wait));
        let arrivals: Vec<Micros> = patient.map(|arrival| arrival.at).collect();
        let demand = Demand {
            replicas: info.replicas as u64,
            leaderships: &led.spans,
            detection: info.tuning.election_timeout_min(),
            arrivals: &arrivals,
            wait,
            most_entries: Some(info.tuning.batch_most_entries),
        };
        let watchers = info.others_needed();
        let watched = |span: &LedSpan| LedSpan { listeners: span.listeners.min(watchers), ..*span };
        let watched: Vec<LedSpan> = led.spans.iter().map(watched).collect();
        OwnFloor {
            wait,
            batches: bounds::fewest_batches(&arrivals, wait, demand.most_entries),
            messages: bounds::fewest_messages(&demand),
            watched_messages: bounds::fewest_messages(&Demand { leaderships: &watched, ..demand }),
        }
    }
}
