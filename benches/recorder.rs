//! The time to write a record into the black box and, beside it, to encode its frame alone. `cargo
//! bench --bench recorder`. The aim is 80 ns a record for box and metrics together.

use divan::Bencher;
use divan::counter::ItemsCount;
use laconic::raft::{Cause, Kind, Member, Micros, To, Why};
use laconic::record::frame::{FRAME_BYTES, encode_into};
use laconic::record::{Fact, Record, Sink};
use laconic::recorder::{BlackBox, BoxHeader};

/// Enough records to go twice round the ring.
const RECORDS: u64 = 1 << 17;

fn main() {
    divan::main();
}

fn record(number: u64) -> Record {
    let fact = Fact::Sent {
        to: To::Member(Member(1)),
        number,
        kind: Kind::Append,
        why: Why::Own(Cause::Replicate),
        term: 3,
        first: number,
        entries: 2,
        bytes: 300,
    };
    Record { at: Micros(number), source: Member(0), fact }
}

#[divan::bench]
fn into_the_box(bencher: Bencher) {
    let folder = std::env::temp_dir().join(format!("laconic-bench-{}", std::process::id()));
    let header = BoxHeader { source: Member(0), replicas: 5, clock_start_us: 0 };
    let mut ring = BlackBox::create(&folder.join("0000.box"), header).expect("a box");
    bencher
        .counter(ItemsCount::new(RECORDS))
        .bench_local(|| (0..RECORDS).for_each(|number| ring.record(&record(number))));
    std::fs::remove_dir_all(&folder).expect("the folder just made");
}

#[divan::bench]
fn frame_alone(bencher: Bencher) {
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let mut frame = [0; FRAME_BYTES];
        (0..RECORDS).for_each(|number| {
            encode_into(divan::black_box(&mut frame), &record(number), number);
        });
    });
}
