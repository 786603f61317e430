//! A replica's metrics as an instrument: the fold over its records, the endpoint, the file with the
//! last figures, and the cost of recording.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::complaint::complain;
use super::endpoint::{Endpoint, PublishSignal, open};
use super::waiting::Bell;
use crate::metrics::exposition::Format;
use crate::metrics::{MetricsSink, ProcessGauges, status_json};
use crate::raft::Micros;
use crate::record::{Record, Sink, Work};
use crate::replica::Replica;
use crate::tuning_file::Profile;
use crate::wire::Membership;

/// One record in this many is timed, since reading the clock costs more than counting.
const SAMPLED: u64 = 64;

/// The metrics of a replica.
pub(super) struct Telemetry {
    sink: MetricsSink,
    process: ProcessGauges,
    publish_signal: Arc<PublishSignal>,
    /// The file for the last figures.
    file: Option<PathBuf>,
    cost: Cost,
}

impl Telemetry {
    /// Opens the metrics if there is an `address` to serve at, or a folder `out` for the last
    /// figures. If something fails, there is one line on stderr, and the replica goes on without
    /// it.
    pub fn open(
        address: Option<&str>,
        out: Option<&Path>,
        members: &Membership,
        profile: &Profile,
        bell: Bell,
    ) -> Option<Telemetry> {
        if address.is_none() && out.is_none() {
            return None;
        }
        let id = members.address(members.me());
        let mut sink = MetricsSink::new(members, &profile.tuning, &profile.budget);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        sink.publish_start(since_epoch.unwrap_or_default().as_secs_f64());
        let publish_signal = PublishSignal::new(bell);
        if let Some(address) = address {
            let endpoint = Endpoint {
                metrics: sink.handle(),
                process: sink.process_gauges(),
                publish_signal: publish_signal.clone(),
            };
            match open(address).and_then(|(listener, bound)| Ok((endpoint.start(listener)?, bound)))
            {
                Ok(((), bound)) => {
                    tracing::info!(address = %bound, "metrics");
                    announce(out, &format!("{id}.address"), &format!("{bound}\n"));
                }
                Err(error) => complain(&format!("LACONIC_METRICS_ADDRESS: {address}: {error}")),
            }
        }
        let file = out.map(|out| out.join(format!("{id}.prom")));
        let process = sink.process_gauges();
        Some(Telemetry { sink, process, publish_signal, file, cost: Cost::default() })
    }

    /// Whether somebody has asked for fresh figures since this was last called.
    pub fn is_publishing_wanted(&self) -> bool {
        self.publish_signal.is_wanted()
    }

    /// Sets the gauges to the state of `replica` at `now`, and wakes those who wait for it.
    pub fn publish(&mut self, now: Micros, replica: &Replica) {
        self.sink.publish(now, replica);
        self.sink.publish_cost(self.cost.seconds());
        self.publish_signal.publish(status_json(now, replica).to_string());
    }

    /// Writes the last published figures into the run's folder.
    pub fn write(&self) {
        if let Some(path) = &self.file {
            self.process.publish();
            write(path, &self.sink.handle().render(Format::Text));
        }
    }

    /// Whether to measure the cost of the next record.
    pub fn samples_next(&mut self) -> bool {
        self.cost.records += 1;
        self.cost.records.is_multiple_of(SAMPLED)
    }

    /// Adds the time since `since`, which recording one record took in all instruments.
    pub fn add_sample(&mut self, since: Instant) {
        self.cost.sampled += since.elapsed();
    }
}

impl Sink for Telemetry {
    fn record(&mut self, record: &Record) {
        self.sink.record(record);
    }

    fn begin(&mut self, work: Work<'_>) {
        self.sink.begin(work);
    }
}

/// The measured cost of recording.
#[derive(Default)]
struct Cost {
    records: u64,
    sampled: Duration,
}

impl Cost {
    /// The time for all records in seconds, estimated from those that were timed.
    fn seconds(&self) -> f64 {
        let timed = self.records / SAMPLED;
        if timed == 0 {
            0.0
        } else {
            self.sampled.as_secs_f64() / timed as f64 * self.records as f64
        }
    }
}

/// Writes the address of the endpoint into a file, for the simulator or whoever else started this
/// replica with port 0.
fn announce(out: Option<&Path>, name: &str, address: &str) {
    if let Some(out) = out {
        write(&out.join(name), address);
    }
}

/// Writes the file so that readers see all of it or nothing.
fn write(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, path));
    if let Err(error) = written {
        // The draft is of no use. If it cannot be removed either, one error message is enough.
        let _ = std::fs::remove_file(&draft);
        complain(&format!("LACONIC_OUT: {}: {error}", path.display()));
    }
}
