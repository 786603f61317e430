//! The view, drawn.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Row as TableRow, Table};

use super::view::{Row, View};

/// Bars are drawn in eighths of a column.
const EIGHTHS: [&str; 8] =
    ["", "\u{258F}", "\u{258E}", "\u{258D}", "\u{258C}", "\u{258B}", "\u{258A}", "\u{2589}"];

/// Draws `view` over the whole frame.
pub fn draw(frame: &mut Frame<'_>, view: &View) {
    let rows = view.rows.len() as u16 + 2;
    let [head, replicas, below, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Max(rows),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(view), head);
    draw_replicas(frame, view, replicas);
    let [messages, events] =
        Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(below);
    draw_messages(frame, view, messages);
    draw_events(frame, view, events);
    let keys = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Paragraph::new("q quits").style(keys), foot);
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), number)
}

fn headline(view: &View) -> Paragraph<'_> {
    let strong = Style::new().add_modifier(Modifier::BOLD);
    let up = view.answering().count();
    let leader = match view.leader() {
        Some(row) => {
            let term = row.reading.as_ref().map_or(0, |reading| reading.status.term);
            Span::styled(format!("{} leads term {term}", row.name), strong)
        }
        None => Span::styled("nobody leads", strong.fg(Color::Red)),
    };
    let first = Line::from(vec![
        Span::styled("laconic top", strong),
        Span::raw(format!("  {up} of {} replicas answer, ", view.rows.len())),
        leader,
    ]);
    let second = Line::from(vec![
        Span::raw("messages per commit "),
        Span::styled(or_dash(view.messages_per_commit), strong),
        Span::raw(format!(
            " (floor {}), {} commits/s, {} reads/s",
            or_dash(view.floor),
            number(view.commit_rate),
            number(view.read_rate)
        )),
    ]);
    Paragraph::new(vec![first, second])
}

fn draw_replicas(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let head = ["ID", "role", "term", "commit", "behind", "lease", "sent/s", "taken in/s"];
    let widths = [6, 13, 6, 9, 7, 7, 9, 10].map(Constraint::Length);
    let table = Table::new(view.rows.iter().map(replica_row), widths)
        .header(TableRow::new(head).style(Style::new().add_modifier(Modifier::DIM)))
        .block(Block::new());
    frame.render_widget(table, area);
}

fn replica_row(row: &Row) -> TableRow<'_> {
    let Some(reading) = &row.reading else {
        let cells = [row.name.as_str(), "gone"];
        return TableRow::new(cells).style(Style::new().fg(Color::Red));
    };
    let status = &reading.status;
    let lease = status
        .lease_until_us
        .map(|until| until.saturating_sub(status.uptime_us) as f64 / 1e6)
        .filter(|_| row.gone.is_none());
    let (role, style) = match (&row.gone, status.role.as_str()) {
        (Some(_), _) => ("gone", Style::new().fg(Color::Red)),
        (None, "leader") => ("leader", Style::new().fg(Color::Green)),
        (None, role) => (role, Style::new()),
    };
    TableRow::new([
        row.name.clone(),
        role.to_owned(),
        status.term.to_string(),
        status.commit.to_string(),
        row.behind.to_string(),
        lease.map_or("-".to_owned(), |lease| format!("{lease:.2} s")),
        number(row.sent_rate),
        number(row.received_rate),
    ])
    .style(style)
}

fn draw_messages(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let block = Block::bordered().title("messages a second by cause");
    let inside = block.inner(area);
    let most = view.causes.first().map_or(0.0, |(_, rate)| *rate);
    let room = usize::from(inside.width).saturating_sub(21);
    let lines = view.causes.iter().map(|(cause, rate)| {
        let eighths = if most > 0.0 { (rate / most * room as f64 * 8.0) as usize } else { 0 };
        let bar = "\u{2588}".repeat(eighths / 8) + EIGHTHS[eighths % 8];
        Line::from(vec![
            Span::raw(format!("{cause:<11}{:>8} ", number(*rate))),
            Span::styled(bar, Style::new().fg(Color::Cyan)),
        ])
    });
    let lines: Vec<Line<'_>> = lines.collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn draw_events(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let block = Block::bordered().title("events");
    let room = usize::from(block.inner(area).height);
    let lines: Vec<Line<'_>> = view
        .events
        .iter()
        .take(room)
        .map(|(at, event)| Line::from(format!("{at:>6.0} s {event}")))
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
