//! What a leader's cluster spends, against what its profile allows: messages a commit, and
//! messages a minute while nothing is asked, each with a most and a least. A cluster can also say
//! too little. What is left of an allowance is spent where it helps most: on answers that wait
//! less, and on deaths that are noticed sooner.
//!
//! The controller weighs messages against waits by a price, and heartbeats by the time in which a
//! death is to be noticed. Both move in small steps while a limit is broken, and back towards what
//! the profile says once there is room.

use crate::raft::message::Why;
use crate::raft::tuning::FanOut;
use crate::raft::{Cause, Kind, Micros, To, Tuning};
use crate::record::{Fact, Record};

/// So many puts are enough to judge what one costs.
const ENOUGH_PUTS: u64 = 32;
/// So long an idle stretch is enough to judge what it costs.
const ENOUGH_IDLE: Micros = Micros::from_seconds(5);
/// A step makes a price or a time a quarter more, or a fifth less. So many at most, each way.
const MOST_STEPS: i32 = 20;
/// A step back towards the profile's own value is made only if there is so much room, in percent.
const ROOM_PERCENT: u64 = 25;
/// It is made after so many judgements with room in a row: the load answers to a price with delay.
const PATIENCE: u32 = 8;

/// What the steps have led to: how far a value is from the profile's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Steps {
    taken: i32,
    /// How many judgements in a row have seen room for a step back.
    roomy: u32,
}

impl Steps {
    /// One step up if `spent` is too much, down if it is too little, otherwise one back if there is
    /// room. 0 as a limit: none.
    fn adjust(&mut self, spent: u64, least: u64, most: u64) {
        let (most, least) = (if most == 0 { u64::MAX } else { most }, least);
        let has_room = |change: u64| {
            let less = spent.saturating_sub(change);
            less >= least && spent.saturating_add(change) <= most
        };
        self.roomy = if has_room(spent * ROOM_PERCENT / 100) { self.roomy + 1 } else { 0 };
        let step = if spent > most {
            1
        } else if spent < least {
            -1
        } else if self.roomy >= PATIENCE {
            self.roomy = 0;
            -self.taken.signum()
        } else {
            0
        };
        self.taken = (self.taken + step).clamp(-MOST_STEPS, MOST_STEPS);
    }

    fn apply(self, value: u64) -> u64 {
        let up = |value: u64| value + value.div_ceil(4);
        let down = |value: u64| value - value / 5;
        (0..self.taken.unsigned_abs())
            .fold(value, |value, _| if self.taken > 0 { up(value) } else { down(value) })
    }
}

/// What is spent, and what follows from it.
#[derive(Clone, Debug)]
pub struct Spending {
    count: u64,
    messages: u64,
    puts: u64,
    /// When the present stretch began.
    since: Micros,
    /// How many hops a batch's append has beyond the first.
    relays: u64,
    price: Steps,
    detection: Steps,
    /// What was spent last: messages per hundred commits, or a minute when idle.
    measured: u64,
}

impl Spending {
    /// For a replica in a cluster of `count`.
    pub fn new(count: usize, now: Micros) -> Spending {
        let (price, detection) = Default::default();
        let count = count as u64;
        Spending {
            count,
            messages: 0,
            puts: 0,
            since: now,
            relays: 0,
            price,
            detection,
            measured: 0,
        }
    }

    /// Takes note of what the replica has recorded: its own messages, those that it gets, and those
    /// that its chains pass on.
    pub fn observe(&mut self, record: &Record) {
        match record.fact {
            Fact::Sent { to, kind, why, .. } => {
                self.messages += match to {
                    To::Member(_) => 1,
                    To::Everyone => self.count - 1,
                };
                let is_chained = matches!(why, Why::Own(Cause::Replicate | Cause::Heartbeat));
                if kind == Kind::Append && is_chained {
                    self.messages += self.relays;
                }
            }
            Fact::Received { .. } => self.messages += 1,
            Fact::Taken { .. } => self.puts += 1,
            _ => {}
        }
    }

    /// Judges the stretch since the last judgement, if it is long enough.
    pub fn judge(&mut self, tuning: &Tuning, now: Micros) {
        let f = self.count / 2;
        let length = if tuning.chain_length == 0 { f } else { tuning.chain_length.min(f) };
        self.relays = if tuning.fan_out == FanOut::Chain { length.saturating_sub(1) } else { 0 };
        let span = now.since(self.since);
        if self.puts >= ENOUGH_PUTS {
            self.measured = self.messages * 100 / self.puts;
            let least = tuning.least_messages_per_hundred_commits;
            self.price.adjust(self.measured, least, tuning.most_messages_per_hundred_commits);
        } else if span >= ENOUGH_IDLE && self.puts == 0 {
            self.measured = self.messages * 60_000_000 / span.0.max(1);
            let least = tuning.least_idle_messages_per_minute;
            self.detection.adjust(self.measured, least, tuning.most_idle_messages_per_minute);
        } else if span < ENOUGH_IDLE {
            return;
        }
        (self.messages, self.puts, self.since) = (0, 0, now);
    }

    /// The price of a message that keeps the limits, given the profile's own.
    pub fn price_us(&self, own: u64) -> u64 {
        self.price.apply(own).min(1_000_000)
    }

    /// The time in which a death is to be noticed that keeps the limits, given the profile's own.
    pub fn detection_us(&self, own: u64) -> u64 {
        self.detection.apply(own).clamp(50_000, 60_000_000)
    }

    /// What was spent last: messages per hundred commits, or a minute when idle.
    pub const fn measured(&self) -> u64 {
        self.measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::Address;
    use crate::raft::{Disposition, Member};

    #[test]
    fn a_value_moves_while_a_limit_is_broken_and_comes_back_when_there_is_room() {
        let mut steps = Steps::default();
        let mut adjust = |spent, least, most| {
            steps.adjust(spent, least, most);
            (steps.taken, steps.apply(1_000))
        };
        adjust(400, 0, 300);
        assert_eq!(adjust(350, 0, 300), (2, 1_563));
        for _ in 0..PATIENCE {
            assert_eq!(adjust(250, 0, 300).0, 2, "one back would be too much again");
        }
        for _ in 1..PATIENCE {
            assert_eq!(adjust(200, 0, 300).0, 2, "not at once");
        }
        assert_eq!(adjust(200, 0, 300).0, 1);
        assert_eq!(adjust(200, 260, 0).0, 0);
        assert_eq!(adjust(200, 260, 0), (-1, 800));
    }

    #[test]
    fn a_value_stays_where_what_is_spent_is_just_at_a_limit() {
        let mut steps = Steps::default();
        steps.adjust(300, 0, 300);
        steps.adjust(300, 300, 0);
        assert_eq!(steps.taken, 0);
    }

    fn record(fact: Fact) -> Record {
        Record { at: Micros(0), source: Member(0), fact }
    }

    fn sent(to: To, kind: Kind, cause: Cause) -> Record {
        let why = Why::Own(cause);
        let (number, term, first, entries, bytes) = (1, 1, 1, 0, 100);
        record(Fact::Sent { to, number, kind, why, term, first, entries, bytes })
    }

    fn taken() -> Record {
        record(Fact::Taken { client: Address(9), request: 1, index: 1, term: 1 })
    }

    /// The knobs of `course` with a chain, and limits that are never kept, so that each judgement
    /// is seen in a price or a time.
    fn strict() -> Tuning {
        let tuning = crate::tuning_file::load("course").unwrap().tuning;
        Tuning {
            fan_out: FanOut::Chain,
            chain_length: 0,
            most_messages_per_hundred_commits: 1,
            most_idle_messages_per_minute: 1,
            ..tuning
        }
    }

    /// What each of seven replicas counts: its chains have three hops, of which it sends the first.
    #[test]
    fn messages_are_counted_by_receiver_and_those_of_chains_by_hop() {
        let one = To::Member(Member(1));
        let counted = [
            (sent(one, Kind::Append, Cause::Replicate), 3),
            (sent(one, Kind::Append, Cause::Heartbeat), 3),
            (sent(one, Kind::Append, Cause::Resend), 1),
            (sent(one, Kind::Vote, Cause::Campaign), 1),
            (sent(To::Everyone, Kind::PreVote, Cause::Campaign), 6),
            (sent(one, Kind::Vote, Cause::Heartbeat), 1),
            (record(Fact::Woken), 0),
            (
                record(Fact::Received {
                    from: Member(1),
                    number: 1,
                    kind: Kind::AppendReply,
                    why: Why::Ack(Cause::Replicate),
                    term: 1,
                    disposition: Disposition::Accepted,
                }),
                1,
            ),
        ];
        for (record, messages) in counted {
            let mut spending = Spending::new(7, Micros(0));
            spending.judge(&strict(), Micros(0));
            (0..64).for_each(|_| spending.observe(&record));
            (0..ENOUGH_PUTS).for_each(|_| spending.observe(&taken()));
            spending.judge(&strict(), Micros(1));
            assert_eq!(spending.measured(), messages * 200, "{record:?}");
            let broken = spending.price_us(1_000) == 1_250;
            assert_eq!((broken, spending.detection_us(1_000_000)), (messages > 0, 1_000_000));
        }
    }

    #[test]
    fn what_is_idle_is_judged_by_time_and_a_few_puts_not_at_all() {
        let mut spending = Spending::new(5, Micros(0));
        let message = sent(To::Member(Member(1)), Kind::Append, Cause::Resend);
        let mut judged = |messages: u64, puts: u64, now| {
            (0..messages).for_each(|_| spending.observe(&message));
            (0..puts).for_each(|_| spending.observe(&taken()));
            spending.judge(&strict(), now);
            (spending.measured(), spending.price_us(1_000), spending.detection_us(1_000_000))
        };
        let idle = |stretches| Micros(ENOUGH_IDLE.0 * stretches);
        assert_eq!(judged(10, 0, idle(1) - Micros(1)), (0, 1_000, 1_000_000), "not long enough");
        assert_eq!(judged(10, 0, idle(1)), (240, 1_000, 1_250_000), "20 in five seconds");
        // Too few puts to judge by, and no idle stretch: it counts for nothing, then begins anew.
        assert_eq!(judged(7, 3, idle(2)), (240, 1_000, 1_250_000));
        assert_eq!(judged(5, 0, idle(3)), (60, 1_000, 1_562_500));
        assert_eq!(judged(8, 31, idle(3) + Micros(1)), (60, 1_000, 1_562_500));
        assert_eq!(judged(0, 1, idle(3) + Micros(2)), (25, 1_250, 1_562_500));
    }
}
