//! The tables of the documents match the code: knobs with their limits and values, scenarios and
//! their keys, limits, environment, exit statuses, dependencies and causes. Every link leads to a
//! file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use laconic::budget::Limits;
use laconic::cli::ExitStatus;
use laconic::raft::{Cause, Kind};
use laconic::sim::scenario::{COURSE, EventKind, Scenario};
use laconic::tuning_file::{self, EMBEDDED};
use serde_json::Value;
use strum::VariantNames;

fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(house().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of the table in `text` whose first heading is `heading`, as cells without code marks.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let start = format!("| {heading} |");
    let lines = text.lines().skip_while(|line| !line.starts_with(&start));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "no table that starts with {start}");
    rows
}

fn first_cells(rows: &[Vec<String>]) -> BTreeSet<String> {
    rows.iter().map(|row| row[0].clone()).collect()
}

/// The value of `knob` in `knobs`, written as the table writes it.
fn written(knobs: &toml::Table, knob: &str) -> String {
    match &knobs[knob] {
        toml::Value::Integer(number) => with_commas(*number),
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn with_commas(number: i64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let groups = digits.as_bytes()[first..].chunks(3).map(|group| str::from_utf8(group).unwrap());
    let groups = (first > 0).then_some(&digits[..first]).into_iter().chain(groups);
    groups.collect::<Vec<_>>().join(",")
}

#[test]
fn numbers_are_written_with_commas() {
    let cases = [(0, "0"), (64, "64"), (256, "256"), (1_000, "1,000"), (12_345_678, "12,345,678")];
    for (number, expected) in cases {
        assert_eq!(with_commas(number), expected);
    }
}

#[test]
fn the_page_on_profiles_has_every_knob_with_its_value_in_every_profile() {
    let page = read("docs/profiles.md");
    let rows = table(&page, "knob");
    let heads = page.lines().find(|line| line.starts_with("| knob |")).unwrap();
    let names: Vec<&str> = heads.trim_matches('|').split('|').skip(3).map(str::trim).collect();
    assert_eq!(names.len(), EMBEDDED.len());
    for (name, _) in EMBEDDED {
        let column = 3 + names.iter().position(|head| *head == name).unwrap();
        let knobs = toml::Table::try_from(tuning_file::load(name).unwrap().tuning).unwrap();
        assert_eq!(first_cells(&rows), knobs.keys().cloned().collect(), "{name}");
        for row in &rows {
            assert_eq!(row[column], written(&knobs, &row[0]), "{name}: {}", row[0]);
        }
        assert!(first_cells(&table(&page, "profile")).contains(name));
    }
}

/// A limit that is a plain number must be the one in the error for a value far above it.
#[test]
fn the_page_on_profiles_has_the_limits_of_every_knob() {
    let course: toml::Table = toml::from_str(EMBEDDED[0].1).unwrap();
    let mut held = 0;
    for row in table(&read("docs/profiles.md"), "knob") {
        let (knob, limits) = (&row[0], row[2].replace(',', ""));
        let bounds = limits.trim_start_matches("0 or ").split_once(" to ");
        let Some((low, high)) =
            bounds.filter(|(low, high)| low.parse::<u64>().is_ok() && high.parse::<u64>().is_ok())
        else {
            continue;
        };
        let mut knobs = course.clone();
        knobs.insert(knob.clone(), toml::Value::Integer(4_000_000_000));
        let refusal = tuning_file::parse("mine.toml", &knobs.to_string()).unwrap_err().to_string();
        let rule = format!("{knob} must be {low} to {high}, is 4000000000");
        assert!(refusal.ends_with(&rule), "{refusal}, not {rule}");
        held += 1;
    }
    assert!(held >= 10, "{held}");
}

#[test]
fn the_page_on_scenarios_has_every_key_and_every_event() {
    let page = read("docs/scenarios.md");
    let keys = table(&page, "key")
        .into_iter()
        .chain(table(page.split_once("## Keys of our own").unwrap().1, "key"));
    let listed: BTreeSet<String> = keys.map(|row| row[0].clone()).collect();
    let scenario = Scenario { seed: Some(1), ..Scenario::load("crash-1").unwrap() }.to_json();
    let mut known = BTreeSet::new();
    for (key, value) in scenario.as_object().unwrap() {
        let inner = value.as_object().filter(|_| key != "budget");
        // A key that only holds other keys is not listed itself, unless it is required.
        if inner.is_none() || key == "tests" {
            known.insert(key.clone());
        }
        known.extend(inner.into_iter().flatten().map(|(name, _)| format!("{key}.{name}")));
    }
    assert_eq!(listed, known);
    for benchmark in scenario["tests"]["benchmarks"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{benchmark}`")), "{benchmark}");
    }
    for event in EventKind::VARIANTS {
        assert!(page.contains(&format!("`{event}`")), "{event} is not in docs/scenarios.md");
    }
}

/// The events in a row of interface section 6, such as `part_easy@5, end@10, kill_leader@12, @20`.
fn events_of(cell: &str) -> Vec<(String, f64)> {
    let mut last = String::new();
    let mut events = Vec::new();
    for event in cell.split(", ").filter(|event| event.contains('@')) {
        let (kind, at) = event.split_once('@').unwrap();
        match kind {
            "" => {}
            "end" => last = "part_end".to_owned(),
            other => last = other.to_owned(),
        }
        events.push((last.clone(), at.parse().unwrap()));
    }
    events
}

#[test]
fn the_page_on_the_interface_has_the_seventeen_scenarios_as_they_are() {
    let rows = table(&read("docs/interface.md"), "name");
    let names: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, COURSE);
    for row in &rows {
        let scenario = Scenario::load(&row[0]).unwrap().to_json();
        let number = |cell: &str| cell.parse::<f64>().unwrap();
        for (key, cell) in ["requests", "mix", "drops", "end_wait"].into_iter().zip(&row[1..]) {
            assert_eq!(scenario[key].as_f64(), Some(number(cell)), "{}: {key}", row[0]);
        }
        assert_eq!((&scenario["replicas"], &scenario["lifetime"]), (&5.into(), &30.into()));
        let event = |event: &Value| {
            (event["type"].as_str().unwrap().to_owned(), event["time"].as_f64().unwrap())
        };
        let events: Vec<_> = scenario["events"].as_array().unwrap().iter().map(event).collect();
        assert_eq!(events, events_of(&row[5]), "{}", row[0]);
        let benchmarks = ["total_msgs", "failures", "duplicates", "median_latency"];
        for (benchmark, cell) in benchmarks.into_iter().zip(&row[6..]) {
            let unit = if benchmark == "median_latency" { 1e3 } else { 1.0 };
            let shown: Vec<f64> = cell.split('/').map(number).collect();
            let thresholds = scenario["tests"]["benchmarks"][benchmark].as_array().unwrap();
            let held: Vec<f64> =
                thresholds.iter().map(|value| value.as_f64().unwrap() * unit).collect();
            let same = held.iter().zip(&shown).all(|(one, other)| (one - other).abs() < 1e-9);
            assert!(same && shown.len() == 3, "{} {benchmark}: {held:?}, {shown:?}", row[0]);
        }
    }
}

#[test]
fn the_page_on_profiles_has_every_limit_of_a_budget() {
    let page = read("docs/profiles.md");
    for row in table(&page, "limit") {
        let limit: Result<Limits, _> = toml::from_str(&format!("{} = 1.0", row[0]));
        assert!(limit.is_ok_and(|limit| !limit.is_empty()), "{}", row[0]);
    }
    let all = table(&page, "limit").into_iter().map(|row| (row[0].clone(), Value::from(1.0)));
    let all: Limits = serde_json::from_value(Value::Object(all.collect())).unwrap();
    let none_left_out = !format!("{all:?}").contains("None");
    assert!(none_left_out, "docs/profiles.md lacks a limit: {all:?}");
}

/// The names in `text` that start with `LACONIC_`.
fn variables(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("LACONIC_").map(|(at, _)| &text[at..]);
    starts
        .map(|rest| {
            let end = rest.find(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
            rest[..end.unwrap_or(rest.len())].to_owned()
        })
        .collect()
}

#[test]
fn the_page_on_the_environment_has_every_variable_and_every_exit_status() {
    let page = read("docs/environment.md");
    let read_by_replicas = variables(&read("src/service/environment.rs"));
    assert!(read_by_replicas.len() >= 6, "{read_by_replicas:?}");
    assert_eq!(first_cells(&table(&page, "variable")), read_by_replicas);
    let design = read("docs/design.md");
    let house = design.split_once("\n## 8. ").unwrap().1.split_once("\n## 9. ").unwrap().0;
    assert_eq!(variables(house), read_by_replicas, "design section 8");
    let statuses = [
        ExitStatus::Good,
        ExitStatus::CheckFailed,
        ExitStatus::BadInput,
        ExitStatus::BudgetExceeded,
        ExitStatus::Environment,
        ExitStatus::Interrupted,
    ];
    let statuses: BTreeSet<String> =
        statuses.into_iter().map(|status| (status as u8).to_string()).collect();
    assert_eq!(first_cells(&table(&page, "status")), statuses);
}

#[test]
fn the_design_names_every_dependency_and_no_other() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let taken = ["dependencies", "dev-dependencies"].map(|table| &manifest[table]);
    // Dependencies of one system alone are one table deeper.
    let targets = manifest["target"].as_table().unwrap().values();
    let taken = taken.into_iter().chain(targets.map(|target| &target["dependencies"]));
    let taken = taken.flat_map(|table| table.as_table().unwrap().keys().cloned());
    let design = read("docs/design.md");
    let listed = table(&design, "crate").into_iter().flat_map(|row| {
        let names = row[0].split(", ").map(|name| name.trim_matches('`').to_owned());
        names.collect::<Vec<_>>()
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), taken.collect());
}

#[test]
fn the_design_names_every_kind_and_every_cause() {
    let design = read("docs/design.md");
    let records = design.split_once("\n## 5. ").unwrap().1.split_once("\n## 6. ").unwrap().0;
    let causes: BTreeSet<String> = Cause::ALL.iter().map(|cause| cause.name().into()).collect();
    assert_eq!(first_cells(&table(records, "cause")), causes);
    for kind in Kind::ALL {
        assert!(records.contains(&format!("`{}`", kind.name())), "{}", kind.name());
    }
}

/// The Markdown files at the root of the project and in `docs`.
fn pages() -> Vec<PathBuf> {
    let folders = [house().to_owned(), house().join("docs")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut pages: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    pages.sort();
    pages
}

/// A heading's name in links: small letters, digits, and hyphens instead of spaces.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") {
                continue;
            }
            count += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = page.parent().unwrap().join(file);
            assert!(path.is_file(), "{}: {target}", page.display());
            let there = fs::read_to_string(&path).unwrap_or_default();
            let mut headings = there.lines().filter_map(|line| line.strip_prefix('#'));
            let found = headings.any(|line| anchor(line.trim_start_matches('#')) == heading);
            assert!(heading.is_empty() || found, "{}: {target}", page.display());
        }
    }
    assert!(count >= 30, "{count}");
}

/// A path between code marks that starts with one of the project's folders must exist.
#[test]
fn every_path_that_a_page_names_exists() {
    const FOLDERS: [&str; 7] =
        ["src/", "tests/", "docs/", "benches/", "profiles/", "scenarios/", "dashboards/"];
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for name in text.split('`').skip(1).step_by(2) {
            // A name with a choice or a blank in it stands for several files, or for a file of the
            // reader.
            let is_path = FOLDERS.iter().any(|folder| name.starts_with(folder))
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
                && !name.contains("NAME");
            if is_path {
                seen += 1;
                assert!(house().join(name).exists(), "{}: there is no {name}", page.display());
            }
        }
    }
    assert!(seen > 40, "{seen} paths");
}
