//! `laconic top` on recorded answers of five replicas of a real run, one of them dead: golden
//! screens, and how it treats wrong answers. `UPDATE=1 cargo test --features top --test top`
//! rewrites the screens.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use laconic::top::{Reading, Scrape, Target, View, Viewport, draw, scrape, targets_of};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/top")
}

/// The answers of the replicas at the time `then`. Replica 0000 had been killed.
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
    screen_at(view, &Viewport::default(), width, height)
}

fn screen_at(view: &View, viewport: &Viewport, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view, viewport)).unwrap();
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
    for (width, height) in [(40, 24), (80, 24), (200, 50)] {
        let drawn = screen(&view, width, height);
        assert_golden(&format!("{width}x{height}.txt"), &drawn);
        // Roles are written in full, and for a replica that is away the screen says why and since
        // when.
        assert!(drawn.contains("follower") && drawn.contains("away     2 s  connection refused"));
    }
}

/// Compares what `screen` shows with a file that `UPDATE=1` rewrites.
fn assert_golden(name: &str, drawn: &str) {
    let path = folder().join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, drawn).unwrap();
    }
    assert_eq!(drawn, fs::read_to_string(&path).unwrap(), "{name}");
}

/// A cluster of as many replicas as Laconic can have. All but one are followers.
fn view_of_21() -> View {
    let scrape = |rank: usize| {
        let mut scrape = recorded("second").swap_remove(2);
        scrape.target.name = format!("{rank:04X}");
        let reading = scrape.reading.as_mut().unwrap();
        reading.status.id = format!("{rank:04X}");
        if rank == 1 {
            reading.status.role = "leader".into();
        }
        scrape
    };
    let mut view = View::default();
    view.update(0.0, (0..21).map(scrape).collect());
    view
}

#[test]
fn what_does_not_fit_is_scrolled_to_and_the_keys_are_explained() {
    use ratatui::crossterm::event::KeyCode;
    let view = view_of_21();
    let mut viewport = Viewport::default();
    let press =
        |viewport: &mut Viewport, key| viewport.press(key, view.rows.len(), view.events.len());
    let first = screen_at(&view, &viewport, 80, 24);
    assert!(first.contains("0000  follower") && !first.contains("0014  follower"), "{first}");
    assert!(first.contains("\u{2191} 0 above, \u{2193} "), "{first}");
    press(&mut viewport, KeyCode::End);
    let last = screen_at(&view, &viewport, 80, 24);
    assert!(!last.contains("0000  follower") && last.contains("0014  follower"), "{last}");
    assert!(last.contains(" above, \u{2193} 0 below"), "{last}");
    press(&mut viewport, KeyCode::Home);
    for _ in 0..30 {
        press(&mut viewport, KeyCode::Down);
    }
    assert_eq!(viewport.replica, 20);
    assert_eq!(screen_at(&view, &viewport, 80, 24), last);
    press(&mut viewport, KeyCode::Char('?'));
    assert_golden("help.txt", &screen_at(&view, &viewport, 40, 24));
    press(&mut viewport, KeyCode::Char('?'));
    assert!(!viewport.help);
}

/// A leader that is cut off still claims to lead for a while, but the replicas that answer do not
/// follow it.
#[test]
fn who_claims_to_lead_without_a_quorum_is_not_said_to_lead() {
    let deposed = |change: fn(&mut Scrape)| {
        let mut view = View::default();
        let mut scrapes = recorded("second");
        scrapes.iter_mut().filter(|scrape| scrape.target.name != "0001").for_each(change);
        view.update(0.0, scrapes);
        view
    };
    let newer = deposed(|scrape| {
        if let Ok(reading) = &mut scrape.reading {
            (reading.status.term, reading.status.leader) = (2, None);
        }
    });
    let alone = deposed(|scrape| scrape.reading = Err("no answer".into()));
    for view in [newer, alone] {
        assert_eq!(view.leader(), None);
        let shown = screen(&view, 80, 24);
        assert!(shown.contains("nobody leads: 0001 claims to, alone"), "{shown}");
    }
}

#[test]
fn latency_is_that_of_the_answers_since_the_last_look() {
    let view = view();
    let latency = view.latency.unwrap();
    let counted = |q: f64| {
        let bucket = "laconic_client_request_duration_seconds_bucket";
        let cumulative = |le: f64| {
            let all = |scrapes: Vec<Scrape>| -> f64 {
                let readings = scrapes.iter().filter_map(|scrape| scrape.reading.as_ref().ok());
                let of = |reading: &Reading| {
                    reading.sum(bucket, |series| {
                        let bound = series.label("le").unwrap().parse::<f64>().unwrap();
                        series.name == bucket
                            && series.label("outcome") == Some("ok")
                            && bound == le
                    })
                };
                readings.map(of).sum()
            };
            all(recorded("second")) - all(recorded("first"))
        };
        // The quantile must lie between the bounds of its bucket.
        let bounds =
            [0.0, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5];
        let all = cumulative(f64::INFINITY);
        let place = bounds.iter().position(|le| cumulative(*le) >= q * all && *le > 0.0).unwrap();
        bounds[place - 1]..=bounds[place]
    };
    assert!(counted(0.5).contains(&latency.p50_seconds), "{latency:?} {:?}", counted(0.5));
    assert!(counted(0.99).contains(&latency.p99_seconds), "{latency:?} {:?}", counted(0.99));
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
    let away = screen(&view, 80, 24);
    assert!(away.contains(&format!("{leader}  away     0 s  timeout")), "{away}");
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
/// What a program writes to take the whole screen, and to give it back.
const TAKES_THE_SCREEN: &str = "\u{1b}[?1049h";
const GIVES_IT_BACK: &str = "\u{1b}[?1049l";

/// The program, running on a terminal of its own.
struct OnTerminal {
    /// The user's end of the terminal. Reading from it never waits.
    user: File,
    /// The program's end of the terminal, to read its settings.
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

    /// Whether input is read line by line and shown as it is typed, as before the program.
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
