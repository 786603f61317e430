//! How a command ends, and what it says when it could not do its work.

/// Exit status: how every command ends (design §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// All is well.
    Good = 0,
    /// A check failed.
    CheckFailed = 1,
    /// Bad input or usage.
    BadInput = 2,
    /// Nothing but a budget was exceeded.
    BudgetExceeded = 3,
    /// The environment failed: a port, a child, the disk.
    Environment = 4,
    /// Broken off by Ctrl-C.
    Interrupted = 130,
}

/// A command that could not do its work, and the one line that says why.
#[derive(Debug)]
pub struct Failure {
    /// How to exit.
    pub status: ExitStatus,
    /// What to say.
    pub message: String,
}

impl Failure {
    /// The user's input is wrong.
    pub fn input(message: impl ToString) -> Failure {
        Failure { status: ExitStatus::BadInput, message: message.to_string() }
    }

    /// The user wants no more.
    pub fn interrupted(message: impl ToString) -> Failure {
        Failure { status: ExitStatus::Interrupted, message: message.to_string() }
    }

    /// The machine said no.
    pub fn environment(message: impl ToString) -> Failure {
        Failure { status: ExitStatus::Environment, message: message.to_string() }
    }
}
