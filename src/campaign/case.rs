//! What a seed stands for: a scenario, the knobs, and how the run is done.

use crate::raft::Tuning;
use crate::sim::delays::Delays;
use crate::sim::scenario::Scenario;
use crate::sim::virtual_time::{Keep, VirtualOptions};
use crate::tuning_file::{self, EMBEDDED};

/// What every run of a campaign needs, read once.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long things take.
    pub delays: Delays,
    /// The profiles that seeds choose from, by name.
    pub profiles: Vec<(&'static str, Tuning)>,
}

impl Options {
    /// The embedded delays and all embedded profiles.
    pub fn embedded() -> Options {
        // The profiles are part of the program, and a test loads each.
        let load = |(name, _): &(&'static str, _)| {
            tuning_file::load(name).ok().map(|profile| (*name, profile.tuning))
        };
        let profiles = EMBEDDED.iter().filter_map(load).collect();
        Options { delays: Delays::embedded(), profiles }
    }
}

/// A run of a campaign, ready to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// The seed of the run's own draws. It differs from `seed` only in a run that was made smaller.
    pub run_seed: u64,
    /// What is asked of the cluster, and its faults.
    pub scenario: Scenario,
    /// The profile that the knobs were taken from.
    pub profile: &'static str,
    /// The knobs.
    pub tuning: Tuning,
    /// Whether requests and faults come when they are due, and not at the course's 100 ms edges.
    pub precise: bool,
    /// Whether every datagram is encoded and decoded as JSON.
    pub through_codec: bool,
}

impl Case {
    /// How to run it.
    pub fn options(&self, options: &Options, records: Keep) -> VirtualOptions {
        VirtualOptions {
            seed: self.run_seed,
            tuning: self.tuning.clone(),
            precise: self.precise,
            through_codec: self.through_codec,
            delays: options.delays.clone(),
            records,
        }
    }
}
