//! Ends of arrows that no run can be made to show.

use super::*;
use crate::raft::{Cause, Disposition, Kind, Member, To, Why};
use crate::record::Fate;

fn sent(at: u64, to: To, number: u64) -> Record {
    let (kind, why) = (Kind::Append, Why::Own(Cause::Replicate));
    let fact = Fact::Sent { to, number, kind, why, term: 1, first: 1, entries: 0, bytes: 9 };
    Record { at: Micros(at), source: Member(0), fact }
}

fn received(at: u64, number: u64) -> Record {
    let (from, kind, disposition) = (Member(0), Kind::Append, Disposition::Accepted);
    let why = Why::Own(Cause::Replicate);
    let fact = Fact::Received { from, number, kind, why, term: 1, disposition };
    Record { at: Micros(at), source: Member(1), fact }
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
        Record { at: Micros(8), source: SIMULATOR, fact: forwarded },
        received(9, 4),
        received(10, 4),
        sent(11, to, 5),
    ];
    let mut out = Vec::new();
    let arrows = draw(records, 3, Vec::new(), Vec::new(), Window::ALL, &mut out).unwrap();
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
    let draw_into =
        |room| draw([received(1, 1)], 2, Vec::new(), Vec::new(), Window::ALL, Full(room));
    assert!(draw_into(10_000).is_ok());
    for room in [0, 40, 700] {
        assert_eq!(draw_into(room).unwrap_err().kind(), io::ErrorKind::StorageFull, "{room}");
    }
}

/// The lines of a span file: anchors as clock and time, both in microseconds, then a span at 100.
fn span_file(anchors: &[(u64, f64)]) -> Box<dyn io::BufRead> {
    let mut lines = vec!["[".to_owned()];
    for (clock_us, ts) in anchors {
        let args = format!(r#"{{"clock_us":"{clock_us}","rank":"1"}}"#);
        lines.push(format!(r#"{{"ph":"i","name":"anchor","ts":{ts},"args":{args}}},"#));
    }
    for (phase, ts) in [("B", 100.0), ("B", 100.25), ("E", 100.5), ("E", 101.0), ("B", 102.0)] {
        lines.push(format!(r#"{{"ph":"{phase}","name":"step","ts":{ts},"args":{{}}}},"#));
    }
    Box::new(io::Cursor::new(lines.join("\n")))
}

#[test]
fn spans_stand_where_the_closest_anchor_says() {
    // Before the first anchor's time was written, 5 ms passed after its clock was read.
    let anchors = [(1_000_030, 5_030.0), (1_005_040, 40.5), (1_005_050, 60.0)];
    let file = SpanFile::open(span_file(&anchors), 1_000_000).unwrap().expect("spans");
    assert_eq!(file.rank(), 1);
    let mut out = Vec::new();
    draw([received(1, 1)], 2, Vec::new(), vec![file], Window::ALL, &mut out).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let slices = file["traceEvents"].as_array().unwrap().iter();
    let steps = slices.filter(|event| event["ph"] == "X" && event["name"] == "step");
    let steps: Vec<_> = steps.map(|step| (step["ts"].as_f64(), step["dur"].as_f64())).collect();
    // The inner span ends first. The one that never ended is left out.
    let wanted = [(Some(5_099.75), Some(0.25)), (Some(5_099.5), Some(1.0))];
    assert_eq!(steps, wanted);
}

#[test]
fn a_span_file_without_anchors_is_foreign_and_an_empty_one_is_none() {
    let open = |text: &'static str| SpanFile::open(Box::new(text.as_bytes()), 1).map(|_| ());
    assert!(SpanFile::open(span_file(&[]), 1).is_err_and(|error| error == BadSpans::Foreign));
    assert_eq!(open("{}\n"), Err(BadSpans::Foreign));
    let anchor = "[\n{\"ph\":\"i\",\"name\":\"anchor\",\"ts\":1,\
                  \"args\":{\"rank\":\"300\",\"clock_us\":\"1\"}}";
    assert_eq!(open(anchor), Err(BadSpans::Foreign), "no rank");
    for text in ["", "[\n", "[\n{\"ph\":\"i\",\"na"] {
        assert!(SpanFile::open(Box::new(text.as_bytes()), 1).is_ok_and(|file| file.is_none()));
    }
}
