//! `laconic top` on what five replicas of a real run answered, one of them dead: golden screens,
//! and what becomes of an answer that is none. `UPDATE=1 cargo test --features top --test top`
//! rewrites the screens.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use laconic::top::{Reading, Scrape, Target, View, draw, scrape, targets_of};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/top")
}

/// What the replicas answered then; 0000 had been killed.
fn recorded(then: &str) -> Vec<Scrape> {
    let of = |rank: u16| {
        let name = format!("{rank:04X}");
        let read =
            |ending: &str| fs::read_to_string(folder().join(then).join(format!("{name}.{ending}")));
        let reading = match (read("json"), read("prom")) {
            (Ok(status), Ok(metrics)) => Reading::parse(&status, &metrics),
            _ => Err("connection refused".to_owned()),
        };
        let address = format!("127.0.0.1:{}", 9_100 + rank);
        Scrape { target: Target { name, address }, reading }
    };
    (0..5).map(of).collect()
}

fn view() -> View {
    let mut view = View::default();
    view.update(0.0, recorded("first"));
    view.update(2.0, recorded("second"));
    view
}

fn screen(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |row| {
        let cells = (0..width).map(|column| buffer[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    (0..height).map(line).collect()
}

#[test]
fn five_replicas_with_one_dead_look_like_this() {
    let view = view();
    for (width, height) in [(80, 24), (200, 50)] {
        let path = folder().join(format!("{width}x{height}.txt"));
        let drawn = screen(&view, width, height);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &drawn).unwrap();
        }
        assert_eq!(drawn, fs::read_to_string(&path).unwrap(), "{width}x{height}");
    }
}

#[test]
fn rates_are_what_the_replicas_counted_between_two_looks() {
    let view = view();
    let leader = view.leader().unwrap();
    let (first, second) = (recorded("first"), recorded("second"));
    let place = view.rows.iter().position(|row| row.name == leader.name).unwrap();
    let sent = |scrapes: &[Scrape]| {
        let reading = scrapes[place].reading.as_ref().unwrap();
        reading.sum("laconic_messages_sent_total", |_| true)
    };
    assert!(sent(&second) > sent(&first));
    assert_eq!(leader.sent_rate, (sent(&second) - sent(&first)) / 2.0);
    let by_cause: f64 = view.causes.iter().map(|(_, rate)| rate).sum();
    let by_replica: f64 = view.rows.iter().map(|row| row.sent_rate).sum();
    assert!((by_cause - by_replica).abs() < 1e-9, "{by_cause} {by_replica}");
    assert!(view.messages_per_commit.unwrap() > view.floor.unwrap());
    assert_eq!(view.answering().count(), 4);
}

#[test]
fn one_that_dies_and_comes_back_is_an_event_and_a_small_screen_does_no_harm() {
    let mut view = view();
    let mut gone = recorded("second");
    let leader = view.leader().unwrap().name.clone();
    for scrape in gone.iter_mut().filter(|scrape| scrape.target.name == leader) {
        scrape.reading = Err("timeout".into());
    }
    view.update(3.0, gone);
    assert!(view.leader().is_none());
    assert_eq!(view.events[0], (3.0, format!("{leader} does not answer: timeout")));
    assert!(screen(&view, 80, 24).contains("nobody leads"));
    view.update(4.0, recorded("second"));
    assert_eq!(view.events[0], (4.0, format!("{leader} answers again")));
    for (width, height) in [(1, 1), (10, 3), (40, 8), (80, 10)] {
        screen(&view, width, height);
    }
}

#[test]
fn what_answers_otherwise_is_gone_and_a_bad_discovery_file_is_named() {
    let target = Target { name: "0001".into(), address: "127.0.0.1:1".into() };
    assert!(scrape(&target).reading.is_err());
    assert!(Reading::parse("<html>", "").unwrap_err().starts_with("/status: "));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("targets.json");
    assert!(targets_of(&path).unwrap_err().contains("targets.json: No such file"));
    fs::write(&path, "{").unwrap();
    assert!(targets_of(&path).unwrap_err().contains("no service discovery file"));
    fs::write(&path, "[]").unwrap();
    assert!(targets_of(&path).unwrap_err().ends_with("names no targets"));
    let labels = r#"{"cluster": "a", "__meta_laconic_replica": "0003"}"#;
    let groups = format!(r#"[{{"targets": ["127.0.0.1:9"], "labels": {labels}}}]"#);
    fs::write(&path, groups).unwrap();
    assert_eq!(targets_of(&path).unwrap()[0].name, "0003");
}

const PATIENCE: Duration = Duration::from_secs(20);
/// What a program writes to have the screen to itself, and to give it back.
const TAKES_THE_SCREEN: &str = "\u{1b}[?1049h";
const GIVES_IT_BACK: &str = "\u{1b}[?1049l";

/// The program on a terminal of its own.
struct OnTerminal {
    /// The user's end, which never waits.
    user: File,
    /// The program's end, to ask for its settings.
    terminal: File,
    child: Child,
    seen: String,
}

impl OnTerminal {
    fn start(words: &[&str]) -> OnTerminal {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&user, size).unwrap();
        let name = ptsname(&user, Vec::new()).unwrap().into_string().unwrap();
        let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let end = || Stdio::from(OwnedFd::from(terminal.try_clone().unwrap()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_laconic"));
        command.args(words).stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        rustix::io::ioctl_fionbio(&user, true).unwrap();
        OnTerminal { user: File::from(user), terminal, child, seen: String::new() }
    }

    /// Whether what is typed comes line by line, and is shown.
    fn is_as_it_was(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    fn read_until(&mut self, wanted: impl Fn(&OnTerminal) -> bool) {
        let start = Instant::now();
        while !wanted(self) {
            let mut bytes = [0; 4_096];
            match self.user.read(&mut bytes) {
                Ok(length) => self.seen += &String::from_utf8_lossy(&bytes[..length]),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(start.elapsed() < PATIENCE, "{:?}", self.seen);
        }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_gives_the_terminal_back_as_it_was() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut top = OnTerminal::start(&["top", "127.0.0.1:1"]);
        top.read_until(|top| top.seen.contains(TAKES_THE_SCREEN) && top.seen.contains("quits"));
        assert!(!top.is_as_it_was(), "{signal:?}");
        kill_process(Pid::from_child(&top.child), signal).unwrap();
        top.read_until(|top| top.seen.contains(GIVES_IT_BACK));
        assert_eq!(top.child.wait().unwrap().code(), Some(130), "{signal:?}");
        assert!(top.is_as_it_was(), "{signal:?}");
        top.read_until(|top| top.seen.contains("laconic: interrupted"));
    }
}
