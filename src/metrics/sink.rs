//! The fold as a whole: records go in, metrics come out.

use metrics::Gauge;

use super::commits::{Commits, Requests};
use super::elections::Elections;
use super::exporter::{Exporter, MetricsHandle};
use super::family::{
    BUDGET_SPENT, LEADERLESS, MESSAGES_PER_COMMIT, MESSAGES_PER_COMMIT_FLOOR, MESSAGES_PER_READ,
    RESEND_TIMEOUTS, START_TIME, TELEMETRY_COST, TRUNCATED_ENTRIES,
};
use super::gauges::{ProcessGauges, StateGauges, TuningGauges, publish_limits, ratio};
use super::tally::Tally;
use super::traffic::Traffic;
use crate::budget::Limits;
use crate::raft::{Disposition, Event, Kind, Member, Micros, Tuning};
use crate::record::{Fact, Record, Sink, Work};
use crate::replica::Replica;
use crate::wire::{Garbage, Membership};

/// The metrics of one replica, made from its records and kept in a recorder of its own.
pub struct MetricsSink {
    members: Membership,
    exporter: Exporter,
    traffic: Traffic,
    requests: Requests,
    commits: Commits,
    elections: Elections,
    resend_timeouts: Vec<Option<Tally>>,
    truncated: Tally,
    state: StateGauges,
    tuning: TuningGauges,
    costs: CostGauges,
    /// When the replica's clock showed 0, in seconds since the Unix epoch.
    started: f64,
}

impl MetricsSink {
    /// Makes the sink of the replica `members.me()`, which starts with `tuning` and whose profile
    /// states `limits`.
    pub fn new(members: &Membership, tuning: &Tuning, limits: &Limits) -> MetricsSink {
        let exporter = Exporter::new(&members.address(members.me()).to_string());
        let mut commits = Commits::new(&exporter);
        commits.retune(tuning, members.count());
        publish_limits(limits, &exporter);
        let timeouts = |member: Member| {
            let peer = members.address(member).to_string();
            let timeouts = || exporter.counter(&RESEND_TIMEOUTS, &[peer.as_str()]);
            (member != members.me()).then(timeouts)
        };
        MetricsSink {
            traffic: Traffic::new(members, &exporter),
            requests: Requests::new(&exporter),
            commits,
            elections: Elections::new(&exporter),
            resend_timeouts: (0..members.count() as u8).map(Member).map(timeouts).collect(),
            truncated: exporter.counter(&TRUNCATED_ENTRIES, &[]),
            state: StateGauges::new(members, &exporter),
            tuning: TuningGauges::default(),
            costs: CostGauges::new(&exporter),
            members: members.clone(),
            exporter,
            started: 0.0,
        }
    }

    /// Publishes that the replica started at `unix_seconds`.
    pub fn publish_start(&mut self, unix_seconds: f64) {
        self.started = unix_seconds;
        self.exporter.gauge(&START_TIME, &[]).set(unix_seconds);
    }

    /// Gauges of the process, for a replica that has a process to itself.
    pub fn process_gauges(&self) -> ProcessGauges {
        ProcessGauges::new(&self.exporter)
    }

    /// A handle that renders all metrics so far, from any thread.
    pub fn handle(&self) -> MetricsHandle {
        self.exporter.handle()
    }

    /// Sets the gauges to the state of `replica` at `now`.
    pub fn publish(&mut self, now: Micros, replica: &Replica) {
        let tuning = replica.raft().tuning();
        if self.tuning.publish(tuning, &self.exporter) {
            self.commits.retune(tuning, self.members.count());
        }
        self.traffic.seen.advance(now);
        self.state.publish(now, replica);
        self.costs.publish(now, &self.traffic, &self.requests, &self.commits, &self.elections);
    }

    /// Publishes the time that recording has taken since the start, in seconds.
    pub fn publish_cost(&self, seconds: f64) {
        self.costs.telemetry.set(ratio(seconds, self.traffic.seen.all));
    }

    fn on_state(&mut self, now: Micros, event: Event) {
        match event {
            Event::BatchSent { first, last } => self.commits.on_batch_sent(now, first, last),
            Event::Committed { through } => self.commits.on_committed(now, through),
            Event::ResendTimeout { member, .. } => {
                if let Some(Some(timeouts)) = self.resend_timeouts.get_mut(member.rank()) {
                    timeouts.add(1);
                }
            }
            Event::Truncated { first, last } => {
                self.truncated.add((last + 1).saturating_sub(first));
            }
            Event::BecameLeader { .. } | Event::SteppedDown { .. } => {
                self.commits.clear();
                self.traffic.seen.disturb();
                self.traffic.seen.leads = matches!(event, Event::BecameLeader { .. });
                self.elections.on_event(now, self.members.me(), event);
            }
            _ => self.elections.on_event(now, self.members.me(), event),
        }
    }
}

impl Sink for MetricsSink {
    // Inlined: each caller knows which fact it tells, so only the code for that fact remains there.
    #[inline(always)]
    fn record(&mut self, record: &Record) {
        let now = record.at;
        self.traffic.seen.advance(now);
        match record.fact {
            Fact::Sent { to, kind, why, bytes, .. } => {
                let MetricsSink { traffic, members, exporter, .. } = self;
                traffic.on_sent((kind, why, bytes), to, members, exporter);
            }
            Fact::Received { from, kind, why, disposition, .. } => {
                let MetricsSink { traffic, members, exporter, .. } = self;
                traffic.on_received((kind, why, disposition), from, members, exporter);
                if kind == Kind::Append && disposition == Disposition::Accepted {
                    self.elections.on_append_accepted(now);
                }
                if disposition == Disposition::Implausible {
                    self.traffic.on_dropped(Garbage::Contradiction);
                }
            }
            Fact::Garbage { reason, .. } | Fact::Refused { reason, .. } => {
                self.traffic.on_dropped(reason);
            }
            Fact::Taken { index, .. } => self.commits.on_taken(now, index),
            Fact::Woken | Fact::Retuned { .. } => {}
            Fact::Asked { request, operation, .. } => {
                self.traffic.seen.disturb();
                self.requests.on_asked(now, request, operation);
            }
            Fact::Held { .. } => self.requests.on_held(),
            Fact::Answered { request, outcome, index, .. } => {
                self.requests.on_answered(now, request, outcome, index);
            }
            Fact::State(event) => self.on_state(now, event),
            // Facts that only the simulator tells.
            Fact::Routed { .. } | Fact::Killed { .. } | Fact::Partitioned { .. } => {}
        }
    }

    fn begin(&mut self, work: Work<'_>) {
        if let Work::Answer { mid, .. } = work {
            self.requests.on_answering(mid, self.started);
        }
    }
}

/// Gauges of what a commit and a read cost this leader, beside the floors and the budget.
struct CostGauges {
    /// A counter in the registry, kept as a gauge because it has fractions. It only rises.
    leaderless: Gauge,
    a_commit: Gauge,
    a_commit_floor: Gauge,
    a_read: Gauge,
    spent_a_commit: Gauge,
    spent_a_read: Gauge,
    spent_idle: Gauge,
    spent_leaderless: Gauge,
    telemetry: Gauge,
}

impl CostGauges {
    fn new(exporter: &Exporter) -> CostGauges {
        let plain = |family| exporter.gauge(family, &[]);
        let spent = |limit| exporter.gauge(&BUDGET_SPENT, &[limit]);
        CostGauges {
            leaderless: exporter.gauge(&LEADERLESS, &[]),
            a_commit: plain(&MESSAGES_PER_COMMIT),
            a_commit_floor: plain(&MESSAGES_PER_COMMIT_FLOOR),
            a_read: plain(&MESSAGES_PER_READ),
            spent_a_commit: spent("messages_per_commit"),
            spent_a_read: spent("messages_per_read"),
            spent_idle: spent("idle_messages_per_second"),
            spent_leaderless: spent("leaderless_seconds"),
            telemetry: plain(&TELEMETRY_COST),
        }
    }

    fn publish(
        &mut self,
        now: Micros,
        traffic: &Traffic,
        requests: &Requests,
        commits: &Commits,
        elections: &Elections,
    ) {
        let seen = &traffic.seen;
        let a_commit = ratio(seen.leading as f64, requests.writes);
        let a_read = ratio(seen.for_reads as f64, requests.reads);
        let leaderless = elections.leaderless(now);
        self.leaderless.set(leaderless.as_seconds());
        self.a_commit.set(a_commit);
        self.a_commit_floor.set(ratio(commits.floor_sum as f64, requests.writes));
        self.a_read.set(a_read);
        self.spent_a_commit.set(a_commit);
        self.spent_a_read.set(a_read);
        self.spent_idle.set(seen.idle_messages_per_second());
        self.spent_leaderless.set(leaderless.as_seconds());
    }
}
