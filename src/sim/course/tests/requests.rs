//! Interface §2 and §4: what clients ask and what they make of answers.

use super::*;
use crate::interface::Address;
use crate::record::AnswerKind;
use crate::sim::history::Action;
use std::collections::BTreeSet;

/// A long run in which half of the requests are gets.
fn mixed(seed: u64) -> Run {
    Run::seeded(seed, |scenario| {
        scenario.requests = 1_000;
        scenario.mix = 0.5;
    })
}

/// All requests of a run that is served at once.
fn served(run: &mut Run) -> Vec<Sent> {
    let mut all = Vec::new();
    while let Some(due) = run.course.next_due() {
        run.now = due;
        for sent in sent(&run.fire()) {
            run.ok(&sent);
            all.push(sent);
        }
    }
    all
}

/// The next get of a run, after all requests before it were served.
fn next_get(run: &mut Run) -> Sent {
    loop {
        let sent = run.request();
        if sent.value().is_none() {
            return sent;
        }
        run.ok(&sent);
    }
}

#[test]
fn eight_clients_have_ids_from_replicas_plus_16_upwards() {
    let clients: BTreeSet<u16> =
        served(&mut mixed(1)).iter().map(|sent| sent.request.client.0).collect();
    assert_eq!(clients, (21..29).collect());
}

#[test]
fn request_i_is_due_at_start_wait_plus_i_lifetime_by_requests() {
    let mut run = Run::with(|scenario| scenario.requests = 7);
    for request in 0..7 {
        let due = 1_000_000 + request * 10_000_000 / 7;
        run.now = Micros(due);
        assert_eq!(run.fire(), [], "due time < now");
        assert_eq!(run.course.next_due(), Some(Micros(due + 1)));
        run.now = Micros(due + 1);
        only_sent(&run.fire());
    }
    assert_eq!(run.course.next_due(), None);
}

#[test]
fn all_that_is_due_is_fired_at_once() {
    let mut run = Run::plain();
    assert_eq!(run.until(1_000), []);
    assert_eq!(sent(&run.until(4_500)).len(), 4);
}

#[test]
fn each_request_is_a_get_with_probability_mix() {
    let mut run = Run::with(|scenario| {
        scenario.requests = 10_000;
        scenario.mix = 0.8;
    });
    run.serve_all();
    let counts = run.conclude().counts;
    let wanted = counts.gets + counts.ungenerated_gets;
    assert!((7_850..8_150).contains(&wanted), "{wanted}");
    assert_eq!(counts.gets + counts.puts, 10_000);
}

#[test]
fn a_get_asks_for_a_key_that_this_client_has_had_acknowledged() {
    let mut run = mixed(1);
    let mut acknowledged = BTreeSet::new();
    for sent in served(&mut run) {
        let key = (sent.request.client, sent.key().clone());
        if sent.value().is_some() {
            acknowledged.insert(key);
        } else {
            assert!(acknowledged.contains(&key));
        }
    }
    let counts = run.conclude().counts;
    assert!(counts.gets > 400 && counts.incorrect == 0, "{counts:?}");
}

#[test]
fn a_get_without_an_acknowledged_key_becomes_a_put_and_counts_as_not_generated() {
    let mut run = Run::with(|scenario| scenario.mix = 1.0);
    let requests = sent(&run.until(11_000));
    assert_eq!(requests.iter().filter(|sent| sent.value().is_some()).count(), 10);
    let counts = run.conclude().counts;
    assert_eq!((counts.gets, counts.puts, counts.ungenerated_gets), (0, 10, 10));
}

#[test]
fn half_of_the_puts_make_a_new_key_of_32_capitals_and_digits_with_its_md5_as_value() {
    let mut run = Run::with(|scenario| scenario.requests = 1_000);
    let mut known = BTreeMap::new();
    let mut made = 0;
    for sent in served(&mut run) {
        let value = sent.value().expect("per put").clone();
        let before = known.insert(sent.key().clone(), value.clone());
        if before.is_none() {
            made += 1;
            assert_eq!(sent.key().len(), 32);
            let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
            assert!(sent.key().chars().all(allowed));
        }
        assert_eq!(value, super::super::clients::md5(&before.unwrap_or(sent.key().clone())));
    }
    assert!((450..560).contains(&made), "{made}");
}

#[test]
fn values_are_md5_in_lower_case_hex() {
    assert_eq!(&*super::super::clients::md5("abc"), "900150983cd24fb0d6963f7d28e17f72");
}

#[test]
fn two_puts_in_flight_on_a_key_carry_the_same_value() {
    let mut run = Run::with(|scenario| scenario.requests = 200);
    for _ in 0..100 {
        let request = run.request();
        run.ok(&request);
    }
    let mut in_flight: BTreeMap<Text, Vec<Text>> = BTreeMap::new();
    for sent in sent(&run.until(11_000)) {
        in_flight
            .entry(sent.key().clone())
            .or_default()
            .push(sent.value().expect("per put").clone());
    }
    let twice: Vec<_> = in_flight.values().filter(|values| values.len() > 1).collect();
    assert!(!twice.is_empty());
    assert!(twice.iter().all(|values| values.iter().all(|value| *value == values[0])));
}

#[test]
fn a_client_without_keys_always_makes_one() {
    let mut run = Run::with(|scenario| scenario.requests = 100);
    let keys: BTreeSet<Text> = sent(&run.until(11_000)).iter().map(|s| s.key().clone()).collect();
    assert_eq!(keys.len(), 100);
}

#[test]
fn keys_are_never_shared_between_clients() {
    let mut owners = BTreeMap::new();
    for sent in served(&mut mixed(3)) {
        let owner = *owners.entry(sent.key().clone()).or_insert(sent.request.client);
        assert_eq!(owner, sent.request.client);
    }
}

#[test]
fn a_request_goes_to_the_leader_the_client_last_heard_of_or_to_a_random_living_replica() {
    let mut run = Run::with(|scenario| scenario.requests = 200);
    run.course.on_ended(Micros(0), Member(1));
    let mut knows: BTreeMap<Address, u8> = BTreeMap::new();
    let mut unknown = [0; 5];
    for turn in 0..200 {
        let request = run.request();
        match knows.get(&request.request.client) {
            Some(&leader) => {
                assert_eq!((request.to, request.request.leader.0), (Member(leader), leader.into()));
            }
            None => {
                assert_eq!(request.request.leader, Address::UNKNOWN);
                unknown[request.to.rank()] += 1;
            }
        }
        match [Some(0), Some(2), None][turn % 3] {
            Some(leader) => {
                knows.insert(request.request.client, leader);
                run.answer(&request, "ok", &format!("{leader:04X}"));
            }
            None => {
                knows.remove(&request.request.client);
                run.answer(&request, "ok", "FFFF");
            }
        }
    }
    assert_eq!(unknown[1], 0);
    assert!([0, 2, 3, 4].iter().all(|&living| unknown[living] > 5), "{unknown:?}");
}

#[test]
fn fail_makes_the_client_send_the_request_again_under_a_new_mid() {
    let mut run = Run::plain();
    let first = run.request();
    let again = only_sent(&run.answer(&first, "fail", "0003"));
    assert_eq!(again.to, Member(3));
    assert_eq!(again.request.operation, first.request.operation);
    assert_eq!(again.request.client, first.request.client);
    assert_ne!(again.request.mid, first.request.mid);
}

#[test]
fn fail_counts_as_a_redirect_besides() {
    let mut run = mixed(1);
    let put = run.request();
    run.answer(&put, "fail", "0003");
    let get = next_get(&mut run);
    run.answer(&get, "fail", "0003");
    let counts = run.conclude().counts;
    assert_eq!((counts.redirects, counts.get_failures, counts.put_failures), (2, 1, 1));
}

#[test]
fn redirect_makes_the_client_send_the_request_again_under_a_new_mid_to_that_leader() {
    let mut run = Run::plain();
    let first = run.request();
    let again = only_sent(&run.answer(&first, "redirect", "0002"));
    assert_eq!((again.to, again.request.leader), (Member(2), Address(2)));
    assert_eq!(again.request.operation, first.request.operation);
    assert_ne!(again.request.mid, first.request.mid);
    let counts = run.conclude().counts;
    assert_eq!((counts.redirects, counts.put_failures, counts.puts), (1, 0, 1));
}

#[test]
fn redirect_to_ffff_or_to_the_dead_is_followed_to_a_random_living_replica() {
    for leader in ["FFFF", "0004"] {
        let mut receivers = BTreeSet::new();
        let mut run = Run::plain();
        run.course.on_ended(Micros(0), Member(4));
        let mut request = run.request();
        for _ in 0..100 {
            request = only_sent(&run.answer(&request, "redirect", leader));
            assert_eq!(request.request.leader, Address::UNKNOWN);
            receivers.insert(request.to.0);
        }
        assert_eq!(receivers, BTreeSet::from([0, 1, 2, 3]), "{leader}");
    }
}

#[test]
fn a_put_sent_again_keeps_its_value() {
    let mut run = Run::plain();
    let first = run.request();
    let second = only_sent(&run.answer(&first, "redirect", "0002"));
    let third = only_sent(&run.answer(&second, "fail", "0002"));
    assert_eq!(third.value(), first.value());
}

#[test]
fn mids_are_16_upper_case_hex_digits_and_none_comes_twice() {
    let mut run = mixed(1);
    served(&mut run);
    let history = run.conclude().history;
    let mids: BTreeSet<&Text> = history.iter().map(|operation| &operation.mid).collect();
    assert_eq!(mids.len(), 1_000);
    let digit = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
    assert!(mids.iter().all(|mid| mid.len() == 16 && mid.chars().all(digit)));
}

#[test]
fn a_client_never_times_out_and_a_request_without_an_answer_counts_as_unanswered() {
    let mut run = mixed(1);
    let put = run.request();
    let get = next_get(&mut run);
    assert!(run.until(3_000_000).iter().all(|effect| {
        let Effect::Send { request, .. } = effect else { return false };
        request.mid != put.request.mid && request.mid != get.request.mid
    }));
    let conclusion = run.conclude();
    let of = |sent: &Sent| conclusion.unanswered.iter().find(|u| u.mid == sent.request.mid);
    assert!(of(&put).is_some_and(|story| story.is_put && story.killed_at.is_none()));
    assert!(of(&get).is_some_and(|story| !story.is_put && story.key == *get.key()));
    let counts = conclusion.counts;
    assert_eq!(counts.unanswered_gets, counts.gets - counts.acknowledged_gets);
    assert_eq!(counts.unanswered_puts, counts.puts - counts.acknowledged_puts);
}

#[test]
fn a_second_answer_to_a_mid_already_answered_ok_counts_as_a_duplicate() {
    let mut run = Run::plain();
    let request = run.request();
    run.ok(&request);
    run.now += Micros(7);
    for kind in ["ok", "redirect", "fail"] {
        assert_eq!(run.answer(&request, kind, "0004"), []);
    }
    let conclusion = run.conclude();
    assert_eq!((conclusion.counts.duplicates, conclusion.counts.incorrect), (3, 0));
    let story = &conclusion.duplicates[0];
    assert_eq!(
        (story.second_at - story.first_at, story.second_by.0),
        (Micros(7), request.to.0.into())
    );
    assert_eq!((&story.mid, story.is_put), (&request.request.mid, true));
}

#[test]
fn an_answer_to_a_mid_the_client_is_not_waiting_for_counts_as_incorrect() {
    let mut run = Run::plain();
    let request = run.request();
    run.read(0, r#"{"src":"0000","dst":"0015","leader":"0000","type":"ok","MID":"0"}"#);
    let other = if request.request.client.0 == 21 { 22 } else { 21 };
    let mid = &request.request.mid;
    run.read(
        0,
        &format!(
            r#"{{"src":"0000","dst":"{other:04X}","leader":"0000","type":"ok","MID":"{mid}"}}"#
        ),
    );
    assert_eq!(run.incorrect(), 2);
    run.ok(&request);
    assert_eq!(run.conclude().counts.acknowledged_puts, 1);
}

#[test]
fn a_second_answer_to_a_mid_that_was_answered_redirect_or_fail_counts_as_incorrect() {
    for kind in ["redirect", "fail"] {
        let mut run = Run::plain();
        let request = run.request();
        run.answer(&request, kind, "0002");
        assert_eq!(run.answer(&request, "ok", "0002"), []);
        assert_eq!(run.incorrect(), 1, "{kind}");
        let counts = run.conclude().counts;
        assert_eq!((counts.acknowledged_puts, counts.duplicates), (0, 0));
    }
}

#[test]
fn an_answer_without_mid_or_of_another_type_counts_as_incorrect() {
    let mut run = Run::plain();
    let request = run.request();
    let client = request.request.client;
    run.read(0, &format!(r#"{{"src":"0000","dst":"{client}","leader":"0000","type":"ok"}}"#));
    assert_eq!(run.incorrect(), 1);
    run.answer_with(&request, r#""leader":"0000","type":"value""#);
    assert_eq!(run.incorrect(), 2);
    run.answer_with(&request, r#""leader":"0000","type":["ok"]"#);
    assert_eq!(run.incorrect(), 3);
    run.ok(&request);
    assert_eq!(run.incorrect(), 3);
}

#[test]
fn a_gets_ok_without_value_counts_as_one_incorrect_answer() {
    for value in ["", r#","value":null"#, r#","value":1"#] {
        let mut run = mixed(1);
        let get = next_get(&mut run);
        run.answer_with(&get, &format!(r#""leader":"0000","type":"ok"{value}"#));
        assert_eq!(run.incorrect(), 1, "{value}");
        assert_eq!(run.conclude().counts.unanswered_gets, 0);
    }
}

#[test]
fn every_answer_that_a_client_accepts_sets_the_leader_that_it_uses_next() {
    for kind in ["ok", "redirect", "fail"] {
        let mut run = Run::with(|scenario| scenario.requests = 100);
        let first = run.request();
        run.answer(&first, kind, "0003");
        let next = loop {
            let next = run.request();
            if next.request.client == first.request.client {
                break next;
            }
        };
        assert_eq!((next.to, next.request.leader), (Member(3), Address(3)), "{kind}");
        run.answer(&first, "ok", "0001");
        assert_eq!(run.course.messages(), 0);
    }
}

#[test]
fn clients_are_open_loop() {
    let mut run = Run::with(|scenario| scenario.requests = 100);
    let requests = sent(&run.until(11_000));
    let clients: BTreeSet<Address> = requests.iter().map(|sent| sent.request.client).collect();
    assert_eq!((requests.len(), clients.len()), (100, 8));
}

#[test]
fn the_answer_to_a_get_must_equal_the_value_last_acknowledged_when_the_answer_arrives() {
    let mut run = mixed(1);
    let get = next_get(&mut run);
    let old = run.store[get.key()].clone();
    let put = loop {
        let sent = run.request();
        if sent.key() == get.key() && sent.value().is_some() {
            break sent;
        }
        run.ok(&sent);
    };
    run.ok(&put);
    run.answer_with(&get, &format!(r#""leader":"0000","type":"ok","value":"{old}""#));
    assert_eq!(run.incorrect(), 1);
    let conclusion = run.conclude();
    assert!(!passes(&conclusion, "incorrect"));
    assert!(conclusion.incidents[0].what.to_string().contains(&*old));
}

#[test]
fn latency_is_from_creating_a_request_to_any_answer_and_measured_afresh_after_a_redirect() {
    let mut run = Run::plain();
    let request = run.request();
    run.now += Micros(100);
    let again = only_sent(&run.answer(&request, "redirect", "0002"));
    run.now += Micros(30);
    let third = only_sent(&run.answer(&again, "fail", "0002"));
    run.now += Micros(2);
    run.ok(&third);
    assert_eq!(run.course.clients.latencies, [Micros(100), Micros(30), Micros(2)]);
    assert_eq!(run.course.clients.waits, [Micros(132)], "what the client has waited in all");
    run.ok(&third);
    assert_eq!((run.course.clients.latencies.len(), run.course.clients.waits.len()), (3, 1));
}

#[test]
fn a_request_is_created_when_it_is_fired_not_when_it_is_due() {
    let mut run = Run::plain();
    let late = only_sent(&run.until(1_090));
    run.ok(&late);
    assert_eq!(run.conclude().median_latency, Some(Micros(0)));
}

#[test]
fn the_history_holds_every_attempt_with_what_its_client_was_told() {
    let mut run = mixed(1);
    let put = run.request();
    let again = only_sent(&run.answer(&put, "redirect", "0002"));
    run.now += Micros(5);
    run.ok(&again);
    let get = next_get(&mut run);
    run.answer(&get, "ok", "0002");
    run.request();
    let history = run.conclude().history;
    assert_eq!(history[0].answered.map(|(_, ending)| ending), Some(AnswerKind::Redirect));
    assert_eq!(history[1].answered, Some((history[1].invoked_at + Micros(5), AnswerKind::Ok)));
    assert_eq!(history[0].action, history[1].action);
    let [.., read, open] = &history[..] else { panic!("{history:?}") };
    assert!(matches!(&read.action, Action::Get { value: Some(value) } if value.len() == 32));
    assert_eq!((&read.mid, open.answered), (&get.request.mid, None));
}

#[test]
fn shared_keys_are_few_with_unique_values_and_several_requests_of_a_client_in_flight() {
    let mut run = Run::with(|scenario| {
        scenario.shared_keys = true;
        scenario.requests = 1_600;
        scenario.mix = 0.5;
    });
    let mut values = BTreeSet::new();
    let mut users: BTreeMap<Text, BTreeSet<Address>> = BTreeMap::new();
    while let Some(due) = run.course.next_due() {
        run.now = due;
        let bunch = sent(&run.fire());
        assert_eq!(bunch.len(), 16, "twice as many as clients");
        for sent in bunch {
            users.entry(sent.key().clone()).or_default().insert(sent.request.client);
            assert!(sent.value().is_none_or(|value| values.insert(value.clone())));
            let value = if sent.value().is_none() { r#","value":"any""# } else { "" };
            run.answer_with(&sent, &format!(r#""leader":"0000","type":"ok"{value}"#));
        }
    }
    assert!(users.len() == 8 && users.values().all(|clients| clients.len() == 8));
    let counts = run.conclude().counts;
    assert_eq!((counts.incorrect, counts.ungenerated_gets), (0, 0));
}

#[test]
fn a_seeded_run_is_reproducible_and_another_seed_is_another_run() {
    let run = |seed| {
        let mut run = mixed(seed);
        run.serve_all();
        run.conclude().history
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn drops_do_not_shift_what_clients_ask() {
    let run = |drops| {
        let mut run = Run::with(|scenario| scenario.drops = drops);
        run.message(0, "FFFF", "FFFF");
        run.serve_all();
        run.conclude().history
    };
    assert_eq!(run(0.0), run(0.5));
}
