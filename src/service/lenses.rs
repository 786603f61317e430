//! Where a replica's records go: to a file, to the black box, to the log and into metrics, all folds
//! over the one stream.

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use tracing_subscriber::EnvFilter;

use super::environment::{BadEnvironment, Environment};
use super::telemetry::Telemetry;
use crate::clock::MonotonicClock;
use crate::raft::Micros;
use crate::record::{
    Fact, FileHeader, Record, RecordFile, RecordFileError, Sink, deposed_name, json_line,
};
use crate::recorder::{BlackBox, BoxHeader};
use crate::replica::Replica;
use crate::tuning_file::Profile;
use crate::wire::{Garbage, Membership};

/// Sends log lines that pass `filter` to stderr, without colours.
pub(super) fn log_to_stderr(filter: Option<&str>) -> Result<(), BadEnvironment> {
    let filter = filter.unwrap_or("warn");
    let parsed = EnvFilter::try_new(filter).map_err(|reason| BadEnvironment::Log {
        filter: filter.to_owned(),
        reason: reason.to_string(),
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        // A closed stderr must not end the replica.
        .log_internal_errors(false)
        .init();
    Ok(())
}

/// All that listens to a replica's records.
pub(super) struct Lenses {
    file: Option<RecordFile>,
    black_box: Option<BlackBox>,
    garbage: GarbageLog,
    telemetry: Option<Telemetry>,
}

impl Lenses {
    /// Opens the record file, the black box and the metrics, if the environment asks for them. A box
    /// that cannot be had is a line on stderr: it is there for a bad day, not to make one.
    pub fn open(
        environment: &Environment,
        members: &Membership,
        clock: &MonotonicClock,
        profile: &Profile,
    ) -> Result<Lenses, RecordFileError> {
        let file = environment.out.as_deref().map(|out| open_records(out, members, clock));
        let folder = environment.black_box.as_deref();
        let black_box = folder.and_then(|folder| open_black_box(folder, members, clock));
        let file = file.transpose()?;
        let telemetry = Telemetry::open(environment, members, profile);
        Ok(Lenses { file, black_box, garbage: GarbageLog::default(), telemetry })
    }

    /// Waits until somebody asks for fresh figures; without metrics nobody ever does.
    pub async fn wanted(&self) {
        match &self.telemetry {
            Some(telemetry) => telemetry.wanted().await,
            None => std::future::pending().await,
        }
    }

    /// Publishes the state of `replica` at `now`.
    pub fn publish(&mut self, now: Micros, replica: &Replica) {
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.publish(now, replica);
        }
    }

    /// Writes out what is buffered, and the last figures.
    pub fn close(&mut self) -> Result<(), RecordFileError> {
        if let Some(telemetry) = &self.telemetry {
            telemetry.write();
        }
        self.file.as_mut().map_or(Ok(()), RecordFile::flush)
    }

    fn pass_on(&mut self, record: Record) {
        self.file.record(record);
        self.black_box.record(record);
        self.telemetry.record(record);
        match record.fact {
            Fact::Garbage { reason, .. } => self.garbage.on_garbage(record.at, reason),
            fact => log(&record, fact),
        }
    }
}

impl Sink for Lenses {
    fn record(&mut self, record: Record) {
        let sampled = self.telemetry.as_mut().is_some_and(Telemetry::samples_next);
        let start = sampled.then(Instant::now);
        self.pass_on(record);
        if let (Some(start), Some(telemetry)) = (start, &mut self.telemetry) {
            telemetry.add_sample(start);
        }
    }
}

fn open_records(
    out: &Path,
    members: &Membership,
    clock: &MonotonicClock,
) -> Result<RecordFile, RecordFileError> {
    let folder = out.join("records");
    std::fs::create_dir_all(&folder)
        .map_err(|source| RecordFileError::Io { path: folder.clone(), source })?;
    let teller = members.me();
    let path = folder.join(format!("{}.bin", members.address(teller)));
    RecordFile::create(&path, FileHeader { teller, clock_start_us: clock.start_us() })
}

fn open_black_box(folder: &Path, members: &Membership, clock: &MonotonicClock) -> Option<BlackBox> {
    let teller = members.me();
    let path = folder.join(format!("{}.box", members.address(teller)));
    let replicas = members.count() as u8;
    let header = BoxHeader { teller, replicas, clock_start_us: clock.start_us() };
    let complain = |error| {
        let line = format!("LACONIC_BLACK_BOX: {error}; serving on without it");
        // With stderr closed there is nobody to tell.
        let _ = writeln!(io::stderr(), "laconic replica: {line}");
    };
    BlackBox::create(&path, header).map_err(complain).ok()
}

/// Who leads is worth a line at `info`; everything is one at `debug`.
fn log(record: &Record, fact: Fact) {
    use crate::raft::Event::{BecameLeader, LeaderHeard, SteppedDown};
    match fact {
        Fact::State(BecameLeader { term, .. }) => tracing::info!(term, "became leader"),
        Fact::State(SteppedDown { term, reason }) => {
            tracing::info!(term, reason = deposed_name(reason), "stepped down");
        }
        Fact::State(LeaderHeard { leader, term }) => {
            tracing::info!(term, leader = leader.rank(), "heard from a new leader");
        }
        _ => tracing::debug!("{}", json_line(record)),
    }
}

/// Warns of datagrams that were dropped, at most once a second: a flood of them must not become a
/// flood of lines.
#[derive(Default)]
struct GarbageLog {
    dropped: u64,
    quiet_until: Micros,
}

impl GarbageLog {
    fn on_garbage(&mut self, now: Micros, reason: Garbage) {
        self.dropped += 1;
        if now >= self.quiet_until {
            self.quiet_until = now + Micros::from_seconds(1);
            let dropped = self.dropped;
            tracing::warn!(dropped, latest = reason.name(), "datagrams that cannot be used");
        }
    }
}
