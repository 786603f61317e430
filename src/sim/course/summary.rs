//! The text at a run's end, in the order that users know (interface §5).

use super::effect::Over;
use super::faults::Life;
use super::incoming::address_of;
use super::score::{Benchmark, Conclusion};
use crate::raft::Member;
use std::fmt::{self, Display, Formatter};

/// Most columns of a story's line, unless one word is longer.
const WIDTH: usize = 80;

/// The summary of a run: counts, checks, and tiers if all checks passed.
pub struct Summary<'a>(pub &'a Conclusion);

/// The verdict in one line, after the name or seed of a run in a list.
pub struct OneLine<'a>(pub &'a Conclusion);

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let run = self.0;
        let (before, why) = match run.over {
            Some(Over::TimeIsUp) => ("", ""),
            Some(Over::MaxPackets) => ("", ", stopped early: max_packets was reached (no failure)"),
            Some(Over::NobodyLives) => ("", ", ended early: no replica lives"),
            None => ("interrupted at ", ""),
        };
        let (name, seed, seconds) = (&run.scenario, run.seed, run.ended_at.as_seconds());
        writeln!(f, "{name}, seed {seed}: {before}{seconds:.1} s{why}")?;
        write_counts(f, run)?;
        write_incidents(f, run)?;
        writeln!(f, "Correctness:")?;
        for check in &run.checks {
            let verdict = if check.passed { "pass" } else { "FAIL" };
            writeln!(f, "  {verdict}  {}: {}", check.name, check.detail)?;
        }
        if run.passed() {
            writeln!(f, "Tiers:")?;
            for benchmark in &run.benchmarks {
                write_tier(f, benchmark)?;
            }
        }
        Ok(())
    }
}

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let run = self.0;
        if run.passed() {
            let [messages, failures, duplicates, latency] = run.benchmarks.each_ref();
            return write!(
                f,
                "PASS  tiers: messages {}, failures {}, duplicates {}, latency {}",
                messages.tier, failures.tier, duplicates.tier, latency.tier
            );
        }
        let failed = run.checks.iter().filter(|check| !check.passed);
        let failed = failed.map(|check| format!("{} ({})", check.name, check.detail));
        write!(f, "FAIL  not met: {}", failed.collect::<Vec<_>>().join("; "))
    }
}

fn write_counts(f: &mut Formatter<'_>, run: &Conclusion) -> fmt::Result {
    let counts = &run.counts;
    let leaders: Vec<String> = run.leaders_seen.iter().map(ToString::to_string).collect();
    let leaders = if leaders.is_empty() { "none".to_owned() } else { leaders.join(" ") };
    let mut line = |name: &str, value: &dyn Display| writeln!(f, "{name:<38}{value}");
    line("Leaders seen:", &leaders)?;
    line("Replicas that died/were killed:", &pair(counts.died, counts.killed))?;
    line("Messages sent:", &counts.messages)?;
    line("Messages dropped:", &counts.dropped)?;
    line("Messages blocked by full sockets:", &counts.blocked)?;
    line("Client get/put requests:", &pair(counts.gets, counts.puts))?;
    line("Duplicate answers:", &counts.duplicates)?;
    line("Unanswered get/put requests:", &pair(counts.unanswered_gets, counts.unanswered_puts))?;
    line("Redirects:", &counts.redirects)?;
    line("Get/put failures:", &pair(counts.get_failures, counts.put_failures))?;
    line("Gets with an incorrect answer:", &counts.incorrect)?;
    if let (Some(mean), Some(median)) = (run.mean_latency, run.median_latency) {
        let latency = format!("{:.3}/{:.3} ms", mean * 1e3, median.as_seconds() * 1e3);
        line("Mean/median latency:", &latency)?;
    }
    Ok(())
}

fn pair(first: u64, second: u64) -> String {
    format!("{first}/{second}")
}

/// Writes what went wrong, and when: replicas that ended without being killed, incorrect messages.
fn write_incidents(f: &mut Formatter<'_>, run: &Conclusion) -> fmt::Result {
    for (rank, life) in run.lives.iter().enumerate() {
        if let Life::Ended(at) = life {
            let replica = address_of(Member(rank as u8));
            let at = at.as_seconds();
            write_wrapped(f, &format!("{at:.3} s: replica {replica} ended by itself"))?;
        }
    }
    for incident in &run.incidents {
        let (at, from) = (incident.at.as_seconds(), address_of(incident.from));
        let what = &incident.what;
        write_wrapped(f, &format!("{at:.3} s: incorrect, from replica {from}: {what}"))?;
    }
    let untold = run.counts.incorrect - run.incidents.len() as u64;
    if untold > 0 {
        writeln!(f, "  and {untold} more incorrect messages")?;
    }
    Ok(())
}

fn write_tier(f: &mut Formatter<'_>, benchmark: &Benchmark) -> fmt::Result {
    let meaning = match benchmark.tier {
        0 => "bonus",
        1 => "full",
        2 => "partial",
        _ => "none",
    };
    let shown = |value: f64| match benchmark.name {
        "median_latency" => milliseconds(value),
        _ => value.to_string(),
    };
    let unit = if benchmark.name == "median_latency" { " ms" } else { "" };
    let [bonus, full, partial] = benchmark.thresholds.map(shown);
    let value = benchmark.value.map_or("nothing measured".to_owned(), |v| shown(v) + unit);
    let tier = format!("{} ({meaning})", benchmark.tier);
    let name = benchmark.name;
    writeln!(f, "  {tier:<12}{name}: {value}, thresholds {bonus}/{full}/{partial}{unit}")
}

/// Seconds as milliseconds, to the microsecond, without trailing zeros.
fn milliseconds(seconds: f64) -> String {
    let text = format!("{:.3}", seconds * 1e3);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes a story in lines of at most [`WIDTH`] columns. The lines are indented, all but the first
/// one more.
pub(in crate::sim) fn write_wrapped(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let mut column = 0;
    for word in text.split_whitespace() {
        if column == 0 {
            write!(f, "  {word}")?;
            column = 2 + word.len();
        } else if column + 1 + word.len() > WIDTH {
            write!(f, "\n    {word}")?;
            column = 4 + word.len();
        } else {
            write!(f, " {word}")?;
            column += 1 + word.len();
        }
    }
    writeln!(f)
}
