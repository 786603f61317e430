//! The analysis of a run: one fold over its records, and the report made from it.

use super::bounds;
use super::decisions::Decisions;
use super::evidence::Evidence;
use super::figures;
use super::findings;
use super::latency::Requests;
use super::leaderships::Leaderships;
use super::ledger::{Delivery, Ledger};
use super::limits::Spent;
use super::phases::{Phase, Phases};
use super::report::{
    Books, BudgetReport, DecisionRow, EventRow, LatencyRow, LinkRow, RequestStory, RunSummary,
    SCHEMA,
};
use super::run_data::{OwnFloor, RunData};
use super::run_info::RunInfo;
use super::space_time::space_time;
use crate::raft::{Cause, Event, Member, MemberSet, Micros};
use crate::record::{AnswerKind, ClientRequest, Fact, Fate, Record, SIMULATOR, Sink};

/// Most messages that are kept one by one, for the space-time diagram.
const MOST_MESSAGES_KEPT: usize = 40_000;
/// Most elections and faults that are kept for the report.
const MOST_EVENTS: usize = 1_000;

/// The fold over a run's records, which ends in a report.
///
/// Here a scenario runs in virtual time, and its records stay in memory:
///
/// ```
/// use laconic::budget::{Analysis, RunInfo};
/// use laconic::sim::delays::Delays;
/// use laconic::sim::folder::{Tuned, client_requests, run_json};
/// use laconic::sim::outcome::{RunMeasurements, Setup, judge};
/// use laconic::sim::scenario::Scenario;
/// use laconic::sim::virtual_time::{Keep, VirtualOptions, run};
///
/// let scenario = Scenario::load("simple-1")?;
/// let tuning = laconic::tuning_file::load("course")?.tuning;
/// let options = VirtualOptions {
///     seed: 1,
///     tuning: tuning.clone(),
///     precise: false,
///     through_codec: false,
///     delays: Delays::embedded(),
///     records: Keep::Memory,
/// };
/// let (measured, records) = RunMeasurements::of_virtual(run(&scenario, &options)?);
/// let setup =
///     Setup { engine: "virtual", timing: "course", profile: "course".into(), foreign: false };
/// let outcome = judge(&scenario, setup, measured);
/// let tuned = Tuned { tuning: Some(&tuning), budget: &Default::default() };
///
/// let mut analysis = Analysis::new(RunInfo::from_json(&run_json(&scenario, tuned, &outcome))?);
/// analysis.take_in(records);
/// let report = analysis.finish(&client_requests(&outcome.conclusion.history), Vec::new());
/// let figure = &report.figures[0];
/// assert_eq!(figure.name, "messages_per_commit");
/// assert!(figure.value >= figure.floor && figure.floor.is_some());
/// println!("{}: {:?}, at least {:?}", figure.title, figure.value, figure.floor);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Analysis {
    info: RunInfo,
    phases: Phases,
    ledger: Ledger,
    leaderships: Leaderships,
    requests: Requests,
    evidence: Evidence,
    events: Vec<EventRow>,
    decisions: Decisions,
    /// For each index, whether a put there was answered `ok`.
    answered: Vec<bool>,
    puts: u64,
    reads: u64,
    /// For each second, whether something was asked in it or it was not steady.
    busy_seconds: Vec<bool>,
    newest: Micros,
    answers: Vec<(u64, u8, bool)>,
}

impl Analysis {
    /// An analysis of the run that `info` describes.
    pub fn new(info: RunInfo) -> Analysis {
        let replicas = info.replicas;
        let longer_us = bounds::longest_heartbeat_us(&info.tuning);
        Analysis {
            phases: Phases::new(replicas),
            ledger: Ledger::new(replicas, MOST_MESSAGES_KEPT),
            leaderships: Leaderships::new(replicas),
            requests: Requests::new(replicas),
            evidence: Evidence::new(replicas, &info.tuning, longer_us),
            events: Vec::new(),
            decisions: Decisions::new(),
            answered: Vec::new(),
            puts: 0,
            reads: 0,
            busy_seconds: Vec::new(),
            newest: Micros(0),
            answers: Vec::new(),
            info,
        }
    }

    /// Whether a record names only replicas of this run.
    fn is_of_run(&self, record: &Record) -> bool {
        let replicas = self.info.replicas;
        let known = |member: Member| member.rank() < replicas;
        let source = known(record.source) || record.source == SIMULATOR;
        source
            && match record.fact {
                Fact::Routed { from, to, .. } => known(from) && known(to),
                Fact::Received { from, .. } => known(from),
                Fact::Killed { member, .. } => known(member),
                _ => true,
            }
    }

    fn on_answered(&mut self, outcome: AnswerKind, index: u64) {
        if outcome != AnswerKind::Ok {
            return;
        }
        if index == 0 {
            self.reads += 1;
            return;
        }
        let place = index as usize - 1;
        if self.answered.len() <= place {
            self.answered.resize(place + 1, false);
        }
        self.puts += u64::from(!std::mem::replace(&mut self.answered[place], true));
    }

    /// Marks the seconds from the last record to this one as busy if they were not steady.
    fn mark(&mut self, record: &Record, before: Phase) {
        let second = |at: Micros| (at.0 / 1_000_000) as usize;
        let (from, to) = (second(self.newest.min(record.at)), second(record.at));
        self.newest = self.newest.max(record.at);
        if self.busy_seconds.len() <= to {
            self.busy_seconds.resize(to + 1, false);
        }
        let asks = matches!(record.fact, Fact::Asked { .. } | Fact::State(Event::BatchSent { .. }));
        let steady = before == Phase::Steady && self.phases.now() == Phase::Steady;
        self.busy_seconds[to] |= asks;
        if !steady {
            self.busy_seconds[from..=to].fill(true);
        }
    }

    fn tell(&mut self, at: Micros, kind: &'static str, member: Option<Member>, text: String) {
        if self.events.len() < MOST_EVENTS {
            let member = member.map(|member| member.0);
            self.events.push(EventRow { at_us: at.0, kind, member, text });
        }
    }

    fn on_event(&mut self, record: &Record) {
        let (at, source) = (record.at, record.source);
        match record.fact {
            Fact::State(Event::BecameLeader { term, .. }) => {
                let text = format!("{source} leads term {term}");
                self.tell(at, "leader", Some(source), text);
            }
            Fact::State(Event::SteppedDown { term, reason }) => {
                let why = reason.name();
                let text = format!("{source} leads term {term} no more ({why})");
                self.tell(at, "stepped_down", Some(source), text);
            }
            // All replicas are retuned at once; that is told once.
            Fact::Retuned { .. } => {
                let told = self.events.iter().rev().take_while(|event| event.at_us == at.0);
                if told.filter(|event| event.kind == "retuned").count() == 0 {
                    self.tell(at, "retuned", None, "the replicas were retuned".to_owned());
                }
            }
            Fact::Killed { member, by_itself: false } => {
                let text = format!("{member} was killed");
                self.tell(at, "killed", Some(member), text);
            }
            Fact::Killed { member, by_itself: true } => {
                let text = format!("{member} ended by itself");
                self.tell(at, "ended", Some(member), text);
            }
            Fact::Partitioned { majority: MemberSet::EMPTY } => {
                self.tell(at, "healed", None, "the partition ended".to_owned());
            }
            Fact::Partitioned { majority } => {
                let side: Vec<String> = majority.iter().map(|member| member.to_string()).collect();
                let text = format!("{} cut off from the others", side.join(" "));
                self.tell(at, "partitioned", None, text);
            }
            _ => {}
        }
    }

    /// Takes in all `records` of a run. They may come in the order in which they were recorded.
    pub fn take_in(&mut self, mut records: Vec<Record>) {
        records.sort_by_key(|record| (record.at, record.source));
        records.into_iter().for_each(|record| self.record(&record));
    }

    /// The report. `requests` is what the clients saw, `problems` what could not be read.
    pub fn finish(mut self, requests: &[ClientRequest], mut problems: Vec<String>) -> BudgetReport {
        let end = self.info.ended_at.max(self.newest);
        let (durations, leaderless) = self.phases.finish(end);
        let (latency, story, untraced) = self.requests.tell(requests);
        if untraced > 0 {
            problems.push(format!("{untraced} answered requests have no records of their answer"));
        }
        self.evidence.finish(end);
        let ledger = self.ledger.finish();
        let whole_seconds = (end.0 / 1_000_000) as usize;
        let is_idle = |second: &usize| !self.busy_seconds.get(*second).copied().unwrap_or(false);
        let dropped = ledger.count(|cell| cell.fate == Fate::Dropped);
        let counted = ledger.count(|cell| cell.fate.is_counted());
        let led = self.leaderships.finish(end);
        let a_batch = figures::messages_per_batch(&ledger, &led);
        let gathered = RunData {
            floor: OwnFloor::of(&self.info, &led),
            linger: figures::linger(&self.info.tuning, &led, a_batch),
            led,
            evidence: self.evidence,
            puts: self.puts,
            reads: self.reads,
            idle_seconds: (0..whole_seconds).filter(is_idle).collect(),
            loss: dropped as f64 / counted.max(1) as f64,
            ledger,
            info: self.info,
        };
        let (events, answers, decisions) = (self.events, self.answers, self.decisions.finish());
        let parts =
            Parts { durations, leaderless, latency, story, events, decisions, answers, problems };
        gathered.report(end, parts)
    }
}

impl Sink for Analysis {
    fn record(&mut self, record: &Record) {
        if !self.is_of_run(record) {
            return;
        }
        let before = self.phases.now();
        self.phases.record(record);
        self.mark(record, before);
        self.on_event(record);
        let told_by_replica = record.source != SIMULATOR;
        if told_by_replica || matches!(record.fact, Fact::Killed { .. } | Fact::Partitioned { .. })
        {
            self.leaderships.record(record, self.info.replicas);
        }
        let delivery = self.ledger.record(record, self.phases.now());
        if !told_by_replica {
            return;
        }
        self.decisions.record(record);
        if record.fact.begins_step() {
            self.requests.begin_step(record.source);
        }
        match &delivery {
            Some(Delivery::TakenIn(hop)) => {
                self.leaderships.on_delivery(hop);
                self.evidence.on_delivery(hop, &self.leaderships);
                self.requests.on_delivery(hop);
            }
            Some(Delivery::SentFor(hop)) => self.evidence.on_sent_for(hop),
            None => {}
        }
        self.evidence.record(record, &self.phases);
        self.requests.record(record, &self.leaderships);
        if let Fact::Answered { outcome, index, .. } = record.fact {
            if self.answers.len() < MOST_MESSAGES_KEPT {
                let is_ok = outcome == AnswerKind::Ok;
                self.answers.push((record.at.0, record.source.0, is_ok));
            }
            self.on_answered(outcome, index);
        }
    }
}

/// What the report takes over unchanged.
struct Parts {
    durations: [Micros; 5],
    leaderless: Micros,
    latency: Vec<LatencyRow>,
    story: Option<RequestStory>,
    events: Vec<EventRow>,
    decisions: (Vec<DecisionRow>, u64),
    answers: Vec<(u64, u8, bool)>,
    problems: Vec<String>,
}

impl RunData {
    fn report(self, end: Micros, parts: Parts) -> BudgetReport {
        let Parts { durations, leaderless, latency, story, events, answers, problems, .. } = parts;
        let (decisions, decisions_left_out) = parts.decisions;
        let all = self.ledger.sum(|_| true);
        let books = self.books(all.count);
        let figures = figures::figures(&self);
        let mut findings = findings::findings(&self);
        let overall = latency.first().map(|row| row.total);
        let figure = |name| figures.iter().find(|figure| figure.name == name)?.value;
        let spent = Spent {
            messages_per_commit: figure("messages_per_commit"),
            messages_per_read: figure("messages_per_read"),
            idle_messages_per_second: figure("idle_messages_per_second"),
            p50_latency_us: overall.map(|total| total.p50_us as f64),
            p99_latency_us: overall.map(|total| total.p99_us as f64),
            leaderless_us: Some(leaderless.0 as f64),
        };
        let limits: Vec<_> =
            self.info.limits.iter().flat_map(|(by, limits)| limits.rows(*by, &spent)).collect();
        findings.push(findings::exceeded(&limits));
        let space_time = space_time(&self.ledger, answers);
        BudgetReport {
            schema: SCHEMA,
            laconic_version: env!("CARGO_PKG_VERSION"),
            run: self.summary(end, leaderless, problems),
            figures,
            references: figures::references(&self),
            table: figures::table(&self),
            books,
            phases: figures::phases(&self, &durations),
            fates: figures::fates(&self),
            causes: Cause::ALL.map(Cause::name).to_vec(),
            seconds: self.ledger.seconds.iter().map(|second| second.to_vec()).collect(),
            links: self.links(),
            events,
            decisions,
            decisions_left_out,
            latency,
            story,
            trade_off: figures::trade_off(&self),
            linger: self.linger,
            findings,
            limits,
            space_time,
            verification: None,
        }
    }

    fn summary(&self, end: Micros, leaderless: Micros, problems: Vec<String>) -> RunSummary {
        let all = self.ledger.sum(|_| true);
        let facts = &self.info;
        RunSummary {
            scenario: facts.scenario.clone(),
            seed: facts.seed,
            engine: facts.engine.clone(),
            timing: facts.timing.clone(),
            profile: facts.profile.clone(),
            replicas: facts.replicas,
            duration_us: end.0,
            drops: facts.drops,
            messages: all.count,
            bytes: all.bytes,
            puts: self.puts,
            reads: self.reads,
            batches: self.led.batches.len() as u64,
            elections: self.evidence.elections,
            leaderless_us: leaderless.0,
            verdict: facts.verdict.clone(),
            command: facts.command(),
            ran_by: facts.ran_by.clone(),
            knobs: facts.changed_knobs(),
            problems,
        }
    }

    fn books(&self, sent: u64) -> Books {
        use Fate::{LostInSocket, UnreadBySimulator};
        let unread = self.ledger.count(|cell| cell.fate == UnreadBySimulator);
        let lost = self.ledger.count(|cell| cell.fate == LostInSocket);
        let counted = self.info.counted;
        let mut faults = self.ledger.faults.clone();
        if sent != counted + unread + lost {
            faults.push(format!(
                "sent {sent} is not counted {counted} + unread {unread} + lost {lost}"
            ));
        }
        Books { sent, counted, unread, lost, faults }
    }

    fn links(&self) -> Vec<LinkRow> {
        use Fate::{LostInSocket, UnreadBySimulator};
        let ranks = 0..self.info.replicas as u8;
        let pairs = ranks.clone().flat_map(|from| ranks.clone().map(move |to| (from, to)));
        let link = |(from, to): (u8, u8)| {
            let mut row = LinkRow {
                from,
                to,
                sent: 0,
                bytes: 0,
                counted: 0,
                unread: 0,
                lost: 0,
                received: 0,
            };
            let cells = self.ledger.cells.iter();
            for (cell, tally) in cells.filter(|(c, _)| (c.from.0, c.to.0) == (from, to)) {
                row.sent += tally.count;
                row.bytes += tally.bytes;
                let add = |to: &mut u64, is: bool| *to += if is { tally.count } else { 0 };
                add(&mut row.counted, cell.fate.is_counted());
                add(&mut row.unread, cell.fate == UnreadBySimulator);
                add(&mut row.lost, cell.fate == LostInSocket);
                add(&mut row.received, cell.fate.is_received());
            }
            row
        };
        pairs.filter(|(from, to)| from != to).map(link).collect()
    }
}
