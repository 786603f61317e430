//! Damaged runs, and limits, through the program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use laconic::record::VERSION;

fn laconic(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_laconic")).args(words).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Does a run and keeps it in `folder`.
fn keep(folder: &Path) -> String {
    let run = folder.join("run").display().to_string();
    let output = laconic(&["sim", "simple-1", "--seed", "1", "--out", &run]);
    assert!(output.status.success(), "{}", stderr(&output));
    run
}

/// The report is made from what could be read, one line says what could not be read, and the exit
/// status is 2.
fn assert_partial(run: &str, words: &str) {
    let output = laconic(&["budget", run]);
    let (told, errors) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.lines().any(|line| line.contains(words)), "{errors}");
    assert!(told.contains("Partial: not all of the run could be read."), "{told}");
    assert!(told.contains("Messages by kind and why"), "{told}");
}

#[test]
fn a_whole_run_is_analysed_and_its_books_balance() {
    let folder = tempfile::tempdir().unwrap();
    let run = keep(folder.path());
    let output = laconic(&["budget", &run]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    assert!(stdout(&output).contains("0 lost by the kernel."), "{}", stdout(&output));
}

#[test]
fn of_truncated_empty_foreign_and_other_versions_files_the_rest_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = keep(folder.path());
    let path = Path::new(&run).join("records/0001.bin");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    assert_partial(&run, "0001.bin: the last 28 bytes are no whole records");
    fs::write(&path, "").unwrap();
    assert_partial(&run, "0001.bin: no record file");
    fs::write(&path, "{\"some\": \"other file, longer than the header of one of ours\"}\n\n\n")
        .unwrap();
    assert_partial(&run, "0001.bin: no record file");
    let mut other = whole.clone();
    other[8] = 7;
    fs::write(&path, other).unwrap();
    let wanted = format!("0001.bin: record file of version 7, this program reads {VERSION}");
    assert_partial(&run, &wanted);
    let mut flipped = whole.clone();
    flipped[64 * 50 + 9] ^= 4;
    fs::write(&path, flipped).unwrap();
    assert_partial(&run, "bytes are no whole records");
    fs::remove_file(&path).unwrap();
    assert_partial(&run, "1 record files are missing");
    fs::write(&path, whole).unwrap();
    fs::write(Path::new(&run).join("history.jsonl"), "{\"client\":\n").unwrap();
    assert_partial(&run, "history.jsonl: line 1: ");
}

#[test]
fn what_is_no_run_is_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = keep(folder.path());
    let refused = |run: &str, words: &str| {
        let output = laconic(&["budget", run]);
        let errors = stderr(&output);
        assert_eq!((output.status.code(), errors.lines().count()), (Some(2), 1), "{errors}");
        assert!(errors.starts_with("laconic: ") && errors.contains(words), "{errors}");
        assert_eq!(stdout(&output), "");
    };
    refused("no-such-run", "run.json: No such file");
    let json = Path::new(&run).join("run.json");
    let text = fs::read_to_string(&json).unwrap();
    fs::write(&json, &text[..text.len() / 2]).unwrap();
    refused(&run, "run.json: EOF while parsing");
    fs::write(&json, text.replace("\"tuning\"", "\"tunings\"")).unwrap();
    refused(&run, "run.json: a run of a foreign program");
    fs::write(&json, text.replace("\"replicas\": 5", "\"replicas\": 99")).unwrap();
    refused(&run, "scenario.replicas must be 3 to 21, is 99");
    fs::write(&json, text).unwrap();
    fs::remove_dir_all(Path::new(&run).join("records")).unwrap();
    fs::remove_file(Path::new(&run).join("simulator.bin")).unwrap();
    refused(&run, "holds no record files");
}

#[test]
fn a_budget_exceeded_is_told_and_has_status_3() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("mine.toml");
    let course = include_str!("../../profiles/course.toml");
    let state =
        |limits: &str| fs::write(&profile, format!("{course}\n[budget]\n{limits}\n")).unwrap();
    let name = profile.display().to_string();
    let run = |words: &[&str]| {
        let words = [words, &["--seed", "1", "--profile", &name]].concat();
        let output = laconic(&words);
        (output.status.code(), stdout(&output))
    };
    state("messages_per_commit = 20\np99_latency_us = 100_000");
    let (status, told) = run(&["sim", "simple-1"]);
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("kept"), "{told}");
    state("messages_per_commit = 2.5");
    let (status, told) = run(&["sim", "simple-1"]);
    assert_eq!(status, Some(3), "{told}");
    assert!(told.contains("EXCEEDED"), "{told}");
    let (status, told) = run(&["sim", "simple-1", "--repeat", "3"]);
    assert_eq!(status, Some(3), "{told}");
    assert!(told.contains("Over budget: 3 of 3"), "{told}");
    let (_, line) = run(&["sim", "simple-1", "--json"]);
    let outcome: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(outcome["limits"][0]["exceeded"], true, "{line}");
    let kept = folder.path().join("kept").display().to_string();
    run(&["sim", "simple-1", "--out", &kept]);
    assert_eq!(laconic(&["budget", &kept]).status.code(), Some(3));
}
