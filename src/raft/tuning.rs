//! The knobs of the core. Each has its unit in its name, and its limits.

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use super::lingering::LingerRule;
use super::types::Micros;

/// The election timeout that is stated to followers that are not to watch their leader. A follower
/// that is told so in error, or by a leader that has died since, still asks in the end.
pub(super) const NOT_WATCHING: Micros = Micros::from_seconds(120);

/// Most inquiries that a member can be told to make (R28).
pub const MOST_INQUIRIES: u64 = 20;

/// Inquiries leave no closer together than this.
const LEAST_INQUIRY_GAP: Micros = Micros(3_000);

/// An inquiry waits for the leader no shorter than this: a busy one handles other messages first.
pub const LEAST_INQUIRY_TIMEOUT: Micros = Micros(1_500);

/// Of so many inquiries the second one leaves soon, of more it leaves later.
const FEW_INQUIRIES: u64 = 2;

/// How long after the inquiry number `asked`, of `inquiries` in all, the next one leaves, if the
/// leader has the time `timeout` to answer (R28). On a long way waiting for each answer would take
/// too long; where answers come soon, asking twice at once would be waste. If there are many, a
/// lot is lost, and most suspicions are wrong: the first is given the time in which an answer
/// usually comes, and the others leave one soon after the other.
pub fn inquiry_gap(timeout: Micros, inquiries: u64, asked: u64) -> Micros {
    let gap = match asked {
        _ if inquiries <= FEW_INQUIRIES => timeout.0 / 4,
        1 => timeout.0 * 7 / 10,
        _ => (timeout.0 / 6 / (inquiries - 2)).min(timeout.0 / 16),
    };
    Micros(gap).max(LEAST_INQUIRY_GAP).min(timeout)
}

/// How long so many inquiries take until the last one counts as unanswered (R28).
pub fn inquiries_take(timeout: Micros, inquiries: u64) -> Micros {
    (1..inquiries).fold(timeout, |sum, asked| sum + inquiry_gap(timeout, inquiries, asked))
}

/// Who sets the knobs while a replica runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Nobody: they stay as they are.
    #[default]
    Static,
    /// The replica's controller, from what it measures.
    Adaptive,
}

/// How a batch reaches a quorum of f others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FanOut {
    /// One datagram to everyone: 2(n-1) messages for a batch.
    Broadcast,
    /// One datagram to each member: 2(n-1) messages for a batch.
    Star,
    /// One datagram to each of f followers, rotating (rule R17): 2f messages for a batch.
    Thrifty,
    /// Along f followers in a row, rotating; the last acknowledges for all: f+1 messages for a
    /// batch.
    Chain,
}

impl FanOut {
    /// Whether a batch goes to a quorum first and not to everyone. Campaigns then do the same.
    pub const fn is_to_a_quorum(self) -> bool {
        matches!(self, FanOut::Thrifty | FanOut::Chain)
    }
}

/// How reads make sure that this replica still leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// By the lease while there is one, otherwise by a round (rules R7 to R10).
    Lease,
    /// Always by a round (ReadIndex).
    Confirm,
}

/// Who is asked to answer a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum HeartbeatAnswers {
    /// Everyone: silence is noticed at once.
    Everyone,
    /// As many as renew the lease and check-quorum, in turn, and suspects as well.
    Quorum,
}

/// Who is kept hearing from a leader that has nothing to send.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum HeartbeatTo {
    /// Every follower: each notices the leader's death by itself.
    #[default]
    Everyone,
    /// f followers, in a chain: f + 1 messages an interval. The leader and they are a majority, so
    /// one of them is left to notice the leader's death, if at most f members die in all.
    Watchers,
}

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ResendFrom {
    /// Always `resend_timeout_us`.
    Fixed,
    /// Each follower's own measured round trip plus four deviations (RFC 6298), at least
    /// `resend_timeout_us` and at most a heartbeat interval.
    RoundTrip,
}

/// The knobs. All times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Who sets the knobs while a replica runs.
    #[serde(default)]
    pub control: Control,
    /// What a message costs, in microseconds that a client waits. Only a controller asks.
    #[serde(default)]
    pub message_price_us: u64,
    /// Within which time a controller's heartbeats are to notice a dead leader.
    #[serde(default = "usual_detection_target_us")]
    pub detection_target_us: u64,
    /// How many elections a day a controller's heartbeats may start although the leader lives.
    #[serde(default = "usual_wrong_elections_per_day")]
    pub wrong_elections_per_day: u64,
    /// Messages per hundred commits: a controller keeps above this many. 0: no limit.
    #[serde(default)]
    pub least_messages_per_hundred_commits: u64,
    /// Messages per hundred commits: a controller keeps below this many. 0: no limit.
    #[serde(default)]
    pub most_messages_per_hundred_commits: u64,
    /// Messages a minute while nothing is asked: a controller keeps above this many. 0: no limit.
    #[serde(default)]
    pub least_idle_messages_per_minute: u64,
    /// Messages a minute while nothing is asked: a controller keeps below this many. 0: no limit.
    #[serde(default)]
    pub most_idle_messages_per_minute: u64,
    /// A follower hears from its leader at least this often.
    pub heartbeat_interval_us: u64,
    /// Send heartbeats at this interval even to those who got entries within it, as the paper does.
    pub heartbeat_always: bool,
    /// Who is asked to answer heartbeats.
    pub heartbeat_answers: HeartbeatAnswers,
    /// Who is kept hearing from a leader that has nothing to send (rule R30).
    #[serde(default)]
    pub heartbeat_to: HeartbeatTo,
    /// Whether a leader sends nothing at all while nothing is asked (rule R30).
    #[serde(default)]
    pub quiet: bool,
    /// How often a follower asks its silent leader whether it lives, before it campaigns (rule
    /// R28). 0: it does not ask.
    #[serde(default)]
    pub inquiries: u64,
    /// Shortest silence of a leader after which a follower campaigns. A leader that hears from no
    /// quorum for this long steps down.
    pub election_timeout_min_us: u64,
    /// Longest such silence; each wait is drawn between the two.
    pub election_timeout_max_us: u64,
    /// No candidacy for this long after the start: others may not be ready to receive.
    pub startup_silence_us: u64,
    /// Whether to ask for pre-votes before a campaign.
    pub pre_vote: bool,
    /// Whether to step down when no quorum answers for `election_timeout_min_us`.
    pub check_quorum: bool,
    /// For how long a member that accepts an append neither votes nor campaigns. 0: no promises.
    pub promise_us: u64,
    /// The promise that batches ask for, instead of `promise_us`. Under load each batch renews it,
    /// so it can be short. 0: the same.
    #[serde(default)]
    pub promise_under_load_us: u64,
    /// The shortest election timeout that batches state, instead of `election_timeout_min_us` (rule
    /// R29). 0: the same.
    #[serde(default)]
    pub election_timeout_under_load_us: u64,
    /// How reads are made safe.
    pub reads: Reads,
    /// How much shorter than the promise the lease is. It must cover the drift of clocks during a
    /// promise, and the longest step.
    pub lease_margin_us: u64,
    /// How long a batch's first entry waits for more entries. 0: only until the socket is drained.
    pub linger_us: u64,
    /// How many entries go out at once, however short they have waited. 0: only
    /// `batch_most_entries` do.
    #[serde(default)]
    pub linger_enough_entries: u64,
    /// How long the entries of a batch wait in sum, at most. 0: as long as `linger_us` says.
    #[serde(default)]
    pub linger_waited_us: u64,
    /// Most new entries in a batch.
    pub batch_most_entries: u64,
    /// Most encoded bytes of entries in an append.
    pub batch_most_bytes: u64,
    /// Most batches that may be sent and not yet committed.
    pub pipeline_window: u64,
    /// How long to wait for an answer before sending again.
    pub resend_timeout_us: u64,
    /// How often a suspect is asked whether it lives, at least, while others are enough for a
    /// quorum. 0: once a heartbeat interval.
    #[serde(default)]
    pub probe_interval_us: u64,
    /// Whether that time is fixed or follows the measured round trip.
    pub resend_from: ResendFrom,
    /// How batches reach their quorum.
    pub fan_out: FanOut,
    /// How many followers more than f a batch goes to at first, where it goes to each directly
    /// (R16). Where messages are lost, one of them answers sooner than a resend.
    #[serde(default)]
    pub quorum_spares: u64,
    /// Most followers in one chain; several chains run side by side. 0: all f in one chain.
    pub chain_length: u64,
    /// Above this estimated loss (in thousandths of all messages) silence is taken for loss, not
    /// for death: chains become direct sends (R16), and a first timeout brings in no substitute.
    pub silence_is_loss_above_per_mille: u64,
    /// Whether one message acknowledges all appends that one drain of the socket brought (rule
    /// R13).
    pub shared_acknowledgements: bool,
    /// How many entries a follower outside the quorums may lack before it is sent them.
    pub lag_most_entries: u64,
    /// Whether each new commit index is spread at once, by messages of its own (as etcd does).
    pub eager_commit: bool,
    /// How long a replica keeps a request while it knows no leader.
    pub hold_time_us: u64,
    /// Most small datagrams (or longer ones that take as much room) that may lie unread in this
    /// replica's socket at the simulator when one more client is answered (rule R27). A value above
    /// the number of all requests switches pacing off.
    pub answer_window: u64,
    /// How long a busy simulator takes at most to read one more datagram from that socket.
    pub answer_interval_us: u64,
    /// How many requests may wait here for their answers. One more is refused at once (rule R33).
    #[serde(default = "usual_waiting_most_requests")]
    pub waiting_most_requests: u64,
}

const fn usual_detection_target_us() -> u64 {
    1_300_000
}

const fn usual_waiting_most_requests() -> u64 {
    1_024
}

const fn usual_wrong_elections_per_day() -> u64 {
    1
}

/// A value outside its limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {rule}")]
pub struct Violation {
    /// The knob's name.
    pub key: &'static str,
    /// The rule that the value breaks.
    pub rule: String,
}

impl Tuning {
    /// Checks every limit.
    ///
    /// # Errors
    /// The first knob that breaks its rule.
    pub fn check(&self) -> Result<(), Violation> {
        let within = |key, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Violation { key, rule: format!("must be {low} to {high}, is {value}") })
            }
        };
        self.check_limits()?;
        within("heartbeat_interval_us", self.heartbeat_interval_us, 1_000, 10_000_000)?;
        within("message_price_us", self.message_price_us, 0, 1_000_000)?;
        within("detection_target_us", self.detection_target_us, 50_000, 60_000_000)?;
        within("wrong_elections_per_day", self.wrong_elections_per_day, 1, 1_000_000)?;
        within("inquiries", self.inquiries, 0, MOST_INQUIRIES)?;
        // Whoever asks its leader first may lose a heartbeat without any election.
        let least = if self.inquiries > 0 {
            self.heartbeat_interval_us + self.resend_timeout_us * 2
        } else {
            self.heartbeat_interval_us * 2
        };
        within("election_timeout_min_us", self.election_timeout_min_us, least, 60_000_000)?;
        within(
            "election_timeout_max_us",
            self.election_timeout_max_us,
            self.election_timeout_min_us + 1_000,
            120_000_000,
        )?;
        within("startup_silence_us", self.startup_silence_us, 0, 60_000_000)?;
        within("batch_most_entries", self.batch_most_entries, 1, 4_096)?;
        within("batch_most_bytes", self.batch_most_bytes, 1_000, 64_000)?;
        within("pipeline_window", self.pipeline_window, 1, 256)?;
        within("resend_timeout_us", self.resend_timeout_us, 1_000, self.heartbeat_interval_us)?;
        if self.probe_interval_us != 0 {
            let least = self.heartbeat_interval_us;
            within("probe_interval_us", self.probe_interval_us, least, 60_000_000)?;
        }
        within("linger_enough_entries", self.linger_enough_entries, 0, 4_096)?;
        within("linger_waited_us", self.linger_waited_us, 0, 60_000_000)?;
        within("quorum_spares", self.quorum_spares, 0, 20)?;
        within("chain_length", self.chain_length, 0, 10)?;
        within("silence_is_loss_above_per_mille", self.silence_is_loss_above_per_mille, 0, 1_000)?;
        within("lag_most_entries", self.lag_most_entries, 1, 1_000_000)?;
        within("hold_time_us", self.hold_time_us, 10_000, 60_000_000)?;
        within("answer_window", self.answer_window, 1, 1_000_000)?;
        within("answer_interval_us", self.answer_interval_us, 100, 1_000_000)?;
        within("waiting_most_requests", self.waiting_most_requests, 1, 1_000_000)?;
        within("linger_us", self.linger_us, 0, 1_000_000)?;
        self.check_promises()?;
        self.check_inquiries()
    }

    /// What a controller is to keep to: a least that is above the most can be kept by nobody.
    fn check_limits(&self) -> Result<(), Violation> {
        let limits = [
            (
                "most_messages_per_hundred_commits",
                self.least_messages_per_hundred_commits,
                self.most_messages_per_hundred_commits,
            ),
            (
                "most_idle_messages_per_minute",
                self.least_idle_messages_per_minute,
                self.most_idle_messages_per_minute,
            ),
        ];
        for (key, least, most) in limits {
            if most != 0 && most < least {
                let rule = format!("must be 0 or at least the least, {least}, is {most}");
                return Err(Violation { key, rule });
            }
        }
        Ok(())
    }

    /// What rests on followers that ask their leader before they campaign (rules R28 to R30).
    fn check_inquiries(&self) -> Result<(), Violation> {
        let fail = |key, rule: String| Err(Violation { key, rule });
        let asks = self.inquiries > 0 && self.pre_vote && self.check_quorum;
        if !asks {
            let rule = || "needs inquiries, pre_vote and check_quorum".to_owned();
            if self.quiet {
                return fail("quiet", rule());
            }
            if self.heartbeat_to == HeartbeatTo::Watchers {
                return fail("heartbeat_to", rule());
            }
            if self.election_timeout_under_load_us > 0 {
                return fail("election_timeout_under_load_us", rule());
            }
        }
        if self.promise_under_load_us > self.promise_us {
            let rule = format!("must be at most promise_us, is {}", self.promise_under_load_us);
            return fail("promise_under_load_us", rule);
        }
        let (promise, timeout) = (self.promise_under_load(), self.election_timeout_under_load());
        if self.reads == Reads::Lease && Micros(self.lease_margin_us) >= promise {
            let rule = "must be more than lease_margin_us while reads use leases".into();
            return fail("promise_under_load_us", rule);
        }
        if timeout > self.election_timeout_min() || timeout < promise {
            let (least, most) = (promise.0, self.election_timeout_min_us);
            let rule = format!("must be {least} to {most}, is {}", timeout.0);
            return fail("election_timeout_under_load_us", rule);
        }
        Ok(())
    }

    /// Rule R18: a candidate's first pre-votes must not be refused because of promises to the
    /// leader that it has just given up. Also checks what leases and pre-votes depend on.
    fn check_promises(&self) -> Result<(), Violation> {
        let fail = |key, rule: String| Err(Violation { key, rule });
        // A member that is asked first answers a pre-vote when its promise has run out (R28).
        let spare = if self.inquiries > 0 { 0 } else { self.heartbeat_interval_us };
        let most = self.election_timeout_min_us - spare;
        if self.promise_us > most {
            let less = if spare > 0 { " - heartbeat_interval_us" } else { "" };
            let rule = format!(
                "must be at most election_timeout_min_us{less} = {most}, is {}",
                self.promise_us
            );
            return fail("promise_us", rule);
        }
        if self.promise_us > 0 && !self.check_quorum {
            // Rule R24: a leader that reaches some members but no quorum would keep them from
            // electing another for ever.
            return fail("promise_us", "must be 0 without check_quorum".into());
        }
        if self.pre_vote && self.inquiries == 0 && self.promise_us < self.heartbeat_interval_us {
            let rule = "must be at least heartbeat_interval_us with pre_vote and without \
                        inquiries, or it lapses between";
            return fail("promise_us", rule.into());
        }
        if self.reads == Reads::Lease && self.lease_margin_us >= self.promise_us {
            return fail(
                "lease_margin_us",
                "must be less than promise_us while reads use it".into(),
            );
        }
        if self.reads == Reads::Lease && self.lease_margin_us * 100 < self.promise_us {
            return fail("lease_margin_us", "must be at least 1 % of promise_us".into());
        }
        Ok(())
    }

    /// `heartbeat_interval_us` as [`Micros`].
    pub const fn heartbeat_interval(&self) -> Micros {
        Micros(self.heartbeat_interval_us)
    }

    /// `election_timeout_min_us` as [`Micros`].
    pub const fn election_timeout_min(&self) -> Micros {
        Micros(self.election_timeout_min_us)
    }

    /// `resend_timeout_us` as [`Micros`]. It is about ten round trips long.
    pub const fn resend_timeout(&self) -> Micros {
        Micros(self.resend_timeout_us)
    }

    /// `probe_interval_us` as [`Micros`].
    pub const fn probe_interval(&self) -> Micros {
        match self.probe_interval_us {
            0 => self.heartbeat_interval(),
            interval => Micros(interval),
        }
    }

    /// `promise_us` as [`Micros`].
    pub const fn promise(&self) -> Micros {
        Micros(self.promise_us)
    }

    /// The promise that batches ask for.
    pub const fn promise_under_load(&self) -> Micros {
        match self.promise_under_load_us {
            0 => Micros(self.promise_us),
            promise => Micros(promise),
        }
    }

    /// The shortest election timeout that batches state.
    pub const fn election_timeout_under_load(&self) -> Micros {
        match self.election_timeout_under_load_us {
            0 => Micros(self.election_timeout_min_us),
            timeout => Micros(timeout),
        }
    }

    /// The heartbeat interval for a follower with this shortest election timeout: the same share of
    /// it as `heartbeat_interval_us` is of `election_timeout_min_us`.
    pub const fn heartbeat_within(&self, timeout: Micros) -> Micros {
        if timeout.0 == self.election_timeout_min_us {
            // Nearly always; this is asked at every wake, and a division takes long.
            return Micros(self.heartbeat_interval_us);
        }
        Micros(self.heartbeat_interval_us * timeout.0 / self.election_timeout_min_us)
    }

    /// When a batch that waits for more entries goes.
    pub const fn linger_rule(&self) -> LingerRule {
        LingerRule {
            linger_us: self.linger_us,
            enough: self.linger_enough_entries,
            waited_us: self.linger_waited_us,
        }
    }

    /// Whether an idle leader leaves followers without heartbeats.
    pub fn is_sparse(&self) -> bool {
        self.quiet || self.heartbeat_to == HeartbeatTo::Watchers
    }

    /// How long the lease of a round that asks for `promise` lasts from the round's beginning; zero
    /// if reads use no lease.
    pub fn lease(&self, promise: Micros) -> Micros {
        match self.reads {
            Reads::Lease => Micros(promise.0.saturating_sub(self.lease_margin_us)),
            Reads::Confirm => Micros(0),
        }
    }
}
