//! What the simulator writes down about the datagrams it reads: the books (design §5, numbered
//! datagrams), messages by type, and its own records.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::raft::{Member, Micros};
use crate::record::{Fact, Fate, Record, RecordFile, RecordFileError, SIMULATOR, Sink};
use crate::sim::books::Account;
use crate::sim::course::{self, Effect};

/// The name of messages whose `type` is no string.
const NO_TYPE: &str = "(no type)";
/// Most letters of a type that are kept.
const MOST_LETTERS: usize = 40;

/// The ledger of a run.
pub(super) struct Ledger {
    /// By replica; stay empty of foreign ones, whose `n` means something else if anything.
    pub accounts: Vec<Account>,
    /// Messages by type.
    pub by_type: BTreeMap<String, u64>,
    numbered: bool,
    file: Option<RecordFile>,
}

/// The keys of a message between replicas that the ledger looks at.
#[derive(Default, Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
}

impl Ledger {
    /// An empty one, for `replicas` replicas whose messages are numbered or not.
    pub fn new(replicas: usize, numbered: bool) -> Ledger {
        let accounts = vec![Account::default(); replicas];
        Ledger { accounts, by_type: BTreeMap::new(), numbered, file: None }
    }

    /// Records go to `file` from now on.
    pub fn open(&mut self, file: RecordFile) {
        self.file = Some(file);
    }

    /// The datagram `bytes` of `from` has been counted as `messages`, and `effects` are its fate.
    pub fn on_routed(
        &mut self,
        now: Micros,
        from: Member,
        bytes: &[u8],
        messages: u64,
        effects: &[Effect],
    ) {
        let head: Head<'_> = serde_json::from_slice(bytes).unwrap_or_default();
        let number = head.n.and_then(|n| n.get().parse().ok()).filter(|_| self.numbered);
        if let Some(number) = number {
            self.accounts[from.rank()].read(number, messages);
        }
        *self.by_type.entry(kind_name(&head)).or_default() += messages;
        for effect in effects {
            let (to, fate) = match effect {
                Effect::Deliver { to } => (*to, Fate::Delivered),
                Effect::Lost { to, fate } => (*to, fate_of(*fate)),
                Effect::Send { .. } | Effect::Kill { .. } => continue,
            };
            let bytes = bytes.len() as u32;
            let number = number.unwrap_or(0);
            self.record(now, Fact::Routed { from, to, number, fate, bytes });
        }
    }

    /// `member` is no more.
    pub fn on_killed(&mut self, now: Micros, member: Member, by_itself: bool) {
        self.record(now, Fact::Killed { member, by_itself });
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> Result<(), RecordFileError> {
        self.file.as_mut().map_or(Ok(()), RecordFile::flush)
    }

    fn record(&mut self, at: Micros, fact: Fact) {
        self.file.record(Record { at, teller: SIMULATOR, fact });
    }
}

fn fate_of(fate: course::Fate) -> Fate {
    match fate {
        course::Fate::Dropped => Fate::Dropped,
        course::Fate::CutOff => Fate::CutOff,
        course::Fate::Dead => Fate::Dead,
    }
}

/// The message's type, fit for a line of print: a foreign replica may call it anything.
fn kind_name(head: &Head<'_>) -> String {
    let name: Option<String> = head.kind.and_then(|kind| serde_json::from_str(kind.get()).ok());
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    name.map_or(NO_TYPE.to_owned(), |name| name.chars().take(MOST_LETTERS).map(printable).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(ledger: &mut Ledger, text: &str, messages: u64) {
        ledger.on_routed(Micros(5), Member(1), text.as_bytes(), messages, &[]);
    }

    #[test]
    fn messages_are_told_apart_by_type_and_missed_by_number() {
        let mut ledger = Ledger::new(3, true);
        routed(&mut ledger, r#"{"type":"append","n":2}"#, 2);
        routed(&mut ledger, r#"{"type":"append","n":4}"#, 1);
        routed(&mut ledger, r#"{"type":"a b\n","n":"x"}"#, 1);
        routed(&mut ledger, r#"{"type":7}"#, 1);
        assert_eq!(ledger.accounts[1], Account { counted: 3, newest: 4, lost: 1 });
        let kinds: Vec<_> = ledger.by_type.iter().map(|(k, n)| (k.as_str(), *n)).collect();
        assert_eq!(kinds, [(NO_TYPE, 1), ("a?b?", 1), ("append", 3)]);
    }

    #[test]
    fn what_a_foreign_replica_calls_n_is_its_own_business() {
        let mut ledger = Ledger::new(3, false);
        routed(&mut ledger, r#"{"type":"append","n":9}"#, 1);
        assert_eq!(ledger.accounts[1], Account::default());
        assert_eq!(ledger.by_type["append"], 1);
    }
}
