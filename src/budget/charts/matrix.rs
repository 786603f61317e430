//! How many messages each replica sent to each other one.

use super::super::report::{BudgetReport, LinkRow};
use super::super::words::{bytes, count, number};
use super::drawing::{Chart, Panel, bar, text, tip};
use super::scale::percent;
use crate::raft::Member;

const MARGIN: f64 = 52.0;
const ABOVE: f64 = 36.0;
/// Number of shades. Each stands for a fifth of the largest value.
const SHADES: usize = 5;

/// The chart: one cell for each link, darker for more messages.
pub fn matrix(report: &BudgetReport) -> Option<Chart> {
    let most = report.links.iter().map(|link| link.sent).max()?.max(1);
    let replicas = report.run.replicas;
    let is_large = replicas > 9;
    let side = if is_large { 17.0 } else { 34.0 };
    let mut panel = Panel::new(MARGIN, ABOVE + side * replicas as f64);
    panel.add(text("0", 12.0, "receiver →").set("dx", 6).set("class", "fill-quiet"));
    panel.add_to_axis(text("0", 12.0, "sender ↓").set("class", "fill-quiet"));
    let middle = |rank: u8| (f64::from(rank) + 0.5) / replicas as f64;
    let top = |rank: u8| ABOVE + f64::from(rank) * side;
    for rank in (0..replicas as u8).filter(|rank| !is_large || rank % 5 == 0) {
        panel.label(top(rank) + side / 2.0, &Member(rank).to_string());
        let words = text(&percent(middle(rank)), 28.0, &Member(rank).to_string());
        panel.add(words.set("class", "middle fill-quiet"));
    }
    for link in &report.links {
        let share = link.sent as f64 / most as f64;
        let half = 0.47 / replicas as f64;
        let (from, to) = (middle(link.to) - half, middle(link.to) + half);
        let y = top(link.from) + 1.0;
        let back = bar(from, to, y, side - 2.0).set("class", "fill-soft");
        panel.add(back);
        let cell = bar(from, to, y, side - 2.0).set("fill-opacity", number(shade(share), 2));
        panel.add(cell.set("class", "mark fill-accent").add(tip(told(link))));
        if !is_large {
            let x = percent(middle(link.to));
            let colour = if shade(share) > 0.6 { "on-accent" } else { "ink" };
            let words = text(&x, top(link.from) + side / 2.0 + 4.0, &count(link.sent));
            panel.add(words.set("class", format!("middle aside fill-{colour}")));
        }
    }
    Some(Chart::new("matrix", "Messages sent, by sender and receiver", vec![panel, scale(most)]))
}

/// The shade in steps, so that it can be compared with the scale below.
fn shade(share: f64) -> f64 {
    if share == 0.0 { 0.0 } else { (share * SHADES as f64).ceil() / SHADES as f64 }
}

fn scale(most: u64) -> Panel {
    let mut panel = Panel::new(MARGIN, 36.0);
    for step in 1..=SHADES {
        let share = |step: usize| step as f64 / SHADES as f64;
        let (from, to) = (share(step - 1), share(step));
        panel.add(bar(from, to, 6.0, 10.0).set("class", "fill-soft"));
        let shade = bar(from, to, 6.0, 10.0).set("fill-opacity", number(share(step), 2));
        panel.add(shade.set("class", "fill-accent"));
        let words = text(&percent(to), 30.0, &count((share(step) * most as f64) as u64));
        panel.add(words.set("class", "scale end fill-quiet"));
    }
    panel.add(text("0", 30.0, "0").set("class", "fill-quiet"));
    panel
}

fn told(link: &LinkRow) -> String {
    format!(
        "{} to {}\nsent {}, {}\ncounted {}, received {}\nunread {}, lost {}",
        Member(link.from),
        Member(link.to),
        count(link.sent),
        bytes(link.bytes),
        count(link.counted),
        count(link.received),
        count(link.unread),
        count(link.lost)
    )
}
