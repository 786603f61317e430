//! The tests, what each reaches, and how a mutant is tried against them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::reach::Reach;

/// A test of a program of tests.
#[derive(Clone, Debug)]
pub struct Test {
    /// The program that it is in.
    pub program: PathBuf,
    /// What comes after `--exact`.
    pub name: String,
    /// The target that it belongs to, and its name.
    pub full_name: String,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Passed,
    Failed,
    TimedOut,
}

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A test failed.
    Caught,
    /// A test took many times as long as without it.
    TimedOut,
    /// All tests that reach it passed.
    Survived,
    /// No test reaches it.
    Unreached,
    /// It does not compile.
    Unviable,
    /// It compiles, but not behind a switch.
    Inexpressible,
}

/// Not counted in a test's time limit: it starts, and the machine may be busy.
const SLACK: Duration = Duration::from_secs(5);

/// So many tests are tried first because they have caught most.
const PROMISING: usize = 5;

/// How many times as long as without a mutant a test may take.
const PATIENCE: u32 = 10;

impl Test {
    /// Runs the test with a variable set. A test of random cases takes the same ones each time and
    /// does not look for smaller ones.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(
        &self,
        root: &Path,
        variable: (&str, &str),
        limit: Duration,
    ) -> Result<End, Problem> {
        let mut command = Command::new(&self.program);
        command.args(["--exact", &self.name, "--test-threads=1"]).current_dir(root);
        command.env(variable.0, variable.1).env("RUST_BACKTRACE", "0");
        command.env("PROPTEST_RNG_SEED", "1").env("PROPTEST_MAX_SHRINK_ITERS", "0");
        command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // With what it starts it is a group of its own, so that nothing is left of it.
        command.process_group(0);
        let problem = |error: std::io::Error| Problem(format!("{}: {error}", self.full_name));
        let mut child = command.spawn().map_err(problem)?;
        let ended = wait(&mut child, limit);
        if let Some(group) = Pid::from_raw(child.id() as i32) {
            // Nothing may be left to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let status = child.wait().map_err(problem)?;
        Ok(match (ended.map_err(problem)?, status.success()) {
            (false, _) => End::TimedOut,
            (true, true) => End::Passed,
            (true, false) => End::Failed,
        })
    }
}

/// Waits for a process for so long at most. Whether it has ended.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<bool> {
    let began = Instant::now();
    let mut pause = Duration::from_micros(500);
    while began.elapsed() < limit {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(pause);
        pause = (pause * 5 / 4).min(Duration::from_millis(20));
    }
    Ok(false)
}

/// How often each test was the one that failed, in all and by file and function of the mutant.
#[derive(Default)]
pub struct Kills {
    all: HashMap<usize, u32>,
    near: HashMap<(usize, String), u32>,
}

impl Kills {
    /// Notes that a test failed on a mutant in these places.
    pub fn add(&mut self, test: usize, places: &[String]) {
        *self.all.entry(test).or_default() += 1;
        for place in places {
            *self.near.entry((test, place.clone())).or_default() += 1;
        }
    }

    /// Tests in the order in which they are tried: first those few that have caught most for the
    /// time that they take, of which what they caught nearby counts more, then the quickest.
    pub fn sort(&self, tests: &mut [usize], places: &[String], time_ms: impl Fn(usize) -> u64) {
        tests.sort_by_cached_key(|test| {
            let near = |place: &String| self.near.get(&(*test, place.clone())).unwrap_or(&0);
            let near: u32 = places.iter().map(near).sum();
            let caught = self.all.get(test).unwrap_or(&0) + 30 * near;
            Reverse(u64::from(caught) * 1_000_000 / (time_ms(*test) + 5))
        });
        let rest = tests.len().min(PROMISING);
        tests[rest..].sort_by_key(|test| time_ms(*test));
    }
}

/// Tries a mutant against tests in their order, up to the first that does not pass, and says which.
///
/// # Errors
/// A test cannot be started.
pub fn try_mutant<'a>(
    number: usize,
    root: &Path,
    tests: impl Iterator<Item = (usize, &'a Test, &'a Reach)>,
) -> Result<(Outcome, Option<usize>), Problem> {
    let number = number.to_string();
    let mut outcome = Outcome::Unreached;
    for (place, test, reach) in tests {
        let limit = Duration::from_millis(reach.time_ms) * PATIENCE + SLACK;
        match test.run(root, ("MUTANT", &number), limit)? {
            End::Passed => outcome = Outcome::Survived,
            End::Failed => return Ok((Outcome::Caught, Some(place))),
            End::TimedOut => return Ok((Outcome::TimedOut, Some(place))),
        }
    }
    Ok((outcome, None))
}
