//! The balance of a run (design §5, numbered datagrams): what a replica sent is what the simulator
//! counted, and what lay unread in its socket when that was closed, and what the kernel lost.

use serde::Serialize;

/// The simulator's side of one replica's account, from the datagrams that it read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Messages read and counted.
    pub counted: u64,
    /// The highest number read.
    pub newest: u64,
    /// Messages whose numbers were passed over.
    pub lost: u64,
}

impl Account {
    /// A datagram with `number` that counts as `messages` was read.
    pub fn read(&mut self, number: u64, messages: u64) {
        self.counted += messages;
        self.lost += number.saturating_sub(self.newest).saturating_sub(messages);
        self.newest = self.newest.max(number);
    }
}

/// One replica's account, closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Messages that the replica says it sent.
    pub sent: u64,
    /// Those that the simulator read.
    pub counted: u64,
    /// Those that lay unread in the socket at its close.
    pub unread: u64,
    /// Those that the kernel lost.
    pub lost: u64,
}

impl Balance {
    /// Closes `account` against what the replica says.
    pub fn close(account: Account, sent: u64) -> Balance {
        let unread = sent.saturating_sub(account.newest);
        Balance { sent, counted: account.counted, unread, lost: account.lost }
    }

    /// Whether nothing is missing and nothing is counted twice.
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
