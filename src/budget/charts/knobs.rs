//! Knobs over time: for each knob that the controller of a leader turned, a small panel with a line
//! in steps for each such leader, and a mark for each decision.

use super::super::report::{BudgetReport, DecisionRow};
use super::super::words::{knob_value, limit as knob_in_words, moment};
use super::drawing::{Chart, Panel, Symbol, disc, line, text, tip};
use super::scale::{Scale, Spacing};
use super::seconds::{at, leaderships, life_end, ticks};
use crate::raft::Member;
use crate::record::Knob;

const MARGIN: f64 = 82.0;
const HEAD: f64 = 22.0;
const HEIGHT: f64 = 44.0;
/// Height below a knob's area, in pixels.
const GAP: f64 = 12.0;
/// Height below the last area, for the labels of its axis, in pixels.
const BELOW: f64 = 24.0;

const WHILE_LEADING: &str = "thick stroke-accent";
const OTHERWISE: &str = "dashed stroke-quiet";

/// The chart.
pub fn knobs(report: &BudgetReport) -> Option<Chart> {
    let end = (report.run.duration_us as f64 / 1e6).max(report.seconds.len() as f64);
    let x = Scale::new(Spacing::Linear, 0.0, end);
    let of_knob = |knob: &Knob| {
        let rows = report.decisions.iter().filter(|row| row.led && row.knob == knob.name());
        (*knob, rows.collect::<Vec<_>>())
    };
    let turned = Knob::ALL.iter().map(of_knob).filter(|(_, rows)| !rows.is_empty());
    let turned: Vec<_> = turned.collect();
    let last = turned.last()?.0;
    let draw = |(knob, rows)| {
        let below = if knob == last { BELOW } else { GAP };
        let mut panel = KnobPanel::new(knob, rows, x, below).drawn(report);
        if knob == last {
            panel.ticks_below(HEAD + HEIGHT, &ticks(x));
        }
        panel
    };
    let panels = turned.into_iter().map(draw).collect();
    let signs = [
        (Symbol::Line, WHILE_LEADING, "the knob of a replica that leads"),
        (Symbol::Line, OTHERWISE, "before and after it leads"),
        (Symbol::Disc, "fill-accent", "a decision"),
    ];
    let signs = signs.map(|(symbol, class, words)| (symbol, class.to_owned(), words.to_owned()));
    Some(Chart::new("knobs", "Knobs over time, as the controller set them", panels).signs(signs))
}

/// The panel of a knob.
struct KnobPanel<'a> {
    knob: Knob,
    rows: Vec<&'a DecisionRow>,
    panel: Panel,
    x: Scale,
    y: Scale,
}

impl<'a> KnobPanel<'a> {
    /// A panel for decisions of one knob, at least one, by time. It has `below` pixels of room
    /// under its area.
    fn new(knob: Knob, rows: Vec<&'a DecisionRow>, x: Scale, below: f64) -> KnobPanel<'a> {
        let values = rows.iter().flat_map(|row| [&row.before, &row.after]);
        let values: Vec<u64> = values.map(|value| knob.to_number(value)).collect();
        let least = values.iter().copied().min().unwrap_or_default();
        let most = values.iter().copied().max().unwrap_or_default();
        let mut panel = Panel::new(MARGIN, HEAD + HEIGHT + below);
        let y = Scale::new(Spacing::Linear, least as f64, most as f64);
        panel.add(text("0", 13.0, &knob_in_words(knob.name())).set("class", "strong fill-ink"));
        for value in [least, most] {
            let y = height(y, value);
            panel.label(y, &knob_value(knob.name(), &knob.of_number(value)));
            panel.rule(y);
        }
        KnobPanel { knob, rows, panel, x, y }
    }

    fn drawn(mut self, report: &BudgetReport) -> Panel {
        let mut members: Vec<u8> = self.rows.iter().map(|row| row.member).collect();
        members.sort_unstable();
        members.dedup();
        for member in members {
            self.draw_steps(member, (0, life_end(report, member)), OTHERWISE);
            for led in leaderships(report).filter(|led| led.member == member) {
                self.draw_steps(member, (led.from, led.to), WHILE_LEADING);
            }
        }
        for row in &self.rows {
            let y = height(self.y, self.knob.to_number(&row.after));
            let mark = disc(self.x.share(at(row.at_us)), y, 3.5).set("class", "mark fill-accent");
            self.panel.add(mark.add(tip(told(row))));
        }
        self.panel
    }

    /// Draws the part of a replica's line that is between two times.
    fn draw_steps(&mut self, member: u8, (from, to): (u64, u64), class: &str) {
        let own: Vec<&DecisionRow> =
            self.rows.iter().copied().filter(|row| row.member == member).collect();
        let Some(first) = own.first() else {
            return;
        };
        let mut value = self.knob.to_number(&first.before);
        let mut since = 0;
        for row in own {
            self.across((since.max(from), row.at_us.min(to)), value, class);
            let after = self.knob.to_number(&row.after);
            if (from..=to).contains(&row.at_us) {
                let before = self.knob.to_number(&row.before);
                let x = self.x.percent(at(row.at_us));
                let ends = [before, after].map(|value| height(self.y, value));
                self.panel.add(line((&x, ends[0]), (&x, ends[1])).set("class", class));
            }
            (value, since) = (after, row.at_us);
        }
        self.across((since.max(from), to), value, class);
    }

    /// A line at `value` between two times, if the first is the earlier one.
    fn across(&mut self, (from, to): (u64, u64), value: u64, class: &str) {
        if from < to {
            let [x1, x2] = [from, to].map(|time| self.x.percent(at(time)));
            let y = height(self.y, value);
            self.panel.add(line((&x1, y), (&x2, y)).set("class", class));
        }
    }
}

/// The height of a value, in pixels from the top of its panel.
fn height(y: Scale, value: u64) -> f64 {
    HEAD + HEIGHT * (1.0 - y.share(value as f64))
}

fn told(row: &DecisionRow) -> String {
    let [before, after] = [&row.before, &row.after].map(|value| knob_value(row.knob, value));
    let (who, knob, when) = (Member(row.member), knob_in_words(row.knob), moment(row.at_us));
    format!("{when}: {who} turns {knob}\nfrom {before} to {after}\n{}", row.because)
}
