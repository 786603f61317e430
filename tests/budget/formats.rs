//! All formats carry the same numbers. The difference of two runs is tested too.

use laconic::budget::{BudgetReport, diff, document, html, markdown, text};
use laconic::raft::tuning::FanOut;

use crate::{analysed, scenario, tuning};

/// The text without the escape codes for colours.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('\u{1b}') {
        plain += &rest[..start];
        rest = rest[start..].split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

/// The cells of each table row: in Markdown those between bars, in text those between two spaces.
fn rows(told: &str) -> Vec<Vec<String>> {
    let cell = |cell: &str| cell.trim().replace(['\\', '\u{2588}'], "");
    let of_line = |line: &str| -> Vec<String> {
        let cells: Vec<String> = if line.starts_with('|') {
            line.trim_matches('|').split('|').map(cell).collect()
        } else {
            line.split("  ").map(cell).collect()
        };
        cells.into_iter().filter(|cell| !cell.is_empty()).collect()
    };
    told.lines().map(of_line).collect()
}

/// The rows of words and numbers that each format must contain, taken from the JSON form.
fn wanted(json: &serde_json::Value) -> Vec<Vec<String>> {
    let list = |key: &str| json[key].as_array().unwrap().clone();
    let text = |value: &serde_json::Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    let two = |value: &serde_json::Value| match value.as_f64() {
        Some(number) => format!("{number:.2}"),
        None => "-".to_owned(),
    };
    let mut wanted = Vec::new();
    // Where the knobs keep f watchers, both floors are one, and it is shown once.
    let one_floor = list("figures").iter().all(|row| row["floor"] == row["watched_floor"]);
    for row in list("figures") {
        let keys = ["value", "floor", "ratio", "watched_floor"];
        let shown = if one_floor { &keys[..3] } else { &keys[..] };
        let numbers = shown.iter().map(|key| two(&row[*key]));
        wanted.push([text(&row["title"])].into_iter().chain(numbers).collect());
    }
    for row in list("references") {
        let messages = format!("{:.0}", row["messages"].as_f64().unwrap());
        wanted.push(vec![text(&row["title"]), messages, two(&row["per_put"]), two(&row["ratio"])]);
    }
    for row in list("table") {
        let share = format!("{:.1}", row["share"].as_f64().unwrap() * 100.0);
        let words = ["kind", "words", "count", "bytes"].map(|key| text(&row[key]));
        wanted.push([words.to_vec(), vec![share, two(&row["per_put"])]].concat());
    }
    for row in list("fates").iter().filter(|row| row["count"] != 0) {
        wanted.push(["fate", "count", "bytes"].map(|key| text(&row[key])).to_vec());
    }
    for row in list("phases") {
        let seconds = format!("{:.3}", row["duration_us"].as_f64().unwrap() / 1e6);
        wanted.push(vec![text(&row["phase"]), text(&row["messages"]), seconds]);
    }
    for row in list("links").iter().filter(|row| row["sent"] != 0) {
        let ends = [&row["from"], &row["to"]].map(|rank| rank.as_u64().unwrap());
        let keys = ["sent", "bytes", "counted", "unread", "lost", "received"];
        let name = format!("{:04X} to {:04X}", ends[0], ends[1]);
        wanted.push([vec![name], keys.map(|key| text(&row[key])).to_vec()].concat());
    }
    for row in list("latency").iter().filter(|row| row["kind"] != "all") {
        for stage in row["stages"].as_array().unwrap() {
            let time = &stage["time"];
            let mean = format!("{:.1}", time["mean_us"].as_f64().unwrap());
            let quantiles = ["p50_us", "p90_us", "p99_us", "max_us"].map(|key| text(&time[key]));
            wanted.push([vec![text(&stage["stage"]), mean], quantiles.to_vec()].concat());
        }
    }
    for row in list("linger") {
        let whole = |key: &str| format!("{:.0}", row[key].as_f64().unwrap());
        let counts = ["linger_us", "batches"].map(|key| text(&row[key]));
        let others = [whole("messages_saved"), whole("added_wait_us")];
        wanted.push([counts, others].concat());
    }
    wanted
}

fn reports() -> Vec<BudgetReport> {
    let run = |name, profile| analysed(&scenario(name), &tuning(profile), false, 4).report;
    let runs = [
        ("simple-2", "course"),
        ("simple-2", "fast"),
        ("simple-2", "quiet"),
        ("crash-4", "eager"),
        ("partition-4", "textbook"),
    ];
    runs.map(|(name, profile)| run(name, profile)).into()
}

#[test]
fn all_four_formats_carry_the_same_numbers() {
    for report in reports() {
        let json = serde_json::to_value(&report).unwrap();
        let blocks = document(&report);
        let as_text = plain(&text(&blocks));
        for (format, told) in [("text", as_text.clone()), ("markdown", markdown(&blocks))] {
            let rows = rows(&told);
            for wanted in wanted(&json) {
                let found = rows.iter().any(|row| row.starts_with(&wanted));
                assert!(found, "{format} lacks {wanted:?}:\n{told}");
            }
            // Sentences are broken into lines, so compare them without line ends.
            let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
            for finding in &report.findings {
                assert!(words.contains(finding.title), "{format} lacks {}", finding.title);
            }
        }
        let page = html(std::slice::from_ref(&report)).unwrap();
        // The page draws from the report's JSON, which is embedded in a script.
        let embedded = serde_json::to_string(&report).unwrap().replace('<', "\\u003c");
        assert!(page.contains(&embedded));
    }
}

#[test]
fn the_terminals_form_fits_80_columns() {
    for report in reports() {
        for line in plain(&text(&document(&report))).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn a_run_does_not_differ_from_itself_and_one_knob_is_named_first() {
    let scenario = scenario("simple-2");
    let fast = tuning("fast");
    let plain = analysed(&scenario, &fast, false, 1).report;
    assert_eq!(diff(&plain, &plain).words, ["No difference."]);
    let mut chain = fast.clone();
    chain.fan_out = FanOut::Chain;
    let mut frequent = fast.clone();
    frequent.heartbeat_interval_us = 50_000;
    let mut confirm = fast.clone();
    confirm.reads = laconic::raft::tuning::Reads::Confirm;
    let turned = [(chain, "replicate"), (frequent, "heartbeat"), (confirm, "confirm")];
    for (tuning, cause) in turned {
        let other = analysed(&scenario, &tuning, false, 1).report;
        let words = &diff(&plain, &other).words[0];
        assert!(words.starts_with(&format!("Messages: {cause} ")), "{words}");
    }
}
