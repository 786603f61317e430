//! The data of a run as the fold leaves it. Figures and findings are made from it.

use super::bounds::{self, Demand, LedSpan};
use super::evidence::Evidence;
use super::leaderships::PastLeaderships;
use super::ledger::Closed;
use super::report::LingerPoint;
use super::run_info::RunInfo;
use crate::raft::Micros;

/// The data of a run.
pub struct RunData {
    /// How the run was done.
    pub info: RunInfo,
    /// The counts of all messages.
    pub ledger: Closed,
    /// What the leaders did.
    pub led: PastLeaderships,
    /// The least that the run's puts could have cost.
    pub floor: OwnFloor,
    /// What a longer linger would have merged.
    pub linger: Vec<LingerPoint>,
    /// What the findings need beyond the ledger.
    pub evidence: Evidence,
    /// Puts answered `ok`.
    pub puts: u64,
    /// Reads answered `ok`.
    pub reads: u64,
    /// The numbers of the whole seconds in which nothing was asked and the cluster was steady.
    pub idle_seconds: Vec<usize>,
    /// Messages lost at random, as a share of those that the simulator counted.
    pub loss: f64,
}

impl RunData {
    /// The least messages of a batch: f and one answer.
    pub fn least_a_batch(&self) -> u64 {
        let others_needed = self.info.others_needed();
        bounds::messages_per_batch(others_needed, others_needed + 1)
    }
}

/// floor(D) at the run's own waiting time (design §6).
#[derive(Clone, Copy, Debug)]
pub struct OwnFloor {
    /// D: the time within which the batches of 99 % of the committed puts were sent. The other puts
    /// are left out, so that the floor stays a floor.
    pub wait: Micros,
    /// The fewest batches.
    pub batches: u64,
    /// The fewest messages, if everyone is to notice a dead leader within T.
    pub messages: u64,
    /// The fewest messages, if f watchers are to.
    pub watched_messages: u64,
}

impl OwnFloor {
    /// The floor of the run that `info` describes.
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
