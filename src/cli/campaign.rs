//! `laconic campaign`: random clusters with random faults, each run judged.

use std::ops::Range;

use clap::Args;
use rayon::prelude::*;

use super::failure::{ExitStatus, Failure};
use super::output::print;
use crate::campaign::{Options, Tally, try_seed};

/// Look for a fault in thousands of random clusters with random faults
#[derive(Args)]
pub struct CampaignArguments {
    /// The seeds to try, the last one left out
    #[arg(long, value_name = "A..B", default_value = "1..10001", value_parser = parse_seeds)]
    seeds: Range<u64>,
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let rule = || format!("{text:?} must be A..B with A below B, as in 1..10001");
    let (first, end) = text.split_once("..").ok_or_else(rule)?;
    let (first, end) = (first.parse().map_err(|_| rule())?, end.parse().map_err(|_| rule())?);
    (first < end).then_some(first..end).ok_or_else(rule)
}

/// Runs the campaign.
pub fn run(arguments: &CampaignArguments) -> Result<ExitStatus, Failure> {
    let options = Options::embedded();
    let seeds: Vec<u64> = arguments.seeds.clone().collect();
    let start = std::time::Instant::now();
    let results: Vec<_> = seeds.par_iter().map(|seed| (*seed, try_seed(*seed, &options))).collect();
    let mut tally = Tally::default();
    for (seed, result) in &results {
        match result {
            Ok(coverage) => tally.add(coverage),
            Err(violation) => print(&format!("seed {seed}: {violation}\n"))?,
        }
    }
    for (mark, count) in tally.rarest_first() {
        print(&format!("{count:9} {}\n", mark.name()))?;
    }
    print(&format!("{} of {} runs good, {:?}\n", tally.runs, seeds.len(), start.elapsed()))?;
    Ok(if tally.runs == seeds.len() as u64 { ExitStatus::Good } else { ExitStatus::CheckFailed })
}
