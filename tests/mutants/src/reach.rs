//! The tests, and which mutants each reaches.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::problem::{Problem, output_of, read};
use crate::tree::Tree;
use crate::trials::{End, Test};

/// The targets whose tests are deterministic and in one process. Those that spawn processes or use
/// sockets have one of the words in their name that are left out.
const TARGETS: [&str; 10] = [
    "lib",
    "consensus",
    "control",
    "budget",
    "tune",
    "virtual_runs",
    "wire",
    "spans",
    "html_report",
    "documents",
];

/// What the names of left out tests contain: sockets, processes and the machine's clock.
const LEFT_OUT: [&str; 3] = ["real::", "service::", "_real_"];

/// A test that takes longer is left out: a mutant that survives is tried with all that reach it.
const SLOWEST: Duration = Duration::from_secs(4);

/// What a test does without mutants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reach {
    /// The full name of the test.
    test: String,
    /// When its program was built, in nanoseconds.
    built_ns: u128,
    /// The time it takes, in milliseconds.
    pub time_ms: u64,
    /// The mutants that it reaches, by number.
    pub mutants: BTreeSet<u32>,
}

/// All tests of a program that are neither ignored nor left out.
fn tests_of(target: &str, program: &Path) -> Result<Vec<Test>, Problem> {
    let names = |ignored: &[&str]| -> Result<Vec<String>, Problem> {
        let mut command = Command::new(program);
        let list = output_of(command.args(["--list", "--format", "terse"]).args(ignored))?;
        let list = String::from_utf8_lossy(&list).into_owned();
        let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok(names.map(str::to_owned).collect())
    };
    let ignored = names(&["--ignored"])?;
    let tests = names(&[])?.into_iter().map(|name| {
        let full_name = format!("{target} {name}");
        Test { program: program.to_owned(), full_name, name }
    });
    let kept = |test: &Test| {
        !ignored.contains(&test.name) && !LEFT_OUT.iter().any(|word| test.full_name.contains(word))
    };
    Ok(tests.filter(kept).collect())
}

/// Runs a test without mutants; `file` is for what it reaches.
fn reach(test: &Test, built_ns: u128, root: &Path, file: &Path) -> Result<Reach, Problem> {
    let _ = std::fs::remove_file(file);
    let began = Instant::now();
    let variable = ("MUTANTS_REACHED", &*file.to_string_lossy());
    let end = test.run(root, variable, SLOWEST)?;
    if end == End::Failed {
        return Err(Problem(format!("{} fails without any mutant", test.full_name)));
    }
    let time_ms = began.elapsed().as_millis() as u64;
    // A test that reaches none writes no file.
    let reached = std::fs::read_to_string(file).unwrap_or_default();
    // Processes that the test starts note what they reach, too.
    let mutants: BTreeSet<u32> = reached.lines().filter_map(|line| line.parse().ok()).collect();
    Ok(Reach { test: test.full_name.clone(), built_ns, time_ms, mutants })
}

/// All tests that are quick enough, and what each reaches; it is kept while the programs are the
/// same.
///
/// # Errors
/// The tests do not build, or one fails.
pub fn reach_all(tree: &Tree, place: &Path) -> Result<(Vec<Test>, Vec<Reach>), Problem> {
    let path = place.join("reach.jsonl");
    let problem = |path: &Path, error| Problem(format!("{}: {error}", path.display()));
    let text = if path.exists() { read(&path)? } else { String::new() };
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Reach>(line).ok());
    let kept: HashMap<String, Reach> = lines.map(|reach| (reach.test.clone(), reach)).collect();
    let open = File::options().append(true).create(true).open(&path);
    let mut out = open.map_err(|error| problem(&path, error))?;
    let mut found = Vec::new();
    for (target, program) in tree.programs(&TARGETS)? {
        let built = std::fs::metadata(&program).and_then(|data| data.modified());
        let built = built.map_err(|error| problem(&program, error))?;
        let built_ns = built.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let tests = tests_of(&target, &program)?;
        eprintln!("{target}: {} tests", tests.len());
        for test in tests {
            let known = kept.get(&test.full_name).filter(|known| known.built_ns == built_ns);
            let reach = match known {
                Some(known) => known.clone(),
                None => {
                    let reach = reach(&test, built_ns, &tree.root, &place.join("reached"))?;
                    let line = serde_json::to_string(&reach).expect("what a test reaches is JSON");
                    writeln!(out, "{line}").map_err(|error| problem(&path, error))?;
                    reach
                }
            };
            found.push((test, reach));
        }
    }
    let all = found.len();
    found.retain(|(_, reach)| u128::from(reach.time_ms) < SLOWEST.as_millis());
    let time_ms: u64 = found.iter().map(|(_, reach)| reach.time_ms).sum();
    eprintln!(
        "{} tests take {:.1} s one after the other; {} take longer than {} s each",
        found.len(),
        time_ms as f64 / 1e3,
        all - found.len(),
        SLOWEST.as_secs()
    );
    Ok(found.into_iter().unzip())
}
