//! Spreads side by side: for each number a panel, and in it a row for each profile with a bar from
//! the tenth to nine tenths and a mark at the median.

use super::drawing::{Chart, Panel, Symbol, bar, disc, text, tip};

/// A number of several profiles.
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadPanel {
    /// What the number is.
    pub title: String,
    /// The profiles.
    pub rows: Vec<SpreadRow>,
}

/// A profile's values.
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadRow {
    /// Its name.
    pub name: String,
    /// A tenth of the values are less.
    pub p10: f64,
    /// The median.
    pub median: f64,
    /// A tenth of the values are more.
    pub p90: f64,
    /// The same in words.
    pub told: String,
}

const ROW: f64 = 30.0;
const HEAD: f64 = 22.0;
const BAR: f64 = 9.0;

/// A chart of these panels, one below the other; `None` without a row.
pub fn spreads(title: &str, panels: &[SpreadPanel]) -> Option<Chart> {
    let drawn: Vec<Panel> =
        panels.iter().filter(|panel| !panel.rows.is_empty()).map(draw).collect();
    let signs = [
        (Symbol::Bar, "fill-accent faint", "from the tenth to nine tenths of the runs"),
        (Symbol::Disc, "fill-accent", "the median"),
    ];
    let signs = signs.map(|(symbol, class, words)| (symbol, class.to_owned(), words.to_owned()));
    (!drawn.is_empty()).then(|| Chart::new("spreads", title, drawn).signs(signs))
}

fn draw(spread: &SpreadPanel) -> Panel {
    let mut panel = Panel::new(0.0, HEAD + spread.rows.len() as f64 * ROW);
    panel.add(text("0", 13.0, &spread.title).set("class", "strong fill-ink"));
    let most = spread.rows.iter().map(|row| row.p90).fold(f64::MIN_POSITIVE, f64::max);
    for (place, row) in spread.rows.iter().enumerate() {
        let y = HEAD + place as f64 * ROW;
        panel.add(text("0", y + 11.0, &row.name).set("class", "fill-ink"));
        panel.add(text("100%", y + 11.0, &row.told).set("class", "end fill-ink"));
        let rail = bar(0.0, 1.0, y + 15.0, BAR);
        panel.add(rail.set("class", "fill-soft"));
        let range = bar(row.p10 / most, row.p90 / most, y + 15.0, BAR);
        let told = || tip(format!("{}\n{}", row.name, row.told));
        panel.add(range.set("class", "mark faint fill-accent").add(told()));
        let middle = disc(row.median / most, y + 15.0 + BAR / 2.0, BAR / 2.0);
        panel.add(middle.set("class", "median fill-accent").add(told()));
    }
    panel
}
