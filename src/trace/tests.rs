//! Ends of arrows that no run can be made to show.

use super::*;
use crate::raft::{Cause, Disposition, Kind, Member, To, Why};
use crate::record::Fate;

fn sent(at: u64, to: To, number: u64) -> Record {
    let (kind, why) = (Kind::Append, Why::Own(Cause::Replicate));
    let fact = Fact::Sent { to, number, kind, why, term: 1, first: 1, entries: 0, bytes: 9 };
    Record { at: Micros(at), teller: Member(0), fact }
}

fn received(at: u64, number: u64) -> Record {
    let (from, kind, disposition) = (Member(0), Kind::Append, Disposition::Accepted);
    let why = Why::Own(Cause::Replicate);
    let fact = Fact::Received { from, number, kind, why, term: 1, disposition };
    Record { at: Micros(at), teller: Member(1), fact }
}

#[test]
fn messages_that_come_too_early_twice_or_never_are_told_apart() {
    let to = To::Member(Member(1));
    let (from, to_third) = (Member(0), Member(2));
    let forwarded = Fact::Routed { from, to: to_third, number: 4, fate: Fate::Delivered, bytes: 9 };
    let records = [
        received(4, 2),
        sent(5, to, 1),
        received(5, 1),
        sent(6, to, 2),
        sent(7, To::Everyone, 4),
        Record { at: Micros(8), teller: SIMULATOR, fact: forwarded },
        received(9, 4),
        received(10, 4),
        sent(11, to, 5),
    ];
    let mut out = Vec::new();
    let arrows = draw(records, 3, Vec::new(), &mut out).unwrap();
    let wanted = Arrows {
        taken_in: 1,
        not_taken_in: 1,
        against_the_clock: 2,
        unread: 1,
        ..Arrows::default()
    };
    assert_eq!((arrows, arrows.counted()), (wanted, 4));
    let file: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let tips = |phase: &str| {
        let events = file["traceEvents"].as_array().unwrap();
        events.iter().filter(|event| event["ph"] == phase).count()
    };
    assert_eq!((tips("s"), tips("f")), (5, 5));
}

#[test]
fn a_full_disk_is_told() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let draw_into = |room| draw([received(1, 1)], 2, Vec::new(), Full(room));
    assert!(draw_into(10_000).is_ok());
    for room in [0, 40, 700] {
        assert_eq!(draw_into(room).unwrap_err().kind(), io::ErrorKind::StorageFull, "{room}");
    }
}
