//! What became of the requests of one step, and what it took.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What the system has counted so far.
pub struct Usage {
    /// Memory of the leader's process, in KiB.
    memory_kib: u64,
    /// How long the leader's process was busy.
    leader_busy: Duration,
    /// Datagrams that found the socket of a replica full.
    lost_to_replicas: u64,
    /// Datagrams that found a socket of the carrier full.
    lost_to_carrier: u64,
}

impl Usage {
    /// Reads what the system knows of the process `leader`, and of sockets by their ports.
    pub fn read(leader: u32, replicas: &[u16], carrier: &[u16]) -> Result<Usage, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{leader}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
        let times = fs::read_to_string(format!("/proc/{leader}/schedstat"))?;
        let busy = times.split_whitespace().next().ok_or("no time on a processor")?;
        let drops = drops_by_port()?;
        let sum = |ports: &[u16]| ports.iter().filter_map(|port| drops.get(port)).sum();
        Ok(Usage {
            memory_kib: memory.parse()?,
            leader_busy: Duration::from_nanos(busy.parse()?),
            lost_to_replicas: sum(replicas),
            lost_to_carrier: sum(carrier),
        })
    }

    /// How long the calling thread was busy in its life.
    pub fn of_this_thread() -> Result<Duration, Box<dyn Error>> {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?))
    }
}

/// How many datagrams each UDP socket of this machine has lost because it was full.
fn drops_by_port() -> Result<HashMap<u16, u64>, Box<dyn Error>> {
    let mut drops = HashMap::new();
    for line in fs::read_to_string("/proc/net/udp")?.lines().skip(1) {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1).and_then(|local| local.rsplit(':').next()).ok_or("no port")?;
        let lost = fields.next_back().ok_or("no drops")?;
        *drops.entry(u16::from_str_radix(local, 16)?).or_default() += lost.parse::<u64>()?;
    }
    Ok(drops)
}

/// What became of the requests of one step.
#[derive(Default)]
pub struct Step {
    /// Puts that were answered `ok`.
    pub commits: u64,
    /// Messages between replicas.
    pub messages: u64,
    /// How often another leader was named.
    pub leaders: u64,
    /// Times to the answers `ok`.
    pub latencies: Vec<Duration>,
    /// Times to the answers `fail`.
    pub refusals: Vec<Duration>,
    /// How long the carrier's thread was busy.
    pub carrier_busy: Duration,
    /// How long the clients' thread was busy.
    pub clients_busy: Duration,
    leader_busy: Duration,
    rate: u64,
    sent: u64,
    span: Duration,
    lost_to_replicas: u64,
    lost_to_carrier: u64,
    /// The leader's memory at the end, in KiB.
    pub memory_kib: u64,
}

impl Step {
    /// What [`Step`] prints, column by column.
    pub const HEADER: &str = "  asked/s   sent/s     ok/s   fail/s  silent/s |   lost to sockets/s \
        |    ok p50     p99 |  fail p50     p99 | messages |  leader        | busy %: leader\n\
                              \u{20}                                               \
        | replicas   carrier |     ms        ms |     ms        ms | a commit |     MiB changes | \
         carrier clients";

    /// How many requests were answered for good.
    pub fn answered(&self) -> u64 {
        (self.latencies.len() + self.refusals.len()) as u64
    }

    /// Adds what is known at the end: `sent` of the requests that were due at `rate` in `span`, and
    /// what the system counted meanwhile.
    pub fn finish(&mut self, rate: u64, sent: u64, span: Duration, before: &Usage, after: &Usage) {
        self.latencies.sort_unstable();
        self.refusals.sort_unstable();
        (self.rate, self.sent, self.span) = (rate, sent, span);
        self.memory_kib = after.memory_kib;
        self.leader_busy = after.leader_busy.saturating_sub(before.leader_busy);
        self.lost_to_replicas = after.lost_to_replicas.saturating_sub(before.lost_to_replicas);
        self.lost_to_carrier = after.lost_to_carrier.saturating_sub(before.lost_to_carrier);
    }
}

/// The time, in milliseconds, within which `percent` of all sorted `times` lie.
fn quantile_ms(times: &[Duration], percent: usize) -> f64 {
    let place = times.len().saturating_sub(1) * percent / 100;
    times.get(place).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.span.as_secs_f64();
        let a_second = |count: u64| count as f64 / span;
        let busy = |time: Duration| time.as_secs_f64() / span * 100.0;
        write!(
            f,
            "{:>9}{:>9.0}{:>9.0}{:>9.0}{:>10.0} |{:>9.0}{:>10.0} |{:>9.2}{:>8.2} |{:>9.2}{:>8.2} \
             |{:>9.2} |{:>8.1}{:>8} |{:>8.0}{:>8.0}{:>8.0}",
            self.rate,
            a_second(self.sent),
            a_second(self.latencies.len() as u64),
            a_second(self.refusals.len() as u64),
            a_second(self.sent - self.answered()),
            a_second(self.lost_to_replicas),
            a_second(self.lost_to_carrier),
            quantile_ms(&self.latencies, 50),
            quantile_ms(&self.latencies, 99),
            quantile_ms(&self.refusals, 50),
            quantile_ms(&self.refusals, 99),
            self.messages as f64 / self.commits as f64,
            self.memory_kib as f64 / 1024.0,
            self.leaders,
            busy(self.leader_busy),
            busy(self.carrier_busy),
            busy(self.clients_busy),
        )
    }
}
