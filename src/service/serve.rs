//! The loop of a replica: wait, take in all that is ready, decide, send.

use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::time::Duration;

use rustix::process::{Pid, getppid};
use tokio::net::UdpSocket;
use tokio::signal::unix::{SignalKind, signal};

use super::instruments::Instruments;
use crate::clock::MonotonicClock;
use crate::raft::Micros;
use crate::replica::{Arrival, Replica};
use crate::wire::{Datagram, encode};

/// Most datagrams taken in before the answers to them are sent and signals are checked.
const MOST_PER_TURN: usize = 256;
/// Size of the receive buffer: larger than any datagram.
const BUFFER_BYTES: usize = 1 << 16;
/// How often it is checked whether the launcher lives.
const ORPHAN_INTERVAL: Duration = Duration::from_millis(250);
/// How often spans are written out.
const SPANS_INTERVAL: Duration = Duration::from_millis(500);
/// The longest sleep. Waking early does no harm.
const LONGEST_SLEEP: Micros = Micros::from_seconds(60);

/// Serves at the simulator's `port` until SIGTERM or SIGINT. When the simulator has closed its
/// socket, no datagram can reach anyone any more. The replica then makes no more steps, but still
/// serves its last figures. If the launcher is gone as well, for example after SIGKILL, nobody is
/// left to end this process, and it ends itself within a second.
///
/// # Errors
/// If the socket or the signal handlers cannot be had. No received or sent datagram ends it.
pub(super) async fn serve(
    port: u16,
    replica: &mut Replica,
    clock: MonotonicClock,
    instruments: &mut Instruments,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    // The kernel then gives this socket only datagrams from that port.
    socket.connect((Ipv4Addr::LOCALHOST, port)).await?;
    let outgoing = vec![replica.hello()];
    let bytes = vec![0; BUFFER_BYTES];
    let cut_off = false;
    let mut service = Service { socket, replica, clock, instruments, outgoing, bytes, cut_off };
    let mut launcher = Launcher::of_process();
    let mut look = tokio::time::interval(ORPHAN_INTERVAL);
    let mut flush = tokio::time::interval(SPANS_INTERVAL);
    loop {
        service.send_all().await;
        tokio::select! {
            biased;
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = look.tick() => {
                service.look_for_refusal();
                match launcher.has_gone() {
                    Some(_) if service.cut_off => return Ok(()),
                    Some(Gone::Just) => service.outgoing.push(service.replica.hello()),
                    _ => {}
                }
            }
            _ = flush.tick() => service.instruments.spans.flush(),
            _ = service.instruments.wanted() => service.publish(),
            _ = service.ready() => service.take_in(),
        }
    }
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
    outgoing: Vec<Datagram>,
    bytes: Vec<u8>,
    /// Whether the simulator has closed its socket. SIGTERM will follow.
    cut_off: bool,
}

impl Service<'_> {
    /// Waits for a datagram or the replica's deadline. Errors of the socket show when it is read.
    async fn ready(&self) {
        if self.cut_off {
            return std::future::pending().await;
        }
        let wait = self.replica.deadline().since(self.clock.now()).min(LONGEST_SLEEP);
        if wait == Micros(0) {
            // The runtime must get a turn to see signals and the socket's state.
            return tokio::task::yield_now().await;
        }
        tokio::select! {
            biased;
            _ = self.socket.readable() => {}
            () = tokio::time::sleep(Duration::from_micros(wait.0)) => {}
        }
    }

    /// Checks whether a sent datagram was refused. The runtime does not wake for that alone.
    /// Without this check the refusal would show only when something else is sent or received,
    /// which can be as late as the next campaign.
    fn look_for_refusal(&mut self) {
        let error = self.socket.take_error().ok().flatten();
        self.cut_off |= error.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    }

    /// Takes in what is ready, then wakes the replica if its deadline has come. All that one drain
    /// of the socket brings can go into one batch.
    fn take_in(&mut self) {
        for _ in 0..MOST_PER_TURN {
            match self.socket.try_recv(&mut self.bytes) {
                Ok(length) => self.on_datagram(length),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    self.cut_off = true;
                    break;
                }
                Err(_) => {}
            }
        }
        if !self.cut_off && self.replica.deadline() <= self.clock.now() {
            self.step(Arrival::Wake);
        }
    }

    fn on_datagram(&mut self, length: usize) {
        let bytes = &self.bytes[..length];
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
    async fn send_all(&mut self) {
        for (place, datagram) in self.outgoing.drain(..).enumerate() {
            let span = self.instruments.spans.encode(place, &datagram);
            encode(self.replica.members(), &datagram, &mut self.bytes);
            drop(span);
            // The span lasts while the socket is full: the thread has no other task, and waiting is
            // part of sending.
            let _send = self.instruments.spans.send(self.bytes.len());
            if let Err(error) = self.socket.send(&self.bytes).await {
                tracing::debug!(%error, bytes = self.bytes.len(), "a datagram was not sent");
                self.cut_off |= error.kind() == ErrorKind::ConnectionRefused;
            }
        }
        self.bytes.resize(BUFFER_BYTES, 0);
    }

    fn publish(&mut self) {
        self.instruments.publish(self.clock.now(), self.replica);
    }
}
