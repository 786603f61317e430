//! The registry: every family of metrics as data. The endpoint and the OpenMetrics files use it; a
//! test holds the table of `docs/metrics.md` and the dashboards to it.

use strum::IntoStaticStr;

/// The kind of values that a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FamilyKind {
    /// Whole numbers that only rise.
    Counter,
    /// A value that can rise and fall.
    Gauge,
    /// Counts of observations, by the upper bounds of their buckets.
    Histogram,
}

impl FamilyKind {
    /// The kind's name in expositions.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// When a family has series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurs {
    /// In every exposition of a replica.
    Always,
    /// Once replicas have exchanged a message.
    WithMessages,
    /// Only if the replica's profile states a budget.
    WithBudget,
    /// Only where a replica has a process to itself, so never in virtual time.
    InProcess,
}

/// The label that every series has: the ID of the replica that exposes it.
pub const REPLICA_LABEL: &str = "replica";

/// A family of metrics.
#[derive(Debug)]
pub struct Family {
    /// The full name, with the unit and `_total`.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: FamilyKind,
    /// The base unit in its name; empty for plain numbers.
    pub unit: &'static str,
    /// The help text that expositions and the documents show.
    pub help: &'static str,
    /// Names of the labels of its series; the first label of each is [`REPLICA_LABEL`].
    pub labels: &'static [&'static str],
    /// The upper bounds of a histogram's buckets, in rising order; empty for the other kinds.
    pub buckets: &'static [f64],
    /// When the family has series.
    pub occurs: Occurs,
}

/// Bounds for durations, from 50 µs to 10 s.
const SECONDS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    2.0, 5.0, 10.0,
];
/// Bounds for batches, from one entry to the most that a batch may have.
const ENTRIES: [f64; 13] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0];

/// Declares each family as a constant, and the list of all families.
macro_rules! families {
    ($($constant:ident: $kind:ident $name:literal [$unit:literal] {$($label:literal),*}
        $occurs:ident $buckets:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Family = Family {
                name: $name,
                kind: FamilyKind::$kind,
                unit: $unit,
                help: $help,
                labels: &[$($label),*],
                buckets: $buckets,
                occurs: Occurs::$occurs,
            };
        )*
        /// Every family, in the order of listings.
        pub const FAMILIES: &[Family] = &[$($constant),*];
    };
}

families! {
    MESSAGES_SENT: Counter "laconic_messages_sent_total" [""] {"kind", "form", "cause", "peer"}
        WithMessages &[], "Messages sent to a peer, by kind, form (own, relay, ack, reject) and \
                           the cause they are charged to; one to everyone counts once a receiver.";
    MESSAGES_RECEIVED: Counter "laconic_messages_received_total" [""]
        {"kind", "form", "cause", "peer"}
        WithMessages &[], "Messages taken in from a peer, by kind, form and the cause their \
                           sender charged them to.";
    SENT_BYTES: Counter "laconic_sent_bytes_total" ["bytes"] {"kind", "form", "cause", "peer"}
        WithMessages &[], "Bytes of the datagrams of messages sent; one to everyone counts once a \
                           receiver.";
    MESSAGES_HANDLED: Counter "laconic_messages_handled_total" [""] {"disposition"}
        Always &[], "Messages taken in, by what came of them.";
    DATAGRAMS_DROPPED: Counter "laconic_datagrams_dropped_total" [""] {"reason"}
        Always &[], "Datagrams that could not be used, by reason.";
    CLIENT_REQUESTS: Counter "laconic_client_requests_total" [""] {"operation", "outcome"}
        Always &[], "Requests of clients that were answered, by operation and outcome; a put \
                     answered ok is a committed put.";
    REQUESTS_HELD: Counter "laconic_client_requests_held_total" [""] {}
        Always &[], "Times that a request had to be kept until a leader is known, or until it may \
                     be answered.";
    REQUEST_DURATION: Histogram "laconic_client_request_duration_seconds" ["seconds"]
        {"operation", "outcome"}
        Always &SECONDS, "Time from a request's arrival at this replica to its answer.";
    COMMIT_LATENCY: Histogram "laconic_commit_latency_seconds" ["seconds"] {"stage"}
        Always &SECONDS, "One observation a batch that this leader committed, of its oldest \
                          entry: batched (log to send), quorum (send to commit, when it is \
                          applied and answered too).";
    BATCH_ENTRIES: Histogram "laconic_batch_entries" [""] {}
        Always &ENTRIES, "Entries of each batch that this leader sent.";
    ELECTIONS: Counter "laconic_elections_total" [""] {"outcome"}
        Always &[], "Candidacies of this replica that are over: won, lost (votes were asked for), \
                     or given_up (only pre-votes).";
    LEADER_CHANGES: Counter "laconic_leader_changes_total" [""] {}
        Always &[], "Times that this replica learned of another leader than the one before, the \
                     first included.";
    STEPPED_DOWN: Counter "laconic_leaderships_ended_total" [""] {"reason"}
        Always &[], "Leaderships that this replica lost, by reason.";
    RESEND_TIMEOUTS: Counter "laconic_resend_timeouts_total" [""] {"peer"}
        Always &[], "Answers that a peer did not give in time.";
    TRUNCATED_ENTRIES: Counter "laconic_truncated_entries_total" [""] {}
        Always &[], "Entries dropped from the log at a conflict of terms.";
    COMMIT_FLOOR: Counter "laconic_commit_floor_messages_total" [""] {}
        Always &[], "Fewest messages that could have committed the batches of this leader, f + \
                     ceil(f / (d - 1)) each, at the delays d of its fan-out.";
    LEADERLESS: Counter "laconic_leaderless_seconds_total" ["seconds"] {}
        Always &[], "Time since start in which this replica knew no live leader.";
    START_TIME: Gauge "process_start_time_seconds" ["seconds"] {}
        Always &[], "Start of this replica, in seconds since the Unix epoch.";
    PROCESS_CPU: Counter "process_cpu_seconds_total" ["seconds"] {}
        InProcess &[], "Processor time of this replica's process, its own and the system's for it; \
                        0 where the system is not Linux, as with the next two.";
    PROCESS_MEMORY: Gauge "process_resident_memory_bytes" ["bytes"] {}
        InProcess &[], "Memory of this replica's process that is held in RAM.";
    PROCESS_DESCRIPTORS: Gauge "process_open_fds" [""] {}
        InProcess &[], "Descriptors (sockets, files) that this replica's process has open.";
    ROLE: Gauge "laconic_role" [""] {"role"}
        Always &[], "1 for the role that this replica has, else 0.";
    LEADER: Gauge "laconic_leader" [""] {"leader"}
        Always &[], "1 for the member that this replica takes for the leader, else 0.";
    TERM: Gauge "laconic_term" [""] {}
        Always &[], "Term of this replica.";
    COMMIT_INDEX: Gauge "laconic_commit_index" [""] {}
        Always &[], "Highest index known here to be committed.";
    APPLIED_INDEX: Gauge "laconic_applied_index" [""] {}
        Always &[], "Highest index that has taken effect in the store.";
    LAST_INDEX: Gauge "laconic_last_index" [""] {}
        Always &[], "Last index of the log.";
    PEER_LAG: Gauge "laconic_peer_lag_entries" [""] {"peer"}
        Always &[], "Entries that a follower is not known to hold; 0 unless this replica leads.";
    PEER_ROUND_TRIP: Gauge "laconic_peer_round_trip_seconds" ["seconds"] {"peer"}
        Always &[], "Smoothed time from the start of a round to a follower's answer (RFC 6298); 0 \
                     while not known.";
    PEER_LOSS: Gauge "laconic_peer_loss_ratio" ["ratio"] {"peer"}
        Always &[], "Estimated share of messages lost on the way to a follower and back; 0 unless \
                     this replica leads.";
    LEASE_REMAINING: Gauge "laconic_lease_remaining_seconds" ["seconds"] {}
        Always &[], "For how long this leader may still read without asking; 0 without a lease.";
    TUNING: Gauge "laconic_tuning" [""] {"knob"}
        Always &[], "Value of each knob that is a number or a switch; times in seconds.";
    TUNING_CHOICE: Gauge "laconic_tuning_choice" [""] {"knob", "choice"}
        Always &[], "1 for the choice in force of each knob that names one.";
    MESSAGES_PER_COMMIT: Gauge "laconic_messages_per_commit" [""] {}
        Always &[], "Messages that this replica sent and took in while it led, for each put that \
                     it answered ok; 0 before the first.";
    MESSAGES_PER_COMMIT_FLOOR: Gauge "laconic_messages_per_commit_floor" [""] {}
        Always &[], "The same for laconic_commit_floor_messages_total.";
    MESSAGES_PER_READ: Gauge "laconic_messages_per_read" [""] {}
        Always &[], "Messages that asked for leadership and their answers, for each get that this \
                     replica answered ok; 0 before the first.";
    BUDGET_SPENT: Gauge "laconic_budget_spent" [""] {"limit"}
        Always &[], "What this replica, while it led, spent of each limit that it can see: \
                     messages per commit, a read and an idle second, and seconds without a leader.";
    BUDGET_ALLOWED: Gauge "laconic_budget_allowed" [""] {"limit"}
        WithBudget &[], "What the profile allows, by limit; times in seconds. Latencies are held \
                         against laconic_client_request_duration_seconds.";
    TELEMETRY_COST: Gauge "laconic_telemetry_message_seconds" ["seconds"] {}
        Always &[], "Time that recording takes for each message between replicas, from a sample \
                     of the records; 0 in virtual time.";
    REPLICAS: Gauge "laconic_replicas" [""] {}
        Always &[], "Members of the cluster.";
    BUILD_INFO: Gauge "laconic_build_info" [""] {"version"}
        Always &[], "1, with the version of the program.";
}

/// The registry as a Markdown table, for `docs/metrics.md`.
pub fn markdown_table() -> String {
    let mut table =
        "| family | type | labels | what it says |\n| --- | --- | --- | --- |\n".to_owned();
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let row =
            [&format!("`{}`", family.name), family.kind.name(), &labels.join(", "), family.help];
        table += &format!("| {} |\n", row.join(" | "));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tally::MOST_BOUNDS;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let mut names = std::collections::BTreeSet::new();
        for family in FAMILIES {
            let name = family.name;
            assert!(names.insert(name), "{name} is declared twice");
            // Figures of the process have the usual names, which every program's metrics use.
            let of_process = [&START_TIME, &PROCESS_CPU, &PROCESS_MEMORY, &PROCESS_DESCRIPTORS];
            let is_common = of_process.iter().any(|family| family.name == name);
            assert!(name.starts_with("laconic_") || is_common, "{name}");
            let stem = name.strip_suffix("_total");
            assert_eq!(stem.is_some(), family.kind == FamilyKind::Counter, "{name}");
            let unit = format!("_{}", family.unit);
            let ends_in_unit = stem.unwrap_or(name).ends_with(&unit);
            assert!(family.unit.is_empty() || ends_in_unit, "{name} does not end in {unit}");
            for base in ["_seconds", "_bytes", "_ratio"] {
                let ends = stem.unwrap_or(name).ends_with(base);
                assert_eq!(ends, unit == base, "{name} has no unit in the registry");
            }
            for suffix in ["_bucket", "_count", "_sum", "_info", "_us", "_ms"] {
                assert!(!name.ends_with(suffix) || name == BUILD_INFO.name, "{name}");
            }
            // The help text needs no escapes, in either format.
            let plain = !family.help.contains(['\n', '\\', '"']);
            assert!(family.help.ends_with('.') && plain, "{name}");
            assert!(!family.labels.contains(&REPLICA_LABEL), "{name}");
            assert_eq!(!family.buckets.is_empty(), family.kind == FamilyKind::Histogram, "{name}");
            assert!(family.buckets.is_sorted() && family.buckets.len() <= MOST_BOUNDS, "{name}");
        }
    }
}
