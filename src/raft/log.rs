//! The replicated log in memory.

use std::sync::Arc;

use super::message::{Hint, Position};
use super::types::{Entry, Index, Term};

/// Most bytes that an encoding may add to an entry's command: a term of 20 digits, brackets,
/// commas, and a word for the empty command.
pub const ENTRY_FRAMING_BYTES: usize = 28;

/// The log: entries from index 1 on. None is ever discarded (no compaction).
#[derive(Clone, Debug, Default, Hash)]
pub struct Log {
    entries: Vec<Entry>,
    /// Encoded bytes of all entries up to this one, for each entry; for cuts by size (rule R19).
    bytes_through: Vec<u64>,
}

impl Log {
    /// Index of the last entry; 0 if there is none.
    pub fn last_index(&self) -> Index {
        self.entries.len() as Index
    }

    /// Position of the last entry. Votes compare it (§5.4.1).
    pub fn last(&self) -> Position {
        let index = self.last_index();
        Position { term: self.term_at(index).unwrap_or(0), index }
    }

    /// Term at `index`: 0 at index 0, `None` beyond the end.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        match index {
            0 => Some(0),
            _ => self.entry(index).map(|entry| entry.term),
        }
    }

    /// Position of the entry at `index`, which must be in the log or 0.
    pub fn position(&self, index: Index) -> Position {
        Position { term: self.term_at(index).unwrap_or(0), index }
    }

    /// The entry at `index`.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        self.entries.get(index.checked_sub(1)? as usize)
    }

    /// Whether the log holds `position`.
    pub fn holds(&self, position: Position) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    /// Entries `first..=last`. Messages share them without copying.
    pub fn range(&self, first: Index, last: Index) -> Arc<[Entry]> {
        if first > last {
            return Arc::default();
        }
        Arc::from(&self.entries[first as usize - 1..last as usize])
    }

    /// Upper bound of the encoded bytes of entries `first..=last`.
    pub fn encoded_bytes(&self, first: Index, last: Index) -> u64 {
        self.through(last) - self.through(first - 1)
    }

    fn through(&self, index: Index) -> u64 {
        index.checked_sub(1).map_or(0, |place| self.bytes_through[place as usize])
    }

    /// The largest index up to `last` such that the entries from `first` to it fit in `most_bytes`.
    /// It is at least `first`, so that a single large entry passes.
    pub fn cut(&self, first: Index, last: Index, most_bytes: u64) -> Index {
        if self.encoded_bytes(first, last) <= most_bytes {
            return last;
        }
        let limit = self.through(first - 1) + most_bytes;
        let fitting = self.bytes_through[..last as usize].partition_point(|bytes| *bytes <= limit);
        (fitting as Index).max(first)
    }

    /// The first of the entries up to `last` that are at most so many, and that fit in
    /// `most_bytes`; `last` at least.
    pub fn back_from(&self, last: Index, most_entries: u64, most_bytes: u64) -> Index {
        let least = self.through(last).saturating_sub(most_bytes);
        // What lies before the first entry has so many bytes at least.
        let fits = self.bytes_through.partition_point(|bytes| *bytes < least);
        let before = if least == 0 { 0 } else { fits as Index + 1 };
        (before + 1).max((last + 1).saturating_sub(most_entries)).min(last)
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: Entry) {
        let bytes = (entry.command.len() + ENTRY_FRAMING_BYTES) as u64;
        self.bytes_through.push(self.through(self.last_index()) + bytes);
        self.entries.push(entry);
    }

    /// Drops the entries from `first` on; only at a conflict of terms (rule R12).
    pub fn truncate_from(&mut self, first: Index) {
        self.entries.truncate(first as usize - 1);
        self.bytes_through.truncate(first as usize - 1);
    }

    /// The hint for a leader whose append after index `refused` does not fit (§5.3).
    pub fn hint_below(&self, refused: Index) -> Hint {
        let last = refused.min(self.last_index());
        let Some(term) = self.term_at(last).filter(|_| last > 0) else {
            return Hint::default();
        };
        let first = self.entries[..last as usize].partition_point(|entry| entry.term < term);
        Hint { term, first: first as Index + 1, last }
    }

    /// The largest index at which this log certainly agrees with the log that gave `hint`: both
    /// hold an entry of the same term there (Log Matching). `None` if the hint shows no such index.
    pub fn agreement(&self, hint: Hint) -> Option<Index> {
        let last = hint.last.min(self.last_index());
        let upto = self.entries[..last as usize].partition_point(|entry| entry.term <= hint.term);
        let index = upto as Index;
        let agrees = index >= hint.first && self.term_at(index) == Some(hint.term);
        (agrees || hint.last == 0).then_some(index)
    }

    /// All entries, for the invariants and the tests.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[Term]) -> Log {
        let mut log = Log::default();
        for term in terms {
            log.push(Entry { term: *term, command: Arc::from([7u8; 10]) });
        }
        log
    }

    #[test]
    fn a_hint_names_the_conflicting_term_and_its_first_index() {
        let hint = log(&[1, 1, 2, 2, 2]).hint_below(4);
        assert_eq!(hint, Hint { term: 2, first: 3, last: 4 });
        assert_eq!(log(&[1, 1]).hint_below(9), Hint { term: 1, first: 1, last: 2 });
        assert_eq!(log(&[]).hint_below(9), Hint::default());
    }

    #[test]
    fn agreement_is_found_where_both_hold_the_same_term() {
        let leader = log(&[1, 1, 1, 3, 3]);
        assert_eq!(leader.agreement(Hint { term: 1, first: 1, last: 2 }), Some(2));
        assert_eq!(leader.agreement(Hint { term: 1, first: 2, last: 5 }), Some(3));
        assert_eq!(leader.agreement(Hint { term: 2, first: 3, last: 5 }), None);
        assert_eq!(leader.agreement(Hint { term: 1, first: 4, last: 5 }), None);
        assert_eq!(leader.agreement(Hint::default()), Some(0));
    }

    #[test]
    fn a_cut_keeps_to_the_bytes_but_lets_one_entry_pass() {
        let log = log(&[1; 10]);
        let each = (10 + ENTRY_FRAMING_BYTES) as u64;
        assert_eq!(log.cut(1, 10, each * 3), 3);
        assert_eq!(log.cut(4, 10, each * 3 + 1), 6);
        assert_eq!(log.cut(4, 10, 1), 4);
        assert_eq!(log.cut(4, 10, 1 << 20), 10);
    }

    #[test]
    fn what_reaches_back_has_as_many_entries_and_bytes_as_are_allowed() {
        let ten = log(&[1; 10]);
        let each = (10 + ENTRY_FRAMING_BYTES) as u64;
        assert_eq!(ten.back_from(10, 4, 1 << 20), 7);
        assert_eq!(ten.back_from(3, 4, 1 << 20), 1);
        assert_eq!(ten.back_from(10, 100, each * 3), 8);
        assert_eq!(ten.back_from(10, 100, each * 3 - 1), 9);
        assert_eq!(ten.back_from(10, 100, each * 10), 1);
        assert_eq!(ten.back_from(10, 100, 1), 10, "the last one at least");
        assert_eq!(log(&[1]).back_from(1, 1, 0), 1);
    }

    #[test]
    fn before_the_first_entry_everyone_agrees() {
        let log = log(&[3]);
        assert_eq!([log.term_at(0), log.term_at(1), log.term_at(2)], [Some(0), Some(3), None]);
        assert!(log.holds(Position { term: 0, index: 0 }));
    }

    #[test]
    fn entries_together_have_the_bytes_of_each() {
        let mut log = Log::default();
        for length in [10, 20, 40] {
            log.push(Entry { term: 1, command: Arc::from(vec![7u8; length]) });
        }
        let each: Vec<u64> = (1..4).map(|index| log.encoded_bytes(index, index)).collect();
        let framing = ENTRY_FRAMING_BYTES as u64;
        assert_eq!(each, [10 + framing, 20 + framing, 40 + framing]);
        assert_eq!(log.encoded_bytes(2, 3), each[1] + each[2]);
        assert_eq!(log.encoded_bytes(1, 3), each.iter().sum::<u64>());
    }
}
