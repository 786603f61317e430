//! A run's outcome as text: the course's summary, the stories of requests that went wrong, the
//! message table.

use std::fmt::{self, Display, Formatter};

use super::course::score::{Duplicate, Unanswered};
use super::course::summary::{OneLine, Summary};
use super::outcome::{Messages, Outcome};

/// The whole report.
pub struct Report<'a>(pub &'a Outcome);

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let run = self.0;
        write!(f, "{}", Summary(&run.conclusion))?;
        if run.failed_by_dice_alone {
            writeln!(f, "  (the clients' dice: no replica can pass on this seed)")?;
        }
        for remark in &run.remarks {
            writeln!(f, "Remark: {remark}")?;
        }
        run.conclusion.unanswered.iter().try_for_each(|story| write_unanswered(f, story))?;
        run.conclusion.duplicates.iter().try_for_each(|story| write_duplicate(f, story))?;
        writeln!(f)?;
        let setup = &run.setup;
        writeln!(
            f,
            "Messages by kind and cause ({} engine, {} timing, {} {})",
            setup.engine,
            setup.timing,
            if setup.foreign { "program" } else { "profile" },
            setup.profile,
        )?;
        write_table(f, &run.messages, setup.foreign)
    }
}

/// The one-line form, for many runs.
pub struct Line<'a>(pub &'a Outcome);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", OneLine(&self.0.conclusion))?;
        let counts = &self.0.conclusion.counts;
        let median = self.0.conclusion.median_latency.map_or(0.0, |at| at.as_seconds() * 1e3);
        write!(f, "; {} messages, median {median:.3} ms", counts.messages)?;
        if self.0.failed_by_dice_alone {
            write!(f, " (the clients' dice)")?;
        }
        Ok(())
    }
}

fn write_unanswered(f: &mut Formatter<'_>, story: &Unanswered) -> fmt::Result {
    let kind = if story.is_put { "put" } else { "get" };
    let Unanswered { client, mid, created_at, sent_to, .. } = story;
    write!(
        f,
        "Unanswered: {kind} {mid} of client {client}, sent to {sent_to} at {created_at} s; "
    )?;
    match (story.killed_at, story.ended_at) {
        (Some(at), _) => writeln!(f, "that replica was killed at {at} s"),
        (_, Some(at)) => writeln!(f, "that replica ended by itself at {at} s"),
        (None, None) => writeln!(f, "that replica lives"),
    }
}

fn write_duplicate(f: &mut Formatter<'_>, story: &Duplicate) -> fmt::Result {
    let kind = if story.is_put { "put" } else { "get" };
    writeln!(
        f,
        "Answered twice: {kind} {} of client {}, by {} at {} s and by {} at {} s",
        story.mid, story.client, story.first_by, story.first_at, story.second_by, story.second_at
    )
}

/// A share in percent; nothing of nothing is nothing.
fn share(count: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { count as f64 * 100.0 / total as f64 }
}

fn per(count: u64, of: u64) -> String {
    if of == 0 { "-".into() } else { format!("{:.2}", count as f64 / of as f64) }
}

fn write_table(f: &mut Formatter<'_>, messages: &Messages, foreign: bool) -> fmt::Result {
    let total = messages.total;
    writeln!(f, "  {:<16}{:<26}{:>8}{:>9}{:>10}", "kind", "cause", "count", "share", "per put")?;
    let mut line = |kind: &str, cause: &str, count: u64| {
        let per_put = per(count, messages.committed_puts);
        let share = share(count, total);
        writeln!(f, "  {kind:<16}{cause:<26}{count:>8}{share:>7.1} %{per_put:>10}")
    };
    for row in &messages.table {
        line(&row.kind, &row.cause, row.count)?;
    }
    line("total", "", total)?;
    let Messages { counted, unread, lost, batches, elections, resend_timeouts, .. } = messages;
    if foreign {
        return writeln!(f, "  counted by the simulator: {counted}");
    }
    writeln!(
        f,
        "  = {counted} counted by the simulator + {unread} unread in closed sockets + {lost} lost \
         by the kernel"
    )?;
    writeln!(
        f,
        "  {} puts in {batches} batches, {} messages a batch to its quorum; {elections} elections \
         won, {resend_timeouts} resend timeouts",
        messages.committed_puts,
        per(messages.batch_messages, *batches),
    )
}
