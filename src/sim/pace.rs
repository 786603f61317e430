//! The pace of a run: how long the simulator works at least on each request and each datagram. Both
//! engines keep it (design §7).

use super::delays::{Delays, Pace};
use super::random_stream::RandomStream;
use super::scenario::Scenario;
use crate::raft::Micros;

/// Draws how long each piece of work takes at least. The draws have a stream of their own, so a run
/// without a pace draws all else as a run with one.
#[derive(Debug)]
pub struct Pacing {
    /// `None`: the run has no pace, and nothing takes longer than it has to.
    pace: Option<Pace>,
    random: RandomStream,
}

impl Pacing {
    /// The pacing of a run. `precise` timing has none, nor has a scenario that says so.
    pub fn new(scenario: &Scenario, seed: u64, precise: bool, delays: &Delays) -> Pacing {
        let pace = (scenario.pace && !precise).then(|| delays.pace.clone());
        Pacing { pace, random: RandomStream::new(seed, "pace", 0) }
    }

    /// Whether the run has a pace. Requests of one edge are then created one by one.
    pub fn is_on(&self) -> bool {
        self.pace.is_some()
    }

    /// How long the next request takes at least.
    pub fn request(&mut self) -> Micros {
        self.pace.as_ref().map_or(Micros(0), |pace| pace.request_us.draw(&mut self.random))
    }

    /// How long the next datagram takes at least.
    pub fn datagram(&mut self) -> Micros {
        self.pace.as_ref().map_or(Micros(0), |pace| pace.datagram_us.draw(&mut self.random))
    }
}
