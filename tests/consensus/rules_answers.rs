//! Rules R1 to R6 and R22: answers to clients.

use laconic::interface::{Address, Operation, Outcome};
use laconic::raft::message::Append;
use laconic::raft::tuning::{FanOut, Reads};
use laconic::raft::{Member, Message, RoleName, Tuning};
use laconic::sim::random_stream::RandomStream;
use laconic::wire::Datagram;

use crate::cluster::{CLIENT, Cluster, Fate, Name, ONE_WAY, course, fast, ms, quiet};
use crate::inspect::check_order;
use crate::solo::{ME, Solo, answered, answers, append, appends};

const OK: Outcome = Outcome::Ok(None);

#[test]
fn r01_a_put_in_any_log_is_redirected_only_when_another_entry_is_committed_in_its_place() {
    let mut solo = Solo::new(3, fast());
    solo.lead_all();
    let (term, place) = (solo.raft().term(), solo.raft().log().last_index() + 1);
    solo.put("k", "P");
    solo.wait(ms(1));
    // The next leader's empty entry replaces P. That alone decides nothing: P may come back.
    let opening = append(1, term + 1, (term, place - 1), &[term + 1]);
    let mut said = answers(&solo.hear(1, Message::Append(opening.clone())));
    assert_eq!(solo.raft().log().term_at(place), Some(term + 1), "P was truncated");
    said.extend(answers(&solo.wait(ms(600))));
    assert_eq!(said, [], "P may still take effect");
    // Now that entry is committed, so P can never take effect.
    let out = solo.hear(1, Message::Append(Append { round: 2, commit: place, ..opening }));
    assert_eq!(answers(&out), [("P".into(), Outcome::Redirect, Address(1))]);
    assert_eq!(answers(&solo.wait(ms(3_000))), []);
}

/// The client of such a put repeats it before the leader is heard again: it has come back, and is
/// held.
#[test]
fn r05_a_put_that_died_and_comes_back_is_held() {
    let mut solo = Solo::new(3, fast());
    solo.lead_all();
    let (term, place) = (solo.raft().term(), solo.raft().log().last_index() + 1);
    solo.put("k", "P");
    solo.wait(ms(1));
    let next = append(1, term + 1, (term, place - 1), &[term + 1]);
    let out = solo.hear(1, Message::Append(Append { commit: place, ..next }));
    assert_eq!(answers(&out), [("P".into(), Outcome::Redirect, Address(1))]);
    solo.wait(ms(2));
    let again = Operation::Put { key: "k".into(), value: "P".into() };
    assert_eq!(answers(&solo.ask(CLIENT, "again", again)), []);
}

/// The reason for the rule: a put that was truncated is committed after all.
#[test]
fn r01_a_truncated_put_may_come_back() {
    let mut solo = Solo::new(3, fast());
    solo.lead_all();
    let (term, place) = (solo.raft().term(), solo.raft().log().last_index() + 1);
    solo.put("k", "P");
    solo.wait(ms(1));
    let put = solo.raft().log().entry(place).expect("it stands there").clone();
    let opening = append(1, term + 1, (term, place - 1), &[term + 1]);
    let mut out = solo.hear(1, Message::Append(opening));
    let mut back = append(2, term + 2, (term, place - 1), &[term + 2]);
    back.entries = [put, back.entries[0].clone()].into();
    back.commit = place + 1;
    out.extend(solo.hear(2, Message::Append(back)));
    assert_eq!(solo.raft().commit(), place + 1);
    assert_eq!(answers(&out), [], "the leader that committed it answers");
}

#[test]
fn r02_a_follower_never_says_ok() {
    let mut solo = Solo::new(3, fast());
    solo.lead_all();
    let (term, place) = (solo.raft().term(), solo.raft().log().last_index() + 1);
    solo.put("k", "P");
    solo.wait(ms(1));
    let mut next = append(1, term + 1, (term, place), &[term + 1]);
    next.commit = place + 1;
    let out = solo.hear(1, Message::Append(next));
    assert_eq!(solo.raft().commit(), place + 1);
    assert_eq!(answers(&out), []);
}

/// The harness checks this in every step of every cluster. Here is a step where it matters.
#[test]
fn r02_ok_goes_out_before_the_commit_index_and_before_reads() {
    let mut solo = Solo::new(5, Tuning { lag_most_entries: 1, ..fast() });
    solo.lead_all();
    solo.put("k", "P");
    let first = solo.wait(ms(1));
    solo.get("k", "read");
    // These puts make the first two lag, so that each is sent more as soon as it answers.
    solo.put("l", "Q");
    solo.put("m", "R");
    solo.wait(ms(1));
    solo.acknowledge(&first[..1]);
    let (before, mark) = (solo.raft().commit(), solo.records.len());
    let out = solo.acknowledge(&first[1..]);
    let told = |datagram: &Datagram| {
        appends(std::slice::from_ref(datagram)).iter().any(|append| append.commit > before)
    };
    assert!(out.iter().any(told), "the commit index goes out in this step");
    check_order((ME, false), &mut 0, &solo.records[mark..], &out);
    assert_eq!(answered(&out, &OK), ["P"]);
    assert_eq!(answered(&out, &Outcome::Ok(Some("P".into()))), ["read"]);
}

#[test]
fn r02_pending_reads_are_released_at_a_step_down() {
    let mut solo = Solo::new(3, Tuning { reads: Reads::Confirm, ..fast() });
    solo.lead_all();
    let (term, last) = (solo.raft().term(), solo.raft().log().last_index());
    assert_eq!(answers(&solo.get("k", "read")), []);
    solo.put("k", "P");
    solo.get("k", "behind P");
    let next = Message::Append(append(1, term + 1, (term, last), &[term + 1]));
    let out = answers(&solo.hear(1, next));
    let redirect = |mid: &str| (mid.to_owned(), Outcome::Redirect, Address(1));
    assert_eq!(out, [redirect("behind P"), redirect("read")]);
}

#[test]
fn r03_a_new_leader_answers_what_lies_above_the_commit_index_it_had_heard_of() {
    let mut cluster = Cluster::new(5, 5, Tuning { fan_out: FanOut::Star, ..fast() });
    let leader = cluster.elect();
    let early = cluster.put(leader, "k", "early");
    cluster.run_for(ms(1_000));
    let late = cluster.put(leader, "k", "late");
    assert!(cluster.run_until(ms(5), |cluster| cluster.is_ok(late)));
    cluster.kill(leader);
    let next = cluster.elect();
    assert_eq!(cluster.outcomes(early), [OK], "its commit was heard of by all");
    assert_eq!(cluster.outcomes(late), [OK, OK], "its commit was not: silence would be worse");
    assert_eq!(cluster.asked(late).answers[1].1, next);
}

/// Voters tell which commit index they have heard. Those puts were answered before they heard it.
#[test]
fn r03_what_voters_have_heard_to_be_committed_is_not_answered_again() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(5, seed, fast());
        let leader = cluster.elect();
        cluster.run_for(ms(350));
        let put = cluster.put(leader, "k", "P");
        assert!(cluster.run_until(ms(5), |cluster| cluster.is_ok(put)));
        // Heartbeats go to members that were in no quorum, and tell them of the commit.
        cluster.run_for(ms(100));
        let knows = |cluster: &Cluster, member: Member| {
            cluster.replica(member).status().heard_commit >= cluster.raft(leader).commit()
        };
        let others = cluster.others(leader);
        assert_eq!(others.iter().filter(|member| knows(&cluster, **member)).count(), 2);
        cluster.kill(leader);
        let next = cluster.elect();
        assert!(cluster.raft(next).commit() > 1, "it holds the put");
        assert_eq!(cluster.outcomes(put), [OK], "seed {seed}");
    }
}

#[test]
fn r03_what_a_leader_had_heard_to_be_committed_it_does_not_answer_again() {
    for heard in [0, 1, 2] {
        let mut solo = Solo::new(3, fast());
        solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1, 1])));
        // The append does not fit, so it commits nothing here. But its commit index is heard.
        solo.hear(1, Message::Append(Append { commit: heard, ..append(1, 1, (1, 5), &[]) }));
        assert_eq!(solo.raft().commit(), 0);
        let opening = solo.lead();
        let told = answered(&solo.acknowledge(&opening), &OK);
        assert_eq!(told, ["t1p0", "t1p1"][heard as usize..], "heard of {heard}");
    }
}

/// A leader is deposed before its put is committed. The next leader commits and answers that put,
/// which two voters have heard. When the first leads again, it answers the put no second time.
#[test]
fn r03_a_leader_again_does_not_answer_its_own_put_that_voters_have_heard_of() {
    for heard in [false, true] {
        let mut solo = Solo::new(3, fast());
        solo.lead_all();
        let (term, place) = (solo.raft().term(), solo.raft().log().last_index() + 1);
        solo.put("k", "P");
        solo.wait(ms(1));
        solo.hear(1, Message::Append(append(1, term + 1, (term, place), &[term + 1])));
        assert_ne!(solo.role(), RoleName::Leader);
        let heard_commit = if heard { place } else { 0 };
        let opening = solo.lead_when_heard(heard_commit);
        let told = answered(&solo.acknowledge(&opening), &OK);
        assert!(solo.replica.applied() > place);
        // The entry of the next leader's term lies above what was heard of, in both cases.
        assert_eq!(told, if heard { vec!["t2p0"] } else { vec!["P", "t2p0"] });
    }
}

#[test]
fn r04_a_put_that_died_with_its_leader_is_redirected_by_nobody() {
    let mut cluster = Cluster::new(5, 6, Tuning { fan_out: FanOut::Star, ..fast() });
    let leader = cluster.elect();
    let holder = cluster.others(leader)[0];
    // One other member holds the put, and is away while the rest overwrite it.
    cluster.obeys(move |flight| {
        if flight.from == leader && flight.to != holder { Fate::Lose } else { Fate::Pass }
    });
    let put = cluster.put(leader, "k", "lost");
    cluster.run_for(ms(1));
    cluster.kill(leader);
    let rest: Vec<Member> = cluster.others(leader)[1..].to_vec();
    cluster.cut(&[&rest]);
    cluster.calm();
    assert!(cluster.run_until(ms(9_000), |c| c.leader().is_some_and(|l| rest.contains(&l))));
    cluster.run_for(ms(100));
    cluster.heal();
    cluster.run_for(ms(5_000));
    let truncated = |event: &_| matches!(event, laconic::raft::Event::Truncated { .. });
    assert!(cluster.events(0, truncated).any(|event| event.1 == holder), "it was overwritten");
    assert!(!cluster.is_committed(put));
    assert_eq!(cluster.outcomes(put), []);
}

#[test]
fn r05_who_comes_back_from_a_silent_leader_is_held() {
    let mut solo = Solo::new(3, fast());
    solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
    let redirect = |mid: &str| (mid.to_owned(), Outcome::Redirect, Address(1));
    assert_eq!(answers(&solo.get("k", "first")), [redirect("first")]);
    solo.wait(ms(1));
    assert_eq!(answers(&solo.get("k", "back again")), [], "kept until the leader is heard");
    let other = Operation::Get { key: "k".into() };
    assert_eq!(answers(&solo.ask(Address(0x200), "other", other)), [redirect("other")]);
    let out = solo.hear(1, Message::Append(Append { round: 2, ..append(1, 1, (1, 1), &[]) }));
    assert_eq!(answers(&out), [redirect("back again")]);
    // The leader has been heard in between, so no request counts as a repeat.
    assert_eq!(answers(&solo.get("k", "later")), [redirect("later")]);
}

/// Requests that were on their way together are no storm: each is redirected at once.
#[test]
fn r05_requests_that_a_client_had_under_way_are_all_redirected_at_once() {
    let mut solo = Solo::new(3, fast());
    solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
    let redirect = |mid: &str| (mid.to_owned(), Outcome::Redirect, Address(1));
    for mid in ["a", "b", "c", "d", "e"] {
        assert_eq!(answers(&solo.get("k", mid)), [redirect(mid)]);
    }
    solo.wait(ms(5));
    assert_eq!(answers(&solo.get("other key", "f")), [redirect("f")], "another operation");
    assert_eq!(answers(&solo.put("k", "g")), [redirect("g")]);
    assert_eq!(answers(&solo.put("k", "h")), [redirect("h")], "another value");
    assert_eq!(answers(&solo.get("k", "i")), [], "the same again");
}

#[test]
fn r05_a_request_that_names_the_leader_we_would_name_has_come_back() {
    let mut solo = Solo::new(3, fast());
    solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
    let redirect = |mid: &str| (mid.to_owned(), Outcome::Redirect, Address(1));
    let get = || Operation::Get { key: "k".into() };
    let out = solo.ask_believing(Address(2), CLIENT, "of another", get());
    assert_eq!(answers(&out), [redirect("of another")]);
    let out = solo.ask_believing(Address(1), Address(0x200), "back", get());
    assert_eq!(answers(&out), [], "it was there");
    let out = solo.hear(1, Message::Append(Append { round: 2, ..append(1, 1, (1, 1), &[]) }));
    assert_eq!(answers(&out), [redirect("back")], "the leader lives");
}

/// Clients that follow redirects as the course's do (interface section 2). A client that is sent to
/// a dead leader asks a random living replica at once, with the same operation and a new MID.
#[test]
fn r05_clients_of_a_dead_leader_make_no_storm() {
    const ASKED: usize = 40;
    let mut cluster = Cluster::new(5, 3, fast());
    let leader = cluster.elect();
    cluster.run_for(ms(300));
    cluster.kill(leader);
    let living = cluster.others(leader);
    let mut random = RandomStream::new(3, "clients of a dead leader", 0);
    let mut ask = |cluster: &mut Cluster, client: Address, operation: Operation| {
        let to = *random.pick(&living).expect("four live");
        cluster.ask(client, to, operation)
    };
    let mut open: Vec<Name> = Vec::new();
    for number in 0..ASKED as u16 {
        let operation = Operation::Get { key: format!("k{number}").into() };
        open.push(ask(&mut cluster, Address(0x100 + number % 8), operation));
    }
    // Only quick redirects count: a request that was held for the hold time may go elsewhere.
    let mut quick = 0;
    // Until there is a leader: 500 us there and back.
    while cluster.leader().is_none_or(|found| found == leader) {
        cluster.run_for(ONE_WAY + ONE_WAY);
        for name in std::mem::take(&mut open) {
            let asked = cluster.asked(name).clone();
            match asked.answers.first() {
                None => open.push(name),
                Some((at, ..)) => {
                    quick += usize::from(at.since(asked.at) < ms(100));
                    open.push(ask(&mut cluster, asked.client, asked.operation));
                }
            }
        }
    }
    println!("{quick} quick redirects of {ASKED} requests");
    assert!(quick >= ASKED, "each was sent on once at least");
    assert!(quick <= living.len() * ASKED, "{quick} redirects of {ASKED} requests");
    cluster.check_redirects();
}

#[test]
fn r05_what_is_kept_too_long_is_sent_on_to_anyone() {
    let mut solo = Solo::new(3, fast());
    assert_eq!(answers(&solo.put("k", "P")), []);
    assert_eq!(answers(&solo.wait(ms(499))), []);
    let sent_on = [("P".into(), Outcome::Redirect, Address::UNKNOWN)];
    assert_eq!(answers(&solo.wait(ms(1))), sent_on);
}

#[test]
fn r06_a_leader_out_of_touch_takes_in_no_put() {
    let mut solo = Solo::new(5, fast());
    solo.lead_all();
    let last = solo.raft().log().last_index();
    solo.put("k", "taken");
    solo.wait(ms(21));
    assert_eq!(solo.raft().log().last_index(), last + 1);
    solo.put("k", "held");
    assert_eq!(solo.raft().log().last_index(), last + 1, "not in the log");
    let out = solo.wait(ms(500));
    assert_eq!(solo.role(), RoleName::Leader);
    assert_eq!(answered(&out, &Outcome::Redirect), ["held"], "so it may be sent on");
    solo.put("k", "served");
    let out = solo.wait(ms(400));
    assert!(!appends(&out).is_empty(), "it goes on asking");
    let out = solo.acknowledge(&out);
    assert_eq!(answered(&out, &OK), ["taken"]);
    assert_eq!(solo.raft().log().last_index(), last + 2, "in touch again");
}

/// The put that it holds is in no log: a read of the same key does not wait for it.
#[test]
fn r06_a_put_that_is_not_taken_in_holds_up_no_read() {
    let mut solo = Solo::new(5, fast());
    solo.lead_all();
    solo.put("other key", "taken");
    solo.wait(ms(21));
    assert_eq!(answers(&solo.put("k", "held")), []);
    assert_eq!(answered(&solo.get("k", "read"), &Outcome::Ok(Some("".into()))), ["read"]);
}

/// Two puts are lost with a leader that is cut off. Then the cluster is idle, so the new log never
/// reaches the index of the second put.
#[test]
fn r22_all_that_a_deposed_leader_lost_is_redirected() {
    [fast(), course()].into_iter().for_each(lost_puts_are_redirected);
}

fn lost_puts_are_redirected(tuning: Tuning) {
    let mut cluster = Cluster::new(3, 2, tuning);
    let old = cluster.elect();
    cluster.run_for(ms(500));
    cluster.cut(&[&cluster.others(old), &[old]]);
    let puts = [cluster.put(old, "a", "x"), cluster.put(old, "b", "y")];
    cluster.run_for(ms(5_000));
    cluster.heal();
    cluster.run_for(ms(5_000));
    for put in puts {
        assert_eq!(cluster.outcomes(put), [Outcome::Redirect], "put {put}");
    }
}

/// A leader that is cut off has taken in puts. Where idle leaders send nothing, the next one has
/// nothing more to tell it once it has accepted the new term's opening, so it asks what became of
/// them. (Without that the two puts wait for ever. A fault campaign found it.)
#[test]
fn r22_in_the_quiet_a_deposed_leader_asks_what_became_of_its_puts() {
    let mut cluster = Cluster::new(3, 2, quiet());
    let old = cluster.elect();
    cluster.run_for(ms(500));
    let others = cluster.others(old);
    cluster.cut(&[&others, &[old]]);
    let puts = [cluster.put(old, "a", "x"), cluster.put(old, "b", "y")];
    let deposed = |cluster: &Cluster| !cluster.raft(old).is_leader();
    assert!(cluster.run_until(ms(5_000), deposed));
    let get = cluster.get(others[0], "a");
    cluster.run_for(ms(1));
    cluster.heal();
    cluster.run_for(ms(5_000));
    assert!(!cluster.outcomes(get).is_empty());
    for put in puts {
        assert_eq!(cluster.outcomes(put), [Outcome::Redirect], "put {put}");
    }
}

/// The limits of the rule: a commit of term T at index j ends the pending puts of lower terms at j
/// and beyond, and no others.
#[test]
fn r22_only_lower_terms_at_or_beyond_the_commit_are_dead() {
    let mut solo = Solo::new(3, fast());
    solo.lead_all();
    let (term, place) = (solo.raft().term(), solo.raft().log().last_index() + 1);
    for put in ["P0", "P1", "P2"] {
        solo.put("k", put);
    }
    solo.wait(ms(1));
    let kept = solo.raft().log().entry(place).expect("P0").clone();
    let redirect = |mid: &str| (mid.to_owned(), Outcome::Redirect, Address(1));
    // A commit of the puts' own term, at a lower index: both may still take effect.
    let mut next = append(1, term + 1, (term, place - 1), &[]);
    next.entries = [kept].into();
    next.commit = place;
    assert_eq!(answers(&solo.hear(1, Message::Append(next))), []);
    assert_eq!(solo.raft().commit(), place, "P0 is committed, and was not ours to answer");
    // The next term's entry takes P1's place: P1 is overwritten, and so P2 is lost too.
    let mut opening = append(1, term + 1, (term, place), &[term + 1]);
    (opening.round, opening.commit) = (2, place + 1);
    let out = solo.hear(1, Message::Append(opening));
    assert_eq!(answers(&out), [redirect("P1"), redirect("P2")]);
    assert_eq!(answers(&solo.wait(ms(1_000))), []);
}

/// A commit that raises the term ends no put of that same term.
#[test]
fn r22_a_put_of_the_same_term_beyond_the_commit_is_not_redirected() {
    let mut solo = Solo::new(3, fast());
    solo.hear(1, Message::Append(append(1, 1, (0, 0), &[1])));
    let opening = solo.lead();
    let sent = solo.put("k", "P");
    assert_eq!(answers(&sent), []);
    let out = solo.acknowledge(&opening);
    assert_eq!(solo.raft().commit(), 2, "the opening of the term is committed, P is not");
    assert_eq!(answered(&out, &Outcome::Redirect), [""; 0]);
    let batch = solo.wait(ms(1));
    assert_eq!(answered(&solo.acknowledge(&batch), &OK), ["P"]);
}
