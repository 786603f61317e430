//! What the simulator logs about the datagrams that it reads: the books (design §5, numbered
//! datagrams), messages by type, and its own records.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::archive::{RecordFile, RecordFileError};
use crate::raft::{Member, MemberSet, Micros};
use crate::record::{Fact, Fate, Record, SIMULATOR, Sink};
use crate::sim::books::Account;
use crate::sim::course::Effect;

/// The name for messages whose `type` is not a string.
const NO_TYPE: &str = "(no type)";
/// How many characters of a type are kept.
const MOST_LETTERS: usize = 40;

/// The log of a run's traffic.
pub(super) struct TrafficLog {
    /// The accounts, by replica. They stay empty for foreign replicas, whose `n` may mean something
    /// else.
    pub accounts: Vec<Account>,
    /// Messages by type.
    pub by_type: BTreeMap<String, u64>,
    numbered: bool,
    file: Option<RecordFile>,
}

/// The keys of a message between replicas that the log uses.
#[derive(Default, Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
}

impl TrafficLog {
    /// An empty log for `replicas` replicas; `numbered` says whether their messages have numbers.
    pub fn new(replicas: usize, numbered: bool) -> TrafficLog {
        let accounts = vec![Account::default(); replicas];
        TrafficLog { accounts, by_type: BTreeMap::new(), numbered, file: None }
    }

    /// Writes records to `file` from now on.
    pub fn open(&mut self, file: RecordFile) {
        self.file = Some(file);
    }

    /// Logs that the datagram `bytes` of `from` was counted as `messages`, that `effects` are its
    /// fate, and that the full sockets of `blocked` refused it.
    pub fn on_routed(
        &mut self,
        now: Micros,
        from: Member,
        bytes: &[u8],
        messages: u64,
        effects: &[Effect],
        blocked: MemberSet,
    ) {
        let head: Head<'_> = serde_json::from_slice(bytes).unwrap_or_default();
        let number = head.n.and_then(|n| n.get().parse().ok()).filter(|_| self.numbered);
        if let Some(number) = number {
            self.accounts[from.rank()].read(number, messages);
        }
        *self.by_type.entry(kind_name(&head)).or_default() += messages;
        for effect in effects {
            let (to, fate) = match effect {
                Effect::Deliver { to } if blocked.contains(*to) => (*to, Fate::Blocked),
                Effect::Deliver { to } => (*to, Fate::Delivered),
                Effect::Lost { to, reason } => (*to, (*reason).into()),
                Effect::Send { .. } | Effect::Kill { .. } => continue,
            };
            let bytes = bytes.len() as u32;
            let number = number.unwrap_or(0);
            self.record(now, Fact::Routed { from, to, number, fate, bytes });
        }
    }

    /// Logs that `member` ended.
    pub fn on_killed(&mut self, now: Micros, member: Member, by_itself: bool) {
        self.record(now, Fact::Killed { member, by_itself });
    }

    /// Logs that a partition with this majority side begins, or that it ends.
    pub fn on_partitioned(&mut self, now: Micros, majority: Option<MemberSet>) {
        let majority = majority.unwrap_or_default();
        self.record(now, Fact::Partitioned { majority });
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> Result<(), RecordFileError> {
        self.file.as_mut().map_or(Ok(()), RecordFile::flush)
    }

    fn record(&mut self, at: Micros, fact: Fact) {
        self.file.record(&Record { at, source: SIMULATOR, fact });
    }
}

/// The message's type, fit for printing: in a foreign replica's messages it can be any text.
fn kind_name(head: &Head<'_>) -> String {
    let name: Option<String> = head.kind.and_then(|kind| serde_json::from_str(kind.get()).ok());
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    name.map_or(NO_TYPE.to_owned(), |name| name.chars().take(MOST_LETTERS).map(printable).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{FileHeader, read_records};

    fn routed(ledger: &mut TrafficLog, text: &str, messages: u64) {
        ledger.on_routed(Micros(5), Member(1), text.as_bytes(), messages, &[], MemberSet::EMPTY);
    }

    #[test]
    fn messages_are_told_apart_by_type_and_missed_by_number() {
        let mut ledger = TrafficLog::new(3, true);
        routed(&mut ledger, r#"{"type":"append","n":2}"#, 2);
        routed(&mut ledger, r#"{"type":"append","n":4}"#, 1);
        routed(&mut ledger, r#"{"type":"a b\n","n":"x"}"#, 1);
        routed(&mut ledger, r#"{"type":7}"#, 1);
        assert_eq!(ledger.accounts[1], Account { counted: 3, newest: 4, lost: 1 });
        let kinds: Vec<_> = ledger.by_type.iter().map(|(k, n)| (k.as_str(), *n)).collect();
        assert_eq!(kinds, [(NO_TYPE, 1), ("a?b?", 1), ("append", 3)]);
    }

    #[test]
    fn a_refused_delivery_is_recorded_as_blocked_and_a_partition_by_its_majority_side() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("simulator.bin");
        let header = FileHeader { source: SIMULATOR, clock_start_us: 0 };
        let mut ledger = TrafficLog::new(3, true);
        ledger.open(RecordFile::create(&path, header).unwrap());
        let text = br#"{"type":"append","n":1}"#;
        let effects = [Effect::Deliver { to: Member(0) }, Effect::Deliver { to: Member(2) }];
        let blocked = MemberSet::only(Member(2));
        ledger.on_routed(Micros(5), Member(1), text, 2, &effects, blocked);
        ledger.on_partitioned(Micros(6), Some(MemberSet(0b110)));
        ledger.on_partitioned(Micros(7), None);
        ledger.flush().unwrap();
        let facts: Vec<_> = read_records(&path).unwrap().records.iter().map(|r| r.fact).collect();
        let bytes = text.len() as u32;
        let routed = |to, fate| Fact::Routed { from: Member(1), to, number: 1, fate, bytes };
        let wanted = [
            routed(Member(0), Fate::Delivered),
            routed(Member(2), Fate::Blocked),
            Fact::Partitioned { majority: MemberSet(0b110) },
            Fact::Partitioned { majority: MemberSet::EMPTY },
        ];
        assert_eq!(facts, wanted);
    }

    #[test]
    fn what_a_foreign_replica_calls_n_is_its_own_business() {
        let mut ledger = TrafficLog::new(3, false);
        routed(&mut ledger, r#"{"type":"append","n":9}"#, 1);
        assert_eq!(ledger.accounts[1], Account::default());
        assert_eq!(ledger.by_type["append"], 1);
    }
}
