//! Prometheus's own tool checks the metrics and the rules.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_laconic");

/// Runs promtool with `input`; panics if it finds a fault or, with `silent`, if it prints anything.
fn promtool(arguments: &[&str], input: &str, silent: bool) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && (!silent || said.is_empty()), "{arguments:?}: {said}");
}

fn laconic(arguments: &[&str], folder: &Path) {
    let output = Command::new(PROGRAM).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs promtool (Debian package prometheus)"]
fn promtool_finds_nothing_to_say_of_a_leader_and_of_followers() {
    let folder = TempDir::new().unwrap();
    let mut leaders = 0;
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/short.json");
    laconic(&["sim", scenario, "--real", "--seed", "1", "--out", "run"], folder.path());
    for rank in 0..5 {
        let path = folder.path().join(format!("run/{rank:04X}.prom"));
        let text = std::fs::read_to_string(path).unwrap();
        leaders += usize::from(text.contains(",role=\"leader\"} 1\n"));
        promtool(&["check", "metrics"], &text, true);
    }
    assert_eq!(leaders, 1);
}

#[test]
#[ignore = "needs promtool (Debian package prometheus)"]
fn prometheus_takes_a_virtual_run_as_blocks() {
    let folder = TempDir::new().unwrap();
    for scenario in ["simple-2", "crash-4"] {
        laconic(&["sim", scenario, "--seed", "1", "--open-metrics", "run.om"], folder.path());
        let (text, data) = (folder.path().join("run.om"), folder.path().join(scenario));
        let (text, data) = (text.to_str().unwrap(), data.to_str().unwrap());
        promtool(&["tsdb", "create-blocks-from", "openmetrics", text, data], "", false);
        let blocks = std::fs::read_dir(data).unwrap().flatten();
        assert!(blocks.filter(|block| block.path().join("index").exists()).count() > 0);
    }
}
