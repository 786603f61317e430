//! Interface §3 and §4: events and the end of a run.

use super::*;
use crate::interface::Address;
use crate::sim::course::Over;
use EventKind::*;

/// A run with these events, one each second from the first request on.
fn faults(seed: u64, kinds: &[EventKind]) -> Run {
    Run::seeded(seed, |scenario| {
        let events = kinds.iter().enumerate();
        scenario.events = events.map(|(second, kind)| event(*kind, second as u64)).collect();
    })
}

/// The members that can reach `from`, itself left out.
fn side_of(run: &mut Run, from: u8) -> Vec<u8> {
    let known = run.leader().map_or("FFFF".to_owned(), |leader| format!("{leader:04X}"));
    delivered(&run.message(from, "FFFF", &known))
}

/// The side of replica 0, and the other side. Checks that they are cut from each other both ways.
fn sides(run: &mut Run) -> (Vec<u8>, Vec<u8>) {
    let mut own = side_of(run, 0);
    own.insert(0, 0);
    let other: Vec<u8> = (0..5).filter(|rank| !own.contains(rank)).collect();
    for &member in &own {
        assert_eq!(side_of(run, member).len(), own.len() - 1);
    }
    for &member in &other {
        assert_eq!(side_of(run, member).len(), other.len() - 1);
    }
    (own, other)
}

#[test]
fn kill_leader_kills_the_replica_that_the_simulator_believes_leads() {
    let mut run = faults(1, &[KillLeader]);
    run.message(0, "0001", "0003");
    assert_eq!(killed(&run.until(1_001)), [3]);
    assert_eq!((run.living(), run.leader()), (vec![0, 1, 2, 4], None));
    let conclusion = run.conclude();
    assert_eq!((conclusion.counts.killed, conclusion.counts.died), (1, 0));
    assert!(passes(&conclusion, "ended by itself"));
}

#[test]
fn kill_leader_does_nothing_if_the_leader_is_unknown() {
    let mut run = faults(1, &[KillLeader]);
    assert_eq!(killed(&run.until(1_001)), NOBODY);
    assert_eq!(run.living().len(), 5);
}

#[test]
fn kill_leader_makes_all_clients_forget_the_leader() {
    let mut run = Run::with(|scenario| {
        scenario.requests = 1_000;
        scenario.events = vec![event(KillLeader, 5)];
    });
    for sent in sent(&run.until(5_999)) {
        run.answer(&sent, "ok", "0002");
    }
    assert!(sent(&run.until(6_000)).iter().all(|sent| sent.to == Member(2)));
    run.message(0, "0001", "0001");
    assert_eq!(killed(&run.until(6_001)), [1]);
    let later = sent(&run.until(6_500));
    assert!(later.iter().all(|sent| sent.request.leader == Address::UNKNOWN));
    assert!(later.iter().any(|sent| sent.to != Member(2)));
}

#[test]
fn kill_leader_on_a_believed_leader_that_is_dead_kills_nothing_but_all_forget_it() {
    let mut run = faults(1, &[KillLeader, KillLeader]);
    run.message(0, "0001", "0003");
    run.until(1_001);
    run.message(0, "0001", "0003");
    assert_eq!(killed(&run.until(2_001)), NOBODY);
    assert_eq!((run.living().len(), run.leader()), (4, None));
}

#[test]
fn kill_non_leader_kills_a_random_living_other() {
    let mut victims = [0; 5];
    for seed in 0..100 {
        let mut run = faults(seed, &[KillNonLeader]);
        run.message(0, "0001", "0003");
        victims[usize::from(killed(&run.until(1_001))[0])] += 1;
        assert_eq!(run.leader(), Some(3));
    }
    assert_eq!(victims[3], 0);
    assert!([0, 1, 2, 4].iter().all(|&other| victims[other] > 10), "{victims:?}");
}

#[test]
fn kill_non_leader_with_the_leader_unknown_or_dead_takes_any_living_replica() {
    let mut unknown = [0; 5];
    let mut dead = [0; 5];
    for seed in 0..100 {
        let mut run = faults(seed, &[KillNonLeader]);
        unknown[usize::from(killed(&run.until(1_001))[0])] += 1;
        let mut run = faults(seed, &[KillLeader, KillNonLeader]);
        run.message(0, "0001", "0003");
        run.until(1_001);
        run.message(0, "0001", "0003");
        dead[usize::from(killed(&run.until(2_001))[0])] += 1;
    }
    assert!(unknown.iter().all(|&count| count > 5), "{unknown:?}");
    assert!(dead[3] == 0 && [0, 1, 2, 4].iter().all(|&rank| dead[rank] > 5), "{dead:?}");
}

#[test]
fn kill_non_leader_with_one_or_none_living_kills_nothing() {
    let mut run = faults(1, &[KillNonLeader; 6]);
    assert_eq!(killed(&run.until(7_000)).len(), 4);
    assert_eq!(run.living().len(), 1);
}

#[test]
fn part_easy_puts_the_leader_on_the_side_of_a_bare_majority_and_nobody_forgets_it() {
    for seed in 0..50 {
        let mut run = faults(seed, &[PartEasy]);
        run.message(0, "0001", "0003");
        run.until(1_001);
        assert_eq!(run.leader(), Some(3));
        assert_eq!(side_of(&mut run, 3).len(), 2);
    }
}

#[test]
fn part_easy_with_no_leader_known_is_a_part_hard() {
    let draw = |kind| {
        let mut run = faults(5, &[kind]);
        run.until(1_001);
        sides(&mut run)
    };
    assert_eq!(draw(PartEasy), draw(PartHard));
}

#[test]
fn part_hard_draws_a_bare_majority_which_the_leader_may_or_may_not_be_in() {
    let mut with_leader = 0;
    for seed in 0..100 {
        let mut run = faults(seed, &[PartHard]);
        run.message(0, "0001", "0000");
        run.until(1_001);
        let (side, other) = sides(&mut run);
        assert_eq!(side.len().max(other.len()), 3);
        with_leader += usize::from(side.len() == 3);
    }
    assert!((40..80).contains(&with_leader), "{with_leader}");
}

#[test]
fn part_hard_makes_the_simulator_and_all_clients_forget_the_leader() {
    let mut run = Run::with(|scenario| {
        scenario.requests = 100;
        scenario.events = vec![event(PartHard, 8)];
    });
    run.message(0, "0001", "0001");
    for sent in sent(&run.until(8_999)) {
        run.answer(&sent, "ok", "0001");
    }
    let request = run.request();
    assert_eq!((request.to, request.request.leader.0), (Member(1), 1));
    run.until(9_001);
    assert_eq!(run.leader(), None);
    for sent in sent(&run.until(11_000)) {
        assert_eq!(sent.request.leader, Address::UNKNOWN);
    }
}

#[test]
fn the_majority_of_an_even_number_is_more_than_half_of_all() {
    let mut run = Run::with(|scenario| {
        scenario.replicas = 6;
        scenario.events = vec![event(PartEasy, 0)];
    });
    run.message(0, "0001", "0005");
    run.until(1_001);
    assert_eq!(side_of(&mut run, 5).len(), 3);
}

#[test]
fn members_are_drawn_from_all_replicas_dead_ones_included() {
    let mut dead_in_majority = 0;
    for seed in 0..100 {
        let mut run = faults(seed, &[KillLeader, PartEasy]);
        run.message(0, "0001", "0003");
        run.until(1_001);
        run.message(0, "0001", "0002");
        run.until(2_001);
        // If the dead replica was drawn, only two of the three on the leader's side live.
        dead_in_majority += usize::from(side_of(&mut run, 2).len() == 1);
    }
    assert!((30..70).contains(&dead_in_majority), "{dead_in_majority}");
}

#[test]
fn a_new_partition_replaces_the_one_before() {
    let mut run = faults(2, &[PartHard, PartHard]);
    run.until(1_001);
    let first = sides(&mut run);
    run.until(2_001);
    let second = sides(&mut run);
    assert_ne!(first, second);
}

#[test]
fn both_sides_talk_within_themselves() {
    let mut run = faults(1, &[PartHard]);
    run.until(1_001);
    let (side, other) = sides(&mut run);
    assert_eq!(side.len() + other.len(), 5);
    assert!(side.len() > 1 && other.len() > 1);
}

#[test]
fn part_end_heals() {
    let mut run = faults(1, &[PartHard, PartEnd]);
    run.until(2_001);
    assert_eq!(side_of(&mut run, 0), [1, 2, 3, 4]);
}

#[test]
fn the_majority_side_is_told_while_the_partition_stands() {
    let mut run = faults(1, &[PartHard, PartEnd]);
    assert_eq!(run.course.majority(), None);
    run.until(1_001);
    let (one, other) = sides(&mut run);
    let larger = if one.len() > other.len() { one } else { other };
    let told = run.course.majority().expect("a partition");
    assert_eq!(told.iter().map(|member| member.0).collect::<Vec<_>>(), larger);
    run.until(2_001);
    assert_eq!(run.course.majority(), None);
}

#[test]
fn while_a_partition_stands_only_messages_of_the_majority_side_teach_who_leads() {
    let mut run = faults(1, &[PartEasy]);
    run.message(0, "0001", "0003");
    run.until(1_001);
    let minority = (0..5).find(|&rank| side_of(&mut run, rank).len() == 1).expect("a minority");
    let id = format!("{minority:04X}");
    run.message(minority, "FFFF", &id);
    assert_eq!(run.leader(), Some(3));
    run.message(3, "FFFF", &id);
    assert_eq!(run.leader(), Some(minority));
}

#[test]
fn partitions_cut_replica_to_replica_traffic_only() {
    let mut run = faults(1, &[PartHard]);
    run.serve_all();
    assert_eq!(run.conclude().counts.acknowledged_puts, 10);
}

#[test]
fn cut_leader_cuts_the_believed_leader_off_and_nobody_forgets_it() {
    let mut run = faults(1, &[CutLeader]);
    run.message(0, "0001", "0003");
    run.until(1_001);
    assert_eq!(run.leader(), Some(3));
    assert_eq!(side_of(&mut run, 3), NOBODY);
    assert_eq!(side_of(&mut run, 0), [1, 2, 4]);
    run.message(0, "0001", "0001");
    run.message(3, "0001", "0003");
    assert_eq!(run.leader(), Some(1));
}

#[test]
fn time_counts_from_the_end_of_start_wait() {
    let mut run = Run::with(|scenario| {
        scenario.start_wait = Micros::from_seconds(4);
        scenario.events = vec![event(KillNonLeader, 3)];
    });
    assert_eq!(killed(&run.until(7_000)), NOBODY);
    assert_eq!(killed(&run.until(7_001)).len(), 1);
}

#[test]
fn an_event_comes_after_a_request_of_equal_time() {
    let mut run = faults(1, &[KillLeader]);
    run.message(0, "0001", "0003");
    let effects = run.until(1_001);
    assert!(matches!(effects[..], [Effect::Send { .. }, Effect::Kill { .. }]), "{effects:?}");
}

#[test]
fn a_request_in_the_same_bunch_as_the_kill_of_its_receiver_is_lost_with_it() {
    let to = faults(1, &[]).request().to;
    let mut run = faults(1, &[KillLeader]);
    run.message(0, "0001", &to.to_string());
    run.until(1_001);
    let story = run.conclude().unanswered.remove(0);
    assert_eq!(story.sent_to.0, u16::from(to.0));
    assert_eq!((story.created_at, story.killed_at), (Micros(1_001_000), Some(Micros(1_001_000))));
}

#[test]
fn the_whole_run_lasts_start_wait_lifetime_and_end_wait() {
    let run = Run::plain();
    assert_eq!(run.course.is_over(Micros::from_millis(12_999)), None);
    assert_eq!(run.course.is_over(Micros::from_millis(13_000)), Some(Over::TimeIsUp));
}

#[test]
fn the_run_ends_early_when_max_packets_is_reached_and_that_is_no_failure() {
    let mut run = Run::with(|scenario| scenario.max_packets = 8);
    run.serve_all();
    run.message(0, "FFFF", "0000");
    assert_eq!(run.course.is_over(run.now), None);
    run.message(0, "FFFF", "0000");
    assert_eq!(run.course.is_over(run.now), Some(Over::MaxPackets));
    let conclusion = run.conclude();
    assert_eq!(conclusion.checks.iter().filter(|check| !check.passed).count(), 1);
    assert!(!passes(&conclusion, "enough messages"));
}

#[test]
fn the_run_ends_early_when_nobody_lives() {
    let mut run = Run::plain();
    for rank in 0..5 {
        assert_eq!(run.course.is_over(run.now), None);
        run.course.on_ended(run.now, Member(rank));
    }
    assert_eq!(run.course.is_over(run.now), Some(Over::NobodyLives));
    assert_eq!(run.until(20_000), []);
    assert_eq!(run.conclude().counts.puts, 0);
}

#[test]
fn a_replica_that_was_killed_and_then_exits_has_not_ended_by_itself() {
    let mut run = faults(1, &[KillNonLeader]);
    let victim = killed(&run.until(1_001))[0];
    run.course.on_ended(run.now, Member(victim));
    let counts = run.conclude().counts;
    assert_eq!((counts.killed, counts.died), (1, 0));
}
