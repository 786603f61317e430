//! When requests and events are due (interface §4).

use crate::raft::Micros;
use crate::sim::scenario::{Event, EventKind, Scenario};

/// How many requests are due together where the clients share keys: twice as many as there are
/// clients, so that each client has several requests in flight.
const SHARED_BURST: u64 = 16;

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The next request is due.
    Request,
    /// This event is due.
    Event(EventKind),
}

/// The requests and events still to come.
pub(super) struct Schedule {
    start_wait: Micros,
    lifetime: Micros,
    requests: u64,
    /// All requests up to a multiple of this are due together with the last of them.
    burst: u64,
    next_request: u64,
    events: Vec<Event>,
    next_event: usize,
}

impl Schedule {
    pub fn new(scenario: &Scenario) -> Schedule {
        let mut events = scenario.events.clone();
        events.sort_by_key(|event| event.at);
        Schedule {
            start_wait: scenario.start_wait,
            lifetime: scenario.lifetime,
            requests: scenario.requests,
            burst: match scenario.burst {
                0 if scenario.shared_keys => SHARED_BURST,
                burst => burst.max(1),
            },
            next_request: 0,
            events,
            next_event: 0,
        }
    }

    /// The time of the next request or event, and which it is. At equal times the request comes
    /// first.
    pub fn next(&self) -> Option<(Micros, Due)> {
        let request = (self.next_request < self.requests).then(|| self.due(self.next_request));
        let event = self.events.get(self.next_event);
        let event = event.map(|event| (self.start_wait + event.at, Due::Event(event.kind)));
        match (request, event) {
            (Some(request), Some(event)) if event.0 < request => Some(event),
            (Some(request), _) => Some((request, Due::Request)),
            (None, event) => event,
        }
    }

    /// Takes what is due next, if it was due before `now`.
    pub fn take_due(&mut self, now: Micros) -> Option<Due> {
        let (_, due) = self.next().filter(|&(at, _)| at < now)?;
        match due {
            Due::Request => self.next_request += 1,
            Due::Event(_) => self.next_event += 1,
        }
        Some(due)
    }

    fn due(&self, request: u64) -> Micros {
        let request = u128::from(request - request % self.burst);
        let offset = request * u128::from(self.lifetime.0) / u128::from(self.requests);
        self.start_wait + Micros(offset as u64)
    }
}
