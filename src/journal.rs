//! What long work has found, as lines of JSON that outlive it: what the work is first, then a line
//! a piece of it. A line is written as a whole when its piece is done, so a process that is killed
//! loses at most the pieces under way. A last line without an end is dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which part of some work this is, where several processes share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The part's number, from 1.
    pub number: u64,
    /// How many parts there are.
    pub of: u64,
}

impl Shard {
    /// All of the work.
    pub const WHOLE: Shard = Shard { number: 1, of: 1 };
}

/// Why a journal cannot be used. Each prints as one line.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file is about other work.
    #[error("{path}: holds other work, with another {key}: name another file, or --force")]
    OtherWork {
        /// The file's path.
        path: PathBuf,
        /// What differs.
        key: String,
    },
    /// A line does not say what it should.
    #[error("{path}:{line}: {reason}")]
    Malformed {
        /// The file's path.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// A file of lines, each a `T`, open for more of them.
#[derive(Debug)]
pub struct Journal<T> {
    path: PathBuf,
    file: Mutex<File>,
    line: PhantomData<fn(T)>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens the journal `path` of the work `head`, or begins it, and returns what is in it. With
    /// `force`, what other work has left there is replaced.
    ///
    /// # Errors
    /// If it is that of other work, cannot be read, or has a line in the middle that is none.
    pub fn open(
        path: &Path,
        head: &Value,
        force: bool,
    ) -> Result<(Journal<T>, Vec<T>), JournalError> {
        let failed = |source| JournalError::Io { path: path.to_owned(), source };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let (mut lines, mut kept) = (Vec::new(), 0);
        let whole = whole_lines(&text);
        if !whole.is_empty() {
            match read_work(path, whole, head) {
                Ok(found) => (lines, kept) = (found, whole.len()),
                Err(JournalError::OtherWork { .. }) if force => {}
                Err(error) => return Err(error),
            }
        }
        let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
        file.set_len(kept as u64).map_err(failed)?;
        if kept == 0 {
            file.write_all(format!("{head}\n").as_bytes()).map_err(failed)?;
        }
        let file = Mutex::new(file);
        Ok((Journal { path: path.to_owned(), file, line: PhantomData }, lines))
    }

    /// Writes a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, line: &T) -> Result<(), JournalError> {
        // What is kept are numbers and texts, which always serialize.
        let line = serde_json::to_string(line).unwrap_or_default() + "\n";
        // A thread that panicked while it wrote has left at worst a torn last line.
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let written = file.write_all(line.as_bytes());
        written.map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }
}

/// Reads a journal: what the work is, and its lines.
///
/// # Errors
/// If the file cannot be read, or a line is none.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<(Value, Vec<T>), JournalError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| JournalError::Io { path: path.to_owned(), source })?;
    let whole = whole_lines(&text);
    let first = whole.lines().next().unwrap_or_default();
    let head: Value = parse(path, 1, first)?;
    Ok((head, lines_of(path, whole)?))
}

/// The lines of `text` that have an end.
fn whole_lines(text: &str) -> &str {
    &text[..text.rfind('\n').map_or(0, |end| end + 1)]
}

fn parse<T: DeserializeOwned>(path: &Path, line: usize, text: &str) -> Result<T, JournalError> {
    serde_json::from_str(text).map_err(|error| {
        let (path, reason) = (path.to_owned(), error.to_string());
        JournalError::Malformed { path, line, reason }
    })
}

fn lines_of<T: DeserializeOwned>(path: &Path, text: &str) -> Result<Vec<T>, JournalError> {
    text.lines().zip(1..).skip(1).map(|(line, number)| parse(path, number, line)).collect()
}

/// The lines in `text`, if it is the journal of the work `head`.
fn read_work<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    head: &Value,
) -> Result<Vec<T>, JournalError> {
    let found: Value = parse(path, 1, text.lines().next().unwrap_or_default())?;
    if let Some(key) = difference(&found, head) {
        return Err(JournalError::OtherWork { path: path.to_owned(), key });
    }
    lines_of(path, text)
}

/// The first key whose value differs.
pub fn difference(one: &Value, other: &Value) -> Option<String> {
    if one == other {
        return None;
    }
    let keys = [one, other].into_iter().filter_map(Value::as_object).flat_map(|map| map.keys());
    let mut differing = keys.filter(|key| one.get(key.as_str()) != other.get(key.as_str()));
    Some(differing.next().map_or_else(|| "form".to_owned(), Clone::clone))
}
