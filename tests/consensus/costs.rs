//! What replication costs, to the message (design section 3).

use laconic::raft::tuning::{FanOut, HeartbeatAnswers};
use laconic::raft::{Cause, Event, Kind, Member, Tuning, Why};

use crate::cluster::{Cluster, Fate, fast, ms};

fn tuned(fan_out: FanOut) -> Tuning {
    Tuning { fan_out, ..fast() }
}

/// Sends `puts` puts, one every `every_ms`, and returns the number of messages that they cost.
fn cost_of_puts(cluster: &mut Cluster, leader: Member, puts: usize, every_ms: u64) -> usize {
    let mark = cluster.records.len();
    for put in 0..puts {
        let name = cluster.put(leader, &format!("k{put}"), "v");
        cluster.run_for(ms(every_ms));
        assert!(cluster.is_ok(name), "put {put} within {every_ms} ms");
    }
    cluster.messages(mark)
}

/// A cluster with a leader that all members have answered.
fn warm(count: u8, tuning: Tuning) -> (Cluster, Member) {
    let mut cluster = Cluster::new(count, 1, tuning);
    let leader = cluster.elect();
    (cluster, leader)
}

#[test]
fn a_faultless_chain_costs_f_plus_1_messages_per_batch_and_nothing_besides() {
    for (count, f) in [(3, 1), (4, 2), (5, 2), (7, 3), (21, 10)] {
        let (mut cluster, leader) = warm(count, tuned(FanOut::Chain));
        let mark = cluster.records.len();
        assert_eq!(cost_of_puts(&mut cluster, leader, 200, 30), 200 * (f + 1), "n = {count}");
        for cause in [Cause::Resend, Cause::CatchUp, Cause::Heartbeat, Cause::Probe] {
            assert_eq!(cluster.caused(mark, cause), 0, "n = {count}: {}", cause.name());
        }
        assert_eq!(cluster.leader(), Some(leader), "rotation keeps everyone from campaigning");
    }
}

#[test]
fn chains_side_by_side_cost_what_lies_between() {
    let tuning = Tuning { chain_length: 2, ..tuned(FanOut::Chain) };
    let (mut cluster, leader) = warm(7, tuning);
    assert_eq!(cost_of_puts(&mut cluster, leader, 100, 30), 100 * (3 + 2));
    let tuning = Tuning { chain_length: 1, ..tuned(FanOut::Chain) };
    let (mut cluster, leader) = warm(7, tuning);
    assert_eq!(cost_of_puts(&mut cluster, leader, 100, 30), 100 * (3 + 3));
}

#[test]
fn a_faultless_thrifty_quorum_costs_2f_a_batch() {
    for (count, f) in [(3, 1), (4, 2), (5, 2), (7, 3), (21, 10)] {
        let (mut cluster, leader) = warm(count, tuned(FanOut::Thrifty));
        assert_eq!(cost_of_puts(&mut cluster, leader, 200, 30), 200 * 2 * f, "n = {count}");
    }
}

#[test]
fn star_and_broadcast_cost_two_messages_a_follower() {
    for fan_out in [FanOut::Star, FanOut::Broadcast] {
        for count in [3, 5, 7] {
            let (mut cluster, leader) = warm(count, tuned(fan_out));
            let others = usize::from(count) - 1;
            assert_eq!(cost_of_puts(&mut cluster, leader, 100, 30), 100 * 2 * others);
        }
    }
}

#[test]
fn puts_that_arrive_together_share_a_batch_unless_a_batch_is_one_entry() {
    for (most, batches) in [(256, 1), (1, 10)] {
        let tuning = Tuning {
            batch_most_entries: most,
            shared_acknowledgements: false,
            ..tuned(FanOut::Star)
        };
        let (mut cluster, leader) = warm(5, tuning);
        let mark = cluster.records.len();
        let puts: Vec<_> =
            (0..10).map(|put| cluster.put(leader, &format!("k{put}"), "v")).collect();
        cluster.run_for(ms(5));
        assert!(puts.into_iter().all(|put| cluster.is_ok(put)));
        assert_eq!(cluster.messages(mark), batches * 8);
    }
}

/// The paper's Raft sends heartbeats even when appends were sent, and everyone answers each.
#[test]
fn the_papers_raft_pays_for_every_command_and_every_heartbeat() {
    let tuning = Tuning {
        heartbeat_interval_us: 150_000,
        heartbeat_always: true,
        heartbeat_answers: HeartbeatAnswers::Everyone,
        batch_most_entries: 1,
        ..tuned(FanOut::Star)
    };
    let (mut cluster, leader) = warm(5, tuning);
    let mark = cluster.records.len();
    let all = cost_of_puts(&mut cluster, leader, 100, 30);
    let heartbeats = cluster.count(mark, |_, why| {
        matches!(why, Why::Own(Cause::Heartbeat) | Why::Ack(Cause::Heartbeat))
    });
    assert_eq!(all - heartbeats, 100 * 8);
    assert_eq!(heartbeats, 3_000 / 150 * 8);
}

#[test]
fn eager_commit_doubles_an_isolated_command() {
    let tuning = Tuning { eager_commit: true, ..tuned(FanOut::Star) };
    let (mut cluster, leader) = warm(5, tuning);
    cluster.run_for(ms(50));
    assert_eq!(cost_of_puts(&mut cluster, leader, 50, 30), 50 * 4 * 4);
}

/// The floor is f + 1 messages. Here the members of a quorum take turns to answer.
#[test]
fn an_idle_cluster_says_little() {
    let (mut cluster, leader) = warm(5, fast());
    let mark = cluster.records.len();
    cluster.run_for(ms(40_000));
    let messages = cluster.messages(mark);
    assert!((550..=620).contains(&messages), "{messages} in 100 intervals");
    assert_eq!(cluster.leader(), Some(leader));
    let (mut cluster, leader) = warm(5, fast());
    cost_of_puts(&mut cluster, leader, 7, 70);
    let mark = cluster.records.len();
    cluster.run_for(ms(40_000));
    let messages = cluster.messages(mark);
    assert!(messages <= 820, "{messages} in 100 intervals after puts that spread the heartbeats");
}

#[test]
fn a_dead_follower_costs_an_idle_cluster_little() {
    for dead in 1..=2 {
        let (mut cluster, leader) = warm(5, fast());
        cluster.others(leader).into_iter().take(dead).for_each(|member| cluster.kill(member));
        cluster.run_for(ms(2_000));
        let mark = cluster.records.len();
        cluster.run_for(ms(40_000));
        let messages = cluster.messages(mark);
        assert!(messages <= 620, "{messages} in 100 intervals with {dead} dead");
    }
}

/// The silence of a dead member is not taken for loss between the living ones.
#[test]
fn a_dead_follower_does_not_break_the_chains_of_the_others() {
    let (mut cluster, leader) = warm(5, tuned(FanOut::Chain));
    cluster.kill(cluster.others(leader)[0]);
    cluster.run_for(ms(60_000));
    let mark = cluster.records.len();
    cost_of_puts(&mut cluster, leader, 50, 1_000);
    let relayed = cluster.count(mark, |_, why| why == Why::Relay(Cause::Replicate));
    assert_eq!(relayed, 50);
}

/// Gets that waited for a leader cost only its opening appends: their answers bring the lease.
#[test]
fn reads_that_wait_for_a_new_leader_need_no_round() {
    let (mut cluster, leader) = warm(5, Tuning { hold_time_us: 5_000_000, ..fast() });
    cluster.kill(leader);
    cluster.run_for(ms(1_301));
    let gets: Vec<_> = cluster
        .others(leader)
        .into_iter()
        .map(|member| {
            cluster.run_for(ms(1));
            cluster.get(member, "k")
        })
        .collect();
    let mark = cluster.records.len();
    let next = cluster.elect();
    let get = gets.into_iter().find(|get| cluster.asked(*get).of == next).expect("one each");
    assert_eq!(cluster.value(get).as_deref(), Some(""));
    assert_eq!(cluster.caused(mark, Cause::Confirm), 0);
}

/// Rule R16 and R17: after one timeout the dead member is left out.
#[test]
fn a_dead_middle_costs_a_chain_one_resend_timeout_in_a_hundred_batches() {
    for count in [5, 7, 21] {
        for place in 0..2 {
            let (mut cluster, leader) = warm(count, tuned(FanOut::Chain));
            let dead = cluster.others(leader)[place];
            cluster.kill(dead);
            let mark = cluster.records.len();
            let mut slow = 0;
            for put in 0..100 {
                let start = cluster.now;
                let name = cluster.put(leader, &format!("k{put}"), "v");
                assert!(cluster.run_until(ms(100), |cluster| cluster.is_ok(name)));
                slow += usize::from(cluster.now.since(start) > ms(9));
                cluster.run_for(ms(20));
            }
            let waits =
                |event: &Event| matches!(event, Event::ResendTimeout { batch_waits: true, .. });
            let mut instants: Vec<_> = cluster.events(mark, waits).map(|event| event.0).collect();
            instants.dedup();
            assert!(instants.len() <= 1, "n = {count}: timeouts at {instants:?}");
            assert!(slow <= 1, "n = {count}: {slow} puts waited for a timeout");
            let appends = cluster.count(mark, |kind, _| kind == Kind::Append);
            let f = usize::from(count) / 2;
            assert!(appends <= 100 * f + 40, "n = {count}: {appends} appends");
        }
    }
}

/// Puts one millisecond apart, under each of the three rules that end a linger.
#[test]
fn a_batch_goes_by_its_age_its_size_or_what_its_entries_have_waited() {
    let lingers = Tuning { linger_us: 10_000, ..tuned(FanOut::Thrifty) };
    for (tuning, entries) in [
        // From 0 to 9 ms: the one at 10 ms comes after the batch has gone.
        (lingers.clone(), 10),
        (Tuning { linger_enough_entries: 4, ..lingers.clone() }, 4),
        // At 3 ms three have waited 3 + 2 + 1 = 6 ms, and the fourth comes after that.
        (Tuning { linger_waited_us: 6_000, ..lingers.clone() }, 3),
        (Tuning { linger_waited_us: 6_000, linger_us: 250, ..lingers }, 1),
    ] {
        let (mut cluster, leader) = warm(5, tuning);
        cluster.run_for(ms(50));
        let mark = cluster.records.len();
        for put in 0..44 {
            cluster.put(leader, &format!("k{put}"), "v");
            cluster.run_for(ms(1));
        }
        cluster.run_for(ms(20));
        assert_eq!(
            cluster.caused(mark, Cause::Replicate),
            44_usize.div_ceil(entries) * 2,
            "{entries}"
        );
    }
}

/// With spares a batch goes to more followers than it needs, and the first f answers commit it.
#[test]
fn spares_get_the_batch_too_and_nobody_waits_for_them() {
    let tuning = Tuning { quorum_spares: 1, ..tuned(FanOut::Thrifty) };
    let (mut cluster, leader) = warm(5, tuning);
    let slow = cluster.others(leader)[3];
    cluster.run_for(ms(50));
    assert_eq!(cost_of_puts(&mut cluster, leader, 100, 30), 100 * 6);
    cluster.obeys(move |flight| if flight.to == slow { Fate::Lose } else { Fate::Pass });
    for put in 0..50 {
        let name = cluster.put(leader, &format!("k{put}"), "v");
        cluster.run_for(ms(1));
        assert!(cluster.is_ok(name), "put {put} does not wait for the one that is silent");
        cluster.run_for(ms(30));
    }
}

/// A dead follower is asked once a probe interval while the others are enough, and as often as
/// ever when they are not.
#[test]
fn a_suspect_that_is_not_needed_is_asked_seldom() {
    let tuning = Tuning { probe_interval_us: 4_000_000, ..tuned(FanOut::Thrifty) };
    for (dead, most) in [(1, 10), (2, 20)] {
        let (mut cluster, leader) = warm(5, tuning.clone());
        let victims = cluster.others(leader)[..dead].to_vec();
        victims.iter().for_each(|victim| cluster.kill(*victim));
        for put in 0..20 {
            cluster.put(leader, "k", &format!("{put}"));
            cluster.run_for(ms(100));
        }
        let mark = cluster.records.len();
        for put in 0..300 {
            cluster.put(leader, "k", &format!("{put}"));
            cluster.run_for(ms(100));
        }
        let probes = cluster.caused(mark, Cause::Probe);
        assert!(probes <= most, "{dead} dead, 30 s: {probes} probes");
        assert!(probes >= dead * 7, "{dead} dead: {probes} probes");
    }
    let (mut cluster, leader) = warm(5, tuning);
    let victims = cluster.others(leader)[..3].to_vec();
    victims.iter().for_each(|victim| cluster.kill(*victim));
    let mark = cluster.records.len();
    cluster.put(leader, "k", "v");
    cluster.run_for(ms(1_200));
    assert!(cluster.caused(mark, Cause::Probe) + cluster.caused(mark, Cause::Resend) >= 9);
}
