//! `laconic postmortem`: what black boxes tell of a cluster's last failure.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{ExitStatus, Failure};
use super::output::print;
use crate::archive::{RecordFileError, RunFiles, read_records};
use crate::recorder::{Postmortem, ReadBox, examine, read_box};

/// Say what black boxes tell of a cluster's last failure: who led, how far each log was, which
/// messages and requests were in flight and what became of them
#[derive(Args)]
#[command(after_help = "\
The failure is the last replica that the simulator killed or saw end, if its
records (simulator.bin) lie beside the boxes; else the end of the box that ends
first. Times are relative to it. `last n` is the number of the replica's last
message. A message sent more than a second before counts as lost, not as in
flight. A box keeps 65,536 records: what it no longer knows is shown as `?`.

JSON (--json): failure (replica, at_us, kind, silent_for_us), leaders,
replicas (role, term, last, commit, last_sent, box_ends_us, records, torn),
in_flight (from, to, n, kind, why, sent_us, fate), requests (request, client,
operation, replica, asked_us, state, entry, holders, later), next_leader.

Exit status: 0 good; 2 if a box is missing, foreign or damaged (the rest is
reported), or there is none.

Examples:
  laconic sim crash-4 --real --out run
  laconic postmortem run
  LACONIC_BLACK_BOX=boxes ./run config.json; laconic postmortem boxes")]
pub struct PostmortemArguments {
    /// The run's folder, or that of its black boxes
    folder: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the postmortem.
pub fn run(arguments: &PostmortemArguments) -> Result<ExitStatus, Failure> {
    let mut evidence = BoxEvidence::collect(&arguments.folder)?;
    let simulator = evidence.simulator.take();
    let simulator = simulator.as_ref().map(|(start_us, records)| (*start_us, &**records));
    let Some(postmortem) = examine(&evidence.boxes, simulator) else {
        let folder = arguments.folder.display();
        return Err(Failure::input(format!("{folder}: its black boxes hold no records")));
    };
    print(&text_of(&postmortem, arguments.json))?;
    Ok(if evidence.complete { ExitStatus::Good } else { ExitStatus::BadInput })
}

fn text_of(postmortem: &Postmortem, json: bool) -> String {
    if json {
        // Numbers, strings and lists of them always serialize.
        serde_json::to_string(postmortem).unwrap_or_default() + "\n"
    } else {
        postmortem.to_string()
    }
}

/// The boxes and records that could be read.
struct BoxEvidence {
    boxes: Vec<(String, ReadBox)>,
    simulator: Option<(u64, Vec<crate::record::Record>)>,
    complete: bool,
}

impl BoxEvidence {
    fn collect(folder: &Path) -> Result<BoxEvidence, Failure> {
        let mut evidence = BoxEvidence { boxes: Vec::new(), simulator: None, complete: true };
        let inner = folder.join("boxes");
        let boxes = if inner.is_dir() { &inner } else { folder };
        let mut paths = box_files(boxes)?;
        let of_run = RunFiles::of(folder).unwrap_or_else(|problem| {
            evidence.complain(problem);
            None
        });
        if of_run.is_some_and(|files| !files.real) {
            let line = format!("{}: a run in virtual time has no black boxes", folder.display());
            return Err(Failure::input(line));
        }
        RunFiles::retain(of_run, &mut paths);
        for path in &paths {
            evidence.add_box(path);
        }
        evidence.note_missing(boxes);
        let beside = [folder.join("simulator.bin"), folder.join("../simulator.bin")];
        if let Some(path) = beside.iter().find(|path| path.is_file()) {
            evidence.add_simulator(path);
        }
        if evidence.boxes.is_empty() {
            Err(Failure::input(format!("{}: holds no black boxes", folder.display())))
        } else {
            Ok(evidence)
        }
    }

    fn complain(&mut self, line: impl std::fmt::Display) {
        eprintln!("laconic: {line}");
        self.complete = false;
    }

    fn add_box(&mut self, path: &Path) {
        let read = match read_box(path) {
            Ok(read) => read,
            Err(error) => return self.complain(error),
        };
        if read.damaged_slots > 0 {
            let (path, slots, records) = (path.display(), read.damaged_slots, read.records.len());
            self.complain(format!(
                "{path}: {slots} slots are damaged or cut off; {records} records were read"
            ));
        }
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match self.boxes.iter().find(|(_, other)| other.header.source == read.header.source) {
            Some((other, _)) => {
                let line = format!("{}: the same replica as {other}.box", path.display());
                self.complain(line);
            }
            None => self.boxes.push((id, read)),
        }
    }

    /// Notes which boxes are missing: each box says how many replicas its cluster has.
    fn note_missing(&mut self, folder: &Path) {
        let replicas = self.boxes.iter().map(|(_, read)| read.header.replicas).max();
        let has = |rank| self.boxes.iter().any(|(_, read)| read.header.source.0 == rank);
        let missing: Vec<String> = (0..replicas.unwrap_or(0))
            .filter(|rank| !has(*rank))
            .map(|rank| rank.to_string())
            .collect();
        if !missing.is_empty() {
            let (folder, ranks) = (folder.display(), missing.join(", "));
            self.complain(format!("{folder}: no black box of the replica of rank {ranks}"));
        }
    }

    fn add_simulator(&mut self, path: &Path) {
        match read_records(path) {
            Ok(read) => {
                if read.unread_bytes > 0 {
                    let (path, bytes) = (path.display(), read.unread_bytes);
                    self.complain(format!("{path}: the last {bytes} bytes are no whole records"));
                }
                self.simulator = Some((read.header.clock_start_us, read.records));
            }
            Err(RecordFileError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            Err(error) => self.complain(error),
        }
    }
}

fn box_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::input(format!("{}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "box"))
        .collect();
    files.sort();
    Ok(files)
}
