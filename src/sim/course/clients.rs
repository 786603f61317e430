//! The eight clients (interface §2 and §4): what they ask, which replica they ask, and what they do
//! with an answer. Every request and every re-send is an [`Attempt`]; the list of attempts is the
//! history of the run.

use super::incoming::{CLIENTS, Incorrect, address_of, client_address, client_at, excerpt};
use crate::interface::{self, Address, Answer, Outcome, Request, Text};
use crate::raft::{Member, MemberSet, Micros};
use crate::record::AnswerKind;
use crate::sim::history::{Action, ClientOperation};
use crate::sim::random_stream::{Probability, RandomStream, scramble};
use crate::sim::scenario::Scenario;
use md5::{Digest, Md5};
use rustc_hash::FxHashMap;

/// Length of a key, in characters (interface §4).
const KEY_LENGTH: usize = 32;
const KEY_CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const HEX: &[u8; 16] = b"0123456789abcdef";
/// Number of keys where the clients share them: few, so that requests for the same key meet.
const SHARED_KEYS: usize = 8;

/// One request that was sent: a new one, or the same again after `redirect` or `fail`.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// What the client asked and was answered.
    pub operation: ClientOperation,
    /// The replica it was sent to.
    pub sent_to: Member,
    /// The replica that gave the first answer.
    pub answered_by: Option<Member>,
    /// When the client first asked for what it asks for here again.
    pub wanted_since: Micros,
}

/// An answer to a request that had been answered `ok` before.
#[derive(Clone, Copy, Debug)]
pub(super) struct SecondAnswer {
    /// Index of the attempt in the history.
    pub attempt: usize,
    /// When the second answer came.
    pub at: Micros,
    /// The replica that sent it.
    pub by: Member,
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub to: Member,
    pub request: Request,
}

/// What the clients count.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientCounts {
    pub gets: u64,
    pub puts: u64,
    pub ungenerated_gets: u64,
    pub acknowledged_gets: u64,
    pub acknowledged_puts: u64,
    pub redirects: u64,
    pub get_failures: u64,
    pub put_failures: u64,
}

/// One client.
struct Client {
    leader: Option<Member>,
    /// The keys for which this client got an `ok` to a put, with the value last acknowledged.
    acknowledged: Vec<(Text, Text)>,
    /// The place of each key in `acknowledged`.
    places: FxHashMap<Text, usize>,
    /// Draws keys and values.
    random: RandomStream,
    /// Draws replicas. It is separate, so that faults do not change what is asked.
    replica_random: RandomStream,
}

/// The clients, and all their attempts.
pub(super) struct Clients {
    clients: Vec<Client>,
    replicas: usize,
    gets: Probability,
    kind_random: RandomStream,
    client_random: RandomStream,
    /// The keys of all clients, where they share them.
    shared: Option<Vec<Text>>,
    /// Up to how many bytes values are made longer; 0: they are not.
    value_bytes: u64,
    length_random: RandomStream,
    first_mid: u64,
    by_mid: FxHashMap<Text, usize>,
    pub attempts: Vec<Attempt>,
    pub second_answers: Vec<SecondAnswer>,
    /// Times from creation to first answer, in order of answers.
    pub latencies: Vec<Micros>,
    /// Times from when a client first asked to the `ok`, in order of answers.
    pub waits: Vec<Micros>,
    pub tally: ClientCounts,
}

impl Clients {
    pub fn new(scenario: &Scenario, seed: u64) -> Clients {
        let client = |number| Client {
            leader: None,
            acknowledged: Vec::new(),
            places: FxHashMap::default(),
            random: RandomStream::new(seed, "client", number),
            replica_random: RandomStream::new(seed, "replica of client", number),
        };
        let mut shared_random = RandomStream::new(seed, "shared keys", 0);
        let shared = || (0..SHARED_KEYS).map(|_| new_key(&mut shared_random)).collect();
        Clients {
            clients: (0..CLIENTS as u64).map(client).collect(),
            replicas: scenario.replicas,
            gets: Probability::of(scenario.mix),
            kind_random: RandomStream::new(seed, "gets", 0),
            client_random: RandomStream::new(seed, "clients", 0),
            shared: scenario.shared_keys.then(shared),
            value_bytes: scenario.value_bytes,
            length_random: RandomStream::new(seed, "lengths of values", 0),
            first_mid: scramble(seed),
            by_mid: FxHashMap::default(),
            attempts: Vec::new(),
            second_answers: Vec::new(),
            latencies: Vec::new(),
            waits: Vec::new(),
            tally: ClientCounts::default(),
        }
    }

    /// Creates the next request of the schedule; `None` if no replica lives that could get it.
    pub fn create(&mut self, now: Micros, living: MemberSet) -> Option<Outgoing> {
        let number = self.client_random.below(CLIENTS as u64) as usize;
        let wants_get = self.kind_random.chance(self.gets);
        let (key, action) = match &self.shared {
            Some(keys) => {
                let unique = self.next_mid();
                self.clients[number].ask_shared(wants_get, keys, unique)
            }
            None => self.clients[number].ask_own(wants_get),
        };
        let action = self.lengthen(action);
        match action {
            Action::Get { .. } => self.tally.gets += 1,
            Action::Put { .. } => self.tally.puts += 1,
        }
        if wants_get && matches!(action, Action::Put { .. }) {
            self.tally.ungenerated_gets += 1;
        }
        self.attempt(now, number, (key, action), living, now)
    }

    /// Makes the value of a put longer, where the scenario says so. Few are as long as they may be.
    fn lengthen(&mut self, action: Action) -> Action {
        match action {
            Action::Put { value } if self.value_bytes > 0 => {
                let part = self.length_random.below(self.value_bytes + 1);
                let length = self.length_random.below(part + 1) as usize;
                Action::Put { value: format!("{value:-<length$}").into() }
            }
            other => other,
        }
    }

    /// Takes in an answer. After a `redirect` or `fail` the client asks again at once.
    pub fn on_answer(
        &mut self,
        now: Micros,
        from: Member,
        leader: Option<Member>,
        answer: &Answer,
        living: MemberSet,
    ) -> Result<Option<Outgoing>, Incorrect> {
        let not_waited_for = || Incorrect::NotWaitedFor(excerpt(&answer.mid), answer.client);
        let index = *self.by_mid.get(&answer.mid).ok_or_else(not_waited_for)?;
        let attempt = &mut self.attempts[index];
        let number = client_at(attempt.operation.client, self.replicas);
        let number = number.filter(|_| attempt.operation.client == answer.client);
        let number = number.ok_or_else(not_waited_for)?;
        match attempt.operation.answered {
            None => {}
            Some((_, AnswerKind::Ok)) => {
                self.second_answers.push(SecondAnswer { attempt: index, at: now, by: from });
                return Ok(None);
            }
            Some((_, AnswerKind::Redirect | AnswerKind::Fail)) => return Err(not_waited_for()),
        }
        attempt.operation.answered = Some((now, AnswerKind::of(&answer.outcome)));
        attempt.answered_by = Some(from);
        self.latencies.push(now.since(attempt.operation.invoked_at));
        self.clients[number].leader = leader;
        match &answer.outcome {
            Outcome::Ok(value) => {
                self.waits.push(now.since(self.attempts[index].wanted_since));
                self.on_ok(index, number, value.as_ref()).map(|()| None)
            }
            Outcome::Redirect => Ok(self.ask_again(now, index, number, living)),
            Outcome::Fail => {
                match self.attempts[index].operation.action {
                    Action::Get { .. } => self.tally.get_failures += 1,
                    Action::Put { .. } => self.tally.put_failures += 1,
                }
                Ok(self.ask_again(now, index, number, living))
            }
        }
    }

    /// Makes all clients forget the leader.
    pub fn forget_leader(&mut self) {
        for client in &mut self.clients {
            client.leader = None;
        }
    }

    fn on_ok(
        &mut self,
        index: usize,
        number: usize,
        value: Option<&Text>,
    ) -> Result<(), Incorrect> {
        let operation = &mut self.attempts[index].operation;
        let client = &mut self.clients[number];
        match &mut operation.action {
            Action::Put { value } => {
                self.tally.acknowledged_puts += 1;
                client.acknowledge(&operation.key, value);
                Ok(())
            }
            Action::Get { value: found } => {
                self.tally.acknowledged_gets += 1;
                *found = value.cloned();
                let value = value.ok_or_else(|| Incorrect::NoValue(operation.mid.clone()))?;
                // Where keys are shared, another client may have written since. The check of the
                // whole history judges that.
                let Some(expected) = client.last_acknowledged(&operation.key) else {
                    return Ok(());
                };
                if self.shared.is_some() || value == expected {
                    return Ok(());
                }
                Err(Incorrect::WrongValue {
                    mid: operation.mid.clone(),
                    key: operation.key.clone(),
                    expected: expected.clone(),
                    found: excerpt(value),
                })
            }
        }
    }

    fn ask_again(
        &mut self,
        now: Micros,
        index: usize,
        number: usize,
        living: MemberSet,
    ) -> Option<Outgoing> {
        self.tally.redirects += 1;
        let Attempt { operation, wanted_since, .. } = &self.attempts[index];
        let (key, action) = (operation.key.clone(), operation.action.clone());
        self.attempt(now, number, (key, action), living, *wanted_since)
    }

    fn attempt(
        &mut self,
        now: Micros,
        number: usize,
        (key, action): (Text, Action),
        living: MemberSet,
        wanted_since: Micros,
    ) -> Option<Outgoing> {
        let sent_to = self.clients[number].choose_replica(living)?;
        let client = client_address(number, self.replicas);
        let leader = self.clients[number].leader.map_or(Address::UNKNOWN, address_of);
        let mid = self.next_mid();
        let request = Request { client, leader, mid: mid.clone(), operation: asked(&key, &action) };
        self.by_mid.insert(mid.clone(), self.attempts.len());
        let operation =
            ClientOperation { client, mid, key, action, invoked_at: now, answered: None };
        self.attempts.push(Attempt { operation, sent_to, answered_by: None, wanted_since });
        Some(Outgoing { to: sent_to, request })
    }

    /// The MID of the next attempt: 16 upper-case hex digits. Each count gives a different number,
    /// so no MID occurs twice.
    fn next_mid(&self) -> Text {
        let number = self.first_mid.wrapping_add(self.attempts.len() as u64);
        let number = scramble(number);
        let digit = |place| HEX[(number >> (60 - 4 * place) & 15) as usize].to_ascii_uppercase();
        let digits: [u8; 16] = std::array::from_fn(digit);
        text_of(&digits)
    }
}

impl Client {
    /// A get of an acknowledged key, or a put. Half of the puts have a new key, the others a new
    /// value for an acknowledged one (interface §4).
    fn ask_own(&mut self, wants_get: bool) -> (Text, Action) {
        if wants_get && let Some((key, _)) = self.random.pick(&self.acknowledged) {
            return (key.clone(), Action::Get { value: None });
        }
        let makes_key = self.random.below(2) == 0;
        let known = self.random.pick(&self.acknowledged).filter(|_| !makes_key);
        if let Some((key, value)) = known {
            return (key.clone(), Action::Put { value: md5(value) });
        }
        let key = new_key(&mut self.random);
        let value = md5(&key);
        (key, Action::Put { value })
    }

    /// A get of one of `keys`, or a put of `unique`, a value that occurs only once in the run.
    fn ask_shared(&mut self, wants_get: bool, keys: &[Text], unique: Text) -> (Text, Action) {
        let key = keys[self.random.below(keys.len() as u64) as usize].clone();
        let action =
            if wants_get { Action::Get { value: None } } else { Action::Put { value: unique } };
        (key, action)
    }

    /// The leader that this client last heard of, or a random living replica (interface §4). A dead
    /// leader is forgotten, so the request then names no leader.
    fn choose_replica(&mut self, living: MemberSet) -> Option<Member> {
        self.leader = self.leader.filter(|&leader| living.contains(leader));
        self.leader.or_else(|| self.replica_random.pick_member(living))
    }

    fn acknowledge(&mut self, key: &Text, value: &Text) {
        match self.places.get(key) {
            Some(&place) => self.acknowledged[place].1 = value.clone(),
            None => {
                self.places.insert(key.clone(), self.acknowledged.len());
                self.acknowledged.push((key.clone(), value.clone()));
            }
        }
    }

    fn last_acknowledged(&self, key: &Text) -> Option<&Text> {
        self.places.get(key).map(|&place| &self.acknowledged[place].1)
    }
}

fn asked(key: &Text, action: &Action) -> interface::Operation {
    match action {
        Action::Get { .. } => interface::Operation::Get { key: key.clone() },
        Action::Put { value } => {
            interface::Operation::Put { key: key.clone(), value: value.clone() }
        }
    }
}

fn new_key(random: &mut RandomStream) -> Text {
    let character = |_| KEY_CHARACTERS[random.below(KEY_CHARACTERS.len() as u64) as usize];
    let key: [u8; KEY_LENGTH] = std::array::from_fn(character);
    text_of(&key)
}

/// A text of ASCII letters and digits.
fn text_of(ascii: &[u8]) -> Text {
    std::str::from_utf8(ascii).unwrap_or_default().into()
}

/// MD5 of `text`, as lower-case hex digits.
pub(super) fn md5(text: &str) -> Text {
    let digest = Md5::digest(text.as_bytes());
    let half = |place: usize| digest[place / 2] >> (4 * (1 - place % 2)) & 15;
    let digits: [u8; 32] = std::array::from_fn(|place| HEX[usize::from(half(place))]);
    text_of(&digits)
}
