//! What a user sees while a real run takes its time: a bar, and the replicas' own lines above it.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::raft::Micros;
use crate::sim::course::Course;
use crate::sim::course::incoming::address_of;

/// Time between two looks at the run.
const REFRESH: Duration = Duration::from_millis(200);

/// The bar, if there is a terminal to draw it on.
pub(super) struct ProgressLine {
    bar: Option<ProgressBar>,
    drawn_at: Instant,
}

impl ProgressLine {
    /// Of a run of `total`.
    pub fn new(wanted: bool, total: Micros) -> ProgressLine {
        let bar = (wanted && io::stderr().is_terminal()).then(|| {
            let template = "{bar:30} {msg}";
            let style = ProgressStyle::with_template(template);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total.0).with_style(style.progress_chars("=> "))
        });
        ProgressLine { bar, drawn_at: Instant::now() }
    }

    /// Shows how far the run is, now and then.
    pub fn update(&mut self, now: Micros, course: &Course) {
        let Some(bar) = self.bar.as_ref().filter(|_| self.drawn_at.elapsed() >= REFRESH) else {
            return;
        };
        self.drawn_at = Instant::now();
        let leader = course.believed_leader().map(|leader| address_of(leader).to_string());
        bar.set_position(now.0);
        bar.set_message(format!(
            "{:.0}/{:.0} s, leader {}, {} messages",
            now.as_seconds(),
            course.ends_at().as_seconds(),
            leader.as_deref().unwrap_or("unknown"),
            course.messages()
        ));
    }

    /// Passes on what replicas have printed. A stderr that is closed is the user's choice.
    pub fn show(&self, lines: &[u8]) {
        let write = || drop(io::stderr().write_all(lines));
        match &self.bar {
            _ if lines.is_empty() => {}
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
