//! Rules R21 and R23 to R26: what keeps a cluster answering when much goes wrong.

use std::cell::RefCell;
use std::rc::Rc;

use laconic::raft::message::Append;
use laconic::raft::tuning::{FanOut, Reads, ResendFrom};
use laconic::raft::{Cause, Event, Member, Message, Micros, RoleName, Tuning, Why};
use laconic::sim::random_stream::RandomStream;

use crate::cluster::{Cluster, Fate, Flight, ONE_WAY, course, each_answered, fast, ms};
use crate::solo::{Solo, accepted, append, appends, pre_vote_request, reply, vote, vote_request};

/// For ten seconds the network repeats messages that a dead leader once sent.
#[test]
fn r21_copies_of_old_heartbeats_calm_nobody() {
    [fast(), course()].into_iter().for_each(copies_calm_nobody);
}

fn copies_calm_nobody(tuning: Tuning) {
    let mut cluster = Cluster::new(3, 2, tuning);
    let leader = cluster.elect();
    let tape: Rc<RefCell<Vec<Flight>>> = Rc::default();
    let said = Rc::clone(&tape);
    cluster.obeys(move |flight| {
        if flight.from == leader {
            said.borrow_mut().push(flight.clone());
        }
        Fate::Pass
    });
    cluster.run_for(ms(900));
    cluster.kill(leader);
    cluster.calm();
    let died = cluster.now;
    while cluster.leader().is_none() {
        tape.borrow().iter().for_each(|flight| cluster.deliver(flight.clone()));
        cluster.run_for(ms(50));
        assert!(cluster.now.since(died) < ms(2_100), "nobody leads 2.1 s after the leader's death");
    }
}

/// A follower of member 1 in term 1. It has heard round 5, which asked for a promise of 800 ms.
fn follower() -> Solo {
    let mut solo = Solo::new(3, each_answered());
    solo.wait(ms(10));
    let asks = Append { promise: ms(800), round: 5, ..append(1, 1, (0, 0), &[1]) };
    solo.hear(1, Message::Append(asks));
    solo
}

#[test]
fn r21_only_a_newer_round_renews_timer_promise_and_hearing() {
    for (round, is_news) in [(4, false), (5, false), (6, true)] {
        let mut solo = follower();
        let before = (solo.raft().deadline(), solo.raft().times_heard());
        let promised = solo.replica.status().promise_until;
        solo.wait(ms(500));
        let again = Append { promise: ms(800), round, ..append(1, 1, (0, 0), &[1]) };
        solo.hear(1, Message::Append(again));
        assert_eq!(solo.raft().deadline() != before.0, is_news, "round {round}: timer");
        assert_eq!(solo.raft().times_heard() != before.1, is_news, "round {round}: hearing");
        assert_eq!(solo.replica.status().promise_until != promised, is_news, "round {round}");
    }
}

/// Why R21 is safe: a member that accepts a round has promised at least since that round began. A
/// refused round has promised nothing, so an older round that fits must still give its promise.
#[test]
fn r21_an_accepted_round_has_always_promised() {
    let mut solo = follower();
    solo.wait(ms(700));
    let too_far = Append { promise: ms(800), round: 9, ..append(1, 1, (1, 7), &[1]) };
    assert!(reply(&solo.hear(1, Message::Append(too_far))).refusal.is_some());
    let late = Append { promise: ms(800), round: 8, ..append(1, 1, (1, 1), &[]) };
    assert_eq!(reply(&solo.hear(1, Message::Append(late))).refusal, None);
    solo.wait(ms(799));
    assert!(!vote(&solo.hear(2, vote_request(9, (8, 50)))).0, "round 8 was accepted");
}

/// A pre-candidate goes on, although a copy from its dead leader arrives.
#[test]
fn r21_an_old_copy_ends_no_campaign() {
    let mut solo = follower();
    solo.wait(ms(2_000));
    assert_eq!(solo.role(), RoleName::PreCandidate);
    let old = Append { round: 4, ..append(1, 1, (0, 0), &[1]) };
    solo.hear(1, Message::Append(old.clone()));
    assert_eq!(solo.role(), RoleName::PreCandidate);
    solo.hear(1, Message::Append(Append { round: 6, ..old }));
    assert_eq!(solo.role(), RoleName::Follower);
}

#[test]
fn r21_the_same_vote_request_again_renews_no_timer() {
    let mut solo = Solo::new(3, fast());
    solo.wait(ms(10));
    assert!(vote(&solo.hear(1, vote_request(3, (0, 0)))).0);
    let deadline = solo.raft().deadline();
    solo.wait(ms(500));
    assert!(vote(&solo.hear(1, vote_request(3, (0, 0)))).0, "the answer may have been lost");
    assert_eq!(solo.raft().deadline(), deadline);
}

#[test]
fn r21_an_old_copy_of_an_answer_clears_no_suspicion() {
    let mut solo = Solo::new(3, fast());
    let opening = solo.lead();
    solo.acknowledge(&opening);
    let first = appends(&opening)[0].clone();
    solo.put("k", "P");
    solo.wait(ms(1));
    solo.wait(ms(50));
    let member = first.route.first().expect("a receiver");
    let is_suspect = |solo: &Solo| {
        solo.raft().followers().any(|follower| follower.member == member && follower.suspect)
    };
    assert!(is_suspect(&solo));
    solo.hear(member.0, accepted(&first, first.through()));
    assert!(is_suspect(&solo), "this answer was known before the silence");
}

/// f members die before the election, so the next leader never hears from them in its term.
#[test]
fn r23_a_leader_that_never_heard_from_f_others_serves_at_once() {
    for count in [3, 5, 7, 21] {
        for fan_out in [FanOut::Thrifty, FanOut::Chain] {
            let mut cluster = Cluster::new(count, 6, Tuning { fan_out, ..fast() });
            let first = cluster.elect();
            let others = cluster.others(first);
            others.iter().take(usize::from(count) / 2 - 1).for_each(|member| cluster.kill(*member));
            cluster.kill(first);
            let leader = cluster.elect();
            cluster.run_for(ms(3_000));
            for put in 0..20 {
                let start = cluster.now;
                let name = cluster.put(leader, "k", &format!("{put}"));
                assert!(cluster.run_until(ms(1_000), |cluster| cluster.is_ok(name)));
                let took = cluster.now.since(start);
                assert!(took < ms(20), "n = {count}, {fan_out:?}: put {put} took {took} s");
                cluster.run_for(ms(150));
            }
        }
    }
}

/// The same for reads that wait for a round: members that cannot answer it start no clock.
#[test]
fn r23_a_round_for_reads_that_goes_to_the_dead_holds_no_put() {
    let mut solo = Solo::new(5, Tuning { reads: Reads::Confirm, ..fast() });
    let opening = solo.lead();
    solo.acknowledge(&opening[..2]);
    solo.wait(ms(3));
    for put in 0..10 {
        // Heartbeats, probes of the two silent members and their timeouts go on all the time.
        for _ in 0..40 {
            let sent = solo.wait(ms(5));
            let answering = sent.into_iter().filter(|datagram| datagram.destination.0 <= 2);
            solo.acknowledge(&answering.collect::<Vec<_>>());
        }
        assert!(solo.raft().accepts_proposals(solo.now), "before put {put}");
    }
}

/// A bridge: the leader reaches one follower, which also hears the members a and b. These three are
/// a quorum, but the promise that the leader renews at the bridge forbids them to elect.
#[test]
fn r24_promises_need_check_quorum() {
    let refused = Tuning { check_quorum: false, ..fast() }.check().expect_err("refused");
    assert_eq!(refused.to_string(), "promise_us: must be 0 without check_quorum");
    let none = Tuning { check_quorum: false, pre_vote: false, promise_us: 0, ..fast() };
    assert_eq!(Tuning { reads: Reads::Confirm, ..none }.check(), Ok(()));
    let mut cluster = Cluster::new(5, 1, fast());
    let leader = cluster.elect();
    let [a, b, bridge, _] = cluster.others(leader)[..] else { panic!("five members") };
    let links = [(a, b), (a, bridge), (b, bridge), (bridge, leader)];
    cluster.obeys(move |flight: &Flight| {
        let link = (flight.from, flight.to);
        let stands = links.contains(&link) || links.contains(&(link.1, link.0));
        if stands { Fate::Pass } else { Fate::Lose }
    });
    let led = |cluster: &Cluster| cluster.leader().is_some_and(|next| next != leader);
    assert!(cluster.run_until(ms(6_000), led), "a, b and the bridge elect one of them");
}

/// What it cost that a leader died.
struct Outage {
    second_term: bool,
    campaign_messages: usize,
    lasted: Micros,
}

/// A leader dies under load. Messages take 150 to 350 us.
fn outage(count: u8, seed: u64, tuning: Tuning) -> Outage {
    let mut random = RandomStream::new(seed, "outage", 0);
    let mut cluster = Cluster::new(count, seed, tuning);
    cluster.obeys(move |_| Fate::After(Micros(150 + random.below(201))));
    let leader = cluster.elect();
    for put in 0..20 {
        cluster.put(leader, "k", &format!("{put}"));
        cluster.run_for(Micros(50_000 - 7 * seed % 500));
    }
    cluster.put(leader, "k", "last");
    cluster.run_for(Micros(seed * 37 % 900));
    let (term, died, mark) = (cluster.raft(leader).term(), cluster.now, cluster.records.len());
    cluster.kill(leader);
    let led = |cluster: &Cluster| cluster.leader().is_some();
    assert!(cluster.run_until(ms(20_000), led), "n = {count}, seed {seed}: nobody leads");
    let lasted = cluster.now.since(died);
    let next = cluster.leader().expect("it leads");
    let second_term = cluster.raft(next).term() > term + 1;
    cluster.run_for(ms(200));
    let campaign = |_, why: Why| matches!(why.cause(), Cause::Campaign | Cause::Retry);
    Outage { second_term, campaign_messages: cluster.count(mark, campaign), lasted }
}

/// Second terms per thousand outages, the median of campaign messages, and the 90th percentile of
/// the outage's length.
fn outages(count: u8, fan_out: FanOut) -> (usize, usize, Micros) {
    const SEEDS: u64 = 150;
    let one = |seed| outage(count, seed, Tuning { fan_out, ..fast() });
    let mut all: Vec<Outage> = (0..SEEDS).map(one).collect();
    let second_terms = all.iter().filter(|outage| outage.second_term).count();
    all.sort_by_key(|outage| outage.campaign_messages);
    let messages = all[all.len() / 2].campaign_messages;
    all.sort_by_key(|outage| outage.lasted);
    (second_terms * 1_000 / all.len(), messages, all[all.len() * 9 / 10].lasted)
}

#[test]
fn r25_holders_of_the_longer_log_do_not_split_the_vote() {
    for count in [5, 7, 21] {
        let (second_terms, messages, p90) = outages(count, FanOut::Thrifty);
        let (_, star_messages, star_p90) = outages(count, FanOut::Star);
        println!(
            "n = {count}: second terms {second_terms} per mille, {messages} messages of campaigns \
             (star {star_messages}), 90 % of outages under {p90} s (star {star_p90})"
        );
        assert!(second_terms < 20, "n = {count}: {second_terms} of 1,000 need a second term");
        assert!(messages <= 3 * (usize::from(count) - 1), "n = {count}: {messages} messages");
        assert!(p90 <= star_p90 + ms(25), "n = {count}: {p90} s against a star's {star_p90}");
    }
}

/// The timers of two members run out together: the one of lower rank goes on, the other yields.
#[test]
fn r25_of_two_that_ask_at_once_one_yields() {
    let asking = || {
        let mut solo = Solo::new(3, fast());
        solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
        while solo.role() == RoleName::Follower {
            solo.wait(ms(1));
        }
        solo
    };
    let mut solo = asking();
    assert!(!vote(&solo.hear(2, pre_vote_request(2, (1, 1)))).0, "it asks itself, with lower rank");
    assert_eq!(solo.role(), RoleName::PreCandidate);
    solo.wait(ms(200));
    assert!(vote(&solo.hear(2, pre_vote_request(2, (1, 1)))).0, "but not for ever");
    let mut solo = asking();
    assert!(vote(&solo.hear(2, pre_vote_request(2, (1, 2)))).0, "the other holds more");
    assert_eq!(solo.role(), RoleName::Follower);
    let deadline = solo.raft().deadline();
    assert!(deadline >= solo.now + ms(20), "and is left the time for its election");
}

/// What puts cost in a cluster where the messages of one follower may be slow.
struct Load {
    median: Micros,
    messages_per_put: f64,
    campaigns: usize,
    most_lag: u64,
}

/// Sends 400 puts, one each `every`, after 40 that do not count. `delay` says how long a message
/// takes.
fn load(
    count: u8,
    tuning: Tuning,
    every: Micros,
    delay: impl Fn(Member, Member, Member) -> Micros + 'static,
) -> Load {
    let mut cluster = Cluster::new(count, 3, tuning);
    let leader = cluster.elect();
    cluster.obeys(move |flight| Fate::After(delay(leader, flight.from, flight.to)));
    let mut puts = Vec::new();
    let (mut most_lag, mut mark) = (0, 0);
    for put in 0..440 {
        if put == 40 {
            mark = cluster.records.len();
        }
        puts.push(cluster.put(leader, &format!("k{put}"), "v"));
        cluster.run_for(every);
        let last = cluster.raft(leader).log().last_index();
        let lags = cluster.living().map(|replica| last - replica.raft().log().last_index());
        most_lag = most_lag.max(lags.max().unwrap_or(0));
    }
    let messages = cluster.messages(mark) as f64;
    cluster.run_for(ms(1_000));
    let took = |put: &usize| {
        let asked = cluster.asked(*put);
        asked.answers.first().expect("each put is answered").0.since(asked.at)
    };
    let mut took: Vec<Micros> = puts[40..].iter().map(took).collect();
    took.sort_unstable();
    let stood = |event: &Event| matches!(event, Event::BecamePreCandidate { .. });
    let campaigns = cluster.events(mark, stood).count();
    let median = took[took.len() / 2];
    Load { median, messages_per_put: messages / 400.0, campaigns, most_lag }
}

#[test]
fn r26_one_slow_follower_slows_nobody_and_is_not_starved() {
    for count in [3, 5, 21] {
        for every in [ms(2), ms(50)] {
            let all_prompt = load(count, fast(), every, |_, _, _| ONE_WAY);
            for slow_way in [ms(1), ms(4), ms(8), ms(100)] {
                let one_slow = load(count, fast(), every, move |leader, from, to| {
                    let slow = Member((leader.0 + 1) % count);
                    if [from, to].contains(&slow) { slow_way } else { ONE_WAY }
                });
                let case = format!("n = {count}, a put each {every} s, {slow_way} s each way");
                println!(
                    "{case}: median {} s, {:.2} messages a put, lag {}",
                    one_slow.median, one_slow.messages_per_put, one_slow.most_lag
                );
                assert!(one_slow.median.0 * 10 <= all_prompt.median.0 * 12, "{case}");
                assert!(one_slow.messages_per_put <= all_prompt.messages_per_put * 1.3, "{case}");
                assert_eq!(one_slow.campaigns, 0, "{case}");
                // The bound: the lag that is allowed, and the entries that come during a catch-up.
                let on_the_way = 2 * slow_way.0 / every.0 + 1;
                assert!(one_slow.most_lag <= fast().lag_most_entries + on_the_way, "{case}");
            }
        }
    }
}

/// A member that was slow for a while takes its turn again once it answers in time.
#[test]
fn r26_a_slow_follower_comes_back_when_it_is_prompt() {
    let mut cluster = Cluster::new(5, 3, fast());
    let leader = cluster.elect();
    let slow = cluster.others(leader)[0];
    let turns = |cluster: &mut Cluster| {
        let mark = cluster.records.len();
        for put in 0..100 {
            cluster.put(leader, &format!("k{put}"), "v");
            cluster.run_for(ms(20));
        }
        let batch = Why::Own(Cause::Replicate);
        cluster.sent_to(mark, slow, |why| why == batch)
    };
    assert!(turns(&mut cluster) >= 40);
    cluster.obeys(move |flight| {
        if [flight.from, flight.to].contains(&slow) { Fate::After(ms(8)) } else { Fate::Pass }
    });
    turns(&mut cluster);
    assert_eq!(turns(&mut cluster), 0);
    cluster.calm();
    cluster.run_for(ms(10_000));
    assert!(turns(&mut cluster) >= 40);
}

/// An answer that comes after its resend proves that its sender lives, but not that it is in time.
/// So the row of timeouts goes on, and the next resend waits twice as long.
#[test]
fn r26_a_late_answer_ends_no_row_of_timeouts() {
    let fixed = Tuning { fan_out: FanOut::Star, resend_from: ResendFrom::Fixed, ..fast() };
    let mut solo = Solo::new(3, fixed);
    solo.lead_all();
    solo.put("k", "P");
    let batch = appends(&solo.wait(ms(1)));
    let late = batch.iter().find(|append| append.route.first() == Some(Member(2)));
    let late = late.expect("to everyone").clone();
    let timeouts = |solo: &Solo| {
        solo.events(|event| matches!(event, Event::ResendTimeout { member: Member(2), .. }))
    };
    solo.wait(ms(11));
    assert_eq!(timeouts(&solo), 1);
    solo.hear(2, accepted(&late, late.through()));
    solo.wait(ms(15));
    assert_eq!(timeouts(&solo), 1, "the next one is due 20 ms after the late answer");
    solo.wait(ms(10));
    assert_eq!(timeouts(&solo), 2);
}

/// A round trip longer than the resend timeout is measured and not taken for loss: 4 messages a
/// put.
#[test]
fn a_long_way_costs_no_second_message() {
    for one_way in [ms(5), ms(8), ms(20), ms(50), ms(75)] {
        let cost = load(5, fast(), ms(50), move |_, _, _| one_way);
        println!("{one_way} s each way: {:.2} messages a put", cost.messages_per_put);
        assert!(cost.messages_per_put < 4.3, "{:.2} at {one_way} s", cost.messages_per_put);
        assert_eq!(cost.median, one_way + one_way);
    }
}

/// What waits for an answer is sent again at a steady rate, which costs messages. At 50 % loss each
/// way, the median latency stays below a tenth of a second.
#[test]
fn at_heavy_loss_what_waits_is_asked_for_steadily() {
    for (count, loss, most_ms, most_messages) in
        [(3, 50, 100, 7.0), (5, 50, 120, 14.0), (3, 30, 20, 5.0), (5, 30, 20, 9.0)]
    {
        let (mut took, mut messages) = (Vec::new(), 0);
        for seed in 0..20 {
            let mut random = RandomStream::new(seed, "loss", 0);
            let mut cluster = Cluster::new(count, seed, fast());
            cluster.elect();
            let lost = move |_: &Flight| random.below(100) < loss;
            let mut lost = lost;
            cluster.obeys(move |flight| if lost(flight) { Fate::Lose } else { Fate::Pass });
            let mark = cluster.records.len();
            let mut puts = Vec::new();
            for put in 0..100 {
                if let Some(leader) = cluster.leader() {
                    puts.push(cluster.put(leader, &format!("k{put}"), "v"));
                }
                cluster.run_for(ms(50));
            }
            messages += cluster.messages(mark);
            cluster.run_for(ms(3_000));
            took.extend(puts.iter().map(|put| {
                let asked = cluster.asked(*put);
                asked.answers.first().map_or(Micros::NEVER, |answer| answer.0.since(asked.at))
            }));
        }
        took.sort_unstable();
        let (median, per_put) = (took[took.len() / 2], messages as f64 / took.len() as f64);
        println!("n = {count}, {loss} % loss: median {median} s, {per_put:.2} messages a put");
        assert!(median < ms(most_ms), "n = {count}, {loss} %: {median} s");
        assert!(per_put < most_messages, "n = {count}, {loss} %: {per_put:.2} messages a put");
    }
}
