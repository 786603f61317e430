//! Messages in each second by cause. Above them, on the same axis, the cluster: which replicas
//! lived, which one led, what failed.

use super::super::report::{BudgetReport, EventRow};
use super::super::words::{count, counted, moment, spaced};
use super::drawing::{Chart, Panel, Symbol, bar, line, tip};
use super::palette::cause_key;
use super::scale::{Scale, Spacing};
use crate::raft::Member;

const MARGIN: f64 = 46.0;
const COLUMNS: f64 = 200.0;
/// Height below a panel for the labels of its axis, in pixels.
const BELOW: f64 = 24.0;

/// The chart.
pub fn seconds(report: &BudgetReport) -> Option<Chart> {
    if report.seconds.is_empty() {
        return None;
    }
    let end = (report.run.duration_us as f64 / 1e6).max(report.seconds.len() as f64);
    let x = Scale::new(Spacing::Linear, 0.0, end);
    let panels = vec![cluster(report, x), columns(report, x)];
    let mut signs = vec![
        (Symbol::Bar, "fill-accent faint", "leads"),
        (Symbol::Triangle, "fill-surface stroke-ink", "elected"),
    ];
    let other = [
        ("stepped_down", Symbol::Diamond, "fill-surface stroke-bad", "stepped down"),
        ("killed", Symbol::Cross, "stroke-bad no-fill", "killed"),
        ("ended", Symbol::Cross, "stroke-ink no-fill", "ended by itself"),
        ("partitioned", Symbol::Square, "fill-cut", "partitioned"),
    ];
    let seen = |kind| report.events.iter().any(|event| event.kind == kind);
    signs.extend(
        other
            .into_iter()
            .filter(|(kind, ..)| seen(*kind))
            .map(|(_, symbol, class, words)| (symbol, class, words)),
    );
    let signs = signs
        .into_iter()
        .map(|(symbol, class, words)| (symbol, class.to_owned(), words.to_owned()));
    let title = "Messages a second by cause, below each replica's life";
    Some(Chart::new("seconds", title, panels).signs(signs).colours(cause_key(report)))
}

/// Microseconds as seconds.
pub(super) fn at(us: u64) -> f64 {
    us as f64 / 1e6
}

/// The ticks of an axis of seconds.
pub(super) fn ticks(x: Scale) -> Vec<(f64, String)> {
    let label = |second: f64| (x.share(second), format!("{second} s"));
    x.ticks(8).into_iter().map(label).collect()
}

/// The time of the first event after `from` that `is_end` accepts, or else the run's end.
fn until(report: &BudgetReport, from: u64, is_end: impl Fn(&EventRow) -> bool) -> u64 {
    let mut later = report.events.iter().filter(|event| event.at_us > from);
    later.find(|event| is_end(event)).map_or(report.run.duration_us, |event| event.at_us)
}

/// The time in which a replica led a term.
pub(super) struct Led<'a> {
    /// The replica.
    pub member: u8,
    /// From when it led.
    pub from: u64,
    /// Until when it led.
    pub to: u64,
    /// The same in words.
    text: &'a str,
}

/// Who led when.
pub(super) fn leaderships(report: &BudgetReport) -> impl Iterator<Item = Led<'_>> {
    let elected = report.events.iter().filter(|event| event.kind == "leader");
    elected.filter_map(|leader| {
        let ends = |event: &EventRow| {
            let kinds = ["stepped_down", "killed", "ended", "leader"];
            event.member == leader.member && kinds.contains(&event.kind)
        };
        let (from, text) = (leader.at_us, leader.text.as_str());
        Some(Led { member: leader.member?, from, to: until(report, from, ends), text })
    })
}

/// When a replica died, or the run ended.
pub(super) fn life_end(report: &BudgetReport, member: u8) -> u64 {
    let dies =
        |event: &EventRow| event.member == Some(member) && matches!(event.kind, "killed" | "ended");
    until(report, 0, dies)
}

fn cluster(report: &BudgetReport, x: Scale) -> Panel {
    let replicas = report.run.replicas;
    let row = if replicas > 9 { 12.0 } else { 19.0 };
    let height = replicas as f64 * row;
    let middle = |member: u8| (f64::from(member) + 0.5) * row + 4.0;
    let mut panel = Panel::new(MARGIN, height + 8.0 + BELOW);
    for cut in report.events.iter().filter(|event| event.kind == "partitioned") {
        let end = until(report, cut.at_us, |event| matches!(event.kind, "partitioned" | "healed"));
        let shade = bar(x.share(at(cut.at_us)), x.share(at(end)), 2.0, height + 4.0);
        panel.add(shade.set("class", "fill-cut"));
    }
    for member in 0..replicas as u8 {
        if replicas <= 9 || member % 5 == 0 {
            panel.label(middle(member), &Member(member).to_string());
        }
        let end = x.percent(at(life_end(report, member)));
        let y = middle(member);
        panel.add(line(("0", y), (end.as_str(), y)).set("class", "life thick stroke-line"));
    }
    for Led { member, from, to, text } in leaderships(report) {
        let led = bar(x.share(at(from)), x.share(at(to)), middle(member) - 4.0, 8.0);
        let told = format!("{text}\nfrom {} to {}", moment(from), moment(to));
        panel.add(led.set("class", "leadership fill-accent faint").add(tip(told)));
    }
    for event in &report.events {
        add_event(&mut panel, event, x.share(at(event.at_us)), height, middle);
    }
    panel.ticks_below(height + 8.0, &ticks(x));
    panel
}

fn add_event(panel: &mut Panel, event: &EventRow, x: f64, height: f64, y: impl Fn(u8) -> f64) {
    let told = tip(format!("{}\n{}", moment(event.at_us), event.text));
    let Some(member) = event.member else {
        let x = super::scale::percent(x);
        let edge = line((x.as_str(), 2.0), (x.as_str(), height + 6.0));
        panel.add(edge.set("class", "event dashed stroke-resend").add(told));
        return;
    };
    let (symbol, class) = match event.kind {
        "leader" => (Symbol::Triangle, "fill-surface stroke-ink"),
        "stepped_down" => (Symbol::Diamond, "fill-surface stroke-bad"),
        "killed" => (Symbol::Cross, "stroke-bad no-fill"),
        _ => (Symbol::Cross, "stroke-ink no-fill"),
    };
    panel.add(symbol.at(x, y(member), class).set("class", "event").add(told));
}

fn columns(report: &BudgetReport, x: Scale) -> Panel {
    let sums: Vec<u64> = report.seconds.iter().map(|counts| counts.iter().sum()).collect();
    let most = sums.iter().copied().max().unwrap_or_default().max(1);
    let scale = Scale::new(Spacing::Linear, 0.0, most as f64 * 1.04);
    let y = |messages: f64| 10.0 + COLUMNS * (1.0 - scale.share(messages));
    let mut panel = Panel::new(MARGIN, COLUMNS + 10.0 + BELOW);
    for tick in scale.ticks(4) {
        panel.label(y(tick), &count(tick as u64));
        panel.rule(y(tick));
    }
    for (second, counts) in report.seconds.iter().enumerate() {
        let (from, to) = (x.share(second as f64), x.share(second as f64 + 0.92));
        let mut below = 0;
        for (cause, messages) in report.causes.iter().zip(counts).filter(|(_, count)| **count > 0) {
            let top = y((below + messages) as f64);
            let part = bar(from, to, top, y(below as f64) - top);
            panel.add(part.set("class", format!("mark fill-{cause}")));
            below += messages;
        }
        if below > 0 {
            panel.add(
                bar(from, to, 10.0, COLUMNS).set("class", "over").add(tip(told(report, second))),
            );
        }
    }
    panel.ticks_below(10.0 + COLUMNS, &ticks(x));
    panel
}

fn told(report: &BudgetReport, second: usize) -> String {
    let counts = &report.seconds[second];
    let all = counted(counts.iter().sum(), "message", "messages");
    let causes = report.causes.iter().zip(counts).filter(|(_, count)| **count > 0);
    let lines = causes.map(|(cause, messages)| format!("\n{} {}", spaced(cause), count(*messages)));
    format!("second {second}: {all}{}", lines.collect::<String>())
}
