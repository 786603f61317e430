//! Sound requests that cannot be served: if no datagram can carry the entry or the answer, the
//! request is refused, and the records say why.

use laconic::interface::{Operation, Outcome};
use laconic::raft::Tuning;
use laconic::record::Fact;
use laconic::wire::{Garbage, MOST_DATAGRAM_BYTES, encoded_length};

use crate::cluster::{CLIENT, fast, ms};
use crate::solo::{Solo, answered, answers};

fn leading() -> Solo {
    let mut solo = Solo::new(3, Tuning { linger_us: 0, ..fast() });
    solo.lead_all();
    solo
}

fn told(solo: &Solo) -> Vec<(Garbage, u32)> {
    let garbage = |fact| match fact {
        Fact::Refused { reason, bytes, .. } => Some((reason, bytes)),
        _ => None,
    };
    solo.records.iter().filter_map(|record| garbage(record.fact)).collect()
}

#[test]
fn a_put_that_no_append_can_carry_fails() {
    // `["0100","m","k",""]` has 19 bytes.
    let longest = "x".repeat(64_000 - 19);
    let mut solo = leading();
    let put = |value: &str| Operation::Put { key: "k".into(), value: value.into() };
    assert_eq!(answers(&solo.ask(CLIENT, "m", put(&longest))), []);
    let out = solo.wait(ms(1));
    assert_eq!(answered(&solo.acknowledge(&out), &Outcome::Ok(None)), ["m"]);
    let out = solo.ask(CLIENT, "n", put(&format!("{longest}x")));
    assert_eq!(answered(&out, &Outcome::Fail), ["n"]);
    assert_eq!(told(&solo), [(Garbage::LongCommand, 64_001)]);
}

/// The longest value can be read under a short MID, but not under a long one.
#[test]
fn a_get_whose_answer_no_datagram_can_carry_fails() {
    let value = "y".repeat(60_000);
    let mut solo = leading();
    solo.ask(CLIENT, "m", Operation::Put { key: "k".into(), value: value.as_str().into() });
    let out = solo.wait(ms(1));
    solo.acknowledge(&out);
    let ok = Outcome::Ok(Some(value.as_str().into()));
    let out = solo.get("k", "r");
    assert_eq!(answered(&out, &ok), ["r"]);
    let room = MOST_DATAGRAM_BYTES - encoded_length(solo.replica.members(), &out[0]);
    let longest = "r".repeat(1 + room);
    // This long answer fills half of the simulator's socket, so the next one waits (rule R27).
    solo.wait(ms(5));
    let out = solo.get("k", &longest);
    assert_eq!(answered(&out, &ok), [longest.as_str()]);
    assert_eq!(encoded_length(solo.replica.members(), &out[0]), MOST_DATAGRAM_BYTES);
    solo.wait(ms(5));
    let longer = "r".repeat(2 + room);
    assert_eq!(answered(&solo.get("k", &longer), &Outcome::Fail), [longer.as_str()]);
    // In JSON a quote takes two bytes.
    let quotes = "\"".repeat(1 + room / 2 + 1);
    assert_eq!(answered(&solo.get("k", &quotes), &Outcome::Fail), [quotes.as_str()]);
    let too_long = |fact: &(Garbage, u32)| fact.0 == Garbage::LongAnswer;
    assert_eq!(told(&solo).iter().filter(|fact| too_long(fact)).count(), 2);
    assert_eq!(told(&solo)[0], (Garbage::LongAnswer, MOST_DATAGRAM_BYTES as u32 + 1));
}

/// A control character takes six bytes in JSON, and the answer carries the MID as well. No answer
/// is longer than a datagram, also if value and MID are short before they are written.
#[test]
fn a_get_whose_answer_is_too_long_only_as_json_fails() {
    let mut solo = leading();
    let value = "\u{1}".repeat(10_600);
    solo.ask(CLIENT, "m", Operation::Put { key: "k".into(), value: value.as_str().into() });
    let out = solo.wait(ms(1));
    assert_eq!(answered(&solo.acknowledge(&out), &Outcome::Ok(None)), ["m"]);
    let mid = "\u{2}".repeat(400);
    assert!((value.len() + mid.len()) * 6 > MOST_DATAGRAM_BYTES);
    solo.wait(ms(5));
    assert_eq!(answered(&solo.get("k", &mid), &Outcome::Fail), [mid]);
}
