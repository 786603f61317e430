//! What a search has found, as text, CSV, JSON, a picture and a page; and what a shard leaves for
//! the others.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::TuneError;
use super::figures::{Figures, Objective, Weights};
use super::found::{Finalist, Found, FrontMember, Verdict, change_percent};
use super::knobs::knob;
use super::search::Search;
use crate::budget::{Block, FrontPlot, FrontPoint, Standing, Table, page};
use crate::journal::{JournalError, Shard, difference};
use crate::raft::Tuning;
use crate::record::{KnobChange, changed_knobs};
use crate::sim::scenario::Scenario;

/// What a shard leaves for those that are merged.
const FINALISTS: &str = "finalists.json";

fn write(path: PathBuf, text: &str) -> Result<PathBuf, TuneError> {
    match std::fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(source) => Err(JournalError::Io { path, source }.into()),
    }
}

#[derive(Serialize, Deserialize)]
struct ShardFile {
    search: Value,
    finalists: Vec<Finalist>,
}

/// Leaves the finalists of a shard in its folder. Returns the file.
///
/// # Errors
/// If it cannot be written.
pub fn leave_finalists(
    folder: &Path,
    search: &Search,
    finalists: &[Finalist],
) -> Result<PathBuf, TuneError> {
    let file = ShardFile { search: search.head_of_shard(), finalists: finalists.to_vec() };
    write(folder.join(FINALISTS), &format!("{}\n", json!(file)))
}

/// The search whose shards `folders` hold, all of them, and their finalists.
///
/// # Errors
/// If a folder holds no shard that is done, or one of another search, or if a shard is missing or
/// there twice.
pub fn gather(folders: &[PathBuf]) -> Result<(Search, Vec<Finalist>), TuneError> {
    let mut first: Option<(Value, Search)> = None;
    let (mut seen, mut finalists) = (Vec::new(), Vec::new());
    for folder in folders {
        let refused = |reason: String| TuneError::NotMergeable { path: folder.clone(), reason };
        let path = folder.join(FINALISTS);
        let text = std::fs::read_to_string(&path)
            .map_err(|source| JournalError::Io { path: path.clone(), source })?;
        let malformed =
            |reason: String| JournalError::Malformed { path: path.clone(), line: 1, reason };
        let ShardFile { search: mut head, finalists: more } =
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        let shard = head.as_object_mut().and_then(|head| head.remove("shard"));
        let number = shard.and_then(|shard| shard.as_u64()).unwrap_or_default();
        match &first {
            None => first = Some((head.clone(), search_of(&head).map_err(malformed)?)),
            Some((wanted, _)) => {
                if let Some(key) = difference(&head, wanted) {
                    let words = format!("a shard of another search: another {key}");
                    return Err(refused(words));
                }
            }
        }
        let base = first.as_ref().map(|(_, search)| &search.base);
        if more.first().map(|first| (first.number, &first.tuning)) != base.map(|base| (0, base)) {
            let reason = "the first finalist is not the base profile";
            return Err(malformed(reason.to_owned()).into());
        }
        if seen.contains(&number) {
            return Err(refused(format!("shard {number} is there twice")));
        }
        seen.push(number);
        finalists.extend(more);
    }
    let Some((_, search)) = first else {
        return Err(TuneError::NotMergeable { path: PathBuf::new(), reason: "no folder".into() });
    };
    if let Some(missing) = (1..=search.shard.of).find(|number| !seen.contains(number)) {
        let reason = format!("shard {missing} of {} is missing", search.shard.of);
        let path = folders.last().cloned().unwrap_or_default();
        return Err(TuneError::NotMergeable { path, reason });
    }
    Ok((search, finalists))
}

/// The search that [`Search::head`] describes.
fn search_of(head: &Value) -> Result<Search, String> {
    #[derive(Deserialize)]
    struct Head {
        scenarios: Vec<NamedScenario>,
        profile: String,
        base: Tuning,
        precise: bool,
        seed: u64,
        runs: u64,
        weights: Weights,
        shards: u64,
    }
    #[derive(Deserialize)]
    struct NamedScenario {
        name: String,
        scenario: Value,
    }
    let head: Head = serde_json::from_value(head.clone()).map_err(|error| error.to_string())?;
    let scenario = |named: &NamedScenario| {
        let text = named.scenario.to_string();
        Scenario::parse(&named.name, &named.name, &text).map_err(|error| error.to_string())
    };
    Ok(Search {
        scenarios: head.scenarios.iter().map(scenario).collect::<Result<_, _>>()?,
        profile: head.profile,
        base: head.base,
        precise: head.precise,
        seed: head.seed,
        runs: head.runs,
        weights: head.weights,
        shard: Shard { number: 1, of: head.shards },
    })
}

/// Writes front.csv, front.json, front.svg and front.html into `folder`. Returns their paths.
///
/// # Errors
/// If one cannot be written.
pub fn write_front(
    folder: &Path,
    search: &Search,
    found: &Found,
) -> Result<Vec<PathBuf>, TuneError> {
    let mut written = vec![
        write(folder.join("front.csv"), &csv(search, found))?,
        write(folder.join("front.json"), &format!("{:#}\n", json!(found)))?,
    ];
    let chart = plot(search, found).chart();
    if let Some(chart) = &chart {
        written.push(write(folder.join("front.svg"), &chart.picture())?);
    }
    let title = format!("Search on {}", search.scenario_names());
    let html = page(&title, chart.as_slice(), &document(search, found));
    written.push(write(folder.join("front.html"), &html)?);
    Ok(written)
}

/// The name of a trial: its number, behind that of its shard if there are several.
fn name(search: &Search, finalist: &Finalist) -> String {
    match finalist.number {
        0 => search.profile.clone(),
        number if search.shard.of == 1 => format!("trial {number}"),
        number => format!("trial {}.{number}", finalist.shard),
    }
}

/// A line a trial: what it is, its figures on the seeds of the search and on the others, its floors
/// and its knobs.
fn csv(search: &Search, found: &Found) -> String {
    let objectives = || Objective::ALL.iter().map(|objective| objective.name());
    let knobs: Vec<String> = json!(found.base.finalist.tuning)
        .as_object()
        .into_iter()
        .flat_map(|knobs| knobs.keys())
        .cloned()
        .collect();
    let mut head: Vec<String> = ["trial", "standing", "score"].map(str::to_owned).to_vec();
    head.extend(objectives().map(str::to_owned));
    head.extend(objectives().map(|name| format!("validated_{name}")));
    head.extend(["validated_score", "floor", "watched_floor"].map(str::to_owned));
    head.extend(knobs.iter().cloned());
    let mut text = head.join(",") + "\n";
    let knobs_of = |finalist: &Finalist| -> Vec<String> {
        let tuning = json!(finalist.tuning);
        let value = |name: &String| match &tuning[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        knobs.iter().map(value).collect()
    };
    let figures = |figures: &Figures| figures.0.map(|value| value.to_string()).to_vec();
    for (standing, member) in shown(found) {
        let mut cells =
            vec![name(search, &member.finalist), standing.into(), member.score.to_string()];
        cells.extend(figures(&member.finalist.searched));
        cells.extend(figures(&member.validated));
        let floors = [member.validated_score, member.floors.everyone, member.floors.watchers];
        cells.extend(floors.map(|value| value.to_string()));
        cells.extend(knobs_of(&member.finalist));
        text += &(cells.join(",") + "\n");
    }
    for other in &found.others {
        let mut cells = vec![name(search, other), "tried".into(), String::new()];
        cells.extend(figures(&other.searched));
        cells.extend(std::iter::repeat_n(String::new(), other.searched.0.len() + 3));
        cells.extend(knobs_of(other));
        text += &(cells.join(",") + "\n");
    }
    text
}

/// The base profile and the members of the front, each with its standing.
fn shown(found: &Found) -> impl Iterator<Item = (&'static str, &FrontMember)> {
    let picked = found.picked();
    let standing = move |member: &FrontMember| {
        if picked == Some(member) { "picked" } else { "front" }
    };
    let front = found.front.iter().map(move |member| (standing(member), member));
    std::iter::once(("base", &found.base)).chain(front)
}

/// Messages against latency.
fn plot(search: &Search, found: &Found) -> FrontPlot {
    let told = |finalist: &Finalist, figures: &Figures| {
        let each = Objective::ALL.iter().map(|objective| {
            format!("\n{}: {}", objective.title(), objective.told(figures.value(*objective)))
        });
        name(search, finalist) + &each.collect::<String>()
    };
    let point = |standing, finalist: &Finalist, floor| FrontPoint {
        standing,
        latency_us: finalist.searched.value(Objective::P50LatencyUs),
        messages: finalist.searched.value(Objective::MessagesPerCommit),
        floor,
        told: told(finalist, &finalist.searched),
    };
    let members = shown(found).map(|(standing, member)| {
        let standing = match standing {
            "base" => Standing::Base,
            "picked" => Standing::Picked,
            _ => Standing::Front,
        };
        point(standing, &member.finalist, Some(member.floors.everyone))
    });
    let others = found.others.iter().map(|other| point(Standing::Tried, other, None));
    let floors = found.base.floors;
    FrontPlot {
        title: format!("Messages against latency on {}", search.scenario_names()),
        points: members.chain(others).collect(),
        floors: vec![
            (floors.simulator, "the simulator's floor: who says less fails".to_owned()),
            (floors.watchers, "the base profile's floor with f watchers".to_owned()),
        ],
    }
}

/// The result as headings, sentences and tables.
pub fn document(search: &Search, found: &Found) -> Vec<Block> {
    let came = found.front.len() + found.others.len();
    let mut blocks = vec![
        Block::Heading(format!("Search on {}", search.scenario_names())),
        Block::Paragraph(format!(
            "{} runs from {}, weights {}. {came} trials came through to all {} seeds from {}; of \
             those that fail no more checks than {}, these are better than any other in something:",
            search.runs,
            search.profile,
            search.weights.told().replace(',', ", "),
            found.seeds.len(),
            search.seed,
            search.profile,
        )),
        Block::Table(Table {
            head: vec!["", "score", "messages", "floor", "p50", "p99", "leaderless", "failed"],
            rows: shown(found).map(|(_, member)| member_cells(search, member)).collect(),
            left: 1,
            bars: None,
        }),
    ];
    let Some(best) = found.front.first() else {
        blocks.push(Block::Paragraph("Nothing that was tried is among them.".to_owned()));
        return blocks;
    };
    let (trial, profile) = (name(search, &best.finalist), &search.profile);
    blocks.push(Block::Heading(match found.verdict {
        Verdict::Picked => format!("Picked by the weights: {trial}"),
        Verdict::NothingBetter => format!("Nothing picked: by the weights {profile} is the best"),
        Verdict::LostElsewhere => {
            format!("Nothing picked: on other seeds {trial} is not better than {profile}")
        }
    }));
    blocks.push(Block::List(turned(&search.base, &best.finalist.tuning)));
    blocks.push(validation(found, best));
    blocks.push(Block::Paragraph(format!(
        "Knobs that could be put back to {profile} at next to no cost have been. Elsewhere: the \
         change on {} seeds from {}, which nothing was searched on. Lost: what of \
         it is lost there, in percentage points. By score, all in all: {:+.1} % where it was \
         searched, {:+.1} % elsewhere.",
        found.validation_seeds.len(),
        found.validation_seeds.first().copied().unwrap_or_default(),
        (best.score - 1.0) * 100.0,
        (best.validated_score - 1.0) * 100.0,
    )));
    blocks
}

fn member_cells(search: &Search, member: &FrontMember) -> Vec<String> {
    let value = |objective: Objective| objective.told(member.finalist.searched.value(objective));
    vec![
        name(search, &member.finalist),
        format!("{:.3}", member.score),
        format!("{:.2}", member.finalist.searched.value(Objective::MessagesPerCommit)),
        format!("{:.2}", member.floors.everyone),
        value(Objective::P50LatencyUs),
        value(Objective::P99LatencyUs),
        value(Objective::LeaderlessUs),
        value(Objective::FailedChecks),
    ]
}

/// The knobs that were turned, and what each gives and takes.
fn turned(base: &Tuning, tuning: &Tuning) -> Vec<String> {
    let told = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let changed = changed_knobs(base, tuning).into_iter();
    let line = |KnobChange { name, before, after }| {
        let row = knob(&name);
        let trade = row.map_or("", |row| row.trade);
        let tied = row.and_then(|row| row.tied);
        let tied = tied.map_or_else(String::new, |tied| format!("; tied: {tied}"));
        format!("{name} {} to {} ({trade}{tied})", told(&before), told(&after))
    };
    changed.map(line).collect()
}

/// Each objective of the base profile and of `best`, where it was searched and elsewhere.
fn validation(found: &Found, best: &FrontMember) -> Block {
    let (base, other_base) = (&found.base.finalist.searched, &found.base.validated);
    let (own, other) = (&best.finalist.searched, &best.validated);
    let percent = |change: Option<f64>| change.map_or("-".to_owned(), |c| format!("{c:+.1} %"));
    let rows = Objective::ALL.iter().map(|objective| {
        let told = |figures: &Figures| objective.told(figures.value(*objective));
        let searched = change_percent(base, own, *objective);
        let elsewhere = change_percent(other_base, other, *objective);
        let lost = searched.zip(elsewhere).map(|(searched, elsewhere)| elsewhere - searched);
        let mut cells = vec![objective.title().to_owned(), told(base), told(own)];
        cells.extend([percent(searched), percent(elsewhere)]);
        cells.push(lost.map_or("-".to_owned(), |lost| format!("{lost:+.1}")));
        cells
    });
    Block::Table(Table {
        head: vec!["", "base", "trial", "change", "elsewhere", "lost"],
        rows: rows.collect(),
        left: 1,
        bars: None,
    })
}
