//! Metrics: a fold over a replica's records into counters and histograms, and gauges read from its
//! status when they are published (design §6a).
//!
//! - [`family`]: the registry, from which all names, helps, units and tables come;
//! - `tally`: counts and observations that one thread writes and others read;
//! - `exporter`: a replica's own recorder; each series is made once;
//! - `traffic`, `commits`, `elections`: the parts of the fold;
//! - `gauges`: what is read from the replica when a scrape asks;
//! - [`MetricsSink`]: all of these as one sink;
//! - [`exposition`]: the text that Prometheus scrapes, in two formats, and how to read it;
//! - [`OpenMetrics`]: the same families of a whole virtual run, with timestamps.
//!
//! The number of series is bounded: only members, kinds, forms and causes that occur have one.

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
