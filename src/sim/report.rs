//! A run's outcome as text: the course's summary, the stories of requests that went wrong, the
//! message table.

use std::fmt::{self, Display, Formatter};

use super::course::score::{Duplicate, Unanswered};
use super::course::summary::{OneLine, Summary, write_wrapped};
use super::outcome::{Messages, RunOutcome, Setup};
use crate::columns::Columns;

/// Most stories of a kind that are printed; `--json` has all.
const STORIES_TOLD: usize = 10;

/// The whole report.
pub struct RunReport<'a>(pub &'a RunOutcome);

impl Display for RunReport<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let run = self.0;
        write!(f, "{}", Summary(&run.conclusion))?;
        if run.failed_by_chance_alone {
            writeln!(
                f,
                "  (by chance: the clients' requests leave no replica a way to pass on this seed)"
            )?;
        }
        write_stories(f, "Remarks", run.remarks.iter().cloned())?;
        write_stories(f, "Not linearizable", run.faults.iter().cloned())?;
        write_stories(f, "Unanswered", run.conclusion.unanswered.iter().map(tell_unanswered))?;
        write_stories(f, "Answered twice", run.conclusion.duplicates.iter().map(tell_duplicate))?;
        let setup = &run.setup;
        let (by, of) =
            if setup.foreign { ("type", "program") } else { ("kind and why", "profile") };
        let Setup { engine, timing, profile: name, .. } = setup;
        writeln!(f, "\nMessages by {by} ({engine} engine, {timing} timing, {of} {name})")?;
        write_table(f, &run.messages, setup.foreign)
    }
}

/// The outcome in one line, for a list of runs.
pub struct Line<'a>(pub &'a RunOutcome);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", OneLine(&self.0.conclusion))?;
        if self.0.failed_by_chance_alone {
            write!(f, " (by chance)")?;
        }
        Ok(())
    }
}

fn write_stories(
    f: &mut Formatter<'_>,
    title: &str,
    stories: impl ExactSizeIterator<Item = String>,
) -> fmt::Result {
    let untold = stories.len().saturating_sub(STORIES_TOLD);
    if stories.len() > 0 {
        writeln!(f, "{title}:")?;
    }
    for story in stories.take(STORIES_TOLD) {
        write_wrapped(f, &story)?;
    }
    match untold {
        0 => Ok(()),
        _ => writeln!(f, "  and {untold} more"),
    }
}

fn tell_unanswered(story: &Unanswered) -> String {
    let kind = if story.is_put { "put" } else { "get" };
    let Unanswered { client, mid, created_at, sent_to, .. } = story;
    let end = match (story.killed_at, story.ended_at) {
        (Some(at), _) => format!("which was killed at {at} s"),
        (_, Some(at)) => format!("which ended by itself at {at} s"),
        (None, None) => "which lives".to_owned(),
    };
    format!("{kind} {mid} of client {client}, sent at {created_at} s to {sent_to}, {end}")
}

fn tell_duplicate(story: &Duplicate) -> String {
    let kind = if story.is_put { "put" } else { "get" };
    let Duplicate { client, mid, first_by, first_at, second_by, second_at, .. } = story;
    format!(
        "{kind} {mid} of client {client}, by {first_by} at {first_at} s and by {second_by} at \
         {second_at} s"
    )
}

/// A share in percent; of a total of 0, nothing.
fn share(count: u64, total: u64) -> String {
    format!("{:.1} %", if total == 0 { 0.0 } else { count as f64 * 100.0 / total as f64 })
}

fn per(count: u64, of: u64) -> String {
    if of == 0 { "-".into() } else { format!("{:.2}", count as f64 / of as f64) }
}

/// A count with its noun: `1 election`, `2 elections`.
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn write_table(f: &mut Formatter<'_>, messages: &Messages, foreign: bool) -> fmt::Result {
    if foreign {
        return write_types(f, messages);
    }
    let total = messages.total;
    let mut lines = vec![["kind", "why", "count", "share", "per put"].map(str::to_owned)];
    let mut add = |kind: &str, why: &str, count: u64| {
        let per_put = per(count, messages.committed_puts);
        lines.push([kind.into(), why.into(), count.to_string(), share(count, total), per_put]);
    };
    messages.table.iter().for_each(|row| add(&row.kind, &row.words, row.count));
    add("total", "", total);
    write_lines(f, &lines, 2)?;
    let Messages { counted: read, unread, lost, .. } = messages;
    writeln!(f, "  = {read} counted by the simulator")?;
    writeln!(f, "  + {unread} unread in closed sockets + {lost} lost by the kernel")?;
    let Messages { committed_puts, batches, elections, resend_timeouts, .. } = messages;
    writeln!(
        f,
        "  {} in {}, {} messages a batch to its quorum",
        counted(*committed_puts, "put", "puts"),
        counted(*batches, "batch", "batches"),
        per(messages.batch_messages, *batches),
    )?;
    writeln!(
        f,
        "  {} won, {}",
        counted(*elections, "election", "elections"),
        counted(*resend_timeouts, "resend timeout", "resend timeouts"),
    )
}

fn write_lines<const COLUMNS: usize>(
    f: &mut Formatter<'_>,
    lines: &[[String; COLUMNS]],
    left: usize,
) -> fmt::Result {
    let columns = Columns::fitting(lines, left);
    lines.iter().try_for_each(|line| write!(f, "  {}", columns.row(line)))
}

/// Writes a foreign program's messages by type, since their causes are not known.
fn write_types(f: &mut Formatter<'_>, messages: &Messages) -> fmt::Result {
    let total = messages.total;
    let line = |name: &str, count: u64| [name.into(), count.to_string(), share(count, total)];
    let mut lines = vec![["type", "count", "share"].map(str::to_owned)];
    lines.extend(messages.table.iter().map(|row| line(&row.kind, row.count)));
    lines.push(line("total", total));
    write_lines(f, &lines, 1)
}
