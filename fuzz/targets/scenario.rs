//! Text that is a scenario: what it says, written and read again, is the same.
#![no_main]

use laconic::sim::scenario::Scenario;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Scenario::parse("fuzzed", "fuzzed.json", text) {
        Ok(scenario) => {
            let written = scenario.to_json().to_string();
            let again = Scenario::parse("fuzzed", "fuzzed.json", &written);
            assert_eq!(again.as_ref().ok(), Some(&scenario), "{written}: {again:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
