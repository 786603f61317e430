//! `laconic list`: the scenarios and profiles that are built in.

use clap::Args;
use serde_json::json;

use super::failure::{ExitStatus, Failure};
use super::output::print;
use crate::sim::scenario::{Scenario, names};
use crate::tuning_file::EMBEDDED;

/// List the scenarios and profiles that are built in
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic list
  laconic list --json | jq -r '.scenarios[].name'")]
pub struct ListArguments {
    /// Print one JSON object: scenarios (name, replicas, requests, lifetime_s,
    /// drops, events), profiles (name, about)
    #[arg(long)]
    json: bool,
}

/// Lists them.
pub fn run(arguments: &ListArguments) -> Result<ExitStatus, Failure> {
    let scenarios = names().into_iter().map(Scenario::load).collect::<Result<Vec<_>, _>>();
    let scenarios = scenarios.map_err(Failure::input)?;
    print(&if arguments.json { as_json(&scenarios) } else { as_text(&scenarios) })?;
    Ok(ExitStatus::Good)
}

fn as_text(scenarios: &[Scenario]) -> String {
    let mut text = "Scenarios (laconic sim NAME)\n".to_owned();
    for scenario in scenarios {
        let Scenario { name, replicas, requests, drops, events, .. } = scenario;
        let seconds = scenario.lifetime.as_seconds();
        text +=
            &format!("  {name:<14}{replicas:>2} replicas {requests:>7} requests in {seconds:.0} s");
        if *drops > 0.0 {
            text += &format!(", {:.0} % lost", drops * 100.0);
        }
        text += match events.len() {
            0 => "\n".to_owned(),
            1 => ", 1 event\n".to_owned(),
            several => format!(", {several} events\n"),
        }
        .as_str();
    }
    text += "Profiles (--profile NAME)\n";
    for (name, file) in EMBEDDED {
        text += &format!("  {name:<14}{}\n", about(file));
    }
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
    let profiles = EMBEDDED.map(|(name, file)| json!({"name": name, "about": about(file)}));
    format!("{}\n", json!({"scenarios": scenarios, "profiles": profiles}))
}

/// The first words of a profile's file, up to where they pause: what it is for.
fn about(file: &str) -> &str {
    let first = file.lines().next().unwrap_or_default().trim_start_matches("# ");
    first.split([':', ',', '.']).next().unwrap_or(first)
}
