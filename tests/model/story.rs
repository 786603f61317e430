//! A way through the states, told in lines.

use laconic::raft::{Event, Message, Output};

use crate::cluster::{Action, Cluster, Next, State};
use crate::node::Act;

/// Tells what happened from each of the states to the next, then `last`, and what came of it.
pub fn tell(cluster: &mut Cluster, states: &[State], last: Action) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, state) in states.iter().enumerate() {
        let action = match states.get(place + 1) {
            None => Some(last),
            Some(next) => between(cluster, state, next),
        };
        let told = action.map(|action| line(cluster, state, action));
        lines.push(format!("{:3}. {}", place + 1, told.unwrap_or_default()));
    }
    lines
}

/// The action that leads from one state to the next.
fn between(cluster: &mut Cluster, state: &State, next: &State) -> Option<Action> {
    let mut actions = Vec::new();
    cluster.actions(state, &mut actions);
    let leads_there = |action: &Action| match cluster.after(state, *action) {
        Next::State(other) => other == *next,
        _ => false,
    };
    actions.into_iter().find(leads_there)
}

fn line(cluster: &Cluster, state: &State, action: Action) -> String {
    let Action::At(rank, act) = action else {
        return "time passes".to_owned();
    };
    let letter = match act {
        Act::Deliver(number) => Some(cluster.letter(number)),
        _ => None,
    };
    let what = match (act, letter) {
        (_, Some(letter)) => format!("{} to {rank}: {}", letter.from.0, brief(&letter.message)),
        (Act::TimeOut, _) => format!("{rank} times out"),
        (Act::Expire, _) => format!("{rank}'s promise runs out"),
        (Act::Propose(_), _) => format!("{rank} is asked to put"),
        (Act::Read(_), _) => format!("{rank} is asked to read"),
        (Act::Wake | Act::Deliver(_), _) => format!("{rank} wakes"),
    };
    let node = cluster.nodes_of(state).nth(rank.into());
    let acted = node.map(|node| node.after(&cluster.bounds, act, letter));
    let came = match acted {
        Some(Ok(acted)) => acted.outputs.iter().filter_map(came).collect::<Vec<_>>().join("; "),
        _ => String::new(),
    };
    format!("{what} -> {came}")
}
/// What is worth telling of an output.
fn came(output: &Output) -> Option<String> {
    Some(match output {
        Output::Send { to, message, .. } => format!("sends {to:?} {}", brief(message)),
        Output::Event(Event::Committed { .. } | Event::BatchSent { .. }) => return None,
        Output::Event(event) => format!("{event:?}"),
        other => format!("{other:?}"),
    })
}

fn brief(message: &Message) -> String {
    match message {
        Message::Append(append) => {
            let terms: Vec<u64> = append.entries.iter().map(|entry| entry.term).collect();
            let (previous, round, term) = (append.previous, append.round, append.term);
            format!(
                "append of term {term}, round {round}, after {}.{}, terms {terms:?}, commit {}",
                previous.term, previous.index, append.commit
            )
        }
        Message::AppendReply(reply) => {
            let yes = if reply.refusal.is_none() { "holds" } else { "refuses" };
            let (round, through) = (reply.round, reply.through);
            format!("{yes} round {round} of term {}, through {through}", reply.term)
        }
        other => format!("{other:?}"),
    }
}
