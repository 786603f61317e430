//! Dashboards and rules: they name only what the registry has, and a real Prometheus beside a real
//! run has an answer to each of their queries.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use laconic::metrics::family::{FAMILIES, FamilyKind, markdown_table};
use laconic::raft::Micros;
use laconic::sim::real::{RealOptions, run};
use laconic::sim::scenario::{Event, EventKind, Scenario};
use serde_json::Value;
use tempfile::TempDir;

use super::prometheus::Prometheus;
use super::real::options;
use super::rules::{ALERTS, FAST_ALERTS, RECORDED, rules};
use super::short_scenario;

/// The types of panels that the dashboards use.
const PANELS: [&str; 6] = ["row", "stat", "timeseries", "state-timeline", "bargauge", "table"];
/// The units that the panels use.
const UNITS: [&str; 7] = ["short", "s", "ops", "percentunit", "Bps", "bytes", "dateTimeAsIso"];
/// The labels that keep the clusters of all jobs apart.
const OF_CLUSTER: &str = r#"job="$job",cluster="$cluster""#;

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// A dashboard, with the name of its file.
pub(super) struct Board {
    name: String,
    json: Value,
}

/// A query, with the title of its panel.
#[derive(Clone)]
pub(super) struct Asked {
    pub title: String,
    pub expression: String,
    legend: String,
}

impl Asked {
    /// Whether its value is a number of events in an interval.
    pub fn counts_events(&self) -> bool {
        self.expression.contains("max_over_time")
    }
}

pub(super) fn boards() -> Vec<Board> {
    let files = fs::read_dir(folder().join("grafana")).unwrap();
    let mut boards: Vec<Board> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            Board { name, json: serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap() }
        })
        .collect();
    boards.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(boards.len(), 3);
    boards
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Board {
    pub fn uid(&self) -> String {
        text(&self.json["uid"])
    }

    pub fn panels(&self) -> &Vec<Value> {
        self.json["panels"].as_array().unwrap()
    }

    /// The panels that show something, each with its title.
    fn shown(&self) -> impl Iterator<Item = (String, &Value)> {
        let panels = self.panels().iter().filter(|panel| panel["type"] != "row");
        panels.map(|panel| (format!("{}: {}", self.name, text(&panel["title"])), panel))
    }

    /// The queries of all panels.
    pub fn queries(&self) -> Vec<Asked> {
        let of_panel = |panel: &Value| {
            let title = text(&panel["title"]);
            let targets = panel["targets"].as_array().cloned().unwrap_or_default();
            targets.into_iter().map(move |target| Asked {
                title: title.clone(),
                expression: text(&target["expr"]),
                legend: text(&target["legendFormat"]),
            })
        };
        self.panels().iter().flat_map(of_panel).collect()
    }

    /// The queries for the marks that are drawn over all panels.
    pub fn annotations(&self) -> Vec<Asked> {
        let list = self.json["annotations"]["list"].as_array().unwrap();
        let asked = list.iter().map(|annotation| Asked {
            title: text(&annotation["name"]),
            expression: text(&annotation["expr"]),
            legend: String::new(),
        });
        asked.collect()
    }

    fn variables(&self) -> &Vec<Value> {
        self.json["templating"]["list"].as_array().unwrap()
    }

    /// `query` as Grafana would ask it.
    pub fn substituted(query: &str, cluster: &str, replica: &str) -> String {
        query
            .replace("$__rate_interval", "3s")
            .replace("$__range", "8s")
            .replace("$__interval", "1s")
            .replace("$job", "laconic")
            .replace("$cluster", cluster)
            .replace("$replica", replica)
    }
}

/// The names of series that an expression uses.
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
    let recorded: BTreeSet<String> = rules(RECORDED).into_iter().map(|rule| rule.name).collect();
    assert_eq!(recorded.len(), 12, "{recorded:?}");
    let mut shown = BTreeSet::new();
    let boards = boards();
    let asked = boards.iter().flat_map(|board| [board.queries(), board.annotations()].concat());
    let of_rules = [RECORDED, ALERTS].into_iter().flat_map(rules).map(|rule| rule.expression);
    for expression in asked.map(|asked| asked.expression).chain(of_rules) {
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
    for board in boards() {
        let name = &board.name;
        assert!(ids.insert(board.uid()), "{name}: uid");
        assert!(board.json["schemaVersion"].as_u64().unwrap() >= 39, "{name}");
        let mut panel_ids = BTreeSet::new();
        let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
        for panel in board.panels() {
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
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_how_much_it_was() {
    for board in boards() {
        for (title, panel) in board.shown() {
            assert_eq!(panel["datasource"]["uid"], "${DS}", "{title}");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
            let description = panel["description"].as_str().unwrap();
            assert!(description.len() > 20 && description.ends_with('.'), "{title}: {description}");
            let defaults = &panel["fieldConfig"]["defaults"];
            let unit = defaults["unit"].as_str().unwrap();
            assert!(UNITS.contains(&unit), "{title} in {unit}");
            let kind = panel["type"].as_str().unwrap();
            if ["stat", "timeseries", "bargauge"].contains(&kind) {
                let steps = defaults["thresholds"]["steps"].as_array();
                assert!(steps.is_some_and(|steps| !steps.is_empty()), "{title}: no thresholds");
            }
            if kind == "timeseries" {
                let calculated = serde_json::json!(["lastNotNull", "max"]);
                assert_eq!(panel["options"]["legend"]["calcs"], calculated, "{title}");
            }
        }
        for asked in board.queries().iter().filter(|asked| asked.counts_events()) {
            let mut panels = board.shown().filter(|(title, _)| title.ends_with(&asked.title));
            let whole = panels.any(|(_, panel)| panel["fieldConfig"]["defaults"]["decimals"] == 0);
            assert!(whole, "{}: events are counted whole", asked.title);
        }
    }
}

#[test]
fn every_query_is_of_the_one_cluster_that_is_chosen() {
    for board in boards() {
        for Asked { title, expression, .. } in [board.queries(), board.annotations()].concat() {
            let mut rest = expression.as_str();
            for name in names(&expression) {
                assert!(expression.contains(&format!("{name}{{{OF_CLUSTER}")), "{title}: {name}");
            }
            let mut series = 0;
            while let Some(place) = rest.find(OF_CLUSTER) {
                (series, rest) = (series + 1, &rest[place + OF_CLUSTER.len()..]);
            }
            assert_eq!(series, expression.matches('{').count(), "{title}: {expression}");
        }
        let name = |variable: &Value| text(&variable["name"]);
        let names: Vec<String> = board.variables().iter().map(name).collect();
        assert_eq!(names, ["DS", "job", "cluster", "replica"], "{}", board.name);
        // With several values at once, the panels would show sums.
        for variable in &board.variables()[1..3] {
            assert_eq!(
                (&variable["multi"], &variable["includeAll"]),
                (&false.into(), &false.into())
            );
        }
        let titles: Vec<String> =
            board.annotations().into_iter().map(|asked| asked.title).collect();
        assert_eq!(titles, ["Elections", "Kills"], "{}", board.name);
        assert_eq!(board.json["links"][0]["includeVars"], true, "{}", board.name);
    }
}

/// An alert's expression without its comparison.
fn compared(expression: &str) -> &str {
    let ends = [" <= ", " > ", " < "];
    let sign = ends.into_iter().filter_map(|sign| Some((expression.rfind(sign)?, sign.len())));
    match sign.max() {
        Some((place, length)) => {
            let limit = &expression[place + length..];
            let is_limit = limit.parse::<f64>().is_ok() || limit.starts_with("floor(");
            if is_limit { &expression[..place] } else { expression }
        }
        None => expression,
    }
}

/// Five replicas of which one is killed, and five of which three are killed, so that the rest have
/// no leader.
fn scenarios() -> [Scenario; 2] {
    let mut scenario = short_scenario();
    (scenario.drops, scenario.mix) = (0.05, 0.5);
    scenario.lifetime = Micros::from_seconds(16);
    scenario.requests = 500;
    let event = |kind, millis| Event { kind, at: Micros::from_millis(millis) };
    let mut leaderless = Scenario { name: "leaderless".into(), ..scenario.clone() };
    scenario.events = vec![event(EventKind::KillNonLeader, 2_000)];
    leaderless.events = (0..2).map(|n| event(EventKind::KillNonLeader, 2_500 + n * 300)).collect();
    leaderless.events.push(event(EventKind::KillLeader, 3_500));
    [scenario, leaderless]
}

/// Each panel and each rule shows the first cluster correctly, beside another that has no leader.
#[test]
#[ignore = "needs prometheus (Debian package)"]
fn every_panel_and_every_rule_has_finite_data_in_a_real_run_with_faults_beside_another_cluster() {
    let bench = TempDir::new().unwrap();
    let files = ["short", "leaderless"].map(|name| bench.path().join(format!("{name}.json")));
    let [one, other] = &files;
    let prometheus = Prometheus::start(bench.path(), &[one, other], &[RECORDED, FAST_ALERTS]);
    let profile = bench.path().join("limited.toml");
    let course = include_str!("../../profiles/course.toml");
    let budget = "[budget]\nmessages_per_commit = 9\nidle_messages_per_second = 90\n";
    fs::write(&profile, format!("{course}\n{budget}")).unwrap();
    let scenarios = scenarios();
    let options = files.clone().map(|file| {
        let name = file.file_stem().unwrap();
        let folder = bench.path().join("of").join(name);
        fs::create_dir_all(&folder).unwrap();
        RealOptions {
            discovery: Some(file.clone()),
            profile: Some(profile.display().to_string()),
            ..options(&folder)
        }
    });
    std::thread::scope(|scope| {
        let runners: Vec<_> = scenarios
            .iter()
            .zip(&options)
            .map(|(scenario, options)| scope.spawn(|| run(scenario, options).unwrap()))
            .collect();
        // By the middle of the run, everything that the dashboards show has happened.
        std::thread::sleep(Duration::from_secs(14));
        assert!(!runners.iter().any(|runner| runner.is_finished()), "a run is over too soon");
        assert_answers(&prometheus);
        assert_kept_apart(&prometheus);
        runners.into_iter().for_each(|runner| drop(runner.join().unwrap()));
    });
}

fn assert_answers(prometheus: &Prometheus) {
    let leading = prometheus.query("laconic_role{role=\"leader\",cluster=\"short\"} == 1");
    let leader = leading[0].0["replica"].as_str().unwrap().to_owned();
    let panels: Vec<Asked> = boards().iter().flat_map(Board::queries).collect();
    let rules = [RECORDED, FAST_ALERTS].into_iter().flat_map(rules).map(|rule| Asked {
        title: rule.name,
        expression: compared(&rule.expression).to_owned(),
        legend: String::new(),
    });
    let asked: Vec<Asked> = panels.iter().cloned().chain(rules).collect();
    for Asked { title, expression, legend } in &asked {
        let query = Board::substituted(expression, "short", &leader);
        let series = prometheus.query(&query);
        let finite = series.iter().filter(|(_, value)| value.is_finite()).count();
        assert!(finite > 0, "{title}: {query} finds {series:?}");
        for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
            assert!(series[0].0[label].is_string(), "{title}: no label {label}: {series:?}");
        }
    }
    // No query for the other cluster is refused, and queries for all its replicas never return the
    // first cluster.
    for Asked { title, expression, .. } in &panels {
        let query = Board::substituted(expression, "leaderless", ".*");
        for (labels, _) in prometheus.query(&query) {
            assert_ne!(labels["cluster"], "short", "{title}: {query}");
        }
    }
    println!("{} queries answered, {} of two clusters", asked.len(), panels.len());
}

fn assert_kept_apart(prometheus: &Prometheus) {
    let value = |query: &str| {
        let found = prometheus.query(query);
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        found[0].1
    };
    let cluster = boards().into_iter().find(|board| board.uid() == "laconic-cluster").unwrap();
    let shows = |title: &str, place: usize, name: &str| {
        let mut asked = cluster.queries();
        asked.retain(|asked| asked.title == title);
        value(&Board::substituted(&asked[place].expression, name, "0003"))
    };
    for (name, leaders, up) in [("short", 1.0, 4.0), ("leaderless", 0.0, 2.0)] {
        // This must not depend on the replica that is selected.
        assert_eq!(shows("Leaders", 0, name), leaders, "{name}");
        assert_eq!(shows("Members", 0, name), 5.0, "{name}");
        assert_eq!(shows("Members", 1, name), up, "{name}");
        let of = format!("{{job=\"laconic\",cluster=\"{name}\"}}");
        assert_eq!(value(&format!("laconic:leaders:count{of}")), leaders);
        assert_eq!(value(&format!("laconic:members_up:count{of}")), up);
    }
    let firing = prometheus.query("ALERTS{alertname=\"LaconicNoLeader\",alertstate=\"firing\"}");
    let clusters: Vec<&str> =
        firing.iter().map(|(labels, _)| labels["cluster"].as_str().unwrap()).collect();
    assert_eq!(clusters, ["leaderless"]);
    let a_commit = prometheus.query("laconic:messages_per_commit:ratio_rate1m");
    println!("messages per commit: {a_commit:?}");
    assert!(a_commit.iter().all(|(labels, _)| labels["cluster"].is_string()), "{a_commit:?}");
}
