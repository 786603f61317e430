//! Which files of a run's folder belong to the run. `run.json` says how many replicas there were
//! and whether they were real processes. Other files in the folder, from another run or put there
//! by hand, are not read.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::interface::Address;
use crate::raft::Member;

/// What `run.json` says about the files beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunFiles {
    /// How many replicas the run had.
    pub replicas: usize,
    /// Whether it was a real run. Only a real run leaves black boxes and spans.
    pub real: bool,
}

/// The keys of `run.json` that are needed here.
#[derive(Deserialize)]
struct RunFile {
    scenario: Scenario,
    outcome: RunEngine,
}

#[derive(Deserialize)]
struct Scenario {
    replicas: usize,
}

#[derive(Deserialize)]
struct RunEngine {
    engine: String,
}

impl RunFiles {
    /// The files of the run in `folder`, which is the run's folder or the part of it with records,
    /// boxes or spans. `None`: there is no `run.json`, as where another simulator launched the
    /// replicas.
    ///
    /// # Errors
    /// If `run.json` exists and cannot be read; one line.
    pub fn of(folder: &Path) -> Result<Option<RunFiles>, String> {
        let is_part = ["records", "boxes", "spans"].iter().any(|part| folder.ends_with(part));
        let beside = folder.parent().filter(|_| is_part);
        let places = [Some(folder), beside].into_iter().flatten();
        let Some(path) = places.map(|place| place.join("run.json")).find(|path| path.is_file())
        else {
            return Ok(None);
        };
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
        let run: RunFile = serde_json::from_str(&text).map_err(|error| failed(&error))?;
        let RunFile { scenario: Scenario { replicas }, outcome: RunEngine { engine } } = run;
        Ok(Some(RunFiles { replicas, real: engine == "real" }))
    }

    /// Whether a file called `path` belongs to one of the run's replicas: its name is an ID and an
    /// ending.
    pub fn has(&self, path: &Path) -> bool {
        replica_of(path).is_some_and(|member| member.rank() < self.replicas)
    }

    /// Keeps those of `paths` that belong to the run; all of them if `of` is `None`.
    pub fn retain(of: Option<RunFiles>, paths: &mut Vec<PathBuf>) {
        if let Some(files) = of {
            paths.retain(|path| files.has(path));
        }
    }
}

/// The replica that the file `path` belongs to: its name is four hex digits and an ending. In a
/// run, only ranks are IDs.
fn replica_of(path: &Path) -> Option<Member> {
    let address: Address = path.file_stem()?.to_str()?.parse().ok()?;
    u8::try_from(address.0).ok().map(Member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_json_says_whose_files_count() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(RunFiles::of(run.path()), Ok(None));
        let text = r#"{"scenario": {"replicas": 5}, "outcome": {"engine": "real"}}"#;
        std::fs::write(run.path().join("run.json"), text).unwrap();
        let files = RunFiles::of(run.path()).unwrap().unwrap();
        assert_eq!(files, RunFiles { replicas: 5, real: true });
        std::fs::create_dir(run.path().join("boxes")).unwrap();
        assert_eq!(RunFiles::of(&run.path().join("boxes")), Ok(Some(files)));
        assert!(files.has(Path::new("records/0004.bin")) && files.has(Path::new("0000.box")));
        for other in ["records/0005.bin", "FFFF.bin", "0104.bin", "4.bin", "notes.txt"] {
            assert!(!files.has(Path::new(other)), "{other}");
        }
        std::fs::write(run.path().join("run.json"), "{").unwrap();
        let error = RunFiles::of(run.path()).unwrap_err();
        assert!(error.contains("run.json: EOF"), "{error}");
    }
}
