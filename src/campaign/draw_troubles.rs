//! Troubles of several faults at once, with the knobs that they need to hurt. Bugs that real
//! implementations had often showed only in such a history: two leaders in turn, and messages of
//! the first that are still under way.

use super::case::FAULTS_END;
use super::draw_knobs::{
    among, as_in_the_paper, confirm_reads, lengthen_promise, one_in, turn_to_chains,
    without_pre_vote,
};
use crate::raft::{Member, MemberSet, Micros, Tuning};
use crate::sim::random_stream::RandomStream;
use crate::sim::scenario::{Event, EventKind, Fault, FaultKind, Scenario, Whom};

/// A trouble that a seed is given besides its other faults, or in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Leaders are cut off until another is elected, with leases as long as they may be.
    LeadersCutOff,
    /// Single ways are cut, with promises as long as they may be.
    PairsCut,
    /// Leaders change about as fast as they can.
    LeadersChange,
    /// A leader dies, and copies of what it said come for a long time.
    DeadLeaderRepeated,
    /// Leaders that were replaced are asked, while answers to them are under way.
    OldLeadersAsked,
    /// No pre-votes, and messages about as late as election timeouts: campaigns disturb each other.
    CampaignsCollide,
    /// Chains of which often a message is lost, and leaders that change.
    BrokenChains,
}

impl Trouble {
    /// Half of all seeds have none.
    pub fn draw(random: &mut RandomStream) -> Option<Trouble> {
        use Trouble::*;
        match random.below(24) {
            0..=3 => Some(LeadersCutOff),
            4 => Some(PairsCut),
            5 | 6 => Some(LeadersChange),
            7 => Some(DeadLeaderRepeated),
            8 => Some(OldLeadersAsked),
            9 | 10 => Some(CampaignsCollide),
            11 => Some(BrokenChains),
            _ => None,
        }
    }

    /// Turns the knobs that the trouble needs.
    pub fn turn(self, random: &mut RandomStream, tuning: &mut Tuning) {
        match self {
            Trouble::LeadersCutOff | Trouble::PairsCut => lengthen_promise(tuning),
            Trouble::OldLeadersAsked if one_in(random, 2) => as_in_the_paper(tuning),
            Trouble::OldLeadersAsked => confirm_reads(tuning),
            Trouble::CampaignsCollide => without_pre_vote(tuning, one_in(random, 2)),
            Trouble::BrokenChains => turn_to_chains(tuning, random.below(1 << 32)),
            Trouble::LeadersChange | Trouble::DeadLeaderRepeated => {}
        }
    }

    /// Puts the trouble into `scenario`.
    pub fn make(self, random: &mut RandomStream, tuning: &Tuning, scenario: &mut Scenario) {
        let faults = &mut scenario.network.faults;
        match self {
            Trouble::LeadersCutOff => {
                scenario.events = cut_leaders(random);
                if one_in(random, 2) {
                    let most = Micros(1 + random.below(tuning.promise_us.max(1)));
                    faults.push(delay_all_along(random, most));
                }
            }
            Trouble::PairsCut => *faults = cut_pairs(random, scenario.replicas),
            Trouble::LeadersChange => {
                scenario.events = change_leaders(random, tuning);
                faults.push(late_all_along(random));
            }
            Trouble::DeadLeaderRepeated => {
                let most = Micros(among(random, &LONG_AFTER));
                *faults = vec![copies_all_along(random, most)];
                scenario.events = kill_the_leader(random);
                ask_more(scenario);
            }
            Trouble::OldLeadersAsked => {
                scenario.events = cut_leaders(random);
                *faults = pauses_within(random, &scenario.events);
                faults.push(late_all_along(random));
                scenario.shared_keys = true;
                ask_more(scenario);
            }
            Trouble::CampaignsCollide => {
                let most = Micros(1 + random.below(tuning.election_timeout_max_us * 2));
                if one_in(random, 2) {
                    *faults = cut_pairs(random, scenario.replicas);
                } else {
                    scenario.events = change_leaders(random, tuning);
                }
                faults.push(delay_all_along(random, most));
            }
            Trouble::BrokenChains => {
                if one_in(random, 2) {
                    scenario.events = change_leaders(random, tuning);
                    faults.clear();
                } else {
                    scenario.events.clear();
                    (scenario.burst, scenario.requests) = (60, 180);
                    *faults = split_in_bursts(random, scenario.replicas);
                }
                let fraction = among(random, &[0.03, 0.1, 0.2, 0.3]);
                faults.push(all_along(FaultKind::Loss { fraction }));
            }
        }
    }
}

/// How far bursts are apart where partitions begin with them.
const BURSTS_APART: Micros = Micros::from_seconds(2);

/// How late copies of what a dead leader said come at most.
const LONG_AFTER: [u64; 3] = [10_000_000, 20_000_000, 30_000_000];

/// Partitions that come and go, most of which cut the leader off. With promises as long as
/// election timeouts allow, its lease ends just before another can be elected.
fn cut_leaders(random: &mut RandomStream) -> Vec<Event> {
    let mut events = Vec::new();
    let mut at = Micros(200_000 + random.below(1_000_000));
    while at < FAULTS_END {
        // In a hard partition the clients forget the leader, so some ask the one side and some
        // the other: only then an old lease can show.
        let kinds = [EventKind::CutLeader, EventKind::PartHard, EventKind::PartHard];
        events.push(Event { kind: among(random, &kinds), at });
        at += Micros(300_000 + random.below(1_700_000));
        events.push(Event { kind: EventKind::PartEnd, at: at.min(FAULTS_END) });
        at += Micros(random.below(1_000_000));
    }
    events
}

/// Replicas that some other does not hear for a while. A follower that is deaf to the leader alone
/// campaigns among others that have just made their promise.
fn cut_pairs(random: &mut RandomStream, replicas: usize) -> Vec<Fault> {
    let count = replicas as u64;
    let mut faults = Vec::new();
    let mut at = Micros(random.below(500_000));
    while at < FAULTS_END {
        let from = random.below(count);
        let to = (from + 1 + random.below(count - 1)) % count;
        let one = |rank: u64| MemberSet::only(Member(rank as u8));
        let kind = FaultKind::Cut { from: one(from), to: one(to) };
        let lasts = Micros(200_000 + random.below(1_500_000)).min(FAULTS_END.since(at));
        faults.push(Fault { kind, at, lasts });
        at += Micros(random.below(500_000));
    }
    faults
}

/// Leaders that are cut off about as soon as they are elected, and come back soon: logs that fork,
/// and messages of earlier terms that arrive in later ones.
fn change_leaders(random: &mut RandomStream, tuning: &Tuning) -> Vec<Event> {
    let mut events = Vec::new();
    let span = tuning.election_timeout_max_us.clamp(50_000, 1_000_000);
    let mut at = Micros(random.below(span));
    while at < FAULTS_END {
        events.push(Event { kind: EventKind::CutLeader, at });
        at += Micros(span / 2 + random.below(span));
        events.push(Event { kind: EventKind::PartEnd, at: at.min(FAULTS_END) });
        at += Micros(random.below(span));
    }
    events
}

/// A leader that is cut off stands still in the meantime: what it sent before is the newest that it
/// knows of when it is asked again.
fn pauses_within(random: &mut RandomStream, events: &[Event]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (cut, end) in events.iter().zip(&events[1..]) {
        if end.kind == EventKind::PartEnd && one_in(random, 2) {
            let half = end.at.since(cut.at).0 / 2;
            let lasts = Micros(half + random.below(half + 1));
            let kind = FaultKind::Pause { whom: Whom::Leader };
            faults.push(Fault { kind, at: cut.at, lasts });
        }
    }
    faults
}

/// Partitions that begin with a burst of requests and leave as many members on the one side as do
/// not matter for a majority. If the leader is among them, it has just sent them much that is never
/// committed. Most end before the next burst.
fn split_in_bursts(random: &mut RandomStream, replicas: usize) -> Vec<Fault> {
    let few = (replicas as u64 - 1) / 2;
    let mut faults = Vec::new();
    let mut begins = Micros(0);
    while begins < FAULTS_END {
        let first = random.below(replicas as u64);
        let rank = |place: u64| Member(((first + place) % replicas as u64) as u8);
        let side: MemberSet = (0..few).map(rank).collect();
        let at = begins + Micros(random.below(20_000));
        let lasts = Micros(BURSTS_APART.0 / 4 + random.below(BURSTS_APART.0 * 3 / 4));
        let lasts = lasts.min(FAULTS_END.since(at));
        faults.push(Fault { kind: FaultKind::Split { side }, at, lasts });
        begins += BURSTS_APART;
    }
    faults
}

/// Twice as many requests. At the course's pace the simulator could not pass on all messages that
/// the many requests of a burst lead to, and answers would be lost in its sockets (rule R27).
fn ask_more(scenario: &mut Scenario) {
    scenario.requests *= 2;
    scenario.pace = false;
}

/// The leader dies in the middle or at the end of the faults.
fn kill_the_leader(random: &mut RandomStream) -> Vec<Event> {
    let at = Micros(FAULTS_END.0 / 2 + random.below(FAULTS_END.0 / 2));
    vec![Event { kind: EventKind::KillLeader, at }]
}

/// A fault that lasts as long as there are any.
fn all_along(kind: FaultKind) -> Fault {
    Fault { kind, at: Micros(0), lasts: FAULTS_END }
}

/// Messages that come late as long as there are faults.
fn delay_all_along(random: &mut RandomStream, most: Micros) -> Fault {
    let fraction = among(random, &[0.1, 0.3, 0.5]);
    all_along(FaultKind::Delay { fraction, most })
}

/// Copies that come late.
fn copies_all_along(random: &mut RandomStream, most: Micros) -> Fault {
    let fraction = among(random, &[0.3, 0.5, 1.0]);
    all_along(FaultKind::Duplicates { fraction, most })
}

/// Messages, or copies of them, that come late.
fn late_all_along(random: &mut RandomStream) -> Fault {
    let most = Micros(among(random, &[20_000, 200_000, 1_000_000, 3_000_000]));
    if one_in(random, 2) { delay_all_along(random, most) } else { copies_all_along(random, most) }
}
