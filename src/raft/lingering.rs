//! When a batch that waits for more entries goes out.

use super::tuning::Tuning;
use super::types::Micros;

/// The entries that wait for the next batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lingering {
    /// When the first of them came.
    first_at: Micros,
    /// How many there are.
    count: u64,
    /// The sum of the times at which they came, in microseconds.
    came_at_sum: u64,
}

impl Lingering {
    /// Notes that an entry came. Returns when the batch goes, if no more come: after the linger of
    /// its first entry, at once if the entries are enough, or when they have waited long enough in
    /// sum. The last is the rule of dynamic acknowledgement (Dooly, Goldman, Scott 1998): a batch
    /// goes when waiting has cost as much as sending it does.
    pub fn add(&mut self, tuning: &Tuning, now: Micros) -> Micros {
        if self.count == 0 {
            self.first_at = now;
        }
        self.count += 1;
        self.came_at_sum += now.0;
        let enough = tuning.linger_enough_entries;
        if enough > 0 && self.count >= enough {
            return now;
        }
        let longest = self.first_at + Micros(tuning.linger_us);
        let waited = match tuning.linger_waited_us {
            0 => Micros::NEVER,
            waited => Micros((waited + self.came_at_sum).div_ceil(self.count)),
        };
        longest.min(waited).max(now)
    }

    /// Nothing waits any more.
    pub fn clear(&mut self) {
        *self = Lingering::default();
    }
}
