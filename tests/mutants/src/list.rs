//! What cargo-mutants would change, and the names by which results are kept.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::problem::{Problem, output_of};

/// A line and a column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Position {
    line: usize,
    column: usize,
}

/// From a position up to another.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Span {
    start: Position,
    end: Position,
}

#[derive(Deserialize)]
struct ListedFunction {
    function_name: String,
    return_type: String,
    span: Span,
}

/// A mutant as cargo-mutants lists it.
#[derive(Deserialize)]
struct Listed {
    file: String,
    function: Option<ListedFunction>,
    genre: Genre,
    name: String,
    replacement: String,
    span: Span,
}

/// What is changed (cargo-mutants, "Mutation genres").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

/// Bytes of a file.
pub type Bytes = std::ops::Range<usize>;

/// A change at one place.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Place and change in words, as cargo-mutants names it.
    pub name: String,
    /// The same without line and column, so that results outlive lines that move.
    pub key: String,
    /// Relative to the project.
    pub file: String,
    pub genre: Genre,
    /// What is replaced.
    pub bytes: Bytes,
    pub replacement: String,
    /// The function that it is in, if any.
    pub function: Option<(String, Bytes)>,
    /// Whether it makes a function return another type: one that is only said to implement a trait.
    pub other_type: bool,
}

impl Mutant {
    /// `src/raft` of `src/raft/log.rs`.
    pub fn folder(&self) -> &str {
        let end = self.file.match_indices('/').nth(1).map_or(self.file.len(), |(at, _)| at);
        &self.file[..end]
    }

    /// Its file and its function: tests that catch one mutant there often catch others.
    pub fn places(&self) -> [String; 2] {
        let function = self.function.as_ref().map_or("", |(name, _)| name);
        [self.file.clone(), format!("{} {function}", self.file)]
    }
}

/// The bytes of a span in a text.
fn bytes_of(text: &str, span: Span) -> Option<Bytes> {
    let byte = |position: Position| {
        let mut starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        let start = starts.nth(position.line.checked_sub(1)?)?;
        let mut columns = text[start..].char_indices().map(|(at, _)| start + at);
        columns.nth(position.column.checked_sub(1)?).or(Some(text.len()))
    };
    Some(byte(span.start)?..byte(span.end)?)
}

/// All mutants of the project at `house`, with what `.cargo/mutants.toml` leaves out left out, and
/// the text of each file that has some.
///
/// # Errors
/// cargo-mutants is not there, fails, or names a place that a file does not have.
pub fn list(house: &Path) -> Result<(Vec<Mutant>, HashMap<String, String>), Problem> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json"]).current_dir(house);
    let listed: Vec<Listed> = serde_json::from_slice(&output_of(&mut command)?)
        .map_err(|error| Problem(format!("cargo mutants --list --json: {error}")))?;
    let mut texts = HashMap::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut mutants = Vec::new();
    for Listed { file, function, genre, name, replacement, span } in listed {
        if !texts.contains_key(&file) {
            texts.insert(file.clone(), crate::problem::read(&house.join(&file))?);
        }
        let text = &texts[&file];
        let outside = || Problem(format!("{name}: {file} has no such place"));
        let bytes = bytes_of(text, span).ok_or_else(outside)?;
        let hidden = |function: &ListedFunction| function.return_type.contains("impl ");
        let other_type = genre == Genre::FnValue && function.as_ref().is_some_and(hidden);
        let function = match function {
            Some(ListedFunction { function_name, span, .. }) => {
                Some((function_name, bytes_of(text, span).ok_or_else(outside)?))
            }
            None => None,
        };
        let change = name.splitn(4, ':').nth(3).unwrap_or(&name);
        let count = seen.entry(format!("{file}:{change}")).or_default();
        *count += 1;
        let key = format!("{file}:{change} #{count}");
        mutants.push(Mutant { key, name, file, genre, bytes, replacement, function, other_type });
    }
    Ok((mutants, texts))
}
