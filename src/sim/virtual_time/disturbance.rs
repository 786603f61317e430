//! The faults of a scenario's `network.faults` as a run goes through them: which of them last now,
//! and what they do to a delivery.

use crate::raft::{Member, MemberSet, Micros};
use crate::record::Fate;
use crate::sim::random_stream::{Probability, RandomStream};
use crate::sim::scenario::{Fault, FaultKind, Scenario, Whom};

/// What a fault does to a replica, or no longer does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// It stands still until then.
    Pause(Micros),
    /// Its turns take up to so long more.
    Turn(Micros),
    /// Its socket holds so many bytes.
    Socket(u64),
    /// It is as fast, and its socket as large, as it was.
    End(FaultKind),
}

/// A fault that lasts.
struct Lasting {
    kind: FaultKind,
    /// The replica that it meets, if it meets one.
    whom: Option<Member>,
    /// Ways that it cuts: from the first set to the second.
    cut: Option<(MemberSet, MemberSet)>,
    chance: Probability,
    until: Micros,
}

/// All faults of a run.
pub(super) struct Disturbance {
    /// Those that have not begun, the next one last.
    coming: Vec<Fault>,
    lasting: Vec<Lasting>,
    /// When the next one begins or ends.
    next_at: Micros,
    all: MemberSet,
    random: RandomStream,
}

impl Disturbance {
    pub fn new(scenario: &Scenario, seed: u64) -> Disturbance {
        let mut coming = scenario.network.faults.clone();
        coming.iter_mut().for_each(|fault| fault.at += scenario.start_wait);
        coming.sort_by_key(|fault| std::cmp::Reverse(fault.at));
        let next_at = coming.last().map_or(Micros::NEVER, |fault| fault.at);
        Disturbance {
            coming,
            lasting: Vec::new(),
            next_at,
            all: MemberSet::all(scenario.replicas),
            random: RandomStream::new(seed, "faults", 0),
        }
    }

    /// When a fault next begins or ends.
    pub const fn next_at(&self) -> Micros {
        self.next_at
    }

    /// Ends and begins what is due at `now`. Returns what changes for which replica.
    pub fn go_on(&mut self, now: Micros, leader: Option<Member>) -> Vec<(Member, Change)> {
        let mut changes = Vec::new();
        self.lasting.retain(|fault| {
            let is_over = fault.until <= now;
            if let Some(member) = fault.whom.filter(|_| is_over) {
                changes.push((member, Change::End(fault.kind)));
            }
            !is_over
        });
        while let Some(fault) = self.coming.pop_if(|fault| fault.at <= now) {
            self.begin(now, fault, leader, &mut changes);
        }
        let ends = self.lasting.iter().map(|fault| fault.until).min();
        let begins = self.coming.last().map(|fault| fault.at);
        self.next_at = ends.into_iter().chain(begins).min().unwrap_or(Micros::NEVER);
        changes
    }

    fn begin(
        &mut self,
        now: Micros,
        fault: Fault,
        leader: Option<Member>,
        changes: &mut Vec<(Member, Change)>,
    ) {
        let kind = fault.kind;
        let until = now + fault.lasts;
        let (mut met, mut cut, mut fraction) = (None, None, 0.0);
        match kind {
            FaultKind::Loss { fraction: f }
            | FaultKind::Delay { fraction: f, .. }
            | FaultKind::Duplicates { fraction: f, .. } => fraction = f,
            FaultKind::Cut { from, to } => cut = Some((from, to)),
            FaultKind::Split { side } => cut = Some((side, self.all.without(side))),
            FaultKind::Mute { whom }
            | FaultKind::Deaf { whom }
            | FaultKind::Pause { whom }
            | FaultKind::Slow { whom, .. }
            | FaultKind::SmallSocket { whom, .. } => {
                let Some(member) = resolve(whom, leader) else {
                    return;
                };
                met = Some(member);
                let alone = MemberSet::only(member);
                match kind {
                    FaultKind::Mute { .. } => cut = Some((alone, self.all)),
                    FaultKind::Deaf { .. } => cut = Some((self.all, alone)),
                    FaultKind::Slow { turn, .. } => changes.push((member, Change::Turn(turn))),
                    FaultKind::SmallSocket { bytes, .. } => {
                        changes.push((member, Change::Socket(bytes)));
                    }
                    _ => changes.push((member, Change::Pause(until))),
                }
            }
        }
        let chance = Probability::of(fraction);
        self.lasting.push(Lasting { kind, whom: met, cut, chance, until });
    }

    /// What becomes of a delivery.
    pub fn deliver(&mut self, from: Member, to: Member) -> Passage {
        let mut passage = Passage { fate: Fate::Delivered, delay: Micros(0), copy: None };
        for fault in &self.lasting {
            if let Some((senders, receivers)) = fault.cut {
                let parted = senders.contains(from) && receivers.contains(to);
                let two_way = matches!(fault.kind, FaultKind::Split { .. });
                let back = two_way && senders.contains(to) && receivers.contains(from);
                if parted || back {
                    return Passage { fate: Fate::CutOff, ..passage };
                }
            } else if self.random.chance(fault.chance) {
                match fault.kind {
                    FaultKind::Loss { .. } => return Passage { fate: Fate::Dropped, ..passage },
                    FaultKind::Delay { most, .. } => {
                        passage.delay += tail(&mut self.random, most);
                    }
                    FaultKind::Duplicates { most, .. } => {
                        passage.copy = Some(tail(&mut self.random, most));
                    }
                    _ => {}
                }
            }
        }
        passage
    }
}

/// What becomes of a delivery.
pub(super) struct Passage {
    /// Delivered, cut off or dropped.
    pub fate: Fate,
    /// How long it is held back.
    pub delay: Micros,
    /// How much later a second copy comes, if one does.
    pub copy: Option<Micros>,
}

/// A delay of at most `most`. Half of all are shorter than a fifth of it.
fn tail(random: &mut RandomStream, most: Micros) -> Micros {
    let part = random.below(most.0 + 1);
    Micros(random.below(part + 1))
}

fn resolve(whom: Whom, leader: Option<Member>) -> Option<Member> {
    match whom {
        Whom::Leader => leader,
        Whom::Replica(member) => Some(member),
    }
}
