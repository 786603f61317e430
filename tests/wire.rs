//! Every datagram survives encoding and decoding, and its length is known before it is written.

use std::sync::Arc;

use laconic::interface::{Address, Operation, OperationKind, Outcome};
use laconic::kv::Command;
use laconic::raft::log::ENTRY_FRAMING_BYTES;
use laconic::raft::message::{
    Append, AppendReply, Hint, Position, PreVote, PreVoteReply, Refusal, Repeated, Route, Vote,
    VoteReply,
};
use laconic::raft::{Cause, Entry, Member, MemberSet, Message, Micros};
use laconic::wire::{
    BadRequest, Datagram, Garbage, MOST_DATAGRAM_BYTES, Membership, Payload, decode,
    decode_bad_request, encode, encoded_length,
};
use proptest::prelude::*;
use proptest::sample::select;

fn members() -> Membership {
    let others: Vec<Address> = (0..20).map(|id| Address(id * 977)).collect();
    Membership::new(Address(0xFEDC), &others).unwrap()
}

fn any_set() -> impl Strategy<Value = MemberSet> {
    (0u32..1 << 21).prop_map(MemberSet)
}

fn any_cause() -> impl Strategy<Value = Cause> {
    select(Cause::ALL.to_vec())
}

fn any_position() -> impl Strategy<Value = Position> {
    (any::<u64>(), any::<u64>()).prop_map(|(term, index)| Position { term, index })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let text = ".{0,20}";
    (any::<u64>(), any::<bool>(), text, text, text).prop_map(|(term, empty, mid, key, value)| {
        let command = if empty {
            Arc::default()
        } else {
            Command::put(Address(0x1D), &mid, &key, &value).encode()
        };
        Entry { term, command }
    })
}

fn any_route() -> impl Strategy<Value = Route> {
    proptest::collection::btree_set(0u8..21, 0..=10).prop_map(|hops| {
        let hops: Vec<Member> = hops.into_iter().map(Member).collect();
        Route::through(&hops).unwrap()
    })
}

prop_compose! {
    fn any_append()(
        (term, round, commit, promise, timeout) in any::<(u64, u64, u64, u64, u64)>(),
        (inquiries, loss_ppm, question) in any::<(u64, u64, u64)>(),
        cause in any_cause(),
        previous in any_position(),
        entries in proptest::collection::vec(any_entry(), 0..4),
        wants_answer in any::<bool>(),
        route in any_route(),
        accepted in any_set(),
        leader in 0u8..21,
    ) -> Append {
        let leader = Member(leader);
        let (promise, election_timeout) = (Micros(promise), Micros(timeout));
        let entries = entries.into();
        Append {
            term, leader, round, cause, previous, commit, entries, promise, election_timeout,
            inquiries, loss_ppm, question, wants_answer, route, accepted,
        }
    }
}

prop_compose! {
    fn any_reply()(
        (term, round, through) in any::<(u64, u64, u64)>(),
        cause in any_cause(),
        members in any_set(),
        refusal in proptest::option::of(any::<(u64, u64, u64, u64)>()),
        repeated in proptest::option::of((any::<u64>(), any::<u64>(), any_set())),
    ) -> AppendReply {
        let refusal = refusal.map(|(refused, term, first, last)| {
            Refusal { refused, hint: Hint { term, first, last } }
        });
        let repeated = repeated
            .map(|(round, through, members)| Repeated { round, through, members });
        AppendReply { term, round, cause, through, members, refusal, repeated }
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    let ask = (any::<u64>(), any_position(), any_cause(), any::<u64>());
    let leader = proptest::option::of((0u8..21).prop_map(Member));
    let told = (any::<u64>(), any::<u64>(), any::<bool>(), any_cause(), leader);
    prop_oneof![
        any_append().prop_map(Message::Append),
        any_reply().prop_map(Message::AppendReply),
        ask.prop_map(|(term, last, cause, question)| {
            Message::PreVote(PreVote { term, last, cause, question })
        }),
        (any::<u64>(), any_position(), any_cause())
            .prop_map(|(term, last, cause)| Message::Vote(Vote { term, last, cause })),
        told.prop_map(|(term, campaign_term, granted, cause, leader)| {
            Message::PreVoteReply(PreVoteReply { term, campaign_term, granted, cause, leader })
        }),
        (any::<u64>(), any::<u64>(), any::<bool>(), any_cause()).prop_map(
            |(term, heard_commit, granted, cause)| {
                Message::VoteReply(VoteReply { term, granted, heard_commit, cause })
            }
        ),
    ]
}

/// Texts of JSON values, with half a surrogate pair among them.
fn any_json() -> impl Strategy<Value = String> {
    let values =
        ["7", "null", "true", "[1,[2]]", r#"{"a":{"b":"\ud800"}}"#, r#""\ud800""#, r#""""#];
    select(values.to_vec()).prop_map(str::to_owned)
}

fn any_payload() -> impl Strategy<Value = Payload> {
    let operation = prop_oneof![
        ".*".prop_map(|key| Operation::Get { key: key.into() }),
        (".*", ".*")
            .prop_map(|(key, value)| Operation::Put { key: key.into(), value: value.into() }),
    ];
    let outcome = prop_oneof![
        proptest::option::of(".*").prop_map(|value| Outcome::Ok(value.map(Into::into))),
        Just(Outcome::Fail),
        Just(Outcome::Redirect),
    ];
    prop_oneof![
        Just(Payload::Hello),
        (".*", operation)
            .prop_map(|(mid, operation)| Payload::Request { mid: mid.into(), operation }),
        (".*", outcome).prop_map(|(mid, outcome)| Payload::Answer { mid: mid.into(), outcome }),
        (any::<u64>(), any_message())
            .prop_map(|(number, message)| Payload::Peer { number, message }),
    ]
}

/// A datagram as replicas send it: the leader of an append, and the one that an answer to a
/// pre-vote names, is the one in its header.
fn any_datagram() -> impl Strategy<Value = Datagram> {
    (any_payload(), 0u8..21, any::<u16>(), any::<u16>()).prop_map(|(payload, source, to, other)| {
        let members = members();
        let leader = match &payload {
            Payload::Peer { message: Message::Append(append), .. } => {
                members.address(append.leader)
            }
            Payload::Peer { message: Message::PreVoteReply(reply), .. } => {
                members.leader_address(reply.leader)
            }
            _ => Address(other),
        };
        Datagram {
            source: members.address(Member(source)),
            destination: Address(to),
            leader,
            payload,
        }
    })
}

proptest! {
    #[test]
    fn a_datagram_survives_its_encoding_and_its_length_is_known(datagram in any_datagram()) {
        let members = members();
        let mut bytes = Vec::new();
        encode(&members, &datagram, &mut bytes);
        prop_assert_eq!(bytes.len(), encoded_length(&members, &datagram));
        serde_json::from_slice::<serde_json::Value>(&bytes).expect("it is JSON");
        prop_assert_eq!(decode(&members, &bytes), Ok(datagram));
    }

    #[test]
    fn framing_of_entries_is_never_more_than_the_core_reckons_with(entry in any_entry()) {
        let members = members();
        let append = |entries: Vec<Entry>| Datagram {
            source: Address(0),
            destination: Address(1),
            leader: Address(0),
            payload: Payload::Peer { number: 0, message: Message::Append(Append {
                term: 1, leader: Member(0), round: 1, cause: Cause::Replicate,
                previous: Position::default(), commit: 0, entries: entries.into(),
                promise: Micros(0), election_timeout: Micros(0), inquiries: 0, loss_ppm: 0,
                question: 0, wants_answer: true,
                route: Route::EVERYONE, accepted: MemberSet::EMPTY,
            })},
        };
        let one = encoded_length(&members, &append(vec![entry.clone()]));
        let two = encoded_length(&members, &append(vec![entry.clone(), entry.clone()]));
        prop_assert!(two - one <= entry.command.len() + ENTRY_FRAMING_BYTES);
    }

    /// Whatever stands in place of a put's key and value, its client and its MID are found.
    #[test]
    fn a_bad_request_is_known_by_its_client_and_mid(
        mid in ".{0,20}",
        (key, value) in (any_json(), any_json()),
        client in any::<u16>(),
        operation in select(vec![OperationKind::Get, OperationKind::Put]),
    ) {
        let kind = operation.name();
        let client = Address(client);
        let mid_json = serde_json::to_string(&mid).unwrap();
        let bytes = format!(
            r#"{{"key":{key},"MID":{mid_json},"value":{value},"type":"{kind}","src":"{client}"}}"#
        );
        prop_assert!(decode(&members(), bytes.as_bytes()).is_err(), "dst and leader are missing");
        let mid: Arc<str> = mid.into();
        let expected = BadRequest { client, mid, operation };
        prop_assert_eq!(decode_bad_request(bytes.as_bytes()), Some(expected));
    }

    #[test]
    fn bytes_that_are_no_datagram_are_named_and_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(decode(&members(), &bytes).is_err());
    }
}

#[test]
fn garbage_is_told_apart() {
    let members = members();
    let decode = |text: &str| decode(&members, text.as_bytes()).unwrap_err();
    let head = r#"{"src":"0000","dst":"03D1","leader":"FFFF","type":"#;
    assert_eq!(decode("hello"), Garbage::Malformed);
    assert_eq!(decode("[1]"), Garbage::Malformed);
    assert_eq!(decode(r#"{"src":"0000"}"#), Garbage::MissingKey);
    assert_eq!(
        decode(r#"{"src":"00","dst":"0000","leader":"FFFF","type":"get"}"#),
        Garbage::Malformed
    );
    assert_eq!(decode(&format!(r#"{head}"get","MID":"m"}}"#)), Garbage::MissingKey);
    assert_eq!(decode(&format!(r#"{head}"gossip","n":1}}"#)), Garbage::UnknownType);
    assert_eq!(decode(&format!(r#"{head}"vote","n":1,"term":"x"}}"#)), Garbage::Malformed);
    let vote = r#""vote","n":1,"term":1,"last":[0,0],"cause":"campaign"}"#;
    assert_eq!(decode(&format!("{}{vote}", head.replace("0000", "0001"))), Garbage::Stranger);
    assert_eq!(decode(&"x".repeat(MOST_DATAGRAM_BYTES + 1)), Garbage::Oversized);
}

#[test]
fn what_names_no_client_no_mid_or_no_operation_is_no_bad_request() {
    for text in [
        r#"{"src":"0015","type":"get","MID":7}"#,
        r#"{"src":"0015","type":"put","MID":"\ud800"}"#,
        r#"{"src":"0015","type":"put"}"#,
        r#"{"src":"15","type":"get","MID":"m"}"#,
        r#"{"type":"get","MID":"m"}"#,
        r#"{"src":"0015","type":"ok","MID":"m"}"#,
        r#"{"src":"0015","MID":"m"}"#,
        r#"{"src":"0015","type":"get","MID":"m""#,
        "null",
    ] {
        assert_eq!(decode_bad_request(text.as_bytes()), None, "{text}");
    }
}
