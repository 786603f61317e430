//! One virtual run of simple-2: 37 simulated seconds, with the invariants after every step, the
//! check of the history and the message table, and without files. `cargo bench --bench simulation`.

use divan::{Bencher, black_box};
use laconic::sim::delays::Delays;
use laconic::sim::outcome::{RunMeasurements, RunOutcome, Setup, judge};
use laconic::sim::report::RunReport;
use laconic::sim::scenario::Scenario;
use laconic::sim::virtual_time::{Keep, VirtualOptions, run};
use laconic::tuning_file;

const AIMS: &str = "
Aim, simple-2: 4 ms a run of 37 simulated seconds, 9,000 times real time.";

fn main() {
    divan::main();
    println!("{AIMS}");
}

fn judged(scenario: &Scenario, options: &VirtualOptions) -> RunOutcome {
    let run = run(scenario, options).expect("no files to write");
    let setup =
        Setup { engine: "virtual", timing: "course", profile: "course".into(), foreign: false };
    judge(scenario, setup, RunMeasurements::of_virtual(run).0)
}

#[divan::bench(args = ["simple-2", "advanced-4"])]
fn virtual_run(bencher: Bencher, name: &str) {
    let scenario = Scenario::load(name).expect("an embedded scenario");
    let options = VirtualOptions {
        seed: 1,
        tuning: tuning_file::load("course").expect("an embedded profile").tuning,
        precise: false,
        through_codec: false,
        delays: Delays::embedded(),
        records: Keep::Nothing,
    };
    bencher.bench(|| black_box(RunReport(&judged(&scenario, &options)).to_string()));
}
