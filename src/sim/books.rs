//! The balance of a run (design §5, numbered datagrams). What a replica sent is the sum of what the
//! simulator counted, what lay unread in its socket at the close, and what the kernel lost.

use serde::Serialize;

/// One replica's account at the simulator, from the datagrams that it read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Messages read and counted.
    pub counted: u64,
    /// The highest number read.
    pub newest: u64,
    /// Messages whose numbers are missing between those read.
    pub lost: u64,
}

impl Account {
    /// Notes that a datagram with `number`, which counts as `messages`, was read.
    pub fn read(&mut self, number: u64, messages: u64) {
        self.counted += messages;
        self.lost += number.saturating_sub(self.newest).saturating_sub(messages);
        self.newest = self.newest.max(number);
    }
}

/// One replica's account at the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Messages that the replica sent, by its own records.
    pub sent: u64,
    /// Messages that the simulator read and counted.
    pub counted: u64,
    /// Messages that lay unread in the simulator's socket at its close.
    pub unread: u64,
    /// Messages that the kernel lost.
    pub lost: u64,
}

impl Balance {
    /// Closes `account`. The replica sent `sent` messages by its own records.
    pub fn close(account: Account, sent: u64) -> Balance {
        let unread = sent.saturating_sub(account.newest);
        Balance { sent, counted: account.counted, unread, lost: account.lost }
    }

    /// Whether nothing is missing and nothing was counted twice.
    pub fn is_even(&self) -> bool {
        self.sent == self.counted + self.unread + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_lost_and_the_end_is_unread() {
        let mut account = Account::default();
        account.read(1, 1);
        account.read(5, 4);
        account.read(8, 1);
        assert_eq!(account, Account { counted: 6, newest: 8, lost: 2 });
        let balance = Balance::close(account, 11);
        assert_eq!(balance, Balance { sent: 11, counted: 6, unread: 3, lost: 2 });
        assert!(balance.is_even());
        assert!(!Balance { sent: 12, ..balance }.is_even());
    }
}
