//! The data of a run as the fold leaves it. Figures and findings are made from it.

use super::bounds::{self, Demand, LedSpan};
use super::evidence::Evidence;
use super::leaderships::PastLeaderships;
use super::ledger::Closed;
use super::premise::{self, Hearing};
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

    /// The fewest messages of the idle seconds, if `hearing` says who is to notice a dead leader.
    pub fn idle_floor(&self, hearing: Hearing) -> u64 {
        let stretches = self.idle_seconds.chunk_by(|one, next| one + 1 == *next);
        let idle = stretches.flat_map(|stretch| {
            let from = Micros::from_seconds(stretch[0] as u64);
            let to = from + Micros::from_seconds(stretch.len() as u64);
            let within = move |span: &LedSpan| LedSpan {
                from: span.from.max(from),
                to: span.to.min(to),
                ..*span
            };
            self.led.spans.iter().map(within)
        });
        let idle: Vec<LedSpan> = idle.filter(|span| span.from < span.to).collect();
        let replicas = self.info.replicas as u64;
        bounds::fewest_messages(&Demand {
            replicas,
            leaderships: &hearing.of_spans(&idle, replicas),
            detection: premise::detection(&self.info.tuning),
            arrivals: &[],
            wait: Micros(0),
            most_entries: None,
        })
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
    /// The fewest messages, if those notice a dead leader within T whom the knobs keep hearing.
    pub messages: u64,
    /// The fewest messages, if f watchers do.
    pub watched_messages: u64,
}

impl OwnFloor {
    /// The floor of the run that `info` describes.
    pub fn of(info: &RunInfo, led: &PastLeaderships) -> OwnFloor {
        let committed = || led.arrivals.iter().filter(|arrival| arrival.committed);
        let mut waits: Vec<Micros> = committed().filter_map(|arrival| arrival.wait).collect();
        let place = waits.len() * 99 / 100;
        let is_any = !waits.is_empty();
        let wait = if is_any { *waits.select_nth_unstable(place).1 } else { Micros(0) };
        let patient = committed().filter(|arrival| arrival.wait.is_some_and(|own| own <= wait));
        let arrivals: Vec<Micros> = patient.map(|arrival| arrival.at).collect();
        let replicas = info.replicas as u64;
        let demand = Demand {
            replicas,
            leaderships: &[],
            detection: premise::detection(&info.tuning),
            arrivals: &arrivals,
            wait,
            most_entries: premise::most_entries(&info.tuning),
        };
        let messages = |hearing: Hearing| {
            let heard = hearing.of_spans(&led.spans, replicas);
            bounds::fewest_messages(&Demand { leaderships: &heard, ..demand })
        };
        OwnFloor {
            wait,
            batches: bounds::fewest_batches(&arrivals, wait, demand.most_entries),
            messages: messages(Hearing::of(&info.tuning)),
            watched_messages: messages(Hearing::Watchers),
        }
    }
}
