//! One test for each sentence of interface §2 to §5 that binds the simulator, named after it.
//! Sentences about sockets, polling and processes concern the engines and are tested there.

mod events;
mod messages;
mod requests;
mod verdict;

use super::incoming::parse;
use super::score::Conclusion;
use super::{Course, Effect, LossReason};
use crate::interface::{Operation, Request, Text};
use crate::raft::{Member, MemberSet, Micros};
use crate::sim::scenario::{Event, EventKind, Network, Scenario, Tests, Thresholds};
use std::collections::BTreeMap;

/// Five replicas and ten puts, one each second from second 1 on.
fn scenario() -> Scenario {
    Scenario {
        name: "test".to_owned(),
        lifetime: Micros::from_seconds(10),
        replicas: 5,
        requests: 10,
        mix: 0.0,
        start_wait: Micros::from_seconds(1),
        end_wait: Micros::from_seconds(2),
        drops: 0.0,
        seed: None,
        max_packets: 20_000,
        events: Vec::new(),
        tests: Tests {
            total_messages: Thresholds([100.0, 200.0, 300.0]),
            failures: Thresholds([1.0, 2.0, 3.0]),
            duplicates: Thresholds([1.0, 2.0, 3.0]),
            median_latency: Thresholds([0.1, 0.2, 0.3]),
            maximum_get_fail_fraction: 0.5,
            maximum_put_fail_fraction: 0.5,
            maximum_get_generation_fail_fraction: 0.1,
            maximum_appends_batched_fraction: 0.5,
        },
        shared_keys: false,
        burst: 0,
        value_bytes: 0,
        pace: true,
        network: Network::default(),
        clock_drift_ppm: Vec::new(),
        budget: crate::budget::Limits::default(),
    }
}

/// No replica.
const NOBODY: [u8; 0] = [];

/// The event `kind`, `seconds` after the end of `start_wait`.
fn event(kind: EventKind, seconds: u64) -> Event {
    Event { kind, at: Micros::from_seconds(seconds) }
}

/// A request that the simulator sent.
#[derive(Clone, Debug)]
struct Sent {
    to: Member,
    request: Request,
}

impl Sent {
    fn key(&self) -> &Text {
        match &self.request.operation {
            Operation::Get { key } | Operation::Put { key, .. } => key,
        }
    }

    /// The value to put; `None` for a get.
    fn value(&self) -> Option<&Text> {
        match &self.request.operation {
            Operation::Get { .. } => None,
            Operation::Put { value, .. } => Some(value),
        }
    }
}

/// A simulator, and the store that its replicas would keep.
struct Run {
    course: Course,
    now: Micros,
    store: BTreeMap<Text, Text>,
}

impl Run {
    /// A run in which every replica has said hello. `change` changes the scenario.
    fn with(change: impl FnOnce(&mut Scenario)) -> Run {
        Run::seeded(1, change)
    }

    fn seeded(seed: u64, change: impl FnOnce(&mut Scenario)) -> Run {
        let mut run = Run::silent(seed, change);
        for replica in run.course.cluster.all().iter() {
            run.hello(replica.0);
        }
        run
    }

    /// A run in which no replica has said anything.
    fn silent(seed: u64, change: impl FnOnce(&mut Scenario)) -> Run {
        let mut scenario = scenario();
        change(&mut scenario);
        let course = Course::new(&scenario, seed);
        Run { course, now: Micros(0), store: BTreeMap::new() }
    }

    fn plain() -> Run {
        Run::with(|_| {})
    }

    fn hello(&mut self, from: u8) -> Vec<Effect> {
        let id = format!("{from:04X}");
        self.read(from, &format!(r#"{{"src":"{id}","dst":"FFFF","leader":"FFFF","type":"hello"}}"#))
    }

    /// Lets `from` send `text`.
    fn read(&mut self, from: u8, text: &str) -> Vec<Effect> {
        self.read_bytes(from, text.as_bytes())
    }

    fn read_bytes(&mut self, from: u8, bytes: &[u8]) -> Vec<Effect> {
        let mut effects = Vec::new();
        let incoming = parse(bytes, self.course.scenario.replicas);
        self.course.on_datagram(self.now, Member(from), &incoming, &mut effects);
        effects
    }

    /// A message between replicas.
    fn message(&mut self, from: u8, to: &str, leader: &str) -> Vec<Effect> {
        self.forged(from, &format!("{from:04X}"), to, leader)
    }

    /// A message from the socket of `from` that claims to come from `source`.
    fn forged(&mut self, from: u8, source: &str, to: &str, leader: &str) -> Vec<Effect> {
        self.read(
            from,
            &format!(r#"{{"src":"{source}","dst":"{to}","leader":"{leader}","type":"append"}}"#),
        )
    }

    /// Fires what is due before `milliseconds`.
    fn until(&mut self, milliseconds: u64) -> Vec<Effect> {
        self.now = Micros::from_millis(milliseconds);
        self.fire()
    }

    fn fire(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.course.fire_due(self.now, &mut effects);
        effects
    }

    /// Goes on to the next request.
    fn request(&mut self) -> Sent {
        self.now = self.course.next_due().expect("a request is left");
        only_sent(&self.fire())
    }

    /// Lets the receiver answer: `kind`, with the store's value for a get.
    fn answer(&mut self, sent: &Sent, kind: &str, leader: &str) -> Vec<Effect> {
        let value = match sent.value() {
            Some(value) => {
                self.store.insert(sent.key().clone(), value.clone());
                None
            }
            None => self.store.get(sent.key()).cloned(),
        };
        let value = value.map_or(String::new(), |value| format!(r#","value":"{value}""#));
        self.answer_with(sent, &format!(r#""leader":"{leader}","type":"{kind}"{value}"#))
    }

    /// Lets the receiver answer with these keys besides `src`, `dst` and `MID`.
    fn answer_with(&mut self, sent: &Sent, keys: &str) -> Vec<Effect> {
        let (from, to, mid) = (sent.to.0, sent.request.client, &sent.request.mid);
        self.read(from, &format!(r#"{{"src":"{from:04X}","dst":"{to}","MID":"{mid}",{keys}}}"#))
    }

    fn ok(&mut self, sent: &Sent) {
        let leader = sent.to.to_string();
        assert_eq!(self.answer(sent, "ok", &leader), []);
    }

    /// Serves all requests that are left, and lets the events happen.
    fn serve_all(&mut self) {
        while let Some(due) = self.course.next_due() {
            self.now = due;
            for sent in sent(&self.fire()) {
                self.ok(&sent);
            }
        }
    }

    fn incorrect(&self) -> u64 {
        self.course.traffic.incorrect
    }

    fn living(&self) -> Vec<u8> {
        ranks(self.course.living())
    }

    fn leader(&self) -> Option<u8> {
        self.course.believed_leader().map(|leader| leader.0)
    }

    fn conclude(self) -> Conclusion {
        self.course.conclude(self.now)
    }
}

fn ranks(members: MemberSet) -> Vec<u8> {
    members.iter().map(|member| member.0).collect()
}

fn sent(effects: &[Effect]) -> Vec<Sent> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, request } => Some(Sent { to: *to, request: request.clone() }),
        _ => None,
    });
    sent.collect()
}

fn only_sent(effects: &[Effect]) -> Sent {
    assert_eq!(effects.len(), 1, "{effects:?}");
    sent(effects).pop().expect("a request")
}

fn killed(effects: &[Effect]) -> Vec<u8> {
    let killed = effects.iter().filter_map(|effect| match effect {
        Effect::Kill { member } => Some(member.0),
        _ => None,
    });
    killed.collect()
}

fn delivered(effects: &[Effect]) -> Vec<u8> {
    let delivered = effects.iter().filter_map(|effect| match effect {
        Effect::Deliver { to } => Some(to.0),
        _ => None,
    });
    delivered.collect()
}

fn lost(effects: &[Effect], wanted: LossReason) -> Vec<u8> {
    let lost = effects.iter().filter_map(|effect| match effect {
        Effect::Lost { to, reason } if *reason == wanted => Some(to.0),
        _ => None,
    });
    lost.collect()
}

/// Whether the check whose name contains `words` was passed.
fn passes(conclusion: &Conclusion, words: &str) -> bool {
    let mut checks = conclusion.checks.iter().filter(|check| check.name.contains(words));
    let found = checks.next().expect("a check of that name");
    assert!(checks.next().is_none(), "{words} names several checks");
    found.passed
}
