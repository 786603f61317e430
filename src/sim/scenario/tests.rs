//! For each rule of interface §3 a file that breaks it, and a comparison of the built-in files with
//! the table of interface §6.

use super::*;

const SMALLEST: &str = r#"{
  "lifetime": 5, "replicas": 3, "requests": 1,
  "tests": {"benchmarks": {"total_msgs": [1, 2, 3], "failures": [0, 1, 2],
                           "duplicates": [0, 1, 2], "median_latency": [0.001, 0.002, 0.003]}}
}"#;

/// The smallest scenario, with `from` replaced by `to`.
fn changed(from: &str, to: &str) -> String {
    assert!(SMALLEST.contains(from), "{from:?} is not in the file");
    SMALLEST.replacen(from, to, 1)
}

/// The smallest scenario, with one more key at the top.
fn with(entry: &str) -> String {
    changed("\"lifetime\": 5", &format!("\"lifetime\": 5, {entry}"))
}

fn parse(text: &str) -> Scenario {
    Scenario::parse("small", "small.json", text).unwrap()
}

fn refusal(text: &str) -> String {
    let line = Scenario::parse("small", "small.json", text).unwrap_err().to_string();
    assert!(!line.contains('\n') && line.is_ascii(), "{line:?}");
    line
}

#[test]
fn keys_left_out_have_the_defaults_of_interface_3() {
    let scenario = parse(SMALLEST);
    assert_eq!(scenario.name, "small");
    assert_eq!(scenario.mix, 0.8);
    assert_eq!(scenario.start_wait, Micros::from_seconds(5));
    assert_eq!(scenario.end_wait, Micros::from_seconds(2));
    assert_eq!(scenario.drops, 0.0);
    assert_eq!(scenario.seed, None);
    assert_eq!(scenario.max_packets, 20_000);
    assert_eq!(scenario.events, []);
    assert_eq!(scenario.tests.maximum_get_fail_fraction, 0.5);
    assert_eq!(scenario.tests.maximum_put_fail_fraction, 0.5);
    assert_eq!(scenario.tests.maximum_get_generation_fail_fraction, 0.1);
    assert_eq!(scenario.tests.maximum_appends_batched_fraction, 0.5);
    assert!(!scenario.shared_keys && scenario.pace);
    assert_eq!(scenario.network, Network::default());
    assert!(scenario.clock_drift_ppm.is_empty());
    assert_eq!(scenario.duration(), Micros::from_seconds(12));
}

#[test]
fn keys_given_are_read() {
    let scenario = parse(&with(
        r#""mix": 0.25, "start_wait": 1.5, "end_wait": 0, "drops": 0.1,
        "seed": 18446744073709551615,
        "max_packets": 900000, "shared_keys": true, "pace": false, "clock_drift_ppm": [200, -300],
        "network":
            {"duplicates": 0.01, "one_way_ms": 50, "delayed": 0.02, "delay_max_ms": 2.5},
        "events": [{"type": "cut_leader", "time": 5}, {"type": "part_end", "time": 0.25}]"#,
    ));
    assert_eq!(scenario.mix, 0.25);
    assert_eq!(scenario.start_wait, Micros::from_millis(1_500));
    assert_eq!(scenario.end_wait, Micros(0));
    assert_eq!(scenario.drops, 0.1);
    assert_eq!(scenario.seed, Some(u64::MAX));
    assert_eq!(scenario.max_packets, 900_000);
    assert!(scenario.shared_keys && !scenario.pace);
    assert_eq!(scenario.clock_drift_ppm, [200, -300]);
    let network = Network {
        duplicates: 0.01,
        one_way: Micros(50_000),
        delayed: 0.02,
        delay_max: Micros(2_500),
        faults: Vec::new(),
    };
    assert_eq!(scenario.network, network);
    let end = Event { kind: EventKind::PartEnd, at: Micros::from_millis(250) };
    let cut = Event { kind: EventKind::CutLeader, at: Micros::from_seconds(5) };
    assert_eq!(scenario.events, [end, cut], "in order of time");
}

#[test]
fn an_event_after_the_last_request_is_a_warning_that_says_whether_it_fires() {
    let events = r#""end_wait": 2, "events": [{"type": "part_end", "time": 5},
        {"type": "part_easy", "time": 5.5}, {"type": "kill_leader", "time": 7.5}]"#;
    let (scenario, warnings) =
        Scenario::parse_noting("small", "small.json", &with(events)).unwrap();
    assert_eq!(scenario.events.len(), 3);
    let told: Vec<String> =
        warnings.iter().map(|warning| format!("{warning} ({})", warning.remedy())).collect();
    let expected = [
        "small.json: events: part_easy at 5.5 s is after the last request \
         (it fires when nothing is asked any more)",
        "small.json: events: kill_leader at 7.5 s is after the last request (it never fires)",
    ];
    assert_eq!(told, expected);
}

#[test]
fn unknown_keys_are_ignored_at_any_level() {
    let text = SMALLEST
        .replacen("{\n", "{ \"maximum_get_generation_fail_fraction\": 7, \"x\": [],\n", 1)
        .replacen("\"benchmarks\": {", "\"x\": 1, \"benchmarks\": {\"x\": null, ", 1);
    let event = r#""events": [{"type": "part_end", "time": 1, "x": {}}], "network": {"x": 1}"#;
    let text = text.replacen("\"lifetime\"", &format!("{event}, \"lifetime\""), 1);
    let scenario = Scenario { events: Vec::new(), ..parse(&text) };
    assert_eq!(scenario, parse(SMALLEST));
    let (_, unknown) = Scenario::parse_noting("small", "small.json", &text).unwrap();
    let key = |warning: &Warning| match warning {
        Warning::UnknownKey { key, .. } => key.clone(),
        other => panic!("{other}"),
    };
    let keys: Vec<String> = unknown.iter().map(key).collect();
    assert_eq!(keys, ["events[0].x", "network.x", "tests.benchmarks.x", "tests.x", "x"]);
}

#[test]
fn a_file_that_breaks_a_rule_is_refused_with_file_key_and_rule() {
    let lists = r#""failures": [0, 1, 2]"#;
    let cases = [
        (changed("\"lifetime\": 5, ", ""), "lifetime: is missing"),
        (changed("5", "4"), "lifetime: must be an integer from 5 to 1000000, not 4"),
        (changed("5", "5.0"), "lifetime: must be an integer from 5 to 1000000, not 5.0"),
        (changed("5", "\"30\""), "lifetime: must be an integer from 5 to 1000000, not \"30\""),
        (changed("5", "true"), "lifetime: must be an integer from 5 to 1000000, not true"),
        (changed("\"replicas\": 3, ", ""), "replicas: is missing"),
        (changed("3,", "2,"), "replicas: must be an integer from 3 to 21, not 2"),
        (changed("3,", "22,"), "replicas: must be an integer from 3 to 21, not 22"),
        (changed("\"requests\": 1,", ""), "requests: is missing"),
        (
            changed("\"requests\": 1", "\"requests\": 0"),
            "requests: must be an integer from 1 to 900000, not 0",
        ),
        (
            changed("\"requests\": 1", "\"requests\": 20001"),
            "max_packets: its default 20000 is too low for 20001 requests",
        ),
        (with("\"max_packets\": 0"), "max_packets: must be an integer from 1 to 900000, not 0"),
        (
            with("\"max_packets\": 900001"),
            "max_packets: must be an integer from 1 to 900000, not 900001",
        ),
        (with("\"mix\": 1.01"), "mix: must be a number from 0 to 1, not 1.01"),
        (with("\"drops\": -0.1"), "drops: must be a number from 0 to 1, not -0.1"),
        (with("\"start_wait\": 5.1"), "start_wait: must be a number from 0 to 5, not 5.1"),
        (with("\"end_wait\": -1"), "end_wait: must be a number from 0 to 5, not -1"),
        (with("\"seed\": -1"), "seed: must be an integer from 0 to 18446744073709551615, not -1"),
        (with("\"events\": {}"), "events: must be a list, not an object"),
        (with("\"events\": [7]"), "events[0]: must be an object, not 7"),
        (with(r#""events": [{"time": 1}]"#), "events[0].type: is missing"),
        (with(r#""events": [{"type": "part_end"}]"#), "events[0].time: is missing"),
        (
            with(r#""events": [{"type": "part_end", "time": -0.5}]"#),
            "events[0].time: must be a number from 0 to 1000000, not -0.5",
        ),
        (
            with(r#""events": [{"type": "flood", "time": 1}]"#),
            "events[0].type: must be one of kill_leader, kill_non_leader, part_easy, part_hard, \
             part_end, cut_leader, not \"flood\"",
        ),
        (changed("\"tests\"", "\"test\""), "tests: is missing"),
        (changed("\"benchmarks\"", "\"benchmark\""), "tests.benchmarks: is missing"),
        (changed("\"total_msgs\"", "\"total\""), "tests.benchmarks.total_msgs: is missing"),
        (changed("\"failures\"", "\"fail\""), "tests.benchmarks.failures: is missing"),
        (changed("\"duplicates\"", "\"dup\""), "tests.benchmarks.duplicates: is missing"),
        (changed("\"median_latency\"", "\"mean\""), "tests.benchmarks.median_latency: is missing"),
        (
            changed(lists, r#""failures": [0, 1]"#),
            "tests.benchmarks.failures: must be a list of three numbers",
        ),
        (
            changed(lists, r#""failures": [0, 1, "2"]"#),
            "tests.benchmarks.failures: must be a list of three numbers",
        ),
        (changed(lists, r#""failures": 3"#), "tests.benchmarks.failures: must be a list, not 3"),
        (
            changed("\"benchmarks\"", "\"maximum_put_fail_fraction\": 1.5, \"benchmarks\""),
            "tests.maximum_put_fail_fraction: must be a number from 0 to 1, not 1.5",
        ),
        (with("\"shared_keys\": 1"), "shared_keys: must be true or false, not 1"),
        (with("\"pace\": \"slow\""), "pace: must be true or false, not \"slow\""),
        (with("\"network\": []"), "network: must be an object, not a list"),
        (
            with("\"network\": {\"delayed\": 2}"),
            "network.delayed: must be a number from 0 to 1, not 2",
        ),
        (
            with("\"clock_drift_ppm\": [0, 0, 0, 0]"),
            "clock_drift_ppm: must have at most one entry a replica, not 4",
        ),
        (
            with("\"clock_drift_ppm\": [0, -500001]"),
            "clock_drift_ppm[1]: must be an integer from -500000 to 500000, not -500001",
        ),
        ("[]".to_owned(), "the file: must be an object, not a list"),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(&text), format!("small.json: {expected}"));
    }
}

#[test]
fn malformed_json_is_refused_with_its_line() {
    let line = refusal(&changed("\"lifetime\": 5", "\"lifetime\": 5;"));
    assert!(line.starts_with("small.json: not JSON: "), "{line}");
    assert!(line.contains("line 2 column 16"), "{line}");
}

#[test]
fn a_scenario_is_loaded_by_name_or_by_path() {
    assert_eq!(Scenario::load("crash-1").unwrap(), Scenario::embedded("crash-1").unwrap().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.json");
    std::fs::write(&path, SMALLEST).unwrap();
    assert_eq!(Scenario::load(path.to_str().unwrap()).unwrap().name, "mine");
    let line = Scenario::load("simple-3").unwrap_err().to_string();
    assert!(
        line.starts_with("no scenario and no file \"simple-3\"; embedded are simple-1, "),
        "{line}"
    );
    assert!(line.ends_with("advanced-4, large, lossy, wan, did you mean simple-1?"), "{line}");
    let line = Scenario::load(folder.path().to_str().unwrap()).unwrap_err().to_string();
    assert!(line.contains(": cannot be read: "), "{line}");
}

#[test]
fn the_traffic_floor_counts_configured_requests() {
    let floor = |name: &str| Scenario::load(name).unwrap().traffic_floor();
    assert_eq!(floor("simple-2"), 1_000.0);
    assert_eq!(floor("large"), 0.0);
}

/// The table of interface §6, with latencies in milliseconds; `end` is a `part_end`.
const TABLE: &str = "
simple-1     | 500 | .8 | 0   | 2  | -                                     | 1200/3000/5000 | 0/1/2    | 0/2/5  | .4/2/50
simple-2     | 500 | .2 | 0   | 2  | -                                     | 2200/4000/5000 | 0/1/2    | 0/2/5  | 1/5/50
unreliable-1 | 500 | .2 | .05 | 2  | -                                     | 2200/4500/5500 | 0/1/2    | 0/2/5  | 1/5/50
unreliable-2 | 500 | .2 | .10 | 2  | -                                     | 2300/4500/6000 | 0/1/2    | 0/2/5  | 1/5/50
unreliable-3 | 500 | .2 | .15 | 2  | -                                     | 2300/4500/6000 | 0/1/5    | 0/3/6  | 1/5/50
crash-1      | 500 | .2 | 0   | 2  | non@15                                | 2500/4000/5000 | 0/1/5    | 0/2/5  | 1/5/50
crash-2      | 500 | .2 | 0   | 2  | non@10 non@20                         | 2500/4000/5000 | 0/1/5    | 0/2/5  | 1/5/50
crash-3      | 400 | .2 | 0   | 2  | kill@10                               | 2000/4000/5000 | 0/2/5    | 0/2/10 | .2/5/50
crash-4      | 300 | .2 | 0   | 2  | kill@8 kill@16                        | 1800/4000/5000 | 1/4/10   | 0/2/10 | .15/5/50
partition-1  | 400 | .2 | 0   | 2  | easy@5 end@10                         | 2200/4000/5000 | 0/1/5    | 0/2/5  | .2/5/50
partition-2  | 300 | .2 | 0   | 2  | easy@5 end@10 easy@18 end@23          | 1800/4000/5000 | 0/1/5    | 0/2/5  | .2/5/50
partition-3  | 400 | .2 | 0   | 2  | hard@5 end@10                         | 2200/4000/5000 | 0/10/30  | 0/2/5  | .25/5/50
partition-4  | 300 | .2 | 0   | 2  | hard@5 end@10 hard@18 end@23          | 1800/4000/5000 | 0/20/60  | 0/2/5  | .25/5/50
advanced-1   | 250 | .2 | .10 | 2  | hard@5 end@8 hard@12 end@15 kill@20   | 1000/3000/4000 | 1/10/100 | 0/3/6  | .15/5/50
advanced-2   | 300 | .2 | .15 | 5  | kill@8 kill@16                        | 1000/3000/4000 | 1/10/100 | 0/5/10 | .15/5/50
advanced-3   | 200 | .2 | .30 | 10 | kill@5                                | 1000/3000/4000 | 1/10/100 | 0/6/20 | .2/5/100
advanced-4   | 300 | .2 | .10 | 5  | hard@5 end@8 hard@12 end@15 hard@19 end@21 kill@25 | 1000/4000/5000 | 1/10/100 | 0/6/10 | .2/5/100
";

fn table_event(word: &str) -> Event {
    let (kind, at) = word.split_once('@').unwrap();
    let kind = match kind {
        "kill" => EventKind::KillLeader,
        "non" => EventKind::KillNonLeader,
        "easy" => EventKind::PartEasy,
        "hard" => EventKind::PartHard,
        _ => EventKind::PartEnd,
    };
    Event { kind, at: Micros::from_seconds(at.parse().unwrap()) }
}

#[test]
fn the_embedded_scenarios_are_those_of_interface_6() {
    let mut names = Vec::new();
    for row in TABLE.trim().lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let number = |cell: usize| cells[cell].parse::<f64>().unwrap();
        let thresholds = |cell: usize| {
            let numbers: Vec<f64> = cells[cell].split('/').map(|n| n.parse().unwrap()).collect();
            Thresholds(numbers.try_into().unwrap())
        };
        let expected = Scenario {
            name: cells[0].to_owned(),
            lifetime: Micros::from_seconds(30),
            replicas: 5,
            requests: cells[1].parse().unwrap(),
            mix: number(2),
            drops: number(3),
            end_wait: Micros::from_seconds(cells[4].parse().unwrap()),
            events: cells[5]
                .split_whitespace()
                .filter(|word| *word != "-")
                .map(table_event)
                .collect(),
            tests: Tests {
                total_messages: thresholds(6),
                failures: thresholds(7),
                duplicates: thresholds(8),
                median_latency: Thresholds(thresholds(9).0.map(|milliseconds| milliseconds / 1e3)),
                ..parse(SMALLEST).tests
            },
            ..parse(SMALLEST)
        };
        assert_eq!(Scenario::embedded(cells[0]).unwrap().unwrap(), expected);
        names.push(cells[0]);
    }
    assert_eq!(names, COURSE);
    let large = Scenario::load("large").unwrap();
    assert_eq!((large.replicas, large.requests, large.mix), (21, 100_000, 0.8));
    assert_eq!((large.lifetime, large.max_packets), (Micros::from_seconds(60), 900_000));
}

#[test]
fn every_embedded_scenario_reads_back_from_what_a_run_keeps_of_it() {
    for name in names() {
        let mut scenario = Scenario::load(name).unwrap();
        scenario.seed = Some(7);
        scenario.shared_keys = true;
        scenario.pace = false;
        scenario.clock_drift_ppm = vec![3, -4];
        scenario.network.one_way = Micros(50_250);
        scenario.network.delay_max = Micros(1_500);
        scenario.budget.p99_latency_us = Some(2.5);
        let text = scenario.to_json().to_string();
        assert_eq!(Scenario::parse(name, "run.json", &text).unwrap(), scenario);
    }
}

#[test]
fn numbers_with_many_digits_read_back_as_they_were() {
    let mut scenario = Scenario::load("crash-1").unwrap();
    scenario.budget.p99_latency_us = Some(5.666_666_666_666_666_6e91);
    let text = scenario.to_json().to_string();
    assert_eq!(Scenario::parse("crash-1", "run.json", &text).unwrap(), scenario);
}
