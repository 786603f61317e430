//! What sets the core's knobs while a replica runs. Each part is pure and deterministic, learns
//! from what the replica sees, and names the values that it would have.
//!
//! - [`Controller`]: one for a replica; it puts the parts together.
//! - [`heartbeats`]: how few heartbeats notice a death in time.
//! - [`linger`]: how long a batch waits for more entries.

mod controller;
pub mod heartbeats;
pub mod linger;

pub use controller::Controller;
