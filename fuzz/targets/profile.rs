//! Text that is a profile: its knobs keep to their limits.
#![no_main]

use laconic::tuning_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // A base may be a path, and the fuzzer is to read no files of others.
    if text.contains("base") {
        return;
    }
    match tuning_file::parse("fuzzed.toml", text) {
        Ok(profile) => profile.tuning.check().expect("checked"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
