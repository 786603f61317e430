//! The machine's monotonic clock, which the processes of a real run share.

use rustix::time::{ClockId, clock_gettime};

use crate::raft::Micros;

/// A clock that counts from its own start.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start_us: u64,
}

impl MonotonicClock {
    /// Starts the clock: now is time 0.
    pub fn start() -> MonotonicClock {
        MonotonicClock { start_us: machine_us() }
    }

    /// The time since the start.
    pub fn now(&self) -> Micros {
        Micros(machine_us().saturating_sub(self.start_us))
    }

    /// The machine's `CLOCK_MONOTONIC` at the start, in microseconds. It makes the times of several
    /// processes comparable (record file header, `clock_start_us`).
    pub fn start_us(&self) -> u64 {
        self.start_us
    }
}

fn machine_us() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // The clock counts from the machine's start, so neither part is negative.
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_counts_up_from_zero_and_tells_where_zero_lies() {
        let first = MonotonicClock::start();
        std::thread::sleep(std::time::Duration::from_millis(5));
        let second = MonotonicClock::start();
        let apart = second.start_us() - first.start_us();
        assert!(apart >= 5_000, "{apart}");
        assert!(first.now() >= Micros(apart));
        assert!(second.now() < Micros::from_seconds(60));
    }
}
