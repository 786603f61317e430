//! What a search has found: the front and its floors, what was picked, and what that loses on seeds
//! that it was not searched on.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::TuneError;
use super::experiment::{Experiment, ExperimentError};
use super::figures::{Figures, Objective};
use super::knobs::{KNOBS, put_back};
use super::search::{Runner, Search, Trial};
use super::select::{Shown, Standard};
use crate::budget::BudgetReport;
use crate::raft::Tuning;

/// Most members of a front that are validated and shown.
const MOST_MEMBERS: usize = 12;

/// How much of the base profile's score may be lost by putting knobs back.
const NEXT_TO_NOTHING: f64 = 0.002;

/// A trial that came through in its shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finalist {
    /// Its shard, from 1.
    pub shard: u64,
    /// Its number there; 0 is the base profile.
    pub number: usize,
    /// The knobs.
    pub tuning: Tuning,
    /// What it showed on the seeds of the search.
    pub searched: Figures,
}

/// The least messages per commit that the puts of a run could have cost (design §6); over several
/// scenarios the geometric mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Floors {
    /// If everyone is to notice a dead leader within the shortest election timeout.
    pub everyone: f64,
    /// If f watchers are to.
    pub watchers: f64,
    /// What the course's simulator demands: who says less fails.
    pub simulator: f64,
}

/// A member of the front, or the base profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrontMember {
    /// The trial.
    #[serde(flatten)]
    pub finalist: Finalist,
    /// What it showed on seeds that nothing was searched on.
    pub validated: Figures,
    /// Its floors, on the first seed of the search.
    pub floors: Floors,
    /// By the weights; the base profile has 1.
    pub score: f64,
    /// The same on the seeds for validation.
    pub validated_score: f64,
}

/// Whether anything was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A member of the front is better than the base profile, also on the seeds for validation.
    Picked,
    /// Nothing that was tried is better than the base profile.
    NothingBetter,
    /// What was best on the seeds of the search is not better than the base profile on others.
    LostElsewhere,
}

/// What a search has found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The search.
    pub search: Value,
    /// The seeds that were searched on.
    pub seeds: Vec<u64>,
    /// The seeds for validation.
    pub validation_seeds: Vec<u64>,
    /// The base profile.
    pub base: FrontMember,
    /// The trials that none is better than in everything; the most telling ones if they are many.
    pub front: Vec<FrontMember>,
    /// Whether the first member of the front, the best by the weights, was picked.
    pub verdict: Verdict,
    /// The other trials that came through.
    pub others: Vec<Finalist>,
}

impl Found {
    /// What was picked.
    pub fn picked(&self) -> Option<&FrontMember> {
        self.front.first().filter(|_| self.verdict == Verdict::Picked)
    }
}

/// The finalists of this shard, what its race has left: the base profile, and the trials that came
/// through.
///
/// # Errors
/// As [`Runner::race`].
pub fn finalists(search: &Search, runner: &mut Runner<'_>) -> Result<Vec<Finalist>, TuneError> {
    let shard = search.shard.number;
    let finalist = |(trial, searched): (Trial, Figures)| Finalist {
        shard,
        number: trial.number,
        tuning: trial.tuning,
        searched,
    };
    Ok(runner.race()?.into_iter().map(finalist).collect())
}

/// The front of `finalists`, among which is the base profile as number 0, validated on `count`
/// other seeds.
///
/// # Errors
/// If a run fails or cannot be kept, or the watcher stops it.
pub fn conclude(
    search: &Search,
    runner: &mut Runner<'_>,
    finalists: Vec<Finalist>,
    count: u64,
) -> Result<Found, TuneError> {
    let mut finalists = distinct(finalists);
    let base = finalists.remove(0);
    let standard = Standard { weights: &search.weights, base: &base.searched };
    simplify(search, runner, &standard, &mut finalists)?;
    let mut shown_members = vec![&base];
    shown_members.extend(front(&standard, &finalists));
    let seeds = search.validation_seeds(count);
    let tunings: Vec<&Tuning> = shown_members.iter().map(|member| &member.tuning).collect();
    runner.plan_more(tunings.len() * seeds.len() * search.scenarios.len());
    let validated = runner.figures(&tunings, &seeds)?;
    let of_base = validated[0];
    let whole = standard.score(&base.searched).max(f64::MIN_POSITIVE);
    let elsewhere = Standard { weights: &search.weights, base: &of_base };
    let whole_elsewhere = elsewhere.score(&of_base).max(f64::MIN_POSITIVE);
    let member = |(finalist, validated): (&&Finalist, Figures)| {
        Ok(FrontMember {
            finalist: (*finalist).clone(),
            validated,
            floors: Floors::of(runner.experiments(), &finalist.tuning, search.seed)?,
            score: standard.score(&finalist.searched) / whole,
            validated_score: elsewhere.score(&validated) / whole_elsewhere,
        })
    };
    let members = shown_members.iter().zip(validated).map(member);
    let mut members = members.collect::<Result<Vec<FrontMember>, TuneError>>()?;
    let base = members.remove(0);
    let verdict = match members.first() {
        Some(best) if best.score < 1.0 && is_better_elsewhere(&elsewhere, best) => Verdict::Picked,
        Some(best) if best.score < 1.0 => Verdict::LostElsewhere,
        _ => Verdict::NothingBetter,
    };
    let is_other = |finalist: &Finalist| members.iter().all(|m| m.finalist != *finalist);
    let others = finalists.iter().filter(|finalist| is_other(finalist)).cloned().collect();
    let (searched, search) = (search.seeds(), search.head());
    Ok(Found {
        search,
        seeds: searched,
        validation_seeds: seeds,
        base,
        front: members,
        verdict,
        others,
    })
}

/// The finalists that none is better than in everything and that fail no more checks than the base
/// profile, the best by the weights first; if they are many, the most telling ones.
fn front<'a>(standard: &Standard<'_>, finalists: &'a [Finalist]) -> Vec<&'a Finalist> {
    let shown: Vec<Shown> =
        finalists.iter().map(|finalist| finalist.searched).enumerate().collect();
    let free = standard.front(&shown).into_iter().map(|place| shown[place]);
    let sound: Vec<Shown> = free.filter(|(_, figures)| standard.is_sound(figures)).collect();
    let mut members: Vec<&Finalist> =
        standard.best(&sound, MOST_MEMBERS).into_iter().map(|place| &finalists[place]).collect();
    members.sort_by(|one, other| {
        let score = standard.score(&one.searched).total_cmp(&standard.score(&other.searched));
        score.then(one.shard.cmp(&other.shard)).then(one.number.cmp(&other.number))
    });
    members
}

/// Puts the knobs of the best finalist back to the base profile's, one by one, where that costs
/// next to nothing: a search also moves knobs that do not matter. The others stay as they are.
fn simplify(
    search: &Search,
    runner: &mut Runner<'_>,
    standard: &Standard<'_>,
    finalists: &mut [Finalist],
) -> Result<(), TuneError> {
    let shown: Vec<Shown> =
        finalists.iter().map(|finalist| finalist.searched).enumerate().collect();
    let Some(best) = standard.best(&shown, 1).first().map(|place| &mut finalists[*place]) else {
        return Ok(());
    };
    let whole = standard.score(standard.base);
    let most = standard.score(&best.searched) + whole * NEXT_TO_NOTHING;
    if most >= whole || !standard.is_sound(&best.searched) {
        return Ok(());
    }
    let seeds = search.seeds();
    runner.plan_more(KNOBS.len() * seeds.len() * search.scenarios.len());
    for row in 0..KNOBS.len() {
        let Some(tuning) = put_back(&search.base, &best.tuning, row) else {
            continue;
        };
        let figures = runner.figures(&[&tuning], &seeds)?;
        let simpler = figures
            .first()
            .filter(|figures| standard.score(figures) <= most && standard.is_sound(figures));
        if let Some(searched) = simpler {
            *best = Finalist { tuning, searched: *searched, ..best.clone() };
        }
    }
    Ok(())
}

fn is_better_elsewhere(elsewhere: &Standard<'_>, member: &FrontMember) -> bool {
    member.validated_score < 1.0 && elsewhere.is_sound(&member.validated)
}

/// Each set of knobs once, the base profile first, then in order of shards and numbers.
fn distinct(mut finalists: Vec<Finalist>) -> Vec<Finalist> {
    finalists.sort_by_key(|finalist| (finalist.number > 0, finalist.shard, finalist.number));
    let mut kept: Vec<Finalist> = Vec::new();
    for finalist in finalists {
        if kept.iter().all(|other| other.tuning != finalist.tuning) {
            kept.push(finalist);
        }
    }
    kept
}

impl Floors {
    /// The floors of a run with `tuning` in each scenario.
    fn of(experiments: &[Experiment], tuning: &Tuning, seed: u64) -> Result<Floors, TuneError> {
        let run = |experiment: &Experiment| Ok(floors(&experiment.run(tuning, seed)?.report));
        let of_scenarios: Vec<[f64; 3]> =
            experiments.par_iter().map(run).collect::<Result<_, ExperimentError>>()?;
        let mut logarithms = [0.0; 3];
        for floors in of_scenarios {
            for (sum, floor) in logarithms.iter_mut().zip(floors) {
                *sum += floor.max(1e-3).ln();
            }
        }
        let count = experiments.len().max(1) as f64;
        let [everyone, watchers, simulator] = logarithms.map(|sum: f64| (sum / count).exp());
        Ok(Floors { everyone, watchers, simulator })
    }
}

/// For everyone, for watchers, and the simulator's.
fn floors(report: &BudgetReport) -> [f64; 3] {
    let figure = report.figures.iter().find(|figure| figure.name == "messages_per_commit");
    let simulator = report.references.iter().find(|floor| floor.name == "floor_simulator");
    [
        figure.and_then(|figure| figure.floor).unwrap_or_default(),
        figure.and_then(|figure| figure.watched_floor).unwrap_or_default(),
        simulator.and_then(|floor| floor.per_put).unwrap_or_default(),
    ]
}

/// The change from `base` to `value` of an objective, in percent; none from nothing.
pub fn change_percent(base: &Figures, figures: &Figures, objective: Objective) -> Option<f64> {
    let (base, value) = (base.value(objective), figures.value(objective));
    (base > 0.0).then(|| (value - base) * 100.0 / base)
}
