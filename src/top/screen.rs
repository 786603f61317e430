//! Draws the view. Numbers have a fixed width and fixed decimals, so that no digit moves from one
//! refresh to the next.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::view::{Row, View};
use super::viewport::Viewport;

/// Bars are drawn in eighths of a column.
const EIGHTHS: [&str; 8] =
    ["", "\u{258F}", "\u{258E}", "\u{258D}", "\u{258C}", "\u{258B}", "\u{258A}", "\u{2589}"];
/// From this many columns on, a replica's row is shown in full, and lists are side by side.
const WIDE: u16 = 72;
/// Least number of lines for messages and events, below the replicas.
const LEAST_BELOW: u16 = 6;

/// Draws the part of `view` at `viewport` over the whole frame.
pub fn draw(frame: &mut Frame<'_>, view: &View, viewport: &Viewport) {
    let is_wide = frame.area().width >= WIDE;
    let rows = view.rows.len() as u16 + 2;
    let head = if is_wide { 3 } else { 4 };
    let room = frame.area().height.saturating_sub(head + 1);
    let [head, replicas, below, foot] = Layout::vertical([
        Constraint::Length(head),
        Constraint::Length(rows.min(room.saturating_sub(LEAST_BELOW).max(3))),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(view, is_wide), head);
    if viewport.help {
        let area = replicas.union(below);
        frame.render_widget(help(), area);
    } else {
        draw_replicas(frame, view, viewport, replicas, is_wide);
        let parts = if is_wide { [55, 45] } else { [50, 50] }.map(Constraint::Percentage);
        let layout = if is_wide { Layout::horizontal(parts) } else { Layout::vertical(parts) };
        let [messages, events] = layout.areas(below);
        draw_messages(frame, view, messages);
        draw_events(frame, view, viewport, events);
    }
    let keys = if is_wide { "q quits, ? explains the keys and columns" } else { "q quits, ? help" };
    frame.render_widget(Paragraph::new(keys).style(dim()), foot);
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn help() -> Paragraph<'static> {
    let lines = [
        "\u{2191} \u{2193}          more replicas",
        "PgUp PgDn    older events",
        "Home End     the first, the last",
        "?            back",
        "q Esc        quits",
        "",
        "behind   committed, not known here",
        "lease    may read without asking",
        "sent/s   messages sent a second",
        "taken/s  taken in a second",
        "latency  from a request to its ok",
        "floor    the provable least",
        "away     since when, and why",
    ];
    let lines: Vec<Line<'_>> = lines.into_iter().map(Line::from).collect();
    Paragraph::new(lines).block(Block::bordered().title("help"))
}

/// A number with so many decimals in a fixed width, or a dash.
fn fixed(value: Option<f64>, width: usize, decimals: usize) -> String {
    value.map_or(format!("{:>width$}", "-"), |value| format!("{value:>width$.decimals$}"))
}

fn milliseconds(seconds: Option<f64>) -> String {
    format!("{} ms", fixed(seconds.map(|seconds| seconds * 1e3), 7, 2))
}

fn headline(view: &View, is_wide: bool) -> Paragraph<'_> {
    let strong = Style::new().add_modifier(Modifier::BOLD);
    let up = view.answering().count();
    let count = format!("{up} of {} replicas answer, ", view.rows.len());
    let (leads, style) = match (view.leader(), view.claimant()) {
        (Some(row), _) => {
            let term = row.reading.as_ref().map_or(0, |reading| reading.status.term);
            (format!("{} leads term {term}", row.name), strong)
        }
        (None, Some((row, _))) => {
            (format!("nobody leads: {} claims to, alone", row.name), strong.fg(Color::Red))
        }
        (None, None) => ("nobody leads".to_owned(), strong.fg(Color::Red)),
    };
    let per_commit = format!(
        "messages per commit {} (floor {})",
        fixed(view.messages_per_commit, 6, 2),
        fixed(view.floor, 5, 2)
    );
    let rates = format!(
        "{} commits/s {} reads/s",
        fixed(Some(view.commit_rate), 8, 1),
        fixed(Some(view.read_rate), 8, 1)
    );
    let latency = view.latency;
    let latency = format!(
        "latency p50 {} p99 {}",
        milliseconds(latency.map(|latency| latency.p50_seconds)),
        milliseconds(latency.map(|latency| latency.p99_seconds))
    );
    let leads = Span::styled(leads, style);
    if is_wide {
        let first = Line::from(vec![Span::raw(count), leads]);
        let second = Line::from(per_commit + "  " + &rates);
        return Paragraph::new(vec![first, second, Line::from(latency)]);
    }
    let first = Line::from(vec![Span::raw(format!("{up}/{}: ", view.rows.len())), leads]);
    Paragraph::new(vec![first, Line::from(per_commit), Line::from(rates), Line::from(latency)])
}

fn draw_replicas(
    frame: &mut Frame<'_>,
    view: &View,
    viewport: &Viewport,
    area: Rect,
    is_wide: bool,
) {
    let head = if is_wide {
        "ID    role            term    commit   behind    lease     sent/s    taken/s"
    } else {
        "ID    role            commit  behind"
    };
    let names = view.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(4).max(4);
    let head = format!("{:<names$}{}", "ID", &head[4..]);
    let room = usize::from(area.height.saturating_sub(2));
    let first = viewport.replica.min(view.rows.len().saturating_sub(room.max(1)));
    let mut lines = vec![Line::from(head).style(dim())];
    let shown = view.rows.iter().skip(first).take(room);
    lines.extend(shown.map(|row| replica_line(row, view.at_seconds, names, is_wide)));
    let hidden = view.rows.len().saturating_sub(first + room);
    if first + hidden > 0 {
        lines.push(
            Line::from(format!("\u{2191} {first} above, \u{2193} {hidden} below")).style(dim()),
        );
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn replica_line(row: &Row, now_seconds: f64, names: usize, is_wide: bool) -> Line<'static> {
    let name = format!("{:<names$}", row.name);
    if let Some(away) = &row.away {
        let since = now_seconds - away.since_seconds;
        let words = format!("{name}  away {since:>5.0} s  {}", away.why);
        return Line::from(words).style(Style::new().fg(Color::Red));
    }
    let Some(reading) = &row.reading else {
        return Line::from(name);
    };
    let status = &reading.status;
    let style = if status.role == "leader" { Style::new().fg(Color::Green) } else { Style::new() };
    let role = status.role.replace('_', "-");
    let line = if is_wide {
        let lease = status.lease_until_us;
        let lease = lease.map(|until| until.saturating_sub(status.uptime_us) as f64 / 1e6);
        let lease = lease.map_or(format!("{:>9}", "-"), |lease| format!("{lease:>7.2} s"));
        format!(
            "{name}  {role:<13}{:>7}{:>10}{:>9}{lease}{}{}",
            status.term,
            status.commit,
            row.behind,
            fixed(Some(row.sent_rate), 11, 1),
            fixed(Some(row.received_rate), 11, 1)
        )
    } else {
        format!("{name}  {role:<13}{:>9}{:>8}", status.commit, row.behind)
    };
    Line::from(line).style(style)
}

fn draw_messages(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let block = Block::bordered().title("messages a second by cause");
    let inside = block.inner(area);
    let most = view.causes.first().map_or(0.0, |(_, rate)| *rate);
    let room = usize::from(inside.width).saturating_sub(21);
    let lines = view.causes.iter().map(|(cause, rate)| {
        let eighths = if most > 0.0 { (rate / most * room as f64 * 8.0) as usize } else { 0 };
        let bar = "\u{2588}".repeat(eighths / 8) + EIGHTHS[eighths % 8];
        let cause = cause.replace('_', " ");
        Line::from(vec![
            Span::raw(format!("{cause:<11}{} ", fixed(Some(*rate), 8, 1))),
            Span::styled(bar, Style::new().fg(Color::Cyan)),
        ])
    });
    let lines: Vec<Line<'_>> = lines.collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn draw_events(frame: &mut Frame<'_>, view: &View, viewport: &Viewport, area: Rect) {
    let first = viewport.event.min(view.events.len().saturating_sub(1));
    let title =
        if first > 0 { format!("events, {first} newer above") } else { "events".to_owned() };
    let block = Block::bordered().title(title);
    let room = usize::from(block.inner(area).height);
    let events = view.events.iter().skip(first).take(room);
    let lines: Vec<Line<'_>> =
        events.map(|(at, event)| Line::from(format!("{at:>6.0} s {event}"))).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
