//! Tests of rings that wrap around, are cut off by a crash, or are damaged.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::raft::{Event, Micros};
use crate::record::Fact;

const HEADER: BoxHeader = BoxHeader { source: Member(2), replicas: 5, clock_start_us: 1 << 50 };

struct Bench(TempDir);

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("boxes/0002.box")
    }

    /// A box of `slots` slots after `records` records.
    fn fill(&self, slots: u64, records: u64) -> BlackBox {
        let mut ring = BlackBox::with_slots(&self.path(), HEADER, slots).unwrap();
        (1..=records).for_each(|number| ring.record(&record(number)));
        ring
    }

    fn read(&self) -> ReadBox {
        read_box(&self.path()).unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path()).unwrap();
        change(&mut bytes);
        fs::write(self.path(), bytes).unwrap();
    }
}

/// A record. All have the same time, so only their numbers order them.
fn record(number: u64) -> Record {
    let fact = Fact::State(Event::Committed { through: number });
    Record { at: Micros(7), source: HEADER.source, fact }
}

fn records(numbers: impl Iterator<Item = u64>) -> Vec<Record> {
    numbers.map(record).collect()
}

#[test]
fn a_box_keeps_the_last_records_in_their_order() {
    let bench = Bench::new();
    for told in 0..25 {
        let living = bench.fill(8, told);
        let kept = told.min(8);
        let wanted = ReadBox {
            header: HEADER,
            first_number: told - kept + 1,
            records: records(told - kept + 1..=told),
            torn: false,
            damaged_slots: 0,
        };
        assert_eq!(bench.read(), wanted, "after {told}, read while it is mapped");
        drop(living);
        assert_eq!(bench.read(), wanted, "after {told}, read when it is closed");
    }
}

#[test]
fn a_write_broken_off_at_any_byte_costs_no_other_record() {
    for told in [3, 8, 13] {
        let slot = (told % 8) as usize;
        let frame = frame::encode_numbered(&record(told + 1), told + 1);
        for written in 0..=FRAME_BYTES {
            let bench = Bench::new();
            drop(bench.fill(8, told));
            let place = FRAME_BYTES * (slot + 1);
            bench.change(|bytes| {
                bytes[place..place + written].copy_from_slice(&frame[..written]);
            });
            let read = bench.read();
            // The checksum comes last. The old record is lost from the first byte that differs.
            let whole = written == FRAME_BYTES;
            let newest = told + u64::from(whole);
            assert_eq!(read.records.last(), Some(&record(newest)), "{told} told, {written} bytes");
            let numbers = read.first_number..=newest;
            assert_eq!(read.records, records(numbers), "{told} told, {written} bytes");
            let kept = read.records.len() as u64;
            assert!((told.min(7)..=8).contains(&kept), "{told} told, {written} bytes: {kept}");
            assert_eq!(read.torn, kept == told.min(7) && !whole && written > 0);
            assert_eq!(read.damaged_slots, 0);
        }
    }
}

#[test]
fn a_box_is_begun_afresh_and_an_earlier_one_still_mapped_keeps_its_own() {
    let bench = Bench::new();
    let mut earlier = bench.fill(8, 5);
    let later = bench.fill(8, 1);
    earlier.record(&record(6));
    assert_eq!(bench.read().records, records(1..=1));
    drop(later);
    drop(bench.fill(8, 0));
    assert_eq!(bench.read().records, []);
}

#[test]
fn damage_is_counted_and_the_rest_is_read() {
    let bench = Bench::new();
    drop(bench.fill(8, 13));
    bench.change(|bytes| bytes[FRAME_BYTES * 2 + 5] ^= 1);
    let read = bench.read();
    assert_eq!((read.records.len(), read.torn, read.damaged_slots), (7, false, 1));
    // One frame in another's slot, and one from long before.
    bench.fill(8, 13);
    bench.change(|bytes| bytes.copy_within(64..128, 128));
    assert_eq!((bench.read().records.len(), bench.read().damaged_slots), (7, 1));
    let old = frame::encode_numbered(&record(1), 1);
    bench.fill(8, 13);
    bench.change(|bytes| bytes[64..128].copy_from_slice(&old));
    assert_eq!((bench.read().records.len(), bench.read().damaged_slots), (7, 1));
    // The file is cut off in the middle of a slot.
    bench.fill(8, 4);
    bench.change(|bytes| bytes.truncate(64 * 3 + 9));
    let read = bench.read();
    assert_eq!((read.records, read.damaged_slots), (records(1..=2), 6));
}

#[test]
fn what_is_no_box_of_ours_is_named() {
    let bench = Bench::new();
    drop(bench.fill(2, 1));
    bench.change(|bytes| bytes[8] = 99);
    let error = read_box(&bench.path()).unwrap_err();
    let wanted = format!("black box of version 99, this program reads {VERSION}");
    assert!(error.to_string().ends_with(&wanted), "{error}");
    for foreign in [&b"LACONIC\n"[..], b"", &[0; 4_096]] {
        fs::write(bench.path(), foreign).unwrap();
        assert!(matches!(read_box(&bench.path()), Err(BlackBoxError::Foreign(_))));
    }
    fs::remove_file(bench.path()).unwrap();
    let error = read_box(&bench.path()).unwrap_err().to_string();
    assert!(error.contains("0002.box: No such file"), "{error}");
}

#[test]
fn a_box_is_allocated_in_full_or_not_at_all() {
    use std::os::unix::fs::MetadataExt;
    let bench = Bench::new();
    drop(BlackBox::create(&bench.path(), HEADER).unwrap());
    let file = fs::metadata(bench.path()).unwrap();
    assert_eq!(file.len(), 64 * (SLOTS + 1));
    assert!(file.blocks() * 512 >= file.len(), "{} blocks", file.blocks());
    // More slots than any file can hold.
    let error = BlackBox::with_slots(&bench.path(), HEADER, 1 << 56).unwrap_err();
    assert!(matches!(error, BlackBoxError::Io { .. }) && !error.to_string().contains('\n'));
    assert!(!bench.path().exists());
    fs::remove_dir(bench.0.path().join("boxes")).unwrap();
    fs::write(bench.0.path().join("boxes"), "no folder").unwrap();
    let error = BlackBox::create(&bench.path(), HEADER).unwrap_err().to_string();
    assert!(error.contains("boxes: "), "{error}");
}
