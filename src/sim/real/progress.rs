//! What a user sees during a real run: a progress bar, and above it the replicas' own output.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::raft::Micros;
use crate::sim::course::Course;
use crate::sim::course::incoming::address_of;

/// The time from one update to the next.
const REFRESH: Duration = Duration::from_millis(200);

/// The progress bar, if there is a terminal for it.
pub(super) struct ProgressLine {
    bar: Option<ProgressBar>,
    drawn_at: Instant,
}

impl ProgressLine {
    /// A bar for a run that lasts `total`.
    pub fn new(wanted: bool, total: Micros) -> ProgressLine {
        let bar = (wanted && io::stderr().is_terminal()).then(|| {
            let template = "{bar:30} {msg}";
            let style = ProgressStyle::with_template(template);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total.0).with_style(style.progress_chars("=> "))
        });
        ProgressLine { bar, drawn_at: Instant::now() }
    }

    /// Updates the bar, if its last update is long enough ago.
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

    /// Prints what replicas have printed. If the user has closed stderr, nothing is printed.
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
