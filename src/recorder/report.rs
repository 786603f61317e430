//! A postmortem as text.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use crate::columns::Columns;

use super::postmortem::{Later, OpenRequest, Postmortem, Registered, ReplicaState, Where};

/// Most lines about messages, and most about requests.
const MOST_LINES: usize = 40;

impl Display for Postmortem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_failure(f)?;
        self.write_replicas(f)?;
        self.write_in_flight(f)?;
        self.write_requests(f)?;
        match &self.next_leader {
            Some(next) => {
                let since = Relative(next.since_us.unwrap_or(0));
                writeln!(
                    f,
                    "\nReplica {} led next, in term {}, elected {since}.",
                    next.replica, next.term
                )
            }
            None => writeln!(f, "\nNobody is known to have become leader after that."),
        }
    }
}

impl Postmortem {
    fn write_failure(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let failure = &self.failure;
        let what = match failure.kind {
            "killed" => "was killed",
            "ended" => "ended by itself",
            _ => "fell silent first (no simulator tells of a kill)",
        };
        let at = failure.at_us as f64 / 1e6;
        writeln!(f, "Replica {} {what} at {at:.6} s of the run.", failure.replica)?;
        if failure.silent_for_us > 0 {
            writeln!(f, "Its last record is {} older.", TimeSpan(failure.silent_for_us))?;
        }
        for leader in &self.leaders {
            let who = if leader.replica == failure.replica { "It" } else { &leader.replica };
            write!(f, "{who} led in term {}, ", leader.term)?;
            match leader.since_us {
                Some(since) => writeln!(f, "elected {}.", Relative(since))?,
                None => writeln!(f, "elected before its box begins.")?,
            }
        }
        if self.leaders.is_empty() {
            writeln!(f, "Nobody led.")?;
        }
        Ok(())
    }

    fn write_replicas(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let head = ["replica", "role", "box ends", "term", "last index", "commit", "last n"];
        let lines: Vec<[String; 7]> = self.replicas.iter().map(ReplicaState::cells).collect();
        let columns = Columns::fitting([&head.map(str::to_owned)].into_iter().chain(&lines), 3);
        write!(f, "\n{}", columns.row(&head))?;
        lines.iter().try_for_each(|line| f.write_str(&columns.row(line)))
    }

    fn write_in_flight(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.in_flight.len() {
            0 => return writeln!(f, "\nNo message was in flight."),
            count => writeln!(f, "\nIn flight, sent and not taken in: {}", messages(count))?,
        }
        let mut groups: BTreeMap<_, usize> = BTreeMap::new();
        for flight in &self.in_flight {
            let group = (&flight.from, &flight.to, flight.kind, &flight.why, flight.fate);
            *groups.entry(group).or_default() += 1;
        }
        for ((from, to, kind, why, fate), count) in groups.iter().take(MOST_LINES) {
            writeln!(f, "  {from} to {to}: {count} {kind} ({why}): {fate}")?;
        }
        write_rest(f, groups.len())
    }

    fn write_requests(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.requests.len() {
            0 => return writeln!(f, "\nNo request waited for an answer."),
            1 => writeln!(f, "\n1 request waited for an answer:")?,
            count => writeln!(f, "\n{count} requests waited for an answer:")?,
        }
        for request in self.requests.iter().take(MOST_LINES) {
            writeln!(f, "{request}")?;
        }
        write_rest(f, self.requests.len())
    }
}

fn write_rest(f: &mut Formatter<'_>, lines: usize) -> fmt::Result {
    match lines.saturating_sub(MOST_LINES) {
        0 => Ok(()),
        rest => writeln!(f, "  ... and {rest} more (--json has them all)"),
    }
}

fn messages(count: usize) -> String {
    if count == 1 { "1 message".into() } else { format!("{count} messages") }
}

impl ReplicaState {
    /// The replica's line of the table.
    fn cells(&self) -> [String; 7] {
        fn known<T: Display>(value: Option<T>) -> String {
            value.map_or("?".to_owned(), |value| value.to_string())
        }
        let torn = if self.torn { ", in the middle of a record" } else { "" };
        [
            self.replica.clone(),
            self.role.unwrap_or("?").to_owned(),
            format!("{}{torn}", Relative(self.box_ends_us)),
            known(self.term),
            known(self.last),
            known(self.commit),
            known(self.last_sent),
        ]
    }
}

impl Display for Registered {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} (term {})", self.index, self.term))
    }
}

impl Display for OpenRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let OpenRequest { request, client, operation, replica, asked_us, .. } = self;
        let asked = Relative(*asked_us);
        writeln!(f, "  {operation} {request} of client {client}, asked of {replica} {asked}:")?;
        write!(f, "    {};\n    {}", self.at_failure, self.later)?;
        let Later::Lost = self.later else {
            return Ok(());
        };
        let reason = match &self.at_failure {
            Where::Held | Where::Asked => "nobody else knew of it",
            Where::Reading => "a read leaves no trace with others",
            Where::Appended { .. } => "its entry was in no log but that one",
            Where::Replicating { .. } | Where::Committed { .. } => "no other box tells of it",
        };
        write!(f, ": {reason}")
    }
}

impl Display for Where {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Where::Held => write!(f, "kept until a leader is known, or until it may be answered"),
            Where::Reading => write!(f, "waiting to be read"),
            Where::Asked => write!(f, "taken in"),
            Where::Appended { entry } => write!(f, "appended at {entry}, sent to nobody yet"),
            Where::Replicating { entry, holders } if holders.is_empty() => {
                write!(f, "appended at {entry} and sent, held by no other")
            }
            Where::Replicating { entry, holders } => {
                write!(f, "appended at {entry} and sent, held by {} too", holders.join(", "))
            }
            Where::Committed { entry } => write!(f, "committed at {entry}, not answered yet"),
        }
    }
}

impl Display for Later {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Later::Answered { by, outcome, after_us } => {
                write!(f, "answered {outcome} by {by} {}", Relative(*after_us))
            }
            Later::Committed { by } => {
                write!(f, "committed, as {by} knows, but no answer is known of")
            }
            Later::Overwritten { by_term } => {
                write!(f, "lost: an entry of term {by_term} was committed in its place")
            }
            Later::Lost => write!(f, "lost with the replica"),
            Later::Undecided => write!(f, "never committed as far as the boxes tell: undecided"),
            Later::Waiting => write!(f, "not answered by the end of its box"),
        }
    }
}

/// A time relative to the failure.
struct Relative(i64);

impl Display for Relative {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => write!(f, "at that moment"),
            later if later > 0 => write!(f, "{} later", TimeSpan(later.unsigned_abs())),
            earlier => write!(f, "{} before", TimeSpan(earlier.unsigned_abs())),
        }
    }
}

/// A span of microseconds, in a fitting unit.
struct TimeSpan(u64);

impl Display for TimeSpan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..10_000 => write!(f, "{} us", self.0),
            10_000..10_000_000 => write!(f, "{:.1} ms", self.0 as f64 / 1e3),
            _ => write!(f, "{:.1} s", self.0 as f64 / 1e6),
        }
    }
}
