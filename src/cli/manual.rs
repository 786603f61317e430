//! `laconic completions` and `laconic man`: completions for a shell and pages of a manual, made
//! from the same flags as the help.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::failure::{ExitStatus, Failure};
use super::output::print;

/// The program's name in both.
const NAME: &str = "laconic";

/// Print what completes laconic's commands and flags in a shell
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic completions bash > ~/.local/share/bash-completion/completions/laconic
  laconic completions zsh > ~/.zfunc/_laconic
  laconic completions fish > ~/.config/fish/completions/laconic.fish

`make install` puts those of these three where they belong.")]
pub struct CompletionsArguments {
    /// Which shell
    shell: Shell,
}

/// Write the manual, one page for each command
#[derive(Args)]
#[command(after_help = "\
Example:
  laconic man ~/.local/share/man/man1    then: man laconic-sim

`make install` puts the pages where they belong.")]
pub struct ManArguments {
    /// The folder for laconic.1, laconic-sim.1 and so on, made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints the completions for `command`.
pub fn complete(
    mut command: clap::Command,
    arguments: &CompletionsArguments,
) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, NAME, &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Good)
}

/// Writes the pages of `command` and of all commands below it.
pub fn write_pages(
    command: clap::Command,
    arguments: &ManArguments,
) -> Result<ExitStatus, Failure> {
    let folder = &arguments.folder;
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written.map_err(|error| Failure::environment(format!("{}: {error}", folder.display())))?;
    Ok(ExitStatus::Good)
}
