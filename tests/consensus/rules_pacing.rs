//! Rule R27: answers are paced to what the simulator's socket can hold, and none is forgotten.

use std::cell::Cell;
use std::rc::Rc;

use laconic::interface::{Address, Operation, Outcome};
use laconic::raft::message::Append;
use laconic::raft::{Member, Message, RoleName, Tuning};
use laconic::wire::Payload;

use crate::cluster::{CLIENT, Cluster, Fate, Name, fast, ms};
use crate::solo::{Solo, answered, append, appends, vote_request};

const OK: Outcome = Outcome::Ok(None);
const PUTS: usize = 600;

fn put_of(number: usize) -> Operation {
    Operation::Put { key: format!("k{number}").into(), value: format!("v{number}").into() }
}

fn put_all(cluster: &mut Cluster, at: Member) -> Vec<Name> {
    (0..PUTS).map(|n| cluster.ask(Address(CLIENT.0 + n as u16 % 8), at, put_of(n))).collect()
}

fn told(cluster: &Cluster, puts: &[Name]) -> usize {
    puts.iter().filter(|put| !cluster.outcomes(**put).is_empty()).count()
}

/// The next leader owes 600 answers in one step. It sends no more than the window at once. As long
/// as nothing proves that they are read, it sends one more each interval.
#[test]
fn r27_a_backlog_at_a_failover_goes_out_in_windows() {
    let tuning = fast();
    let window = tuning.answer_window as usize;
    let mut cluster = Cluster::new(3, 9, tuning);
    let first = cluster.elect();
    let mute = Rc::new(Cell::new(false));
    let is_mute = Rc::clone(&mute);
    cluster.obeys(move |flight| match &flight.message {
        // Answers to the first leader are lost, so it commits nothing. Once `mute` is set, all are
        // lost.
        Message::AppendReply(_) if flight.to == first || is_mute.get() => Fate::Lose,
        _ => Fate::Pass,
    });
    let puts = put_all(&mut cluster, first);
    cluster.run_for(ms(2));
    cluster.kill(first);
    let committed = |cluster: &Cluster| {
        cluster.leader().is_some_and(|leader| cluster.raft(leader).commit() > PUTS as u64)
    };
    assert!(cluster.run_until(ms(10_000), committed));
    mute.set(true);
    let next = cluster.leader().expect("it has committed them");
    // Its opening and its vote requests are in the socket too.
    assert!((window - 10..=window).contains(&told(&cluster, &puts)), "{}", told(&cluster, &puts));
    assert!(cluster.replica(next).applied() < cluster.raft(next).commit());
    let read = cluster.get(next, "k599");
    for turn in 1..=5 {
        cluster.run_for(ms(2));
        assert!(told(&cluster, &puts) <= window + turn, "{turn}: {}", told(&cluster, &puts));
    }
    assert_eq!(cluster.outcomes(read), [], "a read waits for its turn");
    mute.set(false);
    cluster.run_for(ms(2_000));
    assert!(puts.iter().all(|put| cluster.is_ok(*put)));
    assert_eq!(cluster.value(read).as_deref(), Some("v599"));
    cluster.run_for(ms(1_000));
    let applied: Vec<u64> = cluster.living().map(|replica| replica.applied()).collect();
    assert!(applied.iter().all(|index| *index > PUTS as u64), "{applied:?}");
}

/// A leader is cut off while committed puts are unanswered. The next leader answers them, and the
/// old one answers none of them again when it is back.
#[test]
fn r27_what_a_deposed_leader_had_not_answered_somebody_answers() {
    let tuning = Tuning { answer_interval_us: 100_000, ..fast() };
    let mut cluster = Cluster::new(3, 4, tuning);
    let old = cluster.elect();
    let puts = put_all(&mut cluster, old);
    let committed = |cluster: &Cluster| cluster.raft(old).commit() > PUTS as u64;
    assert!(cluster.run_until(ms(50), committed));
    cluster.cut(&[&cluster.others(old), &[old]]);
    cluster.run_for(ms(1_000));
    let early = told(&cluster, &puts);
    assert!((100..200).contains(&early), "{early} answered by the old leader");
    cluster.run_for(ms(30_000));
    assert_ne!(cluster.leader(), Some(old));
    cluster.heal();
    cluster.run_for(ms(20_000));
    assert_eq!(told(&cluster, &puts), PUTS);
    for put in &puts {
        assert!(cluster.outcomes(*put).iter().all(|outcome| *outcome == OK), "put {put}");
    }
    let next = cluster.leader().expect("somebody leads");
    cluster.kill(next);
    let third = cluster.elect();
    let fresh = cluster.put(third, "k", "fresh");
    cluster.run_for(ms(5_000));
    assert!(cluster.is_ok(fresh));
    let twice = puts.iter().filter(|put| cluster.outcomes(**put).len() > 1).count();
    assert!(twice <= early, "{twice} answered twice, but {early} by the first leader");
    cluster.check_answers();
}

/// The same leader is elected again: it goes on to answer what it had committed, once each.
#[test]
fn r27_a_leader_that_is_elected_again_answers_the_rest() {
    let mut solo = Solo::new(3, Tuning { answer_interval_us: 100_000, ..fast() });
    solo.lead_all();
    for number in 0..PUTS {
        solo.ask(CLIENT, &format!("m{number}"), put_of(number));
    }
    let batches = solo.wait(ms(1));
    let mut oks = answered(&solo.acknowledge(&batches), &OK);
    assert_eq!(solo.raft().commit(), solo.raft().log().last_index());
    // From now on, no member answers this leader.
    let silent = solo.wait(ms(3_000));
    assert_ne!(solo.role(), RoleName::Leader);
    oks.extend(answered(&silent, &OK));
    assert!(oks.len() < 200, "{} answered before", oks.len());
    let told = appends(&silent).iter().map(|append| append.commit).max();
    assert!(told < Some(200), "no commit index beyond what is answered: {told:?}");
    let out = solo.lead();
    oks.extend(answered(&out, &OK));
    oks.extend(answered(&solo.acknowledge(&out), &OK));
    for _ in 0..300 {
        let out = solo.wait(ms(400));
        oks.extend(answered(&out, &OK));
        oks.extend(answered(&solo.acknowledge(&out), &OK));
    }
    let wanted: Vec<String> = (0..PUTS).map(|number| format!("m{number}")).collect();
    assert_eq!(oks, wanted, "each once, in order");
}

/// Puts that another leader told to be committed were answered by that leader. A deposed leader
/// applies them, and does not answer them when it leads again.
#[test]
fn r27_what_the_next_leader_told_is_not_answered_again() {
    let mut solo = Solo::new(3, Tuning { answer_interval_us: 1_000_000, ..fast() });
    solo.lead_all();
    for number in 0..PUTS {
        solo.ask(CLIENT, &format!("m{number}"), put_of(number));
    }
    let batches = solo.wait(ms(1));
    let early = answered(&solo.acknowledge(&batches), &OK).len();
    assert!((120..=128).contains(&early), "{early} answered at once");
    let (term, last) = (solo.raft().term(), solo.raft().log().last_index());
    let next = append(1, term + 1, (term, last), &[]);
    solo.hear(1, Message::Append(Append { commit: 400, ..next }));
    assert_eq!((solo.raft().commit(), solo.replica.applied()), (last, 400));
    let out = solo.lead();
    let mut later = answered(&out, &OK);
    later.extend(answered(&solo.acknowledge(&out), &OK));
    later.extend(answered(&solo.wait(ms(1_200)), &OK));
    assert_eq!(later.first().map(String::as_str), Some("m399"), "the one behind index 400");
}

/// A leader that has committed three puts and answered one of them is asked for its vote. It tells
/// of no commit that it has not answered, or the next leader would not answer it either.
#[test]
fn r03_a_voter_tells_only_of_commits_that_are_answered() {
    let tuning = Tuning { answer_window: 1, answer_interval_us: 1_000_000, ..fast() };
    let mut solo = Solo::new(3, tuning);
    solo.lead_all();
    let sent: Vec<_> = ["a", "b", "c"].iter().flat_map(|value| solo.put("k", value)).collect();
    let sent = [sent, solo.wait(ms(0))].concat();
    solo.acknowledge(&sent);
    solo.wait(ms(900));
    let (commit, applied) = (solo.raft().commit(), solo.replica.applied());
    assert!(commit == 4 && applied < 4, "{commit} committed, {applied} applied");
    let sent = solo.hear(2, vote_request(solo.raft().term() + 1, (1, 9)));
    let heard = sent.iter().find_map(|datagram| match &datagram.payload {
        Payload::Peer { message: Message::VoteReply(reply), .. } => Some(reply.heard_commit),
        _ => None,
    });
    assert_eq!(heard, Some(applied));
}

/// Whether an answer may go out, and whether something waits for that, are two questions.
#[test]
fn r27_a_replica_waits_for_room_only_if_it_has_something_to_answer() {
    let tuning = Tuning { answer_window: 8, answer_interval_us: 100_000, ..fast() };
    let mut solo = Solo::new(3, tuning);
    let state =
        |solo: &Solo| (solo.replica.may_answer(solo.now), solo.replica.waits_for_room(solo.now));
    assert_eq!(state(&solo), (true, false), "nothing was sent");
    solo.lead_all();
    let mut sent = Vec::new();
    for number in 0..20 {
        sent.extend(solo.put(&format!("k{number}"), &format!("v{number}")));
    }
    sent.extend(solo.wait(ms(1)));
    let early = answered(&solo.acknowledge(&sent), &OK).len();
    assert!((1..20).contains(&early), "{early} answers at once");
    assert_eq!(state(&solo), (false, true), "the others wait");
    let mut told = early;
    for _ in 0..100 {
        let sent = solo.wait(ms(100));
        told += answered(&sent, &OK).len() + answered(&solo.acknowledge(&sent), &OK).len();
    }
    assert_eq!(told, 20);
    assert_eq!(state(&solo), (true, false));
    for number in 0..8 {
        let (key, mid) = (format!("k{number}"), format!("r{number}"));
        let value = Outcome::Ok(Some(format!("v{number}").into()));
        assert_eq!(answered(&solo.get(&key, &mid), &value), [mid]);
    }
    assert_eq!(state(&solo), (false, false), "all have their answers, and no other may go out");
}

/// What waits for room goes on by itself, one an interval, though nothing else arrives: reads that
/// a leader has proved, and requests that a follower sends on.
#[test]
fn r27_what_waits_for_room_needs_no_message_to_go_on() {
    let tuning = Tuning { answer_window: 8, answer_interval_us: 10_000, ..fast() };
    let asked: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
    let ask_all = |solo: &mut Solo, outcome: &Outcome| {
        solo.wait(ms(100));
        let sent: Vec<_> = asked.iter().flat_map(|name| solo.get(name, name)).collect();
        let early = answered(&sent, outcome);
        assert_eq!(early, asked[..8], "what fits goes out at once");
        let late = answered(&solo.wait(ms(121)), outcome);
        assert_eq!(late, asked[8..], "and twelve more in twelve intervals");
    };
    let mut leader = Solo::new(3, tuning.clone());
    leader.lead_all();
    ask_all(&mut leader, &Outcome::Ok(Some("".into())));
    let mut follower = Solo::new(3, tuning);
    follower.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
    ask_all(&mut follower, &Outcome::Redirect);
}

/// Taking in a put needs no room, only its answer does. So a new leader takes in at once what it
/// has held, though its socket is full: what was held for want of a leader, and what was to be sent
/// on and had no room.
#[test]
fn r27_a_new_leader_takes_in_what_it_held_without_waiting_for_room() {
    let tuning = Tuning { answer_window: 1, answer_interval_us: 1_000_000, ..fast() };
    for waits_for_room in [false, true] {
        let mut solo = Solo::new(3, tuning.clone());
        if waits_for_room {
            solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
            solo.wait(ms(1_250));
            assert_eq!(answered(&solo.put("k", "sent on"), &Outcome::Redirect), ["sent on"]);
        } else {
            solo.wait(solo.replica.deadline().since(ms(100)));
        }
        assert_eq!(answered(&solo.put("k", "held"), &Outcome::Redirect), [""; 0]);
        assert_eq!(solo.replica.waits_for_room(solo.now), waits_for_room);
        solo.lead();
        assert!(!solo.replica.may_answer(solo.now));
        let log = solo.raft().log();
        let last = log.entry(log.last_index()).expect("the put");
        assert!(String::from_utf8_lossy(&last.command).contains("held"), "{waits_for_room}");
    }
}
