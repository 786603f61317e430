//! The message budget: where every message went, what it should have cost, what to do (design §6).

pub mod bounds;
