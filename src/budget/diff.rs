//! What changed from one run to another, by cause. Sentences come first.

use serde::Serialize;

use super::document::{Block, Table, two};
use super::report::{BudgetReport, SCHEMA};

/// The difference between two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Version of the schema, which is the report's.
    pub schema: u32,
    /// From when on the second run differs, in microseconds, where it is the first one with other
    /// knobs from there; otherwise absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forked_at_us: Option<u64>,
    /// The changes in sentences, largest first.
    pub words: Vec<String>,
    /// Messages by the cause that they are charged to, largest change first. The last row is the
    /// sum.
    pub causes: Vec<DifferenceRow>,
    /// Messages per commit, messages per read, idle messages per second, and latency, of both runs.
    pub figures: Vec<DifferenceRow>,
}

/// One number in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DifferenceRow {
    /// The number's name.
    pub name: String,
    /// Its value in the first run.
    pub before: Option<f64>,
    /// Its value in the second run.
    pub after: Option<f64>,
}

impl DifferenceRow {
    fn change(&self) -> f64 {
        self.after.unwrap_or_default() - self.before.unwrap_or_default()
    }

    /// The change as text: `replicate -309 (-25.0 %)`.
    fn words(&self) -> String {
        let change = self.change();
        let before = self.before.unwrap_or_default();
        if before == 0.0 {
            format!("{} {change:+.0} (from none)", self.name)
        } else {
            format!("{} {change:+.0} ({:+.1} %)", self.name, change * 100.0 / before)
        }
    }
}

/// What changed from `before` to `after`.
pub fn diff(before: &BudgetReport, after: &BudgetReport) -> Difference {
    let mut causes: Vec<DifferenceRow> = before
        .causes
        .iter()
        .map(|cause| row(cause, Some(charged(before, cause)), Some(charged(after, cause))))
        .collect();
    causes.sort_by(|one, other| other.change().abs().total_cmp(&one.change().abs()));
    causes.retain(|row| row.before != Some(0.0) || row.after != Some(0.0));
    let all = |report: &BudgetReport| Some(report.run.messages as f64);
    causes.push(row("all", all(before), all(after)));
    let mut figures: Vec<DifferenceRow> = before
        .figures
        .iter()
        .zip(&after.figures)
        .map(|(one, other)| row(one.title, one.value, other.value))
        .collect();
    let latency = |report: &BudgetReport| report.latency.first().map(|row| row.total);
    let (one, other) = (latency(before), latency(after));
    let median = |total: super::report::Distribution| total.p50_us as f64;
    let late = |total: super::report::Distribution| total.p99_us as f64;
    figures.push(row("Median latency, µs", one.map(median), other.map(median)));
    figures.push(row("99th percentile, µs", one.map(late), other.map(late)));
    let words = words(before, after, &causes, &figures);
    Difference { schema: SCHEMA, forked_at_us: None, words, causes, figures }
}

fn row(name: &str, before: Option<f64>, after: Option<f64>) -> DifferenceRow {
    DifferenceRow { name: name.to_owned(), before, after }
}

fn charged(report: &BudgetReport, cause: &str) -> f64 {
    let rows = report.table.iter().filter(|row| row.cause == cause);
    rows.map(|row| row.count).sum::<u64>() as f64
}

fn words(
    before: &BudgetReport,
    after: &BudgetReport,
    causes: &[DifferenceRow],
    figures: &[DifferenceRow],
) -> Vec<String> {
    let changed: Vec<&DifferenceRow> = causes.iter().filter(|row| row.change() != 0.0).collect();
    let same_figures = figures.iter().all(|row| row.before == row.after);
    if changed.is_empty() && same_figures {
        return vec!["No difference.".to_owned()];
    }
    let mut words = Vec::new();
    let by_cause: Vec<String> =
        changed.iter().filter(|row| row.name != "all").map(|row| row.words()).collect();
    if let Some(all) = causes.last() {
        let by_cause =
            if by_cause.is_empty() { "no cause changed".to_owned() } else { by_cause.join(", ") };
        words.push(format!("Messages: {by_cause}; {}.", all.words()));
    }
    let (one, other) = (&before.run, &after.run);
    if (&one.scenario, one.seed) != (&other.scenario, other.seed) {
        words.push(format!(
            "They are runs of different kinds: {} seed {} and {} seed {}.",
            one.scenario, one.seed, other.scenario, other.seed
        ));
    }
    if one.puts != other.puts {
        words.push(format!("Puts: {} and {}; compare the figures a put.", one.puts, other.puts));
    }
    words
}

impl Difference {
    /// As headings, sentences and tables.
    pub fn document(&self) -> Vec<Block> {
        let mut blocks = vec![Block::Heading("What changed".to_owned())];
        blocks.extend(self.words.iter().cloned().map(Block::Paragraph));
        blocks.push(table("cause", &self.causes, |value| format!("{value:.0}")));
        blocks.push(table("figure", &self.figures, two));
        blocks
    }
}

fn table(what: &'static str, rows: &[DifferenceRow], show: impl Fn(f64) -> String) -> Block {
    let cell = |value: Option<f64>| value.map_or("-".to_owned(), &show);
    let rows = rows.iter().map(|row| {
        let both = row.before.is_some() && row.after.is_some();
        let change = cell(Some(row.change()).filter(|_| both));
        vec![row.name.clone(), cell(row.before), cell(row.after), change]
    });
    Block::Table(Table {
        head: vec![what, "before", "after", "change"],
        rows: rows.collect(),
        left: 1,
        bars: None,
    })
}
