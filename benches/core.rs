//! The core alone: commits a second, with all members in one thread, 16-byte commands, and causes
//! recorded. `cargo bench --bench core`. Aims are printed after the results.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use laconic::raft::{Input, Member, Message, Micros, Output, Raft, To};
use laconic::tuning_file;

const AIMS: &str = "
Aims, 3 members: 1 million commits a second with 1 proposal in flight, 2.5 million with 64,
3 million with 4,096; the same at 5 members.";

fn main() {
    divan::main();
    println!("{AIMS}");
}

/// Members whose messages arrive at once, without a network.
struct Cluster {
    rafts: Vec<Raft>,
    leader: usize,
    now: Micros,
    outputs: Vec<Output>,
    queue: Vec<(Member, Member, Message)>,
    tickets: u64,
    command: Arc<[u8]>,
}

impl Cluster {
    fn new(count: usize) -> Cluster {
        let mut tuning = tuning_file::load("course").expect("an embedded profile").tuning;
        tuning.batch_most_entries = 4_096;
        let raft = |rank| Raft::new(Member(rank), count, tuning.clone(), 1, Micros(0));
        let mut cluster = Cluster {
            rafts: (0..count as u8).map(raft).collect(),
            leader: 0,
            now: Micros(0),
            outputs: Vec::new(),
            queue: Vec::new(),
            tickets: 0,
            command: Arc::from([7u8; 16]),
        };
        while !cluster.rafts.iter().any(|raft| raft.is_leader() && raft.commit() > 0) {
            cluster.now += Micros(1_000);
            for rank in 0..count {
                cluster.step(rank, Input::Wake);
            }
            cluster.settle();
        }
        cluster.leader = cluster.rafts.iter().position(Raft::is_leader).expect("a leader");
        cluster
    }

    fn step(&mut self, rank: usize, input: Input) {
        self.rafts[rank].step(self.now, input, &mut self.outputs);
        let from = Member(rank as u8);
        for output in self.outputs.drain(..) {
            if let Output::Send { to, message, .. } = output {
                match to {
                    To::Member(to) => self.queue.push((from, to, message)),
                    To::Everyone => {
                        for to in (0..self.rafts.len() as u8).filter(|to| *to != from.0) {
                            self.queue.push((from, Member(to), message.clone()));
                        }
                    }
                }
            }
        }
    }

    fn settle(&mut self) {
        while !self.queue.is_empty() {
            for (from, to, message) in std::mem::take(&mut self.queue) {
                self.step(to.rank(), Input::Message { from, message });
            }
            // The drain is over: a follower acknowledges what the drain brought (rule R13).
            for rank in 0..self.rafts.len() {
                let raft = &self.rafts[rank];
                if !raft.is_leader() && raft.deadline() <= self.now {
                    self.step(rank, Input::Wake);
                }
            }
        }
    }

    /// Commits `count` commands that are all in flight together.
    fn commit(&mut self, count: u64) {
        self.now += Micros(50);
        let leader = self.leader;
        for _ in 0..count {
            self.tickets += 1;
            let command = self.command.as_ref().into();
            self.step(leader, Input::Propose { ticket: self.tickets, command });
        }
        let last = self.rafts[leader].log().last_index();
        while self.rafts[leader].commit() < last {
            self.step(leader, Input::Wake);
            self.settle();
        }
    }
}

#[divan::bench(args = [1, 64, 4_096], consts = [3, 5])]
fn commits<const MEMBERS: usize>(bencher: Bencher, in_flight: u64) {
    let rounds = 16_384 / in_flight;
    bencher
        .counter(ItemsCount::new(rounds * in_flight))
        .with_inputs(|| Cluster::new(MEMBERS))
        .bench_refs(|cluster| (0..rounds).for_each(|_| cluster.commit(in_flight)));
}
