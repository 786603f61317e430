//! The arguments of `laconic sim`.

use std::path::PathBuf;

use clap::Args;

use crate::sim::scenario::Scenario;

/// Run a scenario, or all seventeen of the course, and say where the messages went.
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic sim simple-2                  virtual time, the course's timing
  laconic sim simple-2 --json           the outcome as one JSON object
  laconic sim mine.json --seed 7        your own scenario, a run to be repeated
  laconic sim simple-2 --report x.html  its message budget as a page
  laconic sim crash-4 --trace x.json    its messages as arrows, for Perfetto
  laconic sim all --repeat 20 --seed 1  340 runs, in parallel
  laconic sim simple-2 --open-metrics x.om
                                        its metrics, for Prometheus and Grafana
  laconic sim simple-2 --real           child processes over UDP, in real time
  laconic sim simple-2 --real --replica ./4730kvstore
                                        any program that speaks the interface

Ctrl-C ends a real run where it is: it is judged, reported, kept and drawn as
far as it went. Of several runs those that are done are summed up.

Tiers: 0 bonus, 1 full, 2 partial, 3 none.

JSON (--json, and `outcome` of run.json in --out; several runs: one object a
line): schema, engine, timing, profile, foreign, passed, failed_by_chance_alone,
scenario, seed, ended_at_us, over, leaders_seen, counts, mean_latency_s,
median_latency_us, checks (name, passed, detail), benchmarks (name, value,
thresholds, tier), unanswered, duplicates, incidents, ends, faults, remarks,
and messages: table (kind, why, cause, count), total = counted + unread + lost,
committed_puts, batches, batch_messages, resend_timeouts, elections, garbage;
where a budget is stated, limits (name, stated_by, allowed, spent, exceeded).

Exit status: 0 good, 1 a check failed, 2 bad input or usage, 3 only a budget
exceeded, 4 the environment failed (port, child, disk), 130 interrupted. Of
several runs the first of 2, 4, 1, 3.")]
pub struct SimArguments {
    /// Name of a scenario (simple-1 to advanced-4, large, lossy, wan), a JSON file, or
    /// `all`: the course's seventeen
    pub scenario: String,
    /// Refuse a scenario file with an unknown key or thresholds that do not rise, instead of a
    /// warning
    #[arg(long)]
    pub strict: bool,
    /// Run child processes over real UDP, by the wall clock
    #[arg(long)]
    pub real: bool,
    /// The program to launch as replicas, in a real run; ours if not given
    #[arg(long, value_name = "PROGRAM", requires = "real")]
    pub replica: Option<PathBuf>,
    /// Fire requests and faults when they are due, not at the course's 100 ms edges, and without
    /// its pace
    #[arg(long)]
    pub precise: bool,
    /// Seed of all random draws; not given: the scenario's, else drawn
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_seed)]
    pub seed: Option<u64>,
    /// Run this many seeds, from --seed on
    #[arg(
        long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    pub repeat: u64,
    /// Tuning profile: one that `laconic profiles` lists, or a TOML file
    #[arg(long, default_value = "course")]
    pub profile: String,
    /// Keep the run: run.json, history.jsonl, records/ID.bin, simulator.bin (a folder a run, if
    /// several); a folder that holds a run is refused
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Remove the run that --out holds, and nothing else there
    #[arg(long, requires = "out")]
    pub force: bool,
    /// Write the message budget of the run there, as one HTML page
    #[arg(long, value_name = "FILE.html", conflicts_with = "repeat")]
    pub report: Option<PathBuf>,
    /// Show the page of --report in the browser
    #[arg(long, requires = "report")]
    pub open: bool,
    /// Draw the run there, as `laconic trace` does, for ui.perfetto.dev
    #[arg(long, value_name = "FILE.json", conflicts_with = "repeat")]
    pub trace: Option<PathBuf>,
    /// Have each replica of a real run serve its metrics on a port of its own, and write a
    /// Prometheus file-service-discovery file there that names them, with the scenario as `cluster`
    #[arg(
        long, value_name = "DISCOVERY.json", requires = "real",
        conflicts_with_all = ["replica", "repeat"]
    )]
    pub metrics: Option<PathBuf>,
    /// At the end of a real run let the replicas serve their last figures for this time; those that
    /// follow notice the end within an election timeout
    #[arg(
        long, value_name = "SECONDS", requires = "metrics", default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=86_400)
    )]
    pub hold: u64,
    /// Write the metrics of a virtual run there as OpenMetrics text, for
    /// `promtool tsdb create-blocks-from openmetrics`
    #[arg(long, value_name = "FILE.om", conflicts_with_all = ["real", "repeat"])]
    pub open_metrics: Option<PathBuf>,
    /// Print the outcome as JSON on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
    /// Give replicas no pipes for their output (as the course's --silence); real runs only
    #[arg(long, requires = "real")]
    pub silence: bool,
}

/// One run to do.
pub(super) struct Job {
    pub scenario: Scenario,
    pub seed: u64,
    pub out: Option<PathBuf>,
}

/// A seed, from the command line.
pub(in crate::cli) fn parse_seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("must be a whole number from 0 to {}", u64::MAX))
}
