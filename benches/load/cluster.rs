//! Real replicas, the thread that carries their datagrams, and the thread that asks for clients.

use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::nice;
use serde::Deserialize;

use crate::step::{Step, Usage};

/// How long clients wait for the last answers of a step.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most requests that clients send before they look at the time again.
const MOST_AT_ONCE: u64 = 64;
/// Most datagrams that the carrier reads from one socket before it looks at the others.
const MOST_PER_TURN: usize = 64;
/// By how much the clients' thread is nicer than the others.
const CLIENTS_YIELD: i32 = 2;
/// How many keys there are.
const KEYS: u64 = 1_000;

/// What the carrier must know of a datagram.
#[derive(Deserialize)]
struct Seen<'a> {
    src: &'a str,
    dst: &'a str,
    leader: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(rename = "MID")]
    mid: Option<&'a str>,
}

struct Replica {
    child: Child,
    socket: UdpSocket,
    /// Known since its hello.
    address: OnceLock<SocketAddr>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The requests of one step.
struct Asking {
    rate: u64,
    start: Instant,
    span: Duration,
    /// Number of the first one.
    first: u64,
    /// When each was sent, in nanoseconds from the start and one more; 0: not sent, or answered.
    sent_at: Vec<AtomicU64>,
    sent: AtomicU64,
    is_over: AtomicBool,
}

/// Replicas with one socket each to the carrier.
pub struct Cluster {
    replicas: Vec<Replica>,
    /// Which replica answered last as leader.
    leader: AtomicUsize,
    /// Number of the next request.
    next: u64,
    /// How many of ten requests are puts.
    puts_of_ten: u64,
}

impl Cluster {
    /// Starts `count` replicas and waits until one of them leads.
    pub fn start(count: u16, puts_of_ten: u64) -> Result<Cluster, Box<dyn Error>> {
        let id = |rank: u16| format!("{rank:04X}");
        let mut replicas = Vec::new();
        for rank in 0..count {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_nonblocking(true)?;
            let port = socket.local_addr()?.port().to_string();
            let others = (0..count).filter(|other| *other != rank).map(id);
            let mut command = Command::new(env!("CARGO_BIN_EXE_laconic"));
            command.args(["replica", &port, &id(rank)]).args(others);
            replicas.push(Replica { child: command.spawn()?, socket, address: OnceLock::new() });
        }
        let mut cluster = Cluster { replicas, leader: AtomicUsize::new(0), next: 1, puts_of_ten };
        // Nobody leads for the first seconds.
        cluster.ask(10, Duration::from_secs(5))?;
        Ok(cluster)
    }

    /// Asks `rate` requests a second for `span`, and waits for the answers.
    pub fn ask(&mut self, rate: u64, span: Duration) -> Result<Step, Box<dyn Error>> {
        let all = (rate as f64 * span.as_secs_f64()) as u64;
        let asking = Asking {
            rate,
            start: Instant::now(),
            span,
            first: self.next,
            sent_at: (0..all).map(|_| AtomicU64::new(0)).collect(),
            sent: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        self.next += all;
        let before = self.usage()?;
        let (this, asking) = (&*self, &asking);
        let mut step = thread::scope(|scope| -> Result<Step, Box<dyn Error>> {
            let clients = scope.spawn(|| {
                let done = this.play_clients(asking);
                asking.is_over.store(true, Ordering::Release);
                done.map_err(|error| error.to_string())
            });
            let step = this.carry_all(asking);
            let busy = clients.join().map_err(|_| "the clients' thread has panicked")??;
            let mut step = step?;
            step.clients_busy = busy;
            Ok(step)
        })?;
        step.finish(rate, asking.sent.load(Ordering::Acquire), span, &before, &self.usage()?);
        Ok(step)
    }

    fn usage(&self) -> Result<Usage, Box<dyn Error>> {
        let port = |address: &SocketAddr| address.port();
        let mut theirs = Vec::new();
        let mut ours = Vec::new();
        for replica in &self.replicas {
            theirs.extend(replica.address.get().map(port));
            ours.push(replica.socket.local_addr()?.port());
        }
        let leader = self.replicas[self.leader.load(Ordering::Relaxed)].child.id();
        Usage::read(leader, &theirs, &ours)
    }

    /// Sends the step's requests, each when it is due, or later if there is no time for it. Returns
    /// how long the thread was busy.
    fn play_clients(&self, asking: &Asking) -> Result<Duration, Box<dyn Error>> {
        let all = asking.sent_at.len() as u64;
        // Real clients have processors of their own. These ones leave the others theirs.
        nice(CLIENTS_YIELD)?;
        loop {
            let elapsed = asking.start.elapsed();
            let sent = asking.sent.load(Ordering::Relaxed);
            if sent == all || elapsed >= asking.span {
                return Usage::of_this_thread();
            }
            let due = ((elapsed.as_secs_f64() * asking.rate as f64) as u64).min(all);
            for place in sent..due.min(sent + MOST_AT_ONCE) {
                let now = asking.start.elapsed().as_nanos() as u64;
                asking.sent_at[place as usize].store(now + 1, Ordering::Release);
                self.send(asking.first + place)?;
                asking.sent.store(place + 1, Ordering::Release);
            }
            if due <= sent + MOST_AT_ONCE {
                thread::sleep(Duration::from_micros(100));
            }
        }
    }

    /// Sends a request to the leader, as far as known.
    fn send(&self, number: u64) -> Result<(), Box<dyn Error>> {
        let leader = self.leader.load(Ordering::Relaxed);
        let is_put = self.is_put(number);
        let (key, client) = (number % KEYS, 0x100 + number % 8);
        let kind = if is_put { "put" } else { "get" };
        let value = if is_put { format!(r#","value":"{key:032X}""#) } else { String::new() };
        let addresses =
            format!(r#""src":"{client:04X}","dst":"{leader:04X}","leader":"{leader:04X}""#);
        let datagram = format!(
            r#"{{"type":"{kind}","MID":"{number:016X}","key":"{key:032X}"{value},{addresses}}}"#
        );
        self.deliver(leader, datagram.as_bytes())
    }

    const fn is_put(&self, number: u64) -> bool {
        number % 10 < self.puts_of_ten
    }

    /// Carries datagrams until all requests are answered, or nobody waits for an answer any more.
    fn carry_all(&self, asking: &Asking) -> Result<Step, Box<dyn Error>> {
        let mut step = Step::default();
        let before = Usage::of_this_thread()?;
        loop {
            let sent = asking.sent.load(Ordering::Acquire);
            let is_over = asking.is_over.load(Ordering::Acquire);
            if is_over && step.answered() == sent {
                break;
            }
            if asking.start.elapsed() > asking.span + PATIENCE {
                break;
            }
            self.carry(asking, &mut step)?;
        }
        step.carrier_busy = Usage::of_this_thread()?.saturating_sub(before);
        Ok(step)
    }

    /// Waits a moment for datagrams, and carries those that have come.
    fn carry(&self, asking: &Asking, step: &mut Step) -> Result<(), Box<dyn Error>> {
        let readable = |replica| PollFd::new(replica, PollFlags::IN);
        let mut sockets: Vec<PollFd<'_>> =
            self.replicas.iter().map(|replica| readable(&replica.socket)).collect();
        let moment = Timespec { tv_sec: 0, tv_nsec: 200_000 };
        poll(&mut sockets, Some(&moment))?;
        let ready: Vec<usize> =
            (0..sockets.len()).filter(|place| !sockets[*place].revents().is_empty()).collect();
        let mut buffer = vec![0; 65_536];
        for place in ready {
            // Others wait too, so nobody is served for ever.
            for _ in 0..MOST_PER_TURN {
                match self.replicas[place].socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        self.replicas[place].address.get_or_init(|| from);
                        self.route(&buffer[..length], asking, step)?;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn route(&self, bytes: &[u8], asking: &Asking, step: &mut Step) -> Result<(), Box<dyn Error>> {
        let seen: Seen<'_> = serde_json::from_slice(bytes)?;
        match seen.kind {
            "hello" => {}
            "ok" | "fail" | "redirect" => self.on_answer(&seen, asking, step)?,
            _ => {
                for rank in 0..self.replicas.len() {
                    let id = format!("{rank:04X}");
                    if seen.dst == id || (seen.dst == "FFFF" && seen.src != id) {
                        step.messages += 1;
                        self.deliver(rank, bytes)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn on_answer(
        &self,
        seen: &Seen<'_>,
        asking: &Asking,
        step: &mut Step,
    ) -> Result<(), Box<dyn Error>> {
        if let Ok(leader) = usize::from_str_radix(seen.leader, 16)
            && leader < self.replicas.len()
            && leader != self.leader.load(Ordering::Relaxed)
        {
            self.leader.store(leader, Ordering::Relaxed);
            step.leaders += 1;
        }
        let number = u64::from_str_radix(seen.mid.ok_or("an answer without a MID")?, 16)?;
        // A late answer to a request of an earlier step has no place here.
        let place = number.checked_sub(asking.first);
        let Some(sent_at) = place.and_then(|place| asking.sent_at.get(place as usize)) else {
            return Ok(());
        };
        if seen.kind == "redirect" {
            return self.send(number);
        }
        let sent_at = sent_at.swap(0, Ordering::AcqRel);
        if sent_at == 0 {
            return Ok(());
        }
        let took = asking.start.elapsed().saturating_sub(Duration::from_nanos(sent_at - 1));
        if seen.kind == "fail" {
            step.refusals.push(took);
        } else {
            step.commits += u64::from(self.is_put(number));
            step.latencies.push(took);
        }
        Ok(())
    }

    /// Sends to a replica. What its full socket loses counts as lost.
    fn deliver(&self, rank: usize, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        let replica = &self.replicas[rank];
        let Some(address) = replica.address.get() else {
            return Ok(());
        };
        match replica.socket.send_to(bytes, address) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => Err(error.into()),
            _ => Ok(()),
        }
    }
}
