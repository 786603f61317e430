//! What makes two states of a member the same, for whoever explores all states that a cluster can
//! get into: [`Hash`]. All that decides what a member does next is in it, and nothing that only
//! tells of the past. Each field is named here, so that a new one cannot be forgotten.

use std::hash::{Hash, Hasher};

use super::core::Core;
use super::leader::Leader;
use super::progress::Progress;

impl Hash for Core {
    /// Left out are the tuning, which the explorer knows, and what the core notes but never asks:
    /// marks, what they need, and how often a leader was heard. When it was heard counts: a round
    /// that a newer one has overtaken is promised from then on (rule R31).
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Core {
            me,
            count,
            tuning: _,
            random,
            term,
            voted_for,
            leader,
            heard_at,
            times_heard: _,
            heard_round,
            promised_round,
            // What was passed on has been sent, and whatever was sent may come again by itself.
            passed_on: _,
            log,
            commit,
            heard_commit,
            promise_until,
            election_at,
            early_candidacy_at,
            silent_until,
            owed,
            relayed,
            told_timeout,
            told_inquiries,
            told_loss_ppm,
            inquired_at,
            inquiry,
            given_up,
            has_stood,
            met,
            round_trips,
            has_led: _,
            was_deposed: _,
            marks: _,
            #[cfg(feature = "planted")]
                planted: _,
        } = self;
        (me, count, random, term, voted_for, leader).hash(hasher);
        (heard_at, heard_round, promised_round, log, commit, heard_commit).hash(hasher);
        (promise_until, election_at, early_candidacy_at, silent_until, owed, relayed).hash(hasher);
        (told_timeout, told_inquiries, told_loss_ppm, inquired_at, inquiry).hash(hasher);
        // Whom it has met is begun anew if it has not stood.
        (given_up, has_stood.then_some(met), round_trips).hash(hasher);
    }
}

impl Hash for Leader {
    /// Left out is the estimated loss, and what only it asks for. It decides nothing as long as
    /// `silence_is_loss_above_per_mille` is 1,000 and a few dozen messages are lost at most.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Leader {
            progress,
            rounds,
            lease,
            opened,
            batched_through,
            batches,
            flush_at,
            lingering,
            reads,
            confirm_wanted,
            loss: _,
            suspected_at: _,
            tick_at,
            touch_wanted,
            everyone,
            worked_at,
            waits_since,
            watchers,
            watched,
            commit_untold,
        } = self;
        (progress, rounds, lease, opened, batched_through, batches).hash(hasher);
        (flush_at, lingering, reads, confirm_wanted, tick_at, touch_wanted).hash(hasher);
        (everyone, worked_at, waits_since, watchers, watched, commit_untold).hash(hasher);
    }
}

impl Hash for Progress {
    /// Left out is the estimated loss, which is for status and metrics.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Progress {
            matched,
            next,
            answered,
            heard_round,
            answered_round,
            answered_at,
            lease_until,
            addressed_at,
            suspect,
            probing,
            settled_round,
            told_timeout,
            watch_round,
            told_commit,
            awaiting,
            loss: _,
        } = self;
        (matched, next, answered, heard_round, answered_round, answered_at).hash(hasher);
        (lease_until, addressed_at, suspect, probing, settled_round).hash(hasher);
        (told_timeout, watch_round, told_commit, awaiting).hash(hasher);
    }
}
