//! A store that answers every request at the moment in which it is sent. No replica can be better.
//! If even this store fails a check, the clients' random draws are the reason.

use rustc_hash::FxHashMap;

use super::course::incoming::{Content, Incoming, address_of};
use super::course::score::{Conclusion, GENERATION_CHECK};
use super::course::{Course, Effect};
use super::scenario::Scenario;
use crate::interface::{Address, Answer, Operation, Outcome, Request, Text};
use crate::raft::{Member, Micros};

/// Whether this seed generates so few gets that no replica passes.
pub fn fails_generation(scenario: &Scenario, seed: u64) -> bool {
    let conclusion = run(scenario, seed);
    conclusion.checks.iter().any(|check| check.name == GENERATION_CHECK && !check.passed)
}

/// Runs `scenario` against the ideal store.
pub fn run(scenario: &Scenario, seed: u64) -> Conclusion {
    let mut course = Course::new(scenario, seed);
    let mut effects = Vec::new();
    let mut store: FxHashMap<Text, Text> = FxHashMap::default();
    for rank in 0..scenario.replicas {
        let member = Member(rank as u8);
        let hello = say(member, Address::EVERYONE, Content::Hello);
        course.on_datagram(Micros(0), member, &Ok(hello), &mut effects);
    }
    while let Some(now) = course.next_due().filter(|_| !course.living().is_empty()) {
        course.fire_due(now, &mut effects);
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                if let Effect::Send { to, request } = effect {
                    let answer = answer(&mut store, request);
                    let arrived = say(to, answer.client, Content::Answer(answer));
                    course.on_datagram(now, to, &Ok(arrived), &mut effects);
                }
            }
        }
    }
    course.conclude(scenario.duration())
}

fn say(member: Member, destination: Address, content: Content) -> Incoming {
    let (source, leader) = (address_of(member), address_of(member));
    Incoming { source, destination, leader, content }
}

fn answer(store: &mut FxHashMap<Text, Text>, request: Request) -> Answer {
    let value = match request.operation {
        Operation::Get { key } => Some(store.get(&key).cloned().unwrap_or_default()),
        Operation::Put { key, value } => {
            store.insert(key, value);
            None
        }
    };
    Answer { client: request.client, mid: request.mid, outcome: Outcome::Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_passes_all_but_the_floor_on_traffic_and_fails_generation_on_few_seeds() {
        let scenario = Scenario::load("advanced-3").expect("an embedded scenario");
        let mut failing = 0;
        for seed in 1..=400 {
            let conclusion = run(&scenario, seed);
            assert_eq!(conclusion.counts.incorrect, 0);
            assert!(conclusion.unanswered.is_empty());
            failing += u64::from(fails_generation(&scenario, seed));
        }
        assert!((4..40).contains(&failing), "{failing} of 400");
    }
}
