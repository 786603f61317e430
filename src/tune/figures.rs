//! What runs are judged by: the objectives, their values in one run and over many, and the weights
//! that make one number of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::budget::limited;
use crate::nearest::did_you_mean;

/// Something of which less is better.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    VariantArray,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Objective {
    /// Messages between replicas, for each put that took effect and was answered.
    MessagesPerCommit,
    /// How long a client waits for its `ok`, from when it first asks, in microseconds: the median.
    /// Whoever sends its clients on gains nothing.
    P50LatencyUs,
    /// 99th percentile of the same, in microseconds.
    P99LatencyUs,
    /// Time in which nobody led, the start included, in microseconds.
    LeaderlessUs,
    /// Checks that the run failed, of those that a replica can pass.
    FailedChecks,
    /// Requests without an answer.
    Unanswered,
    /// Answers to requests that had been answered `ok` before.
    SecondAnswers,
}

/// How many objectives there are.
pub const OBJECTIVES: usize = Objective::ALL.len();

impl Objective {
    /// Every objective, in the order that tables use.
    pub const ALL: &'static [Objective] = Objective::VARIANTS;

    /// The objective's name on the command line and in files.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The objective in words.
    pub const fn title(self) -> &'static str {
        match self {
            Objective::MessagesPerCommit => "messages per commit",
            Objective::P50LatencyUs => "median latency",
            Objective::P99LatencyUs => "99th percentile",
            Objective::LeaderlessUs => "without a leader",
            Objective::FailedChecks => "failed checks",
            Objective::Unanswered => "unanswered",
            Objective::SecondAnswers => "second answers",
        }
    }

    /// Whether it counts things that had better not happen at all. Then its weight is for each of
    /// them in a run; for the others it is for their value as a multiple of the base profile's.
    pub const fn is_count(self) -> bool {
        matches!(self, Objective::FailedChecks | Objective::Unanswered | Objective::SecondAnswers)
    }

    /// A value of it in words, with its unit.
    pub fn told(self, value: f64) -> String {
        limited(self.name(), value)
    }
}

/// The numbers of one run. Whole numbers, so that a file gives them back as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFigures {
    /// Messages that the replicas sent.
    pub messages: u64,
    /// Puts that took effect and were answered.
    pub puts: u64,
    /// Median of how long clients waited for their `ok`, in microseconds; the run's length if none
    /// came.
    pub p50_latency_us: u64,
    /// 99th percentile of the same.
    pub p99_latency_us: u64,
    /// Time in which nobody led, the start included, in microseconds.
    pub leaderless_us: u64,
    /// Checks that the run failed, of those that a replica can pass.
    pub failed_checks: u64,
    /// Requests without an answer.
    pub unanswered: u64,
    /// Answers to requests that had been answered `ok` before.
    pub second_answers: u64,
}

impl RunFigures {
    /// The value of an objective in this run. Without any put, all messages count as those of one.
    pub fn value(&self, objective: Objective) -> f64 {
        match objective {
            Objective::MessagesPerCommit => self.messages as f64 / self.puts.max(1) as f64,
            Objective::P50LatencyUs => self.p50_latency_us as f64,
            Objective::P99LatencyUs => self.p99_latency_us as f64,
            Objective::LeaderlessUs => self.leaderless_us as f64,
            Objective::FailedChecks => self.failed_checks as f64,
            Objective::Unanswered => self.unanswered as f64,
            Objective::SecondAnswers => self.second_answers as f64,
        }
    }
}

/// The value of each objective over several runs, in the order of [`Objective::ALL`]. As JSON an
/// object with their names.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "BTreeMap<Objective, f64>", from = "BTreeMap<Objective, f64>")]
pub struct Figures(pub [f64; OBJECTIVES]);

impl From<Figures> for BTreeMap<Objective, f64> {
    fn from(figures: Figures) -> BTreeMap<Objective, f64> {
        Objective::ALL.iter().copied().zip(figures.0).collect()
    }
}

impl From<BTreeMap<Objective, f64>> for Figures {
    /// What is not there is 0.
    fn from(values: BTreeMap<Objective, f64>) -> Figures {
        let mut figures = Figures([0.0; OBJECTIVES]);
        values.into_iter().for_each(|(objective, value)| figures.0[objective as usize] = value);
        figures
    }
}

impl Figures {
    /// Of the runs of each scenario the mean; of these means the mean again, for counts, or the
    /// geometric mean, so that each scenario counts alike, whatever the size of its numbers.
    pub fn of(scenarios: &[Vec<RunFigures>]) -> Figures {
        let mut values = [0.0; OBJECTIVES];
        for (value, objective) in values.iter_mut().zip(Objective::ALL) {
            let means = scenarios.iter().map(|runs| {
                let sum: f64 = runs.iter().map(|run| run.value(*objective)).sum();
                sum / runs.len().max(1) as f64
            });
            let count = scenarios.len().max(1) as f64;
            *value = if objective.is_count() {
                means.sum::<f64>() / count
            } else {
                (means.map(|mean| mean.max(1e-3).ln()).sum::<f64>() / count).exp()
            };
        }
        Figures(values)
    }

    /// The value of an objective.
    pub fn value(&self, objective: Objective) -> f64 {
        self.0[objective as usize]
    }

    /// How much of `objective` there is in terms of `base`: for a count itself, otherwise as a
    /// multiple of the base's.
    fn relative(&self, base: &Figures, objective: Objective) -> f64 {
        let (value, base) = (self.value(objective), base.value(objective));
        if objective.is_count() || base <= 0.0 { value } else { value / base }
    }
}

/// How much each objective counts, in the order of [`Objective::ALL`]. With weight 0 it does not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights(pub [f64; OBJECTIVES]);

impl Default for Weights {
    /// Messages and the median count alike; the tail and the time without a leader, half of that; a
    /// failed check more than anything can make up for.
    fn default() -> Weights {
        Weights([1.0, 1.0, 0.5, 0.5, 10.0, 0.1, 0.1])
    }
}

impl Weights {
    /// Reads `NAME=WEIGHT,...`. What is not named counts nothing, but for failed checks, which
    /// count as they do by default.
    ///
    /// # Errors
    /// A name that is no objective, a weight that is no number from 0 on, or no weight above 0 but
    /// for counts.
    pub fn parse(text: &str) -> Result<Weights, String> {
        let mut weights = Weights([0.0; OBJECTIVES]);
        let failed = Objective::FailedChecks as usize;
        weights.0[failed] = Weights::default().0[failed];
        for part in text.split(',') {
            let (name, weight) = part
                .split_once('=')
                .ok_or_else(|| format!("{part:?}: must be NAME=WEIGHT, as in p50_latency_us=1"))?;
            let objective = Objective::ALL.iter().find(|objective| objective.name() == name);
            let objective = objective.ok_or_else(|| unknown(name))?;
            let weight: f64 = weight.parse().unwrap_or(f64::NAN);
            if !(0.0..=1e6).contains(&weight) {
                return Err(format!("{part:?}: the weight must be a number from 0 to 1,000,000"));
            }
            weights.0[*objective as usize] = weight;
        }
        if !weights.objectives().any(|objective| !objective.is_count()) {
            return Err("at least one of messages, latencies and time must count".to_owned());
        }
        Ok(weights)
    }

    /// The objectives that count.
    pub fn objectives(&self) -> impl Iterator<Item = Objective> + '_ {
        Objective::ALL.iter().copied().filter(|objective| self.0[*objective as usize] > 0.0)
    }

    /// One number for `figures`: the weighted sum. Less is better; the base has the sum of the
    /// weights of all that is no count, and its counts.
    pub fn score(&self, figures: &Figures, base: &Figures) -> f64 {
        let weighted = |objective: &Objective| {
            self.0[*objective as usize] * figures.relative(base, *objective)
        };
        Objective::ALL.iter().map(weighted).sum()
    }

    /// As [`Weights::parse`] reads them.
    pub fn told(&self) -> String {
        let each = self
            .objectives()
            .map(|objective| format!("{}={}", objective.name(), self.0[objective as usize]));
        each.collect::<Vec<_>>().join(",")
    }
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = Objective::ALL.iter().map(|objective| objective.name()).collect();
    let hint = did_you_mean(name, names.iter().copied());
    let all = if hint.is_empty() { format!("; there are {}", names.join(", ")) } else { hint };
    format!("no objective is called {name:?}{all}")
}

/// A value at the tenth, the half and nine tenths of several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// A tenth of the values are less.
    pub p10: f64,
    /// The median.
    pub median: f64,
    /// A tenth of the values are more.
    pub p90: f64,
}

impl Quantiles {
    /// The quantiles of `values`, each the value that is nearest to its place; all zero if there
    /// are none.
    pub fn of(values: impl Iterator<Item = f64>) -> Quantiles {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1) as f64;
        let at = |share: f64| values.get((last * share).round() as usize).copied();
        let at = |share: f64| at(share).unwrap_or_default();
        Quantiles { p10: at(0.1), median: at(0.5), p90: at(0.9) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(messages: u64, puts: u64, p50_latency_us: u64, unanswered: u64) -> RunFigures {
        let (p99_latency_us, leaderless_us) = (9_000, 1_000_000);
        let (failed_checks, second_answers) = (0, 0);
        RunFigures {
            messages,
            puts,
            p50_latency_us,
            p99_latency_us,
            leaderless_us,
            failed_checks,
            unanswered,
            second_answers,
        }
    }

    #[test]
    fn scenarios_count_alike_whatever_the_size_of_their_numbers() {
        let quick = vec![run(30, 10, 1_000, 0), run(50, 10, 3_000, 2)];
        let slow = vec![run(900, 100, 8_000, 4)];
        let figures = Figures::of(&[quick, slow]);
        let near = |objective, wanted: f64| {
            let value = figures.value(objective);
            assert!((value - wanted).abs() < 1e-9, "{objective:?}: {value}");
        };
        near(Objective::MessagesPerCommit, 6.0);
        near(Objective::P50LatencyUs, 4_000.0);
        near(Objective::Unanswered, 2.5);
        near(Objective::FailedChecks, 0.0);
    }

    #[test]
    fn weights_are_read_as_they_are_told_and_bad_ones_refused_with_what_there_is() {
        let weights = Weights::parse("messages_per_commit=1,p99_latency_us=0.25").unwrap();
        assert_eq!(weights.told(), "messages_per_commit=1,p99_latency_us=0.25,failed_checks=10");
        assert_eq!(Weights::parse(&Weights::default().told()), Ok(Weights::default()));
        for (text, rule) in [
            (
                "p50_latency=1",
                "no objective is called \"p50_latency\", did you mean p50_latency_us?",
            ),
            ("xyz=1", "there are messages_per_commit, p50_latency_us"),
            ("p50_latency_us", "must be NAME=WEIGHT"),
            ("p50_latency_us=-1", "a number from 0"),
            ("p50_latency_us=nan", "a number from 0"),
            ("unanswered=1", "at least one of"),
        ] {
            let refused = Weights::parse(text).unwrap_err();
            assert!(refused.contains(rule), "{text}: {refused}");
        }
    }

    #[test]
    fn a_score_is_a_multiple_of_the_base_and_a_count_is_itself() {
        let weights = Weights::parse("messages_per_commit=2,unanswered=0.5").unwrap();
        let base = Figures::of(&[vec![run(40, 10, 1_000, 1)]]);
        let half = Figures::of(&[vec![run(20, 10, 9_000, 3)]]);
        assert!((weights.score(&base, &base) - 2.5).abs() < 1e-9);
        assert!((weights.score(&half, &base) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let quantiles = Quantiles::of((0..=20).rev().map(f64::from));
        assert_eq!(quantiles, Quantiles { p10: 2.0, median: 10.0, p90: 18.0 });
        assert_eq!(Quantiles::of(std::iter::empty()), Quantiles::default());
        let one = Quantiles::of([7.0].into_iter());
        assert_eq!(one, Quantiles { p10: 7.0, median: 7.0, p90: 7.0 });
    }
}
