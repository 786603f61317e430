//! `laconic top`: a running cluster in a terminal, refreshed from the replicas' `/metrics` and
//! `/status`.
//!
//! `scrape` asks one replica. `view` keeps the answers of all replicas, now and before, as what is
//! worth seeing; it is pure. `screen` draws that, scrolled as `viewport` says. A replica that does
//! not answer is shown as away, with the reason and since when.

mod scrape;
mod screen;
mod view;
mod viewport;

pub use scrape::{Reading, Scrape, Target, scrape, targets_of};
pub use screen::draw;
pub use view::{Away, Latency, View};
pub use viewport::Viewport;
