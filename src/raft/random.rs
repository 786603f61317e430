//! The core's own random numbers: one draw for each election timeout, from the caller's seed.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every platform.
#[derive(Clone, Debug, Hash)]
pub struct Random(u64);

impl Random {
    /// A stream for this seed and member.
    pub fn new(seed: u64, member: u8) -> Random {
        let mut random = Random(seed ^ (u64::from(member) + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number from `low` to `high`, both included. Where there is no choice, nothing is drawn.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if low == high {
            return low;
        }
        let span = u128::from(high.saturating_sub(low)) + 1;
        low + ((u128::from(self.next()) * span) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers from seed 0, as the authors' program prints them.
    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random(0);
        let numbers = [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F];
        assert_eq!([random.next(), random.next(), random.next()], numbers);
    }

    #[test]
    fn both_bounds_are_drawn_and_nothing_beyond() {
        let mut random = Random::new(1, 2);
        let drawn: std::collections::BTreeSet<u64> =
            (0..99).map(|_| random.between(5, 7)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [5, 6, 7]);
    }
}
