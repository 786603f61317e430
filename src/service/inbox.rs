//! What has been read from the socket and not been handled yet.
//!
//! Messages of replicas are handled when they are read; clients' requests wait here, and are
//! handled after them. So what keeps the cluster going has no crowd of clients before it (rule
//! R33). If more requests come than can be handled, the oldest are dropped, before any work is put
//! into them: those who have waited longest are the first to have given up.

use std::collections::VecDeque;

use super::scan::Scan;
use crate::raft::Kind;

/// Most requests that wait to be handled.
pub(super) const MOST_REQUESTS: usize = 2_048;

/// Requests that wait to be handled, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    requests: VecDeque<Vec<u8>>,
    /// Buffers that are free again.
    spare: Vec<Vec<u8>>,
}

impl Inbox {
    /// Takes in `bytes` unless they look like a message of a replica, which should not wait. Looks
    /// deceive: bytes that are garbage may be either. Returns whether they were taken in.
    pub fn take_in(&mut self, bytes: &[u8]) -> bool {
        if Scan::at(bytes).kind.parse::<Kind>().is_ok() {
            return false;
        }
        let mut request = self.spare.pop().unwrap_or_default();
        request.clear();
        request.extend_from_slice(bytes);
        self.requests.push_back(request);
        true
    }

    /// The oldest request, if too many wait. It is to be dropped.
    pub fn overflow(&mut self) -> Option<Vec<u8>> {
        if self.requests.len() > MOST_REQUESTS { self.requests.pop_front() } else { None }
    }

    /// The oldest request.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        self.requests.pop_front()
    }

    /// Gives back the buffer of a request that has been handled.
    pub fn free(&mut self, request: Vec<u8>) {
        self.spare.push(request);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r33_messages_of_replicas_do_not_wait_behind_requests() {
        let mut inbox = Inbox::default();
        for kind in ["append", "append_reply", "vote", "vote_reply", "pre_vote", "pre_vote_reply"] {
            assert!(!inbox.take_in(format!(r#"{{"type": "{kind}"}}"#).as_bytes()), "{kind}");
        }
        for other in [r#"{"type":"put"}"#, r#"{"type": "get"}"#, "{}", ""] {
            assert!(inbox.take_in(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn r33_of_too_many_requests_the_oldest_are_dropped() {
        let mut inbox = Inbox::default();
        let request = |number: usize| format!(r#"{{"type":"get","MID":"{number}"}}"#).into_bytes();
        let mut dropped = Vec::new();
        for number in 0..MOST_REQUESTS + 3 {
            assert!(inbox.take_in(&request(number)));
            dropped.extend(inbox.overflow());
        }
        assert_eq!(dropped, [request(0), request(1), request(2)]);
        for number in 3..MOST_REQUESTS + 3 {
            let next = inbox.next().unwrap();
            assert_eq!(next, request(number));
            inbox.free(next);
        }
        assert!(inbox.is_empty() && inbox.next().is_none());
    }
}
