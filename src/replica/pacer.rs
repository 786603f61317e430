//! How fast answers may go out (rule R27).
//!
//! All that a replica sends waits in one socket of the simulator. It holds some 250 small
//! datagrams, or three of the longest, and loses what comes when it is full (interface §2). The
//! simulator reads one datagram from it a turn (interface §4). A lost answer is never sent again.
//! So answers go out only while little enough can be unread there, and the work that leads to them
//! waits.
//!
//! Where the system can look into that socket, it says what lies unread, and nothing else counts
//! (`on_look`): the replica looks when what it has sent since may fill the window.
//!
//! Elsewhere, and in virtual time, two signs tell what has been read. The first is proof: a socket
//! is read in order, so an answer to an append of ours proves that all we sent up to that append
//! has been read. The second is time: a busy simulator takes at most `answer_interval_us` for a
//! turn. If it was proved to read faster, that rate is used while no proof is on its way, since a
//! leader that only reads sends few appends.
//!
//! If messages to other replicas alone keep the socket full, clients must not wait for ever. One
//! answer goes out every interval all the same, or every 50 intervals while proofs are on their
//! way.

use std::collections::VecDeque;

use crate::raft::{Micros, Round, Term, Tuning};
use crate::wire::{SMALL_CHARGE, SOCKET_BYTES, socket_charge};

/// How many of the latest appends are remembered. Answers to older ones prove little.
const MOST_MARKS: usize = 256;
/// How long the answer to an append is waited for, as a better sign than time.
const PROOF_COMES_WITHIN: Micros = Micros::from_millis(20);
/// How many intervals an answer waits at most while answers to appends are on their way.
const MOST_INTERVALS: u64 = 50;
/// The shortest time over which the rate of reading is measured: answers come in bursts.
const RATE_TAKES: Micros = Micros::from_millis(100);
/// How long a measured rate is used. It is longer than some heartbeat intervals.
const RATE_LASTS: Micros = Micros::from_seconds(2);

/// An append of ours, and how many datagrams had been sent up to it.
#[derive(Clone, Copy, Debug)]
struct Mark {
    term: Term,
    round: Round,
    at: Micros,
    sent: u64,
}

/// How fast the simulator was proved to read.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// The time from one datagram to the next.
    interval: Micros,
    /// The end of the measurement: its time, and how many datagrams were read by then.
    at: Micros,
    read: u64,
}

/// Counts what may be unread in the simulator's socket.
#[derive(Debug)]
pub(super) struct Pacer {
    /// The most that may be charged for all unread datagrams, the next answer included, in bytes.
    window: u64,
    interval: Micros,
    /// Datagrams sent so far, of all kinds, since they share one socket.
    sent: u64,
    /// The charge of each datagram that is not taken as read, in bytes.
    unread: VecDeque<u64>,
    /// The sum of these charges, in bytes.
    charged: u64,
    /// When the latest datagram was read, or could be read first. The next is read an interval
    /// later.
    since: Micros,
    /// When the latest answer went out, or when the window became full after it.
    waiting_since: Micros,
    /// Appends whose answers are on their way, by rising rounds.
    marks: VecDeque<Mark>,
    rate: Rate,
    /// Whether the system looks into the socket. Then time tells nothing.
    looks: bool,
}

impl Pacer {
    /// Takes the knobs `answer_window` and `answer_interval_us` from `tuning`.
    pub fn new(tuning: &Tuning, now: Micros) -> Pacer {
        let interval = Micros(tuning.answer_interval_us);
        Pacer {
            window: tuning.answer_window * SMALL_CHARGE,
            interval,
            sent: 0,
            unread: VecDeque::new(),
            charged: 0,
            since: now,
            waiting_since: now,
            marks: VecDeque::new(),
            rate: Rate { interval, at: now, read: 0 },
            looks: false,
        }
    }

    /// Takes the same knobs from another tuning, from now on.
    pub fn retune(&mut self, tuning: &Tuning) {
        self.window = tuning.answer_window * SMALL_CHARGE;
        self.interval = Micros(tuning.answer_interval_us);
        self.rate.interval = self.rate.interval.min(self.interval);
    }

    /// Notes that a datagram of `bytes` to other replicas goes out at `now`.
    pub fn on_sent(&mut self, now: Micros, bytes: usize) {
        self.pass(now);
        if self.unread.is_empty() {
            self.since = now;
        }
        let had_room = self.has_room();
        self.sent += 1;
        let charge = socket_charge(bytes);
        self.unread.push_back(charge);
        self.charged += charge;
        // The socket cannot hold more, so the oldest has been read or lost.
        while self.charged > SOCKET_BYTES.max(self.window) {
            self.read_one();
        }
        if had_room && !self.has_room() {
            self.waiting_since = now;
        }
    }

    /// Notes that an answer of `bytes` to a client goes out at `now`.
    pub fn on_answer(&mut self, now: Micros, bytes: usize) {
        self.on_sent(now, bytes);
        self.waiting_since = now;
    }

    /// Notes that the datagram sent last, at `now`, is an append of ours that wants an answer.
    pub fn on_append(&mut self, now: Micros, term: Term, round: Round) {
        if self.marks.len() == MOST_MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { term, round, at: now, sent: self.sent });
    }

    /// Notes that an append of ours was answered at `now`.
    pub fn on_append_reply(&mut self, now: Micros, term: Term, round: Round) {
        let answered = |mark: &Mark| (mark.term, mark.round) == (term, round);
        let Some(place) = self.marks.iter().position(answered) else {
            return;
        };
        self.pass(now);
        let read = self.marks[place].sent;
        if read > self.read() {
            self.since = now;
        }
        while read > self.read() {
            self.read_one();
        }
        self.marks.drain(..=place);
        let took = now.since(self.rate.at);
        if took >= RATE_TAKES {
            let interval = Micros(took.0 / read.saturating_sub(self.rate.read).max(1));
            self.rate = Rate { interval: interval.min(self.interval), at: now, read };
        }
    }

    /// The system says at `now` that all unread datagrams together are charged `bytes`; `None`: it
    /// cannot tell, now and later.
    pub fn on_look(&mut self, now: Micros, bytes: Option<u64>) {
        self.since = now;
        self.looks = bytes.is_some();
        let bytes = bytes.unwrap_or(self.charged);
        let had_room = self.has_room();
        let knows_more = self.charged < bytes;
        while self.charged > bytes {
            self.read_one();
        }
        // A part of the oldest is left. Or more lies there than was known of, from other replicas,
        // and that counts as sent, too: no more can have been read than was sent.
        if self.charged < bytes {
            self.sent += u64::from(knows_more);
            self.unread.push_front(bytes - self.charged);
            self.charged = bytes;
        }
        if had_room && !self.has_room() {
            self.waiting_since = now;
        }
    }

    /// This replica leads no more. Answers to its appends may not come any more.
    pub fn on_stepped_down(&mut self) {
        self.marks.clear();
    }

    /// Whether an answer may go out at `now`.
    pub fn allows(&self, now: Micros) -> bool {
        now >= self.free_at()
    }

    /// From when on an answer may go out, if nothing is sent or answered before.
    pub fn free_at(&self) -> Micros {
        if self.has_room() {
            return Micros(0);
        }
        if self.looks {
            let fits = self.charged + SMALL_CHARGE <= SOCKET_BYTES.max(self.window);
            return if fits { self.waiting_since + self.interval } else { Micros::NEVER };
        }
        // A proof that is on its way is worth a longer wait: an answer that goes out before may be
        // lost.
        let intervals = if self.marks.is_empty() { 1 } else { MOST_INTERVALS };
        let at_latest = self.waiting_since + Micros(self.interval.0 * intervals);
        let (mut free_at, mut charged) = (self.since, self.charged);
        for charge in &self.unread {
            free_at = self.next_read(free_at);
            charged -= charge;
            if free_at >= at_latest {
                return at_latest;
            }
            if charged + SMALL_CHARGE <= self.window {
                break;
            }
        }
        free_at
    }

    fn has_room(&self) -> bool {
        self.charged + SMALL_CHARGE <= self.window
    }

    /// How many datagrams are taken as read.
    fn read(&self) -> u64 {
        self.sent - self.unread.len() as u64
    }

    fn read_one(&mut self) {
        self.charged -= self.unread.pop_front().unwrap_or(0);
    }

    /// Time passes: each interval one more datagram is taken as read.
    fn pass(&mut self, now: Micros) {
        while !self.looks && !self.unread.is_empty() && self.next_read(self.since) <= now {
            self.since = self.next_read(self.since);
            self.read_one();
        }
    }

    /// When the next datagram is taken as read, after one at `at`.
    fn next_read(&self, at: Micros) -> Micros {
        let proof_comes = self.marks.back().is_some_and(|mark| at < mark.at + PROOF_COMES_WITHIN);
        let believed = !proof_comes && at < self.rate.at + RATE_LASTS;
        at + if believed { self.rate.interval } else { self.interval }
    }
}

#[cfg(test)]
mod tests {
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
        pacer.on_sent(now, 100);
        assert_eq!(pacer.read(), 1, "the oldest was read or lost");
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
        pacer.on_stepped_down();
        assert_eq!(pacer.free_at(), Micros(800 + INTERVAL.0), "there is nothing to wait for");
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
}
