//! Messages one by one, for the space-time diagram.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::ledger::Closed;
use super::report::{SpaceTime, Traveller};
use super::words::why_words;
use crate::raft::{Kind, Why};
use crate::record::{Fate, MessageId};

/// The messages that `ledger` kept one by one, and the answers that clients got.
pub fn space_time(ledger: &Closed, answers: Vec<(u64, u8, bool)>) -> SpaceTime {
    let mut sorts: BTreeMap<(Kind, Why), u16> =
        ledger.ended.iter().map(|ended| ((ended.cell.kind, ended.cell.why), 0)).collect();
    sorts.values_mut().zip(0..).for_each(|(place, count)| *place = count);
    let mut places: FxHashMap<MessageId, u32> = FxHashMap::default();
    for (ended, place) in ledger.ended.iter().zip(0..) {
        let (from, to) = (ended.cell.from, ended.cell.to);
        places.insert(MessageId { from, number: ended.sending.number, to }, place);
    }
    let messages = ledger.ended.iter().map(|ended| {
        let (cell, sending) = (&ended.cell, &ended.sending);
        Traveller {
            sent_at_us: sending.at.0,
            from: cell.from.0,
            to: cell.to.0,
            ended_at_us: ended.last_seen_at.0,
            lost: !cell.fate.is_received(),
            cause: cell.why.cause() as u8,
            sort: sorts.get(&(cell.kind, cell.why)).copied().unwrap_or_default(),
            fate: Fate::ALL.iter().position(|fate| *fate == cell.fate).unwrap_or_default() as u8,
            term: sending.term,
            first: sending.first,
            entries: sending.entries,
            before: ended.before.and_then(|id| places.get(&id).copied()),
        }
    });
    let messages = messages.collect();
    let sort = |(kind, why): (Kind, Why)| (kind.name(), why_words(why), why.form().name());
    let sorts = sorts.into_keys().map(sort).collect();
    SpaceTime { sorts, messages, answers, left_out: ledger.left_out }
}
