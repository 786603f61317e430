//! Model checking: every state that a small cluster of real cores can get into, within bounds. What
//! is explored, how far, and how many states there are stands in `docs/model.md`.
//!
//! The explorer is our own. `stateright` would bring its own actors, its own network and its own
//! timers, and the core has none of these: it is one function over state, time and input. What is
//! left is a list of states (`explore`) and what replicas are and do (`cluster`, `node`), less than
//! the adapter would be, and the things that matter here are easier to say directly: clocks that
//! each replica owns or that run at stated rates, messages that may always come again, and which
//! state can do all that another can.

mod bounds;
mod cluster;
mod explore;
mod ghost;
mod keeping;
mod kept;
mod node;
#[cfg(feature = "planted")]
mod planted;
mod story;

use laconic::raft::Mark;
use laconic::raft::tuning::FanOut::{self, Broadcast, Chain, Star, Thrifty};
use laconic::raft::tuning::Reads;

use bounds::{Bounds, Clocks, Start, Trips};
use cluster::Seen;
use explore::{Explored, clusters, explore};

const FAN_OUTS: [FanOut; 4] = [Broadcast, Star, Thrifty, Chain];

/// Explores within `bounds`, fails on what is broken and if it does not come to the end, and prints
/// how many states there are.
fn check(bounds: &Bounds) -> Explored {
    let explored = explore(bounds);
    println!("{bounds}: {explored}");
    if let Some(broken) = &explored.broken {
        panic!("{bounds}: {broken}");
    }
    assert!(!explored.cut_off, "{bounds}: not explored to the end");
    explored
}

/// An exploration that has not seen what it is for has shown nothing.
#[track_caller]
fn must_have_happened(explored: &Explored, seen: &[Seen], marks: &[Mark]) {
    for what in seen {
        assert!(explored.seen.contains(what), "never seen: {what:?}, in {explored}");
    }
    for mark in marks {
        assert!(explored.marks.contains(*mark), "never taken: {}, in {explored}", mark.name());
    }
}

/// Clocks whose rates differ by less than the lease's margin of 7 %: the leader's is slow.
const WITHIN: Clocks = Clocks::Shared { rates_ppm: [970_000, 1_030_000, 1_030_000, 1_030_000] };

/// Clocks whose rates differ by more than that.
const BEYOND: Clocks = Clocks::Shared { rates_ppm: [900_000, 1_100_000, 1_100_000, 1_100_000] };

/// From a leader of term 1 to one of term 2: a put, a read, or both, while timers run out.
fn from_a_leader(fan_out: FanOut) -> Bounds {
    Bounds { fan_out, start: Start::Elected, ..Bounds::default() }
}

/// A read under a lease, asked for at any time while clocks run.
fn under_a_lease(fan_out: FanOut) -> Bounds {
    Bounds { reads_by: Reads::Lease, clocks: WITHIN, reads: 1, ..from_a_leader(fan_out) }
}

/// From the very beginning to a leader of term 2. Nobody asks for pre-votes, so there are no
/// promises.
fn without_pre_votes(fan_out: FanOut) -> Bounds {
    Bounds { fan_out, pre_vote: false, ..Bounds::default() }
}

fn is_to_few(fan_out: FanOut) -> bool {
    matches!(fan_out, Thrifty | Chain)
}

/// What must be seen where one leader follows another.
const ANOTHER_LEADER: [Seen; 4] =
    [Seen::TwoLeaders, Seen::Deposed, Seen::PutCommitted, Seen::Truncated];

/// The branches that must be taken there, if there are pre-votes.
const ANOTHER_LEADER_MARKS: [Mark; 5] = [
    Mark::OldTermCommitted,
    Mark::HintShowedAgreement,
    Mark::PreVoteRefusedByPromise,
    Mark::DeposedByQuorum,
    Mark::AppendOfLowerTerm,
];

#[test]
fn an_election_and_a_put_from_the_very_beginning() {
    for fan_out in FAN_OUTS {
        let explored = check(&Bounds { fan_out, timeouts: 1, ..Bounds::default() });
        must_have_happened(&explored, &[Seen::Elected, Seen::PutCommitted], &[]);
    }
}

#[test]
fn two_elections_from_the_very_beginning_without_pre_votes() {
    for fan_out in [Star, Thrifty, Chain] {
        let seen = [Seen::Elected, Seen::ElectedInTerm2, Seen::TwoLeaders, Seen::Truncated];
        let explored = check(&without_pre_votes(fan_out));
        must_have_happened(&explored, &seen, &[Mark::VoteRefusedAsGiven]);
    }
}

#[test]
fn a_second_leader_and_a_put_on_clocks_that_run_as_they_like() {
    for fan_out in FAN_OUTS {
        let bounds = from_a_leader(fan_out);
        let explored = check(&Bounds { proposals: 1 + u8::from(is_to_few(fan_out)), ..bounds });
        must_have_happened(&explored, &ANOTHER_LEADER, &ANOTHER_LEADER_MARKS);
    }
}

/// A slow follower is left out of quorums (R26). Round trips as they are measured tell states
/// apart, and one that is always slow does not.
#[test]
fn a_second_leader_where_a_follower_is_slow() {
    for fan_out in FAN_OUTS {
        for slow in [Trips::Slow(1), Trips::Slow(2)] {
            let explored = check(&Bounds { trips: slow, ..from_a_leader(fan_out) });
            must_have_happened(&explored, &ANOTHER_LEADER, &ANOTHER_LEADER_MARKS);
        }
    }
    for fan_out in [Thrifty, Chain] {
        let explored = check(&Bounds { trips: Trips::Measured, ..from_a_leader(fan_out) });
        must_have_happened(&explored, &ANOTHER_LEADER, &ANOTHER_LEADER_MARKS);
    }
}

#[test]
fn a_read_that_asks_a_quorum_while_another_leader_is_elected() {
    for fan_out in FAN_OUTS {
        let bounds = Bounds { pre_vote: false, reads: 1, timeouts: 1, ..from_a_leader(fan_out) };
        let explored = check(&bounds);
        let seen = [Seen::TwoLeaders, Seen::Deposed, Seen::ReadServed];
        must_have_happened(&explored, &seen, &[Mark::ReadsReleasedByRound]);
    }
}

#[test]
fn a_read_under_a_lease_on_clocks_within_the_margin() {
    for fan_out in FAN_OUTS {
        let marks = [Mark::ReadUnderLease, Mark::LeaseLapsed];
        let seen = [Seen::ReadServed, Seen::PutCommitted];
        must_have_happened(&check(&under_a_lease(fan_out)), &seen, &marks);
        // Far enough for another leader; to everyone without a put, or there would be too many.
        let proposals = is_to_few(fan_out).into();
        let explored = check(&Bounds { timeouts: 3, proposals, ..under_a_lease(fan_out) });
        let seen = [Seen::TwoLeaders, Seen::Deposed, Seen::ReadServed];
        must_have_happened(&explored, &seen, &[Mark::ReadUnderLease]);
    }
}

/// The properties are no empty words: where the one assumption of leases does not hold, the
/// explorer finds the stale read.
#[test]
fn clocks_beyond_the_margin_break_a_lease_and_the_explorer_says_how() {
    for fan_out in [Broadcast, Star] {
        let bounds = Bounds { clocks: BEYOND, ..under_a_lease(fan_out) };
        let explored = explore(&bounds);
        println!("{bounds}: {explored}");
        let broken = explored.broken.expect("a lease that outlives its promise");
        println!("{broken}");
        assert!(broken.what.contains("answers a read from commit"), "{broken}");
        assert!(broken.story.len() <= 20, "a shortest way: {broken}");
    }
}

/// With three replicas f is 1, and a chain has one hop. With four it has two.
#[test]
fn a_chain_of_two_hops() {
    let bounds = Bounds { members: 4, ..from_a_leader(Chain) };
    let seen = [Seen::PutCommitted, Seen::Deposed];
    let marks = [Mark::AppendRelayed, Mark::ChainAcknowledged, Mark::RelayOverdue];
    must_have_happened(&check(&bounds), &seen, &marks);
}

#[test]
fn acknowledgements_that_are_shared_by_what_one_drain_brings() {
    for fan_out in FAN_OUTS {
        let bounds = Bounds { drains: true, timeouts: 1, ..from_a_leader(fan_out) };
        let bounds = Bounds { proposals: 1 + u8::from(is_to_few(fan_out)), ..bounds };
        must_have_happened(&check(&bounds), &[Seen::PutCommitted], &[]);
    }
}

/// What the explorer need not look at leads nowhere: the replicas get into the same states, after
/// as few timeouts, as without that.
#[test]
fn what_is_left_out_leads_nowhere_else() {
    let one = |fan_out| Bounds { timeouts: 1, ..from_a_leader(fan_out) };
    let all = [
        Bounds { timeouts: 1, ..Bounds::default() },
        Bounds { timeouts: 1, forgetful: true, ..Bounds::default() },
        Bounds { proposals: 0, ..one(Broadcast) },
        Bounds { proposals: 0, pre_vote: false, ..one(Star) },
        one(Thrifty),
        Bounds { proposals: 0, pre_vote: false, reads: 1, ..one(Chain) },
        Bounds { proposals: 0, ..under_a_lease(Thrifty) },
        Bounds { drains: true, timeouts: 0, ..one(Star) },
    ];
    for bounds in all {
        let (few, found) = clusters(&bounds);
        let (plain, all_found) =
            clusters(&Bounds { reduced: false, forgetful: false, ..bounds.clone() });
        println!("{bounds}: {found} instead of {all_found} states, {} clusters", few.len());
        assert!(found < all_found, "{bounds}: nothing is left out");
        assert!(few == plain, "{bounds}: other clusters, or after more timeouts");
    }
}

#[test]
#[ignore = "takes minutes; run by .ci/run"]
fn medium_bounds() {
    for fan_out in FAN_OUTS {
        let two_puts = check(&Bounds { proposals: 2, ..from_a_leader(fan_out) });
        must_have_happened(&two_puts, &ANOTHER_LEADER, &ANOTHER_LEADER_MARKS);
    }
    for fan_out in [Star, Thrifty, Chain] {
        let fresh = check(&Bounds { proposals: 2, ..without_pre_votes(fan_out) });
        must_have_happened(&fresh, &[Seen::ElectedInTerm2, Seen::Truncated], &[]);
    }
    for fan_out in [Thrifty, Chain] {
        check(&Bounds { proposals: 2, trips: Trips::Measured, ..from_a_leader(fan_out) });
    }
    // With three replicas a chain is what `thrifty` is.
    check(&Bounds { proposals: 2, reads: 1, ..from_a_leader(Thrifty) });
    check(&Bounds { proposals: 2, timeouts: 3, ..under_a_lease(Thrifty) });
}

#[test]
#[ignore = "takes 20 minutes in a release build, and 9 GB: docs/model.md"]
fn large_bounds() {
    for fan_out in [Star, Broadcast] {
        check(&Bounds { reads: 1, ..from_a_leader(fan_out) });
        check(&Bounds { proposals: 2, forgetful: true, ..without_pre_votes(fan_out) });
        check(&Bounds { proposals: 2, timeouts: 1, ..under_a_lease(fan_out) });
        check(&Bounds { proposals: 2, reads: 1, timeouts: 1, ..from_a_leader(fan_out) });
    }
    check(&Bounds { proposals: 2, forgetful: true, ..Bounds::default() });
}
