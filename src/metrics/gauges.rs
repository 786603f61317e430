//! Gauges: values that are read from a replica at a scrape and are not recorded.

use metrics::Gauge;
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::exporter::Exporter;
use super::family::{
    APPLIED_INDEX, BUDGET_ALLOWED, BUILD_INFO, COMMIT_INDEX, LAST_INDEX, LEADER, LEASE_REMAINING,
    PEER_LAG, PEER_LOSS, PEER_ROUND_TRIP, PROCESS_CPU, PROCESS_DESCRIPTORS, PROCESS_MEMORY,
    REPLICAS, ROLE, TERM, TUNING, TUNING_CHOICE,
};
use crate::budget::Limits;
use crate::raft::{Member, Micros, RoleName, Tuning};
use crate::replica::Replica;
use crate::wire::Membership;

const ROLES: [RoleName; 4] =
    [RoleName::Follower, RoleName::PreCandidate, RoleName::Candidate, RoleName::Leader];

/// `value` divided by `count`; 0 if `count` is 0.
pub(super) fn ratio(value: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { value / count as f64 }
}

/// The gauges of a follower, as the leader sees it.
struct Peer {
    lag: Gauge,
    round_trip: Gauge,
    loss: Gauge,
}

/// The gauges of a replica's state.
pub(super) struct StateGauges {
    roles: [Gauge; ROLES.len()],
    term: Gauge,
    commit: Gauge,
    applied: Gauge,
    last: Gauge,
    lease: Gauge,
    leaders: Vec<Gauge>,
    /// The peers by rank, with `None` in the replica's own place.
    peers: Vec<Option<Peer>>,
}

impl StateGauges {
    /// Makes the gauges of a member of `members`, and sets those that never change.
    pub fn new(members: &Membership, exporter: &Exporter) -> StateGauges {
        exporter.gauge(&REPLICAS, &[]).set(members.count() as f64);
        exporter.gauge(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        let plain = |family| exporter.gauge(family, &[]);
        let all = || (0..members.count() as u8).map(Member);
        let peer = |member: Member| {
            let id = members.address(member).to_string();
            let gauge = |family| exporter.gauge(family, &[id.as_str()]);
            (member != members.me()).then(|| Peer {
                lag: gauge(&PEER_LAG),
                round_trip: gauge(&PEER_ROUND_TRIP),
                loss: gauge(&PEER_LOSS),
            })
        };
        let leader =
            |member: Member| exporter.gauge(&LEADER, &[&members.address(member).to_string()]);
        StateGauges {
            roles: ROLES.map(|role| exporter.gauge(&ROLE, &[role.name()])),
            term: plain(&TERM),
            commit: plain(&COMMIT_INDEX),
            applied: plain(&APPLIED_INDEX),
            last: plain(&LAST_INDEX),
            lease: plain(&LEASE_REMAINING),
            leaders: all().map(leader).collect(),
            peers: all().map(peer).collect(),
        }
    }

    /// Sets all gauges to the state of `replica` at `now`.
    pub fn publish(&self, now: Micros, replica: &Replica) {
        let status = replica.status();
        for (role, gauge) in ROLES.iter().zip(&self.roles) {
            gauge.set(f64::from(u8::from(*role == status.role)));
        }
        self.term.set(status.term as f64);
        self.commit.set(status.commit as f64);
        self.applied.set(replica.applied() as f64);
        self.last.set(status.last.index as f64);
        self.lease.set(status.lease_until.map_or(0.0, |until| until.since(now).as_seconds()));
        for (rank, gauge) in self.leaders.iter().enumerate() {
            let names = status.leader.is_some_and(|leader| leader.rank() == rank);
            gauge.set(f64::from(u8::from(names)));
        }
        for peer in self.peers.iter().flatten() {
            peer.lag.set(0.0);
            peer.round_trip.set(0.0);
            peer.loss.set(0.0);
        }
        for follower in replica.raft().followers() {
            let Some(peer) = &self.peers[follower.member.rank()] else {
                continue;
            };
            peer.lag.set(status.last.index.saturating_sub(follower.matched) as f64);
            peer.round_trip.set(follower.round_trip.unwrap_or_default().as_seconds());
            peer.loss.set(follower.loss_ppm as f64 / 1e6);
        }
    }
}

/// The gauges of the knobs.
#[derive(Default)]
pub(super) struct TuningGauges {
    told: Option<Tuning>,
    choices: FxHashMap<(String, String), Gauge>,
}

impl TuningGauges {
    /// Publishes `tuning` if it differs from what was published last. Returns whether it differed.
    pub fn publish(&mut self, tuning: &Tuning, exporter: &Exporter) -> bool {
        if self.told.as_ref() == Some(tuning) {
            return false;
        }
        self.choices.values().for_each(|choice| choice.set(0.0));
        if let Ok(Value::Object(knobs)) = serde_json::to_value(tuning) {
            knobs.iter().for_each(|(knob, value)| self.tell(knob, value, exporter));
        }
        self.told = Some(tuning.clone());
        true
    }

    fn tell(&mut self, knob: &str, value: &Value, exporter: &Exporter) {
        match value {
            Value::String(choice) => {
                let key = (knob.to_owned(), choice.clone());
                let gauge = || exporter.gauge(&TUNING_CHOICE, &[knob, choice]);
                self.choices.entry(key).or_insert_with(gauge).set(1.0);
            }
            Value::Bool(on) => {
                exporter.gauge(&TUNING, &[knob]).set(f64::from(u8::from(*on)));
            }
            value => {
                let (name, value) = in_base_units(knob, value.as_f64().unwrap_or_default());
                exporter.gauge(&TUNING, &[&name]).set(value);
            }
        }
    }
}

/// Figures that the system gives for the process of one replica.
pub struct ProcessGauges {
    cpu: Gauge,
    memory: Gauge,
    descriptors: Gauge,
}

impl ProcessGauges {
    /// Makes the gauges, all 0.
    pub(super) fn new(exporter: &Exporter) -> ProcessGauges {
        ProcessGauges {
            cpu: exporter.gauge(&PROCESS_CPU, &[]),
            memory: exporter.gauge(&PROCESS_MEMORY, &[]),
            descriptors: exporter.gauge(&PROCESS_DESCRIPTORS, &[]),
        }
    }

    /// Sets the gauges to the present figures. A figure that the system does not give keeps its
    /// value. This reads files of the system, which takes some tens of microseconds, so the
    /// replica's own thread must not do it.
    pub fn publish(&self) {
        let figures = ProcessFigures::now();
        let set = |gauge: &Gauge, figure: Option<f64>| {
            figure.into_iter().for_each(|figure| gauge.set(figure));
        };
        set(&self.cpu, figures.cpu_seconds);
        set(&self.memory, figures.memory_bytes);
        set(&self.descriptors, figures.descriptors);
    }
}

/// Figures that the system gives for this process; `None` where it gives none.
#[derive(Default)]
struct ProcessFigures {
    cpu_seconds: Option<f64>,
    memory_bytes: Option<f64>,
    descriptors: Option<f64>,
}

impl ProcessFigures {
    #[cfg(target_os = "linux")]
    fn now() -> ProcessFigures {
        use procfs::WithCurrentSystemInfo;
        use procfs::process::Process;

        let Ok(process) = Process::myself() else {
            return ProcessFigures::default();
        };
        let stat = process.stat().ok();
        let ticks = stat.as_ref().map(|stat| (stat.utime + stat.stime) as f64);
        ProcessFigures {
            cpu_seconds: ticks.map(|ticks| ticks / procfs::ticks_per_second() as f64),
            memory_bytes: stat.map(|stat| stat.rss_bytes().get() as f64),
            descriptors: process.fd_count().ok().map(|count| count as f64),
        }
    }

    /// No figures: only Linux is asked.
    #[cfg(not(target_os = "linux"))]
    fn now() -> ProcessFigures {
        ProcessFigures::default()
    }
}

/// Publishes the limits that the profile states.
pub(super) fn publish_limits(limits: &Limits, exporter: &Exporter) {
    if let Ok(Value::Object(limits)) = serde_json::to_value(limits) {
        for (limit, value) in &limits {
            let (name, value) = in_base_units(limit, value.as_f64().unwrap_or_default());
            exporter.gauge(&BUDGET_ALLOWED, &[&name]).set(value);
        }
    }
}

/// A name and value in seconds, if they are in microseconds.
fn in_base_units(name: &str, value: f64) -> (String, f64) {
    match name.strip_suffix("_us") {
        Some(stem) => (format!("{stem}_seconds"), value / 1e6),
        None => (name.to_owned(), value),
    }
}
