//! One replica as a process: its endpoint is read-only and bounded, and the replica runs on without
//! an instrument that it cannot open.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use laconic::metrics::exposition::samples;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{ask, assert_as_registered, get, get_with};

/// Replica `0001` of three, which has said hello.
struct Running {
    child: Child,
    /// The simulator's end, until the test closes it.
    socket: Option<UdpSocket>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(address: &str, out: &Path) -> Running {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let port = socket.local_addr().unwrap().port().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_laconic"));
        command.args(["replica", &port, "0001", "0002", "0000"]).stderr(Stdio::piped());
        command.env_remove("LACONIC_PROFILE").env_remove("LACONIC_LOG");
        command.env("LACONIC_METRICS_ADDRESS", address).env("LACONIC_OUT", out);
        let child = command.spawn().unwrap();
        let running = Running { child, socket: Some(socket) };
        let socket = running.socket.as_ref().unwrap();
        let (_, address) = socket.recv_from(&mut [0; 1_000]).expect("a hello");
        socket.connect(address).unwrap();
        running
    }

    /// Stops the replica. Returns how it ended and what it had printed.
    fn stop(mut self) -> (ExitStatus, String) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        let mut printed = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
        (status, printed)
    }
}

fn announced(out: &Path) -> String {
    fs::read_to_string(out.join("0001.address")).unwrap().trim().to_owned()
}

#[test]
fn it_serves_metrics_status_and_health_and_nothing_else() {
    let out = TempDir::new().unwrap();
    let replica = Running::start("0", out.path());
    let address = announced(out.path());
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    assert_as_registered(&get(&address, "/metrics").unwrap(), false);
    assert_eq!(get(&address, "/healthz").unwrap(), "ok\n");
    let status: Value = serde_json::from_str(&get(&address, "/status").unwrap()).unwrap();
    assert_eq!((&status["id"], &status["role"]), (&"0001".into(), &"follower".into()));
    assert_eq!(status["tuning"]["heartbeat_interval_us"], 1_100_000);

    let refused = |request: &[u8], answer: &str| {
        let text = ask(&address, request).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {answer}")), "{text}");
    };
    refused(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404");
    refused(b"POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405");
    refused(b"nonsense\r\n\r\n", "400");
    let long = format!("GET /metrics?{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
    refused(long.as_bytes(), "4");
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100));
    refused(many.as_bytes(), "431");
    assert_eq!(get(&address, "/healthz").unwrap(), "ok\n");
    let (status, printed) = replica.stop();
    assert!(status.success() && printed.is_empty(), "{status} {printed}");
    assert!(out.path().join("0001.prom").exists());
}

/// Both formats hold the same samples, and clients that accept gzip get them compressed.
#[test]
fn it_serves_what_is_asked_for_by_format_and_encoding() {
    let out = TempDir::new().unwrap();
    let replica = Running::start("0", out.path());
    let address = announced(out.path());
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let (head, body) = get_with(&address, "/metrics", accept).unwrap();
    let open_metrics = String::from_utf8(body).unwrap();
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.contains(kind), "{head}");
    assert!(open_metrics.ends_with("\n# EOF\n"), "{open_metrics}");
    assert!(open_metrics.contains("# TYPE laconic_elections counter\nlaconic_elections_total{"));
    assert!(open_metrics.contains("# UNIT laconic_commit_latency_seconds seconds\n"));

    let (head, text) = get_with(&address, "/metrics", "Accept: */*\r\n").unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains("vary: accept, accept-encoding"), "{head}");
    assert!(!head.contains("content-encoding") && !text.contains("# EOF"), "{head}");
    let names = |text: &str| samples(text).map(|(series, _)| series).collect::<Vec<_>>();
    assert_eq!(names(&text), names(&open_metrics));

    let headers = format!("{accept}Accept-Encoding: gzip\r\n");
    let (head, zipped) = get_with(&address, "/metrics", &headers).unwrap();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(zipped.len() * 5 < open_metrics.len(), "{} {}", zipped.len(), open_metrics.len());
    let mut unzipped = String::new();
    flate2::read::GzDecoder::new(&*zipped).read_to_string(&mut unzipped).unwrap();
    assert_eq!(names(&unzipped), names(&open_metrics));
    // Compression must not make a short text longer.
    let (head, body) = get_with(&address, "/healthz", "Accept-Encoding: gzip\r\n").unwrap();
    assert!(body == b"ok\n" && !head.contains("content-encoding"), "{head}");
    replica.stop();
}

/// The figures of the process are those of the moment of the scrape.
#[cfg(target_os = "linux")]
#[test]
fn it_tells_of_its_process() {
    let out = TempDir::new().unwrap();
    let replica = Running::start("0", out.path());
    let text = get(&announced(out.path()), "/metrics").unwrap();
    let figure = |name: &str| samples(&text).find(|(series, _)| series.name == name).unwrap().1;
    assert!(figure("process_resident_memory_bytes") > 1e6);
    // Open are both sockets, to the simulator and of this connection, stderr, and some of the
    // runtime.
    assert!((4.0..100.0).contains(&figure("process_open_fds")));
    assert!((0.0..60.0).contains(&figure("process_cpu_seconds_total")));
    replica.stop();
}

/// Clients that connect and send nothing, or only a part, keep no other client out: neither when
/// they are many, nor when they come back as soon as they are dropped.
#[test]
fn a_scrape_beside_a_thousand_idle_connections_is_answered() {
    let out = TempDir::new().unwrap();
    let replica = Running::start("0", out.path());
    let address = announced(out.path());
    let connect = |place: usize| {
        let mut stream = TcpStream::connect(&address).unwrap();
        if place.is_multiple_of(2) {
            // It may have been dropped already.
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
        }
        stream
    };
    let mut idle: VecDeque<TcpStream> = (0..1_000).map(connect).collect();
    for round in 0..5 {
        assert!(get(&address, "/metrics").is_some(), "scrape {round}");
        for place in 0..200 {
            idle.pop_front();
            idle.push_back(connect(place));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(idle);
    let (status, printed) = replica.stop();
    assert!(status.success() && printed.is_empty(), "{status} {printed}");
}

/// A request must come within a second. The answer may take longer.
#[test]
fn a_request_that_trickles_in_is_not_waited_for() {
    let out = TempDir::new().unwrap();
    let replica = Running::start("0", out.path());
    let mut stream = TcpStream::connect(announced(out.path())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for piece in "GET /healthz HTTP/1.1|\r\n|Host: |x\r\n|A: |b\r\n|C: |d\r\n|\r\n".split('|') {
        std::thread::sleep(Duration::from_millis(500));
        // It may be closed by now.
        let _ = stream.write_all(piece.as_bytes());
    }
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(!answer.contains("200 OK"), "{answer}");
    replica.stop();
}

/// Gauges are those of the moment of the scrape, even if nothing happens in the replica.
#[test]
fn a_scrape_sees_the_replica_as_it_is_now() {
    let out = TempDir::new().unwrap();
    let replica = Running::start("0", out.path());
    let figure = |name: &str| {
        let text = get(&announced(out.path()), "/metrics").unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap();
        line.split_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    // The other replicas never start, so there is no leader.
    let leaderless = || figure("laconic_leaderless_seconds_total");
    let first = leaderless();
    std::thread::sleep(Duration::from_millis(100));
    assert!(leaderless() >= first + 0.1);
    let started = UNIX_EPOCH + Duration::from_secs_f64(figure("process_start_time_seconds"));
    assert!(SystemTime::now().duration_since(started).unwrap() < Duration::from_secs(60));
    replica.stop();
}

/// These counters are the one thing on the dashboards that no run of replicas moves.
#[test]
fn datagrams_that_cannot_be_used_are_counted_by_reason() {
    let out = TempDir::new().unwrap();
    let replica = Running::start("0", out.path());
    let stranger = &br#"{"src":"0009","dst":"0001","leader":"FFFF","type":"append"}"#[..];
    for bytes in [b"{", b"{", b"{", stranger] {
        replica.socket.as_ref().unwrap().send(bytes).unwrap();
    }
    let start = Instant::now();
    let counted = loop {
        let text = get(&announced(out.path()), "/metrics").unwrap();
        let dropped = samples(&text).filter(|(series, count)| {
            series.name == "laconic_datagrams_dropped_total" && *count > 0.0
        });
        let counted: Vec<(String, f64)> =
            dropped.map(|(series, count)| (series.labels, count)).collect();
        if counted.iter().map(|(_, count)| count).sum::<f64>() >= 4.0 {
            break counted;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{counted:?}");
    };
    assert_eq!(counted.len(), 2, "{counted:?}");
    assert!(
        counted.contains(&("replica=\"0001\",reason=\"malformed\"".into(), 3.0)),
        "{counted:?}"
    );
    replica.stop();
}

/// No answer could reach anybody, so the replica takes no more steps and its last figures stay.
#[test]
fn a_replica_whose_socket_the_simulator_has_closed_steps_no_more() {
    let out = TempDir::new().unwrap();
    let mut replica = Running::start("0", out.path());
    replica.socket = None;
    let sent = || {
        let text = get(&announced(out.path()), "/metrics").unwrap();
        let samples = samples(&text).filter(|(series, _)| series.name.ends_with("_sent_total"));
        samples.map(|(_, count)| count).sum::<f64>()
    };
    let start = Instant::now();
    // The replica notices the closed socket when it first campaigns.
    while sent() == 0.0 {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(50));
    }
    // On a busy machine it may notice only when it asks for votes again. That is still before its
    // next campaign, 1.3 s later.
    std::thread::sleep(Duration::from_millis(1_000));
    let (last, role) = (sent(), get(&announced(out.path()), "/status").unwrap());
    // Longer than two election timeouts.
    std::thread::sleep(Duration::from_millis(4_500));
    assert_eq!(sent(), last, "{role}");
    let (status, _) = replica.stop();
    assert!(status.success());
}

/// Each costs one clear line, and the replica goes on without that instrument.
#[test]
fn a_port_in_use_and_a_file_that_cannot_be_written_cost_one_line_each() {
    let out = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fs::create_dir(out.path().join("0001.prom")).unwrap();
    let (status, printed) = Running::start(&address, out.path()).stop();
    assert!(status.success(), "{status}");
    let lines: Vec<&str> = printed.lines().collect();
    let [port, file] = lines.as_slice() else { panic!("{printed}") };
    assert!(port.contains(&format!("LACONIC_METRICS_ADDRESS: {address}: Address already in use")));
    assert!(file.contains("0001.prom: Is a directory"), "{file}");
    assert!(lines.iter().all(|line| line.ends_with("serving on without it")), "{printed}");
}

/// An address may have a host's name. An unknown name costs one line, like a port in use.
#[test]
fn a_host_may_be_named_and_one_that_is_not_known_costs_one_line() {
    let out = TempDir::new().unwrap();
    let replica = Running::start("localhost:0", out.path());
    assert_eq!(get(&announced(out.path()), "/healthz").unwrap(), "ok\n");
    replica.stop();
    let (status, printed) = Running::start("no-such-host.invalid:0", out.path()).stop();
    assert!(status.success() && printed.lines().count() == 1, "{printed}");
    assert!(printed.contains("LACONIC_METRICS_ADDRESS: no-such-host.invalid:0: "), "{printed}");
}

#[test]
fn an_address_that_is_none_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_laconic"));
    command.args(["replica", "4000", "0000", "0001"]).env("LACONIC_METRICS_ADDRESS", "here");
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let line = "laconic replica: LACONIC_METRICS_ADDRESS: must be PORT, IP:PORT or HOST:PORT, \
                not \"here\"\n";
    assert_eq!(printed, line);
}
