//! A report as headings, sentences, tables and lists. Terminal and Markdown only format them, so
//! both have the same words and numbers.

use super::report::{
    BudgetReport, Change, DecisionRow, Distribution, Figure, Finding, FindingVerdict,
    Recommendation, Reference, RunVerdict, Spread, Verification, VerifiedRow,
};
use super::words::{
    capital, counted, knob_value, limit as limit_in_words, limited, moment, number, time, value,
};
use crate::raft::Member;

/// Most decisions of a controller in the document.
const MOST_DECISIONS: usize = 40;

/// A part of the document.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A heading.
    Heading(String),
    /// Sentences.
    Paragraph(String),
    /// Items, one below the other.
    List(Vec<String>),
    /// A table.
    Table(Table),
}

/// A table. Its first `left` columns are words, the others numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The heading of each column.
    pub head: Vec<&'static str>,
    /// The cells, row by row.
    pub rows: Vec<Vec<String>>,
    /// How many columns of words come first.
    pub left: usize,
    /// For each row, the number to draw as a bar behind it; `None`: no bars.
    pub bars: Option<Vec<f64>>,
}

/// The whole report.
pub fn document(report: &BudgetReport) -> Vec<Block> {
    let mut blocks = headline(report);
    blocks.push(Block::List(verdict(report)));
    blocks.extend(limits(report));
    blocks.extend(findings(report));
    blocks.extend(verification(report));
    blocks.extend(messages(report));
    blocks.extend(phases_and_fates(report));
    blocks.extend(links(report));
    blocks.extend(latency(report));
    blocks.extend(delays(report));
    blocks.extend(decisions(report));
    blocks.extend(events(report));
    blocks
}

/// How the run was judged, and how it was done.
fn verdict(report: &BudgetReport) -> Vec<String> {
    let run = &report.run;
    let mut lines = vec![match &run.verdict {
        None => "Not judged: the run was killed.".to_owned(),
        Some(verdict) => judged(verdict),
    }];
    let knobs = run.knobs.iter();
    let knobs: Vec<String> =
        knobs.map(|knob| format!("{} {} (course: {})", knob.knob, knob.run, knob.course)).collect();
    lines.push(format!("Run by laconic {}: {}", run.ran_by, run.command));
    if !knobs.is_empty() {
        lines.push(format!("Knobs: {}", knobs.join(", ")));
    }
    lines
}

fn judged(verdict: &RunVerdict) -> String {
    let how = match (verdict.interrupted, verdict.passed) {
        (true, _) => "Interrupted".to_owned(),
        (false, true) => {
            let tiers = verdict.tiers.iter().map(|(name, tier)| format!("{name} {tier}"));
            format!("Passed; tiers: {}", tiers.collect::<Vec<_>>().join(", "))
        }
        (false, false) => format!("Failed: {}", verdict.failed_checks.join("; ")),
    };
    format!("{how}; {} unanswered.", counted(verdict.unanswered, "request", "requests"))
}

/// What a run prints at its end: the figures beside their floors, limits, and what could be saved.
pub fn summary(report: &BudgetReport) -> Vec<Block> {
    let mut blocks = vec![heading("Message budget")];
    blocks.push(figures(report));
    blocks.push(references(report));
    blocks.extend(limits(report));
    let found = report.findings.iter().filter(|finding| finding.expected_saving > 0.0);
    let items: Vec<String> = found
        .map(|finding| {
            let saving = finding.expected_saving;
            format!(
                "{}: {} would save {saving:.0} messages",
                finding.title,
                changes(&finding.changes)
            )
        })
        .collect();
    if !items.is_empty() {
        blocks.push(Block::List(items));
    }
    blocks
}

/// A number with two decimals.
pub fn two(value: f64) -> String {
    format!("{value:.2}")
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), two)
}

fn heading(text: &str) -> Block {
    Block::Heading(text.to_owned())
}

fn table(head: &[&'static str], left: usize, rows: Vec<Vec<String>>) -> Block {
    Block::Table(Table { head: head.to_vec(), rows, left, bars: None })
}

fn headline(report: &BudgetReport) -> Vec<Block> {
    let run = &report.run;
    let mut blocks =
        vec![heading(&format!("Message budget of {}, seed {}", run.scenario, run.seed))];
    blocks.push(Block::Paragraph(format!(
        "{} engine, {} timing, profile {}, {} replicas, {:.1} s: {}, {}, {} in {}, {}, {} won, \
         {:.3} s without a leader.",
        run.engine,
        run.timing,
        run.profile,
        run.replicas,
        run.duration_us as f64 / 1e6,
        counted(run.messages, "message", "messages"),
        counted(run.bytes, "byte", "bytes"),
        counted(run.puts, "put", "puts"),
        counted(run.batches, "batch", "batches"),
        counted(run.reads, "read", "reads"),
        counted(run.elections, "election", "elections"),
        run.leaderless_us as f64 / 1e6,
    )));
    if !run.problems.is_empty() {
        let words = "Partial: not all of the run could be read.";
        blocks.push(Block::Paragraph(words.to_owned()));
        blocks.push(Block::List(run.problems.clone()));
    }
    let books = &report.books;
    blocks.push(Block::Paragraph(format!(
        "The books: {} sent = {} counted by the simulator + {} unread in its sockets + {} lost by \
         the kernel{}",
        books.sent,
        books.counted,
        books.unread,
        books.lost,
        if books.faults.is_empty() { "." } else { ": they do not balance." }
    )));
    if !books.faults.is_empty() {
        blocks.push(Block::List(books.faults.clone()));
    }
    blocks.push(figures(report));
    blocks.push(Block::List(report.figures.iter().map(floor_means).collect()));
    blocks.push(references(report));
    let premise =
        |reference: &Reference| format!("{}: {}", capital(&reference.title), reference.premise);
    blocks.push(Block::List(report.references.iter().map(premise).collect()));
    blocks
}

fn figures(report: &BudgetReport) -> Block {
    // Where the knobs themselves keep f watchers, both floors are one.
    let differ = report.figures.iter().any(|figure| figure.watched_floor != figure.floor);
    let shown = if differ { 5 } else { 4 };
    let rows = report.figures.iter().map(|figure| {
        let cells = [
            figure.title.to_owned(),
            or_dash(figure.value),
            or_dash(figure.floor),
            or_dash(figure.ratio),
            or_dash(figure.watched_floor),
        ];
        cells[..shown].to_vec()
    });
    table(&["figure", "seen", "floor", "ratio", "watchers"][..shown], 1, rows.collect())
}

fn floor_means(figure: &Figure) -> String {
    let Figure { title, floor_means, .. } = figure;
    if figure.value.is_none() {
        return format!("{title}: too little data to say.");
    }
    let excess: Vec<String> =
        figure.excess.iter().map(|share| format!("{} {:+.2}", share.cause, share.value)).collect();
    let beyond = if excess.is_empty() {
        String::new()
    } else {
        format!(" Beyond it: {}.", excess.join(", "))
    };
    format!("{title}, floor: {floor_means}.{beyond}")
}

fn references(report: &BudgetReport) -> Block {
    let run = &report.run;
    let all = run.messages as f64;
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    for reference in &report.references {
        rows.push(vec![
            reference.title.clone(),
            format!("{:.0}", reference.messages),
            or_dash(reference.per_put),
            or_dash(reference.ratio),
        ]);
        bars.push(reference.messages);
    }
    let per_put = (run.puts > 0).then(|| all / run.puts as f64);
    rows.push(vec!["this run".to_owned(), run.messages.to_string(), or_dash(per_put), two(1.0)]);
    bars.push(all);
    Block::Table(Table {
        head: vec!["the same puts", "messages", "per put", "run over it"],
        rows,
        left: 1,
        bars: Some(bars),
    })
}

fn limits(report: &BudgetReport) -> Vec<Block> {
    if report.limits.is_empty() {
        return Vec::new();
    }
    let rows = report.limits.iter().map(|limit| {
        let verdict = match (limit.exceeded, limit.spent) {
            (true, _) => "EXCEEDED",
            (false, Some(_)) => "kept",
            (false, None) => "too little to say",
        };
        vec![
            limit_in_words(limit.name),
            limit.stated_by.to_owned(),
            verdict.to_owned(),
            limit.spent.map_or("-".to_owned(), |spent| limited(limit.name, spent)),
            limited(limit.name, limit.allowed),
        ]
    });
    let head = ["budget", "stated by", "verdict", "spent", "allowed"];
    vec![heading("Budget"), table(&head, 3, rows.collect())]
}

/// Changes of knobs as text: `fan_out thrifty -> chain`.
pub fn changes(changes: &[Change]) -> String {
    let one = |change: &Change| {
        format!("{} {} -> {}", change.knob, value(&change.from), value(&change.to))
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn findings(report: &BudgetReport) -> Vec<Block> {
    let mut blocks = vec![heading("Findings")];
    let found: Vec<&Finding> =
        report.findings.iter().filter(|finding| finding.verdict == FindingVerdict::Found).collect();
    if found.is_empty() {
        blocks.push(Block::Paragraph("Nothing to save.".to_owned()));
    }
    for finding in found {
        let turn = if finding.changes.is_empty() {
            String::new()
        } else {
            let saving = finding.expected_saving;
            format!(" Turn {}: saves about {saving:.0} messages.", changes(&finding.changes))
        };
        let numbers: Vec<String> = finding
            .numbers
            .iter()
            .map(|number| format!("{}: {}", limit_in_words(number.name), number.text))
            .collect();
        let numbers =
            if numbers.is_empty() { String::new() } else { format!(" ({})", numbers.join("; ")) };
        let Finding { title, summary, .. } = finding;
        blocks.push(Block::List(vec![format!("{title}. {summary}{numbers}{turn}")]));
    }
    let titles = |verdict| {
        let of: Vec<&str> = report
            .findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .map(|finding| finding.title)
            .collect();
        of.join("; ")
    };
    for (verdict, words) in [
        (FindingVerdict::Nothing, "Nothing to save"),
        (FindingVerdict::TooLittle, "Too little data to say"),
    ] {
        let titles = titles(verdict);
        if !titles.is_empty() {
            blocks.push(Block::Paragraph(format!("{words}: {titles}.")));
        }
    }
    blocks
}

/// The results of the reruns.
fn verification(report: &BudgetReport) -> Vec<Block> {
    let Some(verification) = &report.verification else {
        return Vec::new();
    };
    let Verification { seeds, messages, p50_latency_us, passed, rows, recommended } = verification;
    let first = seeds.first().copied().unwrap_or_default();
    let mut blocks = vec![
        heading("Verified by rerun"),
        Block::Paragraph(format!(
            "{} runs in virtual time, seeds {first} on; as they were: {} messages, median latency \
             {}, {passed} passed. Saved, over seeds:",
            seeds.len(),
            spread(messages, |messages| number(messages, 0)),
            spread(p50_latency_us, time)
        )),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.name.to_owned(),
            format!("{:.0}", row.expected.mean),
            format!("{:.0}", row.seen.mean),
            format!("{:.0}..{:.0}", row.seen.least, row.seen.most),
            or_dash(row.seen_of_expected),
            format!("{:.0}", row.p50_latency_us.mean),
            row.passed.to_string(),
        ]
    });
    let head = ["finding", "expected", "seen", "least..most", "ratio", "p50, µs", "passed"];
    blocks.push(table(&head, 1, cells.collect()));
    blocks.push(Block::Paragraph(recommendation(verification, recommended.as_ref())));
    blocks.extend(rows.iter().filter(|row| !row.failed_checks.is_empty()).map(failures));
    let turned = rows.iter().map(|row| format!("{}: {}", row.name, changes(&row.changes)));
    blocks.push(Block::List(turned.collect()));
    let nothing = report.findings.iter().filter(|finding| finding.changes.is_empty()).count();
    blocks.push(Block::Paragraph(format!("The other {nothing} findings expect to save 0.")));
    blocks
}

/// Which knobs to turn, in words. Only changes with which the runs pass are named.
fn recommendation(verification: &Verification, recommended: Option<&Recommendation>) -> String {
    let Some(Recommendation { row, .. }) = recommended else {
        return "Recommended: nothing. No change saves messages and passes as many runs."
            .to_owned();
    };
    let (before, saved) = (verification.messages.mean, row.seen.mean);
    format!(
        "Recommended: {}. It saves {saved:.0} of {before:.0} messages ({:.1} %); {} of {} pass; \
         median latency {} instead of {}.",
        changes(&row.changes),
        saved * 100.0 / before.max(1.0),
        row.passed,
        counted(verification.seeds.len() as u64, "run", "runs"),
        time(row.p50_latency_us.mean),
        time(verification.p50_latency_us.mean)
    )
}

/// Why a change is not recommended.
fn failures(row: &VerifiedRow) -> Block {
    let checks = row.failed_checks.iter();
    let checks: Vec<String> = checks
        .map(|check| format!("\"{}\" in {}", check.name, counted(check.runs, "run", "runs")))
        .collect();
    Block::Paragraph(format!("{} fails {}.", row.name, checks.join(", ")))
}

fn spread(spread: &Spread, told: fn(f64) -> String) -> String {
    format!("{} ({} to {})", told(spread.mean), told(spread.least), told(spread.most))
}

fn messages(report: &BudgetReport) -> Vec<Block> {
    let rows = report.table.iter().map(|row| {
        vec![
            row.kind.to_owned(),
            row.words.clone(),
            row.count.to_string(),
            row.bytes.to_string(),
            format!("{:.1}", row.share * 100.0),
            or_dash(row.per_put),
        ]
    });
    let head = ["kind", "why", "count", "bytes", "%", "per put"];
    vec![heading("Messages by kind and why"), table(&head, 2, rows.collect())]
}

fn phases_and_fates(report: &BudgetReport) -> Vec<Block> {
    let phases = report.phases.iter().map(|row| {
        let seconds = row.duration_us as f64 / 1e6;
        let rate = if seconds > 0.0 { two(row.messages as f64 / seconds) } else { "-".to_owned() };
        vec![row.phase.to_owned(), row.messages.to_string(), format!("{seconds:.3}"), rate]
    });
    let fates = report
        .fates
        .iter()
        .filter(|row| row.count > 0)
        .map(|row| vec![row.fate.to_owned(), row.count.to_string(), row.bytes.to_string()]);
    vec![
        heading("When, and what became of them"),
        table(&["phase", "messages", "seconds", "a second"], 1, phases.collect()),
        table(&["fate", "count", "bytes"], 1, fates.collect()),
    ]
}

fn links(report: &BudgetReport) -> Vec<Block> {
    let rows = report.links.iter().filter(|link| link.sent > 0).map(|link| {
        vec![
            format!("{} to {}", Member(link.from), Member(link.to)),
            link.sent.to_string(),
            link.bytes.to_string(),
            link.counted.to_string(),
            link.unread.to_string(),
            link.lost.to_string(),
            link.received.to_string(),
        ]
    });
    let head = ["link", "sent", "bytes", "counted", "unread", "lost", "received"];
    vec![heading("Links"), table(&head, 1, rows.collect())]
}

fn latency(report: &BudgetReport) -> Vec<Block> {
    let mut blocks = vec![heading("Where the time of requests went, in µs")];
    let cells = |name: String, count: String, time: &Distribution| {
        let Distribution { mean_us, p50_us, p90_us, p99_us, max_us } = time;
        let quantiles = [p50_us, p90_us, p99_us, max_us].map(u64::to_string);
        let mut row = vec![name, count, format!("{mean_us:.1}")];
        row.extend(quantiles);
        row
    };
    for row in report.latency.iter().filter(|row| row.kind != "all" || report.latency.len() == 2) {
        let mut rows: Vec<Vec<String>> = row
            .stages
            .iter()
            .map(|stage| cells(stage.stage.clone(), String::new(), &stage.time))
            .collect();
        rows.push(cells(format!("{}, in all", row.kind), row.count.to_string(), &row.total));
        let head = ["stage", "requests", "mean", "p50", "p90", "p99", "max"];
        blocks.push(table(&head, 1, rows));
    }
    if let Some(story) = &report.story {
        blocks.push(Block::Paragraph("The request at the 99th percentile:".to_owned()));
        blocks.push(Block::List(story.lines.clone()));
    }
    blocks
}

fn delays(report: &BudgetReport) -> Vec<Block> {
    let trade = &report.trade_off;
    let floor: Vec<String> = trade
        .floor
        .iter()
        .map(|(delays, messages)| format!("{messages} within {delays} delays"))
        .collect();
    let points = report.linger.iter().map(|point| {
        vec![
            point.linger_us.to_string(),
            point.batches.to_string(),
            format!("{:.0}", point.messages_saved),
            format!("{:.0}", point.added_wait_us),
        ]
    });
    vec![
        heading("Messages against delay"),
        Block::Paragraph(format!(
            "A batch costs at least {}; one delay is {} here.",
            floor.join(", "),
            time(trade.one_way_us as f64)
        )),
        table(&["linger, µs", "batches", "messages saved", "added wait, µs"], 0, points.collect()),
    ]
}

/// What the controllers of those decided that led at some time; if nobody led, of all.
fn decisions(report: &BudgetReport) -> Vec<Block> {
    if report.decisions.is_empty() {
        return Vec::new();
    }
    let anybody_led = report.decisions.iter().any(|row| row.led);
    let told = report.decisions.iter().filter(|row| row.led || !anybody_led);
    let rows: Vec<Vec<String>> = told.take(MOST_DECISIONS).map(decision).collect();
    let others = report.decisions.len() as u64 + report.decisions_left_out - rows.len() as u64;
    let head = ["at", "replica", "knob", "from", "to", "because"];
    let mut blocks = vec![heading("What the controller decided"), table(&head, 6, rows)];
    if others > 0 {
        let others = counted(others, "more decision", "more decisions");
        blocks.push(Block::Paragraph(format!("{others}, not shown here.")));
    }
    blocks
}

fn decision(row: &DecisionRow) -> Vec<String> {
    vec![
        moment(row.at_us),
        Member(row.member).to_string(),
        limit_in_words(row.knob),
        knob_value(row.knob, &row.before),
        knob_value(row.knob, &row.after),
        row.because.clone(),
    ]
}

fn events(report: &BudgetReport) -> Vec<Block> {
    let items = report
        .events
        .iter()
        .map(|event| format!("{:.6} s: {}", event.at_us as f64 / 1e6, event.text));
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        Vec::new()
    } else {
        vec![heading("Elections and faults"), Block::List(items)]
    }
}
