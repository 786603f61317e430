//! `history.jsonl`: what the clients of a kept run asked and were answered, one line for each
//! request.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::record::ClientRequest;

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file system reported an error.
    #[error("{path}: {source}")]
    Io {
        /// The file's path.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// A line is not a line of a history.
    #[error("{path}: line {line}: {reason}")]
    Malformed {
        /// The file's path.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads `folder/history.jsonl`, in the order in which requests were sent.
///
/// # Errors
/// If the file cannot be read, or at the first line that is no attempt.
pub fn read_history(folder: &Path) -> Result<Vec<ClientRequest>, HistoryError> {
    let path = folder.join("history.jsonl");
    let io = |source| HistoryError::Io { path: path.clone(), source };
    let lines = BufReader::new(File::open(&path).map_err(io)?).lines();
    let read = |(line, text): (usize, io::Result<String>)| {
        let malformed = |error: serde_json::Error| {
            let reason = error.to_string();
            HistoryError::Malformed { path: path.clone(), line, reason }
        };
        serde_json::from_str(&text.map_err(io)?).map_err(malformed)
    };
    (1..).zip(lines).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::{Address, OperationKind};
    use crate::raft::Micros;
    use crate::record::AnswerKind;

    fn request() -> ClientRequest {
        ClientRequest {
            client: Address(0x15),
            mid: "m \"1\"".into(),
            request: 0xAB,
            operation: OperationKind::Get,
            key: "k".into(),
            value: Some("v".into()),
            invoked_at_us: 7,
            answered_at_us: Some(9),
            answer: Some(AnswerKind::Redirect),
        }
    }

    #[test]
    fn a_history_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let silent = ClientRequest { answered_at_us: None, answer: None, value: None, ..request() };
        let all = [request(), silent];
        let lines: String = all.iter().map(|request| request.json_line() + "\n").collect();
        let first = lines.lines().next().unwrap();
        assert_eq!(
            first,
            r#"{"client":"0015","mid":"m \"1\"","request":"00000000000000ab","operation":"get","#
                .to_owned()
                + r#""key":"k","value":"v","invoked_at_us":7,"#
                + r#""answered_at_us":9,"answer":"redirect"}"#
        );
        std::fs::write(folder.path().join("history.jsonl"), &lines).unwrap();
        assert_eq!(read_history(folder.path()).unwrap(), all);
        assert_eq!(all[0].answered(), Some((Micros(9), AnswerKind::Redirect)));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read_history(folder.path()).unwrap_err().to_string();
        assert!(missing.contains("history.jsonl: No such file"), "{missing}");
        let good = request().json_line();
        for (from, to, words) in [
            ("\"0015\"", "\"15\"", "an ID is four hex digits"),
            ("00ab", "00xy", "\"00000000000000xy\" is no hexadecimal number"),
            ("redirect", "shrug", "unknown variant `shrug`"),
            ("\"get\"", "\"cas\"", "unknown variant `cas`"),
            ("\"key\":\"k\",", "", "missing field `key`"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            std::fs::write(folder.path().join("history.jsonl"), format!("{good}\n{bad}\n"))
                .unwrap();
            let error = read_history(folder.path()).unwrap_err().to_string();
            assert!(error.contains("history.jsonl: line 2: ") && error.contains(words), "{error}");
        }
    }
}
