//! How many answers go out, and when, as the socket fills and is read.

use super::*;

const INTERVAL: Micros = Micros(2_000);

fn pacer(window: u64) -> Pacer {
    Pacer {
        window: window * SMALL_CHARGE,
        interval: INTERVAL,
        sent: 0,
        unread: VecDeque::new(),
        charged: 0,
        since: Micros(0),
        waiting_since: Micros(0),
        marks: VecDeque::new(),
        rate: Rate { interval: INTERVAL, at: Micros(0), read: 0 },
        looks: false,
    }
}

/// Sends answers as long as the pacer allows it. Returns how many.
fn answer_all(pacer: &mut Pacer, now: Micros) -> u64 {
    let mut answers = 0;
    while answers < 1_000 && pacer.allows(now) {
        pacer.on_answer(now, 100);
        answers += 1;
    }
    answers
}

#[test]
fn r27_a_window_goes_out_and_then_one_each_interval() {
    let mut pacer = pacer(128);
    let start = Micros(1_000_000);
    assert_eq!(answer_all(&mut pacer, start), 128);
    for turn in 1..=300 {
        let due = start + Micros(INTERVAL.0 * turn);
        assert_eq!(pacer.free_at(), due);
        assert_eq!(answer_all(&mut pacer, due - Micros(1)), 0);
        assert_eq!(answer_all(&mut pacer, due), 1);
    }
    // Unused time is not saved up: the socket holds no more than it holds.
    assert_eq!(answer_all(&mut pacer, start + Micros::from_seconds(60)), 128);
}

#[test]
fn another_window_holds_from_the_retuning_on() {
    let course = crate::tuning_file::load("course").unwrap().tuning;
    let with = |answer_window, answer_interval_us| Tuning {
        answer_window,
        answer_interval_us,
        ..course.clone()
    };
    let (mut pacer, now) = (pacer(10), Micros(50));
    assert_eq!(answer_all(&mut pacer, now), 10);
    pacer.retune(&with(30, 2_000));
    assert_eq!(answer_all(&mut pacer, now), 20);
    pacer.retune(&with(7, 500));
    assert_eq!(answer_all(&mut pacer, now + Micros(499)), 0);
    assert_eq!(answer_all(&mut pacer, now + Micros(500)), 1);
    assert_eq!(answer_all(&mut pacer, now + Micros::from_seconds(1)), 7);
}

/// A window beyond the socket's default size.
#[test]
fn r27_a_window_that_is_just_full_has_no_room() {
    let (mut pacer, now) = (pacer(300), Micros(50));
    const { assert!(300 * SMALL_CHARGE > SOCKET_BYTES) };
    (0..300).for_each(|_| pacer.on_sent(now, 100));
    assert_eq!((pacer.read(), pacer.charged), (0, 300 * SMALL_CHARGE));
    assert!(!pacer.allows(now));
    (0..300).for_each(|_| pacer.on_sent(now, 100));
    assert_eq!(pacer.read(), 0, "what came last may have been lost");
    pacer.on_sent(now, 100);
    assert_eq!(pacer.read(), 1, "twice as much is not there");
    pacer.on_look(now, Some(300 * SMALL_CHARGE));
    let read = pacer.read();
    pacer.on_sent(now, 100);
    assert_eq!(pacer.read(), read + 1, "who looks knows");
}

/// A leader sends more than the socket holds to members that were away. What it sent last is lost,
/// and what it sent first is read late.
#[test]
fn r27_what_is_sent_into_a_full_socket_does_not_make_the_oldest_read() {
    let (mut pacer, now) = (pacer(128), Micros(50));
    let long = 50_000;
    let fitting = SOCKET_BYTES / socket_charge(long);
    (0..2 * fitting).for_each(|round| {
        pacer.on_sent(now, long);
        pacer.on_append(now, 1, round + 1);
    });
    pacer.on_append_reply(now + Micros(1_000), 1, 1);
    assert_eq!(pacer.read(), 1);
    assert!(!pacer.allows(now + Micros(1_000)));
}

#[test]
fn r27_an_answer_to_an_append_proves_what_was_sent_before_it() {
    let mut pacer = pacer(10);
    let now = Micros(50);
    (0..4).for_each(|_| pacer.on_answer(now, 100));
    pacer.on_sent(now, 100);
    pacer.on_append(now, 3, 1);
    (0..4).for_each(|_| pacer.on_answer(now, 100));
    pacer.on_sent(now, 100);
    pacer.on_append(now, 3, 2);
    assert_eq!(answer_all(&mut pacer, now), 0);
    pacer.on_append_reply(now, 2, 1);
    pacer.on_append_reply(now, 3, 9);
    assert_eq!(answer_all(&mut pacer, now), 0, "of another term, or unknown");
    pacer.on_append_reply(now, 3, 1);
    assert_eq!(answer_all(&mut pacer, now), 5, "five unread, five more");
    pacer.on_append_reply(now, 3, 2);
    pacer.on_append_reply(now, 3, 1);
    assert_eq!(answer_all(&mut pacer, now), 5, "and five again; what is old says nothing");
    // The interval starts at the proof, not before it.
    assert_eq!(pacer.free_at(), now + INTERVAL);
}

#[test]
fn r27_messages_to_replicas_share_the_socket_but_starve_no_client() {
    let mut pacer = pacer(10);
    pacer.on_answer(Micros(0), 100);
    (0..500).for_each(|n| pacer.on_sent(Micros(n), 100));
    assert_eq!(answer_all(&mut pacer, Micros(500)), 0);
    // The window was full after 9 us.
    for now in (1..=100).map(|turn| Micros(9 + INTERVAL.0 * turn)) {
        assert_eq!(answer_all(&mut pacer, now), 1);
        (0..5).for_each(|_| pacer.on_sent(now, 100));
    }
}

#[test]
fn r27_while_proofs_are_under_way_they_are_waited_for_longer() {
    let mut pacer = pacer(10);
    for n in 1..=500 {
        pacer.on_sent(Micros(n), 100);
        pacer.on_append(Micros(n), 1, n);
    }
    assert_eq!(pacer.free_at(), Micros(10 + 50 * INTERVAL.0));
    pacer.on_append_reply(Micros(600), 1, 480);
    assert_eq!(pacer.free_at(), Micros(600 + 11 * INTERVAL.0), "20 unread, 9 may be");
    pacer.on_append_reply(Micros(700), 1, 500);
    assert!(pacer.allows(Micros(700)));
    (0..500).for_each(|_| pacer.on_sent(Micros(800), 100));
    pacer.on_append(Micros(800), 1, 501);
    assert!(pacer.free_at() > Micros(800 + INTERVAL.0));
    pacer.on_stepped_down(Micros(900));
    let at_latest = Micros(900) + PROOF_COMES_WITHIN + INTERVAL;
    assert_eq!(pacer.free_at(), at_latest, "no proof comes, but they are not read yet");
    pacer.on_stepped_down(Micros(1_000));
    assert_eq!(pacer.free_at(), at_latest, "it did not lead");
}

/// The socket's room is measured in bytes: three of the longest appends fill it.
#[test]
fn r27_long_messages_take_the_room_that_they_take() {
    for (bytes, room) in [(100, 118), (500, 113), (8_000, 0), (16_000, 0), (60_000, 0)] {
        let mut pacer = pacer(128);
        let now = Micros(1_000_000);
        (0..10).for_each(|_| pacer.on_sent(now, bytes));
        assert!(pacer.allows(now) == (room > 0), "{bytes}");
        if room > 0 {
            assert!(answer_all(&mut pacer, now).abs_diff(room) <= 1, "{bytes}");
        } else {
            assert_eq!(pacer.free_at(), now + INTERVAL, "one may always go");
        }
    }
    let mut pacer = pacer(128);
    pacer.on_sent(Micros(0), 60_000);
    pacer.on_append(Micros(0), 1, 1);
    assert_eq!(answer_all(&mut pacer, Micros(10)), (128 * 832 - 60_832) / 832);
    pacer.on_append_reply(Micros(20), 1, 1);
    assert_eq!(answer_all(&mut pacer, Micros(20)), 60_832 / 832 + 1);
}

#[test]
fn only_the_latest_appends_are_remembered() {
    let mut pacer = pacer(1);
    for round in 1..=1_000 {
        pacer.on_sent(Micros(0), 100);
        pacer.on_append(Micros(0), 1, round);
    }
    assert_eq!(pacer.marks.len(), MOST_MARKS);
    pacer.on_append_reply(Micros(0), 1, 1_000);
    assert_eq!((pacer.marks.len(), pacer.read()), (0, 1_000));
}

/// For a leader that only reads, heartbeats are the proofs. It may answer at the rate that the
/// latest ones have shown, and a window more for each heartbeat.
#[test]
fn r27_what_was_read_fast_is_taken_to_be_read_fast() {
    let mut pacer = pacer(100);
    let mut rates = Vec::new();
    for beat in 1..=20 {
        let start = Micros(400_000 * beat);
        let mut answers = 0;
        for now in (0..399_000).step_by(100).map(|step| start + Micros(step)) {
            answers += u64::from(pacer.allows(now));
            if pacer.allows(now) {
                pacer.on_answer(now, 100);
            }
        }
        rates.push(answers);
        pacer.on_sent(start + Micros(399_000), 100);
        pacer.on_append(start + Micros(399_000), 1, beat);
        pacer.on_append_reply(start + Micros(399_500), 1, beat);
    }
    assert!((290..=301).contains(&rates[0]), "{rates:?}");
    let rises = rates[1..].windows(2).all(|pair| pair[1] >= pair[0] + 80);
    assert!(rises, "{rates:?}");
    // A proof is used for a limited time: an old rate no longer counts.
    let now = Micros::from_seconds(60);
    assert_eq!(answer_all(&mut pacer, now), 100);
    assert_eq!(pacer.free_at(), now + INTERVAL);
}

/// The system knows better than time, and what it says is not added to. What keeps clients from
/// waiting for ever holds as long as one more answer fits.
#[test]
fn r27_where_the_system_looks_time_tells_nothing() {
    let mut pacer = pacer(100);
    pacer.on_look(Micros(0), Some(0));
    assert_eq!(answer_all(&mut pacer, Micros(10)), 100);
    pacer.on_look(Micros(1_000), Some(100 * SMALL_CHARGE));
    assert_eq!(answer_all(&mut pacer, Micros(1_500)), 0);
    pacer.on_look(Micros(1_600), Some(30 * SMALL_CHARGE + 1));
    assert_eq!(answer_all(&mut pacer, Micros(1_600)), 69);
    // Nothing is read for a second: now and then one goes out, as long as it fits.
    let later = (2..1_000).map(|turn| Micros(INTERVAL.0 * turn));
    let late: u64 = later.map(|now| answer_all(&mut pacer, now)).sum();
    assert_eq!(late, SOCKET_BYTES / SMALL_CHARGE - 100);
    assert_eq!(pacer.free_at(), Micros::NEVER);
    // More than was known of lies there; what was sent to others fills it, too.
    let now = Micros::from_seconds(3);
    pacer.on_look(now, Some(SMALL_CHARGE));
    (0..10).for_each(|_| pacer.on_sent(now, 100));
    pacer.on_look(now, Some(60 * SMALL_CHARGE));
    assert_eq!(answer_all(&mut pacer, now), 40);
    // The system has stopped to tell: time counts again.
    pacer.on_look(now, None);
    assert_eq!(pacer.free_at(), now + INTERVAL);
}

/// What other replicas have sent lies there from the first look on. That is no less than
/// nothing read, and an answer to an append proves that it was read, too.
#[test]
fn r27_what_others_have_sent_takes_up_room_as_well() {
    let mut pacer = pacer(100);
    pacer.on_look(Micros(0), Some(60 * SMALL_CHARGE));
    assert_eq!(answer_all(&mut pacer, Micros(10)), 40);
    pacer.on_append(Micros(10), 1, 1);
    pacer.on_look(Micros(20), Some(30 * SMALL_CHARGE));
    pacer.on_look(Micros(30), Some(50 * SMALL_CHARGE));
    assert_eq!(answer_all(&mut pacer, Micros(30)), 50);
    // What others sent last is taken to lie before the append, so one of its forty is left.
    pacer.on_append_reply(Micros(40), 1, 1);
    assert_eq!(answer_all(&mut pacer, Micros(40)), 49);
}

/// While the answer to an append is on its way, time alone proves only the slow rate.
#[test]
fn r27_a_proof_under_way_is_waited_for() {
    let mut pacer = pacer(100);
    for beat in 1..=10_000 {
        let now = Micros(100 * beat);
        pacer.on_answer(now, 100);
        pacer.on_append(now, 1, beat);
        pacer.on_append_reply(now, 1, beat);
    }
    let now = Micros(1_000_001);
    assert_eq!(answer_all(&mut pacer, now), 100);
    assert_eq!(pacer.free_at(), now + Micros(100), "the rate of late");
    pacer.on_append(now, 1, 10_001);
    assert_eq!(pacer.free_at(), now + INTERVAL);
}

/// What the system says to lie there is what was known of: nothing changes, neither now nor when an
/// answer to an append comes.
#[test]
fn r27_a_look_at_what_is_known_changes_nothing() {
    let mut pacer = pacer(10);
    pacer.on_look(Micros(0), Some(0));
    pacer.on_sent(Micros(10), 100);
    pacer.on_append(Micros(10), 1, 1);
    pacer.on_look(Micros(20), Some(SMALL_CHARGE));
    pacer.on_append_reply(Micros(30), 1, 1);
    assert_eq!((pacer.read(), pacer.charged), (1, 0));
    assert_eq!(answer_all(&mut pacer, Micros(40)), 10);
}

/// Others may keep the socket full. A client waits for its answer an interval from when the room
/// was used up, however often the system looks meanwhile.
#[test]
fn r27_where_others_fill_the_socket_the_wait_counts_from_then_on() {
    let mut pacer = pacer(10);
    pacer.on_look(Micros(0), Some(0));
    (0..5).for_each(|_| pacer.on_answer(Micros(10), 100));
    pacer.on_look(Micros(500), Some(4 * SMALL_CHARGE));
    for now in [1_000, 1_500, 2_900] {
        pacer.on_look(Micros(now), Some(20 * SMALL_CHARGE));
        assert_eq!(pacer.free_at(), Micros(1_000) + INTERVAL, "at {now}");
    }
}

/// A reading that time has told already is no news, also if an answer to an append proves it later.
/// The next datagram is read an interval after it and not after the proof.
#[test]
fn r27_a_late_proof_of_what_time_has_told_starts_no_new_interval() {
    let mut pacer = pacer(10);
    pacer.on_sent(Micros(0), 100);
    pacer.on_append(Micros(0), 1, 1);
    (1..10).for_each(|_| pacer.on_sent(Micros(0), 100));
    let late = INTERVAL + Micros(400);
    assert_eq!(answer_all(&mut pacer, late), 1, "the append counts as read");
    pacer.on_append_reply(late + Micros(100), 1, 1);
    assert_eq!(pacer.free_at(), INTERVAL + INTERVAL);
}
