//! The time from a datagram in to the datagrams out, through the real socket loop of a replica
//! process: from an append of one entry to its answer. Beside it is the machine's own time, for a
//! thread that sends back whatever it gets. Then how late the replica's timers go off.
//!
//! Then the cost of spans, with 64 appends at a time. Four replicas take turns: one without spans,
//! one with almost none (so only the sampling costs), one with one request in 100, and one with
//! all. `cargo bench --bench service`.

use std::error::Error;
use std::ffi::OsStr;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use laconic::interface::Address;
use laconic::kv::Command as Put;
use laconic::raft::message::{Append, Position, Route};
use laconic::raft::{Cause, Entry, Member, MemberSet, Message, Micros};
use laconic::service::timer_lateness;
use laconic::wire::{Datagram, Membership, Payload, encode};

const ROUNDS: u64 = 5_000;
/// A pause before each round, so that the round finds the replica asleep.
const PAUSE: Duration = Duration::from_micros(300);
/// How many timers go off, and the shortest; the others are up to a millisecond longer.
const TIMERS: u64 = 1_000;
const SHORTEST: Micros = Micros(300);

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` only checks that the program starts.
    let rounds = if std::env::args().any(|argument| argument == "--test") { 10 } else { ROUNDS };
    let echo = measure_echo(rounds)?;
    let replica = measure_replica(rounds)?;
    println!("a datagram in to datagrams out, {rounds} rounds, microseconds");
    println!("{:<28}{:>10}{:>18}", "", "median", "99th percentile");
    let row = |name: &str, times: &[u64]| {
        let at = |part: usize| times[(times.len() - 1) * part / 100];
        println!("{name:<28}{:>10}{:>18}", at(50), at(99));
        at(50)
    };
    let bare = row("a bare echo thread", &echo);
    let whole = row("a replica: append to answer", &replica);
    println!("the replica adds {} at the median; aim: under 50", whole.saturating_sub(bare));
    let waits = (0..rounds.min(TIMERS)).map(|place| SHORTEST + Micros(place * 37 % 1_000));
    let mut late: Vec<u64> = timer_lateness(waits)?.into_iter().map(|late| late.0).collect();
    late.sort_unstable();
    let median = row("lateness of a timer", &late);
    println!("timers are {median} late at the median; aim: some 50");
    compare_spans(rounds)
}

/// Prints the speed of replicas with spans, compared with one without.
fn compare_spans(rounds: u64) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut replicas = Vec::new();
    for sampling in ["", "1/1000000", "1/100", "1"] {
        replicas.push(Loaded::start(&folder.path().join(replicas.len().to_string()), sampling)?);
    }
    let turns = rounds / 50 + 1;
    let mut ratios = vec![Vec::new(); replicas.len()];
    for turn in 0..turns {
        let mut times = Vec::new();
        for replica in &mut replicas {
            times.push(replica.turn()?.as_secs_f64());
        }
        // The first turn only warms up.
        if turn > 0 {
            ratios.iter_mut().zip(&times).for_each(|(of, time)| of.push(times[0] / time));
        }
    }
    let appends = IN_FLIGHT * WINDOWS;
    println!("\nappends a second, beside spans off: {} turns of {appends}", turns - 1);
    for (ratios, name) in ratios.iter_mut().zip(["off", "1/1000000", "1/100", "1"]).skip(1) {
        ratios.sort_by(f64::total_cmp);
        let median = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
        let aim = if name == "1/100" { " (aim: at least 0.85)" } else { "" };
        println!("spans {name:<8}{median:>6.2}{aim}");
    }
    Ok(())
}

/// The number of appends in flight at a time, and how many times that in a turn.
const IN_FLIGHT: u64 = 64;
const WINDOWS: u64 = 20;

/// A replica that is kept busy.
struct Loaded {
    _replica: Replica,
    socket: UdpSocket,
    leader: Membership,
    sent: u64,
}

impl Loaded {
    fn start(out: &Path, sampling: &str) -> Result<Loaded, Box<dyn Error>> {
        let environment = [("LACONIC_OUT", out.as_os_str()), ("LACONIC_SPANS", sampling.as_ref())];
        let (_replica, socket) = start_replica(&environment)?;
        let leader = Membership::new(Address(0), &[Address(1), Address(2)])?;
        Ok(Loaded { _replica, socket, leader, sent: 0 })
    }

    fn turn(&mut self) -> Result<Duration, Box<dyn Error>> {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 65_536]);
        let mut took = Duration::ZERO;
        for _ in 0..WINDOWS {
            let start = Instant::now();
            for _ in 0..IN_FLIGHT {
                self.sent += 1;
                encode(&self.leader, &append(self.sent), &mut bytes);
                self.socket.send(&bytes)?;
            }
            for _ in 0..IN_FLIGHT {
                self.socket.recv(&mut buffer)?;
            }
            took += start.elapsed();
        }
        Ok(took)
    }
}

/// The times of all round trips, sorted.
fn round_trips(
    socket: &UdpSocket,
    rounds: u64,
    mut datagram: impl FnMut(u64, &mut Vec<u8>),
) -> Result<Vec<u64>, Box<dyn Error>> {
    let (mut bytes, mut buffer, mut times) = (Vec::new(), [0; 65_536], Vec::new());
    for round in 1..=rounds {
        datagram(round, &mut bytes);
        std::thread::sleep(PAUSE);
        let start = Instant::now();
        socket.send(&bytes)?;
        socket.recv(&mut buffer)?;
        times.push(start.elapsed().as_micros() as u64);
    }
    times.sort_unstable();
    Ok(times)
}

fn measure_echo(rounds: u64) -> Result<Vec<u64>, Box<dyn Error>> {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    near.connect(far.local_addr()?)?;
    far.connect(near.local_addr()?)?;
    near.set_read_timeout(Some(Duration::from_secs(2)))?;
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        for _ in 0..rounds {
            let Ok(length) = far.recv(&mut buffer) else { return };
            // If this fails, the other end sees that the datagram is missing.
            let _ = far.send(&buffer[..length]);
        }
    });
    round_trips(&near, rounds, |_, bytes| bytes.resize(400, b'x'))
}

/// A child process that is ended in every case.
struct Replica(Child);

impl Drop for Replica {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts replica 1 of three. Returns it with the simulator's socket for it.
fn start_replica(environment: &[(&str, &OsStr)]) -> Result<(Replica, UdpSocket), Box<dyn Error>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let port = socket.local_addr()?.port().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_laconic"));
    command.args(["replica", &port, "0001", "0000", "0002"]).envs(environment.iter().copied());
    let replica = Replica(command.spawn()?);
    let (_, address) = socket.recv_from(&mut [0; 1_000])?;
    socket.connect(address)?;
    Ok((replica, socket))
}

fn measure_replica(rounds: u64) -> Result<Vec<u64>, Box<dyn Error>> {
    let (_replica, socket) = start_replica(&[])?;
    let leader = Membership::new(Address(0), &[Address(1), Address(2)])?;
    round_trips(&socket, rounds, |round, bytes| {
        encode(&leader, &append(round), bytes);
    })
}

/// The leader's append of the entry for this `round`.
fn append(round: u64) -> Datagram {
    let text = "0123456789ABCDEF0123456789ABCDEF";
    // Each has a different MID, like those that clients draw.
    let mid = format!("{:016X}", round.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let command = Put::put(Address(0x15), &mid, text, text).encode();
    let before = round - 1;
    let append = Append {
        term: 1,
        leader: Member(0),
        round,
        cause: Cause::Replicate,
        previous: Position { term: u64::from(before > 0), index: before },
        commit: before,
        entries: vec![Entry { term: 1, command }].into(),
        promise: Micros(800_000),
        election_timeout: Micros(0),
        inquiries: 0,
        loss_ppm: 0,
        question: 0,
        wants_answer: true,
        route: Route::direct(Member(1)),
        accepted: MemberSet::EMPTY,
    };
    let payload = Payload::Peer { number: round, message: Message::Append(append) };
    Datagram { source: Address(0), destination: Address(1), leader: Address(0), payload }
}
