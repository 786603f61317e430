//! The report as HTML: it is one file that loads nothing, holds the numbers of the JSON form, and
//! draws as many marks as these numbers say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The name of a scenario that tries to break out of the text around it.
const HOSTILE: &str = "</script><script>alert('out')</script><!-- & {{style}}{{reports}} \"'";

/// The most bytes of a page for simple-2.
const MOST_BYTES: usize = 250_000;

fn laconic(arguments: &[&str]) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_laconic")).args(arguments).output().expect("laconic runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

/// Kept runs, and the folder that holds them.
struct Runs {
    folder: TempDir,
    paths: Vec<PathBuf>,
}

impl Runs {
    fn of(scenarios: &[&str]) -> Runs {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> =
            scenarios.iter().map(|scenario| folder.path().join(scenario)).collect();
        for (scenario, path) in scenarios.iter().zip(&paths) {
            Runs::run(scenario, path);
        }
        Runs { folder, paths }
    }

    fn run(scenario: &str, path: &Path) {
        laconic(&["sim", scenario, "--seed", "1", "--out", path.to_str().unwrap()]);
    }

    /// A run whose replicas have controllers, in which two leaders turn knobs.
    fn of_controllers() -> Runs {
        let runs = Runs::of(&[]);
        let path = runs.folder.path().join("run");
        let words = ["sim", "crash-4", "--seed", "1", "--profile", "adaptive", "--out"];
        laconic(&[&words[..], &[path.to_str().unwrap()]].concat());
        Runs { paths: vec![path], ..runs }
    }

    /// A run with more replicas than a small chart can label one by one.
    fn of_many_replicas() -> Runs {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let short = fs::read(project.join("scenarios/short.json")).unwrap();
        let mut scenario: Value = serde_json::from_slice(&short).unwrap();
        scenario["replicas"] = json!(12);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("twelve.json");
        fs::write(&file, scenario.to_string()).unwrap();
        let path = folder.path().join("run");
        Runs::run(file.to_str().unwrap(), &path);
        Runs { folder, paths: vec![path] }
    }

    /// The output of `laconic budget` for the runs, in a format.
    fn told(&self, format: &str) -> String {
        let mut arguments = vec!["budget", "--format", format];
        arguments.extend(self.paths.iter().map(|path| path.to_str().unwrap()));
        laconic(&arguments).1
    }

    fn reports(&self) -> Vec<Value> {
        serde_json::from_str(&self.told("json")).unwrap()
    }

    /// Gives the first run a hostile name and cuts the end off one of its record files.
    fn spoil(&self) {
        let described = self.paths[0].join("run.json");
        let mut run: Value = serde_json::from_slice(&fs::read(&described).unwrap()).unwrap();
        run["outcome"]["scenario"] = json!(HOSTILE);
        fs::write(&described, run.to_string()).unwrap();
        let records = self.paths[0].join("records/0001.bin");
        let content = fs::read(&records).unwrap();
        fs::write(&records, &content[..content.len() - 100]).unwrap();
    }
}

/// The reports that are embedded in a page.
fn embedded(page: &str) -> Vec<Value> {
    let start = "<script type=\"application/json\" id=\"reports\">";
    let (_, rest) = page.split_once(start).expect("the page carries its reports");
    serde_json::from_str(rest.split_once("</script>").expect("they end").0).unwrap()
}

#[test]
fn the_page_carries_what_json_carries_and_is_small() {
    let runs = Runs::of(&["simple-2", "crash-4"]);
    assert_eq!(embedded(&runs.told("html")), runs.reports());
    let alone = Runs { paths: runs.paths[..1].to_vec(), ..runs };
    let page = alone.told("html");
    assert_eq!(embedded(&page), alone.reports());
    assert!(page.len() < MOST_BYTES, "{} bytes", page.len());
}

#[test]
fn a_difference_is_a_page_of_both_runs() {
    let runs = Runs::of(&["simple-1", "simple-2"]);
    let paths: Vec<&str> = runs.paths.iter().map(|path| path.to_str().unwrap()).collect();
    let told = |format| laconic(&["budget", "diff", paths[0], paths[1], "--format", format]);
    let (status, page) = told("html");
    assert_eq!((status, embedded(&page)), (Some(0), runs.reports()));
    let (_, rest) = page.split_once("id=\"difference\">").unwrap();
    let (difference, _) = rest.split_once("</script>").unwrap();
    let [difference, wanted]: [Value; 2] =
        [difference, &told("json").1].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(difference, wanted);
    let file = runs.folder.path().join("diff.html");
    let output = file.to_str().unwrap();
    laconic(&["budget", "diff", paths[0], paths[1], "--format", "html", "-o", output]);
    assert_eq!(fs::read_to_string(&file).unwrap(), page);
}

#[test]
fn the_page_loads_nothing() {
    let page = Runs::of(&["simple-2"]).told("html");
    for (at, _) in page.match_indices("http://").chain(page.match_indices("https://")) {
        let address: String = page[at..].chars().take(60).collect();
        assert!(address.starts_with("http://www.w3.org/"), "{address}");
    }
    for loading in ["<link", "<script src", "<img", "<iframe", "@import"] {
        assert!(!page.contains(loading), "{loading}");
    }
    assert!(page.contains("default-src 'none'"), "the page forbids itself to load anything");
}

#[test]
fn no_text_leaves_its_place() {
    let runs = Runs::of(&["simple-2"]);
    let before = runs.told("html");
    runs.spoil();
    let after = runs.told("html");
    for mark in ["<script", "</script", "<!--"] {
        assert_eq!(after.matches(mark).count(), before.matches(mark).count(), "{mark}");
    }
    assert_eq!(embedded(&after)[0]["run"]["scenario"], HOSTILE);
}

/// The names of the charts, as the help text lists them.
fn chart_names() -> Vec<String> {
    let help = laconic(&["budget", "--help"]).1;
    let (_, rest) = help.split_once("Charts: ").unwrap();
    let names = rest.split_once(".\n").unwrap().0.split_whitespace();
    names.map(str::to_owned).collect()
}

/// The classes of all elements of a picture. The picture must be well formed.
fn classes(picture: &str) -> Vec<String> {
    use svg::parser::Event;
    let mut classes = Vec::new();
    for event in svg::read(picture).unwrap() {
        match event {
            Event::Error(error) => panic!("{error}: {picture}"),
            Event::Tag(_, _, attributes) => {
                let class = attributes.get("class").map(ToString::to_string).unwrap_or_default();
                classes.extend(class.split(' ').map(str::to_owned));
            }
            _ => {}
        }
    }
    classes
}

#[test]
fn every_chart_stands_alone_with_its_title_its_colours_and_all_its_marks() {
    // A run has these charts only if it states limits, or has a controller.
    check_charts(&Runs::of(&["crash-4"]), &["limits", "knobs"]);
    check_charts(&Runs::of_controllers(), &["limits"]);
}

fn check_charts(runs: &Runs, missing: &[&str]) {
    let run = runs.paths[0].to_str().unwrap();
    let told = |name: &str| laconic(&["budget", run, "--format", "svg", "--chart", name]);
    let report = &runs.reports()[0];
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for name in chart_names().iter().filter(|name| !missing.contains(&name.as_str())) {
        let (status, picture) = told(name);
        assert_eq!(status, Some(0), "{name}");
        let title = picture.split_once("<title>").map(|(_, rest)| rest.trim().len());
        assert!(title > Some(0) && picture.contains("prefers-color-scheme: dark"), "{picture}");
        assert!(!picture.contains("var(") && !picture.contains("<script"), "{picture}");
        for class in classes(&picture) {
            for colour in ["fill-", "stroke-"] {
                if class.starts_with(colour) {
                    assert!(picture.contains(&format!(".{class} {{")), "{name}: {class}");
                }
            }
            if ["mark", "event", "life", "leadership", "floor"].contains(&class.as_str()) {
                *seen.entry(format!("{name}.{class}")).or_default() += 1;
            }
        }
    }
    assert_eq!(seen, expected(report));
    for name in missing {
        assert_eq!(told(name), (Some(2), String::new()), "{name}");
    }
}

/// The decisions that the records of a run tell: when, by whom, which knob, what was measured.
fn decided(runs: &Runs) -> Vec<[Value; 4]> {
    let lines = laconic(&["records", runs.paths[0].to_str().unwrap()]).1;
    let facts = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let decisions = facts.filter(|fact| fact["fact"] == "decided");
    decisions.map(|of| ["at_us", "source", "knob", "measured"].map(|key| of[key].clone())).collect()
}

#[test]
fn each_decision_of_a_controller_is_told_with_its_reason_and_drawn_where_its_replica_led() {
    let runs = Runs::of_controllers();
    let report = &runs.reports()[0];
    let rows = list(&report["decisions"]);
    let told = rows.iter().map(|row| ["at_us", "member", "knob", "measured"].map(|key| &row[key]));
    assert!(told.eq(decided(&runs).iter().map(<[Value; 4]>::each_ref)), "{rows:?}");
    let leaders = list(&report["events"]).iter().filter(|event| event["kind"] == "leader");
    let leaders: Vec<&Value> = leaders.map(|event| &event["member"]).collect();
    assert!(leaders.len() > 1, "{leaders:?}");
    for row in rows {
        assert_eq!(row["led"], leaders.contains(&&row["member"]), "{row}");
    }
    // The terminal has them in words, and the chart tells each under the pointer.
    let run = runs.paths[0].to_str().unwrap();
    let text = runs.told("text");
    let chart = laconic(&["budget", run, "--format", "svg", "--chart", "knobs"]).1;
    let row = rows.iter().find(|row| row["led"] == true && row["knob"] == "linger_us").unwrap();
    let (_, table) = text.split_once("What the controller decided").unwrap();
    let [at, member] = ["at_us", "member"].map(|key| row[key].as_u64().unwrap());
    let at = format!("{:.3} s", at as f64 / 1e6);
    let because = "arrivals, at 500 µs a message";
    let is_told = |line: &str| {
        let start = format!("  {at}  {member:04X}     linger ");
        line.starts_with(&start) && line.contains("0 µs") && line.ends_with(because)
    };
    assert!(table.lines().any(is_told), "{table}");
    let told = format!("{at}: {member:04X} turns linger\nfrom 0 µs to");
    assert!(chart.contains(&told) && chart.contains(because), "{told}: {chart}");
    // Where no controller decides, nothing is said of one.
    let without = Runs::of(&["simple-2"]);
    assert_eq!(without.reports()[0]["decisions"], json!([]));
    assert!(!without.told("text").contains("controller decided"));
}

#[test]
fn a_chart_that_is_unknown_or_missing_is_refused_in_a_line_with_the_list() {
    let runs = Runs::of(&["simple-2"]);
    let run = runs.paths[0].to_str().unwrap();
    let told = |arguments: &[&str]| {
        let binary = env!("CARGO_BIN_EXE_laconic");
        let output = Command::new(binary).args(["budget", run]).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let list = chart_names().join(", ");
    for (arguments, wanted) in [
        (vec!["--format", "svg"], format!("--format svg needs --chart NAME, one of {list}")),
        (
            vec!["--format", "svg", "--chart", "pie"],
            format!("no chart is called pie; the charts are {list}"),
        ),
        (vec!["--chart", "seconds"], "--chart is for --format svg".to_owned()),
        (
            vec!["--format", "svg", "--chart", "matrix", run],
            "--format svg draws one run at a time".to_owned(),
        ),
    ] {
        assert_eq!(told(&arguments), (Some(2), format!("laconic: {wanted}\n")));
    }
}

/// What a script saw when it opened a page in Chromium, at two sizes and in two themes.
fn seen(runs: &Runs) -> Vec<Value> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = runs.folder.path().join("report.html");
    fs::write(&page, runs.told("html")).unwrap();
    let output = Command::new("node")
        .arg(project.join("tests/browser/report.mjs"))
        .arg(&page)
        .env("NODE_PATH", project.join("target/browser/node_modules"))
        .output()
        .expect("node runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let visits: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(visits.len(), 4);
    visits
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn count(value: &Value, of: impl Fn(&&Value) -> bool) -> u64 {
    list(value).iter().filter(of).count() as u64
}

fn above_zero(value: &&Value) -> bool {
    value.as_f64().is_some_and(|value| value > 0.0)
}

/// The number of marks that the charts of a report must have, without the space-time diagram.
fn expected(report: &Value) -> BTreeMap<String, u64> {
    let excess = list(&report["figures"])
        .iter()
        .filter(|figure| !figure["value"].is_null())
        .map(|figure| count(&figure["excess"], |share| above_zero(&&share["value"])))
        .sum();
    let all = |name: &str| list(&report[name]).len() as u64;
    let causes_in = |name: &str| -> u64 {
        list(&report[name]).iter().map(|row| count(&row["by_cause"], above_zero)).sum()
    };
    let stages = list(&report["latency"])
        .iter()
        .map(|row| count(&row["stages"], |stage| above_zero(&&stage["time"]["mean_us"])))
        .sum();
    let marks = [
        ("figures.mark", excess),
        ("references.mark", count(&report["references"], |row| !row["messages"].is_null()) + 1),
        ("limits.mark", all("limits")),
        ("causes.mark", all("table")),
        ("fates.mark", causes_in("fates")),
        ("phases.mark", causes_in("phases")),
        ("seconds.mark", list(&report["seconds"]).iter().map(|row| count(row, above_zero)).sum()),
        ("seconds.event", all("events")),
        ("seconds.life", report["run"]["replicas"].as_u64().unwrap()),
        ("seconds.leadership", count(&report["events"], |event| event["kind"] == "leader")),
        ("knobs.mark", count(&report["decisions"], |decision| decision["led"] == true)),
        ("matrix.mark", all("links")),
        ("trade_off.mark", list(&report["trade_off"]["points"]).len() as u64),
        ("trade_off.floor", list(&report["trade_off"]["floor"]).len() as u64),
        ("latency.mark", stages),
        ("story.mark", count(&report["story"]["stages"], |stage| stage[1] != 0)),
        ("linger_saved.mark", all("linger")),
        ("linger_wait.mark", all("linger")),
    ];
    marks.into_iter().filter(|mark| mark.1 > 0).map(|(name, n)| (name.to_owned(), n)).collect()
}

/// The number of marks that a page has, without the space-time diagram.
fn drawn(shown: &Value) -> BTreeMap<String, u64> {
    let counts = shown["counts"].as_object().unwrap();
    counts
        .iter()
        .filter(|(name, _)| !name.starts_with("space_time"))
        .map(|(name, marks)| (name.clone(), marks.as_u64().unwrap()))
        .collect()
}

/// A number with its digits in groups, as the page writes it.
fn grouped(value: &Value) -> String {
    let digits = value.as_u64().unwrap().to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap())
        .collect();
    groups.join(",")
}

fn check_shown(shown: &Value, report: &Value) {
    let run = &report["run"];
    let name = shown["name"].as_str().unwrap();
    assert_eq!(name, format!("{}, seed {}", run["scenario"].as_str().unwrap(), run["seed"]));
    assert_eq!(drawn(shown), expected(report), "{name}");
    assert_eq!(shown["empty"], json!([]), "{name}");
    assert_eq!(shown["findings"], list(&report["findings"]).len(), "{name}");
    let found = count(&report["findings"], |finding| finding["verdict"] == "found");
    assert_eq!(shown["cards"], found, "{name}");
    assert_eq!(shown["contents"], shown["sections"], "{name}");
    assert!(shown["verdict"].as_str().unwrap().contains(verdict(report)), "{name}");
    // Text is never too small, and never leaves its section.
    assert!(shown["smallest_text"].as_f64().unwrap() >= 12.0, "{name}: {}", shown["smallest_text"]);
    assert_eq!(shown["beyond"], json!([]), "{name}");
    assert!(shown["too_wide"].as_i64().unwrap() <= 0, "{name} scrolls sideways");
    assert_eq!(shown["banner"].is_null(), list(&run["problems"]).is_empty(), "{name}");
    let headline = shown["headline"].as_str().unwrap();
    for told in ["messages", "puts", "reads", "batches"] {
        assert!(headline.contains(&grouped(&run[told])), "{name}: {told} in {headline}");
    }
    let books = shown["books"].as_str().unwrap();
    for told in ["sent", "counted", "unread", "lost"] {
        let said = format!("{} {told}", grouped(&report["books"][told]));
        assert!(books.contains(&said), "{name}: {said} in {books}");
    }
}

fn verdict(report: &Value) -> &'static str {
    match report["run"]["verdict"]["passed"].as_bool() {
        Some(true) => "passed",
        Some(false) => "failed",
        None => "not judged",
    }
}

/// Each window must show the messages that are on their way in it, with a cross on lost ones. The
/// last window ends with the run.
fn check_windows(windows: &Value, report: &Value, size_us: u64, step_us: u64) {
    let last = report["run"]["duration_us"].as_u64().unwrap() - size_us;
    assert_eq!(list(windows).len() as u64, (last.div_ceil(step_us) + 1).min(80));
    for (place, window) in list(windows).iter().enumerate() {
        let from = (place as u64 * step_us).min(last);
        assert_eq!(window["window"], json!([from, from + size_us]));
        let on_the_way = |lost: u64| {
            count(&report["space_time"]["messages"], |message| {
                let [sent, ended] = [0, 3].map(|field| message[field].as_u64().unwrap());
                message[4] == lost && sent < from + size_us && sent.max(ended) >= from
            })
        };
        let marks =
            |name: &str| window["counts"][format!("space_time.{name}")].as_u64().unwrap_or(0);
        assert_eq!(
            [marks("message"), marks("lost"), marks("cross")],
            [on_the_way(0), on_the_way(1), on_the_way(1)],
            "from {from}"
        );
    }
}

fn window(value: &Value) -> (u64, u64) {
    (value[0].as_u64().unwrap(), value[1].as_u64().unwrap())
}

/// The diagram opens at the first election, in a window so short that single hops can be seen.
fn check_opening(shown: &Value, report: &Value) {
    let (from, to) = window(&shown["window"]);
    let hop = report["trade_off"]["one_way_us"].as_u64().unwrap();
    assert!(to - from <= 45 * hop, "{from} to {to}: a hop takes {hop} µs");
    let elected = list(&report["events"]).iter().find(|event| event["kind"] == "leader").unwrap();
    assert!((from..to).contains(&elected["at_us"].as_u64().unwrap()), "{from} to {to}: {elected}");
}

/// After a jump, the event is in the middle of the window, which reaches to the election after it.
fn check_jumps(jumps: &Value, report: &Value) {
    let events = list(&report["events"]);
    assert_eq!(list(jumps).len(), events.len().min(3));
    for (at, jump) in list(jumps).iter().enumerate() {
        let (from, to) = window(jump);
        let moment = events[at]["at_us"].as_u64().unwrap();
        assert!(((from + to) / 2).abs_diff(moment) <= 1, "{from} to {to}: {}", events[at]);
        let next = events[at + 1..].iter().find(|event| event["kind"] == "leader");
        let next = next.and_then(|event| event["at_us"].as_u64());
        if let Some(next) = next.filter(|next| next - moment < 1_500_000) {
            assert!(to > next || events[at]["kind"] == "leader", "{from} to {to}: {next}");
        }
    }
}

/// Keys and the mouse wheel change the window, and the page's address names it.
fn check_steering(steered: &Value, report: &Value) {
    check_jumps(&steered["jumps"], report);
    let size = |name: &str| {
        let (from, to) = window(&steered[name]);
        to - from
    };
    assert_eq!((size("nearer"), size("farther")), (50_000, 100_000));
    assert!(size("wheeled") < 100_000);
    let (from, to) = window(&steered["wheeled"]);
    let address = steered["address"].as_str().unwrap();
    assert!(address.starts_with(&format!("#space_time={from}-{to}")), "{address}");
}

fn check_visit(visit: &Value, reports: &[Value]) {
    assert_eq!(visit["complaints"], json!([]));
    assert_eq!(list(&visit["requests"]).len(), 1, "the file alone: {}", visit["requests"]);
    assert_eq!(list(&visit["shown"]).len(), reports.len());
    for (shown, report) in list(&visit["shown"]).iter().zip(reports) {
        check_shown(shown, report);
        check_opening(shown, report);
    }
    let story = visit["story"].as_str().unwrap();
    for told in ["→", "sent at", "after"] {
        assert!(story.contains(told), "{told} in {story}");
    }
    let last = reports.last().unwrap();
    check_shown(&visit["resized"], last);
    check_windows(&visit["seconds"], last, 1_000_000, 1_000_000);
    check_windows(&visit["tenths"], last, 100_000, 50_000);
    check_steering(&visit["steered"], last);
    let (from, to) = window(&list(&visit["tenths"]).last().unwrap()["window"]);
    assert_eq!(visit["back"], json!([from - 100_000, to - 100_000]));
    let (dark, light) = ("rgb(16, 19, 23)", "rgb(246, 247, 249)");
    let expected = if visit["scheme"] == "dark" { [dark, light] } else { [light, dark] };
    assert_eq!(visit["backgrounds"], json!(expected));
}

#[test]
#[ignore = "needs Chromium, Node and playwright-core in target/browser"]
fn every_chart_is_drawn_with_as_many_marks_as_the_data_says() {
    let several = Runs::of(&["crash-4", "partition-4", "unreliable-3"]);
    let alone = Runs::of(&["simple-2"]);
    for runs in [alone, several, Runs::of_many_replicas(), Runs::of_controllers()] {
        let reports = runs.reports();
        for visit in seen(&runs) {
            check_visit(&visit, &reports);
        }
    }
}

#[test]
#[ignore = "needs Chromium, Node and playwright-core in target/browser"]
fn a_damaged_run_is_shown_as_partial_and_its_texts_as_texts() {
    let runs = Runs::of(&["simple-2"]);
    runs.spoil();
    let reports = runs.reports();
    for visit in seen(&runs) {
        check_visit(&visit, &reports);
        let banner = visit["shown"][0]["banner"].as_str().unwrap();
        assert!(banner.contains("Partial") && banner.contains("0001.bin"), "{banner}");
    }
}
