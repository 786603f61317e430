//! Records: the one schema of facts (design §5). Replica and simulator emit each fact once. Tables,
//! traces, metrics and checks are folds over the stream of records. Nothing here touches a disk;
//! [`crate::archive`] does that.
//!
//! - `fact`: what can be recorded, and where it goes; `ends`: what is recorded about one message;
//! - `decision`: what a controller decides about a knob, and how two tunings differ;
//! - `frame`: a record in 64 bytes with a checksum; `text`: as a sentence, and as a line of JSON;
//! - `request`: a client's request, as facts name it; `history`: what its client saw, which no
//!   replica knows.

mod decision;
mod ends;
mod fact;
pub mod frame;
mod history;
mod request;
#[cfg(test)]
pub mod samples;
mod text;

pub use decision::{Decision, Knob, KnobChange, Reason, changed_knobs};
pub use ends::{Ends, MessageEnd, MessageId};
pub use fact::{Fact, Fate, Record, SIMULATOR, Sink, Work};
pub use frame::VERSION;
pub use history::ClientRequest;
pub use request::{AnswerKind, RequestId, request_id};
