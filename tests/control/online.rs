//! What no policy online can beat in the long run, even if it knows how the arrivals are drawn: for
//! each generator the least expected cost of a put.

use crate::arrivals::{Burst, EDGE_GAPS_US};

/// Arrivals of a Poisson process, in microseconds a put.
///
/// Let a batch go at any stopping time, with `n` puts. While k puts wait, the sum of waits grows by
/// k a microsecond, and k(k-1)/2 grows by k with each arrival, so at the rate k / gap: their
/// difference is a martingale. So the expected sum of waits is gap * E[n(n-1)/2], and the cost of a
/// put is (price + gap * E[n(n-1)/2]) / E[n], which is no less than the least of
/// (price + gap * n(n-1)/2) / n over all n. Sending at n puts reaches it.
pub fn poisson_us(mean_gap_us: u64, price_us: u64) -> f64 {
    let cost = |n: u64| (price_us as f64 + (mean_gap_us * n * (n - 1) / 2) as f64) / n as f64;
    (1..1_000).map(cost).fold(f64::INFINITY, f64::min)
}

/// Bursts at edges, in microseconds a put. By a dynamic program over how many puts of the edge have
/// come and how many of them wait; the choice is how long to wait for the next. Edges are so far
/// apart that no batch should wait for the next one.
pub fn bursts_us(burst: Burst, price_us: u64) -> f64 {
    const MOST_WAITING: usize = 60;
    let longest = EDGE_GAPS_US[10] as usize;
    let mut chance = vec![0.0; longest + 1];
    for limits in EDGE_GAPS_US.windows(2) {
        for gap in limits[0]..limits[1] {
            chance[gap as usize] += 0.1 / (limits[1] - limits[0]) as f64;
        }
    }
    let price = price_us as f64;
    // What the rest of the burst costs when `waiting` puts wait, the newest of which just came.
    // More than MOST_WAITING go at once, which no good policy lets come to pass here.
    let mut after = vec![0.0; MOST_WAITING + 2];
    for count in (1..=burst.most()).rev() {
        let goes_on = burst.goes_on(count);
        let mut now = vec![price + goes_on * after[1]; MOST_WAITING + 2];
        for waiting in 1..=MOST_WAITING {
            let (mut joined, mut joins) = (0.0, 0.0);
            for (wait, &chance) in chance.iter().enumerate() {
                let waited = (waiting * wait) as f64;
                joined += chance * (waited + after[waiting + 1]);
                joins += chance;
                let cost = goes_on * joined
                    + (1.0 - goes_on * joins) * (price + waited)
                    + goes_on * (1.0 - joins) * after[1];
                now[waiting] = f64::min(now[waiting], cost);
            }
        }
        after = now;
    }
    after[1] / burst.mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::{bursts, poisson};
    use crate::rivals::{Fixed, play_trace};
    use laconic::raft::{LingerRule, Micros};

    /// The cost of a put with a rule that never changes.
    fn cost_us(rule: LingerRule, price_us: u64, arrivals: &[Micros]) -> f64 {
        let played = play_trace(&mut Fixed::new(rule), price_us, arrivals);
        played.cost_us() as f64 / arrivals.len() as f64
    }

    /// Rules of all sorts.
    fn rules() -> impl Iterator<Item = LingerRule> {
        let limits = [0, 100, 400, 1_600, 6_400];
        (0..8).flat_map(move |enough| {
            limits.into_iter().flat_map(move |waited_us| {
                [0, 200, 800, 3_200, 50_000].map(|linger_us| LingerRule {
                    linger_us,
                    enough,
                    waited_us,
                })
            })
        })
    }

    #[test]
    fn no_rule_costs_less_than_what_is_possible_online() {
        const PRICE_US: u64 = 1_600;
        let loads = [8_000, 1_600, 400, 80]
            .map(|gap_us| (poisson_us(gap_us, PRICE_US), poisson(1, 20_000, gap_us)));
        let counts = [Burst::Course, Burst::Constant(3), Burst::Uniform(8), Burst::Geometric(4)];
        let bursts = counts.map(|burst| (bursts_us(burst, PRICE_US), bursts(1, 20_000, burst)));
        for (least_us, arrivals) in loads.into_iter().chain(bursts) {
            for rule in rules() {
                let cost_us = cost_us(rule, PRICE_US, &arrivals);
                // The traces are samples: 2 % for chance.
                assert!(cost_us >= least_us * 0.98, "{rule:?}: {cost_us}, not {least_us}");
            }
        }
    }

    #[test]
    fn the_best_rule_for_poisson_arrivals_reaches_what_is_possible() {
        let (price_us, gap_us) = (1_600, 160);
        // Ten puts a price: n(n+1)/2 is at least 10 from n = 4 on.
        let rule = LingerRule { linger_us: 20_000, enough: 4, waited_us: 0 };
        let cost_us = cost_us(rule, price_us, &poisson(1, 100_000, gap_us));
        let least_us = poisson_us(gap_us, price_us);
        assert!((cost_us / least_us - 1.0).abs() < 0.01, "{cost_us}, not {least_us}");
    }

    #[test]
    fn what_bursts_cost_is_known_where_it_is_plain() {
        // A put alone costs its message, and so does each of two if waiting never pays.
        assert!((bursts_us(Burst::Constant(1), 400) - 400.0).abs() < 1e-9);
        assert!((bursts_us(Burst::Constant(2), 50) - 50.0).abs() < 1e-9);
        // A dear message waits for the second put: half of it, and half a gap, for each.
        let gap_us = EDGE_GAPS_US.windows(2).map(|ends| (ends[0] + ends[1] - 1) as f64 / 20.0);
        let expected_us = (100_000.0 + gap_us.sum::<f64>()) / 2.0;
        assert!((bursts_us(Burst::Constant(2), 100_000) - expected_us).abs() < 1e-6);
    }
}
