//! `laconic tune`: a search over the knobs.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::compare::load_scenarios;
use super::failure::{ExitStatus, Failure};
use super::output::{check_file, check_folder, print, print_styled, write};
use super::shard::{AskedShard, parse_shard, shard_of};
use super::sim::parse_seed;
use crate::budget::text;
use crate::interrupt;
use crate::journal::Shard;
use crate::tune::{
    Finalist, Journal, Objective, Progress, Runner, Search, TuneError, Verdict, Watcher, Weights,
    conclude, document, finalists, gather, leave_finalists, profile_text, write_front,
};
use crate::tuning_file;

/// Search for better knobs, by thousands of runs in virtual time
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
Examples:
  laconic tune simple-2                 2,000 runs, and the front they found
  laconic tune simple-2 -o mine.toml    what it picked, as a profile
  laconic tune all --runs 20000 --out all --objective \\
    messages_per_commit=2,p50_latency_us=1
                                        the course's seventeen, messages first
  laconic tune simple-2 --runs 100000 --shard 1/8 --out shared
                                        an eighth of a search, on a cluster
  laconic tune merge shared/shard-* --out shared -o mine.toml

Objectives: messages_per_commit, p50_latency_us, p99_latency_us, leaderless_us,
failed_checks, unanswered, second_answers. Latency is what a client waits from
when it first asks until its ok, however often it is sent on. A weight is for
the value as a multiple of the base profile's; of the last three, for each one
in a run. Who fails more checks than the base profile is never picked.

Ctrl-C ends it, and what is done is kept in --out: the same command goes on
from there, and gives what it would have given in one go. --out holds
journal.jsonl (a line a run), front.csv, front.json, front.svg and front.html.

Shards: --shard I/N, I from 1, takes its part of the search and of --runs, in
the folder --out/shard-I-of-N. An array job of Slurm is taken as such a search
by itself (SLURM_ARRAY_TASK_ID, _MIN, _STEP, _COUNT); an indexed job of
Kubernetes too (JOB_COMPLETION_INDEX), with --shard /N to say of how many.

Exit status: 0 good; 1 if nothing was found that is better than the base
profile, also on seeds that were not searched on: then no profile is written; 2
bad input or usage; 4 the environment failed; 130 interrupted.")]
pub struct TuneArguments {
    #[command(subcommand)]
    command: Option<TuneCommand>,
    /// Scenarios to be good in: names, JSON files, or `all`
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// How much each objective counts; what is not named counts nothing, but for failed checks
    #[arg(long, value_name = "NAME=WEIGHT,...", value_parser = Weights::parse)]
    objective: Option<Weights>,
    /// Runs to spend on the search; some more go into the validation
    #[arg(
        long, value_name = "N", default_value_t = 2_000,
        value_parser = clap::value_parser!(u64).range(1..=100_000_000)
    )]
    runs: u64,
    /// The first seed of the runs, and that of all that is drawn
    #[arg(
        long, value_name = "N", default_value_t = 1, allow_hyphen_values = true,
        value_parser = parse_seed
    )]
    seed: u64,
    /// The profile to begin with, and to be better than
    #[arg(long, value_name = "BASE", default_value = "course")]
    profile: String,
    /// Fire requests and faults when they are due, not at the course's 100 ms edges
    #[arg(long)]
    precise: bool,
    /// Which part of the search to do: I/N, or /N in an indexed job of Kubernetes
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    shard: Option<AskedShard>,
    /// Replace what another search has left in --out
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    ending: Ending,
}

/// What is common to a search and to the merging of one.
#[derive(Args)]
struct Ending {
    /// The folder for the state and the results
    #[arg(long, value_name = "DIR", default_value = "tuned")]
    out: PathBuf,
    /// Write what was picked there, as a profile
    #[arg(long, short, value_name = "FILE.toml")]
    output: Option<PathBuf>,
    /// Seeds to validate on, none of which is searched on
    #[arg(
        long, value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=100_000)
    )]
    validate: u64,
    /// Runs at the same time; by default as many as there are cores
    #[arg(
        long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4_096)
    )]
    jobs: Option<u16>,
}

#[derive(Subcommand)]
enum TuneCommand {
    /// Bring the shards of a search together
    Merge(MergeArguments),
}

/// Bring the shards of a search together
#[derive(Args)]
#[command(after_help = "\
Example:
  laconic tune merge shared/shard-* --out shared -o mine.toml

All shards must be there. They are checked to belong to one search; what they
found is validated here, and one profile is picked.")]
struct MergeArguments {
    /// The folders of all shards
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    ending: Ending,
}

/// Searches, or merges.
pub fn run(arguments: &TuneArguments) -> Result<ExitStatus, Failure> {
    if let Some(TuneCommand::Merge(merge)) = &arguments.command {
        merge.ending.check()?;
        let (search, finalists) = gather(&merge.folders).map_err(failure)?;
        return merge.ending.in_pool(|| merge.ending.conclude(&search, Some(finalists), false));
    }
    arguments.ending.check()?;
    let variable = |name: &str| std::env::var(name).ok();
    let shard = shard_of(arguments.shard, variable).map_err(Failure::input)?;
    let search = Search {
        scenarios: load_scenarios(&arguments.scenarios)?,
        profile: arguments.profile.clone(),
        base: tuning_file::load(&arguments.profile).map_err(Failure::input)?.tuning,
        precise: arguments.precise,
        seed: arguments.seed,
        runs: arguments.runs,
        weights: arguments.objective.unwrap_or_default(),
        shard,
    };
    search.check().map_err(failure)?;
    let (ending, force) = (&arguments.ending, arguments.force);
    ending.in_pool(|| match shard {
        Shard { of: 1, .. } => ending.conclude(&search, None, force),
        shard => search_shard(&search, shard, ending, force),
    })
}

/// Does one shard, and leaves what it found for the others.
fn search_shard(
    search: &Search,
    shard: Shard,
    ending: &Ending,
    force: bool,
) -> Result<ExitStatus, Failure> {
    let folder = ending.out.join(format!("shard-{}-of-{}", shard.number, shard.of));
    let journal = Journal::open(&folder, &search.head_of_shard(), force).map_err(failure)?;
    let watcher = Bar::new(search);
    let mut runner = Runner::new(search, &journal, &watcher);
    let found = finalists(search, &mut runner);
    watcher.end();
    let path = leave_finalists(&folder, search, &found.map_err(failure)?).map_err(failure)?;
    let next = format!("laconic tune merge {}/shard-*", ending.out.display());
    print(&format!("Written: {} (when all shards are done: {next})\n", path.display()))?;
    Ok(ExitStatus::Good)
}

impl Ending {
    /// Checks, before anything runs, what will be written.
    fn check(&self) -> Result<(), Failure> {
        check_folder(&self.out)?;
        self.output.iter().try_for_each(|path| check_file(path))
    }

    /// Does `work` with as many threads as were asked for.
    fn in_pool(
        &self,
        work: impl FnOnce() -> Result<ExitStatus, Failure> + Send,
    ) -> Result<ExitStatus, Failure> {
        interrupt::watch().map_err(Failure::environment)?;
        let threads = self.jobs.map_or(0, usize::from);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map_err(Failure::environment)?.install(work)
    }

    /// Validates the finalists, those of this search if there are none yet, writes the front and
    /// the profile, and tells what was found.
    fn conclude(
        &self,
        search: &Search,
        of_shards: Option<Vec<Finalist>>,
        force: bool,
    ) -> Result<ExitStatus, Failure> {
        let head = if of_shards.is_some() { search.head() } else { search.head_of_shard() };
        let journal = Journal::open(&self.out, &head, force).map_err(failure)?;
        let watcher = Bar::new(search);
        let mut runner = Runner::new(search, &journal, &watcher);
        let found = of_shards.map_or_else(|| finalists(search, &mut runner), Ok);
        let found = found.and_then(|found| conclude(search, &mut runner, found, self.validate));
        watcher.end();
        let found = found.map_err(failure)?;
        let mut written = write_front(&self.out, search, &found).map_err(failure)?;
        print_styled(&text(&document(search, &found)))?;
        if let (Some(path), Some(picked)) = (&self.output, found.picked()) {
            write(path, &profile_text(search, &found, picked))?;
            written.push(path.clone());
        }
        let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
        print(&format!("Written: {}\n", written.join(", ")))?;
        Ok(match found.verdict {
            Verdict::Picked => ExitStatus::Good,
            Verdict::NothingBetter | Verdict::LostElsewhere => ExitStatus::CheckFailed,
        })
    }
}

/// Shows on stderr how far a search is, if stderr is a terminal, and stops it on Ctrl-C.
struct Bar {
    bar: ProgressBar,
    weights: Weights,
}

impl Bar {
    fn new(search: &Search) -> Bar {
        let template = "{bar:24} {pos}/{len} runs, {eta} left  {msg}";
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(search.runs / search.shard.of.max(1));
        Bar { bar: bar.with_style(style.progress_chars("=> ")), weights: search.weights }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watcher for Bar {
    fn on_progress(&self, progress: Progress) {
        self.bar.set_length(progress.planned);
        self.bar.set_position(progress.done);
        let Some((base, best)) = progress.best else {
            return;
        };
        let gain = self.weights.score(&best, &base) / self.weights.score(&base, &base) - 1.0;
        let told = |objective: Objective| objective.told(best.value(objective));
        let (messages, median) =
            (told(Objective::MessagesPerCommit), told(Objective::P50LatencyUs));
        let front = progress.front;
        self.bar.set_message(format!(
            "front of {front}, best {:+.1} %: {messages} a commit, {median}",
            gain * 100.0
        ));
    }

    fn is_stopped(&self) -> bool {
        interrupt::seen()
    }
}

/// Why a search ended without a result, with the exit status.
fn failure(error: TuneError) -> Failure {
    match error {
        TuneError::Interrupted { .. } => Failure::interrupted(error),
        TuneError::Experiment(_) => Failure::environment(error),
        TuneError::File(error) => Failure::journal(&error),
        TuneError::TooFewRuns { .. }
        | TuneError::OtherSearch { .. }
        | TuneError::NotMergeable { .. } => Failure::input(error),
    }
}
