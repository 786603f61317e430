//! Circles of files. The text of each file in a folder shows which other files it uses, and a test
//! finds out whether these uses lead back to where they began. A subfolder counts as one file with
//! all that is in it. What `mod.rs` itself holds or re-exports counts as `mod`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// For each file of a folder, the other files that it uses.
pub type Uses = BTreeMap<String, BTreeSet<String>>;

/// The name for the folder's own items, which are in its `mod.rs` or in the file with its name.
const FOLDER: &str = "mod";

/// The code that is built: without comment lines, and without the tests at the end of a file.
pub fn built(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The paths at the start of a text: `a::b` is one path, `{a, b::{c, d}}` are three. The second
/// value is their length in bytes.
fn paths(text: &str) -> (Vec<Vec<String>>, usize) {
    if !text.starts_with('{') {
        let end = text.find(|letter| !is_of_name(letter)).unwrap_or(text.len());
        let name = text[..end].to_owned();
        let Some(rest) = text[end..].strip_prefix("::") else {
            return (vec![vec![name]], end);
        };
        let (below, length) = paths(rest);
        let whole = below.into_iter().map(|path| [vec![name.clone()], path].concat());
        return (whole.collect(), end + 2 + length);
    }
    let mut found = Vec::new();
    let mut place = 1;
    while let Some(letter) = text[place..].chars().next() {
        if letter == '}' {
            return (found, place + 1);
        }
        if is_of_name(letter) || letter == '{' {
            let (more, length) = paths(&text[place..]);
            found.extend(more);
            place += length;
            // In `B as C`, the name after `as` is no path.
            if text[place..].starts_with(" as ") {
                place += text[place..].find([',', '}']).unwrap_or(text[place..].len());
            }
        } else {
            place += letter.len_utf8();
        }
    }
    (found, place)
}

/// The modules that the code of `module` names, each as a path from the root of the crate, with the
/// item last. `children` are the modules that `module` declares.
fn named_from(module: &[String], children: &BTreeSet<String>, text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut place = 0;
    while let Some(offset) = text[place..].find(is_of_name) {
        place += offset;
        let (named, length) = paths(&text[place..]);
        for path in named {
            let supers = path.iter().take_while(|name| *name == "super").count();
            let first = path.first().map_or("", String::as_str);
            let base: &[String] = match first {
                "super" => &module[..module.len().saturating_sub(supers)],
                "crate" => &[],
                "self" => module,
                child if children.contains(child) && path.len() > 1 => module,
                _ => continue,
            };
            let below = match first {
                "super" => &path[supers..],
                "crate" | "self" => &path[1..],
                _ => &path[..],
            };
            found.push([base, below].concat());
        }
        place += length;
    }
    found
}

/// Adds to `uses` what `file`, the module `module`, uses of `folder`. The user is named `node`.
fn note(uses: &mut Uses, folder: &[String], node: &str, (file, module): (&Path, &[String])) {
    let is_folder = node == FOLDER;
    let nodes: BTreeSet<String> = uses.keys().cloned().collect();
    let children = if is_folder { nodes.clone() } else { BTreeSet::new() };
    let text = built(&fs::read_to_string(file).unwrap());
    for path in named_from(module, &children, &text) {
        let Some(below) = path.strip_prefix(folder) else {
            continue;
        };
        let used = below.first().filter(|name| nodes.contains(*name));
        let used = used.map_or(FOLDER, String::as_str);
        if used != node && !below.is_empty() {
            uses.entry(node.to_owned()).or_default().insert(used.to_owned());
        }
    }
}

fn is_test(name: &str) -> bool {
    name == "tests" || name == "tests.rs"
}

/// All files of `place`, a file or a folder whose module is `module`, each with its module's path.
fn files(place: &Path, module: &[String], found: &mut Vec<(PathBuf, Vec<String>)>) {
    if !place.is_dir() {
        return found.push((place.to_owned(), module.to_vec()));
    }
    for entry in fs::read_dir(place).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let stem = name.trim_end_matches(".rs");
        let is_source = stem != name || entry.path().is_dir();
        if is_test(&name) || !is_source {
            continue;
        }
        let own = if stem == "mod" { Vec::new() } else { vec![stem.to_owned()] };
        files(&entry.path(), &[module, &own].concat(), found);
    }
}

/// Which files of the folder `path` of the sources use which other ones.
pub fn uses_within(sources: &Path, path: &[String]) -> Uses {
    let mut below = Vec::new();
    let folder = path.iter().fold(sources.to_owned(), |place, name| place.join(name));
    files(&folder, path, &mut below);
    let named_like_it = folder.with_extension("rs");
    if named_like_it.exists() {
        below.push((named_like_it, path.to_vec()));
    }
    let node = |module: &[String]| module.get(path.len()).cloned().unwrap_or(FOLDER.to_owned());
    let mut uses: Uses = below.iter().map(|(_, module)| (node(module), BTreeSet::new())).collect();
    for (file, module) in &below {
        note(&mut uses, path, &node(module), (file, module));
    }
    uses
}

/// A circle in `uses`, if there is one. Each file in it uses the next, and the last equals the
/// first.
pub fn circle(uses: &Uses) -> Option<Vec<String>> {
    fn follow<'a>(
        uses: &'a Uses,
        file: &'a str,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(place) = way.iter().position(|passed| *passed == file) {
            let around = way[place..].iter().chain([&file]);
            return Some(around.map(|file| (*file).to_owned()).collect());
        }
        if done.contains(file) {
            return None;
        }
        way.push(file);
        let found = uses.get(file)?.iter().find_map(|next| follow(uses, next, way, done));
        way.pop();
        done.insert(file);
        found
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|file| follow(uses, file, &mut Vec::new(), &mut done))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> Vec<String> {
        path.split("::").map(str::to_owned).collect()
    }

    fn named(text: &str) -> Vec<String> {
        let children = BTreeSet::from(["child".to_owned()]);
        let found = named_from(&module("folder::file"), &children, &built(text));
        found.into_iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn a_path_is_found_in_every_form_that_it_has() {
        assert_eq!(named("use super::x;"), ["folder::x"]);
        assert_eq!(named("use super::super::y::Z;"), ["y::Z"]);
        assert_eq!(named("use crate::folder::x::Y;"), ["folder::x::Y"]);
        assert_eq!(named("let y = super::x::y(1);"), ["folder::x::y"]);
        assert_eq!(named("use super::{x as y};"), ["folder::x"]);
        assert_eq!(named("use super::x as y;"), ["folder::x"]);
        assert_eq!(named("pub use child::Y;"), ["folder::file::child::Y"]);
        let braced = "use crate::folder::{\n    a::{B, c},\n    d,\n};\nuse super::{e::F as G, h};";
        let all = ["folder::a::B", "folder::a::c", "folder::d", "folder::e::F", "folder::h"];
        assert_eq!(named(braced), all);
        assert_eq!(named("use std::x;\n/// [`super::x`]\n// super::x\nmod child;"), [""; 0]);
        assert_eq!(named("#[cfg(test)]\nmod tests {\n    use super::x;\n}"), [""; 0]);
    }

    #[test]
    fn a_circle_is_found_wherever_it_begins() {
        let uses = |edges: &[(&str, &str)]| {
            let mut uses = Uses::new();
            for (from, to) in edges {
                uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
                uses.entry((*to).to_owned()).or_default();
            }
            uses
        };
        assert_eq!(circle(&uses(&[("a", "b"), ("a", "c"), ("b", "c")])), None);
        let around = circle(&uses(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")])).unwrap();
        assert_eq!(around, ["b", "c", "d", "b"]);
    }
}
