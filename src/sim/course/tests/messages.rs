//! Interface §2, §3 and §4: what replicas send.

use super::*;
use crate::interface::Address;
use crate::sim::course::summary::Summary;

#[test]
fn ffff_as_a_destination_is_every_other_replica() {
    let mut run = Run::plain();
    assert_eq!(delivered(&run.message(2, "FFFF", "FFFF")), [0, 1, 3, 4]);
}

#[test]
fn a_message_to_one_replica_counts_one_and_goes_there_alone() {
    let mut run = Run::plain();
    assert_eq!(run.message(2, "0004", "FFFF"), [Effect::Deliver { to: Member(4) }]);
    assert_eq!(run.course.messages(), 1);
}

#[test]
fn a_message_to_ffff_counts_replicas_minus_one_whether_delivered_dropped_or_cut_off() {
    let mut run = Run::plain();
    run.message(0, "FFFF", "FFFF");
    assert_eq!(run.course.messages(), 4);

    let mut run = Run::with(|scenario| scenario.drops = 1.0);
    assert_eq!(lost(&run.message(0, "FFFF", "FFFF"), LossReason::Dropped), [1, 2, 3, 4]);
    assert_eq!(run.course.messages(), 4);

    let mut run = Run::with(|scenario| scenario.events = vec![event(EventKind::CutLeader, 0)]);
    run.message(0, "0001", "0000");
    run.until(1_001);
    assert_eq!(lost(&run.message(0, "FFFF", "0000"), LossReason::CutOff), [1, 2, 3, 4]);
    assert_eq!(run.course.messages(), 5);
}

#[test]
fn a_message_to_a_dead_replica_is_counted_and_is_not_dropped() {
    let mut run = Run::with(|scenario| scenario.drops = 1.0);
    run.course.on_ended(Micros(0), Member(3));
    assert_eq!(lost(&run.message(0, "0003", "FFFF"), LossReason::Dead), [3]);
    assert_eq!(lost(&run.message(0, "FFFF", "FFFF"), LossReason::Dead), [3]);
    let counts = run.conclude().counts;
    assert_eq!((counts.messages, counts.dropped, counts.to_the_dead), (5, 3, 2));
}

#[test]
fn hello_is_neither_counted_nor_forwarded() {
    let mut run = Run::silent(1, |_| {});
    assert_eq!(run.hello(0), []);
    assert_eq!(run.course.messages(), 0);
}

#[test]
fn hello_and_everything_between_clients_and_replicas_count_nothing() {
    let mut run = Run::plain();
    run.serve_all();
    assert_eq!(run.course.messages(), 0);
}

#[test]
fn a_message_delivered_to_a_replica_that_has_not_said_hello_marks_it_dead() {
    let mut run = Run::silent(1, |_| {});
    run.hello(0);
    assert_eq!(lost(&run.message(0, "0001", "FFFF"), LossReason::Dead), [1]);
    assert_eq!(run.living(), [0, 2, 3, 4]);
    let conclusion = run.conclude();
    assert_eq!((conclusion.counts.died, conclusion.counts.messages), (1, 1));
    assert!(!passes(&conclusion, "ended by itself"));
}

#[test]
fn a_message_that_is_dropped_does_not_mark_its_receiver_dead() {
    let mut run = Run::silent(1, |scenario| scenario.drops = 1.0);
    assert_eq!(lost(&run.message(0, "0001", "FFFF"), LossReason::Dropped), [1]);
    assert_eq!(run.living(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_clients_request_marks_a_replica_that_has_not_said_hello_dead_too() {
    let mut run = Run::silent(1, |_| {});
    assert_eq!(run.until(1_001), []);
    assert_eq!(run.living().len(), 4);
    let conclusion = run.conclude();
    assert_eq!((conclusion.counts.puts, conclusion.counts.unanswered_puts), (1, 1));
}

#[test]
fn a_replica_marked_dead_before_its_hello_goes_on_being_routed_and_counted() {
    let mut run = Run::silent(1, |_| {});
    run.hello(0);
    run.message(0, "0001", "FFFF");
    run.hello(1);
    assert_eq!(delivered(&run.message(1, "0000", "FFFF")), [0]);
    assert_eq!(delivered(&run.message(0, "0001", "FFFF")), [1]);
    assert_eq!(run.course.messages(), 3);
}

#[test]
fn only_clients_and_kills_skip_a_replica_marked_dead_before_its_hello() {
    let mut run = Run::silent(1, |scenario| {
        scenario.replicas = 3;
        scenario.requests = 100;
        scenario.events = vec![event(EventKind::KillNonLeader, 8), event(EventKind::KillLeader, 9)];
    });
    run.hello(0);
    run.message(0, "0001", "FFFF");
    run.hello(1);
    run.hello(2);
    let sent = sent(&run.until(8_000));
    assert!(sent.iter().all(|sent| sent.to != Member(1)) && sent.len() == 70);
    run.message(0, "0002", "0000");
    assert_eq!(killed(&run.until(9_500)), [2]);
    run.message(0, "0002", "0001");
    assert_eq!(killed(&run.until(11_000)), NOBODY);
    assert_eq!(run.leader(), None);
}

#[test]
fn each_kind_of_unreadable_message_counts_as_one_incorrect_answer() {
    let wrong = [
        "hello",
        "[1]",
        r#"{"src":"0000""#,
        r#"{"dst":"0001","leader":"0000","type":"append"}"#,
        r#"{"src":"0000","leader":"0000","type":"append"}"#,
        r#"{"src":"0000","dst":"0001","type":"append"}"#,
        r#"{"src":"0000","dst":"0001","leader":"0000"}"#,
        r#"{"src":"000","dst":"0001","leader":"0000","type":"append"}"#,
        r#"{"src":0,"dst":"0001","leader":"0000","type":"append"}"#,
        r#"{"src":"0000","dst":"+001","leader":"0000","type":"append"}"#,
        r#"{"src":"0000","dst":"0001","leader":null,"type":"append"}"#,
        r#"{"src":"0000","dst":"0001","leader":"00000","type":"append"}"#,
    ];
    for text in wrong {
        let mut run = Run::plain();
        assert_eq!(run.read(0, text), [], "{text}");
        assert_eq!((run.incorrect(), run.course.messages()), (1, 0), "{text}");
        assert!(!passes(&run.conclude(), "incorrect"), "{text}");
    }
}

#[test]
fn an_unknown_destination_counts_as_incorrect() {
    // Five replicas and, from 5 + 16 on, eight clients.
    for nobody in ["0005", "0014", "001D", "FFFE"] {
        let mut run = Run::plain();
        assert_eq!(run.message(0, nobody, "0000"), []);
        assert_eq!((run.incorrect(), run.course.messages()), (1, 0), "{nobody}");
        let what = run.conclude().incidents.remove(0).what.to_string();
        assert_eq!(what, format!("no one has the ID {nobody}"));
    }
}

#[test]
fn an_empty_datagram_or_bytes_that_are_not_utf_8_kill_the_replica_that_sent_them() {
    for bytes in [&b""[..], b"{\"src\":\"\xFF\"}"] {
        let mut run = Run::plain();
        assert_eq!(killed(&run.read_bytes(2, bytes)), [2]);
        assert_eq!(run.living(), [0, 1, 3, 4]);
        assert_eq!(lost(&run.message(0, "0002", "FFFF"), LossReason::Dead), [2]);
        let conclusion = run.conclude();
        assert_eq!((conclusion.counts.died, conclusion.counts.killed), (1, 0));
        assert!(passes(&conclusion, "incorrect") && !passes(&conclusion, "ended by itself"));
    }
}

#[test]
fn a_leader_that_is_four_hex_digits_but_no_replica_counts_as_incorrect() {
    let mut run = Run::plain();
    run.message(0, "0001", "0000");
    for nobody in ["0005", "0015", "FFFE"] {
        assert_eq!(run.message(0, "0001", nobody), []);
    }
    assert_eq!((run.incorrect(), run.course.messages()), (3, 1));
    assert_eq!(run.leader(), Some(0));
}

#[test]
fn src_is_believed_about_who_is_left_out_of_a_broadcast() {
    let mut run = Run::plain();
    assert_eq!(delivered(&run.forged(0, "0003", "FFFF", "FFFF")), [0, 1, 2, 4]);
    assert_eq!(run.course.messages(), 4);
}

#[test]
fn src_is_believed_about_partitions() {
    let mut run = Run::with(|scenario| scenario.events = vec![event(EventKind::CutLeader, 0)]);
    run.message(0, "0001", "0000");
    run.until(1_001);
    assert_eq!(delivered(&run.forged(0, "0003", "0001", "0002")), [1]);
    assert_eq!(run.leader(), Some(2));
    assert_eq!(lost(&run.forged(1, "0000", "0003", "0000"), LossReason::CutOff), [3]);
    assert_eq!(run.leader(), Some(2));
}

#[test]
fn extra_keys_and_new_types_are_free_between_replicas() {
    let mut run = Run::plain();
    for kind in [r#""ok""#, r#""redirect""#, r#""anything""#, "7"] {
        let rest = format!(r#""type":{kind},"n":1,"MID":[{{}}],"value":null}}"#);
        let text = format!(r#"{{"src":"0000","dst":"0001","leader":"FFFF",{rest}"#);
        assert_eq!(delivered(&run.read(0, &text)), [1], "{kind}");
    }
    assert_eq!(run.incorrect(), 0);
}

#[test]
fn the_simulator_learns_who_leads_from_the_last_message_it_saw() {
    let mut run = Run::plain();
    run.message(1, "0002", "0001");
    assert_eq!(run.leader(), Some(1));
    run.message(1, "FFFF", "0003");
    assert_eq!(run.leader(), Some(3));
    run.message(1, "0002", "FFFF");
    assert_eq!(run.leader(), None);
    let request = run.request();
    run.answer(&request, "ok", "0004");
    assert_eq!(run.leader(), Some(4));
}

#[test]
fn drops_are_drawn_for_each_delivery_apart() {
    let mut run = Run::with(|scenario| scenario.drops = 0.5);
    let mut kinds = [0; 5];
    for _ in 0..100 {
        kinds[delivered(&run.message(0, "FFFF", "FFFF")).len()] += 1;
    }
    assert!(kinds.iter().all(|&count| count > 0), "{kinds:?}");
    let dropped = run.conclude().counts.dropped;
    assert!((150..250).contains(&dropped), "{dropped}");
}

#[test]
fn client_traffic_is_never_dropped() {
    let mut run = Run::with(|scenario| scenario.drops = 1.0);
    run.serve_all();
    assert_eq!(run.conclude().counts.acknowledged_puts, 10);
}

#[test]
fn dropped_counts_losses_and_partition_cuts() {
    let mut run = Run::with(|scenario| {
        scenario.drops = 1.0;
        scenario.events = vec![event(EventKind::CutLeader, 0)];
    });
    run.message(0, "0001", "0000");
    run.until(1_001);
    run.message(0, "FFFF", "0000");
    let counts = run.conclude().counts;
    assert_eq!((counts.messages, counts.dropped, counts.cut_off), (5, 5, 4));
}

#[test]
fn the_last_of_equal_keys_counts() {
    let text = br#"{"src":"0009","src":"0001","dst":"FFFF","leader":"0000","type":"append"}"#;
    assert_eq!(parse(text, 5).map(|message| message.source), Ok(Address(1)));
}

#[test]
fn nesting_as_deep_as_a_datagram_allows_is_read_past() {
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    let text =
        format!(r#"{{"n":{deep},"src":"0001","dst":"FFFF","leader":"0000","type":"append"}}"#);
    assert!(parse(text.as_bytes(), 5).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_datagram_makes_the_simulator_panic(
        from in 0u8..5,
        keys in "(\"(src|dst|leader|type|MID|value)\":\
                 (\"[0F]{0,3}[0-9A-F]\"|\"001[5-9]\"|\"ok\"|1|null|[{]),?){0,7}",
        noise in proptest::collection::vec(proptest::num::u8::ANY, 0..20),
    ) {
        let mut run = Run::plain();
        run.read(from, &format!("{{{keys}}}"));
        run.read_bytes(from, &noise);
        run.serve_all();
        let _ = Summary(&run.conclude()).to_string();
    }
}
