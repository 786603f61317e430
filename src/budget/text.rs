//! A report for the terminal: at most 80 columns, bars, styles that the printer may strip.

use anstyle::{AnsiColor, Style};

use super::document::{Block, Table};

/// Columns of a terminal that everyone has.
const WIDTH: usize = 80;
/// Columns that bars may take.
const WIDEST_BAR: usize = 20;

/// The blocks as text, with ANSI styles.
pub fn text(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        match block {
            Block::Heading(words) => {
                let style = Style::new().bold();
                out += &format!("\n{style}{words}{style:#}\n");
            }
            Block::Paragraph(words) => wrap(&mut out, words, "  ", "  "),
            Block::List(items) => {
                items.iter().for_each(|item| wrap(&mut out, item, "  - ", "    "))
            }
            Block::Table(table) => write_table(&mut out, table),
        }
    }
    out
}

/// `words` in lines of at most [`WIDTH`] columns.
fn wrap(out: &mut String, words: &str, first: &str, rest: &str) {
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in words.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            rest.clone_into(&mut line);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    out.push_str(&line);
    out.push('\n');
}

fn write_table(out: &mut String, table: &Table) {
    let columns = table.head.len();
    let mut widths: Vec<usize> = table.head.iter().map(|cell| cell.chars().count()).collect();
    for row in &table.rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let used: usize = widths.iter().map(|width| width + 2).sum();
    let room = WIDTH.saturating_sub(used + 2).min(WIDEST_BAR);
    let most = table.bars.iter().flatten().copied().fold(0.0, f64::max);
    let mut line = |cells: &[&str], style: Style, bar: &str| {
        let mut text = String::new();
        for column in 0..columns {
            let (cell, width) = (cells[column], widths[column]);
            text += &if column < table.left {
                format!("  {cell:<width$}")
            } else {
                format!("  {cell:>width$}")
            };
        }
        let text = if bar.is_empty() { text.trim_end() } else { &text };
        let color = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
        *out += &if bar.is_empty() {
            format!("{style}{text}{style:#}\n")
        } else {
            format!("{style}{text}{style:#}  {color}{bar}{color:#}\n")
        };
    };
    line(&table.head, Style::new().dimmed(), "");
    for (place, row) in table.rows.iter().enumerate() {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        let bar = table.bars.as_ref().and_then(|bars| bars.get(place)).copied().unwrap_or(0.0);
        let length = if most > 0.0 { (bar / most * room as f64).round() as usize } else { 0 };
        line(&cells, Style::new(), &"\u{2588}".repeat(length));
    }
}
