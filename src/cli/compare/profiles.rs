//! `laconic compare profiles`: profiles side by side on the same seeds.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::budget::{page, text};
use crate::cli::failure::{ExitStatus, Failure};
use crate::cli::output::{check_file, print, print_styled, write};
use crate::cli::sim::parse_seed;
use crate::sim::scenario::{COURSE, Scenario};
use crate::tune::{ComparedProfile, Comparison, Experiment, compare};
use crate::tuning_file;

/// Put profiles side by side, on the same seeds, in virtual time
#[derive(Args)]
#[command(after_help = "\
Examples:
  laconic compare profiles course quiet
  laconic compare profiles course mine.toml --scenario crash-4 --repeat 100
  laconic compare profiles course quiet --scenario all --repeat 5
  laconic compare profiles course quiet -o profiles.html

For each number the median over the seeds, and what a tenth of them is below
and above. The first profile is what the others are held against, seed by seed.

JSON (--json): seed, repeat, profiles, rows (scenario, objective, profile, p10,
median, p90, change_percent, less_on, more_on).")]
pub struct ProfilesArguments {
    /// Profiles that are built in, or TOML files; the first is what the others are compared with
    #[arg(required = true, num_args = 2.., value_name = "PROFILE")]
    profiles: Vec<String>,
    /// Name of a scenario, a JSON file, or `all`; can be given several times
    #[arg(long, value_name = "SCENARIO", default_value = "simple-2")]
    scenario: Vec<String>,
    /// Runs of each profile in each scenario
    #[arg(
        long, value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    repeat: u64,
    /// The first seed
    #[arg(
        long, value_name = "N", default_value_t = 1, allow_hyphen_values = true,
        value_parser = parse_seed
    )]
    seed: u64,
    /// Fire requests and faults when they are due, not at the course's 100 ms edges
    #[arg(long)]
    precise: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Draw the spreads there: .svg is a picture, anything else a page with the tables
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Compares.
pub fn run(arguments: &ProfilesArguments) -> Result<ExitStatus, Failure> {
    arguments.output.iter().try_for_each(|path| check_file(path))?;
    let profiles = arguments.profiles.iter().map(|name| {
        let tuning = tuning_file::load(name).map_err(Failure::input)?.tuning;
        Ok(ComparedProfile { name: short(name), tuning })
    });
    let profiles: Vec<ComparedProfile> = profiles.collect::<Result<_, Failure>>()?;
    let scenarios = load_scenarios(&arguments.scenario)?;
    let seeds: Vec<u64> =
        (0..arguments.repeat).map(|place| arguments.seed.wrapping_add(place)).collect();
    let experiments = scenarios.into_iter().map(|scenario| Experiment {
        scenario,
        tuning: profiles[0].tuning.clone(),
        precise: arguments.precise,
        seeds: seeds.clone(),
    });
    let experiments: Vec<Experiment> = experiments.collect();
    let comparison = compare(&experiments, &profiles).map_err(Failure::environment)?;
    if arguments.json {
        print(&(serde_json::to_string(&comparison).map_err(Failure::environment)? + "\n"))?;
    } else {
        print_styled(&text(&comparison.document()))?;
    }
    let Some(path) = &arguments.output else {
        return Ok(ExitStatus::Good);
    };
    write(path, &drawn(&comparison, path)?)?;
    if !arguments.json {
        print(&format!("Written: {}\n", path.display()))?;
    }
    Ok(ExitStatus::Good)
}

/// A profile's name: of a file, that without the folder.
fn short(name: &str) -> String {
    let path = Path::new(name);
    path.file_name().map_or_else(|| name.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The scenarios of these names; `all` stands for the course's seventeen.
pub(in crate::cli) fn load_scenarios(names: &[String]) -> Result<Vec<Scenario>, Failure> {
    let names = names.iter().flat_map(|name| match name.as_str() {
        "all" => COURSE.to_vec(),
        name => vec![name],
    });
    names.map(|name| Scenario::load(name).map_err(Failure::input)).collect()
}

/// The comparison as a picture or as a page, by the file's name.
fn drawn(comparison: &Comparison, path: &Path) -> Result<String, Failure> {
    let chart = comparison.chart();
    if path.extension().is_some_and(|ending| ending == "svg") {
        let nothing = || Failure::input("there is nothing to draw");
        return Ok(chart.ok_or_else(nothing)?.picture());
    }
    let title = format!("Profiles: {}", comparison.profiles.join(", "));
    Ok(page(&title, chart.as_slice(), &comparison.document()))
}
