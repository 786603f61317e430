//! A UDP socket's receive buffer: it is finite, keeps the order, and loses datagrams without an
//! error (interface §2).

use std::collections::VecDeque;

use crate::raft::Micros;
use crate::wire::{SOCKET_BYTES, socket_charge};

/// A datagram, and what it is charged, in bytes.
#[derive(Debug)]
struct Charged<T> {
    at: Micros,
    charge: u64,
    content: T,
}

/// Datagrams on their way to a socket, and those in it that have not been read.
#[derive(Debug)]
pub(super) struct Socket<T> {
    /// Datagrams on their way, by time of arrival.
    coming: VecDeque<Charged<T>>,
    unread: VecDeque<Charged<T>>,
    /// The charge of the unread datagrams, in bytes.
    charged: u64,
    /// The charge that it holds at most, in bytes.
    limit: u64,
    /// What found it full.
    lost: Vec<T>,
}

impl<T> Socket<T> {
    /// An empty socket.
    pub fn new() -> Socket<T> {
        let (coming, unread) = (VecDeque::new(), VecDeque::new());
        Socket { coming, unread, charged: 0, limit: SOCKET_BYTES, lost: Vec::new() }
    }

    /// A datagram of `length` bytes that will arrive at `at`, not before the latest read. If the
    /// buffer is full then, it is lost.
    pub fn send(&mut self, at: Micros, length: usize, content: T) {
        let place = self.coming.partition_point(|other| other.at <= at);
        self.coming.insert(place, Charged { at, charge: socket_charge(length), content });
    }

    /// The datagram to be read next, and when it arrives.
    pub fn front(&self) -> Option<(Micros, &T)> {
        let next = self.unread.front().or(self.coming.front());
        next.map(|datagram| (datagram.at, &datagram.content))
    }

    /// Reads the oldest datagram that has arrived by `now`.
    pub fn read(&mut self, now: Micros) -> Option<T> {
        let oldest = match self.unread.pop_front() {
            Some(oldest) => oldest,
            None => self.admit(now)?,
        };
        while let Some(arrived) = self.admit(now) {
            self.unread.push_back(arrived);
        }
        self.charged -= oldest.charge;
        Some(oldest.content)
    }

    /// The next datagram that arrived by `now` and found room.
    fn admit(&mut self, now: Micros) -> Option<Charged<T>> {
        while self.coming.front().is_some_and(|next| next.at <= now) {
            let arrived = self.coming.pop_front()?;
            if self.charged + arrived.charge <= self.limit {
                self.charged += arrived.charge;
                return Some(arrived);
            }
            self.lost.push(arrived.content);
        }
        None
    }

    /// From now on it holds at most so many bytes.
    pub const fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// Takes what was lost since the last call.
    pub fn take_lost(&mut self) -> std::vec::Drain<'_, T> {
        self.lost.drain(..)
    }

    /// Closes the socket: what was not read is lost.
    pub fn close(&mut self) {
        self.coming.clear();
        self.unread.clear();
        self.charged = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_as_many_as_the_kernel_does() {
        for (length, most) in [
            (1, 256),
            (197, 256),
            (198, 166),
            (645, 166),
            (646, 92),
            (1_669, 92),
            (1_670, 48),
            (3_717, 48),
            (3_718, 25),
            (7_813, 25),
            (7_814, 12),
            (16_005, 12),
            (16_917, 12),
            (16_918, 11),
            (20_000, 10),
            (30_000, 6),
            (40_000, 5),
            (50_000, 4),
            (60_000, 3),
        ] {
            let mut socket = Socket::new();
            (0..300).for_each(|n| socket.send(Micros(n), length, n));
            let read: Vec<u64> = std::iter::from_fn(|| socket.read(Micros(300))).collect();
            assert_eq!(read, (0..most).collect::<Vec<_>>(), "of {length} bytes: the first");
        }
    }

    #[test]
    fn what_is_read_makes_room_for_what_arrives_then() {
        let mut socket = Socket::new();
        (0..256).for_each(|n| socket.send(Micros(n), 1, n));
        assert_eq!(socket.read(Micros(255)), Some(0));
        (256..260).for_each(|n| socket.send(Micros(n), 1, n));
        let read: Vec<u64> = std::iter::from_fn(|| socket.read(Micros(300))).collect();
        assert_eq!(read, (1..257).collect::<Vec<_>>());
        socket.send(Micros(301), 1, 301);
        socket.close();
        assert_eq!((socket.read(Micros(302)), socket.front()), (None, None));
    }

    #[test]
    fn what_arrives_later_takes_no_room_before() {
        let mut socket = Socket::new();
        (0..300).for_each(|n| socket.send(Micros(1_000 + n), 1, n));
        socket.send(Micros(5), 1, 300);
        assert_eq!(socket.read(Micros(4)), None);
        assert_eq!((socket.read(Micros(5)), socket.read(Micros(5))), (Some(300), None));
        assert_eq!(socket.front(), Some((Micros(1_000), &0)));
    }
}
