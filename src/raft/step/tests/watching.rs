//! Whom an idle leader keeps hearing (rule R30).

use super::driven::{Driven, receivers};
use super::*;

#[test]
fn r30_watchers_are_on_duty_if_each_was_told_so_and_owes_no_late_answer() {
    let own = course().election_timeout_min();
    // What the second watcher was told, how many timeouts it has let pass, and whether it is well.
    let cases = [
        (own, None, true, true),
        (own, Some(0), true, true),
        (own, Some(1), true, false),
        (own, Some(2), true, false),
        (own, None, false, false),
        (NOT_WATCHING - Micros(1), None, true, true),
        (NOT_WATCHING, None, true, false),
    ];
    for (told, timeouts, is_well, expected) in cases {
        let mut leading = Driven::leading(5, course());
        let now = leading.now;
        let leader = leading.leader();
        assert_eq!(leader.watchers, [Member(1), Member(2)]);
        leader.progress[1].told_timeout = own;
        let second = &mut leader.progress[2];
        (second.told_timeout, second.suspect) = (told, !is_well);
        if let Some(timeouts) = timeouts {
            second.sent(Leg { round: 9, hops: 1, place: 0 }, 2, true, now);
            second.awaiting.as_mut().unwrap().attempts = timeouts;
        }
        assert_eq!(leader.is_watched(), expected, "{told} {timeouts:?} {is_well}");
    }
}

#[test]
fn a_heartbeat_to_watchers_is_one_chain_without_entries_that_the_last_of_them_answers() {
    let mut leading = Driven::leading(5, course());
    let beats = leading.wake(ms(1_150));
    let hops: Vec<u8> = beats[0].route.iter().map(|member| member.0).collect();
    assert_eq!((hops, beats[0].wants_answer), (vec![1, 2], true));
    assert_eq!((beats[0].previous.index, beats[0].entries.len()), (1, 0));
    assert_eq!(receivers(&beats[1..]), [3, 4], "these are told that they need not watch");
    assert!(beats[1..].iter().all(|append| !append.wants_answer));
}

/// A chain carries one append to all, so a watcher that lacks something is sent its own.
#[test]
fn watchers_that_lack_entries_or_are_not_well_are_not_sent_a_chain() {
    for (next, is_well) in [(2, true), (3, false)] {
        let mut leading = Driven::leading(5, course());
        leading.propose();
        leading.raft.core.commit = 2;
        let leader = leading.leader();
        (leader.flush_at, leader.waits_since, leader.batched_through) = (None, None, 2);
        for progress in &mut leader.progress[1..] {
            progress.next = 3;
        }
        // There is nobody to take the place of a watcher.
        (leader.progress[3].suspect, leader.progress[4].suspect) = (true, true);
        (leader.progress[2].next, leader.progress[2].suspect) = (next, !is_well);
        let beats = leading.wake(ms(1_150));
        let direct = beats.iter().all(|append| append.route.len() == 1);
        assert!(direct && receivers(&beats).contains(&1), "{next} {is_well}: {beats:?}");
        let second = beats.iter().find(|append| append.route.first() == Some(Member(2)));
        let carried = second.map(|append| (append.cause, append.entries.len()));
        assert_eq!(carried, Some(if is_well { (Cause::CatchUp, 1) } else { (Cause::Probe, 0) }));
    }
}

/// Who never hears from its leader cannot be told to be well.
#[test]
fn r30_every_follower_watches_some_time() {
    let mut leading = Driven::leading(5, course());
    let mut duties = vec![leading.leader().watchers.clone()];
    for _ in 0..125 {
        let due = leading.raft.deadline();
        let beats = leading.wake(due - leading.now);
        assert_eq!(beats.iter().filter(|append| append.route.len() == 2).count(), 1);
        beats.iter().for_each(|append| drop(leading.answer(append)));
        let watchers = leading.leader().watchers.clone();
        if duties.last() != Some(&watchers) {
            duties.push(watchers);
        }
    }
    let ranks = |duty: &std::collections::VecDeque<Member>| -> Vec<u8> {
        duty.iter().map(|member| member.0).collect()
    };
    let duties: Vec<Vec<u8>> = duties.iter().map(ranks).collect();
    assert_eq!(duties, [[1, 2], [2, 3], [3, 4], [4, 1]], "a change in 40 heartbeats");
}
