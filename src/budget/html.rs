//! The report as one HTML file that loads nothing: the reports as JSON, and the scripts that draw
//! them. Every number on the page comes from that JSON, and every text gets there as text.

use serde::Serialize;

use super::diff::Difference;
use super::report::BudgetReport;

const PAGE: &str = include_str!("assets/page.html");
const STYLE: &str = include_str!("assets/page.css");

/// D3 7.9 and Observable Plot 0.6 as npm ships them (ISC), each with its licence, then our own.
const SCRIPTS: [&str; 7] = [
    concat!("/*!\n", include_str!("assets/d3.LICENSE"), "*/\n", include_str!("assets/d3.min.js")),
    concat!(
        "/*!\n",
        include_str!("assets/plot.LICENSE"),
        "*/\n",
        include_str!("assets/plot.min.js")
    ),
    include_str!("assets/page.js"),
    include_str!("assets/sections.js"),
    include_str!("assets/charts.js"),
    include_str!("assets/space_time.js"),
    include_str!("assets/main.js"),
];

/// One HTML file that shows `reports`, at least one; the first is shown first.
///
/// # Errors
/// If a report cannot be written as JSON.
pub fn html(reports: &[BudgetReport]) -> Result<String, serde_json::Error> {
    page(reports, None)
}

/// One HTML file that shows two `reports` side by side, and what changed from one to the other.
///
/// # Errors
/// If they cannot be written as JSON.
pub fn html_of_difference(
    reports: &[BudgetReport; 2],
    difference: &Difference,
) -> Result<String, serde_json::Error> {
    page(reports, Some(difference))
}

fn page(
    reports: &[BudgetReport],
    difference: Option<&Difference>,
) -> Result<String, serde_json::Error> {
    let reports = embedded(&reports)?;
    let difference = embedded(&difference)?;
    let scripts: String =
        SCRIPTS.iter().map(|script| format!("<script>\n{script}\n</script>\n")).collect();
    // The reports come last: what looks like a slot in their texts is left alone.
    let page = PAGE.replace("{{style}}", STYLE).replace("{{scripts}}", &scripts);
    // Both at once: the texts of one may hold what looks like the other's slot.
    let (head, rest) = page.split_once("{{difference}}").unwrap_or((&page, ""));
    let (middle, tail) = rest.split_once("{{reports}}").unwrap_or((rest, ""));
    Ok([head, &difference, middle, &reports, tail].concat())
}

/// JSON as it may stand in an element: a "<" stands only within strings, where it may be written
/// so, and no text can end the element.
fn embedded(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}
