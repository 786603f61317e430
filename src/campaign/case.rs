//! What a seed stands for: a scenario, the knobs, and how the run is done.

use crate::raft::tuning::{Control, Reads};
use crate::raft::{Micros, Tuning};
use crate::sim::delays::Delays;
use crate::sim::scenario::{Fault, FaultKind, Scenario};
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

/// How much earlier than by its margin a lease must end for what is not counted: a replica takes
/// some microseconds to send.
const LEASE_SLACK: Micros = Micros::from_millis(1);

impl Case {
    /// Whether reads rest on leases that this case leaves no ground for: clocks differ by more than
    /// the margin allows, or a turn takes longer than what is left of it.
    pub fn breaks_leases(&self) -> bool {
        let tuning = &self.tuning;
        if tuning.reads == Reads::Confirm {
            return false;
        }
        let margin = tuning.lease_margin_us as i128;
        let promise = match tuning.control {
            Control::Static => tuning.promise_us as i128,
            // A controller may ask for a longer one, as long as its margin is 1 % of it.
            Control::Adaptive => (tuning.promise_us as i128).max(margin * 100),
        };
        let rates = || self.scenario.clock_drift_ppm.iter().map(|drift| i128::from(*drift));
        let slowest = 1_000_000 + rates().min().unwrap_or(0);
        let fastest = 1_000_000 + rates().max().unwrap_or(0);
        // In true time: how long the lease of a slow leader lasts, and the promise of a fast
        // follower.
        let lease = (promise - margin) * 1_000_000 / slowest;
        let promised = promise * 1_000_000 / fastest;
        lease + i128::from((self.longest_turn() + LEASE_SLACK).0) >= promised
    }

    /// How long a turn of a replica takes at most because of faults.
    fn longest_turn(&self) -> Micros {
        let turn = |fault: &Fault| match fault.kind {
            FaultKind::Slow { turn, .. } => turn,
            _ => Micros(0),
        };
        self.scenario.network.faults.iter().map(turn).max().unwrap_or_default()
    }

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
