//! What a replica prints when one of its instruments fails.

use std::io::{self, Write};

/// Prints one line about an instrument that failed. The replica goes on without it.
pub(super) fn complain(words: &str) {
    // If stderr is closed, the line is lost.
    let _ = writeln!(io::stderr(), "laconic replica: {words}; serving on without it");
}
