//! Black boxes of replicas that are killed with SIGKILL, and what `laconic postmortem` says about
//! them.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use laconic::archive::read_records;
use laconic::raft::{Event, Member, Micros};
use laconic::record::{Fact, Record};
use laconic::recorder::{ReadBox, read_box};
use laconic::sim::real::{RealOptions, run};
use laconic::sim::scenario::Scenario;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_laconic");
/// Longer than any wait here needs, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A replica, and the test's socket for it.
struct Replica {
    child: Child,
    socket: UdpSocket,
    address: SocketAddr,
    /// The highest message number that the test has read from it.
    newest: u64,
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three replicas with black boxes. The test is their network.
struct Cluster {
    replicas: Vec<Replica>,
    folder: TempDir,
}

const IDS: [&str; 3] = ["0000", "0001", "0002"];

impl Cluster {
    fn start() -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        // After two resend timeouts a leader is out of touch and takes no put (rule R6), so make
        // them long.
        let fast = fs::read_to_string("profiles/fast.toml").unwrap();
        let patient = fast.replace("resend_timeout_us = 10_000", "resend_timeout_us = 300_000");
        assert_ne!(fast, patient);
        fs::write(folder.path().join("patient.toml"), patient).unwrap();
        let replicas = (0..3).map(|rank| launch(rank, folder.path())).collect();
        Cluster { replicas, folder }
    }

    fn read_box(&self, rank: usize) -> ReadBox {
        read_box(&self.folder.path().join(format!("{}.box", IDS[rank]))).unwrap()
    }

    /// Routes the messages that `may_pass` accepts, by sender, receiver and message, until a
    /// replica sends one that is `wanted`. Returns that replica's rank and the message.
    fn route_until(
        &mut self,
        may_pass: impl Fn(usize, usize, &Value) -> bool,
        wanted: impl Fn(&Value) -> bool,
    ) -> (usize, Value) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for from in 0..3 {
                let Some((bytes, message)) = self.replicas[from].receive() else { continue };
                let all = message["dst"] == "FFFF";
                let to = (0..3).filter(|to| *to != from && (all || message["dst"] == IDS[*to]));
                for to in to.filter(|to| may_pass(from, *to, &message)) {
                    self.send(to, &bytes);
                }
                if wanted(&message) {
                    return (from, message);
                }
            }
        }
        panic!("waited in vain");
    }

    fn send(&self, to: usize, bytes: &[u8]) {
        let replica = &self.replicas[to];
        // A dead replica takes nothing in.
        let _ = replica.socket.send_to(bytes, replica.address);
    }

    fn ask(&self, to: usize, client: &str, kind: &str, mid: &str) {
        let request = json!({
            "src": client, "dst": IDS[to], "leader": "FFFF", "type": kind, "MID": mid, "key": mid,
            "value": "v",
        });
        self.send(to, request.to_string().as_bytes());
    }

    /// Waits until the box of `rank` holds a fact that is `wanted`.
    fn await_fact(&self, rank: usize, wanted: impl Fn(Fact) -> bool) {
        let start = Instant::now();
        while !self.read_box(rank).records.iter().any(|record| wanted(record.fact)) {
            assert!(start.elapsed() < PATIENCE, "waited in vain");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn launch(rank: usize, boxes: &Path) -> Replica {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let others = IDS.iter().filter(|id| **id != IDS[rank]);
    let mut command = Command::new(PROGRAM);
    command.arg("replica").arg(port.to_string()).arg(IDS[rank]).args(others);
    command.env_remove("LACONIC_LOG").env_remove("LACONIC_OUT");
    command.env("LACONIC_PROFILE", boxes.join("patient.toml"));
    let child = command.env("LACONIC_BLACK_BOX", boxes).spawn().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (_, address) = socket.recv_from(&mut [0; 1_000]).expect("a hello");
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    Replica { child, socket, address, newest: 0 }
}

impl Replica {
    fn receive(&mut self) -> Option<(Vec<u8>, Value)> {
        let mut bytes = vec![0; 65_536];
        let (length, _) = self.socket.recv_from(&mut bytes).ok()?;
        bytes.truncate(length);
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        self.newest = self.newest.max(message["n"].as_u64().unwrap_or(0));
        Some((bytes, message))
    }

    fn end(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap();
    }
}

fn last_sent(records: &[Record]) -> u64 {
    let number = |record: &Record| match record.fact {
        Fact::Sent { number, .. } => Some(number),
        _ => None,
    };
    records.iter().rev().find_map(number).expect("something was sent")
}

fn postmortem(folder: &Path, json: bool) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("postmortem").arg(folder).args(json.then_some("--json")).output().unwrap()
}

#[test]
fn a_leader_killed_with_requests_in_flight_leaves_their_fate_in_the_boxes() {
    let mut cluster = Cluster::start();
    let ok = |mid: &'static str| move |m: &Value| m["type"] == "ok" && m["MID"] == mid;
    let everything = |_, _, _: &Value| true;
    let (leader, _) = cluster.route_until(everything, |m| m["leader"] == m["src"]);
    cluster.ask(leader, "0013", "put", "first");
    cluster.route_until(everything, ok("first"));
    // This put reaches one other replica, whose answer is lost. The later ones reach no replica.
    cluster.ask(leader, "0014", "put", "held");
    let carries = |m: &Value| m["entries"].to_string().contains("held");
    let to_others = |from, _, _: &Value| from == leader;
    let (_, append) = cluster.route_until(to_others, carries);
    let holder = IDS.iter().position(|id| append["dst"] == *id).expect("thrifty sends to one");
    let entries = append["entries"].as_array().unwrap().len() as u64;
    let index = append["previous"][1].as_u64().unwrap() + entries;
    cluster.await_fact(
        holder,
        |fact| matches!(fact, Fact::State(Event::Appended { last, .. }) if last >= index),
    );
    cluster.ask(leader, "0015", "put", "alone");
    cluster.ask(leader, "0016", "get", "alone");
    let asked_both = |cluster: &Cluster| {
        let records = cluster.read_box(leader).records;
        records.iter().filter(|record| matches!(record.fact, Fact::Asked { .. })).count() == 4
    };
    let start = Instant::now();
    while !asked_both(&cluster) {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
    cluster.replicas[leader].end(Signal::KILL);
    while cluster.replicas[leader].receive().is_some() {}

    let killed = cluster.read_box(leader);
    assert_eq!((killed.damaged_slots, killed.header.replicas), (0, 3));
    let (told, read) = (last_sent(&killed.records), cluster.replicas[leader].newest);
    assert!(read > 0 && told + 10 >= read && told <= read + 10, "{told} told, {read} read");

    let among_others = |from, to, _: &Value| from != leader && to != leader;
    let (next, _) = cluster.route_until(among_others, ok("held"));
    assert_eq!(next, holder, "rule R3: the entry outlives its leader");
    for rank in (0..3).filter(|rank| *rank != leader) {
        cluster.replicas[rank].end(Signal::TERM);
    }

    let output = postmortem(cluster.folder.path(), true);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["failure"]["replica"], IDS[leader]);
    assert_eq!(found["failure"]["kind"], "silent", "nobody tells of a kill");
    let term = append["term"].as_u64().unwrap();
    let led = &found["leaders"][0];
    assert_eq!((&led["replica"], &led["term"]), (&json!(IDS[leader]), &json!(term)));
    let state = &found["replicas"][leader];
    assert_eq!(state["last"], json!({"index": index + 1, "term": term}), "{found:#}");
    assert_eq!(state["commit"], json!(index - 1));
    assert_eq!(state["last_sent"], json!(told));
    assert_eq!(found["replicas"][holder]["last"], json!({"index": index, "term": term}));
    assert_eq!(found["next_leader"]["replica"], IDS[holder]);
    let in_flight = found["in_flight"].as_array().unwrap();
    let reply = |m: &&Value| m["kind"] == "append_reply" && m["from"] == IDS[holder];
    assert!(in_flight.iter().any(|m| reply(&m)), "{in_flight:?}");

    let requests = found["requests"].as_array().unwrap();
    let brief: Vec<_> = requests
        .iter()
        .map(|r| [&r["operation"], &r["client"], &r["state"], &r["later"]["fate"]])
        .collect();
    let at = |r: usize| (&requests[r]["entry"], &requests[r]["holders"], &requests[r]["later"]);
    let entry = |index: u64| json!({"index": index, "term": term});
    assert_eq!(requests.len(), 3, "{found:#}");
    assert_eq!(brief[0], ["put", "0014", "replicating", "answered"]);
    assert_eq!((at(0).0, at(0).1), (&entry(index), &json!([IDS[holder]])));
    assert_eq!((&at(0).2["by"], &at(0).2["outcome"]), (&json!(IDS[holder]), &json!("ok")));
    assert_eq!(brief[1][..2], ["put", "0015"]);
    assert_eq!(
        (at(1).0, at(1).2),
        (
            &entry(index + 1),
            &json!({"fate": "overwritten", "by_term": found["next_leader"]["term"]})
        )
    );
    assert_eq!(brief[2], ["get", "0016", "reading", "lost"]);

    let text = String::from_utf8(postmortem(cluster.folder.path(), false).stdout).unwrap();
    for words in [
        format!("Replica {} fell silent first", IDS[leader]),
        format!("It led in term {term}, elected"),
        format!("{} (term {term})", index + 1),
        "3 requests waited for an answer".to_owned(),
        format!("answered ok by {}", IDS[holder]),
        "lost with the replica: a read leaves no trace with others".to_owned(),
        "was committed in its place".to_owned(),
        format!("Replica {} led next", IDS[holder]),
    ] {
        assert!(text.contains(&words), "{words:?} in\n{text}");
    }
}

/// Five replicas, 1,500 requests in three seconds.
fn busy_scenario() -> Scenario {
    let mut scenario = Scenario::load("simple-2").unwrap();
    scenario.lifetime = Micros::from_seconds(3);
    scenario.start_wait = Micros::from_seconds(2);
    scenario.end_wait = Micros::from_seconds(1);
    scenario.requests = 1_500;
    scenario
}

/// Waits until the puts are under way, and kills the leader without warning.
fn kill_the_leader(out: &Path, pids: &Path) -> u8 {
    let start = Instant::now();
    let led_by = |path: PathBuf| {
        let read = read_box(&path).ok()?;
        let put = |r: &Record| matches!(r.fact, Fact::Answered { index: 50.., .. });
        read.records.iter().any(put).then_some(read.header.source)
    };
    let leader = loop {
        let boxes = (0..5).map(|rank| out.join(format!("boxes/{rank:04X}.box")));
        if let Some(leader) = boxes.filter_map(led_by).next() {
            break leader;
        }
        assert!(start.elapsed() < PATIENCE, "nobody answers");
        std::thread::sleep(Duration::from_millis(10));
    };
    let pid = fs::read_to_string(pids.join(leader.to_string())).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    leader.0
}

#[test]
fn a_kept_real_run_has_boxes_that_agree_with_its_records_and_outlive_sigkill() {
    let bench = tempfile::tempdir().unwrap();
    let (out, pids) = (bench.path().join("out"), bench.path().to_owned());
    let program = bench.path().join("program");
    let script =
        format!("#!/bin/sh\necho $$ >{}/$2\nexec {PROGRAM} replica \"$@\"\n", pids.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let options = RealOptions {
        seed: 4,
        program: Some(program),
        out: Some(out.clone()),
        precise: true,
        ..RealOptions::default()
    };
    let (watched, noted) = (out.clone(), pids.clone());
    let killer = std::thread::spawn(move || kill_the_leader(&watched, &noted));
    let real = run(&busy_scenario(), &options).unwrap();
    let leader = killer.join().unwrap();
    assert_eq!((real.conclusion.counts.died, real.conclusion.counts.killed), (1, 0));

    let read = |rank: u8| read_box(&out.join(format!("boxes/{rank:04X}.box"))).unwrap();
    let killed = read(leader);
    let newest_read = real.records.iter().filter_map(|record| match record.fact {
        Fact::Routed { from, number, .. } if from == Member(leader) => Some(number),
        _ => None,
    });
    let (told, newest_read) = (last_sent(&killed.records), newest_read.max().unwrap());
    assert!(told + 10 >= newest_read, "{told} told, {newest_read} read");
    for rank in (0..5).filter(|rank| *rank != leader) {
        let file = read_records(&out.join(format!("records/{rank:04X}.bin"))).unwrap();
        assert_eq!(read(rank).records, file.records, "both instruments saw the same");
        assert_eq!(read(rank).header.clock_start_us, file.header.clock_start_us);
    }
    // The killed replica's file lacks what was not written yet. Its box goes on where the file
    // ends.
    let file = read_records(&out.join(format!("records/{leader:04X}.bin"))).unwrap();
    assert!(killed.records.starts_with(&file.records));
    assert!(killed.records.len() > file.records.len());

    let output = postmortem(&out, true);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failure = &found["failure"];
    assert_eq!(
        (&failure["replica"], &failure["kind"]),
        (&json!(format!("{leader:04X}")), &json!("ended"))
    );
    let appended = killed.records.iter().rev().find_map(|record| match record.fact {
        Fact::State(Event::Appended { last, term, .. }) => Some((last, term)),
        _ => None,
    });
    let (index, term) = appended.unwrap();
    let state = &found["replicas"][usize::from(leader)];
    assert_eq!(state["last"], json!({"index": index, "term": term}));
    assert_eq!((&state["role"], &state["last_sent"]), (&json!("leader"), &json!(told)));
    assert_eq!(found["leaders"][0]["term"], json!(term));
    let waiting = open_requests(&killed.records);
    let requests = found["requests"].as_array().unwrap().iter();
    let named = requests.filter(|request| request["replica"] == failure["replica"]);
    let named: Vec<_> = named.map(|request| request["request"].as_str().unwrap()).collect();
    assert_eq!(named, waiting, "every request that was taken in and not answered");
}

/// The requests that were asked and not answered, in order.
fn open_requests(records: &[Record]) -> Vec<String> {
    let mut open = Vec::new();
    for record in records {
        match record.fact {
            Fact::Asked { request, .. } => open.push(format!("{request:016x}")),
            Fact::Answered { request, .. } => {
                open.retain(|other| *other != format!("{request:016x}"));
            }
            _ => {}
        }
    }
    open
}

#[test]
fn missing_foreign_and_truncated_boxes_are_a_line_each_and_the_rest_is_told() {
    let mut cluster = Cluster::start();
    cluster.route_until(|_, _, _| true, |m| m["leader"] == m["src"]);
    cluster.replicas.iter_mut().for_each(|replica| replica.end(Signal::TERM));
    let folder = cluster.folder.path();
    let whole = fs::read(folder.join("0002.box")).unwrap();
    let refused = |words: &[&str]| {
        let output = postmortem(folder, false);
        let lines = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), lines.lines().count()),
            (Some(2), words.len()),
            "{lines}"
        );
        for (line, words) in lines.lines().zip(words) {
            assert!(line.starts_with("laconic: ") && line.contains(words), "{words:?} in {lines}");
        }
        String::from_utf8(output.stdout).unwrap()
    };
    fs::write(folder.join("0002.box"), &whole[..100_000]).unwrap();
    assert!(refused(&["0002.box: 63975 slots are damaged or cut off"]).contains("\n0002 "));
    fs::write(folder.join("0002.box"), "something else").unwrap();
    let lines = ["0002.box: no black box", "no black box of the replica of rank 2"];
    assert!(refused(&lines).contains("\n0001 "));
    fs::remove_file(folder.join("0002.box")).unwrap();
    assert!(refused(&["no black box of the replica of rank 2"]).contains("\n0000 "));
    fs::remove_file(folder.join("0000.box")).unwrap();
    fs::remove_file(folder.join("0001.box")).unwrap();
    assert_eq!(refused(&["holds no black boxes"]), "");
    assert_eq!(postmortem(&folder.join("no-such"), false).status.code(), Some(2));
}

#[test]
fn a_folder_that_cannot_be_written_is_a_line_and_the_replica_serves_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "no folder").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let mut command = Command::new(PROGRAM);
    command.args(["replica", &port, "0000", "0001", "0002"]).stderr(Stdio::piped());
    let child = command.env("LACONIC_BLACK_BOX", &file).spawn().unwrap();
    let address = socket.recv_from(&mut [0; 1_000]).expect("a hello").1;
    let mut replica = Replica { child, socket, address, newest: 0 };
    // It starts a campaign, so it is serving.
    while replica.receive().expect("a pre-vote").1["type"] != "pre_vote" {}
    replica.end(Signal::TERM);
    let mut printed = String::new();
    replica.child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    let wanted = format!("LACONIC_BLACK_BOX: {}: ", file.display());
    assert!(printed.contains(&wanted) && printed.contains("serving on without it"), "{printed}");
}
