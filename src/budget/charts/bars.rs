//! Charts of bars: one bar a row, whole or in parts, below its name and its number.

use svg::node::element::TSpan;

use super::super::report::{BudgetReport, Figure};
use super::super::words::{
    bytes, capital, count, counted, limit as limit_in_words, limited, number, percent, spaced, time,
};
use super::drawing::{Chart, Panel, bar, text, tip};
use super::palette::cause_key;
use crate::raft::Form;

/// One row.
struct Row {
    name: String,
    value: String,
    /// Text beside the value, where there is room.
    more: String,
    parts: Vec<Part>,
    is_strong: bool,
}

/// One part of a bar.
struct Part {
    class: String,
    /// The part's share of the whole width.
    share: f64,
    /// How strong the colour is: 1 is full, less is paler.
    density: f64,
    told: String,
}

const ROW: f64 = 40.0;
const BAR: f64 = 13.0;

fn draw(name: &'static str, title: &str, rows: &[Row]) -> Option<Chart> {
    if rows.is_empty() {
        return None;
    }
    let mut panel = Panel::new(0.0, rows.len() as f64 * ROW - 4.0);
    for (place, row) in rows.iter().enumerate() {
        let y = place as f64 * ROW;
        let weight = if row.is_strong { "strong " } else { "" };
        let named = text("0", y + 13.0, &row.name).set("class", format!("{weight}fill-ink"));
        panel.add(named);
        let mut value = text("100%", y + 13.0, &row.value);
        if !row.more.is_empty() {
            let more = TSpan::new(format!(" · {}", row.more)).set("class", "roomy fill-quiet");
            value = value.add(more);
        }
        panel.add(value.set("class", format!("{weight}end fill-ink")));
        let rail = bar(0.0, 1.0, y + 19.0, BAR);
        panel.add(rail.set("class", "fill-soft"));
        let mut from = 0.0;
        for part in &row.parts {
            let mut mark = bar(from, from + part.share, y + 19.0, BAR);
            if part.density < 1.0 {
                mark = mark.set("fill-opacity", part.density);
            }
            panel.add(mark.set("class", part.class.as_str()).add(tip(part.told.as_str())));
            from += part.share;
        }
    }
    Some(Chart::new(name, title, vec![panel]))
}

/// A part in `colour` that stands for a number of the report.
fn mark(colour: &str, share: f64, told: String) -> Part {
    Part { class: format!("mark fill-{colour}"), share, density: 1.0, told }
}

/// A part for each cause that has messages.
fn by_cause(report: &BudgetReport, counts: &[u64], most: u64) -> Vec<Part> {
    let causes = report.causes.iter().zip(counts).filter(|(_, messages)| **messages > 0);
    let part = |(cause, messages): (&&str, &u64)| {
        let told = format!("{}: {}", spaced(cause), counted(*messages, "message", "messages"));
        mark(cause, *messages as f64 / most.max(1) as f64, told)
    };
    causes.map(part).collect()
}

/// Each figure: its floor, and its excess by cause.
pub fn figures(report: &BudgetReport) -> Option<Chart> {
    let rows: Vec<Row> = report.figures.iter().filter_map(figure).collect();
    let seen = |(cause, _): &(String, String)| {
        let shares = report.figures.iter().flat_map(|figure| &figure.excess);
        shares.filter(|share| share.value > 0.0).any(|share| share.cause == cause)
    };
    let key = [("floor".to_owned(), "floor".to_owned())];
    let key = key.into_iter().chain(cause_key(report).into_iter().filter(seen));
    draw("figures", "Seen, beside the provable least", &rows).map(|chart| chart.colours(key))
}

fn figure(figure: &Figure) -> Option<Row> {
    let value = figure.value?;
    let floor = figure.floor.unwrap_or_default();
    let excess = || figure.excess.iter().filter(|share| share.value > 0.0);
    let whole = floor + excess().map(|share| share.value).sum::<f64>();
    let whole = if whole > 0.0 { whole } else { 1.0 };
    let mut parts = Vec::new();
    if floor > 0.0 {
        let told = format!("floor: {}", number(floor, 2));
        let share = floor / whole;
        parts.push(Part { class: "fill-floor".to_owned(), share, density: 1.0, told });
    }
    parts.extend(excess().map(|share| {
        let told = format!("{}: {} above the floor", spaced(share.cause), number(share.value, 2));
        mark(share.cause, share.value / whole, told)
    }));
    let ratio = figure.ratio.map(|ratio| format!("{} × the floor", number(ratio, 2)));
    Some(Row {
        name: figure.title.to_owned(),
        value: format!("{}, floor {}", number(value, 2), number(floor, 2)),
        more: ratio.unwrap_or_default(),
        parts,
        is_strong: false,
    })
}

/// What the same puts would have cost, with the run among them, least first.
pub fn references(report: &BudgetReport) -> Option<Chart> {
    let run = &report.run;
    let per_put = (run.puts > 0).then(|| run.messages as f64 / run.puts as f64);
    let mut all = vec![("This run", run.messages as f64, per_put, None)];
    let others = report.references.iter();
    all.extend(others.map(|r| (r.title.as_str(), r.messages, r.per_put, r.ratio)));
    all.sort_by(|one, other| one.1.total_cmp(&other.1));
    let most = all.last().map_or(1.0, |row| row.1.max(1.0));
    let row = |(title, messages, per_put, ratio): (&str, f64, Option<f64>, Option<f64>)| {
        let is_run = ratio.is_none() && title == "This run";
        let per_put = per_put.map(|per_put| format!("{} per put", number(per_put, 2)));
        let value = [Some(number(messages, 0)), per_put].into_iter().flatten();
        let ratio = ratio.map(|ratio| format!("the run says {} × of it", number(ratio, 2)));
        let name = capital(title);
        let told = [Some(name.clone()), Some(counted(messages as u64, "message", "messages"))];
        let told = told.into_iter().chain([ratio.clone()]).flatten().collect::<Vec<_>>();
        Row {
            name,
            value: value.collect::<Vec<_>>().join(" · "),
            more: ratio.unwrap_or_default(),
            parts: vec![mark(
                if is_run { "accent" } else { "reference" },
                messages / most,
                told.join("\n"),
            )],
            is_strong: is_run,
        }
    };
    let rows: Vec<Row> = all.into_iter().map(row).collect();
    draw("references", "What the same puts would have cost, in messages", &rows)
}

/// Limits, and what the run spent.
pub fn limits(report: &BudgetReport) -> Option<Chart> {
    let rows = report.limits.iter().map(|limit| {
        let ratio = limit.spent.unwrap_or_default() / limit.allowed;
        let share = if limit.allowed > 0.0 { ratio } else { 1.0 };
        let spent = limit.spent.map(|spent| limited(limit.name, spent));
        let spent = spent.unwrap_or_else(|| "too little to say".to_owned());
        let value = format!("{spent} of {}", limited(limit.name, limit.allowed));
        let over = if limit.exceeded { ", exceeded" } else { "" };
        Row {
            name: format!("{} ({})", capital(&limit_in_words(limit.name)), limit.stated_by),
            value: format!("{value}{over}"),
            more: String::new(),
            parts: vec![mark(
                if limit.exceeded { "bad" } else { "accent" },
                share.clamp(0.0, 1.0),
                value,
            )],
            is_strong: limit.exceeded,
        }
    });
    draw("limits", "Limits, and what was spent", &rows.collect::<Vec<_>>())
}

/// How strong a cause's colour is, by the form of its messages. An answer has the colour of what it
/// answers, but paler.
const DENSITIES: [(Form, f64, &str); Form::COUNT] = [
    (Form::Own, 1.0, "sent on one's own account"),
    (Form::Relay, 0.75, "passed on"),
    (Form::Ack, 0.5, "yes"),
    (Form::Reject, 0.25, "no"),
];

/// Messages by the cause that they are charged to, in parts by form.
pub fn causes(report: &BudgetReport) -> Option<Chart> {
    let of_cause = |cause: &str| {
        let rows = report.table.iter().filter(|row| row.cause == cause);
        rows.collect::<Vec<_>>()
    };
    let sum = |cause: &str| of_cause(cause).iter().map(|row| row.count).sum::<u64>();
    let most = report.causes.iter().map(|cause| sum(cause)).max().unwrap_or_default().max(1) as f64;
    let seen = report.causes.iter().filter(|cause| sum(cause) > 0);
    let rows = seen.map(|cause| {
        let count_of_all = sum(cause);
        let share = of_cause(cause).iter().map(|row| row.share).sum();
        let per_put =
            of_cause(cause).iter().filter_map(|row| row.per_put).reduce(|one, other| one + other);
        let per_put = per_put.map(|per_put| format!("{} per put", number(per_put, 2)));
        let size = bytes(of_cause(cause).iter().map(|row| row.bytes).sum());
        let parts = of_cause(cause).into_iter().map(|row| {
            let messages = counted(row.count, "message", "messages");
            let told =
                format!("{}: {}\n{messages}, {}", spaced(row.kind), row.words, bytes(row.bytes));
            let density = DENSITIES.iter().find(|(form, ..)| form.name() == row.form);
            let density = density.map_or(1.0, |(_, density, _)| *density);
            Part { density, ..mark(cause, row.count as f64 / most, told) }
        });
        Row {
            name: spaced(cause),
            value: format!("{} · {}", count(count_of_all), percent(share)),
            more: [Some(size), per_put].into_iter().flatten().collect::<Vec<_>>().join(" · "),
            parts: parts.collect(),
            is_strong: false,
        }
    });
    let rows: Vec<Row> = rows.collect();
    let chart = draw("causes", "Messages by cause, and in what form they serve it", &rows)?;
    let used = |form: &Form| report.table.iter().any(|row| row.form == form.name());
    let shades = DENSITIES.into_iter().filter(|(form, ..)| used(form));
    Some(chart.shades(shades.map(|(_, density, words)| (density, words.to_owned()))))
}

/// Messages by their fate.
pub fn fates(report: &BudgetReport) -> Option<Chart> {
    let met = || report.fates.iter().filter(|row| row.count > 0);
    let most = met().map(|row| row.count).max()?;
    let rows = met().map(|row| Row {
        name: spaced(row.fate),
        value: count(row.count),
        more: bytes(row.bytes),
        parts: by_cause(report, &row.by_cause, most),
        is_strong: false,
    });
    draw("fates", "What became of the messages, by cause", &rows.collect::<Vec<_>>())
        .map(|chart| chart.colours(cause_key(report)))
}

/// Messages by the phase in which they were sent.
pub fn phases(report: &BudgetReport) -> Option<Chart> {
    let most = report.phases.iter().map(|row| row.messages).max()?;
    let rows = report.phases.iter().map(|row| {
        let seconds = row.duration_us as f64 / 1e6;
        let rate = row.messages as f64 / seconds;
        let rate =
            if seconds > 0.0 { format!("{} a second", number(rate, 1)) } else { String::new() };
        Row {
            name: format!("{}, {}", row.phase, time(row.duration_us as f64)),
            value: count(row.messages),
            more: rate,
            parts: by_cause(report, &row.by_cause, most),
            is_strong: false,
        }
    });
    draw("phases", "When the messages were sent, by cause", &rows.collect::<Vec<_>>())
        .map(|chart| chart.colours(cause_key(report)))
}
