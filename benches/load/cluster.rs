//! Real replicas, and the thread that carries their datagrams and plays their clients.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

/// How long clients wait for the last answers of a step.
const PATIENCE: Duration = Duration::from_secs(2);

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
    address: Option<SocketAddr>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request that waits for its answer.
struct Asked {
    at: Instant,
    is_put: bool,
    text: String,
}

/// What became of the requests of one step.
#[derive(Default)]
pub struct Step {
    rate: u64,
    asked: u64,
    ok: u64,
    commits: u64,
    refused: u64,
    unanswered: u64,
    messages: u64,
    leaders: u64,
    latencies: Vec<Duration>,
    memory_kib: u64,
}

impl Step {
    /// What [`Step`] prints, column by column.
    pub const HEADER: &str = "    asked/s       ok/s   fail/s  unanswered   p50 ms   p99 ms  \
                              messages/commit  leader MiB  leaders";

    fn latency_ms(&self, percent: usize) -> f64 {
        let place = self.latencies.len().saturating_sub(1) * percent / 100;
        self.latencies.get(place).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.asked as f64 / self.rate as f64;
        write!(
            f,
            "{:>11}{:>11.0}{:>9.0}{:>12}{:>9.2}{:>9.2}{:>17.2}{:>12.1}{:>9}",
            self.rate,
            self.ok as f64 / seconds,
            self.refused as f64 / seconds,
            self.unanswered,
            self.latency_ms(50),
            self.latency_ms(99),
            self.messages as f64 / self.commits as f64,
            self.memory_kib as f64 / 1024.0,
            self.leaders,
        )
    }
}

/// Replicas with one socket each to the carrier.
pub struct Cluster {
    replicas: Vec<Replica>,
    /// Which replica answered last as leader.
    leader: usize,
    asked: HashMap<String, Asked>,
    number: u64,
    step: Step,
}

impl Cluster {
    /// Starts `count` replicas and waits until one of them leads.
    pub fn start(count: u16) -> Result<Cluster, Box<dyn Error>> {
        let id = |rank: u16| format!("{rank:04X}");
        let mut replicas = Vec::new();
        for rank in 0..count {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_nonblocking(true)?;
            let port = socket.local_addr()?.port().to_string();
            let others = (0..count).filter(|other| *other != rank).map(id);
            let mut command = Command::new(env!("CARGO_BIN_EXE_laconic"));
            command.args(["replica", &port, &id(rank)]).args(others);
            replicas.push(Replica { child: command.spawn()?, socket, address: None });
        }
        let (asked, step) = (HashMap::new(), Step::default());
        let mut cluster = Cluster { replicas, leader: 0, asked, number: 0, step };
        // Nobody leads for the first seconds.
        cluster.ask(10, Duration::from_secs(5))?;
        Ok(cluster)
    }

    /// Asks `rate` requests a second for `span`, and waits for the answers.
    pub fn ask(&mut self, rate: u64, span: Duration) -> Result<Step, Box<dyn Error>> {
        self.step = Step { rate, ..Step::default() };
        let start = Instant::now();
        let all = (rate as f64 * span.as_secs_f64()) as u64;
        loop {
            let elapsed = start.elapsed();
            let due = ((elapsed.as_secs_f64() * rate as f64) as u64).min(all);
            while self.step.asked < due {
                self.ask_one()?;
            }
            let is_over = self.step.asked == all && self.asked.is_empty();
            if is_over || elapsed > span + PATIENCE {
                break;
            }
            self.carry()?;
        }
        let mut step = std::mem::take(&mut self.step);
        step.unanswered = self.asked.drain().count() as u64;
        step.latencies.sort_unstable();
        let child = self.replicas[self.leader].child.id();
        step.memory_kib = resident_kib(child)?;
        Ok(step)
    }

    fn ask_one(&mut self) -> Result<(), Box<dyn Error>> {
        self.number += 1;
        self.step.asked += 1;
        let (mid, is_put) = (format!("{:016X}", self.number), !self.number.is_multiple_of(5));
        let key = format!("{:032X}", self.number % 1_000);
        let client = 0x100 + self.number % 8;
        let (kind, value) =
            if is_put { ("put", format!(r#","value":"{key}""#)) } else { ("get", String::new()) };
        let text =
            format!(r#""type":"{kind}","MID":"{mid}","key":"{key}"{value},"src":"{client:04X}""#);
        self.send(&text)?;
        self.asked.insert(mid, Asked { at: Instant::now(), is_put, text });
        Ok(())
    }

    /// Sends a request to the leader, as far as known.
    fn send(&self, text: &str) -> Result<(), Box<dyn Error>> {
        let leader = self.leader;
        let datagram = format!(r#"{{{text},"dst":"{leader:04X}","leader":"{leader:04X}"}}"#);
        let replica = &self.replicas[leader];
        deliver(replica, replica.address, datagram.as_bytes())
    }

    /// Waits a moment for datagrams, and carries those that have come.
    fn carry(&mut self) -> Result<(), Box<dyn Error>> {
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
            for _ in 0..64 {
                match self.replicas[place].socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        self.replicas[place].address = Some(from);
                        self.route(&buffer[..length])?;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn route(&mut self, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        let seen: Seen<'_> = serde_json::from_slice(bytes)?;
        match seen.kind {
            "hello" => {}
            "ok" | "fail" | "redirect" => self.on_answer(&seen)?,
            _ => {
                for (rank, replica) in self.replicas.iter().enumerate() {
                    let id = format!("{rank:04X}");
                    if seen.dst == id || (seen.dst == "FFFF" && seen.src != id) {
                        self.step.messages += 1;
                        deliver(replica, replica.address, bytes)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn on_answer(&mut self, seen: &Seen<'_>) -> Result<(), Box<dyn Error>> {
        if let Ok(leader) = usize::from_str_radix(seen.leader, 16)
            && leader < self.replicas.len()
            && leader != self.leader
        {
            self.leader = leader;
            self.step.leaders += 1;
        }
        let mid = seen.mid.ok_or("an answer without a MID")?;
        let Some(asked) = self.asked.remove(mid) else {
            return Ok(());
        };
        match seen.kind {
            "redirect" => {
                self.send(&asked.text)?;
                self.asked.insert(mid.to_owned(), asked);
            }
            "fail" => self.step.refused += 1,
            _ => {
                self.step.ok += 1;
                self.step.commits += u64::from(asked.is_put);
                self.step.latencies.push(asked.at.elapsed());
            }
        }
        Ok(())
    }
}

/// Sends to a replica. What its full socket loses counts as lost.
fn deliver(
    replica: &Replica,
    address: Option<SocketAddr>,
    bytes: &[u8],
) -> Result<(), Box<dyn Error>> {
    let Some(address) = address else {
        return Ok(());
    };
    match replica.socket.send_to(bytes, address) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error.into()),
        _ => Ok(()),
    }
}

/// The memory that a process has, in KiB.
fn resident_kib(process: u32) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?.parse()?)
}
