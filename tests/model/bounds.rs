//! What is explored: the cluster, its knobs, its clocks, and how often each thing may happen.

use std::fmt;

use laconic::raft::Tuning;
use laconic::raft::tuning::{FanOut, Reads, ResendFrom};

/// The unit of time here: a heartbeat interval, a resend timeout, a promise, half an election
/// timeout.
pub const UNIT_US: u64 = 100_000;

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
    /// Messages that arrive a second time.
    pub repeats: u8,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            members: 3,
            fan_out: FanOut::Star,
            reads_by: Reads::Confirm,
            pre_vote: true,
            clocks: Clocks::Free,
            start: Start::Fresh,
            drains: false,
            terms: 2,
            proposals: 1,
            reads: 0,
            timeouts: 2,
            repeats: 0,
        }
    }
}

impl Bounds {
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
        if self.start == Start::Elected {
            f.write_str(", from a leader")?;
        }
        if !self.pre_vote {
            f.write_str(", no pre-votes")?;
        }
        if self.drains {
            f.write_str(", drains")?;
        }
        let Bounds { terms, proposals, reads, timeouts, repeats, .. } = self;
        write!(f, ", at most {terms} terms, {proposals} puts, {reads} reads, ")?;
        write!(f, "{timeouts} timeouts, {repeats} repeats")
    }
}
