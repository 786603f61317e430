//! Which mutant is on. Only in the copy of the tree that `tests/mutants` writes.

use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// The environment was not read yet.
const UNREAD: u32 = u32::MAX;

/// None is on.
const NONE: u32 = u32::MAX - 2;

/// None is on; those that are reached are noted.
const WATCH: u32 = u32::MAX - 1;

static CHOSEN: AtomicU32 = AtomicU32::new(UNREAD);
static REACHED: [AtomicBool; MUTANTS] = [const { AtomicBool::new(false) }; MUTANTS];

/// Whether this mutant is off.
#[inline(always)]
pub fn off(mutant: u32) -> bool {
    let chosen = CHOSEN.load(Relaxed);
    chosen != mutant && (chosen < WATCH || look(mutant))
}

/// Reads the environment, or notes that the mutant was reached. Whether it is off.
#[cold]
fn look(mutant: u32) -> bool {
    static FILE: OnceLock<File> = OnceLock::new();
    let path = || std::env::var_os("MUTANTS_REACHED");
    if CHOSEN.load(Relaxed) == UNREAD {
        let number = std::env::var("MUTANT").ok().and_then(|number| number.parse().ok());
        let otherwise = if path().is_some() { WATCH } else { NONE };
        CHOSEN.store(number.unwrap_or(otherwise), Relaxed);
        return off(mutant);
    }
    if !REACHED[mutant as usize].swap(true, Relaxed) {
        let open = || File::options().append(true).create(true).open(path().unwrap()).unwrap();
        let mut file = FILE.get_or_init(open);
        file.write_all(format!("{mutant}\n").as_bytes()).unwrap();
    }
    true
}
