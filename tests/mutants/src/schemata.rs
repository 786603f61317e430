//! All mutants in one text, each behind a switch: mutant schemata (Untch, Offutt and Harrold,
//! "Mutation analysis using mutant schemata", 1993). Comments in the text say which mutant a place
//! belongs to, so that what the compiler says of a place is said of a mutant.

use std::collections::{HashMap, HashSet};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::list::{Bytes, Genre, Mutant};
use crate::problem::Problem;

/// Text before and after some bytes of a file, which may be none.
#[derive(Debug)]
struct Around {
    bytes: Bytes,
    before: String,
    after: String,
}

/// A text with all that is to be put around its bytes. Of two that begin and end alike the one that
/// comes first in the list is inside.
fn rendered(text: &str, mut arounds: Vec<Around>) -> String {
    arounds.reverse();
    arounds.sort_by_key(|around| (around.bytes.start, std::cmp::Reverse(around.bytes.end)));
    let mut whole = String::with_capacity(text.len() * 4);
    let (mut at, mut open): (usize, Vec<&Around>) = (0, Vec::new());
    let ends =
        Around { bytes: text.len()..text.len(), before: String::new(), after: String::new() };
    for around in arounds.iter().chain([&ends]) {
        let start = around.bytes.start;
        while let Some(last) = open.pop_if(|last| last.bytes.end <= start) {
            whole += &text[at..last.bytes.end];
            whole += &last.after;
            at = last.bytes.end;
        }
        whole += &text[at..start];
        whole += &around.before;
        at = start;
        open.push(around);
    }
    whole
}

/// The places of a file where a mutant can be.
#[derive(Default)]
struct Places {
    /// What an operator at these bytes is part of.
    operations: HashMap<(usize, usize), Bytes>,
    /// The guards of match arms, which are expressions.
    guards: HashMap<usize, Bytes>,
    /// Where an arm begins: the end of its pattern and, if it has one, its guard.
    arms: HashMap<usize, (usize, Option<syn::Expr>)>,
    /// Where the first statement of a function is.
    bodies: HashSet<usize>,
    /// Where a field begins: the literal that it is part of.
    fields: HashMap<usize, Bytes>,
    /// What decides nothing: it is asked only to note a rare branch (src/raft/mark.rs), or counts
    /// only with a planted bug (src/raft/planted.rs).
    idle: Vec<Bytes>,
    /// The word `const` before a function: its bytes, and the function's name.
    constant: Vec<(Bytes, String)>,
}

fn range(node: &impl Spanned) -> Bytes {
    node.span().byte_range()
}

/// Whether a condition can be true only where a bug is planted: `core.has(Planted::...)`, with or
/// without other conditions that must be true as well. Without the feature `planted` it never is.
fn needs_planted(condition: &syn::Expr) -> bool {
    match condition {
        syn::Expr::Paren(inner) => needs_planted(&inner.expr),
        syn::Expr::Binary(both) if matches!(both.op, syn::BinOp::And(_)) => {
            needs_planted(&both.left) || needs_planted(&both.right)
        }
        syn::Expr::MethodCall(call) if call.method == "has" => {
            let is_bug = |argument: &syn::Expr| match argument {
                syn::Expr::Path(path) => {
                    path.path.segments.first().is_some_and(|first| first.ident == "Planted")
                }
                _ => false,
            };
            call.args.first().is_some_and(is_bug)
        }
        _ => false,
    }
}

impl Places {
    fn function(&mut self, signature: &syn::Signature, block: Option<&syn::Block>) {
        if let Some(first) = block.and_then(|block| block.stmts.first()) {
            self.bodies.insert(range(first).start);
        }
        if let Some(word) = &signature.constness {
            self.constant.push((range(word), signature.ident.to_string()));
        }
    }
}

impl<'a> Visit<'a> for Places {
    fn visit_expr_binary(&mut self, node: &'a syn::ExprBinary) {
        let operator = range(&node.op);
        self.operations.insert((operator.start, operator.end), range(node));
        if matches!(node.op, syn::BinOp::And(_)) {
            let parts = [&*node.left, &*node.right];
            let needed = parts.map(needs_planted);
            let idle = parts.iter().zip([needed[1], needed[0]]).filter(|(_, other)| *other);
            self.idle.extend(idle.map(|(part, _)| range(part)));
        }
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'a syn::ExprUnary) {
        let operator = range(&node.op);
        self.operations.insert((operator.start, operator.end), range(node));
        visit::visit_expr_unary(self, node);
    }

    fn visit_arm(&mut self, node: &'a syn::Arm) {
        let guard = node.guard.as_ref().map(|(_, guard)| (**guard).clone());
        if guard.as_ref().is_some_and(needs_planted) {
            self.idle.push(range(&node.body));
        }
        if let Some(guard) = &guard {
            self.guards.insert(range(guard).start, range(guard));
        }
        self.arms.insert(range(node).start, (range(&node.pat).end, guard));
        visit::visit_arm(self, node);
    }

    fn visit_expr_struct(&mut self, node: &'a syn::ExprStruct) {
        for field in &node.fields {
            self.fields.insert(range(field).start, range(node));
        }
        visit::visit_expr_struct(self, node);
    }

    fn visit_expr_method_call(&mut self, node: &'a syn::ExprMethodCall) {
        if ["mark_if", "add_if"].iter().any(|name| node.method == name) {
            self.idle.extend(node.args.iter().map(range));
        }
        visit::visit_expr_method_call(self, node);
    }

    fn visit_expr_if(&mut self, node: &'a syn::ExprIf) {
        if needs_planted(&node.cond) {
            self.idle.push(range(&node.then_branch));
        }
        visit::visit_expr_if(self, node);
    }

    fn visit_item_fn(&mut self, node: &'a syn::ItemFn) {
        self.function(&node.sig, Some(&node.block));
        visit::visit_item_fn(self, node);
    }

    fn visit_impl_item_fn(&mut self, node: &'a syn::ImplItemFn) {
        self.function(&node.sig, Some(&node.block));
        visit::visit_impl_item_fn(self, node);
    }

    fn visit_trait_item_fn(&mut self, node: &'a syn::TraitItemFn) {
        self.function(&node.sig, node.default.as_ref());
        visit::visit_trait_item_fn(self, node);
    }
}

fn parsed(file: &str, text: &str) -> Result<Places, Problem> {
    let parsed = syn::parse_file(text).map_err(|error| Problem(format!("{file}: {error}")))?;
    let mut places = Places::default();
    places.visit_file(&parsed);
    Ok(places)
}

/// The bytes of a file that decide nothing, so they are left out like the notes and the planted
/// bugs themselves (`.cargo/mutants.toml`): what is asked only to note a rare branch, what is done
/// only with a planted bug, and what is asked only together with whether one is planted. The
/// operator between the last two is not left out: without the bug it decides.
///
/// # Errors
/// The file does not parse.
pub fn idle(file: &str, text: &str) -> Result<Vec<Bytes>, Problem> {
    Ok(parsed(file, text)?.idle)
}

/// The call that asks whether a mutant is off.
fn off(number: usize) -> String {
    format!("crate::mutant::off({number})")
}

/// What a mutant puts in place of bytes, marked as its own.
fn replacing(number: usize, replacement: &str) -> String {
    format!("/*<{number}*/{replacement}/*{number}>*/")
}

/// Around an expression: as it is while the mutant is off, otherwise `text` with the mutant's bytes
/// replaced. What is replaced has no switches of other mutants, since one alone is on.
fn choice(number: usize, mutant: &Mutant, text: &str, node: &Bytes) -> Around {
    let replacement = format!(
        "{}{}{}",
        &text[node.start..mutant.bytes.start],
        mutant.replacement,
        &text[mutant.bytes.end..node.end]
    );
    let replacement = replacing(number, &replacement);
    Around {
        bytes: node.clone(),
        before: format!("/*[{number}*/(if {} {{ ", off(number)),
        after: format!(" }} else {{ {replacement} }})/*{number}]*/"),
    }
}

/// Around the arm of a `match`: it is taken only while the mutant is off.
fn arm(number: usize, pattern_end: usize, guard: Option<&syn::Expr>) -> Around {
    let (open, close) = (format!("/*[{number}*/"), format!("/*{number}]*/"));
    let off = off(number);
    let Some(guard) = guard else {
        let before = format!(" {open}if {off}{close}");
        return Around { bytes: pattern_end..pattern_end, before, after: String::new() };
    };
    // `let` may not be in brackets.
    let (left, right) = if matches!(guard, syn::Expr::Let(_)) { ("", "") } else { ("(", ")") };
    Around {
        bytes: range(guard),
        before: format!("{open}{off} && {left}"),
        after: format!("{right}{close}"),
    }
}

/// What puts a mutant behind its switch.
fn around(number: usize, mutant: &Mutant, text: &str, places: &Places) -> Option<Around> {
    let start = mutant.bytes.start;
    let node = match mutant.genre {
        Genre::FnValue => {
            places.bodies.get(&start)?;
            let replacement = replacing(number, &mutant.replacement);
            let off = off(number);
            let before =
                format!("/*[{number}*/if !{off} {{ return {replacement}; }}/*{number}]*/ ");
            return Some(Around { bytes: mutant.bytes.clone(), before, after: String::new() });
        }
        Genre::MatchArm => {
            let (pattern_end, guard) = places.arms.get(&start)?;
            return Some(arm(number, *pattern_end, guard.as_ref()));
        }
        Genre::BinaryOperator | Genre::UnaryOperator => {
            places.operations.get(&(start, mutant.bytes.end))?
        }
        Genre::MatchArmGuard => places.guards.get(&start)?,
        Genre::StructField => places.fields.get(&start)?,
    };
    Some(choice(number, mutant, text, node))
}

/// The text of a file with those of its mutants that `take` names behind switches, and functions no
/// longer `const`, since switches are not; `constant` names those that must be.
///
/// # Errors
/// The file does not parse, or a mutant is not where cargo-mutants says.
pub fn with_switches<'a>(
    file: &str,
    text: &str,
    take: impl Iterator<Item = (usize, &'a Mutant)>,
    constant: &dyn Fn(&str) -> bool,
) -> Result<String, Problem> {
    let places = parsed(file, text)?;
    let mut arounds = Vec::new();
    // A guard is inside its arm, and what a function returns inside the function, even where they
    // begin and end alike.
    let mut take: Vec<(usize, &Mutant)> = take.collect();
    take.sort_by_key(|(_, mutant)| matches!(mutant.genre, Genre::MatchArm | Genre::FnValue));
    for (number, mutant) in take {
        let place = around(number, mutant, text, &places);
        arounds.push(place.ok_or_else(|| Problem(format!("{}: no such place", mutant.name)))?);
    }
    for (bytes, _) in places.constant.iter().filter(|(_, name)| !constant(name)) {
        arounds.push(Around { bytes: bytes.clone(), before: "/*".into(), after: "*/".into() });
    }
    Ok(rendered(text, arounds))
}

/// The text of a file with mutants in place of what they replace, as cargo-mutants writes each. The
/// whole function of each is marked as its own, so no two may be in one.
pub fn in_place<'a>(text: &str, take: impl Iterator<Item = (usize, &'a Mutant)>) -> String {
    let mut changes = Vec::new();
    for (number, mutant) in take {
        let whole = mutant.function.as_ref().map_or(&mutant.bytes, |(_, bytes)| bytes);
        changes.push((whole.start..whole.start, format!("/*<{number}*/")));
        changes.push((mutant.bytes.clone(), mutant.replacement.clone()));
        changes.push((whole.end..whole.end, format!("/*{number}>*/")));
    }
    changes.sort_by_key(|(bytes, _)| (bytes.start, bytes.end));
    let (mut whole, mut at) = (String::with_capacity(text.len() * 2), 0);
    for (bytes, replacement) in changes {
        whole += &text[at..bytes.start];
        whole += &replacement;
        at = bytes.end;
    }
    whole + &text[at..]
}

/// The mutant whose marks are innermost around a byte: those of what it puts in place (`<`, `>`),
/// or those of its whole switch (`[`, `]`).
pub fn owner(text: &str, byte: usize, open: char, close: char) -> Option<usize> {
    let mut around = Vec::new();
    for (at, _) in text[..byte.min(text.len())].match_indices("/*") {
        let Some(end) = text[at..].find("*/") else { continue };
        let mark = &text[at + 2..at + end];
        if let Some(number) = mark.strip_prefix(open).and_then(|mark| mark.parse::<usize>().ok()) {
            around.push(number);
        }
        let closed = mark.strip_suffix(close).and_then(|mark| mark.parse::<usize>().ok());
        if closed.is_some() && closed == around.last().copied() {
            around.pop();
        }
    }
    around.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "const fn f(a: u8, b: u8) -> u8 {\n    a + b * 2\n}\n";

    fn mutant(genre: Genre, text: &str, original: &str, replacement: &str) -> Mutant {
        let start = text.find(original).unwrap();
        Mutant {
            name: format!("replace {original} with {replacement}"),
            key: String::new(),
            file: "src/a.rs".to_owned(),
            genre,
            bytes: start..start + original.len(),
            replacement: replacement.to_owned(),
            function: Some(("f".to_owned(), 0..text.trim_end().len())),
            other_type: false,
        }
    }

    fn switched(text: &str, mutants: &[Mutant]) -> String {
        let whole = with_switches("src/a.rs", text, mutants.iter().enumerate(), &|_| false);
        whole.unwrap().replace("crate::mutant::", "")
    }

    #[test]
    fn an_operator_is_switched_inside_and_what_a_function_returns_outside() {
        let mutants = [
            mutant(Genre::FnValue, TEXT, "a + b * 2", "0"),
            mutant(Genre::BinaryOperator, TEXT, "+", "-"),
            mutant(Genre::BinaryOperator, TEXT, "*", "/"),
        ];
        let expected = "/*const*/ fn f(a: u8, b: u8) -> u8 {\n    \
             /*[0*/if !off(0) { return /*<0*/0/*0>*/; }/*0]*/ \
             /*[1*/(if off(1) { a + /*[2*/(if off(2) { b * 2 } else { /*<2*/b / 2/*2>*/ })/*2]*/ } \
             else { /*<1*/a - b * 2/*1>*/ })/*1]*/\n}\n";
        assert_eq!(switched(TEXT, &mutants), expected);
    }

    #[test]
    fn an_arm_that_is_on_is_not_taken_and_keeps_its_guard() {
        let text = "fn f(a: u8) -> u8 {\n    match a {\n        1 => 2,\n        \
             3 if a > b || c => 4,\n        _ => 5,\n    }\n}\n";
        let mutants = [
            mutant(Genre::MatchArm, text, "1 => 2,", ""),
            mutant(Genre::MatchArm, text, "3 if a > b || c => 4,", ""),
            mutant(Genre::MatchArmGuard, text, "a > b || c", "true"),
        ];
        let whole = switched(text, &mutants);
        assert!(whole.contains("1 /*[0*/if off(0)/*0]*/ => 2,"), "{whole}");
        let guard = "3 if /*[1*/off(1) && (/*[2*/(if off(2) { a > b || c } else { \
             /*<2*/true/*2>*/ })/*2]*/)/*1]*/ => 4,";
        assert!(whole.contains(guard), "{whole}");
    }

    #[test]
    fn a_field_is_left_to_the_base_of_its_literal() {
        let text = "fn f(a: S) -> S {\n    S { b: 1, ..a }\n}\n";
        let whole = switched(text, &[mutant(Genre::StructField, text, "b: 1,", "")]);
        let choice = "/*[0*/(if off(0) { S { b: 1, ..a } } else { /*<0*/S {  ..a }/*0>*/ })/*0]*/";
        assert!(whole.contains(choice), "{whole}");
    }

    #[test]
    fn what_is_asked_only_to_note_a_branch_is_known() {
        let text = "fn f(c: &mut C) {\n    c.mark_if(c.a > 1, Mark::A);\n    c.add(c.b > 1);\n}\n";
        assert_eq!(idle_parts(text), ["c.a > 1", "Mark::A"]);
    }

    fn idle_parts(text: &str) -> Vec<&str> {
        let mut idle = idle("src/a.rs", text).unwrap();
        idle.sort_by_key(|bytes| bytes.start);
        idle.into_iter().map(|bytes| &text[bytes]).collect()
    }

    #[test]
    fn what_counts_only_with_a_planted_bug_is_known() {
        let text = "fn f(c: &C) {\n    let a = c.b < 1 && c.has(Planted::A);\n    \
             if !c.d && (c.has(Planted::B)) && !c.e { c.g(1 + 2); } else { c.h(); }\n    \
             match c { _ if c.has(Planted::C) => 3, _ if c.has(4) => 5, _ => 6 }\n    \
             if c.i || c.has(Planted::D) { c.j(); }\n    if !c.has(Planted::E) { c.k(); }\n}\n";
        assert_eq!(idle_parts(text), ["c.b < 1", "!c.d", "!c.e", "{ c.g(1 + 2); }", "3"]);
    }

    #[test]
    fn what_the_compiler_says_of_a_place_is_said_of_the_innermost_mutant() {
        let mutants = [
            mutant(Genre::BinaryOperator, TEXT, "+", "-"),
            mutant(Genre::BinaryOperator, TEXT, "*", "/"),
        ];
        let whole = switched(TEXT, &mutants);
        let at = |part: &str| whole.find(part).unwrap();
        assert_eq!(owner(&whole, at("- b"), '<', '>'), Some(0));
        assert_eq!(owner(&whole, at("/ 2"), '<', '>'), Some(1));
        assert_eq!(owner(&whole, at("off(1)"), '<', '>'), None);
        assert_eq!(owner(&whole, at("off(1)"), '[', ']'), Some(1));
        assert_eq!(owner(&whole, at("off(0)"), '[', ']'), Some(0));
        assert_eq!(owner(&whole, at("fn f"), '[', ']'), None);
    }

    #[test]
    fn a_mutant_in_place_replaces_what_it_names_and_marks_its_function() {
        let mutants = [mutant(Genre::BinaryOperator, TEXT, "*", "/")];
        let whole = in_place(TEXT, mutants.iter().enumerate());
        let expected = "/*<0*/const fn f(a: u8, b: u8) -> u8 {\n    a + b / 2\n}/*0>*/\n";
        assert_eq!(whole, expected);
    }
}
