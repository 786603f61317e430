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
        Command::plain(bytes).or_else(|| serde_json::from_slice(bytes).ok())
    }

    /// Decodes a command as `encode` writes it if nothing in it is escaped: then its strings stand
    /// between quotes as they are. Every replica decodes every put.
    fn plain(bytes: &'a [u8]) -> Option<Command<'a>> {
        let is_escaped = |byte: u8| byte == b'\\' || byte < b' ';
        if bytes.iter().fold(false, |found, byte| found | is_escaped(*byte)) {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?.strip_prefix('[')?.strip_suffix(']')?;
        let mut quotes = memchr::memchr_iter(b'"', text.as_bytes());
        let mut next = 0;
        let mut string = || {
            let (start, end) = (quotes.next()?, quotes.next()?);
            let follows = start == next && (start == 0 || text.as_bytes()[start - 1] == b',');
            next = end + 2;
            text.get(start + 1..end).filter(|_| follows).map(Cow::Borrowed)
        };
        let command = Command(string()?, string()?, string()?, string()?);
        (next == text.len() + 1).then_some(command)
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

/// The value of a key. The log keeps every command, so a value that stands at the end of one is not
/// copied.
#[derive(Clone, Debug)]
enum Value {
    /// So many bytes before the last two bytes of a command.
    OfCommand(Arc<[u8]>, usize),
    /// A text of its own.
    Own(Text),
}

/// The end of a command: a quote and a bracket.
const COMMAND_END: usize = 2;

impl Value {
    /// `value`, which is that of the command that `bytes` encode.
    fn of(bytes: &Arc<[u8]>, value: &str) -> Value {
        let rest = bytes.len().checked_sub(COMMAND_END).and_then(|end| bytes.get(..end));
        if rest.is_some_and(|rest| rest.ends_with(value.as_bytes())) {
            Value::OfCommand(bytes.clone(), value.len())
        } else {
            Value::Own(value.into())
        }
    }

    fn text(&self) -> Text {
        match self {
            Value::Own(text) => text.clone(),
            Value::OfCommand(bytes, length) => {
                let end = bytes.len() - COMMAND_END;
                // A text was found there, so there is one.
                std::str::from_utf8(&bytes[end - length..end]).unwrap_or_default().into()
            }
        }
    }
}

/// The store: the result of all committed puts.
#[derive(Clone, Debug, Default)]
pub struct Store {
    values: FxHashMap<Text, Value>,
}

impl Store {
    /// The value of `key`; empty if it was never put (interface §2).
    pub fn get(&self, key: &str) -> Text {
        self.values.get(key).map(Value::text).unwrap_or_default()
    }

    /// Applies a committed put, which `bytes` encode.
    pub fn apply(&mut self, command: &Command<'_>, bytes: &Arc<[u8]>) {
        let value = Value::of(bytes, command.value());
        match self.values.get_mut(command.key()) {
            Some(place) => *place = value,
            None => {
                self.values.insert(command.key().into(), value);
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
        for bytes in ["", "[1,2]", "[]", "[\"a\",\"b\",\"c\"]", "[\"a\",\"b\",\"c\",\"d\",\"e\"]"] {
            assert_eq!(Command::decode(bytes.as_bytes()), None, "{bytes}");
        }
    }

    /// What needs no JSON reader is decoded to what a JSON reader makes of it, and to nothing where
    /// that finds nothing.
    #[test]
    fn a_plain_command_is_decoded_as_any_other() {
        let parts = ["", "a", ",", "\"", "\",\"", "[\"", "\"]", "\\", " ", "\u{7f}", "\u{1}", "é"];
        let mut plain = 0;
        for (one, other) in parts.iter().flat_map(|one| parts.map(|other| (*one, other))) {
            for text in [
                format!("[\"{one}\",\"b\",\"{other}\",\"d\"]"),
                format!("{one}[\"a\",\"b\",\"c\"{other},\"d\"]"),
                format!("[\"a\",{one}\"b\",\"c\",\"d\"]{other}"),
            ] {
                let by_json: Option<Command<'_>> = serde_json::from_str(&text).ok();
                assert_eq!(Command::decode(text.as_bytes()), by_json, "{text}");
                plain += usize::from(Command::plain(text.as_bytes()).is_some());
            }
        }
        assert!(plain > 20, "{plain}");
    }

    #[test]
    fn a_key_never_put_reads_as_the_empty_text_and_the_last_put_wins() {
        let mut store = Store::default();
        assert_eq!(&*store.get("k"), "");
        for value in ["one", "tab\t and \\", "", "two"] {
            let command = Command::put(Address(1), "m", "k", value);
            store.apply(&command, &command.encode());
            assert_eq!(&*store.get("k"), value);
        }
    }
}
