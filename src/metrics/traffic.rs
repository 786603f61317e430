//! Messages between replicas, and what they cost as a leader sees it.

use super::exporter::Exporter;
use super::family::{
    DATAGRAMS_DROPPED, MESSAGES_HANDLED, MESSAGES_RECEIVED, MESSAGES_SENT, SENT_BYTES,
};
use super::tally::Tally;
use crate::raft::{Cause, Disposition, Form, Kind, Member, Micros, To, Why};
use crate::wire::{Garbage, Membership};

const KINDS: usize = Kind::ALL.len();
const CAUSES: usize = Cause::ALL.len();
const FORMS: usize = Form::COUNT;

const DISPOSITIONS: [Disposition; 5] = [
    Disposition::Accepted,
    Disposition::Rejected,
    Disposition::Stale,
    Disposition::Duplicate,
    Disposition::Implausible,
];

/// The counters of the messages of one kind, form, cause and peer.
struct Sent {
    messages: Tally,
    bytes: Tally,
}

/// The counters of messages. Each is made when it is first needed.
pub(super) struct Traffic {
    sent: Vec<Option<Sent>>,
    received: Vec<Option<Tally>>,
    handled: [Tally; DISPOSITIONS.len()],
    dropped: [Tally; Garbage::ALL.len()],
    /// The totals of the messages that this replica sent or received.
    pub seen: Seen,
}

impl Traffic {
    /// Makes the counters of a replica in a cluster of `members`.
    pub fn new(members: &Membership, exporter: &Exporter) -> Traffic {
        let places = members.count() * KINDS * FORMS * CAUSES;
        let handled =
            |disposition: Disposition| exporter.counter(&MESSAGES_HANDLED, &[disposition.name()]);
        let dropped = |reason: Garbage| exporter.counter(&DATAGRAMS_DROPPED, &[reason.name()]);
        Traffic {
            sent: (0..places).map(|_| None).collect(),
            received: (0..places).map(|_| None).collect(),
            handled: DISPOSITIONS.map(handled),
            dropped: Garbage::ALL.map(dropped),
            seen: Seen::default(),
        }
    }

    /// Counts a message sent to `to`. A message to everyone counts once for each receiver.
    pub fn on_sent(
        &mut self,
        (kind, why, bytes): (Kind, Why, u32),
        to: To,
        members: &Membership,
        exporter: &Exporter,
    ) {
        for peer in to.receivers(members.me(), members.count()).iter() {
            self.count_sent(kind, why, bytes, peer, members, exporter);
        }
    }

    fn count_sent(
        &mut self,
        kind: Kind,
        why: Why,
        bytes: u32,
        peer: Member,
        members: &Membership,
        exporter: &Exporter,
    ) {
        let place = place(peer, kind, why);
        let sent = self.sent[place].get_or_insert_with(|| {
            let peer = members.address(peer).to_string();
            let labels = labels(kind, why, &peer);
            Sent {
                messages: exporter.counter(&MESSAGES_SENT, &labels),
                bytes: exporter.counter(&SENT_BYTES, &labels),
            }
        });
        sent.messages.add(1);
        sent.bytes.add(bytes.into());
        self.seen.count(why);
    }

    /// Counts a message that came from `from`.
    pub fn on_received(
        &mut self,
        (kind, why, disposition): (Kind, Why, Disposition),
        from: Member,
        members: &Membership,
        exporter: &Exporter,
    ) {
        let received = self.received[place(from, kind, why)].get_or_insert_with(|| {
            let peer = members.address(from).to_string();
            exporter.counter(&MESSAGES_RECEIVED, &labels(kind, why, &peer))
        });
        received.add(1);
        self.handled[disposition as usize].add(1);
        self.seen.count(why);
    }

    /// Counts a datagram that could not be used.
    pub fn on_dropped(&mut self, reason: Garbage) {
        self.dropped[reason as usize].add(1);
    }
}

fn place(peer: Member, kind: Kind, why: Why) -> usize {
    let (form, cause) = (why.form() as usize, why.cause() as usize);
    ((peer.rank() * KINDS + kind as usize) * FORMS + form) * CAUSES + cause
}

fn labels(kind: Kind, why: Why, peer: &str) -> [&str; 4] {
    [kind.name(), why.form().name(), why.cause().name(), peer]
}

/// The messages that this replica sent or received. A leader sees all messages but two sorts: those
/// that its followers pass on along a chain, and those that are lost on the way to it.
#[derive(Default)]
pub(super) struct Seen {
    /// Whether this replica leads.
    pub leads: bool,
    /// Messages since the start.
    pub all: u64,
    /// Messages while this replica led.
    pub leading: u64,
    /// Messages that confirm leadership for a read, and their answers, while this replica led.
    pub for_reads: u64,
    idle: Idle,
}

/// Whole seconds in which this replica led and no client asked for anything.
#[derive(Default)]
struct Idle {
    seconds: u64,
    messages: u64,
    second: u64,
    messages_in_second: u64,
    disturbed: bool,
}

impl Seen {
    fn count(&mut self, why: Why) {
        self.all += 1;
        if self.leads {
            self.leading += 1;
            self.idle.messages_in_second += 1;
            self.for_reads += u64::from(why.cause() == Cause::Confirm);
        }
    }

    /// Notes that a client asked or that this replica's role changed, so this second is not idle.
    pub fn disturb(&mut self) {
        self.idle.disturbed = true;
    }

    /// Ends all seconds that are over at `now`.
    pub fn advance(&mut self, now: Micros) {
        let idle = &mut self.idle;
        let second = now.0 / 1_000_000;
        if second <= idle.second {
            return;
        }
        if self.leads {
            // Nothing at all happened in the seconds between the two.
            idle.seconds += second - idle.second - u64::from(idle.disturbed);
            idle.messages += if idle.disturbed { 0 } else { idle.messages_in_second };
        }
        (idle.second, idle.messages_in_second, idle.disturbed) = (second, 0, false);
    }

    /// The average number of messages in an idle second.
    pub fn idle_messages_per_second(&self) -> f64 {
        super::gauges::ratio(self.idle.messages as f64, self.idle.seconds)
    }
}
