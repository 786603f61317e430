//! Encoding and decoding an append of 1 and of 64 entries. `cargo bench --bench wire`.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use laconic::interface::Address;
use laconic::kv::Command;
use laconic::raft::message::{Append, Position, Route};
use laconic::raft::{Cause, Entry, Member, MemberSet, Message, Micros};
use laconic::wire::{Datagram, Membership, Payload, decode, encode, encoded_length};

fn main() {
    divan::main();
}

fn members() -> Membership {
    let others: Vec<Address> = (1..5).map(Address).collect();
    Membership::new(Address(0), &others).expect("five IDs")
}

/// An append like those of the course's puts: keys and values have 32 characters.
fn append(entries: usize) -> Datagram {
    let text = "0123456789ABCDEF0123456789ABCDEF";
    let command = Command::put(Address(0x15), "0123456789ABCDEF", text, text).encode();
    let append = Append {
        term: 3,
        leader: Member(0),
        round: 1_234,
        cause: Cause::Replicate,
        previous: Position { term: 3, index: 5_678 },
        commit: 5_677,
        entries: vec![Entry { term: 3, command }; entries].into(),
        promise: Micros(800_000),
        election_timeout: Micros(0),
        inquiries: 0,
        loss_ppm: 0,
        question: 0,
        wants_answer: true,
        route: Route::direct(Member(1)),
        accepted: MemberSet::EMPTY,
    };
    let payload = Payload::Peer { number: 4_321, message: Message::Append(append) };
    Datagram { source: Address(0), destination: Address(1), leader: Address(0), payload }
}

#[divan::bench(args = [1, 64])]
fn encode_append(bencher: Bencher, entries: usize) {
    let (members, datagram) = (members(), append(entries));
    let mut bytes = Vec::new();
    encode(&members, &datagram, &mut bytes);
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| encode(&members, black_box(&datagram), &mut bytes));
}

#[divan::bench(args = [1, 64])]
fn decode_append(bencher: Bencher, entries: usize) {
    let (members, datagram) = (members(), append(entries));
    let mut bytes = Vec::new();
    encode(&members, &datagram, &mut bytes);
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| black_box(decode(&members, black_box(&bytes))));
}

#[divan::bench(args = [1, 64])]
fn length_of_append(bencher: Bencher, entries: usize) {
    let (members, datagram) = (members(), append(entries));
    bencher.bench_local(|| black_box(encoded_length(&members, black_box(&datagram))));
}
