//! The clients' process: one track for each client. On it each request has a slice from its sending
//! to its answer, with one slice inside for its way to the replica and one for the answer. Arrows
//! lead from clients to replicas and back.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::json;

use super::chrome::{Arrow, CLIENTS, ChromeFile, LostArrow, Place, Slice, SliceTime, Tip};
use crate::interface::Address;
use crate::raft::Micros;
use crate::record::{AnswerKind, ClientRequest, RequestId};

/// An answer on its way to the client.
#[derive(Debug)]
struct Answer {
    arrow: Arrow,
    sent_at: Micros,
}

/// What replicas recorded of a request.
#[derive(Debug, Default)]
struct Drawn {
    /// The arrow from the client and when a replica received it, once one has.
    asked: Option<(Arrow, Micros)>,
    /// The answer that the client may have read.
    answer: Option<Answer>,
}

/// All requests of the clients.
#[derive(Debug)]
pub(super) struct Clients {
    requests: Vec<(ClientRequest, Drawn)>,
    places: BTreeMap<RequestId, usize>,
}

impl Clients {
    /// With all requests of the run.
    pub fn new(mut requests: Vec<ClientRequest>) -> Clients {
        requests.sort_by_key(|request| request.invoked_at_us);
        let places = requests.iter().map(|request| request.request).zip(0..).collect();
        let requests = requests.into_iter().map(|request| (request, Drawn::default()));
        Clients { requests: requests.collect(), places }
    }

    fn find(&mut self, request: RequestId) -> Option<&mut (ClientRequest, Drawn)> {
        let place = *self.places.get(&request)?;
        self.requests.get_mut(place)
    }

    /// A replica has received a request: the arrow from the client ends in that slice.
    pub fn on_asked<W: Write>(
        &mut self,
        at: Micros,
        request: RequestId,
        slice: &mut Slice,
        chrome: &mut ChromeFile<W>,
    ) {
        let Some((request, progress)) = self.find(request) else {
            return;
        };
        if progress.asked.is_some() {
            return;
        }
        let arrow = chrome.new_arrow("request", &*request.mid);
        progress.asked = Some((arrow.clone(), at));
        if request.invoked_at() < at {
            slice.tips.push(Tip { arrow, starts: false })
        } else {
            chrome.lose(LostArrow::AgainstTheClock, request.invoked_at(), at, arrow)
        }
    }

    /// A replica answers: an arrow starts in that slice. The client has read the last answer that
    /// was sent before it had one.
    pub fn on_answered<W: Write>(
        &mut self,
        at: Micros,
        request: RequestId,
        outcome: AnswerKind,
        slice: &mut Slice,
        chrome: &mut ChromeFile<W>,
    ) {
        let arrow = chrome.new_arrow("answer", outcome.name());
        slice.tips.push(Tip { arrow: arrow.clone(), starts: true });
        let found = self.find(request);
        let in_time = found.filter(|(request, _)| request.answered_at().is_some_and(|by| at < by));
        match in_time {
            Some((_, progress)) => {
                let answer = Answer { arrow, sent_at: at };
                if let Some(Answer { arrow, sent_at }) = progress.answer.replace(answer) {
                    chrome.lose(LostArrow::Answer, sent_at, at, arrow);
                }
            }
            None => chrome.lose(LostArrow::Answer, at, at, arrow),
        }
    }

    /// Draws all requests. Those without an answer are drawn up to the run's `end`.
    pub fn finish<W: Write>(self, end: Micros, chrome: &mut ChromeFile<W>) {
        let mut changes: BTreeMap<Micros, i64> = BTreeMap::new();
        let mut by_client: BTreeMap<Address, Vec<(ClientRequest, Drawn)>> = BTreeMap::new();
        for (request, progress) in self.requests {
            let begin = request.invoked_at();
            let over = request.answered_at().unwrap_or(end.max(begin)) + Micros(1);
            *changes.entry(begin).or_default() += 1;
            *changes.entry(over).or_default() -= 1;
            by_client.entry(request.client).or_default().push((request, progress));
        }
        for (client, requests) in by_client {
            let name = format!("client {client}");
            let place = chrome.new_place_at(u32::from(client.0), CLIENTS, &name);
            draw_client(requests, end, place, chrome);
        }
        let mut waiting = 0;
        for (at, change) in changes {
            waiting += change;
            let counter = ("requests in flight", "requests");
            chrome.counter(at, CLIENTS, counter, waiting.max(0) as u64);
        }
    }
}

/// A moment of a client: it sends a request, or reads an answer.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Micros,
    is_answer: bool,
    /// The place of the request in the list.
    request: usize,
    /// Begin of the part of its microsecond that it takes, in nanoseconds. Moments of one
    /// microsecond share it.
    begin: u64,
    width: u64,
}

/// The moments of `requests` in order. Of requests sent at the same time, the one that lasts
/// longest comes first, so that it contains the others.
fn moments(requests: &[(ClientRequest, Drawn)]) -> Vec<Moment> {
    let moment = |at, is_answer, request| Moment { at, is_answer, request, begin: 0, width: 0 };
    let mut moments = Vec::new();
    for (place, (request, _)) in requests.iter().enumerate() {
        moments.push(moment(request.invoked_at(), false, place));
        moments.extend(request.answered_at().map(|at| moment(at, true, place)));
    }
    let lasts_until = |moment: &Moment| {
        let over = requests[moment.request].0.answered_at();
        std::cmp::Reverse(over.unwrap_or(Micros(u64::MAX)))
    };
    moments.sort_by_key(|moment| (moment.at, moment.is_answer, lasts_until(moment)));
    for together in moments.chunk_by_mut(|one, other| one.at == other.at) {
        let share = (1_000 / together.len() as u64).max(1);
        for (order, moment) in (0u64..).zip(together) {
            moment.begin = moment.at.0 * 1_000 + order * share;
            moment.width = (share * 3 / 4).max(1);
        }
    }
    moments
}

/// The time until which each request of a client is drawn, in nanoseconds. Slices of one track must
/// nest. A request that is answered after a later one was sent, but before that one is answered, is
/// cut where the later one was sent.
fn drawn_until(moments: &[Moment], requests: usize, end_ns: u64) -> Vec<u64> {
    let mut until = vec![end_ns; requests];
    for answer in moments.iter().filter(|moment| moment.is_answer) {
        until[answer.request] = answer.begin + answer.width;
    }
    let mut open: Vec<usize> = Vec::new();
    for sending in moments.iter().filter(|moment| !moment.is_answer) {
        while let Some(last) = open.last().copied() {
            if until[last] >= until[sending.request] {
                break;
            }
            until[last] = until[last].min(sending.begin);
            open.pop();
        }
        open.push(sending.request);
    }
    until
}

/// Draws a client's requests on its track, each as a slice. Inside is one slice for the way to the
/// replica, and one where the answer arrives.
fn draw_client<W: Write>(
    mut requests: Vec<(ClientRequest, Drawn)>,
    end: Micros,
    place: Place,
    chrome: &mut ChromeFile<W>,
) {
    let moments = moments(&requests);
    let last = moments.last().map_or(0, |moment| moment.begin + moment.width);
    let end_ns = last.max(end.0.saturating_add(1).saturating_mul(1_000));
    let until = drawn_until(&moments, requests.len(), end_ns);
    for (order, moment) in moments.iter().enumerate() {
        let (request, progress) = &mut requests[moment.request];
        if moment.is_answer {
            let answer = request.answer.map_or("unanswered", AnswerKind::name);
            let tip =
                progress.answer.take().map(|answer| Tip { arrow: answer.arrow, starts: false });
            let span = SliceTime { begin: moment.begin, width: moment.width };
            draw_stage(answer, request, span, tip, place, chrome);
            continue;
        }
        let until = until[moment.request];
        let next = moments.get(order + 1).map_or(end_ns, |next| next.begin);
        draw_request(request, progress.asked.take(), (*moment, until, next), place, chrome);
    }
}

/// Draws the slice of a request that is sent at the moment `sending`, until `until`. Inside is its
/// way to the replica, at most up to the client's `next` moment.
fn draw_request<W: Write>(
    request: &ClientRequest,
    asked: Option<(Arrow, Micros)>,
    (sending, until, next): (Moment, u64, u64),
    place: Place,
    chrome: &mut ChromeFile<W>,
) {
    let (arrow, taken_in_at) = asked.unwrap_or_else(|| {
        let arrow = chrome.new_arrow("request", &*request.mid);
        chrome.lose(LostArrow::Request, sending.at, sending.at, arrow.clone());
        (arrow, sending.at)
    });
    let answer = request.answer.map_or("unanswered", AnswerKind::name);
    let latency = request.answered_at().map(|at| at.since(sending.at).0);
    let details = json!({
        "key": &*request.key, "mid": &*request.mid, "request": format!("{:016x}", request.request),
        "answer": answer, "latency_us": latency,
    });
    let name = format!("{} {answer}", request.operation.name());
    let begin = sending.begin;
    let whole = SliceTime { begin, width: until - begin };
    let slice = Slice { category: "request", name, details, tips: Vec::new() };
    chrome.slice(place, whole, &slice);
    let over = taken_in_at.max(sending.at + Micros(1)).0 * 1_000;
    let width = over.min(next).min(until) - begin;
    let tip = Some(Tip { arrow, starts: true });
    draw_stage("on its way", request, SliceTime { begin, width }, tip, place, chrome);
}

/// A slice within a request's slice. Viewers show arrows from the slice in which they start, so the
/// way to the replica has a slice, and the answer has one.
fn draw_stage<W: Write>(
    name: &str,
    request: &ClientRequest,
    span: SliceTime,
    tip: Option<Tip>,
    place: Place,
    chrome: &mut ChromeFile<W>,
) {
    let details = json!({"mid": &*request.mid});
    let tips = tip.into_iter().collect();
    let slice = Slice { category: "request", name: name.to_owned(), details, tips };
    chrome.slice(place, span, &slice);
}
