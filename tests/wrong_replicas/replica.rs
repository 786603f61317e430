//! Replicas that are wrong on purpose, so that tests see whether the simulator catches them. Each
//! is the real replica with one fault, which the environment variable [`VARIABLE`] names; see
//! `Wrong`.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use laconic::interface::{Address, Operation, Outcome, Request, Text};
use laconic::raft::Micros;
use laconic::replica::{Arrival, Replica};
use laconic::tuning_file;
use laconic::wire::{Datagram, Membership, Payload, encode};

/// The environment variable that makes this program a replica and names its fault.
pub const VARIABLE: &str = "WRONG";

/// The fault of a replica.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// Every tenth get is answered as if nothing had ever been put.
    StaleRead,
    /// Every tenth put is acknowledged and forgotten.
    LostWrite,
    /// A leader acknowledges puts before it has replicated them.
    EarlyOk,
    /// Every `ok` and every `redirect` is sent twice.
    AnswersTwice,
    /// One replica answers everything alone, and nobody replicates.
    TooQuiet,
    /// One replica sends a datagram that is no message whenever one arrives.
    Garbage,
    /// One replica exits.
    Dies,
    /// One replica never says hello.
    NeverSaysHello,
}

fn wrong(name: &str) -> Result<Wrong, Box<dyn Error>> {
    Ok(match name {
        "stale_read" => Wrong::StaleRead,
        "lost_write" => Wrong::LostWrite,
        "early_ok" => Wrong::EarlyOk,
        "answers_twice" => Wrong::AnswersTwice,
        "too_quiet" => Wrong::TooQuiet,
        "garbage" => Wrong::Garbage,
        "dies" => Wrong::Dies,
        "never_says_hello" => Wrong::NeverSaysHello,
        other => return Err(format!("{VARIABLE}={other}").into()),
    })
}

struct Process {
    wrong: Wrong,
    socket: UdpSocket,
    members: Membership,
    replica: Replica,
    /// Whether this is the one replica that has the fault, where only one has it.
    chosen: bool,
    gets: u64,
    puts: u64,
    alone: BTreeMap<Text, Text>,
    early: Vec<Text>,
    bytes: Vec<u8>,
}

/// Runs a replica with the fault `name`. The arguments are those of the course's replicas.
///
/// # Errors If the fault or the arguments are unknown, or if no socket can be opened.
pub fn run(name: &str) -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, me, others @ ..] = arguments.as_slice() else {
        return Err("PORT ID OTHERS...".into());
    };
    let others = others.iter().map(|id| id.parse()).collect::<Result<Vec<Address>, _>>()?;
    let members = Membership::new(me.parse()?, &others)?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", port.parse::<u16>()?))?;
    socket.set_read_timeout(Some(Duration::from_millis(5)))?;
    let seed = u64::from(std::process::id());
    let replica =
        Replica::new(members.clone(), tuning_file::load("course")?.tuning, seed, Micros(0));
    let chosen = members.me().0 == 0;
    let mut process = Process {
        wrong: wrong(name)?,
        socket,
        members,
        replica,
        chosen,
        gets: 0,
        puts: 0,
        alone: BTreeMap::new(),
        early: Vec::new(),
        bytes: Vec::new(),
    };
    process.run()
}

impl Process {
    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        if !(self.wrong == Wrong::NeverSaysHello && self.chosen) {
            let hello = self.replica.hello();
            self.send(&hello);
        }
        let mut buffer = vec![0; 65_536];
        // A limit, in case nobody ends this process.
        while start.elapsed() < Duration::from_secs(60) {
            let mut out = Vec::new();
            let received = self.socket.recv(&mut buffer);
            let now = Micros(start.elapsed().as_micros() as u64);
            if let Ok(length) = received {
                let arrival = Arrival::of(&self.members, &buffer[..length]);
                if let Some(arrival) = self.intercept(arrival) {
                    self.replica.step(now, arrival, &mut out, &mut ());
                }
            }
            if self.replica.deadline() <= now && self.wrong != Wrong::TooQuiet {
                self.replica.step(now, Arrival::Wake, &mut out, &mut ());
            }
            for datagram in out {
                self.send_wrong(datagram.datagram);
            }
            if self.chosen && self.wrong == Wrong::Dies && now > Micros::from_seconds(4) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What the real replica gets of an arrival; the fault keeps the rest from it.
    fn intercept(&mut self, arrival: Arrival) -> Option<Arrival> {
        if self.wrong == Wrong::Garbage && self.chosen {
            let _ = self.socket.send(b"{\"src\":\"0000\",\"type\":\"append\"}");
        }
        let Arrival::Request(request) = &arrival else {
            return Some(arrival);
        };
        let request = request.clone();
        let put = matches!(request.operation, Operation::Put { .. });
        self.puts += u64::from(put);
        match self.wrong {
            Wrong::TooQuiet => {
                self.answer_alone(&request);
                return None;
            }
            Wrong::LostWrite if put && self.puts.is_multiple_of(10) => {
                self.answer(&request, Outcome::Ok(None));
                return None;
            }
            Wrong::EarlyOk if put && self.replica.raft().is_leader() => {
                self.early.push(request.mid.clone());
                self.answer(&request, Outcome::Ok(None));
            }
            _ => {}
        }
        Some(arrival)
    }

    /// All replicas send clients to the first one, which answers from its own memory.
    fn answer_alone(&mut self, request: &Request) {
        if !self.chosen {
            return self.answer(request, Outcome::Redirect);
        }
        let value = match &request.operation {
            Operation::Get { key } => Some(self.alone.get(key).cloned().unwrap_or_default()),
            Operation::Put { key, value } => {
                self.alone.insert(key.clone(), value.clone());
                None
            }
        };
        self.answer(request, Outcome::Ok(value));
    }

    fn answer(&mut self, request: &Request, outcome: Outcome) {
        let leader = match self.wrong {
            Wrong::TooQuiet => Address(0),
            _ => self.members.address(self.members.me()),
        };
        let payload = Payload::Answer { mid: request.mid.clone(), outcome };
        let source = self.members.address(self.members.me());
        self.send(&Datagram { source, destination: request.client, leader, payload });
    }

    fn send_wrong(&mut self, mut datagram: Datagram) {
        let mut copies = 1;
        if let Payload::Answer { mid, outcome } = &mut datagram.payload {
            if self.early.contains(mid) {
                return;
            }
            if let Outcome::Ok(Some(value)) = outcome {
                self.gets += 1;
                if self.wrong == Wrong::StaleRead && self.gets.is_multiple_of(10) {
                    *value = Text::default();
                }
            }
            if self.wrong == Wrong::AnswersTwice {
                copies = 2;
            }
        }
        for _ in 0..copies {
            self.send(&datagram);
        }
    }

    fn send(&mut self, datagram: &Datagram) {
        encode(&self.members, datagram, &mut self.bytes);
        // The simulator may have closed its end. Then it will end this process too.
        let _ = self.socket.send(&self.bytes);
    }
}
