//! The cluster trace: a run as one Chrome trace file for Perfetto (ui.perfetto.dev) or
//! chrome://tracing, a fold over its records and the history of its clients.
//!
//! The clients, the network and the replicas are processes. In them each client and each replica
//! has tracks, in order. A slice is a *handling*: what one datagram or one wake-up made a replica
//! do. An arrow is a message to one receiver. The arrow of a lost message ends in a slice of the
//! network's process, on the track that says how it was lost. So a request can be followed: from
//! its client's slice (`request`) to the leader's, where its entry waits for a batch (`batch`),
//! through the followers (`message`), back to the handling that commits it, and to the client
//! (`answer`). If the answers to a later batch were faster, `wait` leads from the request to the
//! handling that commits it. For a put that was held, `wait` leads to where it came into the log,
//! and on from there.
//!
//! - `chrome`: the events of the format, slices on tracks, and where lost messages end;
//! - `handling`: which records make one handling;
//! - `messages`: messages from their sending to their end;
//! - `arrows`: how many messages ended in each way;
//! - `clients`: requests and answers;
//! - `replica`: a replica's tracks and counters, and what waits within it;
//! - `partition`: the periods of partitions;
//! - `spans`: what replicas have timed within themselves, on tracks of their own.
//!
//! Perfetto has rules, and drops what breaks them, silently or with an error count: slices on one
//! track nest; both ends of an arrow are within slices; IDs are unique in the file; no arrow ends
//! before it starts, and none ends in a slice that began before the one it starts in (Perfetto
//! would turn it round). Records say when a handling began, not how long it took. So a slice is
//! drawn up to the next one of its track, at most 10 µs wide, and handlings of one microsecond
//! share it, in order.
//!
//! Times can be compared because the sources of a run share a clock: the virtual one, or the
//! machine's monotonic clock. For a run over several machines, the offsets of their clocks would
//! first have to be measured (to half a round trip at best). Until then arrows that seem to end
//! before they begin are ended on the network's track `against the clock`. So are those of virtual
//! runs whose clocks drift.

mod arrows;
mod chrome;
mod clients;
mod handling;
mod messages;
mod partition;
mod replica;
mod spans;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use crate::raft::{Member, Micros};
use crate::record::{ClientRequest, Fact, Record, SIMULATOR};
use chrome::ChromeFile;
use clients::Clients;
use handling::{Handling, Handlings};
use messages::Messages;
use partition::Partition;
use replica::ReplicaTracks;

pub use arrows::Arrows;
pub use chrome::Window;
pub use spans::{BadSpans, SpanFile};

/// Draws a run of `replicas` replicas into `out`. It needs the `records` on the run's clock, in
/// order of time and then of source, the simulator last; the requests of the clients, in any order;
/// and the spans of those replicas that have left some. Only what is in `window` is drawn. The
/// returned arrows are those of the whole run.
///
/// # Errors
/// If `out` cannot be written.
pub fn draw(
    records: impl IntoIterator<Item = Record>,
    replicas: u8,
    requests: Vec<ClientRequest>,
    spans: Vec<SpanFile>,
    window: Window,
    out: impl Write,
) -> io::Result<Arrows> {
    let mut drawing = Drawing::new(replicas, requests, window, out);
    records.into_iter().for_each(|record| drawing.take_in(&record));
    spans.into_iter().for_each(|file| file.draw(&mut drawing.chrome));
    drawing.finish()
}

/// The counter of messages on their way, and its unit.
const IN_FLIGHT: (&str, &str) = ("messages in flight", "messages");

/// A trace while it is drawn.
struct Drawing<W: Write> {
    chrome: ChromeFile<W>,
    handlings: Handlings,
    replicas: Vec<ReplicaTracks>,
    clients: Clients,
    messages: Messages,
    partition: Partition,
    end: Micros,
}

impl<W: Write> Drawing<W> {
    fn new(replicas: u8, requests: Vec<ClientRequest>, window: Window, out: W) -> Drawing<W> {
        let mut chrome = ChromeFile::begin(out, window);
        Drawing {
            replicas: (0..replicas)
                .map(|rank| ReplicaTracks::begin(Member(rank), &mut chrome))
                .collect(),
            handlings: Handlings::default(),
            messages: Messages::new(replicas),
            clients: Clients::new(requests),
            partition: Partition::default(),
            chrome,
            end: Micros(0),
        }
    }

    fn take_in(&mut self, record: &Record) {
        self.end = self.end.max(record.at);
        let over = match record.source {
            SIMULATOR => self.handlings.finish(),
            _ => self.handlings.take_in(record),
        };
        if let Some(handling) = over {
            self.on_handling(&handling);
        }
        if record.source == SIMULATOR {
            self.on_simulators(record);
        }
    }

    /// Draws a complete handling: its slice, and all arrows that start or end in it.
    fn on_handling(&mut self, handling: &Handling) {
        let Drawing { chrome, replicas, clients, messages, .. } = self;
        let Some(replica) = replicas.get_mut(handling.source.rank()) else {
            return;
        };
        if handling.is_acknowledgement()
            && let Some(slice) = replica.latest()
        {
            // The acknowledgement belongs to the append that it answers, so arrows lead on from
            // there.
            handling.complete(slice);
            handling.records.iter().for_each(|record| messages.on_sent(record, slice, chrome));
            return chrome.count(handling.at, IN_FLIGHT, messages.in_flight());
        }
        let mut slice = handling.slice();
        for record in &handling.records {
            match record.fact {
                Fact::Sent { .. } => messages.on_sent(record, &mut slice, chrome),
                Fact::Received { .. } => messages.on_end(record, Some(&mut slice), chrome),
                Fact::Asked { request, .. } => {
                    clients.on_asked(record.at, request, &mut slice, chrome);
                }
                Fact::Answered { request, outcome, .. } => {
                    clients.on_answered(record.at, request, outcome, &mut slice, chrome);
                }
                _ => {}
            }
        }
        replica.on_handling(handling, slice, chrome);
        chrome.count(handling.at, IN_FLIGHT, messages.in_flight());
    }

    fn on_simulators(&mut self, record: &Record) {
        let Drawing { chrome, replicas, messages, .. } = self;
        match record.fact {
            Fact::Routed { .. } => {
                messages.on_end(record, None, chrome);
                chrome.count(record.at, IN_FLIGHT, messages.in_flight());
            }
            Fact::Killed { member, by_itself } => {
                messages.on_killed(record.at, member);
                if let Some(replica) = replicas.get_mut(member.rank()) {
                    replica.on_killed(record.at, by_itself, chrome);
                }
            }
            Fact::Partitioned { majority } => {
                self.partition.on_partitioned(record.at, majority, chrome);
            }
            _ => {}
        }
    }

    fn finish(mut self) -> io::Result<Arrows> {
        if let Some(handling) = self.handlings.finish() {
            self.on_handling(&handling);
        }
        let Drawing { mut chrome, replicas, clients, messages, partition, end, .. } = self;
        let arrows = messages.finish(end, &mut chrome);
        replicas.into_iter().for_each(|replica| replica.finish(end, &mut chrome));
        clients.finish(end, &mut chrome);
        partition.finish(end, &mut chrome);
        chrome.finish(&arrows)?;
        Ok(arrows)
    }
}
