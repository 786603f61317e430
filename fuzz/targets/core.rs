//! Messages and time steps of any kind into one replica of three or five. Others may lie here, so
//! only what a replica owes to itself is checked: terms and commits never fall, nothing committed
//! changes, the terms of a log rise, and it does not ask to be woken again and again.
#![no_main]

use std::sync::Arc;

use laconic::raft::message::{
    Append, AppendReply, Hint, Position, PreVote, PreVoteReply, Refusal, Repeated, Route, Vote,
    VoteReply,
};
use laconic::raft::{Cause, Entry, Input, Member, MemberSet, Message, Micros, Output, Raft};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

/// How often a replica may ask to be woken at one instant.
const MOST_WAKES_AN_INSTANT: u32 = 4;

/// A small number, or now and then a huge one.
fn number(bytes: &mut Unstructured) -> Result<u64> {
    match bytes.arbitrary::<u8>()? {
        255 => bytes.arbitrary(),
        254 => Ok(u64::MAX),
        small => Ok(u64::from(small % 8)),
    }
}

/// A number near one that the replica knows.
fn near(bytes: &mut Unstructured, known: u64) -> Result<u64> {
    match bytes.arbitrary::<u8>()? % 8 {
        0..=3 => Ok(known),
        4 => Ok(known.saturating_add(1)),
        5 => Ok(known.saturating_sub(1)),
        _ => number(bytes),
    }
}

fn set(bytes: &mut Unstructured) -> Result<MemberSet> {
    Ok(MemberSet((bytes.arbitrary::<u8>()? % 32).into()))
}

fn position(bytes: &mut Unstructured, raft: &Raft) -> Result<Position> {
    let index = near(bytes, raft.log().last_index())?;
    let term = match raft.log().term_at(index) {
        Some(term) if bytes.arbitrary::<u8>()? % 4 > 0 => term,
        _ => near(bytes, raft.term())?,
    };
    Ok(Position { term, index })
}

fn message(bytes: &mut Unstructured, raft: &Raft) -> Result<Message> {
    let term = near(bytes, raft.term())?;
    let cause = *bytes.choose(&Cause::ALL)?;
    let granted = bytes.arbitrary()?;
    Ok(match bytes.arbitrary::<u8>()? % 6 {
        0 => {
            let mut of = number(bytes)?;
            let mut entries = Vec::new();
            for _ in 0..bytes.arbitrary::<u8>()? % 4 {
                of = of.saturating_add(u64::from(bytes.arbitrary::<bool>()?));
                entries.push(Entry { term: of.min(term), command: Arc::from([7u8]) });
            }
            let hops: Vec<Member> = set(bytes)?.iter().collect();
            Message::Append(Append {
                term,
                leader: Member(bytes.arbitrary::<u8>()? % 6),
                round: number(bytes)?,
                cause,
                previous: position(bytes, raft)?,
                commit: number(bytes)?,
                entries: entries.into(),
                promise: Micros(number(bytes)?.saturating_mul(100_000)),
                election_timeout: Micros(number(bytes)?.saturating_mul(100_000)),
                inquiries: number(bytes)?,
                loss_ppm: number(bytes)?.saturating_mul(100_000),
                question: number(bytes)?,
                wants_answer: granted,
                route: Route::through(&hops).unwrap_or_default(),
                accepted: set(bytes)?,
            })
        }
        1 => {
            let refusal = match bytes.arbitrary::<bool>()? {
                true => None,
                false => {
                    let (term, first, last) = (number(bytes)?, number(bytes)?, number(bytes)?);
                    let hint = Hint { term, first, last };
                    Some(Refusal { refused: number(bytes)?, hint })
                }
            };
            let repeated = match bytes.arbitrary::<u8>()? {
                0 => {
                    let (round, through) = (number(bytes)?, number(bytes)?);
                    Some(Repeated { round, through, members: set(bytes)? })
                }
                _ => None,
            };
            let (round, through) = (number(bytes)?, near(bytes, raft.log().last_index())?);
            let members = set(bytes)?;
            Message::AppendReply(AppendReply {
                term,
                round,
                cause,
                through,
                members,
                refusal,
                repeated,
            })
        }
        2 => {
            let (last, question) = (position(bytes, raft)?, number(bytes)?);
            Message::PreVote(PreVote { term, last, cause, question })
        }
        3 => {
            let campaign_term = near(bytes, raft.term().saturating_add(1))?;
            let leader = Some(bytes.arbitrary::<u8>()? % 8).filter(|rank| *rank < 7).map(Member);
            Message::PreVoteReply(PreVoteReply { term, campaign_term, granted, cause, leader })
        }
        4 => Message::Vote(Vote { term, last: position(bytes, raft)?, cause }),
        _ => Message::VoteReply(VoteReply { term, granted, heard_commit: number(bytes)?, cause }),
    })
}

fn input(bytes: &mut Unstructured, raft: &Raft, now: &mut Micros, ticket: u64) -> Result<Input> {
    Ok(match bytes.arbitrary::<u8>()? % 16 {
        0 | 1 => {
            // At once, at its next deadline, or after some time.
            let deadline = raft.deadline();
            match bytes.arbitrary::<u8>()? % 4 {
                0 => *now += Micros(bytes.arbitrary::<u16>()?.into()),
                _ if deadline != Micros::NEVER => *now = (*now).max(deadline),
                _ => {}
            }
            Input::Wake
        }
        2 => Input::Propose { ticket, command: Arc::from([1u8]) },
        3 => Input::Read { ticket },
        4 => Input::LeaderWanted,
        _ => Input::Message {
            from: Member(bytes.arbitrary::<u8>()? % 6),
            message: message(bytes, raft)?,
        },
    })
}

fn run(bytes: &mut Unstructured) -> Result<()> {
    let count = if bytes.arbitrary()? { 3 } else { 5 };
    let names = ["course", "fast", "quiet", "lossy", "adaptive", "textbook", "wan", "eager"];
    let tuning = laconic::tuning_file::load(*bytes.choose(&names)?).expect("a profile").tuning;
    let mut now = Micros(0);
    let mut raft = Raft::new(Member(0), count, tuning, 7, now);
    let mut committed: Vec<Entry> = Vec::new();
    let mut ticket = 0;
    while !bytes.is_empty() {
        ticket += 1;
        let (term, commit) = (raft.term(), raft.commit());
        let mut out: Vec<Output> = Vec::new();
        let input = input(bytes, &raft, &mut now, ticket)?;
        raft.step(now, input, &mut out);
        for wake in 0.. {
            if raft.deadline() > now {
                break;
            }
            assert!(wake < MOST_WAKES_AN_INSTANT, "it asks to be woken again and again");
            raft.step(now, Input::Wake, &mut out);
        }
        assert!(raft.term() >= term && raft.commit() >= commit);
        assert!(raft.commit() <= raft.log().last_index());
        assert!(raft.log().entries().is_sorted_by_key(|entry| entry.term));
        assert!(raft.log().entries().starts_with(&committed), "what was committed stays");
        let through = raft.commit() as usize;
        committed.extend_from_slice(&raft.log().entries()[committed.len()..through]);
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});
