//! `laconic top`: a running cluster in a terminal, refreshed from the replicas' `/metrics` and
//! `/status`.
//!
//! `scrape` asks one replica; `view` makes of the answers of all, and of those before, what is
//! worth seeing, and is pure; `screen` draws that, scrolled as `position` says. What a replica does
//! not answer is shown as away, with why and since when.

mod position;
mod scrape;
mod screen;
mod view;

pub use position::Position;
pub use scrape::{Reading, Scrape, Target, scrape, targets_of};
pub use screen::draw;
pub use view::{Away, Latency, View};
