//! Puts that arrive at a leader: when each comes.

use laconic::raft::Micros;
use laconic::sim::random_stream::RandomStream;

/// The gaps between the requests of one edge of the course's simulator, in microseconds: quantiles
/// in steps of 10 % (interface §4; the same as `request_us` of `src/sim/delays.json`).
pub const EDGE_GAPS_US: [u64; 11] = [82, 92, 104, 117, 131, 148, 207, 291, 407, 571, 800];

/// A draw from the exponential distribution with mean `mean`, in the unit of `mean`. By comparisons
/// of uniform numbers alone (von Neumann 1951, Various techniques used in connection with random
/// digits): no logarithm, so it is the same on every platform.
pub fn exponential(random: &mut RandomStream, mean: u64) -> u64 {
    const ONE: u64 = 1 << 32;
    for whole in 0.. {
        let first = random.below(ONE);
        let (mut last, mut draws) = (first, 1);
        loop {
            let next = random.below(ONE);
            draws += 1;
            if next > last {
                break;
            }
            last = next;
        }
        // The numbers fell for an odd number of draws: `first` is the fraction.
        if draws % 2 == 0 {
            let scaled = u128::from(whole * ONE + first) * u128::from(mean);
            return ((scaled + u128::from(ONE / 2)) >> 32) as u64;
        }
    }
    unreachable!("each turn ends with probability 1 - 1/e")
}

/// `count` arrivals with gaps that `gap` draws.
fn with_gaps(count: usize, mut gap: impl FnMut() -> u64) -> Vec<Micros> {
    let mut now = 1_000;
    let mut next = || {
        now += gap();
        Micros(now)
    };
    (0..count).map(|_| next()).collect()
}

/// Arrivals of a Poisson process with this mean gap.
pub fn poisson(seed: u64, count: usize, mean_gap_us: u64) -> Vec<Micros> {
    let mut random = RandomStream::new(seed, "poisson", 0);
    with_gaps(count, || exponential(&mut random, mean_gap_us))
}

/// How many puts an edge brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burst {
    /// 1 or 2, now and then 3: as simple-2 does.
    Course,
    /// Always as many.
    Constant(u64),
    /// From 1 to as many, each equally likely.
    Uniform(u64),
    /// A geometric number with this mean.
    Geometric(u64),
}

impl Burst {
    /// The most puts that an edge brings. A geometric number has no limit: a thousandth of a
    /// thousandth of all bursts are longer than this.
    pub fn most(self) -> u64 {
        match self {
            Burst::Course => 3,
            Burst::Constant(count) | Burst::Uniform(count) => count,
            Burst::Geometric(mean) => mean * 14,
        }
    }

    /// The probability that another put follows put `count` of the edge.
    pub fn goes_on(self, count: u64) -> f64 {
        if count >= self.most() {
            return 0.0;
        }
        match self {
            Burst::Course => [0.3, 1.0 / 3.0][count as usize - 1],
            Burst::Constant(_) => 1.0,
            Burst::Uniform(most) => (most - count) as f64 / (most - count + 1) as f64,
            Burst::Geometric(mean) => (mean - 1) as f64 / mean as f64,
        }
    }

    /// How many puts an edge brings on average.
    pub fn mean(self) -> f64 {
        let (mut reached, mut mean) = (1.0, 0.0);
        for count in 1..=self.most() {
            mean += reached;
            reached *= self.goes_on(count);
        }
        mean
    }

    fn draw(self, random: &mut RandomStream) -> u64 {
        match self {
            Burst::Course => [1, 1, 1, 1, 1, 1, 1, 2, 2, 3][random.below(10) as usize],
            Burst::Constant(count) => count,
            Burst::Uniform(most) => 1 + random.below(most),
            Burst::Geometric(mean) => {
                let mut count = 1;
                while random.below(mean) > 0 {
                    count += 1;
                }
                count
            }
        }
    }
}

/// Bursts at edges 100 ms apart, whose puts the course's simulator creates one by one.
pub fn bursts(seed: u64, count: usize, burst: Burst) -> Vec<Micros> {
    let mut random = RandomStream::new(seed, "bursts", 0);
    let (mut edge, mut arrivals) = (0, Vec::new());
    while arrivals.len() < count {
        edge += 100_000;
        let mut now = edge;
        for _ in 0..burst.draw(&mut random) {
            let place = random.below(10) as usize;
            let (low, high) = (EDGE_GAPS_US[place], EDGE_GAPS_US[place + 1]);
            now += low + random.below(high - low);
            arrivals.push(Micros(now));
        }
        edge = edge.max(now / 100_000 * 100_000);
    }
    arrivals
}

/// A Poisson process whose rate is ten times as high in every second stretch of `stretch` arrivals.
pub fn changing(seed: u64, count: usize, mean_gap_us: u64, stretch: usize) -> Vec<Micros> {
    let mut random = RandomStream::new(seed, "changing", 0);
    let mut place = 0;
    with_gaps(count, || {
        let fast = (place / stretch) % 2 == 1;
        place += 1;
        exponential(&mut random, if fast { mean_gap_us / 10 } else { mean_gap_us })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_numbers_have_their_mean_and_no_memory() {
        let mut random = RandomStream::new(1, "exponential", 0);
        let draws: Vec<u64> = (0..100_000).map(|_| exponential(&mut random, 1_000)).collect();
        let mean = draws.iter().sum::<u64>() as f64 / draws.len() as f64;
        assert!((mean - 1_000.0).abs() < 15.0, "{mean}");
        // Of those that are longer than one mean, and than two, 1/e are longer by one more.
        for limit in [0, 1_000, 2_000] {
            let longer = |limit| draws.iter().filter(|draw| **draw > limit).count() as f64;
            let share = longer(limit + 1_000) / longer(limit);
            assert!((share - (-1.0_f64).exp()).abs() < 0.02, "past {limit}: {share}");
        }
    }

    #[test]
    fn bursts_have_the_gaps_of_the_course_and_the_puts_that_they_say() {
        for burst in [Burst::Course, Burst::Constant(3), Burst::Uniform(8), Burst::Geometric(4)] {
            let arrivals = bursts(1, 50_000, burst);
            let mut gaps: Vec<u64> =
                arrivals.windows(2).map(|pair| pair[1].since(pair[0]).0).collect();
            gaps.retain(|gap| *gap < 1_000);
            gaps.sort_unstable();
            let quantile = |percent: usize| gaps[gaps.len() * percent / 100];
            let found = [10, 50, 90].map(quantile);
            for (found, told) in found.into_iter().zip([92, 148, 571]) {
                assert!(found.abs_diff(told) * 100 <= told * 4, "{burst:?}: {found}, not {told}");
            }
            let mean = burst.mean();
            let puts = arrivals.len() as f64 / (arrivals.len() - gaps.len()) as f64;
            assert!((puts / mean - 1.0).abs() < 0.02, "{burst:?}: {puts} puts, not {mean}");
        }
    }

    #[test]
    fn the_rate_changes_tenfold_in_turn() {
        let arrivals = changing(1, 40_000, 1_000, 10_000);
        let lasted = |stretch: usize| {
            arrivals[(stretch + 1) * 10_000 - 1].since(arrivals[stretch * 10_000]).0
        };
        for slow in [0, 2] {
            let ratio = lasted(slow) as f64 / lasted(slow + 1) as f64;
            assert!((9.5..10.5).contains(&ratio), "{ratio}");
        }
    }
}
