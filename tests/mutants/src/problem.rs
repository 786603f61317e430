//! What ends the tool: one line that names what is wrong and where.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{fmt, fs};

/// Why the tool cannot go on.
#[derive(Debug)]
pub struct Problem(pub String);

impl fmt::Display for Problem {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

/// The text of a file.
pub fn read(path: &Path) -> Result<String, Problem> {
    fs::read_to_string(path).map_err(|error| Problem(format!("{}: {error}", path.display())))
}

/// Writes a file and the folders above it, if its bytes are not there already: cargo builds what
/// is newer than what it built.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::write(path, bytes))
        .map_err(|error| Problem(format!("{}: {error}", path.display())))
}

/// What a command prints, if it succeeds.
pub fn output_of(command: &mut Command) -> Result<Vec<u8>, Problem> {
    let name = format!("{:?}", command.get_program());
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Problem(format!("{name}: {error}")))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Problem(format!("{name} failed: {}", output.status)))
    }
}
