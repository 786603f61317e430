//! Span files of real replicas: what they hold, what a sample is, and what can go wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use laconic::archive::read_records;
use laconic::raft::Event;
use laconic::record::{Fact, Record, request_id};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_laconic");
const NAMES: [&str; 7] = ["receive", "decode", "step", "apply", "answer", "encode", "send"];

/// A span.
#[derive(Debug)]
struct Span {
    name: String,
    /// The names of the spans around this one.
    around: Vec<String>,
    args: Value,
}

impl Span {
    fn text(&self, key: &str) -> &str {
        self.args[key].as_str().unwrap_or_else(|| panic!("no {key}: {self:?}"))
    }

    /// The sampled MIDs that the span names.
    fn mids(&self) -> impl Iterator<Item = &str> {
        self.text("mid").split_terminator(' ')
    }

    fn is(&self, name: &str, kind: &str, mid: &str) -> bool {
        self.name == name
            && (kind.is_empty() || self.text("kind") == kind)
            && self.mids().any(|of| of == mid)
    }
}

/// The spans of a whole file, in the order of their ends.
fn spans_of(path: &Path) -> Vec<Span> {
    let text = fs::read_to_string(path).unwrap();
    let events: Vec<Value> = serde_json::from_str(&text).expect("a whole file");
    let (mut open, mut spans) = (Vec::<String>::new(), Vec::new());
    let mut last = 0.0;
    for event in events.iter().filter(|event| event["ph"] != "M") {
        let at = event["ts"].as_f64().unwrap();
        assert!(at >= last, "{event}");
        last = at;
        let name = event["name"].as_str().unwrap();
        match event["ph"].as_str().unwrap() {
            "B" => open.push(name.to_owned()),
            "E" => {
                assert_eq!(open.pop().as_deref(), Some(name));
                let (name, around) = (name.to_owned(), open.clone());
                spans.push(Span { name, around, args: event["args"].clone() });
            }
            "i" => assert_eq!(name, "anchor"),
            other => panic!("{other}: {event}"),
        }
    }
    assert_eq!(open, [""; 0]);
    spans
}

/// A short real run of five replicas.
struct Run {
    folder: TempDir,
    spans: Vec<Vec<Span>>,
    records: Vec<Vec<Record>>,
}

impl Run {
    fn with(sampling: &str, profile: &str) -> Run {
        let folder = tempfile::tempdir().unwrap();
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/short.json");
        let mut command = Command::new(PROGRAM);
        command.arg("sim").arg(scenario).args(["--real", "--seed", "1", "--out", "run"]);
        command.args(["--profile", profile]);
        command.env("LACONIC_SPANS", sampling).current_dir(folder.path());
        let output = command.output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        let path = |what: &str, rank: u8| folder.path().join(format!("run/{what}/{rank:04X}"));
        let spans = (0..5).map(|rank| spans_of(&path("spans", rank).with_extension("json")));
        let spans = spans.collect();
        let records = |rank| read_records(&path("records", rank).with_extension("bin")).unwrap();
        let records = (0..5).map(|rank| records(rank).records).collect();
        Run { folder, spans, records }
    }

    /// All answered requests: the replica that answered, the MID, and whether it was a put answered
    /// ok.
    fn answered(&self) -> Vec<(usize, String, bool)> {
        let history = fs::read_to_string(self.folder.path().join("run/history.jsonl")).unwrap();
        let lines = history.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let answered = lines.filter_map(|line| {
            let mid = line["mid"].as_str().unwrap().to_owned();
            let asked = request_id(&mid);
            let is = |record: &Record| {
                matches!(record.fact, Fact::Answered { request, .. } if request == asked)
            };
            let rank = self.records.iter().position(|records| records.iter().any(is))?;
            Some((rank, mid, line["operation"] == "put" && line["answer"] == "ok"))
        });
        answered.collect()
    }
}

fn counts<T: Ord>(of: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    of.for_each(|one| *counts.entry(one).or_default() += 1);
    counts
}

#[test]
fn with_all_in_the_sample_spans_and_records_tell_the_same() {
    let run = Run::with("1", "course");
    let mut wakes = 0;
    for (spans, records) in run.spans.iter().zip(&run.records) {
        let names: BTreeSet<&str> = spans.iter().map(|span| &*span.name).collect();
        assert_eq!(names, NAMES.into(), "every name, and no other");
        let steps = spans.iter().filter(|span| span.name == "step");
        let mut kinds = counts(steps.map(|span| span.text("kind")));
        wakes += kinds.remove("wake").unwrap_or(0);
        let recorded = records.iter().filter_map(|record| match record.fact {
            Fact::Received { kind, .. } => Some(kind.name()),
            Fact::Asked { operation, .. } => Some(operation.name()),
            Fact::Garbage { .. } => Some("garbage"),
            _ => None,
        });
        assert_eq!(kinds, counts(recorded), "a step for each that came");
        let named = |name: &str| spans.iter().filter(|span| span.name == name).count();
        let facts = |is: fn(&Fact) -> bool| records.iter().filter(|it| is(&it.fact)).count();
        assert_eq!(named("answer"), facts(|fact| matches!(fact, Fact::Answered { .. })));
        let sent = |fact: &Fact| matches!(fact, Fact::Answered { .. } | Fact::Sent { .. });
        // The replica's hello belongs to no step, so it is not among these spans.
        assert_eq!(named("encode"), facts(sent));
        assert_eq!(named("send"), named("encode"));
        assert_eq!(named("receive"), named("decode"));
        let committed = records.iter().filter_map(|record| match record.fact {
            Fact::State(Event::Committed { through }) => Some(through),
            _ => None,
        });
        let applied = spans.iter().filter(|span| span.name == "apply");
        let applied: Vec<u64> = applied.map(|span| span.text("index").parse().unwrap()).collect();
        assert_eq!(applied, (1..=committed.max().unwrap()).collect::<Vec<_>>());
    }
    assert!(wakes > 10, "a leader's heartbeats");
    let all = || run.spans.iter().flatten();
    let within = |name: &str, outer: &[&str]| {
        all()
            .filter(|span| span.name == name)
            .all(|span| outer.iter().all(|o| span.around.contains(&(*o).to_owned())))
    };
    assert!(
        within("decode", &["receive"]) && within("apply", &["step"]) && within("answer", &["step"])
    );
    let replies = all().filter(|span| span.name == "step" && span.text("kind") == "append_reply");
    assert!(replies.filter(|span| span.text("term") == "1").count() > 20);
}

#[test]
fn a_sampled_request_is_whole_and_others_leave_nothing() {
    // Everyone hears heartbeats, and so of the last commits too.
    let run = Run::with("1/3", "fast");
    let is_sampled = |mid: &str| request_id(mid).is_multiple_of(3);
    for span in run.spans.iter().flatten() {
        // All that happens in a sampled step has spans, whichever request it is for.
        let of_a_step = span.around.contains(&"step".to_owned());
        assert!(of_a_step || span.mids().all(is_sampled), "{span:?}");
    }
    let answered = run.answered();
    let (mut sampled, mut puts) = (0, 0);
    for (rank, mid, put) in answered.iter().filter(|(_, mid, _)| is_sampled(mid)) {
        let has = |spans: &[Span], name, kind| spans.iter().any(|span| span.is(name, kind, mid));
        let asked = if has(&run.spans[*rank], "step", "put") { "put" } else { "get" };
        for (name, kind) in [
            ("receive", ""),
            ("decode", ""),
            ("step", asked),
            ("answer", ""),
            ("encode", "answer"),
            ("send", "answer"),
        ] {
            assert!(has(&run.spans[*rank], name, kind), "{mid}: {name} {kind}");
        }
        sampled += 1;
        if *put {
            puts += 1;
            let whole = |spans: &&Vec<Span>| {
                let names = [("receive", ""), ("decode", ""), ("step", "append"), ("apply", "")];
                names.iter().all(|(name, kind)| has(spans, name, kind))
            };
            assert!(run.spans.iter().filter(whole).count() >= 2, "{mid}: followers");
            for (name, kind) in [("encode", "append"), ("send", "append"), ("apply", "")] {
                assert!(has(&run.spans[*rank], name, kind), "{mid}: {name} {kind}");
            }
        }
    }
    assert!(sampled >= 5 && sampled * 2 < answered.len() && puts >= 2, "{sampled} {puts}");
    for (spans, records) in run.spans.iter().zip(&run.records) {
        let received = records.iter().filter_map(|record| match record.fact {
            Fact::Received { kind, .. } => Some(kind.name()),
            _ => None,
        });
        let all = counts(received);
        let steps = spans.iter().filter(|span| span.name == "step" && span.text("mid").is_empty());
        let steps = counts(steps.map(|span| span.text("kind")));
        for (kind, count) in all {
            let spanned = steps.get(kind).copied().unwrap_or(0);
            assert!((1..=count.div_ceil(3)).contains(&spanned), "{kind}: {spanned} of {count}");
        }
    }
}

#[test]
fn a_file_that_is_torn_is_drawn_up_to_there_and_a_foreign_one_is_named() {
    let run = Run::with("1", "course");
    let folder = run.folder.path();
    let path = |rank: u8| folder.join(format!("run/spans/{rank:04X}.json"));
    let drawn = |status: i32| {
        let mut command = Command::new(PROGRAM);
        let output = command.args(["trace", "run"]).current_dir(folder).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let trace = fs::read(folder.join("trace.json")).unwrap();
        let trace: Value = serde_json::from_slice(&trace).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let of = |rank: u8| {
            let name = format!("{rank:04X} spans");
            let track = events.iter().find(|event| event["args"]["name"] == *name);
            let is = |event: &&Value| {
                track.is_some_and(|track| track["tid"] == event["tid"])
                    && event["args"]["mid"].is_string()
            };
            events.iter().filter(is).count()
        };
        ([0, 1, 2].map(of), String::from_utf8(output.stderr).unwrap())
    };
    let (whole, printed) = drawn(0);
    assert_eq!((&whole.map(|count| count > 50), printed.as_str()), (&[true; 3], ""));
    let text = fs::read(path(0)).unwrap();
    fs::write(path(0), &text[..text.len() / 2]).unwrap();
    fs::write(path(1), "").unwrap();
    let ([torn, empty, third], printed) = drawn(0);
    assert!(torn > 20 && torn < whole[0] && empty == 0 && third == whole[2], "{torn}");
    assert_eq!(printed, "");
    fs::write(path(2), "{}\n").unwrap();
    let (counts, printed) = drawn(2);
    assert_eq!((counts[2], printed.lines().count()), (0, 1));
    assert!(printed.contains("spans/0002.json: no span file"), "{printed}");
}

/// Runs a replica with this environment until it has said hello and `meanwhile` is done. Then
/// SIGTERM ends it.
fn serve(environment: &[(&str, &Path)], meanwhile: impl FnOnce(&UdpSocket)) -> (Output, Duration) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let mut command = Command::new(PROGRAM);
    command.args(["replica", &port, "0001", "0000", "0002"]).env_remove("LACONIC_LOG");
    command.envs(environment.iter().copied()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let hello = socket.recv_from(&mut [0; 1_000]);
    if let Ok((_, address)) = &hello {
        socket.connect(address).unwrap();
        meanwhile(&socket);
    }
    let start = Instant::now();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(hello.is_ok(), "{output:?}");
    (output, start.elapsed())
}

fn sampling(text: &str) -> (&str, &Path) {
    ("LACONIC_SPANS", Path::new(text))
}

#[test]
fn sigterm_leaves_a_whole_file() {
    let out = tempfile::tempdir().unwrap();
    let environment = [("LACONIC_OUT", out.path()), sampling("1")];
    let (output, took) = serve(&environment, |socket| {
        for _ in 0..200 {
            socket.send(b"{\"type\": \"nothing\"}").unwrap();
        }
        std::thread::sleep(Duration::from_millis(300));
    });
    println!("exited after {took:?}");
    assert!(output.status.success(), "{output:?}");
    let spans = spans_of(&out.path().join("spans/0001.json"));
    let garbage = spans.iter().filter(|span| span.name == "step" && span.text("kind") == "garbage");
    assert_eq!(garbage.count(), 200);
}

/// A span that is in the file while the replica runs is not lost by SIGKILL.
#[test]
fn spans_are_written_while_the_replica_runs() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("spans/0001.json");
    let environment = [("LACONIC_OUT", out.path()), sampling("1")];
    serve(&environment, |socket| {
        socket.send(b"{\"type\": \"nothing\"}").unwrap();
        let start = Instant::now();
        let written = || fs::read_to_string(&file).unwrap_or_default();
        while !written().contains("\"kind\":\"garbage\"") {
            assert!(start.elapsed() < Duration::from_secs(20), "no span was written");
            std::thread::sleep(Duration::from_millis(20));
        }
        // A buffer that is only written when it is full would have written twice as much.
        assert!(written().len() < 4_096, "{}", written());
    });
}

#[test]
fn what_stands_in_the_way_is_one_line_and_the_replica_serves() {
    let full = tempfile::tempdir().unwrap();
    fs::create_dir(full.path().join("spans")).unwrap();
    symlink("/dev/full", full.path().join("spans/0001.json")).unwrap();
    let blocked = tempfile::tempdir().unwrap();
    fs::write(blocked.path().join("spans"), "a file").unwrap();
    for out in [full.path(), blocked.path()] {
        let (output, _) = serve(&[("LACONIC_OUT", out), sampling("1")], |_| {});
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), printed.lines().count()), (Some(0), 1), "{printed}");
        let path: PathBuf = out.join("spans/0001.json");
        let wanted = format!("LACONIC_SPANS: {}: ", path.display());
        assert!(printed.contains(&wanted) && printed.contains("serving on"), "{printed}");
    }
    for (out, text, named) in [("out", "1/0", "\"1/0\" is neither"), ("", "1", "LACONIC_OUT")] {
        let mut command = Command::new(PROGRAM);
        command.args(["replica", "4000", "0001", "0000"]).current_dir(full.path());
        command.env("LACONIC_OUT", out).env("LACONIC_SPANS", text);
        let output = command.output().unwrap();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), printed.lines().count()), (Some(2), 1), "{printed}");
        assert!(printed.contains(named), "{printed}");
    }
}
