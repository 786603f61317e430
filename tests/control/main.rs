//! The controller against its rivals and against the optimum offline.

mod arrivals;
mod linger;
mod online;
mod optimum;
mod rivals;
