//! Ctrl-C and the other signals that ask the program to stop. Some commands must clean up first:
//! end child processes, or restore the terminal.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

static WATCHED: AtomicBool = AtomicBool::new(false);
static SEEN: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP no longer end this process. Instead [`seen`] reports
/// them.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn watch() -> io::Result<()> {
    if WATCHED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let watching = start_watching();
    WATCHED.store(watching.is_ok(), Ordering::SeqCst);
    watching
}

fn start_watching() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate, mut hang_up) = {
        let _context = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    let wait = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        SEEN.store(true, Ordering::SeqCst);
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(move || runtime.block_on(wait)).map(drop)
}

/// Whether the process has been asked to stop.
pub fn seen() -> bool {
    SEEN.load(Ordering::SeqCst)
}
