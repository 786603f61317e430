//! Span files of replicas (`LACONIC_SPANS`). They are brought onto the run's clock and drawn below
//! their process.
//!
//! tracing-chrome writes these files: one event on each line, `B` and `E` for the two ends of a
//! span, times in microseconds since the file's beginning. The anchors at the beginning say what
//! the machine's clock showed, and which replica's file it is. The clock was read before the anchor
//! was written, so the anchor with the smallest difference is the best one. If a replica was
//! killed, its file may end in the middle of a line. It is read up to there.

use std::io::{BufRead, Lines};

use serde::Deserialize;
use serde_json::Value;

use super::chrome::{ChromeFile, REPLICAS, Slice, SliceTime};
use crate::raft::Member;

/// Why a file cannot be read as a span file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadSpans {
    /// It does not begin with anchors.
    #[error("no span file (it does not begin with anchors)")]
    Foreign,
}

/// The spans of one replica, read as they are drawn.
pub struct SpanFile {
    rank: u8,
    /// What the run's clock showed at the file's beginning, in nanoseconds.
    offset_ns: i64,
    lines: Lines<Box<dyn BufRead>>,
    /// The first event after the anchors.
    first: Option<Event>,
}

/// One line of the file.
#[derive(Debug, Deserialize)]
struct Event {
    ph: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    ts: f64,
    #[serde(default)]
    args: Value,
}

impl Event {
    fn nanoseconds(&self) -> i64 {
        (self.ts * 1_000.0).round() as i64
    }

    /// A number among the arguments, all of which are texts.
    fn number(&self, name: &str) -> Option<i64> {
        self.args[name].as_str()?.parse().ok()
    }
}

impl SpanFile {
    /// Begins to read `input`. Time 0 of the run is `run_start_us` on the machine's clock. `None`
    /// if the file ends before its replica's first anchor.
    ///
    /// # Errors
    /// If it is not a span file.
    pub fn open(input: Box<dyn BufRead>, run_start_us: u64) -> Result<Option<SpanFile>, BadSpans> {
        let mut lines = input.lines();
        match lines.next() {
            None => return Ok(None),
            Some(Ok(line)) if line == "[" => {}
            _ => return Err(BadSpans::Foreign),
        }
        let start_us = i64::try_from(run_start_us).map_err(|_| BadSpans::Foreign)?;
        let mut closest: Option<(i64, u8)> = None;
        while let Some(event) = next_event(&mut lines) {
            if event.name == "anchor" {
                let rank = event.number("rank").and_then(|rank| u8::try_from(rank).ok());
                let clock_us = event.number("clock_us").ok_or(BadSpans::Foreign)?;
                let machine_ns = clock_us.saturating_sub(start_us).saturating_mul(1_000);
                let offset_ns = machine_ns.saturating_sub(event.nanoseconds());
                let anchor = (offset_ns, rank.ok_or(BadSpans::Foreign)?);
                closest = closest.max(Some(anchor));
            } else if event.ph == "B" {
                let (offset_ns, rank) = closest.ok_or(BadSpans::Foreign)?;
                return Ok(Some(SpanFile { rank, offset_ns, lines, first: Some(event) }));
            }
        }
        let file =
            closest.map(|(offset_ns, rank)| SpanFile { rank, offset_ns, lines, first: None });
        Ok(file)
    }

    /// The replica's rank.
    pub fn rank(&self) -> u8 {
        self.rank
    }

    /// Draws the spans on a track of their own. Spans before the beginning of the run are left out,
    /// and so are spans that had not ended when the replica did.
    pub(super) fn draw<W: std::io::Write>(mut self, chrome: &mut ChromeFile<W>) {
        let place = chrome.new_place(REPLICAS, &format!("{} spans", Member(self.rank)));
        let mut open: Vec<Event> = Vec::new();
        while let Some(event) = self.first.take().or_else(|| next_event(&mut self.lines)) {
            match event.ph.as_str() {
                "B" => open.push(event),
                "E" => {
                    let Some(begun) = open.pop() else {
                        continue;
                    };
                    let at = |of: &Event| u64::try_from(of.nanoseconds() + self.offset_ns).ok();
                    if let (Some(begin), Some(end)) = (at(&begun), at(&event)) {
                        let span = SliceTime { begin, width: end.saturating_sub(begin).max(1) };
                        let slice = Slice {
                            category: "span",
                            name: begun.name,
                            details: begun.args,
                            tips: Vec::new(),
                        };
                        chrome.slice(place, span, &slice);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The event on the next line; `None` where the file ends, or the line is cut off.
fn next_event(lines: &mut Lines<Box<dyn BufRead>>) -> Option<Event> {
    let line = lines.next()?.ok()?;
    serde_json::from_str(line.trim_end_matches(',')).ok()
}
