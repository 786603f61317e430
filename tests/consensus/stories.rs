//! Well-known stories about Raft. Each is named after what it guards, with the paper's section.

use std::cell::RefCell;
use std::rc::Rc;

use laconic::interface::Outcome;
use laconic::raft::tuning::{FanOut, Reads};
use laconic::raft::{Cause, Event, Member, Message, Micros, RoleName, Tuning, Why};

use crate::cluster::{Cluster, Fate, Flight, ONE_WAY, fast, ms, without_check_quorum};

const OK: Outcome = Outcome::Ok(None);

/// Section 5.3: a command that never left the leader is lost with it, and no client was told
/// otherwise.
#[test]
fn a_leader_that_crashes_before_anyone_has_the_command() {
    let mut cluster = Cluster::new(5, 1, fast());
    let leader = cluster.elect();
    cluster.obeys(move |flight| if flight.from == leader { Fate::Lose } else { Fate::Pass });
    let put = cluster.put(leader, "k", "lost");
    cluster.run_for(ms(15));
    cluster.kill(leader);
    cluster.calm();
    let next = cluster.elect();
    let fresh = cluster.put(next, "k", "fresh");
    cluster.run_for(ms(10));
    let read = cluster.get(next, "k");
    assert_eq!((cluster.outcomes(put), cluster.is_ok(fresh)), (vec![], true));
    assert_eq!(cluster.value(read).as_deref(), Some("fresh"));
    cluster.check_answers();
}

/// Sections 5.3 and 5.4.1: of two followers, only the one that has the command can win, and it
/// finishes what the dead leader began.
#[test]
fn a_leader_that_crashes_after_one_follower_has_the_command() {
    for holder in 0..2 {
        let mut cluster = Cluster::new(3, 1, fast());
        let leader = cluster.elect();
        let holder = cluster.others(leader)[holder];
        cluster.run_for(ms(1_000));
        cluster.obeys(move |flight| {
            if flight.from == leader && flight.to != holder { Fate::Lose } else { Fate::Hold }
        });
        let put = cluster.put(leader, "k", "kept");
        cluster.run_for(ms(25));
        // The command arrives, but the answer to it is lost.
        cluster.release();
        cluster.kill(leader);
        cluster.held.clear();
        cluster.calm();
        assert_eq!(cluster.raft(holder).log().last_index(), 2);
        assert_eq!(cluster.elect(), holder);
        assert_eq!(cluster.outcomes(put), [OK]);
        assert_eq!(cluster.asked(put).answers[0].1, holder);
    }
}

/// Section 5.2: all stand at once and vote for themselves, so nobody wins; later somebody does.
#[test]
fn several_candidates_at_once() {
    for pre_vote in [true, false] {
        let mut cluster = Cluster::new(5, 1, Tuning { pre_vote, ..fast() });
        // No member hears of the other campaigns before all have begun their own.
        cluster.obeys(|flight| match flight.message {
            Message::Vote(_) | Message::PreVote(_) => Fate::After(ms(1_250)),
            _ => Fate::Pass,
        });
        cluster.run_for(ms(3_600));
        cluster.calm();
        let candidates = |event: &Event| match event {
            Event::BecamePreCandidate { term: 1 } => pre_vote,
            Event::BecameCandidate { term: 1 } => !pre_vote,
            _ => false,
        };
        assert!(cluster.events(0, candidates).count() >= 2);
        let leader = cluster.elect();
        let put = cluster.put(leader, "k", "v");
        cluster.run_for(ms(10));
        assert!(cluster.is_ok(put));
        assert_eq!(cluster.living().filter(|r| r.status().role == RoleName::Leader).count(), 1);
    }
}

/// Section 8: an old leader that is alone must not answer reads, with a lease or without.
#[test]
fn an_old_leader_cut_off_from_its_quorum_answers_no_reads() {
    let confirm = Tuning { reads: Reads::Confirm, ..fast() };
    for tuning in [fast(), confirm, without_check_quorum()] {
        let mut cluster = Cluster::new(5, 1, tuning);
        let old = cluster.elect();
        cluster.put(old, "k", "old");
        cluster.run_for(ms(10));
        let rest = cluster.others(old);
        cluster.cut(&[&rest, &[old]]);
        let mut gets = Vec::new();
        while !rest.iter().any(|m| cluster.replica(*m).status().role == RoleName::Leader) {
            gets.push(cluster.get(old, "k"));
            cluster.run_for(ms(10));
        }
        let new = cluster.leader().expect("the rest elected one");
        assert_ne!(new, old);
        let put = cluster.put(new, "k", "new");
        cluster.run_for(ms(10));
        assert!(cluster.is_ok(put));
        let late: Vec<usize> = (0..20)
            .map(|_| {
                cluster.run_for(ms(10));
                cluster.get(old, "k")
            })
            .collect();
        cluster.run_for(ms(3_000));
        let told = |name: &usize| cluster.value(*name).is_some();
        assert_eq!(late.iter().filter(|name| told(name)).count(), 0);
        let early = gets.iter().filter(|name| told(name)).count();
        // The gets are 10 ms apart: the lease has time for this many; without a lease there are
        // none.
        let leases = cluster.raft(new).tuning().reads == Reads::Lease;
        assert!(if leases { (60..=75).contains(&early) } else { early == 0 });
        cluster.heal();
        cluster.run_for(ms(3_000));
        for name in late {
            assert_eq!(cluster.outcomes(name), [Outcome::Redirect], "it is sent to the new leader");
        }
    }
}

/// Section 5.3: "Raft RPCs are idempotent". All messages are sent again, the latest first, twice.
#[test]
fn duplicated_delayed_and_reordered_messages_change_nothing() {
    for fan_out in [FanOut::Thrifty, FanOut::Chain, FanOut::Star, FanOut::Broadcast] {
        let mut cluster = Cluster::new(5, 1, Tuning { fan_out, ..fast() });
        let sent: Rc<RefCell<Vec<Flight>>> = Rc::default();
        let tape = Rc::clone(&sent);
        let mut place = 0;
        cluster.obeys(move |flight| {
            tape.borrow_mut().push(flight.clone());
            place += 1;
            match place % 5 {
                0 => Fate::Twice(Micros(40_000)),
                1 => Fate::After(Micros(7_000)),
                _ => Fate::Pass,
            }
        });
        let leader = cluster.elect();
        let puts: Vec<usize> = (0..100)
            .map(|put| {
                cluster.run_for(ms(3));
                cluster.put(leader, &format!("k{}", put % 7), &format!("{put}"))
            })
            .collect();
        cluster.run_for(ms(1_000));
        assert!(puts.iter().all(|put| cluster.is_ok(*put)));
        cluster.calm();
        let (commits, term) = (cluster.commits(), cluster.raft(leader).term());
        let mark = cluster.records.len();
        for flight in sent.borrow().iter().rev() {
            cluster.deliver(flight.clone());
            cluster.deliver(flight.clone());
        }
        cluster.run_for(ms(100));
        assert_eq!(cluster.commits(), commits);
        assert_eq!((cluster.leader(), cluster.raft(leader).term()), (Some(leader), term));
        let changed = |event: &Event| {
            matches!(event, Event::Truncated { .. } | Event::Appended { .. } | Event::Voted { .. })
        };
        assert_eq!(cluster.events(mark, changed).count(), 0);
        cluster.check();
        cluster.check_answers();
    }
}

/// Rule R16: the middle of a chain dies while it has a batch, which one resend timeout then saves.
#[test]
fn a_chain_whose_middle_dies_with_the_batch() {
    let mut cluster = Cluster::new(7, 1, Tuning { fan_out: FanOut::Chain, ..fast() });
    let leader = cluster.elect();
    cluster.obeys(|flight| match &flight.message {
        Message::Append(append) if append.accepted.len() == 1 => Fate::Hold,
        _ => Fate::Pass,
    });
    let put = cluster.put(leader, "k", "v");
    cluster.run_for(ms(2));
    assert_eq!(cluster.held.len(), 1, "the batch is on its way to the middle");
    let middle = cluster.held[0].to;
    cluster.kill(middle);
    cluster.calm();
    assert!(cluster.run_until(ms(10), |cluster| cluster.is_ok(put)), "one timeout");
    cluster.run_for(ms(100));
    let suspected = |event: &Event| matches!(event, Event::Suspected { .. });
    let suspects: Vec<Event> = cluster.events(0, suspected).map(|told| told.2).collect();
    assert_eq!(suspects, [Event::Suspected { member: middle }]);
}

/// Promises and elections as tight as the rules allow, so that only the margin keeps two leases
/// apart.
fn tight(lease_margin_us: u64) -> Tuning {
    Tuning {
        heartbeat_interval_us: 10_000,
        election_timeout_min_us: 810_000,
        election_timeout_max_us: 830_000,
        startup_silence_us: 10_000,
        promise_us: 800_000,
        lease_margin_us,
        ..fast()
    }
}

/// Cuts the leader off and reads from it while the others elect the next leader and write. Returns
/// whether a read gave a value that had been overwritten before the read was asked.
fn reads_stale(seed: u64, drift_ppm: i64) -> bool {
    let drift = |member: Member| if (seed >> member.0) & 1 == 0 { -drift_ppm } else { drift_ppm };
    let mut cluster = Cluster::drifting(3, seed, tight(50_000), drift);
    let old = cluster.elect();
    cluster.put(old, "k", "old");
    cluster.run_for(Micros(7_000 + seed * 13 % 11_000));
    let rest = cluster.others(old);
    cluster.cut(&[&rest, &[old]]);
    let leads = |cluster: &Cluster, member: &Member| {
        cluster.replica(*member).status().role == RoleName::Leader
    };
    let elected = |cluster: &Cluster| rest.iter().any(|member| leads(cluster, member));
    assert!(cluster.run_until(ms(20_000), elected));
    let new = *rest.iter().find(|member| leads(&cluster, member)).expect("elected");
    let put = cluster.put(new, "k", "new");
    assert!(cluster.run_until(ms(50), |cluster| cluster.is_ok(put)));
    let read = cluster.get(old, "k");
    cluster.value(read).is_some()
}

/// Section 6.4.1 of the dissertation: leases rest on bounded drift. A drift of 3 % each way is
/// within the margin of 50 ms in 800 ms.
#[test]
fn clocks_that_drift_within_the_margin_read_nothing_stale() {
    assert_eq!((0..1_000).find(|seed| reads_stale(*seed, 30_000)), None);
}

#[test]
fn clocks_that_drift_beyond_the_margin_are_found_out() {
    assert!((0..100).any(|seed| reads_stale(seed, 100_000)));
}

/// Section 9.6 of the dissertation: a member that was away comes back and deposes nobody.
#[test]
fn pre_vote_keeps_a_returning_member_from_deposing_the_leader() {
    for pre_vote in [true, false] {
        let mut cluster = Cluster::new(5, 1, Tuning { pre_vote, ..fast() });
        let leader = cluster.elect();
        let term = cluster.raft(leader).term();
        let away = cluster.others(leader)[0];
        cluster.cut(&[&cluster.others(away)]);
        cluster.run_for(ms(10_000));
        cluster.heal();
        cluster.run_for(ms(10_000));
        let mark = cluster.records.len();
        let deposed = |event: &Event| matches!(event, Event::SteppedDown { .. });
        assert_eq!(cluster.events(0, deposed).count() == 0, pre_vote);
        assert_eq!(cluster.raft(leader).term() == term, pre_vote);
        let next = cluster.leader().expect("somebody leads");
        cluster.put(next, "k", "v");
        cluster.run_for(ms(2_000));
        assert_eq!(cluster.count(mark, |_, why| why == Why::Own(Cause::Campaign)), 0);
    }
}

/// Section 6.2 of the dissertation: a leader without a quorum stops leading, and redirects clients.
#[test]
fn check_quorum_ends_a_leader_that_nobody_hears() {
    for check_quorum in [true, false] {
        let tuning = if check_quorum { fast() } else { without_check_quorum() };
        let mut cluster = Cluster::new(5, 1, tuning);
        let old = cluster.elect();
        cluster.cut(&[&cluster.others(old), &[old]]);
        cluster.run_for(ms(1_000));
        let get = cluster.get(old, "k");
        cluster.run_for(ms(4_000));
        assert_eq!(cluster.replica(old).status().role != RoleName::Leader, check_quorum);
        assert_eq!(cluster.outcomes(get) == [Outcome::Redirect], check_quorum);
        assert_eq!(cluster.outcomes(get).is_empty(), !check_quorum);
    }
}

/// A member that has the term of a lost candidacy needs no luck to rejoin: grants of lower terms
/// count.
#[test]
fn a_pair_of_different_terms_elects_a_leader_at_the_first_try() {
    let mut cluster = Cluster::new(3, 1, fast());
    let first = cluster.elect();
    cluster.kill(first);
    let [ahead, behind] = cluster.others(first)[..] else { panic!("three members") };
    cluster.obeys(|_| Fate::Lose);
    cluster.run_for(ONE_WAY);
    let term = cluster.raft(ahead).term() + 5;
    let message = crate::solo::vote_reply(term, false);
    cluster.deliver(Flight { from: behind, to: ahead, number: 1, message });
    cluster.calm();
    let mark = cluster.records.len();
    let led = |cluster: &Cluster| cluster.leader().is_some();
    assert!(cluster.run_until(ms(2_100), led), "within one election timeout");
    let stood = |event: &Event| matches!(event, Event::BecamePreCandidate { .. });
    assert!(cluster.events(mark, stood).count() <= 2);
}
