//! Colours by name, each for a light and a dark page. The page gets them as variables that a theme
//! switches, a standalone picture as plain rules.

use super::super::report::BudgetReport;
use super::super::words::spaced;
/// Name, light colour, dark colour.
const PALETTE: [(&str, &str, &str); 31] = [
    ("page", "#f6f7f9", "#101317"),
    ("surface", "#ffffff", "#181c22"),
    ("soft", "#eef1f5", "#222831"),
    ("line", "#d9dee5", "#333a44"),
    ("ink", "#1b2027", "#e7eaee"),
    ("quiet", "#59626f", "#a3acb8"),
    ("accent", "#0b62a8", "#63b0f0"),
    ("on-accent", "#ffffff", "#0d1115"),
    ("good", "#1a7444", "#63c78d"),
    ("bad", "#b3261e", "#ff8b7f"),
    // Causes: each has one colour in every chart.
    ("replicate", "#0072b2", "#3f9fe0"),
    ("resend", "#d55e00", "#f07a2b"),
    ("catch_up", "#e69f00", "#f0b429"),
    ("probe", "#b0568c", "#d98cb9"),
    ("heartbeat", "#4fa8d8", "#a6dcf7"),
    ("confirm", "#009e73", "#2cc295"),
    ("commit", "#b8a200", "#f0e442"),
    ("campaign", "#3b4250", "#f4f5f7"),
    ("retry", "#8a919c", "#88919d"),
    ("inquiry", "#7a5c2e", "#c9a66b"),
    // Stages of a request: neighbours differ in hue, hops there and back in brightness.
    ("stage-request", "#009e73", "#2cc295"),
    ("stage-queued", "#b8a200", "#f0e442"),
    ("stage-batched", "#e07b00", "#ffa94d"),
    ("stage-odd-hop", "#0b62a8", "#5aa9ea"),
    ("stage-even-hop", "#63b3e6", "#b3defa"),
    ("stage-quorum-wait", "#8e3b8e", "#d08fd0"),
    ("stage-applied", "#8a919c", "#88919d"),
    ("stage-answered", "#c2354f", "#ff8098"),
    // Colours for other things than causes and stages.
    ("floor", "#59626f", "#a3acb8"),
    ("reference", "#8a919c", "#88919d"),
    ("cut", "#f6dcc7", "#4a3220"),
];

/// The variables and rules of a page, whose theme may change.
pub fn of_page() -> String {
    let variables: String = PALETTE
        .iter()
        .map(|(name, light, dark)| format!("  --{name}: light-dark({light}, {dark});\n"))
        .collect();
    let rules: String =
        PALETTE.iter().map(|(name, _, _)| rules(name, &format!("var(--{name})"))).collect();
    format!(":root {{\n{variables}}}\n{rules}")
}

/// The rules for the classes that `drawing` uses: light, unless the viewer prefers dark.
pub fn of_picture(drawing: &str) -> String {
    let used = |name: &str| {
        ["fill", "stroke"].iter().any(|what| {
            let class = format!("{what}-{name}");
            let ends = |rest: &str| rest.starts_with([' ', '"']);
            drawing.match_indices(&class).any(|(at, _)| ends(&drawing[at + class.len()..]))
        })
    };
    let shown = || PALETTE.iter().filter(|(name, _, _)| used(name));
    let light: String = shown().map(|(name, light, _)| rules(name, light)).collect();
    let dark: String = shown().map(|(name, _, dark)| rules(name, dark)).collect();
    format!("{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n")
}

fn rules(name: &str, colour: &str) -> String {
    format!(".fill-{name} {{ fill: {colour}; }} .stroke-{name} {{ stroke: {colour}; }}\n")
}

/// The colour of a request's stage. Each hop of its way is called `hop` and a number.
pub fn stage(name: &str) -> &'static str {
    let hop: Option<u32> = name.strip_prefix("hop ").and_then(|number| number.parse().ok());
    match (name, hop) {
        (_, Some(number)) if number % 2 == 1 => "stage-odd-hop",
        (_, Some(_)) => "stage-even-hop",
        ("request", _) => "stage-request",
        ("queued", _) => "stage-queued",
        ("batched", _) => "stage-batched",
        ("quorum wait", _) => "stage-quorum-wait",
        ("applied", _) => "stage-applied",
        _ => "stage-answered",
    }
}

/// The legend of the causes that the run's messages are charged to.
pub fn cause_key(report: &BudgetReport) -> Vec<(String, String)> {
    let seen = |cause: &&&str| report.table.iter().any(|row| row.cause == **cause);
    let causes = report.causes.iter().filter(seen);
    causes.map(|cause| ((*cause).to_owned(), spaced(cause))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neighbours in a bar must look different, and each stage the same in every chart.
    #[test]
    fn each_stage_of_a_request_has_a_colour_of_its_own() {
        let stages = [
            "request",
            "queued",
            "batched",
            "hop 1",
            "hop 2",
            "quorum wait",
            "applied",
            "answered",
        ];
        let mut colours = stages.map(stage);
        assert!(colours.iter().all(|name| PALETTE.iter().any(|(known, ..)| known == name)));
        assert_eq!([stage("hop 3"), stage("hop 12")], [stage("hop 1"), stage("hop 2")]);
        colours.sort_unstable();
        assert!(colours.windows(2).all(|pair| pair[0] != pair[1]), "{colours:?}");
    }
}
