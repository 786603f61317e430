//! The least that messages must cost, and what other protocols would have spent: pure arithmetic.
//! Each bound has its proof (design §3 and §6, simulator interface §5).

use crate::raft::{Micros, Tuning};

/// Heartbeat interval of textbook Raft, in microseconds.
const TEXTBOOK_HEARTBEAT_US: u64 = 150_000;

/// The longest heartbeat interval that the other knobs allow, in microseconds: two heartbeats for
/// each promise and three for each election timeout, so that one or two may be lost.
pub fn longest_heartbeat_us(tuning: &Tuning) -> u64 {
    let by_timeout = tuning.election_timeout_min_us / 3;
    let by_promise = match tuning.promise_us {
        0 => by_timeout,
        promise => (promise / 2).min(tuning.election_timeout_min_us - promise),
    };
    by_timeout.min(by_promise).max(tuning.heartbeat_interval_us)
}

/// A lag in entries that the rotation itself makes up for: some rounds through all followers.
pub fn ample_lag(replicas: usize) -> u64 {
    64.max(replicas as u64)
}

/// f: how many others must hold an entry before it commits, ⌊n/2⌋ of n `replicas`, even n included.
pub const fn others_needed(replicas: u64) -> u64 {
    replicas / 2
}

/// The fewest messages that commit a batch within `delays` one-way delays, f + ⌈f/(d−1)⌉ (design
/// §3).
///
/// f others must each receive the entries, from the leader or passed on: the first time each of
/// them does draws a tree of f edges below the leader. The last delay brings the leader the news,
/// so the tree is at most d − 1 deep, each of its leaves ends a path of at most d − 1 others, and
/// it has at least ⌈f/(d−1)⌉ leaves. A leaf is part of the quorum, so the leader must hear that it
/// holds the entries: each leaf sends one message more, which is no edge of the tree. Chains side
/// by side meet the bound.
///
/// A commit takes two delays at least, there and back: fewer are read as 2.
pub fn messages_per_batch(others_needed: u64, delays: u64) -> u64 {
    others_needed + others_needed.div_ceil(delays.max(2) - 1)
}

/// The batches of the greedy rule: for each, the place of its first arrival, and its size.
///
/// The first arrival that waits, a, closes its batch at a + `wait`. All that has arrived by then
/// goes with it, in order, `most_entries` at most.
fn greedy(
    arrivals: &[Micros],
    wait: Micros,
    most_entries: Option<u64>,
) -> impl Iterator<Item = (usize, usize)> + '_ {
    let most = most_entries.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let mut start = 0;
    std::iter::from_fn(move || {
        let waiting = arrivals.get(start..)?;
        let closes = *waiting.first()? + wait;
        let arrived = waiting.partition_point(|arrival| *arrival <= closes);
        let batch = (start, arrived.min(most.max(1)));
        start += batch.1;
        Some(batch)
    })
}

/// The fewest batches in which no arrival waits longer than `wait` before it is first sent, at most
/// `most_entries` in one (0 is read as 1). `arrivals` are in order of time.
///
/// The greedy rule is an optimum. Take any plan that is allowed. (1) If y arrived before x and
/// travels later, exchange them: y had arrived when x left, and x's deadline, x + `wait`, is no
/// earlier than y's; so let batches hold arrivals in order. (2) The first batch holds the first
/// arrival a; all others in it came no earlier, so none has a deadline before a + `wait`, and
/// sending the batch at a + `wait` keeps the plan allowed. (3) As long as it has room, move the
/// next arrival that has come by then into it, out of a later batch: no batch is added. Now the
/// first batch is the greedy one, and the rest of the plan serves the rest of the arrivals, to
/// which the same applies. No step added a batch.
pub fn fewest_batches(arrivals: &[Micros], wait: Micros, most_entries: Option<u64>) -> u64 {
    greedy(arrivals, wait, most_entries).count() as u64
}

/// The effect of a linger on arrivals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lingered {
    /// Number of batches.
    pub batches: u64,
    /// Mean wait added to an arrival, in microseconds; 0 without arrivals.
    pub mean_wait_us: f64,
}

/// The batches of a leader that waits `linger` for more entries after the first arrival, and sends
/// a batch as soon as it has `most_entries`. `arrivals` are in order of time.
pub fn batches_by_linger(
    arrivals: &[Micros],
    linger: Micros,
    most_entries: Option<u64>,
) -> Lingered {
    let (mut batches, mut waited_us) = (0, 0.0);
    for (start, size) in greedy(arrivals, linger, most_entries) {
        let batch = &arrivals[start..start + size];
        let closes = batch[0] + linger;
        let full = most_entries.is_some_and(|most| size as u64 >= most);
        let sent = if full { batch[size - 1].min(closes) } else { closes };
        batches += 1;
        waited_us += batch.iter().map(|arrival| (sent - *arrival).0 as f64).sum::<f64>();
    }
    let mean_wait_us = if batches == 0 { 0.0 } else { waited_us / arrivals.len() as f64 };
    Lingered { batches, mean_wait_us }
}

/// A stretch of time in which one replica leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedSpan {
    /// Its beginning, in microseconds.
    pub from: Micros,
    /// Its end, in microseconds, no longer part of it.
    pub to: Micros,
    /// How many others live and can be reached. They must hear from the leader.
    pub listeners: u64,
}

/// What a run demanded of its cluster.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// Number of replicas, dead ones included. It decides how many make a quorum.
    pub replicas: u64,
    /// The times in which some replica led. They do not overlap.
    pub leaderships: &'a [LedSpan],
    /// T: the time within which a failure must be noticed.
    pub detection: Micros,
    /// When the leader took in each put that it committed, in order of time.
    pub arrivals: &'a [Micros],
    /// D: how long an arrival may wait before it is first sent.
    pub wait: Micros,
    /// Most entries of a batch.
    pub most_entries: Option<u64>,
}

/// A window of length T, in which a failure must be noticed.
struct Window {
    /// f.
    others_needed: u64,
    /// Number of replicas that must hear from the leader.
    listeners: u64,
}

impl Window {
    /// Messages received in a window in which `batches` are sent. Others receive at least f for
    /// each batch, and each listener receives one. The leader receives at least one for each batch,
    /// and one if there is any listener to send it.
    fn messages(&self, batches: u64) -> u64 {
        (batches * self.others_needed).max(self.listeners) + batches.max(self.listeners.min(1))
    }
}

/// floor(D): the number of messages that no placement of the batches can undercut, with failures
/// noticed within T (design §6). It has two premises. First, no put is held longer than D
/// *anywhere*, at the leader or on its way, and transit takes no time. So [arrival, arrival + D]
/// holds a moment in which the put is both sent and acknowledged, and one acknowledgement serves
/// only puts that share such a moment. Second, every *listener* is to notice a dead leader within
/// T. Who listens is a choice, which the spans state: everyone who lives; or f watchers, of whom
/// one lives and notices after f − 1 further failures; or nobody, where the first request is to
/// notice (R30).
///
/// Cut each leadership into windows of T. In each, every listener hears from the leader, and the
/// leader hears from someone, or a failure in it could go unnoticed for longer than T. A batch is
/// received by f others and acknowledged at least once, and those receptions count as hearing (a
/// rotating quorum is the heartbeat). So a window in which b batches are sent costs at least g(b) =
/// max(b·f, listeners) + max(b, 1), which for a whole cluster is max(b·f, n−1) + max(b, 1); a batch
/// outside of all windows costs at least g = f + 1.
///
/// A plan that knows the future may choose how many batches a window holds, within two limits that
/// hold for every plan. (1) An arrival a whose whole interval [a, a + D] lies in a window is sent
/// in it, so the window holds at least [`fewest_batches`] of those arrivals. (2) All windows and
/// the time between them hold together at least [`fewest_batches`] of all arrivals, B. g rises, by
/// steps that do not shrink (it is a sum of two maxima of straight lines), and f + 1 is its largest
/// step. So the cheapest allowed division starts from (1) and adds what is missing to B where the
/// next step costs least. If W windows make up the whole span, this is at least max(B·f, W·(n−1)) +
/// max(B, W), the bound for the run as a whole.
///
/// Without arrivals this is what an idle cluster costs: listeners + 1 messages a window, or nothing
/// with no listener. One message to the leader is enough: a heartbeat passed along a chain does it.
///
/// Delays count as nothing against T: a batch counts where it is sent.
pub fn fewest_messages(demand: &Demand) -> u64 {
    let others_needed = others_needed(demand.replicas);
    let mut missing = fewest_batches(demand.arrivals, demand.wait, demand.most_entries);
    let mut cheap_steps = Vec::new();
    let mut messages = 0;
    for led_span in demand.leaderships {
        let window = Window { others_needed, listeners: led_span.listeners };
        let whole = (led_span.to - led_span.from).0.checked_div(demand.detection.0).unwrap_or(0);
        for place in 0..whole {
            let from = led_span.from + Micros(place * demand.detection.0);
            let batches = forced_batches(demand, from, from + demand.detection);
            messages += window.messages(batches);
            missing = missing.saturating_sub(batches);
            let no_longer_cheap = led_span.listeners.div_ceil(others_needed.max(1)).max(1);
            cheap_steps.extend(
                (batches..no_longer_cheap)
                    .map(|batches| window.messages(batches + 1) - window.messages(batches)),
            );
        }
    }
    cheap_steps.sort_unstable();
    let cheap = cheap_steps.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
    messages
        + cheap_steps[..cheap].iter().sum::<u64>()
        + (missing - cheap as u64) * (others_needed + 1)
}

/// The fewest batches of the arrivals whose whole interval [a, a + D] is between `from` and `to`.
fn forced_batches(demand: &Demand, from: Micros, to: Micros) -> u64 {
    let first = demand.arrivals.partition_point(|arrival| *arrival < from);
    let inside = &demand.arrivals[first..];
    let last = inside.partition_point(|arrival| *arrival + demand.wait < to);
    fewest_batches(&inside[..last], demand.wait, demand.most_entries)
}

/// What the course's simulator demands of a run. A run with fewer messages fails (interface §5).
pub fn simulator_floor(
    requests: u64,
    replicas: u64,
    mix: f64,
    maximum_appends_batched_fraction: f64,
) -> f64 {
    (requests * replicas) as f64 * (1.0 - mix) * (1.0 - maximum_appends_batched_fraction)
}

/// What a leader spends that sends each batch to f others, each of which answers.
pub const fn thrifty_star(batches: u64, others_needed: u64) -> u64 {
    2 * others_needed * batches
}

/// What textbook Raft spends in `span`: each command to every other replica, a heartbeat to every
/// other replica each 150 ms, and an answer to each of these.
pub const fn textbook(commands: u64, span: Micros, replicas: u64) -> u64 {
    2 * replicas.saturating_sub(1) * (commands + span.0 / TEXTBOOK_HEARTBEAT_US)
}

/// The fewest messages, on average, that bring `messages` to their receivers if each is lost with
/// probability `loss`, independently.
///
/// Whatever rule says when to send again and when to stop, it cannot know in advance what becomes
/// of a message that is not sent yet. So by Wald's equation the mean number of arrivals is (1 − p)
/// times the mean number of messages sent, and `messages` arrivals need messages/(1 − p) on
/// average. If all are lost, no number is enough: infinity, unless none was needed.
pub fn with_loss(messages: f64, loss: f64) -> f64 {
    if messages <= 0.0 {
        0.0
    } else if loss >= 1.0 {
        f64::INFINITY
    } else {
        messages / (1.0 - loss.max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The parents in every tree over `others` nodes below a leader (place 0): the parent of node i
    /// is one of the nodes before it.
    fn trees(others: usize) -> Vec<Vec<usize>> {
        (1..=others).fold(vec![vec![]], |trees, node| {
            let longer = |tree: Vec<usize>| {
                (0..node).map(move |parent| [tree.clone(), vec![parent]].concat())
            };
            trees.into_iter().flat_map(longer).collect()
        })
    }

    #[test]
    fn no_tree_commits_a_batch_with_fewer_messages() {
        for others in 1..=7_usize {
            for delays in 2..=others as u64 + 2 {
                let least = trees(others)
                    .into_iter()
                    .filter_map(|parents| {
                        let mut depth = vec![0];
                        for parent in &parents {
                            depth.push(depth[*parent] + 1);
                        }
                        let leaves = (1..=others).filter(|node| !parents.contains(node)).count();
                        let deepest = *depth.iter().max().unwrap();
                        (deepest < delays).then_some((others + leaves) as u64)
                    })
                    .min();
                assert_eq!(Some(messages_per_batch(others as u64, delays)), least, "{delays}");
            }
        }
        assert_eq!(messages_per_batch(2, 0), 4);
    }

    /// The numbers of batches at each moment, at most two, for a time line of that many moments.
    fn placements(moments: usize) -> impl Iterator<Item = Vec<u64>> {
        (0..3_u64.pow(moments as u32)).map(move |code| {
            (0..moments).map(|moment| code / 3_u64.pow(moment as u32) % 3).collect()
        })
    }

    /// Whether each arrival finds room in a batch within `wait` of it. Each takes the first such
    /// batch.
    fn serves(placement: &[u64], arrivals: &[Micros], wait: Micros, most: u64) -> bool {
        let mut room: Vec<u64> = placement.iter().map(|batches| batches * most).collect();
        arrivals.iter().all(|arrival| {
            let until = (arrival.0 + wait.0).min(room.len() as u64 - 1);
            let found = (arrival.0..=until).find(|moment| room[*moment as usize] > 0);
            found.map(|moment| room[moment as usize] -= 1).is_some()
        })
    }

    const MOMENTS: u64 = 8;

    fn arrivals() -> impl Strategy<Value = Vec<Micros>> {
        proptest::collection::vec((0..MOMENTS).prop_map(Micros), 0..7).prop_map(|mut arrivals| {
            arrivals.sort_unstable();
            arrivals
        })
    }

    /// The fewest receptions in a window, by trying every quorum for each batch.
    fn least_by_trying(others_needed: u32, listeners: u32, batches: u32, heard: u32) -> u64 {
        if batches == 0 {
            return u64::from(listeners - heard.count_ones());
        }
        (0..1_u32 << listeners)
            .filter(|quorum| quorum.count_ones() == others_needed)
            .map(|quorum| {
                let rest = least_by_trying(others_needed, listeners, batches - 1, heard | quorum);
                u64::from(others_needed) + rest
            })
            .min()
            .unwrap()
    }

    #[test]
    fn a_window_costs_what_the_best_choice_of_quorums_costs() {
        for listeners in 1..=5_u32 {
            for others_needed in 1..=listeners.min(3) {
                for batches in 0..=3_u32 {
                    let window =
                        Window { others_needed: others_needed.into(), listeners: listeners.into() };
                    let by_others = least_by_trying(others_needed, listeners, batches, 0);
                    let expected = by_others + u64::from(batches.max(1));
                    assert_eq!(window.messages(batches.into()), expected);
                }
            }
        }
    }

    /// What a placement costs: each window by its own cost, each batch outside of windows f + 1.
    fn cost(placement: &[u64], demand: &Demand) -> u64 {
        let others_needed = others_needed(demand.replicas);
        let mut outside: Vec<u64> = placement.to_vec();
        let mut messages = 0;
        for led_span in demand.leaderships {
            let mut from = led_span.from.0;
            while from + demand.detection.0 <= led_span.to.0 {
                let moments = from as usize..(from + demand.detection.0) as usize;
                let batches = outside[moments.clone()].iter().sum();
                outside[moments].fill(0);
                messages +=
                    Window { others_needed, listeners: led_span.listeners }.messages(batches);
                from += demand.detection.0;
            }
        }
        messages + outside.iter().sum::<u64>() * (others_needed + 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_placement_needs_fewer_batches_than_the_greedy_rule(
            arrivals in arrivals(), wait in 0..4_u64, most in 3..8_u64,
        ) {
            let wait = Micros(wait);
            let least = placements(MOMENTS as usize)
                .filter(|placement| serves(placement, &arrivals, wait, most))
                .map(|placement| placement.iter().sum::<u64>())
                .min();
            prop_assert_eq!(Some(fewest_batches(&arrivals, wait, Some(most))), least);
        }

        #[test]
        fn no_placement_costs_less_than_the_floor(
            arrivals in arrivals(),
            wait in 0..4_u64,
            replicas in 3..8_u64,
            detection in 2..6_u64,
            dead in 0..2_u64,
            hearing in 0..3_usize,
            cut in 0..MOMENTS,
        ) {
            let most = [replicas - 1, replicas / 2, 0][hearing];
            let listeners = |dead: u64| (replicas - 1 - dead).min(most);
            let leaderships = [
                LedSpan { from: Micros(0), to: Micros(cut), listeners: listeners(0) },
                LedSpan { from: Micros(cut), to: Micros(MOMENTS), listeners: listeners(dead) },
            ];
            let demand = Demand {
                replicas,
                leaderships: &leaderships,
                detection: Micros(detection),
                arrivals: &arrivals,
                wait: Micros(wait),
                most_entries: Some(4),
            };
            let least = placements(MOMENTS as usize)
                .filter(|placement| serves(placement, &arrivals, demand.wait, 4))
                .map(|placement| cost(&placement, &demand))
                .min()
                .unwrap();
            let floor = fewest_messages(&demand);
            prop_assert!(floor <= least, "floor {floor}, a placement costs {least}");

            let (f, windows) = (replicas / 2, (MOMENTS / detection).max(1));
            let whole = [LedSpan { from: Micros(0), to: Micros(MOMENTS), listeners: replicas - 1 }];
            let batches = fewest_batches(&arrivals, demand.wait, Some(4));
            let as_a_whole = (batches * f).max(windows * (replicas - 1)) + batches.max(windows);
            let of_the_whole = fewest_messages(&Demand { leaderships: &whole, ..demand });
            prop_assert!(of_the_whole >= as_a_whole, "{of_the_whole} below {as_a_whole}");
        }
    }

    /// Where every arrival's whole interval lies in one window, the floor is reached exactly.
    #[test]
    fn the_floor_is_what_a_clairvoyant_pays() {
        let second = Micros::from_seconds(1);
        let led_span = LedSpan { from: Micros(0), to: Micros::from_seconds(3), listeners: 4 };
        let at = |tenths: &[u64]| -> Vec<Micros> {
            tenths.iter().map(|tenth| Micros::from_millis(tenth * 100)).collect()
        };
        let floor = |arrivals: &[Micros], wait| {
            fewest_messages(&Demand {
                replicas: 5,
                leaderships: &[led_span],
                detection: second,
                arrivals,
                wait: Micros::from_millis(wait),
                most_entries: None,
            })
        };
        assert_eq!(floor(&[], 0), 3 * 5, "heartbeats only");
        let nobody = [LedSpan { listeners: 0, ..led_span }];
        let idle = Demand {
            replicas: 5,
            leaderships: &nobody,
            detection: second,
            arrivals: &[],
            wait: Micros(0),
            most_entries: None,
        };
        assert_eq!(fewest_messages(&idle), 0, "nobody is to hear");
        assert_eq!(floor(&at(&[1]), 0), 3 * 5, "one batch is a heartbeat for two");
        assert_eq!(floor(&at(&[1, 2, 3]), 0), (6 + 3) + 2 * 5);
        assert_eq!(floor(&at(&[1, 2, 3]), 100), (4 + 2) + 2 * 5);
        assert_eq!(floor(&at(&[1, 2, 3]), 200), 3 * 5);
        assert_eq!(floor(&at(&[35, 37]), 0), 3 * 5, "two more find room in heartbeats");
        let late = at(&[31, 32, 33, 34, 35, 36, 37]);
        assert_eq!(floor(&late[..5], 0), 3 * 5 + 2, "a second one in a window costs an answer");
        assert_eq!(floor(&late, 0), 3 * 5 + 3 + 3, "a third one costs f + 1");
        assert_eq!(floor(&at(&[1, 8]), 200), 3 * 5, "the second may wait for the next window");
    }

    #[test]
    fn what_a_linger_does() {
        let arrivals: Vec<Micros> = [0, 10, 20, 100, 100].map(Micros).to_vec();
        let lingered = |linger, most| batches_by_linger(&arrivals, Micros(linger), most);
        assert_eq!(lingered(0, None), Lingered { batches: 4, mean_wait_us: 0.0 });
        assert_eq!(
            lingered(10, None),
            Lingered { batches: 3, mean_wait_us: (10.0 + 10.0 + 20.0) / 5.0 }
        );
        assert_eq!(lingered(20, None), Lingered { batches: 2, mean_wait_us: (30.0 + 40.0) / 5.0 });
        assert_eq!(
            lingered(20, Some(2)),
            Lingered { batches: 3, mean_wait_us: (10.0 + 20.0) / 5.0 }
        );
        assert_eq!(
            batches_by_linger(&[], Micros(5), None),
            Lingered { batches: 0, mean_wait_us: 0.0 }
        );
    }

    /// Two heartbeats a promise, three an election timeout, and one between the end of a promise
    /// and the timeout. An interval that is longer already stays.
    #[test]
    fn a_heartbeat_is_as_seldom_as_timeout_and_promise_allow() {
        let course = crate::tuning_file::load("course").unwrap().tuning;
        let longest = |election_timeout_min_us, promise_us, heartbeat_interval_us| {
            longest_heartbeat_us(&Tuning {
                election_timeout_min_us,
                promise_us,
                heartbeat_interval_us,
                ..course.clone()
            })
        };
        assert_eq!(longest(900_000, 0, 1), 300_000);
        assert_eq!(longest(900_000, 400_000, 1), 200_000);
        assert_eq!(longest(900_000, 800_000, 1), 100_000);
        assert_eq!(longest(900_000, 800_000, 250_000), 250_000);
    }

    #[test]
    fn references() {
        assert_eq!((others_needed(4), others_needed(5)), (2, 2));
        assert_eq!(simulator_floor(500, 5, 0.2, 0.5), 1000.0);
        assert_eq!(thrifty_star(10, 2), 40);
        assert_eq!(textbook(10, Micros::from_seconds(3), 5), 8 * 10 + 8 * 20);
        assert_eq!(with_loss(90.0, 0.1), 100.0);
        assert_eq!((with_loss(1.0, 1.0), with_loss(0.0, 1.0)), (f64::INFINITY, 0.0));
    }
}
