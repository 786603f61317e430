//! The invariants catch what they are made to catch: step by step and from scratch, on good states
//! and on states that no cluster can reach.

use laconic::raft::grounds::Grounds;
use laconic::raft::invariants::{Broken, Invariants, check_all};
use laconic::raft::message::Append;
use laconic::raft::{Entry, Event, Input, Member, Message, Micros, Output, Raft, RoleName, Term};

use crate::cluster::{Cluster, Fate, fast, ms};
use crate::solo::{accepted, append, pre_vote_reply, vote_reply};

/// Members of a cluster of three. The test sends each of them whatever it likes.
struct Puppets {
    rafts: Vec<Raft>,
    invariants: Invariants,
    first_broken: Option<Broken>,
    now: Micros,
}

impl Puppets {
    fn new() -> Puppets {
        let raft = |rank| Raft::new(Member(rank), 3, fast(), 1, Micros(0));
        let rafts = (0..3).map(raft).collect();
        Puppets { rafts, invariants: Invariants::new(3), first_broken: None, now: ms(5_000) }
    }

    fn step(&mut self, rank: u8, input: Input) {
        let raft = &mut self.rafts[usize::from(rank)];
        let mut out = Vec::new();
        raft.step(self.now, input, &mut out);
        for output in &out {
            if let Output::Event(event) = output
                && let Err(broken) = self.invariants.observe(raft, event)
            {
                self.first_broken.get_or_insert(broken);
            }
        }
    }

    fn tell(&mut self, rank: u8, from: u8, message: Message) {
        self.step(rank, Input::Message { from: Member(from), message });
    }

    /// Tells `rank` an append of the leader `from`.
    fn append(&mut self, rank: u8, from: u8, term: Term, terms: &[Term], commit: u64) {
        let route = laconic::raft::message::Route::direct(Member(rank));
        let append = Append { route, commit, ..append(from, term, (0, 0), terms) };
        self.tell(rank, from, Message::Append(append));
    }

    /// Makes `rank` leader of the next term, by votes that nobody really gave.
    fn crown(&mut self, rank: u8) {
        self.now += ms(3_000);
        self.step(rank, Input::Wake);
        let from = (rank + 1) % 3;
        let term = self.rafts[usize::from(rank)].term();
        self.tell(rank, from, pre_vote_reply(term, term + 1, true));
        self.tell(rank, from, vote_reply(term + 1, true));
        assert_eq!(self.rafts[usize::from(rank)].status().role, RoleName::Leader);
    }

    /// What `rank` does, and what it then counts others for, as [`Grounds`] sees it.
    fn grounds(&self, grounds: &mut Grounds, rank: u8, event: &Event) -> Result<(), Broken> {
        let raft = &self.rafts[usize::from(rank)];
        grounds.observe(raft, self.now, event)?;
        grounds.after_step(raft, Some(self.now), |member| self.rafts.get(member.rank()))
    }

    fn check_all(&self) -> Result<(), Broken> {
        check_all(&self.rafts.iter().collect::<Vec<_>>())
    }
}

#[test]
fn two_leaders_of_a_term_are_seen() {
    let mut puppets = Puppets::new();
    puppets.crown(0);
    assert_eq!((puppets.check_all(), puppets.first_broken.clone()), (Ok(()), None));
    puppets.crown(1);
    let broken = Broken::TwoLeaders { term: 1, one: Member(0), other: Member(1) };
    assert_eq!(puppets.check_all(), Err(broken.clone()));
    assert_eq!(puppets.first_broken, Some(broken));
}

#[test]
fn two_commands_of_a_term_at_an_index_are_seen() {
    let mut puppets = Puppets::new();
    puppets.append(0, 2, 1, &[1, 1], 0);
    let mut other = append(2, 1, (0, 0), &[1, 1]);
    let mut forged = other.entries.to_vec();
    forged[1].command = (*b"[\"0100\",\"x\",\"y\",\"z\"]").into();
    other.entries = forged.into();
    other.route = laconic::raft::message::Route::direct(Member(1));
    puppets.tell(1, 2, Message::Append(other));
    let broken = Broken::LogMatching { index: 2, term: 1 };
    assert_eq!(puppets.check_all(), Err(broken.clone()));
    assert_eq!(puppets.first_broken, Some(broken));
}

#[test]
fn logs_that_differ_below_a_common_entry_are_seen() {
    let mut puppets = Puppets::new();
    puppets.append(0, 2, 3, &[1, 3], 0);
    puppets.append(1, 2, 3, &[2, 3], 0);
    assert!(matches!(puppets.check_all(), Err(Broken::LogMatching { .. })));
    assert!(matches!(puppets.first_broken, Some(Broken::LogMatching { .. })));
}

#[test]
fn different_commits_are_seen() {
    let mut puppets = Puppets::new();
    puppets.append(0, 2, 1, &[1], 1);
    puppets.append(1, 2, 2, &[2], 1);
    let broken = Broken::StateMachineSafety { member: Member(1), index: 1 };
    assert_eq!(puppets.check_all(), Err(broken.clone()));
    assert_eq!(puppets.first_broken, Some(broken));
}

/// The terms alone do not tell: whoever forged the command has kept the term.
#[test]
fn two_commands_of_a_term_that_are_both_committed_are_seen() {
    let mut puppets = Puppets::new();
    puppets.append(0, 2, 1, &[1], 1);
    let mut forged = append(2, 1, (0, 0), &[1]);
    let command = (*b"[\"0100\",\"x\",\"y\",\"z\"]").into();
    forged.entries = [Entry { term: 1, command }].into();
    forged.route = laconic::raft::message::Route::direct(Member(1));
    puppets.tell(1, 2, Message::Append(Append { commit: 1, ..forged }));
    let committed = Event::Committed { through: 1 };
    let mut invariants = Invariants::new(3);
    assert_eq!(invariants.observe(&puppets.rafts[0], &committed), Ok(()));
    let broken = Broken::StateMachineSafety { member: Member(1), index: 1 };
    assert_eq!(invariants.observe(&puppets.rafts[1], &committed), Err(broken));
}

#[test]
fn a_leader_without_a_committed_entry_is_seen() {
    let mut puppets = Puppets::new();
    puppets.append(0, 2, 1, &[1], 1);
    puppets.append(1, 2, 1, &[], 0);
    puppets.crown(1);
    let broken = Broken::LeaderCompleteness { leader: Member(1), term: 2, index: 1 };
    assert_eq!(puppets.check_all(), Err(broken.clone()));
    assert_eq!(puppets.first_broken, Some(broken));
    // What is committed in a term itself may be news to its leader when it learns of its election.
    let leads = Event::BecameLeader { term: 1, heard_commit: 0, opened: 1 };
    assert_eq!(puppets.invariants.observe(&puppets.rafts[1], &leads), Ok(()));
}

#[test]
fn a_truncated_commit_is_seen() {
    let mut puppets = Puppets::new();
    puppets.append(0, 2, 1, &[1, 1], 2);
    let event = Event::Truncated { first: 2, last: 2 };
    let broken = Broken::TruncatedCommitted { member: Member(0), first: 2 };
    assert_eq!(puppets.invariants.observe(&puppets.rafts[0], &event), Err(broken));
}

#[test]
fn a_member_that_votes_twice_is_seen() {
    let puppets = Puppets::new();
    let mut grounds = Grounds::new(3);
    let voted = |candidate| Event::Voted { candidate: Member(candidate), term: 1 };
    assert_eq!(puppets.grounds(&mut grounds, 2, &voted(0)), Ok(()));
    assert_eq!(puppets.grounds(&mut grounds, 2, &voted(0)), Ok(()));
    let twice = |member, one, other| Broken::VotedTwice { member, term: 1, one, other };
    let broken = twice(Member(2), Member(0), Member(1));
    assert_eq!(puppets.grounds(&mut grounds, 2, &voted(1)), Err(broken));
    let stands = Event::BecameCandidate { term: 1 };
    assert_eq!(puppets.grounds(&mut grounds, 1, &stands), Ok(()));
    let broken = twice(Member(1), Member(1), Member(0));
    assert_eq!(puppets.grounds(&mut grounds, 1, &voted(0)), Err(broken));
}

#[test]
fn a_leader_without_a_majority_of_votes_is_seen() {
    let puppets = Puppets::new();
    let mut grounds = Grounds::new(3);
    let leads = |term| Event::BecameLeader { term, heard_commit: 0, opened: 1 };
    for term in [1, 2] {
        let stands = Event::BecameCandidate { term };
        assert_eq!(puppets.grounds(&mut grounds, 0, &stands), Ok(()));
    }
    let voted = Event::Voted { candidate: Member(0), term: 1 };
    assert_eq!(puppets.grounds(&mut grounds, 2, &voted), Ok(()));
    assert_eq!(puppets.grounds(&mut grounds, 0, &leads(1)), Ok(()));
    let broken = Broken::TooFewVotes { leader: Member(0), term: 2, votes: 1 };
    assert_eq!(puppets.grounds(&mut grounds, 0, &leads(2)), Err(broken), "votes of term 1");
}

#[test]
fn half_of_an_even_number_of_votes_is_no_majority() {
    let puppets = Puppets::new();
    let mut grounds = Grounds::new(4);
    let leads = Event::BecameLeader { term: 1, heard_commit: 0, opened: 1 };
    puppets.grounds(&mut grounds, 0, &Event::BecameCandidate { term: 1 }).expect("one vote");
    let voted = Event::Voted { candidate: Member(0), term: 1 };
    assert_eq!(puppets.grounds(&mut grounds, 1, &voted), Ok(()));
    let broken = Broken::TooFewVotes { leader: Member(0), term: 1, votes: 2 };
    assert_eq!(puppets.grounds(&mut grounds, 0, &leads), Err(broken));
    assert_eq!(puppets.grounds(&mut grounds, 2, &voted), Ok(()));
    assert_eq!(puppets.grounds(&mut grounds, 0, &leads), Ok(()));
}

#[test]
fn a_vote_or_a_candidacy_under_a_promise_is_seen() {
    let mut puppets = Puppets::new();
    let mut grounds = Grounds::new(3);
    let promise = ms(300);
    let mut one = append(2, 1, (0, 0), &[1]);
    one.promise = promise;
    puppets.tell(0, 2, Message::Append(one));
    let heard = Event::LeaderHeard { leader: Member(2), term: 1 };
    assert_eq!(puppets.grounds(&mut grounds, 0, &heard), Ok(()));
    let until = puppets.now + promise;
    puppets.now = until - Micros(1);
    let broken = Broken::Promise { member: Member(0), now: puppets.now, until };
    let voted = Event::Voted { candidate: Member(1), term: 2 };
    for event in [voted, Event::BecameCandidate { term: 2 }, Event::BecamePreCandidate { term: 2 }]
    {
        assert_eq!(puppets.grounds(&mut grounds, 0, &event), Err(broken.clone()));
    }
    puppets.now = until;
    assert_eq!(puppets.grounds(&mut grounds, 0, &voted), Ok(()));
}

#[test]
fn a_leader_that_commits_an_entry_of_an_earlier_term_by_counting_is_seen() {
    let mut puppets = Puppets::new();
    puppets.append(0, 2, 1, &[1], 0);
    puppets.crown(0);
    let mut grounds = Grounds::new(3);
    let broken = Broken::OldTermCounted { leader: Member(0), index: 1 };
    let committed = |through| Event::Committed { through };
    assert_eq!(puppets.grounds(&mut grounds, 0, &committed(1)), Err(broken));
    assert_eq!(puppets.grounds(&mut grounds, 0, &committed(2)), Ok(()));
    puppets.append(1, 0, 2, &[1], 0);
    assert_eq!(puppets.rafts[1].term(), 2);
    assert_eq!(puppets.grounds(&mut grounds, 1, &committed(1)), Ok(()), "a follower may");
}

/// Rules R9 and R13: the leader believes an acknowledgement that nobody has sent.
#[test]
fn a_follower_that_is_counted_for_what_it_has_not_is_seen() {
    let mut puppets = Puppets::new();
    puppets.append(0, 2, 1, &[1, 1], 0);
    puppets.crown(0);
    let mut grounds = Grounds::new(3);
    let woken = Event::TermStarted { term: 2 };
    assert_eq!(puppets.grounds(&mut grounds, 0, &woken), Ok(()), "it counts nobody yet");
    let sent = |through| {
        let route = laconic::raft::message::Route::direct(Member(1));
        accepted(&Append { route, round: 1, ..append(0, 2, (0, 0), &[]) }, through)
    };
    puppets.tell(0, 1, sent(0));
    let broken = Broken::RoundNotAccepted { leader: Member(0), member: Member(1), round: 1 };
    assert_eq!(puppets.grounds(&mut grounds, 0, &woken), Err(broken));
    puppets.tell(0, 1, sent(2));
    let broken = Broken::NotHeld { leader: Member(0), member: Member(1), matched: 2 };
    assert_eq!(puppets.grounds(&mut grounds, 0, &woken), Err(broken));
}

/// Rules R7 and R31: the follower accepts the leader's round, and promises less than was asked.
#[test]
fn a_lease_behind_which_no_promises_stand_is_seen() {
    let mut puppets = Puppets::new();
    puppets.crown(0);
    let term = puppets.rafts[0].term();
    let mut grounds = Grounds::new(3);
    let woken = Event::TermStarted { term };
    let route = laconic::raft::message::Route::direct(Member(1));
    let promising = |promise| Append { route, promise, ..append(0, term, (0, 0), &[term]) };
    puppets.tell(1, 0, Message::Append(promising(Micros(0))));
    puppets.tell(0, 1, accepted(&promising(Micros(0)), 1));
    let until = puppets.rafts[0].status().lease_until.expect("it leads");
    let (leader, now) = (Member(0), puppets.now);
    let broken = Broken::LeaseWithoutPromises { leader, until, now, bound: 1 };
    assert_eq!(puppets.grounds(&mut grounds, 0, &woken), Err(broken));
    puppets.tell(1, 0, Message::Append(Append { round: 2, ..promising(ms(5_000)) }));
    assert_eq!(puppets.grounds(&mut grounds, 0, &woken), Ok(()));
    puppets.now = until;
    assert_eq!(puppets.grounds(&mut grounds, 0, &woken), Ok(()), "the lease is over");
}

/// The harness checks step by step. Here the whole state is also checked from scratch after every
/// step.
#[test]
fn both_checks_agree_on_clusters_in_trouble() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(5, seed, fast());
        let mut place = seed;
        cluster.obeys(move |_| {
            place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match place >> 60 {
                0..=3 => Fate::Lose,
                4 => Fate::Twice(ms(30)),
                5 => Fate::After(ms(700)),
                _ => Fate::Pass,
            }
        });
        for put in 0..60u64 {
            if let Some(leader) = cluster.leader() {
                cluster.put(leader, "k", &format!("{put}"));
                if put % 20 == 10 {
                    cluster.cut(&[&cluster.others(leader), &[leader]]);
                }
            }
            if put % 20 == 19 {
                cluster.heal();
            }
            cluster.run_until(ms(200), |cluster| {
                cluster.check();
                false
            });
        }
        assert!(cluster.commits().iter().any(|commit| *commit > 10), "seed {seed}");
    }
}
