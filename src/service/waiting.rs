//! How the loop waits: for a datagram, for a time, for a signal, or for a request for fresh
//! figures.
//!
//! It is one `ppoll`, whose time is in nanoseconds. The timers of a runtime like tokio's count
//! whole milliseconds, so a resend or a linger would come up to two milliseconds late. A runtime
//! also asks the kernel when there is room to send. Then the process wakes once more each time that
//! the simulator has read one of its datagrams, and it wakes cold.

use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

use crate::clock::MonotonicClock;
use crate::raft::Micros;

/// Wakes the loop from another thread.
#[derive(Debug)]
pub(super) struct Bell(UnixStream);

impl Bell {
    /// Ends the loop's wait, or its next one.
    pub fn ring(&self) {
        // If the stream is full, the loop has enough to wake it.
        let _ = (&self.0).write(&[1]);
    }
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Woken {
    /// The socket has a datagram or an error.
    pub by_socket: bool,
    /// A bell or a signal.
    pub by_bell: bool,
}

/// The loop's end of its bells.
#[derive(Debug)]
pub(super) struct Waiting {
    heard: UnixStream,
    bell: UnixStream,
    is_told_to_stop: Arc<AtomicBool>,
}

impl Waiting {
    /// Nothing rings yet.
    ///
    /// # Errors
    /// If the process can have no more descriptors.
    pub fn new() -> io::Result<Waiting> {
        let (heard, bell) = UnixStream::pair()?;
        heard.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        Ok(Waiting { heard, bell, is_told_to_stop: Arc::default() })
    }

    /// A bell of this loop.
    ///
    /// # Errors
    /// If the process can have no more descriptors.
    pub fn bell(&self) -> io::Result<Bell> {
        self.bell.try_clone().map(Bell)
    }

    /// From now on SIGTERM and SIGINT do not end the process. They end a wait, and
    /// [`Waiting::is_told_to_stop`] reports them.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn watch_signals(&self) -> io::Result<()> {
        for signal in [SIGTERM, SIGINT] {
            // In this order, so that whoever hears the bell sees the flag.
            flag::register(signal, self.is_told_to_stop.clone())?;
            pipe::register(signal, self.bell.try_clone()?)?;
        }
        Ok(())
    }

    /// Whether a signal has asked the process to stop.
    pub fn is_told_to_stop(&self) -> bool {
        self.is_told_to_stop.load(Ordering::Relaxed)
    }

    /// Waits for a datagram at `socket`, if there is one, for a bell, or for the time `left`. It
    /// may also end early for no reason.
    ///
    /// # Errors
    /// If the system refuses to wait.
    pub fn wait(&mut self, socket: Option<&UdpSocket>, left: Micros) -> io::Result<Woken> {
        let timeout = Timespec {
            tv_sec: (left.0 / 1_000_000).cast_signed(),
            tv_nsec: (left.0 % 1_000_000 * 1_000).cast_signed(),
        };
        let heard = PollFd::new(&self.heard, PollFlags::IN);
        let by_bell = |heard: &PollFd<'_>| !heard.revents().is_empty();
        let woken = match socket {
            None => {
                let mut watched = [heard];
                poll_once(&mut watched, &timeout)?;
                Woken { by_socket: false, by_bell: by_bell(&watched[0]) }
            }
            Some(socket) => {
                let mut watched = [heard, PollFd::new(socket, PollFlags::IN)];
                poll_once(&mut watched, &timeout)?;
                let by_socket = !watched[1].revents().is_empty();
                Woken { by_socket, by_bell: by_bell(&watched[0]) }
            }
        };
        if woken.by_bell {
            // What is left over after this ends the next wait, which does no harm.
            let _ = (&self.heard).read(&mut [0; 64]);
        }
        Ok(woken)
    }
}

fn poll_once(watched: &mut [PollFd<'_>], timeout: &Timespec) -> io::Result<()> {
    match poll(watched, Some(timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until there is room to send at `socket`. A signal ends this early.
///
/// # Errors
/// If the system refuses to wait.
pub(super) fn wait_for_room(socket: &UdpSocket) -> io::Result<()> {
    match poll(&mut [PollFd::new(socket, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes this thread's timers exact. By default Linux lets a wait last 50 us longer than asked, so
/// that it can end several waits together.
pub(super) fn make_timers_exact() {
    // If this fails, timers are later, and nothing else.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

/// Measures how late the timers of a replica go off on this machine: one for each of `waits`.
///
/// # Errors
/// If the process can have no more descriptors, or if the system refuses to wait.
pub fn timer_lateness(waits: impl Iterator<Item = Micros> + Send) -> io::Result<Vec<Micros>> {
    // A thread of its own, since exact timers are a thread's property.
    let measure = || {
        make_timers_exact();
        let mut waiting = Waiting::new()?;
        let clock = MonotonicClock::start();
        let late = |wait| {
            let due = clock.now() + wait;
            waiting.wait(None, wait)?;
            Ok(clock.now().since(due))
        };
        waits.map(late).collect()
    };
    std::thread::scope(|scope| scope.spawn(measure).join())
        .unwrap_or_else(|_| Err(io::Error::other("the measuring thread has panicked")))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    const LONG: Micros = Micros::from_seconds(60);

    #[test]
    fn a_wait_is_never_shorter_than_asked() {
        let mut waiting = Waiting::new().unwrap();
        let clock = MonotonicClock::start();
        for left in (0..3_000).step_by(137).map(Micros) {
            let due = clock.now() + left;
            assert_eq!(waiting.wait(None, left).unwrap(), Woken::default());
            assert!(clock.now() >= due, "{left}");
        }
    }

    #[test]
    fn a_bell_ends_a_wait_that_has_begun_and_one_that_has_not() {
        let mut waiting = Waiting::new().unwrap();
        let bell = waiting.bell().unwrap();
        let by_bell = Woken { by_socket: false, by_bell: true };
        (0..3).for_each(|_| bell.ring());
        assert_eq!(waiting.wait(None, LONG).unwrap(), by_bell);
        assert_eq!(waiting.wait(None, Micros(0)).unwrap(), Woken::default(), "all are heard");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                bell.ring();
            });
            assert_eq!(waiting.wait(None, LONG).unwrap(), by_bell);
        });
    }

    #[test]
    fn a_bell_never_blocks_whoever_rings_it() {
        let mut waiting = Waiting::new().unwrap();
        let bell = waiting.bell().unwrap();
        (0..1_000_000).for_each(|_| bell.ring());
        assert!(waiting.wait(None, LONG).unwrap().by_bell);
    }

    #[test]
    fn a_datagram_ends_a_wait_and_so_does_a_refusal() {
        let mut waiting = Waiting::new().unwrap();
        let (near, far) = (udp(), udp());
        near.connect(far.local_addr().unwrap()).unwrap();
        far.connect(near.local_addr().unwrap()).unwrap();
        let by_socket = Woken { by_socket: true, by_bell: false };
        assert_eq!(waiting.wait(Some(&near), Micros(0)).unwrap(), Woken::default());
        far.send(b"x").unwrap();
        assert_eq!(waiting.wait(Some(&near), LONG).unwrap(), by_socket);
        near.recv(&mut [0; 1]).unwrap();
        drop(far);
        near.send(b"x").unwrap();
        assert_eq!(waiting.wait(Some(&near), LONG).unwrap(), by_socket);
    }

    #[test]
    fn what_was_sent_and_is_read_ends_no_wait() {
        let mut waiting = Waiting::new().unwrap();
        let (near, far) = (udp(), udp());
        near.connect(far.local_addr().unwrap()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(10));
                far.recv(&mut [0; 1]).unwrap();
            });
            near.send(b"x").unwrap();
            let clock = MonotonicClock::start();
            let woken = waiting.wait(Some(&near), Micros::from_millis(50)).unwrap();
            assert_eq!(woken, Woken::default());
            assert!(clock.now() >= Micros::from_millis(50));
        });
    }

    fn udp() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    }
}
