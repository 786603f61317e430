//! Rules R7 to R10, R18 and R20: promises, leases, reads, which member may win, and which may not
//! come back.

use laconic::interface::Outcome;
use laconic::raft::message::{Append, Hint};
use laconic::raft::tuning::Reads;
use laconic::raft::{
    Cause, Disposition, Input, Member, Message, Micros, Output, Raft, RoleName, Term, Tuning, Why,
};

use crate::cluster::{Cluster, fast, ms};
use crate::solo::{
    Solo, accepted, answered, answers, append, appends, pre_vote_reply, pre_vote_request, refused,
    reply, vote, vote_reply, vote_request,
};

/// A follower of member 1 in term 1 that has promised 800 ms from now.
fn promised() -> Solo {
    let mut solo = Solo::new(3, fast());
    solo.wait(ms(10));
    let asks = Append { promise: ms(800), ..append(1, 1, (0, 0), &[1]) };
    solo.hear(1, Message::Append(asks));
    solo
}

#[test]
fn r07_a_promise_refuses_votes_before_any_term_is_looked_at() {
    let mut solo = promised();
    assert_eq!(vote(&solo.hear(2, pre_vote_request(9, (8, 50)))), (false, 1));
    assert_eq!(vote(&solo.hear(2, vote_request(9, (8, 50)))), (false, 1));
    assert_eq!(solo.raft().term(), 1, "a request refused for a promise raises no term");
    solo.wait(ms(799));
    assert_eq!(vote(&solo.hear(2, vote_request(9, (8, 50)))), (false, 1));
    solo.wait(ms(1));
    assert_eq!(vote(&solo.hear(2, vote_request(9, (8, 50)))), (true, 9));
}

#[test]
fn r07_nothing_but_time_ends_a_promise() {
    let mut solo = promised();
    // None of these ends it: a higher term, another leader, a shorter promise, new tuning.
    solo.hear(2, vote_reply(4, false));
    assert_eq!(solo.raft().term(), 4);
    solo.hear(2, Message::Append(append(2, 5, (1, 1), &[5])));
    assert_eq!(solo.raft().leader(), Some(Member(2)));
    solo.wait(ms(799));
    assert_eq!(vote(&solo.hear(1, vote_request(9, (8, 50)))), (false, 5));
    assert_eq!(vote(&solo.hear(1, pre_vote_request(9, (8, 50)))), (false, 5));
}

#[test]
fn r07_a_leader_has_promised_too() {
    let mut solo = Solo::new(3, fast());
    solo.lead_all();
    let term = solo.raft().term();
    solo.hear(1, vote_reply(term + 3, false));
    assert_eq!(solo.role(), RoleName::Follower, "deposed by a higher term");
    assert_eq!(vote(&solo.hear(1, vote_request(term + 9, (term + 8, 50)))), (false, term + 3));
    solo.wait(ms(800));
    assert!(vote(&solo.hear(1, vote_request(term + 9, (term + 8, 50)))).0);
}

#[test]
fn r07_the_own_candidacy_waits_for_the_promise() {
    let mut solo = Solo::new(3, fast());
    let asks = Append { promise: ms(5_000), ..append(1, 1, (0, 0), &[1]) };
    solo.hear(1, Message::Append(asks));
    solo.wait(ms(4_999));
    assert_eq!(solo.role(), RoleName::Follower, "the election timeout is long over");
    solo.wait(ms(1));
    assert_eq!(solo.role(), RoleName::PreCandidate);
}

/// A round that was refused promised nothing, so an older one that comes late is accepted and does
/// (rule R21). It ends no campaign, but the campaign must not go on under the promise.
#[test]
fn r07_a_promise_made_in_the_middle_of_a_campaign_stops_it() {
    let mut solo = Solo::new(3, fast());
    solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
    solo.hear(1, Message::Append(Append { round: 5, ..append(1, 1, (1, 9), &[1]) }));
    solo.wait(ms(2_400));
    assert_eq!(solo.role(), RoleName::PreCandidate);
    let late = Append { round: 3, promise: ms(5_000), ..append(1, 1, (1, 1), &[1]) };
    solo.hear(1, Message::Append(late));
    assert_eq!(solo.raft().status().promise_until, solo.now + ms(5_000));
    assert_eq!(solo.role(), RoleName::PreCandidate);
    solo.hear(2, pre_vote_reply(1, 2, true));
    assert_eq!((solo.role(), solo.raft().term()), (RoleName::Follower, 1));
    solo.wait(ms(4_999));
    assert_eq!(solo.role(), RoleName::Follower);
    solo.wait(ms(1));
    assert_eq!(solo.role(), RoleName::PreCandidate);
}

#[test]
fn r07_a_pre_vote_request_raises_no_term_and_is_always_answered_with_the_own() {
    let mut solo = Solo::new(3, fast());
    solo.hear(1, Message::Append(append(1, 3, (0, 0), &[3])));
    assert_eq!(vote(&solo.hear(2, pre_vote_request(9, (8, 50)))), (true, 3));
    assert_eq!(solo.raft().term(), 3);
    assert_eq!(vote(&solo.hear(2, pre_vote_request(2, (1, 50)))), (false, 3));
}

#[test]
fn r07_a_lower_term_append_is_answered_with_the_own_term() {
    let mut solo = Solo::new(3, fast());
    solo.hear(1, Message::Append(append(1, 3, (0, 0), &[3])));
    let late = Append { wants_answer: false, ..append(2, 2, (0, 0), &[2]) };
    let reply = reply(&solo.hear(2, Message::Append(late)));
    assert_eq!(reply.term, 3);
    assert!(reply.refusal.is_some());
    assert_eq!(solo.raft().leader(), Some(Member(1)));
}

/// A granted pre-vote names the answerer's term, which may be far below the sender's.
#[test]
fn r07_pre_votes_of_lower_terms_count() {
    let mut solo = Solo::new(3, fast());
    solo.hear(1, vote_reply(6, false));
    solo.wait(ms(2_400));
    assert_eq!(solo.role(), RoleName::PreCandidate);
    solo.hear(2, pre_vote_reply(2, 6, true));
    assert_eq!(solo.role(), RoleName::PreCandidate, "of an earlier campaign");
    solo.hear(2, pre_vote_reply(2, 7, true));
    assert_eq!((solo.role(), solo.raft().term()), (RoleName::Candidate, 7));
}

#[test]
fn r08_the_append_says_how_long_the_promise_is() {
    let short = Tuning {
        promise_us: 100_000,
        heartbeat_interval_us: 100_000,
        lease_margin_us: 10_000,
        ..fast()
    };
    let mut solo = Solo::new(3, short);
    let asks = Append { promise: ms(700), ..append(1, 1, (0, 0), &[1]) };
    solo.hear(1, Message::Append(asks));
    solo.wait(ms(699));
    assert!(!vote(&solo.hear(2, pre_vote_request(9, (8, 50)))).0, "not its own tuning");
    let mut solo = Solo::new(3, fast());
    solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
    assert!(vote(&solo.hear(2, pre_vote_request(9, (8, 50)))).0, "no promise was asked for");
    // The promise that a leader asks for is the one that its lease rests on.
    let opening = Solo::new(3, fast()).lead();
    assert!(appends(&opening).iter().all(|append| append.promise == ms(800)));
}

#[test]
fn r08_what_is_refused_promises_nothing() {
    let mut solo = Solo::new(3, fast());
    let asks = Append { promise: ms(800), ..append(1, 1, (1, 7), &[1]) };
    solo.hear(1, Message::Append(asks));
    assert!(vote(&solo.hear(2, pre_vote_request(9, (8, 50)))).0);
}

/// Append 1 is sent at 0 s, append 2 is lost, and the answer to 1 comes late: it counts from 0 s.
#[test]
fn r09_an_answer_is_dated_by_the_send_time_of_its_round() {
    let mut solo = Solo::new(3, fast());
    let opening = appends(&solo.lead());
    let opened_at = solo.now;
    let resends = appends(&solo.wait(ms(50)));
    assert!(!resends.is_empty());
    let rounds: Vec<_> = opening.iter().chain(&resends).map(|append| append.round).collect();
    assert!(rounds.is_sorted_by(|one, next| one < next), "a resend is a new round: {rounds:?}");
    let first = &opening[0];
    solo.hear(first.route.first().map_or(9, |to| to.0), accepted(first, first.through()));
    let lease = fast().promise() - Micros(fast().lease_margin_us);
    assert_eq!(solo.replica.status().lease_until, Some(opened_at + lease));
}

#[test]
fn r09_a_read_counts_only_rounds_begun_after_it_came() {
    let mut solo = Solo::new(3, Tuning { reads: Reads::Confirm, ..fast() });
    solo.lead_all();
    solo.put("other", "P");
    let before = solo.wait(ms(1));
    assert_eq!(answers(&solo.get("k", "read")), []);
    let out = solo.acknowledge(&before);
    assert_eq!(answered(&out, &Outcome::Ok(Some("".into()))), [""; 0], "a round begun before");
    let confirm = solo.wait(ms(1));
    assert_eq!(appends(&confirm).len(), 1, "one round for the read");
    let out = solo.acknowledge(&confirm);
    assert_eq!(answered(&out, &Outcome::Ok(Some("".into()))), ["read"]);
}

#[test]
fn r09_rounds_and_lease_die_with_the_term() {
    let mut solo = Solo::new(3, fast());
    let old = solo.lead();
    solo.acknowledge(&old);
    assert!(solo.replica.status().lease_until.is_some());
    let term = solo.raft().term();
    solo.hear(1, vote_reply(term + 1, false));
    assert_eq!(solo.replica.status().lease_until, None);
    // Rounds start again from the first, so the old term's answers name rounds that are open again.
    let (old, new) = (appends(&old), appends(&solo.lead()));
    assert!(solo.raft().term() > term + 1);
    assert_eq!((old[0].round, &old[0].route), (new[0].round, &new[0].route));
    solo.hear(1, accepted(&old[0], old[0].through()));
    assert_eq!(solo.disposition(), Disposition::Stale);
    assert_eq!(solo.replica.status().lease_until, None);
}

#[test]
fn r10_a_read_takes_its_value_when_it_is_answered() {
    let mut solo = Solo::new(3, Tuning { reads: Reads::Confirm, ..fast() });
    solo.lead_all();
    solo.get("k", "read");
    solo.put("k", "new");
    let batch = solo.wait(ms(1));
    let out = solo.acknowledge(&batch);
    assert_eq!(answered(&out, &Outcome::Ok(Some("new".into()))), ["read"]);
}

#[test]
fn r10_the_lease_is_the_promise_less_a_margin_and_is_looked_at_when_a_read_is_answered() {
    let margin = Tuning { lease_margin_us: 70_000, ..fast() };
    let mut solo = Solo::new(3, margin);
    solo.lead_all();
    let until = solo.replica.status().lease_until.expect("a lease");
    assert_eq!(until.since(solo.now - ms(1)), ms(730));
    solo.now = until - Micros(1);
    assert_eq!(answers(&solo.get("k", "in time")).len(), 1);
    solo.now = until;
    assert_eq!(answers(&solo.get("k", "too late")), []);
}

/// With two members, one answer makes a quorum.
#[test]
fn r31_tuning_makes_no_longer_lease_out_of_promises_already_given() {
    let short = Tuning { promise_us: 200_000, ..fast() };
    let mut raft = Raft::new(Member(0), 2, short, 7, Micros(0));
    let mut out = Vec::new();
    let mut hear = |raft: &mut Raft, message| {
        out.clear();
        raft.step(ms(3_000), Input::Message { from: Member(1), message }, &mut out);
        out.iter().find_map(|output| match output {
            Output::Send { message: Message::Append(append), .. } => Some(append.clone()),
            _ => None,
        })
    };
    raft.step(ms(3_000), Input::Wake, &mut Vec::new());
    hear(&mut raft, pre_vote_reply(0, 1, true));
    let opening = hear(&mut raft, vote_reply(1, true)).expect("it leads");
    raft.step(ms(3_000), Input::Retune(fast()), &mut Vec::new());
    hear(&mut raft, accepted(&opening, opening.through()));
    assert_eq!(raft.commit(), 1);
    let until = raft.status().lease_until;
    assert_eq!(until, Some(ms(3_150)), "the promise was for 200 ms, and the margin is 50");
}

#[test]
fn r18_candidacy_waits_at_least_the_promise_and_a_heartbeat_interval() {
    assert_eq!(Tuning { promise_us: 900_000, ..fast() }.check(), Ok(()));
    let violation = Tuning { promise_us: 900_001, ..fast() }.check().expect_err("too long");
    assert_eq!(violation.key, "promise_us");
    // So the promise to a dead leader never makes its followers refuse the first pre-vote.
    for seed in 0..20 {
        let mut cluster = Cluster::new(5, seed, fast());
        let leader = cluster.elect();
        cluster.run_for(ms(seed * 37));
        cluster.kill(leader);
        let mark = cluster.records.len();
        cluster.elect();
        assert_eq!(cluster.count(mark, |_, why| why == Why::Reject(Cause::Campaign)), 0);
        let stood = |event: &_| matches!(event, laconic::raft::Event::BecameCandidate { .. });
        assert!(cluster.events(mark, stood).count() <= 2, "seed {seed}");
    }
}

#[test]
fn r18_who_holds_more_stands_at_once() {
    let mut solo = Solo::new(3, fast());
    solo.wait(ms(1_000));
    solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1, 1])));
    assert!(!vote(&solo.hear(2, pre_vote_request(2, (1, 1)))).0);
    assert_eq!(solo.role(), RoleName::PreCandidate);
    // But it does not stand against a leader that it follows.
    let mut solo = Solo::new(3, fast());
    solo.wait(ms(1_000));
    let asks = Append { promise: ms(800), ..append(1, 1, (0, 0), &[1, 1]) };
    solo.hear(1, Message::Append(asks));
    assert!(!vote(&solo.hear(2, pre_vote_request(2, (1, 1)))).0);
    assert_eq!(solo.role(), RoleName::Follower);
}

#[test]
fn r18_a_pre_candidate_goes_on_naming_the_last_leader() {
    let mut solo = Solo::new(3, fast());
    solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
    let campaign = solo.wait(ms(2_000));
    assert_eq!(solo.role(), RoleName::PreCandidate);
    assert!(!campaign.is_empty());
    assert!(campaign.iter().all(|datagram| datagram.leader.0 == 1), "{campaign:?}");
}

/// Without a durable log, a restarted replica cannot be told from a new one. So operators must not
/// restart a replica under its old ID. A leader that knew it does at least not count on it again:
/// what the replica had acknowledged cannot be taken back.
#[test]
fn r20_an_id_that_restarts_is_not_admitted() {
    let mut cluster = Cluster::new(3, 4, fast());
    let leader = cluster.elect();
    for put in 0..10 {
        cluster.put(leader, "k", &format!("{put}"));
        cluster.run_for(ms(10));
    }
    let forgetful = cluster.others(leader)[0];
    cluster.restart_without_memory(forgetful, fast());
    cluster.run_for(ms(1_000));
    for put in 10..60 {
        let name = cluster.put(leader, "k", &format!("{put}"));
        cluster.run_for(ms(20));
        assert!(cluster.is_ok(name));
    }
    assert_eq!(cluster.raft(forgetful).log().last_index(), 0, "it gets nothing");
    assert_eq!(cluster.leader(), Some(leader));
}

#[test]
fn r20_refusing_what_was_acknowledged_takes_nothing_back() {
    let mut solo = Solo::new(3, fast());
    solo.lead_all();
    let term: Term = solo.raft().term();
    let last = solo.raft().log().last_index();
    assert_eq!(solo.raft().commit(), last);
    let heartbeats = appends(&solo.wait(ms(400)));
    let to_1 = heartbeats.iter().find(|append| append.route.first() == Some(Member(1)));
    let out = solo.hear(1, refused(to_1.expect("a heartbeat"), Hint::default()));
    assert_eq!(appends(&out), [], "an amnesiac is sent no entries");
    assert_eq!(solo.raft().term(), term);
}

/// A heartbeat asks for a long promise, the batch after it for a short one, and they arrive in the
/// opposite order. The leader counts the heartbeat's answer for a long lease, so the follower is
/// bound for as long. A copy that comes later binds it no longer. (A fault campaign found it, seed
/// 570374.)
#[test]
fn r31_a_round_that_was_overtaken_binds_for_the_promise_that_it_asked_for() {
    let mut solo = Solo::new(3, fast());
    solo.wait(ms(2_000));
    let batch = Append { round: 2, promise: ms(50), ..append(1, 9, (0, 0), &[9]) };
    let heartbeat = Append { round: 1, promise: ms(200), ..append(1, 9, (0, 0), &[]) };
    solo.hear(1, Message::Append(batch));
    let heard_at = solo.now;
    solo.hear(1, Message::Append(heartbeat.clone()));
    assert_eq!(solo.disposition(), Disposition::Accepted);
    assert_eq!(solo.raft().status().promise_until, heard_at + ms(200));
    solo.wait(ms(150));
    solo.hear(1, Message::Append(heartbeat));
    assert_eq!(solo.raft().status().promise_until, heard_at + ms(200), "it is no news");
}
