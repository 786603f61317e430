//! Estimates how much a run will leave below `--out`, to warn before the disk is full.

use super::arguments::Job;
use crate::recorder::SLOTS;
use crate::sim::scenario::Scenario;

/// Below this there is no warning, in bytes.
const UNREMARKABLE_BYTES: u64 = 1_000_000_000;
/// Bytes of the records that one request causes, in all files together: 500 to 1,500 in the
/// course's scenarios with the profiles `course` and `fast`, twice that with `textbook` or `eager`.
const REQUEST_BYTES: u64 = 1_000;
/// Bytes of the records of heartbeats and elections, for each replica and second: 200 to 400 with
/// watchers, 1,500 where everyone hears heartbeats.
const REPLICA_SECOND_BYTES: u64 = 500;

/// Bytes of a black box: each of its slots has 64.
const BOX_BYTES: u64 = 64 * SLOTS;

/// How many bytes a run of `scenario` will leave in its folder, within a factor of three.
fn estimated_bytes(scenario: &Scenario, real: bool) -> u64 {
    let replicas = scenario.replicas as u64;
    let seconds = scenario.lifetime.as_seconds().ceil() as u64;
    let records = scenario.requests * REQUEST_BYTES + replicas * seconds * REPLICA_SECOND_BYTES;
    let boxes = if real { replicas * BOX_BYTES } else { 0 };
    records + boxes
}

/// A line that says how much `jobs` will write; `None` if that is little.
pub fn warning(jobs: &[Job], real: bool) -> Option<String> {
    let kept = jobs.iter().filter(|job| job.out.is_some());
    let bytes: u64 = kept.clone().map(|job| estimated_bytes(&job.scenario, real)).sum();
    (bytes > UNREMARKABLE_BYTES).then(|| {
        let gigabytes = bytes as f64 / 1e9;
        let runs = kept.count();
        let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
        format!(
            "--out: some {gigabytes:.1} GB will be written for {runs}, by the scenarios' requests, \
             replicas and lifetimes"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::delays::Delays;
    use crate::sim::virtual_time::{Keep, VirtualOptions, run};
    use crate::tuning_file;

    fn jobs(name: &str, count: usize) -> Vec<Job> {
        let scenario = Scenario::load(name).unwrap();
        let job = || Job { scenario: scenario.clone(), seed: 1, out: Some("run".into()) };
        (0..count).map(|_| job()).collect()
    }

    #[test]
    fn what_a_run_leaves_is_known_before_within_a_factor_of_three() {
        for name in ["simple-1", "simple-2", "crash-4", "advanced-3", "large"] {
            let folder = tempfile::tempdir().unwrap();
            let scenario = Scenario::load(name).unwrap();
            let options = VirtualOptions {
                seed: 1,
                tuning: tuning_file::load("course").unwrap().tuning,
                precise: false,
                through_codec: false,
                delays: Delays::embedded(),
                records: Keep::Folder(folder.path().to_owned()),
            };
            run(&scenario, &options).unwrap();
            let records = std::fs::read_dir(folder.path().join("records")).unwrap();
            let files = records.chain(std::fs::read_dir(folder.path()).unwrap());
            let files = files.map(|file| file.unwrap().metadata().unwrap());
            let left: u64 = files.filter(|file| file.is_file()).map(|file| file.len()).sum();
            let estimated = estimated_bytes(&scenario, false);
            println!("{name}: {left} bytes, estimated {estimated}");
            assert!(estimated < 3 * left && left < 3 * estimated, "{name}: {left} {estimated}");
        }
    }

    #[test]
    fn more_than_a_gigabyte_is_worth_a_line() {
        assert_eq!(warning(&jobs("simple-2", 1_000), false), None);
        let warned = warning(&jobs("simple-2", 2_000), false).unwrap();
        assert!(warned.starts_with("--out: some 1.2") && warned.contains("2000 runs"), "{warned}");
        // A black box always has its full size.
        assert!(warning(&jobs("simple-2", 100), true).is_some());
        let mut thrown_away = jobs("simple-2", 2_000);
        thrown_away.iter_mut().for_each(|job| job.out = None);
        assert_eq!(warning(&thrown_away, true), None);
    }
}
