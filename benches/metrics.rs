//! The cost of metrics and of the black box, as ratios within one run: replicas in one thread
//! (core, store, records kept in a ring) with metrics, with the black box or with both, compared
//! with neither. Then the same without the replicas, and one increment of a counter.
//!
//! With `-- --real` there are also real runs, which take two minutes: replicas that are scraped
//! every 100 ms, compared with replicas that nobody scrapes.
//!
//! `cargo bench --bench metrics`. Aims are printed beside the results.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use laconic::budget::Limits;
use laconic::interface::{Address, Operation, Request};
use laconic::metrics::MetricsSink;
use laconic::raft::{Kind, Member, MemberSet, Micros, To, Tuning, Why};
use laconic::record::{Fact, Record, Sink};
use laconic::recorder::{BlackBox, BoxHeader};
use laconic::replica::{Arrival, Replica};
use laconic::sim::real::{self, RealOptions};
use laconic::sim::scenario::Scenario;
use laconic::tuning_file;
use laconic::wire::{MeasuredDatagram, Membership, Payload};

const MEMBERS: u16 = 5;
/// The number of pairs of turns. The result is the median of their ratios.
const PAIRS: usize = 81;
/// How long one turn lasts.
const TURN: Duration = Duration::from_millis(30);

/// Takes records in every turn, and keeps the latest in a ring, as a recorder does.
struct Ring {
    records: Vec<Record>,
    told: usize,
}

impl Ring {
    fn new() -> Ring {
        let fact = Fact::Partitioned { majority: MemberSet::EMPTY };
        Ring { records: vec![Record { at: Micros(0), source: Member(0), fact }; 4_096], told: 0 }
    }
}

impl Sink for Ring {
    #[inline(always)]
    fn record(&mut self, record: &Record) {
        let place = self.told % self.records.len();
        self.records[place] = *record;
        self.told += 1;
    }
}

/// The instruments of one replica.
struct Instruments {
    ring: Ring,
    metrics: Option<MetricsSink>,
    black_box: Option<BlackBox>,
}

/// The instruments that are on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Nothing,
    Metrics,
    BlackBox,
    Both,
}

impl Sink for Instruments {
    #[inline(always)]
    fn record(&mut self, record: &Record) {
        self.ring.record(record);
        self.metrics.record(record);
        self.black_box.record(record);
    }
}

/// Replicas whose datagrams arrive at once, without a network.
struct Cluster {
    replicas: Vec<(Replica, Instruments)>,
    leader: usize,
    now: Micros,
    out: Vec<MeasuredDatagram>,
    queue: Vec<(usize, Arrival)>,
    asked: u64,
    ok: u64,
}

impl Cluster {
    fn new(on: On, tuning: &Tuning, folder: &Path) -> Cluster {
        let replica = |rank: u16| {
            let others: Vec<Address> = (0..MEMBERS).filter(|id| *id != rank).map(Address).collect();
            let members = Membership::new(Address(rank), &others).expect("a cluster");
            let sink = || MetricsSink::new(&members, tuning, &Limits::default());
            let header = BoxHeader {
                source: Member(rank as u8),
                replicas: MEMBERS as u8,
                clock_start_us: 0,
            };
            let black_box =
                || BlackBox::create(&folder.join(format!("{rank}.box")), header).expect("a box");
            let instruments = Instruments {
                ring: Ring::new(),
                metrics: (on == On::Metrics || on == On::Both).then(sink),
                black_box: (on == On::BlackBox || on == On::Both).then(black_box),
            };
            (Replica::new(members.clone(), tuning.clone(), 1, Micros(0)), instruments)
        };
        let mut cluster = Cluster {
            replicas: (0..MEMBERS).map(replica).collect(),
            leader: 0,
            now: Micros(0),
            out: Vec::new(),
            queue: Vec::new(),
            asked: 0,
            ok: 0,
        };
        while !cluster.replicas.iter().any(|(replica, _)| replica.raft().is_leader()) {
            cluster.advance(1_000);
        }
        let leads = |(replica, _): &(Replica, Instruments)| replica.raft().is_leader();
        cluster.leader = cluster.replicas.iter().position(leads).expect("a leader");
        cluster.advance(1_000);
        cluster
    }

    fn advance(&mut self, micros: u64) {
        self.now += Micros(micros);
        for rank in 0..self.replicas.len() {
            self.step(rank, Arrival::Wake);
        }
        self.settle();
    }

    fn step(&mut self, rank: usize, arrival: Arrival) {
        let (replica, instruments) = &mut self.replicas[rank];
        replica.step(self.now, arrival, &mut self.out, instruments);
        for datagram in self.out.drain(..) {
            let datagram = datagram.datagram;
            match datagram.payload {
                Payload::Peer { number, message } => {
                    let from = Member(rank as u8);
                    let to = datagram.destination;
                    for other in (0..MEMBERS as usize).filter(|other| *other != rank) {
                        if to == Address::EVERYONE || usize::from(to.0) == other {
                            let message = message.clone();
                            self.queue.push((other, Arrival::Peer { from, number, message }));
                        }
                    }
                }
                Payload::Answer { .. } => self.ok += 1,
                Payload::Hello | Payload::Request { .. } => {}
            }
        }
    }

    fn settle(&mut self) {
        while !self.queue.is_empty() {
            for (to, arrival) in std::mem::take(&mut self.queue) {
                self.step(to, arrival);
            }
        }
    }

    /// Asks `in_flight` puts together and runs until all are answered.
    fn commit(&mut self, in_flight: u64) {
        self.now += Micros(50);
        let answered = self.ok + in_flight;
        for _ in 0..in_flight {
            self.asked += 1;
            let operation = Operation::Put {
                key: format!("key {}", self.asked % 1_000).into(),
                value: "value".into(),
            };
            let mid = format!("{:016X}", self.asked).into();
            let request =
                Request { client: Address(0xAAAA), leader: Address::UNKNOWN, mid, operation };
            self.step(self.leader, Arrival::Request(request));
        }
        while self.ok < answered {
            // A follower acknowledges only when it is woken, so that one answer is for all that has
            // come.
            (0..self.replicas.len()).for_each(|rank| self.step(rank, Arrival::Wake));
            self.settle();
        }
    }

    /// Runs one turn. Returns the nanoseconds for one put, and the records of all replicas for one
    /// put.
    fn turn(&mut self, in_flight: u64) -> (f64, f64) {
        let told = |cluster: &Cluster| {
            cluster.replicas.iter().map(|(_, instruments)| instruments.ring.told).sum::<usize>()
        };
        let (before, start, mut puts) = (told(self), Instant::now(), 0);
        while start.elapsed() < TURN {
            (0..16).for_each(|_| self.commit(in_flight));
            puts += 16 * in_flight;
        }
        let elapsed = start.elapsed().as_nanos() as f64;
        (elapsed / puts as f64, (told(self) - before) as f64 / puts as f64)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Compares instruments on with instruments off, turn by turn.
fn compare(on: On, in_flight: u64, tuning: &Tuning) {
    let folder = tempfile::tempdir().expect("a folder");
    let fresh = || [On::Nothing, on].map(|on| Cluster::new(on, tuning, folder.path()));
    let mut clusters = fresh();
    let mut pairs = Vec::new();
    let mut records = 0.0;
    for pair in 0..PAIRS {
        // Replicas keep their whole log, so new clusters keep it short. Which is first alternates.
        if pair % 16 == 15 {
            clusters = fresh();
        }
        let mut took = [0.0; 2];
        for place in [pair % 2, 1 - pair % 2] {
            (took[place], records) = clusters[place].turn(in_flight);
        }
        pairs.push((took[0], took[1]));
    }
    let ratio = median(pairs.iter().map(|(off, on)| off / on).collect());
    let extra = median(pairs.iter().map(|(off, on)| (on - off) / records).collect());
    let off = median(pairs.iter().map(|(off, _)| *off).collect());
    let aim = if in_flight == 1 { " (aim 80 ns a record)" } else { " (aim 0.95)" };
    let (what, aim) = match on {
        On::Both => ("metrics and black box", aim),
        On::BlackBox => ("black box", ""),
        On::Nothing | On::Metrics => ("metrics", ""),
    };
    println!(
        "{what}, {in_flight} in flight: {ratio:.3} of the puts without, {extra:.0} ns a record \
         more; without {off:.0} ns a put, {records:.2} records a put{aim}"
    );
}

/// Measures what one sent message costs the fold, which is two counters and finding their place,
/// and what one increment of a kept counter costs.
fn increments() {
    const TIMES: u64 = 2_000_000;
    let tuning = tuning_file::load("course").expect("an embedded profile").tuning;
    let members = Membership::new(Address(0), &[Address(1), Address(2)]).expect("a cluster");
    let mut sink = MetricsSink::new(&members, &tuning, &Limits::default());
    let fact = Fact::Sent {
        to: To::Member(Member(1)),
        number: 1,
        kind: Kind::Append,
        why: Why::Own(laconic::raft::Cause::Replicate),
        term: 1,
        first: 1,
        entries: 1,
        bytes: 300,
    };
    let record = Record { at: Micros(1), source: Member(0), fact };
    let start = Instant::now();
    (0..TIMES).for_each(|_| sink.record(black_box(&record)));
    let sent = start.elapsed().as_nanos() as f64 / TIMES as f64;
    let held = Record { fact: Fact::Held { client: Address(9), request: 1 }, ..record };
    let start = Instant::now();
    (0..TIMES).for_each(|_| sink.record(black_box(&held)));
    let one = start.elapsed().as_nanos() as f64 / TIMES as f64;
    println!("a record that is one increment: {one:.1} ns (aim 20 ns)");
    println!("a message sent, two increments: {sent:.1} ns");
}

/// Measures what the instruments need for one record without the replica: the leader's latest
/// records are told again and again.
fn replay(in_flight: u64, tuning: &Tuning) {
    const LAPS: usize = 300;
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::new(On::Nothing, tuning, folder.path());
    (0..200).for_each(|_| cluster.commit(in_flight));
    let (replica, instruments) = &cluster.replicas[cluster.leader];
    let records = &instruments.ring.records;
    let time = |sink: &mut dyn FnMut(&Record)| {
        let laps = (0..LAPS).map(|_| {
            let start = Instant::now();
            records.iter().for_each(|record| sink(black_box(record)));
            start.elapsed().as_nanos() as f64 / records.len() as f64
        });
        median(laps.collect())
    };
    let members = replica.members();
    let mut metrics = MetricsSink::new(members, tuning, &Limits::default());
    let header = BoxHeader { source: members.me(), replicas: MEMBERS as u8, clock_start_us: 0 };
    let mut ring = BlackBox::create(&folder.path().join("a.box"), header).expect("a box");
    let nothing = time(&mut |record| {
        black_box(record);
    });
    let folded = time(&mut |record| metrics.record(record));
    let boxed = time(&mut |record| ring.record(record));
    println!(
        "a leader's records, {in_flight} in flight: metrics {:.1}, black box {:.1} ns a record",
        folded - nothing,
        boxed - nothing
    );
}

/// The median latency of a real run, with its replicas scraped or not.
fn real_run(seed: u64, scraped: bool) -> Micros {
    let folder = tempfile::tempdir().expect("a folder");
    let discovery = folder.path().join("discovery.json");
    let program = folder.path().join("4730kvstore");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_laconic"), &program).expect("a link");
    let options = RealOptions {
        seed,
        program: Some(program),
        discovery: Some(discovery.clone()),
        ..RealOptions::default()
    };
    let mut scenario = Scenario::load("simple-2").expect("a scenario");
    scenario.lifetime = Micros::from_seconds(8);
    scenario.start_wait = Micros::from_seconds(2);
    scenario.end_wait = Micros::from_seconds(1);
    let run = std::thread::scope(|scope| {
        let runner = scope.spawn(|| real::run(&scenario, &options).expect("a run"));
        while scraped && !runner.is_finished() {
            scrape_all(&discovery);
            std::thread::sleep(Duration::from_millis(100));
        }
        runner.join().expect("a run")
    });
    run.conclusion.median_latency.expect("answers")
}

fn scrape_all(discovery: &Path) {
    let text = std::fs::read_to_string(discovery).unwrap_or_default();
    let groups: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    for group in groups.as_array().into_iter().flatten() {
        let address = group["targets"][0].as_str().expect("an address");
        // At the end of the run the replicas are gone.
        if let Ok(mut stream) = TcpStream::connect(address) {
            let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(request).and_then(|()| stream.read_to_end(&mut Vec::new()));
        }
    }
}

fn real_runs() {
    let ratios = (1..=5).map(|pair| {
        let mut latency = [0.0; 2];
        for place in [pair % 2, 1 - pair % 2] {
            latency[place] = real_run(pair as u64, place == 1).0 as f64;
        }
        let [off, on] = latency;
        println!("real pair {pair}: median latency {on} us scraped, {off} us not");
        on / off
    });
    println!("scraped every 100 ms: {:.3} of the latency (aim 1.05)", median(ratios.collect()));
}

fn main() {
    let mut tuning = tuning_file::load("course").expect("an embedded profile").tuning;
    tuning.startup_silence_us = 0;
    // There is no network between these replicas and their clients, so answers need not be paced.
    tuning.answer_window = 1_000_000;
    increments();
    for in_flight in [64, 1] {
        replay(in_flight, &tuning);
        for on in [On::Metrics, On::BlackBox, On::Both] {
            compare(on, in_flight, &tuning);
        }
    }
    if std::env::args().any(|argument| argument == "--real") {
        real_runs();
    }
}
