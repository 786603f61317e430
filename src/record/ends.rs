//! What is recorded about one message: its sender records the sending, the simulator the routing,
//! its receiver the receipt, in any order. Together they tell its fate.

use super::fact::{Fact, Fate, Record, SIMULATOR};
use crate::raft::{Disposition, Member, Micros};

/// One message to one receiver. A message to several receivers counts once for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Sender.
    pub from: Member,
    /// The sender's running count.
    pub number: u64,
    /// Receiver.
    pub to: Member,
}

/// What one record says of a message after its sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageEnd {
    /// The simulator read it, and this became of it there.
    Routed(Fate),
    /// Its receiver took it in.
    Received(Disposition),
}

impl MessageEnd {
    /// The message that `record` is about, and what it says. `None` if the record is about no
    /// routing or receipt, or if its source cannot know.
    pub fn of(record: &Record) -> Option<(MessageId, MessageEnd)> {
        let by_simulator = record.source == SIMULATOR;
        match record.fact {
            Fact::Routed { from, to, number, fate, .. } if by_simulator => {
                Some((MessageId { from, number, to }, MessageEnd::Routed(fate)))
            }
            Fact::Received { from, number, disposition, .. } if !by_simulator => {
                let to = record.source;
                Some((MessageId { from, number, to }, MessageEnd::Received(disposition)))
            }
            _ => None,
        }
    }
}

/// All that was recorded of a message after its sending.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    routed: Option<(Micros, Fate)>,
    received: Option<(Micros, Disposition)>,
}

impl Ends {
    /// Takes in what a record of time `at` says. If several copies arrive, the first receipt
    /// counts.
    pub fn take_in(&mut self, at: Micros, end: MessageEnd) {
        match end {
            MessageEnd::Routed(fate) => self.routed = Some((at, fate)),
            MessageEnd::Received(disposition) => {
                self.received.get_or_insert((at, disposition));
            }
        }
    }

    /// Whether nothing more can come: it was lost, or both ends have been recorded.
    pub fn is_over(&self) -> bool {
        match self.routed {
            Some((_, Fate::Delivered)) => self.received.is_some(),
            Some(_) => true,
            None => false,
        }
    }

    /// Its fate, if nothing more comes. `None`: nobody recorded it. The receiver's record counts
    /// more than the simulator's.
    pub fn fate(&self) -> Option<Fate> {
        match (self.received, self.routed) {
            (Some((_, disposition)), _) => Some(Fate::of(disposition)),
            (None, Some((_, Fate::Delivered))) => Some(Fate::UnreadByReceiver),
            (None, routed) => routed.map(|(_, fate)| fate),
        }
    }

    /// When it was last seen after its sending: received, or else routed.
    pub fn last_seen_at(&self) -> Option<Micros> {
        self.received.map(|(at, _)| at).or(self.routed.map(|(at, _)| at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(told: &[MessageEnd]) -> Ends {
        let mut ends = Ends::default();
        told.iter().zip(1..).for_each(|(end, at)| ends.take_in(Micros(at), *end));
        ends
    }

    #[test]
    fn the_ends_tell_the_fate_in_any_order() {
        use Disposition::{Accepted, Duplicate};
        use MessageEnd::{Received, Routed};
        let told = |told: &[MessageEnd]| (ends(told).fate(), ends(told).is_over());
        assert_eq!(told(&[]), (None, false));
        assert_eq!(told(&[Routed(Fate::Dropped)]), (Some(Fate::Dropped), true));
        assert_eq!(told(&[Routed(Fate::Delivered)]), (Some(Fate::UnreadByReceiver), false));
        assert_eq!(told(&[Received(Accepted)]), (Some(Fate::Delivered), false));
        let (first, copy) = (Received(Accepted), Received(Duplicate));
        assert_eq!(told(&[first, copy, Routed(Fate::Delivered)]), (Some(Fate::Delivered), true));
        assert_eq!(told(&[copy, Routed(Fate::Delivered)]), (Some(Fate::Duplicate), true));
        let seen = ends(&[first, Routed(Fate::Delivered), copy]).last_seen_at();
        assert_eq!(seen, Some(Micros(1)));
    }

    #[test]
    fn only_who_knows_tells_of_an_end() {
        let (from, to) = (Member(0), Member(1));
        let fact = Fact::Routed { from, to, number: 7, fate: Fate::Dead, bytes: 1 };
        let told = |source| MessageEnd::of(&Record { at: Micros(1), source, fact });
        let id = MessageId { from, number: 7, to };
        assert_eq!(told(SIMULATOR), Some((id, MessageEnd::Routed(Fate::Dead))));
        assert_eq!(told(to), None);
    }
}
