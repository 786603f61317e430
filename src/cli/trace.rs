//! `laconic trace`: a kept run as one Chrome trace file.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::failure::{ExitStatus, Failure};
use super::output::{check_file, print};
use crate::archive::{RunFiles, RunRecords, read_history};
use crate::raft::Micros;
use crate::record::SIMULATOR;
use crate::trace::{Arrows, SpanFile, Window, draw};

/// Draw a kept run as one Chrome trace file, for ui.perfetto.dev or chrome://tracing: tracks for
/// every client and every replica, an arrow for each message
#[derive(Args)]
#[command(after_help = "\
A slice is what one datagram or wake-up made a replica do; records tell when it
began, not how long it took, so it is drawn up to the next, at most 10 µs wide.
Arrows, by category: message (one for each receiver; a lost one ends on a track
of the network's that says how), request and answer (client and replica), batch
(an entry waits for the batch that carries it), wait (a request waits for its
answer). Select `on its way` in a client's request and follow the arrows: to the
leader, to the followers, and back. Counters: term and commit index, messages
and requests in flight. Instants: kills, partitions, new leaders. With --from or
--to, arrows that end later end on a track that says so.

A real run under LACONIC_SPANS (see laconic replica --help) has span files too:
each replica then has a track of spans, which tells how long things took in it:
receive (decode, step (apply, answer)), encode, send.

The replicas of a run on one machine share its clock. For one over several
machines their clocks' offsets would have to be measured first.

Exit status: 0 good; 2 if a file of the run cannot be read in full (the rest is
drawn) or there is none; 4 if the trace cannot be written.

Examples:
  laconic sim crash-4 --seed 1 --out run
  laconic trace run -o trace.json
  laconic trace run --from 12 --to 15 -o kill.json.gz
  LACONIC_SPANS=1/10 laconic sim simple-2 --real --trace trace.json")]
pub struct TraceArguments {
    /// The run's folder, as `laconic sim ... --out` made it
    run: PathBuf,
    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = "trace.json")]
    output: PathBuf,
    /// Compress it, a tenth of the size; so is a FILE that ends in .gz. Perfetto opens it
    #[arg(long)]
    gzip: bool,
    /// Begin the drawing there, in seconds of the run, as in 12.5
    #[arg(long, value_name = "T", value_parser = parse_moment)]
    from: Option<Micros>,
    /// End the drawing there, in seconds of the run
    #[arg(long, value_name = "T", value_parser = parse_moment)]
    to: Option<Micros>,
}

/// Reads a moment of the run, given in seconds.
pub(super) fn parse_moment(text: &str) -> Result<Micros, String> {
    let seconds: Option<f64> = text.parse().ok();
    match seconds.filter(|seconds| (0.0..=MOST_SECONDS).contains(seconds)) {
        Some(seconds) => Ok(Micros((seconds * 1e6).round() as u64)),
        None => Err(format!("must be seconds from 0 to {MOST_SECONDS:.0}, as in 12.5")),
    }
}

/// A year: no run lasts longer.
const MOST_SECONDS: f64 = 366.0 * 86_400.0;

/// Which part of a run is drawn, and how it is written.
#[derive(Clone, Copy)]
pub(super) struct DrawingOptions {
    window: Window,
    gzip: bool,
}

impl DrawingOptions {
    /// All of a run, compressed if the file's name says so.
    pub(super) fn whole(output: &Path) -> DrawingOptions {
        DrawingOptions { window: Window::ALL, gzip: is_gzip(output) }
    }

    fn of(arguments: &TraceArguments) -> Result<DrawingOptions, Failure> {
        let gzip = arguments.gzip || is_gzip(&arguments.output);
        let window = match (arguments.from, arguments.to) {
            (None, None) => Window::ALL,
            (from, to) => {
                let (from, to) = (from.unwrap_or_default(), to.unwrap_or(Micros(u64::MAX)));
                if from >= to {
                    let line = "--from must be less than --to: nothing would be drawn";
                    return Err(Failure::input(line));
                }
                Window::new(from, to)
            }
        };
        Ok(DrawingOptions { window, gzip })
    }
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "gz")
}

/// Draws the trace, and prints what is in it.
pub fn run(arguments: &TraceArguments) -> Result<ExitStatus, Failure> {
    let drawing = DrawingOptions::of(arguments)?;
    let (arrows, problems) = draw_run(&arguments.run, &arguments.output, drawing)?;
    let part = if drawing.window == Window::ALL { "" } else { "a part of " };
    print(&format!("{}: {part}{}\n", arguments.output.display(), summary(&arrows)))?;
    for problem in &problems {
        eprintln!("laconic: {problem}");
    }
    Ok(if problems.is_empty() { ExitStatus::Good } else { ExitStatus::BadInput })
}

/// Draws the kept run `run` into the file `output`. Returns how its messages ended, and what could
/// not be read, one line each.
pub(super) fn draw_run(
    run: &Path,
    output: &Path,
    drawing: DrawingOptions,
) -> Result<(Arrows, Vec<String>), Failure> {
    check_file(output)?;
    let mut records = RunRecords::open(run).map_err(Failure::input)?;
    let ranks = records.sources().filter(|source| *source != SIMULATOR).map(|source| source.0);
    let Some(highest) = ranks.max() else {
        let line = format!("{}: its replicas have left no records", run.display());
        return Err(Failure::input(line));
    };
    let mut problems = Vec::new();
    let spans = open_spans(run, records.start_us(), &mut problems);
    let highest = spans.iter().map(SpanFile::rank).fold(highest, u8::max);
    let requests = read_history(run).unwrap_or_else(|problem| {
        problems.push(problem.to_string());
        Vec::new()
    });
    let failed = |error| Failure::environment(format!("{}: {error}", output.display()));
    let mut out = BufWriter::with_capacity(1 << 16, File::create(output).map_err(failed)?);
    let replicas = highest.saturating_add(1);
    let arrows = if drawing.gzip {
        let mut out = GzEncoder::new(out, Compression::default());
        let window = drawing.window;
        let drawn = draw(records.by_ref(), replicas, requests, spans, window, &mut out);
        drawn.and_then(|arrows| out.finish()?.flush().map(|()| arrows))
    } else {
        draw(records.by_ref(), replicas, requests, spans, drawing.window, &mut out)
    };
    let arrows = arrows.map_err(failed)?;
    problems.extend_from_slice(records.problems());
    Ok((arrows, problems))
}

/// The span files of the replicas of `run`, if there are any. A run in virtual time has none, so
/// files there belong to another run.
fn open_spans(run: &Path, run_start_us: u64, problems: &mut Vec<String>) -> Vec<SpanFile> {
    let Some(listing) = fs::read_dir(run.join("spans")).ok().filter(|_| run_start_us > 0) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    // If `run.json` cannot be read, reading the records has already reported it.
    RunFiles::retain(RunFiles::of(run).ok().flatten(), &mut paths);
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let opened = File::open(&path).map_err(|error| error.to_string()).and_then(|file| {
            let input = Box::new(BufReader::new(file));
            SpanFile::open(input, run_start_us).map_err(|error| error.to_string())
        });
        match opened {
            Ok(file) => files.extend(file),
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    files
}

fn summary(arrows: &Arrows) -> String {
    let parts = [
        (arrows.taken_in, "taken in"),
        (arrows.not_taken_in, "forwarded and not taken in"),
        (arrows.dropped, "dropped"),
        (arrows.cut_off, "cut off"),
        (arrows.dead, "to the dead"),
        (arrows.blocked, "refused"),
        (arrows.against_the_clock, "against the clock"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, how)| format!("{count} {how}"))
        .collect();
    let (counted, unread) = (arrows.counted(), arrows.unread);
    format!("{counted} messages ({}), and {unread} never read by the simulator", parts.join(", "))
}
