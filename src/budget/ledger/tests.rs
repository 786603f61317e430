//! Which message is over, when, and what was sent for which.

use super::*;
use crate::raft::Why;
use crate::record::SIMULATOR;

fn sent(ledger: &mut Ledger, at: u64, number: u64) {
    sent_as(Kind::Append, ledger, at, number);
}

fn sent_as(kind: Kind, ledger: &mut Ledger, at: u64, number: u64) {
    let fact = Fact::Sent {
        to: To::Member(Member(1)),
        number,
        kind,
        why: Why::Own(Cause::Replicate),
        term: 1,
        first: 1,
        entries: 1,
        bytes: 100,
    };
    let record = Record { at: Micros(at), source: Member(0), fact };
    ledger.record(&record, Phase::Steady);
}

/// A record of member 1: it took in a message, or woke, or sent something.
fn by_receiver(ledger: &mut Ledger, at: u64, fact: Fact) -> Option<Delivery> {
    ledger.record(&Record { at: Micros(at), source: Member(1), fact }, Phase::Steady)
}

fn received(from: u8, number: u64, kind: Kind, disposition: Disposition) -> Fact {
    let why = Why::Own(Cause::Replicate);
    Fact::Received { from: Member(from), number, kind, why, term: 1, disposition }
}

fn routed(ledger: &mut Ledger, at: u64, number: u64, fate: Fate) {
    let (from, to) = (Member(0), Member(1));
    let fact = Fact::Routed { from, to, number, fate, bytes: 100 };
    ledger.record(&Record { at: Micros(at), source: SIMULATOR, fact }, Phase::Steady);
}

fn fates(closed: &Closed) -> Vec<(Fate, u64)> {
    closed.cells.iter().map(|(cell, tally)| (cell.fate, tally.count)).collect()
}

#[test]
fn a_gap_below_what_was_read_is_lost_and_what_lies_above_is_unread() {
    let mut ledger = Ledger::new(3, 10);
    (1..=5).for_each(|number| sent(&mut ledger, number, number));
    routed(&mut ledger, 11, 1, Fate::Dropped);
    routed(&mut ledger, 13, 3, Fate::Delivered);
    let closed = ledger.finish();
    let wanted = [
        (Fate::Dropped, 1),
        (Fate::UnreadByReceiver, 1),
        (Fate::UnreadBySimulator, 2),
        (Fate::LostInSocket, 1),
    ];
    assert_eq!((fates(&closed), closed.faults), (wanted.to_vec(), Vec::new()));
}

#[test]
fn a_number_that_is_skipped_or_never_told_of_is_a_fault() {
    let mut skipped = Ledger::new(3, 10);
    sent(&mut skipped, 1, 1);
    sent(&mut skipped, 2, 3);
    let faults = skipped.finish().faults;
    assert_eq!(faults, ["replica 0000 counts 3 messages, but its records tell 2"]);
    let mut untold = Ledger::new(3, 10);
    routed(&mut untold, 1, 1, Fate::Dropped);
    let faults = untold.finish().faults;
    assert!(faults[0].contains("message 1 of replica 0000"), "{faults:?}");
}

#[test]
fn what_is_over_is_forgotten() {
    let mut ledger = Ledger::new(3, 10);
    for number in 1..=10_000 {
        sent(&mut ledger, number * 10, number);
        routed(&mut ledger, number * 10 + 5, number, Fate::Dropped);
    }
    assert!(ledger.senders[0].slots.len() <= 1, "{}", ledger.senders[0].slots.len());
    let closed = ledger.finish();
    assert_eq!(fates(&closed), [(Fate::Dropped, 10_000)]);
    assert_eq!((closed.ended.len(), closed.left_out), (10, 9_990));
}

/// A follower that shares its acknowledgements answers when it wakes. What it answers is the last
/// append that it took in, and not a vote request or an append that it has refused since.
#[test]
fn an_acknowledgement_of_a_later_step_is_sent_for_the_last_append_taken_in() {
    let mut ledger = Ledger::new(3, 10);
    sent(&mut ledger, 1, 1);
    sent_as(Kind::PreVote, &mut ledger, 2, 2);
    sent(&mut ledger, 3, 3);
    by_receiver(&mut ledger, 11, received(0, 1, Kind::Append, Disposition::Accepted));
    by_receiver(&mut ledger, 12, received(0, 2, Kind::PreVote, Disposition::Accepted));
    by_receiver(&mut ledger, 13, received(0, 3, Kind::Append, Disposition::Rejected));
    by_receiver(&mut ledger, 20, Fact::Woken);
    let (to, why) = (To::Member(Member(0)), Why::Ack(Cause::Replicate));
    let (kind, number, term, first, entries, bytes) = (Kind::AppendReply, 1, 1, 1, 0, 50);
    let answer = Fact::Sent { to, number, kind, why, term, first, entries, bytes };
    match by_receiver(&mut ledger, 20, answer) {
        Some(Delivery::SentFor(hop)) => assert_eq!(hop.sending.number, 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_broadcast_takes_a_number_for_each_receiver_and_is_forgotten_with_its_last() {
    let mut ledger = Ledger::new(3, 10);
    let (kind, why) = (Kind::PreVote, Why::Own(Cause::Campaign));
    let (to, number, term, first, entries, bytes) = (To::Everyone, 2, 1, 1, 0, 70);
    let fact = Fact::Sent { to, number, kind, why, term, first, entries, bytes };
    ledger.record(&Record { at: Micros(1), source: Member(0), fact }, Phase::Steady);
    for to in [1, 2].map(Member) {
        assert_eq!(ledger.senders[0].slots.len(), 1, "not all is known of it");
        let (from, fate) = (Member(0), Fate::Dropped);
        let fact = Fact::Routed { from, to, number, fate, bytes };
        ledger.record(&Record { at: Micros(5), source: SIMULATOR, fact }, Phase::Steady);
    }
    assert_eq!(ledger.senders[0].slots.len(), 0);
    let closed = ledger.finish();
    assert_eq!(closed.count(|cell| cell.fate == Fate::Dropped), 2);
    assert_eq!((closed.count(|_| true), closed.faults), (2, Vec::new()));
}

/// In a long run a message that got lost must not keep all later ones in memory.
#[test]
fn a_message_of_unknown_fate_is_forgotten_after_a_while() {
    let mut ledger = Ledger::new(3, 10);
    sent(&mut ledger, 0, 1);
    for number in 2..=10 {
        let at = FORGOTTEN_AFTER.0 / 10 * number;
        sent(&mut ledger, at, number);
        routed(&mut ledger, at, number, Fate::Dropped);
    }
    assert_eq!(ledger.senders[0].slots.len(), 10, "its fate may still come");
    sent(&mut ledger, FORGOTTEN_AFTER.0 + 1_000, 11);
    assert_eq!(ledger.senders[0].slots.len(), 1);
    let closed = ledger.finish();
    let wanted = [(Fate::Dropped, 9), (Fate::UnreadBySimulator, 1), (Fate::LostInSocket, 1)];
    assert_eq!(fates(&closed), wanted);
}

#[test]
fn a_number_far_off_gets_no_memory() {
    let mut ledger = Ledger::new(3, 10);
    for far in [1 << 40, 3 + MOST_AHEAD as u64] {
        routed(&mut ledger, 1, far, Fate::Dropped);
        assert_eq!(ledger.senders[0].slots.len(), 0, "{far}");
    }
}

#[test]
fn of_many_contradictions_the_first_are_listed_and_the_others_counted() {
    let mut ledger = Ledger::new(3, 10);
    (1..=30).for_each(|place| sent(&mut ledger, place, place * 2));
    let faults = ledger.finish().faults;
    assert_eq!(faults.len(), FAULTS_TOLD + 1);
    assert_eq!(faults.last().map(String::as_str), Some("and 10 more"));
}
