//! The message budget: where every message went, what it should have cost, what to do (design §6).
//!
//! One fold over a run's records, `Analysis`, in the order of time; nothing else is looked at but
//! what the run's folder says of the clients and of the simulator's own count (`facts`). It keeps
//!
//! - the `ledger`: each message from its sending to its fate, matched by (sender, number), charged
//!   to its cause, an answer to what it answers; and the books, which must balance;
//! - the `phases` of the cluster's life;
//! - the `leaderships`: what leaders did with their entries, batch by batch;
//! - the requests, and where their time went (`latency`);
//! - the `evidence` that findings rest on;
//!
//! all of it as `run_data`; and makes of that a [`report::BudgetReport`]: `figures` against their
//! floors ([`bounds`], pure arithmetic), `findings` with the knob to turn, `limits` that a scenario
//! or a profile states. Terminal, Markdown, HTML and JSON show that one report.
//!
//! Messages, floors, and what they assume are design §3 and §6; the floors' proofs stand beside
//! them.

mod analysis;
pub mod bounds;
mod charts;
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
mod phases;
pub mod report;
mod run_data;
mod run_info;
mod space_time;
mod text;
mod words;

pub use analysis::Analysis;
pub use charts::{chart, names as chart_names};
pub use diff::{Difference, diff};
pub use document::{Block, document, summary};
pub use findings::apply;
pub use html::{html, html_of_difference};
pub use limits::{Limits, StatedBy};
pub use markdown::markdown;
pub use report::BudgetReport;
pub use run_info::{FactsError, RunInfo, read_run};
pub use text::text;
