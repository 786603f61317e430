//! Who led when and who could hear, and what is remembered of entries and batches.

use super::*;
use crate::budget::phases::Phase;
use crate::interface::Address;
use crate::raft::{Deposed, Kind, To};
use crate::record::SIMULATOR;

const REPLICAS: usize = 5;

fn tell(led: &mut Leaderships, at: u64, source: Member, fact: Fact) {
    led.record(&Record { at: Micros(at), source, fact }, REPLICAS);
}

fn leads(led: &mut Leaderships, at: u64, member: u8, term: Term, opened: Index) {
    let event = Event::BecameLeader { term, heard_commit: 0, opened };
    tell(led, at, Member(member), Fact::State(event));
}

fn taken(led: &mut Leaderships, at: u64, member: u8, term: Term, index: Index) {
    let (client, request) = (Address(0x100), index);
    tell(led, at, Member(member), Fact::Taken { client, request, index, term });
}

fn event(led: &mut Leaderships, at: u64, member: u8, event: Event) {
    tell(led, at, Member(member), Fact::State(event));
}

fn sides(members: &[u8]) -> MemberSet {
    let mut set = MemberSet::EMPTY;
    members.iter().for_each(|member| set.insert(Member(*member)));
    set
}

/// A leader of five is cut off together with another one, then the partition ends, then a follower
/// dies, and then another leads before the first has noticed.
#[test]
fn only_who_lives_and_is_on_the_leaders_side_can_hear_it() {
    let mut led = Leaderships::new(REPLICAS);
    leads(&mut led, 100, 0, 1, 1);
    let majority = sides(&[2, 3, 4]);
    tell(&mut led, 200, SIMULATOR, Fact::Partitioned { majority });
    tell(&mut led, 300, SIMULATOR, Fact::Partitioned { majority: MemberSet::EMPTY });
    tell(&mut led, 400, SIMULATOR, Fact::Killed { member: Member(4), by_itself: false });
    leads(&mut led, 500, 1, 2, 2);
    event(&mut led, 550, 0, Event::SteppedDown { term: 1, reason: Deposed::HigherTerm });
    tell(&mut led, 600, SIMULATOR, Fact::Partitioned { majority: sides(&[1, 2, 3]) });
    tell(&mut led, 700, SIMULATOR, Fact::Killed { member: Member(1), by_itself: false });
    let spans = led.finish(Micros(1_000)).spans;
    let seen: Vec<_> = spans.iter().map(|one| (one.from.0, one.to.0, one.listeners)).collect();
    let wanted =
        [(100, 200, 4), (200, 300, 1), (300, 400, 4), (400, 500, 3), (500, 600, 3), (600, 700, 2)];
    assert_eq!(seen, wanted);
}

/// A span that would begin and end in one moment is none.
#[test]
fn a_leader_that_begins_when_something_changes_has_one_span() {
    let mut led = Leaderships::new(REPLICAS);
    leads(&mut led, 100, 0, 1, 1);
    tell(&mut led, 100, SIMULATOR, Fact::Killed { member: Member(4), by_itself: false });
    let spans = led.finish(Micros(300)).spans;
    assert_eq!(spans, [LedSpan { from: Micros(100), to: Micros(300), listeners: 3 }]);
}

/// Records of a replica may be damaged. What it took in without leading is no arrival.
#[test]
fn only_a_leader_takes_in_puts() {
    let mut led = Leaderships::new(REPLICAS);
    leads(&mut led, 100, 0, 1, 1);
    taken(&mut led, 110, 0, 1, 2);
    event(&mut led, 120, 0, Event::SteppedDown { term: 1, reason: Deposed::NoQuorum });
    taken(&mut led, 130, 0, 1, 3);
    taken(&mut led, 140, 2, 1, 3);
    let arrivals: Vec<_> = led.finish(Micros(200)).arrivals.iter().map(|put| put.at.0).collect();
    assert_eq!(arrivals, [110]);
}

#[test]
fn an_entry_is_committed_once() {
    let mut led = Leaderships::new(REPLICAS);
    leads(&mut led, 100, 0, 1, 1);
    (2..=5).for_each(|index| taken(&mut led, 110, 0, 1, index));
    event(&mut led, 200, 0, Event::Committed { through: 3 });
    event(&mut led, 300, 0, Event::Committed { through: 4 });
    let at = |index| led.entry(1, index).and_then(|entry| entry.committed_at).map(|at| at.0);
    assert_eq!([2, 3, 4, 5].map(at), [Some(200), Some(200), Some(300), None]);
}

/// A leader that takes in very many puts: the latest are remembered, each under its own index.
#[test]
fn of_a_long_leadership_the_latest_entries_and_batches_are_remembered() {
    const ALL: Index = REMEMBERED as Index + 10;
    let mut led = Leaderships::new(REPLICAS);
    leads(&mut led, 0, 0, 1, 1);
    let at = |index: Index| index * 10;
    for index in 2..ALL + 2 {
        taken(&mut led, at(index), 0, 1, index);
        event(&mut led, at(index) + 1, 0, Event::BatchSent { first: index, last: index });
    }
    let found = |index| led.entry(1, index).map(|entry| entry.appended_at.0);
    assert_eq!(
        [11, 12, 500, ALL + 1].map(found),
        [None, Some(120), Some(5_000), Some(at(ALL + 1))]
    );
    // The same of batches: what is sent again for a forgotten one is counted for none.
    let (to, why) = (To::Member(Member(1)), Why::Own(Cause::Resend));
    let (number, kind, term, entries, bytes) = (1, Kind::Append, 1, 1, 90);
    for first in [11, 12] {
        let again = Fact::Sent { to, number, kind, why, term, first, entries, bytes };
        tell(&mut led, at(ALL + 5), Member(0), again);
    }
    let batches = led.finish(Micros(at(ALL + 9))).batches;
    assert_eq!(batches.len() as Index, ALL);
    let sent: Vec<_> = batches.iter().filter(|one| one.messages > 0).collect();
    assert_eq!(sent.iter().map(|one| one.sent_at.0).collect::<Vec<_>>(), [121]);
}

/// f others prove a batch. An acknowledgement beyond them, or one whose way is not known from its
/// beginning, is no part of the proof.
#[test]
fn what_committed_a_batch_are_the_first_ways_of_f_others() {
    let sending = |at, number, why, kind, first| {
        let (term, entries, bytes, phase) = (1, 0, 90, Phase::Steady);
        let at = Micros(at);
        Sending { at, number, kind, why, term, first, entries, bytes, phase }
    };
    let answer = |by: u8, knows_beginning: bool| {
        let (leader, to) = (Member(0), Member(by));
        let there = sending(10, by.into(), Why::Own(Cause::Heartbeat), Kind::Append, 6);
        let there = Hop { from: leader, to, sending: there, received_at: Micros(20), before: None };
        let back = sending(20, 1, Why::Ack(Cause::Heartbeat), Kind::AppendReply, 5);
        let before = knows_beginning.then(|| Rc::new(there));
        Rc::new(Hop { from: to, to: leader, sending: back, received_at: Micros(30), before })
    };
    let mut batch = BatchTrack::new(5, Micros(1));
    batch.acknowledge(&answer(1, false), 2);
    for by in 2..=4 {
        batch.acknowledge(&answer(by, true), 2);
    }
    assert_eq!(batch.acknowledged_by, sides(&[2, 3]));
    assert_eq!(batch.prove(2), Some(Proof { hops: 2, others: 4 }));
}
