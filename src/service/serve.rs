//! The loop of a replica: wait, take in all that is ready, decide, send.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, UdpSocket};

use rustix::process::{Pid, getppid};

use super::instruments::Instruments;
use super::waiting::{Waiting, make_timers_exact, wait_for_room};
use crate::clock::MonotonicClock;
use crate::raft::Micros;
use crate::replica::{Arrival, Replica};
use crate::wire::{MeasuredDatagram, encode};

/// Most datagrams taken in before the answers to them are sent and signals are checked.
const MOST_PER_TURN: usize = 256;
/// Size of the receive buffer: larger than any datagram.
const BUFFER_BYTES: usize = 1 << 16;
/// How often it is checked whether the launcher lives, and spans are written out.
const CHORES_INTERVAL: Micros = Micros::from_millis(250);

/// Serves at the simulator's `port` until SIGTERM or SIGINT. When the simulator has closed its
/// socket, no datagram can reach anyone any more. The replica then makes no more steps, but still
/// serves its last figures. If the launcher is gone as well, for example after SIGKILL, nobody is
/// left to end this process, and it ends itself within a second.
///
/// # Errors
/// If the socket or the signal handlers cannot be had, or if the system refuses to wait. No
/// received or sent datagram ends it.
pub(super) fn serve(
    port: u16,
    replica: &mut Replica,
    clock: MonotonicClock,
    mut waiting: Waiting,
    instruments: &mut Instruments,
) -> io::Result<()> {
    waiting.watch_signals()?;
    make_timers_exact();
    let mut service = Service {
        socket: connect(port)?,
        outgoing: vec![replica.hello()],
        replica,
        clock,
        instruments,
        received: vec![0; BUFFER_BYTES],
        encoded: Vec::new(),
        cut_off: false,
    };
    let mut launcher = Launcher::of_process();
    let mut chores_due = clock.now() + CHORES_INTERVAL;
    loop {
        service.send_all();
        let left = service.due().min(chores_due).since(clock.now());
        let woken = waiting.wait(service.open_socket(), left)?;
        if waiting.is_told_to_stop() {
            return Ok(());
        }
        if woken.by_bell {
            service.publish_if_wanted();
        }
        if !service.cut_off {
            service.take_in(woken.by_socket);
        }
        let now = clock.now();
        if chores_due <= now {
            chores_due = now + CHORES_INTERVAL;
            match launcher.has_gone() {
                Some(_) if service.cut_off => return Ok(()),
                Some(Gone::Just) => service.outgoing.push(service.replica.hello()),
                _ => {}
            }
            service.instruments.spans.flush();
        }
    }
}

/// A socket that gets only what the simulator sends from `port`.
fn connect(port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The process that started this one. It may end while the simulator still runs, for example a
/// shell that starts a replica in the background. So its end means something only if the
/// simulator's socket is closed as well. To find out, the replica sends a hello, which does no harm
/// to a simulator that lives.
struct Launcher {
    parent: Option<Pid>,
    has_gone: bool,
}

/// When the launcher was found to be gone.
enum Gone {
    /// At this check.
    Just,
    /// At an earlier check.
    Before,
}

impl Launcher {
    fn of_process() -> Launcher {
        Launcher { parent: getppid(), has_gone: false }
    }

    /// When the launcher was found to be gone; `None`: it still lives.
    fn has_gone(&mut self) -> Option<Gone> {
        if self.has_gone {
            return Some(Gone::Before);
        }
        self.has_gone = getppid() != self.parent;
        self.has_gone.then_some(Gone::Just)
    }
}

struct Service<'a> {
    socket: UdpSocket,
    replica: &'a mut Replica,
    clock: MonotonicClock,
    instruments: &'a mut Instruments,
    outgoing: Vec<MeasuredDatagram>,
    received: Vec<u8>,
    encoded: Vec<u8>,
    /// Whether the simulator has closed its socket. SIGTERM will follow.
    cut_off: bool,
}

impl Service<'_> {
    /// When the replica next has something to do.
    fn due(&self) -> Micros {
        if self.cut_off { Micros::NEVER } else { self.replica.deadline() }
    }

    /// The socket, unless the simulator has closed its own.
    fn open_socket(&self) -> Option<&UdpSocket> {
        (!self.cut_off).then_some(&self.socket)
    }

    /// Takes in all datagrams if there are any, then wakes the replica if its deadline has come.
    /// All that one drain of the socket brings can go into one batch.
    fn take_in(&mut self, is_readable: bool) {
        if is_readable {
            self.drain();
        }
        if !self.cut_off && self.replica.deadline() <= self.clock.now() {
            self.step(Arrival::Wake);
        }
    }

    fn drain(&mut self) {
        for _ in 0..MOST_PER_TURN {
            match self.socket.recv(&mut self.received) {
                Ok(length) => self.on_datagram(length),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    self.cut_off = true;
                    break;
                }
                Err(_) => {}
            }
        }
    }

    fn on_datagram(&mut self, length: usize) {
        let bytes = &self.received[..length];
        let _receive = self.instruments.spans.receive(bytes);
        let decode = self.instruments.spans.decode();
        let arrival = Arrival::of(self.replica.members(), bytes);
        drop(decode);
        self.step(arrival);
    }

    fn step(&mut self, arrival: Arrival) {
        let before = self.outgoing.len();
        let step = self.instruments.spans.step(&arrival);
        self.replica.step(self.clock.now(), arrival, &mut self.outgoing, self.instruments);
        drop(step);
        self.instruments.spans.mark(before, self.outgoing.len());
    }

    /// Sends all outgoing datagrams in order. One that cannot be sent is lost, as any datagram may
    /// be.
    fn send_all(&mut self) {
        for (place, datagram) in self.outgoing.drain(..).enumerate() {
            let span = self.instruments.spans.encode(place, &datagram);
            encode(self.replica.members(), &datagram, &mut self.encoded);
            drop(span);
            // The span lasts while the socket is full: the thread has no other task, and waiting is
            // part of sending.
            let _send = self.instruments.spans.send(self.encoded.len());
            if let Err(error) = send(&self.socket, &self.encoded) {
                tracing::debug!(%error, bytes = self.encoded.len(), "a datagram was not sent");
                self.cut_off |= error.kind() == ErrorKind::ConnectionRefused;
            }
        }
    }

    fn publish_if_wanted(&mut self) {
        if self.instruments.is_publishing_wanted() {
            self.instruments.publish(self.clock.now(), self.replica);
        }
    }
}

/// Sends a datagram. If the socket is full, it waits until there is room.
fn send(socket: &UdpSocket, bytes: &[u8]) -> io::Result<()> {
    loop {
        match socket.send(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for_room(socket)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            sent => return sent.map(drop),
        }
    }
}
