//! The knobs of a run: a profile, often with shorter times, and often with some knobs turned.

use super::case::Options;
use crate::raft::Tuning;
use crate::raft::tuning::{Control, FanOut, HeartbeatAnswers, HeartbeatTo, Reads, ResendFrom};
use crate::sim::random_stream::RandomStream;

/// The simulator that works at the course's pace cannot pass on what more replicas say with short
/// resend timeouts.
pub(super) const MOST_PACED: usize = 9;

/// One of `items`.
pub(super) fn among<T: Copy>(random: &mut RandomStream, items: &[T]) -> T {
    items[random.below(items.len() as u64) as usize]
}

/// True once in `n`.
pub(super) fn one_in(random: &mut RandomStream, n: u64) -> bool {
    random.below(n) == 0
}

/// A profile's name, and the knobs that were made of it.
pub(super) fn draw_tuning(
    random: &mut RandomStream,
    replicas: usize,
    options: &Options,
) -> (&'static str, Tuning) {
    let place = random.below(options.profiles.len() as u64) as usize;
    let (name, mut tuning) = options.profiles[place].clone();
    // Within some seconds of virtual time more happens if timeouts are short.
    let longest = tuning.election_timeout_max_us;
    let parts: &[u64] = match longest {
        _ if replicas > MOST_PACED => &[1],
        2_000_001.. => &[4, 8],
        _ => &[1, 1, 2, 4],
    };
    keep_if_sound(&mut tuning, among(random, parts), divide_times);
    if one_in(random, 2) {
        turn_some(random, &mut tuning);
    }
    (name, tuning)
}

/// Turns some knobs.
fn turn_some(random: &mut RandomStream, tuning: &mut Tuning) {
    for knob in 0..KNOBS {
        if one_in(random, 6) {
            let drawn = random.below(1 << 32);
            keep_if_sound(tuning, drawn, |tuning, drawn| turn(tuning, knob, drawn));
        }
    }
}

/// Makes promises as long as they may be, and leases with them.
pub(super) fn lengthen_promise(tuning: &mut Tuning) {
    let spare = if tuning.inquiries > 0 { 0 } else { tuning.heartbeat_interval_us };
    let longest = tuning.election_timeout_min_us.saturating_sub(spare);
    keep_if_sound(tuning, longest, |tuning, longest| {
        tuning.promise_us = longest;
        tuning.promise_under_load_us = 0;
        tuning.election_timeout_under_load_us = 0;
        tuning.reads = Reads::Lease;
        tuning.lease_margin_us = tuning.lease_margin_us.max(longest / 100 + 1);
    });
}

/// Reads by a round of messages, promises that no read rests on.
pub(super) fn confirm_reads(tuning: &mut Tuning) {
    keep_if_sound(tuning, 0, |tuning, _| tuning.reads = Reads::Confirm);
}

/// No pre-votes, and nothing that rests on them. Without promises too, this is the election of the
/// paper; with them, whoever comes back has a higher term than those who may not hear of it.
pub(super) fn without_pre_vote(tuning: &mut Tuning, promises: bool) {
    keep_if_sound(tuning, u64::from(promises), |tuning, promises| {
        tuning.pre_vote = false;
        tuning.inquiries = 0;
        tuning.quiet = false;
        tuning.heartbeat_to = HeartbeatTo::Everyone;
        tuning.election_timeout_under_load_us = 0;
        tuning.promise_under_load_us = 0;
        let most = tuning.election_timeout_min_us.saturating_sub(tuning.heartbeat_interval_us);
        tuning.promise_us = if promises > 0 { tuning.promise_us.min(most) } else { 0 };
        if promises == 0 {
            tuning.reads = Reads::Confirm;
            tuning.lease_margin_us = 0;
        }
    });
}

/// No pre-votes, no promises, leaders that nothing but a higher term deposes, and the paper's
/// election timeouts (§9.3).
pub(super) fn as_in_the_paper(tuning: &mut Tuning) {
    without_pre_vote(tuning, false);
    keep_if_sound(tuning, 0, |tuning, _| {
        tuning.check_quorum = false;
        tuning.heartbeat_interval_us = tuning.heartbeat_interval_us.min(50_000);
        (tuning.election_timeout_min_us, tuning.election_timeout_max_us) = (150_000, 300_000);
    });
}

/// Batches go along chains, which are sent again as chains when something is lost.
pub(super) fn turn_to_chains(tuning: &mut Tuning, drawn: u64) {
    keep_if_sound(tuning, drawn, |tuning, drawn| {
        tuning.fan_out = FanOut::Chain;
        tuning.chain_length = [0, 0, 2, 3][drawn as usize % 4];
        tuning.silence_is_loss_above_per_mille = [0, 0, 10, 50][(drawn >> 2) as usize % 4];
        tuning.batch_most_entries = [1, 2, 4, 16][(drawn >> 4) as usize % 4];
        tuning.pipeline_window = tuning.pipeline_window.max(16);
    });
}

/// What replicas are retuned to: some knobs turned, or another profile.
pub(super) fn draw_other_tuning(
    random: &mut RandomStream,
    replicas: usize,
    tuning: &Tuning,
    options: &Options,
) -> Tuning {
    if one_in(random, 2) {
        return draw_tuning(random, replicas, options).1;
    }
    let mut other = tuning.clone();
    turn_some(random, &mut other);
    other
}

/// Does `change` unless the knobs break a rule then.
fn keep_if_sound(tuning: &mut Tuning, value: u64, change: impl FnOnce(&mut Tuning, u64)) {
    let mut changed = tuning.clone();
    change(&mut changed, value);
    if changed.check().is_ok() {
        *tuning = changed;
    }
}

fn divide_times(tuning: &mut Tuning, by: u64) {
    for time in [
        &mut tuning.heartbeat_interval_us,
        &mut tuning.election_timeout_min_us,
        &mut tuning.election_timeout_max_us,
        &mut tuning.startup_silence_us,
        &mut tuning.promise_us,
        &mut tuning.promise_under_load_us,
        &mut tuning.election_timeout_under_load_us,
        &mut tuning.lease_margin_us,
        &mut tuning.linger_us,
        &mut tuning.probe_interval_us,
        &mut tuning.hold_time_us,
    ] {
        *time /= by;
    }
    tuning.resend_timeout_us = (tuning.resend_timeout_us / by).max(1_000);
}

/// How many knobs [`turn`] knows.
const KNOBS: u64 = 24;

/// Turns one knob to a place that `drawn` stands for.
fn turn(tuning: &mut Tuning, knob: u64, drawn: u64) {
    fn of<T: Copy>(drawn: u64, items: &[T]) -> T {
        items[drawn as usize % items.len()]
    }
    let flag = drawn.is_multiple_of(2);
    match knob {
        0 => {
            let fan_outs = [FanOut::Broadcast, FanOut::Star, FanOut::Thrifty, FanOut::Chain];
            tuning.fan_out = of(drawn, &fan_outs);
        }
        1 => tuning.chain_length = drawn % 4,
        2 => tuning.silence_is_loss_above_per_mille = of(drawn, &[0, 100, 300, 1_000]),
        3 => tuning.reads = of(drawn, &[Reads::Lease, Reads::Confirm]),
        4 => tuning.heartbeat_always = flag,
        5 => {
            let answers = [HeartbeatAnswers::Everyone, HeartbeatAnswers::Quorum];
            tuning.heartbeat_answers = of(drawn, &answers);
        }
        6 => tuning.resend_from = of(drawn, &[ResendFrom::Fixed, ResendFrom::RoundTrip]),
        7 => tuning.linger_us = of(drawn, &[0, 300, 10_000]),
        8 => tuning.linger_enough_entries = of(drawn, &[0, 2, 5]),
        9 => tuning.linger_waited_us = of(drawn, &[0, 500, 20_000]),
        10 => tuning.probe_interval_us = of(drawn, &[0, 1_000_000, 4_000_000]),
        11 => tuning.quorum_spares = of(drawn, &[0, 1, 20]),
        12 => tuning.batch_most_entries = of(drawn, &[1, 2, 16, 256]),
        13 => tuning.batch_most_bytes = of(drawn, &[1_000, 5_000, 60_000]),
        14 => tuning.pipeline_window = of(drawn, &[1, 2, 16]),
        15 => tuning.shared_acknowledgements = flag,
        16 => tuning.lag_most_entries = of(drawn, &[1, 8, 64]),
        17 => tuning.eager_commit = flag,
        18 => tuning.answer_window = of(drawn, &[1, 2, 16, 128]),
        19 => tuning.answer_interval_us = of(drawn, &[2_000, 5_000]),
        20 => tuning.inquiries = drawn % 4,
        21 => tuning.heartbeat_to = of(drawn, &[HeartbeatTo::Everyone, HeartbeatTo::Watchers]),
        22 => {
            tuning.promise_under_load_us = tuning.promise_us / 2;
            tuning.election_timeout_under_load_us = tuning.election_timeout_min_us / 2;
        }
        _ => tuning.control = of(drawn, &[Control::Static, Control::Adaptive]),
    }
}
