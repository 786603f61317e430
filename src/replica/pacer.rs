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
    /// When the latest answer went out, or when the window became full after it. After a leadership
    /// it may lie ahead.
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
        // The socket cannot hold more. So the oldest has been read, or what came last was lost, and
        // the oldest is there yet. Who does not look cannot tell, and counts as much again.
        let most = SOCKET_BYTES.max(self.window) * if self.looks { 1 } else { 2 };
        while self.charged > most {
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

    /// This replica leads no more at `now`. Answers to its appends may not come any more, but what
    /// has just been sent is still unread, and gets as long as an answer would.
    pub fn on_stepped_down(&mut self, now: Micros) {
        if !self.marks.is_empty() {
            self.waiting_since = self.waiting_since.max(now + PROOF_COMES_WITHIN);
        }
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
mod tests;
