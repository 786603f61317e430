//! A report for the terminal: at most 80 columns, with bars, and styles that the printer may strip.

use anstyle::{AnsiColor, Style};

use super::document::{Block, Table};
use crate::columns::Columns;

/// Columns that every terminal has.
const WIDTH: usize = 80;
/// Most columns of a bar.
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

/// Breaks `words` into lines of at most [`WIDTH`] columns.
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
    let head: Vec<String> = table.head.iter().map(|cell| (*cell).to_owned()).collect();
    let columns = Columns::fitting([&head].into_iter().chain(&table.rows), table.left);
    let room = WIDTH.saturating_sub(columns.width() + 4).min(WIDEST_BAR);
    let most = table.bars.iter().flatten().copied().fold(0.0, f64::max);
    let (dimmed, color) =
        (Style::new().dimmed(), Style::new().fg_color(Some(AnsiColor::Cyan.into())));
    *out += &format!("  {dimmed}{}{dimmed:#}\n", columns.line(&head).trim_end());
    for (place, row) in table.rows.iter().enumerate() {
        let bar = table.bars.as_ref().and_then(|bars| bars.get(place)).copied().unwrap_or(0.0);
        let length = if most > 0.0 { (bar / most * room as f64).round() as usize } else { 0 };
        *out += &if length == 0 {
            format!("  {}", columns.row(row))
        } else {
            format!("  {}  {color}{}{color:#}\n", columns.line(row), "\u{2588}".repeat(length))
        };
    }
}
