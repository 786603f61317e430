//! What a leader does because time has passed: whom it asks again, when it takes silence for death,
//! and when a batch goes (rules R15, R16, R19).

use super::driven::{Driven, appends, events, receivers};
use super::*;
use crate::raft::types::MemberSet;

/// Knobs with a fixed resend timeout of 3 ms, and batches that go to each of f directly. A leader
/// that nobody answers goes on asking.
fn direct() -> Tuning {
    Tuning {
        fan_out: FanOut::Thrifty,
        resend_from: ResendFrom::Fixed,
        check_quorum: false,
        ..course()
    }
}

/// How likely it is that a member that lives answers none of these messages: of each, the way over
/// so many hops or the answer is lost.
fn chance_of_silence(hops: &[usize], loss: f64) -> f64 {
    hops.iter().map(|hops| 1.0 - (1.0 - loss).powi(*hops as i32 + 1)).product()
}

/// Follows a member of a batch's quorum, of which nobody answers, until it is suspected, and
/// compares with what was sent. Others may answer what they are sent meanwhile. Returns over how
/// many hops it was asked each time.
fn silence_until_suspected(
    fan_out: FanOut,
    (lost, of): (usize, usize),
    others_answer: bool,
) -> Vec<usize> {
    let mut leading = Driven::leading(5, Tuning { fan_out, ..direct() });
    leading.loses(lost, of);
    let batch = leading.put();
    let quorum: MemberSet = batch.iter().flat_map(|append| append.route.iter()).collect();
    let member = quorum.iter().last().unwrap();
    let hops = |sent: &[Append]| {
        let to_it = sent.iter().find(|append| append.route.members().contains(member));
        to_it.expect("it is asked again").route.len()
    };
    let mut silent = vec![hops(&batch)];
    loop {
        let out = leading.overdue(member);
        let loss = &leading.leader().loss;
        let is_lossy = loss.parts_per_million() > 40_000;
        // The silence is among the latest messages, so they alone cannot explain it.
        let arrives = loss.all_arrive(1).max(loss.lasting_all_arrive(1));
        let loss = 1.0 - arrives as f64 / 1e6;
        let was_direct = silent.len() > 1 && silent.last() == Some(&1);
        let is_unlikely = !is_lossy || chance_of_silence(&silent, loss) <= 0.05;
        let is_suspected = events(&out).contains(&Event::Suspected { member });
        assert_eq!(is_suspected, was_direct && is_unlikely, "{lost}/{of}: {silent:?} {loss}");
        if is_suspected {
            return silent;
        }
        silent.push(hops(&appends(&out)));
        let is_other = |append: &&Append| others_answer && !append.route.members().meets(quorum);
        appends(&out).iter().filter(is_other).for_each(|append| drop(leading.answer(append)));
        assert!(silent.len() < 40, "it is never suspected: {lost}/{of} {silent:?} {loss}");
    }
}

#[test]
fn r16_a_member_is_suspected_when_one_that_lives_would_be_as_silent_in_a_twentieth_of_cases() {
    let direct = [2, 3, 4, 5, 6, 8, 10, 14, 20, 1_000];
    let silent =
        direct.map(|every| silence_until_suspected(FanOut::Thrifty, (1, every), true).len());
    let fewest = direct.map(|every| {
        let loss = 1.0 / every as f64;
        (2..).find(|asked| chance_of_silence(&vec![1; *asked], loss) <= 0.05).unwrap()
    });
    assert_eq!(silent, fewest);
    assert_eq!(fewest, [11, 6, 4, 3, 3, 3, 2, 2, 2, 2]);
    // Where nobody answers at all, the silence takes part in what it is held against.
    for (every, most) in [(2, 14), (3, 8), (4, 6)] {
        let silent = silence_until_suspected(FanOut::Thrifty, (1, every), false).len();
        assert!(silent <= most, "1/{every}: {silent}");
    }
}

/// The loss that is known from long before is taken to have broken all chains, or to be a little
/// more: these chains have taught something, too.
#[test]
fn r16_a_chain_is_sent_again_while_loss_breaks_as_many_in_a_fortieth_of_cases() {
    let one_of = [4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20].map(|every| (1, every));
    for (lost, of) in one_of.into_iter().chain([(5, 19), (2, 7)]) {
        let silent = silence_until_suspected(FanOut::Chain, (lost, of), true);
        let chains = silent.iter().filter(|hops| **hops == 2).count();
        assert!(silent[..chains].iter().all(|hops| *hops == 2), "first chains: {silent:?}");
        let least = lost as f64 / of as f64;
        let most = least + 0.012;
        let all_broken = |chains, loss| chance_of_silence(&vec![2; chains], loss);
        assert!(chains == 10 || all_broken(chains, least) <= 0.025, "{lost}/{of}: {silent:?}");
        assert!(all_broken(chains - 1, most) > 0.025, "{lost}/{of}: {silent:?}");
    }
}

/// Otherwise it would be asked as often as if chains had been sent to it before.
#[test]
fn r16_soon_after_a_suspicion_the_next_member_is_suspected_by_its_own_silence_alone() {
    let silences = |since: Option<Micros>| {
        let mut leading = Driven::leading(5, Tuning { fan_out: FanOut::Chain, ..direct() });
        leading.loses(1, 10);
        let now = leading.now;
        let leader = leading.leader();
        leader.suspected_at = since.map_or(Micros(0), |since| now - since);
        let leg = Leg { round: leader.rounds.newest, hops: 1, place: 0 };
        leader.progress[3].sent(leg, 1, true, now);
        leader.touch_wanted = true;
        let mut silences = 0;
        while !leading.leader().progress[3].suspect {
            leading.overdue(Member(3));
            silences += 1;
        }
        silences
    };
    // Of two questions at a loss of a tenth a member that lives leaves both unanswered in 3.6 %.
    assert_eq!(silences(Some(ms(10))), 2);
    assert!(silences(Some(ms(1_000))) > 2 && silences(None) > 2);
}

#[test]
fn a_timeout_says_whether_a_batch_waits_for_the_silent_one() {
    // The batch of entry 4 is not committed. The follower holds all up to the second number, and
    // was sent all before the third.
    let cases = [
        (true, 3, 5, true),
        (false, 3, 5, false),
        (true, 4, 5, false),
        (true, 3, 4, false),
        (true, 2, 6, true),
    ];
    for (is_batch, matched, next, expected) in cases {
        let mut leading = Driven::leading(5, direct());
        (0..4).for_each(|_| leading.propose());
        (leading.raft.core.commit, leading.now) = (3, ms(1_200));
        let now = leading.now;
        let leader = leading.leader();
        leader.flush_at = None;
        leader.batched_through = 5;
        leader.batches.extend(is_batch.then_some(4));
        let (leg, first) = (Leg { round: leader.rounds.newest, hops: 1, place: 0 }, matched + 1);
        let progress = &mut leader.progress[1];
        (progress.matched, progress.next) = (matched, next);
        progress.sent(leg, first, true, now);
        let waits = events(&leading.overdue(OTHER)).into_iter().find_map(|event| match event {
            Event::ResendTimeout { batch_waits, .. } => Some(batch_waits),
            _ => None,
        });
        assert_eq!(waits, Some(expected), "{is_batch} {matched} {next}");
    }
}

/// What it was not sent yet may be a long backlog (rule R19).
#[test]
fn r19_a_suspect_whose_answer_is_needed_is_sent_the_oldest_batch_as_far_as_it_was_sent() {
    // The follower was sent all before this index; the batches end at 3 and 5.
    for (next, cause, sent) in [(6, Cause::Resend, 2), (3, Cause::Resend, 1), (2, Cause::Probe, 0)]
    {
        let mut leading = Driven::leading(3, direct());
        (0..4).for_each(|_| leading.propose());
        let now = leading.now;
        let leader = leading.leader();
        (leader.flush_at, leader.batched_through) = (None, 5);
        leader.batches.extend([3, 5]);
        let leg = Leg { round: leader.rounds.newest, hops: 1, place: 0 };
        leader.progress[2].suspect = true;
        let progress = &mut leader.progress[1];
        (progress.suspect, progress.next) = (true, next);
        progress.sent(leg, 2, true, now);
        let again = appends(&leading.overdue(OTHER));
        let again = again.iter().find(|append| append.route.first() == Some(OTHER)).unwrap();
        assert_eq!((again.cause, again.previous.index, again.entries.len()), (cause, 1, sent));
        let owed = leading.leader().progress[1].awaiting.map(|awaiting| awaiting.round);
        assert_eq!(owed, Some(again.round), "an answer to an earlier round does not do (R26)");
    }
}

#[test]
fn a_batch_of_one_entry_goes_to_one_more_as_soon_as_one_of_its_quorum_is_suspected() {
    let mut leading = Driven::leading(5, direct());
    let batch = leading.put();
    assert_eq!(receivers(&batch), [1, 2]);
    assert_eq!(leading.wake(Micros(0)), []);
    leading.leader().progress[2].suspect = true;
    let more = leading.wake(Micros(0));
    assert_eq!((receivers(&more), more[0].cause), (vec![3], Cause::Replicate));
    assert_eq!(leading.wake(Micros(0)), [], "three hold it or are asked");
}

#[test]
fn a_full_batch_waits_for_no_more_entries() {
    let tuning =
        Tuning { linger_us: 10_000, batch_most_entries: 3, resend_timeout_us: 90_000, ..direct() };
    let mut leading = Driven::leading(5, tuning);
    // Some batches come first, so that the log is much longer than what waits.
    for _ in 0..2 {
        let carried: Vec<usize> = (0..3)
            .map(|_| {
                let sent = leading.put();
                sent.first().map_or(0, |append| append.entries.len())
            })
            .collect();
        assert_eq!(carried[..2], [0, 0], "it waits for the third");
        assert!(carried[2] >= 3, "{carried:?}");
    }
    assert_eq!(leading.put(), []);
    assert_eq!(leading.wake(ms(10)).len(), 2, "the linger is over");
}

/// A follower lacks three entries, which is not much, and the batch has four. An append carries
/// six.
#[test]
fn a_backlog_that_leaves_no_room_for_the_batch_goes_first() {
    let mut leading = Driven::leading(5, direct());
    (0..4).for_each(|_| leading.propose());
    let each = leading.raft.core.log.encoded_bytes(2, 2);
    (leading.raft.core.commit, leading.raft.core.tuning.batch_most_bytes) = (5, each * 6);
    let leader = leading.leader();
    (leader.flush_at, leader.batched_through) = (None, 5);
    for (rank, matched) in [(1, 2), (2, 5), (3, 5), (4, 5)] {
        let progress = &mut leader.progress[rank];
        (progress.matched, progress.next) = (matched, matched + 1);
        progress.suspect = rank > 2;
    }
    assert_eq!(leading.wake(Micros(0)), [], "it does not lag by much");
    (0..4).for_each(|_| leading.propose());
    let mut asked = Driven { raft: leading.raft.clone(), now: leading.now };
    let backlog = leading.wake(Micros(0));
    assert_eq!((receivers(&backlog), backlog[0].cause), (vec![1], Cause::CatchUp));
    assert_eq!((backlog[0].previous.index, backlog[0].entries.len()), (2, 3));
    let batch = leading.put();
    assert_eq!(receivers(&batch), [1, 2]);
    assert!(batch.iter().all(|append| append.entries.len() == 5), "{batch:?}");
    // Who owes an answer may have the entries on their way to it.
    let (leg, now) = (Leg { round: 4, hops: 1, place: 0 }, asked.now);
    asked.leader().progress[1].sent(leg, 3, true, now);
    assert_eq!(asked.wake(Micros(0)), []);
}

/// Rule R16: it asks its suspects all the time. The one that is well cannot bring a quorum, and is
/// asked once one of them has answered.
#[test]
fn for_a_read_without_a_quorum_the_suspects_are_asked_and_then_a_quorum() {
    let mut leading = Driven::leading(5, Tuning { reads: Reads::Confirm, ..direct() });
    let now = leading.now;
    let leader = leading.leader();
    let leg = Leg { round: leader.rounds.newest, hops: 1, place: 0 };
    (2..5).for_each(|rank| leader.progress[rank].suspect = true);
    leader.progress[4].sent(leg, 2, true, now);
    leading.step(Input::Read { ticket: 1 });
    assert_eq!(leading.wake(Micros(0)), []);
    let mut asked = Vec::new();
    while leading.now < now + ms(100) {
        leading.now = leading.raft.deadline();
        asked.extend(leading.wake(Micros(0)));
    }
    let to = receivers(&asked);
    assert!([2, 3, 4].iter().all(|rank| to.contains(rank)) && !to.contains(&1), "{to:?}");
    leading.answer(asked.last().expect("that one"));
    let round = leading.wake(Micros(0));
    assert_eq!(round.len(), 2);
    assert!(round.iter().all(|append| append.cause == Cause::Confirm && append.wants_answer));
    assert!(round.iter().any(|append| append.route.first() == Some(Member(1))));
}

/// Rule R6: for a client it asks everyone, also those that it suspects and those that it has asked.
#[test]
fn r06_a_leader_out_of_touch_refuses_puts_and_asks_everyone_for_a_client_that_waits() {
    let mut leading = Driven::leading(5, direct());
    let now = leading.now;
    let leader = leading.leader();
    let leg = Leg { round: leader.rounds.newest, hops: 1, place: 0 };
    leader.lease.ask(leader.rounds.newest, now);
    leader.progress[3].suspect = true;
    leading.now += ms(6);
    let now = leading.now;
    leading.leader().progress[4].sent(leg, 2, true, now);
    assert!(!leading.raft.accepts_proposals(now));
    let command = [7u8; 10].into();
    let out = leading.step(Input::Propose { ticket: 5, command });
    assert_eq!(out, [Output::Refused(5, Some(Member(0)))]);
    assert_eq!(leading.raft.core.log.last_index(), 1);
    assert_eq!(leading.wake(Micros(0)), []);
    assert_eq!(leading.step(Input::LeaderWanted), []);
    let asked = leading.wake(Micros(0));
    assert_eq!(receivers(&asked), [1, 2, 3, 4]);
    assert!(asked.iter().all(|append| append.wants_answer));
}

#[test]
fn who_has_heard_of_a_commit_by_a_batch_is_not_told_of_it_again() {
    let mut leading = Driven::leading(5, Tuning { eager_commit: true, ..direct() });
    leading.now += ms(1);
    let first = leading.put();
    first.iter().for_each(|append| drop(leading.answer(append)));
    assert_eq!(leading.raft.commit(), 2);
    let sent = leading.put();
    let because = |cause| receivers(sent.iter().filter(|append| append.cause == cause));
    assert_eq!(because(Cause::Replicate), [3, 4]);
    assert_eq!(because(Cause::Commit), [1, 2]);
    assert!(sent.iter().all(|append| append.commit == 2));
}

#[test]
fn as_many_prompt_followers_as_renew_the_lease_answer_a_heartbeat_and_each_that_is_slow() {
    let tuning =
        Tuning { heartbeat_to: HeartbeatTo::Everyone, resend_timeout_us: 100_000, ..direct() };
    let mut leading = Driven::leading(5, tuning);
    for (rank, trip) in [(1, ms(100)), (2, ms(10)), (3, ms(10)), (4, ms(10))] {
        leading.raft.core.round_trips[usize::from(rank)] = Default::default();
        sample(&mut leading.raft.core, Member(rank), 3, trip);
    }
    let beats = leading.wake(ms(1_150));
    assert_eq!(receivers(&beats), [1, 2, 3, 4]);
    let answering = |beats: &[Append]| receivers(beats.iter().filter(|append| append.wants_answer));
    assert_eq!(answering(&beats), [1, 2, 3]);
    for append in beats.iter().filter(|append| append.wants_answer) {
        leading.answer(append);
    }
    let beats = leading.wake(ms(1_150));
    assert_eq!(answering(&beats), [1, 2, 4], "who has not answered for longest, then by rank");
}
