//! A run's folder (design §5): `run.json`, `history.jsonl`, `records/ID.bin`, `simulator.bin`. No
//! wall time and no path in any of them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::history::{Action, Operation};
use super::outcome::Outcome;
use super::scenario::Scenario;
use crate::budget::Limits;
use crate::raft::Tuning;
use crate::record::{ClientRequest, OperationKind, request_id};

/// A file of the folder could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct FolderError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// A folder for a run that is not kept, removed when this is dropped. It is not made here.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// One that no other run has.
    pub fn unused() -> Scratch {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let name = format!("laconic-{}-{run}", std::process::id());
        Scratch(std::env::temp_dir().join(name))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind lies in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How the replicas of a run were tuned.
#[derive(Clone, Copy, Debug)]
pub struct Tuned<'a> {
    /// Their knobs; none of a foreign program.
    pub tuning: Option<&'a Tuning>,
    /// What their profile allows a run to spend.
    pub budget: &'a Limits,
}

/// What `run.json` holds: all that it takes to do the run again, and what came of it.
pub fn run_json(scenario: &Scenario, tuned: Tuned<'_>, outcome: &Outcome) -> Value {
    json!({
        "laconic_version": env!("CARGO_PKG_VERSION"),
        "scenario": scenario.to_json(),
        "tuning": tuned.tuning,
        "budget": tuned.budget,
        "outcome": outcome,
    })
}

/// Writes what is known at a run's end; records have been written on the way.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn write(out: &Path, run: &Value, requests: &[ClientRequest]) -> Result<(), FolderError> {
    let put = |name: &str, text: String| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|source| FolderError { path, source })
    };
    std::fs::create_dir_all(out).map_err(|source| FolderError { path: out.to_owned(), source })?;
    put("run.json", format!("{run:#}\n"))?;
    let lines = requests.iter().map(|request| request.json_line() + "\n");
    put("history.jsonl", lines.collect())
}

/// The requests of a run, as its folder tells them.
pub fn client_requests(history: &[Operation]) -> Vec<ClientRequest> {
    history.iter().map(client_request).collect()
}

fn client_request(operation: &Operation) -> ClientRequest {
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
