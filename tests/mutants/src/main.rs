//! Mutation tests of the whole: every mutant that cargo-mutants lists is written into one copy of
//! the project, each behind a switch; the tests are built once; and each mutant is tried against
//! the tests that reach it (docs/mutants.md).

mod list;
mod problem;
mod reach;
mod results;
mod schemata;
mod tree;
mod trials;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::process::{Resource, Rlimit, setrlimit};

use list::{Bytes, Mutant};
use problem::Problem;
use reach::Reach;
use results::{Results, Verdict};
use tree::Tree;
use trials::{Kills, Outcome, Test, try_mutant};

/// The memory that a test may take.
const MEMORY_BYTES: u64 = 4 << 30;

/// Tries mutants, and prints a table of what became of them. What was tried before is kept.
#[derive(Parser)]
struct Arguments {
    /// Only mutants whose names contain one of these.
    only: Vec<String>,
    /// Try again those that survived or were not reached.
    #[arg(long)]
    again: bool,
    /// Only print what became of all, and the names of those that were not caught.
    #[arg(long)]
    show: bool,
    /// The most seconds of tests for one mutant, by the time that they take without: those that
    /// promise least are left out, and the mutant counts as survived.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Tests that run at a time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("mutants: {problem}");
            ExitCode::from(4)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Problem> {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let house =
        house.canonicalize().map_err(|error| Problem(format!("{}: {error}", house.display())))?;
    let place = house.join("target/schemata");
    std::fs::create_dir_all(&place)
        .map_err(|error| Problem(format!("{}: {error}", place.display())))?;
    let (mut mutants, texts) = list::list(&house)?;
    let mut idle = HashMap::new();
    for (file, text) in &texts {
        idle.insert(file.clone(), schemata::idle(file, text)?);
    }
    let all = mutants.len();
    mutants.retain(|mutant| {
        let within = |idle: &Bytes| idle.contains(&mutant.bytes.start);
        !idle[&mutant.file].iter().any(within)
    });
    eprintln!(
        "{all} mutants are listed; {} only change notes of rare branches, or need a planted bug",
        all - mutants.len()
    );
    let mut results = Results::open(&place.join("results.jsonl"))?;
    if !arguments.show {
        let tree = Tree::copy(&house, place.join("tree"), place.join("build"), texts)?;
        try_all(arguments, tree, &place, &mutants, &mut results)?;
    }
    for mutant in &mutants {
        let outcome = results.of(mutant);
        if !matches!(outcome, Some(Outcome::Caught | Outcome::TimedOut | Outcome::Unviable)) {
            println!("{outcome:?}: {}", mutant.name);
        }
    }
    print!("{}", results.table(&mutants));
    Ok(())
}

/// Builds, and tries all that are asked for.
fn try_all(
    arguments: &Arguments,
    mut tree: Tree,
    place: &Path,
    mutants: &[Mutant],
    results: &mut Results,
) -> Result<(), Problem> {
    let expressible = settle(&mut tree, mutants, results)?;
    let (tests, reaches) = reach::reach_all(&tree, place)?;
    let asked = |number: &usize| {
        let mutant = &mutants[*number];
        let named = arguments.only.iter().any(|only| mutant.name.contains(only.as_str()));
        let open = match results.of(mutant) {
            None | Some(Outcome::Inexpressible | Outcome::Unviable) => true,
            Some(Outcome::Survived | Outcome::Unreached) => arguments.again,
            Some(Outcome::Caught | Outcome::TimedOut) => false,
        };
        open && (named || arguments.only.is_empty())
    };
    let mut queue: Vec<usize> = expressible.into_iter().filter(asked).collect();
    queue.sort_unstable();
    // A mutant that takes all the memory harms no one else.
    let most = Rlimit { current: Some(MEMORY_BYTES), maximum: Some(MEMORY_BYTES) };
    setrlimit(Resource::As, most).map_err(|error| Problem(format!("setrlimit: {error}")))?;
    let most_ms = arguments.seconds * 1_000;
    let trial = Trial { root: &tree.root, mutants, tests, reaches, queue, most_ms };
    trial.run(arguments.jobs.max(1), results)
}

/// Finds which mutants compile: the numbers of those that are built behind switches.
fn settle(
    tree: &mut Tree,
    mutants: &[Mutant],
    results: &mut Results,
) -> Result<HashSet<usize>, Problem> {
    let known = |number: &usize| {
        matches!(results.of(&mutants[*number]), Some(Outcome::Unviable | Outcome::Inexpressible))
    };
    let (known, mut taken): (HashSet<usize>, HashSet<usize>) = (0..mutants.len()).partition(known);
    let all = taken.clone();
    taken.retain(|number| !mutants[*number].other_type);
    tree.settle(mutants, &mut taken, true)?;
    let mut doubtful: Vec<usize> = all.difference(&taken).copied().collect();
    doubtful.sort_unstable();
    eprintln!(
        "{} mutants compile behind switches; {} do not, {} are known not to",
        taken.len(),
        doubtful.len(),
        known.len()
    );
    // Those in one function cannot be in it together.
    while !doubtful.is_empty() {
        let mut functions = HashSet::new();
        let (now, later): (Vec<usize>, Vec<usize>) = doubtful.into_iter().partition(|number| {
            let mutant = &mutants[*number];
            let function = mutant.function.as_ref().map_or(&mutant.bytes, |(_, bytes)| bytes);
            functions.insert((&mutant.file, function.start))
        });
        let mut compile = now.iter().copied().collect();
        tree.settle(mutants, &mut compile, false)?;
        for number in now {
            let outcome =
                if compile.contains(&number) { Outcome::Inexpressible } else { Outcome::Unviable };
            let key = mutants[number].key.clone();
            results.add(Verdict { key, outcome, test: None })?;
        }
        doubtful = later;
    }
    tree.settle(mutants, &mut taken, true)?;
    Ok(taken)
}

/// What mutants are tried with.
struct Trial<'a> {
    root: &'a Path,
    mutants: &'a [Mutant],
    tests: Vec<Test>,
    reaches: Vec<Reach>,
    queue: Vec<usize>,
    /// The most time of tests for one mutant, in milliseconds.
    most_ms: u64,
}

impl Trial<'_> {
    /// Which tests have caught which mutants so far.
    fn known_kills(&self, results: &Results) -> Kills {
        let tests = self.tests.iter().enumerate();
        let places: HashMap<&str, usize> =
            tests.map(|(place, test)| (test.full_name.as_str(), place)).collect();
        let mut kills = Kills::default();
        for mutant in self.mutants {
            if let Some(test) = results.test_of(mutant).and_then(|test| places.get(test)) {
                kills.add(*test, &mutant.places());
            }
        }
        kills
    }

    /// Tries the mutants of the queue, so many at a time.
    fn run(&self, jobs: usize, results: &mut Results) -> Result<(), Problem> {
        let mut reaching: HashMap<usize, Vec<usize>> = HashMap::new();
        for (test, reach) in self.reaches.iter().enumerate() {
            for number in &reach.mutants {
                reaching.entry(*number as usize).or_default().push(test);
            }
        }
        let began = Instant::now();
        let next = AtomicUsize::new(0);
        let kills = self.known_kills(results);
        let common = Mutex::new((results, kills, HashMap::<Outcome, usize>::new()));
        let work = || -> Result<(), Problem> {
            while let Some(number) = self.queue.get(next.fetch_add(1, Relaxed)) {
                let mutant = &self.mutants[*number];
                let places = mutant.places();
                let mut order = reaching.get(number).cloned().unwrap_or_default();
                let time_ms = |test: usize| self.reaches[test].time_ms;
                common.lock().expect("no worker panics").1.sort(&mut order, &places, time_ms);
                let mut spent_ms = 0;
                let afforded = order.iter().take_while(|test| {
                    spent_ms += time_ms(**test);
                    spent_ms <= self.most_ms
                });
                let tests = afforded.map(|at| (*at, &self.tests[*at], &self.reaches[*at]));
                let (outcome, test) = try_mutant(*number, self.root, tests)?;
                let mut common = common.lock().expect("no worker panics");
                let (results, kills, counts) = &mut *common;
                if let Some(test) = test {
                    kills.add(test, &places);
                }
                let test = test.map(|test| self.tests[test].full_name.clone());
                results.add(Verdict { key: mutant.key.clone(), outcome, test })?;
                *counts.entry(outcome).or_default() += 1;
                let done: usize = counts.values().sum();
                if done.is_multiple_of(50) || done == self.queue.len() {
                    tell(done, self.queue.len(), counts, began.elapsed());
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
        })
    }
}

/// How far it is.
fn tell(done: usize, all: usize, counts: &HashMap<Outcome, usize>, took: Duration) {
    let count = |outcome| counts.get(&outcome).unwrap_or(&0);
    eprintln!(
        "{done} of {all} in {} s: {} caught, {} timed out, {} survived, {} unreached",
        took.as_secs(),
        count(Outcome::Caught),
        count(Outcome::TimedOut),
        count(Outcome::Survived),
        count(Outcome::Unreached)
    );
}
