//! `laconic profiles`: what the profiles are for, and one in full.

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::{ExitStatus, Failure};
use super::output::{print, print_styled};
use crate::budget::{Block, text};
use crate::tuning_file::{EMBEDDED, ExplainedProfile, explain};

/// Explain the profiles that are built in, or one in full
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  laconic profiles
  laconic profiles show quiet
  laconic profiles show quiet > mine.toml    a profile of your own to begin with

JSON (--json): of each profile name, about, base, knobs and limits (name, value,
reason, from: the profile that says so).")]
pub struct ProfilesArguments {
    #[command(subcommand)]
    command: Option<ProfilesCommand>,
    /// Print a list of JSON objects
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum ProfilesCommand {
    /// Print a profile in full: every value, its reason, and the base that it comes from
    Show(ShowArguments),
}

/// Print a profile in full: every value, its reason, and the base that it comes from
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic profiles show quiet
  laconic profiles show mine.toml --json

What is printed is a profile without a base. A bad file is refused with its
line, the key and the rule.")]
struct ShowArguments {
    /// A profile that is built in, or a TOML file
    #[arg(value_name = "PROFILE")]
    profile: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Explains.
pub fn run(arguments: &ProfilesArguments) -> Result<ExitStatus, Failure> {
    if let Some(ProfilesCommand::Show(show)) = &arguments.command {
        let profile = explain(&show.profile).map_err(Failure::input)?;
        print(&if show.json { format!("{}\n", json!(profile)) } else { profile.toml() })?;
        return Ok(ExitStatus::Good);
    }
    let profiles = EMBEDDED.iter().map(|(name, _)| explain(name).map_err(Failure::input));
    let profiles: Vec<ExplainedProfile> = profiles.collect::<Result<_, _>>()?;
    if arguments.json {
        print(&format!("{}\n", json!(profiles)))?;
    } else {
        let blocks: Vec<Block> = profiles.iter().flat_map(explained).collect();
        print_styled(&text(&blocks))?;
    }
    Ok(ExitStatus::Good)
}

/// What a profile is for, and where it differs from its base.
fn explained(profile: &ExplainedProfile) -> Vec<Block> {
    let mut blocks = vec![
        Block::Heading(profile.name.clone()),
        Block::Paragraph(profile.about.replace('\n', " ")),
    ];
    let own = profile.own().map(|knob| format!("{} = {}: {}", knob.name, knob.value, knob.reason));
    match &profile.base {
        None => {
            let count = profile.knobs.len();
            let words = format!("It sets all {count} knobs, and is the base of the others.");
            blocks.push(Block::Paragraph(words));
        }
        Some(base) => {
            blocks.push(Block::Paragraph(format!("As {base}, but:")));
            blocks.push(Block::List(own.collect()));
        }
    }
    blocks
}
