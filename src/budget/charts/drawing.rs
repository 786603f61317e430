//! What charts are drawn with. A chart is a column of panels. Each panel is an axis of fixed width
//! and beside it an area whose horizontal coordinates are percent. So the same drawing fits every
//! width, and no text is scaled. All text goes into text nodes, never into attributes.

use svg::Node;
use svg::node::element::{Circle, Group, Line, Path, Rectangle, SVG, Text, Title};

use super::palette;
use super::scale::{coordinate, percent};

/// A chart.
#[derive(Debug)]
pub struct Chart {
    /// The chart's name on the command line and in the page.
    pub name: &'static str,
    /// The chart's title.
    pub title: String,
    /// The legend of its colours and symbols.
    key: Vec<KeyEntry>,
    panels: Vec<Panel>,
}

#[derive(Debug)]
struct KeyEntry {
    symbol: Symbol,
    class: String,
    density: f64,
    text: String,
}

/// A symbol at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// A filled square, for a colour.
    Square,
    /// A thick bar along the row.
    Bar,
    /// A line along the row.
    Line,
    /// A triangle.
    Triangle,
    /// A diamond.
    Diamond,
    /// A cross.
    Cross,
    /// A bar across all rows.
    Across,
    /// A disc.
    Disc,
}

/// A part of a chart: an axis at the left and the area beside it.
#[derive(Debug)]
pub struct Panel {
    margin: f64,
    height: f64,
    axis: Group,
    room: Group,
}

/// Width of a standalone picture, in pixels.
const WIDTH: f64 = 760.0;
/// Margin around a standalone picture, in pixels.
const PADDING: f64 = 16.0;
/// How far something may reach beyond the area's right edge, in pixels: half of a tick's label.
const OVERHANG: f64 = 16.0;
/// Height of a line of the legend, and width of a letter in it, in pixels.
const KEY_LINE: f64 = 20.0;
const LETTER: f64 = 6.6;

/// The style of text and lines in charts, for pages and pictures.
pub const STYLE: &str = include_str!("../assets/charts.css");

impl Chart {
    /// A chart of these panels, one below the other.
    pub fn new(name: &'static str, title: impl Into<String>, panels: Vec<Panel>) -> Chart {
        Chart { name, title: title.into(), key: Vec::new(), panels }
    }

    /// Adds a legend of colours: class and text.
    pub fn colours(mut self, entries: impl IntoIterator<Item = (String, String)>) -> Chart {
        let entry = |(colour, text)| (Symbol::Square, format!("fill-{colour}"), text);
        self = self.signs(entries.into_iter().map(entry));
        self
    }

    /// Adds a legend of symbols: symbol, class and text.
    pub fn signs(mut self, entries: impl IntoIterator<Item = (Symbol, String, String)>) -> Chart {
        let entry = |(symbol, class, text)| KeyEntry { symbol, class, density: 1.0, text };
        self.key.extend(entries.into_iter().map(entry));
        self
    }

    /// Adds a legend of shades, which any colour can have: density and text.
    pub fn shades(mut self, entries: impl IntoIterator<Item = (f64, String)>) -> Chart {
        let class = || "fill-ink".to_owned();
        let entry =
            |(density, text)| KeyEntry { symbol: Symbol::Square, class: class(), density, text };
        self.key.extend(entries.into_iter().map(entry));
        self
    }

    /// The chart for a page that has the style already. It takes the page's width.
    pub fn html(&self) -> String {
        let key: String = self
            .key
            .iter()
            .map(|entry| {
                let mut picture = bare(Group::new());
                picture.append(entry.drawn(0.0, 12.0));
                let picture = picture.set("width", 18).set("height", 14);
                let text = svg::node::Text::new(entry.text.as_str());
                format!("<span>{picture}{text}</span>")
            })
            .collect();
        let key = if key.is_empty() { key } else { format!("<div class=\"legend\">{key}</div>") };
        let panels: String = self
            .panels
            .iter()
            .map(|panel| {
                let height = coordinate(panel.height);
                let room = bare(panel.room.clone()).set("height", height.as_str());
                let room = room.set("class", "room");
                let axis = bare(panel.axis.clone()).set("height", height.as_str());
                let axis = axis.set("width", coordinate(panel.margin));
                format!("<div class=\"panel\">{axis}{room}</div>")
            })
            .collect();
        format!("<figure data-chart=\"{}\">{key}{panels}</figure>", self.name)
    }

    /// The chart as a standalone picture, with its title and its colours.
    pub fn picture(&self) -> String {
        let width = WIDTH - 2.0 * PADDING;
        let mut drawing = Group::new();
        let title = text("0", 14.0, &self.title).set("class", "title fill-ink");
        drawing.append(title);
        let mut y = 30.0;
        for panel in &self.panels {
            let room = (width - panel.margin - OVERHANG).max(0.0);
            for (x, width, part) in
                [(0.0, panel.margin, &panel.axis), (panel.margin, room, &panel.room)]
            {
                let part = bare(part.clone()).set("x", coordinate(x)).set("y", coordinate(y));
                let height = coordinate(panel.height);
                drawing.append(part.set("width", coordinate(width)).set("height", height));
            }
            y += panel.height + 6.0;
        }
        y += self.draw_key(&mut drawing, y, width);
        let height = y + 2.0 * PADDING;
        let drawing = drawing.set("transform", format!("translate({PADDING} {PADDING})"));
        let style = format!("{STYLE}{}", palette::of_picture(&drawing.to_string()));
        let background = Rectangle::new().set("width", "100%").set("height", "100%");
        let picture = SVG::new()
            .set("viewBox", format!("0 0 {WIDTH} {}", coordinate(height)))
            .set("width", WIDTH)
            .set("height", coordinate(height))
            .set("role", "img")
            .add(Title::new(self.title.as_str()))
            .add(svg::node::element::Style::new(format!("{style}{ALONE}")))
            .add(background.set("class", "background"))
            .add(drawing);
        format!("{picture}\n")
    }

    /// Draws the legend at the height `y`. Returns its height.
    fn draw_key(&self, drawing: &mut Group, y: f64, width: f64) -> f64 {
        let (mut x, mut line) = (0.0, 0.0);
        for entry in &self.key {
            let room = 22.0 + LETTER * entry.text.chars().count() as f64 + 14.0;
            if x > 0.0 && x + room > width {
                (x, line) = (0.0, line + 1.0);
            }
            let height = y + line * KEY_LINE;
            drawing.append(entry.drawn(x, height + 12.0));
            let words = text(&coordinate(x + 22.0), height + 12.0, &entry.text);
            drawing.append(words.set("class", "fill-quiet"));
            x += room;
        }
        if self.key.is_empty() { 0.0 } else { (line + 1.0) * KEY_LINE }
    }
}

/// The style that a standalone picture has in addition to the page's.
const ALONE: &str = ".background { fill: #ffffff; }
@media (prefers-color-scheme: dark) { .background { fill: #181c22; } }
";

impl KeyEntry {
    fn drawn(&self, x: f64, baseline: f64) -> Group {
        let sign = self.symbol.drawn(&self.class);
        let place = format!("translate({} {})", coordinate(x + 8.0), coordinate(baseline - 4.0));
        let drawn = Group::new().set("transform", place).add(sign);
        if self.density < 1.0 { drawn.set("fill-opacity", self.density) } else { drawn }
    }
}

impl Symbol {
    /// The symbol, drawn around the origin.
    fn drawn(self, class: &str) -> Path {
        let path = match self {
            Symbol::Square => "M-6-6h12v12h-12z",
            Symbol::Bar => "M-8-4h16v8h-16z",
            Symbol::Line => "M-8 0h16",
            Symbol::Triangle => "M0-6L5.5 4.5H-5.5z",
            Symbol::Diamond => "M0-6L5 0L0 6L-5 0z",
            Symbol::Cross => "M-4.5-4.5L4.5 4.5M-4.5 4.5L4.5-4.5",
            Symbol::Across => "M0-7V7",
            Symbol::Disc => "M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0",
        };
        Path::new().set("d", path).set("class", format!("sign {class}"))
    }

    /// The symbol at the share `x` of the width.
    pub fn at(self, x: f64, y: f64, class: &str) -> SVG {
        let place = bare(Group::new()).set("x", percent(x)).set("y", coordinate(y));
        place.add(self.drawn(class))
    }
}

impl Panel {
    /// A panel of this height, with an axis as wide as `margin`.
    pub fn new(margin: f64, height: f64) -> Panel {
        Panel { margin, height, axis: Group::new(), room: Group::new() }
    }

    /// Adds to the axis, whose coordinates are pixels.
    pub fn add_to_axis(&mut self, node: impl Into<Box<dyn Node>>) {
        self.axis.append(node);
    }

    /// Adds to the area, whose horizontal coordinates are percent.
    pub fn add(&mut self, node: impl Into<Box<dyn Node>>) {
        self.room.append(node);
    }

    /// A label of the axis for the height `y`.
    pub fn label(&mut self, y: f64, words: &str) {
        let x = coordinate(self.margin - 8.0);
        self.axis.append(text(&x, y + 4.0, words).set("class", "end fill-quiet"));
    }

    /// A line across the area at the height `y`.
    pub fn rule(&mut self, y: f64) {
        let line = line(("0", y), ("100%", y)).set("class", "stroke-line");
        self.room.append(line);
    }

    /// Ticks below the height `y`, each at a share of the width, with words. Where there is little
    /// room, every second one is hidden.
    pub fn ticks_below(&mut self, y: f64, ticks: &[(f64, String)]) {
        for (place, (x, words)) in ticks.iter().enumerate() {
            let x = percent(*x);
            let tick = line((x.as_str(), y), (x.as_str(), y + 4.0)).set("class", "stroke-line");
            self.room.append(tick);
            let class = if place % 2 == 1 && ticks.len() > 4 { " roomy" } else { "" };
            let words = text(&x, y + 16.0, words);
            self.room.append(words.set("class", format!("middle fill-quiet{class}")));
        }
    }
}

/// An SVG element with coordinates of its own, or with parts that may reach outside. It is always
/// inside another SVG element or in HTML, so it needs no namespace.
fn bare(content: Group) -> SVG {
    let mut element = SVG::new().set("overflow", "visible").add(content);
    if let Some(attributes) = Node::get_attributes_mut(&mut element) {
        attributes.remove("xmlns");
    }
    element
}

/// A rectangle from the share `from` to `to` of the width. It has a least width, so that it can be
/// seen.
pub fn bar(from: f64, to: f64, y: f64, height: f64) -> Rectangle {
    Rectangle::new()
        .set("x", percent(from))
        .set("width", percent((to - from).max(0.002)))
        .set("y", coordinate(y))
        .set("height", coordinate(height.max(0.5)))
}

/// A line between points. Their first coordinates are attributes: percent, or pixels.
pub fn line(from: (&str, f64), to: (&str, f64)) -> Line {
    Line::new()
        .set("x1", from.0)
        .set("y1", coordinate(from.1))
        .set("x2", to.0)
        .set("y2", coordinate(to.1))
}

/// A disc.
pub fn disc(x: f64, y: f64, radius: f64) -> Circle {
    Circle::new().set("cx", percent(x)).set("cy", coordinate(y)).set("r", coordinate(radius))
}

/// Words whose baseline is at `y`.
pub fn text(x: &str, y: f64, words: &str) -> Text {
    Text::new(words).set("x", x).set("y", coordinate(y))
}

/// What a mark shows under the pointer.
pub fn tip(words: impl Into<String>) -> Title {
    Title::new(words)
}
