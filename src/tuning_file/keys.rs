//! The keys of a profile that are no knobs.

/// The key that names the base, whose values hold where a file has none.
pub const BASE: &str = "base";
/// The key of the table of limits.
pub const BUDGET_TABLE: &str = "budget";
