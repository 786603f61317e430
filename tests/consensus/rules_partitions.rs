//! What a partition costs: few messages while it lasts, and few to come back (rules R16, R25, R28).

use laconic::raft::message::{Append, Kind};
use laconic::raft::{Cause, Event, Member, Message, Micros, RoleName, Term, To, Tuning, Why};
use laconic::record::Fact;

use crate::cluster::{Cluster, course, ms};
use crate::solo::{Solo, append, pre_vote_causes, pre_vote_reply};

/// The smaller part of a partition has the leader, and a put waits there. Nothing was ever lost, so
/// only the partition explains the silence, and each member is asked less and less often.
#[test]
fn r16_a_leader_without_a_quorum_asks_no_oftener_than_loss_explains() {
    let mut cluster = Cluster::new(5, 3, course());
    let leader = cluster.elect();
    for number in 0..40 {
        cluster.put(leader, "k", &number.to_string());
        cluster.run_for(ms(20));
    }
    let others = cluster.others(leader);
    cluster.cut(&[&[leader, others[0]], &others[1..]]);
    let mark = cluster.records.len();
    cluster.put(leader, "k", "waits");
    cluster.run_for(ms(1_000));
    for member in &others[1..] {
        let sent = cluster.sent_to(mark, *member, |why| {
            matches!(why, Why::Own(Cause::Replicate | Cause::Resend | Cause::Probe))
        });
        assert!((4..=14).contains(&sent), "{member:?} was sent {sent} messages");
    }
}

/// Three members are cut off, and one more is needed for a quorum. While nobody answers they are
/// asked one at a time, each time the one that has gone longest without hearing.
#[test]
fn r16_a_leader_without_a_quorum_asks_its_suspects_in_turn() {
    let mut cluster = Cluster::new(5, 3, course());
    let leader = cluster.elect();
    let others = cluster.others(leader);
    cluster.cut(&[&[leader, others[0]], &others[1..]]);
    cluster.put(leader, "k", "waits");
    cluster.run_for(ms(1_100));
    let mut addressed = [Micros(0); 5];
    let mut asked: Vec<(Micros, Member)> = Vec::new();
    for record in &cluster.records {
        let Fact::Sent { to: To::Member(member), kind: Kind::Append, why, .. } = record.fact else {
            continue;
        };
        if why == Why::Own(Cause::Resend) && record.at > ms(1_350) {
            let longest = others[1..].iter().map(|other| addressed[other.rank()]).min();
            assert_eq!(Some(addressed[member.rank()]), longest, "{asked:?}, then {member:?}");
            asked.push((record.at, member));
        }
        addressed[member.rank()] = record.at;
    }
    assert!(asked.len() >= 3, "{asked:?}");
    assert!(asked.windows(2).all(|pair| pair[0].0 < pair[1].0), "one at a time: {asked:?}");
    cluster.heal();
    assert!(cluster.run_until(ms(600), move |cluster| cluster.raft(leader).commit() > 1));
}

/// A leader is cut off and given up. The next leader sends it nothing, as it has just not answered.
/// When it is back it asks, or is asked as a suspect, and is sent what it lacks.
#[test]
fn r16_a_leader_that_was_given_up_is_a_suspect_until_it_answers() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(5, seed, course());
        let old = cluster.elect();
        let others = cluster.others(old);
        cluster.cut(&[&[old], &others]);
        let mark = cluster.records.len();
        let led = |cluster: &Cluster| cluster.leader().is_some_and(|leader| leader != old);
        assert!(cluster.run_until(ms(2_000), led), "seed {seed}: the others elect one");
        let leader = cluster.leader().expect("just seen");
        let suspects: Vec<_> = cluster
            .events(mark, |event| matches!(event, Event::Suspected { .. }))
            .filter(|(_, member, _)| *member == leader)
            .map(|(_, _, event)| event)
            .collect();
        assert_eq!(suspects, [Event::Suspected { member: old }], "seed {seed}");
        let work = |cluster: &mut Cluster, puts: usize| {
            for number in 0..puts {
                cluster.put(leader, "k", &number.to_string());
                cluster.run_for(ms(100));
            }
        };
        work(&mut cluster, 10);
        let appends = cluster.records[mark..].iter().filter(|record| {
            let is_from_leader = record.source == leader;
            let to_old = |to| matches!(to, To::Member(member) if member == old);
            is_from_leader
                && matches!(record.fact, Fact::Sent { to, kind: Kind::Append, .. } if to_old(to))
        });
        assert_eq!(appends.count(), 0, "seed {seed}: nothing is sent into the void");
        cluster.heal();
        let commit = cluster.raft(leader).commit();
        work(&mut cluster, 50);
        assert!(cluster.raft(old).commit() > commit, "seed {seed}: it is back");
        assert_eq!(cluster.leader(), Some(leader), "seed {seed}");
    }
}

/// Two members come back from a partition. The first asks the leader, is sent what it lacks with
/// the answer, and nobody campaigns. The leader asks the second by itself.
#[test]
fn r28_who_comes_back_asks_its_leader_and_is_sent_what_it_lacks() {
    let mut asked = 0;
    for seed in 0..20 {
        let mut cluster = Cluster::new(5, seed, course());
        let leader = cluster.elect();
        cluster.put(leader, "k", "before");
        cluster.run_for(ms(1_000));
        let others = cluster.others(leader);
        let (near, far) = others.split_at(2);
        cluster.cut(&[&[leader, near[0], near[1]], far]);
        for number in 0..24 {
            cluster.put(leader, "k", &number.to_string());
            cluster.run_for(ms(100));
        }
        cluster.heal();
        let mark = cluster.records.len();
        let commit = cluster.raft(leader).commit();
        let back = |cluster: &Cluster, member| cluster.raft(member).commit() >= commit;
        let both = [far[0], far[1]];
        let done = move |cluster: &Cluster| both.iter().all(|member| back(cluster, *member));
        assert!(cluster.run_until(ms(3_000), done), "seed {seed}: they catch up");
        assert_eq!(cluster.caused(mark, Cause::Campaign), 0, "seed {seed}: nobody campaigns");
        assert_eq!(cluster.leader(), Some(leader));
        let asks = cluster.count(mark, |_, why| why == Why::Own(Cause::Inquiry));
        // A question and its answer, unless the leader asked first.
        assert!(asks == 0 || asks == 2, "seed {seed}: only one had to ask");
        asked += asks;
        let no = cluster.count(mark, |_, why| why == Why::Reject(Cause::Inquiry));
        assert_eq!(no, 0, "seed {seed}: what it lacks came with the answer");
    }
    assert!(asked > 10, "most of the time it was they who asked");
}

/// Cut off alone, a member asks its leader twice, then the others, those again several times; and
/// from then on each time its leader and the others once.
#[test]
fn r28_who_stands_again_asks_its_leader_once_and_the_others_less_often() {
    let mut solo = Solo::new(5, Tuning { inquiries: 2, ..course() });
    solo.wait(ms(10));
    let heard = |round, last, entries: &[Term]| {
        Message::Append(Append { round, loss_ppm: 100_000, ..append(1, 1, last, entries) })
    };
    solo.hear(1, heard(1, (0, 0), &[1]));
    let first = pre_vote_causes(&solo.wait(ms(2_400)));
    let count = |causes: &[Cause], cause| causes.iter().filter(|other| **other == cause).count();
    assert_eq!(first[..4], [Cause::Inquiry, Cause::Inquiry, Cause::Campaign, Cause::Campaign]);
    // The three that are left, and at last the leader given up, too.
    assert_eq!(count(&first, Cause::Retry), 3 + 4);
    let mut again = pre_vote_causes(&solo.wait(ms(2_000)));
    again.truncate(5);
    let (ask, stand) = (Cause::Inquiry, Cause::Campaign);
    assert_eq!(again[..4], [ask, stand, stand, stand]);
    assert_ne!(again.get(4), Some(&Cause::Retry));
    solo.hear(1, heard(2, (1, 1), &[1]));
    assert_eq!(
        pre_vote_causes(&solo.wait(ms(2_400)))[..3],
        first[..3],
        "it was heard, so all begins anew"
    );
}

/// All were bound by promises when they were asked, and say yes when these have run out. One yes is
/// lost: who has said nothing is asked once more.
#[test]
fn r25_after_a_late_yes_the_others_are_asked_again() {
    let mut solo = Solo::new(5, course());
    solo.wait(ms(10));
    solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
    solo.wait(ms(2_200));
    assert_eq!(solo.role(), RoleName::PreCandidate);
    assert_eq!(solo.raft().status().term, 1);
    solo.hear(2, pre_vote_reply(1, 2, true));
    assert_eq!(
        pre_vote_causes(&solo.wait(ms(20))),
        [Cause::Retry; 3],
        "all but the one that said yes"
    );
    solo.hear(2, pre_vote_reply(1, 2, true));
    assert_eq!(pre_vote_causes(&solo.wait(ms(20))), [], "a copy of the yes is no news");
    solo.hear(3, pre_vote_reply(1, 2, true));
    assert_eq!(solo.role(), RoleName::Candidate);
}
