//! How long things take in the virtual simulator: quantiles measured in real runs by
//! `laconic calibrate`, which writes the file that is embedded here.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::random_stream::RandomStream;
use crate::raft::Micros;

/// A distribution: its quantiles at equal steps from the smallest to the largest, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Quantiles(Vec<u64>);

/// The longest delay that a file may name.
const LONGEST: Micros = Micros::from_seconds(60);

impl TryFrom<Vec<u64>> for Quantiles {
    type Error = String;

    fn try_from(values: Vec<u64>) -> Result<Quantiles, String> {
        let rise = values.len() >= 2 && values.is_sorted();
        if rise && values.iter().all(|value| *value <= LONGEST.0) {
            return Ok(Quantiles(values));
        }
        Err(format!("quantiles are two numbers at least that rise, each at most {}", LONGEST.0))
    }
}

impl From<Quantiles> for Vec<u64> {
    fn from(quantiles: Quantiles) -> Vec<u64> {
        quantiles.0
    }
}

/// Steps between the smallest and the largest value.
const STEPS: usize = 256;

impl Quantiles {
    /// The quantiles of `values`; all zero if there are none.
    pub fn of(mut values: Vec<u64>) -> Quantiles {
        values.sort_unstable();
        let last = values.len().saturating_sub(1);
        let at = |step: usize| values.get(last * step / STEPS).copied().unwrap_or(0);
        Quantiles((0..=STEPS).map(at).collect())
    }

    /// The middle quantile.
    pub fn median(&self) -> Micros {
        Micros(self.0.get(self.0.len() / 2).copied().unwrap_or(0))
    }

    /// A random value between two neighbouring quantiles. It uses integers only.
    pub fn draw(&self, random: &mut RandomStream) -> Micros {
        let segments = self.0.len().saturating_sub(1) as u64;
        let place = random.below(segments << 16);
        let (segment, fraction) = ((place >> 16) as usize, place & 0xFFFF);
        let (Some(low), Some(high)) = (self.0.get(segment), self.0.get(segment + 1)) else {
            return self.median();
        };
        Micros(low + ((high.saturating_sub(*low) * fraction) >> 16))
    }
}

/// How long a process must be idle to count as cold. By then caches are lost and clock rates are
/// lower, so waking takes longer.
pub const COLD_AFTER: Micros = Micros::from_millis(1);

/// A delay that depends on how long its process has been idle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warmth {
    /// The delay after an idle time of at most [`COLD_AFTER`].
    pub warm: Quantiles,
    /// The delay after a longer idle time.
    pub cold: Quantiles,
}

impl Warmth {
    /// The distribution for a process that has been idle for this long.
    pub fn after(&self, idle: Micros) -> &Quantiles {
        if idle > COLD_AFTER { &self.cold } else { &self.warm }
    }
}

impl From<Quantiles> for Warmth {
    /// Uses the same quantiles for cold and warm.
    fn from(quantiles: Quantiles) -> Warmth {
        Warmth { warm: quantiles.clone(), cold: quantiles }
    }
}

/// The pace of the course's own simulator, which is a Python program: how long it works at least on
/// what it does. It was measured there, on two cores (interface §4). `laconic calibrate` does not
/// measure it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Time from when a client's request is created until the next one can be.
    pub request_us: Quantiles,
    /// Time for a datagram from a replica, from reading it until the next one can be read.
    pub datagram_us: Quantiles,
    /// Time that a cold replica needs at least to take in what wakes it. The Python process leaves
    /// it less of the caches than ours does. Virtual engine only: in real runs it takes its time.
    pub cold_wake_us: Quantiles,
}

/// The delays of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delays {
    /// The machine on which they were measured.
    pub measured_on: String,
    /// Time from when the simulator reads a datagram until the receiver, idle before, takes it in.
    pub replica_wake_us: Warmth,
    /// Time from the step in which a replica sends until the simulator, idle before, reads it.
    pub simulator_wake_us: Warmth,
    /// Time from when the simulator reads a datagram until it reads the next, if one waits.
    pub simulator_handling_us: Quantiles,
    /// Time from when the simulator begins to send a request until a cold replica takes it in.
    pub request_wake_us: Quantiles,
    /// Time from when the simulator checks what is due until it begins to send the first request.
    pub request_lead_us: Quantiles,
    /// How long the simulator takes to send a client's request, by the time since it last sent one
    /// to that replica. The first of several has to wake the replica.
    pub request_send_us: Warmth,
    /// How late a replica's timer goes off.
    pub timer_late_us: Quantiles,
    /// How long a killed replica takes to exit. The simulator waits for it.
    pub exit_us: Quantiles,
    /// How long the course's own simulator takes at least for requests and datagrams.
    pub pace: Pace,
}

impl Delays {
    /// The embedded model.
    pub fn embedded() -> Delays {
        // The file is part of the program, and a test parses it.
        serde_json::from_str(include_str!("delays.json")).unwrap_or_else(|_| Delays::none())
    }

    /// The model in `file`, as `laconic calibrate` writes it.
    ///
    /// # Errors
    /// One line that names the file and what is wrong with it.
    pub fn load(file: &Path) -> Result<Delays, String> {
        let refuse = |reason: String| format!("{}: {reason}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| refuse(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))
    }

    /// Nothing takes any time. For tests that set every delay themselves.
    pub fn none() -> Delays {
        let zero = || Quantiles(vec![0, 0]);
        let idle = || Warmth { warm: zero(), cold: zero() };
        Delays {
            measured_on: "nothing".into(),
            replica_wake_us: idle(),
            simulator_wake_us: idle(),
            simulator_handling_us: zero(),
            request_wake_us: zero(),
            request_lead_us: zero(),
            request_send_us: idle(),
            timer_late_us: zero(),
            exit_us: zero(),
            pace: Pace { request_us: zero(), datagram_us: zero(), cold_wake_us: zero() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_model_parses_and_is_a_measured_one() {
        let delays: Delays = serde_json::from_str(include_str!("delays.json")).unwrap();
        assert_eq!(delays, Delays::embedded());
        assert!(delays.replica_wake_us.cold.median() > Micros(0));
    }

    #[test]
    fn the_pace_has_the_quantiles_that_the_courses_simulator_showed() {
        let Pace { request_us, datagram_us, .. } = Delays::embedded().pace;
        let mut random = RandomStream::new(1, "test", 0);
        let mut draws: Vec<u64> = (0..10_000).map(|_| request_us.draw(&mut random).0).collect();
        draws.sort_unstable();
        for (percent, seen) in [(10, 92), (50, 148), (90, 571)] {
            let drawn = draws[draws.len() * percent / 100];
            assert!(drawn.abs_diff(seen) <= seen / 20, "{drawn} us at {percent} %");
        }
        let draws = (0..10_000).map(|_| datagram_us.draw(&mut random).0);
        assert!(draws.into_iter().all(|draw| (100..=200).contains(&draw)));
    }

    #[test]
    fn a_file_is_read_back_and_refused_with_its_name_and_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.json");
        let delays = Delays::embedded();
        std::fs::write(&file, serde_json::to_string(&delays).unwrap()).unwrap();
        assert_eq!(Delays::load(&file).unwrap(), delays);
        for (list, wrong) in [
            ("[]", "two numbers"),
            ("[5]", "two"),
            ("[2, 1]", "rise"),
            ("[1, 60000001]", "at most"),
        ] {
            let mut value = serde_json::to_value(&delays).unwrap();
            value["exit_us"] = serde_json::from_str(list).unwrap();
            std::fs::write(&file, value.to_string()).unwrap();
            let refused = Delays::load(&file).unwrap_err();
            assert!(refused.contains("mine.json") && refused.contains(wrong), "{refused}");
        }
        assert!(Delays::load(&folder.path().join("none")).unwrap_err().contains("none"));
    }

    #[test]
    fn draws_follow_the_quantiles() {
        let quantiles = Quantiles::of((1..=1_000).collect());
        let mut random = RandomStream::new(1, "test", 0);
        let draws: Vec<u64> = (0..10_000).map(|_| quantiles.draw(&mut random).0).collect();
        let below = |limit| draws.iter().filter(|draw| **draw < limit).count();
        assert!(draws.iter().all(|draw| (1..=1_000).contains(draw)));
        assert!((2_300..2_700).contains(&below(250)), "{}", below(250));
        assert!((8_800..9_200).contains(&below(900)), "{}", below(900));
    }
}
