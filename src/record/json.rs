//! Records as JSON lines, for people and for other tools. `laconic records --help` documents them.

use serde_json::{Value, json};

use super::fact::{Fact, Record, SIMULATOR, deposed_name, why_name};
use crate::raft::{Event, To};

/// One record as one line of JSON, without a line end: `at_us`, `source` (a rank or
/// `"simulator"`), `fact`, and the fact's own keys.
pub fn json_line(record: &Record) -> String {
    let mut object = fact_json(record.fact);
    object["at_us"] = json!(record.at.0);
    object["source"] = match record.source {
        SIMULATOR => json!("simulator"),
        member => json!(member.0),
    };
    object.to_string()
}

/// A fact as a JSON object: `fact`, its name, and its own keys.
pub fn fact_json(fact: Fact) -> Value {
    match fact {
        Fact::Sent { to, number, kind, why, term, first, entries, bytes } => json!({
            "fact": "sent", "to": to_json(to), "n": number, "kind": kind.name(),
            "why": why_name(why), "term": term, "first": first, "entries": entries, "bytes": bytes,
        }),
        Fact::Received { from, number, kind, why, term, disposition } => json!({
            "fact": "received", "from": from.0, "n": number, "kind": kind.name(),
            "why": why_name(why), "term": term, "disposition": disposition.name(),
        }),
        Fact::Garbage { reason, bytes } => {
            json!({"fact": "garbage", "reason": reason.name(), "bytes": bytes})
        }
        Fact::Asked { client, request, put } => json!({
            "fact": "asked", "client": client.to_string(), "request": request_json(request),
            "operation": if put { "put" } else { "get" },
        }),
        Fact::Woken => json!({"fact": "woken"}),
        Fact::Taken { client, request, index, term } => json!({
            "fact": "taken", "client": client.to_string(), "request": request_json(request),
            "index": index, "term": term,
        }),
        Fact::Refused { client, request, reason, bytes } => json!({
            "fact": "refused", "client": client.to_string(), "request": request_json(request),
            "reason": reason.name(), "bytes": bytes,
        }),
        Fact::Held { client, request } => json!({
            "fact": "held", "client": client.to_string(), "request": request_json(request),
        }),
        Fact::Answered { client, request, outcome, index, term } => json!({
            "fact": "answered", "client": client.to_string(), "request": request_json(request),
            "outcome": outcome.name(), "index": index, "term": term,
        }),
        Fact::State(event) => event_json(event),
        Fact::Routed { from, to, number, fate, bytes } => json!({
            "fact": "routed", "from": from.0, "to": to.0, "n": number, "fate": fate.name(),
            "bytes": bytes,
        }),
        Fact::Killed { member, by_itself } => {
            json!({"fact": "killed", "member": member.0, "by_itself": by_itself})
        }
        Fact::Partitioned { majority } => {
            let side: Vec<u8> = (0..32).filter(|rank| majority & (1 << rank) != 0).collect();
            json!({"fact": "partitioned", "majority": side})
        }
    }
}

fn to_json(to: To) -> Value {
    match to {
        To::Member(member) => json!(member.0),
        To::Everyone => json!("everyone"),
    }
}

fn request_json(request: u64) -> String {
    format!("{request:016x}")
}

fn event_json(event: Event) -> Value {
    match event {
        Event::TermStarted { term } => json!({"fact": "term_started", "term": term}),
        Event::LeaderHeard { leader, term } => {
            json!({"fact": "leader_heard", "leader": leader.0, "term": term})
        }
        Event::BecamePreCandidate { term } => json!({"fact": "became_pre_candidate", "term": term}),
        Event::BecameCandidate { term } => json!({"fact": "became_candidate", "term": term}),
        Event::BecameLeader { term, heard_commit, opened } => json!({
            "fact": "became_leader", "term": term, "heard_commit": heard_commit, "opened": opened,
        }),
        Event::SteppedDown { term, reason } => {
            json!({"fact": "stepped_down", "term": term, "reason": deposed_name(reason)})
        }
        Event::Voted { candidate, term } => {
            json!({"fact": "voted", "candidate": candidate.0, "term": term})
        }
        Event::Appended { first, last, term } => {
            json!({"fact": "appended", "first": first, "last": last, "term": term})
        }
        Event::Truncated { first, last } => {
            json!({"fact": "truncated", "first": first, "last": last})
        }
        Event::Committed { through } => json!({"fact": "committed", "through": through}),
        Event::BatchSent { first, last } => {
            json!({"fact": "batch_sent", "first": first, "last": last})
        }
        Event::ResendTimeout { member, attempt, batch_waits } => json!({
            "fact": "resend_timeout", "member": member.0, "attempt": attempt,
            "batch_waits": batch_waits,
        }),
        Event::Suspected { member } => json!({"fact": "suspected", "member": member.0}),
        Event::Trusted { member } => json!({"fact": "trusted", "member": member.0}),
    }
}
