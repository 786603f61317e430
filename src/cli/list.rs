//! `laconic list`: the built-in scenarios and profiles.

use clap::Args;
use serde_json::json;

use super::failure::{ExitStatus, Failure};
use super::output::print;
use crate::columns::Columns;
use crate::sim::scenario::{Scenario, names};
use crate::tuning_file::{EMBEDDED, base_of};

/// List the scenarios and profiles that are built in
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic list
  laconic list --json | jq -r '.scenarios[].name'")]
pub struct ListArguments {
    /// Print one JSON object: scenarios (name, replicas, requests, lifetime_s,
    /// drops, events), profiles (name, about, base)
    #[arg(long)]
    json: bool,
}

/// Prints the list.
pub fn run(arguments: &ListArguments) -> Result<ExitStatus, Failure> {
    let scenarios = names().into_iter().map(Scenario::load).collect::<Result<Vec<_>, _>>();
    let scenarios = scenarios.map_err(Failure::input)?;
    print(&if arguments.json { as_json(&scenarios) } else { as_text(&scenarios) })?;
    Ok(ExitStatus::Good)
}

fn as_text(scenarios: &[Scenario]) -> String {
    let lost =
        |share: f64| if share > 0.0 { format!("{:.0} %", share * 100.0) } else { "-".into() };
    let scenario = |scenario: &Scenario| {
        vec![
            scenario.name.clone(),
            scenario.replicas.to_string(),
            scenario.requests.to_string(),
            format!("{:.0}", scenario.lifetime.as_seconds()),
            lost(scenario.drops),
            scenario.events.len().to_string(),
        ]
    };
    let head =
        ["", "replicas", "requests", "seconds", "lost", "events"].map(str::to_owned).to_vec();
    let lines: Vec<Vec<String>> =
        [head].into_iter().chain(scenarios.iter().map(scenario)).collect();
    let columns = Columns::fitting(&lines, 1);
    let mut text = "Scenarios (laconic sim NAME)\n".to_owned();
    text.extend(lines.iter().map(|line| format!("  {}", columns.row(line))));
    text += "Profiles (--profile NAME)\n";
    let profiles = EMBEDDED.map(|(name, file)| {
        let base = base_of(file).map_or_else(String::new, |base| format!(" (base: {base})"));
        [name.to_owned(), format!("{}{base}", about(file))]
    });
    let columns = Columns::fitting(&profiles, 2);
    text.extend(profiles.iter().map(|line| format!("  {}", columns.row(line))));
    text
}

fn as_json(scenarios: &[Scenario]) -> String {
    let scenarios: Vec<_> = scenarios
        .iter()
        .map(|scenario| {
            json!({
                "name": scenario.name,
                "replicas": scenario.replicas,
                "requests": scenario.requests,
                "lifetime_s": scenario.lifetime.as_seconds(),
                "drops": scenario.drops,
                "events": scenario.events.len(),
            })
        })
        .collect();
    let profiles = EMBEDDED
        .map(|(name, file)| json!({"name": name, "about": about(file), "base": base_of(file)}));
    format!("{}\n", json!({"scenarios": scenarios, "profiles": profiles}))
}

/// What a profile is for: the first words of its file, up to the first punctuation mark.
fn about(file: &str) -> &str {
    let first = file.lines().next().unwrap_or_default().trim_start_matches("# ");
    first.split([':', ',', '.']).next().unwrap_or(first)
}
