//! A replica's tracks: one for its handlings, one for its roles, its counters, and what waits in it
//! for a batch or for an answer.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::json;

use super::chrome::{Arrow, ChromeFile, LostArrow, Place, REPLICAS, Slice, SliceTime, Tip, Track};
use super::handling::Handling;
use crate::interface::Address;
use crate::raft::{Event, Index, Member, Micros, RoleName, Term};
use crate::record::{Decision, Fact, RequestId};

/// Something that waits within a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Waiting {
    /// An entry waits for the batch that carries it.
    Entry(Index),
    /// A request waits for its answer.
    Request(Address, RequestId),
}

/// The tracks of one replica.
#[derive(Debug)]
pub(super) struct ReplicaTracks {
    member: Member,
    handlings: Track,
    roles: Place,
    /// The replica's role, its term, and since when it has them.
    role: (RoleName, Term, Micros),
    dead: bool,
    counters: BTreeMap<&'static str, u64>,
    waiting: BTreeMap<Waiting, (Micros, Arrow)>,
}

impl ReplicaTracks {
    /// Tracks for the replica `member`.
    pub fn begin<W: Write>(member: Member, chrome: &mut ChromeFile<W>) -> ReplicaTracks {
        let roles = chrome.new_place(REPLICAS, &format!("{member} role"));
        let handlings = chrome.new_place(REPLICAS, &format!("{member} handling"));
        ReplicaTracks {
            member,
            handlings: Track::new(handlings),
            roles,
            role: (RoleName::Follower, 0, Micros(0)),
            dead: false,
            counters: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// The slice of its latest handling.
    pub fn latest(&mut self) -> Option<&mut Slice> {
        self.handlings.last()
    }

    /// Draws a handling of the replica, with all of its arrows.
    pub fn on_handling<W: Write>(
        &mut self,
        handling: &Handling,
        mut slice: Slice,
        chrome: &mut ChromeFile<W>,
    ) {
        // What begins to wait in this handling, unless the wait also ends in it.
        let mut begun: Vec<Waiting> = Vec::new();
        for record in &handling.records {
            match record.fact {
                Fact::State(event) => {
                    self.on_event(handling.at, event, chrome);
                    if let Event::BatchSent { last, .. } = event {
                        let carried =
                            |of: &Waiting| matches!(of, Waiting::Entry(index) if *index <= last);
                        begun.retain(|waiting| !carried(waiting));
                        self.end_waiting(carried, &mut slice);
                    }
                }
                Fact::Decided(decision) => self.on_decided(handling.at, decision, chrome),
                Fact::Asked { client, request, .. } => {
                    begun.push(Waiting::Request(client, request));
                }
                Fact::Taken { client, request, index, .. } => {
                    begun.push(Waiting::Entry(index));
                    let put = Waiting::Request(client, request);
                    if !begun.contains(&put) {
                        // The put was held. It has waited until here, and goes on waiting.
                        self.end_waiting(|waiting| *waiting == put, &mut slice);
                        begun.push(put);
                    }
                }
                Fact::Answered { client, request, .. } => {
                    let answered = |of: &Waiting| *of == Waiting::Request(client, request);
                    begun.retain(|waiting| !answered(waiting));
                    self.end_waiting(answered, &mut slice);
                }
                _ => {}
            }
        }
        for waiting in begun {
            self.begin_waiting(handling.at, waiting, &mut slice, chrome);
        }
        self.handlings.add(handling.at, slice, chrome);
    }

    fn begin_waiting<W: Write>(
        &mut self,
        at: Micros,
        waiting: Waiting,
        slice: &mut Slice,
        chrome: &mut ChromeFile<W>,
    ) {
        let arrow = match waiting {
            Waiting::Entry(index) => chrome.new_arrow("batch", format!("entry {index}")),
            Waiting::Request(_, request) => chrome.new_arrow("wait", format!("{request:016x}")),
        };
        slice.tips.push(Tip { arrow: arrow.clone(), starts: true });
        // An entry of an earlier term of this leader was there, and was dropped.
        if let Some((since, dropped)) = self.waiting.insert(waiting, (at, arrow)) {
            chrome.lose(LostArrow::Waiting, since, at, dropped);
        }
    }

    fn end_waiting(&mut self, ended: impl Fn(&Waiting) -> bool, slice: &mut Slice) {
        self.waiting.retain(|waiting, (_, arrow)| {
            if ended(waiting) {
                slice.tips.push(Tip { arrow: arrow.clone(), starts: false });
            }
            !ended(waiting)
        });
    }

    fn on_event<W: Write>(&mut self, at: Micros, event: Event, chrome: &mut ChromeFile<W>) {
        let (role, term) = match event {
            Event::Committed { through } => {
                return self.count(at, ("commit index", "entries"), through, chrome);
            }
            Event::TermStarted { term }
            | Event::LeaderHeard { term, .. }
            | Event::SteppedDown { term, .. } => (RoleName::Follower, term),
            Event::BecamePreCandidate { .. } => (RoleName::PreCandidate, self.role.1),
            Event::BecameCandidate { term } => (RoleName::Candidate, term),
            Event::BecameLeader { term, .. } => {
                let name = format!("replica {} leads term {term}", self.member);
                chrome.moment(at, &name);
                (RoleName::Leader, term)
            }
            _ => return,
        };
        self.count(at, ("term", "number"), term, chrome);
        if self.role.0 != role || self.role.1 != term {
            self.draw_role(at, chrome);
            self.role = (role, term, at);
        }
    }

    /// Draws what the controller did with a knob: its counter, which begins with the value that it
    /// had at the start, and the reason.
    fn on_decided<W: Write>(&mut self, at: Micros, decision: Decision, chrome: &mut ChromeFile<W>) {
        let Decision { knob, before, after, reason, .. } = decision;
        let (name, unit) = (knob.name(), if knob.is_time() { "µs" } else { "number" });
        if !self.counters.contains_key(name) {
            self.count(Micros(0), (name, unit), before, chrome);
        }
        self.count(at, (name, unit), after, chrome);
        let [from, to] = [before, after].map(|number| knob.word(number));
        let told = format!("{name} {from} to {to}: {}", reason.name());
        chrome.instant(at, self.roles, ("decision", &told), Some(&json!(decision)));
    }

    fn count<W: Write>(
        &mut self,
        at: Micros,
        (name, unit): (&'static str, &str),
        value: u64,
        chrome: &mut ChromeFile<W>,
    ) {
        if self.counters.insert(name, value) != Some(value) {
            let name = format!("{} {name}", self.member);
            chrome.counter(at, REPLICAS, (&name, unit), value);
        }
    }

    /// Draws the slice of the role that the replica had until `at`.
    fn draw_role<W: Write>(&self, at: Micros, chrome: &mut ChromeFile<W>) {
        let (role, term, since) = self.role;
        if at > since && !self.dead {
            let name = format!("{} of term {term}", role.name());
            let span = SliceTime { begin: since.0 * 1_000, width: at.since(since).0 * 1_000 };
            let (category, details) = ("role", json!({}));
            chrome.slice(self.roles, span, &Slice { category, name, details, tips: Vec::new() });
        }
    }

    /// The replica is dead.
    pub fn on_killed<W: Write>(&mut self, at: Micros, by_itself: bool, chrome: &mut ChromeFile<W>) {
        let how = if by_itself { "ended by itself" } else { "killed" };
        chrome.moment(at, &format!("replica {} {how}", self.member));
        self.draw_role(at, chrome);
        self.dead = true;
    }

    /// Ends the run.
    pub fn finish<W: Write>(mut self, end: Micros, chrome: &mut ChromeFile<W>) {
        self.draw_role(end, chrome);
        self.handlings.lay_out(None, chrome);
        for (_, (since, arrow)) in std::mem::take(&mut self.waiting) {
            chrome.lose(LostArrow::Waiting, since, end, arrow);
        }
    }
}
