//! What a leader makes of an answer (rules R13, R16, R26).

use super::driven::{Driven, acceptance, appends, events};
use super::*;
use crate::raft::message::{AppendReply, Hint, Refusal};
use crate::raft::types::MemberSet;

/// Knobs with a fixed resend timeout of 3 ms, whose batches go to each of f directly.
fn direct() -> Tuning {
    Tuning { fan_out: FanOut::Thrifty, resend_from: ResendFrom::Fixed, ..course() }
}

/// What the leader takes the loss to be, at the moment and at most.
fn loss(leading: &mut Driven) -> (u64, u64) {
    let loss = leading.leader().loss;
    (loss.parts_per_million(), loss.at_most_ppm())
}

#[test]
fn an_answer_shows_that_one_message_to_each_hop_and_one_back_have_arrived() {
    for (fan_out, messages) in [(FanOut::Thrifty, 2), (FanOut::Chain, 3)] {
        let mut leading = Driven::leading(5, Tuning { fan_out, ..direct() });
        (0..20).for_each(|_| leading.leader().loss.lost());
        let batch = leading.put().remove(0);
        let mut expected = leading.leader().loss;
        expected.arrived(messages);
        let expected = (expected.parts_per_million(), expected.at_most_ppm());
        leading.answer(&batch);
        assert_eq!(loss(&mut leading), expected, "{fan_out:?}");
        leading.answer(&batch);
        assert_eq!(loss(&mut leading), expected, "{fan_out:?}: a copy shows nothing new");
    }
}

/// Its silence was not counted as loss either, so the loss would seem too small.
#[test]
fn r16_the_answer_of_a_suspect_brings_trust_and_says_nothing_of_loss() {
    let mut leading = Driven::leading(5, Tuning { fan_out: FanOut::Chain, ..direct() });
    (0..20).for_each(|_| leading.leader().loss.lost());
    let batch = leading.put().remove(0);
    let suspect = batch.route.first().unwrap();
    leading.leader().progress[suspect.rank()].suspect = true;
    let mut expected = leading.leader().loss;
    expected.arrived(2);
    let out = leading.answer(&batch);
    assert_eq!(leading.leader().loss.parts_per_million(), expected.parts_per_million());
    let trusted = |event: &Event| matches!(event, Event::Trusted { .. });
    let told: Vec<Event> = events(&out).into_iter().filter(trusted).collect();
    assert_eq!(told, [Event::Trusted { member: suspect }]);
    let batch = leading.put().remove(0);
    for hop in batch.route.iter() {
        leading.leader().progress[hop.rank()].suspect = true;
    }
    let before = loss(&mut leading);
    leading.answer(&batch);
    assert_eq!(loss(&mut leading), before);
}

/// Both that were sent before the answer came, and the one right before it.
#[test]
fn r26_an_answer_to_what_was_sent_before_the_latest_resend_ends_no_row_of_timeouts() {
    for is_suspect in [false, true] {
        let mut leading = Driven::leading(5, direct());
        let batch = leading.put();
        let [first, second] = &batch[..] else { panic!("f = 2: {batch:?}") };
        leading.answer(first);
        let member = second.route.first().unwrap();
        leading.leader().progress[member.rank()].suspect = is_suspect;
        let again = appends(&leading.overdue(member));
        let again = again.iter().find(|append| append.route.first() == Some(member)).unwrap();
        assert_eq!(again.round, second.round + 1, "nothing was sent between the two");
        leading.answer(second);
        let awaiting = leading.leader().progress[member.rank()].awaiting;
        assert_eq!(awaiting.map(|awaiting| awaiting.attempts), Some(1), "{is_suspect}");
        leading.answer(again);
        assert!(leading.leader().progress[member.rank()].awaiting.is_none());
    }
}

#[test]
fn an_answer_after_which_nothing_waits_wakes_nobody() {
    let mut leading = Driven::leading(5, direct());
    let batch = leading.put();
    batch.iter().for_each(|append| drop(leading.answer(append)));
    assert!(leading.raft.deadline() > leading.now, "at {}", leading.now);
    assert_eq!(leading.wake(Micros(0)), []);
}

/// The one whose answers the leader is told here. It is asked last.
const LAST: Member = Member(4);

/// A leader of term 9 whose log has these terms, and which knows of no follower where its log
/// agrees; and two questions to a suspect whether it holds the last entry.
fn disagreeing(terms: &[Term]) -> (Driven, [Append; 2]) {
    let mut leading = Driven::leading(5, direct());
    let log = &mut leading.raft.core.log;
    log.truncate_from(1);
    terms.iter().for_each(|term| log.push(Entry { term: *term, command: [7u8; 10].into() }));
    let last = log.last_index();
    (leading.raft.core.term, leading.raft.core.commit) = (9, 0);
    let leader = leading.leader();
    (leader.opened, leader.batched_through) = (0, last);
    for progress in &mut leader.progress[1..] {
        (progress.matched, progress.next) = (0, last + 1);
    }
    leader.progress[LAST.rank()].suspect = true;
    let questions = [(); 2].map(|()| {
        let leader = leading.leader();
        (leader.touch_wanted, leader.confirm_wanted) = (true, true);
        let question = leading.wake(Micros(0)).pop().expect("it asks everyone");
        assert_eq!(question.route.first(), Some(LAST));
        question
    });
    (leading, questions)
}

fn refusal(append: &Append, hint: Hint) -> Message {
    let refusal = Some(Refusal { refused: append.previous.index, hint });
    let members = MemberSet::EMPTY;
    Message::AppendReply(AppendReply { refusal, members, ..acceptance(append) })
}

/// The follower's log has the terms 1, 2, 2, 3, 3, which are not the leader's from index 2 on.
#[test]
fn r13_a_refusal_is_news_only_if_it_answers_what_was_sent_since_the_last_one() {
    let (mut leading, questions) = disagreeing(&[1, 1, 4, 4, 9]);
    assert_eq!(questions[0].previous.index, 5);
    let of_three = Hint { term: 3, first: 4, last: 5 };
    let trusted = Event::Trusted { member: LAST };
    let out = leading.hear(LAST, refusal(&questions[0], of_three));
    assert!(events(&out).contains(&trusted));
    let next = appends(&out);
    assert_eq!((next.len(), next[0].previous.index), (1, 3), "none of term 3 agrees");
    for late in &questions {
        let out = leading.hear(LAST, refusal(late, of_three));
        assert_eq!(out, [], "round {}", late.round);
    }
    let out = leading.hear(LAST, refusal(&next[0], Hint { term: 2, first: 2, last: 3 }));
    let last = appends(&out);
    assert_eq!((last.len(), last[0].previous.index), (1, 1), "none of term 2 agrees");
    assert!(!events(&out).contains(&trusted), "it was trusted already");
    leading.answer(&last[0]);
    let progress = &leading.leader().progress[LAST.rank()];
    assert_eq!((progress.matched, progress.next, progress.probing), (1, 2, false));
}
