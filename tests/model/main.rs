//! Model checking: every state that a small cluster of real cores can get into, within bounds. What
//! is explored, how far, and how many states there are stands in `docs/model.md`.
//!
//! The explorer is our own. `stateright` would bring its own actors, its own network and its own
//! timers, and the core has none of these: it is one function over state, time and input. What is
//! left is a queue and a set of fingerprints (`explore`), less than the adapter would be, and the
//! things that matter here are easier to say directly: clocks that each replica owns or that run at
//! stated rates, what of a state is left out, and why that is sound.

mod bounds;
mod explore;
mod ghost;
mod model;
mod story;

use laconic::raft::Mark;
use laconic::raft::tuning::FanOut::{self, Broadcast, Chain, Star, Thrifty};
use laconic::raft::tuning::Reads;

use bounds::{Bounds, Clocks, Start};
use explore::{Explored, explore};
use model::Seen;

const FAN_OUTS: [FanOut; 4] = [Broadcast, Star, Thrifty, Chain];

/// Explores within `bounds`, fails on what is broken, and prints how many states there are.
fn check(bounds: &Bounds) -> Explored {
    let explored = explore(bounds);
    println!("{bounds}: {explored}");
    if let Some(broken) = &explored.broken {
        panic!("{bounds}: {broken}");
    }
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

fn is_to_few(fan_out: FanOut) -> bool {
    matches!(fan_out, Thrifty | Chain)
}

#[test]
fn an_election_and_a_put_from_the_very_beginning() {
    for fan_out in FAN_OUTS {
        let explored = check(&Bounds { fan_out, timeouts: 1, ..Bounds::default() });
        must_have_happened(&explored, &[Seen::Elected, Seen::PutCommitted], &[]);
    }
}

#[test]
fn a_second_leader_and_a_put_on_clocks_that_run_as_they_like() {
    for fan_out in FAN_OUTS {
        let explored = check(&from_a_leader(fan_out));
        let seen = [Seen::TwoLeaders, Seen::Deposed, Seen::PutCommitted, Seen::Truncated];
        let marks = [
            Mark::OldTermCommitted,
            Mark::HintShowedAgreement,
            Mark::PreVoteRefusedByPromise,
            Mark::DeposedByQuorum,
            Mark::AppendOfLowerTerm,
        ];
        must_have_happened(&explored, &seen, &marks);
    }
}

#[test]
fn a_read_that_asks_a_quorum_while_another_leader_is_elected() {
    for fan_out in FAN_OUTS {
        let bounds = Bounds { pre_vote: false, reads: 1, timeouts: 1, ..from_a_leader(fan_out) };
        let bounds = Bounds { proposals: is_to_few(fan_out).into(), ..bounds };
        let explored = check(&bounds);
        let seen = [Seen::TwoLeaders, Seen::Deposed, Seen::ReadServed];
        must_have_happened(&explored, &seen, &[Mark::ReadsReleasedByRound]);
    }
}

#[test]
fn a_read_under_a_lease_on_clocks_within_the_margin() {
    for fan_out in FAN_OUTS {
        let explored = check(&under_a_lease(fan_out));
        let marks = [Mark::ReadUnderLease, Mark::LeaseLapsed];
        must_have_happened(&explored, &[Seen::ReadServed, Seen::PutCommitted], &marks);
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
        let bounds = Bounds { drains: true, timeouts: 1, proposals: 2, ..from_a_leader(fan_out) };
        let bounds = if is_to_few(fan_out) { bounds } else { Bounds { proposals: 1, ..bounds } };
        must_have_happened(&check(&bounds), &[Seen::PutCommitted], &[]);
    }
}

#[test]
#[ignore = "takes most of a minute; run by .ci/run"]
fn medium_bounds() {
    for fan_out in [Star, Thrifty, Chain] {
        let fresh = Bounds { fan_out, pre_vote: false, ..Bounds::default() };
        let seen = [Seen::Elected, Seen::ElectedInTerm2, Seen::TwoLeaders, Seen::Truncated];
        must_have_happened(&check(&fresh), &seen, &[Mark::VoteRefusedAsGiven]);
    }
    for fan_out in [Thrifty, Chain] {
        let two_puts = Bounds { proposals: 2, ..from_a_leader(fan_out) };
        must_have_happened(&check(&two_puts), &[Seen::Truncated], &[Mark::OldTermCommitted]);
    }
}

#[test]
#[ignore = "takes minutes and up to 10 GB: docs/model.md"]
fn large_bounds() {
    for fan_out in [Star, Thrifty, Chain] {
        let puts = Bounds { pre_vote: false, proposals: 2, timeouts: 1, ..from_a_leader(fan_out) };
        check(&puts);
        let again = Bounds { repeats: 1, ..from_a_leader(fan_out) };
        check(&again);
    }
    for fan_out in [Thrifty, Chain] {
        check(&Bounds { timeouts: 3, proposals: 2, ..under_a_lease(fan_out) });
    }
}
