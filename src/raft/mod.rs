//! The consensus core.
mod types;

pub use types::{Entry, Index, Member, MemberSet, Micros, Round, Term};
