//! Policies of others, each as its own project has it, and the run that costs a policy.

use laconic::control::linger::Linger;
use laconic::raft::{LingerRule, Lingering, Micros};

const AT_ONCE: LingerRule = LingerRule { linger_us: 0, enough: 0, waited_us: 0 };

/// A policy that decides when a batch goes.
pub trait Policy {
    /// A put came. Returns when its batch goes, if no more come.
    fn on_arrival(&mut self, now: Micros) -> Micros;
    /// The batch went.
    fn on_flush(&mut self, now: Micros);
}

/// A rule that never changes.
pub struct Fixed {
    rule: LingerRule,
    lingering: Lingering,
}

impl Fixed {
    pub fn new(rule: LingerRule) -> Fixed {
        Fixed { rule, lingering: Lingering::default() }
    }

    /// Each batch goes at once.
    pub fn none() -> Fixed {
        Fixed::new(AT_ONCE)
    }

    /// The first entry waits 5 ms: `linger.ms` of Kafka 4.
    pub fn kafka() -> Fixed {
        Fixed::new(LingerRule { linger_us: 5_000, enough: 0, waited_us: 0 })
    }

    /// A batch goes when its entries have waited as long as a batch costs (Dooly, Goldman, Scott).
    pub fn balance(price_us: u64) -> Fixed {
        Fixed::new(LingerRule { linger_us: 1_000_000, enough: 0, waited_us: price_us })
    }
}

impl Policy for Fixed {
    fn on_arrival(&mut self, now: Micros) -> Micros {
        self.lingering.add(self.rule, now)
    }

    fn on_flush(&mut self, _: Micros) {
        self.lingering.clear();
    }
}

/// copycat#205: entries wait until half the mean round trip has passed since the last batch. Here
/// the round trip is always the same.
pub struct Copycat {
    half_round_trip: Micros,
    last: Micros,
}

impl Copycat {
    pub fn new(round_trip_us: u64) -> Copycat {
        Copycat { half_round_trip: Micros(round_trip_us / 2), last: Micros(0) }
    }
}

impl Policy for Copycat {
    fn on_arrival(&mut self, now: Micros) -> Micros {
        now.max(self.last + self.half_round_trip)
    }

    fn on_flush(&mut self, now: Micros) {
        self.last = now;
    }
}

/// FoundationDB's commit proxy (`batcher` and `commitBatchInterval`): the interval since the last
/// batch moves by a tenth towards a tenth of the latency of a commit, from 1 to 20 ms; the first
/// put after a longer pause waits 0.5 ms.
pub struct FoundationDb {
    round_trip: Micros,
    interval_us: u64,
    last: Micros,
    due: Option<Micros>,
    first_at: Micros,
}

impl FoundationDb {
    pub fn new(round_trip_us: u64) -> FoundationDb {
        FoundationDb {
            round_trip: Micros(round_trip_us),
            interval_us: 1_000,
            last: Micros(0),
            due: None,
            first_at: Micros(0),
        }
    }
}

impl Policy for FoundationDb {
    fn on_arrival(&mut self, now: Micros) -> Micros {
        if self.due.is_none() {
            self.first_at = now;
        }
        let idle = now.since(self.last) > Micros(self.interval_us);
        let due = if idle { now + Micros(500) } else { self.last + Micros(self.interval_us) };
        *self.due.get_or_insert(due)
    }

    fn on_flush(&mut self, now: Micros) {
        let latency = now.since(self.first_at) + self.round_trip;
        let interval = (latency.0 / 10 + self.interval_us * 9) / 10;
        self.interval_us = interval.clamp(1_000, 20_000);
        self.last = now;
        self.due = None;
    }
}

/// tikv/client-go's batch policy `standard`: if the estimated gap to the next request is below
/// 0.8 of the limit, a batch waits so long for 8 requests.
pub struct ClientGo {
    limit_us: u64,
    gap_us: Option<u64>,
    came: Option<Micros>,
    lingering: Lingering,
}

impl ClientGo {
    /// `limit_us` is 100 in client-go.
    pub fn new(limit_us: u64) -> ClientGo {
        ClientGo { limit_us, gap_us: None, came: None, lingering: Lingering::default() }
    }
}

impl Policy for ClientGo {
    fn on_arrival(&mut self, now: Micros) -> Micros {
        let most = self.limit_us * 5;
        let gap = self.came.map_or(most, |came| now.since(came).0.min(most));
        self.came = Some(now);
        let gap = self.gap_us.map_or(gap, |old| (gap + old * 4) / 5);
        self.gap_us = Some(gap);
        let linger_us = if gap * 10 < self.limit_us * 8 { self.limit_us } else { 0 };
        self.lingering.add(LingerRule { linger_us, enough: 8, waited_us: 0 }, now)
    }

    fn on_flush(&mut self, _: Micros) {
        self.lingering.clear();
    }
}

/// The controller, in the place of the leader that applies its rule.
pub struct Controlled {
    pub linger: Linger,
    lingering: Lingering,
}

impl Controlled {
    pub fn new(price_us: u64) -> Controlled {
        Controlled { linger: Linger::new(price_us), lingering: Lingering::default() }
    }
}

impl Policy for Controlled {
    fn on_arrival(&mut self, now: Micros) -> Micros {
        self.linger.on_arrival(now);
        self.lingering.add(self.linger.rule(), now)
    }

    fn on_flush(&mut self, now: Micros) {
        self.lingering.clear();
        self.linger.on_flush(now);
    }
}

/// A batch that went.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// How many puts it had.
    pub puts: u64,
    /// Its price and what its puts waited, in microseconds.
    pub cost_us: u64,
}

/// What a policy did with a trace.
#[derive(Clone, Debug, Default)]
pub struct Played {
    pub batches: Vec<Batch>,
    /// When each put came.
    pub arrivals: Vec<Micros>,
}

impl Played {
    /// The cost of all batches, in microseconds.
    pub fn cost_us(&self) -> u64 {
        self.batches.iter().map(|batch| batch.cost_us).sum()
    }
}

/// Runs a policy. `next` gives the arrival that follows, `None` at the end; it sees when the batch
/// that waits is due.
pub fn play(
    policy: &mut dyn Policy,
    price_us: u64,
    mut next: impl FnMut(Option<Micros>) -> Option<Micros>,
) -> Played {
    let mut played = Played::default();
    let (mut waits, mut due): (Lingering, Option<Micros>) = (Lingering::default(), None);
    loop {
        let arrival = next(due);
        if let Some(at) = due.filter(|at| arrival.is_none_or(|arrival| *at < arrival)) {
            let cost_us = price_us + waits.waited_us(at);
            played.batches.push(Batch { puts: waits.count(), cost_us });
            waits.clear();
            policy.on_flush(at);
            due = None;
        }
        let Some(now) = arrival else {
            return played;
        };
        played.arrivals.push(now);
        waits.add(AT_ONCE, now);
        due = Some(policy.on_arrival(now).max(now).min(due.unwrap_or(Micros::NEVER)));
    }
}

/// Runs a policy on arrivals that are given.
pub fn play_trace(policy: &mut dyn Policy, price_us: u64, arrivals: &[Micros]) -> Played {
    let mut rest = arrivals.iter().copied();
    play(policy, price_us, |_| rest.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each batch goes, and how many puts it has.
    fn batches(policy: &mut dyn Policy, arrivals: &[u64]) -> Vec<(u64, u64)> {
        struct Noting<'a>(&'a mut dyn Policy, Vec<u64>);
        impl Policy for Noting<'_> {
            fn on_arrival(&mut self, now: Micros) -> Micros {
                self.0.on_arrival(now)
            }
            fn on_flush(&mut self, now: Micros) {
                self.1.push(now.0);
                self.0.on_flush(now);
            }
        }
        let arrivals: Vec<Micros> = arrivals.iter().copied().map(Micros).collect();
        let mut noting = Noting(policy, Vec::new());
        let played = play_trace(&mut noting, 100, &arrivals);
        noting.1.into_iter().zip(played.batches.iter().map(|batch| batch.puts)).collect()
    }

    #[test]
    fn each_rival_does_what_its_own_project_says() {
        let puts = [100_000, 100_010, 100_020, 150_000];
        let none = batches(&mut Fixed::none(), &puts);
        assert_eq!(none, [(100_000, 1), (100_010, 1), (100_020, 1), (150_000, 1)]);
        assert_eq!(batches(&mut Fixed::kafka(), &puts), [(105_000, 3), (155_000, 1)]);
        // Three puts have waited 1,000 in sum when (100,000 + 10 + 20 + 1,000) / 3 has come.
        let balance = batches(&mut Fixed::balance(1_000), &puts);
        assert_eq!(balance, [(100_344, 3), (151_000, 1)]);
        let copycat = batches(&mut Copycat::new(1_000), &puts);
        assert_eq!(copycat, [(100_000, 1), (100_500, 2), (150_000, 1)]);
        let foundation = batches(&mut FoundationDb::new(1_000), &[100_000, 100_600, 150_000]);
        assert_eq!(foundation, [(100_500, 1), (101_500, 1), (150_500, 1)]);
    }

    #[test]
    fn foundation_db_moves_its_interval_towards_a_tenth_of_the_latency() {
        let mut policy = FoundationDb::new(100_000);
        for batch in 1..=200 {
            policy.on_arrival(Micros(batch * 1_000_000));
            policy.on_flush(Micros(batch * 1_000_000 + 500));
        }
        assert!((9_950..=10_050).contains(&policy.interval_us), "{}", policy.interval_us);
        assert_eq!(
            policy.on_arrival(Micros(200_001_500)),
            Micros(200_000_500 + policy.interval_us)
        );
    }

    #[test]
    fn client_go_waits_only_while_requests_come_fast() {
        let mut policy = ClientGo::new(100);
        let fast: Vec<u64> = (0..100).map(|put| 1_000 + put * 20).collect();
        let slow: Vec<u64> = (0..100).map(|put| 100_000 + put * 200).collect();
        let fast = batches(&mut policy, &fast);
        assert_eq!(fast[0].1, 1, "nothing is known yet");
        // Six puts come within 100 µs of the first, this one included.
        assert!(fast[20..].iter().all(|(_, puts)| *puts <= 6), "{fast:?}");
        assert_eq!(fast[fast.len() - 2].1, 6);
        let slow = batches(&mut policy, &slow);
        assert!(slow[10..].iter().all(|(_, puts)| *puts == 1), "{slow:?}");
    }
}
