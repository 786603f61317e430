//! Makes a failing run smaller: fewer faults, requests and replicas, shorter, and with knobs that
//! are nearer to a profile, as long as the same kind of thing goes wrong.
//!
//! A smaller run draws its random numbers otherwise, so the fault often needs another seed to show.
//! Each smaller case is therefore tried with several.

use serde_json::{Map, Value, json};

use super::case::{Case, Options};
use super::judge::{Violation, ViolationKind};
use super::try_case;
use crate::raft::{Micros, Tuning};
use crate::sim::random_stream::scramble;
use crate::sim::scenario::{FaultKind, Scenario, Whom};

/// With how many seeds a smaller case is tried: with few as long as that gets anywhere, since most
/// cases go wrong again with few or with none.
const SEEDS: [u64; 3] = [8, 32, 128];

/// How many requests a much smaller case has.
const REQUESTS_AFTER_A_LEAP: [u64; 4] = [4, 8, 16, 32];

/// A run that was made smaller.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest case that was found.
    pub case: Case,
    /// What is wrong with it.
    pub violation: Violation,
    /// How many runs it took.
    pub runs: u64,
}

/// Makes `case`, which shows `violation`, as small as `most_runs` runs allow.
pub fn shrink(case: &Case, violation: &Violation, options: &Options, most_runs: u64) -> Shrunk {
    let best = Shrunk { case: case.clone(), violation: violation.clone(), runs: 0 };
    let mut shrinker = Shrinker { options, kind: violation.kind, most_runs, seeds: 0, best };
    for seeds in SEEDS {
        shrinker.seeds = seeds;
        shrinker.shorten();
        shrinker.leap();
        while shrinker.pass() {}
    }
    shrinker.best
}

/// How large a case is: what a reader of its story has to follow.
pub fn size(case: &Case) -> usize {
    let scenario = &case.scenario;
    scenario.network.faults.len() + scenario.events.len() + scenario.requests as usize
}

struct Shrinker<'a> {
    options: &'a Options,
    kind: ViolationKind,
    most_runs: u64,
    /// With how many seeds a smaller case is tried now.
    seeds: u64,
    best: Shrunk,
}

impl Shrinker<'_> {
    /// Tries everything once. Returns whether anything became smaller.
    fn pass(&mut self) -> bool {
        let mut smaller = self.shorten();
        smaller |= self.remove_some(faults_of);
        smaller |= self.remove_some(events_of);
        smaller |= self.ask_less();
        smaller |= self.simplify();
        smaller |= self.shrink_cluster();
        smaller |= self.shorten_faults();
        smaller |= self.untune();
        smaller
    }

    /// Keeps what `change` makes of the best case if the same kind of thing goes wrong. A change
    /// that changes nothing is no success.
    fn attempt(&mut self, change: impl FnOnce(&mut Case)) -> bool {
        let mut changed = self.best.case.clone();
        change(&mut changed);
        if changed == self.best.case || changed.tuning.check().is_err() {
            return false;
        }
        let first = changed.run_seed;
        for number in 0..self.seeds {
            if self.best.runs >= self.most_runs {
                return false;
            }
            self.best.runs += 1;
            changed.run_seed = if number == 0 { first } else { scramble(first ^ number) };
            match try_case(&changed, self.options) {
                Err(violation) if violation.kind == self.kind => {
                    self.best.case = changed;
                    self.best.violation = violation;
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    /// Tries at once what takes small steps long to reach, if they reach it: very few requests, as
    /// often or in the same time.
    fn leap(&mut self) {
        for few in REQUESTS_AFTER_A_LEAP {
            let first = |case: &mut Case| ask_first(case, few.min(case.scenario.requests));
            let thin = |case: &mut Case| case.scenario.requests = few.min(case.scenario.requests);
            if self.attempt(thin) || self.attempt(first) {
                return;
            }
        }
    }

    /// Ends the run soon after it went wrong, and asks nothing after that.
    fn shorten(&mut self) -> bool {
        let mut smaller = false;
        if let Some(at) = self.best.violation.at {
            smaller |= self.attempt(|case| {
                let Scenario { start_wait, lifetime, requests, .. } = case.scenario;
                let asking = at.since(start_wait).min(lifetime);
                let asked = (requests * asking.0 / lifetime.0.max(1)).clamp(1, requests);
                case.scenario.lifetime = Micros((lifetime.0 * asked).div_ceil(requests));
                case.scenario.requests = asked;
                case.scenario.end_wait = case.scenario.end_wait.min(Micros::from_seconds(1));
            });
        }
        smaller | self.attempt(|case| case.scenario.end_wait.0 /= 2)
    }

    /// Removes elements of a list, many at first and then one by one.
    fn remove_some<T: Clone>(&mut self, list: fn(&mut Scenario) -> &mut Vec<T>) -> bool {
        let mut smaller = false;
        let mut count = list(&mut self.best.case.scenario).len();
        while count > 0 {
            let mut first = 0;
            while first < list(&mut self.best.case.scenario).len() {
                let removed = self.attempt(|case| {
                    let list = list(&mut case.scenario);
                    let end = (first + count).min(list.len());
                    list.drain(first..end);
                });
                smaller |= removed;
                first += if removed { 0 } else { count };
            }
            count /= 2;
        }
        smaller
    }

    /// Fewer requests: half of them, as often or in the same time, or the first ones alone.
    fn ask_less(&mut self) -> bool {
        let mut smaller = false;
        let half = |case: &mut Case| case.scenario.requests = case.scenario.requests.div_ceil(2);
        let first_half = |case: &mut Case| {
            let asked = case.scenario.requests.div_ceil(2);
            ask_first(case, asked);
        };
        while self.attempt(half) || self.attempt(first_half) {
            smaller = true;
        }
        for fewer in [8, 4, 2, 1] {
            let less = |case: &mut Case| {
                let asked = case.scenario.requests.saturating_sub(fewer).max(1);
                ask_first(case, asked);
            };
            let fewer = |case: &mut Case| {
                case.scenario.requests = case.scenario.requests.saturating_sub(fewer).max(1);
            };
            while self.attempt(less) || self.attempt(fewer) {
                smaller = true;
            }
        }
        smaller
    }

    /// Takes away what makes a run harder to follow.
    fn simplify(&mut self) -> bool {
        let mut smaller = self.attempt(|case| case.retuning = None);
        smaller |= self.attempt(|case| case.scenario.clock_drift_ppm.clear());
        smaller |= self.attempt(|case| case.through_codec = false);
        smaller |= self.attempt(|case| case.scenario.value_bytes = 0);
        smaller |= self.attempt(|case| case.scenario.burst = 1);
        smaller |= self.attempt(|case| case.scenario.pace = false);
        smaller |= self.attempt(|case| case.precise = true);
        smaller
    }

    /// Fewer replicas. Faults of those that are gone meet others.
    fn shrink_cluster(&mut self) -> bool {
        let mut smaller = false;
        loop {
            let now = self.best.case.scenario.replicas;
            let mut counts =
                [3, 5, now - 1, now - 2].into_iter().filter(|to| (3..now).contains(to));
            if !counts.any(|to| self.attempt(|case| reduce(&mut case.scenario, to))) {
                return smaller;
            }
            smaller = true;
        }
    }

    fn shorten_faults(&mut self) -> bool {
        let mut smaller = false;
        for place in 0..self.best.case.scenario.network.faults.len() {
            let halve = |case: &mut Case| {
                let lasts = &mut case.scenario.network.faults[place].lasts;
                // A millisecond is short enough for a reader.
                lasts.0 = lasts.0.min((lasts.0 / 2).max(1_000));
            };
            while self.attempt(halve) {
                smaller = true;
            }
        }
        smaller
    }

    /// Takes the profile's own knobs, all or one by one.
    fn untune(&mut self) -> bool {
        let name = self.best.case.profile;
        let base = self.options.profiles.iter().find(|(known, _)| *known == name);
        let Some((_, base)) = base.cloned() else {
            return false;
        };
        if self.attempt(|case| case.tuning = base.clone()) {
            return true;
        }
        let mut smaller = false;
        for (knob, value) in differing(&self.best.case.tuning, &base) {
            smaller |= self.attempt(|case| {
                let mut knobs = json!(case.tuning);
                knobs[&knob] = value;
                if let Ok(tuning) = serde_json::from_value(knobs) {
                    case.tuning = tuning;
                }
            });
        }
        smaller
    }
}

fn faults_of(scenario: &mut Scenario) -> &mut Vec<crate::sim::scenario::Fault> {
    &mut scenario.network.faults
}

fn events_of(scenario: &mut Scenario) -> &mut Vec<crate::sim::scenario::Event> {
    &mut scenario.events
}

/// Only the first `asked` requests, when they are asked now.
fn ask_first(case: &mut Case, asked: u64) {
    let Scenario { lifetime, requests, .. } = case.scenario;
    case.scenario.lifetime = Micros((lifetime.0 * asked).div_ceil(requests.max(1)));
    case.scenario.requests = asked;
}

/// The scenario with the first `replicas` of its replicas.
fn reduce(scenario: &mut Scenario, replicas: usize) {
    scenario.replicas = replicas;
    scenario.clock_drift_ppm.truncate(replicas);
    let all = crate::raft::MemberSet::all(replicas);
    let within = |whom: &mut Whom| {
        if let Whom::Replica(member) = whom {
            member.0 %= replicas as u8;
        }
    };
    for fault in &mut scenario.network.faults {
        match &mut fault.kind {
            FaultKind::Cut { from, to } => (from.0, to.0) = (from.0 & all.0, to.0 & all.0),
            FaultKind::Split { side } => side.0 &= all.0,
            FaultKind::Mute { whom }
            | FaultKind::Deaf { whom }
            | FaultKind::Pause { whom }
            | FaultKind::Slow { whom, .. }
            | FaultKind::SmallSocket { whom, .. } => within(whom),
            FaultKind::Loss { .. } | FaultKind::Delay { .. } | FaultKind::Duplicates { .. } => {}
        }
    }
}

/// The knobs in which `tuning` differs from `base`, each with the value that it has in `base`.
pub(super) fn differing(tuning: &Tuning, base: &Tuning) -> Map<String, Value> {
    let (tuning, base) = (json!(tuning), json!(base));
    let knobs = base.as_object().into_iter().flatten();
    let differs = knobs.filter(|(knob, value)| tuning[knob.as_str()] != **value);
    differs.map(|(knob, value)| (knob.clone(), value.clone())).collect()
}
