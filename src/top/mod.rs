//! `laconic top`: a running cluster in a terminal, refreshed from the replicas' `/metrics` and
//! `/status`.
//!
//! `scrape` asks one replica; `view` makes of the answers of all, and of those before, what is
//! worth seeing, and is pure; `screen` draws that. What a replica does not answer is shown as gone,
//! with the last that was known.

mod scrape;
mod screen;
mod view;

pub use scrape::{Reading, Scrape, Target, scrape, targets_of};
pub use screen::draw;
pub use view::View;
