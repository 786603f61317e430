//! How many messages ended in which way.

use serde::Serialize;

use crate::record::Fate;

/// Messages by how their arrows end, one for each receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Arrows {
    /// In a handling of their receiver.
    pub taken_in: u64,
    /// Forwarded by the simulator to a replica that never took them in: it was killed, or the run
    /// ended.
    pub not_taken_in: u64,
    /// Lost at random (`drops`).
    pub dropped: u64,
    /// Lost to a partition.
    pub cut_off: u64,
    /// Sent to the dead.
    pub dead: u64,
    /// Refused by a full socket.
    pub blocked: u64,
    /// Taken in, by clocks that disagree, no later than they were sent.
    pub against_the_clock: u64,
    /// Never read by the simulator: left in a socket when it was closed, or lost by the kernel. The
    /// simulator has not counted these.
    pub unread: u64,
}

impl Arrows {
    /// Those that the simulator counted.
    pub fn counted(&self) -> u64 {
        self.taken_in
            + self.not_taken_in
            + self.dropped
            + self.cut_off
            + self.dead
            + self.blocked
            + self.against_the_clock
    }
    /// The count of those with this fate.
    pub(super) fn of(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            Fate::Delivered | Fate::Stale | Fate::Duplicate | Fate::Implausible => {
                &mut self.taken_in
            }
            Fate::Dropped => &mut self.dropped,
            Fate::CutOff => &mut self.cut_off,
            Fate::Dead => &mut self.dead,
            Fate::Blocked => &mut self.blocked,
            Fate::UnreadByReceiver => &mut self.not_taken_in,
            Fate::UnreadBySimulator | Fate::LostInSocket => &mut self.unread,
        }
    }
}
