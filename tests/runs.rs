//! What becomes of a run on its way: its folder, and its replicas when it is broken off.

mod desk;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use desk::{Desk, Done, wait_until};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_folder_that_holds_a_run_is_refused_and_force_replaces_what_is_ours() {
    let desk = Desk::new();
    assert_eq!(desk.run("sim partition-1 --seed 1 --out run").status, 0);
    desk.write("run/notes.txt", "mine");
    let refused = desk.run("sim simple-2 --seed 1 --out run");
    refused.assert_refused(2, &["run: holds a run", "--force"]);
    for name in ["run/boxes", "run/spans"] {
        fs::create_dir(desk.path().join(name)).unwrap();
    }
    for name in ["records/0014.bin", "boxes/0000.box", "spans/0000.json", "0001.prom"] {
        desk.write(&format!("run/{name}"), "of an earlier run");
    }
    assert_eq!(desk.run("sim simple-2 --seed 1 --out run --force").status, 0);
    assert_eq!(desk.run("sim simple-2 --seed 1 --out fresh").status, 0);
    assert_eq!(fs::read_to_string(desk.path().join("run/notes.txt")).unwrap(), "mine");
    fs::remove_file(desk.path().join("run/notes.txt")).unwrap();
    let same = std::process::Command::new("diff")
        .args(["-r", "run", "fresh"])
        .current_dir(desk.path())
        .output()
        .unwrap();
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
    // Of several runs the first folder that is taken is named before anything runs.
    assert_eq!(desk.run("sim simple-1 --seed 2 --out many/simple-1-seed-2").status, 0);
    let refused = desk.run("sim simple-1 --seed 1 --repeat 2 --out many");
    refused.assert_refused(2, &["many/simple-1-seed-2: holds a run"]);
    assert!(!desk.path().join("many/simple-1-seed-1").exists());
    assert_eq!(desk.run("sim simple-2 --force").status, 2, "--force without a folder");
}

/// A folder into which files of other runs have come: every reader takes the run's own.
#[test]
fn every_reader_takes_the_files_that_run_json_names() {
    let desk = Desk::new();
    assert_eq!(desk.run("sim simple-2 --seed 1 --out run").status, 0);
    assert_eq!(desk.run("sim large --seed 1 --out large").status, 0);
    let readers = ["records run", "budget run", "budget run --format json", "trace run -o t.json"];
    let told = || readers.map(|words| desk.run(words)).map(|done| (done.status, done.out));
    let trace = || fs::read(desk.path().join("t.json")).unwrap();
    let (before, drawn) = (told(), trace());
    assert!(before.iter().all(|(status, _)| *status == 0));
    for entry in fs::read_dir(desk.path().join("large/records")).unwrap() {
        let path = entry.unwrap().path();
        let copy = desk.path().join("run/records").join(path.file_name().unwrap());
        if !copy.exists() {
            fs::copy(&path, copy).unwrap();
        }
    }
    fs::create_dir(desk.path().join("run/boxes")).unwrap();
    desk.write("run/boxes/0000.box", "of an earlier, real run");
    assert_eq!(fs::read_dir(desk.path().join("run/records")).unwrap().count(), 21);
    assert!(told() == before && trace() == drawn);
    let refused = desk.run("postmortem run");
    refused.assert_refused(2, &["run: a run in virtual time has no black boxes"]);
}

#[test]
fn ctrl_c_in_a_real_run_ends_it_and_all_its_replicas() {
    let desk = Desk::new();
    let script = "#!/bin/sh\necho $$ >>replicas\nexec sleep 600\n";
    desk.write("replica", script);
    let program = desk.path().join("replica");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = desk.command("sim simple-2 --real --replica ./replica");
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let launched = || fs::read_to_string(desk.path().join("replicas")).unwrap_or_default();
    wait_until("five replicas", || launched().lines().count() == 5);
    let replicas: Vec<String> = launched().lines().map(str::to_owned).collect();
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let done = Done::of(run.wait_with_output().unwrap());
    done.assert_refused(130, &["interrupted"]);
    for replica in replicas {
        wait_until(&replica, || !Path::new("/proc").join(&replica).exists());
    }
}
