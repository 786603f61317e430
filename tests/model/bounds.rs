//! What is explored: the cluster, its knobs, its clocks, and how often each thing may happen.

use std::fmt;

use laconic::raft::tuning::{FanOut, Reads, ResendFrom};
use laconic::raft::{Member, Micros, Planted, Raft, Tuning};

use crate::node::Node;

/// The unit of time here: a heartbeat interval, a resend timeout, a promise, half an election
/// timeout.
pub const UNIT_US: u64 = 100_000;

/// The least that a batch may be limited to.
const LEAST_BATCH_BYTES: u64 = 1_000;

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// Each replica has a clock of its own, which stands still until the explorer lets a timer of
    /// that replica run out, whatever the others' clocks say. No timing of the real world is left
    /// out by this, but leases, which depend on timing, cannot be judged.
    Free,
    /// There is one time, and each replica's clock runs at its own rate, in parts per million. A
    /// replica may be late at its own timers for as long as the explorer likes.
    Shared {
        /// The rates, by rank.
        rates_ppm: [u64; 4],
    },
}

/// What the replicas take their round trips for. All that these decide here is who is too slow for
/// a quorum (R26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trips {
    /// As measured: the time between a round and its answer in which timers ran out.
    Measured,
    /// All are alike, so nobody is slow.
    Even,
    /// The replica of this rank is slow, for all others and always.
    Slow(u8),
}

/// Where the exploration begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nobody has done anything.
    Fresh,
    /// The replica of rank 0 leads term 1, and all messages of its election have arrived.
    Elected,
}

/// A cluster, and how often each thing may happen in it.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Replicas.
    pub members: u8,
    /// How batches are sent.
    pub fan_out: FanOut,
    /// How reads are made safe.
    pub reads_by: Reads,
    /// Whether candidates ask for pre-votes. If not, there are no promises either.
    pub pre_vote: bool,
    /// How time passes.
    pub clocks: Clocks,
    /// What round trips are taken for.
    pub trips: Trips,
    /// Where to begin.
    pub start: Start,
    /// Whether a drain may bring several messages: a replica that is to be woken at once may take
    /// in more before that. Else it is woken after each message.
    pub drains: bool,
    /// Highest term.
    pub terms: u64,
    /// Puts.
    pub proposals: u8,
    /// Reads.
    pub reads: u8,
    /// With free clocks, timers that run out; with a shared one, moments to which time passes.
    pub timeouts: u8,
    /// Whether the exploration leaves out what it need not look at.
    pub reduced: bool,
    /// Whether answers to terms and roles that have ended are forgotten. That takes less memory,
    /// but trusts the core to ignore them.
    pub forgetful: bool,
    /// Whether a put is so large that an append carries no other entry with it.
    pub large_puts: bool,
    /// The bug that was planted. It needs the feature of that name.
    pub planted: Option<Planted>,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            members: 3,
            fan_out: FanOut::Star,
            reads_by: Reads::Confirm,
            pre_vote: true,
            clocks: Clocks::Free,
            trips: Trips::Even,
            start: Start::Fresh,
            drains: false,
            terms: 2,
            proposals: 1,
            reads: 0,
            timeouts: 2,
            reduced: true,
            forgetful: false,
            large_puts: false,
            planted: None,
        }
    }
}

impl Bounds {
    /// The replicas, none of which has done anything. Rank 0 is the first to campaign, on any of
    /// the clocks.
    pub fn fresh(&self) -> Vec<Node> {
        let tuning = self.tuning();
        let new = |rank, seed| {
            Raft::new(Member(rank), self.members.into(), tuning.clone(), seed, Micros(0))
        };
        let is_first = |seed: &u64| {
            let soon = new(0, *seed).deadline();
            (1..self.members).all(|rank| new(rank, *seed).deadline() > soon + soon)
        };
        let seed = (0..).find(is_first).expect("a seed");
        let plant = |raft: Raft| {
            #[cfg(feature = "planted")]
            let raft = {
                let mut raft = raft;
                self.planted.into_iter().for_each(|bug| raft.plant(bug));
                raft
            };
            Node { raft, now: Micros(0) }
        };
        (0..self.members).map(|rank| plant(new(rank, seed))).collect()
    }

    /// Makes a replica take its round trips for what these bounds say.
    pub fn assume_trips(&self, raft: &mut Raft) {
        let others = (0..self.members).map(Member).filter(|member| *member != raft.member());
        for member in others.collect::<Vec<_>>() {
            match self.trips {
                Trips::Measured => {}
                Trips::Even => raft.assume_round_trip(member, None),
                Trips::Slow(rank) => {
                    let took = if member.0 == rank { UNIT_US } else { 1 };
                    raft.assume_round_trip(member, Some(Micros(took)));
                }
            }
        }
    }

    /// The command of the put of that number.
    pub fn command(&self, number: u8) -> Vec<u8> {
        let bytes = if self.large_puts { LEAST_BATCH_BYTES as usize } else { 1 };
        vec![number; bytes]
    }

    /// The knobs. Nothing measured decides anything but the choice of a quorum: resend timeouts are
    /// fixed and silence is never taken for loss. Election timeouts are all the same, since the
    /// explorer chooses whose runs out first.
    pub fn tuning(&self) -> Tuning {
        let fast = laconic::tuning_file::load("fast").expect("a profile").tuning;
        let promise_us = if self.pre_vote { UNIT_US } else { 0 };
        let tuning = Tuning {
            heartbeat_interval_us: UNIT_US,
            resend_timeout_us: UNIT_US,
            election_timeout_min_us: 2 * UNIT_US,
            election_timeout_max_us: 2 * UNIT_US + 1_000,
            promise_us,
            lease_margin_us: UNIT_US * 7 / 100,
            startup_silence_us: 0,
            pre_vote: self.pre_vote,
            reads: self.reads_by,
            fan_out: self.fan_out,
            resend_from: ResendFrom::Fixed,
            silence_is_loss_above_per_mille: 1_000,
            batch_most_bytes: if self.large_puts {
                LEAST_BATCH_BYTES
            } else {
                fast.batch_most_bytes
            },
            ..fast
        };
        tuning.check().expect("a sound tuning");
        Tuning { election_timeout_max_us: tuning.election_timeout_min_us, ..tuning }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fan_out = format!("{:?}", self.fan_out).to_lowercase();
        let reads_by = format!("{:?}", self.reads_by).to_lowercase();
        write!(f, "{fan_out} {reads_by}, {} replicas", self.members)?;
        match self.clocks {
            Clocks::Free => write!(f, ", free clocks")?,
            Clocks::Shared { rates_ppm } => {
                let percent = |rate: &u64| format!("{}", rate / 10_000);
                let rates: Vec<_> =
                    rates_ppm[..self.members as usize].iter().map(percent).collect();
                write!(f, ", clocks at {} %", rates.join("/"))?;
            }
        }
        match self.trips {
            Trips::Measured => f.write_str(", round trips as measured")?,
            Trips::Even => {}
            Trips::Slow(rank) => write!(f, ", {rank} is slow")?,
        }
        if self.start == Start::Elected {
            f.write_str(", from a leader")?;
        }
        if !self.pre_vote {
            f.write_str(", no pre-votes")?;
        }
        if self.drains {
            f.write_str(", drains")?;
        }
        if self.forgetful {
            f.write_str(", forgetful")?;
        }
        if self.large_puts {
            f.write_str(", large puts")?;
        }
        if let Some(bug) = self.planted {
            write!(f, ", {}", bug.name())?;
        }
        let Bounds { terms, proposals, reads, timeouts, .. } = self;
        write!(f, ", at most {terms} terms, {proposals} puts, {reads} reads, ")?;
        write!(f, "{timeouts} timeouts")
    }
}
