//! The charts of a report, as SVG. The page and a standalone picture have the same drawing; the
//! picture also has its own colours. Each chart has as many marks as the report has numbers, in
//! classes by which a test counts them.

mod bars;
mod curves;
mod drawing;
mod front;
mod knobs;
mod matrix;
mod palette;
mod scale;
mod seconds;
mod spreads;
mod stages;

pub use drawing::{Chart, STYLE};
pub use front::{FrontPlot, FrontPoint, Standing};
pub use palette::of_page as colours;
pub use spreads::{SpreadPanel, SpreadRow, spreads};

use super::report::BudgetReport;

/// Draws a chart of a report; `None` if the report has nothing to draw.
type Draw = fn(&BudgetReport) -> Option<Chart>;

/// Every chart: its name, its line in a help text, and its function.
const CHARTS: [(&str, &str, Draw); 14] = [
    ("figures", "the three figures: floor, and what exceeds it by cause", bars::figures),
    ("references", "what the same puts would have cost", bars::references),
    ("limits", "limits, and what was spent", bars::limits),
    ("seconds", "messages a second, below lives, leaders and faults", seconds::seconds),
    ("knobs", "knobs over time, as the leader's controller set them", knobs::knobs),
    ("causes", "messages by kind and cause", bars::causes),
    ("fates", "what became of them, by cause", bars::fates),
    ("phases", "when they were sent, by cause", bars::phases),
    ("matrix", "messages by sender and receiver", matrix::matrix),
    ("trade_off", "messages against delay, with the floor", curves::trade_off),
    ("latency", "where the time of requests went", stages::latency),
    ("story", "a slow request, stage by stage", stages::story),
    ("linger_saved", "messages that a longer linger saves", curves::linger_saved),
    ("linger_wait", "the wait that it adds", curves::linger_wait),
];

/// The names of all charts, each with what it shows.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHARTS.iter().map(|(name, shows, _)| (*name, *shows))
}

/// The chart `name` of a report; `None` if there is no such chart, or nothing to draw.
pub fn chart(report: &BudgetReport, name: &str) -> Option<Chart> {
    let (_, _, draw) = CHARTS.iter().find(|(known, _, _)| *known == name)?;
    draw(report)
}

/// All charts of a report that have something to show.
pub fn charts(report: &BudgetReport) -> Vec<Chart> {
    CHARTS.iter().filter_map(|(_, _, draw)| draw(report)).collect()
}
