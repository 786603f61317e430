//! Which resends were early, which entries were sent again, and which leaders were disrupted.

use super::super::message::Sending;
use super::*;
use crate::raft::To;

const LEADER: Member = Member(0);

fn evidence() -> Evidence {
    let tuning = crate::tuning_file::load("fast").unwrap().tuning;
    Evidence::new(5, &tuning, 400_000)
}

fn sent(
    at: u64,
    from: Member,
    number: u64,
    why: Why,
    (term, first, entries): (Term, Index, u32),
) -> Record {
    let (to, kind, bytes) = (To::Member(Member(2)), Kind::Append, 90);
    let fact = Fact::Sent { to, number, kind, why, term, first, entries, bytes };
    Record { at: Micros(at), source: from, fact }
}

/// Member 2 answers message `number`, sent at `at` by a leader of `term`: it holds all up to 9.
fn answer(at: u64, number: u64, term: Term, leader: Member) -> Rc<Hop> {
    let sending = |at, number, why, kind, first| {
        let (at, entries, bytes, phase) = (Micros(at), 0, 90, Phase::Steady);
        Sending { at, number, kind, why, term, first, entries, bytes, phase }
    };
    let to = Member(2);
    let there = sending(at, number, Why::Own(Cause::Replicate), Kind::Append, 10);
    let there = Hop { from: leader, to, sending: there, received_at: Micros(at + 1), before: None };
    let back = sending(at + 1, 1, Why::Ack(Cause::Replicate), Kind::AppendReply, 9);
    let before = Some(Rc::new(there));
    Rc::new(Hop { from: to, to: leader, sending: back, received_at: Micros(at + 2), before })
}

fn led_by(leader: Member, term: Term) -> Leaderships {
    let mut led = Leaderships::new(5);
    let event = Event::BecameLeader { term, heard_commit: 0, opened: 1 };
    led.record(&Record { at: Micros(0), source: leader, fact: Fact::State(event) }, 5);
    led
}

const SECOND: u64 = 1_000_000;

/// How many resends were early, and how many needed: one of message 20 of the leader of term 2 at
/// the first second, and what else is told.
fn judged(tell: impl FnOnce(&mut Evidence, &Phases)) -> (u64, u64) {
    let (mut evidence, phases) = (evidence(), Phases::new(5));
    let why = Why::Own(Cause::Resend);
    evidence.record(&sent(SECOND, LEADER, 20, why, (2, 5, 5)), &phases);
    tell(&mut evidence, &phases);
    evidence.finish(Micros(60 * SECOND));
    (evidence.early_resends, evidence.needed_resends)
}

#[test]
fn a_resend_is_early_if_an_earlier_sending_of_the_same_leader_is_answered_after_all() {
    let hears = |at, number, term, leader| {
        judged(move |evidence, _| {
            evidence.on_delivery(&answer(at, number, term, leader), &led_by(leader, term));
        })
    };
    assert_eq!(judged(|_, _| ()), (0, 1), "nobody answered");
    assert_eq!(hears(SECOND - 500, 19, 2, LEADER), (1, 0));
    assert_eq!(hears(SECOND, 20, 2, LEADER), (0, 1), "its own answer");
    assert_eq!(hears(SECOND + 500, 21, 2, LEADER), (0, 1), "of a later message");
    assert_eq!(hears(SECOND - 500, 19, 3, Member(1)), (0, 1), "of another leader");
}

/// Whatever was on its way has come within five seconds, so an answer beyond that changes nothing.
#[test]
fn a_resend_is_judged_once_all_that_was_on_its_way_has_come() {
    let later = |next: u64| {
        judged(move |evidence, phases| {
            let again = Why::Own(Cause::Resend);
            evidence.record(&sent(next, LEADER, 30, again, (2, 10, 2)), phases);
            evidence.on_delivery(&answer(SECOND - 500, 19, 2, LEADER), &led_by(LEADER, 2));
        })
    };
    assert_eq!(later(4 * SECOND), (1, 1));
    assert_eq!(later(6 * SECOND + 1), (0, 2));
}

/// A heartbeat names the end of the leader's log, and brings nothing of it.
#[test]
fn entries_are_sent_again_only_if_they_were_sent_before() {
    let (mut evidence, phases) = (evidence(), Phases::new(5));
    let mut again = |why, entries: (Term, Index, u32)| {
        evidence.record(&sent(1, LEADER, 1, Why::Own(why), entries), &phases);
        evidence.entries_sent_again
    };
    assert_eq!(again(Cause::Heartbeat, (1, 11, 0)), 0);
    assert_eq!(again(Cause::Replicate, (1, 4, 5)), 0);
    assert_eq!(again(Cause::Replicate, (1, 7, 4)), 2, "7 and 8");
    assert_eq!(again(Cause::Resend, (1, 4, 3)), 5);
    assert_eq!(again(Cause::Replicate, (1, 11, 2)), 5);
    assert_eq!(again(Cause::Replicate, (2, 11, 2)), 5, "another term");
}

#[test]
fn a_leader_is_disrupted_if_it_is_deposed_while_nobody_else_leads() {
    let disrupted = |leaders: &[u8], reason: Deposed| {
        let (mut evidence, mut phases) = (evidence(), Phases::new(5));
        for (leader, term) in leaders.iter().zip(1..) {
            let fact = Fact::State(Event::BecameLeader { term, heard_commit: 0, opened: term });
            phases.record(&Record { at: Micros(term), source: Member(*leader), fact });
        }
        let fact = Fact::State(Event::SteppedDown { term: 1, reason });
        evidence.record(&Record { at: Micros(9), source: LEADER, fact }, &phases);
        evidence.disrupted
    };
    assert_eq!(disrupted(&[0], Deposed::HigherTerm), 1);
    assert_eq!(disrupted(&[0, 3], Deposed::HigherTerm), 0, "the next one leads");
    assert_eq!(disrupted(&[], Deposed::HigherTerm), 1, "it was counted out already");
    assert_eq!(disrupted(&[3], Deposed::HigherTerm), 0);
    assert_eq!(disrupted(&[0], Deposed::NoQuorum), 0);
}

/// In a healthy cluster the next batches would have carried a short lag. What carries no entry has
/// shown where the logs agree, and a long lag is made up for by nothing else.
#[test]
fn a_catch_up_is_needless_if_it_carries_what_the_rotation_would_have() {
    let mut phases = Phases::new(5);
    let opened = Event::BecameLeader { term: 1, heard_commit: 0, opened: 1 };
    let committed = (0..5).map(|rank| (Member(rank), Event::Committed { through: 1 }));
    for (source, event) in [(LEADER, opened)].into_iter().chain(committed) {
        phases.record(&Record { at: Micros(1), source, fact: Fact::State(event) });
    }
    assert_eq!(phases.now(), Phase::Steady);
    let needless = |entries| {
        let mut evidence = evidence();
        let why = Why::Own(Cause::CatchUp);
        evidence.record(&sent(9, LEADER, 1, why, (1, 2, entries)), &phases);
        evidence.needless_catch_ups
    };
    assert_eq!([0, 1, 64, 65].map(needless), [0, 1, 1, 0]);
}
