//! How a conclusion's times, IDs and reasons are written as JSON.

use std::fmt::Display;

use serde::{Serialize, Serializer};

use super::incoming::address_of;
use crate::raft::{Member, Micros};

pub(super) fn as_text<T: Display, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(super) fn as_texts<T: Display, S: Serializer>(
    values: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(T::to_string))
}

pub(super) fn as_us<S: Serializer>(time: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.0)
}

pub(super) fn as_address<S: Serializer>(
    replica: &Member,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    as_text(&address_of(*replica), serializer)
}

pub(super) fn as_us_if_any<S: Serializer>(
    time: &Option<Micros>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.0).serialize(serializer)
}
