//! What the core computes from its knobs and measurements, number by number. In a cluster a time
//! that is a little off still works.

mod answers;
mod candidacies;
mod driven;
mod electing;
mod leader;
mod sending;
mod waking;
mod watching;

use super::*;
use crate::raft::Entry;
use crate::raft::progress::{Leg, SentRound};
use crate::raft::tuning::{
    Control, FanOut, HeartbeatTo, NOT_WATCHING, Reads, ResendFrom, inquiry_gap,
};

use driven::Driven;

const OTHER: Member = Member(1);

/// The knobs of `course`.
fn course() -> Tuning {
    crate::tuning_file::load("course").unwrap().tuning
}

/// The core of member 0 of five.
fn core(tuning: Tuning) -> Core {
    Raft::new(Member(0), 5, tuning, 1, Micros(0)).core
}

/// Takes as many samples of the round trip to a member, one after the other.
fn sample(core: &mut Core, member: Member, samples: u64, took: Micros) {
    for number in 0..samples {
        let began = Micros(number * (took.0 + 1));
        core.round_trips[member.rank()].sample(began, began + took, 2);
    }
}

fn ms(milliseconds: u64) -> Micros {
    Micros::from_millis(milliseconds)
}

#[test]
fn an_answer_is_waited_for_as_long_as_was_measured_and_each_hop_takes_half_a_round_trip() {
    let mut core = core(Tuning { resend_from: ResendFrom::RoundTrip, ..course() });
    let waits = |core: &Core| [1, 2, 3].map(|hops| core.resend_timeout(OTHER, hops));
    assert_eq!(waits(&core), [ms(3); 3], "nothing is known");
    sample(&mut core, OTHER, 1, ms(6));
    assert_eq!(core.round_trips[1].timeout(), Some(ms(18)));
    assert_eq!(waits(&core), [ms(18), ms(24), ms(24)], "one sample is trusted so far");
    sample(&mut core, OTHER, 99, ms(6));
    let wait = core.round_trips[1].timeout().unwrap();
    assert_eq!(waits(&core), [wait, Micros((wait.0 * 3).div_ceil(2)), Micros(wait.0 * 2)]);
    core.tuning.resend_from = ResendFrom::Fixed;
    assert_eq!(waits(&core), [ms(3); 3]);
}

#[test]
fn a_stated_election_timeout_is_spread_as_widely_as_the_own_one() {
    let mut core = core(course());
    let (low, high) = (core.tuning.election_timeout_min_us, core.tuning.election_timeout_max_us);
    for told in [0, low / 2] {
        core.told_timeout = Micros(told);
        let mut drawn = Vec::new();
        for _ in 0..200 {
            core.reset_election(ms(5));
            drawn.push(core.election_at.since(ms(5)).0);
        }
        let (least, most) = if told == 0 { (low, high) } else { (low / 2, high / 2) };
        let (first, last) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
        assert!(*first >= least && *last <= most, "{first} {last}");
        assert!(last - first > (most - least) * 9 / 10, "{first} {last}");
    }
}

#[test]
fn a_wait_that_a_leader_has_stated_ends_with_its_term_and_the_own_one_does_not() {
    let mut core = core(course());
    let own = Micros(core.tuning.election_timeout_max_us);
    core.election_at = ms(7) + own;
    core.end_stated_wait(ms(7));
    assert_eq!(core.election_at, ms(7) + own);
    core.election_at = NOT_WATCHING;
    core.end_stated_wait(ms(7));
    let least = ms(7) + core.tuning.election_timeout_min();
    assert!(core.election_at >= least && core.election_at <= ms(7) + own);
}

#[test]
fn a_leader_is_believed_in_for_the_timeout_that_it_stated_but_no_longer_than_the_own_one() {
    let mut core = core(course());
    let own = core.tuning.election_timeout_min();
    assert_eq!(core.believed_for(), own);
    core.told_timeout = ms(500);
    assert_eq!(core.believed_for(), ms(500));
    core.told_timeout = NOT_WATCHING;
    assert_eq!(core.believed_for(), own);
}

#[test]
fn who_gives_others_time_waits_two_resends_at_least() {
    let mut core = core(course());
    (core.election_at, core.early_candidacy_at) = (ms(8), Some(ms(1)));
    core.defer_election(ms(5));
    assert_eq!((core.election_at, core.early_candidacy_at), (ms(11), None));
    core.defer_election(ms(1));
    assert_eq!(core.election_at, ms(11));
}

#[test]
fn inquiries_take_a_timeout_and_the_gaps_before_the_last_one() {
    let asked = |inquiries| {
        let tuning = Tuning { inquiries, control: Control::Static, ..course() };
        (core(tuning.clone()).longest_inquiry(), core(tuning).stated_inquiries())
    };
    let gap = inquiry_gap(ms(3), 3, 1);
    assert_eq!(asked(0), (Micros(0), 0));
    assert_eq!(asked(1), (ms(3), 0));
    assert_eq!(asked(3), (ms(3) + gap + gap, 0));
    let adaptive = Tuning { inquiries: 3, control: Control::Adaptive, ..course() };
    let mut core = core(adaptive);
    assert_eq!(core.stated_inquiries(), 3, "where knobs follow what is measured");
    (1..5).for_each(|rank| sample(&mut core, Member(rank), 100, Micros(100)));
    let least = Micros(1_500);
    let gap = inquiry_gap(least, 3, 1);
    assert_eq!(core.longest_inquiry(), least + gap + gap, "half a resend timeout at least");
    core.tuning = Tuning { inquiries: 1, resend_timeout_us: 20_000, ..core.tuning };
    assert_eq!(core.longest_inquiry(), ms(10));
}

/// A leader of `core` at time 0, whom each follower has answered, and which lacks nothing.
fn leader(core: &mut Core) -> Leader {
    let mut leader = Leader::new(core, Micros(0));
    leader.batches.clear();
    for rank in 1..5 {
        let round = SentRound { number: 1, ..SentRound::default() };
        leader.progress[rank].accept(&round, 0, Micros(0));
    }
    leader
}

#[test]
fn a_quorum_is_in_touch_for_two_resend_timeouts_of_the_slowest_that_counts() {
    let mut core = core(Tuning { resend_from: ResendFrom::RoundTrip, ..course() });
    let mut leader = leader(&mut core);
    leader.lease.ask(1, ms(10));
    let in_touch = |leader: &Leader, core: &Core, after| leader.is_in_touch(core, ms(10) + after);
    assert!(in_touch(&leader, &core, Micros(5_999)) && !in_touch(&leader, &core, ms(6)));
    (1..5).for_each(|rank| sample(&mut core, Member(rank), 1, ms(2)));
    assert_eq!(core.resend_timeout(OTHER, 1), ms(6));
    assert!(in_touch(&leader, &core, Micros(11_999)) && !in_touch(&leader, &core, ms(12)));
}

#[test]
fn a_chain_falls_apart_where_it_would_seldom_get_through() {
    let mut core = core(Tuning { fan_out: FanOut::Chain, chain_length: 0, ..course() });
    let mut leader = leader(&mut core);
    assert_eq!(leader.chain_length(&core), 2);
    core.tuning.chain_length = 1;
    assert_eq!(leader.chain_length(&core), 1);
    core.tuning.chain_length = 9;
    assert_eq!(leader.chain_length(&core), 2, "no longer than a quorum");
    // Three messages in a row arrive once in ten times where a little more than half are lost.
    (0..48).for_each(|_| leader.loss.lost());
    assert_eq!(leader.chain_length(&core), 2);
    leader.loss.lost();
    leader.loss.lost();
    assert_eq!(leader.chain_length(&core), 1);
    core.tuning.fan_out = FanOut::Thrifty;
    assert_eq!(leader.chain_length(&core), 1);
}

#[test]
fn who_lags_by_more_entries_or_half_the_bytes_of_an_append_is_sent_what_it_lacks() {
    let mut core = core(Tuning { lag_most_entries: 4, batch_most_bytes: 2_000, ..course() });
    for _ in 0..20 {
        core.log.push(Entry { term: 1, command: [7u8; 10].into() });
    }
    let each = core.log.encoded_bytes(1, 1);
    let mut leader = leader(&mut core);
    leader.batched_through = 20;
    let mut lags = |core: &Core, next| {
        leader.progress[1].next = next;
        leader.lags(core, OTHER)
    };
    assert_eq!([lags(&core, 16), lags(&core, 17)], [true, false], "five entries, and four");
    core.tuning.batch_most_bytes = each * 6;
    assert_eq!([lags(&core, 17), lags(&core, 18)], [true, false], "four entries, and three");
    core.tuning.batch_most_bytes = 0;
    assert!(!lags(&core, 21), "it lacks nothing");
}

#[test]
fn followers_that_take_more_than_twice_as_long_as_a_quorum_do_not_count() {
    let mut core = core(Tuning { resend_timeout_us: 100_000, ..course() });
    let leader = leader(&mut core);
    let mut prompt = |trips_us: [u64; 4]| {
        for (rank, trip_us) in (1..5).zip(trips_us) {
            core.round_trips[rank] = Default::default();
            sample(&mut core, Member(rank as u8), 3, Micros(trip_us));
        }
        leader.prompt(&core).iter().map(|member| member.0).collect::<Vec<_>>()
    };
    let slack = 5_000;
    assert_eq!(prompt([10_000, 10_000, 10_000, 20_000 + slack]), [1, 2, 3, 4]);
    assert_eq!(prompt([10_000, 10_000, 10_000, 20_001 + slack]), [1, 2, 3]);
    // Two are a quorum with the leader, and the slower of them counts.
    assert_eq!(prompt([10_000, 20_000, 40_000 + slack, 90_000]), [1, 2, 3]);
    assert_eq!(prompt([10_000, 20_000, 40_001 + slack, 90_000]), [1, 2]);
}

/// A leader that knows nothing else goes by its own inquiries and timeouts.
#[test]
fn a_quorum_is_lost_an_election_timeout_and_its_inquiries_after_something_waits() {
    let mut core = core(course());
    let mut leader = leader(&mut core);
    assert!(core.tuning.is_sparse());
    leader.waits_since = Some(ms(100));
    let lost_at = ms(100) + core.tuning.election_timeout_min() + core.longest_inquiry();
    assert_eq!(leader.quorum_lost_at(&core), lost_at);
    let half = Micros(core.tuning.election_timeout_min_us / 2);
    leader.maybe_ask_again(&core, lost_at - half - Micros(1), lost_at);
    assert!(!leader.everyone.wanted, "not yet");
    leader.maybe_ask_again(&core, lost_at - half, lost_at);
    assert!(leader.everyone.wanted, "half a timeout before");
    (leader.everyone.wanted, leader.touch_wanted, leader.confirm_wanted) = (false, false, false);
    leader.waits_since = None;
    assert_eq!(leader.quorum_lost_at(&core), Micros::NEVER);
    core.tuning = Tuning { heartbeat_to: HeartbeatTo::Everyone, quiet: false, ..core.tuning };
    assert!(!core.tuning.is_sparse());
    let lost_at = core.tuning.election_timeout_min() + core.longest_inquiry();
    assert_eq!(leader.quorum_lost_at(&core), lost_at, "it counts from the last lease");
    let asks_at = core.tuning.election_timeout_min() - core.tuning.resend_timeout();
    leader.maybe_ask_again(&core, asks_at - Micros(1), lost_at);
    assert!(!leader.touch_wanted);
    leader.maybe_ask_again(&core, asks_at, lost_at);
    assert!(leader.touch_wanted && leader.confirm_wanted);
}

#[test]
fn a_leader_that_is_out_of_touch_asks_for_a_client_only_if_no_heartbeat_is_near() {
    let asks = |heartbeat_us, owed, wanted| {
        let mut core = core(Tuning { heartbeat_interval_us: heartbeat_us, ..course() });
        let mut leader = leader(&mut core);
        if owed {
            leader.lease.ask(1, Micros(0));
        }
        leader.touch_wanted = wanted;
        leader.on_leader_wanted(&mut core, ms(50));
        leader.confirm_wanted
    };
    let soon = 3_000 << 6;
    assert!(asks(soon + 1, true, false));
    assert!(!asks(soon, true, false), "a heartbeat is near");
    assert!(!asks(soon + 1, false, false), "nothing is owed");
    assert!(!asks(soon + 1, true, true), "it asks already");
}

#[test]
fn a_suspect_is_spare_only_while_others_are_a_quorum() {
    let mut core = core(Tuning { probe_interval_us: 4_000_000, ..course() });
    let mut leader = leader(&mut core);
    let overdue = |leader: &Leader, core: &Core| leader.overdue_at(core, OTHER, false);
    assert_eq!(overdue(&leader, &core), None, "nothing is awaited");
    leader.progress[1].sent(Leg { round: 2, hops: 1, place: 0 }, 1, true, ms(10));
    assert_eq!(overdue(&leader, &core), Some(ms(13)));
    leader.progress[1].awaiting.as_mut().unwrap().attempts = 40;
    let often = Micros(3_000 << 6);
    assert_eq!(overdue(&leader, &core), Some(ms(10) + often));
    leader.progress[1].suspect = true;
    let seldom = Micros(3_000u64 << 16).min(core.tuning.probe_interval());
    assert_eq!(overdue(&leader, &core), Some(ms(10) + seldom));
    (leader.progress[2].suspect, leader.progress[3].suspect) = (true, true);
    assert_eq!(overdue(&leader, &core), Some(ms(10) + often), "it is needed");
}

/// Answers to rounds before it do not settle what a quorum owes (rule R23).
#[test]
fn a_quorum_that_was_asked_owes_an_answer_to_the_round_that_asked_it() {
    let tuning = Tuning { fan_out: FanOut::Thrifty, linger_us: 0, ..course() };
    let asks = |tuning: &Tuning, after: Micros, inputs: &dyn Fn() -> Vec<Input>| {
        let mut leading = Driven::leading(5, tuning.clone());
        leading.now += after;
        let before = leading.leader().rounds.newest;
        assert!(!leading.leader().lease.has_asked_since(before));
        for input in inputs() {
            leading.step(input);
        }
        let newest = leading.leader().rounds.newest;
        assert!(newest > before, "something was sent");
        let lease = &leading.leader().lease;
        (lease.has_asked_since(before), lease.has_asked_since(before + 1))
    };
    let put = || {
        let command = [7u8; 10].into();
        vec![Input::Propose { ticket: 1, command }, Input::Wake]
    };
    assert_eq!(asks(&tuning, ms(10), &put), (true, false), "a batch");
    let confirm = Tuning { reads: Reads::Confirm, ..tuning.clone() };
    let read = || vec![Input::Read { ticket: 1 }, Input::Wake];
    assert_eq!(asks(&confirm, ms(10), &read), (true, false), "a round for a read");
    let everyone = Tuning { heartbeat_to: HeartbeatTo::Everyone, quiet: false, ..tuning.clone() };
    let wake = || vec![Input::Wake];
    assert_eq!(asks(&everyone, ms(1_150), &wake), (true, false), "heartbeats");
    assert_eq!(asks(&tuning, ms(1_150), &wake), (true, false), "a heartbeat to watchers");
}

#[test]
fn a_leader_tells_its_name_and_what_it_has_measured() {
    let follower = Raft::new(Member(0), 5, course(), 1, Micros(0));
    assert_eq!((follower.status().role.name(), follower.loss_at_most_ppm()), ("follower", None));
    let mut leading = Driven::leading(5, course());
    assert_eq!(leading.raft.status().role.name(), "leader");
    let unknown = crate::raft::estimate::Loss::default().at_most_ppm();
    assert_eq!(leading.raft.loss_at_most_ppm(), Some(unknown));
    leading.leader().loss.lost();
    assert!(leading.raft.loss_at_most_ppm().is_some_and(|ppm| ppm > unknown));
}

#[test]
fn a_window_is_full_with_as_many_batches_as_it_holds() {
    let mut core = core(Tuning { pipeline_window: 2, ..course() });
    let mut leader = leader(&mut core);
    let mut is_full = |batches: u64| {
        leader.batches = (1..=batches).collect();
        leader.is_window_full(&core)
    };
    assert_eq!([0, 1, 2, 3].map(&mut is_full), [false, false, true, true]);
}

#[test]
fn a_heartbeat_follows_from_the_timeout_that_was_stated() {
    let mut core = core(course());
    let mut leader = leader(&mut core);
    leader.progress[1].addressed_at = ms(50);
    let interval = core.tuning.heartbeat_interval();
    assert_eq!(leader.heartbeat_at(&core, OTHER), ms(50) + interval, "none was stated");
    leader.progress[1].told_timeout = core.tuning.election_timeout_min() + ms(650);
    let longer = core.tuning.heartbeat_within(leader.progress[1].told_timeout);
    assert!(longer > interval);
    assert_eq!(leader.heartbeat_at(&core, OTHER), ms(50) + longer);
}

/// It may owe clients an answer, which it learns only if it is asked (rule R1).
#[test]
fn in_the_quiet_the_silent_are_asked_for_five_probes_after_the_last_work() {
    let tuning = Tuning { quiet: true, probe_interval_us: 4_000_000, ..course() };
    let mut core = core(tuning);
    let mut leader = leader(&mut core);
    leader.worked_at = ms(1_000);
    leader.progress[1].suspect = true;
    let mut asked_at = |addressed_at| {
        leader.progress[1].addressed_at = addressed_at;
        leader.heartbeat_at(&core, OTHER)
    };
    let last = ms(1_000 + 4 * 4_000);
    assert_eq!(asked_at(last - Micros(1)), last - Micros(1) + ms(4_000));
    assert_eq!(asked_at(last), Micros::NEVER);
}

#[test]
fn where_much_is_lost_the_living_are_asked_steadily_and_suspects_are_not() {
    let mut core = core(Tuning { silence_is_loss_above_per_mille: 40, ..course() });
    let mut leader = leader(&mut core);
    leader.progress[1].sent(Leg { round: 2, hops: 1, place: 0 }, 1, true, ms(10));
    leader.progress[1].awaiting.as_mut().unwrap().attempts = 2;
    let overdue = |leader: &Leader| leader.overdue_at(&core, OTHER, false);
    assert_eq!(overdue(&leader), Some(ms(10 + 4 * 3)), "two doublings");
    (0..30).for_each(|_| leader.loss.lost());
    assert_eq!(overdue(&leader), Some(ms(10 + 3)), "loss explains it");
    leader.progress[1].suspect = true;
    assert_eq!(overdue(&leader), Some(ms(10 + 4 * 3)));
}
