//! Profiles side by side: each scenario with each profile on the same seeds.

use rayon::prelude::*;
use serde::Serialize;

use super::experiment::{Experiment, ExperimentError};
use super::figures::{Objective, Quantiles, RunFigures};
use crate::budget::{Block, Chart, SpreadPanel, SpreadRow, Table, spreads};
use crate::raft::Tuning;

/// A profile that is compared.
#[derive(Clone, Debug)]
pub struct ComparedProfile {
    /// Its name.
    pub name: String,
    /// Its knobs.
    pub tuning: Tuning,
}

/// One number of one profile in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedRow {
    /// The scenario's name.
    pub scenario: String,
    /// What the number is.
    pub objective: Objective,
    /// The profile's name.
    pub profile: String,
    /// Its values over the seeds.
    #[serde(flatten)]
    pub values: Quantiles,
    /// The change of the median from the first profile, in percent; none for the first one, and
    /// where that had nothing.
    pub change_percent: Option<f64>,
    /// On how many seeds it had less than the first profile.
    pub less_on: u64,
    /// On how many seeds it had more.
    pub more_on: u64,
}

/// Profiles side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The first seed.
    pub seed: u64,
    /// How many seeds, from the first one on.
    pub repeat: u64,
    /// The profiles' names; the others are compared with the first one.
    pub profiles: Vec<String>,
    /// The numbers, by scenario, then by objective, then by profile.
    pub rows: Vec<ComparedRow>,
}

/// Runs each of `experiments`, whose seeds are the same, with each of `profiles`.
///
/// # Errors
/// If a run cannot be done.
pub fn compare(
    experiments: &[Experiment],
    profiles: &[ComparedProfile],
) -> Result<Comparison, ExperimentError> {
    let seeds = experiments.first().map_or(&[][..], |experiment| &experiment.seeds);
    let mut rows = Vec::new();
    for experiment in experiments {
        let runs: Vec<Vec<RunFigures>> = profiles
            .iter()
            .map(|profile| {
                let run = |seed: &u64| experiment.measure(&profile.tuning, *seed);
                experiment.seeds.par_iter().map(run).collect::<Result<_, _>>()
            })
            .collect::<Result<_, _>>()?;
        let name = &experiment.scenario.name;
        for objective in Objective::ALL {
            let of = |(profile, runs): (&ComparedProfile, &Vec<RunFigures>)| {
                (profile.name.clone(), runs.iter().map(|run| run.value(*objective)).collect())
            };
            let values: Vec<(String, Vec<f64>)> = profiles.iter().zip(&runs).map(of).collect();
            rows.extend(compared(name, *objective, &values));
        }
    }
    let profiles = profiles.iter().map(|profile| profile.name.clone()).collect();
    let (seed, repeat) = (seeds.first().copied().unwrap_or_default(), seeds.len() as u64);
    Ok(Comparison { seed, repeat, profiles, rows })
}

/// The rows of one objective: a name and a value for each seed, for each profile.
fn compared(
    scenario: &str,
    objective: Objective,
    profiles: &[(String, Vec<f64>)],
) -> Vec<ComparedRow> {
    let first = profiles.first().map_or(&[][..], |(_, values)| values);
    let base = Quantiles::of(first.iter().copied()).median;
    let row = |(place, (profile, own)): (usize, &(String, Vec<f64>))| {
        let values = Quantiles::of(own.iter().copied());
        let on = |is: fn(&f64, &f64) -> bool| {
            own.iter().zip(first).filter(|(own, first)| is(own, first)).count() as u64
        };
        ComparedRow {
            scenario: scenario.to_owned(),
            objective,
            profile: profile.clone(),
            values,
            change_percent: (place > 0 && base > 0.0)
                .then(|| (values.median - base) * 100.0 / base),
            less_on: on(|own, first| own < first),
            more_on: on(|own, first| own > first),
        }
    };
    profiles.iter().enumerate().map(row).collect()
}

impl Comparison {
    /// The scenarios, in order.
    fn scenarios(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.rows.iter().map(|row| row.scenario.as_str()).collect();
        names.dedup();
        names
    }

    /// The rows of a scenario that tell something: an objective that is 0 everywhere is left out.
    fn telling(&self, scenario: &str) -> Vec<&[ComparedRow]> {
        let groups = self.rows.chunks(self.profiles.len().max(1));
        let of_scenario = groups.filter(|rows| rows[0].scenario == scenario);
        of_scenario.filter(|rows| rows.iter().any(|row| row.values.p90 > 0.0)).collect()
    }

    /// As headings, sentences and tables.
    pub fn document(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for scenario in self.scenarios() {
            blocks.push(Block::Heading(format!(
                "{scenario}, {} seeds from {} in virtual time",
                self.repeat, self.seed
            )));
            let rows = self
                .telling(scenario)
                .into_iter()
                .flat_map(|rows| rows.iter().enumerate().map(|(place, row)| row.cells(place == 0)));
            blocks.push(Block::Table(Table {
                head: vec!["", "profile", "p10", "median", "p90", "change", "less", "more"],
                rows: rows.collect(),
                left: 2,
                bars: None,
            }));
        }
        let first = self.profiles.first().map_or("", String::as_str);
        blocks.push(Block::Paragraph(format!(
            "Change: of the median, from {first}. Less, more: on how many seeds a profile had \
             less, or more, than {first}. What is 0 with every profile is left out."
        )));
        blocks
    }

    /// A panel for each number of each scenario; `None` if there is nothing to draw.
    pub fn chart(&self) -> Option<Chart> {
        let title = format!("Profiles on {} seeds from {}", self.repeat, self.seed);
        let panels = self.scenarios().into_iter().flat_map(|scenario| {
            let draw = move |rows: &[ComparedRow]| SpreadPanel {
                title: format!("{scenario}: {}", rows[0].objective.title()),
                rows: rows.iter().map(ComparedRow::drawn).collect(),
            };
            self.telling(scenario).into_iter().map(draw).collect::<Vec<_>>()
        });
        spreads(&title, &panels.collect::<Vec<_>>())
    }
}

impl ComparedRow {
    fn cells(&self, first: bool) -> Vec<String> {
        let Quantiles { p10, median, p90 } = self.values;
        let title = if first { self.objective.title() } else { "" };
        let mut cells = vec![title.to_owned(), self.profile.clone()];
        cells.extend([p10, median, p90].map(|value| self.objective.told(value)));
        cells
            .push(self.change_percent.map_or_else(String::new, |change| format!("{change:+.1} %")));
        let pairs = [self.less_on, self.more_on].map(|on| on.to_string());
        cells.extend(pairs.map(|on| if first { String::new() } else { on }));
        cells
    }

    fn drawn(&self) -> SpreadRow {
        let Quantiles { p10, median, p90 } = self.values;
        let value = |value| self.objective.told(value);
        let change = self.change_percent.map_or_else(String::new, |c| format!(", {c:+.1} %"));
        SpreadRow {
            name: self.profile.clone(),
            p10,
            median,
            p90,
            told: format!("{} ({} to {}){change}", value(median), value(p10), value(p90)),
        }
    }
}
