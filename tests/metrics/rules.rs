//! Rule files, read line by line: recording rules, and alerts in a slow and a fast variant. Each
//! alert leads to a panel.

use std::collections::BTreeMap;
use std::fs;

use super::dashboards::{boards, folder};

/// Alerts for operations.
pub(super) const ALERTS: &str = "laconic.alerts.yml";
/// Alerts for runs of the simulator.
pub(super) const FAST_ALERTS: &str = "laconic.alerts-fast.yml";
/// Recording rules.
pub(super) const RECORDED: &str = "laconic.rules.yml";

/// A rule: its name, and the values of its keys.
pub(super) struct Rule {
    pub name: String,
    pub expression: String,
    keys: BTreeMap<String, String>,
}

fn read(file: &str) -> String {
    fs::read_to_string(folder().join(file)).unwrap()
}

/// The rules of `file`. A value that is longer than its line goes on until the next key.
pub(super) fn rules(file: &str) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut key = String::new();
    for line in read(file).lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let name = line.strip_prefix("- record: ").or(line.strip_prefix("- alert: "));
        if let Some(name) = name {
            let keys = BTreeMap::new();
            rules.push(Rule { name: name.to_owned(), expression: String::new(), keys });
            key = String::new();
            continue;
        }
        let Some(rule) = rules.last_mut() else {
            continue;
        };
        if line.is_empty() || line.starts_with("- name: ") {
            key = String::new();
            continue;
        }
        let is_key =
            |word: &str| word.chars().all(|letter| letter.is_alphabetic() || letter == '_');
        let rest = match line.split_once(": ").or(line.strip_suffix(':').map(|word| (word, ""))) {
            Some((word, value)) if is_key(word) => {
                key = word.to_owned();
                value.trim_start_matches(">-").trim_matches('\'')
            }
            _ => line,
        };
        let text = rule.keys.entry(key.clone()).or_default();
        *text = format!("{text} {rest}").trim().to_owned();
    }
    for rule in &mut rules {
        rule.expression = rule.keys.remove("expr").unwrap_or_default();
        assert!(!rule.expression.is_empty(), "{}", rule.name);
    }
    rules
}

#[test]
fn every_rule_keeps_the_clusters_of_every_job_apart() {
    for file in [RECORDED, ALERTS, FAST_ALERTS] {
        for Rule { name, expression, .. } in rules(file) {
            for aggregation in ["sum", "max", "min", "avg", "count", "count_values"] {
                let word = format!("{aggregation} ");
                let places = expression.match_indices(&word).map(|(place, _)| place);
                // A word at the end of a recorded rule's name is no aggregation.
                for call in places.filter(|call| !expression[..*call].ends_with(['_', ':'])) {
                    let by = &expression[call + aggregation.len()..];
                    assert!(by.starts_with(" by (job, cluster"), "{name}: {expression}");
                }
                assert!(!expression.contains(&format!("{aggregation}(")), "{name}: {expression}");
            }
            for on in expression.split(" on ").skip(1) {
                assert!(on.starts_with("(job, cluster"), "{name}: {expression}");
            }
            // A series without labels would stand for all clusters.
            assert!(!expression.contains("vector("), "{name}: {expression}");
        }
    }
}

#[test]
fn the_fast_alerts_are_those_for_operations_but_for_their_times() {
    let without_times = |file: &str| -> String {
        let text = read(file);
        let rules = &text[text.find("groups:").unwrap()..];
        let lines = rules.lines().filter(|line| !line.trim().starts_with("for: "));
        lines.map(|line| line.replace("15m", "1m") + "\n").collect()
    };
    assert_eq!(without_times(ALERTS), without_times(FAST_ALERTS));
    let seconds = |rule: &Rule| {
        let text = rule.keys.get("for").map_or("0s", String::as_str);
        let (number, unit) = text.split_at(text.len() - 1);
        number.parse::<u64>().unwrap() * if unit == "m" { 60 } else { 1 }
    };
    for (slow, fast) in rules(ALERTS).iter().zip(&rules(FAST_ALERTS)) {
        assert!(seconds(fast) <= 10, "{}: {}", fast.name, seconds(fast));
        // A state that is never right is told at once.
        let minutes = seconds(slow) >= 60;
        let at_once = ["LaconicTwoLeaders", "LaconicLeaderFlapping"].contains(&&*slow.name);
        assert!(minutes != at_once, "{}: {}", slow.name, seconds(slow));
    }
}

#[test]
fn every_alert_has_a_page_that_says_what_it_means_what_to_look_at_and_what_to_do() {
    let page = fs::read_to_string(folder().join("../docs/runbooks.md")).unwrap();
    let sections: BTreeMap<&str, &str> =
        page.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let alerts = rules(ALERTS);
    assert_eq!(sections.len(), alerts.len());
    for alert in alerts {
        let section = sections[&*alert.name];
        for part in ["**What it means.**", "**What to look at.**", "**What to do.**"] {
            assert!(section.contains(part), "{}: no {part}", alert.name);
        }
        let anchor = format!("docs/runbooks.md#{}", alert.name.to_lowercase());
        assert_eq!(alert.keys["runbook_url"], anchor);
    }
}

/// The panel has a threshold at the value where the alert fires.
#[test]
fn every_alert_leads_to_a_panel_that_shows_its_limit() {
    for alert in rules(ALERTS) {
        let name = &alert.name;
        let board =
            boards().into_iter().find(|board| board.uid() == alert.keys["__dashboardUid__"]);
        let board = board.unwrap_or_else(|| panic!("{name}: no dashboard"));
        let id: u64 = alert.keys["__panelId__"].parse().unwrap();
        let panel = board.panels().iter().find(|panel| panel["id"] == id);
        let panel = panel.unwrap_or_else(|| panic!("{name}: no panel {id}"));
        let limit = alert.expression.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array();
        let steps = steps.into_iter().flatten().filter_map(|step| step["value"].as_f64());
        // These alerts compare with a number of members, which no panel knows.
        let by_count = ["LaconicTwoLeaders", "LaconicMemberDown", "LaconicQuorumAtRisk"];
        let shown = by_count.contains(&&**name) || steps.into_iter().any(|step| step == limit);
        assert!(shown, "{name}: {limit} is no threshold of {}", panel["title"]);
    }
}

#[test]
fn every_alert_fires_in_a_case_and_is_silent_in_another() {
    let cases = read("laconic.alerts.test.yml");
    for Rule { name, .. } in rules(ALERTS) {
        let fires = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels:");
        assert!(cases.contains(&fires), "{name} fires in no case");
        let is_silent = cases.lines().any(|line| {
            line.contains(&format!("alertname: {name},")) && line.ends_with("exp_alerts: [] }")
        });
        assert!(is_silent, "{name} is silent in no case");
    }
}
