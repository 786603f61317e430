//! Which part of the view is on the screen: how far its lists are scrolled, and whether help is
//! shown.

use ratatui::crossterm::event::KeyCode;

/// How many lines of events a page key moves.
const PAGE: usize = 5;

/// The part of the view on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Viewport {
    /// The first replica shown.
    pub replica: usize,
    /// The first event shown, the newest being 0.
    pub event: usize,
    /// Whether help is shown in place of the lists.
    pub help: bool,
}

impl Viewport {
    /// Handles a pressed key, with the present numbers of `replicas` and `events`. A key without a
    /// meaning changes nothing.
    pub fn press(&mut self, key: KeyCode, replicas: usize, events: usize) {
        let last = |count: usize| count.saturating_sub(1);
        match key {
            KeyCode::Char('?') => self.help = !self.help,
            KeyCode::Up | KeyCode::Char('k') => self.replica = self.replica.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => {
                self.replica = (self.replica + 1).min(last(replicas));
            }
            KeyCode::Home => (self.replica, self.event) = (0, 0),
            KeyCode::End => self.replica = last(replicas),
            KeyCode::PageUp => self.event = self.event.saturating_sub(PAGE),
            KeyCode::PageDown => self.event = (self.event + PAGE).min(last(events)),
            _ => {}
        }
    }
}
