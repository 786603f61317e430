//! How long a batch waits for more entries.
//!
//! A batch that goes costs `price` microseconds, and each entry costs the time that it waits for
//! its batch. To keep the sum low without knowing what will come is the problem of dynamic TCP
//! acknowledgement (Dooly, Goldman, Scott, "TCP dynamic acknowledgment delay", STOC 1998).
//!
//! [`Linger`] keeps a grid of rules. Each has a *shadow*, which applies it to the arrivals as they
//! come and notes what that would have cost. The rule with the cheapest shadow is chosen. Two
//! memories make this both precise and quick: the long one tells rules apart that cost nearly the
//! same, and is forgotten as soon as the short one says that the arrivals have changed.
//!
//! Arrivals that depend on the rule can mislead shadows: they see what came, not what would have
//! come. So the *balance* rule stands behind them: a batch goes when its entries have waited as
//! long in sum as a batch costs. It never costs more than twice the optimum (same paper), and no
//! deterministic policy has a better bound. When the chosen rules have cost clearly more than
//! balance would have, balance is used for a while, and longer each time this happens again.

use crate::raft::{LingerRule, Lingering, Micros};

/// The longest linger that the core takes, in microseconds.
const LONGEST_US: u64 = 1_000_000;

/// The longest wait in sum that the core takes, in microseconds.
const MOST_WAITED_US: u64 = 60_000_000;

/// The grid: how many entries go at once. 0: no limit.
const ENOUGH: [u64; 9] = [0, 2, 3, 4, 6, 8, 10, 12, 16];

/// The grid: how long entries wait in sum, in eighths of the price. A small limit gives a straggler
/// up soon; a large one trusts the number of entries.
const WAITED_EIGHTHS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Where the grid has the rule that sends at once.
const AT_ONCE: usize = 0;

/// Where the grid has the balance rule.
const BALANCE: usize = 1;

/// How many batches of the balance rule the long memory holds: it forgets one part in so many with
/// each.
const LONG_MEMORY: u64 = 128;

/// How many of the leader's own batches the short memory holds, in the same way. When the rate
/// rises these are still small, and soon tell.
const SHORT_MEMORY: u64 = 9;

/// The load has changed when the chosen rule lately costs so many percent of what another would.
const CHANGE_PERCENT: u64 = 140;

/// Another rule must be cheaper by one part in so many.
const HYSTERESIS: u64 = 32;

/// How many prices the chosen rules may have cost more than balance.
const MOST_DEBT_PRICES: i64 = 2;

/// How many prices they can save up against it. With so much credit, failures are forgotten.
const MOST_CREDIT_PRICES: i64 = 16;

/// How many batches go by the balance rule after the first failure. Four times as many after each
/// more, so that whoever provokes failures gains less and less.
const FIRST_PENALTY_BATCHES: u64 = 16;

/// How often the penalty grows.
const MOST_GROWTHS: u32 = 4;

/// A rule, applied to the arrivals as if it were the leader's.
#[derive(Clone, Debug)]
struct Shadow {
    rule: LingerRule,
    lingering: Lingering,
    /// When the waiting entries go, if no more come.
    due: Micros,
    /// What the rule cost, in microseconds, in the long memory.
    cost_us: u64,
    /// The same in the short memory.
    recent_us: u64,
}

impl Shadow {
    /// An entry came. Returns what the batch before it cost, if that went in the meantime.
    fn on_arrival(&mut self, price_us: u64, now: Micros) -> Option<u64> {
        let went = self.lingering.count() > 0 && self.due < now;
        let cost_us = went.then(|| {
            let cost_us = price_us + self.lingering.waited_us(self.due);
            self.cost_us += cost_us;
            self.recent_us += cost_us;
            self.lingering.clear();
            cost_us
        });
        self.due = self.lingering.add(self.rule, now);
        cost_us
    }
}

/// Every rule of the grid. All but sending at once are multiples of the price.
fn grid(price_us: u64) -> Vec<LingerRule> {
    let rule = |enough, eighths| {
        let waited_us = (price_us.saturating_mul(eighths) / 8).clamp(1, MOST_WAITED_US);
        // The first entry alone waits no longer than all in sum.
        LingerRule { linger_us: waited_us.min(LONGEST_US), enough, waited_us }
    };
    let pairs = ENOUGH.iter().flat_map(|enough| WAITED_EIGHTHS.map(|waited| (*enough, waited)));
    let others = pairs.filter(|pair| *pair != (0, 8)).map(|(enough, waited)| rule(enough, waited));
    let at_once = LingerRule { linger_us: 0, enough: 0, waited_us: 0 };
    [at_once, rule(0, 8)].into_iter().chain(others).collect()
}

/// The policy that chooses the leader's rule.
#[derive(Clone, Debug)]
pub struct Linger {
    /// What a batch costs, in microseconds of waiting.
    price_us: u64,
    shadows: Vec<Shadow>,
    /// Which rule of the grid the leader applies.
    chosen: usize,
    /// When the entries came that wait at the leader.
    waiting: Vec<Micros>,
    /// How much less the leader's batches have cost than balance would have, in microseconds.
    credit_us: i64,
    /// How often they have cost too much more, since there was credit.
    failures: u32,
    /// How many batches still go by the balance rule, because of the last failure.
    penalty_batches: u64,
}

impl Linger {
    /// The policy for batches that cost `price_us` microseconds each: the messages of a batch times
    /// the price of a message, at most a minute. It begins by sending at once.
    pub fn new(price_us: u64) -> Linger {
        let price_us = price_us.min(MOST_WAITED_US);
        let shadow = |rule| Shadow {
            rule,
            lingering: Lingering::default(),
            due: Micros(0),
            cost_us: 0,
            recent_us: 0,
        };
        Linger {
            price_us,
            shadows: grid(price_us).into_iter().map(shadow).collect(),
            chosen: AT_ONCE,
            waiting: Vec::new(),
            credit_us: 0,
            failures: 0,
            penalty_batches: 0,
        }
    }

    /// Changes the price. What was learned is kept, as multiples of the price.
    pub fn set_price(&mut self, price_us: u64) {
        let price_us = price_us.min(MOST_WAITED_US);
        let old = u128::from(self.price_us.max(1));
        let scaled = |us: u64| (u128::from(us) * u128::from(price_us) / old) as u64;
        for (shadow, rule) in self.shadows.iter_mut().zip(grid(price_us)) {
            shadow.rule = rule;
            shadow.cost_us = scaled(shadow.cost_us);
            shadow.recent_us = scaled(shadow.recent_us);
        }
        let credit_us = scaled(self.credit_us.unsigned_abs()) as i64;
        self.credit_us = credit_us * self.credit_us.signum();
        self.price_us = price_us;
    }

    /// An entry came. The work is left to [`Linger::on_flush`], so that it delays no entry.
    pub fn on_arrival(&mut self, now: Micros) {
        self.waiting.push(now);
    }

    /// A batch went, with all entries that had come. The rule may be another one now.
    pub fn on_flush(&mut self, now: Micros) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let waited_us: u64 = waiting.iter().map(|came| now.since(*came).0).sum();
        self.credit_us -= (self.price_us + waited_us) as i64;
        for came in &waiting {
            self.step_shadows(*came);
        }
        for shadow in &mut self.shadows {
            shadow.recent_us -= shadow.recent_us / SHORT_MEMORY;
        }
        self.waiting = waiting;
        self.waiting.clear();
        if !self.settle_with_balance(now) {
            self.choose();
        }
    }

    /// What the leader applies until the next batch has gone.
    pub fn rule(&self) -> LingerRule {
        self.shadows[self.chosen].rule
    }

    /// Shows an arrival to all shadows. The batches of the balance rule are the clock by which they
    /// forget: each costs about the same, whatever the load.
    fn step_shadows(&mut self, came: Micros) {
        let mut balance_cost_us = None;
        for (place, shadow) in self.shadows.iter_mut().enumerate() {
            let cost_us = shadow.on_arrival(self.price_us, came);
            if place == BALANCE {
                balance_cost_us = cost_us;
            }
        }
        if let Some(cost_us) = balance_cost_us {
            self.credit_us += cost_us as i64;
            for shadow in &mut self.shadows {
                shadow.cost_us -= shadow.cost_us / LONG_MEMORY;
            }
        }
    }

    /// Keeps the account with balance. True if the next batch must go by its rule.
    fn settle_with_balance(&mut self, now: Micros) -> bool {
        let balance = &self.shadows[BALANCE];
        let underway_us = balance.lingering.waited_us(now.min(balance.due)) as i64;
        let credit_us = self.credit_us + underway_us;
        let price_us = self.price_us as i64;
        let surplus_us = credit_us - MOST_CREDIT_PRICES * price_us;
        if surplus_us > 0 {
            self.credit_us -= surplus_us;
            self.failures = 0;
        }
        if self.penalty_batches > 0 {
            self.penalty_batches -= 1;
            if self.penalty_batches == 0 {
                self.credit_us = -underway_us;
            }
            return self.penalty_batches > 0;
        }
        let failed = self.chosen != BALANCE && credit_us < -MOST_DEBT_PRICES * price_us;
        if failed {
            self.penalty_batches = FIRST_PENALTY_BATCHES << (2 * self.failures.min(MOST_GROWTHS));
            self.failures += 1;
            self.chosen = BALANCE;
            self.forget();
        }
        failed
    }

    /// Keeps of the long memory only what the short one holds too.
    fn forget(&mut self) {
        for shadow in &mut self.shadows {
            shadow.cost_us = shadow.recent_us;
        }
    }

    /// Chooses the cheapest rule.
    fn choose(&mut self) {
        let chosen = &self.shadows[self.chosen];
        let recent_us = self.shadows.iter().map(|shadow| shadow.recent_us).min();
        if recent_us.is_some_and(|least_us| least_us * CHANGE_PERCENT < chosen.recent_us * 100) {
            self.forget();
        }
        let cost_us = |place: &usize| self.shadows[*place].cost_us;
        let best = (0..self.shadows.len()).min_by_key(cost_us).unwrap_or(AT_ONCE);
        if cost_us(&best) * HYSTERESIS < cost_us(&self.chosen) * (HYSTERESIS - 1) {
            self.chosen = best;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy whose batches cost 1,000 µs.
    fn linger() -> Linger {
        Linger::new(1_000)
    }

    #[test]
    fn a_shadow_pays_for_a_batch_once_it_has_gone() {
        let mut linger = linger();
        let mut costs = |now, place: usize| {
            linger.step_shadows(Micros(now));
            let shadow = &linger.shadows[place];
            (shadow.cost_us, shadow.recent_us, shadow.lingering.count())
        };
        assert_eq!(costs(500, AT_ONCE), (0, 0, 1), "the first has not been paid yet");
        assert_eq!(costs(600, AT_ONCE), (1_000, 1_000, 1));
        assert_eq!(costs(700, AT_ONCE), (2_000, 2_000, 1));
        // Balance: the three waited 200 and 100 µs, and go when that is 1,000 in sum, at 934 µs.
        assert_eq!(costs(934, BALANCE), (0, 0, 4), "who comes just then goes along");
        // By then they have waited 434, 334, 234 and 0 µs, which is enough.
        let (cost_us, recent_us, count) = costs(2_000, BALANCE);
        assert_eq!((recent_us, count), (2_002, 1));
        assert_eq!(cost_us, recent_us - recent_us / LONG_MEMORY, "its batches are the clock");
    }

    #[test]
    fn the_short_memory_forgets_a_part_with_each_batch_of_the_leader() {
        let mut linger = linger();
        linger.shadows[3].recent_us = 900;
        linger.on_arrival(Micros(10));
        linger.on_flush(Micros(30));
        assert_eq!(linger.shadows[3].recent_us, 800);
        assert_eq!(linger.credit_us, -1_020, "the batch, and 20 microseconds of waiting");
    }

    #[test]
    fn the_long_memory_forgets_a_part_with_each_batch_of_balance() {
        let mut linger = linger();
        linger.step_shadows(Micros(10));
        linger.shadows[3].cost_us = 128_000;
        // Only balance has sent when the next comes.
        linger.shadows[3].due = Micros::NEVER;
        linger.step_shadows(Micros(50_000));
        assert_eq!(linger.shadows[3].cost_us, 127_000);
        assert_eq!(linger.credit_us, 2_000, "balance paid a batch, and as much waiting");
    }

    #[test]
    fn another_price_keeps_what_was_learned_as_multiples_of_it() {
        let mut linger = linger();
        (linger.shadows[3].cost_us, linger.shadows[3].recent_us) = (3_000, 700);
        for credit_us in [4_000, -4_000] {
            linger.credit_us = credit_us;
            linger.set_price(2_500);
            assert_eq!(linger.credit_us, credit_us * 5 / 2);
            linger.set_price(1_000);
            assert_eq!(linger.credit_us, credit_us);
        }
        linger.set_price(2_500);
        assert_eq!((linger.shadows[3].cost_us, linger.shadows[3].recent_us), (7_500, 1_750));
        assert_eq!(linger.shadows[BALANCE].rule.waited_us, 2_500);
    }

    #[test]
    fn credit_is_bounded_and_counts_what_balance_owes_for_those_that_wait() {
        let mut linger = linger();
        linger.shadows[BALANCE].on_arrival(1_000, Micros(0));
        (linger.credit_us, linger.failures) = (15_900, 3);
        assert!(!linger.settle_with_balance(Micros(50)));
        assert_eq!((linger.credit_us, linger.failures), (15_900, 3), "50 more is no surplus");
        assert!(!linger.settle_with_balance(Micros(300)));
        assert_eq!((linger.credit_us, linger.failures), (15_700, 0), "16 prices with those 300");
    }

    #[test]
    fn rules_that_cost_two_prices_more_than_balance_have_failed() {
        let mut linger = linger();
        linger.chosen = 3;
        (linger.shadows[5].cost_us, linger.shadows[5].recent_us) = (8_000, 600);
        linger.credit_us = -2_000;
        assert!(!linger.settle_with_balance(Micros(0)), "two prices are not more than two");
        assert_eq!(linger.shadows[5].cost_us, 8_000);
        linger.credit_us = -2_001;
        assert!(linger.settle_with_balance(Micros(0)));
        assert_eq!((linger.chosen, linger.failures), (BALANCE, 1));
        assert_eq!(linger.shadows[5].cost_us, 600, "the long memory has misled it");
        assert_eq!(linger.penalty_batches, FIRST_PENALTY_BATCHES);
    }

    #[test]
    fn a_penalty_ends_with_its_last_batch_and_with_even_accounts() {
        let mut linger = linger();
        linger.shadows[BALANCE].on_arrival(1_000, Micros(0));
        (linger.chosen, linger.penalty_batches, linger.credit_us) = (BALANCE, 2, -5_000);
        assert!(linger.settle_with_balance(Micros(100)), "one more");
        assert_eq!(linger.credit_us, -5_000);
        assert!(!linger.settle_with_balance(Micros(100)));
        assert_eq!(linger.credit_us, -100, "what balance owes by now");
    }

    /// The rule that is chosen, and whether the long memory is kept, when rule 5 has cost
    /// `other_us` and lately `lately_us`, and the present one 3,200 and lately 140.
    fn choice(other_us: u64, lately_us: u64) -> (usize, bool) {
        let mut linger = linger();
        for shadow in &mut linger.shadows {
            (shadow.cost_us, shadow.recent_us) = (100_000, 10_000);
        }
        linger.chosen = 3;
        (linger.shadows[3].cost_us, linger.shadows[3].recent_us) = (3_200, 140);
        (linger.shadows[5].cost_us, linger.shadows[5].recent_us) = (other_us, lately_us);
        linger.choose();
        (linger.chosen, linger.shadows[3].cost_us == 3_200)
    }

    #[test]
    fn another_rule_is_chosen_when_it_is_cheaper_by_more_than_one_part_in_32() {
        assert_eq!(choice(3_100, 140), (3, true));
        assert_eq!(choice(3_099, 140), (5, true));
        assert_eq!(choice(3_300, 140), (3, true));
    }

    #[test]
    fn the_long_memory_is_forgotten_when_another_rule_lately_costs_much_less() {
        assert_eq!(choice(9_000, 100), (3, true), "just as much as says nothing");
        assert_eq!(choice(9_000, 99), (5, false));
    }
}
