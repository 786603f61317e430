//! The built-in scenario files.

/// The seventeen scenarios of the course, in the order of interface §6.
pub const COURSE: [&str; 17] = [
    "simple-1",
    "simple-2",
    "unreliable-1",
    "unreliable-2",
    "unreliable-3",
    "crash-1",
    "crash-2",
    "crash-3",
    "crash-4",
    "partition-1",
    "partition-2",
    "partition-3",
    "partition-4",
    "advanced-1",
    "advanced-2",
    "advanced-3",
    "advanced-4",
];

/// Every built-in file, by name: the seventeen of the course, then ours.
const FILES: [(&str, &str); 20] = [
    ("simple-1", include_str!("../../../scenarios/simple-1.json")),
    ("simple-2", include_str!("../../../scenarios/simple-2.json")),
    ("unreliable-1", include_str!("../../../scenarios/unreliable-1.json")),
    ("unreliable-2", include_str!("../../../scenarios/unreliable-2.json")),
    ("unreliable-3", include_str!("../../../scenarios/unreliable-3.json")),
    ("crash-1", include_str!("../../../scenarios/crash-1.json")),
    ("crash-2", include_str!("../../../scenarios/crash-2.json")),
    ("crash-3", include_str!("../../../scenarios/crash-3.json")),
    ("crash-4", include_str!("../../../scenarios/crash-4.json")),
    ("partition-1", include_str!("../../../scenarios/partition-1.json")),
    ("partition-2", include_str!("../../../scenarios/partition-2.json")),
    ("partition-3", include_str!("../../../scenarios/partition-3.json")),
    ("partition-4", include_str!("../../../scenarios/partition-4.json")),
    ("advanced-1", include_str!("../../../scenarios/advanced-1.json")),
    ("advanced-2", include_str!("../../../scenarios/advanced-2.json")),
    ("advanced-3", include_str!("../../../scenarios/advanced-3.json")),
    ("advanced-4", include_str!("../../../scenarios/advanced-4.json")),
    ("large", include_str!("../../../scenarios/large.json")),
    ("lossy", include_str!("../../../scenarios/lossy.json")),
    ("wan", include_str!("../../../scenarios/wan.json")),
];

/// The names of all built-in scenarios, the course's first.
pub fn names() -> Vec<&'static str> {
    FILES.iter().map(|(name, _)| *name).collect()
}

/// The built-in file of this name.
pub(super) fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
