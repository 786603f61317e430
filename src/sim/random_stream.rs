//! Random numbers of the simulator. Each (seed, purpose, id) has its own stream, so one more draw
//! for one purpose changes no other draws. Integers only, so a run is the same on every platform.

use crate::raft::{Member, MemberSet};
use rand::Rng;
use rand_pcg::Pcg64;

/// A probability, as a threshold that a draw of 32 bits must be below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probability(u64);

impl Probability {
    /// The nearest threshold to `fraction`. A fraction below 0 counts as 0, one above 1 as 1.
    pub fn of(fraction: f64) -> Probability {
        Probability((fraction.clamp(0.0, 1.0) * (1u64 << 32) as f64) as u64)
    }
}

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub struct RandomStream(Pcg64);

impl RandomStream {
    /// The stream of `seed` for `purpose` and, where a purpose has several streams, `id`.
    pub fn new(seed: u64, purpose: &str, id: u64) -> RandomStream {
        let purpose = purpose.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        let state = u128::from(scramble(seed)) << 64 | u128::from(scramble(purpose));
        let stream = u128::from(scramble(purpose ^ seed.rotate_left(32))) << 64 | u128::from(id);
        RandomStream(Pcg64::new(state, stream))
    }

    /// True with probability `probability`.
    pub fn chance(&mut self, probability: Probability) -> bool {
        u64::from(self.0.next_u32()) < probability.0
    }

    /// A number from 0 to `bound` - 1; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product. It differs from uniform by at most bound / 2^64.
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// One of `items`; `None` if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// One of `members`; `None` if there are none.
    pub fn pick_member(&mut self, members: MemberSet) -> Option<Member> {
        members.iter().nth(self.below(members.len() as u64) as usize)
    }
}

/// Spreads a number over 64 bits (the finalizer of SplitMix64). Different numbers give different
/// results.
pub fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(mut random: RandomStream) -> Vec<u64> {
        (0..8).map(|_| random.below(1 << 40)).collect()
    }

    #[test]
    fn a_stream_depends_on_seed_purpose_and_id() {
        let stream = draws(RandomStream::new(1, "drops", 2));
        assert_eq!(stream, draws(RandomStream::new(1, "drops", 2)));
        assert_ne!(stream, draws(RandomStream::new(2, "drops", 2)));
        assert_ne!(stream, draws(RandomStream::new(1, "keys", 2)));
        assert_ne!(stream, draws(RandomStream::new(1, "drops", 3)));
    }

    #[test]
    fn the_numbers_are_the_same_in_every_release() {
        let mut random = RandomStream::new(7, "drops", 1);
        let first: Vec<u64> = (0..6).map(|_| random.below(1000)).collect();
        assert_eq!(first, [495, 595, 251, 309, 634, 964]);
    }

    #[test]
    fn chance_keeps_its_probability() {
        let mut random = RandomStream::new(1, "test", 0);
        let mut hits = |fraction| {
            let probability = Probability::of(fraction);
            (0..10_000).filter(|_| random.chance(probability)).count()
        };
        assert_eq!(hits(0.0), 0);
        assert_eq!(hits(1.0), 10_000);
        let fifth = hits(0.2);
        assert!((1_800..2_200).contains(&fifth), "{fifth}");
    }

    #[test]
    fn below_and_pick_reach_every_value_and_no_other() {
        let mut random = RandomStream::new(1, "test", 0);
        let mut seen = [0; 5];
        for _ in 0..1_000 {
            seen[random.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| count > 120), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), None);
        assert_eq!(random.pick(&["only"]), Some(&"only"));
        assert_eq!(random.pick_member(MemberSet::EMPTY), None);
        assert_eq!(random.pick_member(MemberSet::only(Member(3))), Some(Member(3)));
    }
}
