//! A search over the knobs: a race in several generations.
//!
//! # Why a race, and no optimiser
//!
//! A run costs about 2 ms, the objectives are noisy, and there are several of them. A model of the
//! surface (Bayesian optimisation) would cost more than the runs that it saves, and needs a crate
//! that is kept; gradients do not exist, since some knobs are choices. What pays is to spend little
//! on what is bad. So each generation is a race by successive halving (Jamieson and Talwalkar
//! 2016): all its trials are run on one seed, the better half on two, the better half of these on
//! four, and so on. The first generation is a Latin hypercube, which looks everywhere alike. Each
//! later one looks around what came through, closer each time (iterated racing: López-Ibáñez and
//! others 2016). All trials run on the same seeds, so what differs is the knobs.
//!
//! A *trial* is one set of knobs that is tried. The base profile is trial 0, on all seeds, so
//! nothing is chosen that is not better than that.
//!
//! The same search gives the same result, whatever the number of threads, and whether it was
//! interrupted: what is drawn next depends on the results alone, never on when they came. The
//! journal only spares runs.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::design::{around, latin_hypercube};
use super::error::TuneError;
use super::experiment::Experiment;
use super::figures::{Figures, RunFigures, Weights};
use super::journal::{Journal, RunKey};
use super::knobs::{Place, place_of};
use super::select::{Shown, Standard};
use crate::journal::Shard;
use crate::raft::Tuning;
use crate::sim::random_stream::RandomStream;
use crate::sim::scenario::Scenario;

/// Version of the journal's and the result's form, and of what their numbers mean.
pub const SCHEMA: u32 = 2;
/// On how many seeds the trials that are left have been run, rung by rung.
const RUNGS: [usize; 5] = [1, 2, 4, 8, 16];
/// On how many seeds a trial is run that comes through.
pub const SEEDS: usize = RUNGS[RUNGS.len() - 1];
/// How far around its parents each generation looks, as a share of each range. The first looks
/// everywhere.
const WIDTHS: [f64; 4] = [1.0, 0.25, 0.12, 0.06];
/// Most trials that are kept from generation to generation.
const MOST_ELITES: usize = 24;
/// The seeds for validation begin so far above those of the search.
const VALIDATION_SEEDS: u64 = 1_000_000;

/// A search, as it is asked for.
#[derive(Clone, Debug)]
pub struct Search {
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
    /// The base profile's name.
    pub profile: String,
    /// The base profile's knobs.
    pub base: Tuning,
    /// Whether events fire exactly when they are due.
    pub precise: bool,
    /// The first seed, of the trials and of all that is drawn.
    pub seed: u64,
    /// Runs to spend, in all shards together.
    pub runs: u64,
    /// How much each objective counts.
    pub weights: Weights,
    /// Which part of the search is done.
    pub shard: Shard,
}

/// A set of knobs that is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its number, in the order in which trials were drawn; 0 is the base profile.
    pub number: usize,
    /// The knobs.
    pub tuning: Tuning,
    place: Place,
}

/// How far a search is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Runs that are done.
    pub done: u64,
    /// Runs that are done at its end, within a few.
    pub planned: u64,
    /// Trials that none is better than in everything, of those that came through so far.
    pub front: usize,
    /// The base profile's and the best trial's figures so far.
    pub best: Option<(Figures, Figures)>,
}

/// Who watches a search, and may end it.
pub trait Watcher: Sync {
    /// Told after each run.
    fn on_progress(&self, progress: Progress);
    /// Asked before each run: whether the search is to end here.
    fn is_stopped(&self) -> bool;
}

impl Search {
    /// All that decides the result, but for which shard it is.
    pub fn head(&self) -> Value {
        let scenario =
            |scenario: &Scenario| json!({"name": scenario.name, "scenario": scenario.to_json()});
        json!({
            "schema": SCHEMA,
            "laconic_version": env!("CARGO_PKG_VERSION"),
            "scenarios": self.scenarios.iter().map(scenario).collect::<Vec<_>>(),
            "profile": self.profile,
            "base": self.base,
            "precise": self.precise,
            "seed": self.seed,
            "runs": self.runs,
            "weights": self.weights,
            "shards": self.shard.of,
        })
    }

    /// The names of its scenarios.
    pub fn scenario_names(&self) -> String {
        let names: Vec<&str> =
            self.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
        names.join(", ")
    }

    /// The command that does the search again.
    pub fn command(&self) -> String {
        let names = self.scenario_names().replace(", ", " ");
        let precise = if self.precise { " --precise" } else { "" };
        let Search { profile, seed, runs, .. } = self;
        let objective = if self.weights == Weights::default() {
            String::new()
        } else {
            format!(" --objective {}", self.weights.told())
        };
        let runs = format!("--profile {profile} --runs {runs} --seed {seed}");
        format!("laconic tune {names} {runs}{objective}{precise}")
    }

    /// As [`Search::head`], with the shard.
    pub fn head_of_shard(&self) -> Value {
        let mut head = self.head();
        head["shard"] = json!(self.shard.number);
        head
    }

    /// The seeds of the search.
    pub fn seeds(&self) -> Vec<u64> {
        (0..SEEDS as u64).map(|place| self.seed.wrapping_add(place)).collect()
    }

    /// Seeds that the search does not use.
    pub fn validation_seeds(&self, count: u64) -> Vec<u64> {
        let first = self.seed.wrapping_add(VALIDATION_SEEDS);
        (0..count).map(|place| first.wrapping_add(place)).collect()
    }

    /// How often each scenario may be run, with any knobs and seed, by this shard.
    fn rounds(&self) -> usize {
        let runs = self.runs / self.shard.of.max(1);
        usize::try_from(runs / self.scenarios.len().max(1) as u64).unwrap_or(usize::MAX)
    }

    /// How many trials each generation begins with.
    ///
    /// # Errors
    /// If it is fewer than two.
    fn entrants(&self) -> Result<usize, TuneError> {
        let of_generation = self.rounds().saturating_sub(SEEDS) / WIDTHS.len();
        let entrants = (2..).take_while(|entrants| cost(*entrants) <= of_generation).last();
        entrants.ok_or_else(|| {
            let rounds = (SEEDS + WIDTHS.len() * cost(2)) as u64;
            TuneError::TooFewRuns {
                runs: self.runs,
                least: rounds * self.scenarios.len() as u64 * self.shard.of,
                scenarios: self.scenarios.len(),
                shards: self.shard.of,
            }
        })
    }

    /// Checks that there are runs enough.
    ///
    /// # Errors
    /// If not.
    pub fn check(&self) -> Result<(), TuneError> {
        self.entrants().map(drop)
    }
}

/// How often each scenario is run in a race of `entrants` trials.
fn cost(entrants: usize) -> usize {
    let mut before = 0;
    let rungs = RUNGS.iter().enumerate().map(|(rung, seeds)| {
        let new = seeds - std::mem::replace(&mut before, *seeds);
        alive(entrants, rung) * new
    });
    rungs.sum()
}

/// How many of `entrants` trials are left on `rung`.
fn alive(entrants: usize, rung: usize) -> usize {
    entrants.div_ceil(1 << rung)
}

/// Runs trials, unless the journal has them.
pub struct Runner<'a> {
    search: &'a Search,
    journal: &'a Journal,
    watcher: &'a dyn Watcher,
    experiments: Vec<Experiment>,
    planned: u64,
    front: usize,
    best: Option<(Figures, Figures)>,
}

impl<'a> Runner<'a> {
    /// For `search`, whose journal is `journal`.
    pub fn new(search: &'a Search, journal: &'a Journal, watcher: &'a dyn Watcher) -> Runner<'a> {
        let experiments = search.scenarios.iter().map(|scenario| Experiment {
            scenario: scenario.clone(),
            tuning: search.base.clone(),
            precise: search.precise,
            seeds: Vec::new(),
        });
        let experiments = experiments.collect();
        Runner { search, journal, watcher, experiments, planned: 0, front: 0, best: None }
    }

    /// The scenarios as experiments.
    pub fn experiments(&self) -> &[Experiment] {
        &self.experiments
    }

    /// There will be `runs` more than those that are done, for who watches.
    pub fn plan_more(&mut self, runs: usize) {
        self.planned = self.journal.runs_done() + runs as u64;
    }

    /// Runs each of `tunings` on each of `seeds` in each scenario, and returns what each showed.
    ///
    /// # Errors
    /// If a run fails or cannot be kept, or the watcher stops it.
    pub fn figures(&self, tunings: &[&Tuning], seeds: &[u64]) -> Result<Vec<Figures>, TuneError> {
        let runs = self.runs(tunings, seeds)?;
        Ok(runs.iter().map(|scenarios| Figures::of(scenarios)).collect())
    }

    /// As [`Runner::figures`]: for each of `tunings` and each scenario, the runs.
    ///
    /// # Errors
    /// As [`Runner::figures`].
    pub fn runs(
        &self,
        tunings: &[&Tuning],
        seeds: &[u64],
    ) -> Result<Vec<Vec<Vec<RunFigures>>>, TuneError> {
        let scenarios = 0..self.experiments.len();
        let prints: Vec<u64> = tunings.iter().map(|tuning| fingerprint(tuning)).collect();
        let keys = (0..tunings.len()).flat_map(|place| {
            let tuning = prints[place];
            scenarios.clone().flat_map(move |scenario| {
                seeds.iter().map(move |seed| (place, RunKey { tuning, scenario, seed: *seed }))
            })
        });
        let mut missing: Vec<(usize, RunKey)> =
            keys.filter(|(_, key)| self.journal.get(key).is_none()).collect();
        // Equal knobs under two numbers are run once.
        let mut seen = std::collections::HashSet::with_hasher(rustc_hash::FxBuildHasher);
        missing.retain(|(_, key)| seen.insert(*key));
        let done = AtomicU64::new(self.journal.runs_done());
        missing.par_iter().try_for_each(|(place, key)| {
            if self.watcher.is_stopped() {
                let (done, planned) = (self.journal.runs_done(), self.planned);
                return Err(TuneError::Interrupted { done, planned: planned.max(done) });
            }
            let figures = self.experiments[key.scenario].measure(tunings[*place], key.seed)?;
            self.journal.keep(*key, figures)?;
            self.tell(done.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(())
        })?;
        let run = |tuning: u64, scenario: usize, seed: &u64| {
            self.journal.get(&RunKey { tuning, scenario, seed: *seed })
        };
        let of_scenario = |tuning: u64, scenario: usize| {
            seeds.iter().filter_map(|seed| run(tuning, scenario, seed)).collect()
        };
        let of_tuning = |tuning: &u64| {
            scenarios.clone().map(|scenario| of_scenario(*tuning, scenario)).collect()
        };
        Ok(prints.iter().map(of_tuning).collect())
    }

    fn tell(&self, done: u64) {
        let (front, best) = (self.front, self.best);
        let planned = self.planned.max(done);
        self.watcher.on_progress(Progress { done, planned, front, best });
    }

    /// Does the search: the base profile first, then the trials that came through, each with what
    /// it showed on all [`SEEDS`].
    ///
    /// # Errors
    /// If there are too few runs, a run fails or cannot be kept, or the watcher stops it.
    pub fn race(&mut self) -> Result<Vec<(Trial, Figures)>, TuneError> {
        let search = self.search;
        let entrants = search.entrants()?;
        let rounds = SEEDS + WIDTHS.len() * cost(entrants);
        self.planned = (rounds * search.scenarios.len()) as u64;
        let place = place_of(&search.base);
        let base = Trial { number: 0, tuning: search.base.clone(), place };
        let of_base = self.base_by_rung()?;
        let mut elites = vec![(base, of_base[RUNGS.len() - 1])];
        let mut numbers = 1..;
        for (generation, width) in WIDTHS.iter().enumerate() {
            let places = if generation == 0 {
                self.first_places(entrants)
            } else {
                let parents: Vec<Place> = elites.iter().map(|(trial, _)| trial.place).collect();
                let id = generation as u64 * search.shard.of + search.shard.number;
                let mut random = RandomStream::new(search.seed, "around", id);
                around(&search.base, &parents, *width, entrants, &mut random)
            };
            let trials: Vec<Trial> = places
                .into_iter()
                .zip(&mut numbers)
                .map(|((place, tuning), number)| Trial { number, tuning, place })
                .collect();
            elites.extend(self.halve(trials, &of_base)?);
            self.keep_best(&mut elites);
        }
        Ok(elites)
    }

    /// This shard's part of the Latin hypercube of all.
    fn first_places(&self, entrants: usize) -> Vec<(Place, Tuning)> {
        let Shard { number, of } = self.search.shard;
        let all = latin_hypercube(&self.search.base, self.search.seed, entrants * of as usize);
        let own = all.into_iter().skip(number as usize - 1).step_by(of as usize);
        own.collect()
    }

    /// What the base profile shows on the seeds of each rung.
    fn base_by_rung(&self) -> Result<[Figures; RUNGS.len()], TuneError> {
        let seeds = self.search.seeds();
        let runs = self.runs(&[&self.search.base], &seeds)?;
        Ok(RUNGS.map(|count| {
            let first = runs[0].iter().map(|runs| runs[..count].to_vec());
            Figures::of(&first.collect::<Vec<_>>())
        }))
    }

    /// Runs `trials` on more and more seeds, and drops the worse half each time.
    fn halve(
        &self,
        mut trials: Vec<Trial>,
        of_base: &[Figures; RUNGS.len()],
    ) -> Result<Vec<(Trial, Figures)>, TuneError> {
        let (entrants, seeds) = (trials.len(), self.search.seeds());
        let mut figures = Vec::new();
        for (rung, count) in RUNGS.iter().enumerate() {
            let tunings: Vec<&Tuning> = trials.iter().map(|trial| &trial.tuning).collect();
            figures = self.figures(&tunings, &seeds[..*count])?;
            if rung + 1 < RUNGS.len() {
                let shown: Vec<Shown> = figures.iter().copied().enumerate().collect();
                let standard = Standard { weights: &self.search.weights, base: &of_base[rung] };
                let mut kept = standard.best(&shown, alive(entrants, rung + 1));
                kept.sort_unstable();
                trials = kept.into_iter().map(|place| trials[place].clone()).collect();
            }
        }
        Ok(trials.into_iter().zip(figures).collect())
    }

    /// Drops from `elites` all but the best, the base profile always among them, and tells how far
    /// the search is.
    fn keep_best(&mut self, elites: &mut Vec<(Trial, Figures)>) {
        let base = elites[0].1;
        let standard = Standard { weights: &self.search.weights, base: &base };
        let mut known: Vec<&Tuning> = Vec::new();
        let mut shown: Vec<Shown> = Vec::new();
        for (place, (trial, figures)) in elites.iter().enumerate() {
            if !known.contains(&&trial.tuning) {
                known.push(&trial.tuning);
                shown.push((place, *figures));
            }
        }
        let best = standard.best(&shown, MOST_ELITES);
        self.front = standard.front(&shown).len();
        self.best = best.first().map(|place| (base, elites[*place].1));
        let mut kept: Vec<usize> = best.into_iter().filter(|place| *place > 0).collect();
        kept.truncate(MOST_ELITES - 1);
        kept.sort_unstable();
        let places = std::iter::once(0).chain(kept);
        *elites = places.map(|place| elites[place].clone()).collect();
    }
}

/// A number for a set of knobs, the same wherever they are the same.
pub fn fingerprint(tuning: &Tuning) -> u64 {
    xxh3_64(json!(tuning).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_costs_what_is_planned() {
        assert_eq!(cost(2), 2 + 1 + 2 + 4 + 8);
        assert_eq!(cost(16), 16 + 8 + 4 * 2 + 2 * 4 + 8);
        assert!((0..1_000).all(|entrants| cost(entrants) <= cost(entrants + 1)));
    }
}
