//! The pace of a run: how long the simulator works at least on each request and each datagram. Both
//! engines keep it (design §7).

use super::delays::{Delays, Pace};
use super::random_stream::RandomStream;
use super::scenario::Scenario;
use crate::raft::Micros;

/// Draws how long each piece of work takes at least. The draws have a stream of their own: with the
/// pace or without it, the clients ask the same.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(scenario: &Scenario, precise: bool) -> (bool, Vec<Micros>) {
        let mut pacing = Pacing::new(scenario, 1, precise, &Delays::embedded());
        let draws = (0..50).flat_map(|_| [pacing.request(), pacing.datagram()]).collect();
        (pacing.is_on(), draws)
    }

    #[test]
    fn a_run_has_a_pace_unless_its_timing_is_precise_or_its_scenario_has_none() {
        let course = Scenario::load("simple-2").unwrap();
        let (on, draws) = drawn(&course, false);
        assert!(on && draws.iter().all(|draw| *draw >= Micros(82)), "{draws:?}");
        assert_eq!(drawn(&course, false).1, draws, "the same seed, the same pace");
        let unpaced = Scenario { pace: false, ..course.clone() };
        for (scenario, precise) in [(&course, true), (&unpaced, false), (&unpaced, true)] {
            assert_eq!(drawn(scenario, precise), (false, vec![Micros(0); 100]));
        }
    }
}
