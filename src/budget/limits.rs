//! The limits that a scenario or a profile states under `budget`, and what a run spent of them.

use serde::{Deserialize, Serialize};

use super::report::LimitRow;

/// Limits. What is not named has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages between replicas for each put that took effect and was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_commit: Option<f64>,
    /// Messages that only serve reads, for each read answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_read: Option<f64>,
    /// Messages per second while nothing is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_messages_per_second: Option<f64>,
    /// Median latency of answered requests, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_latency_us: Option<f64>,
    /// 99th percentile of the latency of answered requests, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_latency_us: Option<f64>,
    /// Time in which nobody led, the start included, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaderless_us: Option<f64>,
}

/// Where a limit is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatedBy {
    /// In the scenario file.
    Scenario,
    /// In the tuning profile.
    Profile,
}

/// What a run spent; `None` where there is too little to say.
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
    /// Whether there is no limit.
    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }

    /// Checks that each limit is possible: a finite number, not below 0.
    ///
    /// # Errors
    /// The first key whose value is not, and the rule.
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

    /// Each limit beside what the run spent.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_from_0_on() {
        let limits = |allowed| Limits { p50_latency_us: Some(allowed), ..Limits::default() };
        let broken = |allowed| limits(allowed).check().err().map(|(name, _)| name);
        assert_eq!([0.0, 1.0].map(broken), [None, None]);
        assert_eq!([-0.1, f64::NAN, f64::INFINITY].map(broken), [Some("p50_latency_us"); 3]);
        assert!(Limits::default().is_empty() && !limits(0.0).is_empty());
    }

    #[test]
    fn what_is_spent_to_the_limit_is_within_it() {
        let limits = Limits { leaderless_us: Some(5.0), ..Limits::default() };
        let exceeded = |spent| {
            let spent = Spent { leaderless_us: spent, ..Spent::default() };
            limits
                .rows(StatedBy::Profile, &spent)
                .iter()
                .map(|row| row.exceeded)
                .collect::<Vec<_>>()
        };
        assert_eq!(exceeded(Some(5.0)), [false]);
        assert_eq!(exceeded(Some(5.1)), [true]);
        assert_eq!(exceeded(None), [false]);
    }
}
