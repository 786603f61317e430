//! The clients' process: a slice for each request, from its creation to its answer, within it one
//! for its way to the replica and one for the answer, and the arrows between clients and replicas.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::json;

use super::chrome::{Arrow, CLIENTS, ChromeFile, Loss, Place, Slice, SliceTime, Tip};
use crate::interface::Address;
use crate::raft::Micros;
use crate::record::{AnswerKind, ClientRequest, RequestId};

/// The lanes of a client whose order matters.
const MOST_LANES: u32 = 1_000;

/// An answer on its way.
#[derive(Debug)]
struct Answer {
    arrow: Arrow,
    sent_at: Micros,
}

/// What is known of a request besides what its client knows.
#[derive(Debug, Default)]
struct Drawn {
    /// Its arrow from the client, once somebody has taken it in, and when that was.
    asked: Option<(Arrow, Micros)>,
    /// The answer that the client may have taken.
    answer: Option<Answer>,
}

/// All requests.
#[derive(Debug)]
pub(super) struct Clients {
    requests: Vec<(ClientRequest, Drawn)>,
    places: BTreeMap<RequestId, usize>,
}

impl Clients {
    /// With all that they will ask.
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

    /// A replica has taken in a request: the arrow from its client ends in that slice.
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
            chrome.lose(Loss::AgainstTheClock, request.invoked_at(), at, arrow)
        }
    }

    /// A replica answers: an arrow starts in that slice. The client has taken the last that was
    /// sent before it had its answer.
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
                    chrome.lose(Loss::Answer, sent_at, at, arrow);
                }
            }
            None => chrome.lose(Loss::Answer, at, at, arrow),
        }
    }

    /// Draws all requests, those without an answer up to the run's `end`.
    pub fn finish<W: Write>(self, end: Micros, chrome: &mut ChromeFile<W>) {
        let mut lanes = Lanes::default();
        let mut changes: BTreeMap<Micros, i64> = BTreeMap::new();
        for (request, progress) in self.requests {
            let begin = request.invoked_at();
            // The answer has a slice of its own at the end.
            let over = request.answered_at().unwrap_or(end.max(begin)) + Micros(1);
            *changes.entry(begin).or_default() += 1;
            *changes.entry(over).or_default() -= 1;
            let place = lanes.place(request.client, begin, over, chrome);
            draw_request(&request, progress, (begin, over), place, chrome);
        }
        let mut waiting = 0;
        for (at, change) in changes {
            waiting += change;
            chrome.counter(at, CLIENTS, "requests in flight", waiting.max(0) as u64);
        }
    }
}

fn draw_request<W: Write>(
    request: &ClientRequest,
    progress: Drawn,
    (begin, over): (Micros, Micros),
    place: Place,
    chrome: &mut ChromeFile<W>,
) {
    let (arrow, taken_in_at) = progress.asked.unwrap_or_else(|| {
        let arrow = chrome.new_arrow("request", &*request.mid);
        chrome.lose(Loss::Request, begin, begin, arrow.clone());
        (arrow, begin)
    });
    let answer = request.answer.map_or("unanswered", AnswerKind::name);
    let details = json!({
        "key": &*request.key, "mid": &*request.mid, "request": format!("{:016x}", request.request),
        "answer": answer,
    });
    let span = |from: Micros, to: Micros| SliceTime {
        begin: from.0 * 1_000,
        width: (to - from).0 * 1_000,
    };
    let name = format!("{} {answer}", request.operation.name());
    chrome.slice(place, span(begin, over), &Slice { name, details, tips: Vec::new() });
    // Stages within: an arrow is shown from the end of its slice, so the way to the replica is one.
    let mut stage = |name: &str, from, to, tips| {
        let (name, details) = (name.to_owned(), json!({}));
        chrome.slice(place, span(from, to), &Slice { name, details, tips });
    };
    let last = request.answered_at().unwrap_or(over);
    let on_its_way = taken_in_at.min(last).max(begin + Micros(1));
    stage("on its way", begin, on_its_way, vec![Tip { arrow, starts: true }]);
    if let Some(at) = request.answered_at() {
        let tip = progress.answer.map(|answer| Tip { arrow: answer.arrow, starts: false });
        stage(answer, at, over, tip.into_iter().collect());
    }
}

/// Tracks of the clients, as many each as it has requests at a time.
#[derive(Default)]
struct Lanes(BTreeMap<Address, Vec<(Place, Micros)>>);

impl Lanes {
    /// A place that is free from `begin` on, taken until `over`.
    fn place<W: Write>(
        &mut self,
        client: Address,
        begin: Micros,
        over: Micros,
        chrome: &mut ChromeFile<W>,
    ) -> Place {
        let lanes = self.0.entry(client).or_default();
        if let Some((place, free_from)) = lanes.iter_mut().find(|(_, free)| *free < begin) {
            *free_from = over;
            return *place;
        }
        let order = u32::from(client.0) * MOST_LANES + (lanes.len() as u32).min(MOST_LANES - 1);
        let place = chrome.new_place_at(order, CLIENTS, &format!("client {client}"));
        lanes.push((place, over));
        place
    }
}
