//! Rules R15 to R17 and R19: which members are in a quorum, and what is sent to them.

use laconic::raft::message::Append;
use laconic::raft::tuning::FanOut;
use laconic::raft::{Cause, Event, Kind, Member, MemberSet, Message, Micros, Tuning};
use laconic::record::Fact;

use crate::cluster::{Cluster, Fate, fast, ms};
use crate::solo::{Solo, accepted, append, appends, reply};

fn chain() -> Tuning {
    Tuning { fan_out: FanOut::Chain, ..fast() }
}

fn receivers(appends: &[Append]) -> MemberSet {
    let mut all = MemberSet::EMPTY;
    for append in appends {
        append.route.iter().for_each(|hop| all.insert(hop));
    }
    all
}

#[test]
fn r15_a_new_leaders_first_append_goes_to_all_directly() {
    for fan_out in [FanOut::Chain, FanOut::Thrifty, FanOut::Star] {
        let opening = appends(&Solo::new(5, Tuning { fan_out, ..fast() }).lead());
        assert_eq!(opening.len(), 4);
        assert!(opening.iter().all(|append| append.route.len() == 1 && append.wants_answer));
        assert_eq!(receivers(&opening).len(), 4);
    }
}

#[test]
fn r15_only_who_has_answered_in_this_term_joins_a_quorum() {
    let mut solo = Solo::new(5, chain());
    let opening = appends(&solo.lead());
    solo.put("k", "P");
    assert_eq!(appends(&solo.wait(ms(1))), [], "nobody has answered");
    solo.hear(3, accepted(&opening[2], 1));
    solo.hear(4, accepted(&opening[3], 1));
    let batch = appends(&solo.wait(ms(1)));
    assert_eq!(batch.len(), 1);
    assert_eq!(batch[0].route.iter().collect::<Vec<_>>(), [Member(3), Member(4)]);
}

#[test]
fn r15_an_append_says_whether_it_wants_an_answer_and_a_refusal_always_comes() {
    let mut solo = Solo::new(3, fast());
    let quiet = Append { wants_answer: false, ..append(1, 1, (0, 0), &[1]) };
    assert_eq!(solo.hear(1, Message::Append(quiet)), []);
    let quiet = Append { wants_answer: false, ..append(1, 1, (1, 5), &[1]) };
    assert!(reply(&solo.hear(1, Message::Append(quiet))).refusal.is_some());
}

#[test]
fn r15_an_idle_leader_keeps_its_lease_and_its_role() {
    for fan_out in [FanOut::Thrifty, FanOut::Chain, FanOut::Star, FanOut::Broadcast] {
        for count in [2, 3, 4, 5, 21] {
            let mut cluster = Cluster::new(count, 2, Tuning { fan_out, ..fast() });
            let leader = cluster.elect();
            // These puts spread the heartbeats over the interval.
            for put in 0..u64::from(count) {
                cluster.put(leader, "k", &format!("{put}"));
                cluster.run_for(ms(90));
            }
            for _ in 0..500 {
                cluster.run_for(ms(20));
                let until = cluster.replica(leader).status().lease_until;
                assert!(until.is_some_and(|until| until > cluster.now), "n = {count}");
            }
        }
    }
}

#[test]
fn r16_every_silent_member_of_a_broken_chain_is_asked_directly_and_suspected_if_silent_to_that() {
    let mut solo = Solo::new(5, chain());
    solo.lead_all();
    solo.put("k", "P");
    let batch = appends(&solo.wait(ms(1)));
    assert_eq!(batch[0].route.len(), 2);
    let hops: Vec<Member> = batch[0].route.iter().collect();
    let resends = appends(&solo.wait(ms(10)));
    let direct: Vec<&Append> =
        resends.iter().filter(|append| append.cause == Cause::Resend).collect();
    assert_eq!(direct.len(), 2);
    assert!(direct.iter().all(|append| append.route.len() == 1 && append.entries.len() == 1));
    assert_eq!(receivers(&resends).0 & batch[0].route.members().0, batch[0].route.members().0);
    assert_eq!(resends.len(), 3, "and one more gets the batch, so that one death costs no more");
    // All members answer but one, which is then suspected.
    let spare = resends.iter().find(|append| append.cause == Cause::Replicate).expect("one more");
    let spare_member = spare.route.first().expect("a receiver");
    solo.hear(spare_member.0, accepted(spare, spare.through()));
    let first = direct.iter().find(|append| append.route.first() == Some(hops[0]));
    let first = (*first.expect("sent directly")).clone();
    solo.hear(hops[0].0, accepted(&first, first.through()));
    solo.wait(ms(25));
    let suspected = |who| move |event: &Event| *event == Event::Suspected { member: who };
    assert_eq!(solo.events(suspected(hops[0])), 0);
    assert_eq!(solo.events(suspected(hops[1])), 1);
    // The suspect is left out until it answers.
    for put in ["Q", "R", "S", "T"] {
        solo.put("k", put);
        let mut sent = solo.wait(ms(1));
        sent.retain(|datagram| datagram.destination.0 != u16::from(hops[1].0));
        let batch = appends(&sent).into_iter().find(|append| append.cause == Cause::Replicate);
        assert!(!batch.expect("a batch").route.members().contains(hops[1]), "{put}");
        solo.acknowledge(&sent);
    }
}

/// At 50 % loss, a chain of three messages arrives only one time in eight.
#[test]
fn r16_chains_fall_apart_when_much_is_lost_and_form_again() {
    let mut cluster = Cluster::new(5, 8, chain());
    let leader = cluster.elect();
    let share_relayed = |cluster: &mut Cluster| {
        for put in 0..300 {
            cluster.put(leader, &format!("k{put}"), "v");
            cluster.run_for(ms(30));
        }
        let mark = cluster.records.len();
        for put in 0..300 {
            cluster.put(leader, &format!("k{put}"), "v");
            cluster.run_for(ms(30));
        }
        let relay = |_, why| matches!(why, laconic::raft::Why::Relay(_));
        cluster.count(mark, relay)
    };
    assert_eq!(share_relayed(&mut cluster), 300);
    let mut place = 0u64;
    cluster.obeys(move |_| {
        place += 1;
        if place * 7 % 10 < 5 { Fate::Lose } else { Fate::Pass }
    });
    let relayed = share_relayed(&mut cluster);
    assert!(relayed < 30, "{relayed} relays under 50 % loss");
    cluster.calm();
    let relayed = share_relayed(&mut cluster);
    assert!(relayed > 250, "{relayed} relays without loss");
}

#[test]
fn r17_a_batch_goes_to_those_who_have_gone_longest_without_hearing_with_all_they_lack() {
    for fan_out in [FanOut::Thrifty, FanOut::Chain] {
        let mut solo = Solo::new(5, Tuning { fan_out, ..fast() });
        solo.lead_all();
        let mut quorums = Vec::new();
        for put in 0..4 {
            solo.put("k", &format!("{put}"));
            let sent = solo.wait(ms(1));
            let batch = appends(&sent);
            quorums.push(receivers(&batch));
            let carried = if put < 2 { put + 1 } else { 2 };
            assert!(batch.iter().all(|append| append.entries.len() == carried), "put {put}");
            solo.acknowledge(&sent);
        }
        assert_eq!(quorums[0].0 & quorums[1].0, 0, "the other half is next");
        assert_eq!((quorums[0], quorums[1]), (quorums[2], quorums[3]));
    }
}

#[test]
fn r17_under_load_everyone_is_reached_without_a_heartbeat() {
    for fan_out in [FanOut::Thrifty, FanOut::Chain] {
        let mut cluster = Cluster::new(5, 2, Tuning { fan_out, ..fast() });
        let leader = cluster.elect();
        let mark = cluster.records.len();
        for put in 0..200 {
            cluster.put(leader, &format!("k{put}"), "v");
            cluster.run_for(ms(60));
            let last = cluster.raft(leader).log().last_index();
            let behind = |commit: &u64| last - commit > 3;
            assert_eq!(cluster.commits().iter().filter(|commit| behind(commit)).count(), 0);
        }
        let other = |kind, why| kind == Kind::Append && !is_batch(why);
        assert_eq!(cluster.count(mark, other), 0);
    }
}

fn is_batch(why: laconic::raft::Why) -> bool {
    use laconic::raft::Why;
    matches!(why, Why::Own(Cause::Replicate) | Why::Relay(Cause::Replicate))
}

#[test]
fn r19_appends_are_cut_by_encoded_bytes() {
    for fan_out in [FanOut::Broadcast, FanOut::Thrifty, FanOut::Chain] {
        let mut cluster = Cluster::new(5, 2, Tuning { fan_out, ..fast() });
        let leader = cluster.elect();
        let away = cluster.others(leader)[2];
        cluster.cut(&[&cluster.others(away)]);
        let mark = cluster.records.len();
        let puts: Vec<usize> = (0..200)
            .map(|put| cluster.put(leader, &format!("k{put}"), &"\"".repeat(40 * put)))
            .collect();
        cluster.run_for(ms(2_000));
        assert!(puts.iter().all(|put| cluster.is_ok(*put)));
        cluster.heal();
        let caught_up = |cluster: &Cluster| cluster.commits().iter().all(|c| *c > 200);
        assert!(cluster.run_until(ms(3_000), caught_up), "{:?}", cluster.commits());
        let sizes = cluster.since(mark).iter().filter_map(|record| match record.fact {
            Fact::Sent { bytes, .. } => Some(bytes),
            _ => None,
        });
        let largest = sizes.max().unwrap_or(0);
        assert!((30_000..=65_507).contains(&largest), "{largest} bytes");
    }
}

#[test]
fn r19_a_silent_follower_gets_empty_probes_not_its_backlog() {
    let mut cluster = Cluster::new(5, 2, fast());
    let leader = cluster.elect();
    let dead = cluster.others(leader)[0];
    cluster.kill(dead);
    for put in 0..20 {
        cluster.put(leader, &format!("k{put}"), "v");
        cluster.run_for(ms(30));
    }
    let mark = cluster.records.len();
    for put in 0..200 {
        cluster.put(leader, &format!("k{put}"), "v");
        cluster.run_for(ms(30));
    }
    let sent = cluster.since(mark).iter().filter_map(|record| match record.fact {
        Fact::Sent { to: laconic::raft::To::Member(to), entries, .. } if to == dead => {
            Some(entries)
        }
        _ => None,
    });
    let sent: Vec<u32> = sent.collect();
    assert!((10..=30).contains(&sent.len()), "{} probes in 6 s", sent.len());
    assert!(sent.iter().all(|entries| *entries == 0), "{sent:?}");
}

/// A resend that is cut at the byte limit leaves a rest, which is sent at once afterwards.
#[test]
fn r19_what_a_cut_left_out_follows_at_once() {
    let tuning = Tuning { batch_most_bytes: 1_000, batch_most_entries: 4, ..fast() };
    let mut cluster = Cluster::new(3, 2, Tuning { fan_out: FanOut::Star, ..tuning });
    let leader = cluster.elect();
    cluster.kill(cluster.others(leader)[0]);
    cluster.run_for(ms(1_500));
    // Ten batches are lost together, while the follower is still trusted.
    cluster.obeys(|_| Fate::Lose);
    let puts: Vec<usize> =
        (0..10).map(|put| cluster.put(leader, &format!("k{put}"), &"x".repeat(200))).collect();
    cluster.run_for(ms(5));
    cluster.calm();
    let asked = cluster.now;
    assert!(cluster.run_until(ms(300), |cluster| puts.iter().all(|put| cluster.is_ok(*put))));
    assert!(cluster.now.since(asked) < ms(20) + Micros(5_000), "{}", cluster.now.since(asked));
}
