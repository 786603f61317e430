//! `laconic compare engines`: virtual runs against real ones.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::{ExitStatus, Failure};
use crate::cli::output::print;
use crate::cli::sim::{parse_seed, whole_real_run};
use crate::columns::Columns;
use crate::raft::{Micros, Tuning};
use crate::service;
use crate::sim::delays::Delays;
use crate::sim::fold::MessageTable;
use crate::sim::real::RealOptions;
use crate::sim::scenario::Scenario;
use crate::sim::virtual_time::{self, Keep, VirtualOptions};
use crate::tuning_file;

/// Scenarios without faults, and scenarios with losses. With faults, single runs differ by more
/// than the engines do.
const SCENARIOS: [&str; 5] =
    ["simple-1", "simple-2", "unreliable-1", "unreliable-2", "unreliable-3"];

/// Differences that count as agreement: messages and median latency in percent, shares in
/// percentage points.
const MOST_MESSAGES: f64 = 5.0;
const MOST_MEDIAN: f64 = 25.0;
const MOST_SHARE: f64 = 5.0;

/// Run five scenarios in both engines and say how far they agree (ten minutes).
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic compare engines
  laconic compare engines --seed 2 --profile textbook
  laconic compare engines --delays mine.json
                                   as laconic calibrate has measured them

Agreement: messages within 5 %, median latency within 25 %, the share of each
kind and cause within 5 points. Exit status 1 if a scenario disagrees.")]
pub struct EnginesArguments {
    /// Seed of the first run, in both engines
    #[arg(
        long, value_name = "N", default_value_t = 1, allow_hyphen_values = true,
        value_parser = parse_seed
    )]
    seed: u64,
    /// Runs a scenario and engine; a real one takes 40 s
    #[arg(
        long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u64).range(1..=100)
    )]
    repeat: u64,
    /// Tuning profile
    #[arg(long, default_value = "course")]
    profile: String,
    /// Delays for the virtual runs, as `laconic calibrate` writes them; those of the program if not
    /// given
    #[arg(long, value_name = "FILE.json")]
    delays: Option<PathBuf>,
}

/// The numbers of a run that are compared.
struct Figures {
    messages: f64,
    median_us: f64,
    /// Share of each kind and cause, in percent.
    shares: BTreeMap<String, f64>,
}

/// Compares.
pub fn run(arguments: &EnginesArguments) -> Result<ExitStatus, Failure> {
    let tuning = tuning_file::load(&arguments.profile).map_err(Failure::input)?.tuning;
    let delays = match &arguments.delays {
        Some(file) => Delays::load(file).map_err(Failure::input)?,
        None => Delays::embedded(),
    };
    service::check_inherited().map_err(Failure::input)?;
    // Each line takes minutes, so it is printed as soon as it is known.
    let columns = Columns::of(&[12, 8, 7, 7, 9, 7, 7, 6], 1);
    let head = ["scenario", "messages", "virtual", "diff", "median us", "virtual", "diff", "share"];
    let machines = format!("on {}, delays of {}", machine(), delays.measured_on);
    print(&format!("Virtual against real, {machines}\n{}", columns.row(&head)))?;
    let mut status = ExitStatus::Good;
    for name in SCENARIOS {
        let scenario = Scenario::load(name).map_err(Failure::input)?;
        let seeds = (0..arguments.repeat).map(|place| arguments.seed.wrapping_add(place));
        let real = seeds.clone().map(|seed| real_run(&scenario, seed, arguments));
        let real = figures(real.collect::<Result<_, Failure>>()?);
        let virtual_time = seeds.map(|seed| virtual_run(&scenario, seed, &tuning, &delays));
        let virtual_time = figures(virtual_time.collect::<Result<_, Failure>>()?);
        let messages = percent(virtual_time.messages, real.messages);
        let median = percent(virtual_time.median_us, real.median_us);
        let (cause, share) = largest_difference(&real.shares, &virtual_time.shares);
        let agrees = messages.abs() <= MOST_MESSAGES
            && median.abs() <= MOST_MEDIAN
            && share.abs() <= MOST_SHARE;
        if !agrees {
            status = ExitStatus::CheckFailed;
        }
        print(&columns.row(&[
            name.to_owned(),
            format!("{:.0}", real.messages),
            format!("{:.0}", virtual_time.messages),
            format!("{messages:+.1} %"),
            format!("{:.0}", real.median_us),
            format!("{:.0}", virtual_time.median_us),
            format!("{median:+.1} %"),
            format!("{share:+.1}"),
        ]))?;
        if !agrees {
            print(&format!("  DISAGREES; the share that differs most: {cause}\n"))?;
        }
    }
    print(&format!(
        "Share: the largest difference of a kind's and cause's share, in points.\n\
         Agreement: messages within {MOST_MESSAGES} %, median within {MOST_MEDIAN} %, \
         shares within {MOST_SHARE} points.\n"
    ))?;
    Ok(status)
}

/// Messages, median latency and table of a run.
type Run = (u64, Micros, MessageTable);

fn real_run(scenario: &Scenario, seed: u64, arguments: &EnginesArguments) -> Result<Run, Failure> {
    let options = RealOptions {
        seed,
        profile: Some(arguments.profile.clone()),
        progress: true,
        ..RealOptions::default()
    };
    let run = whole_real_run(scenario, &options)?;
    let median = run.conclusion.median_latency.unwrap_or_default();
    Ok((run.conclusion.counts.messages, median, run.fold.table))
}

fn virtual_run(
    scenario: &Scenario,
    seed: u64,
    tuning: &Tuning,
    delays: &Delays,
) -> Result<Run, Failure> {
    let options = VirtualOptions {
        seed,
        tuning: tuning.clone(),
        precise: false,
        through_codec: false,
        delays: delays.clone(),
        records: Keep::Nothing,
    };
    let run = virtual_time::run(scenario, &options).map_err(Failure::environment)?;
    let median = run.conclusion.median_latency.unwrap_or_default();
    Ok((run.conclusion.counts.messages, median, run.fold.table))
}

/// The runs of one engine together: mean messages, and the middle of the medians.
fn figures(runs: Vec<Run>) -> Figures {
    let messages = runs.iter().map(|run| run.0).sum::<u64>() as f64 / runs.len().max(1) as f64;
    let mut medians: Vec<Micros> = runs.iter().map(|run| run.1).collect();
    medians.sort_unstable();
    let median = medians.get(medians.len() / 2).copied().unwrap_or_default();
    let tables: Vec<MessageTable> = runs.into_iter().map(|run| run.2).collect();
    Figures { messages, median_us: median.0 as f64, shares: shares(&tables) }
}

fn shares(tables: &[MessageTable]) -> BTreeMap<String, f64> {
    let total: u64 = tables.iter().map(MessageTable::total).sum();
    let mut shares = BTreeMap::new();
    for (kind, why, count) in tables.iter().flat_map(MessageTable::rows) {
        let name = format!("{} {}", kind.name(), why);
        *shares.entry(name).or_default() += count as f64 * 100.0 / total as f64;
    }
    shares
}

fn largest_difference(one: &BTreeMap<String, f64>, other: &BTreeMap<String, f64>) -> (String, f64) {
    let share = |of: &BTreeMap<String, f64>, name: &str| of.get(name).copied().unwrap_or(0.0);
    let names = one.keys().chain(other.keys());
    let differences = names.map(|name| (name.clone(), share(other, name) - share(one, name)));
    differences.max_by(|one, other| one.1.abs().total_cmp(&other.1.abs())).unwrap_or_default()
}

/// How much larger `one` is than `other`, in percent.
fn percent(one: f64, other: f64) -> f64 {
    (one - other) * 100.0 / other.max(1.0)
}

/// The kind of machine: processor and cores.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown processor");
    format!("{} x {}", cores, model.trim())
}
