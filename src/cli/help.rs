//! Help on a narrow terminal. The texts below the flags are laid out for 80 columns; clap would
//! break their lines anywhere, and with them their tables.

use clap::Command;
use rustix::termios::tcgetwinsize;

/// As clap has it where nobody says how wide a line may be.
const USUAL_WIDTH: usize = 100;
/// Where an entry begins: an example, or a name that is narrow.
const ENTRY: usize = 2;
/// Where what it says begins, if it does not fit beside it.
const EXPLANATION: usize = 6;

/// `command`, with help as wide as the terminal, or as `COLUMNS` if there is none.
pub fn fitted(command: Command) -> Command {
    let told = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = terminal_width().or_else(told).filter(|width| *width > 0);
    fit(command, width.unwrap_or(USUAL_WIDTH))
}

/// Of any of the three standard streams: help that a pager shows has stderr on the terminal.
fn terminal_width() -> Option<usize> {
    let sizes = [
        tcgetwinsize(std::io::stdout()),
        tcgetwinsize(std::io::stderr()),
        tcgetwinsize(std::io::stdin()),
    ];
    let mut widths = sizes.into_iter().flatten().map(|size| usize::from(size.ws_col));
    widths.find(|width| *width > 0)
}

/// `command` and those below it, with help of `width` columns.
fn fit(command: Command, width: usize) -> Command {
    let below = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let fits = below.lines().all(|line| line.chars().count() <= width);
    let command = if fits { command } else { command.after_help(narrowed(&below, width)) };
    command.term_width(width).mut_subcommands(|below| fit(below, width))
}

/// `text` in lines of at most `width` characters, as far as its words allow. Prose flows on from
/// line to line. Two spaces begin an entry, two within it or more before it what is said of it.
fn narrowed(text: &str, width: usize) -> String {
    let mut parts: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let words = line.trim_start();
        match (line.len() - words.len(), parts.last_mut()) {
            (0, Some((0, prose))) if !prose.is_empty() && !words.is_empty() => {
                *prose += " ";
                *prose += words;
            }
            (0, _) => parts.push((0, words.to_owned())),
            (ENTRY, _) => {
                let (entry, explanation) = words.split_once("  ").unwrap_or((words, ""));
                parts.push((ENTRY, entry.to_owned()));
                if !explanation.is_empty() {
                    parts.push((EXPLANATION, explanation.to_owned()));
                }
            }
            (_, Some((EXPLANATION, explanation))) => {
                *explanation += " ";
                *explanation += words;
            }
            _ => parts.push((EXPLANATION, words.to_owned())),
        }
    }
    let lines: Vec<String> =
        parts.iter().map(|(indent, words)| wrapped(words, *indent, width)).collect();
    lines.join("\n")
}

/// `words` in lines that begin at `indent`; those of an entry that goes on, two further in.
fn wrapped(words: &str, indent: usize, width: usize) -> String {
    let further = if indent == ENTRY { ENTRY + 2 } else { indent };
    let (mut text, mut column) = (String::new(), 0);
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column == 0 {
            text += &" ".repeat(indent);
            column = indent;
        } else if column + 1 + length > width {
            text += &format!("\n{}", " ".repeat(further));
            column = further;
        } else {
            text.push(' ');
            column += 1;
        }
        text += word;
        column += length;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Each command of the program with its name, and those below it.
    fn all(command: &Command) -> Vec<Command> {
        let below = command.get_subcommands().flat_map(all);
        std::iter::once(command.clone()).chain(below).collect()
    }

    fn below_flags(command: &Command) -> String {
        command.get_after_help().map(ToString::to_string).unwrap_or_default()
    }

    #[test]
    fn what_stands_below_the_flags_is_laid_out_for_80_columns() {
        for command in all(&super::super::Arguments::command()) {
            let text = below_flags(&command);
            let long = text.lines().find(|line| line.chars().count() > 80);
            assert_eq!(long, None, "{}", command.get_name());
            let narrow = narrowed(&text, 40);
            assert_eq!(
                narrow.split_whitespace().collect::<Vec<_>>(),
                text.split_whitespace().collect::<Vec<_>>(),
                "{}",
                command.get_name()
            );
        }
    }

    #[test]
    fn every_help_fits_40_columns_but_for_words_that_are_longer() {
        for mut command in all(&fit(super::super::Arguments::command(), 40)) {
            let help = command.render_long_help().to_string();
            let long = help
                .lines()
                .find(|line| line.chars().count() > 40 && line.split_whitespace().count() > 1);
            // clap does not break the line of usage.
            let long = long.filter(|line| !line.starts_with("Usage: "));
            assert_eq!(long, None, "{}", command.get_name());
        }
    }

    #[test]
    fn on_a_narrow_terminal_what_is_said_of_an_entry_has_lines_of_its_own() {
        let text = "\
Prose that is broken at
any place goes on.

Examples:
  laconic sim simple-2   virtual time, and
                         more of it
  laconic sim simple-2 --real --replica ./4730kvstore
                         any program
  laconic list";
        let narrow = "\
Prose that is broken at any
place goes on.

Examples:
  laconic sim simple-2
      virtual time, and more of
      it
  laconic sim simple-2 --real
    --replica ./4730kvstore
      any program
  laconic list";
        assert_eq!(narrowed(text, 31), narrow);
    }
}
