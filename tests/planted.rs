//! Bugs planted on purpose (`src/raft/planted.rs`): a fault campaign finds each. The smoke set runs
//! with `cargo test --features planted --test planted`. All of them:
//!
//!     UPDATE=1 cargo test --features planted --test planted -- --ignored --nocapture
//!
//! writes `docs/planted.md`; without `UPDATE` it compares.

use std::fmt::Write;
use std::path::Path;

use laconic::campaign::shrink::{shrink, size};
use laconic::campaign::{Options, ViolationKind, draw, story, try_case, try_seed};
use laconic::raft::Planted;
use rayon::prelude::*;
use strum::VariantArray;

/// Within how many seeds each bug must be found, and the median.
const MOST_SEEDS: u64 = 50_000;
const MOST_SEEDS_MEDIAN: u64 = 1_000;

/// How many faults, events and requests the median smallest run may have.
const MOST_LEFT_MEDIAN: usize = 30;

/// How many runs it may take to make one smaller.
const MOST_SHRINKING_RUNS: u64 = 4_000;

/// Within how many seeds the bugs of the smoke set are found.
const SMOKE_SEEDS: u64 = 100;

/// Twenty of those that are found soonest, of all sorts.
const SMOKE: [Planted; 20] = [
    Planted::VoteForgotten,
    Planted::OwnVoteForgotten,
    Planted::VoteKeptOverTerms,
    Planted::LogNotCompared,
    Planted::NoTakenForYes,
    Planted::EvenQuorum,
    Planted::PromiseIgnored,
    Planted::PreVoteRaisesTerm,
    Planted::AckOfOwnLast,
    Planted::RelayBeforeCheck,
    Planted::HeartbeatUnchecked,
    Planted::TruncatesToAppend,
    Planted::CountedWhenSent,
    Planted::HintLoops,
    Planted::SuspectForEver,
    Planted::RepeatedForNewRound,
    Planted::ReadWithoutProof,
    Planted::OkWhenTaken,
    Planted::RedirectWhenTruncated,
    Planted::OwnTermBuried,
];

/// How a bug was found.
struct Found {
    /// How many seeds were tried, from 0 on.
    seeds: u64,
    kind: ViolationKind,
    /// Faults, events and requests of the smallest run that shows it.
    left: usize,
}

fn with(bug: Planted) -> Options {
    Options { planted: Some(bug), ..Options::embedded() }
}

/// The first seed of `0..most` whose run is wrong with `bug`, and right without.
fn first_wrong(bug: Planted, most: u64) -> Option<u64> {
    let (options, sound) = (with(bug), Options::embedded());
    (0..most).find(|seed| try_seed(*seed, &options).is_err() && try_seed(*seed, &sound).is_ok())
}

fn hunt(bug: Planted) -> Option<Found> {
    let options = with(bug);
    let seed = first_wrong(bug, MOST_SEEDS)?;
    let case = draw(seed, &options);
    let violation = try_case(&case, &options).unwrap_err();
    let shrunk = shrink(&case, &violation, &options, MOST_SHRINKING_RUNS);
    assert_eq!(try_case(&shrunk.case, &options), Err(shrunk.violation.clone()));
    let (kind, left) = (violation.kind, size(&shrunk.case));
    println!("{}: {} seeds, {}, {left} left", bug.name(), seed + 1, kind.name());
    if let Some(folder) = std::env::var_os("STORIES") {
        let text = story::tell(&shrunk.case, &shrunk.violation, &options);
        std::fs::write(Path::new(&folder).join(format!("{}.txt", bug.name())), text).unwrap();
    }
    Some(Found { seeds: seed + 1, kind, left })
}

#[test]
fn the_quickest_bugs_are_found() {
    SMOKE.par_iter().for_each(|bug| {
        let seed = first_wrong(*bug, SMOKE_SEEDS);
        assert!(seed.is_some(), "{} is not found", bug.name());
    });
}

fn median<T: Copy + Ord>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// Every bug, how it was found, and the medians, as a page.
fn page(found: &[(Planted, Option<Found>)]) -> String {
    let mut text = String::from(HEAD);
    for (bug, found) in found {
        let (seeds, kind, left) = match found {
            Some(Found { seeds, kind, left }) => {
                (seeds.to_string(), format!("`{}`", kind.name()), left.to_string())
            }
            None => (format!("not in {MOST_SEEDS}"), String::new(), String::new()),
        };
        let (name, rule, what) = (bug.name(), bug.rule(), bug.what());
        let _ = writeln!(text, "| `{name}` | {rule} | {seeds} | {kind} | {left} | {what} |");
    }
    let all = || found.iter().filter_map(|(_, found)| found.as_ref());
    let (seeds, left) = (median(all().map(|one| one.seeds)), median(all().map(|one| one.left)));
    let most = all().map(|one| one.seeds).max().unwrap_or_default();
    let (count, of) = (all().count(), found.len());
    let _ = writeln!(
        text,
        "\nFound: {count} of {of}. Median: {seeds} seeds, {left} left. The last was found after \
         {most} seeds."
    );
    text.push_str(TAIL);
    text
}

const HEAD: &str = "# Planted bugs

Does a fault campaign ([campaigns.md](campaigns.md)) find bugs? Here it is asked: bugs of kinds
that real implementations of Raft had are planted one at a time, and seeds are tried from 0 on until
a run is wrong. The bugs are in `src/raft/planted.rs`; the Cargo feature `planted` compiles them in,
and without it nothing of them is left in the program.

    UPDATE=1 cargo test --features planted --test planted -- --ignored --nocapture

writes this page. Each seed of the table is right without the bug. *Seeds*: how many were tried
until one was wrong. *Found as*: the kinds of `ViolationKind` in `src/campaign/judge.rs`; what a
member does is also held against what others have really done (`src/raft/grounds.rs`), so many bugs
are seen before they lead to a wrong answer. *Left*: faults, events and requests in the run when it
was made smaller. `STORIES=DIR` keeps the stories of these runs.

| bug | breaks | seeds | found as | left | what it does |
| --- | --- | --- | --- | --- | --- |
";

/// What is said below the table.
const TAIL: &str = "
## Defended twice

One bug cannot be planted alone, because a second rule keeps it from doing harm. If a hop only kept
over a change of term what it knew of a chain, it would hardly ever use it: it answers for others
only for entries that the old chain had checked (R32), and what a new leader sends along a chain
ends later. In 30,000 seeds, some 1,500 of them with such chains, no hop came to it.
`relay_of_old_term_repeated` therefore forgets that index too, as an implementation would that keeps
only who was in the chain.
";

#[test]
#[ignore = "minutes"]
fn a_campaign_finds_every_planted_bug() {
    let found: Vec<(Planted, Option<Found>)> =
        Planted::VARIANTS.par_iter().with_max_len(1).map(|bug| (*bug, hunt(*bug))).collect();
    let text = page(&found);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/planted.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "UPDATE=1 writes the page");
    let missing = found.iter().filter(|(_, found)| found.is_none()).map(|(bug, _)| bug.name());
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new());
    let all = || found.iter().filter_map(|(_, found)| found.as_ref());
    assert!(median(all().map(|one| one.seeds)) <= MOST_SEEDS_MEDIAN);
    assert!(median(all().map(|one| one.left)) <= MOST_LEFT_MEDIAN);
}
