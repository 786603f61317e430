//! What the controller makes of each measurement, number by number.

use super::*;
use crate::interface::Address;
use crate::raft::{Cause, Disposition, Kind, Member, Why};
use crate::sim::random_stream::RandomStream;

/// The knobs of the profile `adaptive`, with a message that costs 1,000 µs.
fn adaptive() -> Tuning {
    let tuning = crate::tuning_file::load("adaptive").unwrap().tuning;
    Tuning { message_price_us: 1_000, detection_target_us: 1_300_000, ..tuning }
}

fn link(round_trip_us: u64, loss_ppm: u64) -> Link {
    let round_trip = Some(Micros(round_trip_us));
    Link { loss_ppm, loss_at_most_ppm: loss_ppm, round_trip }
}

#[test]
fn a_batch_costs_its_messages() {
    let price = |fan_out| batch_price_us(&Tuning { fan_out, ..adaptive() }, 5);
    assert_eq!(price(FanOut::Chain), 3_000, "two hops and the answer");
    assert_eq!(price(FanOut::Thrifty), 4_000, "there and back for two");
    assert_eq!([FanOut::Star, FanOut::Broadcast].map(price), [8_000; 2]);
}

#[test]
fn a_chain_is_chosen_where_it_delays_less_than_a_message_costs_with_a_quarter_of_play() {
    let choose = |fan_out, round_trip_us| {
        let mut tuning = Tuning { fan_out, ..adaptive() };
        let mut controller = Controller::new(&tuning, 5, Micros(0)).unwrap();
        controller.choose_fan_out(&mut tuning, link(round_trip_us, 0));
        assert_eq!(controller.price_us, batch_price_us(&tuning, 5));
        (tuning.fan_out, tuning.quorum_spares)
    };
    assert_eq!(choose(FanOut::Thrifty, 1_501), (FanOut::Chain, 0));
    assert_eq!(choose(FanOut::Thrifty, 1_502), (FanOut::Thrifty, 0));
    assert_eq!(choose(FanOut::Chain, 2_501), (FanOut::Chain, 0));
    assert_eq!(choose(FanOut::Chain, 2_502), (FanOut::Thrifty, 0));
}

#[test]
fn one_more_than_a_quorum_gets_a_batch_where_much_is_lost_but_never_in_a_chain() {
    let spares = |quorum_spares, round_trip_us, loss_ppm| {
        let mut tuning = Tuning { fan_out: FanOut::Thrifty, quorum_spares, ..adaptive() };
        let mut controller = Controller::new(&tuning, 5, Micros(0)).unwrap();
        controller.choose_fan_out(&mut tuning, link(round_trip_us, loss_ppm));
        tuning.quorum_spares
    };
    assert_eq!(spares(0, 10_000, MOST_BARE_LOSS_PPM), 0);
    assert_eq!(spares(0, 10_000, MOST_BARE_LOSS_PPM + 1), 1);
    assert_eq!(spares(1, 10_000, MOST_BARE_LOSS_PPM * 3 / 4 + 1), 1);
    assert_eq!(spares(1, 10_000, MOST_BARE_LOSS_PPM * 3 / 4), 0);
    assert_eq!(spares(1, 1_000, 500_000), 0, "a chain");
}

#[test]
fn a_resend_timeout_is_three_round_trips_and_stays_while_it_is_near() {
    let lossy = |resend_timeout_us, round_trip_us, loss_ppm| {
        let mut tuning = Tuning { resend_timeout_us, ..adaptive() };
        choose_resend(&mut tuning, link(round_trip_us, loss_ppm));
        tuning.resend_timeout_us
    };
    let chosen = |resend_timeout_us, round_trip_us| lossy(resend_timeout_us, round_trip_us, 0);
    assert_eq!(chosen(20_000, 2_000), 6_000);
    assert_eq!([chosen(5_250, 2_000), chosen(5_249, 2_000)], [5_250, 6_000]);
    assert_eq!([chosen(6_750, 2_000), chosen(6_751, 2_000)], [6_750, 6_000]);
    assert_eq!(chosen(20_000, 100), LEAST_RESEND_US);
    assert_eq!(chosen(3_000, 900_000), 1_300_000 / RESENDS_IN_DETECTION);
    let loss = MOST_PATIENT_LOSS_PPM;
    assert_eq!(lossy(3_000, 100, loss), LEAST_RESEND_US);
    assert_eq!(lossy(3_000, 100, loss + 1), LEAST_RESEND_WHEN_LOSSY_US);
    assert_eq!(lossy(1_200, 100, loss * 3 / 4 + 1), LEAST_RESEND_WHEN_LOSSY_US);
    assert_eq!(lossy(1_200, 100, loss * 3 / 4), LEAST_RESEND_US);
    assert_eq!(lossy(9_000, 900, loss + 1), 1_800, "two round trips");
}

#[test]
fn what_is_tied_to_a_plan_follows_it() {
    let plan = Plan {
        inquiries: 3,
        heartbeat_interval: Micros(900_000),
        election_timeout_min: Micros(1_000_000),
        election_timeout_max: Micros(1_100_000),
    };
    let tied = |lease_margin_us, resend_timeout_us| {
        let mut tuning = Tuning { lease_margin_us, resend_timeout_us, ..adaptive() };
        apply(&mut tuning, plan);
        assert_eq!(plan_of(&tuning), plan);
        assert_eq!((tuning.promise_us, tuning.probe_interval_us), (1_000_000, 3_600_000));
        (tuning.promise_under_load_us, tuning.resend_timeout_us)
    };
    assert_eq!(tied(50_000, 3_000), (250_000, 3_000), "a quarter of the promise");
    assert_eq!(tied(200_000, 950_000), (400_000, 900_000), "no less than two margins");
    assert_eq!(tied(600_000, 3_000).0, 1_000_000, "no more than the promise");
}

#[test]
fn the_middle_of_measurements_is_not_moved_by_one_that_is_far_off() {
    assert_eq!(middle(vec![9, 1, 5, 1_000]), Some(9));
    assert_eq!(middle(vec![9, 1, 5, 7, 1_000]), Some(7));
    assert_eq!(middle::<u64>(Vec::new()), None);
}

#[test]
fn a_batch_of_seven_replicas_costs_its_messages_too() {
    let price = |fan_out| batch_price_us(&Tuning { fan_out, ..adaptive() }, 7);
    assert_eq!([FanOut::Chain, FanOut::Thrifty, FanOut::Star].map(price), [4_000, 6_000, 12_000]);
}

fn controller(tuning: &Tuning) -> Controller {
    Controller::new(tuning, 5, Micros(0)).unwrap()
}

/// A core whose knobs are its controller's own: a decision leaves them as they are.
fn settled() -> (Raft, Controller) {
    let raft = |tuning| Raft::new(Member(0), 5, tuning, 1, Micros(0));
    let mut tuning = adaptive();
    for _ in 0..20 {
        match controller(&tuning).decide(INTERVAL, &raft(tuning.clone())) {
            Some((better, _)) => tuning = better,
            None => break,
        }
    }
    (raft(tuning.clone()), controller(&tuning))
}

#[test]
fn decisions_are_an_interval_apart_and_none_is_told_where_nothing_changes() {
    let (raft, mut controller) = settled();
    assert!(!controller.is_due(INTERVAL - Micros(1)) && controller.is_due(INTERVAL));
    assert_eq!(controller.decide(INTERVAL, &raft), None);
    let later = INTERVAL + INTERVAL;
    assert!(!controller.is_due(later - Micros(1)) && controller.is_due(later));
}

#[test]
fn knobs_that_no_core_would_take_are_not_decided() {
    let (raft, mut controller) = settled();
    let mut tuning = raft.tuning().clone();
    (tuning.heartbeat_always, tuning.lease_margin_us) = (true, tuning.promise_us);
    let raft = Raft::new(Member(0), 5, tuning, 1, Micros(0));
    assert!(raft.tuning().check().is_err());
    assert_eq!(controller.decide(INTERVAL, &raft), None);
}

#[test]
fn a_price_that_somebody_else_has_set_is_the_profiles_own_from_then_on() {
    let strict = Tuning { most_idle_messages_per_minute: 1, ..adaptive() };
    let mut controller = controller(&strict);
    let mut keep = |target_us, seconds, leads| {
        let mut tuning = Tuning { detection_target_us: target_us, ..strict.clone() };
        let fact = Fact::Received {
            from: Member(1),
            number: 1,
            kind: Kind::AppendReply,
            why: Why::Ack(Cause::Heartbeat),
            term: 1,
            disposition: Disposition::Accepted,
        };
        controller.observe(&Record { at: Micros(0), source: Member(0), fact });
        controller.keep_limits(&mut tuning, Micros::from_seconds(seconds), leads);
        controller.set = [tuning.message_price_us, tuning.detection_target_us];
        tuning.detection_target_us
    };
    assert_eq!(keep(1_300_000, 5, true), 1_625_000, "a quarter more");
    assert_eq!(keep(1_625_000, 6, true), 1_625_000, "what it has set itself");
    assert_eq!(keep(1_625_000, 7, false), 1_625_000, "who does not lead leaves it");
    assert_eq!(keep(2_000_000, 8, true), 2_500_000, "a quarter more than the new one");
}

#[test]
fn a_leader_takes_the_rule_that_its_arrivals_ask_for_and_a_new_one_begins_anew() {
    let mut controller = controller(&adaptive());
    let record = |at, fact| Record { at: Micros(at), source: Member(0), fact };
    let taken =
        |number| Fact::Taken { client: Address(9), request: number, index: number, term: 1 };
    // Four puts within 30 µs, again and again.
    for burst in 1..200 {
        for put in 0..4 {
            let at = burst * 100_000 + put * 10;
            controller.observe(&record(at, taken(burst * 4 + put)));
        }
        let sent = Event::BatchSent { first: burst * 4, last: burst * 4 + 3 };
        controller.observe(&record(burst * 100_000 + 30, Fact::State(sent)));
    }
    let chosen = |controller: &Controller, leads| {
        let mut tuning = Tuning { linger_us: 7, linger_enough_entries: 7, ..adaptive() };
        controller.choose_linger(&mut tuning, leads);
        (tuning.linger_us, tuning.linger_enough_entries)
    };
    let (linger_us, enough) = chosen(&controller, true);
    assert!(linger_us >= 30 && enough == 4, "{linger_us} {enough}");
    assert_eq!(chosen(&controller, false), (7, 7));
    let elected = Event::BecameLeader { term: 2, heard_commit: 0, opened: 1 };
    controller.observe(&record(30_000_000, Fact::State(elected)));
    assert_eq!(chosen(&controller, true), (0, 0));
}

/// What heartbeats become, from the plan that serves best with `change`.
fn heartbeats_after(change: impl Fn(&mut Tuning), target_us: u64, leads: bool) -> Tuning {
    let mut before = adaptive();
    let goal = Goal { detection: Micros(1_300_000), wrong_elections_per_day: 1 };
    before.wrong_elections_per_day = 1;
    let plan = heartbeats::plan(goal, 5, link(500, 0), before.resend_timeout());
    apply(&mut before, plan);
    change(&mut before);
    let mut after = Tuning { detection_target_us: target_us, ..before.clone() };
    controller(&before).choose_heartbeats(&mut after, &before, link(500, 0), leads);
    after
}

#[test]
fn heartbeats_that_serve_stay_while_the_best_would_cost_little_less() {
    let best = heartbeats_after(|_| {}, 1_300_000, true).heartbeat_interval_us;
    let after = |percent: u64| {
        let change = |tuning: &mut Tuning| tuning.heartbeat_interval_us = best * percent / 100;
        heartbeats_after(change, 1_300_000, true).heartbeat_interval_us
    };
    assert_eq!(after(92), best * 92 / 100);
    assert_eq!(after(85), best);
    let to_everyone = |tuning: &mut Tuning| {
        tuning.heartbeat_to = HeartbeatTo::Everyone;
        tuning.heartbeat_interval_us = best * 92 / 100;
    };
    let after = heartbeats_after(to_everyone, 1_300_000, true);
    assert_eq!((after.heartbeat_to, after.heartbeat_interval_us), (HeartbeatTo::Watchers, best));
}

#[test]
fn heartbeats_make_room_for_a_resend_timeout_that_has_grown() {
    let before = heartbeats_after(|_| {}, 1_300_000, true);
    for resend_timeout_us in [9_000, 24_000, 40_000] {
        let mut after = Tuning { resend_timeout_us, ..before.clone() };
        controller(&before).choose_heartbeats(&mut after, &before, link(500, 0), true);
        assert_eq!(after.check(), Ok(()), "{resend_timeout_us}");
    }
}

/// A decision that breaks a rule is not made, and nothing else is decided with it. So none may,
/// whatever the links become.
#[test]
fn no_links_lead_to_knobs_that_break_a_rule() {
    for (name, _) in crate::tuning_file::EMBEDDED {
        for seed in 0..20 {
            let mut random = RandomStream::new(seed, "links", 0);
            let mut tuning = crate::tuning_file::load(name).unwrap().tuning;
            (tuning.control, tuning.message_price_us) = (Control::Adaptive, 500);
            tuning.detection_target_us = 200_000 << random.below(5);
            let mut controller = controller(&tuning);
            for decision in 0..60 {
                let trip = 100 << random.below(13);
                let measured = link(trip + random.below(trip), random.below(600_000));
                // Who does not lead measures nothing.
                let leads = random.below(4) > 0;
                let unknown = Link { round_trip: None, ..link(0, 0) };
                let link = if leads { measured } else { unknown };
                let after = controller.wanted(&tuning, link, Micros(decision * 100_000), leads);
                assert_eq!(after.check(), Ok(()), "{name}, seed {seed}: {link:?} after {tuning:?}");
                tuning = after;
            }
        }
    }
}

#[test]
fn a_timeout_at_most_doubles_or_halves_at_once() {
    let before = heartbeats_after(|_| {}, 1_300_000, true).election_timeout_min_us;
    let timeout_us = |target_us| {
        let after = heartbeats_after(|_| {}, target_us, true);
        after.election_timeout_max_us
    };
    let [halved, doubled] = [timeout_us(100_000), timeout_us(60_000_000)];
    assert!((before * 45 / 100..=before / 2).contains(&halved), "{halved} of {before}");
    assert!((before * 19 / 10..=before * 2).contains(&doubled), "{doubled} of {before}");
}

#[test]
fn who_does_not_lead_keeps_the_heartbeats_of_the_last_leader_unless_there_were_none() {
    let after = |inquiries| {
        let change = |tuning: &mut Tuning| {
            (tuning.inquiries, tuning.heartbeat_to) = (inquiries, HeartbeatTo::Everyone);
        };
        heartbeats_after(change, 1_300_000, false).heartbeat_to
    };
    assert_eq!(after(1), HeartbeatTo::Everyone);
    assert_eq!(after(0), HeartbeatTo::Watchers);
}
