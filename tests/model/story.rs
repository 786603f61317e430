//! A way through the states, told in lines.

use laconic::raft::{Event, Message, Output};

use crate::bounds::Bounds;
use crate::model::{Action, Next, Sights, State};

/// Goes the way again from the first state, and tells each action and what came of it.
pub fn tell(bounds: &Bounds, actions: &[Action]) -> Vec<String> {
    let mut state = State::first(bounds);
    let mut sights = Sights::default();
    let mut lines = Vec::new();
    for (action, number) in actions.iter().zip(1..) {
        let what = told(&state, *action);
        let next = state.after(bounds, *action, &mut sights);
        let came: Vec<String> = sights.outputs.iter().filter_map(|(_, out)| came(out)).collect();
        lines.push(format!("{number:3}. {what} -> {}", came.join("; ")));
        if let Next::State(next) = next {
            state = next;
        }
    }
    lines
}

fn told(state: &State, action: Action) -> String {
    match action {
        Action::Deliver(place) | Action::Repeat(place) => {
            let flight = &state.flights[usize::from(place)];
            let (from, to) = (flight.from.0, flight.to.0);
            let again = if matches!(action, Action::Repeat(_)) { " (a copy stays)" } else { "" };
            format!("{from} to {to}{again}: {}", brief(&flight.message))
        }
        Action::Timeout(rank) => format!("{rank} times out"),
        Action::Expire(rank) => format!("{rank}'s promise runs out"),
        Action::Wake(rank) => format!("{rank} wakes"),
        Action::Tick => "time passes".to_owned(),
        Action::Propose(rank) => format!("{rank} is asked to put"),
        Action::Read(rank) => format!("{rank} is asked to read"),
    }
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
