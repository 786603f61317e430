//! What sets the core's knobs while a replica runs. Each part is pure and deterministic, learns
//! from what the replica sees, and names the values that it would have.
//!
//! - [`linger`]: how long a batch waits for more entries.

pub mod linger;
