//! A replica's state as JSON, for `/status`.

use serde_json::{Value, json};

use crate::raft::Micros;
use crate::replica::Replica;

/// The state of `replica` at `now`. Times are in microseconds since its start; members are named by
/// ID.
pub fn status_json(now: Micros, replica: &Replica) -> Value {
    let (status, members) = (replica.status(), replica.members());
    let id = |member| members.address(member).to_string();
    let followers = replica.raft().followers().map(|follower| {
        json!({
            "id": id(follower.member),
            "matched": follower.matched,
            "lag": status.last.index.saturating_sub(follower.matched),
            "round_trip_us": follower.round_trip.map(|trip| trip.0),
            "loss_ppm": follower.loss_ppm,
            "suspect": follower.suspect,
        })
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "id": id(members.me()),
        "replicas": members.count(),
        "uptime_us": now.0,
        "role": status.role.name(),
        "term": status.term,
        "leader": status.leader.map(id),
        "last": {"term": status.last.term, "index": status.last.index},
        "commit": status.commit,
        "heard_commit": status.heard_commit,
        "applied": replica.applied(),
        "lease_until_us": status.lease_until.map(|until| until.0),
        "promise_until_us": status.promise_until.0,
        "followers": followers.collect::<Vec<_>>(),
        "tuning": replica.raft().tuning(),
    })
}
