//! The optimum offline: what it would have cost to know all arrivals in advance.

use laconic::raft::Micros;

/// The least cost, in microseconds, of batches that cost `price_us` each and of the time that puts
/// wait until their batch goes. `arrivals` rise.
///
/// A batch best goes when its last put comes. So `best[j] = min over i of best[i] + price + what
/// puts i to j-1 wait for put j-1`.
pub fn optimum(arrivals: &[Micros], price_us: u64) -> u64 {
    let mut best = vec![0; arrivals.len() + 1];
    for (last, &at) in arrivals.iter().enumerate() {
        let (mut least, mut waited, mut first_worth) = (u64::MAX, 0, 0);
        // Let a batch hold puts i to j. If it is cut before put k, it costs one more message, and
        // the k - i puts before wait (at j - at k-1) less each. So in an optimal batch
        // (k - i) * (at j - at k-1) <= price for each k, which bounds i from below.
        for first in (0..=last).rev() {
            let since = at.since(arrivals[first]).0;
            waited += since;
            if let Some(most_before) = price_us.checked_div(since) {
                first_worth = first_worth.max((first + 1).saturating_sub(most_before as usize));
            }
            if first < first_worth {
                break;
            }
            least = least.min(best[first] + price_us + waited);
        }
        best[last + 1] = least;
    }
    best[arrivals.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use laconic::sim::random_stream::RandomStream;

    /// The same by trying every way to cut the arrivals into batches.
    fn by_trying_all(arrivals: &[Micros], price_us: u64) -> u64 {
        let cost = |cuts: u32| {
            let (mut total, mut first) = (0, 0);
            for last in 0..arrivals.len() {
                if last + 1 == arrivals.len() || cuts & (1 << last) != 0 {
                    let batch = &arrivals[first..=last];
                    total += price_us;
                    total += batch.iter().map(|at| arrivals[last].since(*at).0).sum::<u64>();
                    first = last + 1;
                }
            }
            total
        };
        (0..1 << (arrivals.len() - 1)).map(cost).min().unwrap()
    }

    #[test]
    fn the_optimum_is_the_least_over_all_ways_to_cut() {
        let mut random = RandomStream::new(1, "optimum", 0);
        for _ in 0..500 {
            let (mut now, spread) = (0, 1 + random.below(300));
            let count = 1 + random.below(11);
            let arrivals: Vec<Micros> = (0..count)
                .map(|_| {
                    now += random.below(spread);
                    Micros(now)
                })
                .collect();
            let price = random.below(1_000);
            assert_eq!(optimum(&arrivals, price), by_trying_all(&arrivals, price), "{arrivals:?}");
        }
    }
}
