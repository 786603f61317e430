//! Faults of the virtual network and of single replicas, each with a beginning and an end (our own
//! key `network.faults`).

use strum::{IntoStaticStr, VariantNames};

use crate::raft::{Member, MemberSet, Micros};

/// The replica that a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The one that the simulator takes for the leader when the fault begins. If it knows none,
    /// nothing happens.
    Leader,
    /// The one of this rank.
    Replica(Member),
}

/// What goes wrong while a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, VariantNames, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FaultKind {
    /// Deliveries between replicas are lost.
    Loss {
        /// The probability that one is.
        fraction: f64,
    },
    /// Deliveries between replicas are held back, so that others overtake them.
    Delay {
        /// The probability that one is.
        fraction: f64,
        /// The longest delay. Long ones are rarer than short ones.
        most: Micros,
    },
    /// Deliveries between replicas arrive twice.
    Duplicates {
        /// The probability that one does.
        fraction: f64,
        /// The longest time until the second copy comes.
        most: Micros,
    },
    /// One way is cut: nothing passes from some replicas to others.
    Cut {
        /// The senders.
        from: MemberSet,
        /// The receivers.
        to: MemberSet,
    },
    /// A partition: nothing passes between these replicas and all others, either way.
    Split {
        /// One side.
        side: MemberSet,
    },
    /// A replica hears the others and is not heard by them. Clients hear it.
    Mute {
        /// The replica.
        whom: Whom,
    },
    /// A replica is heard by the others and does not hear them. It hears clients.
    Deaf {
        /// The replica.
        whom: Whom,
    },
    /// A replica stands still while its clock runs on, as after SIGSTOP.
    Pause {
        /// The replica.
        whom: Whom,
    },
    /// A replica's turns take long: what it sends leaves late.
    Slow {
        /// The replica.
        whom: Whom,
        /// How long a turn takes at most. Each takes a random part of it.
        turn: Micros,
    },
    /// A replica's socket holds little, and loses what comes when it is full.
    SmallSocket {
        /// The replica.
        whom: Whom,
        /// How much the kernel charges for what the socket holds at most, in bytes.
        bytes: u64,
    },
}

impl FaultKind {
    /// The fault's name in scenario files.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A fault with its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// When it begins, counted from the end of `start_wait`.
    pub at: Micros,
    /// How long it lasts.
    pub lasts: Micros,
}
