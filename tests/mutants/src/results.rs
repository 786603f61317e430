//! What became of each mutant, in lines of JSON that outlive the tool, and as a table.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::list::Mutant;
use crate::problem::Problem;
use crate::trials::Outcome;

/// What became of a mutant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub key: String,
    pub outcome: Outcome,
    /// The test that did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
}

/// The last verdict on each mutant.
pub struct Results {
    file: File,
    last: HashMap<String, Verdict>,
}

impl Results {
    /// Opens a file of verdicts, which may not exist yet. A line that a killed run left unfinished
    /// counts for nothing.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let problem = |error: std::io::Error| Problem(format!("{}: {error}", path.display()));
        let text = if path.exists() {
            std::fs::read_to_string(path).map_err(problem)?
        } else {
            String::new()
        };
        let mut file = File::options().append(true).create(true).open(path).map_err(problem)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(problem)?;
        }
        let verdicts = text.lines().filter_map(|line| serde_json::from_str::<Verdict>(line).ok());
        let last = verdicts.map(|verdict| (verdict.key.clone(), verdict)).collect();
        Ok(Self { file, last })
    }

    /// What became of a mutant, if it was tried.
    pub fn of(&self, mutant: &Mutant) -> Option<Outcome> {
        Some(self.last.get(&mutant.key)?.outcome)
    }

    /// The test that a mutant was caught by.
    pub fn test_of(&self, mutant: &Mutant) -> Option<&str> {
        self.last.get(&mutant.key)?.test.as_deref()
    }

    /// Keeps a verdict.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, verdict: Verdict) -> Result<(), Problem> {
        let line = serde_json::to_string(&verdict).expect("a verdict is JSON") + "\n";
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|error| Problem(format!("results: {error}")))?;
        self.last.insert(verdict.key.clone(), verdict);
        Ok(())
    }

    /// The table by folder: the score is what was caught, by a failed test or by time, of what
    /// compiles and was tried.
    pub fn table(&self, mutants: &[Mutant]) -> String {
        let mut folders: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
        for mutant in mutants {
            folders.entry(mutant.folder()).or_default().push(mutant);
        }
        let mut table = "| folder | mutants | not tried | unviable | inexpressible | caught | \
             timed out | survived | unreached | score |\n| --- |"
            .to_owned();
        table += &" --- |".repeat(9);
        table.push('\n');
        let all = ("all", mutants.iter().collect());
        for (folder, mutants) in folders.into_iter().chain([all]) {
            let count =
                |outcome| mutants.iter().filter(|mutant| self.of(mutant) == outcome).count();
            let caught = count(Some(Outcome::Caught));
            let timed_out = count(Some(Outcome::TimedOut));
            let survived = count(Some(Outcome::Survived));
            let unreached = count(Some(Outcome::Unreached));
            let killed = caught + timed_out;
            let tried = killed + survived + unreached;
            let score = 100.0 * killed as f64 / tried.max(1) as f64;
            let (number, untried) = (mutants.len(), count(None));
            let unviable = count(Some(Outcome::Unviable));
            let inexpressible = count(Some(Outcome::Inexpressible));
            table += &format!(
                "| {folder} | {number} | {untried} | {unviable} | {inexpressible} | {caught} | \
                 {timed_out} | {survived} | {unreached} | {score:.1} % |\n"
            );
        }
        table
    }
}
