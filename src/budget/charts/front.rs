//! Messages against latency of many profiles, those that none is better than in everything, and the
//! floors.

use super::super::words::{number, time};
use super::curves::Plane;
use super::drawing::{Chart, Symbol, disc, line, tip};
use super::scale::{Scale, Spacing};

/// What a point is, the least important first: the later ones are drawn above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Another one is better in everything.
    Tried,
    /// None is better in everything.
    Front,
    /// The profile that the search began with.
    Base,
    /// The one that was picked.
    Picked,
}

/// A profile.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontPoint {
    /// What it is.
    pub standing: Standing,
    /// Median latency, in microseconds.
    pub latency_us: f64,
    /// Messages per commit.
    pub messages: f64,
    /// The least that its own puts could have cost, if everyone is to notice a dead leader within
    /// its own time; `None` if that is not known.
    pub floor: Option<f64>,
    /// What it shows under the pointer.
    pub told: String,
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontPlot {
    /// The title.
    pub title: String,
    /// The profiles.
    pub points: Vec<FrontPoint>,
    /// Floors that hold for all of them: messages per commit, and what they are.
    pub floors: Vec<(f64, String)>,
}

/// How many times the base profile's latency or messages make a point lie far away.
const FAR: f64 = 3.0;
/// Radius of a point, in pixels.
const RADIUS: f64 = 5.0;

impl Standing {
    /// Its classes, and its words in the legend.
    const fn drawn(self) -> (&'static str, &'static str) {
        match self {
            Standing::Tried => ("fill-reference", "tried"),
            Standing::Front => ("fill-replicate", "none is better in everything"),
            Standing::Base => ("fill-resend", "the base profile"),
            Standing::Picked => ("fill-good", "picked by the weights"),
        }
    }
}

impl FrontPlot {
    /// The points that are drawn: not those that are far from the base profile, which would press
    /// all others together.
    fn near(&self) -> Vec<&FrontPoint> {
        let base = self.points.iter().find(|point| point.standing == Standing::Base);
        let is_near = |point: &&FrontPoint| {
            base.is_none_or(|base| {
                point.latency_us <= FAR * base.latency_us && point.messages <= FAR * base.messages
            })
        };
        let mut points: Vec<&FrontPoint> = self.points.iter().filter(is_near).collect();
        points.sort_by_key(|point| point.standing);
        points
    }

    /// The chart; `None` without a point.
    pub fn chart(&self) -> Option<Chart> {
        let points = self.near();
        let latencies = || points.iter().map(|point| point.latency_us.max(1.0));
        let (least, most) = (latencies().reduce(f64::min)?, latencies().reduce(f64::max)?);
        let heights = points.iter().map(|point| point.messages);
        let heights = heights.chain(self.floors.iter().map(|(messages, _)| *messages));
        let highest = heights.fold(1.0, f64::max);
        let x = Scale::new(Spacing::Logarithm, least * 0.95, most * 1.05);
        let y = Scale::new(Spacing::Linear, 0.0, highest * 1.1);
        let mut plane = Plane::new(x, y, ("median latency", "messages per commit"));
        plane.left_ticks(&y.ticks(5), |messages| number(messages, 1));
        plane.ticks_below(&x.round_values(), time);
        for (messages, told) in &self.floors {
            let height = plane.height(*messages);
            let across = line(("0", height), ("100%", height)).set("class", "dashed stroke-bad");
            plane.panel.add(across.add(tip(format!("{told}: {}", number(*messages, 2)))));
        }
        for point in &points {
            let at = (point.latency_us.max(1.0), point.messages);
            if let Some(floor) = point.floor {
                plane.segment(at, (at.0, floor), "dashed stroke-floor");
                let mark = disc(x.share(at.0), plane.height(floor), RADIUS / 2.0);
                let told = format!("its floor: {}\n{}", number(floor, 2), point.told);
                plane.panel.add(mark.set("class", "own-floor fill-floor").add(tip(told)));
            }
            let mark = disc(x.share(at.0), plane.height(at.1), RADIUS);
            let (class, _) = point.standing.drawn();
            let mark = mark.set("class", format!("mark {class}"));
            plane.panel.add(mark.add(tip(point.told.as_str())));
        }
        let chart = Chart::new("front", self.title.as_str(), vec![plane.panel]);
        Some(chart.signs(self.key()))
    }

    fn key(&self) -> Vec<(Symbol, String, String)> {
        let all = [Standing::Picked, Standing::Base, Standing::Front, Standing::Tried];
        let near = self.near();
        let seen = |standing: &Standing| near.iter().any(|point| point.standing == *standing);
        let points = all.into_iter().filter(seen).map(|standing| {
            let (class, words) = standing.drawn();
            (Symbol::Disc, class.to_owned(), words.to_owned())
        });
        let floor = self.points.iter().any(|point| point.floor.is_some()).then(|| {
            (Symbol::Line, "dashed stroke-floor".to_owned(), "down to its own floor".to_owned())
        });
        let floors = self.floors.iter().map(|(messages, words)| {
            let words = format!("{words}: {}", number(*messages, 2));
            (Symbol::Line, "dashed stroke-bad".to_owned(), words)
        });
        let far = self.points.len() - near.len();
        let far = (far > 0).then(|| {
            let words = format!("not drawn: {far} with over {FAR} times the base's");
            (Symbol::Cross, "stroke-reference".to_owned(), words)
        });
        points.chain(floor).chain(floors).chain(far).collect()
    }
}
