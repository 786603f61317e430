//! The key-value store, and how a put is written down as a command of the log.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::interface::{Address, Text};

/// A put as the log holds it. It carries who asked and under which MID, so that whoever commits it
/// can answer (rule R3). Written down as a JSON array of four strings, which datagrams embed as it
/// is: one encoding a put, however often it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command<'a>(
    /// The client's ID, four hex digits.
    #[serde(borrow)]
    Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
);

impl<'a> Command<'a> {
    /// A put of `value` for `key`.
    pub fn put(client: Address, mid: &'a str, key: &'a str, value: &'a str) -> Command<'a> {
        Command(client.to_string().into(), mid.into(), key.into(), value.into())
    }

    /// The bytes that the log holds.
    pub fn encode(&self) -> Arc<[u8]> {
        // Strings always encode; the empty text, which no put has, would be skipped when applied.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// What the bytes of an entry say; `None` for the empty entry of a new term, and for what no
    /// replica of ours has written.
    pub fn decode(bytes: &'a [u8]) -> Option<Command<'a>> {
        serde_json::from_slice(bytes).ok()
    }

    /// Who asked.
    pub fn client(&self) -> Option<Address> {
        self.0.parse().ok()
    }

    /// The request's MID.
    pub fn mid(&self) -> &str {
        &self.1
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.2
    }

    /// Its new value.
    pub fn value(&self) -> &str {
        &self.3
    }
}

/// The store: what all committed puts amount to.
#[derive(Clone, Debug, Default)]
pub struct Store {
    values: FxHashMap<Text, Text>,
}

impl Store {
    /// The value of `key`; empty if it was never put (interface §2).
    pub fn get(&self, key: &str) -> Text {
        self.values.get(key).cloned().unwrap_or_default()
    }

    /// Applies a committed put.
    pub fn apply(&mut self, command: &Command<'_>) {
        match self.values.get_mut(command.key()) {
            Some(value) => *value = command.value().into(),
            None => {
                self.values.insert(command.key().into(), command.value().into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_its_encoding_whatever_the_text() {
        for text in ["", "plain", "quote\" and \\", "tab\t\u{1}", "\u{1F600} e\u{301}"] {
            let command = Command::put(Address(0x0AF1), text, text, text);
            let bytes = command.encode();
            assert_eq!(Command::decode(&bytes), Some(command));
        }
        assert_eq!(Command::decode(b""), None);
        assert_eq!(Command::decode(b"[1,2]"), None);
    }

    #[test]
    fn a_key_never_put_reads_as_the_empty_text_and_the_last_put_wins() {
        let mut store = Store::default();
        assert_eq!(&*store.get("k"), "");
        store.apply(&Command::put(Address(1), "m", "k", "one"));
        store.apply(&Command::put(Address(1), "n", "k", "two"));
        assert_eq!(&*store.get("k"), "two");
    }
}
