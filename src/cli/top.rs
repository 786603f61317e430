//! `laconic top`: a running cluster in the terminal.

use std::path::PathBuf;

use clap::Args;

#[cfg(not(feature = "top"))]
use super::failure::{ExitStatus, Failure};

/// Watch a running cluster in the terminal
#[derive(Args)]
#[command(after_help = "\
Asks each replica for /metrics and /status once an interval; q or Escape quits,
? explains the keys and columns, arrows and PgUp/PgDn scroll.
SIGTERM and SIGHUP end it too, with status 130 and the terminal as it was.
Needs a program built with the feature `top`: make, or
cargo build --release --features top.

Examples:
  laconic sim simple-2 --real --metrics targets.json &
  laconic top --discovery targets.json
  laconic top 127.0.0.1:9100 127.0.0.1:9101 127.0.0.1:9102")]
pub struct TopArguments {
    /// Where replicas serve their metrics: HOST:PORT
    #[arg(value_name = "ADDRESS", required_unless_present = "discovery")]
    addresses: Vec<String>,
    /// Take the addresses from this Prometheus service discovery file
    #[arg(long, value_name = "FILE", conflicts_with = "addresses")]
    discovery: Option<PathBuf>,
    /// Time between two looks, in milliseconds
    #[arg(
        long, value_name = "MS", default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(100..=60_000)
    )]
    interval_ms: u64,
}

/// Says how to get a program with this command.
#[cfg(not(feature = "top"))]
pub fn run(_: &TopArguments) -> Result<ExitStatus, Failure> {
    Err(Failure::input("built without the terminal view: cargo build --release --features top"))
}

#[cfg(feature = "top")]
pub use with_terminal::run;

#[cfg(feature = "top")]
mod with_terminal {
    use std::io::{IsTerminal, stdout};
    use std::time::{Duration, Instant};

    use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
    use rayon::prelude::*;

    use crate::cli::failure::{ExitStatus, Failure};
    use crate::cli::top::TopArguments;
    use crate::interrupt;
    use crate::top::{Target, View, Viewport, draw, scrape, targets_of};

    /// Time between two checks for keys, and so the longest delay of a signal.
    const KEYS: Duration = Duration::from_millis(50);

    /// Shows the cluster until the user quits.
    pub fn run(arguments: &TopArguments) -> Result<ExitStatus, Failure> {
        let targets = match &arguments.discovery {
            Some(path) => targets_of(path).map_err(Failure::input)?,
            None => arguments
                .addresses
                .iter()
                .map(|address| Target { name: address.clone(), address: address.clone() })
                .collect(),
        };
        if !stdout().is_terminal() {
            return Err(Failure::input("top draws on a terminal, and standard output is none"));
        }
        interrupt::watch().map_err(Failure::environment)?;
        // After a panic the terminal is restored before the message is printed.
        let mut terminal = ratatui::try_init().map_err(Failure::environment)?;
        let watched = watch(&mut terminal, &targets, Duration::from_millis(arguments.interval_ms));
        // In every case the terminal is restored.
        ratatui::restore();
        if interrupt::seen() {
            // The terminal may be gone. An error that comes from that is not reported.
            return Err(Failure::interrupted("interrupted"));
        }
        watched.map(|()| ExitStatus::Good).map_err(Failure::environment)
    }

    fn watch(
        terminal: &mut ratatui::DefaultTerminal,
        targets: &[Target],
        interval: Duration,
    ) -> std::io::Result<()> {
        let began = Instant::now();
        let mut view = View::default();
        let mut viewport = Viewport::default();
        loop {
            let looked = Instant::now();
            let scrapes = targets.par_iter().map(scrape).collect();
            view.update(began.elapsed().as_secs_f64(), scrapes);
            terminal.draw(|frame| draw(frame, &view, &viewport))?;
            // After a change of size the screen is drawn at once, from the data that is there.
            while looked.elapsed() < interval {
                if interrupt::seen() {
                    return Ok(());
                }
                if event::poll(interval.saturating_sub(looked.elapsed()).min(KEYS))? {
                    match event::read()? {
                        Event::Key(key) if key.kind == KeyEventKind::Press => {
                            let interrupts = key.code == KeyCode::Char('c')
                                && key.modifiers.contains(KeyModifiers::CONTROL);
                            let quits = matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
                            if interrupts || quits {
                                return Ok(());
                            }
                            viewport.press(key.code, view.rows.len(), view.events.len());
                            terminal.draw(|frame| draw(frame, &view, &viewport))?;
                        }
                        Event::Resize(_, _) => {
                            terminal.draw(|frame| draw(frame, &view, &viewport))?;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}
