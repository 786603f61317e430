//! A datagram in to datagrams out, through the real socket loop of a replica process: an append of
//! one entry until its answer. Beside it, in the same run, what the machine itself takes: a thread
//! that sends back whatever it gets. `cargo bench --bench service`.

use std::error::Error;
use std::net::UdpSocket;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use laconic::interface::Address;
use laconic::kv::Command as Put;
use laconic::raft::message::{Append, Position, Route};
use laconic::raft::{Cause, Entry, Member, MemberSet, Message, Micros};
use laconic::wire::{Datagram, Membership, Payload, encode};

const ROUNDS: u64 = 5_000;
/// So that each round finds the replica asleep.
const PAUSE: Duration = Duration::from_micros(300);

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` only wants to see it start.
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
    Ok(())
}

/// Round trips, sorted.
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
            // The other end sees it missing.
            let _ = far.send(&buffer[..length]);
        }
    });
    round_trips(&near, rounds, |_, bytes| bytes.resize(400, b'x'))
}

/// Ends the child whatever happens.
struct Replica(Child);

impl Drop for Replica {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measure_replica(rounds: u64) -> Result<Vec<u64>, Box<dyn Error>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let port = socket.local_addr()?.port().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_laconic"));
    let child = command.args(["replica", &port, "0001", "0000", "0002"]).spawn()?;
    let _replica = Replica(child);
    let (_, address) = socket.recv_from(&mut [0; 1_000])?;
    socket.connect(address)?;
    let leader = Membership::new(Address(0), &[Address(1), Address(2)])?;
    round_trips(&socket, rounds, |round, bytes| {
        encode(&leader, &append(round), bytes);
    })
}

/// The leader's append of entry `round`.
fn append(round: u64) -> Datagram {
    let text = "0123456789ABCDEF0123456789ABCDEF";
    let command = Put::put(Address(0x15), "0123456789ABCDEF", text, text).encode();
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
        wants_answer: true,
        route: Route::direct(Member(1)),
        accepted: MemberSet::EMPTY,
    };
    let payload = Payload::Peer { number: round, message: Message::Append(append) };
    Datagram { source: Address(0), destination: Address(1), leader: Address(0), payload }
}
