//! The house's own rules, held by a test: who imports whom, and how long a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use of ours, directly; the map in `src/lib.rs` says why.
const IMPORTS: &[(&str, &[&str])] = &[
    ("interface", &[]),
    ("raft", &[]),
    ("kv", &["interface"]),
    ("wire", &["interface", "raft"]),
    ("record", &["interface", "raft", "wire"]),
    ("replica", &["interface", "kv", "raft", "record", "wire"]),
    ("budget", &["interface", "raft", "record"]),
    ("metrics", &["budget", "raft", "record", "replica", "wire"]),
    ("tuning_file", &["budget", "raft"]),
    ("clock", &["raft"]),
    ("trace", &["interface", "raft", "record", "wire"]),
    ("recorder", &["interface", "raft", "record"]),
    (
        "service",
        &[
            "clock",
            "interface",
            "metrics",
            "raft",
            "record",
            "recorder",
            "replica",
            "tuning_file",
            "wire",
        ],
    ),
    ("sim", &["budget", "clock", "interface", "raft", "record", "replica", "wire"]),
    ("tune", &["budget", "raft", "record", "sim"]),
    ("top", &["metrics"]),
    (
        "cli",
        &[
            "budget",
            "metrics",
            "raft",
            "record",
            "recorder",
            "replica",
            "service",
            "sim",
            "top",
            "trace",
            "tune",
            "tuning_file",
            "wire",
        ],
    ),
];

/// Most lines of a source file.
const MOST_LINES: usize = 520;

fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    files.sort();
    files
}

/// The top-level module that a file belongs to.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules of ours that a text names after `crate::`.
fn named(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("crate::").map(|(at, found)| &text[at + found.len()..]);
    starts
        .filter_map(|rest| {
            let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            rest.get(..end.unwrap_or(rest.len())).map(str::to_owned)
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn modules_import_only_what_the_map_allows() {
    let allowed: BTreeMap<&str, &[&str]> = IMPORTS.iter().copied().collect();
    for path in sources() {
        let module = module_of(&path);
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let may =
            allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module}: not on the map"));
        for name in named(&fs::read_to_string(&path).unwrap()) {
            let fine = name == module || may.contains(&name.as_str());
            assert!(fine, "{} imports {name}, which {module} may not", path.display());
        }
    }
}

/// What is pure stays so through everything it imports.
#[test]
fn nothing_pure_reaches_a_socket_a_clock_or_a_file() {
    let forbidden = [
        "tokio",
        "std::net",
        "std::time::Instant",
        "std::time::SystemTime",
        "std::fs",
        "std::thread",
        "metrics::",
        "RandomState",
    ];
    for pure in ["interface", "raft", "kv", "wire", "replica"] {
        for path in sources().into_iter().filter(|path| module_of(path) == pure) {
            let text = fs::read_to_string(&path).unwrap();
            for word in forbidden {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
        }
    }
}

#[test]
fn files_are_of_a_length_that_can_be_read() {
    for path in sources() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= MOST_LINES, "{}: {lines} lines", path.display());
    }
}
