//! `laconic compare`: profiles side by side, or the two engines.

mod engines;
mod profiles;

use clap::{Args, Subcommand};

use super::failure::{ExitStatus, Failure};

pub use engines::machine;
pub(super) use profiles::load_scenarios;

/// Put profiles side by side on the same seeds, or hold virtual runs against real ones
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic compare profiles course quiet
  laconic compare engines")]
pub struct CompareArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Put profiles side by side, on the same seeds, in virtual time
    Profiles(profiles::ProfilesArguments),
    /// Run five scenarios in both engines and say how far they agree
    Engines(engines::EnginesArguments),
}

/// Compares.
pub fn run(arguments: &CompareArguments) -> Result<ExitStatus, Failure> {
    match &arguments.what {
        What::Profiles(arguments) => profiles::run(arguments),
        What::Engines(arguments) => engines::run(arguments),
    }
}
