//! What the linger controller costs, beside its rivals and what is possible at all.

use std::collections::BTreeSet;

use laconic::control::linger::Linger;
use laconic::raft::{LingerRule, Micros, Tuning};

use crate::arrivals::{Burst, bursts, changing, poisson};
use crate::online;
use crate::optimum::optimum;
use crate::rivals::{
    ClientGo, Controlled, Copycat, Fixed, FoundationDb, Played, Policy, play, play_trace,
};

/// What a batch costs here: four messages of 100 or of 400 microseconds.
const PRICES_US: [u64; 2] = [400, 1_600];

/// How often the rule may change in as many puts of a steady load.
const MOST_CHANGES: u32 = 60;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

/// Puts of one trace.
const PUTS: usize = 20_000;

/// The mean gaps of the Poisson traces, as price / gap in hundredths: the puts that come in the
/// time that a batch costs.
const LOADS_PERCENT: [u64; 11] = [5, 10, 20, 50, 100, 200, 300, 500, 1_000, 2_000, 5_000];

const BURSTS: [Burst; 8] = [
    Burst::Course,
    Burst::Constant(3),
    Burst::Constant(6),
    Burst::Uniform(3),
    Burst::Uniform(8),
    Burst::Geometric(4),
    Burst::Geometric(20),
    Burst::Uniform(60),
];

/// Where 1.25 is possible online, but only to who knows at which put of a burst it is.
const MISSED: [(u64, Burst); 2] = [(400, Burst::Constant(3)), (1_600, Burst::Geometric(20))];

/// A kind of traces.
struct Load {
    name: String,
    traces: Vec<Vec<Micros>>,
    /// The least cost of a put online, in microseconds, where it is known.
    online_us: Option<f64>,
}

fn poisson_load(percent: u64, price_us: u64) -> Load {
    let gap_us = price_us * 100 / percent;
    Load {
        name: format!("Poisson, {} puts a price", percent as f64 / 100.0),
        traces: SEEDS.map(|seed| poisson(seed, PUTS, gap_us)).collect(),
        online_us: Some(online::poisson_us(gap_us, price_us)),
    }
}

fn burst_load(burst: Burst, price_us: u64) -> Load {
    Load {
        name: format!("bursts, {burst:?}"),
        traces: SEEDS.map(|seed| bursts(seed, PUTS, burst)).collect(),
        online_us: Some(online::bursts_us(burst, price_us)),
    }
}

fn changing_load(low_percent: u64, price_us: u64) -> Load {
    let gap_us = price_us * 100 / low_percent;
    let (low, high) = (low_percent as f64 / 100.0, low_percent as f64 / 10.0);
    Load {
        name: format!("{low} and {high} puts a price in turn"),
        traces: SEEDS.map(|seed| changing(seed, PUTS, gap_us, 1_000)).collect(),
        online_us: None,
    }
}

/// The rivals with their names. Those that need a round trip are there with several.
fn rivals(price_us: u64) -> Vec<(&'static str, Box<dyn Policy>)> {
    vec![
        ("none", Box::new(Fixed::none())),
        ("balance", Box::new(Fixed::balance(price_us))),
        ("Kafka", Box::new(Fixed::kafka())),
        ("copycat 0.4", Box::new(Copycat::new(400))),
        ("copycat 1", Box::new(Copycat::new(1_000))),
        ("copycat 40", Box::new(Copycat::new(40_000))),
        ("Foundation 1", Box::new(FoundationDb::new(1_000))),
        ("Foundation 40", Box::new(FoundationDb::new(40_000))),
        ("client-go", Box::new(ClientGo::new(100))),
        ("client-go P", Box::new(ClientGo::new(price_us))),
    ]
}

/// A line of the table: costs over the optimum offline.
struct Row {
    name: String,
    online: Option<f64>,
    ours: f64,
    rivals: Vec<(&'static str, f64)>,
}

impl Row {
    fn of(load: &Load, price_us: u64) -> Row {
        let best: u64 = load.traces.iter().map(|trace| optimum(trace, price_us)).sum();
        let puts: usize = load.traces.iter().map(Vec::len).sum();
        let mut costs: Vec<(&str, u64)> = Vec::new();
        for trace in &load.traces {
            let all = rivals(price_us)
                .into_iter()
                .chain([("ours", Box::new(Controlled::new(price_us)) as Box<dyn Policy>)]);
            for (place, (name, mut policy)) in all.enumerate() {
                let cost_us = play_trace(policy.as_mut(), price_us, trace).cost_us();
                match costs.get_mut(place) {
                    Some((_, sum_us)) => *sum_us += cost_us,
                    None => costs.push((name, cost_us)),
                }
            }
        }
        let over = |cost_us: u64| cost_us as f64 / best as f64;
        let ours = costs.pop().map_or(f64::NAN, |(_, cost_us)| over(cost_us));
        Row {
            name: load.name.clone(),
            online: load.online_us.map(|us| us * puts as f64 / best as f64),
            ours,
            rivals: costs.into_iter().map(|(name, cost_us)| (name, over(cost_us))).collect(),
        }
    }

    fn print(&self) {
        let online = self.online.map_or("-".into(), |online| format!("{online:.3}"));
        let rivals = self.rivals.iter().map(|(_, over)| format!(" | {over:.3}"));
        println!("| {} | {online} | {:.3}{} |", self.name, self.ours, rivals.collect::<String>());
    }

    /// No rival is cheaper by more than one part in a hundred: where a rival happens to have the
    /// best rule, the controller has to find that out.
    fn check_rivals(&self) {
        for (name, rival) in &self.rivals {
            assert!(self.ours <= rival * 1.01, "{}: ours {}, {name} {rival}", self.name, self.ours);
        }
    }

    /// Ours costs at most `most` times what no policy online can beat.
    fn check_online(&self, most: f64) {
        let online = self.online.expect("known for this load");
        let (name, ours) = (&self.name, self.ours);
        assert!(ours <= online * most, "{name}: ours {ours}, {online} is possible online");
    }
}

fn print_head(price_us: u64) {
    let names: String = rivals(price_us).iter().map(|(name, _)| format!(" | {name}")).collect();
    println!("\n| a batch costs {price_us} µs | possible online | ours{names} |");
}

#[test]
fn poisson_arrivals_cost_hardly_more_than_any_policy_online_must_pay() {
    for price_us in PRICES_US {
        print_head(price_us);
        for percent in LOADS_PERCENT {
            let row = Row::of(&poisson_load(percent, price_us), price_us);
            row.print();
            row.check_online(1.02);
            row.check_rivals();
            // 1.10 of the optimum offline is reached where it can be. At the other loads no policy
            // online reaches it.
            let possible = row.online.is_some_and(|online| online <= 1.10);
            assert_eq!(possible, percent <= 20, "{}", row.name);
            assert!(!possible || row.ours <= 1.10, "{}: {}", row.name, row.ours);
        }
    }
}

#[test]
fn bursts_cost_little_more_than_any_policy_must_pay_that_knows_how_they_are_drawn() {
    for price_us in PRICES_US {
        print_head(price_us);
        for burst in BURSTS {
            let row = Row::of(&burst_load(burst, price_us), price_us);
            row.print();
            // The bound's policy knows where in a burst it is. A burst of three, in which waiting
            // hardly pays, gains most by that; a rule that counts what waits cannot.
            let most = if burst == Burst::Constant(3) { 1.12 } else { 1.07 };
            row.check_online(most);
            row.check_rivals();
            // 1.25 of the optimum offline is reached where any policy online can reach it, but for
            // two loads.
            let possible = row.online.is_some_and(|online| online <= 1.25);
            let missed = MISSED.contains(&(price_us, burst));
            assert!(missed || !possible || row.ours <= 1.25, "{}: {}", row.name, row.ours);
        }
    }
}

#[test]
fn where_one_and_a_quarter_is_missed_no_rule_that_never_changes_reaches_it() {
    for (price_us, burst) in MISSED {
        let trace = bursts(1, PUTS, burst);
        let best_us = optimum(&trace, price_us);
        let limits = [0, 2, 4, 6, 8, 12, 16, 32, 64].map(|eighths| price_us * eighths / 8);
        let rules = (0..=8).flat_map(|enough| {
            limits.into_iter().flat_map(move |waited_us| {
                limits.map(|linger_us| LingerRule { linger_us, enough, waited_us })
            })
        });
        for rule in rules {
            let cost_us = play_trace(&mut Fixed::new(rule), price_us, &trace).cost_us();
            assert!(cost_us as f64 > best_us as f64 * 1.25, "{rule:?}: {cost_us}, {best_us}");
        }
    }
}

#[test]
fn a_load_that_changes_tenfold_costs_less_than_with_any_rival() {
    for price_us in PRICES_US {
        print_head(price_us);
        for low_percent in [3, 30, 300] {
            let row = Row::of(&changing_load(low_percent, price_us), price_us);
            row.print();
            row.check_rivals();
        }
    }
}

/// The mean cost of a put, in batches of a stretch that follow a change of the rate: the first
/// twenty, the next twenty, and all later ones.
fn costs_after_changes(played: &Played, stretch: usize, fast: bool) -> [f64; 3] {
    let mut sums = [(0, 0); 3];
    let (mut puts, mut now_in, mut place) = (0, 0, 0);
    for batch in &played.batches {
        let number = puts as usize / stretch;
        if number != now_in {
            (now_in, place) = (number, 0);
        }
        if number > 0 && (number % 2 == 1) == fast {
            let (cost_us, count) = &mut sums[(place / 20).min(2)];
            *cost_us += batch.cost_us;
            *count += batch.puts;
        }
        place += 1;
        puts += batch.puts;
    }
    sums.map(|(cost_us, count)| cost_us as f64 / count as f64)
}

#[test]
fn after_a_tenfold_change_of_the_rate_twenty_batches_are_enough() {
    const STRETCH: usize = 2_000;
    let price_us = 1_600;
    for low_percent in [3, 10, 30, 100, 300] {
        let arrivals = changing(1, 60 * STRETCH, price_us * 100 / low_percent, STRETCH);
        let played = play_trace(&mut Controlled::new(price_us), price_us, &arrivals);
        for fast in [false, true] {
            let [first, next, later] = costs_after_changes(&played, STRETCH, fast);
            let rate = low_percent as f64 / if fast { 10.0 } else { 100.0 };
            println!(
                "to {rate} puts a price: {:.3}, then {:.3} of the later cost",
                first / later,
                next / later
            );
            assert!(next <= later * 1.10, "to {rate}: {next} after twenty batches, then {later}");
        }
    }
}

/// When an adversary begins.
const START: Micros = Micros(1_000);

/// Sends each put right after the last one's batch, so that it could have gone with it.
fn against_the_adversary(
    policy: &mut dyn Policy,
    price_us: u64,
    start: Micros,
    puts: usize,
) -> f64 {
    let mut sent = 0;
    let played = play(policy, price_us, |due| {
        sent += 1;
        (sent <= puts).then(|| due.map_or(start, |due| due + Micros(1)))
    });
    assert_eq!(played.arrivals.len(), puts);
    played.cost_us() as f64 / optimum(&played.arrivals, price_us) as f64
}

/// Nobody is below 2 here: pair each put with the next, or each with the one before. In sum the two
/// ways to pair cost what the policy paid, so the cheaper one costs at most half of that.
#[test]
fn the_adversary_gains_less_the_longer_it_goes_on() {
    for price_us in PRICES_US {
        let ours =
            |puts| against_the_adversary(&mut Controlled::new(price_us), price_us, START, puts);
        let (short, long, longest) = (ours(200), ours(2_000), ours(20_000));
        let balance = against_the_adversary(&mut Fixed::balance(price_us), price_us, START, 2_000);
        let none = against_the_adversary(&mut Fixed::none(), price_us, START, 2_000);
        println!(
            "{price_us} µs: {short:.3}, {long:.3}, {longest:.4}; {balance:.3}, none {none:.1}"
        );
        assert!((1.99..=2.0).contains(&balance), "balance {balance}");
        assert!(none > 10.0, "none {none}");
        assert!((1.99..=2.10).contains(&short), "200 puts: {short}");
        assert!((1.99..=2.02).contains(&long), "2,000 puts: {long}");
        assert!((1.99..=2.004).contains(&longest), "20,000 puts: {longest}");
    }
}

/// What the policy saved in quiet times is no licence to lose as much when times change.
#[test]
fn an_adversary_gains_no_more_after_friendly_times() {
    let price_us = 1_600;
    let mut policy = Controlled::new(price_us);
    let friendly = poisson(1, PUTS, price_us * 5);
    play_trace(&mut policy, price_us, &friendly);
    let start = friendly[PUTS - 1] + Micros::from_seconds(1);
    let over = against_the_adversary(&mut policy, price_us, start, 2_000);
    println!("after friendly times: {over:.3}");
    assert!((1.99..=2.03).contains(&over), "{over}");
}

#[test]
fn a_steady_load_seldom_changes_the_rule() {
    let price_us = 1_600;
    for percent in LOADS_PERCENT {
        let mut policy = Controlled::new(price_us);
        let (mut old, mut changes) = (policy.linger.rule(), 0);
        for arrivals in poisson(1, PUTS, price_us * 100 / percent).chunks(4) {
            play_trace(&mut policy, price_us, arrivals);
            let new = policy.linger.rule();
            changes += u32::from(new != old);
            old = new;
        }
        println!("{percent} %: {changes} changes in {PUTS} puts");
        assert!(changes <= MOST_CHANGES, "{percent} %: {changes}");
    }
}

fn course() -> Tuning {
    laconic::tuning_file::load("course").expect("a profile").tuning
}

#[test]
fn every_rule_is_within_the_limits_of_the_core() {
    for price_us in [0, 1, 7, 400, 50_000, 10_000_000, u64::MAX] {
        let mut linger = Linger::new(price_us);
        let mut rules = BTreeSet::new();
        let mut now = Micros(0);
        // The gap changes every 100 puts, and every tenth put is followed by a batch.
        for put in 0..4_000_u32 {
            now += Micros(10_u64.pow(put / 100 % 4 * 2));
            linger.on_arrival(now);
            if put % 10 == 0 {
                linger.on_flush(now);
            }
            let LingerRule { linger_us, enough, waited_us } = linger.rule();
            rules.insert((linger_us, enough, waited_us));
            let tuning = Tuning {
                linger_us,
                linger_enough_entries: enough,
                linger_waited_us: waited_us,
                ..course()
            };
            assert_eq!(tuning.check(), Ok(()), "{price_us}");
        }
        assert!(price_us == 0 || rules.len() > 1, "{price_us}: {rules:?}");
    }
}

#[test]
fn a_new_price_keeps_what_was_learned() {
    let (low_us, high_us, puts) = (400, 4_000, 2_000);
    let mut policy = Controlled::new(low_us);
    let arrivals = poisson(1, puts, low_us / 5);
    play_trace(&mut policy, low_us, &arrivals);
    let old = policy.linger.rule();
    assert!(old.enough > 1, "{old:?}");
    policy.linger.set_price(high_us);
    let new = policy.linger.rule();
    assert_eq!((new.enough, new.waited_us), (old.enough, old.waited_us * 10));
    // With ten times the gaps, the same again is right: nothing has to be learned.
    let start = arrivals[puts - 1] + Micros::from_seconds(1);
    let later: Vec<Micros> =
        poisson(2, puts, high_us / 5).into_iter().map(|at| start + at).collect();
    let cost_us = play_trace(&mut policy, high_us, &later).cost_us() as f64 / puts as f64;
    let best_us = online::poisson_us(high_us / 5, high_us);
    assert!(cost_us <= best_us * 1.03, "{cost_us} a put, {best_us} is possible");
}

#[test]
fn a_flush_of_nothing_changes_nothing() {
    let mut linger = Linger::new(400);
    let before = format!("{linger:?}");
    linger.on_flush(Micros(1_000_000));
    assert_eq!(format!("{linger:?}"), before);
}
