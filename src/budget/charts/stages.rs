//! Stages of requests. Each has a row of its own, which begins where the one above ends.

use super::super::report::BudgetReport;
use super::super::words::{count, counted, time};
use super::drawing::{Chart, Panel, bar, text, tip};
use super::palette;
use super::scale::{Scale, Spacing, percent};

const MARGIN: f64 = 86.0;
const ROW: f64 = 19.0;
const ABOVE: f64 = 24.0;
const BELOW: f64 = 26.0;
/// The share of the area that bars may take. The time of the last stage is written beside its bar.
const FULL: f64 = 0.78;

struct Stage {
    name: String,
    lasted_us: f64,
    told: String,
}

/// A panel with the rows of `stages` below `title`.
fn panel(title: &str, stages: &[Stage], class: &str) -> Panel {
    let whole: f64 = stages.iter().map(|stage| stage.lasted_us).sum();
    let bottom = ABOVE + ROW * stages.len() as f64;
    let mut panel = Panel::new(MARGIN, bottom + BELOW);
    panel.add_to_axis(text("0", 14.0, title).set("class", "strong fill-ink"));
    let scale = Scale::new(Spacing::Linear, 0.0, whole.max(1.0));
    let ticks = scale.ticks(3).into_iter().map(|tick| (scale.share(tick) * FULL, time(tick)));
    panel.ticks_below(bottom, &ticks.collect::<Vec<_>>());
    let mut reached = 0.0;
    for (place, stage) in stages.iter().enumerate() {
        let y = ABOVE + ROW * place as f64;
        panel.label(y + ROW / 2.0, &stage.name);
        let from = scale.share(reached) * FULL;
        reached += stage.lasted_us;
        let to = scale.share(reached) * FULL;
        if stage.lasted_us > 0.0 {
            let colour = palette::stage(&stage.name);
            let mark = bar(from, to, y + 2.0, ROW - 4.0).add(tip(stage.told.as_str()));
            panel.add(mark.set("class", format!("{class} fill-{colour}")));
        }
        let words =
            text(&percent(to.max(from + 0.002)), y + ROW / 2.0 + 4.0, &time(stage.lasted_us));
        panel.add(words.set("dx", 5).set("class", "fill-ink"));
    }
    panel
}

/// The mean time of answered requests, for each kind.
pub fn latency(report: &BudgetReport) -> Option<Chart> {
    let panels = report.latency.iter().map(|row| {
        let mean = time(row.total.mean_us);
        let requests = counted(row.count, "request", "requests");
        let stages = row.stages.iter().map(|stage| Stage {
            name: stage.stage.clone(),
            lasted_us: stage.time.mean_us,
            told: format!(
                "{}: mean {}, p99 {}",
                stage.stage,
                time(stage.time.mean_us),
                time(stage.time.p99_us as f64)
            ),
        });
        let title = format!("{} · {requests} · mean {mean}", row.kind);
        panel(&title, &stages.collect::<Vec<_>>(), "mark")
    });
    let panels: Vec<Panel> = panels.collect();
    let title = "Mean time of answered requests, stage by stage";
    (!panels.is_empty()).then(|| Chart::new("latency", title, panels))
}

/// The request at the 99th percentile.
pub fn story(report: &BudgetReport) -> Option<Chart> {
    let story = report.story.as_ref()?;
    let stages = story.stages.iter().filter(|(_, lasted)| *lasted != 0);
    let stages = stages.map(|(name, lasted)| Stage {
        name: name.clone(),
        lasted_us: *lasted as f64,
        told: format!("{name}: {} µs", count(*lasted as u64)),
    });
    let title = format!("The request at the 99th percentile: {}", time(story.latency_us as f64));
    let stages: Vec<Stage> = stages.collect();
    Some(Chart::new("story", title.clone(), vec![panel(&title, &stages, "mark")]))
}
