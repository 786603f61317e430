//! What a replica says of an instrument that fails.

use std::io::{self, Write};

/// Says in one line what an instrument lacks; the replica serves on.
pub(super) fn complain(words: &str) {
    // With stderr closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "laconic replica: {words}; serving on without it");
}
