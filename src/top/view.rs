//! What is worth seeing of a cluster, computed from its replicas' answers now and before.

use std::collections::{BTreeMap, VecDeque};

use super::scrape::{Reading, Scrape};

/// How many events are kept.
const MOST_EVENTS: usize = 200;

/// A replica's row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The replica's ID, or its address while the ID is not known.
    pub name: String,
    /// Its latest answers. For a replica that is away, the last ones that it gave.
    pub reading: Option<Reading>,
    /// Why it does not answer now, and since when.
    pub away: Option<Away>,
    /// Messages sent per second.
    pub sent_rate: f64,
    /// Messages received per second.
    pub received_rate: f64,
    /// How many entries its commit index is behind the highest one.
    pub behind: u64,
}

/// A replica does not answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Away {
    /// The reason, as far as it can be seen from outside.
    pub why: String,
    /// When it was first asked without an answer, in seconds since the first refresh.
    pub since_seconds: f64,
}

/// Latency of the answers since the refresh before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// The median, in seconds.
    pub p50_seconds: f64,
    /// The 99th percentile, in seconds.
    pub p99_seconds: f64,
}

/// The cluster as it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// When it was last refreshed, in seconds since the first refresh.
    pub at_seconds: f64,
    /// The replicas, in the order in which they were named.
    pub rows: Vec<Row>,
    /// Messages per second by cause, largest first.
    pub causes: Vec<(String, f64)>,
    /// Puts committed per second.
    pub commit_rate: f64,
    /// Gets answered per second.
    pub read_rate: f64,
    /// Messages for each commit since the last refresh; none without commits.
    pub messages_per_commit: Option<f64>,
    /// The least messages for each of these commits.
    pub floor: Option<f64>,
    /// Latency from a replica's receiving a request to its `ok`; none without such answers.
    pub latency: Option<Latency>,
    /// Events, newest first: seconds since the first refresh, and words.
    pub events: VecDeque<(f64, String)>,
}

impl View {
    /// Takes in the results of asking every replica at `at_seconds`.
    pub fn update(&mut self, at_seconds: f64, scrapes: Vec<Scrape>) {
        let elapsed = at_seconds - self.at_seconds;
        let before = std::mem::take(&mut self.rows);
        self.rows = scrapes.into_iter().map(|scrape| row_of(scrape, at_seconds)).collect();
        let rate = Rate { before: &before, elapsed };
        let mut causes: BTreeMap<String, f64> = BTreeMap::new();
        let (mut sent, mut commits, mut reads, mut floor) = (0.0, 0.0, 0.0, 0.0);
        for (place, row) in self.rows.iter_mut().enumerate() {
            if let (Some(away), Some(then)) = (&mut row.away, before.get(place))
                && let Some(away_then) = &then.away
            {
                away.since_seconds = away_then.since_seconds;
            }
            let Some(now) = row.reading.clone().filter(|_| row.away.is_none()) else {
                row.reading = row.reading.take().or_else(|| before.get(place)?.reading.clone());
                continue;
            };
            row.sent_rate = rate.of(place, &now, "laconic_messages_sent_total", &[]);
            row.received_rate = rate.of(place, &now, "laconic_messages_received_total", &[]);
            sent += row.sent_rate;
            let ok = |operation| [("operation", operation), ("outcome", "ok")];
            commits += rate.of(place, &now, "laconic_client_requests_total", &ok("put"));
            reads += rate.of(place, &now, "laconic_client_requests_total", &ok("get"));
            floor += rate.of(place, &now, "laconic_commit_floor_messages_total", &[]);
            for cause in causes_of(&now) {
                let label = [("cause", cause.as_str())];
                let messages = rate.of(place, &now, "laconic_messages_sent_total", &label);
                *causes.entry(cause).or_default() += messages;
            }
        }
        (self.commit_rate, self.read_rate) = (commits, reads);
        self.messages_per_commit = (commits > 0.0).then(|| sent / commits);
        self.floor = (commits > 0.0).then(|| floor / commits);
        self.latency = self.latency_since(&before);
        self.causes = causes.into_iter().filter(|(_, messages)| *messages > 0.0).collect();
        self.causes.sort_by(|one, other| other.1.total_cmp(&one.1));
        let furthest = self.answering().map(|(_, reading)| reading.status.commit).max();
        for row in &mut self.rows {
            let commit = row.reading.as_ref().map_or(0, |reading| reading.status.commit);
            row.behind = furthest.unwrap_or(commit).saturating_sub(commit);
        }
        self.at_seconds = at_seconds;
        self.note_events(&before);
    }

    /// The replicas that answer, with their answers.
    pub fn answering(&self) -> impl Iterator<Item = (&Row, &Reading)> {
        let answers = |row: &Row| row.away.is_none();
        self.rows.iter().filter(move |row| answers(row)).filter_map(|row| {
            let reading = row.reading.as_ref()?;
            Some((row, reading))
        })
    }

    /// The replica that says it leads, in the highest term in which any does.
    pub fn claimant(&self) -> Option<(&Row, &Reading)> {
        let leaders = self.answering().filter(|(_, reading)| reading.status.role == "leader");
        leaders.max_by_key(|(_, reading)| reading.status.term)
    }

    /// The leader: the claimant, if a majority of the replicas answer that they follow it in its
    /// term. A leader that is cut off still claims to lead for a time.
    pub fn leader(&self) -> Option<&Row> {
        let (claimant, claims) = self.claimant()?;
        let agrees = |reading: &Reading| {
            let status = &reading.status;
            let follows = status.id == claims.status.id
                || status.leader.as_deref() == Some(claims.status.id.as_str());
            follows && status.term == claims.status.term
        };
        let agree = self.answering().filter(|(_, reading)| agrees(reading)).count();
        (agree > self.rows.len() / 2).then_some(claimant)
    }

    /// Computed from how the replicas' histograms have grown since the refresh before.
    fn latency_since(&self, before: &[Row]) -> Option<Latency> {
        let mut grown: Vec<(f64, f64)> = Vec::new();
        for (place, row) in self.rows.iter().enumerate().filter(|(_, row)| row.away.is_none()) {
            let then = before.get(place).and_then(|row| row.reading.as_ref());
            let (Some(now), Some(then)) = (&row.reading, then) else {
                continue;
            };
            let series = now.metrics.iter().filter(|(series, _)| {
                series.name == "laconic_client_request_duration_seconds_bucket"
                    && series.label("outcome") == Some("ok")
            });
            for (series, count) in series {
                let bound: Option<f64> = series.label("le").and_then(|le| le.parse().ok());
                let more = count - then.metrics.get(series).copied().unwrap_or_default();
                if let Some(bound) = bound {
                    grown.push((bound, more.max(0.0)));
                }
            }
        }
        grown.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (bound, more) in grown {
            match buckets.last_mut().filter(|last| last.0 == bound) {
                Some(last) => last.1 += more,
                None => buckets.push((bound, more)),
            }
        }
        let p50_seconds = quantile(&buckets, 0.5)?;
        Some(Latency { p50_seconds, p99_seconds: quantile(&buckets, 0.99)? })
    }

    fn note_events(&mut self, before: &[Row]) {
        let mut events = Vec::new();
        for (place, row) in self.rows.iter().enumerate() {
            let then = before.get(place);
            let was_away = then.is_some_and(|then| then.away.is_some());
            match (&row.away, was_away) {
                (Some(away), false) => {
                    events.push(format!("{} does not answer: {}", row.name, away.why));
                }
                (None, true) => events.push(format!("{} answers again", row.name)),
                _ => {}
            }
            let Some(now) = row.reading.as_ref().filter(|_| row.away.is_none()) else {
                continue;
            };
            let then = then.and_then(|then| then.reading.as_ref());
            let role = |reading: &Reading| (reading.status.role.clone(), reading.status.term);
            let (role_now, term) = role(now);
            if then.map(role) != Some((role_now.clone(), term)) {
                match role_now.as_str() {
                    "leader" => events.push(format!("{} leads term {term}", row.name)),
                    "candidate" => events.push(format!("{} asks for votes, term {term}", row.name)),
                    _ if then.is_some_and(|then| then.status.role == "leader") => {
                        events.push(format!("{} leads no more", row.name));
                    }
                    _ => {}
                }
            }
        }
        for event in events {
            self.events.push_front((self.at_seconds, event));
        }
        self.events.truncate(MOST_EVENTS);
    }
}

fn row_of(scrape: Scrape, at_seconds: f64) -> Row {
    let (reading, away) = match scrape.reading {
        Ok(reading) => (Some(reading), None),
        Err(why) => (None, Some(Away { why, since_seconds: at_seconds })),
    };
    let name = reading.as_ref().map(|reading| reading.status.id.clone());
    let name = name.unwrap_or(scrape.target.name);
    Row { name, reading, away, sent_rate: 0.0, received_rate: 0.0, behind: 0 }
}

/// The value below which the share `q` of the samples in `buckets` is. Buckets are cumulative
/// counts by upper bound. Samples count as spread evenly within a bucket, as in Prometheus'
/// `histogram_quantile`.
fn quantile(buckets: &[(f64, f64)], q: f64) -> Option<f64> {
    let all = buckets.last()?.1;
    if all <= 0.0 {
        return None;
    }
    let wanted = q * all;
    let place = buckets.iter().position(|(_, count)| *count >= wanted)?;
    let (below, before) = place.checked_sub(1).map_or((0.0, 0.0), |last| buckets[last]);
    let (bound, count) = buckets[place];
    if bound.is_infinite() {
        return Some(below);
    }
    Some(below + (bound - below) * (wanted - before) / (count - before).max(f64::MIN_POSITIVE))
}

fn causes_of(reading: &Reading) -> Vec<String> {
    let samples = reading.metrics.keys();
    let mut causes: Vec<String> = samples
        .filter(|series| series.name == "laconic_messages_sent_total")
        .filter_map(|series| series.label("cause").map(str::to_owned))
        .collect();
    causes.sort();
    causes.dedup();
    causes
}

/// Computes rates from how counters have grown since the refresh before.
struct Rate<'a> {
    before: &'a [Row],
    elapsed: f64,
}

impl Rate<'_> {
    /// The rate per second of the samples of `name` with these labels. It is 0 at the first
    /// refresh, and after a restart, where counts begin again.
    fn of(&self, place: usize, now: &Reading, name: &str, labels: &[(&str, &str)]) -> f64 {
        let then = self.before.get(place).and_then(|row| row.reading.as_ref());
        let Some(then) = then.filter(|_| self.elapsed > 0.0) else {
            return 0.0;
        };
        let sum = |reading: &Reading| {
            reading.sum(name, |series| {
                labels.iter().all(|(label, value)| series.label(label) == Some(value))
            })
        };
        ((sum(now) - sum(then)) / self.elapsed).max(0.0)
    }
}
