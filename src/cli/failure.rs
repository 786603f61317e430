//! How a command ends, and what it says if it cannot do its work.

use std::io;

use crate::journal::JournalError;

/// Exit status: how every command ends (design §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// All is well.
    Good = 0,
    /// A check failed.
    CheckFailed = 1,
    /// Bad input or usage.
    BadInput = 2,
    /// A budget was exceeded, and nothing else is wrong.
    BudgetExceeded = 3,
    /// The environment failed: a port, a child, the disk.
    Environment = 4,
    /// Ended by Ctrl-C.
    Interrupted = 130,
}

/// A command that cannot do its work, and the one line that says why.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub status: ExitStatus,
    /// The line for stderr.
    pub message: String,
}

impl Failure {
    /// The user's input is wrong.
    pub fn input(message: impl ToString) -> Failure {
        Failure { status: ExitStatus::BadInput, message: message.to_string() }
    }

    /// The user has interrupted the command.
    pub fn interrupted(message: impl ToString) -> Failure {
        Failure { status: ExitStatus::Interrupted, message: message.to_string() }
    }

    /// The environment failed.
    pub fn environment(message: impl ToString) -> Failure {
        Failure { status: ExitStatus::Environment, message: message.to_string() }
    }

    /// The file in which long work keeps what it has found cannot be used. That is the user's
    /// input, unless the system cannot read or write a file that is there.
    pub fn journal(error: &JournalError) -> Failure {
        match error {
            JournalError::Io { source, .. } if source.kind() != io::ErrorKind::NotFound => {
                Failure::environment(error)
            }
            _ => Failure::input(error),
        }
    }
}
