//! What comes with the commands: completions, the manual, a page that opens, and a progress
//! bar for many runs.

mod desk;

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use desk::{Desk, Done, wait_until};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

#[test]
fn shells_complete_every_command() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = desk.run(&format!("completions {shell}"));
        assert_eq!((done.status, done.err.as_str()), (0, ""), "{shell}");
        for word in ["postmortem", "calibrate", "repeat", "verify"] {
            assert!(done.out.contains(word), "{shell}: no {word}");
        }
    }
    assert_eq!(desk.run("completions tcsh").status, 2);
}

#[test]
fn the_manual_has_a_page_a_command_with_its_flags() {
    let desk = Desk::new();
    let done = desk.run("man share/man1");
    assert_eq!((done.status, done.out.as_str(), done.err.as_str()), (0, "", ""));
    let page = |name: &str| {
        fs::read_to_string(desk.path().join(format!("share/man1/{name}.1"))).expect(name)
    };
    assert!(page("laconic").contains("laconic\\-sim(1)"));
    assert!(page("laconic-sim").contains("\\-\\-open\\-metrics"));
    assert!(page("laconic-sim").contains("Exit status: 0 good"));
    assert!(page("laconic-budget-diff").contains("second run"));
    desk.write("file", "");
    desk.run("man file").assert_refused(4, &["laconic: file: ", "exists"]);
}

/// A program takes the place of the user's browser: it notes which page it is given.
#[cfg(target_os = "linux")]
#[test]
fn a_page_opens_in_the_program_that_the_user_has_and_is_there_without_one() {
    let desk = Desk::new();
    let opener = desk.path().join("bin/xdg-open");
    desk.write("bin/xdg-open", "#!/bin/sh\necho \"$1\" > opened.draft\nmv opened.draft opened\n");
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let run = |words: &str, path: &str| {
        let path = format!("{}/{path}:/usr/bin:/bin", desk.path().display());
        let path = if words.contains("none") { "nowhere".to_owned() } else { path };
        Done::of(desk.command(words).env("PATH", path).output().unwrap())
    };
    let opened = || {
        let file = desk.path().join("opened");
        wait_until("something is opened", || file.exists());
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        text
    };
    let done = run("sim simple-1 --seed 1 --out run --report page.html --open", "bin");
    assert_eq!((done.status, done.err.as_str()), (0, ""));
    assert_eq!(opened(), "page.html\n");
    let done = run("budget run --format html --output other.html --open", "bin");
    assert_eq!((done.status, done.err.as_str()), (0, ""));
    assert_eq!(opened(), "other.html\n");

    let done = run("sim simple-1 --seed 1 --report none.html --open", "");
    assert_eq!((done.status, done.err.lines().count()), (0, 1), "{done:?}");
    let line = "laconic: --open: xdg-open: No such file or directory (os error 2); the page is \
                none.html\n";
    assert_eq!(done.err, line);
    assert!(desk.path().join("none.html").exists());
}

/// The progress bar is shown on a terminal, and nowhere else.
#[test]
fn a_terminal_shows_how_many_of_the_runs_are_over() {
    let desk = Desk::new();
    let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&user).unwrap();
    unlockpt(&user).unwrap();
    let name = ptsname(&user, Vec::new()).unwrap().into_string().unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut command = desk.command("sim simple-1 --repeat 100 --seed 1");
    command.stdout(Stdio::piped()).stderr(Stdio::from(OwnedFd::from(terminal)));
    let child = command.spawn().unwrap();
    // Dropping the command closes this process's last copy of the terminal.
    drop(command);
    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        // When the other side closes the terminal at the end, the reader gets an error.
        let _ = File::from(user).read_to_end(&mut seen);
        String::from_utf8_lossy(&seen).into_owned()
    });
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{out}");
    assert!(out.ends_with("out of 100 runs\n") && !out.contains("left"), "{out}");
    let seen = reader.join().unwrap();
    assert!(seen.contains("/100 runs, "), "{seen:?}");
    assert_eq!(desk.run("sim simple-1 --repeat 3 --seed 1").err, "");
}
