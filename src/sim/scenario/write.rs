//! Writes a scenario as JSON that reads back as the same scenario. A run's folder keeps it, so that
//! the run can be repeated.

use serde_json::{Value, json};

use super::{Event, Scenario, fault_json};
use crate::raft::Micros;

impl Scenario {
    /// The scenario as a scenario file with every key.
    pub fn to_json(&self) -> Value {
        let tests = &self.tests;
        let mut scenario = json!({
            "lifetime": self.lifetime.0 / 1_000_000,
            "replicas": self.replicas,
            "requests": self.requests,
            "mix": self.mix,
            "start_wait": seconds(self.start_wait),
            "end_wait": seconds(self.end_wait),
            "drops": self.drops,
            "max_packets": self.max_packets,
            "events": self.events.iter().map(event_json).collect::<Vec<_>>(),
            "tests": {
                "benchmarks": {
                    "total_msgs": tests.total_messages.0,
                    "failures": tests.failures.0,
                    "duplicates": tests.duplicates.0,
                    "median_latency": tests.median_latency.0,
                },
                "maximum_get_fail_fraction": tests.maximum_get_fail_fraction,
                "maximum_put_fail_fraction": tests.maximum_put_fail_fraction,
                "maximum_get_generation_fail_fraction": tests.maximum_get_generation_fail_fraction,
                "maximum_appends_batched_fraction": tests.maximum_appends_batched_fraction,
            },
            "shared_keys": self.shared_keys,
            "burst": self.burst,
            "value_bytes": self.value_bytes,
            "pace": self.pace,
            "network": {
                "duplicates": self.network.duplicates,
                "one_way_ms": self.network.one_way.0 as f64 / 1e3,
                "delayed": self.network.delayed,
                "delay_max_ms": self.network.delay_max.0 as f64 / 1e3,
                "faults": self.network.faults.iter().map(fault_json::to_json).collect::<Vec<_>>(),
            },
            "clock_drift_ppm": self.clock_drift_ppm,
            "budget": self.budget,
        });
        if let Some(seed) = self.seed {
            scenario["seed"] = json!(seed);
        }
        scenario
    }
}

fn event_json(event: &Event) -> Value {
    json!({ "type": event.kind.name(), "time": seconds(event.at) })
}

fn seconds(time: Micros) -> f64 {
    time.0 as f64 / 1e6
}
