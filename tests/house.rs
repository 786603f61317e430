//! The project's own rules, checked by tests: which module imports which, how long a file may be,
//! that every citation in the code can be looked up, and that every rule of the protocol has a
//! test. `UPDATE=1 cargo test --test house` writes the tests' names into `docs/rules.md`.

mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a source file.
const MOST_LINES: usize = 520;

/// The most columns of a line. rustfmt does not shorten comments and strings.
const MOST_COLUMNS: usize = 100;

fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file in or below `places`, which are files or folders of the project. What cargo builds of
/// a crate of its own, as `tests/mutants` is one, is left out.
fn files_below(places: &[&str]) -> Vec<PathBuf> {
    fn walk(place: PathBuf, files: &mut Vec<PathBuf>) {
        if place.is_dir() {
            let below = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
            below.filter(|path| !path.ends_with("target")).for_each(|path| walk(path, files));
        } else {
            files.push(place);
        }
    }
    let mut files = Vec::new();
    for place in places {
        walk(house().join(place), &mut files);
    }
    files.sort();
    files
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "rs")
}

fn sources() -> Vec<PathBuf> {
    files_below(&["src"]).into_iter().filter(|path| is_rust(path)).collect()
}

/// The top-level module that a file belongs to.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(house().join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The name at the start of a text.
fn first_name(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The items of a list in braces; `text` begins inside it. Lists within the list are left out.
fn items_of_braces(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (place, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                items.push(text[start..place].trim());
                start = place + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    items
}

/// The project's modules that a text names after `crate::`, alone or several in braces.
fn named(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("crate::").map(|(at, found)| &text[at + found.len()..]);
    let names = starts.flat_map(|rest| match rest.strip_prefix('{') {
        Some(list) => items_of_braces(list).into_iter().map(first_name).collect(),
        None => vec![first_name(rest)],
    });
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn imports_are_found_in_every_form_that_they_have() {
    let cases: [(&str, &[&str]); 4] = [
        ("use crate::raft::{Index, Term};", &["raft"]),
        ("use crate::{kv, wire::{Datagram, encode}, raft::Term as T};", &["kv", "raft", "wire"]),
        (
            "use crate::{\n    sim::{a::{b, c}, d},\n    top,\n};\nuse std::{fs, io};",
            &["sim", "top"],
        ),
        ("fn f(at: crate::clock::Clock) {}", &["clock"]),
    ];
    for (text, expected) in cases {
        assert_eq!(named(text).into_iter().collect::<Vec<_>>(), expected, "{text}");
    }
}

/// The modules that each module may use, by the table in `src/lib.rs`. Each row is for one module,
/// and its last cell names the others.
fn map_of_modules() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(house().join("src/lib.rs")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix('|'));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let modules = cells.filter_map(|cells| {
        let [module, _, uses] = cells[..] else {
            panic!("a row of three cells: {cells:?}");
        };
        let module = module
            .strip_prefix("[`")
            .and_then(|rest| rest.strip_suffix("`]"))
            .or(module.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')))?;
        let uses = uses.split(", ").filter(|name| !name.is_empty()).map(str::to_owned);
        Some((module.to_owned(), uses.collect()))
    });
    modules.collect()
}

#[test]
fn modules_import_what_the_map_says_and_nothing_else() {
    let map = map_of_modules();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources() {
        let module = module_of(&path);
        // A file of tests may use more than its module, like tests at the end of a file.
        if ["lib", "main"].contains(&module.as_str()) || path.ends_with("tests.rs") {
            continue;
        }
        let may = map.get(&module).unwrap_or_else(|| panic!("{module}: not on the map"));
        // Examples in comments and tests at the end of a file may use more than the module itself.
        let used = found.entry(module.clone()).or_default();
        for name in named(&circles::built(&fs::read_to_string(&path).unwrap())) {
            let fine = name == module || may.contains(&name);
            assert!(fine, "{} imports {name}, which {module} may not", path.display());
            used.insert(name);
        }
    }
    for (module, may) in &map {
        let used = found.get(module).unwrap_or_else(|| panic!("{module} is no module"));
        for name in may {
            assert!(used.contains(name), "src/lib.rs: {module} does not use {name}");
        }
    }
}

/// Every folder below `src`, as the path of its module.
fn folders() -> BTreeSet<Vec<String>> {
    let below = sources().into_iter().filter_map(|file| {
        let folder = file.parent()?.strip_prefix(house().join("src")).ok()?.to_owned();
        Some(folder.iter().map(|name| name.to_string_lossy().into_owned()).collect())
    });
    below.filter(|path: &Vec<String>| path.last().is_some_and(|name| name != "tests")).collect()
}

#[test]
fn no_files_of_a_folder_use_each_other_in_a_circle() {
    let folders = folders();
    assert!(folders.contains(&vec!["sim".to_owned(), "virtual_time".to_owned()]));
    let mut used = 0;
    let found: Vec<String> = folders
        .iter()
        .filter_map(|path| {
            let uses = circles::uses_within(&house().join("src"), path);
            used += uses.values().map(BTreeSet::len).sum::<usize>();
            let circle = circles::circle(&uses)?.join(" uses ");
            Some(format!("src/{}: {circle}", path.join("/")))
        })
        .collect();
    assert!(used > 100, "{used} uses found: too few to be true");
    assert_eq!(found, [] as [String; 0]);
}

/// The core, the replica, the schema of records, and all that these import use no clock, socket,
/// file or thread, and no random order.
#[test]
fn nothing_pure_reaches_a_socket_a_clock_or_a_file() {
    let forbidden = [
        "tokio",
        "std::net",
        "Instant",
        "SystemTime",
        "std::fs",
        "std::thread",
        "std::process",
        "std::env",
        "metrics::",
        "rustix",
        "RandomState",
        "HashMap::new",
        "HashSet::new",
    ];
    let map = map_of_modules();
    let mut pure: BTreeSet<String> = ["replica", "record"].map(str::to_owned).into();
    while let Some(more) =
        pure.iter().flat_map(|name| &map[name]).find(|name| !pure.contains(*name))
    {
        pure.insert(more.clone());
    }
    assert!(pure.contains("raft") && pure.contains("kv") && !pure.contains("archive"));
    for path in sources().into_iter().filter(|path| pure.contains(&module_of(path))) {
        let text = circles::built(&fs::read_to_string(&path).unwrap());
        for word in forbidden {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn files_are_of_a_length_that_can_be_read() {
    for path in sources() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= MOST_LINES, "{}: {lines} lines", path.display());
    }
}

/// Whether a line is a row of a table, which cannot be broken.
fn is_row_of_table(line: &str) -> bool {
    line.matches(" | ").count() >= 3
}

#[test]
fn lines_are_of_a_width_that_can_be_read() {
    for path in files_below(&["src", "tests", "benches"]).into_iter().filter(|path| is_rust(path)) {
        let text = fs::read_to_string(&path).unwrap();
        for (place, line) in text.lines().enumerate().filter(|(_, line)| !is_row_of_table(line)) {
            let columns = line.chars().count();
            let place = place + 1;
            assert!(columns <= MOST_COLUMNS, "{}:{place}: {columns} columns", path.display());
        }
    }
}

/// The files and folders whose citations are checked.
const CITING: &[&str] = &[
    "src",
    "tests",
    "benches",
    "docs",
    "dashboards",
    "profiles",
    ".ci",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "Makefile",
];

/// A section or a rule that a text cites.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Citation {
    /// A section of `docs/design.md`.
    Design(String),
    /// A section of `docs/interface.md`.
    Interface(String),
    /// A rule of `docs/rules.md`, by its number.
    Rule(u32),
}

/// The words of a text without the marks that begin comment lines, so that a citation may continue
/// on the next line.
fn words(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| {
        let line = line.trim_start();
        let marks = ["//!", "///", "//", "#"];
        marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line)
    });
    lines.flat_map(str::split_whitespace).collect()
}

/// The section number at the start of `text`, as in `6a),` or `5.4.2`.
fn section_number(text: &str) -> Option<&str> {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.');
    let number = text[..end.unwrap_or(text.len())].trim_end_matches('.');
    number.starts_with(|letter: char| letter.is_ascii_digit()).then_some(number)
}

/// Whether `word` names `document`: alone, after an opening bracket, or as its file.
fn names_document(word: &str, document: &str) -> bool {
    let word = word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
    let file = format!("{document}.md");
    word == document || word.ends_with(&file)
}

/// The sections that `words` cite. The words follow the name of their document: `§1`, `§2 and §4`,
/// `§2 to §5`, `section 3`.
fn sections<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut numbers_follow = false;
    for word in words {
        let bare = word.trim_start_matches(['(', '[', '"']);
        let number = match bare.strip_prefix('§') {
            Some(rest) => section_number(rest),
            None if numbers_follow => section_number(bare),
            None => None,
        };
        let joins = ["and", "to", "or"].contains(&bare) && !found.is_empty();
        match number {
            Some(number) => found.push(number),
            None if ["section", "sections"].contains(&bare) => numbers_follow = true,
            None if joins => {}
            None => break,
        }
        // After a full stop or a closing bracket, the next sentence begins.
        if number.is_some() && word.ends_with(['.', ')', ':', ';']) {
            break;
        }
    }
    found
}

/// The numbers of the rules in `word`: `R7`, `(R3)`, `R1-R4`.
fn rules_in(word: &str) -> Vec<u32> {
    let parts = word.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let number = |part: &str| part.strip_prefix('R').and_then(|digits| digits.parse().ok());
    parts.filter_map(number).collect()
}

/// All sections and rules that a text cites.
fn citations(text: &str) -> Vec<Citation> {
    let words = words(text);
    let mut found = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let after = &words[place + 1..];
        if names_document(word, "design") {
            found.extend(sections(after).into_iter().map(|n| Citation::Design(n.to_owned())));
        } else if names_document(word, "interface") {
            found.extend(sections(after).into_iter().map(|n| Citation::Interface(n.to_owned())));
        }
        found.extend(rules_in(word).into_iter().map(Citation::Rule));
    }
    found
}

fn document(name: &str) -> String {
    fs::read_to_string(house().join("docs").join(name)).unwrap()
}

/// The text before the first full stop of each heading of a document: `6a`, `R7`.
fn headings(text: &str) -> Vec<String> {
    let titles = text.lines().filter_map(|line| line.strip_prefix("## "));
    titles.filter_map(|title| Some(title.split_once(". ")?.0.to_owned())).collect()
}

/// All sections and rules that can be cited.
fn citable() -> BTreeSet<Citation> {
    let design = headings(&document("design.md")).into_iter().map(Citation::Design);
    let interface = headings(&document("interface.md")).into_iter().map(Citation::Interface);
    let rules = rule_numbers().into_iter().map(Citation::Rule);
    design.chain(interface).chain(rules).collect()
}

/// The rules of `docs/rules.md`, in their order.
fn rule_numbers() -> Vec<u32> {
    let headings = headings(&document("rules.md"));
    headings.iter().filter_map(|heading| heading.strip_prefix('R')?.parse().ok()).collect()
}

#[test]
fn citations_are_found_in_every_form_that_they_have() {
    let design = |number: &str| Citation::Design(number.into());
    let interface = |number: &str| Citation::Interface(number.into());
    let rule = Citation::Rule;
    let cases = [
        ("//! as told (design §6a).", vec![design("6a")]),
        (
            "/// bound (design §3 and §6, simulator\n/// interface §5).",
            vec![design("3"), design("6"), interface("5")],
        ),
        ("//! Facts from the interface, §1 and §2.", vec![interface("1"), interface("2")]),
        ("Interface §2, §3 and §4: what is sent", ["2", "3", "4"].map(interface).into()),
        ("what interface §2 to §5 demand", vec![interface("2"), interface("5")]),
        ("in design section 4 and rules R1 to R3", vec![design("4"), rule(1), rule(3)]),
        ("the rules of interface\n    /// §3, \"Events\"", vec![interface("3")]),
        ("[design §11](design.md#11-glossary)", vec![design("11")]),
        ("see docs/design.md §5", vec![design("5")]),
        ("kept apart (R3); R1-R4, R16.", [3, 1, 4, 16].map(rule).into()),
        ("By the paper (§5.4.2), dissertation §6.4", vec![]),
        ("by design (§5.4.2)", vec![design("5.4.2")]),
        ("the design (§6) and §5.1 of the paper", vec![design("6")]),
        ("the interface has 2 sections", vec![]),
    ];
    for (text, expected) in cases {
        assert_eq!(citations(text), expected, "{text}");
    }
}

#[test]
fn what_is_cited_is_there_to_be_read() {
    let citable = citable();
    let mut count = 0;
    for path in files_below(CITING) {
        // The examples in this file are no citations, and neither is anything in files of others.
        let name = path.strip_prefix(house()).unwrap().display().to_string();
        if name == "tests/house.rs" || name.ends_with(".min.js") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for citation in citations(&text) {
            count += 1;
            assert!(
                citable.contains(&citation),
                "{name} cites {citation:?}, which is not in docs/"
            );
        }
    }
    assert!(count > 250, "only {count} citations were found");
}

/// In a document, a section without a document's name is one of its own. The paper's sections are
/// known by the point in their number.
#[test]
fn documents_name_their_own_sections() {
    for name in ["design.md", "interface.md"] {
        let text = document(name);
        let own = headings(&text);
        let cited = citations(&text);
        let bare = words(&text).into_iter().filter_map(|word| word.split_once('§'));
        let numbers = bare.filter_map(|(_, rest)| section_number(rest));
        let mut count = 0;
        for number in numbers.filter(|number| !number.contains('.')) {
            count += 1;
            let number = number.to_owned();
            let of_other = cited.contains(&Citation::Design(number.clone()))
                || cited.contains(&Citation::Interface(number.clone()));
            assert!(own.contains(&number) || of_other, "{name}: §{number}");
        }
        assert!(count >= 5, "{name}: only {count} sections are named");
    }
}

/// The names of all tests that guard a rule, by its number.
fn tests_of_rules() -> BTreeMap<u32, BTreeSet<String>> {
    let mut tests: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for path in files_below(&["src", "tests"]).into_iter().filter(|path| is_rust(path)) {
        let text = fs::read_to_string(&path).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let name = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            let digits = name.and_then(|name| Some(name.strip_prefix('r')?.split_once('_')?.0));
            let rule = digits.filter(|digits| digits.len() == 2).and_then(|two| two.parse().ok());
            if let (true, Some(rule), Some(name)) = (is_test, rule, name) {
                tests.entry(rule).or_default().insert(name.to_owned());
            }
            // Other attributes and comments may come between.
            is_test = line == "#[test]" || is_test && line.starts_with(['#', '/']);
        }
    }
    tests
}

#[test]
fn every_rule_has_a_test_and_every_such_test_a_rule() {
    let rules = rule_numbers();
    assert_eq!(rules, (1..=33).collect::<Vec<u32>>());
    let tests = tests_of_rules();
    let without: Vec<String> = rules
        .iter()
        .filter(|rule| !tests.contains_key(rule))
        .map(|rule| format!("R{rule}"))
        .collect();
    assert!(without.is_empty(), "rules without a test (fn r07_...): {}", without.join(", "));
    let unknown: Vec<&u32> = tests.keys().filter(|rule| !rules.contains(rule)).collect();
    assert!(unknown.is_empty(), "tests of rules that docs/rules.md lacks: {unknown:?}");
}

/// `docs/rules.md` with the names of its tests after each rule.
fn rules_with_tests(text: &str) -> String {
    let tests = tests_of_rules();
    let (head, rules) = text.split_once("\n## ").unwrap();
    let mut whole = head.to_owned();
    for rule in rules.split("\n## ") {
        let (number, _) = rule.strip_prefix('R').and_then(|rest| rest.split_once(". ")).unwrap();
        let (body, _) = rule.split_once("\nTests:\n").expect("a rule ends with its tests");
        let tests = tests.get(&number.parse().unwrap()).into_iter().flatten();
        let list: String = tests.map(|name| format!("- `{name}`\n")).collect();
        let gap = if list.is_empty() { "" } else { "\n" };
        whole += &format!("\n## {body}\nTests:\n{gap}{list}");
    }
    whole
}

#[test]
fn the_rules_name_their_tests() {
    let text = document("rules.md");
    let wanted = rules_with_tests(&text);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(house().join("docs/rules.md"), &wanted).unwrap();
        return;
    }
    let missing = wanted.lines().find(|line| line.starts_with("- `") && !text.contains(line));
    let hint = "UPDATE=1 cargo test --test house writes the names of tests into docs/rules.md";
    assert!(text == wanted, "{hint}; the first that is missing: {missing:?}");
}
