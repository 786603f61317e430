//! A budget as a contract: limits that a scenario or a profile states under `budget`, and what a
//! run spent of them.

use serde::{Deserialize, Serialize};

use super::report::LimitRow;

/// Limits; what is not named is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages between replicas for each put that took effect and was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_commit: Option<f64>,
    /// Messages for reads alone, for each read answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_read: Option<f64>,
    /// Messages a second while nothing is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_messages_per_second: Option<f64>,
    /// Median latency of answered requests, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_latency_us: Option<f64>,
    /// 99th percentile of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_latency_us: Option<f64>,
    /// Time in which nobody led, the start included, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaderless_us: Option<f64>,
}

/// Who states a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatedBy {
    /// The scenario file.
    Scenario,
    /// The tuning profile.
    Profile,
}

/// What a run spent; none where there is too little to say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// As in [`Limits`].
    pub messages_per_commit: Option<f64>,
    /// As in [`Limits`].
    pub messages_per_read: Option<f64>,
    /// As in [`Limits`].
    pub idle_messages_per_second: Option<f64>,
    /// As in [`Limits`].
    pub p50_latency_us: Option<f64>,
    /// As in [`Limits`].
    pub p99_latency_us: Option<f64>,
    /// As in [`Limits`].
    pub leaderless_us: Option<f64>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }

    /// Checks that each limit can be kept: a finite number, not below 0.
    ///
    /// # Errors
    /// The first key that is not, and the rule.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let wrong = |allowed: f64| !allowed.is_finite() || allowed < 0.0;
        for (name, allowed) in self.named() {
            if let Some(allowed) = allowed.filter(|allowed| wrong(*allowed)) {
                return Err((name, format!("must be a number from 0 on, is {allowed}")));
            }
        }
        Ok(())
    }

    fn named(&self) -> [(&'static str, Option<f64>); 6] {
        [
            ("messages_per_commit", self.messages_per_commit),
            ("messages_per_read", self.messages_per_read),
            ("idle_messages_per_second", self.idle_messages_per_second),
            ("p50_latency_us", self.p50_latency_us),
            ("p99_latency_us", self.p99_latency_us),
            ("leaderless_us", self.leaderless_us),
        ]
    }

    /// Each limit beside what was spent.
    pub fn rows(&self, by: StatedBy, spent: &Spent) -> Vec<LimitRow> {
        let spent = [
            spent.messages_per_commit,
            spent.messages_per_read,
            spent.idle_messages_per_second,
            spent.p50_latency_us,
            spent.p99_latency_us,
            spent.leaderless_us,
        ];
        let row = |((name, allowed), spent): ((&'static str, Option<f64>), Option<f64>)| {
            let allowed = allowed?;
            let stated_by = match by {
                StatedBy::Scenario => "scenario",
                StatedBy::Profile => "profile",
            };
            let exceeded = spent.is_some_and(|spent| spent > allowed);
            Some(LimitRow { name, stated_by, allowed, spent, exceeded })
        };
        self.named().into_iter().zip(spent).filter_map(row).collect()
    }
}
