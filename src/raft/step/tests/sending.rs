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

#[test]
fn r28_who_comes_back_is_sent_what_its_log_lacks_and_nothing_else() {
    let mut leading = Driven::leading(5, course());
    (0..3).for_each(|_| leading.propose());
    let leader = leading.leader();
    (leader.flush_at, leader.batched_through) = (None, 4);
    leader.progress[3].suspect = true;
    let last = Position { term: 1, index: 2 };
    let request = PreVote { term: 2, last, cause: Cause::Inquiry };
    let sent = appends(&leading.hear(Member(3), Message::PreVote(request)));
    assert_eq!((sent.len(), sent[0].previous, sent[0].entries.len()), (1, last, 2));
    assert!(sent[0].wants_answer);
}
