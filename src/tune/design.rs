//! Where a search looks: at first everywhere alike, then around what was good.

use super::knobs::{KNOBS, Place, Spread, tuning_at};
use crate::raft::Tuning;
use crate::sim::random_stream::RandomStream;

/// How often another place is drawn where one breaks a rule.
const MOST_DRAWS: usize = 100;

/// A number from 0 to 1, 1 left out.
fn fraction(random: &mut RandomStream) -> f64 {
    random.below(1 << 53) as f64 / (1u64 << 53) as f64
}

/// A Latin hypercube of `count` places: of `count` equal parts of each knob's range, each is drawn
/// from once. A place that breaks a rule is drawn anew within its parts, and left out if that does
/// not help.
pub fn latin_hypercube(base: &Tuning, seed: u64, count: usize) -> Vec<(Place, Tuning)> {
    let mut random = RandomStream::new(seed, "latin hypercube", 0);
    let parts: Vec<Vec<usize>> = KNOBS.iter().map(|_| shuffled(count, &mut random)).collect();
    let draw = |number: usize| {
        (0..MOST_DRAWS).find_map(|_| {
            let place: Place = std::array::from_fn(|row| {
                (parts[row][number] as f64 + fraction(&mut random)) / count as f64
            });
            Some((place, tuning_at(base, &place)?))
        })
    };
    (0..count).filter_map(draw).collect()
}

/// The numbers below `count` in random order.
fn shuffled(count: usize, random: &mut RandomStream) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        numbers.swap(last, random.below(last as u64 + 1) as usize);
    }
    numbers
}

/// `count` places around `parents`, at most `width` away in each knob: each takes some knobs from a
/// second parent, and is then moved. A choice is drawn anew with probability `width`.
pub fn around(
    base: &Tuning,
    parents: &[Place],
    width: f64,
    count: usize,
    random: &mut RandomStream,
) -> Vec<(Place, Tuning)> {
    let mut places = Vec::new();
    for number in 0..count {
        let Some(parent) = parents.get(number % parents.len().max(1)) else {
            break;
        };
        let drawn = (0..MOST_DRAWS).find_map(|_| {
            let other = random.pick(parents).unwrap_or(parent);
            let place: Place = std::array::from_fn(|row| {
                let from = if random.below(4) == 0 { other[row] } else { parent[row] };
                moved(from, KNOBS[row].spread, width, random)
            });
            Some((place, tuning_at(base, &place)?))
        });
        places.extend(drawn);
    }
    places
}

/// `from`, moved by less than `width`, and more often by little. Borders reflect.
fn moved(from: f64, spread: Spread, width: f64, random: &mut RandomStream) -> f64 {
    let (one, other) = (fraction(random), fraction(random));
    if matches!(spread, Spread::Choice(_)) {
        return if one < width { other } else { from };
    }
    let place = (from + width * (one + other - 1.0)).abs();
    if place > 1.0 { 2.0 - place } else { place }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tuning_file;

    #[test]
    fn each_part_of_each_range_is_drawn_from_once() {
        let base = tuning_file::load("course").unwrap().tuning;
        let places = latin_hypercube(&base, 5, 40);
        assert_eq!(places.len(), 40);
        for row in 0..KNOBS.len() {
            let parts: BTreeSet<usize> =
                places.iter().map(|(place, _)| (place[row] * 40.0) as usize).collect();
            assert_eq!(parts.len(), 40, "{}", KNOBS[row].name);
        }
        assert_eq!(places, latin_hypercube(&base, 5, 40));
        assert_ne!(places, latin_hypercube(&base, 6, 40));
    }

    #[test]
    fn places_around_another_are_near_it_and_within_the_range() {
        let base = tuning_file::load("course").unwrap().tuning;
        let mut random = RandomStream::new(1, "test", 0);
        let parents = [[0.01; KNOBS.len()], [0.02; KNOBS.len()]];
        let places = around(&base, &parents, 0.1, 200, &mut random);
        assert_eq!(places.len(), 200);
        for (row, knob) in KNOBS.iter().enumerate() {
            let is_choice = matches!(knob.spread, Spread::Choice(_));
            let near = |place: &Place| (0.0..0.12).contains(&place[row]);
            assert!(is_choice || places.iter().all(|(place, _)| near(place)), "{}", knob.name);
        }
        assert!(around(&base, &[], 0.1, 5, &mut random).is_empty());
    }
}
