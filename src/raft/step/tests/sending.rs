//! What a leader sends, and which answers it waits for.

use super::driven::{Driven, appends};
use super::*;
use crate::raft::message::{Position, PreVote};

/// A suspect would be asked again and again for what it was sent only along with all others.
#[test]
fn nobody_waits_for_a_suspect_to_answer_a_batch_but_for_its_answer_to_a_probe() {
    let mut leading = Driven::leading(5, Tuning { fan_out: FanOut::Broadcast, ..course() });
    leading.leader().progress[1].suspect = true;
    for entries in [1, 2] {
        (0..entries).for_each(|_| leading.propose());
        let batch = leading.wake(Micros(0));
        assert_eq!((batch.len(), batch[0].entries.len()), (1, entries));
        let awaits =
            |rank: usize, leading: &mut Driven| leading.leader().progress[rank].awaiting.is_some();
        assert_eq!([1, 2, 3, 4].map(|rank| awaits(rank, &mut leading)), [false, true, true, true]);
    }
    leading.leader().touch_wanted = true;
    leading.leader().confirm_wanted = true;
    leading.wake(Micros(0));
    assert!(leading.leader().progress[1].awaiting.is_some(), "it was probed");
}

/// The entries of one term are a row that begins at the same index in each log. So the end of a log
/// that has to be truncated shows as much.
#[test]
fn r28_who_comes_back_with_entries_that_were_replaced_is_sent_what_follows_the_common_part() {
    let mut leading = Driven::leading(5, course());
    leading.raft.core.term = 3;
    (0..3).for_each(|_| leading.propose());
    let leader = leading.leader();
    (leader.flush_at, leader.batched_through) = (None, 4);
    leader.progress[3].suspect = true;
    leader.progress[3].matched = 0;
    // Entry 1 is of term 1, entries 2 to 4 are of term 3.
    for (last, previous, entries) in [((1, 3), 1, 3), ((3, 9), 4, 0), ((2, 2), 3, 0)] {
        let last = Position { term: last.0, index: last.1 };
        let mut asked = Driven { raft: leading.raft.clone(), now: leading.now };
        asked.leader().progress[3].next = 4;
        let request = PreVote { term: 4, last, cause: Cause::Inquiry, question: 0 };
        let sent = appends(&asked.hear(Member(3), Message::PreVote(request)));
        let is_it = (sent.len(), sent[0].previous.index, sent[0].entries.len());
        assert_eq!(is_it, (1, previous, entries), "{last:?}");
    }
}

/// It is the same batch (rule R31).
#[test]
fn r31_a_batch_asks_for_the_promise_of_load_also_when_it_is_sent_again() {
    let mut leading = Driven::leading(5, course());
    let (load, idle) = (course().promise_under_load(), course().promise());
    assert!(load < idle);
    let batch = leading.put();
    assert!(batch.iter().all(|append| append.promise == load));
    let again = appends(&leading.overdue(batch[0].route.first().expect("a hop")));
    let (resent, others): (Vec<_>, Vec<_>) =
        again.iter().partition(|append| append.cause == Cause::Resend);
    assert!(!resent.is_empty() && resent.iter().all(|append| append.promise == load));
    assert!(others.iter().all(|append| append.cause == Cause::Replicate), "{others:?}");
}

#[test]
fn r28_who_comes_back_is_sent_what_its_log_lacks_and_nothing_else() {
    let mut leading = Driven::leading(5, course());
    (0..3).for_each(|_| leading.propose());
    let leader = leading.leader();
    (leader.flush_at, leader.batched_through) = (None, 4);
    leader.progress[3].suspect = true;
    let last = Position { term: 1, index: 2 };
    let request = PreVote { term: 2, last, cause: Cause::Inquiry, question: 0 };
    let sent = appends(&leading.hear(Member(3), Message::PreVote(request)));
    assert_eq!((sent.len(), sent[0].previous, sent[0].entries.len()), (1, last, 2));
    assert!(sent[0].wants_answer);
}
