//! The loop of a replica: wait, take in all that is ready, decide, send.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, UdpSocket};

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::process::{Pid, getppid};

use super::inbox::Inbox;
use super::instruments::Instruments;
use super::unread::Unread;
use super::waiting::{Waiting, make_timers_exact, wait_for_room};
use crate::clock::MonotonicClock;
use crate::raft::Micros;
use crate::replica::{Arrival, Replica};
use crate::wire::{Garbage, MeasuredDatagram, encode};

/// Most datagrams read before requests are handled.
const MOST_READ_PER_TURN: usize = 1_024;
/// Most requests handled before the answers to them are sent and signals are checked.
const MOST_PER_TURN: usize = 256;
/// After so many of them, or so many datagrams to send, the system is asked for room if no more
/// answers may go out for want of it (rule R27).
const LOOK_AFTER: usize = 32;
/// How often the system is asked whether a simulator that reads slowly has made room.
const LOOK_INTERVAL: Micros = Micros(500);
/// How much room this replica's socket should have, in bytes; the system may grant less. By default
/// it holds 256 small datagrams, which many clients send before the replica's process wakes, and
/// what another replica sends is lost with theirs.
const INBOX_BYTES: usize = 1 << 20;
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
    let socket = connect(port)?;
    let unread = Unread::of(port, &socket);
    let mut service = Service {
        unread: unread.inspect_err(|error| tracing::debug!(%error, "no look at sockets")).ok(),
        socket,
        outgoing: vec![replica.hello()],
        replica,
        clock,
        instruments,
        received: vec![0; BUFFER_BYTES],
        inbox: Inbox::default(),
        encoded: Vec::new(),
        cut_off: false,
    };
    let mut launcher = Launcher::of_process();
    let mut chores_due = clock.now() + CHORES_INTERVAL;
    // The hello goes first: it belongs to no step. From the look on the replica knows that it is
    // told what lies unread.
    service.send_all();
    service.look();
    loop {
        service.send_all();
        service.send_if_blocked();
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
    // With less room, more is lost under load, and nothing else.
    let _ = set_socket_recv_buffer_size(&socket, INBOX_BYTES);
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
    /// Tells what lies unread in the simulator's socket, if the system does.
    unread: Option<Unread>,
    replica: &'a mut Replica,
    clock: MonotonicClock,
    instruments: &'a mut Instruments,
    outgoing: Vec<MeasuredDatagram>,
    received: Vec<u8>,
    inbox: Inbox,
    encoded: Vec<u8>,
    /// Whether the simulator has closed its socket. SIGTERM will follow.
    cut_off: bool,
}

impl Service<'_> {
    /// When the replica next has something to do.
    fn due(&self) -> Micros {
        if self.cut_off {
            return Micros::NEVER;
        }
        if !self.inbox.is_empty() {
            return Micros(0);
        }
        let now = self.clock.now();
        let looks = self.unread.is_some() && self.replica.waits_for_room(now);
        self.replica.deadline().min(if looks { now + LOOK_INTERVAL } else { Micros::NEVER })
    }

    /// The socket, unless the simulator has closed its own.
    fn open_socket(&self) -> Option<&UdpSocket> {
        (!self.cut_off).then_some(&self.socket)
    }

    /// Takes in all datagrams if there are any, first those of replicas, and wakes the replica if
    /// its deadline has come. All that one drain of the socket brings can go into one batch.
    fn take_in(&mut self, is_readable: bool) {
        if is_readable {
            self.drain();
        }
        if !self.inbox.is_empty() {
            // What the replicas are owed has left before the first request is looked at.
            self.wake_if_due();
            self.send_all();
            self.serve_requests();
        }
        self.wake_if_due();
    }

    fn wake_if_due(&mut self) {
        if !self.cut_off && self.replica.deadline() <= self.clock.now() {
            self.step(Arrival::Wake);
        }
    }

    /// Reads what is ready, and handles messages of replicas at once.
    fn drain(&mut self) {
        for _ in 0..MOST_READ_PER_TURN {
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
        if self.inbox.take_in(&self.received[..length]) {
            if let Some(dropped) = self.inbox.overflow() {
                let (reason, bytes) = (Garbage::Overload, dropped.len());
                self.inbox.free(dropped);
                self.step(Arrival::Garbage { reason, bytes });
            }
            return;
        }
        let received = std::mem::take(&mut self.received);
        self.handle(&received[..length]);
        self.received = received;
    }

    /// Handles requests that wait, as many as a turn takes.
    fn serve_requests(&mut self) {
        let mut blind = 0;
        for _ in 0..MOST_PER_TURN {
            if self.cut_off {
                return;
            }
            let Some(request) = self.inbox.next() else {
                return;
            };
            self.handle(&request);
            self.inbox.free(request);
            blind += 1;
            if blind.max(self.outgoing.len()) >= LOOK_AFTER {
                blind = 0;
                self.send_if_blocked();
            }
        }
    }

    /// If no more answers may go out, sends what there is, and sees whether there is room then.
    fn send_if_blocked(&mut self) {
        if !self.replica.may_answer(self.clock.now()) {
            self.send_all();
            self.look();
        }
    }

    fn handle(&mut self, bytes: &[u8]) {
        let _receive = self.instruments.spans.receive(bytes);
        let decode = self.instruments.spans.decode();
        let arrival = Arrival::of(self.replica.members(), bytes);
        drop(decode);
        self.step(arrival);
    }

    /// Tells the replica how much of what it has sent is unread, if the system knows.
    fn look(&mut self) {
        let Some(unread) = &self.unread else {
            return;
        };
        let bytes =
            unread.bytes().inspect_err(|error| tracing::debug!(%error, "no more looks")).ok();
        if bytes.is_none() {
            self.unread = None;
        }
        self.step(Arrival::Unread { bytes });
        self.send_all();
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
