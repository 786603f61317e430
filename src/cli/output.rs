//! Standard output, which a reader may close at any time, and output files, which are checked
//! before the work whose result goes into them.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};

use super::failure::Failure;

/// Prints `text`. If the reader has closed the pipe, the program ends without an error.
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

/// Prints `text`. It keeps its ANSI styles only if standard output is a terminal that wants them
/// (NO_COLOR).
///
/// # Errors
/// As [`print`].
pub fn print_styled(text: &str) -> Result<(), Failure> {
    match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => print(&anstream::adapter::strip_str(text).to_string()),
        _ => print(text),
    }
}

/// Checks that the file `path` can be written later, without touching it.
///
/// # Errors
/// If it is a folder, or may not be written, or its folder may not.
pub fn check_file(path: &Path) -> Result<(), Failure> {
    let checked = match path.metadata() {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => access(path, Access::WRITE_OK).map_err(io::Error::from),
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            check_access(folder.unwrap_or(Path::new(".")))
        }
    };
    checked.map_err(|error| Failure::environment(format!("{}: {error}", path.display())))
}

/// Checks that the folder `path` can be written into, or created, without touching it.
///
/// # Errors
/// If it is not a folder, or may not be written, or cannot be created.
pub fn check_folder(path: &Path) -> Result<(), Failure> {
    let here = Path::new(".");
    let there = path.ancestors().find(|place| place.exists()).unwrap_or(here);
    let there = if there.as_os_str().is_empty() { here } else { there };
    check_access(there)
        .map_err(|error| Failure::environment(format!("{}: {error}", path.display())))
}

/// Whether files can be created in `folder`. In a file of that name they cannot.
fn check_access(folder: &Path) -> io::Result<()> {
    access(folder.join("."), Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)
}

/// Writes `text` into the file `path`.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::environment(format!("{}: {error}", path.display())))
}

/// Shows the file `path` in the program that the user has for it. If there is none, one line on
/// stderr says so; the file is there all the same.
pub fn open(path: &Path) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    // A browser lives longer than this program, and its output is not ours.
    command.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(error) = command.spawn() {
        eprintln!("laconic: --open: {program}: {error}; the page is {}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_named_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "kept").unwrap();
        let refused = |checked: Result<(), Failure>, words: &str| {
            let message = checked.unwrap_err().message;
            assert!(message.contains(words), "{message}");
        };
        refused(check_file(folder.path()), "directory");
        refused(check_file(&path("none/file")), "none/file: No such file");
        refused(check_file(&path("file/file")), "file/file: Not a directory");
        refused(check_folder(&path("file")), "file: Not a directory");
        refused(check_folder(&path("file/run")), "file/run: Not a directory");
        for name in ["file", "new"] {
            check_file(&path(name)).unwrap();
        }
        for name in ["", "new", "new/run/deep"] {
            check_folder(&path(name)).unwrap();
        }
        check_file(Path::new("new-in-this-folder")).unwrap();
        check_folder(Path::new("new-in-this-folder")).unwrap();
        check_file(Path::new("/dev/null")).unwrap();
        assert!(!path("new").exists());
        assert_eq!(std::fs::read_to_string(path("file")).unwrap(), "kept");
    }
}
