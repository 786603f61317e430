//! Which of several trials are better: by the weights, and by what each gives up for the others.

use super::figures::{Figures, Objective, Weights};

/// A trial's number, and what it showed.
pub type Shown = (usize, Figures);

/// What trials are compared by.
#[derive(Clone, Copy, Debug)]
pub struct Standard<'a> {
    /// How much each objective counts.
    pub weights: &'a Weights,
    /// What the base profile showed on the same seeds.
    pub base: &'a Figures,
}

impl Standard<'_> {
    /// Less is better.
    pub fn score(&self, figures: &Figures) -> f64 {
        self.weights.score(figures, self.base)
    }

    /// Checks failed beyond those that the base fails. Nothing makes up for them.
    fn excess(&self, figures: &Figures) -> f64 {
        let failed = Objective::FailedChecks;
        (figures.value(failed) - self.base.value(failed)).max(0.0)
    }

    /// Whether it fails no more checks than the base.
    pub fn is_sound(&self, figures: &Figures) -> bool {
        self.excess(figures) == 0.0
    }

    /// Whether `one` is nowhere worse than `other`, and somewhere better. Who fails more checks
    /// than the base is worse than who does not, whatever else it shows.
    fn dominates(&self, one: &Figures, other: &Figures) -> bool {
        let (excess, other_excess) = (self.excess(one), self.excess(other));
        if excess != other_excess {
            return excess < other_excess;
        }
        let mut better = false;
        for objective in self.weights.objectives() {
            let (one, other) = (one.value(objective), other.value(objective));
            if one > other {
                return false;
            }
            better |= one < other;
        }
        better
    }

    /// The trials that none dominates, in order of their numbers.
    pub fn front(&self, trials: &[Shown]) -> Vec<usize> {
        let free = trials
            .iter()
            .filter(|(_, figures)| !trials.iter().any(|(_, other)| self.dominates(other, figures)));
        free.map(|(number, _)| *number).collect()
    }

    /// The numbers of the `count` best: half of them by the weights; the others by fronts, the
    /// first one, then the front of those that are left, and so on, and within a front those first
    /// that lie furthest from their neighbours (NSGA-II, Deb and others 2002). So a search goes
    /// where the weights point, and keeps what else is worth having.
    pub fn best(&self, trials: &[Shown], count: usize) -> Vec<usize> {
        let mut by_score: Vec<&Shown> = trials.iter().collect();
        by_score.sort_by(|one, other| {
            let excess = self.excess(&one.1).total_cmp(&self.excess(&other.1));
            let score = self.score(&one.1).total_cmp(&self.score(&other.1));
            excess.then(score).then(one.0.cmp(&other.0))
        });
        let mut chosen: Vec<usize> =
            by_score.iter().take(count.div_ceil(2)).map(|(number, _)| *number).collect();
        let mut left: Vec<Shown> = trials.to_vec();
        while chosen.len() < count && !left.is_empty() {
            let front = self.front(&left);
            let (first, rest): (Vec<Shown>, Vec<Shown>) =
                left.into_iter().partition(|(number, _)| front.contains(number));
            let spread = self.by_distance(&first).into_iter();
            let new: Vec<usize> = spread.filter(|number| !chosen.contains(number)).collect();
            chosen.extend(new);
            left = rest;
        }
        chosen.truncate(count);
        chosen
    }

    /// The trials of a front, those first that lie furthest from their neighbours.
    fn by_distance(&self, front: &[Shown]) -> Vec<usize> {
        let mut distances = vec![0.0; front.len()];
        for objective in self.weights.objectives() {
            let value = |place: usize| front[place].1.value(objective);
            let mut order: Vec<usize> = (0..front.len()).collect();
            order.sort_by(|one, other| {
                value(*one).total_cmp(&value(*other)).then(front[*one].0.cmp(&front[*other].0))
            });
            let (Some(first), Some(last)) = (order.first(), order.last()) else {
                continue;
            };
            let range = value(*last) - value(*first);
            if range <= 0.0 {
                continue;
            }
            distances[*first] = f64::INFINITY;
            distances[*last] = f64::INFINITY;
            for near in order.windows(3) {
                distances[near[1]] += (value(near[2]) - value(near[0])) / range;
            }
        }
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|one, other| {
            distances[*other].total_cmp(&distances[*one]).then(front[*one].0.cmp(&front[*other].0))
        });
        order.into_iter().map(|place| front[place].0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages, median and failed checks; all else is the same.
    fn shown(number: usize, messages: f64, p50_us: f64, failed: f64) -> Shown {
        (number, Figures([messages, p50_us, 9_000.0, 1e6, failed, 0.0, 0.0]))
    }

    fn with<T>(look: impl FnOnce(Standard<'_>) -> T) -> T {
        let weights = Weights::parse("messages_per_commit=1,p50_latency_us=1").unwrap();
        let base = shown(0, 4.0, 1_000.0, 0.0).1;
        look(Standard { weights: &weights, base: &base })
    }

    #[test]
    fn the_front_is_what_none_is_better_than_in_everything() {
        let trials = [
            shown(0, 4.0, 1_000.0, 0.0),
            shown(1, 3.0, 1_500.0, 0.0),
            shown(2, 3.0, 1_600.0, 0.0),
            shown(3, 5.0, 900.0, 0.0),
            shown(4, 1.0, 100.0, 0.5),
        ];
        with(|standard| {
            assert_eq!(standard.front(&trials), [0, 1, 3]);
            assert!(!standard.is_sound(&trials[4].1) && standard.is_sound(&trials[2].1));
        });
    }

    #[test]
    fn the_best_are_half_by_the_weights_and_half_by_their_fronts() {
        let trials = [
            shown(0, 4.0, 1_000.0, 0.0),
            shown(1, 3.9, 1_010.0, 0.0),
            shown(2, 3.8, 1_020.0, 0.0),
            shown(3, 2.0, 9_000.0, 0.0),
            shown(4, 9.0, 500.0, 0.0),
            shown(5, 1.0, 100.0, 1.0),
        ];
        with(|standard| {
            assert_eq!(standard.best(&trials, 1), [2]);
            assert_eq!(standard.best(&trials, 4), [2, 1, 3, 4]);
            assert_eq!(standard.best(&trials, 9).len(), 6);
            // Who fails more than the base comes last, however cheap.
            assert_eq!(standard.best(&trials, 6).last(), Some(&5));
        });
    }
}
