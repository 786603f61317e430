//! The message budget: where every message went, what it should have cost, what to do (design §6).
//!
//! # How to read it
//!
//! `Analysis` is one fold over a run's records, in order of time. Besides them it needs only what
//! the run's folder says about the clients and the simulator's own count. In reading order:
//!
//! - `run_info`: how the run was done, from `run.json`; `message`: a message and the hops that led
//!   to it;
//! - `analysis`: the fold, which hands each record to the folds below;
//! - `phases`: the phases of the cluster's life;
//! - `ledger`: each message from its sending to its fate, matched by (sender, number) and charged
//!   to its cause (an answer to the cause of what it answers), and the books, which must balance;
//! - `leaderships`: what leaders did with their entries, batch by batch;
//! - `latency`: where the time of each request went; `decisions`: what controllers decided;
//! - `evidence`: what the findings need besides; `heartbeat_model`: heartbeats with other knobs;
//! - `run_data`: the results of all these folds;
//! - [`bounds`]: the floors, pure arithmetic, each with its proof; `premise`: who is to notice a
//!   dead leader, which they assume;
//! - `figures`: the published figures beside their floors, and the tables; `findings`: what could
//!   be saved, and by which knob; `limits`: the limits that a scenario or a profile states;
//!   `space_time`: messages one by one;
//! - [`report`]: the report, as types and as JSON; `diff`: what changed between two reports;
//! - `document`, `words`: a report as headings, sentences and tables, and its numbers in words;
//!   `text`, `markdown`, `html`, `charts`: that document in each form; `page`: any other document
//!   with charts as a page.
//!
//! Design §3 and §6 say what messages and floors are, and what they assume.

mod analysis;
pub mod bounds;
mod charts;
mod decisions;
mod diff;
mod document;
mod evidence;
mod figures;
mod findings;
mod heartbeat_model;
mod html;
mod latency;
mod leaderships;
mod ledger;
mod limits;
mod markdown;
mod message;
mod page;
mod phases;
mod premise;
pub mod report;
mod run_data;
mod run_info;
mod space_time;
mod text;
mod words;

pub use analysis::Analysis;
pub use charts::{
    Chart, FrontPlot, FrontPoint, SpreadPanel, SpreadRow, Standing, chart, names as chart_names,
    spreads,
};
pub use diff::{Difference, diff};
pub use document::{Block, Table, document, summary};
pub use findings::{apply, turn};
pub use html::{html, html_of_difference};
pub use limits::{Limits, StatedBy};
pub use markdown::markdown;
pub use page::page;
pub use phases::Phases;
pub use report::BudgetReport;
pub use run_info::{FactsError, RunInfo, read_run};
pub use text::text;
pub use words::{limited, why_words};
