//! Stories as transcripts, in `tests/consensus/transcripts/`. Each can be read from its first line
//! to its last, and a change of the protocol shows as a difference. `UPDATE=1 cargo test --test
//! consensus transcripts` writes them again.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use laconic::raft::tuning::{FanOut, Reads};
use laconic::raft::{Member, Micros, Tuning};

use crate::cluster::{Cluster, Fate, fast, ms};

/// A story: what the test does to the cluster, and all that is recorded meanwhile.
struct Transcript {
    name: &'static str,
    text: String,
    told: usize,
}

impl Transcript {
    fn of(name: &'static str, cluster: &Cluster) -> Transcript {
        Transcript { name, text: String::new(), told: cluster.records.len() }
    }

    /// Adds what the test did, and all records since the last call.
    fn tell(&mut self, cluster: &Cluster, what: &str) {
        let _ = writeln!(self.text, "# {what}");
        for record in &cluster.records[self.told..] {
            let _ = writeln!(self.text, "{record}");
        }
        self.told = cluster.records.len();
    }

    /// Compares the transcript with the file of its name.
    fn hold(self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consensus/transcripts");
        let path = folder.join(format!("{}.txt", self.name));
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(&path, &self.text).expect("a transcript");
        }
        let held = fs::read_to_string(&path).unwrap_or_default();
        let lines = held.lines().zip(self.text.lines()).enumerate();
        for (number, (held, told)) in lines {
            assert_eq!(held, told, "{}, line {}; UPDATE=1 rewrites it", self.name, number + 1);
        }
        assert_eq!(held.lines().count(), self.text.lines().count(), "{}", self.name);
    }
}

/// A cluster of `count` members with a leader, and no message on its way.
fn led(count: u8, tuning: Tuning) -> (Cluster, Member) {
    let mut cluster = Cluster::new(count, 1, tuning);
    let leader = cluster.elect();
    (cluster, leader)
}

#[test]
fn transcripts_of_an_election() {
    let mut cluster = Cluster::new(3, 1, fast());
    let mut transcript = Transcript::of("election", &cluster);
    cluster.elect();
    transcript.tell(&cluster, "three members are switched on");
    transcript.hold();
}

#[test]
fn transcripts_of_a_put() {
    for (name, fan_out) in [("put_thrifty", FanOut::Thrifty), ("put_chain", FanOut::Chain)] {
        let (mut cluster, leader) = led(5, Tuning { fan_out, ..fast() });
        let mut transcript = Transcript::of(name, &cluster);
        cluster.put(leader, "k", "v");
        cluster.run_for(ms(5));
        transcript.tell(&cluster, "the leader is asked to put k");
        transcript.hold();
    }
}

#[test]
fn transcripts_of_a_batch_that_is_lost() {
    let (mut cluster, leader) = led(5, fast());
    let mut transcript = Transcript::of("lost_batch", &cluster);
    cluster.obeys(|_| Fate::Lose);
    cluster.put(leader, "k", "v");
    cluster.run_for(Micros(1));
    transcript.tell(&cluster, "all that the leader sends for a put is lost");
    cluster.calm();
    cluster.run_for(ms(20));
    transcript.tell(&cluster, "from then on everything passes");
    transcript.hold();
}

#[test]
fn transcripts_of_a_follower_that_dies() {
    let (mut cluster, leader) = led(3, fast());
    let mut transcript = Transcript::of("dead_follower", &cluster);
    let dead = cluster.others(leader)[0];
    cluster.kill(dead);
    for put in ["v", "w"] {
        cluster.put(leader, "k", put);
        cluster.run_for(ms(50));
    }
    transcript.tell(&cluster, &format!("{dead} is dead; two puts, 50 ms apart"));
    transcript.hold();
}

/// The first member that stands holds less than another, which then stands itself (rules R18 and
/// R25).
#[test]
fn transcripts_of_a_leaders_death() {
    let mut cluster = Cluster::new(5, 2, fast());
    let leader = cluster.elect();
    cluster.put(leader, "k", "v");
    cluster.run_for(ms(5));
    let mut transcript = Transcript::of("dead_leader", &cluster);
    cluster.kill(leader);
    cluster.elect();
    transcript.tell(&cluster, &format!("{leader}, which led, dies after a put"));
    transcript.hold();
}

#[test]
fn transcripts_of_a_leader_that_was_cut_off() {
    let (mut cluster, old) = led(3, fast());
    cluster.run_for(ms(500));
    let mut transcript = Transcript::of("cut_off", &cluster);
    cluster.cut(&[&cluster.others(old), &[old]]);
    cluster.put(old, "k", "lost");
    cluster.run_for(ms(100));
    transcript.tell(&cluster, &format!("{old} leads, is cut off, and takes in a put"));
    let elected = |cluster: &Cluster| cluster.leader().is_some_and(|leader| leader != old);
    assert!(cluster.run_until(ms(5_000), elected));
    transcript.tell(&cluster, "until the others have elected one of them");
    cluster.heal();
    cluster.run_for(ms(900));
    transcript.tell(&cluster, "the cut ends");
    transcript.hold();
}

#[test]
fn transcripts_of_a_read_by_a_round() {
    let (mut cluster, leader) = led(3, Tuning { reads: Reads::Confirm, ..fast() });
    let mut transcript = Transcript::of("read_by_a_round", &cluster);
    cluster.get(leader, "k");
    cluster.get(leader, "l");
    cluster.run_for(ms(5));
    transcript.tell(&cluster, "two gets, no leases: one round for both");
    transcript.hold();
}

#[test]
fn transcripts_of_one_acknowledgement_for_a_drain() {
    let tuning = Tuning {
        shared_acknowledgements: true,
        batch_most_entries: 1,
        fan_out: FanOut::Star,
        ..fast()
    };
    let (mut cluster, leader) = led(3, tuning);
    let mut transcript = Transcript::of("shared_acknowledgement", &cluster);
    cluster.put(leader, "k", "v");
    cluster.put(leader, "l", "w");
    cluster.run_for(ms(5));
    transcript.tell(&cluster, "two puts, one entry a batch; each drain is acknowledged once");
    transcript.hold();
}

#[test]
fn transcripts_of_a_request_at_a_follower() {
    let (mut cluster, leader) = led(3, fast());
    let mut transcript = Transcript::of("redirect", &cluster);
    let follower = cluster.others(leader)[0];
    cluster.get(follower, "k");
    transcript.tell(&cluster, "a follower is asked");
    cluster.run_for(ms(50));
    cluster.get(follower, "k");
    transcript.tell(&cluster, "the same client comes back with the same question");
    cluster.run_for(ms(500));
    transcript.tell(&cluster, "until the leader is heard again");
    transcript.hold();
}
