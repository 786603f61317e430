//! Dashboards and rules: they name what the registry has, and a real Prometheus beside a real run
//! has an answer to every one of their queries.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use laconic::metrics::family::{FAMILIES, FamilyKind, markdown_table};
use laconic::raft::Micros;
use laconic::sim::real::{RealOptions, run};
use laconic::sim::scenario::{Event, EventKind};
use serde_json::Value;
use tempfile::TempDir;

use super::prometheus::Prometheus;
use super::real::options;
use super::short_scenario;

/// Panels that the dashboards use.
const PANELS: [&str; 6] = ["row", "stat", "timeseries", "state-timeline", "bargauge", "table"];
/// Units that they use.
const UNITS: [&str; 5] = ["short", "s", "ops", "percentunit", "Bps"];

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

pub(super) fn boards() -> Vec<(String, Value)> {
    let files = fs::read_dir(folder().join("grafana")).unwrap();
    let mut boards: Vec<(String, Value)> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect();
    boards.sort_by(|one, other| one.0.cmp(&other.0));
    boards
}

fn panels(board: &Value) -> &Vec<Value> {
    board["panels"].as_array().unwrap()
}

/// Queries of a board with their panels' titles and legends.
pub(super) fn queries(board: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_panel = |panel: &Value| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let title = text(&panel["title"]);
        targets
            .into_iter()
            .map(move |target| {
                let [query, legend] = ["expr", "legendFormat"].map(|key| text(&target[key]));
                (title.clone(), query, legend)
            })
            .collect::<Vec<_>>()
    };
    panels(board).iter().flat_map(of_panel).collect()
}

/// Rules of the rule file: name and expression. Expressions are the lines from `expr:` to the next
/// key.
fn rules() -> Vec<(String, String)> {
    let text = fs::read_to_string(folder().join("laconic.rules.yml")).unwrap();
    let mut rules: Vec<(String, String)> = Vec::new();
    let mut in_expression = false;
    for line in text.lines().map(str::trim) {
        let name = line.strip_prefix("- record: ").or(line.strip_prefix("- alert: "));
        if let Some(name) = name {
            rules.push((name.to_owned(), String::new()));
        }
        let begins = line.strip_prefix("expr: ");
        in_expression = begins.is_some() || (in_expression && !line.contains(": "));
        let part = begins.map_or(line, |begins| begins.trim_start_matches(">-"));
        if let Some((_, expression)) = rules.last_mut().filter(|_| in_expression) {
            *expression += " ";
            *expression += part;
        }
    }
    rules.retain(|(_, expression)| !expression.is_empty());
    rules
}

/// Names of series that an expression speaks of.
fn names(expression: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    expression
        .split(|letter| !is_part(letter))
        .filter(|word| {
            ["laconic_", "process_"].iter().any(|of| word.starts_with(of))
                || word.starts_with("laconic:")
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_query_speaks_of_what_there_is_and_every_family_is_on_a_panel() {
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for family in FAMILIES {
        let suffixes: &[&str] = match family.kind {
            FamilyKind::Histogram => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        for suffix in suffixes {
            known.insert(format!("{}{suffix}", family.name), family.name);
        }
    }
    let recorded: BTreeSet<String> = rules().into_iter().map(|(name, _)| name).collect();
    assert_eq!(recorded.len(), 13, "{recorded:?}");
    let mut shown = BTreeSet::new();
    let boards = boards();
    let of_boards = boards.iter().flat_map(|(_, board)| queries(board)).map(|query| query.1);
    let of_rules = rules().into_iter().map(|(_, expression)| expression);
    for expression in of_boards.chain(of_rules) {
        for name in names(&expression) {
            let family = known.get(&name);
            assert!(family.is_some() || recorded.contains(&name), "{name} in {expression}");
            shown.extend(family.copied());
        }
    }
    let all: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(shown, all, "families on a panel");
}

#[test]
fn the_page_on_metrics_lists_the_registry() {
    let page = fs::read_to_string(folder().join("../docs/metrics.md")).unwrap();
    assert!(page.contains(&markdown_table()), "docs/metrics.md lacks:\n{}", markdown_table());
}

#[test]
fn dashboards_are_well_formed() {
    let mut ids = BTreeSet::new();
    for (name, board) in boards() {
        assert!(ids.insert(board["uid"].as_str().unwrap().to_owned()), "{name}: uid");
        assert!(board["schemaVersion"].as_u64().unwrap() >= 39, "{name}");
        let mut panel_ids = BTreeSet::new();
        let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
        for panel in panels(&board) {
            let title = panel["title"].as_str().unwrap();
            assert!(panel_ids.insert(panel["id"].as_u64().unwrap()), "{name}: id of {title}");
            let kind = panel["type"].as_str().unwrap();
            assert!(PANELS.contains(&kind), "{name}: {title} is a {kind}");
            let place = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            let [x, y, width, height] = place;
            assert!(x + width <= 24 && width > 0 && height > 0, "{name}: {title} at {place:?}");
            for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
                let other = taken.insert(cell, title.to_owned());
                assert_eq!(other, None, "{name}: {title} lies over it");
            }
            if kind != "row" {
                assert_eq!(panel["datasource"]["uid"], "${DS}", "{name}: {title}");
                let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap();
                assert!(UNITS.contains(&unit), "{name}: {title} in {unit}");
                assert!(!panel["targets"].as_array().unwrap().is_empty(), "{name}: {title}");
            }
        }
    }
    assert_eq!(ids.len(), 3);
}

/// As Grafana would ask it.
pub(super) fn substituted(query: &str, replica: &str) -> String {
    query
        .replace("$__rate_interval", "3s")
        .replace("$__range", "8s")
        .replace("$__interval", "1s")
        .replace("$replica", replica)
}

/// An alert's expression without its comparison.
fn compared(expression: &str) -> &str {
    let end = [" > ", " < "].iter().filter_map(|sign| expression.rfind(sign)).max();
    let tail = end.map_or("", |end| &expression[end + 3..]);
    match tail.trim().parse::<f64>() {
        Ok(_) => &expression[..end.unwrap_or(expression.len())],
        Err(_) => expression,
    }
}

#[test]
#[ignore = "needs prometheus (Debian package)"]
fn every_panel_and_every_rule_has_finite_data_in_a_real_run_with_faults() {
    let folder = TempDir::new().unwrap();
    let discovery = folder.path().join("discovery.json");
    let rules_file = self::folder().join("laconic.rules.yml");
    let prometheus = Prometheus::start(folder.path(), &discovery, &[&rules_file]);
    let profile = folder.path().join("limited.toml");
    let course = include_str!("../../profiles/course.toml");
    let budget = "[budget]\nmessages_per_commit = 9\nidle_messages_per_second = 90\n";
    fs::write(&profile, format!("{course}\n{budget}")).unwrap();
    let options = RealOptions {
        discovery: Some(discovery),
        profile: Some(profile.display().to_string()),
        ..options(folder.path())
    };
    let mut scenario = short_scenario();
    (scenario.drops, scenario.mix) = (0.05, 0.5);
    scenario.lifetime = Micros::from_seconds(12);
    scenario.requests = 400;
    let killed = Event { kind: EventKind::KillNonLeader, at: Micros::from_seconds(2) };
    scenario.events = vec![killed];
    let asked: Vec<(String, String, String)> = boards()
        .iter()
        .flat_map(|(_, board)| queries(board))
        .chain(
            rules()
                .into_iter()
                .map(|(name, expression)| (name, compared(&expression).to_owned(), String::new())),
        )
        .collect();
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| run(&scenario, &options).unwrap());
        // In the midst of the run all has happened that dashboards tell of.
        std::thread::sleep(Duration::from_secs(11));
        assert!(!runner.is_finished(), "the run is over too soon");
        let leading = prometheus.query("laconic_role{role=\"leader\"} == 1");
        let leader = leading[0].0["replica"].as_str().unwrap().to_owned();
        for (title, query, legend) in &asked {
            let series = prometheus.query(&substituted(query, &leader));
            let finite = series.iter().filter(|(_, value)| value.is_finite()).count();
            assert!(finite > 0, "{title}: {query} finds {series:?}");
            for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
                assert!(series[0].0[label].is_string(), "{title}: no label {label}: {series:?}");
            }
        }
        println!("{} queries answered", asked.len());
        runner.join().unwrap();
    });
}
