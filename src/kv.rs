//! The key-value store, and how a put is encoded as a command of the log.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::interface::{Address, Text};

/// A put in the log. It carries the client and the MID, so that any leader that commits it can
/// answer (rule R3). It is encoded as a JSON array of four strings. Datagrams embed these bytes as
/// they are, so a put is encoded once, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command<'a>(
    /// The client's ID: four hex digits.
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

    /// The bytes for the log.
    pub fn encode(&self) -> Arc<[u8]> {
        // Strings always encode. If they did not, the empty text, which no put has, is skipped when
        // applied.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Decodes the bytes of an entry. `None` for the empty entry of a new term, and for bytes that
    /// no replica of ours wrote.
    pub fn decode(bytes: &'a [u8]) -> Option<Command<'a>> {
        serde_json::from_slice(bytes).ok()
    }

    /// The ID of the client that sent the put.
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

    /// The key's new value.
    pub fn value(&self) -> &str {
        &self.3
    }
}

/// The store: the result of all committed puts.
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
