//! What sets the core's knobs while a replica runs. Each part is pure and deterministic, learns
//! from what the replica sees, and names the values that it would have.
//!
//! - [`Controller`]: one for a replica; it puts the parts together.
//! - [`heartbeats`]: how few heartbeats notice a death in time.
//! - [`linger`]: how long a batch waits for more entries.
//! - `spending`: what is spent, and the limits of the profile.

mod controller;
pub mod heartbeats;
pub mod linger;
mod spending;

pub use controller::Controller;
