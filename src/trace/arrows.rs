//! How many messages ended in each way.

use serde::Serialize;

use crate::record::Fate;

/// Numbers of messages by the way their arrows end, one for each receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Arrows {
    /// Received: the arrow ends in a handling of the receiver.
    pub taken_in: u64,
    /// Forwarded by the simulator to a replica that never received them: it was killed, or the run
    /// ended.
    pub not_taken_in: u64,
    /// Lost at random (`drops`).
    pub dropped: u64,
    /// Lost to a partition.
    pub cut_off: u64,
    /// Sent to a dead replica.
    pub dead: u64,
    /// Refused by a full socket.
    pub blocked: u64,
    /// Received no later than they were sent, by clocks that disagree.
    pub against_the_clock: u64,
    /// Never read by the simulator: left in a socket when it was closed, or lost by the kernel. The
    /// simulator has not counted them.
    pub unread: u64,
}

impl Arrows {
    /// The number of messages that the simulator counted.
    pub fn counted(&self) -> u64 {
        self.taken_in
            + self.not_taken_in
            + self.dropped
            + self.cut_off
            + self.dead
            + self.blocked
            + self.against_the_clock
    }
    /// The counter of the messages with this fate.
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
