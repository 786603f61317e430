//! Records: the one schema of facts (design §5). Replica and simulator emit each fact once; tables,
//! traces, metrics and checks are folds over the stream. Nothing here touches a disk: that is
//! [`crate::archive`]'s matter.
//!
//! - `fact`: what can be told, and who takes it in; `ends`: both ends of one message;
//! - `frame`: a record in 64 bytes with a checksum; `json` and `text`: for people and other tools;
//! - `history`: what a client saw of one request, which no replica knows.

mod ends;
mod fact;
pub mod frame;
mod history;
mod json;
mod text;

pub use ends::{Ends, MessageEnd, MessageId};
pub use fact::{
    AnswerKind, Fact, Fate, Record, RequestId, SIMULATOR, Sink, Work, deposed_name, request_id,
    why_name,
};
pub use frame::VERSION;
pub use history::{ClientRequest, OperationKind};
pub use json::{fact_json, json_line};
