//! Who is to notice a dead leader, and how soon. A floor assumes it, so it follows the knobs of the
//! run (design §6).

use super::bounds::{LedSpan, others_needed};
use super::words::time;
use crate::raft::tuning::{Control, HeartbeatTo};
use crate::raft::{Micros, Tuning};

/// Who is kept hearing from an idle leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Everyone who lives.
    Everyone,
    /// f watchers (R30).
    Watchers,
    /// Nobody: the first request notices a dead leader (R30).
    Nobody,
}

impl Hearing {
    /// What `tuning` demands. A controller may choose between everyone and watchers, so the floor
    /// of its runs is the lower one.
    pub fn of(tuning: &Tuning) -> Hearing {
        if tuning.quiet {
            Hearing::Nobody
        } else if tuning.heartbeat_to == HeartbeatTo::Watchers
            || tuning.control == Control::Adaptive
        {
            Hearing::Watchers
        } else {
            Hearing::Everyone
        }
    }

    /// How many of `living` others must hear from the leader of a cluster of `replicas`.
    pub fn listeners(self, living: u64, replicas: u64) -> u64 {
        match self {
            Hearing::Everyone => living,
            Hearing::Watchers => living.min(others_needed(replicas)),
            Hearing::Nobody => 0,
        }
    }

    /// The same times, with only these listeners.
    pub fn of_spans(self, spans: &[LedSpan], replicas: u64) -> Vec<LedSpan> {
        let heard = |span: &LedSpan| LedSpan {
            listeners: self.listeners(span.listeners, replicas),
            ..*span
        };
        spans.iter().map(heard).collect()
    }

    /// Who notices a dead leader within `detection`, as the end of a sentence.
    pub fn noticed(self, detection: Micros) -> String {
        let within = time(detection.0 as f64);
        match self {
            Hearing::Everyone => format!("everyone notices a dead leader within {within}"),
            Hearing::Watchers => format!("f watchers notice a dead leader within {within}"),
            Hearing::Nobody => {
                "nobody is kept hearing: the first request notices a dead leader".to_owned()
            }
        }
    }
}

/// The time within which a dead leader is to be noticed. A controller turns the election timeout,
/// up to its own target.
pub fn detection(tuning: &Tuning) -> Micros {
    let timeout = tuning.election_timeout_min();
    match tuning.control {
        Control::Static => timeout,
        Control::Adaptive => timeout.max(Micros(tuning.detection_target_us)),
    }
}

/// Most entries of a batch; `None` where a controller may raise it.
pub fn most_entries(tuning: &Tuning) -> Option<u64> {
    (tuning.control == Control::Static).then_some(tuning.batch_most_entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning_file;

    #[test]
    fn who_hears_follows_the_knobs() {
        let hearing = |profile| Hearing::of(&tuning_file::load(profile).unwrap().tuning);
        assert_eq!(hearing("fast"), Hearing::Everyone);
        assert_eq!(hearing("course"), Hearing::Watchers);
        assert_eq!(hearing("adaptive"), Hearing::Watchers);
        assert_eq!(hearing("quiet"), Hearing::Nobody);
        let mut adaptive = tuning_file::load("fast").unwrap().tuning;
        adaptive.control = Control::Adaptive;
        adaptive.detection_target_us = 5_000_000;
        assert_eq!(Hearing::of(&adaptive), Hearing::Watchers);
        assert_eq!(detection(&adaptive), Micros(5_000_000));
        assert_eq!(most_entries(&adaptive), None);
        adaptive.control = Control::Static;
        assert_eq!(detection(&adaptive), Micros(1_300_000));
        assert_eq!(most_entries(&adaptive), Some(256));
    }

    #[test]
    fn who_is_dead_listens_to_nobody() {
        let listeners = |living| {
            [Hearing::Everyone, Hearing::Watchers, Hearing::Nobody]
                .map(|hearing| hearing.listeners(living, 5))
        };
        assert_eq!(listeners(4), [4, 2, 0]);
        assert_eq!(listeners(1), [1, 1, 0]);
        assert_eq!(listeners(0), [0, 0, 0]);
    }
}
