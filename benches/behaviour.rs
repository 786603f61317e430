//! Would a campaign find bugs sooner if it tried new behaviour first? A run that is the first to
//! take two rare branches of the core together is tried again with other draws of the network,
//! before the next seed. Both orders look for the planted bugs that take the most seeds, each
//! several times from different seeds on, and the number of tries is compared.
//!
//! `cargo bench --features planted --bench behaviour`

use std::collections::{BTreeSet, VecDeque};

use laconic::campaign::{Case, Coverage, Options, draw, try_case};
use laconic::raft::{Mark, Planted};
use rayon::prelude::*;

/// Bugs that take hundreds of seeds or more (docs/planted.md).
const HARD: [Planted; 8] = [
    Planted::StaleRoundRenews,
    Planted::SharedAckOfRefused,
    Planted::CommitPastChecked,
    Planted::WindowLeaks,
    Planted::LeaseFromReceipt,
    Planted::LeaseOfPresentTuning,
    Planted::ReadOfOlderRound,
    Planted::AnswersUnpaced,
];

/// How often each is looked for, and how far apart the first seeds are.
const HUNTS: u64 = 8;
const APART: u64 = 1_000_000;

/// A hunt is given up after so many tries. It counts as so many.
const MOST_TRIES: u64 = 10_000;

/// How often a case with new behaviour is tried again.
const AGAIN: u64 = 4;

/// The pairs of marks that were seen so far.
#[derive(Default)]
struct Seen(BTreeSet<(Mark, Mark)>);

impl Seen {
    /// Whether a run took two branches together that none before it did. Runs that are alike in
    /// nothing but their number would all be new, so only pairs are looked at, and not all marks.
    fn is_news(&mut self, coverage: &Coverage) -> bool {
        let marks: Vec<Mark> = coverage.marks.iter().collect();
        let mut is_news = false;
        for (place, one) in marks.iter().enumerate() {
            for other in &marks[place + 1..] {
                is_news |= self.0.insert((*one, *other));
            }
        }
        is_news
    }
}

/// The number of tries until a run is wrong with `bug`, from seed `first` on.
fn hunt(bug: Planted, first: u64, news_first: bool) -> u64 {
    let options = Options { planted: Some(bug), ..Options::embedded() };
    let mut seen = Seen::default();
    let mut again: VecDeque<Case> = VecDeque::new();
    let mut seed = first;
    for tries in 1..=MOST_TRIES {
        let (case, is_drawn) = match again.pop_front() {
            Some(case) => (case, false),
            None => {
                seed += 1;
                (draw(seed, &options), true)
            }
        };
        let Ok(coverage) = try_case(&case, &options) else {
            return tries;
        };
        if news_first && seen.is_news(&coverage) && is_drawn {
            for number in 1..=AGAIN {
                again.push_back(Case { run_seed: case.run_seed + number * APART, ..case.clone() });
            }
        }
    }
    MOST_TRIES
}

fn geometric_mean(tries: &[u64]) -> f64 {
    let logarithms: f64 = tries.iter().map(|tries| (*tries as f64).ln()).sum();
    (logarithms / tries.len() as f64).exp()
}

fn main() {
    println!("Tries until a bug is found, geometric mean of {HUNTS} hunts");
    println!("{:<26} {:>8} {:>12} {:>7}", "bug", "in order", "news first", "ratio");
    let rows: Vec<(f64, f64)> = HARD
        .iter()
        .map(|bug| {
            let hunts = |news_first: bool| {
                let firsts = (0..HUNTS).into_par_iter().map(|number| number * APART);
                let tries: Vec<u64> = firsts.map(|first| hunt(*bug, first, news_first)).collect();
                geometric_mean(&tries)
            };
            let (plain, news) = (hunts(false), hunts(true));
            println!("{:<26} {plain:>8.0} {news:>12.0} {:>7.2}", bug.name(), news / plain);
            (plain, news)
        })
        .collect();
    let logarithms: f64 = rows.iter().map(|(plain, news)| (news / plain).ln()).sum();
    println!("all: news first takes {:.2} times as many", (logarithms / rows.len() as f64).exp());
}
