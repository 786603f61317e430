//! When a batch that waits for more entries goes out.

use super::types::Micros;

/// When a batch goes out: whichever of the three limits is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LingerRule {
    /// How long the first entry waits at most. 0: only until the socket is drained.
    pub linger_us: u64,
    /// So many entries go at once. 0: no limit.
    pub enough: u64,
    /// How long the entries wait in sum at most. 0: no limit.
    pub waited_us: u64,
}

/// The entries that wait for the next batch.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Lingering {
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
    pub fn add(&mut self, rule: LingerRule, now: Micros) -> Micros {
        if self.count == 0 {
            self.first_at = now;
        }
        self.count += 1;
        self.came_at_sum += now.0;
        if rule.enough > 0 && self.count >= rule.enough {
            return now;
        }
        let longest = self.first_at + Micros(rule.linger_us);
        let waited = match rule.waited_us {
            0 => Micros::NEVER,
            waited => Micros((waited + self.came_at_sum).div_ceil(self.count)),
        };
        longest.min(waited).max(now)
    }

    /// How long the entries have waited in sum by `now`, in microseconds.
    pub const fn waited_us(&self, now: Micros) -> u64 {
        (self.count * now.0).saturating_sub(self.came_at_sum)
    }

    /// How many entries wait.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Nothing waits any more.
    pub fn clear(&mut self) {
        *self = Lingering::default();
    }
}
