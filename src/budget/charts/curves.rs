//! Charts of points and curves: messages against delay, and the effect of a linger.

use super::super::report::{BudgetReport, LingerPoint};
use super::super::words::{count, counted, number, time};
use super::drawing::{Chart, Panel, Symbol, disc, line, text, tip};
use super::scale::{Scale, Spacing};

const MARGIN: f64 = 54.0;
const HEIGHT: f64 = 220.0;
const ABOVE: f64 = 24.0;
const BELOW: f64 = 40.0;
/// Radius of the largest disc, in pixels.
const RADIUS: f64 = 15.0;
/// With more delays than this, an even scale would squeeze the first few, which matter most.
const MOST_EVEN_DELAYS: f64 = 8.0;

/// A panel with both axes.
pub(super) struct Plane {
    /// Where marks are added.
    pub panel: Panel,
    x: Scale,
    y: Scale,
}

impl Plane {
    /// Scales across and upwards, and what they stand for.
    pub fn new(x: Scale, y: Scale, words: (&str, &str)) -> Plane {
        let mut plane = Plane { panel: Panel::new(MARGIN, ABOVE + HEIGHT + BELOW), x, y };
        plane
            .panel
            .add_to_axis(text("0", 12.0, &format!("↑ {}", words.1)).set("class", "fill-quiet"));
        let below = text("100%", ABOVE + HEIGHT + 34.0, &format!("{} →", words.0));
        plane.panel.add(below.set("class", "end fill-quiet"));
        plane
    }

    /// The height of `value`, in pixels from the top.
    pub fn height(&self, value: f64) -> f64 {
        ABOVE + HEIGHT * (1.0 - self.y.share(value))
    }

    /// Ticks of the scale upwards, each with a line across.
    pub fn left_ticks(&mut self, ticks: &[f64], label: impl Fn(f64) -> String) {
        for tick in ticks {
            let y = self.height(*tick);
            self.panel.label(y, &label(*tick));
            self.panel.rule(y);
        }
    }

    /// Ticks of the scale across.
    pub fn ticks_below(&mut self, ticks: &[f64], label: impl Fn(f64) -> String) {
        let ticks: Vec<_> = ticks.iter().map(|tick| (self.x.share(*tick), label(*tick))).collect();
        self.panel.ticks_below(ABOVE + HEIGHT, &ticks);
    }

    /// A straight line between two points.
    pub fn segment(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let [x1, x2] = [from.0, to.0].map(|x| self.x.percent(x));
        let segment = line((&x1, self.height(from.1)), (&x2, self.height(to.1)));
        self.panel.add(segment.set("class", class));
    }
}

/// Messages of a batch against the hops until its commit, with the floor.
pub fn trade_off(report: &BudgetReport) -> Option<Chart> {
    let trade = &report.trade_off;
    let last = trade.floor.last()?;
    let furthest = trade.points.iter().map(|point| point.0).chain([last.0]).max()? as f64;
    let least = trade.points.iter().map(|point| point.0).min().unwrap_or(2).min(2) as f64;
    let first = trade.floor.first()?;
    let highest = trade.points.iter().map(|point| point.1).chain([first.1]).max()? as f64;
    let far = furthest > MOST_EVEN_DELAYS;
    let spacing = if far { Spacing::Logarithm } else { Spacing::Linear };
    let (from, to) =
        if far { (least * 0.85, furthest * 1.15) } else { (least - 0.5, furthest + 0.5) };
    let x = Scale::new(spacing, from, to);
    let y = Scale::new(Spacing::Linear, 0.0, highest * 1.12);
    let mut plane = Plane::new(x, y, ("one-way delays (hops) to the commit", "messages a batch"));
    let whole = |ticks: Vec<f64>| ticks.into_iter().filter(|tick| tick.fract() == 0.0).collect();
    let ticks: Vec<f64> = whole(y.ticks(6));
    plane.left_ticks(&ticks, |messages| count(messages as u64));
    let hops = (least as u64..=furthest as u64).map(|hops| hops as f64);
    let shown =
        |hops: &f64| !far || [2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 16.0, 24.0, 40.0].contains(hops);
    plane.ticks_below(&hops.filter(shown).collect::<Vec<_>>(), |hops| count(hops as u64));
    let many = trade.points.iter().map(|point| point.2).max().unwrap_or(1) as f64;
    for (hops, messages, batches) in &trade.points {
        let radius = 2.5 + (RADIUS - 2.5) * (*batches as f64 / many).sqrt();
        let point = disc(x.share(*hops as f64), plane.height(*messages as f64), radius);
        let told = format!(
            "{}\n{} each, {} to the commit",
            counted(*batches, "batch", "batches"),
            counted(*messages, "message", "messages"),
            counted(*hops, "hop", "hops")
        );
        plane
            .panel
            .add(point.set("class", "mark faint fill-replicate stroke-replicate").add(tip(told)));
    }
    let steps = trade.floor.iter().map(|(delays, messages)| (*delays as f64, *messages as f64));
    let steps: Vec<(f64, f64)> = steps.chain([(to, last.1 as f64)]).collect();
    for pair in steps.windows(2) {
        plane.segment(pair[0], (pair[1].0, pair[0].1), "thick stroke-ink");
        plane.segment((pair[1].0, pair[0].1), pair[1], "thick stroke-ink");
    }
    for (delays, messages) in &trade.floor {
        let point = disc(x.share(*delays as f64), plane.height(*messages as f64), 4.0);
        let told = format!("floor: {messages} messages within {delays} delays");
        plane.panel.add(point.set("class", "floor fill-ink").add(tip(told)));
    }
    let signs = [
        (
            Symbol::Disc,
            "faint fill-replicate stroke-replicate",
            "batches, as many as the disc is large",
        ),
        (Symbol::Line, "stroke-ink", "the provable floor"),
    ];
    let signs = signs.map(|(symbol, class, words)| (symbol, class.to_owned(), words.to_owned()));
    Some(Chart::new("trade_off", "Messages against delay", vec![plane.panel]).signs(signs))
}

/// Messages that a longer linger would have saved.
pub fn linger_saved(report: &BudgetReport) -> Option<Chart> {
    let title = "Messages that a longer linger would save";
    linger(report, ("linger_saved", title), |point| point.messages_saved, |saved| number(saved, 0))
}

/// The wait that a longer linger would have added to a put.
pub fn linger_wait(report: &BudgetReport) -> Option<Chart> {
    let title = "Mean wait that it adds to a put";
    linger(report, ("linger_wait", title), |point| point.added_wait_us, time)
}

fn linger(
    report: &BudgetReport,
    (name, title): (&'static str, &str),
    value: fn(&LingerPoint) -> f64,
    label: fn(f64) -> String,
) -> Option<Chart> {
    let points = &report.linger;
    let longest = points.last()?.linger_us as f64;
    let most = points.iter().map(value).fold(1.0, f64::max);
    let x = Scale::new(Spacing::Root, 0.0, longest);
    let y = Scale::new(Spacing::Linear, 0.0, most * 1.08);
    let above = if name == "linger_saved" { "messages saved" } else { "added wait" };
    let mut plane = Plane::new(x, y, ("linger", above));
    plane.left_ticks(&y.ticks(4), label);
    let mut ticks: Vec<f64> = Vec::new();
    for point in points {
        let tick = point.linger_us as f64;
        if ticks.last().is_none_or(|last| x.share(tick) - x.share(*last) > 0.12) {
            ticks.push(tick);
        }
    }
    plane.ticks_below(&ticks, time);
    for pair in points.windows(2) {
        let [from, to] = [&pair[0], &pair[1]].map(|point| (point.linger_us as f64, value(point)));
        plane.segment(from, to, "thick stroke-accent");
    }
    for point in points {
        let mark = disc(x.share(point.linger_us as f64), plane.height(value(point)), 4.0);
        let told = format!(
            "linger {}\n{}\n{} messages saved\n{} added to a put",
            time(point.linger_us as f64),
            counted(point.batches, "batch", "batches"),
            number(point.messages_saved, 0),
            time(point.added_wait_us)
        );
        plane.panel.add(mark.set("class", "mark fill-accent").add(tip(told)));
    }
    Some(Chart::new(name, title, vec![plane.panel]))
}
