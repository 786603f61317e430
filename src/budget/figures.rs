//! The figures and tables of a report, made from the run's data.

use std::collections::BTreeMap;

use super::bounds;
use super::leaderships::PastLeaderships;
use super::ledger::Closed;
use super::phases::Phase;
use super::premise::{self, Hearing};
use super::report::{
    CauseShare, FateRow, Figure, LingerPoint, PhaseRow, Reference, TableRow, TradeOff,
};
use super::run_data::{OwnFloor, RunData};
use super::run_info::RunInfo;
use super::words::{time, why_words};
use crate::raft::{Cause, Micros, Tuning, Why};
use crate::record::Fate;

/// The lingers on the curve, in microseconds.
pub const LINGERS_US: [u64; 9] = [0, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000];

/// The three published figures.
pub fn figures(run: &RunData) -> Vec<Figure> {
    vec![a_commit(run), a_read(run), idle(run)]
}

fn figure(name: &'static str, title: &'static str, floor_means: String) -> Figure {
    let (value, floor, watched_floor, ratio) = (None, None, None, None);
    Figure { name, title, value, floor, watched_floor, ratio, floor_means, excess: Vec::new() }
}

impl Figure {
    /// With a value, the floor by the knobs' own premise, and that with f watchers.
    fn with(
        mut self,
        value: f64,
        (floor, watched): (f64, f64),
        by_cause: [(f64, f64); Cause::ALL.len()],
    ) -> Figure {
        (self.value, self.floor, self.watched_floor) = (Some(value), Some(floor), Some(watched));
        self.ratio = (floor > 0.0).then(|| value / floor);
        let shares = Cause::ALL.into_iter().zip(by_cause);
        self.excess = shares
            .map(|(cause, (spent, least))| CauseShare { cause: cause.name(), value: spent - least })
            .filter(|share| share.value != 0.0)
            .collect();
        self.excess.sort_by(|one, other| other.value.total_cmp(&one.value));
        self
    }
}

fn a_commit(run: &RunData) -> Figure {
    let OwnFloor { wait, batches, messages: floor, watched_messages } = run.floor;
    let means = format!(
        "the fewest batches of the same puts, none held longer than {} at the leader or on its \
         way, at {} messages each, and {}",
        time(wait.0 as f64),
        run.least_a_batch(),
        noticed(&run.info)
    );
    let figure = figure("messages_per_commit", "Messages per commit", means);
    if run.puts == 0 {
        return figure;
    }
    let puts = run.puts as f64;
    let replicate = (batches * run.least_a_batch()).min(floor);
    let by_cause = Cause::ALL.map(|cause| {
        let least = match cause {
            Cause::Replicate => replicate,
            Cause::Heartbeat => floor - replicate,
            _ => 0,
        };
        (run.ledger.charged(cause) as f64 / puts, least as f64 / puts)
    });
    let all = run.ledger.sum(|_| true).count as f64;
    figure.with(all / puts, (floor as f64 / puts, watched_messages as f64 / puts), by_cause)
}

fn a_read(run: &RunData) -> Figure {
    let means = "none: a read is answered under a lease that other messages renew".to_owned();
    let figure = figure("messages_per_read", "Messages per read", means);
    if run.reads == 0 {
        return figure;
    }
    let reads = run.reads as f64;
    let by_cause = Cause::ALL.map(|cause| match cause {
        Cause::Confirm => (run.ledger.charged(cause) as f64 / reads, 0.0),
        _ => (0.0, 0.0),
    });
    figure.with(run.ledger.charged(Cause::Confirm) as f64 / reads, (0.0, 0.0), by_cause)
}

fn idle(run: &RunData) -> Figure {
    let means = format!(
        "in each stretch of idle seconds, cut into windows as long as a death may go unnoticed: {}",
        noticed(&run.info)
    );
    let figure = figure("idle_messages_per_second", "Idle messages per second", means);
    let seconds = run.idle_seconds.len();
    if seconds == 0 {
        return figure;
    }
    let least = |hearing: Hearing| run.idle_floor(hearing) as f64 / seconds as f64;
    let (floor, watched) = (least(Hearing::of(&run.info.tuning)), least(Hearing::Watchers));
    let mut by_cause = [0u64; Cause::ALL.len()];
    for second in run.idle_seconds.iter().filter_map(|second| run.ledger.seconds.get(*second)) {
        by_cause.iter_mut().zip(second).for_each(|(sum, count)| *sum += count);
    }
    let value = by_cause.iter().sum::<u64>() as f64 / seconds as f64;
    let shares = Cause::ALL.map(|cause| {
        let least = if cause == Cause::Heartbeat { floor } else { 0.0 };
        (by_cause[cause as usize] as f64 / seconds as f64, least)
    });
    figure.with(value, (floor, watched), shares)
}

/// Who notices a dead leader of the run, and how soon.
fn noticed(info: &RunInfo) -> String {
    Hearing::of(&info.tuning).noticed(premise::detection(&info.tuning))
}

/// What the same arrivals would have cost, from the provable least upwards.
pub fn references(run: &RunData) -> Vec<Reference> {
    let all = run.ledger.sum(|_| true).count as f64;
    let reference = |(name, title, messages, premise): Labelled| Reference {
        name,
        title,
        messages,
        per_put: (run.puts > 0).then(|| messages / run.puts as f64),
        ratio: (messages > 0.0).then(|| all / messages),
        premise,
    };
    floors(run).into_iter().chain(rivals(run)).map(reference).collect()
}

/// A reference's name, its title, its messages and its premise.
type Labelled = (&'static str, String, f64, String);

/// What no plan undercuts, each with what it assumes (design §6).
fn floors(run: &RunData) -> Vec<Labelled> {
    let info = &run.info;
    let others_needed = info.others_needed();
    let OwnFloor { wait, messages: floor, watched_messages, .. } = run.floor;
    let at_own_delay = run.led.batches.iter().map(|batch| {
        bounds::messages_per_batch(others_needed, batch.delays.unwrap_or(others_needed + 1))
    });
    let wait = time(wait.0 as f64);
    let mut floors = vec![
        (
            "floor_wait",
            format!("least, if no put waits over {wait}"),
            floor as f64,
            format!(
                "No put is held longer than {wait} anywhere, at the leader or on its way, transit \
                 taken as nothing, and {}.",
                noticed(info)
            ),
        ),
        (
            "floor_delay",
            "batches as sent, at their own delay".to_owned(),
            at_own_delay.sum::<u64>() as f64,
            "The batches are those of the run, each committed within as many one-way delays as it \
             was; resends and heartbeats are left out."
                .to_owned(),
        ),
    ];
    if watched_messages != floor {
        let noticed = Hearing::Watchers.noticed(premise::detection(&info.tuning));
        let watched = (
            "floor_watchers",
            "the least with f watchers".to_owned(),
            watched_messages as f64,
            format!(
                "As the least, but {noticed}. One of them lives after f − 1 more failures, so an \
                 election still begins."
            ),
        );
        floors.insert(usize::from(watched_messages > floor), watched);
    }
    if info.drops > 0.0 {
        let percent = info.drops * 100.0;
        floors.push((
            "floor_loss",
            format!("least, with {percent:.0} % of messages lost"),
            bounds::with_loss(floor as f64, info.drops),
            "On average, if each message is lost independently and no sender can foresee it."
                .to_owned(),
        ));
    }
    floors
}

/// What others would have spent, and what the simulator demands.
fn rivals(run: &RunData) -> [Labelled; 3] {
    let info = &run.info;
    let (replicas, others_needed) = (info.replicas as u64, info.others_needed());
    let led: u64 = run.led.spans.iter().map(|span| (span.to - span.from).0).sum();
    let commands = run.led.arrivals.len() as u64;
    let simulator = bounds::simulator_floor(
        info.requests,
        replicas,
        info.mix,
        info.maximum_appends_batched_fraction,
    );
    let star = bounds::thrifty_star(run.floor.batches, others_needed);
    let textbook = bounds::textbook(commands, Micros(led), replicas);
    [
        (
            "floor_simulator",
            "the simulator's own floor".to_owned(),
            simulator,
            "A run that says less is too quiet for the course's simulator, and fails.".to_owned(),
        ),
        (
            "thrifty_star",
            "thrifty star, batches alone".to_owned(),
            star as f64,
            "The fewest batches, each sent to f others, each of which answers; no heartbeats."
                .to_owned(),
        ),
        (
            "textbook",
            "textbook Raft".to_owned(),
            textbook as f64,
            "Each command to every other, a heartbeat to every other each 150 ms, and an answer \
             to each."
                .to_owned(),
        ),
    ]
}

/// Messages by kind and cause.
pub fn table(run: &RunData) -> Vec<TableRow> {
    let mut rows: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for (cell, tally) in &run.ledger.cells {
        let row = rows.entry((cell.kind, cell.why.cause(), cell.why)).or_default();
        *row = (row.0 + tally.count, row.1 + tally.bytes);
    }
    let all: u64 = rows.values().map(|(count, _)| count).sum();
    let row = |((kind, charged, why), (count, bytes)): ((_, Cause, Why), (u64, u64))| TableRow {
        kind: crate::raft::Kind::name(kind),
        why: why.to_string(),
        words: why_words(why),
        form: why.form().name(),
        cause: charged.name(),
        count,
        bytes,
        share: count as f64 / all.max(1) as f64,
        per_put: (run.puts > 0).then(|| count as f64 / run.puts as f64),
    };
    rows.into_iter().map(row).collect()
}

/// Messages and time of each phase.
pub fn phases(run: &RunData, durations: &[Micros; 5]) -> Vec<PhaseRow> {
    let row = |(phase, duration): (Phase, &Micros)| PhaseRow {
        phase: phase.name(),
        duration_us: duration.0,
        messages: run.ledger.count(|cell| cell.phase == phase),
        by_cause: run.ledger.by_cause(|cell| cell.phase == phase),
    };
    Phase::ALL.into_iter().zip(durations).map(row).collect()
}

/// Messages by their fate.
pub fn fates(run: &RunData) -> Vec<FateRow> {
    let row = |fate: Fate| {
        let sum = run.ledger.sum(|cell| cell.fate == fate);
        FateRow {
            fate: fate.name(),
            count: sum.count,
            bytes: sum.bytes,
            by_cause: run.ledger.by_cause(|cell| cell.fate == fate),
        }
    };
    Fate::ALL.into_iter().map(row).collect()
}

/// Messages of a batch against the hops until its commit, with the floor.
pub fn trade_off(run: &RunData) -> TradeOff {
    let others_needed = run.info.others_needed();
    let mut points: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for batch in &run.led.batches {
        if let Some(proof) = batch.proof {
            *points.entry((proof.hops, batch.messages + proof.others)).or_default() += 1;
        }
    }
    let delays = 2..=others_needed.max(1) + 1;
    TradeOff {
        others_needed,
        floor: delays.map(|d| (d, bounds::messages_per_batch(others_needed, d))).collect(),
        one_way_us: run.evidence.one_way_us,
        points: points.into_iter().map(|((hops, messages), n)| (hops, messages, n)).collect(),
    }
}

/// Messages that a batch cost on average, without resends.
pub fn messages_per_batch(ledger: &Closed, led: &PastLeaderships) -> f64 {
    ledger.charged(Cause::Replicate) as f64 / led.batches.len().max(1) as f64
}

/// How many batches a longer linger would have merged, if each batch costs `each` messages.
pub fn linger(tuning: &Tuning, led: &PastLeaderships, each: f64) -> Vec<LingerPoint> {
    let arrivals: Vec<Micros> = led.arrivals.iter().map(|arrival| arrival.at).collect();
    let most = Some(tuning.batch_most_entries);
    let sent = led.batches.len() as f64;
    let point = |linger_us| {
        let lingered = bounds::batches_by_linger(&arrivals, Micros(linger_us), most);
        LingerPoint {
            linger_us,
            batches: lingered.batches,
            messages_saved: ((sent - lingered.batches as f64) * each).max(0.0),
            added_wait_us: lingered.mean_wait_us,
        }
    };
    LINGERS_US.into_iter().map(point).collect()
}
