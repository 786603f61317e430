//! Standard output, which a reader may close at any time.

use std::io::{self, Write};
use std::path::Path;

use super::Failure;

/// Prints `text`. A closed pipe ends the program quietly: whoever read has seen enough.
///
/// # Errors
/// If standard output cannot be written for another reason.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::environment(format!("standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Prints `text` with its ANSI styles if standard output is a terminal that wants them (NO_COLOR),
/// else without.
///
/// # Errors
/// As [`print`].
pub fn print_styled(text: &str) -> Result<(), Failure> {
    match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => print(&anstream::adapter::strip_str(text).to_string()),
        _ => print(text),
    }
}

/// Writes `text` into the file `path`.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::environment(format!("{}: {error}", path.display())))
}
