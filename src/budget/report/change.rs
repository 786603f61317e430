//! A knob to turn: part of the report's schema.

use serde::Serialize;
use serde_json::Value;

/// A knob to turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The knob's name in a profile.
    pub knob: &'static str,
    /// Its value in the run.
    pub from: Value,
    /// The value to try.
    pub to: Value,
}
