//! The knobs that a search turns: each once, with its range, how values are spread over it, and to
//! which others it is tied.
//!
//! A place in the search is one number from 0 to 1 for each row of [`KNOBS`]. Where knobs depend on
//! each other, only one of them is free: the others are drawn as multiples of it, so that most
//! places keep the rules. [`Tuning::check`] has the last word.
//!
//! What keeps a cluster safe stays as in the base profile: `lease_margin_us`, `startup_silence_us`,
//! `pre_vote`, `check_quorum`, and how reads are made safe. So does what belongs to the simulator's
//! sockets (`answer_window`, `answer_interval_us`, `batch_most_bytes`), and what is there only to
//! compare with (`heartbeat_always`, `eager_commit`).

use serde_json::json;

use crate::raft::Tuning;
use crate::raft::tuning::{FanOut, HeartbeatAnswers, HeartbeatTo, ResendFrom};

/// How the values of a knob are spread over its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spread {
    /// Equal factors are equally far apart.
    Logarithm {
        /// The least value.
        low: f64,
        /// The largest value.
        high: f64,
    },
    /// As `Logarithm`; in a quarter of the places the value is 0, the knob off.
    LogarithmOrOff {
        /// The least value that is not 0.
        low: f64,
        /// The largest value.
        high: f64,
    },
    /// Equal differences are equally far apart.
    Linear {
        /// The least value.
        low: f64,
        /// The largest value.
        high: f64,
    },
    /// One of so many choices, by its number.
    Choice(usize),
}

/// The share of the places at which a knob of [`Spread::LogarithmOrOff`] is off.
const OFF: f64 = 0.25;

impl Spread {
    /// The value at `place`, from 0 to 1.
    fn value(self, place: f64) -> f64 {
        let along = |low: f64, high: f64, place: f64| low * (high / low).powf(place);
        match self {
            Spread::Logarithm { low, high } => along(low, high, place),
            Spread::LogarithmOrOff { .. } if place < OFF => 0.0,
            Spread::LogarithmOrOff { low, high } => along(low, high, (place - OFF) / (1.0 - OFF)),
            Spread::Linear { low, high } => low + (high - low) * place,
            Spread::Choice(count) => (place * count as f64).floor().min(count as f64 - 1.0),
        }
    }

    /// The place of `value`, or of the nearest value that there is.
    fn place(self, value: f64) -> f64 {
        let along = |low: f64, high: f64| (value.max(low) / low).ln() / (high / low).ln();
        let place = match self {
            Spread::Logarithm { low, high } => along(low, high),
            Spread::LogarithmOrOff { .. } if value <= 0.0 => OFF / 2.0,
            Spread::LogarithmOrOff { low, high } => OFF + (1.0 - OFF) * along(low, high),
            Spread::Linear { low, high } => (value - low) / (high - low),
            Spread::Choice(count) => (value + 0.5) / count as f64,
        };
        place.clamp(0.0, 1.0)
    }
}

/// A knob that a search turns.
pub struct Knob {
    /// The knob's name in a profile.
    pub name: &'static str,
    /// What a larger value, or another choice, gives and takes.
    pub trade: &'static str,
    /// What it is a multiple of, and from how much to how much of it, where it is tied.
    pub tied: Option<&'static str>,
    /// The range, and how values are spread over it.
    pub spread: Spread,
    /// Reads the value, or its multiple of what it is tied to.
    get: fn(&Tuning) -> f64,
    /// Sets it. Rows above have been set before.
    set: fn(&mut Tuning, f64),
}

const FAN_OUTS: [FanOut; 4] = [FanOut::Thrifty, FanOut::Chain, FanOut::Star, FanOut::Broadcast];
const ANSWERS: [HeartbeatAnswers; 2] = [HeartbeatAnswers::Quorum, HeartbeatAnswers::Everyone];
const RESENDS: [ResendFrom; 2] = [ResendFrom::RoundTrip, ResendFrom::Fixed];
const HEARERS: [HeartbeatTo; 2] = [HeartbeatTo::Everyone, HeartbeatTo::Watchers];
const CHAINS: [u64; 4] = [0, 2, 3, 4];

/// The place of `wanted` among `choices`.
fn number_of<T: PartialEq>(choices: &[T], wanted: &T) -> f64 {
    choices.iter().position(|choice| choice == wanted).unwrap_or(0) as f64
}

/// `value` with two digits that count: what a person would write.
fn round(value: f64) -> u64 {
    let step = 10f64.powf((value.max(1.0).log10().floor() - 1.0).max(0.0));
    ((value / step).round() * step) as u64
}

fn ratio(value: u64, of: u64) -> f64 {
    value as f64 / of.max(1) as f64
}

/// What an election timeout must cover (rules R18 and R28), in microseconds.
fn least_timeout_us(tuning: &Tuning) -> u64 {
    if tuning.inquiries > 0 {
        return tuning.promise_us.max(tuning.heartbeat_interval_us + tuning.resend_timeout_us * 2);
    }
    let by_promise = tuning.promise_us + tuning.heartbeat_interval_us;
    by_promise.max(2 * tuning.heartbeat_interval_us)
}

/// The knobs, each after those that it is tied to.
pub static KNOBS: [Knob; 19] = [
    Knob {
        name: "heartbeat_interval_us",
        trade: "longer: fewer idle messages, later detection",
        tied: None,
        spread: Spread::Logarithm { low: 60_000.0, high: 1_600_000.0 },
        get: |tuning| tuning.heartbeat_interval_us as f64,
        set: |tuning, value| tuning.heartbeat_interval_us = round(value),
    },
    Knob {
        name: "resend_timeout_us",
        trade: "shorter: losses cost less time, more resends",
        tied: Some("at most a heartbeat interval"),
        spread: Spread::Logarithm { low: 1_000.0, high: 200_000.0 },
        get: |tuning| tuning.resend_timeout_us as f64,
        set: |tuning, value| {
            tuning.resend_timeout_us = round(value).min(tuning.heartbeat_interval_us);
        },
    },
    Knob {
        name: "heartbeat_to",
        trade: "watchers: fewer idle messages",
        tied: None,
        spread: Spread::Choice(HEARERS.len()),
        get: |tuning| number_of(&HEARERS, &tuning.heartbeat_to),
        set: |tuning, value| {
            // Without inquiries everyone must hear (rule R30).
            if tuning.inquiries > 0 {
                tuning.heartbeat_to = HEARERS[value as usize];
            }
        },
    },
    Knob {
        name: "inquiries",
        trade: "more: losses start fewer elections",
        tied: None,
        spread: Spread::Choice(5),
        get: |tuning| tuning.inquiries.saturating_sub(1) as f64,
        set: |tuning, value| {
            // A profile without inquiries stays one.
            if tuning.inquiries > 0 {
                tuning.inquiries = value as u64 + 1;
            }
        },
    },
    Knob {
        name: "promise_us",
        trade: "longer: outlives more lost heartbeats",
        tied: Some("half to 4 heartbeat intervals, 1 without inquiries"),
        spread: Spread::Logarithm { low: 0.5, high: 4.0 },
        get: |tuning| ratio(tuning.promise_us, tuning.heartbeat_interval_us),
        set: |tuning, value| {
            // A profile without promises stays one.
            if tuning.promise_us > 0 {
                let wanted = round(value * tuning.heartbeat_interval_us as f64);
                let asks = tuning.inquiries > 0;
                let least =
                    if asks { 2 * tuning.lease_margin_us } else { tuning.heartbeat_interval_us };
                tuning.promise_us = wanted.max(least).min(tuning.lease_margin_us * 100);
            }
        },
    },
    Knob {
        name: "promise_under_load_us",
        trade: "shorter: a dead leader is replaced sooner",
        tied: Some("a tenth to all of the promise"),
        spread: Spread::Logarithm { low: 0.1, high: 1.0 },
        get: |tuning| ratio(tuning.promise_under_load().0, tuning.promise_us),
        set: |tuning, value| {
            let wanted = round(value * tuning.promise_us as f64);
            let least = tuning.lease_margin_us * 3 / 2;
            tuning.promise_under_load_us = wanted.max(least).min(tuning.promise_us);
        },
    },
    Knob {
        name: "election_timeout_min_us",
        trade: "longer: fewer needless elections, later ones",
        tied: Some("1 to 2.5 times promise and heartbeat interval (R18)"),
        spread: Spread::Logarithm { low: 1.0, high: 2.5 },
        get: |tuning| ratio(tuning.election_timeout_min_us, least_timeout_us(tuning)),
        set: |tuning, value| {
            let least = least_timeout_us(tuning);
            tuning.election_timeout_min_us = round(value * least as f64).max(least);
        },
    },
    Knob {
        name: "election_timeout_max_us",
        trade: "more: two stand at once more rarely",
        tied: Some("1.1 to 2.5 times the shortest"),
        spread: Spread::Logarithm { low: 1.1, high: 2.5 },
        get: |tuning| ratio(tuning.election_timeout_max_us, tuning.election_timeout_min_us),
        set: |tuning, value| {
            let least = tuning.election_timeout_min_us + 1_000;
            let wanted = round(value * tuning.election_timeout_min_us as f64);
            tuning.election_timeout_max_us = wanted.max(least);
        },
    },
    Knob {
        name: "fan_out",
        trade: "chain: fewest messages, a delay for each hop",
        tied: None,
        spread: Spread::Choice(FAN_OUTS.len()),
        get: |tuning| number_of(&FAN_OUTS, &tuning.fan_out),
        set: |tuning, value| tuning.fan_out = FAN_OUTS[value as usize],
    },
    Knob {
        name: "chain_length",
        trade: "shorter: fewer delays, more messages",
        tied: None,
        spread: Spread::Choice(CHAINS.len()),
        get: |tuning| number_of(&CHAINS, &tuning.chain_length),
        set: |tuning, value| tuning.chain_length = CHAINS[value as usize],
    },
    Knob {
        name: "heartbeat_answers",
        trade: "everyone: silence is seen at once",
        tied: None,
        spread: Spread::Choice(ANSWERS.len()),
        get: |tuning| number_of(&ANSWERS, &tuning.heartbeat_answers),
        set: |tuning, value| tuning.heartbeat_answers = ANSWERS[value as usize],
    },
    Knob {
        name: "linger_us",
        trade: "longer: fewer batches, each put waits",
        tied: None,
        spread: Spread::LogarithmOrOff { low: 100.0, high: 30_000.0 },
        get: |tuning| tuning.linger_us as f64,
        set: |tuning, value| tuning.linger_us = round(value),
    },
    Knob {
        name: "pipeline_window",
        trade: "less: fewer batches, entries wait for others",
        tied: None,
        spread: Spread::Logarithm { low: 1.0, high: 64.0 },
        get: |tuning| tuning.pipeline_window as f64,
        set: |tuning, value| tuning.pipeline_window = round(value),
    },
    Knob {
        name: "quorum_spares",
        trade: "more: a lost answer costs no time",
        tied: None,
        spread: Spread::Choice(3),
        get: |tuning| tuning.quorum_spares as f64,
        set: |tuning, value| tuning.quorum_spares = value as u64,
    },
    Knob {
        name: "probe_interval_us",
        trade: "longer: fewer messages to the dead",
        tied: Some("1 to 8 heartbeat intervals"),
        spread: Spread::Logarithm { low: 1.0, high: 8.0 },
        get: |tuning| ratio(tuning.probe_interval().0, tuning.heartbeat_interval_us),
        set: |tuning, value| {
            let wanted = round(value * tuning.heartbeat_interval_us as f64);
            tuning.probe_interval_us = wanted.max(tuning.heartbeat_interval_us);
        },
    },
    Knob {
        name: "resend_from",
        trade: "round_trip: each follower has its own",
        tied: None,
        spread: Spread::Choice(RESENDS.len()),
        get: |tuning| number_of(&RESENDS, &tuning.resend_from),
        set: |tuning, value| tuning.resend_from = RESENDS[value as usize],
    },
    Knob {
        name: "silence_is_loss_above_per_mille",
        trade: "less: fewer substitutes where much is lost",
        tied: None,
        spread: Spread::Linear { low: 0.0, high: 400.0 },
        get: |tuning| tuning.silence_is_loss_above_per_mille as f64,
        set: |tuning, value| tuning.silence_is_loss_above_per_mille = round(value),
    },
    Knob {
        name: "lag_most_entries",
        trade: "more: fewer catch-ups, a longer way back",
        tied: None,
        spread: Spread::Logarithm { low: 4.0, high: 1_024.0 },
        get: |tuning| tuning.lag_most_entries as f64,
        set: |tuning, value| tuning.lag_most_entries = round(value),
    },
    Knob {
        name: "hold_time_us",
        trade: "longer: fewer clients are sent on, and later",
        tied: None,
        spread: Spread::Logarithm { low: 20_000.0, high: 3_000_000.0 },
        get: |tuning| tuning.hold_time_us as f64,
        set: |tuning, value| tuning.hold_time_us = round(value),
    },
];

/// A place in the search: a number from 0 to 1 for each knob.
pub type Place = [f64; KNOBS.len()];

/// `base` with the knobs as they are at `place`; `None` if that breaks a rule.
pub fn tuning_at(base: &Tuning, place: &Place) -> Option<Tuning> {
    let mut tuning = base.clone();
    for (knob, place) in KNOBS.iter().zip(place) {
        (knob.set)(&mut tuning, knob.spread.value(*place));
    }
    tuning.check().is_ok().then_some(tuning)
}

/// The place that is nearest to `tuning`.
pub fn place_of(tuning: &Tuning) -> Place {
    std::array::from_fn(|row| KNOBS[row].spread.place((KNOBS[row].get)(tuning)))
}

/// The row of the knob `name`, if a search turns it.
pub fn knob(name: &str) -> Option<&'static Knob> {
    KNOBS.iter().find(|knob| knob.name == name)
}

/// `tuning` with the knob of `row` as it is in `base`; `None` if that is no change, or breaks a
/// rule.
pub fn put_back(base: &Tuning, tuning: &Tuning, row: usize) -> Option<Tuning> {
    let name = KNOBS[row].name;
    let mut knobs = json!(tuning);
    let before = json!(base)[name].clone();
    if std::mem::replace(&mut knobs[name], before.clone()) == before {
        return None;
    }
    let tuning: Tuning = serde_json::from_value(knobs).ok()?;
    tuning.check().is_ok().then_some(tuning)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tuning_file;

    fn base(name: &str) -> Tuning {
        tuning_file::load(name).unwrap().tuning
    }

    /// Each row turns the knob that it names, and no row another one besides what it ties.
    #[test]
    fn every_row_turns_the_knob_that_it_names() {
        let (low, high) = ([0.3; KNOBS.len()], 0.9);
        let knobs = |place: &Place| json!(tuning_at(&base("course"), place).unwrap());
        let before = knobs(&low);
        for (row, knob) in KNOBS.iter().enumerate() {
            let mut place = low;
            place[row] = high;
            let after = knobs(&place);
            assert_ne!(before[knob.name], after[knob.name], "{}", knob.name);
        }
        let names: BTreeSet<&str> = KNOBS.iter().map(|knob| knob.name).collect();
        assert_eq!(names.len(), KNOBS.len());
        for (name, value) in before.as_object().unwrap() {
            let kept = names.contains(name.as_str()) || *value == json!(base("course"))[name];
            assert!(kept, "{name} is not to be turned");
        }
    }

    /// The corners and many other places keep the rules, from each profile.
    #[test]
    fn most_places_keep_the_rules() {
        for name in ["course", "quiet", "textbook"] {
            let corners = [[0.0; KNOBS.len()], [1.0; KNOBS.len()]];
            let mut random = crate::sim::random_stream::RandomStream::new(1, "places", 0);
            let drawn: Vec<Place> = (0..1_000)
                .map(|_| std::array::from_fn(|_| random.below(1_000) as f64 / 1_000.0))
                .collect();
            let places = corners.iter().chain(&drawn);
            let kept = places.filter(|place| tuning_at(&base(name), place).is_some()).count();
            println!("{name}: {kept}");
            assert!(kept > 700, "{name}: {kept}");
        }
    }

    #[test]
    fn a_profile_has_a_place_and_the_place_gives_it_back() {
        let course = base("course");
        let found = tuning_at(&course, &place_of(&course)).unwrap();
        let (found, course) = (json!(found), json!(course));
        for (name, value) in course.as_object().unwrap() {
            let (Some(one), Some(other)) = (value.as_f64(), found[name].as_f64()) else {
                assert_eq!(*value, found[name], "{name}");
                continue;
            };
            assert!((one - other).abs() <= 0.06 * one, "{name}: {one} and {other}");
        }
    }

    /// So that a line of a profile has 100 columns at most.
    #[test]
    fn what_a_knob_gives_and_takes_is_said_in_few_words() {
        for knob in &KNOBS {
            assert!((10..=44).contains(&knob.trade.len()), "{}", knob.name);
        }
    }

    #[test]
    fn values_have_two_digits_that_count() {
        for (value, rounded) in [(0.2, 0), (7.4, 7), (123.0, 120), (1_260_000.0, 1_300_000)] {
            assert_eq!(round(value), rounded);
        }
    }
}
