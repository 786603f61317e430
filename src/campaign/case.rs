//! What a seed stands for: a scenario, the knobs, and how the run is done.

use crate::raft::tuning::{Control, Reads};
use crate::raft::{Micros, Tuning};
use crate::sim::delays::Delays;
use crate::sim::scenario::{Event, EventKind, Fault, FaultKind, Scenario};
#[cfg(feature = "planted")]
use crate::sim::virtual_time::run_planted;
use crate::sim::virtual_time::{Keep, Retuning, VirtualOptions, VirtualRun, run, run_retuned};
use crate::tuning_file::{self, EMBEDDED};

/// What every run of a campaign needs, read once.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long things take.
    pub delays: Delays,
    /// The profiles that seeds choose from, by name.
    pub profiles: Vec<(&'static str, Tuning)>,
    /// The bug that is planted in all replicas.
    #[cfg(feature = "planted")]
    pub planted: Option<crate::raft::Planted>,
}

impl Options {
    /// The embedded delays and all embedded profiles.
    pub fn embedded() -> Options {
        // The profiles are part of the program, and a test loads each.
        let load = |(name, _): &(&'static str, _)| {
            tuning_file::load(name).ok().map(|profile| (*name, profile.tuning))
        };
        let profiles = EMBEDDED.iter().filter_map(load).collect();
        Options {
            delays: Delays::embedded(),
            profiles,
            #[cfg(feature = "planted")]
            planted: None,
        }
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
    /// Other knobs for all replicas, from a moment on.
    pub retuning: Option<Retuning>,
    /// Whether requests and faults come when they are due, and not at the course's 100 ms edges.
    pub precise: bool,
    /// Whether every datagram is encoded and decoded as JSON.
    pub through_codec: bool,
}

/// When the faults of a run that is drawn end, counted from the first request. What is asked later
/// must be served.
pub const FAULTS_END: Micros = Micros::from_seconds(4);

/// How much earlier than by its margin a lease must end for what is not counted: a replica takes
/// some microseconds to send.
const LEASE_SLACK: Micros = Micros::from_millis(1);

fn done<E>(run: Result<VirtualRun, E>) -> VirtualRun {
    let Ok(run) = run else {
        unreachable!("a run that writes no file has no file that fails");
    };
    run
}

impl Case {
    /// Whether reads rest on leases that this case leaves no ground for: clocks differ by more than
    /// the margin allows, or a turn takes longer than what is left of it.
    pub fn breaks_leases(&self) -> bool {
        self.tunings().any(|tuning| self.breaks_leases_of(tuning))
    }

    /// The knobs, and those that replace them.
    pub fn tunings(&self) -> impl Iterator<Item = &Tuning> {
        let other = self.retuning.as_ref().map(|retuning| &retuning.tuning);
        std::iter::once(&self.tuning).chain(other)
    }

    fn breaks_leases_of(&self, tuning: &Tuning) -> bool {
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

    /// How long the cluster may take until it has answered everything, from the end of the faults
    /// or from the last request on. Whoever is deposed is heard again, another is elected, requests
    /// that were kept are sent on, and those that lag catch up.
    pub fn recovery(tuning: &Tuning) -> Micros {
        let elections = tuning.election_timeout_max_us * 3;
        Micros::from_seconds(4) + Micros(elections + tuning.hold_time_us * 2)
    }

    /// Whether the cluster can be asked to have recovered by the end: a quorum lives, partitions
    /// and faults are over, and there is time enough after them.
    pub fn is_fair(&self) -> bool {
        let scenario = &self.scenario;
        let kill =
            |event: &&Event| matches!(event.kind, EventKind::KillLeader | EventKind::KillNonLeader);
        let mut partitions = scenario.events.iter().filter(|event| !kill(event));
        let healed = partitions.next_back().is_none_or(|last| last.kind == EventKind::PartEnd);
        let ends = scenario.network.faults.iter().map(|fault| fault.at + fault.lasts);
        let events = scenario.events.iter().map(|event| event.at);
        let calm = ends.chain(events).max().unwrap_or_default().max(scenario.lifetime);
        let retuned = self.retuning.as_ref().map_or(Micros(0), |retuning| retuning.at);
        let enough = calm.max(retuned) + self.longest_recovery() <= self.end();
        let killed = scenario.events.iter().filter(kill).count();
        healed && enough && killed * 2 < scenario.replicas
    }

    /// How long the cluster may take to recover, with the knobs that allow most.
    pub fn longest_recovery(&self) -> Micros {
        self.tunings().map(Case::recovery).max().unwrap_or_default()
    }

    /// When the run ends, counted from the first request.
    pub fn end(&self) -> Micros {
        self.scenario.lifetime + self.scenario.end_wait
    }

    /// Until when messages and copies of them may come that faults hold back, counted like the
    /// faults.
    pub fn copies_until(&self) -> Micros {
        let until = |fault: &Fault| match fault.kind {
            FaultKind::Delay { most, .. } | FaultKind::Duplicates { most, .. } => {
                fault.at + fault.lasts + most
            }
            _ => Micros(0),
        };
        self.scenario.network.faults.iter().map(until).max().unwrap_or_default()
    }

    /// How long a turn of a replica takes at most because of faults.
    fn longest_turn(&self) -> Micros {
        let turn = |fault: &Fault| match fault.kind {
            FaultKind::Slow { turn, .. } => turn,
            _ => Micros(0),
        };
        self.scenario.network.faults.iter().map(turn).max().unwrap_or_default()
    }

    /// Does the run.
    pub fn run(&self, options: &Options, records: Keep) -> VirtualRun {
        let how = self.virtual_options(options, records);
        #[cfg(feature = "planted")]
        if let Some(bug) = options.planted {
            return done(run_planted(&self.scenario, &how, self.retuning.as_ref(), bug));
        }
        done(match &self.retuning {
            None => run(&self.scenario, &how),
            Some(retuning) => run_retuned(&self.scenario, &how, retuning),
        })
    }

    fn virtual_options(&self, options: &Options, records: Keep) -> VirtualOptions {
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
