//! The consensus core.
mod answers;
mod core;
mod election;
mod event;
mod follower;
pub mod invariants;
mod leader;
pub mod log;
pub mod message;
mod plausible;
mod progress;
mod random;
mod replication;
mod status;
mod step;
mod timers;
pub mod tuning;
mod types;

pub use event::{Deposed, Disposition, Event, Input, Output, Ticket, To};
pub use message::{Cause, Kind, Message, Why};
pub use status::{RoleName, Status};
pub use step::Raft;
pub use tuning::Tuning;
pub use types::{Entry, Index, Member, MemberSet, Micros, Round, Term};
