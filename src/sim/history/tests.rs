//! Classic bad histories by name, agreement with a brute-force check, and the size of history that
//! must be judged within a second.

use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::interface::Address;
use crate::raft::Micros;
use crate::record::AnswerKind;

const OK: Option<AnswerKind> = Some(AnswerKind::Ok);

/// An operation by client 16, from millisecond `from` to `to`. `ending` is `None` if unanswered.
fn operation(
    mid: &str,
    action: Action,
    from: u64,
    to: u64,
    ending: Option<AnswerKind>,
) -> ClientOperation {
    ClientOperation {
        client: Address(16),
        mid: mid.into(),
        key: "K".into(),
        action,
        invoked_at: Micros::from_millis(from),
        answered: ending.map(|ending| (Micros::from_millis(to), ending)),
    }
}

fn put(mid: &str, value: &str, from: u64, to: u64) -> ClientOperation {
    operation(mid, Action::Put { value: value.into() }, from, to, OK)
}

fn get(mid: &str, value: &str, from: u64, to: u64) -> ClientOperation {
    operation(mid, Action::Get { value: Some(value.into()) }, from, to, OK)
}

/// The only fault of a history.
fn fault(operations: &[ClientOperation]) -> Fault {
    let verdict = judge(operations);
    assert_eq!(verdict.faults.len(), 1, "{verdict}");
    verdict.faults[0].1.clone()
}

#[test]
fn a_stale_read_is_found() {
    let history = [put("P1", "a", 0, 10), put("P2", "b", 20, 30), get("G1", "a", 40, 50)];
    assert_eq!(
        fault(&history).to_string(),
        "get G1 of \"a\" (client 0010, 0.040000 to 0.050000) read \
         put P1 of \"a\" (client 0010, 0.000000 to 0.010000), overwritten by \
         put P2 of \"b\" (client 0010, 0.020000 to 0.030000)"
    );
}

#[test]
fn a_lost_write_is_found() {
    let history = [put("P1", "a", 0, 10), get("G1", "", 20, 30)];
    let (overwriter, get) = (history[0].clone(), history[1].clone());
    assert_eq!(fault(&history), Fault::Overwritten { put: None, overwriter, get });
}

#[test]
fn reads_that_go_back_in_time_are_found() {
    let history = [
        put("P1", "a", 0, 10),
        put("P2", "b", 20, 90),
        get("G1", "b", 30, 40),
        get("G2", "a", 50, 60),
    ];
    let Fault::Stuck { explained, last, next } = fault(&history) else { panic!("not stuck") };
    assert_eq!((explained, &last[..]), (1, &history[..1]));
    assert_eq!(next, history[2]);
}

#[test]
fn a_read_of_a_value_never_put_is_found() {
    let history = [put("P1", "a", 0, 10), get("G1", "x", 20, 30)];
    assert_eq!(fault(&history), Fault::NeverWritten { get: history[1].clone() });
    let history = [get("G1", "a", 0, 5), put("P1", "a", 10, 20)];
    assert_eq!(fault(&history), Fault::NeverWritten { get: history[0].clone() });
}

#[test]
fn a_stale_read_among_repeated_values_is_found() {
    let mut history = vec![
        put("P1", "a", 0, 10),
        put("P2", "a", 20, 30),
        put("P3", "b", 40, 50),
        get("G1", "a", 60, 70),
    ];
    let (stale, overwriter, get) = (history[1].clone(), history[2].clone(), history[3].clone());
    assert_eq!(fault(&history), Fault::Overwritten { put: Some(stale), overwriter, get });
    history.push(put("P4", "a", 51, 90));
    assert!(judge(&history).is_linearizable());
}

#[test]
fn r01_a_read_of_a_redirected_put_is_reported_apart() {
    for ending in [AnswerKind::Redirect, AnswerKind::Fail] {
        let mut history = vec![
            put("P1", "a", 0, 10),
            operation("P2", Action::Put { value: "b".into() }, 20, 30, Some(ending)),
            get("G1", "b", 40, 50),
        ];
        let expected =
            Fault::RefusedTookEffect { put: history[1].clone(), get: history[2].clone() };
        assert_eq!(fault(&history), expected);
        // The same put sent again, and answered, explains the read.
        history.push(put("P3", "b", 31, 39));
        assert!(judge(&history).is_linearizable());
        // It does not if it was sent again only after the read.
        history[3] = put("P3", "b", 60, 70);
        assert_eq!(fault(&history), expected);
    }
}

#[test]
fn an_unanswered_put_takes_effect_at_any_time_or_never() {
    let lost = operation("P2", Action::Put { value: "b".into() }, 20, 0, None);
    let never = [put("P1", "a", 0, 10), lost.clone(), get("G1", "a", 40, 50)];
    assert!(judge(&never).is_linearizable());
    let late = [&never[..], &[get("G2", "b", 60, 70)]].concat();
    assert!(judge(&late).is_linearizable());
    let twice = [&late[..], &[get("G3", "a", 80, 90)]].concat();
    assert!(matches!(fault(&twice), Fault::Stuck { .. }));
    let early = [put("P1", "a", 0, 10), get("G1", "b", 11, 19), lost];
    assert!(matches!(fault(&early), Fault::NeverWritten { .. }));
}

#[test]
fn keys_are_judged_apart_and_reported_in_order() {
    let on =
        |key: &str, operation: ClientOperation| ClientOperation { key: key.into(), ..operation };
    let history = [
        on("Z", get("G1", "x", 0, 10)),
        on("A", get("G2", "x", 0, 10)),
        on("M", put("P1", "x", 0, 10)),
    ];
    let verdict = judge(&history);
    let keys: Vec<&str> = verdict.faults.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["A", "Z"]);
    assert_eq!(verdict.to_string().lines().count(), 2);
}

/// The result in a form in which brute force and the checker can be compared.
#[derive(Debug, PartialEq, Eq)]
enum Class {
    Good,
    RefusedTookEffect,
    Bad,
}

fn class(operations: &[ClientOperation]) -> Class {
    match judge(operations).faults.first() {
        None => Class::Good,
        Some((_, Fault::RefusedTookEffect { .. })) => Class::RefusedTookEffect,
        Some((_, Fault::Undecided { .. })) => panic!("a small history is always decided"),
        Some(_) => Class::Bad,
    }
}

fn class_by_brute_force(operations: &[ClientOperation]) -> Class {
    let ok = |operation: &&ClientOperation| matches!(operation.answered, Some((_, AnswerKind::Ok)));
    let is_put = |operation: &&ClientOperation| matches!(operation.action, Action::Put { .. });
    let (required, rest): (Vec<&ClientOperation>, Vec<&ClientOperation>) =
        operations.iter().partition(ok);
    let puts = rest.into_iter().filter(is_put);
    let (unanswered, refused): (Vec<_>, Vec<_>) = puts.partition(|put| put.answered.is_none());
    if some_choice_has_an_order(&required, &unanswered) {
        return Class::Good;
    }
    let optional = [unanswered, refused].concat();
    if some_choice_has_an_order(&required, &optional) {
        Class::RefusedTookEffect
    } else {
        Class::Bad
    }
}

/// Whether the required operations, with some of the optional ones, have an order that explains
/// them. Tries all subsets and all permutations.
fn some_choice_has_an_order(required: &[&ClientOperation], optional: &[&ClientOperation]) -> bool {
    (0..1_u32 << optional.len()).any(|chosen| {
        let mut operations = required.to_vec();
        let taken = optional.iter().enumerate().filter(|(bit, _)| chosen & (1 << bit) != 0);
        operations.extend(taken.map(|(_, operation)| *operation));
        some_permutation_explains(&mut operations, 0)
    })
}

fn some_permutation_explains(operations: &mut [&ClientOperation], fixed: usize) -> bool {
    if fixed == operations.len() {
        return explains(operations);
    }
    (fixed..operations.len()).any(|next| {
        operations.swap(fixed, next);
        let found = some_permutation_explains(operations, fixed + 1);
        operations.swap(fixed, next);
        found
    })
}

fn explains(order: &[&ClientOperation]) -> bool {
    let mut held = "";
    for (index, operation) in order.iter().enumerate() {
        match &operation.action {
            Action::Put { value } => held = value,
            Action::Get { value } if value.as_deref() != Some(held) => return false,
            Action::Get { .. } => {}
        }
        let ended_before = |later: &&ClientOperation| match later.answered {
            Some((at, AnswerKind::Ok)) => at < operation.invoked_at,
            _ => false,
        };
        if order[index + 1..].iter().any(ended_before) {
            return false;
        }
    }
    true
}

/// The parameters of a random history.
struct Shape {
    operations: usize,
    clients: usize,
    /// Number of values that are put in turn; `None`: each put has its own value.
    values: Option<usize>,
    /// Percentages: of puts, of puts without an answer, of puts refused.
    puts: u32,
    unanswered: u32,
    refused: u32,
}

/// The history of a correct register: each operation takes effect at one moment, and clients wait
/// for their answers. Refused puts never take effect, and half of the unanswered ones do.
fn correct_history(shape: &Shape, random: &mut Pcg64Mcg) -> Vec<ClientOperation> {
    let mut free_at = vec![0_u64; shape.clients];
    let mut history = Vec::new();
    for number in 0..shape.operations {
        let client = random.random_range(0..shape.clients);
        let from = free_at[client] + random.random_range(0..5);
        let effect = from + random.random_range(0..20);
        let to = effect + random.random_range(0..20);
        free_at[client] = to;
        let text = shape.values.map_or(number, |values| random.random_range(0..values));
        let is_put = random.random_range(0..100) < shape.puts;
        let share = random.random_range(0..100);
        let ending = match is_put {
            true if share < shape.unanswered => None,
            true if share < shape.unanswered + shape.refused => Some(AnswerKind::Redirect),
            _ => OK,
        };
        let takes_effect = ending == OK || (ending.is_none() && random.random_bool(0.5));
        let action = if is_put {
            Action::Put { value: text.to_string().into() }
        } else {
            Action::Get { value: None }
        };
        let operation = operation(&format!("M{number}"), action, from, to, ending);
        history.push((effect, takes_effect, operation));
    }
    history.sort_by_key(|(effect, ..)| *effect);
    let mut held: Text = "".into();
    for (_, takes_effect, operation) in &mut history {
        match &mut operation.action {
            Action::Put { value } if *takes_effect => held = value.clone(),
            Action::Put { .. } => {}
            Action::Get { value } => *value = Some(held.clone()),
        }
    }
    history.into_iter().map(|(_, _, operation)| operation).collect()
}

/// Changes a random get so that it reads what a random other operation wrote or read.
fn spoil(history: &mut [ClientOperation], random: &mut Pcg64Mcg) {
    let source = random.random_range(0..history.len());
    let other = match &history[source].action {
        Action::Put { value } => Some(value.clone()),
        Action::Get { value } => value.clone(),
    };
    let gets: Vec<&mut Option<Text>> = history
        .iter_mut()
        .filter_map(|operation| match &mut operation.action {
            Action::Get { value } => Some(value),
            Action::Put { .. } => None,
        })
        .collect();
    let chosen = random.random_range(0..gets.len().max(1));
    if let Some(value) = gets.into_iter().nth(chosen) {
        *value = other;
    }
}

fn small_history(seed: u64) -> Vec<ClientOperation> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let shape = Shape {
        operations: random.random_range(3..=7),
        clients: random.random_range(1..=4),
        values: [None, Some(1), Some(2), Some(3)][random.random_range(0..4)],
        puts: 50,
        unanswered: 15,
        refused: 15,
    };
    let mut history = correct_history(&shape, &mut random);
    for _ in 0..random.random_range(0..4) {
        spoil(&mut history, &mut random);
    }
    history
}

#[test]
fn the_checker_agrees_with_brute_force_on_10_000_small_histories() {
    let (mut good, mut refused, mut bad, mut in_turn) = (0, 0, 0, 0);
    for seed in 0..10_000 {
        let history = small_history(seed);
        let expected = class_by_brute_force(&history);
        assert_eq!(class(&history), expected, "seed {seed}: {history:#?}");
        // The search alone says the same of those for which no search was needed.
        let operations: Vec<&ClientOperation> = history.iter().collect();
        assert_eq!(judge_key(&operations).is_none(), expected == Class::Good, "seed {seed}");
        in_turn += usize::from(not_in_turn(&history).is_empty());
        match expected {
            Class::Good => good += 1,
            Class::RefusedTookEffect => refused += 1,
            Class::Bad => bad += 1,
        }
    }
    println!("{good} good, {in_turn} of them in turn, {refused} of refused puts, {bad} bad");
    assert!(good > 2_000 && refused > 100 && bad > 1_000, "{good} {refused} {bad}");
    assert!(in_turn > 500 && in_turn + 500 < good, "{in_turn} of {good}");
}

#[test]
fn telling_writers_apart_changes_no_verdict() {
    let mut bad = 0;
    for seed in 0..2_000 {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let values = [None, Some(2), Some(5), Some(20)][random.random_range(0..4)];
        let shape =
            Shape { operations: 40, clients: 5, values, puts: 40, unanswered: 15, refused: 0 };
        let mut history = correct_history(&shape, &mut random);
        for _ in 0..seed % 3 {
            spoil(&mut history, &mut random);
        }
        let operations: Vec<&ClientOperation> = history.iter().collect();
        let register = Register::new(&operations, Refused::NeverTookEffect);
        let without = search::search(&register).is_ok();
        let with = order(&operations, Refused::NeverTookEffect).is_ok();
        assert_eq!(with, without, "seed {seed}");
        bad += usize::from(!with);
    }
    assert!((200..1_800).contains(&bad), "{bad}");
}

/// Judges a correct history, and then one with a read of a value overwritten long before. Prints
/// how long each took.
fn judge_long_history(name: &str, shape: &Shape) {
    let history = correct_history(shape, &mut Pcg64Mcg::seed_from_u64(1));
    let started = Instant::now();
    let verdict = judge(&history);
    println!("{name}, good: {:?}", started.elapsed());
    assert!(verdict.is_linearizable(), "{verdict}");

    let middle = history[history.len() / 2].invoked_at.0 / 1_000;
    let stale = [
        // A put just before an answered put, whose value nobody reads: this breaks nothing yet.
        ClientOperation { mid: "P1".into(), action: written("x"), ..some_put(&history).clone() },
        get("G1", "x", middle, middle + 10),
    ];
    judge_spoiled(&format!("{name}, stale read"), &history, &stale);
    let back_in_time = [
        put("P1", "x", middle, middle + 90),
        put("P2", "y", middle, middle + 90),
        get("G1", "x", middle + 1, middle + 2),
        get("G2", "y", middle + 3, middle + 4),
        get("G3", "x", middle + 5, middle + 6),
    ];
    judge_spoiled(&format!("{name}, reads back in time"), &history, &back_in_time);
}

fn written(value: &str) -> Action {
    Action::Put { value: value.into() }
}

/// An answered put early in a history.
fn some_put(history: &[ClientOperation]) -> &ClientOperation {
    let is_ok =
        |operation: &&ClientOperation| matches!(operation.answered, Some((_, AnswerKind::Ok)));
    let is_put = |operation: &&ClientOperation| matches!(operation.action, Action::Put { .. });
    history[history.len() / 10..].iter().filter(is_ok).find(is_put).unwrap()
}

fn judge_spoiled(name: &str, history: &[ClientOperation], extras: &[ClientOperation]) {
    let spoiled = [history, extras].concat();
    let started = Instant::now();
    let verdict = judge(&spoiled);
    println!("{name}: {:?}: {verdict}", started.elapsed());
    assert_eq!(verdict.faults.len(), 1);
    assert!(!matches!(verdict.faults[0].1, Fault::Undecided { .. }), "{verdict}");
}

const LONG: Shape =
    Shape { operations: 50_000, clients: 8, values: None, puts: 50, unanswered: 0, refused: 5 };

#[test]
fn fifty_thousand_operations_on_one_key_are_judged() {
    judge_long_history("50,000 operations, single writers", &LONG);
    judge_long_history("50,000 operations, 20 values", &Shape { values: Some(20), ..LONG });
    judge_long_history("50,000 operations, 1,000 values", &Shape { values: Some(1_000), ..LONG });
}

#[test]
fn hundreds_of_unanswered_puts_do_not_blow_up() {
    let shape = Shape { operations: 5_000, unanswered: 12, ..LONG };
    judge_long_history("300 unanswered, single writers", &shape);
    judge_long_history("300 unanswered, 1,000 values", &Shape { values: Some(1_000), ..shape });
    judge_long_history("300 unanswered, 20 values", &Shape { values: Some(20), ..shape });
}

#[test]
fn many_clients_at_once_are_judged() {
    let shape = Shape { operations: 5_000, clients: 60, ..LONG };
    judge_long_history("60 clients, single writers", &shape);
    judge_long_history("60 clients, 1,000 values", &Shape { values: Some(1_000), ..shape });
}
