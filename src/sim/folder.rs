//! A run's folder (design §5): `run.json`, `history.jsonl`, `records/ID.bin`, `simulator.bin` and,
//! for a real run, black boxes, spans and last metrics. The first two files contain no wall-clock
//! time and no path.
//!
//! A folder holds one run. Before another run is written there, [`files_of_a_run`] tells whether
//! the folder has one already, and [`clear`] removes the files of a run and nothing else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde_json::{Value, json};

use super::history::{Action, ClientOperation};
use super::outcome::{RunOutcome, SCHEMA, Setup};
use super::scenario::Scenario;
use crate::budget::Limits;
use crate::interface::Address;
use crate::interface::OperationKind;
use crate::raft::Tuning;
use crate::record::{ClientRequest, request_id};

/// A file of the folder could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct FolderError {
    /// The path.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

/// A folder for a run that is not kept. It is removed when this value is dropped, and is not
/// created here.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A folder that no other run uses. If a killed process left one of this name, it is removed.
    pub fn unused() -> Scratch {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let name = format!("laconic-{}-{run}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Usually there is none.
        let _ = std::fs::remove_dir_all(&path);
        Scratch(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If something stays behind, it is in the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where in a run's folder the files of its replicas are, and their endings. An empty name is the
/// folder itself.
const REPLICA_FILES: [(&str, &str); 5] =
    [("records", "bin"), ("boxes", "box"), ("spans", "json"), ("", "prom"), ("", "address")];
/// The files that a run's folder has once.
const RUN_FILES: [&str; 3] = ["run.json", "history.jsonl", "simulator.bin"];

/// The files that a run has left below `out`; empty if there is no such folder.
///
/// # Errors
/// If the folder exists and cannot be read.
pub fn files_of_a_run(out: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let mut files: Vec<PathBuf> = RUN_FILES.iter().map(|name| out.join(name)).collect();
    files.retain(|path| path.is_file());
    for (part, ending) in REPLICA_FILES {
        let folder = out.join(part);
        if !folder.is_dir() {
            continue;
        }
        let failed = |source| FolderError { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let id = path.file_stem().and_then(|stem| stem.to_str());
            let is_id = id.is_some_and(|id| id.parse::<Address>().is_ok());
            if is_id && path.extension().is_some_and(|found| found == ending) && path.is_file() {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// Removes what an earlier run has left below `out`. Other files stay.
///
/// # Errors
/// If a file cannot be removed.
pub fn clear(out: &Path) -> Result<(), FolderError> {
    for path in files_of_a_run(out)? {
        std::fs::remove_file(&path).map_err(|source| FolderError { path, source })?;
    }
    for (part, _) in REPLICA_FILES.iter().filter(|(part, _)| !part.is_empty()) {
        // A folder that holds something else, or does not exist, stays as it is.
        let _ = std::fs::remove_dir(out.join(part));
    }
    Ok(())
}

/// How the replicas of a run were tuned.
#[derive(Clone, Copy, Debug)]
pub struct Tuned<'a> {
    /// Their knobs; `None` for a foreign program.
    pub tuning: Option<&'a Tuning>,
    /// What their profile allows a run to spend.
    pub budget: &'a Limits,
}

/// The content of `run.json` before the run: all that is needed to do it again, and how it is done.
/// If `run.json` says no more than this, the run was killed before it could write the rest.
pub fn run_json_before(scenario: &Scenario, tuned: Tuned<'_>, setup: &Setup, seed: u64) -> Value {
    let Setup { engine, timing, profile, foreign } = setup;
    let name = &scenario.name;
    let outcome = json!({
        "schema": SCHEMA,
        "engine": engine,
        "timing": timing,
        "profile": profile,
        "foreign": foreign,
        "scenario": name,
        "seed": seed,
    });
    with_outcome(scenario, tuned, &outcome)
}

/// The content of `run.json`: all that is needed to do the run again, and its outcome.
pub fn run_json(scenario: &Scenario, tuned: Tuned<'_>, outcome: &RunOutcome) -> Value {
    with_outcome(scenario, tuned, outcome)
}

fn with_outcome(scenario: &Scenario, tuned: Tuned<'_>, outcome: &impl Serialize) -> Value {
    json!({
        "laconic_version": env!("CARGO_PKG_VERSION"),
        "scenario": scenario.to_json(),
        "tuning": tuned.tuning,
        "budget": tuned.budget,
        "outcome": outcome,
    })
}

/// Makes `out` the folder of a run that is about to begin. Removes what an earlier run left there,
/// and writes `run` as `run.json`, so that the other files can be read even if the run is killed.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn begin(out: &Path, run: &Value) -> Result<(), FolderError> {
    clear(out)?;
    std::fs::create_dir_all(out).map_err(|source| FolderError { path: out.to_owned(), source })?;
    put(out, "run.json", &format!("{run:#}\n"))
}

/// Writes what is known at a run's end into its folder. The records have been written during the
/// run.
///
/// # Errors
/// If a file cannot be written.
pub fn finish(out: &Path, run: &Value, requests: &[ClientRequest]) -> Result<(), FolderError> {
    put(out, "run.json", &format!("{run:#}\n"))?;
    let lines = requests.iter().map(|request| request.json_line() + "\n");
    put(out, "history.jsonl", &lines.collect::<String>())
}

fn put(out: &Path, name: &str, text: &str) -> Result<(), FolderError> {
    let path = out.join(name);
    std::fs::write(&path, text).map_err(|source| FolderError { path, source })
}

/// The requests of a run in the form that its folder has.
pub fn client_requests(history: &[ClientOperation]) -> Vec<ClientRequest> {
    history.iter().map(client_request).collect()
}

fn client_request(operation: &ClientOperation) -> ClientRequest {
    let (kind, value) = match &operation.action {
        Action::Put { value } => (OperationKind::Put, Some(value)),
        Action::Get { value } => (OperationKind::Get, value.as_ref()),
    };
    ClientRequest {
        client: operation.client,
        mid: operation.mid.clone(),
        request: request_id(&operation.mid),
        operation: kind,
        key: operation.key.clone(),
        value: value.cloned(),
        invoked_at_us: operation.invoked_at.0,
        answered_at_us: operation.answered.map(|(at, _)| at.0),
        answer: operation.answered.map(|(_, answer)| answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_left_is_cleared_and_nothing_else() {
        let out = tempfile::tempdir().unwrap();
        let path = |name: &str| out.path().join(name);
        for part in ["records", "boxes", "spans"] {
            std::fs::create_dir(path(part)).unwrap();
        }
        let ours = [
            "run.json",
            "history.jsonl",
            "simulator.bin",
            "records/0014.bin",
            "boxes/0000.box",
            "spans/0002.json",
            "0001.prom",
            "0001.address",
        ];
        let others = ["notes.txt", "trace.json", "records/mine.bin", "records/0001.txt", "1.prom"];
        for name in ours.iter().chain(&others) {
            std::fs::write(path(name), "").unwrap();
        }
        assert_eq!(files_of_a_run(out.path()).unwrap().len(), ours.len());
        clear(out.path()).unwrap();
        assert!(ours.iter().all(|name| !path(name).exists()));
        assert!(others.iter().all(|name| path(name).exists()));
        assert!(!path("boxes").exists() && path("records").exists());
        assert!(files_of_a_run(&path("no-such-folder")).unwrap().is_empty());
        clear(&path("no-such-folder")).unwrap();
    }
}
