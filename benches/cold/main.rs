//! What a put costs in the course's setting: five processes on the machine's processors, and
//! datagrams so rare that each finds its replica asleep and its caches cold. Each pair of real runs
//! has the same seed: one run of our replica, and one of a *bare star*, which is the least that
//! answers a put after f others have it. It has no elections, no log and no resends (see `star`).
//! The machine is mostly not quiet, so only runs of one pair are compared, and they take turns in
//! being first.
//!
//! The star sends each put alone. Ours sends puts that one drain brings as one batch, as `course`
//! does; `LACONIC_PROFILE` takes another profile, for example one with `batch_most_entries = 1`.
//!
//! `cargo bench --bench cold`: ten pairs of simple-2, thirteen minutes; for a first look
//! `cargo bench --bench cold -- --pairs 3 --lifetime 10`. With `--against PROGRAM` another build of
//! Laconic takes the star's place, and the ratio says what has changed since.

mod star;

use std::env;
use std::error::Error;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_laconic");
const SIMPLE_2: &str = include_str!("../../scenarios/simple-2.json");
/// Our median latency, in parts of the star's.
const AIM: f64 = 1.10;

/// Compare our replica's median latency with a bare star's, in pairs of real runs.
#[derive(Parser)]
struct Options {
    /// Pairs of runs
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pairs: u64,
    /// Seconds in which clients ask, at simple-2's rate; a run takes 7 s more
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(5..))]
    lifetime: u64,
    /// Another build of Laconic to measure instead of this one
    #[arg(long, default_value = PROGRAM)]
    replica: PathBuf,
    /// Another build of Laconic to compare with, instead of the star
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,
    /// Cargo says so, and it means nothing here
    #[arg(long, hide = true)]
    bench: bool,
    /// Only check that the program works: one short pair
    #[arg(long, hide = true)]
    test: bool,
}

fn main() -> ExitCode {
    let done = if env::var_os(star::VARIABLE).is_some() { star::run() } else { compare() };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cold: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let (pairs, lifetime) = if options.test { (1, 5) } else { (options.pairs, options.lifetime) };
    let folder = tempfile::tempdir()?;
    let scenario = folder.path().join("simple-2.json");
    fs::write(&scenario, shortened(lifetime)?.to_string())?;
    let ours = as_replica(&folder.path().join("ours"), &options.replica)?;
    let (control, control_name) = match &options.against {
        Some(other) => (as_replica(&folder.path().join("other"), other)?, "other build"),
        None => (env::current_exe()?, "star"),
    };

    println!("simple-2 with {lifetime} s of requests, real, the course's timing and pace");
    println!("median latency in us, messages a put\n");
    println!("{:>6}{:>18}{:>18}{:>8}", "pair", "replica", control_name, "ratio");
    let mut ratios = Vec::new();
    for pair in 1..=pairs {
        let ours = || run(&scenario, &ours, pair);
        let control = || run(&scenario, &control, pair);
        let (ours, control) = if pair % 2 == 1 {
            let ours = ours()?;
            (ours, control()?)
        } else {
            let control = control()?;
            (ours()?, control)
        };
        let ratio = ours.median_us / control.median_us;
        println!("{pair:>6}{:>18}{:>18}{ratio:>8.2}", ours.to_string(), control.to_string());
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let at = |part: usize| ratios[(ratios.len() - 1) * part / 4];
    let aim = if options.against.is_some() { 1.0 } else { AIM };
    println!("\nmedian ratio {:.2}; aim: at most {aim:.2}", median(&ratios));
    println!(
        "smallest {:.2}, quartiles {:.2} and {:.2}, largest {:.2}",
        at(0),
        at(1),
        at(3),
        at(4)
    );
    Ok(())
}

/// A link to `program` in a new `folder`, under the course's name: so it is a replica, which writes
/// no records.
fn as_replica(folder: &Path, program: &Path) -> Result<PathBuf, Box<dyn Error>> {
    fs::create_dir(folder)?;
    let link = folder.join("4730kvstore");
    symlink(std::path::absolute(program)?, &link)?;
    Ok(link)
}

/// Simple-2 with fewer seconds at the same rate.
fn shortened(lifetime: u64) -> Result<Value, Box<dyn Error>> {
    let mut scenario: Value = serde_json::from_str(SIMPLE_2)?;
    let requests = scenario["requests"].as_u64().unwrap_or_default();
    let seconds = scenario["lifetime"].as_u64().unwrap_or(1);
    scenario["lifetime"] = json!(lifetime);
    scenario["requests"] = json!(requests * lifetime / seconds);
    // The clients' random numbers alone decide how many gets can be generated.
    scenario["tests"]["maximum_get_generation_fail_fraction"] = json!(1);
    Ok(scenario)
}

/// What is compared of a run.
struct Seen {
    median_us: f64,
    messages_per_put: f64,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:.0} ({:.2})", self.median_us, self.messages_per_put)
    }
}

/// One real run of `program`. A run that fails is an error: its latency means nothing.
fn run(scenario: &Path, program: &Path, seed: u64) -> Result<Seen, Box<dyn Error>> {
    let output = Command::new(PROGRAM)
        .arg("sim")
        .arg(scenario)
        .args(["--real", "--json", "--seed", &seed.to_string(), "--replica"])
        .arg(program)
        .env(star::VARIABLE, "1")
        .output()?;
    let outcome: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
    if outcome["passed"] != true {
        let checks = outcome["checks"].as_array().into_iter().flatten();
        let failed: Vec<_> = checks.filter(|check| check["passed"] == false).collect();
        return Err(format!("{} failed: {failed:?}", program.display()).into());
    }
    let number = |value: &Value| value.as_f64().ok_or("the outcome lacks a number");
    let counts = &outcome["counts"];
    Ok(Seen {
        median_us: number(&outcome["median_latency_us"])?,
        messages_per_put: number(&counts["messages"])? / number(&counts["acknowledged_puts"])?,
    })
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        sorted[middle - 1].midpoint(sorted[middle])
    } else {
        sorted[middle]
    }
}
