//! A report as Markdown, as GitHub and others show it.

use super::document::{Block, Table};

/// The blocks as Markdown.
pub fn markdown(blocks: &[Block]) -> String {
    let mut out = String::new();
    let mut level = "#";
    for block in blocks {
        match block {
            Block::Heading(words) => {
                out += &format!("{level} {}\n\n", escape(words));
                level = "##";
            }
            Block::Paragraph(words) => out += &format!("{}\n\n", escape(words)),
            Block::List(items) => {
                items.iter().for_each(|item| out += &format!("- {}\n", escape(item)));
                out.push('\n');
            }
            Block::Table(table) => write_table(&mut out, table),
        }
    }
    out
}

/// Escapes what Markdown would read as markup.
fn escape(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for letter in words.chars() {
        if matches!(letter, '\\' | '`' | '*' | '_' | '<' | '|' | '[' | ']' | '#') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn write_table(out: &mut String, table: &Table) {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    *out += &row(table.head.iter().map(|cell| escape(cell)).collect());
    let rule = |column| if column < table.left { "---" } else { "---:" };
    *out += &row((0..table.head.len()).map(|column| rule(column).to_owned()).collect());
    for cells in &table.rows {
        *out += &row(cells.iter().map(|cell| escape(cell)).collect());
    }
    out.push('\n');
}
