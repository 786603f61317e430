//! Faults in scenario files, read and written.

use serde_json::{Value, json};
use strum::VariantNames;

use super::ScenarioError;
use super::fault::{Fault, FaultKind, Whom};
use super::fields::{Fields, not};
use crate::raft::{Member, MemberSet, Micros};
use crate::wire::SOCKET_BYTES;

/// Our own limit: a minute, in milliseconds.
pub(super) const LONGEST_DELAY_MS: f64 = 60_000.0;
/// Our own limit: eleven days, in seconds.
const LATEST_SECONDS: f64 = 1e6;

/// The faults in the list `faults` of a scenario of so many replicas.
pub(super) fn faults(network: &Fields, replicas: usize) -> Result<Vec<Fault>, ScenarioError> {
    network.objects("faults")?.iter().map(|fields| fault(fields, replicas)).collect()
}

fn fault(fields: &Fields, replicas: usize) -> Result<Fault, ScenarioError> {
    let name = fields.text("type")?;
    let fraction = || fields.number("fraction", 0.0..=1.0);
    let most = || milliseconds(fields, "most_ms");
    let whom = || whom(fields, replicas);
    let side = |key| members(fields, key, replicas);
    let kind = match name {
        "loss" => FaultKind::Loss { fraction: fraction()? },
        "delay" => FaultKind::Delay { fraction: fraction()?, most: most()? },
        "duplicates" => FaultKind::Duplicates { fraction: fraction()?, most: most()? },
        "cut" => FaultKind::Cut { from: side("from")?, to: side("to")? },
        "split" => FaultKind::Split { side: side("side")? },
        "mute" => FaultKind::Mute { whom: whom()? },
        "deaf" => FaultKind::Deaf { whom: whom()? },
        "pause" => FaultKind::Pause { whom: whom()? },
        "slow" => FaultKind::Slow { whom: whom()?, turn: milliseconds(fields, "turn_ms")? },
        "small_socket" => {
            let bytes = fields.integer("bytes", 1..=SOCKET_BYTES)?;
            FaultKind::SmallSocket { whom: whom()?, bytes }
        }
        _ => {
            let known = FaultKind::VARIANTS.join(", ");
            return Err(fields.refuse("type", not(&format!("one of {known}"), &name.into())));
        }
    };
    let at = seconds(fields, "time")?;
    Ok(Fault { kind, at, lasts: seconds(fields, "lasts")? })
}

fn seconds(fields: &Fields, key: &str) -> Result<Micros, ScenarioError> {
    Ok(Micros((fields.number(key, 0.0..=LATEST_SECONDS)? * 1e6).round() as u64))
}

fn milliseconds(fields: &Fields, key: &str) -> Result<Micros, ScenarioError> {
    Ok(Micros((fields.number(key, 0.0..=LONGEST_DELAY_MS)? * 1e3).round() as u64))
}

/// `"leader"` or a rank.
fn whom(fields: &Fields, replicas: usize) -> Result<Whom, ScenarioError> {
    match fields.value("replica") {
        Some(Value::String(name)) if name == "leader" => Ok(Whom::Leader),
        Some(Value::String(name)) => {
            let expected = "\"leader\" or a replica's rank";
            Err(fields.refuse("replica", not(expected, &Value::from(name.as_str()))))
        }
        _ => {
            let rank = fields.integer("replica", 0..=replicas as u64 - 1)?;
            Ok(Whom::Replica(Member(rank as u8)))
        }
    }
}

/// A list of ranks.
fn members(fields: &Fields, key: &str, replicas: usize) -> Result<MemberSet, ScenarioError> {
    let read = |value: &Value| {
        let rank = value.as_u64().filter(|rank| *rank < replicas as u64);
        let rule = || not(&format!("a list of ranks below {replicas}"), value);
        rank.map(|rank| Member(rank as u8)).ok_or_else(|| fields.refuse(key, rule()))
    };
    fields.list(key)?.iter().map(read).collect()
}

/// The fault as it stands in a scenario file.
pub(super) fn to_json(fault: &Fault) -> Value {
    let mut written = match fault.kind {
        FaultKind::Loss { fraction } => json!({ "fraction": fraction }),
        FaultKind::Delay { fraction, most } | FaultKind::Duplicates { fraction, most } => {
            json!({ "fraction": fraction, "most_ms": as_ms(most) })
        }
        FaultKind::Cut { from, to } => json!({ "from": ranks(from), "to": ranks(to) }),
        FaultKind::Split { side } => json!({ "side": ranks(side) }),
        FaultKind::Mute { whom } | FaultKind::Deaf { whom } | FaultKind::Pause { whom } => {
            json!({ "replica": as_whom(whom) })
        }
        FaultKind::Slow { whom, turn } => {
            json!({ "replica": as_whom(whom), "turn_ms": as_ms(turn) })
        }
        FaultKind::SmallSocket { whom, bytes } => {
            json!({ "replica": as_whom(whom), "bytes": bytes })
        }
    };
    written["type"] = json!(fault.kind.name());
    written["time"] = json!(fault.at.as_seconds());
    written["lasts"] = json!(fault.lasts.as_seconds());
    written
}

fn as_ms(time: Micros) -> f64 {
    time.0 as f64 / 1e3
}

fn as_whom(whom: Whom) -> Value {
    match whom {
        Whom::Leader => json!("leader"),
        Whom::Replica(member) => json!(member.0),
    }
}

fn ranks(members: MemberSet) -> Vec<u8> {
    members.iter().map(|member| member.0).collect()
}
