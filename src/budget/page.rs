//! A document with charts as one HTML file that loads nothing and has no scripts. Every text is
//! inserted as text.

use super::charts::{self, Chart};
use super::document::{Block, Table};

const STYLE: &str = include_str!("assets/page.css");

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta http-equiv=\"Content-Security-Policy\"
  content=\"default-src 'none'; style-src 'unsafe-inline'\">
<title>{{title}}</title>
<style>
{{style}}</style>
</head>
<body>
";

/// One HTML file with these charts first and these blocks below them.
pub fn page(title: &str, charts: &[Chart], blocks: &[Block]) -> String {
    let colours = charts::colours();
    let heading = escaped(title);
    let charts: String = charts.iter().map(section_of_chart).collect();
    let parts = blocks.chunk_by(|_, next| !matches!(next, Block::Heading(_)));
    let blocks: String = parts
        .map(|part| {
            let part: String = part.iter().map(block).collect();
            format!("<section>\n{part}</section>\n")
        })
        .collect();
    let style = [colours.as_str(), STYLE, charts::STYLE].concat();
    HEAD.replace("{{title}}", &heading).replace("{{style}}", &style)
        + &format!("<header><div><h1>{heading}</h1></div></header>\n")
        + &format!("<main>\n{charts}{blocks}</main>\n</body>\n</html>\n")
}

/// `text` with what HTML would read as marks written as entities.
fn escaped(text: &str) -> String {
    svg::node::Text::new(text).to_string()
}

fn section_of_chart(chart: &Chart) -> String {
    format!("<section><h2>{}</h2>\n{}</section>\n", escaped(&chart.title), chart.html())
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(words) => format!("<h2>{}</h2>\n", escaped(words)),
        Block::Paragraph(words) => format!("<p>{}</p>\n", escaped(words)),
        Block::List(items) => {
            let items: String =
                items.iter().map(|item| format!("<li>{}</li>", escaped(item))).collect();
            format!("<ul class=\"compact\">{items}</ul>\n")
        }
        Block::Table(rows) => table(rows),
    }
}

fn table(table: &Table) -> String {
    let row = |mark: &str, cells: &[String]| {
        let cells = cells.iter().enumerate().map(|(place, cell)| {
            let class = if place < table.left { " class=\"text\"" } else { "" };
            format!("<{mark}{class}>{}</{mark}>", escaped(cell))
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let head: Vec<String> = table.head.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: String = table.rows.iter().map(|cells| row("td", cells)).collect();
    let head = row("th", &head);
    format!(
        "<div class=\"scroll\"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>\n"
    )
}
