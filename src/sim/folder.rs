//! A run's folder (design §5): `run.json`, `history.jsonl`, `records/ID.bin`, `simulator.bin`. No
//! wall time and no path in any of them.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::history::{Action, Ending, Operation};
use super::outcome::Outcome;
use crate::record::request_id;

/// A file of the folder could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct FolderError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Writes what is known at a run's end; records have been written on the way.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn write(out: &Path, outcome: &Outcome) -> Result<(), FolderError> {
    let put = |name: &str, text: String| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|source| FolderError { path, source })
    };
    std::fs::create_dir_all(out).map_err(|source| FolderError { path: out.to_owned(), source })?;
    let version = env!("CARGO_PKG_VERSION");
    let run = json!({ "laconic_version": version, "outcome": outcome });
    put("run.json", format!("{run:#}\n"))?;
    let lines = outcome.conclusion.history.iter().map(|operation| {
        let mut line = operation_json(operation).to_string();
        line.push('\n');
        line
    });
    put("history.jsonl", lines.collect())
}

/// One attempt of a client; `request` is its name in the records.
fn operation_json(operation: &Operation) -> Value {
    let (kind, value) = match &operation.action {
        Action::Put { value } => ("put", Some(value)),
        Action::Get { value } => ("get", value.as_ref()),
    };
    let ending = operation.answered.map(|(_, ending)| match ending {
        Ending::Ok => "ok",
        Ending::Redirect => "redirect",
        Ending::Fail => "fail",
    });
    json!({
        "client": operation.client.to_string(),
        "mid": &*operation.mid,
        "request": format!("{:016x}", request_id(&operation.mid)),
        "operation": kind,
        "key": &*operation.key,
        "value": value.map(|value| &**value),
        "invoked_at_us": operation.invoked_at.0,
        "answered_at_us": operation.answered.map(|(at, _)| at.0),
        "answer": ending,
    })
}
