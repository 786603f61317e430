//! Would the explorer find a fault? Bugs of the core, planted one at a time (`docs/planted.md`).

use laconic::raft::Planted;
use laconic::raft::tuning::FanOut::{self, Star, Thrifty};

use crate::bounds::Bounds;
use crate::explore::explore;
use crate::{from_a_leader, under_a_lease, without_pre_votes};

/// From a leader, without pre-votes, in so many terms and with so many timeouts.
fn terms(fan_out: FanOut, terms: u64, timeouts: u8) -> Bounds {
    Bounds { pre_vote: false, terms, timeouts, ..from_a_leader(fan_out) }
}

/// The bugs, in which bounds each is looked for, and what is found broken.
fn bugs() -> Vec<(Planted, Bounds, &'static str)> {
    let fresh = || without_pre_votes(Star);
    let two_terms = || terms(Star, 2, 1);
    let three_terms = || terms(Thrifty, 3, 2);
    let read = || Bounds { reads: 1, ..two_terms() };
    let leased = || Bounds { timeouts: 3, ..under_a_lease(Thrifty) };
    let drains = || Bounds { drains: true, proposals: 2, timeouts: 1, ..from_a_leader(Thrifty) };
    // Larger puts: or the first append of a term would reach back to where all agree (R15).
    let large = |bounds| Bounds { large_puts: true, ..bounds };
    let figure_8 = || Bounds { large_puts: true, ..terms(Thrifty, 4, 3) };
    vec![
        (Planted::VoteForgotten, fresh(), "both elected in term 1"),
        (Planted::OwnVoteForgotten, fresh(), "both elected in term 1"),
        (Planted::LogComparedByLength, three_terms(), "without committed entry"),
        (Planted::LogNotCompared, two_terms(), "without committed entry"),
        (Planted::NoTakenForYes, two_terms(), "without committed entry"),
        (Planted::VoteOfOldTermCounted, three_terms(), "without committed entry"),
        (Planted::PromiseIgnored, leased(), "answers a read from commit"),
        (Planted::OldLeaderObeyed, two_terms(), "does not hold them"),
        (Planted::AnswerOfOldTermCounted, three_terms(), "which it has not accepted"),
        (Planted::SharedAckOfRefused, drains(), "does not hold them"),
        (Planted::AckOfOwnLast, large(three_terms()), "does not hold them"),
        (Planted::HeartbeatUnchecked, from_a_leader(Star), "which it does not hold"),
        (Planted::TruncatesMatching, large(fresh()), "does not hold them"),
        (Planted::TruncatesToAppend, two_terms(), "does not hold them"),
        (Planted::CommitPastChecked, large(three_terms()), "commits another entry"),
        (Planted::RefusalTakenForMatch, large(two_terms()), "does not hold them"),
        (Planted::CountedWhenSent, fresh(), "does not hold them"),
        (Planted::OldTermCounted, figure_8(), "without committed entry"),
        (Planted::LeaseFromReceipt, leased(), "answers a read from commit"),
        (Planted::ReadBeforeOpening, read(), "answers a read from commit"),
        (Planted::ReadWithoutProof, read(), "answers a read from commit"),
        (Planted::ReadOfOlderRound, read(), "answers a read from commit"),
    ]
}

#[test]
fn planted_bugs_are_found_by_short_ways() {
    for (bug, bounds, what) in bugs() {
        let bounds = Bounds { planted: Some(bug), ..bounds };
        let explored = explore(&bounds);
        let broken = explored.broken.unwrap_or_else(|| panic!("{bounds}: not found"));
        let (name, states, steps) = (bug.name(), explored.states, broken.story.len());
        println!("| `{name}` | {bounds} | {states} | {steps} | {} |", broken.what);
        assert!(broken.what.contains(what), "{bounds}: {broken}");
    }
}
