//! What tests read from a cluster, and the checks of its answers in every run.

use std::collections::{BTreeMap, BTreeSet};

use laconic::interface::{Address, Operation, Outcome};
use laconic::kv::Command;
use laconic::raft::{Cause, Disposition, Event, Index, Kind, Member, Message, Micros, To, Why};
use laconic::record::{AnswerKind, Fact, Record, RequestId, request_id};
use laconic::wire::{Datagram, Payload};

use crate::cluster::{Cluster, Name, fast, ms};

impl Cluster {
    /// Notes an answer, and checks what design section 4 and rules R1 to R3 say about answers.
    pub fn note_answer(&mut self, name: Name, by: Member, outcome: Outcome, leader: Address) {
        let asked = &self.requests[name];
        let before = &asked.answers;
        let oks = before.iter().filter(|answer| matches!(answer.2, Outcome::Ok(_)));
        assert_eq!(before.len(), oks.clone().count(), "m{name} was answered after a redirect");
        assert!(oks.clone().all(|ok| ok.1 != by), "{by:?} answered m{name} twice");
        if let (Outcome::Ok(_), Operation::Put { .. }) = (&outcome, &asked.operation) {
            assert!(self.is_committed(name), "{by:?} said ok to m{name}, which is not committed");
        }
        self.requests[name].answers.push((self.now, by, outcome, leader));
    }

    /// Whether the put is among the committed entries.
    pub fn is_committed(&self, name: Name) -> bool {
        let mid = format!("m{name}");
        let entries = self.invariants.committed().iter();
        let mut commands = entries.filter_map(|entry| Command::decode(&entry.command));
        commands.any(|command| command.mid() == mid)
    }

    /// Checks rule R1 over the whole past: no redirected put has taken effect, and no put has taken
    /// effect twice.
    pub fn check_answers(&self) {
        let mut mids = BTreeSet::new();
        for entry in self.invariants.committed() {
            if let Some(command) = Command::decode(&entry.command) {
                assert!(mids.insert(command.mid().to_owned()), "{} twice", command.mid());
            }
        }
        for (name, asked) in self.requests.iter().enumerate() {
            let refused = asked.answers.iter().any(|answer| !matches!(answer.2, Outcome::Ok(_)));
            assert!(!refused || !mids.contains(&format!("m{name}")), "m{name} took effect");
        }
    }

    /// Checks rule R5 over the whole past: when a client repeats a request, a replica does not
    /// redirect it again until it has heard from a leader. Two sorts do not count: repeats within a
    /// millisecond, and requests that were held for the whole hold time.
    pub fn check_redirects(&self) {
        let names: BTreeMap<RequestId, Name> =
            (0..self.requests.len()).map(|name| (request_id(&format!("m{name}")), name)).collect();
        let mut held: BTreeMap<(Member, RequestId), Micros> = BTreeMap::new();
        let mut redirected: BTreeMap<Member, Vec<(Name, Micros)>> = BTreeMap::new();
        for record in &self.records {
            let by = record.source;
            match record.fact {
                Fact::Received { kind: Kind::Append, disposition, .. }
                    if !matches!(disposition, Disposition::Stale | Disposition::Implausible) =>
                {
                    redirected.remove(&by);
                }
                Fact::Held { request, .. } => {
                    held.insert((by, request), record.at);
                }
                Fact::Answered { request, outcome: AnswerKind::Redirect, .. } => {
                    let hold = Micros(fast().hold_time_us);
                    if held.get(&(by, request)).is_some_and(|since| record.at >= *since + hold) {
                        continue;
                    }
                    let asked = |name: Name| (self.asked(name).client, &self.asked(name).operation);
                    let before = redirected.entry(by).or_default();
                    let first =
                        before.iter().find(|(name, _)| asked(*name) == asked(names[&request]));
                    // One that was asked before the redirect has not come back from it.
                    let asked_at = self.asked(names[&request]).at;
                    let again = first.filter(|(name, at)| {
                        record.at >= *at + ms(1) && asked_at >= self.redirected_at(*name)
                    });
                    assert_eq!(again, None, "{by:?} sent m{} on again", names[&request]);
                    before.push((names[&request], record.at));
                }
                _ => {}
            }
        }
    }

    /// When the request was first answered, in true time.
    fn redirected_at(&self, name: Name) -> Micros {
        self.asked(name).answers.first().map_or(Micros::NEVER, |answer| answer.0)
    }

    /// The values of the committed puts, in order.
    pub fn committed_values(&self) -> Vec<String> {
        let entries = self.invariants.committed().iter();
        let commands = entries.filter_map(|entry| Command::decode(&entry.command));
        commands.map(|command| command.value().to_owned()).collect()
    }

    /// The records from `mark` on.
    pub fn since(&self, mark: usize) -> &[Record] {
        &self.records[mark..]
    }

    /// The number of messages that match, sent since `mark`, as the simulator counts them.
    pub fn count(&self, mark: usize, matches: impl Fn(Kind, Why) -> bool) -> usize {
        let cost = |record: &Record| match record.fact {
            Fact::Sent { to, kind, why, .. } if matches(kind, why) => match to {
                To::Member(_) => 1,
                To::Everyone => self.members().count() - 1,
            },
            _ => 0,
        };
        self.since(mark).iter().map(cost).sum()
    }

    /// The number of messages sent to one member since `mark`, for reasons that match.
    pub fn sent_to(&self, mark: usize, member: Member, matches: impl Fn(Why) -> bool) -> usize {
        let is_one = |record: &&Record| match record.fact {
            Fact::Sent { to, why, .. } => to == To::Member(member) && matches(why),
            _ => false,
        };
        self.since(mark).iter().filter(is_one).count()
    }

    /// The number of all messages since `mark`.
    pub fn messages(&self, mark: usize) -> usize {
        self.count(mark, |_, _| true)
    }

    /// The number of messages sent for `cause` since `mark`, without answers and relays.
    pub fn caused(&self, mark: usize, cause: Cause) -> usize {
        self.count(mark, |_, why| why == Why::Own(cause))
    }

    /// The changes of state since `mark` that match, each with the member that told it.
    pub fn events<'a>(
        &'a self,
        mark: usize,
        matches: impl Fn(&Event) -> bool + 'a,
    ) -> impl Iterator<Item = (Micros, Member, Event)> + 'a {
        self.since(mark).iter().filter_map(move |record| match record.fact {
            Fact::State(event) if matches(&event) => Some((record.at, record.source, event)),
            _ => None,
        })
    }

    /// The commit index of each living member.
    pub fn commits(&self) -> Vec<Index> {
        self.living().map(|replica| replica.raft().commit()).collect()
    }
}

/// Checks rule R2 over a step of `me`, which made `records` and `out`: when this leader answers a
/// put, no commit index that it sent before may cover that put. If no answer is paced, answers to
/// gets come after answers to puts. `told` is the highest commit index that it has sent as a
/// leader.
pub fn check_order(
    (me, paced): (Member, bool),
    told: &mut Index,
    records: &[Record],
    out: &[Datagram],
) {
    let mut places = records.iter().filter_map(|record| match record.fact {
        Fact::Answered { outcome: AnswerKind::Ok, index, .. } => Some(index),
        _ => None,
    });
    let mut has_read = false;
    for datagram in out {
        match &datagram.payload {
            Payload::Peer { message: Message::Append(append), .. } if append.leader == me => {
                *told = append.commit.max(*told);
            }
            Payload::Answer { outcome: Outcome::Ok(value), .. } => {
                let index = places.next().expect("the records tell of each ok");
                assert_eq!(value.is_some(), index == 0, "{out:?}");
                assert!(index == 0 || index > *told, "{index} after {told} was told: {out:?}");
                has_read |= index == 0;
                assert!(paced || index == 0 || !has_read, "a read before a put: {out:?}");
            }
            _ => {}
        }
    }
}
