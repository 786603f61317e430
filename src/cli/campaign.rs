//! `laconic campaign`: random clusters with random faults, each run judged.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::failure::{ExitStatus, Failure};
use super::output::{check_file, check_folder, print};
use super::shard::{AskedShard, parse_shard, shard_of};
use super::sim::parse_seed;
use crate::campaign::results::{self, Block, ENOUGH_RUNS, Found, MergeError, Plan, merge};
use crate::campaign::runner::{Watcher, run_all};
use crate::campaign::shrink::Shrunk;
use crate::campaign::{Options, story};
use crate::columns::Columns;
use crate::interrupt;
use crate::journal::{Journal, Shard};

/// Look for a fault in thousands of random clusters with random faults
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
Examples:
  laconic campaign                      10,000 seeds
  laconic campaign --minutes 1          as many as a minute allows
  laconic campaign --seed 4711          one, that has failed before
  laconic campaign --seeds 1..1000001 -o found.jsonl
                                        a million; Ctrl-C and the same command
                                        goes on from there
  laconic campaign --seeds 1..1000001 --shard 2/8 -o found.jsonl
                                        an eighth, into found.2-of-8.jsonl
  laconic campaign merge found.*.jsonl  all of them in one table

Each seed draws a cluster in virtual time: replicas, knobs, clocks, clients, and
faults. After the faults everything must be answered. Checked are Raft's
invariants after every step, whether the clients' answers are linearizable, the
books, and that logs agree in the end. The table says in how many runs each rare
branch of the core was taken. docs/campaigns.md tells more.

A run that fails is made smaller and told as a text in --stories.

Shards: as in laconic tune --help; Slurm's and Kubernetes' numbers are taken by
themselves.

Exit status: 0 good; 1 a run was wrong, or one branch was never taken in 10,000
runs and more; 2 bad input or usage; 4 the environment failed; 130 interrupted.")]
pub struct CampaignArguments {
    #[command(subcommand)]
    command: Option<CampaignCommand>,
    /// The seeds to try, the last one left out [default: 1..10001; with --minutes, 1 and on]
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Option<Range<u64>>,
    /// One seed alone
    #[arg(
        long, value_name = "N", conflicts_with_all = ["seeds", "minutes", "shard"],
        value_parser = parse_seed
    )]
    seed: Option<u64>,
    /// Stop after so many minutes
    #[arg(long, value_name = "M", value_parser = parse_minutes)]
    minutes: Option<f64>,
    /// Runs at the same time; by default as many as there are cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4_096))]
    jobs: Option<u16>,
    /// Which part of the seeds to try: I/N, or /N in an indexed job of Kubernetes
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    shard: Option<AskedShard>,
    /// Keep what is found there, a line for every 250 seeds, and go on from what it holds
    #[arg(long, short, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// Replace what another campaign has left in --output
    #[arg(long)]
    force: bool,
    /// The folder for the stories of runs that fail
    #[arg(long, value_name = "DIR", default_value = "stories")]
    stories: PathBuf,
}

#[derive(Subcommand)]
enum CampaignCommand {
    /// Bring the results of a campaign's shards together
    Merge(MergeArguments),
}

/// Bring the results of a campaign's shards together
#[derive(Args)]
#[command(after_help = "\
Example:
  laconic campaign merge found.*.jsonl

Exit status: as of laconic campaign, over all that the files hold.")]
struct MergeArguments {
    /// The results of the shards
    #[arg(required = true, value_name = "FILE.jsonl")]
    files: Vec<PathBuf>,
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let rule = || format!("{text:?} must be A..B with A below B, as in 1..10001");
    let (first, end) = text.split_once("..").ok_or_else(rule)?;
    let (first, end) = (first.parse().map_err(|_| rule())?, end.parse().map_err(|_| rule())?);
    (first < end).then_some(first..end).ok_or_else(rule)
}

fn parse_minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes| (0.001..=100_000.0).contains(minutes));
    minutes.ok_or_else(|| "must be a number from 0.001 to 100000".to_owned())
}

/// Runs the campaign, or merges the results of one.
pub fn run(arguments: &CampaignArguments) -> Result<ExitStatus, Failure> {
    if let Some(CampaignCommand::Merge(arguments)) = &arguments.command {
        return merge_files(&arguments.files);
    }
    let variable = |name: &str| std::env::var(name).ok();
    let shard = match arguments.seed {
        Some(_) => Shard::WHOLE,
        None => shard_of(arguments.shard, variable).map_err(Failure::input)?,
    };
    let seeds = match (&arguments.seeds, arguments.seed, arguments.minutes) {
        (Some(seeds), _, _) => seeds.clone(),
        (None, Some(seed), _) => seed..seed.saturating_add(1),
        (None, None, None) => 1..10_001,
        (None, None, Some(_)) => 1..u64::MAX,
    };
    let plan = Plan { seeds, shard };
    let output = arguments.output.as_deref().map(|path| path_of_shard(path, shard));
    output.iter().try_for_each(|path| check_file(path))?;
    check_folder(&arguments.stories)?;
    let opened = output.as_ref().map(|path| Journal::open(path, &plan.head(), arguments.force));
    let (journal, done) = opened.transpose().map_err(|error| Failure::journal(&error))?.unzip();
    interrupt::watch().map_err(Failure::environment)?;
    let options = Options::embedded();
    let watcher = Bar::new(&plan, arguments, &options, done.as_deref().unwrap_or_default());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.jobs.map_or(0, usize::from));
    let pool = pool.build().map_err(Failure::environment)?;
    let done: Vec<Block> = done.unwrap_or_default();
    let before = done.iter().map(|block| block.tally.runs + block.failures.len() as u64).sum();
    let found = pool.install(|| run_all(&plan, &options, journal.as_ref(), done, &watcher));
    watcher.bar.finish_and_clear();
    let found = found.map_err(|error| Failure::journal(&error))?;
    conclude(&plan, &found, &watcher, before)
}

/// The file for the results of a shard: its number stands before the ending.
fn path_of_shard(path: &Path, shard: Shard) -> PathBuf {
    if shard == Shard::WHOLE {
        return path.to_owned();
    }
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    path.with_extension(format!("{}-of-{}.{ending}", shard.number, shard.of))
}

/// Tells what was found by a campaign that has ended.
fn conclude(
    plan: &Plan,
    found: &Found,
    watcher: &Bar<'_>,
    before: u64,
) -> Result<ExitStatus, Failure> {
    let runs = found.tally.runs + found.failures.len() as u64;
    let seconds = watcher.start.elapsed().as_secs_f64();
    tell(found)?;
    let rate = (runs - before) as f64 / seconds.max(1e-9);
    print(&format!("{seconds:.1} s, {rate:.0} runs a second\n"))?;
    if interrupt::seen() && !watcher.is_out_of_time() {
        // Only the time would have ended a campaign of all seeds.
        let planned = if plan.seeds.end == u64::MAX {
            String::new()
        } else {
            format!(" of {}", plan.count())
        };
        let words = format!("interrupted after {runs}{planned} runs");
        return Err(Failure::interrupted(words));
    }
    Ok(status_of(found, plan.shard == Shard::WHOLE))
}

/// The exit status. A shard alone is not weak for a branch that it did not take.
fn status_of(found: &Found, is_whole: bool) -> ExitStatus {
    let fails = !found.failures.is_empty() || (is_whole && found.is_too_weak());
    if fails { ExitStatus::CheckFailed } else { ExitStatus::Good }
}

/// Prints the table of marks, the failures and the sums.
fn tell(found: &Found) -> Result<(), Failure> {
    let tally = &found.tally;
    let mut text = String::new();
    let columns = Columns::of(&[11, 0], 2);
    for (mark, count) in tally.rarest_first() {
        text += &columns.row(&[&HumanCount(count).to_string(), mark.name()]);
    }
    print(&(columns.row(&["runs with", "a branch of the core (src/raft/mark.rs)"]) + &text))?;
    for failure in &found.failures {
        let seed = failure.seed;
        print(&format!("seed {seed}: {}: {}\n", failure.kind, failure.detail))?;
        print(&format!("  laconic campaign --seed {seed}\n"))?;
    }
    let missing: Vec<&str> = tally.missing().into_iter().map(|mark| mark.name()).collect();
    if !missing.is_empty() {
        let many = if tally.runs >= ENOUGH_RUNS { "" } else { " (that takes more runs)" };
        print(&format!("Never taken{many}: {}\n", missing.join(", ")))?;
    }
    print(&format!(
        "{} runs good, {} wrong; {} requests, {} messages\n",
        HumanCount(tally.runs),
        HumanCount(found.failures.len() as u64),
        HumanCount(tally.requests),
        HumanCount(tally.messages)
    ))?;
    print(&format!(
        "Old reads in {} runs whose clocks or turns leave leases no ground\n",
        HumanCount(tally.stale_reads)
    ))
}

fn merge_files(files: &[PathBuf]) -> Result<ExitStatus, Failure> {
    let (found, missing) = merge(files).map_err(|error| match error {
        MergeError::Journal(error) => Failure::journal(&error),
        MergeError::NotMergeable { .. } => Failure::input(error),
    })?;
    tell(&found)?;
    if missing > 0 {
        print(&format!("Not tried: {} seeds\n", HumanCount(missing)))?;
    }
    Ok(status_of(&found, true))
}

/// Shows on stderr how far a campaign is, tells of failures at once, and stops it.
struct Bar<'a> {
    bar: ProgressBar,
    start: Instant,
    until: Option<Duration>,
    stories: &'a Path,
    options: &'a Options,
}

impl<'a> Bar<'a> {
    fn new(
        plan: &Plan,
        arguments: &'a CampaignArguments,
        options: &'a Options,
        done: &[Block],
    ) -> Bar<'a> {
        let endless = plan.seeds.end == u64::MAX;
        let template = if endless {
            "{spinner} {human_pos} runs, {per_sec}, {elapsed}"
        } else {
            "{bar:24} {human_pos}/{human_len} runs, {per_sec}, {eta} left"
        };
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(plan.count()).with_style(style.progress_chars("=> "));
        let before: u64 =
            done.iter().map(|block| block.tally.runs + block.failures.len() as u64).sum();
        bar.set_position(before);
        bar.reset_eta();
        let until = arguments.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
        Bar { bar, start: Instant::now(), until, stories: &arguments.stories, options }
    }

    fn is_out_of_time(&self) -> bool {
        self.until.is_some_and(|until| self.start.elapsed() >= until)
    }

    /// Writes the story of a failing run. Returns its path.
    fn leave_story(&self, seed: u64, shrunk: &Shrunk) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(self.stories)?;
        let path = self.stories.join(format!("seed-{seed}.txt"));
        std::fs::write(&path, story::tell(&shrunk.case, &shrunk.violation, self.options))?;
        Ok(path)
    }
}

impl Watcher for Bar<'_> {
    fn on_run(&self) {
        self.bar.inc(1);
    }

    fn on_failure(&self, failure: &results::Failure, shrunk: Option<&Shrunk>) {
        let seed = failure.seed;
        let story = shrunk.map(|shrunk| self.leave_story(seed, shrunk));
        self.bar.suspend(|| {
            eprintln!("laconic: seed {seed}: {}: {}", failure.kind, failure.detail);
            eprintln!("laconic:   again: laconic campaign --seed {seed}");
            match story {
                Some(Ok(path)) => {
                    let left = failure.smallest.unwrap_or_default();
                    let path = path.display();
                    eprintln!("laconic:   {path}: {left} requests and faults are left of it");
                }
                Some(Err(error)) => eprintln!("laconic:   {}: {error}", self.stories.display()),
                None => {}
            }
        });
    }

    fn is_stopped(&self) -> bool {
        interrupt::seen() || self.is_out_of_time()
    }
}
