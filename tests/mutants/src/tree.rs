//! A copy of the project in which mutants are written and built.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::list::Mutant;
use crate::problem::{Problem, output_of, read, write};
use crate::schemata;

/// The copy, and what is known of the mutants in it.
pub struct Tree {
    /// Where the copy is.
    pub root: PathBuf,
    /// Where cargo builds.
    target: PathBuf,
    /// The files that have mutants, as they are without.
    texts: HashMap<String, String>,
    /// Functions that must stay `const`, by name.
    constant: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Clone, Deserialize)]
struct Place {
    file_name: String,
    byte_start: usize,
    is_primary: bool,
    expansion: Option<Box<Expansion>>,
}

#[derive(Clone, Deserialize)]
struct Expansion {
    span: Place,
}

#[derive(Deserialize)]
struct Diagnostic {
    message: String,
    code: Option<Code>,
    level: String,
    spans: Vec<Place>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// A line of what cargo says.
#[derive(Deserialize)]
struct Said {
    message: Option<Diagnostic>,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

/// The options of every build: without debug information, and a program that runs quickly, since it
/// is built once.
const PROFILE: [&str; 5] =
    ["--locked", "--profile", "mutants", "--config", "profile.mutants.codegen-units=16"];

impl Tree {
    /// Copies the project at `house` to `root`: what git knows, and what it would add.
    ///
    /// # Errors
    /// git fails, or a file cannot be read or written.
    pub fn copy(
        house: &Path,
        root: PathBuf,
        target: PathBuf,
        texts: HashMap<String, String>,
    ) -> Result<Self, Problem> {
        let mut command = Command::new("git");
        command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let names = output_of(command.current_dir(house))?;
        let names = String::from_utf8(names).map_err(|error| Problem(error.to_string()))?;
        for name in names.split_terminator('\0').filter(|name| house.join(name).is_file()) {
            let changed = texts.contains_key(name) || name == "src/lib.rs";
            if !changed {
                let bytes = std::fs::read(house.join(name));
                let bytes = bytes.map_err(|error| Problem(format!("{name}: {error}")))?;
                write(&root.join(name), &bytes)?;
            }
        }
        let allowed = "#![allow(warnings, arithmetic_overflow, unconditional_panic)]";
        let lib = read(&house.join("src/lib.rs"))?;
        let lib = format!("{allowed}\n{lib}\npub mod mutant;\n");
        write(&root.join("src/lib.rs"), lib.as_bytes())?;
        // What earlier runs found: a file that is written twice is built again.
        let path = root.with_file_name("constant.txt");
        let known = if path.exists() { read(&path)? } else { String::new() };
        let constant = known.lines().map(str::to_owned).collect();
        Ok(Self { root, target, texts, constant })
    }

    /// Writes the files that have mutants with those that are `taken`: behind switches if
    /// `switched`, otherwise in place.
    fn write(
        &mut self,
        mutants: &[Mutant],
        taken: &dyn Fn(usize) -> bool,
        switched: bool,
    ) -> Result<(), Problem> {
        let mut of_file: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
        for (number, mutant) in mutants.iter().enumerate().filter(|(number, _)| taken(*number)) {
            of_file.entry(&mutant.file).or_default().push((number, mutant));
        }
        for (file, text) in &self.texts {
            let of_file = of_file.remove(file.as_str()).unwrap_or_default().into_iter();
            let text = if switched {
                let constant = |name: &str| self.constant.contains(name);
                schemata::with_switches(file, text, of_file, &constant)?
            } else {
                schemata::in_place(text, of_file)
            };
            write(&self.root.join(file), text.as_bytes())?;
        }
        let switch = include_str!("switch.rs").replace("MUTANTS]", &format!("{}]", mutants.len()));
        write(&self.root.join("src/mutant.rs"), switch.as_bytes())
    }

    /// What cargo says of a build, and whether it succeeded.
    fn cargo(&self, arguments: &[&str]) -> Result<(Vec<Said>, Result<(), String>), Problem> {
        let mut command = Command::new("cargo");
        command.args(arguments).args(PROFILE).arg("--message-format=json").arg("--target-dir");
        command.arg(&self.target).current_dir(&self.root);
        let output = command.output().map_err(|error| Problem(format!("cargo: {error}")))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let said = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let other = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((said, output.status.success().then_some(()).ok_or(other)))
    }

    /// The place of the project that a place is about: macros of others are expanded somewhere.
    fn own_place(&self, place: &Place) -> Option<Place> {
        let mut place = place.clone();
        while !self.texts.contains_key(&place.file_name) {
            place = place.expansion?.span;
        }
        Some(place)
    }

    /// The mutant that an error is about.
    fn culprit(&self, error: &Diagnostic, files: &HashMap<String, String>) -> Option<usize> {
        let mut places: Vec<Place> =
            error.spans.iter().filter_map(|place| self.own_place(place)).collect();
        places.sort_by_key(|place| !place.is_primary);
        let owner = |open, close| {
            let mut places = places.iter();
            places.find_map(|place| {
                schemata::owner(&files[&place.file_name], place.byte_start, open, close)
            })
        };
        // An arm with a condition does not count as one that is always there (E0004).
        let arm = || {
            let place = places.first().filter(|_| error.is("E0004"))?;
            let text = &files[&place.file_name];
            let after = place.byte_start + text[place.byte_start..].find("*/if crate::mutant::")?;
            schemata::owner(text, after + 3, '[', ']')
        };
        owner('<', '>').or_else(arm).or_else(|| owner('[', ']'))
    }

    /// Checks the library, and leaves out what does not compile until the rest does. `taken` is
    /// what is written, by number; what was left out is no longer in it.
    ///
    /// # Errors
    /// The compiler finds an error that is of no mutant.
    pub fn settle(
        &mut self,
        mutants: &[Mutant],
        taken: &mut HashSet<usize>,
        switched: bool,
    ) -> Result<(), Problem> {
        loop {
            self.write(mutants, &|number| taken.contains(&number), switched)?;
            let (said, success) = self.cargo(&["check", "--lib"])?;
            let Err(other) = success else {
                return Ok(());
            };
            let mut files = HashMap::new();
            for file in self.texts.keys() {
                files.insert(file.clone(), read(&self.root.join(file))?);
            }
            let before = (taken.len(), self.constant.len());
            let errors = said.into_iter().filter_map(|line| line.message);
            let mut unplaced = None;
            for error in errors.filter(|error| error.level == "error") {
                let culprit = self.culprit(&error, &files);
                if let Some(name) = called_as_constant(&error) {
                    self.constant.insert(name);
                } else if let Some(culprit) = culprit {
                    taken.remove(&culprit);
                } else if error.code.is_some() {
                    unplaced = unplaced.or(error.rendered);
                }
            }
            eprintln!(
                "does not compile yet: {} mutants left out, {} functions stay const",
                before.0 - taken.len(),
                self.constant.len() - before.1
            );
            let constant: Vec<&str> = self.constant.iter().map(String::as_str).collect();
            let path = self.root.with_file_name("constant.txt");
            write(&path, constant.join("\n").as_bytes())?;
            if before == (taken.len(), self.constant.len()) {
                let what = unplaced.unwrap_or(other);
                return Err(Problem(format!("of no mutant: {what}")));
            }
        }
    }

    /// Builds the tests of `targets` (`lib`, or names of integration tests): the programs.
    ///
    /// # Errors
    /// They do not build.
    pub fn programs(&self, targets: &[&str]) -> Result<Vec<(String, PathBuf)>, Problem> {
        let mut arguments = vec!["test".to_owned(), "--no-run".to_owned()];
        arguments.extend(targets.iter().map(|target| match *target {
            "lib" => "--lib".to_owned(),
            name => format!("--test={name}"),
        }));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (said, success) = self.cargo(&arguments)?;
        if let Err(other) = success {
            let errors = said.iter().filter_map(|line| line.message.as_ref()?.rendered.clone());
            return Err(Problem(format!(
                "the tests do not build: {}",
                errors.collect::<Vec<_>>().pop().unwrap_or(other)
            )));
        }
        let programs =
            said.into_iter().filter_map(|line| Some((line.target?.name, line.executable?)));
        Ok(programs
            .filter(|(_, path)| path.parent().is_some_and(|at| at.ends_with("deps")))
            .collect())
    }
}

impl Diagnostic {
    /// Whether it is the error of this code.
    fn is(&self, code: &str) -> bool {
        self.code.as_ref().is_some_and(|own| own.code == code)
    }
}

/// The function of ours that an error says must be `const` (E0015), unless it is a switch.
fn called_as_constant(error: &Diagnostic) -> Option<String> {
    let error = Some(error).filter(|error| error.is("E0015"))?;
    let path = error.message.split('`').nth(1)?;
    let own = path != "off" && !path.contains(" as ");
    own.then(|| path.rsplit("::").next().unwrap_or(path).to_owned())
}
