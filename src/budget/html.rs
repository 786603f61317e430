//! The report as one HTML file that loads nothing: the reports as JSON, their charts as SVG, and
//! the scripts that put text and tables around them. Every number on the page comes from that JSON
//! or is drawn from the same report. Every text is inserted as text, never as markup.

use serde::Serialize;

use super::charts::{self, charts};
use super::diff::Difference;
use super::report::BudgetReport;

const PAGE: &str = include_str!("assets/page.html");
const STYLE: &str = include_str!("assets/page.css");

/// The scripts, each before those that use it.
const SCRIPTS: [&str; 5] = [
    include_str!("assets/page.js"),
    include_str!("assets/sections.js"),
    include_str!("assets/space_time.js"),
    include_str!("assets/steering.js"),
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
    let drawn: String = reports.iter().map(drawn).collect();
    let reports = embedded(&reports)?;
    let difference = embedded(&difference)?;
    let scripts: String =
        SCRIPTS.iter().map(|script| format!("<script>\n{script}\n</script>\n")).collect();
    let style = [charts::colours().as_str(), STYLE, charts::STYLE].concat();
    let page = PAGE.replace("{{style}}", &style).replace("{{scripts}}", &scripts);
    // Slots are filled one after the other, because a filled-in text may itself look like a slot.
    let mut filled = String::new();
    let mut rest = page.as_str();
    for (slot, content) in
        [("{{charts}}", drawn), ("{{difference}}", difference), ("{{reports}}", reports)]
    {
        let (before, after) = rest.split_once(slot).unwrap_or((rest, ""));
        filled = [&filled, before, &content].concat();
        rest = after;
    }
    Ok(filled + rest)
}

/// A report's charts, as elements that the page's script takes out one by one.
fn drawn(report: &BudgetReport) -> String {
    let drawn: String = charts(report).iter().map(|chart| chart.html() + "\n").collect();
    format!("<template class=\"charts\">\n{drawn}</template>\n")
}

/// JSON that is safe inside an element. A "<" occurs only within strings, where it is written as an
/// escape, so no text can end the element.
fn embedded(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}
