//! Kept runs with other records or other numbers: what the report of such a run must say is known
//! without another run.

use laconic::budget::{BudgetReport, FrontPlot, FrontPoint, Standing, chart, diff, document, text};
use laconic::raft::{Event, Member, MemberSet, Micros};
use laconic::record::{AnswerKind, Decision, Fact, Fate, Knob, Reason, Record, SIMULATOR};

use crate::kept::Kept;

/// The text without the marks for bold and colours, and without line ends.
fn told(report: &BudgetReport) -> String {
    let styled = text(&document(report));
    let mut parts = styled.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    let plain = first + &parts.filter_map(|part| Some(part.split_once('m')?.1)).collect::<String>();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Each value of an attribute in a picture, as a number. Percent signs are left out.
fn numbers(picture: &str, attribute: &str) -> Vec<f64> {
    let begins = format!(" {attribute}=\"");
    let values = picture.split(&begins).skip(1);
    let value = |rest: &str| rest.split('"').next()?.trim_end_matches('%').parse().ok();
    values.filter_map(value).collect()
}

/// The simulator's socket lost a message and held another one unread at the end: it counted
/// neither, and the books still balance.
#[test]
fn the_books_have_a_place_for_what_the_simulator_never_read() {
    let mut kept = Kept::read("plain");
    let (before, counted) = (kept.report().books, kept.info.counted);
    let routed = |record: &Record| match record.fact {
        Fact::Routed { from, number, fate: Fate::Delivered, .. } => Some((from, number)),
        _ => None,
    };
    let all: Vec<_> = kept.records.iter().filter_map(routed).collect();
    let (from, last) = *all.iter().max_by_key(|(_, number)| *number).unwrap();
    // A sender's next message after the lost one was read.
    let lost = all.iter().filter(|one| one.0 == from && one.1 < last).nth(5).unwrap().1;
    kept.records.retain(|record| match record.fact {
        Fact::Routed { from: by, number, .. } => by != from || ![lost, last].contains(&number),
        Fact::Received { from: by, number, .. } => by != from || ![lost, last].contains(&number),
        _ => true,
    });
    kept.info.counted -= 2;
    let books = kept.report().books;
    assert_eq!(books.faults, [""; 0]);
    assert_eq!((books.sent, books.counted), (before.sent, counted - 2));
    assert_eq!((books.lost, books.unread), (1, before.unread + 1));
    kept.info.counted += 1;
    assert_eq!(kept.report().books.faults.len(), 1, "one too many");
}

#[test]
fn a_run_without_a_record_is_told() {
    let mut kept = Kept::read("plain");
    kept.records.clear();
    let report = kept.report();
    assert_eq!((report.run.messages, report.run.puts, report.run.elections), (0, 0, 0));
    assert!(report.figures.iter().all(|figure| figure.ratio.is_none()));
    let told = told(&report);
    assert!(told.contains("0 messages, 0 bytes, 0 puts"), "{told}");
    assert!(!told.contains("NaN") && !told.contains("inf"), "{told}");
}

#[test]
fn requests_whose_answer_no_replica_recorded_are_counted() {
    let mut kept = Kept::read("plain");
    let is_ok = |record: &Record| match record.fact {
        Fact::Answered { request, outcome: AnswerKind::Ok, .. } => Some(request),
        _ => None,
    };
    let untold: Vec<_> = kept.records.iter().filter_map(is_ok).take(3).collect();
    assert_eq!(kept.report().run.problems, [""; 0]);
    kept.records.retain(|record| is_ok(record).is_none_or(|request| !untold.contains(&request)));
    let problems = kept.report().run.problems;
    assert_eq!(problems, ["3 answered requests have no records of their answer"]);
}

/// A long run has more to tell than anybody reads. What is left out is counted.
#[test]
fn of_very_many_decisions_and_events_the_first_are_told() {
    let with_decisions = |count: u64| {
        let mut kept = Kept::read("plain");
        let led = |record: &Record| matches!(record.fact, Fact::State(Event::BecameLeader { .. }));
        let led: Vec<_> = kept.records.iter().filter(|record| led(record)).collect();
        let led: Vec<_> = led.iter().map(|record| record.source).collect();
        let mut members = MemberSet::all(3).iter();
        let source = members.find(|member| !led.contains(member)).unwrap();
        let reason = Reason::Always;
        let decision = Decision { knob: Knob::LingerUs, before: 1, after: 2, reason, measured: 0 };
        kept.records.extend((0..count).map(|place| {
            let at = Micros(4_000_000 + place);
            Record { at, source, fact: Fact::Decided(decision) }
        }));
        kept.report()
    };
    let few = with_decisions(3);
    assert_eq!((few.decisions.len(), few.decisions_left_out), (3, 0));
    assert!(few.decisions.iter().all(|row| !row.led));
    let words = told(&few);
    assert_eq!(words.matches("better whatever the load").count(), 3, "nobody's are left out");
    assert!(!words.contains("not shown here"), "{words}");
    let many = with_decisions(1_250);
    assert_eq!((many.decisions.len(), many.decisions_left_out), (1_000, 250));
    assert!(told(&many).contains("1,210 more decisions, not shown here"), "{}", told(&many));

    let mut kept = Kept::read("plain");
    kept.records.extend((0..1_500).map(|place| {
        let fact = Fact::Partitioned { majority: MemberSet::EMPTY };
        Record { at: Micros(4_000_000 + place), source: SIMULATOR, fact }
    }));
    assert_eq!(kept.report().events.len(), 1_000);
}

/// The simulator fails a run that says too little. The finding must warn of that exactly where a
/// chain would bring the run below that floor.
#[test]
fn a_chain_is_not_praised_where_the_simulator_would_fail_the_run() {
    let mut kept = Kept::read("thrifty");
    let report = kept.report();
    let (all, batches) = (report.run.messages as f64, report.run.batches as f64);
    // Two of four others make a quorum with the leader: a chain saves one message a batch.
    let puts = kept.info.requests as f64 * (1.0 - kept.info.mix);
    let mut warns = |floor: f64| {
        kept.info.maximum_appends_batched_fraction = 1.0 - floor / (5.0 * puts);
        let report = kept.report();
        let finding = report.findings.iter().find(|finding| finding.name == "chain_instead");
        finding.unwrap().summary.contains("less than the simulator's floor")
    };
    assert!(warns(all - batches / 2.0));
    assert!(!warns(all - batches * 2.0), "it would still say enough");
    assert!(!warns(all + batches), "it says too little already");
}

#[test]
fn runs_that_differ_in_one_sort_of_numbers_differ() {
    let one = Kept::read("plain").report();
    let words = |other: &BudgetReport| diff(&one, other).words.join(" ");
    assert_eq!(words(&one), "No difference.");
    let mut slower = one.clone();
    slower.latency[0].total.p50_us += 1_000;
    assert!(words(&slower).contains("no cause changed"), "{}", words(&slower));
    let mut longer = one.clone();
    longer.run.messages += 10;
    assert!(words(&longer).contains("all +10"), "{}", words(&longer));
    // What one of the runs cannot tell has not changed by anything.
    let mut unknown = one.clone();
    unknown.figures[0].value = None;
    let told = text(&diff(&one, &unknown).document());
    let row = told.lines().find(|line| line.contains("Messages per commit")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[cells.len() - 2..], ["-", "-"], "{row}");
}

/// The bar of a limit is as long as the share of it that was spent.
#[test]
fn the_bars_of_limits_show_what_was_spent_of_them() {
    let mut report = Kept::read("textbook").report();
    let limit = report.limits[0].clone();
    let widths = |allowed: f64, spent: Option<f64>, report: &mut BudgetReport| {
        let one = laconic::budget::report::LimitRow { allowed, spent, ..limit.clone() };
        report.limits = vec![one];
        let picture = chart(report, "limits").unwrap().picture();
        numbers(&picture, "width")
    };
    for (allowed, spent, wanted) in
        [(8.0, Some(2.0), 25.0), (8.0, Some(7.0), 87.5), (4.0, Some(9.0), 100.0), (8.0, None, 0.2)]
    {
        let widths = widths(allowed, spent, &mut report);
        assert_eq!(widths.last(), Some(&wanted), "{spent:?} of {allowed}: {widths:?}");
    }
    for spent in [0.0, 3.0] {
        let widths = widths(0.0, Some(spent), &mut report);
        assert_eq!(widths.last(), Some(&100.0), "of nothing all is spent: {widths:?}");
    }
}

/// Where the slowest commit takes many hops, equal factors get equal room, and the discs of the
/// first and the last batch still lie within.
#[test]
fn a_trade_off_with_many_hops_is_drawn_by_factors() {
    let mut report = Kept::read("thrifty").report();
    report.trade_off.points = vec![(2, 5, 1), (5, 4, 1), (10, 4, 1), (20, 4, 1), (40, 4, 1)];
    let picture = chart(&report, "trade_off").unwrap().picture();
    let marks = picture.split("<circle").filter(|part| part.contains("mark faint"));
    let places: Vec<f64> = marks.flat_map(|mark| numbers(mark, "cx")).collect();
    assert_eq!(places.len(), 5, "{picture}");
    assert!(places[0] > 3.0 && places[4] < 97.0, "{places:?}");
    let steps: Vec<f64> = places[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| (step - steps[0]).abs() < 0.05), "{steps:?}");
}

#[test]
fn a_plot_explains_only_what_it_shows() {
    let (latency_us, messages, floor) = (1_000.0, 4.0, None);
    let told = "the base".to_owned();
    let base = FrontPoint { standing: Standing::Base, latency_us, messages, floor, told };
    let plot = FrontPlot { title: "One".to_owned(), points: vec![base], floors: Vec::new() };
    let picture = plot.chart().unwrap().picture();
    assert!(picture.contains("the base profile"), "{picture}");
    for absent in ["picked by", "tried", "none is better", "not drawn", "own floor"] {
        assert!(!picture.contains(absent), "{absent}: {picture}");
    }
}

/// Where no put was answered nothing can be said of a put, and no number is divided by none.
#[test]
fn a_run_without_puts_says_nothing_of_a_put() {
    let mut kept = Kept::read("reads");
    assert!(kept.report().run.puts > 0, "whoever finds no key writes one");
    kept.records.retain(|record| {
        let of_put = match record.fact {
            Fact::Taken { .. } | Fact::State(Event::BatchSent { .. }) => true,
            Fact::Answered { index, .. } => index > 0,
            _ => false,
        };
        !of_put
    });
    let report = kept.report();
    assert_eq!((report.run.puts, report.figures[0].value), (0, None));
    assert!(report.references.iter().all(|reference| reference.per_put.is_none()));
    let of_nothing = report.references.iter().filter(|reference| reference.messages == 0.0);
    assert!(of_nothing.clone().count() > 1, "{:?}", report.references);
    assert!(of_nothing.clone().all(|reference| reference.ratio.is_none()));
    assert!(report.table.iter().all(|row| row.per_put.is_none()));
    let pictures: String = ["references", "figures", "causes"]
        .map(|name| chart(&report, name).unwrap().picture())
        .concat();
    for text in [told(&report), pictures] {
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(!text.contains(" per put ·"), "{text}");
    }
}

/// Six idle seconds in a row hold four windows of 1.3 s. In each, four others hear from the leader
/// and it hears from one of them. A second in which the cluster was cut is not idle, however short
/// the cut, and what is left of the six has a window less.
#[test]
fn idle_seconds_in_a_row_are_one_stretch() {
    let mut kept = Kept::read("reads");
    assert_eq!(kept.info.tuning.election_timeout_min_us, 1_300_000);
    kept.records.retain(|record| {
        let is_batch = matches!(record.fact, Fact::State(Event::BatchSent { .. }));
        !is_batch && !matches!(record.fact, Fact::Asked { .. } | Fact::Taken { .. })
    });
    let floor = |kept: &Kept| {
        let figures = kept.report().figures;
        let idle = figures.iter().find(|figure| figure.name == "idle_messages_per_second");
        idle.unwrap().floor.unwrap()
    };
    assert_eq!(floor(&kept), 4.0 * 5.0 / 6.0);
    let mut majority = MemberSet::all(5);
    majority.remove(Member(4));
    for (at, majority) in [(5_500_000, majority), (5_500_001, MemberSet::EMPTY)] {
        let fact = Fact::Partitioned { majority };
        kept.records.push(Record { at: Micros(at), source: SIMULATOR, fact });
    }
    assert_eq!(floor(&kept), 3.0 * 5.0 / 5.0);
}
