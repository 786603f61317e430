//! Metrics: a fold over a replica's records into counters and histograms, and gauges read from its
//! status when they are published (design §6a).
//!
//! - [`family`]: the registry, from which all names, helps, units and tables come;
//! - `tally`: counts and observations that one thread tells and others read;
//! - `exporter`: a replica's own recorder, and what is told to it, made once for each series;
//! - `traffic`, `commits`, `elections`: the parts of the fold;
//! - `gauges`: what is read from the replica when a scrape asks;
//! - [`MetricsSink`]: all of these as one sink;
//! - [`exposition`]: the text that Prometheus scrapes, in both its formats, and read back;
//! - [`OpenMetrics`]: the same families of a whole virtual run, with timestamps.
//!
//! Series are bounded: by members, kinds, forms and causes that occur.

mod commits;
mod elections;
mod exporter;
pub mod exposition;
pub mod family;
mod gauges;
mod open_metrics;
mod sink;
mod status;
mod tally;
mod traffic;

pub use exporter::MetricsHandle;
pub use gauges::ProcessGauges;
pub use open_metrics::{EPOCH_SECONDS, OpenMetrics};
pub use sink::MetricsSink;
pub use status::status_json;
